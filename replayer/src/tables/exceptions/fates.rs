//! What becomes of exceptions that no Python code handles.
//!
//! An exception that leaves a frame goes on in its caller, or is dropped by the C code between the two:
//! `hasattr`, `list`, a `for` loop, a finalizer. No event says so. But if it goes on, the next event of the
//! caller's frame is about it, as C_RAISE is; if it does not, that event is another.

use crate::store::texts::TextId;
use dashcam_schema::calls::{CallId, Calls, Event};
use dashcam_schema::event::EventKind;
use rustc_hash::FxHashMap;

/// The exceptions of one process of which it is not known yet whether they go on.
#[derive(Default)]
pub(super) struct Fates {
    /// By thread.
    waiting: FxHashMap<u32, Vec<Waiting>>,
    /// By the `seq` that raised them.
    swallowed: FxHashMap<u64, Swallowed>,
}

/// An exception that came to a frame.
struct Waiting {
    seq: u64,
    exception: u32,
    call_id: CallId,
    /// The number of the code object whose frame it left last; `None` if it was raised in this one.
    left: Option<u32>,
    /// What it is on its way out of: the callable of C_RAISE.
    out_of: Option<TextId>,
    /// The frame may have gone on unseen: what it does next is not what let the exception go no further.
    is_late: bool,
}

/// C code let an exception go no further.
#[derive(Clone, Copy)]
pub(super) struct Swallowed {
    /// The callable, if C code was called.
    pub(super) callable: Option<TextId>,
    /// As in [`Waiting`].
    pub(super) left: Option<u32>,
}

impl Fates {
    /// Whether events of this thread have to be looked at one by one.
    #[inline]
    pub(super) fn awaits(&self, thread: u32) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&thread)
    }

    /// Whether an event is waited for in one of these threads.
    pub(super) fn awaits_any(&self, threads: &[u32]) -> bool {
        threads.iter().any(|thread| self.awaits(*thread))
    }

    /// Events of these threads were passed over.
    pub(super) fn pass_over(&mut self, threads: &[u32]) {
        for thread in threads {
            let waiting = self.waiting.get_mut(thread);
            waiting.into_iter().flatten().for_each(|waiting| waiting.is_late = true);
        }
    }

    /// Takes in an event before the stacks do. `callable` is what it calls, if its kind calls something.
    pub(super) fn before(
        &mut self,
        calls: &Calls,
        event: &Event,
        callable: impl FnOnce() -> Option<TextId>,
    ) {
        // These are events of another frame than the one on top.
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

    /// An exception came to the frame of `call_id`.
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

    /// Who swallowed an exception, whose fate is settled. If it still waits in a frame that is over,
    /// somebody must have.
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

    /// Who swallowed an exception that is in a frame which goes on.
    pub(super) fn known(&self, seq: u64) -> Option<Swallowed> {
        self.swallowed.get(&seq).copied()
    }
}
