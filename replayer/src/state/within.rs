//! One chunk's events, for stepping through them: the call of each event, and where the next line
//! of a call is.

use super::caches::State;
use super::frames::{Frames, Track};
use crate::store::{Chunk, Error};
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use std::rc::Rc;

/// The direction to go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Forward,
    Backward,
}

/// A frame of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameIn {
    thread: u32,
    frame: u32,
}

/// The result of a search along a call, with the index of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Event(usize),
    /// The call returns or is unwound.
    End(usize),
    /// The call begins: PY_START.
    Start(usize),
    /// None of these, but the call is suspended here, for the last time in the chunk.
    Suspended(usize),
}

/// The events of one chunk.
pub struct Within {
    pub(super) frames: Rc<Frames>,
    first_seq: i64,
}

impl State<'_> {
    /// The events of a chunk. `None` if it is damaged, which is noted.
    pub fn within(&self, chunk: usize) -> Result<Option<Within>, Error> {
        let first_seq = self.store.chunks()[chunk].first_seq;
        Ok(self.frames(chunk)?.map(|frames| Within { frames, first_seq }))
    }
}

impl Within {
    /// The chunk.
    pub(crate) fn chunk(&self) -> &Chunk {
        &self.frames.chunk
    }

    /// The number of events.
    pub(crate) fn events(&self) -> Result<usize, Error> {
        Ok(self.frames.chunk.kinds()?.len())
    }

    /// The event's kind.
    pub(crate) fn kind(&self, index: usize) -> Result<Option<EventKind>, Error> {
        Ok(self.frames.chunk.kinds()?.get(index).and_then(|kind| EventKind::from_number(*kind)))
    }

    /// The numbers of the event's thread and code object.
    pub(crate) fn context(&self, index: usize) -> Result<Option<(u32, u32)>, Error> {
        let Some(context) = self.frames.chunk.contexts()?.get(index) else { return Ok(None) };
        let context = self.frames.chunk.runs()?.contexts.get(*context as usize);
        Ok(context.map(|context| (context.thread, context.code)))
    }

    /// The frame of an event. An event that leaves a frame is of that frame.
    pub(crate) fn frame_at(&self, index: usize) -> Result<Option<FrameIn>, Error> {
        let Some((thread, _)) = self.context(index)? else { return Ok(None) };
        let Some(track) = self.frames.tracks.get(&thread) else { return Ok(None) };
        let has_ordinal = self.frames.chunk.has_ordinal(index)?;
        let before = track.before(index);
        let found = if has_ordinal { track.at(before as u32) } else { track.after(before) };
        Ok(found.map(|(frame, _)| FrameIn { thread, frame }))
    }

    /// The call of a frame.
    pub fn call_of(&self, at: FrameIn) -> CallId {
        let track = self.frames.tracks.get(&at.thread);
        track.and_then(|track| track.frames.get(at.frame as usize)).map_or(0, |f| f.call_id)
    }

    /// The number of a frame's code object.
    pub fn code_of(&self, at: FrameIn) -> Option<u32> {
        let track = self.frames.tracks.get(&at.thread)?;
        track.frames.get(at.frame as usize).map(|frame| frame.code)
    }

    /// The frame that a frame was entered from.
    pub(crate) fn caller(&self, at: FrameIn) -> Option<FrameIn> {
        let track = self.frames.tracks.get(&at.thread)?;
        let (frame, _) = track.caller(at.frame)?;
        Some(FrameIn { thread: at.thread, frame })
    }

    /// The frames on the stack of an event, innermost first.
    pub fn stack(&self, index: usize) -> Result<impl Iterator<Item = FrameIn>, Error> {
        let innermost = self.frame_at(index)?;
        Ok(std::iter::successors(innermost, |frame| self.caller(*frame)))
    }

    /// The event that enters a frame; `None` if that event is not in the chunk.
    pub(crate) fn entered(&self, at: FrameIn) -> Option<usize> {
        let track = self.frames.tracks.get(&at.thread)?;
        let entered = track.frames.get(at.frame as usize)?.entered?;
        track.events.get(entered as usize).map(|index| *index as usize)
    }

    /// The last event before an index that suspends a call.
    pub(crate) fn yielded(&self, call: CallId, before: usize) -> Result<Option<usize>, Error> {
        let kinds = self.frames.chunk.kinds()?;
        let mut last = None;
        for track in self.frames.tracks.values() {
            let is_it = |event: &usize| {
                kinds[track.events[*event] as usize] == EventKind::PY_YIELD.number()
                    && track.is_of(*event, call)
            };
            if let Some(event) = (0..track.before(before)).rev().find(is_it) {
                last = last.max(Some(track.events[event] as usize));
            }
        }
        Ok(last)
    }

    /// The nearest event of a thread that `is_wanted`: the first from an index on, or, backwards,
    /// the last before it.
    pub fn nearest(
        &self,
        thread: u32,
        from: usize,
        direction: Direction,
        mut is_wanted: impl FnMut(usize) -> Result<bool, Error>,
    ) -> Result<Option<usize>, Error> {
        let (low, high) = match direction {
            Direction::Forward => (from, usize::MAX),
            Direction::Backward => (0, from),
        };
        let mut events = self.frames.events_of(thread, low, high.min(self.events()?))?;
        loop {
            let next = match direction {
                Direction::Forward => events.next(),
                Direction::Backward => events.next_back(),
            };
            let Some(index) = next else { return Ok(None) };
            if is_wanted(index)? {
                return Ok(Some(index));
            }
        }
    }

    /// The nearest event of a call that has no ordinal and `is_wanted`: the first from an index on,
    /// or, backwards, the last before it. If the call ends or begins before that, the event where
    /// it does.
    pub(crate) fn event_of(
        &self,
        call: CallId,
        from: usize,
        direction: Direction,
        is_wanted: &dyn Fn(u8, u32) -> bool,
    ) -> Result<Option<Met>, Error> {
        let mut nearest: Option<Met> = None;
        for (thread, track) in &self.frames.tracks {
            if !track.frames.iter().any(|frame| frame.call_id == call) {
                continue;
            }
            let met = match direction {
                Direction::Forward => self.forwards(*thread, track, (call, from), is_wanted)?,
                Direction::Backward => self.backwards(*thread, track, (call, from), is_wanted)?,
            };
            let is_nearer = |met: &Met| match (direction, nearest) {
                (_, None) => true,
                (_, Some(Met::Suspended(index))) => {
                    !matches!(met, Met::Suspended(_)) || met.index() > index
                }
                (_, Some(_)) if matches!(met, Met::Suspended(_)) => false,
                (Direction::Forward, Some(other)) => met.index() < other.index(),
                (Direction::Backward, Some(other)) => met.index() > other.index(),
            };
            nearest = met.filter(is_nearer).or(nearest);
        }
        Ok(nearest)
    }

    fn forwards(
        &self,
        thread: u32,
        track: &Track,
        (call, from): (CallId, usize),
        is_wanted: &dyn Fn(u8, u32) -> bool,
    ) -> Result<Option<Met>, Error> {
        let (kinds, places) = (self.frames.chunk.kinds()?, self.frames.chunk.places()?);
        let is_of = |frame: u32| track.frames[frame as usize].call_id == call;
        let (mut low, mut suspended) = (from, None);
        for event in track.before(from)..=track.events.len() {
            let high = track.events.get(event).map_or(kinds.len(), |index| *index as usize);
            if track.after(event).is_some_and(|(frame, _)| is_of(frame)) {
                let mut events = self.frames.events_of(thread, low, high)?;
                if let Some(index) = events.find(|index| is_wanted(kinds[*index], places[*index])) {
                    return Ok(Some(Met::Event(index)));
                }
            }
            if track.at(event as u32).is_some_and(|(frame, _)| is_of(frame)) {
                match EventKind::from_number(kinds[high]) {
                    Some(EventKind::PY_RETURN | EventKind::PY_UNWIND) => {
                        return Ok(Some(Met::End(high)));
                    }
                    Some(EventKind::PY_YIELD) => suspended = Some(Met::Suspended(high)),
                    _ => {}
                }
            }
            low = high + 1;
        }
        Ok(suspended)
    }

    fn backwards(
        &self,
        thread: u32,
        track: &Track,
        (call, from): (CallId, usize),
        is_wanted: &dyn Fn(u8, u32) -> bool,
    ) -> Result<Option<Met>, Error> {
        let (kinds, places) = (self.frames.chunk.kinds()?, self.frames.chunk.places()?);
        let is_of = |frame: u32| track.frames[frame as usize].call_id == call;
        let mut high = from;
        for event in (0..=track.before(from)).rev() {
            let before = event.checked_sub(1);
            let low = before.map_or(0, |before| track.events[before] as usize + 1);
            if track.after(event).is_some_and(|(frame, _)| is_of(frame)) {
                let mut events = self.frames.events_of(thread, low, high)?;
                if let Some(index) = events.rfind(|index| is_wanted(kinds[*index], places[*index]))
                {
                    return Ok(Some(Met::Event(index)));
                }
            }
            let Some(before) = before else { break };
            let index = track.events[before] as usize;
            if self.first_seq + index as i64 == call.cast_signed() {
                return Ok(Some(Met::Start(index)));
            }
            high = index;
        }
        Ok(None)
    }

    /// The event where a call ends, from an index on.
    pub(crate) fn end_of(&self, call: CallId, from: usize) -> Result<Option<usize>, Error> {
        let kinds = self.frames.chunk.kinds()?;
        let mut nearest: Option<usize> = None;
        for track in self.frames.tracks.values() {
            if !track.frames.iter().any(|frame| frame.call_id == call) {
                continue;
            }
            let ends = |event: &usize| {
                let kind = EventKind::from_number(kinds[track.events[*event] as usize]);
                let is_end =
                    kind == Some(EventKind::PY_RETURN) || kind == Some(EventKind::PY_UNWIND);
                is_end && track.is_of(*event, call)
            };
            if let Some(event) = (track.before(from)..track.events.len()).find(ends) {
                let index = track.events[event] as usize;
                nearest = Some(nearest.map_or(index, |other| other.min(index)));
            }
        }
        Ok(nearest)
    }
}

impl Met {
    pub(crate) fn index(self) -> usize {
        match self {
            Met::Event(index) | Met::End(index) | Met::Start(index) | Met::Suspended(index) => {
                index
            }
        }
    }
}
