//! The part that runs out of process: ring → records → chunks → SQLite. It contains no Python.
//!
//! ```text
//! ring ─▶ drain · decode · chunker ─▶ batches ─▶ encode · counts ─▶ batches ─▶ commit · rows ─▶ DB
//!         (thread)      ▲                        (thread)                      (thread)
//!                       └──────── empty columns ─────┘             ▲
//! ring of values ─▶ values ─▶ chunks of values ─────────────────────┘
//!                   (thread)
//! ```
//!
//! A run may have several processes. Each has threads of its own up to `encode` and `values`; one
//! thread stores the batches of all of them.
//!
//! All channels are bounded, and so is memory: when the disk is slow, the encoder waits, then the
//! drain, and once the ring is full, the program.

mod chunker;
mod clock;
mod commit;
mod costs;
mod counts;
mod decode;
mod drain;
mod encode;
mod exceptions;
mod lifecycle;
#[doc(hidden)]
pub mod measure;
mod outlet;
mod processes;
mod rows;
mod source;
mod store;
mod suspended;
pub mod sys;
mod totals;
mod values;

pub use clock::Clock;
pub use commit::Health;
pub use lifecycle::{About, End, Run, Summary};
pub use processes::{Joiner, NewProcess, ProcessEnd, ProcessRecording};
pub use store::{Database, StoreError};

use crate::ring::{Attached, Ring};
use commit::Store;
use crossbeam_channel::{bounded, unbounded};
use processes::Threads;
use source::Sources;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// How many chunks may be on their way from one thread to the next.
const CHUNKS_WAITING: usize = 4;

/// The threads that record a run: those of its first process, and the one that stores the batches
/// of all processes.
pub struct Recording {
    first: Threads,
    joiner: Joiner,
    store: JoinHandle<Run>,
    clock: Clock,
    health: Arc<Health>,
}

impl Recording {
    /// Begins to empty the ring of the run's first process, and its ring of values if there is one,
    /// into the database.
    ///
    /// # Errors
    /// If the system has no more threads or memory.
    pub fn start(
        run: Run,
        about: &About,
        ring: Ring,
        values: Option<Ring>,
        clock: Clock,
    ) -> std::io::Result<Recording> {
        let (message_sender, messages) = bounded(CHUNKS_WAITING);
        let (joined_sender, joined) = unbounded();
        let health = Arc::new(Health::default());
        let sources =
            Sources { cwd: about.cwd.clone(), code: about.code.clone(), ..Sources::default() };
        let store = Store::new(run, sources, joined, Arc::clone(&health));
        let store = spawn("store", move || store.run(&messages))?;
        let joiner = Joiner::new(message_sender.clone(), joined_sender, &clock, &health);
        let first = Threads::start(
            0,
            ring.into(),
            values.map(Attached::from),
            &clock,
            message_sender,
            &health,
        )?;
        Ok(Recording { first, joiner, store, clock, health })
    }

    /// Returns a handle by which further processes join the run, from any thread.
    pub fn joiner(&self) -> Joiner {
        self.joiner.clone()
    }

    /// Waits until every event and value that the first process published before this call is in
    /// the database.
    pub fn flush(&self) {
        self.first.flush();
    }

    /// The reason why recording has ended before the program did, if it has. The user has already
    /// been told.
    pub fn failure(&self) -> Option<String> {
        self.health.reason()
    }

    /// The state of the store, for another thread that waits for it.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Ends a recording in which nothing was recorded. Leaves no trace of the run. No process may
    /// have joined it.
    pub fn abandon(self) {
        self.joiner.close();
        self.first.finish();
        if let Ok(run) = self.store.join() {
            run.abandon();
        }
    }

    /// Ends the recording of a program that has ended or will send no more events: stores
    /// everything that is in the ring, and the run's end. The processes that joined the run should
    /// be finished before; what others have published is stored, but not their ends. `None` if a
    /// bug of ours ended a thread; what was committed remains.
    pub fn finish(self, end: End) -> Option<Summary> {
        self.joiner.close();
        let threads_ended = self.first.finish();
        let run = self.store.join().ok()?;
        let is_stored = threads_ended && !self.health.has_failed();
        let end = End { is_complete: end.is_complete && is_stored, ..end };
        Some(run.finish(end, self.clock.now_ns(), is_stored, &self.health))
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(|| {
        sys::give_way();
        body()
    })
}

#[cfg(all(test, not(loom)))]
mod tests;
