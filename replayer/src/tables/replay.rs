//! Runs the call stack machine over a chunk.

use crate::store::{Chunk, ChunkHeader, Error, Recorded, Step, Store};
use dashcam_schema::calls::{Calls, Event, Exit, OpenCall, OpenException, Sink, Site};
use dashcam_schema::event::EventKind;
use dashcam_schema::event::kinds_that;

/// A sink that also sees events before and after they are applied to the stacks.
pub(super) trait Listener: Sink {
    /// Whether [`Listener::before`] is also called for events of this thread that do not touch the
    /// stack.
    fn wants_all(&self, _thread: u32) -> bool {
        false
    }

    /// Called before an event is applied; `index` is its place in the chunk.
    fn before(&mut self, _calls: &Calls, _event: &Event, _index: usize) {}

    /// Called after an event that touches the stack was applied.
    fn after(&mut self, _calls: &Calls, _event: &Event) {}
}

/// Replays a chunk and reports to `listener` each call and exception that ends in it. Returns the
/// stacks at its end.
///
/// Only events that touch the stack go through the machine. Of the events in between, the last one
/// is passed on as well: it is the place from which the next callee is called.
pub(super) fn replay(
    header: &ChunkHeader,
    chunk: &Chunk,
    listener: &mut impl Listener,
) -> Result<Calls, Error> {
    let (kinds, places, times) = (chunk.kinds()?, chunk.places()?, chunk.times()?);
    let (runs, exceptions) = (chunk.runs()?, chunk.exceptions()?);
    let state = chunk.state()?;
    let mut resumed = chunk.resumed()?.iter();
    let mut calls = Calls::resume_from(state.stacks.clone(), state.suspended.clone());
    let (touches, resumes) = (kinds_that(EventKind::touches_stack), kinds_that(EventKind::resumes));

    let mut start = 0;
    for run in &runs.runs {
        let context = runs.contexts[run.context as usize];
        let end = start + run.events as usize;
        calls.set_thread(context.thread);
        let site = |i: usize| Site { code: context.code, kind: kinds[i], place: places[i] };
        // The first event that `calls` has not seen.
        let mut unseen = start;
        for i in start..end {
            let is_touching = touches >> kinds[i] & 1 == 1;
            if !is_touching && !listener.wants_all(context.thread) {
                continue;
            }
            if is_touching {
                if i > unseen {
                    calls.at(site(i - 1));
                }
                unseen = i + 1;
            }
            let resumed = if resumes >> kinds[i] & 1 == 1 { resumed.next() } else { None };
            let Some(kind) = EventKind::from_number(kinds[i]) else { continue };
            let event = Event {
                seq: (header.first_seq + i as i64) as u64,
                time_ns: times[i],
                kind,
                place: places[i],
                code: context.code,
                exception: exceptions[i],
                resumed: resumed.copied().unwrap_or(0),
                frame: 0,
            };
            listener.before(&calls, &event, i);
            if is_touching {
                calls.apply(&event, listener);
                listener.after(&calls, &event);
            }
        }
        if end > unseen {
            calls.at(site(end - 1));
        }
        start = end;
    }
    Ok(calls)
}

/// Like [`replay`], from the recorded events of a chunk only.
pub(super) fn replay_recorded(
    header: &ChunkHeader,
    recorded: &Recorded<'_>,
    sink: &mut impl Sink,
) -> Result<Calls, Error> {
    replay_recorded_with(header, recorded, sink, |_, _| {})
}

/// Like [`replay_recorded`]; `visit` is called for each recorded event before it is applied.
pub(super) fn replay_recorded_with(
    header: &ChunkHeader,
    recorded: &Recorded<'_>,
    sink: &mut impl Sink,
    mut visit: impl FnMut(&Calls, &Step<'_>),
) -> Result<Calls, Error> {
    let state = recorded.state()?;
    let mut calls = Calls::resume_from(state.stacks.clone(), state.suspended.clone());
    let touches = kinds_that(EventKind::touches_stack);
    recorded.each(|step| {
        calls.set_thread(step.thread);
        if let Some(before) = step.before() {
            calls.at(before);
        }
        visit(&calls, step);
        let Some(kind) = EventKind::from_number(step.site.kind) else { return };
        if touches >> step.site.kind & 1 == 0 {
            calls.at(step.site);
            return;
        }
        let event = Event {
            seq: (header.first_seq + step.index as i64) as u64,
            time_ns: step.time_ns,
            kind,
            place: step.site.place,
            code: step.site.code,
            exception: step.exception,
            resumed: step.resumed,
            frame: 0,
        };
        calls.apply(&event, sink);
    })?;
    Ok(calls)
}

/// The index of the last chunk of a process.
pub(super) fn last_of(store: &Store, process_id: i64) -> Option<usize> {
    store.chunks().iter().rposition(|header| header.process_id == process_id)
}

/// The stacks at the end of a chunk. If the chunk is damaged, notes that and returns `None`.
///
/// # Errors
/// If the file cannot be read, or reading was interrupted.
pub(super) fn calls_after(store: &Store, chunk: usize) -> Result<Option<Calls>, Error> {
    let header = &store.chunks()[chunk];
    let read =
        store.recorded(chunk).and_then(|recorded| replay_recorded(header, &recorded, &mut Ignore));
    match read {
        Ok(calls) => Ok(Some(calls)),
        Err(error) => store.note(chunk, error).map(|()| None),
    }
}

/// A sink that ignores everything.
pub(super) struct Ignore;

impl Sink for Ignore {
    fn call(&mut self, _: &OpenCall, _: u64, _: u64, _: Exit) {}
    fn exception(&mut self, _: &OpenException) {}
    fn desync(&mut self, _: u64, _: u64) {}
}
