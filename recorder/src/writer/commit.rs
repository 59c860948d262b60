//! The single thread that writes to the database: batches → transactions.
//!
//! A transaction contains whole batches, process by process: first their definitions, then their
//! chunks, then what exactly these chunks add to the summaries. So any prefix of the transactions
//! that a reader finds is consistent.

use super::encode::{Encoded, StoredChunk};
use super::lifecycle::Run;
use super::outlet::LossDelta;
use super::processes::{Content, Joined, Message, NewProcess, ProcessEnd};
use super::rows::{self, Interpreter, Rows};
use super::source::Sources;
use super::store::{BUSY, Place, is_busy, words};
use super::totals::FunctionTotal;
use super::values::StoredValues;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::Definition;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
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

/// Batches of one process that wait for the next transaction, with their sums added up.
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
}

impl Pending {
    /// Adds a batch. Returns the number of bytes in its chunks.
    fn add(&mut self, batch: Encoded) -> usize {
        let mut bytes = 0;
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
            bytes += chunk.data.len();
            self.chunks.push(chunk);
        }
        if let Some(values) = batch.values {
            bytes += values.data.len();
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
        bytes
    }

    fn is_empty(&self) -> bool {
        self.definitions.is_empty()
            && self.chunks.is_empty()
            && self.values.is_empty()
            && self.covered.is_none()
            && self.losses.is_empty()
    }
}

/// A process that has not ended, or whose end is not stored.
struct Process {
    row: Row,
    pending: Pending,
    /// The ordinals of the events so far are below this one.
    ordinals: u64,
    /// All values have been received.
    covers_all: bool,
    /// How and when the process ended.
    end: Option<(ProcessEnd, u64)>,
}

/// The row of a process in `processes`.
#[allow(clippy::large_enum_variant)]
enum Row {
    /// It is inserted with the first batch of the process or of one that it started.
    Missing(Joined),
    Inserted(Rows),
}

impl Process {
    fn new(row: Row) -> Process {
        Process { row, pending: Pending::default(), ordinals: 0, covers_all: false, end: None }
    }

    fn receive(&mut self, content: Content, bytes: &mut usize, stored: &mut Vec<Sender<()>>) {
        match content {
            Content::Batch(mut batch) => {
                let next = batch.chunk.as_ref().map_or(0, |chunk| chunk.next_ordinal);
                self.ordinals = self.ordinals.max(next);
                self.covers_all |= batch.covers_all;
                stored.extend(batch.stored.take());
                *bytes += self.pending.add(batch);
            }
            Content::End(mut end, now_ns) => {
                for (kind, count, detail) in std::mem::take(&mut end.losses) {
                    LossDelta::add(&mut self.pending.losses, kind, count, 0, detail);
                }
                self.cover_all();
                self.end = Some((end, now_ns));
            }
        }
    }

    /// Notes that no more batches come.
    fn cover_all(&mut self) {
        if self.covers_all {
            // Including values of what was executed after the last event that has an ordinal.
            self.pending.covered = self.pending.covered.max(Some(self.ordinals + 1));
        }
    }

    fn has_news(&self) -> bool {
        !self.pending.is_empty() || self.end.is_some()
    }
}

pub(super) struct Store {
    run: Run,
    /// The processes that joined the run, before their first batches.
    joined: Receiver<Joined>,
    /// The `process_id` of every process of the run, by slot; `None` if it has no row yet.
    process_ids: Vec<Option<i64>>,
    /// The processes that may still send batches, or whose batches are pending, by slot.
    processes: BTreeMap<u32, Process>,
    interpreter: Option<Interpreter>,
    /// The number of bytes in pending chunks.
    bytes: usize,
    /// Notified once all that is pending has been stored.
    stored: Vec<Sender<()>>,
    /// Reports to other threads why nothing can be stored any more, or that the store has to wait.
    health: Arc<Health>,
    /// Since when another process has locked the database.
    locked: Option<Instant>,
}

impl Store {
    pub(super) fn new(
        run: Run,
        sources: Sources,
        joined: Receiver<Joined>,
        health: Arc<Health>,
    ) -> Store {
        let first = Rows::new(run.run_id, run.process_id, 0, sources);
        Store {
            process_ids: vec![Some(run.process_id)],
            processes: BTreeMap::from([(0, Process::new(Row::Inserted(first)))]),
            run,
            joined,
            interpreter: None,
            bytes: 0,
            stored: Vec::new(),
            health,
            locked: None,
        }
    }

    /// Runs until the encoders and the threads of values have ended. Everything is stored then.
    pub(super) fn run(mut self, messages: &Receiver<Message>) -> Run {
        let mut due = Instant::now() + PERIOD;
        loop {
            let is_locked = self.locked.is_some();
            if !is_locked || self.bytes < STALLED_BYTES {
                match messages.recv_deadline(due) {
                    Ok(message) => {
                        self.receive(message);
                        let is_urgent = self.bytes >= PENDING_BYTES || !self.stored.is_empty();
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
        self.receive_joined();
        self.processes.values_mut().for_each(Process::cover_all);
        self.commit();
        while self.locked.is_some() {
            self.commit();
        }
        self.run
    }

    fn receive(&mut self, message: Message) {
        let Message { slot, content } = message;
        self.receive_joined();
        // Invariant: a process has joined before it sends anything, and its end comes last.
        if let Some(process) = self.processes.get_mut(&slot) {
            process.receive(content, &mut self.bytes, &mut self.stored);
        }
    }

    fn receive_joined(&mut self) {
        for joined in self.joined.try_iter() {
            let slot = self.process_ids.len() as u32;
            self.process_ids.push(None);
            self.processes.insert(slot, Process::new(Row::Missing(joined)));
        }
    }

    /// Stores the pending batches, or leaves them pending if the database is locked.
    fn commit(&mut self) {
        self.notice_place();
        let has_news = self.processes.values().any(Process::has_news);
        if has_news && !self.health.has_failed() {
            let Store { run, process_ids, processes, interpreter, .. } = self;
            let db = &run.database.connection;
            let is_patient = self.locked.is_none_or(|since| since.elapsed() < BUSY);
            let _ = db.busy_timeout(BUSY_STEP);
            let result = match begin(db) {
                Err(error) if is_busy(&error) && is_patient => {
                    self.locked.get_or_insert_with(Instant::now);
                    self.health.set_stalled(true);
                    return;
                }
                Ok(transaction) => {
                    // From here on, only a database without a write-ahead log can make us wait.
                    let _ = db.busy_timeout(BUSY);
                    write(transaction, run.run_id, processes, process_ids, interpreter)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                self.fail(&error);
            }
        }
        self.locked = None;
        self.health.set_stalled(false);
        self.bytes = 0;
        self.processes.retain(|_, process| {
            process.pending = Pending::default();
            process.end.is_none()
        });
        for stored in self.stored.drain(..) {
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
        let pending = || self.processes.values().map(|process| &process.pending);
        let count: usize = pending().map(|of| of.chunks.len() + of.values.len()).sum();
        let lost = LossDelta {
            kind: LossKind::StoreFailed,
            count: count.max(1) as u64,
            first_seq: pending()
                .find_map(|of| of.chunks.first())
                .map_or(0, |chunk| chunk.first_seq),
            detail: what,
        };
        let db = &self.run.database.connection;
        let _ = db.busy_timeout(BUSY_STEP);
        let _ = begin(db).and_then(|transaction| {
            rows::add_loss(&transaction, self.run.run_id, self.run.process_id, &lost)?;
            transaction.commit()
        });
    }
}

/// Begins the transaction to write in. If this fails, nothing has happened and it may be tried
/// again. A failed [`write`] must not be tried again.
fn begin(db: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
}

/// Writes everything that is pending, or nothing.
fn write(
    tx: Transaction<'_>,
    run_id: i64,
    processes: &mut BTreeMap<u32, Process>,
    process_ids: &mut [Option<i64>],
    interpreter: &mut Option<Interpreter>,
) -> rusqlite::Result<()> {
    let slots = processes.iter().filter(|(_, process)| process.has_news());
    let slots: Vec<u32> = slots.map(|(slot, _)| *slot).collect();
    let mut events = 0;
    for slot in slots {
        insert_process(&tx, run_id, slot, processes, process_ids)?;
        let Some(process) = processes.get_mut(&slot) else { continue };
        let Row::Inserted(rows) = &mut process.row else { continue };
        rows.write(&tx, &process.pending, interpreter)?;
        if let Some((end, now_ns)) = &process.end {
            rows.end(&tx, end, *now_ns)?;
        }
        events += process.pending.chunks.iter().map(|chunk| chunk.event_count).sum::<u64>();
    }
    tx.prepare_cached("UPDATE runs SET event_count = event_count + ? WHERE run_id = ?")?
        .execute((events as i64, run_id))?;
    tx.commit()
}

/// Inserts the rows of a process and those before it that have none, so that rows are in the order
/// in which the processes joined. A parent comes before its children.
fn insert_process(
    tx: &Transaction<'_>,
    run_id: i64,
    slot: u32,
    processes: &mut BTreeMap<u32, Process>,
    process_ids: &mut [Option<i64>],
) -> rusqlite::Result<()> {
    for (slot, process) in processes.range_mut(..=slot) {
        let Row::Missing(joined) = &mut process.row else { continue };
        let parent = process_ids.get(joined.process.parent as usize).copied().flatten();
        let process_id = rows::insert_process(tx, run_id, parent, joined)?;
        let NewProcess { cwd, code, .. } = std::mem::take(&mut joined.process);
        let sources = Sources { cwd, code, ..Sources::default() };
        process.row = Row::Inserted(Rows::new(run_id, process_id, *slot, sources));
        process_ids[*slot as usize] = Some(process_id);
    }
    Ok(())
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
