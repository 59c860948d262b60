//! Runs the call stack machine over a chunk.

use crate::store::{Chunk, ChunkHeader, Error, Recorded, Step, Store};
use dashcam_schema::calls::{Calls, Event, Exit, OpenCall, OpenException, Sink, Site};
use dashcam_schema::event::EventKind;
use dashcam_schema::event::kinds_that;

/// Hears of what ends, and of events as they are taken in.
pub(super) trait Listener: Sink {
    /// Whether events of this thread are to be heard of that do not touch the stack.
    fn wants_all(&self, _thread: u32) -> bool {
        false
    }

    /// An event is about to be taken in; `index` is its place in the chunk.
    fn before(&mut self, _calls: &Calls, _event: &Event, _index: usize) {}

    /// An event was taken in.
    fn after(&mut self, _calls: &Calls, _event: &Event) {}
}

/// Tells `listener` what ends in a chunk; gives back the stacks as they are at its end.
///
/// Only events that touch the stack go through the machine. Of those between, each call needs to
/// know the last: that is where its next callee was called from.
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
        // First event that `calls` does not know of.
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

/// The same of a chunk's recorded events, for who need not hear of the others.
pub(super) fn replay_recorded(
    header: &ChunkHeader,
    recorded: &Recorded<'_>,
    sink: &mut impl Sink,
) -> Result<Calls, Error> {
    replay_recorded_with(header, recorded, sink, |_, _| {})
}

/// The same, for who is to hear of each recorded event, too, before it is taken in.
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

/// The last chunk of a process, by its index.
pub(super) fn last_of(store: &Store, process_id: i64) -> Option<usize> {
    store.chunks().iter().rposition(|header| header.process_id == process_id)
}

/// The stacks at the end of a chunk; `None` if it is damaged, which is noted.
///
/// # Errors
/// If the file cannot be read, or reading was interrupted.
pub(super) fn calls_after(store: &Store, chunk: usize) -> Result<Option<Calls>, Error> {
    let header = &store.chunks()[chunk];
    let read =
        store.recorded(chunk).and_then(|recorded| replay_recorded(header, &recorded, &mut Deaf));
    match read {
        Ok(calls) => Ok(Some(calls)),
        Err(error) => store.note(chunk, error).map(|()| None),
    }
}

/// Hears nothing.
pub(super) struct Deaf;

impl Sink for Deaf {
    fn call(&mut self, _: &OpenCall, _: u64, _: u64, _: Exit) {}
    fn exception(&mut self, _: &OpenException) {}
    fn desync(&mut self, _: u64, _: u64) {}
}
