//! The writer's end.

use super::layout::{Clock, Ring};
use super::segment::Ready;
use super::sync::{AtomicU32, Ordering};

/// The producer broke the treaty: it published more than fits.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Appends words that the producer has published and does not write to.
#[cfg(not(loom))]
fn append(words: &[AtomicU32], out: &mut Vec<u32>) {
    // SAFETY: an `AtomicU32` has the size and alignment of a `u32`. Until `tail` is stored the
    // words are ours: a producer that keeps the treaty writes to none of them, so this copy, which
    // the compiler may do many words at a time, sees what loads would. A producer that breaks the
    // treaty is in another process, and its words are not trusted anyway.
    let words = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u32>(), words.len()) };
    out.extend_from_slice(words);
}

#[cfg(loom)]
fn append(words: &[AtomicU32], out: &mut Vec<u32>) {
    out.extend(words.iter().map(|word| word.load(Ordering::Relaxed)));
}

/// Takes records out. There is one per ring.
pub struct Consumer {
    ring: Ring,
    tail: u64,
    ready: Ready,
}

/// How many words ahead of `head` the consumer makes memory ready, so that the producer finds it
/// there.
const AHEAD: u64 = 1 << 16;

impl Consumer {
    /// Returns a consumer that goes on where the ring's last consumer stopped.
    pub fn new(ring: Ring) -> Consumer {
        let tail = ring.header.consumer.tail.load(Ordering::Relaxed);
        let ready = Ready::new(&ring, tail);
        Consumer { ring, tail, ready }
    }

    /// Appends up to `max` ready words to `out`, gives their room back to the producer, and returns
    /// their number. Records are published whole, but `max` may cut one.
    ///
    /// # Errors
    /// [`Corrupt`]; nothing was taken.
    pub fn take(&mut self, out: &mut Vec<u32>, max: usize) -> Result<usize, Corrupt> {
        // Acquire: the words below `head` are as the producer left them.
        let head = self.ring.header.producer.head.load(Ordering::Acquire);
        if head > self.tail && !self.ready.is_past(head.wrapping_add(AHEAD)) {
            self.ready.extend(&self.ring, head.wrapping_add(AHEAD));
        }
        let capacity = self.ring.words.len();
        let ready = head.wrapping_sub(self.tail);
        if ready > capacity as u64 {
            return Err(Corrupt);
        }
        let count = (ready as usize).min(max);
        let start = self.tail as usize & (capacity - 1);
        let first = count.min(capacity - start);
        append(&self.ring.words[start..start + first], out);
        append(&self.ring.words[..count - first], out);
        self.tail += count as u64;
        // Release: we have read the words, the producer may write over them.
        self.ring.header.consumer.tail.store(self.tail, Ordering::Release);
        Ok(count)
    }

    /// Marks the ring as closed: no more words will be taken from it.
    pub fn close(&self) {
        self.ring.header.consumer.closed.store(1, Ordering::Relaxed);
    }

    /// Asks the producer to begin an epoch sometime soon, and to announce it in a record.
    pub fn ask_for_epoch(&self) {
        // Relaxed: only the number itself matters, and only this side changes it.
        let epoch = &self.ring.header.consumer.epoch;
        epoch.store(epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How often the producer waited for room, and for how many nanoseconds in all.
    pub fn waited(&self) -> (u64, u64) {
        let fields = &self.ring.header.producer;
        (fields.waits.load(Ordering::Relaxed), fields.waited_ns.load(Ordering::Relaxed))
    }

    /// The number of objects that the producer has not examined because there were too many.
    pub fn skipped(&self) -> u64 {
        self.ring.header.producer.skipped.load(Ordering::Relaxed)
    }

    /// Whether the producer waited too long for room, and publishes no more.
    pub fn is_given_up(&self) -> bool {
        self.ring.header.producer.gave_up.load(Ordering::Relaxed) != 0
    }

    /// The clock of the producer's ticks; meaningful once the producer has published something.
    pub fn clock(&self) -> Clock {
        match self.ring.header.producer.clock.load(Ordering::Relaxed) {
            1 => Clock::Tsc,
            _ => Clock::Monotonic,
        }
    }
}
