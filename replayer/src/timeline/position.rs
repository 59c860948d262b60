//! Positions in a run, and the event at a position.

use super::Timeline;
use crate::state::{Direction, FrameIn, Within};
use crate::store::{Error, Process};
use dashcam_schema::calls::{CallId, Site};
use dashcam_schema::event::EventKind;
use std::fmt;

/// A position in a run: just before an event. Positions of one run are ordered like its events.
/// Positions of different runs are unrelated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(i64);

impl Position {
    /// The position of the event with this `seq`, which need not exist.
    pub fn new(seq: i64) -> Position {
        Position(seq)
    }

    /// The event's `seq`, as in the tables.
    pub fn seq(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The event at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    pub position: Position,
    pub kind: EventKind,
    pub process_id: i64,
    pub thread_id: i64,
    /// The innermost call; 0 if it is not known.
    pub call_id: CallId,
    /// The call of the outermost coroutine on the stack. If asyncio runs it, that is the task.
    pub task: Option<CallId>,
    pub code_id: i64,
    pub qualname: String,
    pub path: String,
    pub line: Option<i64>,
    /// Nanoseconds since the run began.
    pub time_ns: i64,
    /// Number of calls below it on the stack.
    pub depth: usize,
    /// The value of the event as `repr()` writes it: arguments, a result, an exception.
    pub value: Option<String>,
    /// The type of the exception of the event.
    pub exception: Option<String>,
    /// The callable that is called, returns or raises.
    pub callable: Option<String>,
}

/// An event, with its chunk.
pub(super) struct Spot {
    pub(super) chunk: usize,
    pub(super) index: usize,
    /// Number of the event's thread.
    pub(super) thread: u32,
    pub(super) within: Within,
    pub(super) frame: Option<FrameIn>,
}

impl Timeline {
    /// The position with a `seq`. If there is none, the nearest after it in the same process, or
    /// else the last of that process.
    pub fn position(&self, seq: i64) -> Position {
        if self.store.locate(self.run_id, seq).is_some() {
            return Position::new(seq);
        }
        let extent = self.extent_at(Position::new(seq));
        let chunks = self.chunks_at(Position::new(seq));
        let first_seq = |chunk: &usize| self.store.chunks()[*chunk].first_seq;
        let after = chunks.partition_point(|chunk| first_seq(chunk) <= seq);
        chunks.get(after).map_or(extent.last, |chunk| Position::new(first_seq(chunk)))
    }

    /// The event at a position. `None` if there is none or its chunk is damaged, which is added to
    /// `missing`.
    pub(super) fn spot(
        &self,
        at: Position,
        missing: &mut Vec<String>,
    ) -> Result<Option<Spot>, Error> {
        let Some((chunk, index)) = self.store.locate(self.run_id, at.seq()) else {
            return Ok(None);
        };
        let Some(within) = self.load(chunk, missing)? else { return Ok(None) };
        let Some((thread, _)) = within.context(index)? else { return Ok(None) };
        let frame = within.frame_at(index)?;
        Ok(Some(Spot { chunk, index, thread, within, frame }))
    }

    /// The process of a chunk.
    pub(super) fn process(&self, chunk: usize) -> &Process {
        self.store.process(&self.store.chunks()[chunk])
    }

    /// The event at a position. `None` if its chunk is damaged, which is noted in the store.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn here(&self, at: Position) -> Result<Option<Here>, Error> {
        let Some(spot) = self.spot(at, &mut Vec::new())? else { return Ok(None) };
        let (Some(kind), Some((thread, code))) =
            (spot.within.kind(spot.index)?, spot.within.context(spot.index)?)
        else {
            return Ok(None);
        };
        let header = &self.store.chunks()[spot.chunk];
        let process = self.store.process(header);
        let directory = self.store.directory();
        let found = process.codes.get(&code).map(|index| &directory.codes[*index]);
        let text = |id| directory.texts.get(id).unwrap_or_default().to_owned();
        let chunk = spot.within.chunk();
        let depth = spot.within.stack(spot.index)?.count().saturating_sub(1);
        let entry = |number: u32| chunk.exception(number).ok().flatten();
        let exception = chunk.exceptions()?.get(spot.index).and_then(|number| entry(*number));
        let exception =
            exception.and_then(|entry| process.exception_types.get(&entry.exception_type));
        let callable = chunk.callables()?.get(spot.index);
        let callable = callable.and_then(|number| process.callables.get(number));
        let place = chunk.places()?.get(spot.index).copied().unwrap_or_default();
        let value = self.store.value_text(header, chunk, spot.index)?;
        Ok(Some(Here {
            position: at,
            kind,
            process_id: process.process_id,
            thread_id: process.threads.get(&thread).copied().unwrap_or(0),
            call_id: spot.frame.map_or(0, |frame| spot.within.call_of(frame)),
            task: self.task(&spot.within, spot.chunk, spot.index)?,
            code_id: found.map_or(0, |code| code.code_id),
            qualname: found.map(|code| text(code.qualname)).unwrap_or_default(),
            path: found.map(|code| text(code.path)).unwrap_or_default(),
            line: self.store.line(process, Site { code, kind: kind.number(), place }),
            time_ns: chunk
                .times()?
                .get(spot.index)
                .map_or(0, |time| i64::try_from(*time).unwrap_or(i64::MAX)),
            depth,
            value,
            exception: exception.map(|id| text(*id)),
            callable: callable.map(|id| text(*id)),
        }))
    }

    /// The task that an event belongs to: the call of the outermost coroutine on its stack. An
    /// exception is thrown into a task at its innermost awaiting coroutine, and no event puts the
    /// outer ones on the stack. In that case it is the task that the coroutine was in when it was
    /// last suspended.
    pub(super) fn task(
        &self,
        within: &Within,
        chunk: usize,
        index: usize,
    ) -> Result<Option<CallId>, Error> {
        let process = self.process(chunk);
        let is_coroutine = |code: u32| {
            let code = process.codes.get(&code).map(|index| &self.store.directory().codes[*index]);
            code.is_some_and(|code| code.is_coroutine)
        };
        let frames = within.stack(index)?;
        let coroutines = frames.filter(|frame| within.code_of(*frame).is_some_and(is_coroutine));
        let Some(frame) = coroutines.last() else { return Ok(None) };
        let call = within.call_of(frame);
        let thrown = match within.entered(frame) {
            Some(entered) if within.kind(entered)? == Some(EventKind::PY_THROW) => entered,
            _ => return Ok(Some(call)),
        };
        let at = self.at(chunk, thrown);
        if let Some(known) = self.thrown_into.borrow().get(&at) {
            return Ok(Some(*known));
        }
        let suspended = match within.yielded(call, thrown)? {
            Some(before) => self.task(within, chunk, before)?,
            None => self.task_before(call, chunk)?,
        };
        let task = suspended.unwrap_or(call);
        self.thrown_into.borrow_mut().insert(at, task);
        Ok(Some(task))
    }

    /// The task in which a call was last suspended before a chunk.
    fn task_before(&self, call: CallId, chunk: usize) -> Result<Option<CallId>, Error> {
        let mut chunk = chunk;
        while let Some(before) = self.reach(call, chunk, Direction::Backward)? {
            chunk = before;
            let Some(within) = self.load(chunk, &mut Vec::new())? else { return Ok(None) };
            if let Some(at) = within.yielded(call, within.events()?)? {
                return self.task(&within, chunk, at);
            }
        }
        Ok(None)
    }
}
