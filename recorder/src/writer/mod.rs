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
pub use store::{Database, StoreError};

use crate::ring::{Consumer, Ring};
use chunker::Chunker;
use commit::Store;
use crossbeam_channel::{Sender, bounded};
use drain::{Drain, Order};
use encode::Encoder;
use outlet::Outlet;
use source::Sources;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use values::Values;

/// How many chunks may be on their way from one thread to the next.
const CHUNKS_WAITING: usize = 4;

/// The threads that record one process.
pub struct Recording {
    orders: Sender<Order>,
    drain: JoinHandle<()>,
    values: Option<(Sender<Order>, JoinHandle<()>)>,
    encoder: JoinHandle<()>,
    store: JoinHandle<Run>,
    clock: Clock,
    health: Arc<Health>,
}

impl Recording {
    /// Begins to empty the ring, and the ring of values if there is one, into the database.
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
        let (order_sender, orders) = bounded(4);
        let (batch_sender, batches) = bounded(CHUNKS_WAITING);
        let (encoded_sender, encoded) = bounded(CHUNKS_WAITING);
        let (spare_sender, spare) = bounded(CHUNKS_WAITING + 2);
        let health = Arc::new(Health::default());
        let published = Arc::new(AtomicU64::new(0));
        let sources =
            Sources { cwd: about.cwd.clone(), code: about.code.clone(), ..Sources::default() };
        let store = Store::new(run, sources, Arc::clone(&health));
        let store = spawn("store", move || store.run(&encoded))?;
        let values = values
            .map(|ring| {
                let (order_sender, orders) = bounded(4);
                let store = encoded_sender.clone();
                let (published, health) = (Arc::clone(&published), Arc::clone(&health));
                let values = Values::new(Consumer::new(ring), orders, store, published, health);
                spawn("values", move || values.run()).map(|thread| (order_sender, thread))
            })
            .transpose()?;
        let encoder = Encoder::new(spare_sender, published)?;
        let encoder = spawn("encode", move || encoder.run(&batches, &encoded_sender))?;
        let outlet = Outlet { batches: batch_sender, spare };
        let drain = Drain {
            consumer: Consumer::new(ring),
            chunker: Chunker::new(clock.clone(), outlet),
            orders,
            health: Arc::clone(&health),
        };
        let drain = spawn("drain", move || drain.run())?;
        Ok(Recording { orders: order_sender, drain, values, encoder, store, clock, health })
    }

    /// Waits until every event and value published before this call is in the database.
    pub fn flush(&self) {
        let values = self.values.as_ref().map(|(orders, _)| orders);
        // Events first: the thread of values learns from them how far it has read.
        for orders in [Some(&self.orders), values].into_iter().flatten() {
            let (sender, stored) = bounded(1);
            if orders.send(Order::Flush(sender)).is_ok() {
                let _ = stored.recv();
            }
        }
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

    /// Ends a recording in which nothing was recorded. Leaves no trace of the run.
    pub fn abandon(mut self) {
        let _ = self.orders.send(Order::Finish);
        let _ = (self.finish_values(), self.drain.join(), self.encoder.join());
        if let Ok(run) = self.store.join() {
            run.abandon();
        }
    }

    /// Ends the recording of a program that has ended or will send no more events: stores
    /// everything that is in the ring, and the run's end. `None` if a bug of ours ended a thread;
    /// what was committed remains.
    pub fn finish(mut self, end: End) -> Option<Summary> {
        let _ = self.orders.send(Order::Finish);
        let values_ended = self.finish_values();
        let threads_ended = values_ended & self.drain.join().is_ok() & self.encoder.join().is_ok();
        let run = self.store.join().ok()?;
        let is_stored = threads_ended && !self.health.has_failed();
        let end = End { is_complete: end.is_complete && is_stored, ..end };
        Some(run.finish(end, self.clock.now_ns(), is_stored, &self.health))
    }

    /// Ends the thread of values. False if a bug of ours ended it earlier.
    fn finish_values(&mut self) -> bool {
        self.values.take().is_none_or(|(orders, thread)| {
            let _ = orders.send(Order::Finish);
            thread.join().is_ok()
        })
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
