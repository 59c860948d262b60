//! Identifies objects: the shim records their addresses, which are reused.

use dashcam_schema::value::{Class, ObjectId, Sort};
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

/// The largest number of addresses in the table, which then has some 50 MB: seven eighths of a
/// power of two, less the number that one event may add.
const ADDRESSES_MAX: usize = (7 << 18) - (1 << 15);

/// The class of an object that has not been described.
const UNKNOWN: u32 = 0;

/// The object at an address. Its class and contents are hashes, which is enough: if two are equal
/// by chance, two objects that were at one address, one after the other, have one number.
struct Known {
    id: ObjectId,
    class: u32,
    contents: u32,
}

/// Whether the object at an address is the one that was described before, if that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Unknown,
    Same,
    New,
}

/// The properties of a class that decide whether an object at an address is the one that was there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    class: u32,
    is_immutable: bool,
}

impl Kind {
    pub(super) fn of(class: &Class) -> Kind {
        let mut hasher = FxHasher::default();
        class.name.hash(&mut hasher);
        let name = (hasher.finish() as u32).max(UNKNOWN + 1);
        Kind { class: name, is_immutable: is_immutable(class.sort) }
    }
}

/// The number of places for recent addresses, as a power of two: few enough to stay in a cache,
/// which the whole table does not.
const RECENT_BITS: u32 = 11;

/// Addresses → objects.
pub(super) struct Identities {
    by_address: FxHashMap<u64, Known>,
    /// Some of these entries; each address has one place. Ids of empty places are 0.
    recent: Box<[(u64, ObjectId); 1 << RECENT_BITS]>,
    last_id: ObjectId,
    max: usize,
}

impl Default for Identities {
    fn default() -> Identities {
        let recent = Box::new([(0, 0); 1 << RECENT_BITS]);
        Identities { by_address: FxHashMap::default(), recent, last_id: 0, max: ADDRESSES_MAX }
    }
}

impl Identities {
    /// Forgets all addresses if they have become too many. Returns how many were forgotten. Must
    /// not be called while the values of an event are read, because these may refer to each other.
    pub(super) fn forget(&mut self) -> u64 {
        if self.by_address.len() < self.max {
            return 0;
        }
        let count = self.by_address.len() as u64;
        self.by_address.clear();
        self.recent.fill((0, 0));
        count
    }

    /// Returns the object at this address. An unknown address gets a new object.
    #[inline]
    pub(super) fn at(&mut self, address: u64) -> ObjectId {
        let (owner, id) = *self.place(address);
        if owner == address && id != 0 { id } else { self.find(address) }
    }

    #[inline(never)]
    fn find(&mut self, address: u64) -> ObjectId {
        let last_id = &mut self.last_id;
        let known = self.by_address.entry(address).or_insert_with(|| {
            *last_id += 1;
            Known { id: *last_id, class: UNKNOWN, contents: 0 }
        });
        let id = known.id;
        *self.place(address) = (address, id);
        id
    }

    fn place(&mut self, address: u64) -> &mut (u64, ObjectId) {
        // The fraction of the golden ratio spreads objects of one size, whatever their distance.
        let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.recent[(hash >> (64 - RECENT_BITS)) as usize]
    }

    /// Notes that an object of this kind is described at this address. `contents` is a hash of what
    /// it holds, which is only compared if that cannot change.
    pub(super) fn describe(&mut self, address: u64, kind: Kind, contents: u32, identity: Identity) {
        let contents = if kind.is_immutable { contents } else { 0 };
        let id = match self.by_address.entry(address) {
            Entry::Vacant(entry) => {
                self.last_id += 1;
                entry.insert(Known { id: self.last_id, class: kind.class, contents }).id
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                let is_same = known.class == kind.class && known.contents == contents;
                let is_other = match identity {
                    Identity::New => true,
                    Identity::Same => false,
                    Identity::Unknown => known.class != UNKNOWN && !is_same,
                };
                if is_other {
                    self.last_id += 1;
                    known.id = self.last_id;
                }
                (known.class, known.contents) = (kind.class, contents);
                known.id
            }
        };
        *self.place(address) = (address, id);
    }
}

/// Whether objects of this sort hold the same items or text as long as they live.
fn is_immutable(sort: Sort) -> bool {
    use Sort::{Bytes, Complex, Fields, FrozenSet, Int, Range, Slice, Str, Tuple};
    matches!(sort, Str | Bytes | Int | Complex | Tuple | FrozenSet | Range | Slice | Fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, sort: Sort) -> Kind {
        Kind::of(&Class::plain(name, sort, true))
    }

    #[test]
    fn an_object_stays_itself_until_another_is_there() {
        let mut identities = Identities::default();
        let (list, tuple) = (kind("list", Sort::List), kind("tuple", Sort::Tuple));
        identities.describe(0x1000, list, 7, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 1);
        identities.describe(0x1000, list, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 1, "a list may change");
        identities.describe(0x1000, tuple, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 2, "another class");
        identities.describe(0x1000, tuple, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 2);
        identities.describe(0x1000, tuple, 9, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 3, "a tuple does not change");
    }

    #[test]
    fn an_object_that_was_only_referred_to_gets_its_class_later() {
        let mut identities = Identities::default();
        assert_eq!((identities.at(8), identities.at(16), identities.at(8)), (1, 2, 1));
        identities.describe(8, kind("app.Point", Sort::Instance), 0, Identity::Unknown);
        assert_eq!(identities.at(8), 1);
        identities.describe(8, kind("app.Line", Sort::Instance), 0, Identity::Unknown);
        assert_eq!(identities.at(8), 3);
    }

    #[test]
    fn ids_are_not_reused() {
        let mut identities = Identities { max: 3, ..Identities::default() };
        (0..3).for_each(|address| assert_eq!(identities.at(address), address + 1));
        assert_eq!(identities.forget(), 3);
        assert_eq!((identities.forget(), identities.at(0)), (0, 4));
    }
}
