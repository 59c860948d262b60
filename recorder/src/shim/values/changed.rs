//! Objects that an instruction changes in a way that shows only when it is over.
//!
//! Between the instruction's beginning and its end there may be other events, for it may run code
//! in Python: the hash of a key, a generator that fills a list. So what is being changed is kept by
//! frame, and told of with the next that is heard of that frame.
//!
//! An object's address is all that is kept of it. It is read again only where something that the frame
//! holds leads to it.

use super::state::{At, Capturing, Here, Variables, named};
use super::{Given, Values};
use crate::shim::ffi::objects::Attributes;
use crate::shim::ffi::{Frame, Obj};
use arrayvec::ArrayVec;
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::stores::{Place, Slot};
use dashcam_schema::value::{GroupKind, Sort};
use std::rc::Rc;

/// Instructions within each other that are remembered; the outermost are forgotten first.
const CHANGING_MAX: usize = 32;
/// So many objects are passed to find out what leads to one, and so many deep.
pub(super) const STEPS_MAX: u32 = 256;
const DEPTH_MAX: u32 = 3;
/// Items of one container that are passed.
const ITEMS_MAX: usize = 64;

/// Instructions that have begun to change an object, innermost last.
pub(super) type Changing = ArrayVec<Changed, CHANGING_MAX>;

#[derive(Clone, Copy)]
pub(super) struct Changed {
    address: usize,
    class: usize,
    thread: u32,
    /// Address of the frame and its code object, and the number of that.
    frame: usize,
    code: usize,
    number: u32,
    unit: u32,
    /// Of the event that came next when the instruction began.
    ordinal: u64,
    /// What keeps the object alive, in the frame, as long as it stays as it is.
    holder: Option<Holder>,
    /// What is changed of it has been told.
    has_key: bool,
}

/// What keeps an object alive as long as it stays as it is.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Variable(Slot),
    /// What a variable holds leads to it.
    Within(Slot),
    /// It is in the namespace the frame runs in, under this entry of `co_names`.
    Name(u32),
    WithinName(u32),
}

impl Values {
    /// Whether an instruction of a code object may have begun to change an object.
    #[inline(always)]
    pub(in crate::shim) fn is_changing(&self, number: u32) -> bool {
        let Some(state) = &self.state else { return false };
        state.changing.iter().any(|changed| changed.number == number)
    }

    /// Whether it is certain what an object holds, but for so many items more, and no instruction that is not
    /// over is changing it: whatever that does is found out by looking at the object before and after.
    pub(super) fn is_certain_but_for(&self, object: Obj<'_>, more: i32) -> bool {
        let is_changing = |state: &Capturing| {
            state.changing.iter().any(|changed| changed.address == object.address())
        };
        self.told.is_certain_but_for(object, more)
            && !self.state.as_deref().is_some_and(is_changing)
    }

    /// The instruction changes an object: under this key, if it is known, and to this value.
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
        // What nothing leads to cannot be looked at afterwards.
        let target = if holder.is_some() { target } else { Given::Lost(object) };
        let rest = [key, value];
        let count = 3 + rest.iter().flatten().count();
        let given = [thread, unit, target].into_iter().chain(rest.into_iter().flatten());
        self.tell_given(here.at, GroupKind::Change, count, given);
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

    /// What keeps an object alive that is on the frame's stack now.
    fn holder(&mut self, here: &Here<'_>, object: Obj<'_>) -> Option<Holder> {
        self.find_holder(here.frame, here.variables, object.address(), &mut { STEPS_MAX })
    }

    /// What of a frame leads to the object at an address, found in so many steps. Without any, only what holds
    /// the object itself.
    pub(super) fn find_holder(
        &mut self,
        frame: Frame,
        variables: &Variables,
        address: usize,
        steps: &mut u32,
    ) -> Option<Holder> {
        let stores = &variables.stores;
        let of_name = |slot: &Slot| match stores.place(*slot) {
            Place::Name(name) => Some(name),
            _ => None,
        };
        let slots = 0..stores.fast();
        let names: ArrayVec<u32, 64> = stores.all().iter().filter_map(of_name).take(64).collect();
        let near = slots.clone().map(Holder::Variable);
        let mut near = near.chain(names.iter().copied().map(Holder::Name));
        let found = near.find(|holder| self.holds(frame, variables, *holder, address, steps));
        if found.is_some() || *steps == 0 {
            return found;
        }
        let far = slots.map(Holder::Within);
        let mut far = far.chain(names.iter().copied().map(Holder::WithinName));
        far.find(|holder| self.holds(frame, variables, *holder, address, steps))
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

    /// Whether an object holds the one at an address, or holds one that does.
    fn leads_to<'a>(
        &mut self,
        object: Obj<'a>,
        address: usize,
        depth: u32,
        steps: &mut u32,
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
        let mut inner: ArrayVec<Obj<'a>, 64> = ArrayVec::new();
        let mut is_it = false;
        let mut meet = |held: Option<Obj<'a>>| {
            let Some(held) = held.filter(|_| *steps > 0) else { return };
            *steps -= 1;
            is_it |= held.address() == address;
            if depth > 1 {
                let _ = inner.try_push(held);
            }
        };
        layout.slot_values(object).for_each(&mut meet);
        match layout.attributes(object) {
            Attributes::None => {}
            Attributes::Shared { keys, values } => keys.values(values).for_each(&mut meet),
            Attributes::Dict(dict) => {
                let is_own = dict.address() == address;
                meet(is_own.then_some(dict));
                dict.each_pair(ITEMS_MAX, |_, value| meet(Some(value)));
            }
        }
        layout.items(object, ITEMS_MAX, &mut meet);
        is_it || inner.iter().any(|held| self.leads_to(*held, address, depth - 1, steps))
    }

    /// Tells what the objects hold that instructions of the running frame have changed which are over.
    #[inline(always)]
    pub(super) fn tell_changed(&mut self, at: At, thread: u32, frame: Frame) {
        let Some(state) = &self.state else { return };
        if !state.changing.is_empty() {
            self.tell_changed_now(at, thread, frame, true);
        }
    }

    #[inline(never)]
    fn tell_changed_now(&mut self, at: At, thread: u32, frame: Frame, succeeded: bool) {
        let Some(state) = &mut self.state else { return };
        let is_it = |changed: &Changed| {
            changed.thread == thread && changed.frame == frame.address && changed.code == frame.code
        };
        let Some(place) = state.changing.iter().rposition(is_it) else { return };
        let changed = state.changing.remove(place);
        // What is within an instruction that is over is over too, of this thread.
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
        // SAFETY: it is alive, as was just found.
        let object = is_there.then(|| unsafe { Obj::borrowed(changed.address as *mut _) });
        let object = object.filter(|object| object.class().address() == changed.class);
        let target = match object {
            Some(object) if changed.has_key && succeeded => Given::Written(object),
            Some(object) => Given::Again(object),
            None => {
                self.told.distrust_at(changed.address);
                Given::Unread
            }
        };
        let head = [changed.thread, changed.unit].map(|number| Given::Int(number.into()));
        let tail = [changed.ordinal as u32, u32::from(succeeded)];
        let tail = tail.map(|number| Given::Int(number.into()));
        let given = head.into_iter().chain([target]).chain(tail);
        self.tell_given(at, GroupKind::Done, 5, given);
    }

    /// Before an event of the running frame: what was changed before it.
    pub(in crate::shim) fn tell_changed_before(
        &mut self,
        at: At,
        thread: u32,
        kind: EventKind,
        code: Obj<'_>,
    ) {
        let Some(frame) = self.frames.running_of(code) else { return };
        if kind == EventKind::PY_START {
            // What began before in a frame at this address has ended without being heard of.
            let Some(state) = &mut self.state else { return };
            let is_old =
                |changed: &Changed| changed.thread == thread && changed.frame == frame.address;
            state.changing.retain(|changed| !is_old(changed));
            return;
        }
        self.follow_epoch(at.0);
        let raised = matches!(kind, EventKind::RAISE | EventKind::RERAISE | EventKind::PY_UNWIND);
        self.tell_changed_now(at, thread, frame, !raised);
    }
}
