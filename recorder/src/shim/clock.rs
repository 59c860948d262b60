//! The clock of the records.

use crate::ring::Clock;
use std::sync::OnceLock;

/// Returns the cheapest clock that can be trusted on this machine: the time stamp counter if the
/// kernel itself keeps time by it, because it then runs at a constant rate and agrees between
/// cores.
pub(super) fn choose() -> Clock {
    static CHOSEN: OnceLock<Clock> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let by_tsc = cfg!(target_arch = "x86_64")
            && std::fs::read_to_string(
                "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            )
            .is_ok_and(|source| source.trim() == "tsc");
        if by_tsc { Clock::Tsc } else { Clock::Monotonic }
    })
}

/// Reads the clock.
#[inline(always)]
pub(super) fn ticks(clock: Clock) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if clock == Clock::Tsc {
        // SAFETY: every x86-64 processor has the instruction; it touches no memory.
        return unsafe { core::arch::x86_64::_rdtsc() };
    }
    let _ = clock;
    monotonic_ns()
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub(super) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
