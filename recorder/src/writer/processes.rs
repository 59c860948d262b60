//! The processes of a run: the threads that record each, and how further ones join the run.

use super::chunker::Chunker;
use super::clock::Clock;
use super::commit::Health;
use super::drain::{Drain, Order};
use super::encode::{Encoded, Encoder};
use super::outlet::Outlet;
use super::values::Values;
use super::{CHUNKS_WAITING, spawn};
use crate::ring::{Attached, Consumer};
use crossbeam_channel::{Sender, bounded};
use dashcam_schema::chunk::SEQ_PER_PROCESS;
use dashcam_schema::loss::LossKind;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The facts about a process that joins a run.
#[derive(Debug, Clone, Default)]
pub struct NewProcess {
    /// The slot of the process that started it; 0 is the run's first process.
    pub parent: u32,
    pub pid: u32,
    /// Its command line, a JSON array.
    pub command: String,
    pub cwd: PathBuf,
    /// The argument of `-c`.
    pub code: Option<String>,
}

/// How a process that joined a run ended.
#[derive(Debug, Clone, Default)]
pub struct ProcessEnd {
    pub exit_code: Option<i32>,
    pub exit_signal: Option<i32>,
    /// What was not recorded of it: kind, count and detail.
    pub losses: Vec<(LossKind, u64, String)>,
}

/// A process that has joined, for the store. They are sent in the order of their slots, which
/// begin at 1.
pub(super) struct Joined {
    pub(super) process: NewProcess,
    pub(super) joined_ns: u64,
}

/// A message to the store.
pub(super) struct Message {
    pub(super) slot: u32,
    pub(super) content: Content,
}

#[allow(clippy::large_enum_variant)]
pub(super) enum Content {
    Batch(Encoded),
    /// The process ended at this time, in nanoseconds since the run began. No more batches come.
    End(ProcessEnd, u64),
}

/// A channel to the store, for batches of one process.
#[derive(Clone)]
pub(super) struct Inlet {
    slot: u32,
    store: Sender<Message>,
}

impl Inlet {
    /// Sends a batch. Waits while the store is busy with earlier ones. False if the store has
    /// ended, which it only does early because of a bug of ours.
    pub(super) fn send(&self, batch: Encoded) -> bool {
        let message = Message { slot: self.slot, content: Content::Batch(batch) };
        self.store.send(message).is_ok()
    }
}

/// Returns the position of the first event of a process.
fn first_seq(slot: u32) -> Result<u64> {
    let first_seq = u64::from(slot).checked_mul(SEQ_PER_PROCESS).map(|before| before + 1);
    let is_valid = |seq: &u64| *seq <= i64::MAX as u64 >> 1;
    first_seq.filter(is_valid).ok_or_else(|| Error::other("the run has too many processes"))
}

/// Orders to the threads that empty the rings of one process.
#[derive(Clone)]
struct Orders {
    drain: Sender<Order>,
    values: Option<Sender<Order>>,
}

impl Orders {
    fn finish(&self) {
        for orders in [Some(&self.drain), self.values.as_ref()].into_iter().flatten() {
            let _ = orders.send(Order::Finish);
        }
    }
}

/// The threads that record one process.
pub(super) struct Threads {
    orders: Orders,
    drain: JoinHandle<()>,
    values: Option<JoinHandle<()>>,
    encoder: JoinHandle<()>,
    /// Dropped when the threads have ended, and never if they are not waited for.
    rings: ManuallyDrop<Vec<Attached>>,
}

impl Threads {
    /// Begins to empty the ring, and the ring of values if there is one. Batches are sent to
    /// `store`.
    pub(super) fn start(
        slot: u32,
        ring: Attached,
        values: Option<Attached>,
        clock: &Clock,
        store: Sender<Message>,
        health: &Arc<Health>,
    ) -> Result<Threads> {
        let first_seq = first_seq(slot)?;
        // The clock of the run began with its first process.
        let began_ns = if slot == 0 { 0 } else { clock.now_ns() };
        let (events, kept) = (ring.ring(), values.as_ref().map(Attached::ring));
        // Threads that were started hold on to them even if a later one cannot be started.
        let rings = ManuallyDrop::new([Some(ring), values].into_iter().flatten().collect());
        let (order_sender, orders) = bounded(4);
        let (batch_sender, batches) = bounded(CHUNKS_WAITING);
        let (spare_sender, spare) = bounded(CHUNKS_WAITING + 2);
        let inlet = Inlet { slot, store };
        let published = Arc::new(AtomicU64::new(0));
        let values = kept
            .map(|ring| {
                let (order_sender, orders) = bounded(4);
                let (inlet, health) = (inlet.clone(), Arc::clone(health));
                let published = Arc::clone(&published);
                let values = Values::new(Consumer::new(ring), orders, inlet, published, health);
                spawn("values", move || values.run()).map(|thread| (order_sender, thread))
            })
            .transpose()?;
        let encoder = Encoder::new(spare_sender, published)?;
        let encoder = spawn("encode", move || encoder.run(&batches, &inlet))?;
        let outlet = Outlet { batches: batch_sender, spare };
        let drain = Drain {
            consumer: Consumer::new(events),
            chunker: Chunker::new(clock.clone(), outlet, first_seq, began_ns),
            orders,
            health: Arc::clone(health),
        };
        let drain = spawn("drain", move || drain.run())?;
        let (value_orders, values) = values.unzip();
        let orders = Orders { drain: order_sender, values: value_orders };
        Ok(Threads { orders, drain, values, encoder, rings })
    }

    /// Waits until every event and value published before this call is in the database.
    pub(super) fn flush(&self) {
        // Events first: the thread of values learns from them how far it has read.
        for orders in [Some(&self.orders.drain), self.orders.values.as_ref()].into_iter().flatten()
        {
            let (sender, stored) = bounded(1);
            if orders.send(Order::Flush(sender)).is_ok() {
                let _ = stored.recv();
            }
        }
    }

    /// Empties the rings for the last time and ends the threads. False if a bug of ours ended one
    /// earlier.
    pub(super) fn finish(self) -> bool {
        self.orders.finish();
        let threads = [self.values, Some(self.drain), Some(self.encoder)];
        let ended =
            threads.into_iter().flatten().fold(true, |ended, thread| thread.join().is_ok() & ended);
        drop(ManuallyDrop::into_inner(self.rings));
        ended
    }
}

/// What all [`Joiner`]s of a run share until the run's end.
struct Members {
    store: Sender<Message>,
    joined: Sender<Joined>,
    clock: Clock,
    health: Arc<Health>,
    next_slot: u32,
    /// The joined processes that have not been finished, by slot.
    running: BTreeMap<u32, Orders>,
}

/// A handle by which further processes join a run. It does not keep the recording running.
#[derive(Clone)]
pub struct Joiner {
    /// `None` once the run is being finished.
    members: Arc<Mutex<Option<Members>>>,
}

impl Joiner {
    pub(super) fn new(
        store: Sender<Message>,
        joined: Sender<Joined>,
        clock: &Clock,
        health: &Arc<Health>,
    ) -> Joiner {
        let (clock, health) = (clock.clone(), Arc::clone(health));
        let running = BTreeMap::new();
        let members = Members { store, joined, clock, health, next_slot: 1, running };
        Joiner { members: Arc::new(Mutex::new(Some(members))) }
    }

    /// Begins to record a further process of the run.
    ///
    /// # Errors
    /// If the run has been finished, the parent's slot is not one of the run's, there are too many
    /// processes, or the system has no more threads or memory. The rings stay open then.
    pub fn join(
        &self,
        process: NewProcess,
        ring: Attached,
        values: Option<Attached>,
    ) -> Result<ProcessRecording> {
        let mut members = self.lock();
        let members =
            members.as_mut().ok_or_else(|| Error::other("the recording has been finished"))?;
        let slot = members.next_slot;
        if process.parent >= slot {
            return Err(Error::new(ErrorKind::InvalidInput, "the parent is not in the run"));
        }
        first_seq(slot)?;
        // The store must know the process before its first batch arrives.
        let joined = Joined { process, joined_ns: members.clock.now_ns() };
        let _ = members.joined.send(joined);
        members.next_slot += 1;
        let (clock, store) = (&members.clock, members.store.clone());
        let threads = Threads::start(slot, ring, values, clock, store, &members.health)?;
        members.running.insert(slot, threads.orders.clone());
        Ok(ProcessRecording { slot, threads, joiner: self.clone() })
    }

    /// Lets no more processes join, and ends the threads of those that have not been finished.
    pub(super) fn close(&self) {
        if let Some(members) = self.lock().take() {
            members.running.values().for_each(Orders::finish);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Members>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recording of a process that joined a run.
pub struct ProcessRecording {
    slot: u32,
    threads: Threads,
    joiner: Joiner,
}

impl ProcessRecording {
    /// The number of the process among those of its run, for the `parent` of others.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Waits until every event and value that the process published before this call is in the
    /// database.
    pub fn flush(&self) {
        self.threads.flush();
    }

    /// Ends the recording of a process that has ended or will send no more events: everything that
    /// is in its rings is stored, then its end. It returns before the end is stored, which it is by
    /// the end of the run at the latest.
    pub fn finish(self, end: ProcessEnd) {
        self.threads.finish();
        // The lock is not held while the store is waited for.
        let store = self.joiner.lock().as_mut().map(|members| {
            members.running.remove(&self.slot);
            (members.store.clone(), members.clock.now_ns())
        });
        if let Some((store, now_ns)) = store {
            let _ = store.send(Message { slot: self.slot, content: Content::End(end, now_ns) });
        }
    }
}
