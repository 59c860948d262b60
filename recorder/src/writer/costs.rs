//! Estimates what recording each event costs the program, so that the costs can be subtracted from
//! its times.
//!
//! The shim measures one event in a few hundred, from its callback's first instruction to its last.
//! The cost of another event is taken to be the mean of the measured events of the same kind in the
//! same code object, because the cost of a callback depends mostly on the values there. What
//! CPython does to call the callback is added: nothing in the program can measure that.

use dashcam_schema::EventKind;

/// Costs are kept in units of 2^-this nanoseconds.
const FRACTION: u32 = 4;
const KINDS: usize = EventKind::LIMIT as usize;
/// A mean is taken over about this many measurements; older ones lose weight.
const MEMORY: u32 = 32;
/// A callback that took longer than this, and many times the mean, was held up, most often by the
/// system.
const HELD_UP_NS: u64 = 20_000;
const HELD_UP_TIMES: u64 = 8;

/// The time that CPython spends around a callback, in nanoseconds: making its arguments, finding
/// it, and running the general form of an instruction that would have been specialised. The time
/// that measuring adds to a callback is subtracted. The numbers were found with loops that have few
/// kinds of events, on CPython 3.13: the time that recording adds to one iteration, less the time
/// measured.
const fn around_ns(kind: EventKind) -> u32 {
    match kind {
        EventKind::BRANCH | EventKind::BRANCH_LEFT | EventKind::BRANCH_RIGHT | EventKind::JUMP => 8,
        // Instructions that store then look everything up anew.
        EventKind::INSTRUCTION => 24,
        _ => 4,
    }
}

#[derive(Clone, Copy, Default)]
struct Mean {
    cost: u32,
    measured: u32,
}

impl Mean {
    fn add(&mut self, cost: u32) {
        self.measured = (self.measured + 1).min(MEMORY);
        let change = (i64::from(cost) - i64::from(self.cost)) / i64::from(self.measured);
        self.cost = (i64::from(self.cost) + change) as u32;
    }
}

/// The mean cost of every kind of event in every code object.
pub(super) struct Costs {
    /// By code object, then by kind.
    means: Vec<[Mean; KINDS]>,
    /// The means over all code objects, for kinds that were not measured in a code object yet.
    by_kind: [Mean; KINDS],
    /// The event charged last, whose measurement may follow.
    last: (u32, EventKind),
    /// The costs charged so far, in units of [`FRACTION`].
    charged: u64,
}

impl Costs {
    pub(super) fn new() -> Costs {
        Costs {
            means: Vec::new(),
            by_kind: [Mean::default(); KINDS],
            last: (0, EventKind::LINE),
            charged: 0,
        }
    }

    /// Adds a code object.
    pub(super) fn define_code(&mut self) {
        self.means.push([Mean::default(); KINDS]);
    }

    /// Charges one event.
    #[inline(always)]
    pub(super) fn charge(&mut self, code: u32, kind: EventKind) {
        let kind_index = usize::from(kind.number()) % KINDS;
        let mean = self.means.get(code as usize).map_or(Mean::default(), |m| m[kind_index]);
        let cost = if mean.measured > 0 { mean.cost } else { self.by_kind[kind_index].cost };
        self.charged = self.charged.saturating_add(u64::from(cost));
        self.last = (code, kind);
    }

    /// Charges a cost that was measured exactly.
    pub(super) fn charge_ns(&mut self, ns: u64) {
        // Saturating, because the ring is not trusted.
        self.charged = self.charged.saturating_add(ns.saturating_mul(1 << FRACTION));
    }

    /// Takes over a measurement of the event charged last, with `others` callbacks without an event
    /// before it.
    pub(super) fn measured(&mut self, ns: u64, others: u32) {
        let (code, kind) = self.last;
        let Some(means) = self.means.get_mut(code as usize) else { return };
        let index = usize::from(kind.number()) % KINDS;
        let others_ns = u64::from(others) * u64::from(around_ns(EventKind::INSTRUCTION));
        let around = u64::from(around_ns(kind)) + others_ns;
        let mean = self.by_kind[index].cost >> FRACTION;
        if ns > HELD_UP_NS && ns > u64::from(mean) * HELD_UP_TIMES {
            return self.charge_ns(ns);
        }
        let cost = ((ns + around) << FRACTION).min(u64::from(u32::MAX)) as u32;
        means[index].add(cost);
        self.by_kind[index].add(cost);
    }

    /// The costs charged so far, in nanoseconds.
    #[inline(always)]
    pub(super) fn charged_ns(&self) -> u64 {
        self.charged >> FRACTION
    }

    /// Subtracts an excess from the costs charged.
    pub(super) fn refund_ns(&mut self, ns: u64) {
        self.charged = self.charged.saturating_sub(ns.saturating_mul(1 << FRACTION));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_charged_the_mean_of_similar_events() {
        let mut costs = Costs::new();
        costs.define_code();
        costs.define_code();
        let charge = |costs: &mut Costs, code| {
            let before = costs.charged_ns();
            costs.charge(code, EventKind::PY_START);
            costs.charged_ns() - before
        };
        let around = u64::from(around_ns(EventKind::PY_START));
        assert_eq!(charge(&mut costs, 0), 0);
        costs.measured(75, 0);
        assert_eq!(charge(&mut costs, 0), 75 + around);
        // Not yet measured there, so the mean over all code objects is charged.
        assert_eq!(charge(&mut costs, 1), 75 + around);
        for _ in 0..200 {
            costs.measured(475, 0);
        }
        assert!(charge(&mut costs, 1).abs_diff(475 + around) < 5);
        assert_eq!(charge(&mut costs, 0), 75 + around);
    }

    #[test]
    fn being_held_up_once_changes_no_mean() {
        let mut costs = Costs::new();
        costs.define_code();
        costs.charge(0, EventKind::CALL);
        costs.measured(100, 0);
        let before = costs.charged_ns();
        costs.measured(5_000_000, 0);
        assert_eq!(costs.charged_ns() - before, 5_000_000);
        let before = costs.charged_ns();
        costs.charge(0, EventKind::CALL);
        assert_eq!(costs.charged_ns() - before, 100 + u64::from(around_ns(EventKind::CALL)));
    }
}
