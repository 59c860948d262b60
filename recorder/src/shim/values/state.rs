//! What variables and objects hold at every instruction: capture level `state`.
//!
//! Variables are recorded at the events of their frame. Instructions that cannot wait for these are
//! recorded at INSTRUCTION events of their own. Which instructions those are, and what is recorded
//! where, is defined in [`stores`](dashcam_schema::bytecode::stores).

use super::calls::{CallSites, Convention, Reading};
use super::changed::{Changing, STEPS_MAX};
use super::described::Known;
use super::{Given, Values, withholds};
use crate::shim::callables::{Effect, is_same};
use crate::shim::ffi::depths::NO_DEPTH;
use crate::shim::ffi::objects::{AttributeSet, Characters, Int, Lookup, Plain};
use crate::shim::ffi::{Frame, HiddenTypes, Obj};
use crate::shim::reach::{Does, changes_when_called};
use crate::shim::state::CALL_UNITS;
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::branches::Branches;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::bytecode::stores::{Place, Site, Slot, Stores};
use dashcam_schema::record::CodeDefinition;
use dashcam_schema::value::names::Withheld;
use dashcam_schema::value::{GroupKind, Sort};
use std::rc::Rc;

/// Number of frames that are remembered, by address.
const FRAMES: usize = 1 << 10;
/// Number of remembered results of what setting an attribute does, by class and name.
const ATTRIBUTES: usize = 1 << 10;
/// The most arguments of a call that are examined again when it returns.
const HANDED_MAX: usize = 4;

/// The most lists that are followed whose sorting is nested in that of others.
const SORTING_MAX: usize = 16;
/// The same for calls that may change objects without a record.
const REACHING_MAX: usize = 64;
/// The most steps that are saved for finding objects that C code may change at any time.
pub(super) const STEPS_SAVED_MAX: u32 = 1 << 16;
/// A frame without stores is checked at every 64th event, to notice its first event in an epoch.
const FRAMES_CHECKED_EVERY: u64 = 64;
/// A frame that resumes has all its variables recorded again if the last time was at least this
/// many events ago, so that readers need not look back farther.
const RESUMED_WITHIN: u32 = 1 << 12;

/// What is kept for this level besides what all levels keep.
pub(super) struct Capturing {
    version: Version,
    /// By number of the code object.
    pub(super) codes: Vec<Rc<Variables>>,
    frames: Box<[RecordedFrame]>,
    /// Lists that are being sorted just now.
    sorting: Vec<Sorting>,
    /// Calls of code in C that may change objects without a record.
    reaching: Vec<Reaching>,
    /// How often names were bound or unbound in namespaces by code that does not run in them.
    namespaces_changed: u32,
    /// By address and version of a class and address of a name: what setting the attribute does.
    attributes: Box<[([usize; 3], AttributeSet)]>,
    /// Changes by instructions that are being executed, which show only when the instruction is
    /// over.
    pub(super) changing: Changing,
    /// Address of a frame whose variables another frame has changed; or 0.
    reached: usize,
    /// The program was already running when recording began, so calls may return whose beginning
    /// was not recorded.
    began_midway: bool,
}

/// A frame whose variables were all recorded. It records later stores of its own.
#[derive(Clone, Copy)]
struct RecordedFrame {
    address: usize,
    epoch: u32,
    /// [`Capturing::namespaces_changed`] at that time, if some variables are in a namespace.
    namespaces_changed: u32,
    thread: u32,
    /// The low bits of the event's ordinal.
    ordinal: u32,
}

impl RecordedFrame {
    const NONE: RecordedFrame =
        RecordedFrame { address: 0, epoch: u32::MAX, namespaces_changed: 0, thread: 0, ordinal: 0 };
}

/// A call that sorts a list. It may have ended without an event, by an exception of another tool.
#[derive(Clone, Copy)]
struct Sorting {
    /// Addresses of the calling frame and of its code object.
    frame: usize,
    code: usize,
    /// Code unit of the call.
    unit: u32,
    /// Address of the list.
    list: usize,
}

/// A call of code in C: the calling frame, its code object, and the code unit of the call.
#[derive(Clone, Copy)]
struct Reaching {
    frame: usize,
    code: usize,
    unit: u32,
}

/// The variables of a code object.
pub(super) struct Variables {
    pub(super) stores: Stores,
    pub(super) depths: Box<[u16]>,
    /// Address of `co_names`, which lives as long as the code object.
    names: usize,
    /// Slots of names whose values are withheld, and what of the values is.
    withheld: Vec<(Slot, Withheld)>,
    pub(super) calls: Rc<CallSites>,
    /// Some of the variables are kept in a namespace.
    has_names: bool,
    /// Some of those are in a namespace that the code does not run in.
    has_globals: bool,
    /// By code unit: whether variables may be pending there.
    pending: Box<[bool]>,
}

impl Variables {
    /// Returns what is withheld of the values of a variable.
    #[inline(always)]
    fn withheld(&self, slot: Slot) -> Withheld {
        if self.withheld.is_empty() {
            return Withheld::Nothing;
        }
        let found = self.withheld.binary_search_by_key(&slot, |(slot, _)| *slot);
        found.map_or(Withheld::Nothing, |at| self.withheld[at].1)
    }
}

impl Capturing {
    pub(super) fn new(version: Version) -> Capturing {
        Capturing {
            version,
            codes: Vec::new(),
            frames: vec![RecordedFrame::NONE; FRAMES].into(),
            sorting: Vec::with_capacity(SORTING_MAX),
            reaching: Vec::with_capacity(REACHING_MAX),
            namespaces_changed: 0,
            attributes: vec![([0; 3], AttributeSet::Nothing); ATTRIBUTES].into(),
            changing: Changing::default(),
            reached: 0,
            began_midway: false,
        }
    }

    /// Returns the place that remembers whether the variables of the frame at an address were
    /// recorded.
    #[inline(always)]
    fn recorded_frame(&mut self, address: usize) -> &mut RecordedFrame {
        &mut self.frames[(address >> 4 ^ address >> 14) & (FRAMES - 1)]
    }

    /// Notes that names are bound or unbound in a namespace by code that does not run in it.
    pub(super) fn change_namespaces(&mut self) {
        self.namespaces_changed = self.namespaces_changed.wrapping_add(1).max(1);
    }

    /// The same, by a frame that records those names itself.
    fn change_namespaces_from(&mut self, frame: usize) {
        let before = self.namespaces_changed;
        self.change_namespaces();
        let after = self.namespaces_changed;
        let recorded = self.recorded_frame(frame);
        if recorded.address == frame && recorded.namespaces_changed == before {
            recorded.namespaces_changed = after;
        }
    }
}

impl Variables {
    /// Returns an entry of `co_names`.
    ///
    /// # Safety
    /// The code object is alive.
    unsafe fn name<'a>(&self, index: u32) -> Option<Obj<'a>> {
        if self.names == 0 {
            return None;
        }
        // SAFETY: the code object holds this tuple, and the caller guarantees that it is alive.
        unsafe { Obj::borrowed(self.names as *mut _) }.tuple_item(index as usize)
    }
}

/// The ordinal of the next event, and the number of the running code object.
pub(super) type At = (u64, u32);

impl Values {
    /// Whether variables and objects are captured.
    #[inline(always)]
    pub(in crate::shim) fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// Registers the variables of a code object, in the order of their numbers. Returns whether the
    /// code object has sites.
    pub(in crate::shim) fn define_variables(
        &mut self,
        code: Obj<'_>,
        definition: &CodeDefinition,
        branches: &Branches,
    ) -> bool {
        let Some(state) = &mut self.state else { return false };
        let (bytecode, table) = (&definition.bytecode, &definition.exception_table);
        let fast = definition.variable_names.len() as u32;
        let stores = Stores::new(state.version, bytecode, table, fast, &definition.names, branches);
        let withheld = |slot: Slot| {
            let name = match stores.place(slot) {
                Place::Fast(slot) => definition.variable_names.get(slot as usize),
                Place::Name(name) | Place::Global(name) => definition.names.get(name as usize),
            };
            let withheld = name.map_or(Withheld::Nothing, |name| self.names.withheld(name));
            (withheld != Withheld::Nothing).then_some((slot, withheld))
        };
        let has_sites = stores.has_sites();
        let withheld = stores.all().iter().copied().filter_map(withheld).collect();
        let reading = Reading::new(state.version, bytecode, table);
        let variables = definition.variable_names.iter();
        let calls = Rc::new(CallSites::new(&reading, code, variables, &mut self.names));
        let units = 0..(bytecode.len() / 2) as u32;
        let fast_count = stores.fast();
        state.codes.push(Rc::new(Variables {
            has_globals: has_globals(&stores, stores.all()),
            has_names: stores.all().last().is_some_and(|slot| *slot >= fast_count),
            pending: units.map(|unit| !stores.pending(unit).is_empty()).collect(),
            withheld,
            depths: reading.depths,
            names: code.code_tuple(c"co_names"),
            calls: Rc::clone(&calls),
            stores,
        }));
        let number = state.codes.len() - 1;
        self.keep_call_sites(number, calls);
        has_sites
    }

    /// Whether there may be something to record of the running frame's variables at an event.
    #[inline(always)]
    pub(in crate::shim) fn wants_variables(
        &self,
        (ordinal, number): At,
        kind: EventKind,
        unit: u32,
    ) -> bool {
        let Some(state) = &self.state else { return false };
        if ordinal.is_multiple_of(FRAMES_CHECKED_EVERY) || kind.enters() {
            return true;
        }
        let Some(variables) = state.codes.get(number as usize) else { return false };
        kind == EventKind::RAISE
            || state.namespaces_changed > 0 && variables.has_names
            || variables.pending.get(unit as usize) == Some(&true)
    }

    /// Notes that the program is already running when recording begins.
    pub(in crate::shim) fn note_midway(&mut self) {
        if let Some(state) = &mut self.state {
            state.began_midway = true;
        }
    }

    #[inline(always)]
    fn began_midway(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.began_midway)
    }

    /// Records the variables of the running frame that may have been stored since its last event.
    #[inline]
    pub(in crate::shim) fn record_variables(
        &mut self,
        at: At,
        thread: u32,
        kind: EventKind,
        code: Obj<'_>,
        unit: u32,
    ) {
        let is_return = matches!(kind, EventKind::C_RETURN | EventKind::C_RAISE);
        // These events directly follow an event at which everything was recorded.
        if matches!(kind, EventKind::EXCEPTION_HANDLED | EventKind::PY_UNWIND)
            || is_return && !self.began_midway()
        {
            return;
        }
        let (ordinal, number) = at;
        if !is_return && !self.wants_variables(at, kind, unit) {
            return;
        }
        let Some(state) = &mut self.state else { return };
        let Some(variables) = state.codes.get(number as usize).map(Rc::clone) else { return };
        let Some(frame) = self.frames.running_of(code) else { return };
        self.follow_epoch(ordinal);
        let epoch = self.epoch;
        let Some(state) = &mut self.state else { return };
        let namespaces_changed = if variables.has_names { state.namespaces_changed } else { 0 };
        let recorded = state.recorded_frame(frame.address);
        let is_known = recorded.address == frame.address
            && recorded.epoch == epoch
            && recorded.namespaces_changed == namespaces_changed
            && recorded.thread == thread;
        if is_return && is_known {
            return;
        }
        let is_whole = match kind {
            EventKind::PY_START => false,
            EventKind::PY_RESUME => {
                !is_known || (ordinal as u32).wrapping_sub(recorded.ordinal) >= RESUMED_WITHIN
            }
            // It may be the first event of a generator.
            EventKind::PY_THROW => true,
            _ => !is_known,
        };
        if is_whole || kind == EventKind::PY_START {
            // At the beginning, names may already have been bound.
            let is_recorded = is_whole || !variables.has_names;
            recorded.address = if is_recorded { frame.address } else { 0 };
            recorded.epoch = epoch;
            recorded.namespaces_changed = namespaces_changed;
            recorded.thread = thread;
            recorded.ordinal = ordinal as u32;
        }
        let unit = match kind {
            EventKind::RAISE => self.frames.unit(frame),
            _ => unit,
        };
        let pending = variables.stores.pending(unit);
        if is_whole {
            return self.record_slots(at, GroupKind::Snapshot, &[], frame, &variables, pending);
        }
        if kind == EventKind::PY_START {
            return self.record_cells(at, frame, &variables, unit);
        }
        if !pending.is_empty() {
            let head = [i64::from(unit)];
            self.record_slots(at, GroupKind::Bindings, &head, frame, &variables, pending);
        }
    }

    /// Records the cells at the beginning of a call, including those of other functions.
    fn record_cells(&mut self, at: At, frame: Frame, variables: &Variables, unit: u32) {
        let pending = variables.stores.pending(unit);
        if pending.is_empty() {
            return;
        }
        let frames = self.frames;
        let cells = pending.iter().map(|slot| {
            // SAFETY: the frame is of this code object, which has such a variable.
            let cell = unsafe { frames.slot(frame, *slot) };
            match cell {
                Some(_) if variables.withheld(*slot) != Withheld::Nothing => Given::Redacted,
                cell => Given::Value(cell),
            }
        });
        let head = std::iter::once(Given::Int(unit.into()));
        self.record_given(at, GroupKind::Bindings, 1 + pending.len(), head.chain(cells));
    }

    /// Records the variables of a frame that another frame is entered from, other than by a call.
    pub(in crate::shim) fn record_callers_variables(
        &mut self,
        (ordinal, number): At,
        caller: Frame,
        callers_number: u32,
    ) {
        self.record_sorting((ordinal, number), caller);
        let Some(state) = &mut self.state else { return };
        let found = state.codes.get(callers_number as usize).map(Rc::clone);
        let Some(variables) = found else { return };
        let pending = variables.stores.pending_within(caller.unit);
        if !pending.is_empty() {
            let head = [i64::from(caller.unit)];
            let kind = GroupKind::CallerBindings;
            self.record_slots((ordinal, number), kind, &head, caller, &variables, pending);
        }
    }

    /// Records the variables of a frame that may have been stored; for a snapshot, all others too.
    fn record_slots(
        &mut self,
        at: At,
        kind: GroupKind,
        head: &[i64],
        frame: Frame,
        variables: &Variables,
        stored: &[Slot],
    ) {
        if variables.has_globals
            && has_globals(&variables.stores, stored)
            && let Some(state) = &mut self.state
        {
            state.change_namespaces_from(frame.address);
        }
        let is_snapshot = kind == GroupKind::Snapshot;
        let slots = if is_snapshot { variables.stores.all() } else { stored };
        let frames = self.frames;
        let namespaces = frames.namespaces(frame);
        let given = slots.iter().map(|slot| {
            let value = match variables.stores.place(*slot) {
                // SAFETY: the frame is of this code object, which has such a variable.
                Place::Fast(slot) => unsafe { frames.slot(frame, slot) },
                Place::Name(name) => {
                    match named(namespaces[0].or(namespaces[1]), variables, name) {
                        Ok(value) => value,
                        Err(given) => return given,
                    }
                }
                Place::Global(name) => match named(namespaces[1], variables, name) {
                    Ok(value) => value,
                    Err(given) => return given,
                },
            };
            match value {
                Some(object) if withholds(variables.withheld(*slot), object) => Given::Redacted,
                value => Given::Value(value),
            }
        });
        let head = head.iter().map(|number| Given::Int(*number));
        let count = head.len() + slots.len();
        self.record_given(at, kind, count, head.chain(given));
        if !variables.has_names {
            return;
        }
        // A namespace may be known as an object too: one that was passed to `exec`, or returned by
        // `globals`. The namespace of a class body becomes the class's before any other code has
        // it.
        let is_module = namespaces[0].is_none() || namespaces[0] == namespaces[1];
        let is_in = |slot: &Slot| match variables.stores.place(*slot) {
            Place::Fast(_) => false,
            Place::Name(_) => is_module,
            Place::Global(_) => true,
        };
        if let Some(globals) = namespaces[1]
            && stored.iter().any(is_in)
            && self.described.has_contents(globals)
        {
            self.reexamine(at, &[globals]);
        }
    }

    /// Records what the instruction at a site is about to do. Returns false if there is never
    /// anything to record for this instruction.
    pub(in crate::shim) fn record_site(
        &mut self,
        at: At,
        thread: u32,
        code: Obj<'_>,
        unit: u32,
    ) -> bool {
        let Some(state) = &self.state else { return false };
        let Some(variables) = state.codes.get(at.1 as usize).map(Rc::clone) else { return false };
        let Some(site) = variables.stores.site(unit) else { return false };
        let Some(frame) = self.frames.running_of(code) else { return true };
        self.follow_epoch(at.0);
        self.record_changed(at, thread, frame);
        let here = Here { at, thread, unit, frame, variables: &variables };
        if site == Site::Overwrite {
            let pending = variables.stores.pending(unit);
            let head = [i64::from(thread), i64::from(unit)];
            self.record_slots(at, GroupKind::Overwrite, &head, frame, &variables, pending);
            return true;
        }
        let depth = variables.depths.get(unit as usize).copied().unwrap_or(NO_DEPTH);
        let frames = self.frames;
        let operand = |from_top: u32| {
            let depth = u32::from(depth).checked_sub(from_top).filter(|_| depth != NO_DEPTH)?;
            // SAFETY: the stack is that deep before this instruction, which takes these values off
            // it.
            unsafe { frames.slot(frame, variables.stores.fast() + depth) }
        };
        match site {
            Site::Overwrite => {}
            Site::SetAttribute => {
                if let (Some(owner), Some(value)) = (operand(1), operand(2)) {
                    self.set_attribute(&here, owner, Some(value));
                }
            }
            Site::DeleteAttribute => {
                if let Some(owner) = operand(1) {
                    self.set_attribute(&here, owner, None);
                }
            }
            Site::SetItem => {
                if let (Some(key), Some(object), Some(value)) = (operand(1), operand(2), operand(3))
                {
                    self.set_item(&here, object, key, Some(value));
                }
            }
            Site::DeleteItem => {
                if let (Some(key), Some(object)) = (operand(1), operand(2)) {
                    self.set_item(&here, object, key, None);
                }
            }
            Site::SetSlice => {
                if let Some(object) = operand(3) {
                    self.change(&here, object);
                }
            }
            Site::InPlace => {
                let Some(object) = operand(2) else { return true };
                let object = object.referent();
                if !matches!(object.plain(), Plain::Other) {
                    // Later objects may be of another class. What is stored then shows what
                    // changed.
                    return false;
                }
                self.change(&here, object);
            }
            Site::Subscript => {
                let (Some(key), Some(object)) = (operand(1), operand(2)) else { return true };
                let class = self.classes.find(object.class(), &self.names);
                let layout = &self.classes.known(class).layout;
                if layout.has_factory() {
                    if !matches!(object.dict_lookup(key), Lookup::Found(_)) {
                        // If the dict has the key already, nothing changes.
                        self.change(&here, object);
                    }
                } else if layout.sort != Sort::Dict || layout.is_exact {
                    return false;
                }
            }
        }
        true
    }

    fn set_attribute(&mut self, here: &Here<'_>, owner: Obj<'_>, value: Option<Obj<'_>>) {
        // SAFETY: the code object is running.
        let name = unsafe { here.variables.name(here.variables.stores.operand(here.unit)) };
        let Some(name) = name else { return };
        let owner = owner.referent();
        let class = self.classes.find(owner.class(), &self.names);
        let layout = Rc::clone(&self.classes.known(class).layout);
        if matches!(layout.sort, Sort::Class | Sort::Module | Sort::Function | Sort::Opaque) {
            self.doubts_next |= layout.sort == Sort::Opaque;
            return self.set_hidden_attribute(here, owner, layout.sort, name, value);
        }
        // Addresses of objects are even.
        let deletes = usize::from(value.is_none());
        let key = [owner.class().address() | deletes, layout.version(), name.address()];
        let place = (key[0] >> 4 ^ key[2] >> 4 ^ key[2] >> 13) & (ATTRIBUTES - 1);
        let Some(state) = &mut self.state else { return };
        let (known, set) = &state.attributes[place];
        let set = if is_same(known, &key) {
            *set
        } else {
            let set = owner.class().sets_attribute(&layout, name, value.is_none());
            if layout.fits(owner.class()) {
                state.attributes[place] = (key, set);
            }
            set
        };
        match (set, value) {
            (AttributeSet::Nothing, _) => {}
            (AttributeSet::Other, value) => {
                let value = value.map(|value| self.given(name, value));
                self.change_known(here, owner, Some(Given::Value(Some(name))), value);
            }
            (AttributeSet::Plain, Some(value)) => {
                let value = self.given(name, value);
                let kind = GroupKind::SetAttribute;
                let rest = [Some(Given::Value(Some(name))), Some(value), None];
                self.store(here, kind, owner, rest, 0);
            }
            (AttributeSet::Plain, None) => {
                let kind = GroupKind::DeleteAttribute;
                self.store(here, kind, owner, [Some(Given::Value(Some(name))), None, None], 0);
            }
        }
    }

    /// Records that an attribute is set or deleted on an object whose attributes are not described.
    fn set_hidden_attribute(
        &mut self,
        here: &Here<'_>,
        owner: Obj<'_>,
        sort: Sort,
        name: Obj<'_>,
        value: Option<Obj<'_>>,
    ) {
        if sort == Sort::Module
            && let Some(state) = &mut self.state
        {
            // The attributes of a module are the globals of its code.
            state.change_namespaces();
        }
        if sort == Sort::Opaque || !owner.class().is_immutable() {
            return;
        }
        let value = value.map(|value| self.given(name, value));
        self.change_known(here, owner, Some(Given::Value(Some(name))), value);
    }

    /// Returns how a value is recorded under a key.
    pub(super) fn given<'a>(&mut self, key: Obj<'_>, value: Obj<'a>) -> Given<'a> {
        match withholds(self.names.withheld_key(key), value) {
            true => Given::Redacted,
            false => Given::Value(Some(value)),
        }
    }

    /// Records that an item is set, or deleted if there is no value.
    fn set_item(&mut self, here: &Here<'_>, object: Obj<'_>, key: Obj<'_>, value: Option<Obj<'_>>) {
        let object = object.referent();
        if self.frames.namespaces(here.frame).contains(&Some(object))
            && let Some(state) = &mut self.state
        {
            state.change_namespaces();
        }
        if here.variables.calls.reaches_dicts
            && let Some(owner) = self.owner_of(here.frame, here.variables, object)
        {
            let value = value.map(|value| self.given(key, value));
            self.change_known(here, owner, Some(Given::Value(Some(key))), value);
            // The dict rarely occurs as an object of its own.
            return self.described.distrust(object);
        }
        self.note_hidden_owner(object, || finds_alone(object, key));
        let class = self.classes.find(object.class(), &self.names);
        let sort = self.classes.known(class).layout.sort;
        let is_exact = self.classes.known(class).layout.is_exact;
        let shown = self.limits.items as usize;
        let is_plain = object.class().sets_items_as(sort, value.is_none());
        // Other objects have no length here, and need none.
        let length = object.container_size().unwrap_or(0);
        match sort {
            Sort::List if is_plain => {
                let Some(index) = index(key) else { return self.change(here, object) };
                let index = if index < 0 { index + length as i64 } else { index };
                if !(0..length as i64).contains(&index) {
                    return;
                }
                let key = Some(Given::Int(index));
                match value {
                    Some(value) => {
                        let rest = [key, Some(Given::Value(Some(value))), None];
                        self.store(here, GroupKind::SetItem, object, rest, 0);
                    }
                    None => {
                        self.store(here, GroupKind::DeleteItem, object, [key, None, None], 0);
                    }
                }
            }
            Sort::Deque | Sort::ByteArray if is_exact => {
                let length = object.size() as i64;
                let (Plain::Int, Some(index), Some(value)) = (key.plain(), key.plain_int(), value)
                else {
                    return self.change(here, object);
                };
                let index = if index < 0 { index + length } else { index };
                let is_byte = || value.plain_int().is_some_and(|byte| (0..256).contains(&byte));
                if !(0..length).contains(&index) || sort == Sort::ByteArray && !is_byte() {
                    // An object that is no int may still convert to one by code of its own.
                    return match value.plain() {
                        Plain::Other if sort == Sort::ByteArray => self.change(here, object),
                        _ => {}
                    };
                }
                let rest = [Some(Given::Int(index)), Some(Given::Value(Some(value))), None];
                self.store(here, GroupKind::SetItem, object, rest, 0);
            }
            Sort::Dict if is_plain && self.is_plain_key(key) => {
                let found = object.dict_lookup(key);
                let withheld = self.names.withheld_key(key);
                let (object_key, key) = (key, Given::Value(Some(key)));
                match (value, found) {
                    (value, Lookup::Unsure) => self.change_item(here, object, object_key, value),
                    (Some(value), _) => {
                        let is_new = found == Lookup::Missing;
                        let value = match withholds(withheld, value) {
                            true => Given::Redacted,
                            false => Given::Value(Some(value)),
                        };
                        let is_full = length >= shown;
                        let after = is_full.then(|| Given::Int(length as i64 + i64::from(is_new)));
                        let rest = [Some(key), Some(value), after];
                        self.store(here, GroupKind::SetItem, object, rest, is_new.into());
                    }
                    (None, Lookup::Missing) => {}
                    (None, _) => {
                        let rest = [Some(key), None, None];
                        self.store(here, GroupKind::DeleteItem, object, rest, 0);
                    }
                }
            }
            Sort::Dict if is_plain => self.change_item(here, object, key, value),
            // A key of a list may be a slice, or any object that converts to an index by code of
            // its own.
            Sort::Deque | Sort::Array | Sort::ByteArray => match index(key) {
                Some(index) if object.class().is_immutable() => {
                    let length = self.length_of(object);
                    let index = if index < 0 { index + length } else { index };
                    let value = value.map(|value| Given::Value(Some(value)));
                    self.change_known(here, object, Some(Given::Int(index)), value);
                }
                _ => self.change(here, object),
            },
            Sort::Opaque if self.classes.known(class).layout.is_frame_locals() => {
                self.note_reached(object);
                // The frame does not record its own variables before its next event.
                let is_own = object.frame_of_locals() == Some(here.frame.address);
                if let Some(value) = value.filter(|_| is_own && key.is_str()) {
                    let value = self.given(key, value);
                    let rest = [Some(Given::Value(Some(key))), Some(value), None];
                    self.store(here, GroupKind::SetItem, object, rest, 0);
                }
            }
            _ => self.change(here, object),
        }
    }

    /// Notes that another frame changes the variables of a frame, which records all of them when it
    /// resumes.
    fn note_reached(&mut self, locals: Obj<'_>) {
        if let Some(state) = &mut self.state {
            state.frames.fill(RecordedFrame::NONE);
            state.reached = locals.frame_of_locals().unwrap_or(0);
        }
    }

    /// Whether a frame has variables that were changed by another and that it has not recorded yet.
    #[inline(always)]
    pub(in crate::shim) fn has_reached(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.reached != 0)
    }

    /// Before the running frame is left: returns the frame that resumes then, if another has
    /// changed its variables.
    pub(in crate::shim) fn reached(&mut self, code: Obj<'_>) -> Option<Frame> {
        let state = self.state.as_mut()?;
        let frame = self.frames.running_of(code)?;
        if frame.address == state.reached {
            state.reached = 0;
        }
        let caller = self.frames.caller(frame)?;
        if state.reached == 0 || caller.address != state.reached {
            return None;
        }
        state.reached = 0;
        Some(caller)
    }

    /// Records all variables of a frame that resumes when the running one is left.
    pub(in crate::shim) fn record_reached(&mut self, at: At, caller: Frame, callers_number: u32) {
        let Some(state) = &self.state else { return };
        let found = state.codes.get(callers_number as usize).map(Rc::clone);
        let Some(variables) = found else { return };
        let all = variables.stores.all();
        self.record_slots(at, GroupKind::CallerBindings, &[-1], caller, &variables, all);
    }

    /// Records that a dict sets or deletes an item in its own way, under a key that is found by
    /// code of the program.
    fn change_item(
        &mut self,
        here: &Here<'_>,
        object: Obj<'_>,
        key: Obj<'_>,
        value: Option<Obj<'_>>,
    ) {
        let value = value.map(|value| self.given(key, value));
        self.change_known(here, object, Some(Given::Value(Some(key))), value);
    }

    /// Returns the running frame, of this code object, and its variables. `None` if it has none
    /// that are recorded.
    pub(super) fn running(&self, at: At, code: Obj<'_>) -> Option<(Frame, Rc<Variables>)> {
        let variables = self.state.as_ref()?.codes.get(at.1 as usize).map(Rc::clone)?;
        Some((self.frames.running_of(code)?, variables))
    }

    /// Returns the sort of an object's class.
    pub(super) fn sort_of(&mut self, object: Obj<'_>) -> Sort {
        let class = self.classes.find(object.class(), &self.names);
        self.classes.known(class).layout.sort
    }

    /// Returns how many items a sequence has; 0 for any other object.
    pub(super) fn length_of(&mut self, object: Obj<'_>) -> i64 {
        match self.sort_of(object) {
            // These all begin with the same fields.
            Sort::List | Sort::Deque | Sort::Array | Sort::ByteArray => object.size() as i64,
            _ => 0,
        }
    }

    /// Whether a key is recorded the same way wherever it occurs, and so can be found among others.
    fn is_plain_key(&self, key: Obj<'_>) -> bool {
        match key.plain() {
            Plain::Int => matches!(key.int(), Int::Small(_)),
            Plain::Str => {
                matches!(key.characters(), Characters::Ascii(text) if text.len() <= self.inline)
            }
            _ => false,
        }
    }

    /// Records how the instruction changes an object.
    fn store<'a>(
        &mut self,
        here: &Here<'_>,
        kind: GroupKind,
        object: Obj<'a>,
        rest: [Option<Given<'a>>; 3],
        more: i32,
    ) {
        let count = 3 + rest.iter().flatten().count();
        let head = here.head(object);
        let more = match (kind, &rest[2]) {
            (GroupKind::SetItem, Some(Given::Int(after))) => *after as i32 - object.size() as i32,
            (GroupKind::SetItem, _) => more,
            (GroupKind::DeleteItem, _) => -1,
            _ => 0,
        };
        self.record_given(here.at, kind, count, head.into_iter().chain(rest.into_iter().flatten()));
        self.described.note_change(object, more);
    }

    /// Records that the instruction changes an object in a way that shows only afterwards.
    fn change(&mut self, here: &Here<'_>, object: Obj<'_>) {
        let sort = self.sort_of(object);
        if may_change(sort) || matches!(sort, Sort::Exception | Sort::Cell) {
            self.change_known(here, object, None, None);
        }
        // For example a memoryview.
        self.doubts_next |= sort == Sort::Opaque;
    }

    /// Returns the instance among a frame's variables whose `__dict__` this is.
    pub(super) fn owner_of<'a>(
        &mut self,
        frame: Frame,
        variables: &Variables,
        dict: Obj<'a>,
    ) -> Option<Obj<'a>> {
        (0..variables.stores.fast()).find_map(|slot| {
            // SAFETY: variables of the frame.
            let object = unsafe { self.frames.slot(frame, slot) }.and_then(Obj::cell)?;
            let class = self.classes.find(object.class(), &self.names);
            let known = self.classes.known(class);
            let is_owner = known.layout.sort == Sort::Instance && known.layout.owns(object, dict);
            is_owner.then_some(object)
        })
    }

    /// Records that `list.append` returns. False if the contents of the list have to be examined.
    pub(in crate::shim) fn record_appended(
        &mut self,
        at: At,
        thread: u32,
        unit: u32,
        list: Obj<'_>,
    ) -> bool {
        self.follow_epoch(at.0);
        // Its contents are as described, except for one more item.
        if self.state.is_none() || !self.is_certain_but_for(list, 1) {
            return false;
        }
        self.record_last(at, thread, unit, list, list.last_of_list())
    }

    /// Records that a container has got a last item. False if it has none.
    fn record_last<'a>(
        &mut self,
        at: At,
        thread: u32,
        unit: u32,
        list: Obj<'a>,
        last: Option<(usize, Obj<'a>)>,
    ) -> bool {
        let Some((last, value)) = last else { return false };
        let length = last as i64 + 1;
        let beyond = length > i64::from(self.limits.items);
        let given = [
            Given::Int(thread.into()),
            Given::Int(unit.into()),
            Given::Changed(list),
            Given::Int(last as i64),
            Given::Value(Some(value)),
            Given::Int(length),
        ];
        let count = if beyond { 6 } else { 5 };
        self.record_given(at, GroupKind::SetItem, count, given.into_iter().take(count));
        self.described.note_change(list, 0);
        true
    }

    /// Records that a method in C returns that is known to do this to a container. False if the
    /// contents of the container have to be examined.
    pub(in crate::shim) fn record_done(
        &mut self,
        at: At,
        thread: u32,
        unit: u32,
        object: Obj<'_>,
        does: Does,
    ) -> bool {
        self.follow_epoch(at.0);
        let Some(state) = &self.state else { return false };
        let more = match does {
            Does::Other => return false,
            Does::AppendsToDeque => 1,
            Does::TakesFirst | Does::TakesLast => -1,
            Does::Resizes => 0,
        };
        if !self.is_certain_but_for(object, more) {
            return false;
        }
        let index = match does {
            Does::Resizes => return true,
            Does::AppendsToDeque => {
                return self.record_last(at, thread, unit, object, object.last_of_deque());
            }
            Does::TakesFirst => 0,
            _ => object.size() as i64,
        };
        if does == Does::TakesLast {
            let Some(variables) = state.codes.get(at.1 as usize) else { return false };
            let unit = variables.stores.start(unit);
            let site = variables.calls.at(unit).filter(|site| !site.is_spread());
            if site.is_none_or(|site| site.count != 0) {
                return false;
            }
        }
        if does == Does::TakesFirst && !self.described.note_taken(object, self.limits.items) {
            return false;
        }
        let numbers = [thread, unit].map(|number| Given::Int(number.into()));
        let given = numbers.into_iter().chain([Given::Changed(object), Given::Int(index)]);
        self.record_given(at, GroupKind::DeleteItem, 4, given);
        self.described.note_change(object, 0);
        true
    }

    /// Examines the objects that a call of C code may have changed, when it ends: the one its
    /// method is bound to, `first`, and its other arguments.
    pub(in crate::shim) fn record_handed(
        &mut self,
        at: At,
        code: Obj<'_>,
        unit: u32,
        owner: Option<Obj<'_>>,
        first: Obj<'_>,
        effect: Effect,
    ) {
        if self.state.is_none() {
            return;
        }
        // An iterator in C may call anything.
        let is_readable =
            !matches!(first.plain(), Plain::Other) || self.sort_of(first) != Sort::Opaque;
        if effect == Effect::None && is_readable {
            return;
        }
        let Some((frame, variables)) = self.running(at, code) else { return };
        if !is_readable {
            self.record_resized(at, frame, &variables);
        }
        if effect == Effect::None {
            return;
        }
        let locals = owner.unwrap_or(first);
        let class = self.classes.find(locals.class(), &self.names);
        if self.classes.known(class).layout.is_frame_locals() {
            self.note_reached(locals);
        }
        let mut objects = self.handed(frame, &variables, unit);
        for object in [Some(first), owner].into_iter().flatten() {
            if !objects.contains(&object) {
                let _ = objects.try_push(object);
            }
        }
        let namespaces = self.frames.namespaces(frame);
        if objects.iter().any(|object| namespaces.contains(&Some(*object)))
            && let Some(state) = &mut self.state
        {
            state.change_namespaces();
        }
        for object in objects.clone() {
            let is_reached = variables.calls.reaches_dicts;
            match is_reached.then(|| self.owner_of(frame, &variables, object)).flatten() {
                Some(owner) => self.reexamine(at, &[owner]),
                None => self.note_hidden_owner(object, || true),
            }
        }
        objects.retain(|object| {
            let sort = self.sort_of(*object);
            may_change(sort) || effect == Effect::SetsAttributes && sort == Sort::Instance
        });
        self.reexamine(at, &objects);
    }

    /// Returns the arguments of the call at a code unit of a frame, which ends just now. For a call
    /// with `*`, these are the items of its tuple, and only if that was made from a list for the
    /// call. For anything else the call makes a tuple itself, and what it leaves on the stack may
    /// be gone by then.
    fn handed<'a>(&self, frame: Frame, variables: &Variables, unit: u32) -> Handed<'a> {
        let mut handed = Handed::new();
        let Some(site) = variables.calls.at(variables.stores.start(unit)) else { return handed };
        // SAFETY: the arguments stay on the stack until the call is over.
        let slot = |at: u32| unsafe { self.frames.slot(frame, site.base + at) };
        match site.convention {
            Convention::Spread { is_from_list: true, .. } => {
                let tuple: Option<Obj<'a>> = slot(0);
                handed.extend((0..HANDED_MAX).map_while(|at| tuple?.tuple_item(at)));
            }
            Convention::Spread { .. } => {}
            // The first is the object that a method is called on, or nothing, or the callable.
            _ => handed.extend((0..=u32::from(site.count)).take(HANDED_MAX).filter_map(slot)),
        }
        handed
    }

    /// Notes that a call of the running frame is about to sort a list, or has sorted it. During the
    /// sort the list is empty, and functions that the sort calls see that.
    pub(in crate::shim) fn note_sorting(
        &mut self,
        code: Obj<'_>,
        unit: u32,
        list: Obj<'_>,
        begins: bool,
    ) {
        let Some(frame) = self.frames.running_of(code) else { return };
        let Some(state) = &mut self.state else { return };
        state.sorting.retain(|sorting| sorting.frame != frame.address);
        if begins && state.sorting.len() < SORTING_MAX {
            let (frame, code, list) = (frame.address, code.address(), list.address());
            state.sorting.push(Sorting { frame, code, unit, list });
        }
    }

    /// Notes that code in C was passed a method or function that changes something when it is
    /// called, which may be at any time: the object it is bound to, or else one that is passed
    /// along with it.
    pub(in crate::shim) fn suspect_method(
        &mut self,
        at: At,
        code: Obj<'_>,
        unit: u32,
        method: Obj<'_>,
        container: Option<Obj<'_>>,
    ) {
        match container.filter(|container| !container.is_module()) {
            Some(container) => self.suspect_object(at, container, Some(method)),
            None if self.suspect_handed(at, code, unit, method) => {}
            None => self.described.suspect(),
        }
    }

    /// Notes that a call is over that was passed such a method, and that the code in C has not kept
    /// it: it may have called it meanwhile, and will not do so later.
    pub(in crate::shim) fn note_method_called(
        &mut self,
        at: At,
        method: Obj<'_>,
        container: Obj<'_>,
    ) {
        self.reexamine(at, &[container]);
        if !method.is_held_elsewhere() {
            self.described.note_method_over(method);
        }
    }

    /// Notes that an object may be changed at any time, as long as the method exists that would
    /// change it, if there is one. The object is examined first, so that what is recorded of its
    /// address from then on is certain to be about this object.
    fn suspect_object(&mut self, at: At, object: Obj<'_>, method: Option<Obj<'_>>) {
        self.reexamine(at, &[object]);
        self.described.suspect_object(object, method);
    }

    /// The same for the objects that were passed to code in C along with a function that changes
    /// them. False if there was none.
    fn suspect_handed(&mut self, at: At, code: Obj<'_>, unit: u32, method: Obj<'_>) -> bool {
        let Some((frame, variables)) = self.running(at, code) else { return false };
        let mut is_any = false;
        for object in self.handed(frame, &variables, unit) {
            let sort = self.sort_of(object);
            // Such a function may be called with objects that these hold.
            if object != method && (sort == Sort::Instance || may_change(sort)) {
                is_any = true;
                self.suspect_object(at, object, None);
            }
        }
        is_any
    }

    /// Whether there are objects that code in C may change at any time.
    #[inline(always)]
    pub(in crate::shim) fn has_unsure(&self) -> bool {
        self.described.has_unsure()
    }

    /// Examines the objects that code in C may change at any time, as far as something that the
    /// running frame holds leads to them: only their addresses are kept.
    pub(in crate::shim) fn record_unsure(&mut self, at: At, code: Obj<'_>) {
        let Some((frame, variables)) = self.running(at, code) else { return };
        self.steps = STEPS_SAVED_MAX.min(self.steps + self.described.search_steps());
        let given = if self.steps < STEPS_MAX { 0 } else { STEPS_MAX };
        let mut left = given;
        let held = self.held_unsure(frame, &variables, &mut left);
        self.steps -= given - left;
        self.reexamine(at, &held);
        self.described.note_searched(&held, given > 0);
    }

    /// Examines the arguments of a call of code in C that calls them, when it returns. What methods
    /// and functions in C among them have changed shows only that way.
    pub(in crate::shim) fn record_called_back(
        &mut self,
        at: At,
        code: Obj<'_>,
        unit: u32,
        hidden: &HiddenTypes,
    ) {
        let Some((frame, variables)) = self.running(at, code) else { return };
        let handed = self.handed(frame, &variables, unit);
        if !handed.iter().any(|object| changes_when_called(*object, hidden)) {
            return;
        }
        self.doubt();
        let mut objects = handed.clone();
        for object in handed {
            let owner = object.builtin_owner().or_else(|| object.wrapped_owner(hidden));
            objects.extend(owner.filter(|_| !objects.is_full()));
        }
        for object in objects {
            let sort = self.sort_of(object);
            if may_change(sort) || sort == Sort::Instance {
                self.reexamine(at, &[object]);
            }
        }
    }

    /// Notes that a call of code in C that may change objects without a record is about to begin,
    /// or is over.
    pub(in crate::shim) fn note_reaching(
        &mut self,
        (code, number): (Obj<'_>, u32),
        unit: u32,
        owner: Option<Obj<'_>>,
        first: Obj<'_>,
        begins: bool,
    ) {
        let Some(frame) = self.frames.running_of(code) else { return self.doubt() };
        let Some(state) = &mut self.state else { return };
        state.reaching.retain(|reaching| reaching.frame != frame.address);
        if begins {
            if state.reaching.len() == REACHING_MAX {
                // The oldest belongs to a call that ended without an event.
                state.reaching.remove(0);
            }
            let (frame, code) = (frame.address, code.address());
            return state.reaching.push(Reaching { frame, code, unit });
        }
        let Some(variables) = state.codes.get(number as usize).map(Rc::clone) else {
            return self.doubt();
        };
        let handed = self.handed(frame, &variables, unit);
        // There may be more arguments than are visible here.
        let count = variables.stores.operand(variables.stores.start(unit));
        let is_unseen = count >= HANDED_MAX as u32 || handed.is_empty();
        let mut all = handed.into_iter().chain([Some(first), owner].into_iter().flatten());
        if is_unseen || all.any(|object| !self.is_harmless(object)) {
            self.doubt();
        }
    }

    /// Whether no object that may change can be reached from an object.
    fn is_harmless(&mut self, object: Obj<'_>) -> bool {
        if !matches!(object.plain(), Plain::Other) {
            return true;
        }
        let class = self.classes.find(object.class(), &self.names);
        let layout = &self.classes.known(class).layout;
        match layout.sort {
            Sort::Str | Sort::Bytes | Sort::Int => layout.is_exact,
            Sort::Complex | Sort::Range | Sort::Class | Sort::Module | Sort::Function => true,
            Sort::Tuple => {
                let mut is_plain = object.size() <= HANDED_MAX;
                layout.items(object, HANDED_MAX, |item| {
                    is_plain &= item.is_some_and(|item| !matches!(item.plain(), Plain::Other));
                });
                is_plain
            }
            _ => false,
        }
    }

    /// Notes that a frame is entered. If code in C entered it that may change objects without a
    /// record, it may have done so.
    pub(in crate::shim) fn note_entered(&mut self, code: Obj<'_>) {
        let Some(state) = &self.state else { return };
        if state.reaching.is_empty() {
            return;
        }
        let Some(caller) = self.caller_of_entered(code) else { return };
        let is_within = |reaching: &Reaching| {
            reaching.frame == caller.address
                && reaching.code == caller.code
                && caller.unit.wrapping_sub(reaching.unit) < CALL_UNITS
        };
        if state.reaching.iter().any(is_within) {
            self.doubt();
        }
    }

    /// Examines the list that a frame may be sorting when it enters another frame.
    fn record_sorting(&mut self, at: At, caller: Frame) {
        let Some(state) = &self.state else { return };
        let sorting = state.sorting.iter().find(|sorting| {
            sorting.frame == caller.address
                && sorting.code == caller.code
                && caller.unit.wrapping_sub(sorting.unit) < CALL_UNITS
        });
        if let Some(sorting) = sorting {
            // SAFETY: the frame stands at the call that sorts the list, which has it as argument:
            // whenever the frame comes to that call, it is noted anew.
            let list = unsafe { Obj::borrowed(sorting.list as *mut _) };
            self.reexamine(at, &[list]);
        }
    }

    /// Examines the containers among a frame's variables that have another number of items than
    /// described.
    fn record_resized(&mut self, at: At, frame: Frame, variables: &Variables) {
        for slot in 0..variables.stores.fast() {
            // SAFETY: variables of the frame.
            let object = unsafe { self.frames.slot(frame, slot) }.and_then(Obj::cell);
            if let Some(object) = object.filter(|object| self.described.is_resized(*object)) {
                self.reexamine(at, &[object]);
            }
        }
    }

    /// Examines objects again.
    pub(super) fn reexamine(&mut self, at: At, objects: &[Obj<'_>]) {
        for object in objects {
            if self.left(at.1, GroupKind::Seen) == 0 {
                self.forget(at, *object);
            } else {
                self.record_given(
                    at,
                    GroupKind::Seen,
                    1,
                    std::iter::once(Given::Reexamine(*object)),
                );
            }
        }
    }

    /// Records that the contents of an object are not known any more, because there were too many
    /// objects to examine.
    pub(super) fn forget(&mut self, at: At, object: Obj<'_>) {
        self.producer.count_skipped();
        let is_known = match self.described.of(object) {
            Known::Described { print, .. } => print != 0,
            Known::Earlier => true,
            Known::Nothing { .. } => !self.described.traces(),
        };
        if is_known {
            self.record_given(at, GroupKind::Seen, 1, std::iter::once(Given::Lost(object)));
        }
    }
}

/// Objects that were passed to C code.
type Handed<'a> = arrayvec::ArrayVec<Obj<'a>, { HANDED_MAX + 2 }>;

/// An instruction at a site.
pub(super) struct Here<'v> {
    pub(super) at: At,
    pub(super) thread: u32,
    pub(super) unit: u32,
    pub(super) frame: Frame,
    pub(super) variables: &'v Variables,
}

impl Here<'_> {
    /// Returns the values that groups of sites begin with.
    pub(super) fn head<'a>(&self, object: Obj<'a>) -> [Given<'a>; 3] {
        let numbers = [self.thread, self.unit].map(|number| Given::Int(number.into()));
        let [thread, unit] = numbers;
        [thread, unit, Given::Target(object)]
    }
}

/// Whether any of these slots is in a namespace that its code does not run in.
fn has_globals(stores: &Stores, slots: &[Slot]) -> bool {
    slots.iter().any(|slot| matches!(stores.place(*slot), Place::Global(_)))
}

/// Whether objects of a sort may be changed by C code that they are passed to.
pub(super) fn may_change(sort: Sort) -> bool {
    matches!(
        sort,
        Sort::List | Sort::Dict | Sort::Set | Sort::ByteArray | Sort::Deque | Sort::Array
    )
}

/// Whether a dict finds a key without running code of the program.
fn finds_alone(dict: Obj<'_>, key: Obj<'_>) -> bool {
    // All keys of a dict that shares them with others are strs.
    let has_strs = dict.split_values().is_some() && matches!(key.plain(), Plain::Str);
    has_strs || dict.dict_lookup(key) != Lookup::Unsure
}

/// Returns what a namespace holds under a name.
pub(super) fn named<'a>(
    namespace: Option<Obj<'a>>,
    variables: &Variables,
    name: u32,
) -> Result<Option<Obj<'a>>, Given<'a>> {
    // SAFETY: the code object is running.
    let name = unsafe { variables.name(name) };
    let (Some(namespace), Some(name)) = (namespace, name) else { return Err(Given::Unread) };
    match namespace.dict_lookup(name) {
        Lookup::Found(value) => Ok(Some(value)),
        Lookup::Missing => Ok(None),
        Lookup::Unsure => Err(Given::Unread),
    }
}

/// Returns the index that a key of a sequence is, if it is an int or bool itself.
pub(super) fn index(key: Obj<'_>) -> Option<i64> {
    match key.plain() {
        Plain::Int => key.plain_int(),
        Plain::False => Some(0),
        Plain::True => Some(1),
        _ => None,
    }
}
