//! Between two events of a thread that have an ordinal: the instructions that were executed, and
//! what was told meanwhile.

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

/// A group that stands before an instruction.
pub(super) struct SiteGroup {
    /// Index into [`Window::executed`].
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
        let object = values.object(*id, self.groups.looked(self.group).at)?;
        values.classes().get(object.class as usize)
    }

    /// What is put there.
    pub(super) fn value(&self) -> Option<Held> {
        let value = *self.groups.values.group_at(self.group)?.values.get(4)?;
        Some(Held { value, chunk: self.groups.index })
    }

    /// When it is told of.
    pub(super) fn told(&self) -> Instant {
        self.groups.looked(self.group)
    }

    /// As what says what variables hold, if it does.
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
    /// What the event at the end tells of the frame's variables.
    flushes: Vec<Flush>,
    /// When it was told what an instruction has changed that began before the window and is over in it.
    finished: Option<Instant>,
    /// The ordinal of the event at the end.
    pub(super) upper: Option<i64>,
    /// That event enters another frame.
    pub(super) enters: bool,
}

/// The groups of a window's instructions that change objects. There may be as many as instructions.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By object, if the group says which: the instruction, as an index into [`Window::executed`], and when
    /// the object is told of as it was before. Ascending.
    by_object: FxHashMap<Option<ObjectId>, Vec<(usize, Instant)>>,
}

impl Changes {
    /// When an object is told of as it was before it is first changed by one of the instructions from this
    /// one on.
    pub(super) fn first(&self, from: usize, id: ObjectId) -> Option<Instant> {
        let of = |object| {
            let changes = self.by_object.get(&object).map_or(&[][..], Vec::as_slice);
            changes.get(changes.partition_point(|(by, _)| *by < from)).copied()
        };
        let first = [of(Some(id)), of(None)].into_iter().flatten().min_by_key(|(by, _)| *by);
        first.map(|(_, told)| told)
    }
}

/// Which groups say what a variable held before it was stored again, as indexes into [`Window::sites`].
struct Overwrites {
    /// Whose variables they are.
    variables: *const Variables,
    by_slot: FxHashMap<Slot, Vec<u32>>,
}

/// Fewer groups are looked through one by one.
const LISTED: usize = 1 << 6;

impl Window {
    /// How many of the instructions come before a position.
    pub(super) fn executed_before(&self, seq: i64) -> usize {
        self.executed.partition_point(|executed| executed.seq < seq)
    }

    /// What the event at the end says that a variable holds, and when that is told.
    pub(super) fn told_next(&self, slot: Slot, variables: &Variables) -> Option<(Held, Instant)> {
        self.flushes.iter().find_map(|flush| {
            let held = flush.value_of(slot, variables)?;
            Some((held, flush.groups.looked(flush.group)))
        })
    }

    /// What a variable holds that an instruction stores, if it is told before it is stored again,
    /// and when that is told.
    pub(super) fn stored(
        &self,
        by: usize,
        slot: Slot,
        variables: &Variables,
    ) -> Option<(Held, Instant)> {
        let later = self.sites.partition_point(|site| site.by <= by);
        let held_by = |flush: &Flush| {
            let held = flush.value_of(slot, variables)?;
            Some((held, flush.groups.looked(flush.group)))
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

    /// The groups of the window that change something under a name which may be a variable's: entries of a
    /// module or dict, or, if `is_local`, of a frame's variables by `f_locals`.
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

    /// The groups that stand before an instruction.
    pub(super) fn sites_of(&self, by: usize) -> &[SiteGroup] {
        let from = self.sites.partition_point(|site| site.by < by);
        let to = self.sites.partition_point(|site| site.by <= by);
        &self.sites[from..to]
    }

    /// How many of the instructions come before the last that a group says something of: what these have
    /// changed is stored, whatever else is not.
    pub(super) fn stored_before(&self) -> usize {
        let is_over = |last: &SiteGroup| usize::from(rank(last.kind) > rank(GroupKind::Change));
        self.sites.last().map_or(0, |last| last.by + is_over(last))
    }

    /// When the groups of the first so many instructions have come, those of one that began before
    /// included; `None` if there are none.
    pub(super) fn consumed(&self, executed: usize) -> Option<Instant> {
        let count = self.sites.partition_point(|site| site.by < executed);
        let Some(last) = count.checked_sub(1).map(|last| &self.sites[last]) else {
            return self.finished;
        };
        Some(last.groups.after(last.group))
    }

    /// When all has come that is known before what the first instruction after so many stores; `None` if there is no
    /// such.
    pub(super) fn before_next(&self, executed: usize) -> Option<Instant> {
        let next = self.sites.get(self.sites.partition_point(|site| site.by < executed))?;
        Some(next.groups.looked(next.group))
    }
}

impl State<'_> {
    /// Reads what lies after so many events with an ordinal of a chunk.
    pub(super) fn read_window(
        &self,
        chunk: usize,
        thread: u32,
        events: usize,
    ) -> Result<Window, Error> {
        let mut window = Window::default();
        let (before, after) = self.neighbours(chunk, thread);
        // Chunks, and from where to where in each.
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
            let change = (site.by, site.groups.looked(site.group));
            changes.by_object.entry(object).or_default().push(change);
        }
        self.changes = Rc::new(changes);
    }

    /// Finds the instruction a group stands before: the next with its unit. What is told when one is over
    /// is of the last that changes an object, or of one before the window. One may have a group of
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

/// The order of what is told of one instruction.
fn rank(kind: GroupKind) -> u8 {
    match kind {
        GroupKind::Overwrite => 0,
        GroupKind::Change => 1,
        GroupKind::Done => 3,
        _ => 2,
    }
}
