//! Rows counted by several threads at once, each with the recording opened for itself.
//!
//! Nothing of a [`Store`] goes from one thread to another: threads take plans from a list, and give back
//! tallies. A recording that goes on being written may look another way to who opens it later; then the
//! thread takes nothing, and whoever asked counts for himself.

use super::{Countable, Tally};
use crate::store::{Damage, Error, Store};
use crate::tables::Scan as _;
use crate::tables::batch::Batch;
use crate::tables::plan::Plan;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most threads. Each takes memory of its own.
const THREADS_MAX: usize = 8;
/// How long the asker waits before it looks whether it was interrupted.
const PATIENCE: Duration = Duration::from_millis(20);

enum Message {
    Counted(Tally),
    Damage(Damage),
    /// A plan is done.
    Done,
    Failed(Error),
}

/// Threads that count.
pub(super) struct Workers {
    messages: Receiver<Message>,
    /// What no thread has begun with, the next at the end.
    plans: Arc<Mutex<Vec<Plan>>>,
    is_cancelled: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    done: usize,
    of: usize,
}

impl Workers {
    /// How many threads are of use.
    pub(super) fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
    }

    /// Has threads count the rows of plans, the next at the end.
    pub(super) fn start<T: Countable>(store: &Store, plans: Vec<Plan>, keys: &[usize]) -> Workers {
        let (sender, messages) = sync_channel(1);
        let of = plans.len();
        let count = Workers::threads().min(of);
        let (plans, is_cancelled) = (Arc::new(Mutex::new(plans)), Arc::new(AtomicBool::new(false)));
        let threads = (0..count).map(|_| {
            let worker = Worker {
                path: store.path().to_owned(),
                fingerprint: store.fingerprint(),
                share: count,
                keys: keys.to_vec(),
                plans: plans.clone(),
                is_cancelled: is_cancelled.clone(),
                sender: sender.clone(),
            };
            std::thread::spawn(move || worker.run::<T>())
        });
        let threads = threads.collect();
        Workers { messages, plans, is_cancelled, threads, done: 0, of }
    }

    /// The next part of what they counted; `None` once they are done.
    ///
    /// # Errors
    /// What a thread met, or if whoever asked interrupts.
    pub(super) fn next(&mut self, store: &Store) -> Result<Option<Tally>, Error> {
        loop {
            match self.messages.recv_timeout(PATIENCE) {
                Ok(Message::Counted(tally)) => return Ok(Some(tally)),
                Ok(Message::Damage(damage)) => store.add_damage(damage),
                Ok(Message::Done) => {
                    self.done += 1;
                    store.progress(self.done, self.of);
                }
                Ok(Message::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) if store.is_interrupted() => {
                    return Err(Error::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                let message = "bug in dashcam: a thread that counts panicked".to_owned();
                return Err(Error::Sqlite { path: store.path().to_owned(), message });
            }
        }
        Ok(None)
    }

    /// What was left to whoever asked.
    pub(super) fn left(&self) -> Vec<Plan> {
        std::mem::take(&mut self.plans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        // Nobody waits for room to say something.
        self.messages = sync_channel(1).1;
        for thread in self.threads.drain(..) {
            // What it panicked for is of no account any more.
            let _ = thread.join();
        }
    }
}

struct Worker {
    path: PathBuf,
    fingerprint: u64,
    /// Threads that share the memory.
    share: usize,
    keys: Vec<usize>,
    plans: Arc<Mutex<Vec<Plan>>>,
    is_cancelled: Arc<AtomicBool>,
    sender: SyncSender<Message>,
}

/// Whoever listened has gone.
struct Gone;

impl Worker {
    fn run<T: Countable>(self) {
        let Some(store) = self.open(&self.path) else { return };
        let store = std::rc::Rc::new(store);
        loop {
            let plan = self.plans.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(plan) = plan else { break };
            let said = match self.count::<T>(&store, plan) {
                Ok(Ok(())) => self.say(Message::Done),
                Ok(Err(error)) => self.say(Message::Failed(error)).and(Err(Gone)),
                Err(gone) => Err(gone),
            };
            if said.is_err() {
                break;
            }
        }
        // Whoever is gone needs to know of no damage.
        let _ = self.say(Message::Damage(store.take_damage()));
    }

    /// The recording, if it is what the asker sees.
    fn open(&self, path: &Path) -> Option<Store> {
        let store = Store::open(path).ok()?;
        store.work(self.share, self.is_cancelled.clone());
        (store.fingerprint() == self.fingerprint).then_some(store)
    }

    fn say(&self, message: Message) -> Result<(), Gone> {
        self.sender.send(message).map_err(|_| Gone)
    }

    fn count<T: Countable>(
        &self,
        store: &std::rc::Rc<Store>,
        plan: Plan,
    ) -> Result<Result<(), Error>, Gone> {
        let mut tally = Tally::of::<T>(&self.keys);
        let mut rows = match T::scan(store.clone(), plan) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        let mut batch = Batch::default();
        loop {
            batch.reset(T::width());
            let added = rows
                .fill(&mut batch)
                .and_then(|()| tally.add_batch(store, &rows, &batch, &self.keys));
            if let Err(error) = added {
                return Ok(Err(error));
            }
            if batch.rows == 0 {
                break;
            }
            if self.is_cancelled.load(Ordering::Relaxed) {
                return Err(Gone);
            }
            if tally.is_large() {
                let full = std::mem::replace(&mut tally, Tally::of::<T>(&self.keys));
                self.say(Message::Counted(full))?;
            }
        }
        self.say(Message::Counted(tally))?;
        Ok(Ok(()))
    }
}
