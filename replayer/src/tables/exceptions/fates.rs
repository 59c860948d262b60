//! What becomes of exceptions that no Python code handles.
//!
//! An exception that leaves a frame goes on in its caller, or is dropped by the C code between the
//! two: `hasattr`, `list`, a `for` loop, a finalizer. No event reports this. But if the exception
//! goes on, the next event of the caller's frame is about it (so is C_RAISE); if it was dropped,
//! the next event is another one.

use crate::store::texts::TextId;
use dashcam_schema::calls::{CallId, Calls, Event};
use dashcam_schema::event::EventKind;
use rustc_hash::FxHashMap;

/// The exceptions of one process that may go on or be dropped.
#[derive(Default)]
pub(super) struct Fates {
    /// By thread.
    waiting: FxHashMap<u32, Vec<Waiting>>,
    /// Exceptions that C code dropped, by the `seq` of the event that raised them.
    swallowed: FxHashMap<u64, Swallowed>,
}

/// An exception that reached a frame.
struct Waiting {
    seq: u64,
    exception: u32,
    call_id: CallId,
    /// The number of the code object whose frame it left last; `None` if it was raised in this
    /// frame.
    left: Option<u32>,
    /// The callable of the C_RAISE event that it is passing through.
    out_of: Option<TextId>,
    /// Events of the frame may have been skipped. The next event of the frame that is read does not
    /// show what dropped the exception.
    is_late: bool,
}

/// An exception was dropped by C code.
#[derive(Clone, Copy)]
pub(super) struct Swallowed {
    /// The callable, if C code was called.
    pub(super) callable: Option<TextId>,
    /// As in [`Waiting`].
    pub(super) left: Option<u32>,
}

impl Fates {
    /// Whether all events of this thread have to be read one by one.
    #[inline]
    pub(super) fn awaits(&self, thread: u32) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&thread)
    }

    /// Whether an exception waits for an event of one of these threads.
    pub(super) fn awaits_any(&self, threads: &[u32]) -> bool {
        threads.iter().any(|thread| self.awaits(*thread))
    }

    /// Notes that events of these threads were skipped.
    pub(super) fn pass_over(&mut self, threads: &[u32]) {
        for thread in threads {
            let waiting = self.waiting.get_mut(thread);
            waiting.into_iter().flatten().for_each(|waiting| waiting.is_late = true);
        }
    }

    /// Handles an event before the stacks do. `callable` returns what it calls, if its kind calls
    /// something.
    pub(super) fn before(
        &mut self,
        calls: &Calls,
        event: &Event,
        callable: impl FnOnce() -> Option<TextId>,
    ) {
        // These are events of a frame other than the one on top.
        if matches!(event.kind, EventKind::PY_START | EventKind::PY_RESUME | EventKind::PY_THROW) {
            return;
        }
        let Some((thread, top)) = calls.thread().zip(calls.innermost()) else { return };
        let Some(waiting) = self.waiting.get_mut(&thread) else { return };
        let is_here = |waiting: &Waiting| waiting.call_id == top.call_id;
        if top.code != event.code || !waiting.iter().any(is_here) {
            return;
        }
        let callable = callable();
        let swallowed = &mut self.swallowed;
        waiting.retain_mut(|waiting| {
            if !is_here(waiting) {
                return true;
            }
            let is_about_it = event.exception == waiting.exception;
            match event.kind {
                EventKind::C_RAISE => {
                    waiting.out_of = callable;
                    return true;
                }
                EventKind::RAISE
                | EventKind::RERAISE
                | EventKind::EXCEPTION_HANDLED
                | EventKind::PY_UNWIND
                    if is_about_it => {}
                kind => {
                    let returned = callable.filter(|_| kind == EventKind::C_RETURN);
                    let callable = returned.or(waiting.out_of).filter(|_| !waiting.is_late);
                    swallowed.insert(waiting.seq, Swallowed { callable, left: waiting.left });
                }
            }
            false
        });
        if waiting.is_empty() {
            self.waiting.remove(&thread);
        }
    }

    /// Notes that an exception reached the frame of `call_id`.
    pub(super) fn arrived(
        &mut self,
        thread: u32,
        exception: (u64, u32),
        call_id: CallId,
        left: Option<u32>,
    ) {
        let (seq, exception) = exception;
        self.swallowed.remove(&seq);
        let waiting = self.waiting.entry(thread).or_default();
        waiting.push(Waiting { seq, exception, call_id, left, out_of: None, is_late: false });
    }

    /// Removes an exception whose outcome is known, and returns what swallowed it. If it still
    /// waits in a frame that has ended, something must have swallowed it.
    pub(super) fn settle(&mut self, seq: u64) -> Option<Swallowed> {
        let mut found = self.swallowed.remove(&seq);
        self.waiting.retain(|_, waiting| {
            waiting.retain(|waiting| {
                let is_it = waiting.seq == seq;
                if is_it {
                    found = Some(Swallowed { callable: waiting.out_of, left: waiting.left });
                }
                !is_it
            });
            !waiting.is_empty()
        });
        found
    }

    /// What swallowed an exception that is in a frame that is still running.
    pub(super) fn known(&self, seq: u64) -> Option<Swallowed> {
        self.swallowed.get(&seq).copied()
    }
}
