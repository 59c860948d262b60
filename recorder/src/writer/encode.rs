//! The encoder thread: columns → compressed chunks, and their sums.

use super::counts::{Counter, Counts};
use super::outlet::{Batch, Form, LossDelta, RawChunk};
use super::processes::Inlet;
use super::totals::FunctionTotal;
use super::values::StoredValues;
use crossbeam_channel::{Receiver, Sender};
use dashcam_schema::chunk::{Columns, Sealer};
use dashcam_schema::record::Definition;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// zstd's level. Measured on real recordings, see benches/writer.rs.
pub(super) const LEVEL: i32 = 1;

/// A batch ready to be stored.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) definitions: Vec<Definition>,
    pub(super) began_ns: Option<u64>,
    pub(super) chunk: Option<StoredChunk>,
    pub(super) values: Option<StoredValues>,
    /// All values of events with ordinals below this one have been sent to the store.
    pub(super) covered: Option<u64>,
    /// All values of the process have been sent to the store.
    pub(super) covers_all: bool,
    pub(super) totals: Vec<(u32, FunctionTotal)>,
    pub(super) losses: Vec<LossDelta>,
    pub(super) stored: Option<Sender<()>>,
}

/// A row of `chunks`, and the sums that it adds to the summaries.
pub(super) struct StoredChunk {
    pub(super) first_seq: u64,
    pub(super) event_count: u64,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    pub(super) first_wall_ns: u64,
    pub(super) last_wall_ns: u64,
    pub(super) kinds: u32,
    pub(super) first_ordinal: u64,
    /// The ordinal of the first event after the chunk that has one.
    pub(super) next_ordinal: u64,
    pub(super) threads: Vec<u8>,
    pub(super) codes: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) counts: Counts,
}

pub(super) struct Encoder {
    sealer: Sealer,
    counter: Counter,
    /// The ordinal of the next event that has one.
    ordinal: u64,
    /// The same number, for the thread of values.
    published: Arc<AtomicU64>,
    /// Returns columns to the drain.
    spare: Sender<Columns>,
}

impl Encoder {
    /// Returns an encoder that has encoded nothing yet.
    ///
    /// # Errors
    /// If zstd cannot allocate its state.
    pub(super) fn new(
        spare: Sender<Columns>,
        published: Arc<AtomicU64>,
    ) -> std::io::Result<Encoder> {
        let (sealer, counter) = (Sealer::new(LEVEL)?, Counter::default());
        Ok(Encoder { sealer, counter, ordinal: 0, published, spare })
    }

    /// Runs until the drain or the store has ended.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, store: &Inlet) {
        for batch in batches {
            if !store.send(self.encode(batch)) {
                // The store ended first, which only happens because of a bug. The drain must not
                // wait.
                batches.iter().for_each(drop);
            }
        }
    }

    pub(super) fn encode(&mut self, batch: Batch) -> Encoded {
        for definition in &batch.definitions {
            match definition {
                Definition::Code(code) => self.counter.define(code),
                Definition::Interpreter { magic, .. } => self.counter.interpreter(*magic),
                _ => {}
            }
        }
        let mut losses = batch.losses;
        let chunk = batch.chunk.and_then(|raw| {
            let first_seq = raw.first_seq;
            self.chunk(raw)
                .inspect_err(|error| {
                    use dashcam_schema::loss::LossKind::StoreFailed;
                    LossDelta::add(&mut losses, StoreFailed, 1, first_seq, error.to_string());
                })
                .ok()
        });
        // Release: values of these events were published before the events were.
        self.published.store(self.ordinal, Ordering::Release);
        let Batch { definitions, began_ns, totals, stored, .. } = batch;
        Encoded { definitions, began_ns, chunk, totals, losses, stored, ..Encoded::default() }
    }

    fn chunk(&mut self, raw: RawChunk) -> Result<StoredChunk, dashcam_schema::FormatError> {
        let RawChunk { first_seq, event_count, form, .. } = raw;
        let first_ordinal = self.ordinal;
        // Events are counted first: if sealing fails, this chunk is lost, but later ones still get
        // the right ordinals.
        let (data, counts, threads, codes, columns) = match form {
            Form::Direct(columns) => {
                let counts = self.counter.count(&columns);
                self.ordinal += counts.with_ordinals();
                let data = self.sealer.seal(&columns)?;
                let contexts = &columns.contexts;
                let threads = numbers(contexts.iter().map(|context| context.thread));
                let codes = numbers(contexts.iter().map(|context| context.code));
                (data, counts, threads, codes, columns)
            }
            Form::Control { control, counts, is_renewed, new_edges, columns } => {
                if is_renewed {
                    self.counter.forget_edges();
                }
                let counts = self.counter.count_edges(&counts, new_edges);
                self.ordinal += counts.with_ordinals();
                let data = self.sealer.seal_control(&control)?;
                let threads = numbers(counts.events.iter().map(|(thread, ..)| *thread));
                let codes = numbers(counts.events.iter().map(|(_, code, ..)| *code));
                (data, counts, threads, codes, columns)
            }
        };
        let kinds = counts.events.iter().fold(0, |bits, (_, _, kind, _)| bits | 1 << kind);
        let chunk = StoredChunk {
            first_seq,
            event_count,
            first_ns: raw.first_ns,
            last_ns: raw.last_ns,
            first_wall_ns: raw.first_wall_ns,
            last_wall_ns: raw.last_wall_ns,
            kinds,
            first_ordinal,
            next_ordinal: self.ordinal,
            threads,
            codes,
            data,
            counts,
        };
        let _ = self.spare.try_send(columns);
        Ok(chunk)
    }
}

/// Returns the numbers in ascending order, each once, in little endian.
fn numbers(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}
