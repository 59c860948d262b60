//! Sets of values that pass constraints.

use super::plan::{Op, Plan, Value};
use crate::store::texts::{TextId, Texts};

/// Integers from `lo` to `hi`, or only some of them if there are `values`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct IntSet {
    pub(super) lo: i64,
    pub(super) hi: i64,
    /// Ascending.
    pub(super) values: Option<Vec<i64>>,
}

impl IntSet {
    pub(super) const ALL: IntSet = IntSet { lo: i64::MIN, hi: i64::MAX, values: None };

    /// The values of an integer column that pass a plan's constraints.
    pub(super) fn of(plan: &Plan, column: usize) -> IntSet {
        IntSet::of_either(plan, column, column)
    }

    /// The values that pass a plan's constraints on two columns that are always equal.
    pub(super) fn of_either(plan: &Plan, one: usize, other: usize) -> IntSet {
        let mut set = IntSet::ALL;
        let constraints = plan.constraints.iter().filter(|(c, ..)| *c == one || *c == other);
        for (_, op, values) in constraints {
            match op {
                Op::Eq | Op::In => set.keep(values.iter().filter_map(as_integer).collect()),
                _ => set.narrow(*op, values.first().unwrap_or(&Value::Null)),
            }
        }
        set.settle();
        set
    }

    pub(super) fn keep(&mut self, mut values: Vec<i64>) {
        values.sort_unstable();
        values.dedup();
        if let Some(before) = &self.values {
            values.retain(|value| before.binary_search(value).is_ok());
        }
        self.values = Some(values);
    }

    /// Keeps the integers that pass a comparison with `value`. SQLite has applied numeric affinity
    /// to it: a text that is still a text does not hold a number. Texts and blobs sort after all
    /// numbers.
    fn narrow(&mut self, op: Op, value: &Value) {
        // NULL never passes, whatever the value. No column holds the smallest integer.
        self.lo = self.lo.max(i64::MIN + 1);
        let below = matches!(op, Op::Lt | Op::Le);
        let empty = |set: &mut IntSet| set.values = Some(Vec::new());
        match value {
            Value::Null => empty(self),
            Value::Text(_) | Value::Blob if below => {}
            Value::Text(_) | Value::Blob => empty(self),
            Value::Integer(n) => match (op, n.checked_sub(1), n.checked_add(1)) {
                (Op::Lt, Some(before), _) => self.hi = self.hi.min(before),
                (Op::Le, ..) => self.hi = self.hi.min(*n),
                (Op::Gt, _, Some(after)) => self.lo = self.lo.max(after),
                (Op::Lt | Op::Gt, ..) => empty(self),
                _ => self.lo = self.lo.max(*n),
            },
            // 2^63 is the first real above all integers; `as` saturates.
            Value::Real(r) if *r >= 9_223_372_036_854_775_808.0 => {
                if !below {
                    empty(self);
                }
            }
            Value::Real(r) if *r < -9_223_372_036_854_775_808.0 => {
                if below {
                    empty(self);
                }
            }
            Value::Real(r) => {
                let (floor, whole) = (Value::Integer(r.floor() as i64), r.fract() == 0.0);
                match op {
                    Op::Lt if whole => self.narrow(Op::Lt, &floor),
                    Op::Lt | Op::Le => self.narrow(Op::Le, &floor),
                    Op::Ge if whole => self.narrow(Op::Ge, &floor),
                    _ => self.narrow(Op::Gt, &floor),
                }
            }
        }
    }

    pub(super) fn settle(&mut self) {
        if let Some(values) = &mut self.values {
            values.retain(|value| (self.lo..=self.hi).contains(value));
            self.lo = values.first().copied().unwrap_or(i64::MAX);
            self.hi = values.last().copied().unwrap_or(i64::MIN);
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.values.is_none() && self.lo == i64::MIN && self.hi == i64::MAX
    }

    pub(super) fn contains(&self, value: i64) -> bool {
        value >= self.lo
            && value <= self.hi
            && self.values.as_ref().is_none_or(|v| v.len() == 1 || v.binary_search(&value).is_ok())
    }

    /// Whether any integer from `first` to `last` is in the set.
    pub(super) fn overlaps(&self, first: i64, last: i64) -> bool {
        if self.lo > last || self.hi < first {
            return false;
        }
        self.values.as_ref().is_none_or(|values| {
            let next = values.partition_point(|value| *value < first);
            values.get(next).is_some_and(|value| *value <= last)
        })
    }

    /// Whether all integers from `first` to `last` are in the set.
    pub(super) fn covers(&self, first: i64, last: i64) -> bool {
        self.lo <= first
            && last <= self.hi
            && (self.values.is_none() || first == last)
            && self.contains(first)
    }
}

fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Real(r) if r.fract() == 0.0 && (-9.3e18..9.223_372_036_854_776e18).contains(r) => {
            // Exact below 2^63 in magnitude; the comparison excludes values that `as` saturated.
            Some(*r as i64).filter(|n| *n as f64 == *r)
        }
        _ => None,
    }
}

/// Texts that pass constraints; `None` for all.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct TextSet(pub(super) Option<Vec<TextId>>);

impl TextSet {
    /// The values of a text column that pass a plan's constraints. Comparisons with other types are
    /// left to SQLite.
    pub(super) fn of(plan: &Plan, column: usize, texts: &Texts) -> TextSet {
        let mut set: Option<Vec<TextId>> = None;
        let is_set = |op: &Op| matches!(op, Op::Eq | Op::In);
        let constraints = plan.constraints.iter().filter(|(c, op, _)| *c == column && is_set(op));
        for (.., values) in constraints {
            let mut ids = Vec::new();
            let all_text = values.iter().all(|value| match value {
                Value::Text(text) => {
                    ids.extend(texts.find(text));
                    true
                }
                Value::Null => true,
                _ => false,
            });
            if all_text {
                ids.retain(|id| set.as_ref().is_none_or(|set| set.contains(id)));
                set = Some(ids);
            }
        }
        TextSet(set)
    }

    pub(super) fn contains(&self, id: TextId) -> bool {
        self.0.as_ref().is_none_or(|set| set.contains(&id))
    }

    pub(super) fn is_all(&self) -> bool {
        self.0.is_none()
    }
}
