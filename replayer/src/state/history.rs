//! The changes of one object.

use super::caches::State;
use super::changes::{Mutation, Wanted};
use super::groups::Groups;
use super::within::Direction;
use crate::store::Error;
use dashcam_schema::value::{GroupKind, ObjectId, Value};
use std::ops::Range;

impl State<'_> {
    /// The nearest change of an object that `is_wanted`: the last before an event, or, forwards,
    /// the first after it. Chunks of values record which objects they describe, so the others are
    /// not read.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub fn change_of(
        &self,
        run_id: i64,
        object_id: ObjectId,
        seq: i64,
        direction: Direction,
        is_wanted: &mut dyn FnMut(&Mutation) -> Result<bool, Error>,
    ) -> Result<Option<Mutation>, Error> {
        if !self.is_there(run_id, seq) {
            return Ok(None);
        }
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        let process_id = self.process(position.chunk).process_id;
        let ordinal = self.ordinal(&position.frames, position.chunk, position.index)?;
        let chunks = self.store.value_chunks();
        let of_process = |index: &usize| chunks[*index].process_id == process_id;
        let first = chunks.partition_point(|chunk| chunk.process_id < process_id);
        // A change is described with the next event of its thread, which may be in the next chunk.
        let split =
            chunks.partition_point(|c| (c.process_id, c.first_ordinal) <= (process_id, ordinal));
        let ahead: Box<dyn Iterator<Item = usize>> = match direction {
            Direction::Forward => Box::new(first.max(split.saturating_sub(1))..chunks.len()),
            Direction::Backward => Box::new((first..chunks.len().min(split + 1)).rev()),
        };
        for index in ahead.take_while(of_process) {
            // All values between the event and this chunk must be known, or a change could be
            // missed.
            let covers = &chunks[index].covers;
            let (from, to) = match direction {
                Direction::Forward => (ordinal.min(covers.start), ordinal.max(covers.start - 1)),
                Direction::Backward => (covers.end.min(ordinal), ordinal),
            };
            self.store.known(process_id, from, to)?;
            if !chunks[index].described.contains(object_id) {
                continue;
            }
            let Some(groups) = self.groups(index)? else { continue };
            let mut described = described_in(&groups, object_id);
            if direction == Direction::Backward {
                described.reverse();
            }
            for group in described {
                let mut changes = self.changes_at(process_id, &groups, group, object_id)?;
                let is_ahead = |change: &Mutation| match direction {
                    Direction::Forward => change.at.seq > seq,
                    Direction::Backward => change.at.seq < seq,
                };
                changes.retain(is_ahead);
                if direction == Direction::Backward {
                    changes.reverse();
                }
                for change in changes {
                    if is_wanted(&change)? {
                        return Ok(Some(change));
                    }
                }
            }
        }
        let (from, to) = match direction {
            Direction::Forward => (ordinal, self.last_ordinal(process_id)?),
            Direction::Backward => (0, ordinal),
        };
        self.store.known(process_id, from, to)?;
        Ok(None)
    }

    /// The ordinal of the last event of a process that has one, as far as the last chunk is
    /// readable; -1 if there is none.
    fn last_ordinal(&self, process_id: i64) -> Result<i64, Error> {
        let Some(&chunk) = self.chunks_of(process_id).last() else { return Ok(-1) };
        let first = self.store.chunks()[chunk].first_ordinal;
        let Some(frames) = self.frames(chunk)? else { return Ok(first - 1) };
        let count = frames.chunk.count_ordinals(0..frames.chunk.kinds()?.len())?;
        Ok(first + i64::from(count) - 1)
    }

    /// The changes of an object by the events that a group of values may belong to.
    fn changes_at(
        &self,
        process_id: i64,
        groups: &Groups,
        group: usize,
        object_id: ObjectId,
    ) -> Result<Vec<Mutation>, Error> {
        let Some(found) = groups.values.group_at(group) else { return Ok(Vec::new()) };
        // An instruction that ends here may have begun long before.
        let ordinal = match (found.kind, found.values) {
            (GroupKind::Done, [_, _, _, Value::Int(low), ..]) => {
                let ago = (found.ordinal as u32).wrapping_sub(*low as u32);
                found.ordinal.saturating_sub(ago.into())
            }
            _ => found.ordinal,
        };
        let thread = match (found.kind.is_of_site(), found.values) {
            (true, [Value::Int(thread), ..]) => u32::try_from(*thread).ok(),
            _ => None,
        };
        let mut changes = Vec::new();
        let near = self.events_near(process_id, ordinal.cast_signed(), thread)?;
        for (chunk, range, thread) in near {
            let is_of_thread = |_: i64, of: u32| thread == of;
            let found = self.mutations(chunk, range, &Wanted::all(&is_of_thread, &|_| true))?;
            changes.extend(found.into_iter().filter(|change| change.object_id == object_id));
        }
        changes.dedup_by(|one, two| (one.at.seq, &one.key) == (two.at.seq, &two.key));
        Ok(changes)
    }

    /// The events of a thread around an ordinal, from one event with an ordinal to the next:
    /// chunks, and ranges of indexes in them. Without a thread, the events of the thread that has
    /// the event with the ordinal.
    fn events_near(
        &self,
        process_id: i64,
        ordinal: i64,
        thread: Option<u32>,
    ) -> Result<Vec<(usize, Range<usize>, u32)>, Error> {
        let chunks = self.chunks_of(process_id);
        let headers = self.store.chunks();
        let after = chunks.partition_point(|chunk| headers[*chunk].first_ordinal <= ordinal);
        let Some(&chunk) = after.checked_sub(1).and_then(|at| chunks.get(at)) else {
            return Ok(Vec::new());
        };
        let Some(frames) = self.frames(chunk)? else { return Ok(Vec::new()) };
        let within = ordinal - headers[chunk].first_ordinal;
        let ordinals = frames.chunk.ordinals()?;
        // Of the events with the same number of ordinals before them, the last one has the ordinal.
        let end = ordinals.partition_point(|before| i64::from(*before) <= within);
        let index = end.saturating_sub(1);
        let context = frames.chunk.contexts()?.get(index);
        let context =
            context.and_then(|context| frames.chunk.runs().ok()?.contexts.get(*context as usize));
        let Some(thread) = thread.or(context.map(|context| context.thread)) else {
            return Ok(Vec::new());
        };
        let events = frames.tracks.get(&thread).map_or(&[][..], |track| &track.events);
        let at = events.partition_point(|event| (*event as usize) < index);
        let before = at.checked_sub(1).map(|at| events[at] as usize);
        let next = events.get(at).map(|event| *event as usize);
        let mut ranges = Vec::new();
        let (mut earlier, mut later) = self.neighbours(chunk, thread);
        if before.is_none()
            && let Some(chunk) = earlier.next()
            && let Some(frames) = self.frames(chunk)?
        {
            let events = frames.tracks.get(&thread).map_or(&[][..], |track| &track.events);
            let last = events.last().map_or(0, |event| *event as usize);
            ranges.push((chunk, last..frames.chunk.kinds()?.len(), thread));
        }
        let low = before.unwrap_or(0);
        ranges.push((chunk, low..next.map_or(ordinals.len(), |next| next + 1), thread));
        if next.is_none()
            && let Some(chunk) = later.next()
            && let Some(frames) = self.frames(chunk)?
        {
            let events = frames.tracks.get(&thread).map_or(&[][..], |track| &track.events);
            let first = events.first().map_or(frames.chunk.kinds()?.len(), |e| *e as usize + 1);
            ranges.push((chunk, 0..first, thread));
        }
        Ok(ranges)
    }
}

/// The groups of a chunk with which an object is described, ascending. An object is described when
/// its contents changed, and when an epoch begins in which everything is described anew.
fn described_in(groups: &Groups, object_id: ObjectId) -> Vec<usize> {
    let mut described = Vec::new();
    let mut after = 0;
    while let Some(at) = groups.values.next_description(object_id, after) {
        // At an odd moment a group describes the object by examining it; at an even one this is the
        // effect of a store.
        let group = (at as usize).saturating_sub(1) / 2;
        if described.last() != Some(&group) {
            described.push(group);
        }
        after = at;
    }
    described
}
