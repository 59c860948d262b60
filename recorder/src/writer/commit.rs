//! The single thread that writes to the database: batches → transactions.
//!
//! A transaction contains whole batches: first their definitions, then their chunks, then what
//! exactly these chunks add to the summaries. So any prefix of the transactions that a reader finds
//! is consistent.

use super::encode::{Encoded, StoredChunk};
use super::lifecycle::Run;
use super::outlet::LossDelta;
use super::rows::Rows;
use super::source::Sources;
use super::store::{BUSY, Place, is_busy, words};
use super::totals::FunctionTotal;
use super::values::StoredValues;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::Definition;
use rustc_hash::FxHashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between transactions. A reader sees the run as it was about this long ago, both during
/// the recording and after the recorder's sudden death.
const PERIOD: Duration = Duration::from_millis(500);
/// Every transaction writes all rows of the summaries that changed, whether they changed by one or
/// by a million. If there are many such rows, transactions are made less often, so that they take
/// about 1/`BUSY_PART` of the time.
const BUSY_PART: u32 = 20;
/// Once the chunks that wait for a transaction have this many bytes, it is made at once, so that
/// they take no more memory.
const PENDING_BYTES: usize = 16 << 20;

/// While another process has locked the database, up to this many bytes of chunks wait for the
/// lock. Then the drain waits, then the program.
const STALLED_BYTES: usize = 64 << 20;
/// How long one attempt waits for a lock before new batches are received.
pub(super) const BUSY_STEP: Duration = Duration::from_millis(50);

/// Batches that wait for the next transaction, with their sums added up.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) definitions: Vec<Definition>,
    pub(super) began_ns: Option<u64>,
    pub(super) chunks: Vec<StoredChunk>,
    pub(super) values: Vec<StoredValues>,
    /// All values of events with ordinals below this one are in these batches or earlier ones.
    pub(super) covered: Option<u64>,
    /// By (thread, code, kind).
    pub(super) events: FxHashMap<(u32, u32, u8), u64>,
    /// By (code, line).
    pub(super) lines: FxHashMap<(u32, u32), u64>,
    /// By (code, unit): taken, not taken.
    pub(super) branches: FxHashMap<(u32, u32), (u64, u64)>,
    pub(super) totals: FxHashMap<u32, FunctionTotal>,
    pub(super) losses: Vec<LossDelta>,
    bytes: usize,
    stored: Vec<Sender<()>>,
}

impl Pending {
    fn add(&mut self, batch: Encoded) {
        self.definitions.extend(batch.definitions);
        self.began_ns = self.began_ns.or(batch.began_ns);
        if let Some(chunk) = batch.chunk {
            for (thread, code, kind, count) in &chunk.counts.events {
                *self.events.entry((*thread, *code, *kind)).or_insert(0) += count;
            }
            for (code, line, count) in &chunk.counts.lines {
                *self.lines.entry((*code, *line)).or_insert(0) += count;
            }
            for (code, unit, taken, not_taken) in &chunk.counts.branches {
                let sums = self.branches.entry((*code, *unit)).or_insert((0, 0));
                *sums = (sums.0 + taken, sums.1 + not_taken);
            }
            self.bytes += chunk.data.len();
            self.chunks.push(chunk);
        }
        if let Some(values) = batch.values {
            self.bytes += values.data.len();
            self.values.push(values);
        }
        self.covered = self.covered.max(batch.covered);
        for (code, total) in &batch.totals {
            self.totals.entry(*code).or_default().add(total);
        }
        for loss in batch.losses {
            let LossDelta { kind, count, first_seq, detail } = loss;
            LossDelta::add(&mut self.losses, kind, count, first_seq, detail);
        }
        self.stored.extend(batch.stored);
    }

    fn is_empty(&self) -> bool {
        self.definitions.is_empty()
            && self.chunks.is_empty()
            && self.values.is_empty()
            && self.covered.is_none()
            && self.losses.is_empty()
    }
}

pub(super) struct Store {
    run: Run,
    rows: Rows,
    pending: Pending,
    /// The ordinals of the events so far are below this one.
    ordinals: u64,
    /// All values have been received.
    covers_all: bool,
    /// Reports to other threads why nothing can be stored any more, or that the store has to wait.
    health: Arc<Health>,
    /// Since when another process has locked the database.
    locked: Option<Instant>,
}

impl Store {
    pub(super) fn new(run: Run, sources: Sources, health: Arc<Health>) -> Store {
        let rows = Rows::new(run.run_id, run.process_id, sources);
        let pending = Pending::default();
        Store { run, rows, pending, ordinals: 0, covers_all: false, health, locked: None }
    }

    /// Runs until the encoder and the thread of values have ended. Everything is stored then.
    pub(super) fn run(mut self, batches: &Receiver<Encoded>) -> Run {
        let mut due = Instant::now() + PERIOD;
        loop {
            let is_locked = self.locked.is_some();
            if !is_locked || self.pending.bytes < STALLED_BYTES {
                match batches.recv_deadline(due) {
                    Ok(batch) => {
                        let next = batch.chunk.as_ref().map_or(0, |chunk| chunk.next_ordinal);
                        self.ordinals = self.ordinals.max(next);
                        self.covers_all |= batch.covers_all;
                        self.pending.add(batch);
                        let is_urgent =
                            self.pending.bytes >= PENDING_BYTES || !self.pending.stored.is_empty();
                        if (is_locked || !is_urgent) && Instant::now() < due {
                            continue;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            let began = Instant::now();
            self.commit();
            due = Instant::now()
                + match self.locked {
                    None => PERIOD.max(began.elapsed() * BUSY_PART),
                    Some(_) => BUSY_STEP,
                };
        }
        if self.covers_all {
            // Including values of what was executed after the last event that has an ordinal.
            self.pending.covered = self.pending.covered.max(Some(self.ordinals + 1));
        }
        self.commit();
        while self.locked.is_some() {
            self.commit();
        }
        self.run
    }

    /// Stores the pending batches, or leaves them pending if the database is locked.
    fn commit(&mut self) {
        self.notice_place();
        if !self.pending.is_empty() && !self.health.has_failed() {
            let db = &self.run.database.connection;
            let is_patient = self.locked.is_none_or(|since| since.elapsed() < BUSY);
            let _ = db.busy_timeout(BUSY_STEP);
            let result = match self.rows.begin(db) {
                Err(error) if is_busy(&error) && is_patient => {
                    self.locked.get_or_insert_with(Instant::now);
                    self.health.set_stalled(true);
                    return;
                }
                Ok(transaction) => {
                    // From here on, only a database without a write-ahead log can make us wait.
                    let _ = db.busy_timeout(BUSY);
                    self.rows.write(transaction, &self.pending)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                self.fail(&error);
            }
        }
        self.locked = None;
        self.health.set_stalled(false);
        for stored in std::mem::take(&mut self.pending).stored {
            let _ = stored.send(());
        }
    }

    /// Reports once to the user that the file is not where it was.
    fn notice_place(&mut self) {
        if self.run.is_displaced {
            return;
        }
        let (path, run) = (self.run.database.path.display(), self.run.run_id);
        let words = match self.run.database.place() {
            Place::Same => return,
            Place::Moved(Some(name)) => {
                format!("moved to {} while recording; recording continues there", name.display())
            }
            Place::Moved(None) => "moved while recording; recording continues there".to_owned(),
            Place::Deleted => {
                format!(
                    "deleted while recording; run {run} will be written to a new file when it ends"
                )
            }
        };
        print_message(&format!("{path} was {words}"));
        self.run.is_displaced = true;
        self.run.database.leave_name();
    }

    /// Ends the recording because of an error. What was committed remains, and the program goes on.
    fn fail(&mut self, error: &rusqlite::Error) {
        let (path, what) = (self.run.database.path.display(), words(error));
        let line = format!("{path}: {what}");
        print_message(&format!("{line}; recording stopped, the program goes on"));
        self.health.fail(line);
        // Even a full disk may have room for this single row.
        let pending = &self.pending;
        let lost = LossDelta {
            kind: LossKind::StoreFailed,
            count: (pending.chunks.len() + pending.values.len()).max(1) as u64,
            first_seq: pending.chunks.first().map_or(0, |chunk| chunk.first_seq),
            detail: what,
        };
        let losses = Pending { losses: vec![lost], ..Pending::default() };
        let db = &self.run.database.connection;
        let _ = db.busy_timeout(BUSY_STEP);
        let _ = self.rows.begin(db).and_then(|transaction| self.rows.write(transaction, &losses));
    }
}

/// The state of the store, shared between threads.
#[derive(Debug, Default)]
pub struct Health {
    failed: AtomicBool,
    /// The reason of the failure, which the user has been told.
    reason: Mutex<Option<String>>,
    /// Another process has locked the database.
    stalled: AtomicBool,
}

impl Health {
    /// Whether nothing can be stored any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The reason why nothing can be stored any more, if so. The user has been told.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the store waits because another process has locked the database.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    fn fail(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// Prints a line for the user. Errors are ignored: the terminal may be gone.
fn print_message(line: &str) {
    let _ = writeln!(std::io::stderr(), "dashcam: {line}");
}
