//! Which objects were described, and whether they still exist.
//!
//! An address alone proves little: another object may be there by now. From 3.13 on CPython reports
//! when it makes an object. So the description of the object at an address holds until another
//! object is made there, or something changes it. Before 3.13, only what examining shows counts.
//! (CPython also reports when an object is destroyed, but not always: not before 3.13.3, and in
//! 3.14 not for deeply nested objects.)

use super::unsure::Unsure;
use crate::shim::ffi::{Obj, tracer};
use dashcam_schema::value::Sort;
use std::cell::Cell;

/// The table of remembered objects: each address belongs to one of this many sets, with this many
/// ways. An object that drops out of the table has to be described again. Until then its contents
/// are unknown.
const SETS: usize = 1 << 13;
const WAYS: usize = 4;

/// In place of the class of an object that was not described: it is not known whether another was
/// described at its address before, or it is certain that this is a new one.
const UNKNOWN: usize = 0;
const NEW: usize = 1;

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
    /// It has to be known when this object is gone, so its entry stays if possible.
    is_watched: bool,
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
    /// How many watched objects were found to be gone since this was last asked.
    gone: Cell<u32>,
    /// A tracer that was set by other code, which ours calls.
    next: Cell<Option<tracer::Set>>,
}

impl Places {
    fn new() -> Places {
        Places {
            addresses: (0..SETS).map(|_| Default::default()).collect(),
            described: (0..SETS).map(|_| Default::default()).collect(),
            gone: Cell::new(0),
            next: Cell::new(None),
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
        let is_free = |described: &Cell<Described>| {
            let described = described.get();
            described.address == 0 || described.is_gone && !described.is_watched
        };
        let way = self.described[set].iter().position(is_free).unwrap_or_else(|| {
            let ways = (0..WAYS).map(|way| (way + (address >> 9)) % WAYS);
            let mut unwatched = ways.filter(|way| !self.described[set][*way].get().is_watched);
            unwatched.next().unwrap_or((address >> 9) % WAYS)
        });
        self.addresses[set][way].set(address);
        &self.described[set][way]
    }
}

pub(super) struct Descriptions {
    /// Shared with the tracer, which is called while objects are examined.
    places: Box<Places>,
    epoch: u32,
    /// CPython is to report new objects if it can.
    wants_traces: bool,
    /// CPython reports new objects.
    traces: bool,
    /// How often something may have changed objects without a record.
    doubts: u32,
    /// Such changes may happen at any time.
    is_suspicious: bool,
    /// Single objects that may be changed at any time, or were changed and not examined since.
    unsure: Unsure,
    /// How many searches for them may pass until those that are gone are dropped.
    searches: u32,
}

/// Unsure objects that are gone are dropped once there are this many of them, or after this many
/// searches.
const GONE_MAX: u32 = 16;
const SEARCHES_MAX: u32 = 1 << 10;

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
            wants_traces,
            traces: false,
            doubts: 0,
            is_suspicious: false,
            unsure: Unsure::default(),
            searches: SEARCHES_MAX,
        };
        descriptions.begin_tracing();
        descriptions
    }

    /// What the tracer is called with.
    fn tracer_data(&self) -> *mut std::ffi::c_void {
        (&raw const *self.places).cast_mut().cast()
    }

    /// Has CPython report when objects are made, if wanted and possible.
    fn begin_tracing(&mut self) {
        if self.wants_traces && !self.traces {
            // SAFETY: the places stay where they are until `drop` has taken the tracer away; both
            // happen under the GIL, as do its calls.
            self.traces = unsafe { tracer::set(mark_gone, self.tracer_data()) };
            for address in self.unsure.addresses() {
                self.watch(address);
            }
        }
    }

    /// Notes that `tracemalloc` was switched on or off by the call that ends just now. That sets or
    /// unsets its own tracer, whatever was set before. No object was made since.
    pub(super) fn keep_tracing(&mut self) {
        if !self.traces || tracer::is_set(mark_gone) {
            return;
        }
        // SAFETY: as in `begin_tracing`.
        match unsafe { tracer::set_before(mark_gone, self.tracer_data()) } {
            Ok(next) => self.places.next.set(next),
            Err(()) => self.stop_tracing(),
        }
    }

    /// Notes that some new objects may have been missed.
    fn stop_tracing(&mut self) {
        self.traces = false;
        *self.places = Places::new();
    }

    /// Begins an epoch: from now on everything has to be described anew.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        if self.traces && !tracer::is_set(mark_gone) {
            // Another tracer took its place.
            self.stop_tracing();
        }
        self.begin_tracing();
    }

    /// Returns what is known of an object.
    #[inline(always)]
    pub(super) fn of(&self, object: Obj<'_>) -> Known {
        let Some(described) = self.places.find(object.address()).map(Cell::get) else {
            return Known::Nothing { is_new: false, is_same: false };
        };
        if described.is_gone || described.class != object.class().address() {
            let is_same = self.traces && !described.is_gone && described.class > NEW;
            let is_new = described.is_gone || described.class == NEW;
            return Known::Nothing { is_new, is_same };
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

    /// Notes that from now on something may change this object at any time without a record: as
    /// long as the method exists that would change it, if there is one.
    pub(super) fn suspect_object(&mut self, object: Obj<'_>, method: Option<Obj<'_>>) {
        self.drop_gone();
        let address = object.address();
        match method.filter(|_| self.traces) {
            Some(method) => {
                self.unsure.add_method(address, method.address());
                self.watch(method.address());
            }
            None => {
                self.make_room_untraced(address);
                self.unsure.add_lasting(address);
            }
        }
        self.watch(address);
    }

    /// Notes that the object at this address, of which nothing else is known, is changed by the
    /// running instruction: once if `is_once`, else perhaps at any time. Returns how many objects
    /// were given up to make room.
    pub(super) fn suspect_hidden(&mut self, address: usize, is_once: bool) -> u32 {
        let is_gone = |described: &Cell<Described>| described.get().is_gone;
        if self.traces && self.places.find(address).is_some_and(is_gone) {
            return 0;
        }
        let given_up = if self.unsure.is_full() { self.give_up_changed() } else { 0 };
        self.make_room_untraced(address);
        match is_once {
            true => self.unsure.add_changed(address),
            false => self.unsure.add_lasting(address),
        }
        self.watch(address);
        given_up
    }

    /// Gives up finding the objects that were changed once. If they occur, they are examined.
    #[cold]
    fn give_up_changed(&mut self) -> u32 {
        self.drop_gone();
        let (places, mut count) = (&self.places, 0);
        self.unsure.take_changed(|address| {
            count += 1;
            if let Some(place) = places.find(address) {
                place.set(Described { print: 0, is_watched: false, ..place.get() });
            }
        });
        self.doubt();
        count
    }

    fn make_room_untraced(&mut self, address: usize) {
        if !self.traces && !self.unsure.has(address) {
            self.unsure.make_room_untraced();
        }
    }

    /// Sees to it that it is known when the object at this address is gone.
    fn watch(&mut self, address: usize) {
        if !self.traces {
            return;
        }
        let place = self.places.place(address);
        let known = place.get();
        let kept = match known.address == address {
            true if known.is_gone => Described { address, class: NEW, ..Described::default() },
            true => known,
            false => Described { address, class: UNKNOWN, ..Described::default() },
        };
        place.set(Described { is_watched: true, ..kept });
    }

    /// Notes that it need not be known any more when the object at this address is gone.
    fn unwatch(&mut self, address: usize) {
        if !self.unsure.watches(address)
            && let Some(place) = self.places.find(address)
        {
            place.set(Described { is_watched: false, ..place.get() });
        }
    }

    /// Whether the object at this address may be changed at any time by itself, or was changed and
    /// not examined since.
    #[inline(always)]
    pub(super) fn is_unsure(&self, address: usize) -> bool {
        !self.unsure.is_empty() && self.unsure.has(address)
    }

    /// Whether there are such objects.
    #[inline(always)]
    pub(super) fn has_unsure(&self) -> bool {
        !self.unsure.is_empty()
    }

    /// How many steps an event earns to search for these objects.
    pub(super) fn search_steps(&self) -> u32 {
        self.unsure.steps()
    }

    /// Notes that a method that would change an object will not exist any more after the running
    /// instruction.
    pub(super) fn note_method_over(&mut self, method: Obj<'_>) {
        self.unsure.drop_method(method.address());
        self.unwatch(method.address());
    }

    /// Notes that the running frame's variables were searched for these objects, and that those
    /// which were found have been examined. `is_whole` if what they hold was searched too.
    pub(super) fn note_searched(&mut self, found: &[Obj<'_>], is_whole: bool) {
        self.searches -= 1;
        if self.searches == 0 || self.places.gone.get() >= GONE_MAX {
            self.searches = SEARCHES_MAX;
            self.drop_gone();
        }
        let found = found.iter().map(|object| object.address());
        self.unsure.note_searched(found.clone(), is_whole, self.traces);
        found.for_each(|address| self.unwatch(address));
    }

    /// Drops those of these objects that CPython reported to be gone, or that have given their
    /// address to another.
    fn drop_gone(&mut self) {
        if self.places.gone.replace(0) > 0 {
            let places = &self.places;
            self.unsure.drop_gone(|address| {
                let Some(place) = places.find(address).filter(|place| place.get().is_gone) else {
                    return false;
                };
                place.set(Described { is_watched: false, ..place.get() });
                true
            });
        }
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
        let place = self.places.place(address);
        let is_watched = self.traces && !self.unsure.is_empty() && self.unsure.watches(address);
        if is_watched && place.get().address == address && place.get().is_gone {
            // This is another object than the one that was watched.
            self.unsure.replace(address);
        }
        let is_watched = is_watched && self.unsure.watches(address);
        let described = Described {
            address,
            class,
            print,
            epoch,
            size,
            depth,
            validity,
            is_gone,
            is_watched,
            doubts,
            sized,
            taken,
        };
        place.set(described);
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
            tracer::unset(mark_gone, self.places.next.get());
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
    event: std::ffi::c_int,
    places: *mut std::ffi::c_void,
) -> std::ffi::c_int {
    // SAFETY: `new` passed these, and they are there as long as the tracer is set.
    let places = unsafe { &*places.cast::<Places>() };
    if let Some(place) = places.find(object as usize) {
        let described = place.get();
        if described.is_watched && !described.is_gone {
            places.gone.set(places.gone.get() + 1);
        }
        place.set(Described { is_gone: true, ..described });
    }
    match places.next.get() {
        None => 0,
        // SAFETY: called with what it was set with.
        Some((next, data)) => unsafe { next(object, event, data) },
    }
}
