//! Measures what recording costs the program, for its times to be without it: one stretch in a few hundred
//! from event to event, for the recorder to charge the others the same; and each time what is rare and long.

use super::clock::ticks;
use crate::ring::Clock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of the ring from one measured stretch to the next, on average: those of a few hundred events. The
/// distance varies, for what a program does may have a period too.
const WORDS: u32 = 600;
/// The first so many stretches follow closer on each other: of most code objects there is no measurement yet.
const FIRST: u32 = 256;
/// What takes at least so many ticks is charged by itself.
const LONG: u64 = 4096;

/// Ticks of what took long that the recorder was not told of, and all of them. Changed under the GIL alone.
static PENDING: AtomicU64 = AtomicU64::new(0);
static EVER: AtomicU64 = AtomicU64::new(0);
/// The last reading of the clock that is in the ring; [`UNKNOWN`] if the next one is to be there in full, and
/// what is pending before it.
static LAST: AtomicU64 = AtomicU64::new(UNKNOWN);
/// Later than any reading: the ticks since then are far more than fit into a word.
const UNKNOWN: u64 = 1 << 63;

/// When something began that may take long.
#[derive(Clone, Copy)]
pub(super) struct Began {
    at: u64,
    /// [`EVER`] then.
    ever: u64,
}

/// Something begins that may take long.
pub(super) fn begin(clock: Clock) -> Began {
    Began { at: ticks(clock), ever: EVER.load(Ordering::Relaxed) }
}

/// It is over. If it took long it is charged by itself, else it is a part of what events take on average.
pub(super) fn end(clock: Clock, began: Began) {
    let took = without_long(clock, began);
    if took >= LONG {
        for sum in [&PENDING, &EVER] {
            sum.store(sum.load(Ordering::Relaxed) + took, Ordering::Relaxed);
        }
        LAST.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// Ticks since then, less what within them was measured by itself.
fn without_long(clock: Clock, Began { at, ever }: Began) -> u64 {
    let within = EVER.load(Ordering::Relaxed) - ever;
    ticks(clock).saturating_sub(at).saturating_sub(within)
}

/// Ticks since the last reading of the clock, which this is from now on. More than fit into a word if something
/// is pending, or there was no reading.
#[inline(always)]
pub(super) fn ticks_since_last(now: u64) -> u64 {
    let last = LAST.load(Ordering::Relaxed);
    LAST.store(now, Ordering::Relaxed);
    now.wrapping_sub(last)
}

/// Ticks that the recorder is to be told of, and is told of now.
pub(super) fn take_pending() -> u64 {
    PENDING.swap(0, Ordering::Relaxed)
}

/// What a measured stretch took.
pub(super) struct Measured {
    pub(super) ticks: u32,
    /// Callbacks in it that had no event.
    pub(super) others: u32,
}

/// Which callbacks are measured, and what came of it so far.
///
/// All that a callback which is not measured has to do with it is one look at `is_measuring`: that it is
/// time to measure is found out where there has to be room in the ring, of which there is none then.
pub(super) struct Cost {
    is_measuring: bool,
    clock: Clock,
    /// Ticks that reading the clock twice takes.
    reading: u64,
    /// When the running callback began.
    began: Began,
    /// Ticks of the stretch's callbacks that are over, and how many of them had no event.
    ticks: u64,
    others: u32,
    /// Stretches so far.
    measured: u32,
    random: u32,
}

impl Cost {
    pub(super) fn new(clock: Clock) -> Cost {
        // Of an earlier recording.
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

    /// A callback of a measured stretch begins.
    pub(super) fn enter(&mut self) {
        self.is_measuring = true;
        self.began = begin(self.clock);
    }

    /// It ends, and had no event.
    pub(super) fn leave(&mut self) {
        self.add();
        self.others += 1;
    }

    /// It ends, and had an event: the stretch is over.
    pub(super) fn leave_event(&mut self) -> Measured {
        self.add();
        self.is_measuring = false;
        self.measured = self.measured.saturating_add(1);
        let ticks = std::mem::take(&mut self.ticks).min(u32::MAX.into()) as u32;
        Measured { ticks, others: std::mem::take(&mut self.others) }
    }

    /// Words to be written before the next stretch is measured.
    pub(super) fn distance(&mut self) -> u64 {
        // Xorshift: any numbers that do not repeat soon will do.
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
