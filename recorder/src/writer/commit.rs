//! The single thread that writes to the database: batches → transactions.
//!
//! A transaction holds some batches whole: first what they define, then their chunks, then what
//! exactly these chunks add to the summaries. So whatever prefix of the transactions a reader
//! finds, it is consistent.

use super::encode::{Encoded, StoredChunk};
use super::lifecycle::Run;
use super::outlet::LossDelta;
use super::rows::Rows;
use super::source::Sources;
use super::store::words;
use super::totals::FunctionTotal;
use super::values::StoredValues;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::Definition;
use rustc_hash::FxHashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A reader meanwhile sees the run as it was about this long ago, and so does one after the
/// recorder's sudden death.
const PERIOD: Duration = Duration::from_millis(500);
/// Every transaction writes all rows of the summaries that changed, whether they changed by one or
/// by a million. So where there are many, transactions are fewer, and take this part of the time.
const BUSY_PART: u32 = 20;
/// Chunks that wait for their transaction take no more memory than this.
const PENDING_BYTES: usize = 16 << 20;

/// Batches that wait for the next transaction, their sums added up.
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
    /// Ordinals of the events so far are below this one.
    ordinals: u64,
    /// All values there are have come.
    covers_all: bool,
    /// Told to the drain: nothing can be stored any more.
    failed: Arc<AtomicBool>,
}

impl Store {
    pub(super) fn new(run: Run, sources: Sources, failed: Arc<AtomicBool>) -> Store {
        let rows = Rows::new(run.run_id, run.process_id, sources);
        Store { run, rows, pending: Pending::default(), ordinals: 0, covers_all: false, failed }
    }

    /// Runs until the encoder has ended, and the thread of values; then everything is stored.
    pub(super) fn run(mut self, batches: &Receiver<Encoded>) -> Run {
        let mut due = Instant::now() + PERIOD;
        loop {
            match batches.recv_deadline(due) {
                Ok(batch) => {
                    let next = batch.chunk.as_ref().map_or(0, |chunk| chunk.next_ordinal);
                    self.ordinals = self.ordinals.max(next);
                    self.covers_all |= batch.covers_all;
                    self.pending.add(batch);
                    if self.pending.bytes < PENDING_BYTES && self.pending.stored.is_empty() {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let began = Instant::now();
            self.commit();
            due = Instant::now() + PERIOD.max(began.elapsed() * BUSY_PART);
        }
        if self.covers_all {
            self.pending.covered = self.pending.covered.max(Some(self.ordinals));
        }
        self.commit();
        self.run
    }

    fn commit(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty()
            && !self.failed.load(Ordering::Relaxed)
            && let Err(error) = self.rows.write(&self.run.database.connection, &pending)
        {
            self.fail(&pending, &error);
        }
        for stored in pending.stored {
            let _ = stored.send(());
        }
    }

    /// Nothing more is stored. What was committed stands, and the program goes on.
    fn fail(&mut self, pending: &Pending, error: &rusqlite::Error) {
        self.failed.store(true, Ordering::Relaxed);
        let (path, what) = (self.run.database.path.display(), words(error));
        let _ = writeln!(
            std::io::stderr(),
            "dashcam: {path}: {what}; recording stopped, the program goes on"
        );
        // There may be room for as little as this, even on a full disk.
        let lost = LossDelta {
            kind: LossKind::StoreFailed,
            count: (pending.chunks.len() + pending.values.len()).max(1) as u64,
            first_seq: pending.chunks.first().map_or(0, |chunk| chunk.first_seq),
            detail: what,
        };
        let losses = Pending { losses: vec![lost], ..Pending::default() };
        let _ = self.rows.write(&self.run.database.connection, &losses);
    }
}
