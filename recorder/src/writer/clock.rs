//! Converts ticks in the ring to nanoseconds since the run began.
//!
//! Ticks of the time stamp counter are converted by a line. Its slope is measured here against
//! CLOCK_MONOTONIC, first over a few milliseconds and then again and again while draining. A new
//! slope applies from the point already reached, so time never jumps and never goes back. The error
//! of the old slope is corrected over the following second.

use super::sys;
use crate::ring;

/// The two clocks, read at the same time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    ticks: u64,
    /// CLOCK_MONOTONIC.
    ns: u64,
}

impl Sample {
    /// Returns the best of a few samples: an interruption between the two readings spoils a sample.
    fn now() -> Sample {
        let once = || {
            let before = sys::ticks();
            let ns = sys::monotonic_ns();
            let after = sys::ticks();
            (after.wrapping_sub(before), Sample { ticks: before + (after - before) / 2, ns })
        };
        let mut best = once();
        for _ in 0..8 {
            let next = once();
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }
}

/// The first slope is measured over at least this time: the noise of the readings, some 20 ns, is
/// then 4 ppm.
const FIRST_SLOPE_NS: u64 = 5_000_000;
/// Later slopes are measured over this time.
const SLOPE_NS: u64 = 1_000_000_000;

/// Converts the ticks of one ring.
#[derive(Debug, Clone)]
pub struct Clock {
    /// CLOCK_MONOTONIC when the run began.
    began_ns: u64,
    source: Option<ring::Clock>,
    /// The sample from which slopes are measured.
    reference: Sample,
    /// The slope is measured again from this time on (CLOCK_MONOTONIC).
    next_ns: u64,
    interval_ns: u64,
    /// The line: `base_ns + (ticks - base_ticks) * slope / 2^32`.
    base_ticks: u64,
    base_ns: u64,
    slope: u64,
}

impl Clock {
    /// Returns the clock of a run that begins now.
    pub fn start() -> Clock {
        let reference = Sample::now();
        Clock {
            began_ns: reference.ns,
            source: None,
            reference,
            next_ns: 0,
            interval_ns: 10_000_000,
            base_ticks: 0,
            base_ns: 0,
            slope: 0,
        }
    }

    /// Nanoseconds since the run began, now.
    pub fn now_ns(&self) -> u64 {
        sys::monotonic_ns() - self.began_ns
    }

    /// Sets the clock whose ticks are converted. It must be called before the first conversion. It
    /// may wait some milliseconds for the first slope if the run has only just begun.
    pub fn set_source(&mut self, source: ring::Clock) {
        if self.source == Some(source) {
            return;
        }
        self.source = Some(source);
        match source {
            ring::Clock::Monotonic => {
                (self.base_ticks, self.base_ns, self.slope) = (self.began_ns, 0, 1 << 32);
            }
            ring::Clock::Tsc => {
                let passed = sys::monotonic_ns() - self.reference.ns;
                if passed < FIRST_SLOPE_NS {
                    std::thread::sleep(std::time::Duration::from_nanos(FIRST_SLOPE_NS - passed));
                }
                let now = Sample::now();
                self.slope = slope(self.reference, now);
                (self.base_ticks, self.base_ns) = (self.reference.ticks, 0);
                self.next_ns = now.ns + self.interval_ns;
            }
        }
    }

    /// Nanoseconds since the run began at these ticks; 0 for ticks before it.
    #[inline]
    pub fn ns(&self, ticks: u64) -> u64 {
        let since = ticks.saturating_sub(self.base_ticks);
        self.base_ns + ((u128::from(since) * u128::from(self.slope)) >> 32) as u64
    }

    /// The duration of `ticks` ticks in nanoseconds.
    pub fn span_ns(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.slope)) >> 32) as u64
    }

    /// Measures the slope anew if it is time. `reached` are the last ticks converted.
    pub fn recalibrate(&mut self, reached: u64) {
        if self.source != Some(ring::Clock::Tsc) || sys::monotonic_ns() < self.next_ns {
            return;
        }
        self.take_sample(reached, Sample::now());
    }

    fn take_sample(&mut self, reached: u64, now: Sample) {
        let error_ns = (now.ns - self.began_ns) as i64 - self.ns(now.ticks) as i64;
        self.interval_ns = (self.interval_ns * 4).min(SLOPE_NS);
        self.next_ns = now.ns + self.interval_ns;
        let measured = slope(self.reference, now);
        if now.ns - self.reference.ns >= SLOPE_NS {
            self.reference = now;
        }
        // An error beyond 0.1 % means that a clock is wrong, not that the slope is slightly off.
        let limit = (SLOPE_NS / 1000) as i64;
        let correction =
            i128::from(measured) * i128::from(error_ns.clamp(-limit, limit)) / i128::from(SLOPE_NS);
        self.base_ns = self.ns(reached);
        self.base_ticks = self.base_ticks.max(reached);
        self.slope = (i128::from(measured) + correction).max(1) as u64;
    }
}

/// Nanoseconds per tick, times 2^32.
fn slope(from: Sample, to: Sample) -> u64 {
    let ticks = to.ticks.saturating_sub(from.ticks).max(1);
    ((u128::from(to.ns - from.ns) << 32) / u128::from(ticks)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_ticks_are_nanoseconds() {
        let mut clock = Clock::start();
        clock.set_source(ring::Clock::Monotonic);
        assert_eq!(clock.ns(clock.began_ns + 12_345), 12_345);
        assert_eq!(clock.ns(clock.began_ns - 1), 0);
    }

    #[test]
    fn a_drifting_counter_is_followed_without_going_back() {
        let mut clock = Clock::start();
        clock.source = Some(ring::Clock::Tsc);
        // A counter of 2.5 GHz that at first seems 200 ppm slow.
        let at = |ns: u64| Sample { ticks: 1_000 + ns * 5 / 2, ns: clock_start() + ns };
        fn clock_start() -> u64 {
            7_000_000_000
        }
        (clock.began_ns, clock.reference) = (clock_start(), at(0));
        (clock.base_ticks, clock.base_ns) = (at(0).ticks, 0);
        clock.slope = slope(at(0), at(1_000_000)) / 10_000 * 10_002;
        let mut last = 0;
        for ms in 1..5_000u64 {
            let ticks = at(ms * 1_000_000).ticks;
            let ns = clock.ns(ticks);
            assert!(ns >= last, "went back at {ms} ms");
            last = ns;
            if ms % 500 == 0 {
                clock.take_sample(ticks, at(ms * 1_000_000 + 700));
                assert!(clock.ns(ticks) >= last);
            }
        }
        let off = last.abs_diff(4_999_000_000);
        assert!(off < 100_000, "{off} ns off");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_processors_counter_agrees_with_the_system() {
        let mut clock = Clock::start();
        clock.set_source(ring::Clock::Tsc);
        let (ticks, now) = (sys::ticks(), clock.now_ns());
        assert!(clock.ns(ticks).abs_diff(now) < 1_000_000);
    }
}
