//! Which objects were described, and whether they still exist.
//!
//! An address alone proves little: another object may be there by now. From 3.13 on CPython reports
//! when it makes an object. So the description of the object at an address holds until another
//! object is made there, or something changes it. Before 3.13, only what examining shows counts.
//! (CPython also reports when an object is destroyed, but not always: not before 3.13.3, and in
//! 3.14 not for deeply nested objects.)

use crate::shim::ffi::{Obj, tracer};
use arrayvec::ArrayVec;
use dashcam_schema::value::Sort;
use std::cell::Cell;

/// The table of remembered objects: each address belongs to one of this many sets, with this many
/// ways. An object that drops out of the table has to be described again. Until then its contents
/// are unknown.
const SETS: usize = 1 << 13;
const WAYS: usize = 4;

/// The print of contents that have changed since their hash was computed.
const STALE: u64 = 2;

#[derive(Clone, Copy, Default)]
struct Described {
    address: usize,
    class: usize,
    /// Hash of the contents that were described; 0 if only the class was recorded.
    print: u64,
    epoch: u32,
    /// How many items it had, if it is a container of many.
    size: u32,
    sized: Sized,
    /// How many items were taken out since it was examined.
    taken: u8,
    /// How deep within other objects it was when it was examined.
    depth: u8,
    validity: Validity,
    is_gone: bool,
    /// [`Descriptions::doubts`] when it was found to hold this.
    doubts: u32,
}

/// How long the description of an object holds without examining it again, where CPython reports
/// when objects are made.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Validity {
    /// It may change without any sign.
    #[default]
    Never,
    /// Until something may have changed objects without a record.
    UntilDoubt,
    /// It cannot change.
    Always,
}

/// What is known of an object.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// It was described since the last epoch. `is_trusted` if it is certain that this is the same
    /// object and that it still holds that. `depth` is how deep within others it was examined.
    Described { print: u64, depth: u32, is_trusted: bool },
    /// Its contents were described before the last epoch; this certainly is that object.
    Earlier,
    /// `is_new` if it is certain that it was not described; `is_same` if it is certain that it was,
    /// with another class.
    Nothing { is_new: bool, is_same: bool },
}

/// The addresses are kept apart, because they are searched each time an object is made.
struct Places {
    addresses: Box<[[Cell<usize>; WAYS]]>,
    described: Box<[[Cell<Described>; WAYS]]>,
}

impl Places {
    fn new() -> Places {
        Places {
            addresses: (0..SETS).map(|_| Default::default()).collect(),
            described: (0..SETS).map(|_| Default::default()).collect(),
        }
    }

    /// Returns the entry of the object at an address.
    #[inline(always)]
    fn find(&self, address: usize) -> Option<&Cell<Described>> {
        let set = set(address);
        let way = self.addresses[set].iter().position(|known| known.get() == address)?;
        Some(&self.described[set][way])
    }

    /// Returns the place for an entry: that of an object that is gone, if there is one.
    fn place(&self, address: usize) -> &Cell<Described> {
        if let Some(place) = self.find(address) {
            return place;
        }
        let set = set(address);
        let is_free =
            |described: &Cell<Described>| described.get().address == 0 || described.get().is_gone;
        let way = self.described[set].iter().position(is_free);
        let way = way.unwrap_or((address >> 9) % WAYS);
        self.addresses[set][way].set(address);
        &self.described[set][way]
    }
}

pub(super) struct Descriptions {
    /// Shared with the tracer, which is called while objects are examined.
    places: Box<Places>,
    epoch: u32,
    /// CPython reports new objects.
    traces: bool,
    /// How often something may have changed objects without a record.
    doubts: u32,
    /// Such changes may happen at any time.
    is_suspicious: bool,
    /// Addresses of single objects that may be changed at any time. Some may belong to other
    /// objects by now.
    unsure: ArrayVec<usize, UNSURE_MAX>,
    /// A bit for each of them, at [`unsure_bit`]: most other objects are ruled out by it.
    unsure_bits: [u64; UNSURE_BITS / 64],
    /// How often nothing led to one of them.
    unreached: u32,
}

/// With more of them, all objects are taken to change at any time.
const UNSURE_MAX: usize = 256;
/// Enough that few other objects share a bit with one of them.
const UNSURE_BITS: usize = 4096;
/// The most of them where CPython does not report when objects are destroyed. The latest are kept.
const UNSURE_UNTRACED_MAX: usize = 4;
const UNREACHED_MAX: u32 = 1 << 8;

/// The place of an address among the bits: a word, and a bit of it.
#[inline(always)]
fn unsure_bit(address: usize) -> (usize, u64) {
    let place = (address >> 4 ^ address >> 14) % UNSURE_BITS;
    (place / 64, 1 << (place % 64))
}

#[inline(always)]
fn set(address: usize) -> usize {
    (address >> 4 ^ address >> 17) & (SETS - 1)
}

impl Descriptions {
    /// Returns an empty table. If wanted and possible, has CPython report when objects are made.
    pub(super) fn new(wants_traces: bool) -> Descriptions {
        let places = Box::new(Places::new());
        let mut descriptions = Descriptions {
            places,
            epoch: 0,
            traces: false,
            doubts: 0,
            is_suspicious: false,
            unsure: ArrayVec::new(),
            unsure_bits: [0; UNSURE_BITS / 64],
            unreached: 0,
        };
        if wants_traces {
            let data = (&raw const *descriptions.places).cast_mut().cast();
            // SAFETY: the places stay where they are until `drop` has taken the tracer away; both
            // happen under the GIL, as do its calls.
            descriptions.traces = unsafe { tracer::set(mark_gone, data) };
        }
        descriptions
    }

    /// Begins an epoch: from now on everything has to be described anew.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        if self.traces && !tracer::is_set(mark_gone) {
            // Another tracer took its place, so some new objects may have been missed.
            self.traces = false;
            *self.places = Places::new();
        }
    }

    /// Returns what is known of an object.
    #[inline(always)]
    pub(super) fn of(&self, object: Obj<'_>) -> Known {
        let Some(described) = self.places.find(object.address()).map(Cell::get) else {
            return Known::Nothing { is_new: false, is_same: false };
        };
        if described.is_gone || described.class != object.class().address() {
            let is_same = self.traces && !described.is_gone;
            return Known::Nothing { is_new: described.is_gone, is_same };
        }
        if described.epoch == self.epoch {
            let Described { print, depth, .. } = described;
            let is_trusted = self.traces && print != 0 && self.is_valid(&described, object);
            return Known::Described { print, depth: depth.into(), is_trusted };
        }
        if self.traces && described.print != 0 {
            Known::Earlier
        } else {
            Known::Nothing { is_new: false, is_same: false }
        }
    }

    /// Whether an object still holds what was described.
    #[inline(always)]
    fn is_valid(&self, described: &Described, object: Obj<'_>) -> bool {
        match described.validity {
            Validity::Never => false,
            // The number of items shows most of the changes that were not recorded after all.
            Validity::UntilDoubt => {
                described.doubts == self.doubts
                    && !self.is_suspicious
                    && described.size == described.sized.of(object)
                    && !self.is_unsure(object.address())
            }
            Validity::Always => true,
        }
    }

    /// Notes that something may just have changed objects without a record.
    pub(super) fn doubt(&mut self) {
        self.doubts = self.doubts.wrapping_add(1);
    }

    /// Notes that from now on something may change objects at any time without a record.
    pub(super) fn suspect(&mut self) {
        self.is_suspicious = true;
    }

    /// The same for this object alone.
    pub(super) fn suspect_object(&mut self, object: Obj<'_>) {
        if !self.add_unsure(object.address()) {
            self.suspect();
        }
    }

    /// Notes that the object at this address, of which nothing else is known, is changed. If there
    /// are too many such objects, all objects are examined again.
    pub(super) fn suspect_hidden(&mut self, address: usize) {
        if !self.add_unsure(address) {
            self.doubt();
        }
    }

    /// Adds an object to those that may be changed at any time by themselves. False if there is no
    /// room.
    fn add_unsure(&mut self, address: usize) -> bool {
        if !self.traces && self.unsure.len() == UNSURE_UNTRACED_MAX {
            self.unsure.remove(0);
        }
        if self.is_unsure(address) {
            return true;
        }
        if self.unsure.is_full() {
            self.drop_gone();
        }
        let has_room = self.unsure.try_push(address).is_ok();
        self.note_unsure();
        has_room
    }

    /// Whether the object at this address may be changed at any time by itself.
    #[inline(always)]
    pub(super) fn is_unsure(&self, address: usize) -> bool {
        let (word, bit) = unsure_bit(address);
        self.unsure_bits[word] & bit != 0 && self.unsure.contains(&address)
    }

    /// Notes that the addresses of such objects have changed.
    fn note_unsure(&mut self) {
        self.unsure_bits = [0; UNSURE_BITS / 64];
        for address in &self.unsure {
            let (word, bit) = unsure_bit(*address);
            self.unsure_bits[word] |= bit;
        }
    }

    /// Whether there are single objects that may be changed at any time.
    #[inline(always)]
    pub(super) fn has_unsure(&self) -> bool {
        !self.unsure.is_empty()
    }

    /// Notes that the program's variables were searched for these objects, and which were found.
    /// Those that do not exist any more are dropped. Where CPython does not report that, those that
    /// were not found are dropped after a while.
    pub(super) fn note_searched(&mut self, is_found: impl Fn(usize) -> bool) {
        if self.traces {
            return self.drop_gone();
        }
        let unreached = &mut self.unreached;
        self.unsure.retain(|address| {
            *unreached += u32::from(!is_found(*address));
            let is_kept = *unreached < UNREACHED_MAX;
            *unreached %= UNREACHED_MAX;
            is_kept
        });
        self.note_unsure();
    }

    /// Drops those of these objects that CPython reported to be gone. If another object has taken
    /// the entry of one by now, that one is described anew when it occurs.
    fn drop_gone(&mut self) {
        let places = &self.places;
        let is_there =
            |address| places.find(address).is_some_and(|described| !described.get().is_gone);
        self.unsure.retain(|address| is_there(*address));
        self.note_unsure();
    }

    /// Whether an object certainly holds what was described since the last epoch, with all recorded
    /// changes.
    #[inline(always)]
    pub(super) fn is_certain(&self, object: Obj<'_>) -> bool {
        matches!(self.of(object), Known::Described { is_trusted: true, .. })
    }

    /// The same, including everything that would be examined at this depth.
    #[inline(always)]
    pub(super) fn is_certain_at(&self, object: Obj<'_>, wanted: u32) -> bool {
        matches!(self.of(object), Known::Described { is_trusted: true, depth, .. } if depth <= wanted)
    }

    /// Returns the entry of an object if its contents were described since the last epoch.
    fn contents(&self, object: Obj<'_>) -> Option<Described> {
        let described = self.places.find(object.address())?.get();
        let is_same = described.class == object.class().address() && described.epoch == self.epoch;
        (is_same && !described.is_gone && described.print != 0).then_some(described)
    }

    /// Whether the contents of an object were described.
    pub(super) fn has_contents(&self, object: Obj<'_>) -> bool {
        match self.of(object) {
            Known::Described { print, .. } => print != 0,
            Known::Earlier => true,
            Known::Nothing { .. } => false,
        }
    }

    /// Whether it has another number of items than its description.
    pub(super) fn is_resized(&self, object: Obj<'_>) -> bool {
        self.contents(object).is_some_and(|described| described.size != described.sized.of(object))
    }

    /// Whether its contents are certain except for `more` items.
    pub(super) fn is_certain_but_for(&self, object: Obj<'_>, more: i32) -> bool {
        let is_certain = |described: Described| {
            described.size.wrapping_add_signed(more) == described.sized.of(object)
                && described.doubts == self.doubts
                && !self.is_suspicious
                && !self.is_unsure(object.address())
        };
        self.traces && self.contents(object).is_some_and(is_certain)
    }

    /// Notes that an object is changed, and has to be examined before anything is recorded of it.
    pub(super) fn distrust(&mut self, object: Obj<'_>) {
        self.distrust_at(object.address());
    }

    /// The same for the object at an address.
    pub(super) fn distrust_at(&mut self, address: usize) {
        if let Some(place) = self.places.find(address) {
            place.set(Described { print: 0, ..place.get() });
        }
    }

    /// Notes that an object was described.
    pub(super) fn note_described(
        &mut self,
        object: Obj<'_>,
        print: u64,
        depth: u32,
        validity: Validity,
        sized: Sized,
    ) {
        let (address, class) = (object.address(), object.class().address());
        let (epoch, size, depth) = (self.epoch, sized.of(object), depth.min(255) as u8);
        let (doubts, is_gone, taken) = (self.doubts, false, 0);
        let described = Described {
            address,
            class,
            print,
            epoch,
            size,
            depth,
            validity,
            is_gone,
            doubts,
            sized,
            taken,
        };
        self.places.place(address).set(described);
    }

    /// Notes that an object is changed by a recorded change, and will have `more` items more.
    pub(super) fn note_change(&mut self, object: Obj<'_>, more: i32) {
        if let Some(place) = self.places.find(object.address())
            && place.get().print != 0
        {
            let described = place.get();
            let size = described.sized.of(object).wrapping_add_signed(more);
            place.set(Described { print: STALE, size, ..described });
        }
    }

    /// Notes that an item was taken out of an object of which at least `shown` items are shown, if
    /// it has as many. False if too few items may be left that are known.
    pub(super) fn note_taken(&mut self, object: Obj<'_>, shown: u32) -> bool {
        let Some(place) = self.places.find(object.address()) else { return false };
        let described = place.get();
        let is_enough = described.size <= shown || u32::from(described.taken) < shown / 2;
        if is_enough {
            place.set(Described { taken: described.taken.saturating_add(1), ..described });
        }
        is_enough
    }

    /// Whether objects that were described need not be examined until something may have changed
    /// them.
    #[inline(always)]
    pub(super) fn is_lasting(&self) -> bool {
        self.traces && !self.is_suspicious
    }

    /// Whether CPython reports when objects are made.
    pub(super) fn traces(&self) -> bool {
        self.traces
    }
}

impl Drop for Descriptions {
    fn drop(&mut self) {
        if self.traces {
            tracer::unset(mark_gone);
        }
    }
}

/// Where those containers that code in C may change keep their number of items.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sized {
    #[default]
    No,
    List,
    Set,
}

impl Sized {
    pub(super) fn of_sort(sort: Sort) -> Sized {
        match sort {
            Sort::List | Sort::Dict | Sort::Deque | Sort::ByteArray | Sort::Array => Sized::List,
            Sort::Set => Sized::Set,
            _ => Sized::No,
        }
    }

    #[inline(always)]
    fn of(self, object: Obj<'_>) -> u32 {
        match self {
            Sized::No => 0,
            Sized::List => object.size() as u32,
            Sized::Set => object.set_size() as u32,
        }
    }
}

/// CPython calls this when it makes an object, and when it destroys one. Either way, the object
/// that was at the address is gone.
unsafe extern "C" fn mark_gone(
    object: *mut pyo3::ffi::PyObject,
    _event: std::ffi::c_int,
    places: *mut std::ffi::c_void,
) -> std::ffi::c_int {
    // SAFETY: `new` passed these, and they are there as long as the tracer is set.
    let places = unsafe { &*places.cast::<Places>() };
    if let Some(place) = places.find(object as usize) {
        place.set(Described { is_gone: true, ..place.get() });
    }
    0
}
