//! The values of a frame's variables at an event of its chain.

use super::caches::State;
use super::frames::{Frames, Link};
use super::groups::Flush;
use crate::store::{Error, Variables};
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::{GroupKind, Value};
use std::rc::Rc;

/// An event in the chain of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Element {
    pub(super) chunk: usize,
    pub(super) thread: u32,
    /// Index among the thread's events with an ordinal.
    pub(super) event: u32,
    /// Whether the event enters another frame from this one.
    pub(super) is_callee: bool,
}

impl Element {
    fn link(&self) -> Link {
        if self.is_callee { Link::Callee(self.event) } else { Link::Own(self.event) }
    }
}

/// A value, and the chunk of values whose numbers it uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) value: Value,
    pub(super) chunk: usize,
}

/// The value of each of the [`all`](dashcam_schema::bytecode::stores::Stores::all) slots, as far as
/// it is known.
pub(super) type Base = [Option<Held>];

/// What an event of a chain records about the frame's variables.
struct Update {
    /// Whether the frame begins here, and its variables with it.
    begins: bool,
    flushes: Vec<Flush>,
}

impl Flush {
    /// The variables that this records, and their values.
    fn slots_and_values<'b>(&'b self, variables: &'b Variables) -> (Slots<'b>, &'b [Value]) {
        let stores = &variables.stores;
        let values = self.groups.values.group_at(self.group).map_or(&[][..], |group| group.values);
        let unit = |value: &Value| match value {
            Value::Int(unit) => u32::try_from(*unit).unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        let (slots, values) = match (self.kind, values) {
            (GroupKind::Arguments, values) => {
                (Slots::First(variables.arguments.min(values.len())), values)
            }
            (GroupKind::Snapshot, values) => (Slots::These(stores.all()), values),
            (GroupKind::Bindings, [at, values @ ..])
            | (GroupKind::Overwrite, [_, at, values @ ..]) => {
                (Slots::These(stores.pending(unit(at))), values)
            }
            (GroupKind::CallerBindings, [Value::Int(-1), values @ ..]) => {
                (Slots::These(stores.all()), values)
            }
            (GroupKind::CallerBindings, [at, values @ ..]) => {
                (Slots::These(stores.pending_within(unit(at))), values)
            }
            _ => (Slots::First(0), &[][..]),
        };
        // If their numbers differ, the values are not those of these variables.
        if slots.len() == values.len() { (slots, values) } else { (Slots::First(0), &[]) }
    }

    /// The variables that this records.
    pub(super) fn slots(&self, variables: &Variables) -> Vec<Slot> {
        match self.slots_and_values(variables).0 {
            Slots::First(count) => (0..count as Slot).collect(),
            Slots::These(slots) => slots.to_vec(),
        }
    }

    /// The value of a variable, if this records it.
    pub(super) fn value_of(&self, slot: Slot, variables: &Variables) -> Option<Held> {
        let (slots, values) = self.slots_and_values(variables);
        let at = match slots {
            Slots::First(count) => Some(slot as usize).filter(|slot| *slot < count),
            Slots::These(slots) => slots.binary_search(&slot).ok(),
        };
        Some(Held { value: *values.get(at?)?, chunk: self.groups.index })
    }
}

enum Slots<'a> {
    /// This many slots, from 0 on.
    First(usize),
    /// These slots, ascending.
    These(&'a [Slot]),
}

impl Slots<'_> {
    fn len(&self) -> usize {
        match self {
            Slots::First(count) => *count,
            Slots::These(slots) => slots.len(),
        }
    }
}

impl State<'_> {
    /// The event of a call's chain that a link leads to, in this chunk or an earlier one.
    pub(super) fn element(
        &self,
        chunk: usize,
        thread: u32,
        call_id: CallId,
        link: Link,
    ) -> Result<Option<Element>, Error> {
        let at = |chunk, link| match link {
            Link::Own(event) => Some(Element { chunk, thread, event, is_callee: false }),
            Link::Callee(event) => Some(Element { chunk, thread, event, is_callee: true }),
            Link::Entered | Link::Earlier => None,
        };
        if link != Link::Earlier {
            return Ok(at(chunk, link));
        }
        let Some(frames) = self.frames(chunk)? else { return Ok(None) };
        let waits_for = frames.tracks.get(&thread).and_then(|track| track.waits_for(call_id));
        let run_id = self.store.chunks()[chunk].run_id;
        // The id of a call that was entered only once is the position of the event that entered it.
        if let Some((callee, _, true)) = waits_for
            && let Some((entered, _)) = self.store.locate(run_id, callee.cast_signed())
            && entered < chunk
            && let Some(frames) = self.frames(entered)?
            && let Some(track) = frames.tracks.get(&thread)
            && let Some(event) = track.entered_last(call_id, callee)
        {
            return Ok(at(entered, Link::Callee(event)));
        }
        // A call's id is the position at which it began.
        let begins_in =
            |chunk: usize| self.store.chunks()[chunk].first_seq <= call_id.cast_signed();
        for chunk in self.neighbours(chunk, thread).0 {
            // If the call it waits for has no event in a chunk, it was not entered there.
            let codes = &self.store.chunks()[chunk].codes;
            if waits_for.is_some_and(|(_, code, _)| codes.binary_search(&code).is_err()) {
                continue;
            }
            let Some(frames) = self.frames(chunk)? else { return Ok(None) };
            let ended = frames.tracks.get(&thread).and_then(|track| track.ends.get(&call_id));
            match ended {
                Some(Link::Earlier) => {}
                Some(link) => return Ok(at(chunk, *link)),
                None if begins_in(chunk) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// The values of a frame's variables at an event of its chain, where none is pending.
    pub(super) fn base(&self, element: Element, variables: &Variables) -> Result<Rc<Base>, Error> {
        let stores = &variables.stores;
        if stores.all().is_empty() {
            return Ok(Rc::default());
        }
        let mut path = Vec::new();
        let mut slots: Vec<Option<Held>> = Vec::new();
        let mut next = Some(element);
        while let Some(at) = next {
            if let Some(known) = self.known_base(&at) {
                if path.is_empty() {
                    return Ok(known);
                }
                slots = known.to_vec();
                break;
            }
            let Some(frames) = self.frames(at.chunk)? else { break };
            let update = self.update_at(&frames, at)?;
            let is_whole = |flush: &Flush| {
                flush.kind == GroupKind::Snapshot && !flush.slots_and_values(variables).1.is_empty()
            };
            let is_complete = update.begins || update.flushes.iter().any(is_whole);
            path.push(update);
            if is_complete {
                break;
            }
            let Some(track) = frames.tracks.get(&at.thread) else { break };
            let (call_id, link) = track.previous(at.link());
            next = self.element(at.chunk, at.thread, call_id, link)?;
        }
        slots.resize(stores.all().len(), None);
        for update in path.iter().rev() {
            if update.begins {
                // Names do not belong to the frame alone: they may have been bound before it began.
                let unbound = Held { value: Value::Unbound, chunk: 0 };
                let fast = slots.len().min(stores.fast() as usize);
                slots[..fast].fill(Some(unbound));
                slots[..fast.min(variables.arguments)].fill(None);
            }
            for flush in &update.flushes {
                let (flushed, values) = flush.slots_and_values(variables);
                for (at, value) in values.iter().enumerate() {
                    let at = match &flushed {
                        Slots::First(_) => Some(at),
                        Slots::These(flushed) => stores.all().binary_search(&flushed[at]).ok(),
                    };
                    if let Some(slot) = at.and_then(|at| slots.get_mut(at)) {
                        *slot = Some(Held { value: *value, chunk: flush.groups.index });
                    }
                }
            }
        }
        let base: Rc<Base> = slots.into();
        self.keep_base(element, base.clone());
        Ok(base)
    }

    /// The values of a frame's variables when it continued after `events` events of its thread, if
    /// they were recorded when the frame that had changed them was left.
    pub(super) fn reached(
        &self,
        frames: &Frames,
        chunk: usize,
        thread: u32,
        events: usize,
        variables: &Variables,
    ) -> Result<Option<Vec<Option<Held>>>, Error> {
        let track = frames.tracks.get(&thread);
        let Some(last) =
            events.checked_sub(1).filter(|last| track.is_some_and(|t| t.leaves(*last)))
        else {
            return Ok(None);
        };
        let at = Element { chunk, thread, event: last as u32, is_callee: true };
        let flushes = self.flushes(frames, at)?;
        let Some(flush) = flushes.first() else { return Ok(None) };
        let all = variables.stores.all();
        Ok(Some(all.iter().map(|slot| flush.value_of(*slot, variables)).collect()))
    }

    /// What is recorded about a frame's variables at an event of its chain, and since the thread's
    /// event before that.
    fn update_at(&self, frames: &Frames, at: Element) -> Result<Update, Error> {
        let nothing = Update { begins: false, flushes: Vec::new() };
        let Some(track) = frames.tracks.get(&at.thread) else { return Ok(nothing) };
        let Some(&index) = track.events.get(at.event as usize) else { return Ok(nothing) };
        let kinds = frames.chunk.kinds()?;
        let kind = kinds.get(index as usize).and_then(|kind| EventKind::from_number(*kind));
        let enters = kind.is_some_and(EventKind::enters) && !at.is_callee;
        let mut flushes = Vec::new();
        if !enters {
            let lower = self.ordinal_before(at)?;
            let upper = self.ordinal(frames, at.chunk, index as usize)?;
            for groups in self.groups_between(self.process(at.chunk).process_id, lower, upper)? {
                for group in groups.of_sites(at.thread, lower, upper) {
                    let group = group as usize;
                    if let Some(kind @ GroupKind::Overwrite) = groups.kind(group) {
                        flushes.push(Flush { groups: groups.clone(), group, kind });
                    }
                }
            }
        }
        flushes.extend(self.flushes(frames, at)?);
        Ok(Update { begins: enters && kind == Some(EventKind::PY_START), flushes })
    }

    /// The groups that come with an event of a frame's chain and hold values of its variables.
    pub(super) fn flushes(&self, frames: &Frames, at: Element) -> Result<Vec<Flush>, Error> {
        let index = frames
            .tracks
            .get(&at.thread)
            .and_then(|track| track.events.get(at.event as usize).copied());
        let Some(index) = index else { return Ok(Vec::new()) };
        let ordinal = self.ordinal(frames, at.chunk, index as usize)?;
        let is_wanted = |kind| match kind {
            GroupKind::CallerBindings => at.is_callee,
            GroupKind::Arguments | GroupKind::Bindings | GroupKind::Snapshot => !at.is_callee,
            _ => false,
        };
        let mut flushes = Vec::new();
        let process_id = self.process(at.chunk).process_id;
        for groups in self.groups_between(process_id, ordinal - 1, ordinal)? {
            for group in groups.of(ordinal) {
                if let Some(kind) = groups.kind(group).filter(|kind| is_wanted(*kind)) {
                    flushes.push(Flush { groups: groups.clone(), group, kind });
                }
            }
        }
        Ok(flushes)
    }

    /// The ordinal of an event. For an event without one, the ordinal of the next event that has
    /// one.
    pub(super) fn ordinal(
        &self,
        frames: &Frames,
        chunk: usize,
        index: usize,
    ) -> Result<i64, Error> {
        Ok(self.store.chunks()[chunk].first_ordinal + i64::from(frames.ordinal(index)?))
    }

    /// The ordinal of the thread's event before this one; -1 if this is the first.
    pub(super) fn ordinal_before(&self, at: Element) -> Result<i64, Error> {
        let here = at.event.checked_sub(1).map(|event| (at.chunk, Some(event as usize)));
        let earlier = self.neighbours(at.chunk, at.thread).0.map(|chunk| (chunk, None));
        for (chunk, event) in here.into_iter().chain(earlier) {
            let Some(frames) = self.frames(chunk)? else { break };
            let events = frames.tracks.get(&at.thread).map_or(&[][..], |track| &track.events);
            let index = event.map_or(events.last(), |event| events.get(event));
            if let Some(index) = index {
                return self.ordinal(&frames, chunk, *index as usize);
            }
        }
        Ok(-1)
    }
}
