//! The shim's end.

use super::layout::{Clock, Ring};
use super::segment::Ready;
use super::sync::{AtomicU32, Ordering};
use dashcam_schema::record::EVENT_WORDS_MAX;

/// The consumer takes no more; recording has to stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

/// The producer calls [`Producer::wait`] at least once in this many words, even if there is room,
/// so that its caller notices in time if no consumer is left to read them.
const STRETCH_WORDS: usize = 1 << 16;

/// Writes records. There is one per ring; in the shim, the GIL guards it.
pub struct Producer {
    ring: Ring,
    mask: u64,
    /// Words written, published or not.
    at: u64,
    /// `at` may go up to here without asking for `tail` again.
    limit: u64,
    /// From this position on, there is no room until [`Producer::wait`] is called.
    stop: u64,
    ready: Ready,
}

/// A record being written. Its position is not kept in memory, where each step would have to wait
/// for the one before it.
pub struct Words {
    words: &'static [AtomicU32],
    mask: u64,
    at: u64,
    limit: u64,
}

impl Words {
    /// As [`Producer::put`].
    #[inline(always)]
    pub fn put(&mut self, word: u32) {
        debug_assert!(self.at < self.limit);
        // SAFETY: `mask` is the length less one, so the index is below the length.
        let slot = unsafe { self.words.get_unchecked((self.at & self.mask) as usize) };
        slot.store(word, Ordering::Relaxed);
        self.at += 1;
    }
}

impl Producer {
    /// Returns a producer that goes on where the ring's last producer stopped.
    pub fn new(ring: Ring, clock: Clock) -> Producer {
        ring.header.producer.clock.store(clock as u32, Ordering::Relaxed);
        let at = ring.header.producer.head.load(Ordering::Relaxed);
        let ready = Ready::new(&ring, at);
        Producer { ring, mask: ring.words.len() as u64 - 1, at, limit: at, stop: u64::MAX, ready }
    }

    /// Whether an event's words ([`EVENT_WORDS_MAX`]) may be written now. If not, [`Self::wait`].
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.room_for(EVENT_WORDS_MAX)
    }

    /// Whether `words` words may be written now. If not, [`Self::wait`].
    #[inline(always)]
    pub fn room_for(&self, words: usize) -> bool {
        self.at + words as u64 <= self.limit
    }

    /// Whether the consumer has said that it takes no more.
    pub fn is_closed(&self) -> bool {
        self.ring.header.consumer.closed.load(Ordering::Relaxed) != 0
    }

    /// Makes [`Self::has_room`] return false once `words` more words have been written, even if
    /// there is room. The caller has something to do then, and need not check for it all the time.
    pub fn stop_after(&mut self, words: u64) {
        self.stop = self.at + words;
        self.limit = self.limit.min(self.stop);
    }

    /// Whether the words given to [`Self::stop_after`] have been written.
    pub fn has_stopped(&self) -> bool {
        self.at + EVENT_WORDS_MAX as u64 > self.stop
    }

    /// The number of epochs that the consumer has asked for. When it changes, the caller has to
    /// answer with a record.
    #[inline(always)]
    pub fn wanted_epoch(&self) -> u32 {
        // Relaxed: no other data has to become visible with it.
        self.ring.header.consumer.epoch.load(Ordering::Relaxed)
    }

    /// Counts an object that is not examined.
    #[inline(always)]
    pub fn count_skipped(&self) {
        // Relaxed: only this side changes it, and no other data has to become visible with it.
        let skipped = &self.ring.header.producer.skipped;
        skipped.store(skipped.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Writes the next word of a record. [`Self::room_for`] or [`Self::wait`] must have granted at
    /// least as many words as are written.
    #[inline(always)]
    pub fn put(&mut self, word: u32) {
        let index = (self.at & self.mask) as usize;
        debug_assert!(self.at < self.limit);
        // SAFETY: `mask` is the length less one, so the index is below the length.
        let slot = unsafe { self.ring.words.get_unchecked(index) };
        slot.store(word, Ordering::Relaxed);
        self.at += 1;
    }

    /// Begins a record. The caller passes the result to [`Self::end`].
    #[inline(always)]
    pub fn begin(&self) -> Words {
        Words { words: self.ring.words, mask: self.mask, at: self.at, limit: self.limit }
    }

    /// Publishes what was written since [`Self::begin`], and everything before.
    #[inline(always)]
    pub fn end(&mut self, words: Words) {
        self.at = words.at;
        self.publish();
    }

    /// Publishes the words written so far to the consumer. They must be whole records.
    #[inline(always)]
    pub fn publish(&mut self) {
        self.ring.header.producer.head.store(self.at, Ordering::Release);
    }

    /// Returns the ring, for the caller to unmap. From now on, this producer has no room.
    #[cfg(not(loom))]
    pub fn detach(&mut self) -> Ring {
        let none = Producer::new(Ring::none(), Clock::Monotonic);
        std::mem::replace(self, none).ring
    }

    /// The largest number of words that the ring holds.
    pub fn capacity(&self) -> usize {
        self.ring.words.len()
    }

    /// Tells the consumer that nothing more will be published, because the consumer made no room.
    pub fn give_up(&self) {
        self.ring.header.producer.gave_up.store(1, Ordering::Relaxed);
    }

    /// Waits for room for `words` words. While there is none, it calls `pause`, which returns the
    /// nanoseconds it took, or `Gone` if the consumer's process is gone.
    ///
    /// # Errors
    /// [`Gone`] if `pause` returned it, the consumer takes no more, or `words` exceed the capacity.
    #[cold]
    pub fn wait(
        &mut self,
        words: usize,
        mut pause: impl FnMut() -> Result<u64, Gone>,
    ) -> Result<(), Gone> {
        if words > self.capacity() {
            return Err(Gone);
        }
        let fields = &self.ring.header.producer;
        let mut waited = false;
        loop {
            if self.is_closed() {
                return Err(Gone);
            }
            // Acquire: the consumer is done with the words it gave back.
            let tail = self.ring.header.consumer.tail.load(Ordering::Acquire);
            let free = tail + self.capacity() as u64;
            let ready = self.ready.extend(&self.ring, self.at + words as u64);
            let least = self.at + words as u64;
            let stop = self.stop.max(least).min(least + STRETCH_WORDS as u64);
            self.limit = free.min(ready).min(stop);
            if least <= self.limit {
                return Ok(());
            }
            if !waited {
                waited = true;
                fields.waits.store(fields.waits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            let ns = pause()?;
            fields
                .waited_ns
                .store(fields.waited_ns.load(Ordering::Relaxed) + ns, Ordering::Relaxed);
        }
    }
}
