//! Groups of values by where they stand: with an event, or before an instruction of a thread.

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

/// Groups that are looked through one by one to find those of a thread; more are indexed.
const LISTED: usize = 1 << 10;

/// A chunk of values, and which of its groups stand between events.
pub(super) struct Groups {
    pub(super) index: usize,
    pub(super) values: Rc<Values>,
    /// By thread, ascending; made when there is much to look through.
    sites: OnceCell<FxHashMap<i64, Vec<u32>>>,
    /// Those that say that an instruction is over.
    ends: OnceCell<Vec<u32>>,
    /// Those that say that an object was looked at again, with their ordinals; ascending.
    seen: OnceCell<Vec<(usize, i64)>>,
}

impl Groups {
    pub(super) fn new(index: usize, values: Rc<Values>) -> Groups {
        let (sites, ends, seen) = Default::default();
        Groups { index, values, sites, ends, seen }
    }

    /// The thread of a group that stands between events.
    fn thread_of_site(&self, group: usize) -> Option<i64> {
        let is_of_site = self.kind(group).is_some_and(GroupKind::is_of_site);
        match self.values.first_value_at(group).filter(|_| is_of_site)? {
            Value::Int(thread) => Some(thread),
            _ => None,
        }
    }

    /// The groups between events, of a thread and of ordinals from one, exclusive, to another.
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

    /// The groups that say that an instruction is over which changes an object, in order.
    pub(super) fn ends(&self) -> &[u32] {
        self.ends.get_or_init(|| {
            let all = 0..self.values.groups().len();
            let is_end = |group: &usize| self.kind(*group) == Some(GroupKind::Done);
            all.filter(is_end).map(|group| group as u32).collect()
        })
    }

    /// Whether an object is looked at with a group because it has been changed.
    pub(super) fn looks_again_at(&self, group: usize, id: ObjectId) -> bool {
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

    /// Of those, the ones that come with the event itself: after all that stand before it.
    pub(super) fn of_event(&self, ordinal: i64) -> Range<usize> {
        let all = self.of(ordinal);
        let is_of_site = |group: &usize| self.kind(*group).is_some_and(GroupKind::is_of_site);
        all.clone().rfind(is_of_site).map_or(all.start, |last| last + 1)..all.end
    }

    /// The groups that say that an object was looked at again, of ordinals from one to another, exclusive.
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

    /// Whether an object holds no items any more, as is told by looking with a group.
    pub(super) fn is_emptied(&self, group: usize, id: ObjectId) -> bool {
        let object = self.values.object(id, self.looked(group).at);
        object.and_then(|object| object.items).is_some_and(|items| items.length == 0)
    }

    pub(super) fn kind(&self, group: usize) -> Option<GroupKind> {
        self.values.kind_at(group)
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
