//! Which objects were told of, and whether they still are there.
//!
//! An address says little: another object may be there by now. From 3.13 on CPython says when an
//! object is made, so what was told of the one at an address holds until another is made there, or
//! something changes it; before, only what is found by looking counts. (That an object is destroyed
//! it says too, but not always: not before 3.13.3, and in 3.14 not of deeply nested ones.)

use crate::shim::ffi::{Obj, tracer};
use arrayvec::ArrayVec;
use dashcam_schema::value::Sort;
use std::cell::Cell;

/// Objects remembered: sets of so many, an address has one. An object that is forgotten has to be told
/// of again, and until then nobody knows what it holds.
const SETS: usize = 1 << 13;
const WAYS: usize = 4;

/// The hash of contents that were changed since they were hashed.
const STALE: u64 = 2;

#[derive(Clone, Copy, Default)]
struct Told {
    address: usize,
    class: usize,
    /// Hash of what was told; 0 if only its class was.
    print: u64,
    epoch: u32,
    /// How many items it had, if it is a container of many.
    size: u32,
    sized: Sized,
    /// How many items were taken out since it was looked at.
    taken: u8,
    /// How deep within other objects it was when it was looked at.
    depth: u8,
    rest: Rest,
    is_gone: bool,
    /// [`Tellings::doubts`] when it was found to hold this.
    doubts: u32,
}

/// How long what was told of an object holds without another look, where CPython says when objects are
/// made.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// It may change without anything that shows.
    #[default]
    Never,
    /// Until something may have changed objects that is not recorded.
    UntilDoubt,
    /// It cannot change.
    Always,
}

/// What was told of an object.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// Since the last epoch. `is_trusted` if it is certain that this is that object, and holds that.
    /// `depth` is how deep within others it was looked at.
    Told { print: u64, depth: u32, is_trusted: bool },
    /// What it held, before the last epoch; this certainly is that object.
    Earlier,
    /// `is_new` if it is certain that it was not told of, `is_same` if that it was, of another class.
    Nothing { is_new: bool, is_same: bool },
}

/// The addresses by themselves: whoever makes an object asks for its own.
struct Places {
    addresses: Box<[[Cell<usize>; WAYS]]>,
    told: Box<[[Cell<Told>; WAYS]]>,
}

impl Places {
    fn new() -> Places {
        Places {
            addresses: (0..SETS).map(|_| Default::default()).collect(),
            told: (0..SETS).map(|_| Default::default()).collect(),
        }
    }

    /// Where what was told of the object at an address is.
    #[inline(always)]
    fn find(&self, address: usize) -> Option<&Cell<Told>> {
        let set = set(address);
        let way = self.addresses[set].iter().position(|known| known.get() == address)?;
        Some(&self.told[set][way])
    }

    /// Where it is to be put: in the place of one that is gone, if there is such.
    fn place(&self, address: usize) -> &Cell<Told> {
        if let Some(place) = self.find(address) {
            return place;
        }
        let set = set(address);
        let is_free = |told: &Cell<Told>| told.get().address == 0 || told.get().is_gone;
        let way = self.told[set].iter().position(is_free);
        let way = way.unwrap_or((address >> 9) % WAYS);
        self.addresses[set][way].set(address);
        &self.told[set][way]
    }
}

pub(super) struct Tellings {
    /// Shared with the tracer, which comes while we look.
    places: Box<Places>,
    epoch: u32,
    /// New objects are told of.
    traces: bool,
    /// How often something may have changed objects that is not recorded.
    doubts: u32,
    /// That may be any time.
    is_suspicious: bool,
    /// Addresses of objects that alone may be changed any time; some may be of other objects by now.
    unsure: ArrayVec<usize, UNSURE_MAX>,
    /// How often nothing has led to one of them.
    unreached: u32,
}

/// With more, all may be changed any time.
const UNSURE_MAX: usize = 64;
/// So many where CPython does not say when objects are destroyed: the last.
const UNSURE_UNTRACED_MAX: usize = 4;
const UNREACHED_MAX: u32 = 1 << 8;

#[inline(always)]
fn set(address: usize) -> usize {
    (address >> 4 ^ address >> 17) & (SETS - 1)
}

impl Tellings {
    /// If wanted and possible, has CPython say when objects are made.
    pub(super) fn new(wants_traces: bool) -> Tellings {
        let places = Box::new(Places::new());
        let mut tellings = Tellings {
            places,
            epoch: 0,
            traces: false,
            doubts: 0,
            is_suspicious: false,
            unsure: ArrayVec::new(),
            unreached: 0,
        };
        if wants_traces {
            let data = (&raw const *tellings.places).cast_mut().cast();
            // SAFETY: the places stay where they are until `drop` has taken the tracer away; both
            // happen under the GIL, as do its calls.
            tellings.traces = unsafe { tracer::set(renewed, data) };
        }
        tellings
    }

    /// From now on everything has to be told anew.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        if self.traces && !tracer::is_set(renewed) {
            // Somebody else took its place, so some may have been missed.
            self.traces = false;
            *self.places = Places::new();
        }
    }

    /// What was told of an object.
    #[inline(always)]
    pub(super) fn of(&self, object: Obj<'_>) -> Known {
        let Some(told) = self.places.find(object.address()).map(Cell::get) else {
            return Known::Nothing { is_new: false, is_same: false };
        };
        if told.is_gone || told.class != object.class().address() {
            let is_same = self.traces && !told.is_gone;
            return Known::Nothing { is_new: told.is_gone, is_same };
        }
        if told.epoch == self.epoch {
            let Told { print, depth, .. } = told;
            let is_trusted = self.traces && print != 0 && self.rests(&told, object);
            return Known::Told { print, depth: depth.into(), is_trusted };
        }
        if self.traces && told.print != 0 {
            Known::Earlier
        } else {
            Known::Nothing { is_new: false, is_same: false }
        }
    }

    /// Whether an object still holds what was told of it.
    #[inline(always)]
    fn rests(&self, told: &Told, object: Obj<'_>) -> bool {
        match told.rest {
            Rest::Never => false,
            // Of what is not recorded after all, this shows most.
            Rest::UntilDoubt => {
                told.doubts == self.doubts
                    && !self.is_suspicious
                    && told.size == told.sized.of(object)
                    && !self.unsure.contains(&object.address())
            }
            Rest::Always => true,
        }
    }

    /// Something may just have changed objects that is not recorded.
    pub(super) fn doubt(&mut self) {
        self.doubts = self.doubts.wrapping_add(1);
    }

    /// From now on something may change objects any time that is not recorded.
    pub(super) fn suspect(&mut self) {
        self.is_suspicious = true;
    }

    /// The same of this object alone.
    pub(super) fn suspect_alone(&mut self, object: Obj<'_>) {
        if !self.add_unsure(object.address()) {
            self.suspect();
        }
    }

    /// The object at this address, of which nothing else is known, is changed. One too many is told anew like
    /// all others.
    pub(super) fn suspect_hidden(&mut self, address: usize) {
        if !self.add_unsure(address) {
            self.doubt();
        }
    }

    /// Adds an object to those that alone may be changed any time; false if there is no room.
    fn add_unsure(&mut self, address: usize) -> bool {
        if !self.traces && self.unsure.len() == UNSURE_UNTRACED_MAX {
            self.unsure.remove(0);
        }
        self.unsure.contains(&address) || self.unsure.try_push(address).is_ok()
    }

    /// Whether there are objects that alone may be changed any time.
    #[inline(always)]
    pub(super) fn has_unsure(&self) -> bool {
        !self.unsure.is_empty()
    }

    /// The addresses of those that may still be there. Whether one is, has to be found out: an object is
    /// destroyed for good after its finalizer, which nothing says.
    pub(super) fn unsure(&mut self) -> ArrayVec<usize, UNSURE_MAX> {
        if self.traces {
            // What was told of it may have given way to another's by now: it is told anew when it is met.
            let places = &self.places;
            let is_there = |address| places.find(address).is_some_and(|told| !told.get().is_gone);
            self.unsure.retain(|address| is_there(*address));
        }
        self.unsure.clone()
    }

    /// Nothing leads to the object at this address from where the program is. Where CPython does not say
    /// when objects are destroyed, it is forgotten after a while.
    pub(super) fn note_unreached(&mut self, address: usize) {
        if !self.traces {
            self.unreached += 1;
            if self.unreached >= UNREACHED_MAX {
                self.unreached = 0;
                self.unsure.retain(|unsure| *unsure != address);
            }
        }
    }

    /// Whether an object holds what was told of it since the last epoch, as far as changes are told.
    #[inline(always)]
    pub(super) fn is_certain(&self, object: Obj<'_>) -> bool {
        matches!(self.of(object), Known::Told { is_trusted: true, .. })
    }

    /// The same, all that would be looked at at this depth included.
    #[inline(always)]
    pub(super) fn is_certain_at(&self, object: Obj<'_>, wanted: u32) -> bool {
        matches!(self.of(object), Known::Told { is_trusted: true, depth, .. } if depth <= wanted)
    }

    /// What the object at this address held, if it was told since the last epoch.
    fn contents(&self, object: Obj<'_>) -> Option<Told> {
        let told = self.places.find(object.address())?.get();
        let is_it = told.class == object.class().address() && told.epoch == self.epoch;
        (is_it && !told.is_gone && told.print != 0).then_some(told)
    }

    /// Whether it was told what an object holds.
    pub(super) fn has_contents(&self, object: Obj<'_>) -> bool {
        match self.of(object) {
            Known::Told { print, .. } => print != 0,
            Known::Earlier => true,
            Known::Nothing { .. } => false,
        }
    }

    /// Whether it has another number of items than it was told to have.
    pub(super) fn is_resized(&self, object: Obj<'_>) -> bool {
        self.contents(object).is_some_and(|told| told.size != told.sized.of(object))
    }

    /// Whether it is certain what it holds, but for so many items more.
    pub(super) fn is_certain_but_for(&self, object: Obj<'_>, more: i32) -> bool {
        let is_it = |told: Told| {
            told.size.wrapping_add_signed(more) == told.sized.of(object)
                && told.doubts == self.doubts
                && !self.is_suspicious
                && !self.unsure.contains(&object.address())
        };
        self.traces && self.contents(object).is_some_and(is_it)
    }

    /// An object is changed, and has to be looked at before anything is told of it.
    pub(super) fn distrust(&mut self, object: Obj<'_>) {
        self.distrust_at(object.address());
    }

    /// The same of what is at an address.
    pub(super) fn distrust_at(&mut self, address: usize) {
        if let Some(place) = self.places.find(address) {
            place.set(Told { print: 0, ..place.get() });
        }
    }

    /// An object was told of.
    pub(super) fn note(
        &mut self,
        object: Obj<'_>,
        print: u64,
        depth: u32,
        rest: Rest,
        sized: Sized,
    ) {
        let (address, class) = (object.address(), object.class().address());
        let (epoch, size, depth) = (self.epoch, sized.of(object), depth.min(255) as u8);
        let (doubts, is_gone, taken) = (self.doubts, false, 0);
        let told =
            Told { address, class, print, epoch, size, depth, rest, is_gone, doubts, sized, taken };
        self.places.place(address).set(told);
    }

    /// An object is changed in a way that was told of, and will have so many items more.
    pub(super) fn note_change(&mut self, object: Obj<'_>, more: i32) {
        if let Some(place) = self.places.find(object.address())
            && place.get().print != 0
        {
            let told = place.get();
            let size = told.sized.of(object).wrapping_add_signed(more);
            place.set(Told { print: STALE, size, ..told });
        }
    }

    /// An item was taken out of an object of so many, of which so many at least are shown. False if there
    /// may be too few left that are known.
    pub(super) fn note_taken(&mut self, object: Obj<'_>, shown: u32) -> bool {
        let Some(place) = self.places.find(object.address()) else { return false };
        let told = place.get();
        let is_enough = told.size <= shown || u32::from(told.taken) < shown / 2;
        if is_enough {
            place.set(Told { taken: told.taken.saturating_add(1), ..told });
        }
        is_enough
    }

    /// Whether objects that were described need no other look until something may have changed them.
    #[inline(always)]
    pub(super) fn is_lasting(&self) -> bool {
        self.traces && !self.is_suspicious
    }

    /// Whether CPython says when objects are made.
    pub(super) fn traces(&self) -> bool {
        self.traces
    }
}

impl Drop for Tellings {
    fn drop(&mut self) {
        if self.traces {
            tracer::unset(renewed);
        }
    }
}

/// Where containers that code in C may have in hand say how many items they have.
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

/// What CPython calls when it makes an object, and when it destroys one: either way, what was at its
/// address is no more.
unsafe extern "C" fn renewed(
    object: *mut pyo3::ffi::PyObject,
    _event: std::ffi::c_int,
    places: *mut std::ffi::c_void,
) -> std::ffi::c_int {
    // SAFETY: `new` passed these, and they are there as long as the tracer is set.
    let places = unsafe { &*places.cast::<Places>() };
    if let Some(place) = places.find(object as usize) {
        place.set(Told { is_gone: true, ..place.get() });
    }
    0
}
