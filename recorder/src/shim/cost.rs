//! Measures what recording costs the program, so that the recorder can subtract it from the
//! program's times. Of the intervals from one event to the next, one in a few hundred is measured,
//! and the recorder charges the others the same. Work that is rare and takes long is measured every
//! time.

use super::clock::ticks;
use crate::ring::Clock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of the ring from one measured interval to the next, on average: those of a few hundred
/// events. The distance varies, because the program may do things periodically too.
const WORDS: u32 = 600;
/// The first measured intervals, this many, follow each other more closely: most code objects have
/// no measurement yet.
const FIRST: u32 = 256;
/// Work that takes at least this many ticks is charged by itself.
const LONG: u64 = 4096;

/// Ticks of long work that are not yet recorded, and of all long work. Changed only under the GIL.
static PENDING: AtomicU64 = AtomicU64::new(0);
static TOTAL: AtomicU64 = AtomicU64::new(0);
/// The last reading of the clock that is in the ring. [`UNKNOWN`] if the next reading has to be
/// recorded in full, after the pending ticks.
static LAST: AtomicU64 = AtomicU64::new(UNKNOWN);
/// Later than any reading, so that the ticks since then are far more than fit into a word.
const UNKNOWN: u64 = 1 << 63;

/// When work began that may take long.
#[derive(Clone, Copy)]
pub(super) struct Began {
    at: u64,
    /// [`TOTAL`] at that time.
    total: u64,
}

/// Notes the time at which work begins that may take long.
pub(super) fn begin(clock: Clock) -> Began {
    Began { at: ticks(clock), total: TOTAL.load(Ordering::Relaxed) }
}

/// Ends the work. If it took long it is charged by itself, otherwise it is part of the average cost
/// of events.
pub(super) fn end(clock: Clock, began: Began) {
    let took = without_long(clock, began);
    if took >= LONG {
        for sum in [&PENDING, &TOTAL] {
            sum.store(sum.load(Ordering::Relaxed) + took, Ordering::Relaxed);
        }
        LAST.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// Ticks since the beginning, less those of work within them that was charged by itself.
fn without_long(clock: Clock, Began { at, total }: Began) -> u64 {
    let within = TOTAL.load(Ordering::Relaxed) - total;
    ticks(clock).saturating_sub(at).saturating_sub(within)
}

/// Returns the ticks since the last reading of the clock, and makes `now` the last reading. They do
/// not fit into a word if ticks are pending or there was no reading.
#[inline(always)]
pub(super) fn ticks_since_last(now: u64) -> u64 {
    let last = LAST.load(Ordering::Relaxed);
    LAST.store(now, Ordering::Relaxed);
    now.wrapping_sub(last)
}

/// Returns the pending ticks, for the caller to record, and resets them.
pub(super) fn take_pending() -> u64 {
    PENDING.swap(0, Ordering::Relaxed)
}

/// What a measured interval cost.
pub(super) struct Measured {
    pub(super) ticks: u32,
    /// Callbacks in it that recorded no event.
    pub(super) others: u32,
}

/// Decides which callbacks are measured, and holds the measurements so far.
///
/// A callback that is not measured only checks `is_measuring`. Callbacks notice that it is time to
/// measure where they check for room in the ring: the ring then reports that it has none.
pub(super) struct Cost {
    is_measuring: bool,
    clock: Clock,
    /// Ticks that reading the clock twice takes.
    reading: u64,
    /// When the running callback began.
    began: Began,
    /// Ticks of the interval's callbacks that have ended, and how many of them recorded no event.
    ticks: u64,
    others: u32,
    /// Measured intervals so far.
    measured: u32,
    random: u32,
}

impl Cost {
    pub(super) fn new(clock: Clock) -> Cost {
        // These may be left from an earlier recording.
        PENDING.store(0, Ordering::Relaxed);
        LAST.store(UNKNOWN, Ordering::Relaxed);
        let read = |_| {
            let at = ticks(clock);
            ticks(clock).saturating_sub(at)
        };
        Cost {
            is_measuring: false,
            clock,
            reading: (0..16).map(read).min().unwrap_or(0),
            began: begin(clock),
            ticks: 0,
            others: 0,
            measured: 0,
            random: 0x9E37_79B9,
        }
    }

    /// Whether the running callback is measured.
    #[inline(always)]
    pub(super) fn is_measuring(&self) -> bool {
        self.is_measuring
    }

    /// Begins a callback of a measured interval.
    pub(super) fn enter(&mut self) {
        self.is_measuring = true;
        self.began = begin(self.clock);
    }

    /// Ends a callback that recorded no event.
    pub(super) fn leave(&mut self) {
        self.add();
        self.others += 1;
    }

    /// Ends a callback that recorded an event, and with it the interval. Returns its cost.
    pub(super) fn leave_event(&mut self) -> Measured {
        self.add();
        self.is_measuring = false;
        self.measured = self.measured.saturating_add(1);
        let ticks = std::mem::take(&mut self.ticks).min(u32::MAX.into()) as u32;
        Measured { ticks, others: std::mem::take(&mut self.others) }
    }

    /// Returns how many words are written before the next interval is measured.
    pub(super) fn distance(&mut self) -> u64 {
        // Xorshift. Any numbers that do not repeat soon will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let average = if self.measured > FIRST { WORDS } else { WORDS / 16 };
        u64::from(1 + self.random % (2 * average))
    }

    fn add(&mut self) {
        self.ticks += without_long(self.clock, self.began).saturating_sub(self.reading);
    }
}
