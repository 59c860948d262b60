//! What lies between two events of a thread that have an ordinal: the instructions that were
//! executed, and what was recorded meanwhile.

use super::bindings::{Element, Held};
use super::caches::State;
use super::groups::{Flush, Groups, Instant};
use crate::store::{Error, Variables};
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::{Class, GroupKind, ObjectId, Sort, Value};
use rustc_hash::FxHashMap;
use std::cell::OnceCell;
use std::rc::Rc;

/// An instruction that was executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executed {
    pub(super) seq: i64,
    pub(super) unit: u32,
}

/// A group that was recorded at an instruction.
pub(super) struct SiteGroup {
    /// The instruction: index into [`Window::executed`].
    pub(super) by: usize,
    pub(super) groups: Rc<Groups>,
    pub(super) group: usize,
    pub(super) kind: GroupKind,
}

impl SiteGroup {
    /// The class of the object that is changed.
    fn class(&self) -> Option<&Class> {
        let values = &self.groups.values;
        let (Value::Object(id) | Value::Shallow(id)) =
            values.group_at(self.group)?.values.get(2)?
        else {
            return None;
        };
        let object = values.object(*id, self.groups.examined_at(self.group).at)?;
        values.classes().get(object.class as usize)
    }

    /// The value that is put into the object.
    pub(super) fn value(&self) -> Option<Held> {
        let value = *self.groups.values.group_at(self.group)?.values.get(4)?;
        Some(Held { value, chunk: self.groups.index })
    }

    /// The instant when the objects of the group are described.
    pub(super) fn described(&self) -> Instant {
        self.groups.examined_at(self.group)
    }

    /// The group as one that records values of variables, if it is one.
    fn overwrite(&self) -> Option<Flush> {
        let Self { groups, group, kind, .. } = self;
        let flush = || Flush { groups: groups.clone(), group: *group, kind: *kind };
        (*kind == GroupKind::Overwrite).then(flush)
    }
}

/// What lies between two events of a thread that have an ordinal.
#[derive(Default)]
pub(super) struct Window {
    pub(super) executed: Vec<Executed>,
    /// In order.
    pub(super) sites: Vec<SiteGroup>,
    pub(super) changes: Rc<Changes>,
    overwrites: OnceCell<Overwrites>,
    by_key: OnceCell<FxHashMap<Box<[u8]>, Vec<u32>>>,
    /// The values of the frame's variables that are recorded with the event at the end.
    flushes: Vec<Flush>,
    /// The instant after the group that records the end of an instruction which began before the
    /// window.
    finished: Option<Instant>,
    /// The ordinal of the event at the end.
    pub(super) upper: Option<i64>,
    /// Whether that event enters another frame.
    pub(super) enters: bool,
}

/// The groups of a window's instructions that change objects. There may be as many as instructions.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By object, or `None` if the group does not name it: the instruction, as an index into
    /// [`Window::executed`], and the instant when the object is described as it was before.
    /// Ascending.
    by_object: FxHashMap<Option<ObjectId>, Vec<(usize, Instant)>>,
}

impl Changes {
    /// The instant when an object is described as it was before its first change by one of the
    /// instructions from `from` on.
    pub(super) fn first(&self, from: usize, id: ObjectId) -> Option<Instant> {
        let of = |object| {
            let changes = self.by_object.get(&object).map_or(&[][..], Vec::as_slice);
            changes.get(changes.partition_point(|(by, _)| *by < from)).copied()
        };
        let first = [of(Some(id)), of(None)].into_iter().flatten().min_by_key(|(by, _)| *by);
        first.map(|(_, described)| described)
    }
}

/// The groups that record the value of a variable before it is stored again, as indexes into
/// [`Window::sites`].
struct Overwrites {
    /// The variables that the slots belong to.
    variables: *const Variables,
    by_slot: FxHashMap<Slot, Vec<u32>>,
}

/// Up to this many groups are searched one by one; more are indexed.
const LISTED: usize = 1 << 6;

impl Window {
    /// The number of instructions before a position.
    pub(super) fn executed_before(&self, seq: i64) -> usize {
        self.executed.partition_point(|executed| executed.seq < seq)
    }

    /// The value that the event at the end records for a variable, and the instant when the value
    /// is described.
    pub(super) fn next_value(&self, slot: Slot, variables: &Variables) -> Option<(Held, Instant)> {
        self.flushes.iter().find_map(|flush| {
            let held = flush.value_of(slot, variables)?;
            Some((held, flush.groups.examined_at(flush.group)))
        })
    }

    /// The value that an instruction stores in a variable, if it is recorded before the variable is
    /// stored again, and the instant when the value is described.
    pub(super) fn stored(
        &self,
        by: usize,
        slot: Slot,
        variables: &Variables,
    ) -> Option<(Held, Instant)> {
        let later = self.sites.partition_point(|site| site.by <= by);
        let held_by = |flush: &Flush| {
            let held = flush.value_of(slot, variables)?;
            Some((held, flush.groups.examined_at(flush.group)))
        };
        let overwritten = if self.sites.len() - later <= LISTED {
            self.sites[later..].iter().filter_map(SiteGroup::overwrite).find_map(|it| held_by(&it))
        } else {
            let overwrites = self.overwrites.get_or_init(|| self.index_overwrites(variables));
            if std::ptr::eq(overwrites.variables, variables) {
                let sites = overwrites.by_slot.get(&slot).map_or(&[][..], Vec::as_slice);
                let sites = &sites[sites.partition_point(|site| (*site as usize) < later)..];
                let site = sites.first().map(|site| &self.sites[*site as usize]);
                site.and_then(SiteGroup::overwrite).and_then(|it| held_by(&it))
            } else {
                let mut later = self.sites[later..].iter().filter_map(SiteGroup::overwrite);
                later.find_map(|it| held_by(&it))
            }
        };
        overwritten.or_else(|| self.flushes.iter().find_map(held_by))
    }

    /// The groups of the window that change something under a name which may be that of a variable:
    /// an entry of a module or dict, or, if `is_local`, a variable of a frame through `f_locals`.
    pub(super) fn changes_under(
        &self,
        name: &str,
        is_local: bool,
    ) -> impl DoubleEndedIterator<Item = &SiteGroup> {
        let by_key = self.by_key.get_or_init(|| self.index_keys());
        let found = by_key.get(name.as_bytes()).map_or(&[][..], Vec::as_slice);
        let sites = found.iter().map(|site| &self.sites[*site as usize]);
        sites.filter(move |site| {
            let class = site.class();
            class.is_some_and(|class| match is_local {
                true => &*class.name == "FrameLocalsProxy",
                false => matches!(class.sort, Sort::Module | Sort::Dict),
            })
        })
    }

    fn index_keys(&self) -> FxHashMap<Box<[u8]>, Vec<u32>> {
        let mut by_key: FxHashMap<Box<[u8]>, Vec<u32>> = FxHashMap::default();
        for (site, at) in self.sites.iter().zip(0..) {
            if matches!(site.kind, GroupKind::Overwrite | GroupKind::Done) {
                continue;
            }
            let values = &site.groups.values;
            let group = values.group_at(site.group);
            if let Some(Value::Str(text)) = group.and_then(|group| group.values.get(3)) {
                by_key.entry(values.text(*text).into()).or_default().push(at);
            }
        }
        by_key
    }

    fn index_overwrites(&self, variables: &Variables) -> Overwrites {
        let mut by_slot: FxHashMap<Slot, Vec<u32>> = FxHashMap::default();
        for (site, at) in self.sites.iter().zip(0..) {
            let overwrite = site.overwrite();
            for slot in overwrite.iter().flat_map(|it| it.slots(variables)) {
                by_slot.entry(slot).or_default().push(at);
            }
        }
        Overwrites { variables, by_slot }
    }

    /// The groups that were recorded at an instruction.
    pub(super) fn sites_of(&self, by: usize) -> &[SiteGroup] {
        let from = self.sites.partition_point(|site| site.by < by);
        let to = self.sites.partition_point(|site| site.by <= by);
        &self.sites[from..to]
    }

    /// The number of instructions whose changes are certainly stored, whatever else is not: those
    /// before the last instruction with a group, and that instruction too if its last group records
    /// its effect.
    pub(super) fn stored_before(&self) -> usize {
        let is_over = |last: &SiteGroup| usize::from(rank(last.kind) > rank(GroupKind::Change));
        self.sites.last().map_or(0, |last| last.by + is_over(last))
    }

    /// The instant after the groups of the first `executed` instructions, including those of an
    /// instruction that began before the window. `None` if there are no such groups.
    pub(super) fn consumed(&self, executed: usize) -> Option<Instant> {
        let count = self.sites.partition_point(|site| site.by < executed);
        let Some(last) = count.checked_sub(1).map(|last| &self.sites[last]) else {
            return self.finished;
        };
        Some(last.groups.after(last.group))
    }

    /// The instant when everything is recorded that was known before the first group after
    /// `executed` instructions takes effect. `None` if there is no such group.
    pub(super) fn before_next(&self, executed: usize) -> Option<Instant> {
        let next = self.sites.get(self.sites.partition_point(|site| site.by < executed))?;
        Some(next.groups.examined_at(next.group))
    }
}

impl State<'_> {
    /// Reads the window that begins after the thread's first `events` events with an ordinal in a
    /// chunk.
    pub(super) fn read_window(
        &self,
        chunk: usize,
        thread: u32,
        events: usize,
    ) -> Result<Window, Error> {
        let mut window = Window::default();
        let (before, after) = self.neighbours(chunk, thread);
        // Chunks, and the range of indexes in each.
        let mut parts = Vec::new();
        let mut lower = -1;
        for (part, chunk) in std::iter::once(chunk).chain(before).enumerate() {
            let Some(frames) = self.frames(chunk)? else { break };
            let known = frames.tracks.get(&thread).map_or(&[][..], |track| &track.events);
            let known = if part == 0 { &known[..events.min(known.len())] } else { known };
            let from = known.last().map_or(0, |index| *index as usize + 1);
            parts.push((chunk, from, usize::MAX));
            if let Some(last) = known.last() {
                lower = self.ordinal(&frames, chunk, *last as usize)?;
                break;
            }
        }
        parts.reverse();
        let mut end = None;
        for (part, chunk) in std::iter::once(chunk).chain(after).enumerate() {
            let Some(frames) = self.frames(chunk)? else { break };
            let known = frames.tracks.get(&thread).map_or(&[][..], |track| &track.events);
            let skipped = if part == 0 { events.min(known.len()) } else { 0 };
            let next = known.get(skipped).copied();
            let to = next.map_or(usize::MAX, |index| index as usize);
            match parts.last_mut().filter(|_| part == 0) {
                Some(here) => here.2 = to,
                None => parts.push((chunk, 0, to)),
            }
            if let Some(index) = next {
                end = Some((chunk, skipped as u32, index as usize));
                break;
            }
        }
        for (chunk, from, to) in parts {
            let Some(frames) = self.frames(chunk)? else { continue };
            let (kinds, places) = (frames.chunk.kinds()?, frames.chunk.places()?);
            let first_seq = self.store.chunks()[chunk].first_seq;
            let is_instruction = |index: &usize| kinds[*index] == EventKind::INSTRUCTION.number();
            let events = frames.events_of(thread, from, to.min(kinds.len()))?;
            window.executed.extend(
                events
                    .filter(is_instruction)
                    .map(|index| Executed { seq: first_seq + index as i64, unit: places[index] }),
            );
        }
        let process_id = self.process(chunk).process_id;
        if let Some((chunk, event, index)) = end
            && let Some(frames) = self.frames(chunk)?
        {
            let kind = EventKind::from_number(frames.chunk.kinds()?[index]);
            let is_callee = kind.is_some_and(EventKind::enters);
            window.enters = is_callee;
            window.flushes = self.flushes(&frames, Element { chunk, thread, event, is_callee })?;
            let upper = self.ordinal(&frames, chunk, index)?;
            window.upper = Some(upper);
        }
        if !window.executed.is_empty() {
            let upper = window.upper.unwrap_or(i64::MAX);
            for groups in self.groups_between(process_id, lower, upper)? {
                for group in groups.of_sites(thread, lower, upper) {
                    window.match_site(&groups, group as usize);
                }
            }
            window.index_changes();
        }
        Ok(window)
    }
}

impl Window {
    fn index_changes(&mut self) {
        let mut changes = Changes::default();
        for site in self.sites.iter().filter(|site| site.kind != GroupKind::Overwrite) {
            let group = site.groups.values.group_at(site.group);
            let object = group.and_then(|group| match group.values.get(2) {
                Some(Value::Object(id) | Value::Shallow(id)) => Some(*id),
                _ => None,
            });
            let change = (site.by, site.groups.examined_at(site.group));
            changes.by_object.entry(object).or_default().push(change);
        }
        self.changes = Rc::new(changes);
    }

    /// Finds the instruction at which a group was recorded: the next one with its code unit. A
    /// group that records that an instruction is finished belongs to the last instruction that
    /// changes an object, or to one before the window. An instruction may have a group of
    /// variables, then one of an object that is changed otherwise, then one of what it stores.
    fn match_site(&mut self, groups: &Rc<Groups>, group: usize) {
        let Some(found) = groups.values.group_at(group) else { return };
        let [_, Value::Int(unit), ..] = found.values else { return };
        let kind = found.kind;
        if kind == GroupKind::Done {
            let is_it = |last: &&SiteGroup| {
                let executed = self.executed.get(last.by);
                last.kind == GroupKind::Change
                    && executed.is_some_and(|executed| i64::from(executed.unit) == *unit)
            };
            match self.sites.last().filter(is_it).map(|last| last.by) {
                Some(by) => self.sites.push(SiteGroup { by, groups: groups.clone(), group, kind }),
                None => self.finished = Some(groups.after(group)),
            }
            return;
        }
        let from = self.sites.last().map_or(0, |last| {
            let is_more = rank(kind) > rank(last.kind);
            last.by + usize::from(!is_more)
        });
        let rest = self.executed.get(from..).unwrap_or_default();
        if let Some(at) = rest.iter().position(|executed| i64::from(executed.unit) == *unit) {
            self.sites.push(SiteGroup { by: from + at, groups: groups.clone(), group, kind });
        }
    }
}

/// The order of the groups of one instruction.
fn rank(kind: GroupKind) -> u8 {
    match kind {
        GroupKind::Overwrite => 0,
        GroupKind::Change => 1,
        GroupKind::Done => 3,
        _ => 2,
    }
}
