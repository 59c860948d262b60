//! Groups of values by their place: with an event, or at an instruction of a thread.

use dashcam_schema::value::chunk::{Moment, Values};
use dashcam_schema::value::{GroupKind, ObjectId, Value};
use rustc_hash::FxHashMap;
use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

/// An instant between the groups of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant {
    /// Index in [`crate::store::Store::value_chunks`].
    pub(super) chunk: usize,
    pub(super) at: Moment,
}

/// Up to this many groups are searched one by one for those of a thread; more are indexed.
const LISTED: usize = 1 << 10;

/// A chunk of values, with indexes of its groups.
pub(super) struct Groups {
    pub(super) index: usize,
    pub(super) values: Rc<Values>,
    /// The groups between events, by thread, ascending; built if there are many groups to search.
    sites: OnceCell<FxHashMap<i64, Vec<u32>>>,
    /// The groups that record that an instruction is finished.
    ends: OnceCell<Vec<u32>>,
    /// The groups that record that an object was examined again, with their ordinals; ascending.
    seen: OnceCell<Vec<(usize, i64)>>,
}

impl Groups {
    pub(super) fn new(index: usize, values: Rc<Values>) -> Groups {
        let (sites, ends, seen) = Default::default();
        Groups { index, values, sites, ends, seen }
    }

    /// The thread of a group between events; `None` for other groups.
    fn thread_of_site(&self, group: usize) -> Option<i64> {
        let is_of_site = self.kind(group).is_some_and(GroupKind::is_of_site);
        match self.values.first_value_at(group).filter(|_| is_of_site)? {
            Value::Int(thread) => Some(thread),
            _ => None,
        }
    }

    /// The groups of a thread between events, with ordinals above `lower` and up to `upper`.
    pub(super) fn of_sites(&self, thread: u32, lower: i64, upper: i64) -> Vec<u32> {
        let between = self.values.groups_between(lower, upper);
        let thread = i64::from(thread);
        if between.len() <= LISTED {
            let is_of_thread = |group: &usize| self.thread_of_site(*group) == Some(thread);
            return between.filter(is_of_thread).map(|group| group as u32).collect();
        }
        let sites = self.sites.get_or_init(|| {
            let mut sites: FxHashMap<i64, Vec<u32>> = FxHashMap::default();
            for group in 0..self.values.groups().len() {
                if let Some(thread) = self.thread_of_site(group) {
                    sites.entry(thread).or_default().push(group as u32);
                }
            }
            sites
        });
        let Some(sites) = sites.get(&thread) else { return Vec::new() };
        let from = sites.partition_point(|group| (*group as usize) < between.start);
        let to = sites.partition_point(|group| (*group as usize) < between.end);
        sites[from..to].to_vec()
    }

    /// The groups that record that an instruction which changes an object is finished, in order.
    pub(super) fn ends(&self) -> &[u32] {
        self.ends.get_or_init(|| {
            let all = 0..self.values.groups().len();
            let is_end = |group: &usize| self.kind(*group) == Some(GroupKind::Done);
            all.filter(is_end).map(|group| group as u32).collect()
        })
    }

    /// Whether a group examines an object because the object was changed.
    pub(super) fn examines_again(&self, group: usize, id: ObjectId) -> bool {
        let is_again = |kind| matches!(kind, GroupKind::Seen | GroupKind::Done | GroupKind::Called);
        let Some(group) = self.values.group_at(group).filter(|group| is_again(group.kind)) else {
            return false;
        };
        group
            .values
            .iter()
            .any(|value| matches!(value, Value::Object(of) | Value::Shallow(of) if *of == id))
    }

    /// The groups that have an event's ordinal.
    pub(super) fn of(&self, ordinal: i64) -> Range<usize> {
        self.values.groups_of(ordinal.cast_unsigned())
    }

    /// Of those, the groups that come with the event itself: after all that come before it.
    pub(super) fn of_event(&self, ordinal: i64) -> Range<usize> {
        let all = self.of(ordinal);
        let is_of_site = |group: &usize| self.kind(*group).is_some_and(GroupKind::is_of_site);
        all.clone().rfind(is_of_site).map_or(all.start, |last| last + 1)..all.end
    }

    /// The groups that record that an object was examined again, with ordinals from `from` to `to`,
    /// exclusive.
    pub(super) fn seen_between(&self, from: i64, to: i64) -> &[(usize, i64)] {
        let seen = self.seen.get_or_init(|| {
            let all = 0..self.values.groups().len();
            let seen = all.filter(|group| self.kind(*group) == Some(GroupKind::Seen));
            let with_ordinal =
                |group| Some((group, self.values.group_at(group)?.ordinal.cast_signed()));
            seen.filter_map(with_ordinal).collect()
        });
        let [from, to] = [from, to].map(|ordinal| seen.partition_point(|(_, of)| *of < ordinal));
        &seen[from..to.max(from)]
    }

    /// The objects that a group refers to.
    pub(super) fn ids(&self, group: usize) -> impl Iterator<Item = ObjectId> {
        let values = self.values.group_at(group).map_or(&[][..], |group| group.values);
        values.iter().filter_map(|value| super::id_of(*value))
    }

    /// Whether an object holds no items any more when it is examined with a group.
    pub(super) fn is_emptied(&self, group: usize, id: ObjectId) -> bool {
        let object = self.values.object(id, self.examined_at(group).at);
        object.and_then(|object| object.items).is_some_and(|items| items.length == 0)
    }

    pub(super) fn kind(&self, group: usize) -> Option<GroupKind> {
        self.values.kind_at(group)
    }

    /// The instant after this group and all groups before it.
    pub(super) fn after(&self, group: usize) -> Instant {
        Instant { chunk: self.index, at: self.values.moment(group + 1) }
    }

    /// The instant of what is described by examining objects with a group.
    pub(super) fn examined_at(&self, group: usize) -> Instant {
        Instant { chunk: self.index, at: self.values.moment(group) + 1 }
    }
}

/// A group that records values of variables.
#[derive(Clone)]
pub(super) struct Flush {
    pub(super) groups: Rc<Groups>,
    pub(super) group: usize,
    pub(super) kind: GroupKind,
}
