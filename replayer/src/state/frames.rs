//! The frame of each event in a chunk, and the earlier events of the same frame.
//!
//! The *chain* of a frame consists of its own events with an ordinal, and of those that enter
//! another frame from it: both may record values of its variables. Stacks follow the rules of
//! [`dashcam_schema::calls`].

use crate::store::{Chunk, Error};
use dashcam_schema::calls::{CallId, OpenCall, Site};
use dashcam_schema::chunk::Context;
use dashcam_schema::event::{EventKind, kinds_that};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// What comes before, in the chain of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing: the frame is entered here.
    Entered,
    /// An event of the frame, as an index into [`Track::events`].
    Own(u32),
    /// An event that enters another frame from this one.
    Callee(u32),
    /// The last event of the chain in earlier chunks.
    Earlier,
}

/// A frame, from where it is entered to where it is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) call_id: CallId,
    pub(super) code: u32,
    /// The event that enters it; `None` if that event is not in the chunk.
    pub(super) entered: Option<u32>,
    /// The frame it was entered from, as an index into [`Track::frames`].
    pub(super) caller: Option<u32>,
    /// What comes before the event that enters it, in the chain of the caller.
    caller_link: Link,
    /// Where it stood when the chunk began, if it was entered before that.
    pub(super) stood: Site,
    /// The first of the frames that its caller entered directly one after another, up to this one.
    /// The caller stood at the same place all the while.
    pub(super) row: u32,
    /// Whether it was entered before the chunk, and only once: it is not of a generator or
    /// coroutine.
    is_plain: bool,
}

/// The part of a call that is in a chunk.
pub(crate) struct CallIn {
    /// Indexes from the first to the last event while the call is on the stack, with events of
    /// others among them.
    pub(crate) events: Range<usize>,
    /// Whether the call returns or is unwound, so that no later event is of it.
    pub(crate) is_over: bool,
}

/// One thread's part of a chunk.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Indexes of its events with an ordinal.
    pub(super) events: Vec<u32>,
    /// The frame of each of these events, if it is known.
    frame: Vec<Option<u32>>,
    /// What comes before each of these events in the chain of its frame.
    before: Vec<Link>,
    /// The frames that the chunk begins with, outermost first, then those that are entered in it.
    pub(super) frames: Vec<Frame>,
    /// The number of frames that the chunk begins with.
    pub(super) first: usize,
    /// The last event in the chain of each call that is on the stack when the chunk ends, or was
    /// suspended in the chunk.
    pub(super) ends: FxHashMap<CallId, Link>,
    leaving: Vec<bool>,
}

impl Track {
    /// The number of events with an ordinal before the event with an index.
    pub(super) fn before(&self, index: usize) -> usize {
        self.events.partition_point(|event| (*event as usize) < index)
    }

    /// The frame of an event, and a link to the event.
    pub(super) fn at(&self, event: u32) -> Option<(u32, Link)> {
        let frame = (*self.frame.get(event as usize)?)?;
        Some((frame, Link::Own(event)))
    }

    /// The frame that runs after the first `events` events with an ordinal, and a link to the last
    /// event of its chain.
    pub(super) fn after(&self, events: usize) -> Option<(u32, Link)> {
        let Some(last) = events.checked_sub(1) else {
            return Some((u32::try_from(self.first.checked_sub(1)?).ok()?, Link::Earlier));
        };
        let (frame, link) = self.at(last as u32)?;
        if self.leaving[last] { self.caller(frame) } else { Some((frame, link)) }
    }

    /// Whether an event leaves its frame.
    pub(super) fn leaves(&self, event: usize) -> bool {
        self.leaving.get(event) == Some(&true)
    }

    /// The frame that a frame was entered from, and a link to where in its chain that was.
    pub(super) fn caller(&self, frame: u32) -> Option<(u32, Link)> {
        let Frame { entered, caller, .. } = self.frames[frame as usize];
        Some((caller?, entered.map_or(Link::Earlier, Link::Callee)))
    }

    /// For a call whose frame is on the stack when the chunk begins: the call it waits for, the
    /// code object of that call, and whether that call was entered only once.
    pub(super) fn waits_for(&self, call_id: CallId) -> Option<(CallId, u32, bool)> {
        let first = self.frames.get(..self.first)?;
        let at = first.iter().rposition(|frame| frame.call_id == call_id)?;
        first.get(at + 1).map(|callee| (callee.call_id, callee.code, callee.is_plain))
    }

    /// The event by which a call that is on the stack when the chunk ends entered `callee`.
    pub(super) fn entered_last(&self, call_id: CallId, callee: CallId) -> Option<u32> {
        let Link::Callee(event) = *self.ends.get(&call_id)? else { return None };
        let (entered, _) = self.at(event)?;
        (self.frames[entered as usize].call_id == callee).then_some(event)
    }

    /// Whether an event is of a frame of a call.
    pub(super) fn is_of(&self, event: usize, call: CallId) -> bool {
        let frame = self.frame.get(event).copied().flatten();
        frame.is_some_and(|frame| self.frames[frame as usize].call_id == call)
    }

    /// The part of a call that is in this track; `None` if there is none.
    fn extent(&self, call: CallId, kinds: &[u8]) -> Option<CallIn> {
        let mut extent: Option<CallIn> = None;
        for (number, frame) in self.frames.iter().enumerate().filter(|(_, f)| f.call_id == call) {
            let first = frame.entered.unwrap_or(0) as usize;
            let start = frame.entered.map_or(0, |event| self.events[event as usize] as usize);
            let own = Some(number as u32);
            let left = (first..self.events.len())
                .find(|event| self.leaving[*event] && self.frame[*event] == own);
            let (end, is_over) = match left {
                Some(event) => {
                    let index = self.events[event] as usize;
                    let kind = kinds.get(index).copied();
                    (index + 1, kind != Some(EventKind::PY_YIELD.number()))
                }
                None => (kinds.len(), false),
            };
            extent = Some(match extent {
                None => CallIn { events: start..end, is_over },
                Some(CallIn { events, is_over: was_over }) => CallIn {
                    events: events.start.min(start)..events.end.max(end),
                    is_over: was_over || is_over,
                },
            });
        }
        extent
    }

    /// The call that an element of a chain belongs to, and what comes before the element.
    pub(super) fn previous(&self, link: Link) -> (CallId, Link) {
        let nothing = (0, Link::Entered);
        match link {
            Link::Own(event) => match self.at(event) {
                Some((frame, _)) => {
                    (self.frames[frame as usize].call_id, self.before[event as usize])
                }
                None => nothing,
            },
            Link::Callee(event) => {
                let entered = self.at(event).map(|(frame, _)| &self.frames[frame as usize]);
                match entered.and_then(|frame| Some((frame.caller?, frame.caller_link))) {
                    Some((caller, link)) => (self.frames[caller as usize].call_id, link),
                    None => nothing,
                }
            }
            Link::Entered | Link::Earlier => nothing,
        }
    }
}

/// The frames of a chunk.
pub(super) struct Frames {
    pub(super) chunk: Rc<Chunk>,
    pub(super) tracks: FxHashMap<u32, Track>,
    /// The index at which each run of events begins.
    starts: Vec<u32>,
    /// The number of events with an ordinal before every [`STRIDE`]th event.
    ordinals: Vec<u32>,
}

/// Events between two entries of [`Frames::ordinals`].
const STRIDE: usize = 1 << 6;

impl Frames {
    /// Reads all columns that are needed, so that later queries do not fail.
    pub(super) fn new(chunk: Rc<Chunk>, first_seq: i64) -> Result<Frames, Error> {
        let (kinds, runs) = (chunk.kinds()?, chunk.runs()?);
        chunk.places()?;
        let mut resumed = chunk.resumed()?.iter();
        let mut building: FxHashMap<u32, Building> = FxHashMap::default();
        for stack in &chunk.state()?.stacks {
            let building = building.entry(stack.thread).or_default();
            for call in &stack.calls {
                building.begin_with(call);
            }
        }
        let mut ordinals = Vec::with_capacity(kinds.len() / STRIDE + 1);
        let mut all = 0;
        for from in (0..kinds.len()).step_by(STRIDE) {
            ordinals.push(all);
            all += chunk.count_ordinals(from..(from + STRIDE).min(kinds.len()))?;
        }
        // Most chunks have events of one thread only.
        let all = all as usize;
        if let [stack] = &chunk.state()?.stacks[..] {
            let track = &mut building.entry(stack.thread).or_default().track;
            let Track { events, frame, before, leaving, frames, .. } = track;
            events.reserve_exact(all);
            frame.reserve_exact(all);
            before.reserve_exact(all);
            leaving.reserve_exact(all);
            let enters = kinds_that(EventKind::enters);
            let entered = kinds.iter().map(|kind| enters >> kind & 1).sum::<u32>();
            frames.reserve_exact(entered as usize);
        }
        let mut starts = Vec::with_capacity(runs.runs.len());
        let mut start = 0;
        for run in &runs.runs {
            starts.push(start as u32);
            let context = runs.contexts[run.context as usize];
            let building = building.entry(context.thread).or_default();
            let end = start + run.events as usize;
            let before = std::mem::replace(&mut building.end, end);
            for (index, kind) in (start..end).zip(&kinds[start..end]) {
                let Some(kind) = EventKind::from_number(*kind) else { continue };
                if !kind.has_ordinal() || kind.is_branch() && !chunk.has_ordinal(index)? {
                    continue;
                }
                let seq = (first_seq + index as i64).cast_unsigned();
                let resumed = if kind.resumes() { resumed.next().copied() } else { None };
                let call_id = resumed.filter(|call_id| *call_id != 0).unwrap_or(seq);
                let before = if index > start { index } else { before };
                building.event(index as u32, kind, context.code, call_id, before);
            }
            start = end;
        }
        let tracks = building.into_iter().map(|(thread, building)| (thread, building.done()));
        let tracks = tracks.collect();
        Ok(Frames { chunk, tracks, starts, ordinals })
    }

    /// The thread and code object of an event.
    ///
    /// # Errors
    /// If the chunk is damaged.
    pub(super) fn context(&self, index: usize) -> Result<Context, Error> {
        let runs = self.chunk.runs()?;
        let run = self.starts.partition_point(|start| *start as usize <= index).saturating_sub(1);
        Ok(runs.contexts[runs.runs[run].context as usize])
    }

    /// The number of events with an ordinal in the chunk before an event.
    ///
    /// # Errors
    /// If the chunk is damaged.
    pub(super) fn ordinal(&self, index: usize) -> Result<u32, Error> {
        let from = index / STRIDE * STRIDE;
        let before = self.ordinals.get(index / STRIDE).copied().unwrap_or(0);
        Ok(before + self.chunk.count_ordinals(from..index)?)
    }

    /// The part of a call that is in the chunk; `None` if there is none.
    ///
    /// # Errors
    /// If the chunk is damaged.
    pub(super) fn extent(&self, call: CallId) -> Result<Option<CallIn>, Error> {
        let kinds = self.chunk.kinds()?;
        Ok(self.tracks.values().find_map(|track| track.extent(call, kinds)))
    }

    /// The events of a thread from one index up to another, exclusive, in order.
    pub(super) fn events_of(
        &self,
        thread: u32,
        from: usize,
        to: usize,
    ) -> Result<impl DoubleEndedIterator<Item = usize>, Error> {
        let runs = self.chunk.runs()?;
        let first = self.starts.partition_point(|start| *start as usize <= from).saturating_sub(1);
        let after = self.starts.partition_point(|start| (*start as usize) < to).max(first);
        let runs = runs.runs[first..after]
            .iter()
            .zip(&self.starts[first..after])
            .filter(move |(run, _)| runs.contexts[run.context as usize].thread == thread);
        Ok(runs.flat_map(move |(run, start)| {
            let start = *start as usize;
            start.max(from)..(start + run.events as usize).min(to)
        }))
    }

    /// Bytes of memory it takes, roughly.
    pub(super) fn size(&self) -> usize {
        let tracks = self.tracks.values();
        let of = |track: &Track| {
            track.events.len() * 24
                + track.frames.len() * size_of::<Frame>()
                + track.ends.len() * 32
        };
        (self.starts.len() + self.ordinals.len()) * 4 + tracks.map(of).sum::<usize>()
    }
}

/// A frame on a stack.
struct Open {
    frame: u32,
    code: u32,
    /// A link to the last event of its chain.
    last: Link,
}

/// A track to which events are still added.
#[derive(Default)]
struct Building {
    track: Track,
    /// Outermost first.
    stack: Vec<Open>,
    /// The last event in the chain of each call that left the stack and may continue.
    suspended: FxHashMap<CallId, Link>,
    /// The index after the thread's last event.
    end: usize,
}

impl Building {
    fn begin_with(&mut self, call: &OpenCall) {
        self.push(Frame {
            call_id: call.call_id,
            code: call.code,
            entered: None,
            caller: self.stack.last().map(|open| open.frame),
            caller_link: Link::Earlier,
            stood: call.last,
            row: self.track.frames.len() as u32,
            is_plain: call.frame == 0,
        });
        self.track.first = self.track.frames.len();
    }

    fn push(&mut self, frame: Frame) -> u32 {
        let number = self.track.frames.len() as u32;
        self.track.frames.push(frame);
        self.stack.push(Open { frame: number, code: frame.code, last: Link::Earlier });
        number
    }

    /// Adds an event. `before` is the index after the thread's previous event.
    fn event(&mut self, index: u32, kind: EventKind, code: u32, call_id: CallId, before: usize) {
        let event = self.track.events.len() as u32;
        self.track.events.push(index);
        let is_leaving =
            matches!(kind, EventKind::PY_RETURN | EventKind::PY_YIELD | EventKind::PY_UNWIND);
        self.track.leaving.push(is_leaving);
        // A function can raise before it begins: because of a signal at its entry, or, from 3.15
        // on, in a generator expression over something that is not iterable. By the rules of calls
        // it begins there.
        let begins_by_raising =
            kind == EventKind::RAISE && !self.stack.iter().any(|open| open.code == code);
        if kind.enters() || begins_by_raising {
            let caller = self
                .stack
                .last_mut()
                .map(|open| (open.frame, std::mem::replace(&mut open.last, Link::Callee(event))));
            let caller_frame = caller.map(|(frame, _)| frame);
            let Track { events, frame, frames, .. } = &self.track;
            let last = event.checked_sub(1).map(|last| last as usize);
            let last = last.filter(|last| events[*last] as usize + 1 == before);
            let last = last.and_then(|last| Some(frames[frame[last]? as usize]));
            let row = last.filter(|last| last.caller.is_some() && last.caller == caller_frame);
            let number = self.push(Frame {
                call_id,
                code,
                entered: Some(event),
                row: row.map_or(frames.len() as u32, |last| last.row),
                caller: caller_frame,
                caller_link: caller.map_or(Link::Entered, |(_, link)| link),
                stood: Site::default(),
                is_plain: false,
            });
            self.track.frame.push(Some(number));
            let before = match kind {
                EventKind::PY_START | EventKind::RAISE => Link::Entered,
                _ => self.suspended.remove(&call_id).unwrap_or(Link::Earlier),
            };
            self.track.before.push(before);
            if let Some(open) = self.stack.last_mut() {
                open.last = Link::Own(event);
            }
            return;
        }
        // Frames above one that has an event have ended without an event.
        let Some(keep) = self.stack.iter().rposition(|open| open.code == code) else {
            self.track.frame.push(None);
            self.track.before.push(Link::Entered);
            return;
        };
        self.suspend(keep + 1);
        let open = &mut self.stack[keep];
        self.track.frame.push(Some(open.frame));
        self.track.before.push(std::mem::replace(&mut open.last, Link::Own(event)));
        if kind == EventKind::PY_YIELD {
            self.suspend(keep);
        } else if is_leaving {
            self.stack.truncate(keep);
        }
    }

    /// Takes all frames but the outermost `keep` off the stack; they may be entered again.
    fn suspend(&mut self, keep: usize) {
        for open in self.stack.drain(keep..) {
            self.suspended.insert(self.track.frames[open.frame as usize].call_id, open.last);
        }
    }

    fn done(mut self) -> Track {
        self.suspend(0);
        self.track.ends = self.suspended;
        self.track
    }
}
