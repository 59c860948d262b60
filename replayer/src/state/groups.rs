//! Groups of values by where they stand: with an event, or before an instruction of a thread.

use dashcam_schema::value::chunk::{Moment, Values};
use dashcam_schema::value::{GroupKind, Value};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// An instant between the groups of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant {
    /// Index in [`crate::store::Store::value_chunks`].
    pub(super) chunk: usize,
    pub(super) at: Moment,
}

/// A chunk of values, with an index of the groups that stand between events.
pub(super) struct Groups {
    pub(super) index: usize,
    pub(super) values: Rc<Values>,
    /// By thread, ascending.
    sites: FxHashMap<i64, Vec<u32>>,
}

impl Groups {
    pub(super) fn new(index: usize, values: Rc<Values>) -> Groups {
        let mut sites: FxHashMap<i64, Vec<u32>> = FxHashMap::default();
        for (at, group) in (0..).zip(values.groups()) {
            if let (true, [Value::Int(thread), ..]) = (group.kind.is_of_site(), group.values) {
                sites.entry(*thread).or_default().push(at);
            }
        }
        Groups { index, values, sites }
    }

    /// The groups between events, of a thread and of ordinals from one, exclusive, to another.
    pub(super) fn of_sites(&self, thread: u32, lower: i64, upper: i64) -> &[u32] {
        let Some(sites) = self.sites.get(&i64::from(thread)) else { return &[] };
        let ordinal = |at: &u32| {
            self.values.group_at(*at as usize).map_or(i64::MAX, |group| group.ordinal.cast_signed())
        };
        let from = sites.partition_point(|at| ordinal(at) <= lower);
        let to = sites.partition_point(|at| ordinal(at) <= upper);
        &sites[from..to.max(from)]
    }

    /// The groups that have an event's ordinal.
    pub(super) fn of(&self, ordinal: i64) -> Range<usize> {
        self.values.groups_of(ordinal.cast_unsigned())
    }

    /// Of those, the ones that come with the event itself: after all that stand before it.
    pub(super) fn of_event(&self, ordinal: i64) -> Range<usize> {
        let all = self.of(ordinal);
        let is_of_site = |group: &usize| self.kind(*group).is_some_and(GroupKind::is_of_site);
        all.clone().rfind(is_of_site).map_or(all.start, |last| last + 1)..all.end
    }

    pub(super) fn kind(&self, group: usize) -> Option<GroupKind> {
        Some(self.values.group_at(group)?.kind)
    }

    /// When the groups up to and including this one have come.
    pub(super) fn after(&self, group: usize) -> Instant {
        Instant { chunk: self.index, at: self.values.moment(group + 1) }
    }

    /// The moment of what is told by looking, with a group.
    pub(super) fn looked(&self, group: usize) -> Instant {
        Instant { chunk: self.index, at: self.values.moment(group) + 1 }
    }
}

/// A group of values that says what variables hold.
#[derive(Clone)]
pub(super) struct Flush {
    pub(super) groups: Rc<Groups>,
    pub(super) group: usize,
    pub(super) kind: GroupKind,
}
