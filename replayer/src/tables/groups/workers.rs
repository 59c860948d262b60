//! Counts rows in several threads, each of which opens the recording itself.
//!
//! Threads share nothing of a [`Store`]: they take plans from a list and return tallies. A
//! recording that is still being written may differ for a thread that opens it later. Such a thread
//! takes no plan, and the thread that started the workers counts the rest.

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

/// The largest number of threads. Each uses memory of its own.
const THREADS_MAX: usize = 8;
/// How long the thread waits for a message before it checks whether it was interrupted.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

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
    /// The plans that no thread has taken, the next at the end.
    plans: Arc<Mutex<Vec<Plan>>>,
    is_cancelled: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    done: usize,
    of: usize,
}

impl Workers {
    /// How many threads are useful.
    pub(super) fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
    }

    /// Starts threads that count the rows of plans, the next at the end.
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

    /// The next part of the counts; `None` once all threads have ended.
    ///
    /// # Errors
    /// If a thread failed, or counting was interrupted.
    pub(super) fn next(&mut self, store: &Store) -> Result<Option<Tally>, Error> {
        loop {
            match self.messages.recv_timeout(POLL_INTERVAL) {
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

    /// The plans that no thread has taken.
    pub(super) fn left(&self) -> Vec<Plan> {
        std::mem::take(&mut self.plans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        // Closes the channel, so that no thread waits for room in it.
        self.messages = sync_channel(1).1;
        for thread in self.threads.drain(..) {
            // A panic no longer matters here.
            let _ = thread.join();
        }
    }
}

struct Worker {
    path: PathBuf,
    fingerprint: u64,
    /// The number of threads that share the memory.
    share: usize,
    keys: Vec<usize>,
    plans: Arc<Mutex<Vec<Plan>>>,
    is_cancelled: Arc<AtomicBool>,
    sender: SyncSender<Message>,
}

/// The receiver wants no more messages.
struct Cancelled;

impl Worker {
    fn run<T: Countable>(self) {
        let Some(store) = self.open(&self.path) else { return };
        let store = std::rc::Rc::new(store);
        loop {
            let plan = self.plans.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(plan) = plan else { break };
            let sent = match self.count::<T>(&store, plan) {
                Ok(Ok(())) => self.send(Message::Done),
                Ok(Err(error)) => self.send(Message::Failed(error)).and(Err(Cancelled)),
                Err(cancelled) => Err(cancelled),
            };
            if sent.is_err() {
                break;
            }
        }
        // If there is no receiver any more, the damage does not matter.
        let _ = self.send(Message::Damage(store.take_damage()));
    }

    /// Opens the recording; `None` unless it is the same as in the thread that started the workers.
    fn open(&self, path: &Path) -> Option<Store> {
        let store = Store::open(path).ok()?;
        store.work(self.share, self.is_cancelled.clone());
        (store.fingerprint() == self.fingerprint).then_some(store)
    }

    fn send(&self, message: Message) -> Result<(), Cancelled> {
        self.sender.send(message).map_err(|_| Cancelled)
    }

    fn count<T: Countable>(
        &self,
        store: &std::rc::Rc<Store>,
        plan: Plan,
    ) -> Result<Result<(), Error>, Cancelled> {
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
                return Err(Cancelled);
            }
            if tally.is_large() {
                let full = std::mem::replace(&mut tally, Tally::of::<T>(&self.keys));
                self.send(Message::Counted(full))?;
            }
        }
        self.send(Message::Counted(tally))?;
        Ok(Ok(()))
    }
}
