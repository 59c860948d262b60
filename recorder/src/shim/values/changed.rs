//! Objects that an instruction changes in a way that shows only when the instruction is over.
//!
//! There may be other events between the beginning and the end of the instruction, because it may
//! run code in Python: the hash of a key, a generator that fills a list. So the objects that are
//! being changed are kept by frame, and examined at the next event of that frame.
//!
//! Only the address of an object is kept. It is read again only if something that the frame holds
//! leads to it.

use super::described::Descriptions;
use super::state::{At, Capturing, Here, Variables, named};
use super::{Given, Values};
use crate::shim::ffi::objects::Attributes;
use crate::shim::ffi::{Frame, Obj};
use arrayvec::ArrayVec;
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::stores::{Place, Slot};
use dashcam_schema::value::{GroupKind, Sort};
use std::rc::Rc;

/// The most instructions within each other that are remembered; the outermost are dropped first.
const CHANGING_MAX: usize = 32;
/// The most objects that are visited to find what leads to an object, and how deep the search goes.
pub(super) const STEPS_MAX: u32 = 256;
const DEPTH_MAX: u32 = 3;
/// The most items of one container that are visited.
const ITEMS_MAX: usize = 64;
/// The most variables of a frame that are searched for objects that C code may change.
const SEARCHED_MAX: usize = 64;

/// Objects that C code may change at any time, as many as are examined with one event.
pub(super) type Unsure<'a> = ArrayVec<Obj<'a>, 32>;

/// Instructions that have begun to change an object, innermost last.
pub(super) type Changing = ArrayVec<Changed, CHANGING_MAX>;

#[derive(Clone, Copy)]
pub(super) struct Changed {
    address: usize,
    class: usize,
    thread: u32,
    /// Addresses of the frame and of its code object, and the number of the code object.
    frame: usize,
    code: usize,
    number: u32,
    unit: u32,
    /// Ordinal of the event that was next when the instruction began.
    ordinal: u64,
    /// What in the frame keeps the object alive, as long as that itself stays unchanged.
    holder: Option<Holder>,
    /// The change was recorded with its key.
    has_key: bool,
}

/// What keeps an object alive as long as it stays unchanged itself.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Variable(Slot),
    /// The value of a variable leads to it.
    Within(Slot),
    /// It is in the namespace the frame runs in, under this entry of `co_names`.
    Name(u32),
    WithinName(u32),
}

/// The first entries of `co_names` that are variables of the namespace that the code runs in.
fn stored_names(variables: &Variables) -> impl Iterator<Item = u32> {
    const NAMES_MAX: usize = 64;
    let stores = &variables.stores;
    // Ascending: those in the frame come first.
    let named = stores.all().partition_point(|slot| *slot < stores.fast());
    let of_name = |slot: &Slot| match stores.place(*slot) {
        Place::Name(name) => Some(name),
        _ => None,
    };
    stores.all()[named..].iter().filter_map(of_name).take(NAMES_MAX)
}

impl Values {
    /// Whether an instruction of a code object may have begun to change an object.
    #[inline(always)]
    pub(in crate::shim) fn is_changing(&self, number: u32) -> bool {
        let Some(state) = &self.state else { return false };
        state.changing.iter().any(|changed| changed.number == number)
    }

    /// Whether an object's contents are certain except for `more` items, and no unfinished
    /// instruction is changing it. Changes by such an instruction are found by examining the object
    /// before and after it.
    pub(super) fn is_certain_but_for(&self, object: Obj<'_>, more: i32) -> bool {
        let is_changing = |state: &Capturing| {
            state.changing.iter().any(|changed| changed.address == object.address())
        };
        self.described.is_certain_but_for(object, more)
            && !self.state.as_deref().is_some_and(is_changing)
    }

    /// Records that the instruction changes an object: under this key, if it is known, and to this
    /// value.
    pub(super) fn change_known<'a>(
        &mut self,
        here: &Here<'_>,
        object: Obj<'a>,
        key: Option<Given<'a>>,
        value: Option<Given<'a>>,
    ) {
        if self.left(here.at.1, GroupKind::Change) == 0 {
            return self.forget(here.at, object);
        }
        let holder = self.holder(here, object);
        let has_key = key.is_some();
        let [thread, unit, target] = here.head(object);
        // An object that nothing leads to cannot be examined afterwards.
        let target = if holder.is_some() { target } else { Given::Lost(object) };
        let rest = [key, value];
        let count = 3 + rest.iter().flatten().count();
        let given = [thread, unit, target].into_iter().chain(rest.into_iter().flatten());
        self.record_given(here.at, GroupKind::Change, count, given);
        let changed = Changed {
            address: object.address(),
            class: object.class().address(),
            thread: here.thread,
            frame: here.frame.address,
            code: here.frame.code,
            number: here.at.1,
            unit: here.unit,
            ordinal: here.at.0,
            holder,
            has_key,
        };
        if let Some(state) = &mut self.state {
            if state.changing.is_full() {
                state.changing.remove(0);
            }
            state.changing.push(changed);
        }
    }

    /// Finds what keeps an object alive that is on the frame's stack now.
    fn holder(&mut self, here: &Here<'_>, object: Obj<'_>) -> Option<Holder> {
        self.find_holder(here.frame, here.variables, object.address(), &mut { STEPS_MAX })
    }

    /// Finds what in a frame leads to the object at an address, in at most this many steps.
    fn find_holder(
        &mut self,
        frame: Frame,
        variables: &Variables,
        address: usize,
        steps: &mut u32,
    ) -> Option<Holder> {
        let slots = 0..variables.stores.fast();
        let near = slots.clone().map(Holder::Variable);
        let mut near = near.chain(stored_names(variables).map(Holder::Name));
        let found = near.find(|holder| self.holds(frame, variables, *holder, address, steps));
        let far = slots.map(Holder::Within);
        let mut far = far.chain(stored_names(variables).map(Holder::WithinName));
        found.or_else(|| far.find(|holder| self.holds(frame, variables, *holder, address, steps)))
    }

    /// Returns the objects that code in C may change at any time and that variables of a frame hold,
    /// or lead to, as far as steps suffice. Without steps, only what variables hold themselves.
    pub(super) fn held_unsure<'a>(
        &mut self,
        frame: Frame,
        variables: &Variables,
        steps: &mut u32,
    ) -> Unsure<'a> {
        let mut found = Unsure::new();
        let mut note = |described: &Descriptions, held: Obj<'a>| {
            if described.is_unsure(held.address()) && !found.contains(&held) {
                let _ = found.try_push(held);
            }
            false
        };
        let (stores, frames) = (&variables.stores, &self.frames);
        // SAFETY: a variable of the frame.
        let value = |slot| unsafe { frames.slot(frame, slot) };
        let slots = || (0..stores.fast()).filter_map(value);
        let cells = stores.cells().iter().filter_map(|cell| value(*cell).and_then(Obj::cell));
        let [own, globals] = frames.namespaces(frame);
        let named = |name| named(own.or(globals), variables, name).ok().flatten();
        let names = || stored_names(variables).filter_map(named);
        for held in slots().chain(cells).chain(names()) {
            note(&self.described, held);
        }
        if *steps == 0 {
            return found;
        }
        let within: ArrayVec<Obj<'a>, SEARCHED_MAX> =
            slots().filter_map(Obj::cell).chain(names()).take(SEARCHED_MAX).collect();
        for held in within {
            if *steps == 0 {
                break;
            }
            *steps -= 1;
            self.search(held, DEPTH_MAX, steps, &mut note);
        }
        found
    }

    /// Whether something keeps the object at this address alive.
    fn holds(
        &mut self,
        frame: Frame,
        variables: &Variables,
        holder: Holder,
        address: usize,
        steps: &mut u32,
    ) -> bool {
        let held = match holder {
            Holder::Variable(slot) | Holder::Within(slot) => {
                // SAFETY: variables of the frame.
                unsafe { self.frames.slot(frame, slot) }.and_then(Obj::cell)
            }
            Holder::Name(name) | Holder::WithinName(name) => {
                let namespaces = self.frames.namespaces(frame);
                named(namespaces[0].or(namespaces[1]), variables, name).ok().flatten()
            }
        };
        let Some(held) = held else { return false };
        match holder {
            Holder::Variable(_) | Holder::Name(_) => held.address() == address,
            Holder::Within(_) | Holder::WithinName(_) => {
                self.leads_to(held, address, DEPTH_MAX, steps)
            }
        }
    }

    /// Whether an object holds the one at an address, or holds an object that does.
    fn leads_to(&mut self, object: Obj<'_>, address: usize, depth: u32, steps: &mut u32) -> bool {
        self.search(object, depth, steps, &mut |_, held| held.address() == address)
    }

    /// Passes what an object holds to `is_wanted`, and what that holds, down to a depth and in at
    /// most this many steps. Stops within an object that holds a wanted one, and returns true.
    fn search<'a>(
        &mut self,
        object: Obj<'a>,
        depth: u32,
        steps: &mut u32,
        is_wanted: &mut dyn FnMut(&Descriptions, Obj<'a>) -> bool,
    ) -> bool {
        let class = self.classes.find(object.class(), &self.names);
        let layout = Rc::clone(&self.classes.known(class).layout);
        let is_through = matches!(
            layout.sort,
            Sort::List | Sort::Tuple | Sort::Dict | Sort::Instance | Sort::Deque | Sort::Exception
        );
        if !is_through || *steps == 0 {
            return false;
        }
        let described = &self.described;
        let mut inner: ArrayVec<Obj<'a>, 64> = ArrayVec::new();
        let attributes = layout.attributes(object);
        // The dict of its attributes is an object too.
        let mut is_found = match attributes {
            Attributes::Dict(dict) => is_wanted(described, dict),
            _ => false,
        };
        let mut visit = |held: Option<Obj<'a>>| {
            let Some(held) = held.filter(|_| *steps > 0) else { return };
            *steps -= 1;
            is_found |= is_wanted(described, held);
            if depth > 1 {
                let _ = inner.try_push(held);
            }
        };
        layout.slot_values(object).for_each(&mut visit);
        match attributes {
            Attributes::None => {}
            Attributes::Shared { keys, values } => keys.values(values).for_each(&mut visit),
            Attributes::Dict(dict) => dict.each_pair(ITEMS_MAX, |_, value| visit(Some(value))),
        }
        layout.items(object, ITEMS_MAX, &mut visit);
        is_found || inner.iter().any(|held| self.search(*held, depth - 1, steps, is_wanted))
    }

    /// Records the contents of an object that an instruction of the running frame has changed, if
    /// that instruction is over.
    #[inline(always)]
    pub(super) fn record_changed(&mut self, at: At, thread: u32, frame: Frame) {
        let Some(state) = &self.state else { return };
        if !state.changing.is_empty() {
            self.record_changed_now(at, thread, frame, true);
        }
    }

    #[inline(never)]
    fn record_changed_now(&mut self, at: At, thread: u32, frame: Frame, succeeded: bool) {
        let Some(state) = &mut self.state else { return };
        let is_of_frame = |changed: &Changed| {
            changed.thread == thread && changed.frame == frame.address && changed.code == frame.code
        };
        let Some(place) = state.changing.iter().rposition(is_of_frame) else { return };
        let changed = state.changing.remove(place);
        // Instructions of this thread within one that is over are over too.
        let mut at_index = 0;
        state.changing.retain(|other| {
            at_index += 1;
            at_index <= place || other.thread != thread
        });
        let Some(variables) = state.codes.get(at.1 as usize).map(Rc::clone) else { return };
        let mut steps = STEPS_MAX;
        let is_there = changed.holder.is_some_and(|holder| {
            self.holds(frame, &variables, holder, changed.address, &mut steps)
        }) || changed.holder.is_some()
            && self.find_holder(frame, &variables, changed.address, &mut { STEPS_MAX }).is_some();
        // SAFETY: the object is alive, as was just found.
        let object = is_there.then(|| unsafe { Obj::borrowed(changed.address as *mut _) });
        let object = object.filter(|object| object.class().address() == changed.class);
        let target = match object {
            Some(object) if changed.has_key && succeeded => Given::Written(object),
            Some(object) => Given::Reexamine(object),
            None => {
                self.described.distrust_at(changed.address);
                Given::Unread
            }
        };
        let head = [changed.thread, changed.unit].map(|number| Given::Int(number.into()));
        let tail = [changed.ordinal as u32, u32::from(succeeded)];
        let tail = tail.map(|number| Given::Int(number.into()));
        let given = head.into_iter().chain([target]).chain(tail);
        self.record_given(at, GroupKind::Done, 5, given);
    }

    /// Records, before an event of the running frame, what was changed before that event.
    pub(in crate::shim) fn record_changed_before(
        &mut self,
        at: At,
        thread: u32,
        kind: EventKind,
        code: Obj<'_>,
    ) {
        let Some(frame) = self.frames.running_of(code) else { return };
        if kind == EventKind::PY_START {
            // An instruction that began earlier in a frame at this address has ended without an
            // event.
            let Some(state) = &mut self.state else { return };
            let is_old =
                |changed: &Changed| changed.thread == thread && changed.frame == frame.address;
            state.changing.retain(|changed| !is_old(changed));
            return;
        }
        self.follow_epoch(at.0);
        let raised = matches!(kind, EventKind::RAISE | EventKind::RERAISE | EventKind::PY_UNWIND);
        self.record_changed_now(at, thread, frame, !raised);
    }
}
