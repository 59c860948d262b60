//! Objects that may change, or have changed, without a record that names them.
//!
//! Only their addresses are known. They are examined where something that a frame holds leads to
//! them.

use super::changed::STEPS_MAX;
use crate::shim::memory;
use rustc_hash::FxHashMap;

/// Enough bits that few other addresses share one with an address that is watched.
const BITS: usize = 1 << 15;
/// The most objects whose one change has not been recorded yet.
const CHANGED_MAX: usize = 1 << 12;
/// The most objects where CPython does not report when objects are made. The latest are kept.
pub(super) const UNTRACED_MAX: usize = 4;
/// Where CPython does not report that, an object is dropped after this many searches without it.
const UNREACHED_MAX: u32 = 1 << 8;
/// Steps that an event earns on average. Fewer if no object changes by itself and this many searches
/// in a row have found nothing; enough for a search with each event if there are many objects.
const STEPS_EACH: u32 = 8;
const STEPS_IDLE: u32 = 1;
const IDLE_MAX: u32 = 64;
const MANY: usize = 256;
/// Bits of this many addresses that were dropped are left.
const DROPPED_MAX: u32 = 64;

/// Why an object is examined again.
#[derive(Clone, Copy, Default)]
struct Reason {
    /// It was changed once, and has not been examined since then.
    is_changed: bool,
    /// Code in C may change it for as long as it exists.
    is_lasting: bool,
    /// How many methods that would change it are held by code in C.
    methods: u32,
    /// [`Unsure::latest`] when it was added.
    number: u32,
}

impl Reason {
    fn is_over(self) -> bool {
        !self.is_changed && !self.is_lasting && self.methods == 0
    }
}

#[derive(Default)]
pub(super) struct Unsure {
    /// By address. Some addresses may belong to other objects by now.
    objects: FxHashMap<usize, Reason>,
    /// Addresses of methods that code in C holds, and of the objects that they change.
    methods: Vec<(usize, usize)>,
    /// A bit for the address of each object and method: most other addresses are ruled out by it.
    bits: Bits,
    /// How many of the objects may be changed for as long as they exist.
    lasting: usize,
    /// How many objects were added.
    latest: u32,
    /// How often nothing led to one of the objects.
    unreached: u32,
    /// How many searches in a row have found none of them.
    idle: u32,
    /// How many addresses were dropped since the bits were set.
    dropped: u32,
}

struct Bits(Box<[u64; BITS / 64]>);

impl Default for Bits {
    fn default() -> Bits {
        Bits(Box::new([0; BITS / 64]))
    }
}

impl Bits {
    /// The place of an address: a word, and a bit of it.
    #[inline(always)]
    fn place(address: usize) -> (usize, u64) {
        let place = (address >> 4 ^ address >> 14) % BITS;
        (place / 64, 1 << (place % 64))
    }

    #[inline(always)]
    fn may_have(&self, address: usize) -> bool {
        let (word, bit) = Bits::place(address);
        self.0[word] & bit != 0
    }

    fn add(&mut self, address: usize) {
        let (word, bit) = Bits::place(address);
        self.0[word] |= bit;
    }
}

impl Unsure {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether the object at this address is one of them.
    #[inline(always)]
    pub(super) fn has(&self, address: usize) -> bool {
        self.bits.may_have(address) && self.objects.contains_key(&address)
    }

    /// Whether it matters when the object at this address is destroyed.
    #[inline(always)]
    pub(super) fn watches(&self, address: usize) -> bool {
        self.bits.may_have(address)
            && (self.objects.contains_key(&address)
                || self.methods.iter().any(|(method, _)| *method == address))
    }

    /// The addresses of all objects, and of the methods that change them.
    pub(super) fn addresses(&self) -> Vec<usize> {
        let methods = self.methods.iter().map(|(method, _)| *method);
        self.objects.keys().copied().chain(methods).collect()
    }

    /// Notes that the object at this address is changed once, by the running instruction.
    pub(super) fn add_changed(&mut self, address: usize) {
        self.reason(address).is_changed = true;
    }

    /// Notes that the object at this address may be changed as long as it exists.
    pub(super) fn add_lasting(&mut self, address: usize) {
        let was_lasting = std::mem::replace(&mut self.reason(address).is_lasting, true);
        self.lasting += usize::from(!was_lasting);
    }

    /// Notes that the object at this address may be changed as long as a method exists.
    pub(super) fn add_method(&mut self, address: usize, method: usize) {
        if self.methods.contains(&(method, address)) {
            return;
        }
        self.reason(address).methods += 1;
        self.methods.push((method, address));
        self.bits.add(method);
    }

    fn reason(&mut self, address: usize) -> &mut Reason {
        memory::secure();
        self.bits.add(address);
        self.idle = 0;
        let latest = &mut self.latest;
        self.objects.entry(address).or_insert_with(|| {
            *latest = latest.wrapping_add(1);
            Reason { number: *latest, ..Reason::default() }
        })
    }

    /// Whether too many objects wait for being examined.
    pub(super) fn is_full(&self) -> bool {
        self.objects.len() >= CHANGED_MAX
    }

    /// Takes all objects that were changed once, and are not changed any more.
    pub(super) fn take_changed(&mut self, mut each: impl FnMut(usize)) {
        self.objects.retain(|address, reason| {
            if std::mem::take(&mut reason.is_changed) {
                each(*address);
            }
            !reason.is_over()
        });
        self.set_bits();
    }

    /// Drops the oldest object if there are as many as are kept where CPython reports nothing.
    pub(super) fn make_room_untraced(&mut self) {
        if self.objects.len() < UNTRACED_MAX {
            return;
        }
        self.remove_oldest();
    }

    fn remove_oldest(&mut self) {
        let oldest = self.objects.iter().min_by_key(|(_, reason)| reason.number);
        if let Some(oldest) = oldest.map(|(address, _)| *address) {
            self.remove(oldest);
        }
    }

    /// Notes that a method does not exist any more, or will not after the running instruction. What
    /// it may have changed is examined once more.
    pub(super) fn drop_method(&mut self, method: usize) {
        if self.bits.may_have(method) {
            self.drop_methods(|other| other != method);
        }
    }

    fn drop_methods(&mut self, is_kept: impl Fn(usize) -> bool) {
        let objects = &mut self.objects;
        self.methods.retain(|(method, object)| {
            let is_kept = is_kept(*method);
            if !is_kept && let Some(reason) = objects.get_mut(object) {
                reason.methods = reason.methods.saturating_sub(1);
                reason.is_changed = true;
            }
            is_kept
        });
    }

    /// Drops the object at this address, and the methods that change it.
    pub(super) fn remove(&mut self, address: usize) {
        if self.objects.remove(&address).is_some_and(|reason| reason.is_lasting) {
            self.lasting -= 1;
        }
        self.methods.retain(|(_, object)| *object != address);
        self.note_dropped();
    }

    /// Notes that an object is made at this address, so the one that was there is gone.
    #[cold]
    pub(super) fn replace(&mut self, address: usize) {
        self.drop_method(address);
        self.remove(address);
    }

    /// Drops the objects and methods that are gone.
    pub(super) fn drop_gone(&mut self, is_gone: impl Fn(usize) -> bool) {
        self.drop_methods(|method| !is_gone(method));
        let lasting = &mut self.lasting;
        self.objects.retain(|object, reason| {
            let is_dropped = is_gone(*object);
            *lasting -= usize::from(is_dropped && reason.is_lasting);
            !is_dropped
        });
        let objects = &self.objects;
        self.methods.retain(|(_, object)| objects.contains_key(object));
        self.set_bits();
    }

    /// Notes that a frame's variables were searched for the objects, and that those which were
    /// found have been examined. `is_whole` if what they hold was searched too. Where CPython does
    /// not report when objects are made (`traces`), those that are not found are dropped after a
    /// while.
    pub(super) fn note_searched(
        &mut self,
        found: impl Iterator<Item = usize>,
        is_whole: bool,
        traces: bool,
    ) {
        let mut count = 0;
        for address in found {
            count += 1;
            if let Some(reason) = self.objects.get_mut(&address)
                && std::mem::take(&mut reason.is_changed)
                && reason.is_over()
            {
                self.objects.remove(&address);
                self.note_dropped();
            }
        }
        if count == 0 && !is_whole {
            return;
        }
        self.idle = if count > 0 { 0 } else { self.idle.saturating_add(1) };
        if !traces && is_whole {
            self.unreached += (self.objects.len() as u32).saturating_sub(count);
            if self.unreached >= UNREACHED_MAX {
                self.unreached = 0;
                self.remove_oldest();
            }
        }
    }

    /// How many steps an event earns to search for the objects. Unused steps are kept for later.
    #[inline(always)]
    pub(super) fn steps(&self) -> u32 {
        match self.methods.len() + self.lasting {
            0 if self.idle >= IDLE_MAX => STEPS_IDLE,
            0..MANY => STEPS_EACH,
            _ => STEPS_MAX,
        }
    }

    fn note_dropped(&mut self) {
        self.dropped += 1;
        if self.dropped >= DROPPED_MAX || self.objects.is_empty() {
            self.set_bits();
        }
    }

    fn set_bits(&mut self) {
        self.dropped = 0;
        self.bits.0.fill(0);
        for address in self.objects.keys() {
            self.bits.add(*address);
        }
        for (method, _) in &self.methods {
            self.bits.add(*method);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> std::ops::Range<usize> {
        1..10_000
    }

    fn address(number: usize) -> usize {
        number << 4
    }

    #[test]
    fn there_is_no_limit() {
        let mut unsure = Unsure::default();
        all().for_each(|n| unsure.add_method(address(n), address(n + 20_000)));
        assert!(all().all(|n| unsure.has(address(n)) && unsure.watches(address(n + 20_000))));
        assert!(!all().any(|n| unsure.has(address(n + 20_000)) || unsure.has(address(n + 40_000))));
    }

    #[test]
    fn an_object_is_followed_until_it_is_examined_without_its_methods() {
        let mut unsure = Unsure::default();
        let [object, one, other] = [1, 2, 3].map(address);
        unsure.add_method(object, one);
        unsure.add_method(object, other);
        unsure.note_searched([object].into_iter(), true, true);
        unsure.drop_method(one);
        unsure.note_searched([object].into_iter(), true, true);
        assert!(unsure.has(object) && !unsure.watches(one));
        unsure.drop_gone(|address| address == other);
        assert!(unsure.has(object));
        unsure.note_searched([object].into_iter(), false, true);
        assert!(unsure.is_empty() && !unsure.watches(object));
    }

    #[test]
    fn one_change_is_over_once_it_is_examined() {
        let mut unsure = Unsure::default();
        unsure.add_changed(address(1));
        unsure.add_lasting(address(2));
        unsure.note_searched(std::iter::empty(), true, true);
        assert!(unsure.has(address(1)));
        unsure.note_searched([1, 2].map(address).into_iter(), true, true);
        assert!(!unsure.has(address(1)) && unsure.has(address(2)));
        unsure.drop_gone(|gone| gone == address(2));
        assert!(unsure.is_empty() && unsure.lasting == 0);
    }

    #[test]
    fn the_latest_are_kept_where_nothing_is_reported() {
        let mut unsure = Unsure::default();
        for n in 1..=6 {
            unsure.make_room_untraced();
            unsure.add_changed(address(n));
        }
        assert!((1..=6).all(|n| unsure.has(address(n)) == (n > 2)));
    }
}
