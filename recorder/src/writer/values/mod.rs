//! The thread that records values: empties their ring, and seals chunks of them.
//!
//! An object is described once, and not again as long as it holds the same. For a chunk to be
//! readable by itself, it has to begin where everything is described anew: at an epoch. The thread
//! asks for an epoch when there are enough values for a chunk, or when some have waited long
//! enough. The shim begins it when it records the next value.

mod identity;
mod read;

use super::commit::Health;
use super::drain::{End, Order, Pace, WORDS};
use super::encode::{Encoded, LEVEL};
use super::outlet::LossDelta;
use super::processes::Inlet;
use crate::ring::Consumer;
use crossbeam_channel::Receiver;
use dashcam_schema::loss::LossKind;
use dashcam_schema::value::chunk::Builder;
use dashcam_schema::value::names::without_password;
use dashcam_schema::value::{
    Class, ClassNumber, GroupKind, Object, Shape, ShapeNumber, TextNumber, Value,
};
use read::Reader;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The approximate size of a chunk, before compression.
const CHUNK_BYTES: usize = 4 << 20;
/// At this size a chunk ends although no epoch has begun: a shim that does not begin one must not
/// make us use all memory. Later values may then refer to objects that are described in this chunk
/// only.
const CHUNK_BYTES_MAX: usize = 20 << 20;
/// The same limit in groups and objects, which may be small. A chunk may contain 4 million of them.
/// [`CHUNK_BYTES_MAX`] bytes are fewer values than a chunk may contain.
const CHUNK_RECORDS_MAX: u64 = 3 << 20;
/// Values wait at most this long before an epoch is asked for.
const CHUNK_AGE: Duration = Duration::from_millis(250);
/// After this time without any values, a chunk ends although no epoch has begun: while no values
/// are recorded, none begins.
const SILENCE: Duration = Duration::from_millis(1000);

/// A row of `value_chunks`.
pub(super) struct StoredValues {
    /// All values of events with ordinals from `covers_from` up to `covers_to`, exclusive, are in
    /// the chunk.
    pub(super) covers_from: u64,
    pub(super) covers_to: u64,
    pub(super) first_ordinal: u64,
    pub(super) last_ordinal: u64,
    pub(super) group_count: u64,
    /// The ids of the objects that it describes, encoded.
    pub(super) described: Vec<u8>,
    pub(super) data: Vec<u8>,
}

/// Receives what is read.
trait Records {
    fn text(&mut self, text: &[u8]) -> TextNumber;
    fn class(&mut self, class: Class) -> ClassNumber;
    fn shape(&mut self, shape: Shape) -> ShapeNumber;
    fn group(&mut self, ordinal: u64, kind: GroupKind, values: &[Value]);
    fn object(&mut self, object: &Object<&[Value]>);
    /// Applies the store that a group describes.
    fn store(&mut self, kind: GroupKind, values: &[Value]);
}

/// The chunk being made.
#[derive(Default)]
struct Chunk {
    builder: Builder,
    first_ordinal: u64,
    last_ordinal: u64,
    groups: u64,
    /// The number of groups, objects and stores.
    records: u64,
    /// The number of values in groups that could not be read, since they were last counted as a
    /// loss.
    unread: u64,
}

impl Records for Chunk {
    fn text(&mut self, text: &[u8]) -> TextNumber {
        match without_password(text) {
            Some(hidden) => self.builder.text(&hidden),
            None => self.builder.text(text),
        }
    }

    fn class(&mut self, class: Class) -> ClassNumber {
        self.builder.class(class)
    }

    fn shape(&mut self, shape: Shape) -> ShapeNumber {
        self.builder.shape(shape)
    }

    fn group(&mut self, ordinal: u64, kind: GroupKind, values: &[Value]) {
        if self.groups == 0 {
            self.first_ordinal = ordinal;
        }
        self.last_ordinal = ordinal;
        self.groups += 1;
        self.records += 1;
        // In `Done`, `Unread` stands for an object that is gone. That is not a loss.
        if kind != GroupKind::Done {
            let unread = values.iter().filter(|value| matches!(value, Value::Unread));
            self.unread += unread.count() as u64;
        }
        self.builder.group(ordinal, kind, values);
    }

    fn object(&mut self, object: &Object<&[Value]>) {
        self.records += 1;
        self.builder.object(object);
    }

    fn store(&mut self, kind: GroupKind, values: &[Value]) {
        self.records += 1;
        self.builder.store(kind, values);
    }
}

/// Whether all values of the process were read.
struct Whole(bool);

pub(super) struct Values {
    consumer: Consumer,
    reader: Reader,
    chunk: Chunk,
    orders: Receiver<Order>,
    store: Inlet,
    health: Arc<Health>,
    /// Events with ordinals below this one were published, and before them their values.
    published: Arc<AtomicU64>,
    /// All values of events with ordinals below this one were read.
    read_to: u64,
    /// The ordinal from which the next chunk covers events.
    covers_from: u64,
    /// The ordinal up to which coverage was last reported to the store, and when it was reported.
    covered: u64,
    reported: Instant,
    /// The number of objects not examined that have been counted as a loss.
    skipped: u64,
    /// An epoch was asked for and has not begun.
    is_asked: bool,
    sealed: Instant,
}

impl Values {
    pub(super) fn new(
        consumer: Consumer,
        orders: Receiver<Order>,
        store: Inlet,
        published: Arc<AtomicU64>,
        health: Arc<Health>,
    ) -> Values {
        Values {
            consumer,
            reader: Reader::default(),
            chunk: Chunk::default(),
            orders,
            store,
            health,
            published,
            read_to: 0,
            covers_from: 0,
            covered: 0,
            reported: Instant::now(),
            skipped: 0,
            is_asked: false,
            sealed: Instant::now(),
        }
    }

    /// Runs until [`Order::Finish`], or until the sender of orders is gone.
    pub(super) fn run(mut self) {
        let ended = self.drain();
        self.consumer.close();
        self.seal();
        self.count_skipped();
        if let Ok(Whole(true)) = ended {
            self.send(Encoded { covers_all: true, ..Encoded::default() });
        }
        let (waits, waited_ns) = self.consumer.waited();
        if waits > 0 {
            self.lose(LossKind::Waited, waited_ns, format!("{waits} times for room for values"));
        }
        // If reading ended early, orders to flush still need an answer.
        while ended.is_err()
            && let Ok(Order::Flush(stored)) = self.orders.recv()
        {
            self.send(Encoded { stored: Some(stored), ..Encoded::default() });
        }
    }

    /// Reads values until [`Order::Finish`].
    fn drain(&mut self) -> Result<Whole, End> {
        let mut words = Vec::with_capacity(2 * WORDS);
        let mut pace = Pace::default();
        loop {
            let taken = self.step(&mut words)?;
            self.ask();
            if taken == 0 && self.is_asked && self.sealed.elapsed() >= SILENCE {
                // The program records no values at present, so the existing ones do not wait for
                // more.
                self.seal();
            }
            if self.reported.elapsed() >= CHUNK_AGE {
                self.report_coverage();
            }
            if taken == WORDS {
                continue;
            }
            match pace.wait(&self.orders, taken) {
                None => {}
                Some(Order::Flush(stored)) => {
                    let result = self.empty(&mut words);
                    // The program may never record another value, so this does not wait for an
                    // epoch. But the values that follow should begin with one.
                    self.seal();
                    self.report_coverage();
                    self.is_asked = false;
                    self.ask_now();
                    self.send(Encoded { stored: Some(stored), ..Encoded::default() });
                    result?;
                }
                Some(Order::Finish) => {
                    let is_read = self.empty(&mut words).is_ok();
                    if is_read && !words.is_empty() {
                        self.bad("half a record");
                    }
                    return Ok(Whole(is_read && words.is_empty()));
                }
            }
        }
    }

    /// Takes and reads one batch. Returns the number of words taken. Between two calls, `words`
    /// holds the beginning of a record.
    fn step(&mut self, words: &mut Vec<u32>) -> Result<usize, End> {
        if self.health.has_failed() {
            return Err(End);
        }
        // Acquire: the values that were published before these events are visible.
        let published = self.published.load(Ordering::Acquire);
        let Ok(taken) = self.consumer.take(words, WORDS) else {
            self.bad("the ring's positions are invalid");
            return Err(End);
        };
        let mut used = 0;
        loop {
            match self.reader.read(&words[used..], &mut self.chunk) {
                Ok(progress) => {
                    used += progress.used;
                    if progress.is_stop {
                        self.seal();
                        continue;
                    }
                    if !progress.is_epoch {
                        break;
                    }
                    self.read_to = self.read_to.max(self.reader.ordinal());
                    self.seal();
                    self.is_asked = false;
                }
                Err((at, bad)) => {
                    let word = words.get(used + at).copied().unwrap_or(0);
                    self.bad(&format!("{bad} (first word {word:#010x})"));
                    return Err(End);
                }
            }
        }
        words.drain(..used);
        if taken < WORDS {
            // All published words were taken, and a group is published together with its objects.
            self.reader.complete(&mut self.chunk);
            self.read_to = self.read_to.max(published);
        }
        let forgotten = std::mem::take(&mut self.reader.forgotten);
        if forgotten > 0 {
            self.lose(LossKind::ObjectsForgotten, forgotten, String::new());
            // In the next epoch, all objects still in use are described with their new numbers.
            self.ask_now();
        }
        let is_full = self.chunk.builder.bytes() >= CHUNK_BYTES_MAX
            || self.chunk.records >= CHUNK_RECORDS_MAX;
        if is_full && taken < WORDS {
            self.seal();
        } else if is_full {
            // Objects of the last group may still follow.
            self.reader.stop_at_group();
        }
        Ok(taken)
    }

    fn empty(&mut self, words: &mut Vec<u32>) -> Result<(), End> {
        while self.step(words)? > 0 {}
        Ok(())
    }

    /// Asks for an epoch when it is time.
    fn ask(&mut self) {
        let is_old = self.chunk.groups > 0 && self.sealed.elapsed() >= CHUNK_AGE;
        if is_old || self.chunk.builder.bytes() >= CHUNK_BYTES {
            self.ask_now();
        }
    }

    fn ask_now(&mut self) {
        if !self.is_asked {
            self.is_asked = true;
            self.consumer.ask_for_epoch();
        }
    }

    /// Sends the chunk to the store, if it has groups. Begins the next chunk.
    fn seal(&mut self) {
        self.reader.complete(&mut self.chunk);
        self.reader.sealed();
        self.sealed = Instant::now();
        let Chunk { builder, first_ordinal, last_ordinal, groups, records, .. } = &mut self.chunk;
        let group_count = std::mem::take(groups);
        *records = 0;
        if group_count == 0 {
            return;
        }
        let (first_ordinal, last_ordinal) = (*first_ordinal, *last_ordinal);
        // More values of its last event may follow.
        let covers_to = self.read_to.max(last_ordinal);
        let covers_from = std::mem::replace(&mut self.covers_from, covers_to);
        self.covered = covers_to;
        let described = builder.described_ids().encode();
        match builder.seal(LEVEL) {
            Ok(data) => {
                let chunk = StoredValues {
                    covers_from,
                    covers_to,
                    first_ordinal,
                    last_ordinal,
                    group_count,
                    described,
                    data,
                };
                self.send(Encoded { values: Some(chunk), ..Encoded::default() });
            }
            Err(error) => self.lose(LossKind::StoreFailed, 1, error.to_string()),
        }
    }

    /// Reports to the store how far values were read, if all of them have been sent.
    fn report_coverage(&mut self) {
        self.reported = Instant::now();
        self.count_skipped();
        if self.chunk.groups == 0 && self.read_to > self.covered {
            self.covered = self.read_to;
            self.send(Encoded { covered: Some(self.covered), ..Encoded::default() });
        }
    }

    /// Records as losses the objects that were not examined, and the values that could not be read,
    /// since the last call.
    fn count_skipped(&mut self) {
        let unread = std::mem::take(&mut self.chunk.unread);
        if unread > 0 {
            self.lose(LossKind::ValueUnread, unread, String::new());
        }
        let skipped = self.consumer.skipped();
        let more = skipped.wrapping_sub(std::mem::replace(&mut self.skipped, skipped));
        if more > 0 {
            self.lose(LossKind::NotLookedAt, more, String::new());
        }
    }

    fn bad(&mut self, what: &str) {
        self.lose(LossKind::BadValue, 1, what.to_owned());
    }

    fn lose(&self, kind: LossKind, count: u64, detail: String) {
        let losses = vec![LossDelta { kind, count, first_seq: 0, detail }];
        self.send(Encoded { losses, ..Encoded::default() });
    }

    /// Sends a batch to the store. Waits while the store is busy with earlier ones.
    fn send(&self, encoded: Encoded) {
        self.store.send(encoded);
    }
}
