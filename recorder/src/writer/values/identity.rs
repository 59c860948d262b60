//! Which object is at an address: the shim tells addresses, which are used again.

use dashcam_schema::value::{Class, ObjectId, Sort};
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

/// The table is as large as it gets with this many addresses, some 50 MB: seven eighths of a power
/// of two, less what one event may add.
const ADDRESSES_MAX: usize = (7 << 18) - (1 << 15);

/// Nothing is known of the object but that it is there.
const UNKNOWN: u32 = 0;

/// What is known of the object at an address. Hashes are enough: should two be equal by chance, two
/// objects that were at one address, one after the other, have one number.
struct Known {
    id: ObjectId,
    class: u32,
    contents: u32,
}

/// Whether the object at an address is the one that was told of before, if that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Unknown,
    Same,
    New,
}

/// What decides of a class whether an object at an address is the one that was there.
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

/// Places for addresses met lately, as a power of two: few enough to stay in a cache, which the
/// table of all does not.
const RECENT_BITS: u32 = 11;

/// Addresses → objects.
pub(super) struct Identities {
    by_address: FxHashMap<u64, Known>,
    /// Some of those; each address has one place. Without object: 0.
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
    /// Forgets all addresses if they have become too many, and says how many there were. Not while
    /// an event's values are taken in, which may refer to each other.
    pub(super) fn forget(&mut self) -> u64 {
        if self.by_address.len() < self.max {
            return 0;
        }
        let count = self.by_address.len() as u64;
        self.by_address.clear();
        self.recent.fill((0, 0));
        count
    }

    /// The object at this address, which is known or told of right now.
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
        // The fraction of the golden ratio: objects of one size are spread, however far apart.
        let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.recent[(hash >> (64 - RECENT_BITS)) as usize]
    }

    /// There is an object of this kind at this address.
    /// `contents` is a hash of what it holds, which matters if that cannot change.
    pub(super) fn tell(&mut self, address: u64, kind: Kind, contents: u32, identity: Identity) {
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

/// Whether objects of this sort hold the same as long as they live.
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
        identities.tell(0x1000, list, 7, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 1);
        identities.tell(0x1000, list, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 1, "a list may change");
        identities.tell(0x1000, tuple, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 2, "another class");
        identities.tell(0x1000, tuple, 8, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 2);
        identities.tell(0x1000, tuple, 9, Identity::Unknown);
        assert_eq!(identities.at(0x1000), 3, "a tuple does not change");
    }

    #[test]
    fn what_was_only_seen_gets_its_class_later() {
        let mut identities = Identities::default();
        assert_eq!((identities.at(8), identities.at(16), identities.at(8)), (1, 2, 1));
        identities.tell(8, kind("app.Point", Sort::Instance), 0, Identity::Unknown);
        assert_eq!(identities.at(8), 1);
        identities.tell(8, kind("app.Line", Sort::Instance), 0, Identity::Unknown);
        assert_eq!(identities.at(8), 3);
    }

    #[test]
    fn numbers_are_not_used_again() {
        let mut identities = Identities { max: 3, ..Identities::default() };
        (0..3).for_each(|address| assert_eq!(identities.at(address), address + 1));
        assert_eq!(identities.forget(), 3);
        assert_eq!((identities.forget(), identities.at(0)), (0, 4));
    }
}
