//! The values that came with an event, for comparing.

use super::hash::{self, mix};
use super::reader::{Reader, View};
use super::text::{NATIVE_ID, is_address, without_addresses};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::chunk::{Moment, Values};
use dashcam_schema::value::{GroupKind, ObjectId, Sort, Value, render};
use std::rc::Rc;

/// What a value is to its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// By number.
    Argument(u32),
    Result,
    Sent,
    Raised,
    /// A variable that may have been stored since the frame's last event.
    Variable(Slot),
    /// The name of an attribute that is set or deleted, the key or index of an item.
    Key(GroupKind),
    /// What was put there.
    Stored(GroupKind),
}

/// A value with an event.
pub(super) struct Met<'a> {
    pub(super) label: Label,
    /// Number of the code object whose variable it is.
    pub(super) code: u32,
    /// It is of the frame that the event's was entered from.
    pub(super) is_callers: bool,
    pub(super) value: &'a Value,
    pub(super) values: &'a Values,
    pub(super) at: Moment,
    /// Before the event's values came.
    pub(super) before: Moment,
}

impl Met<'_> {
    pub(super) fn text(&self) -> String {
        render::repr(self.values, self.value, self.at)
    }
}

/// Values within a value that are hashed. Texts are bounded alike.
const STEPS_MAX: u32 = 1 << 12;
const DEPTH_MAX: usize = render::DEPTH_MAX;

impl Reader<'_> {
    /// Visits the values of an event, in order. `caller` is the code object of the frame that an event
    /// enters another from.
    pub(super) fn each_value(
        &self,
        view: &View,
        index: usize,
        caller: Option<u32>,
        mut visit: impl FnMut(Met<'_>),
    ) -> Result<(), Error> {
        let Some(kind) = view.kind(index) else { return Ok(()) };
        if !self.may_have_values(kind) || kind.is_branch() && !view.has_ordinal(index)? {
            return Ok(());
        }
        let ordinal = view.first_ordinal + i64::from(view.ordinals()?[index]);
        let context = view.context(index);
        if view.says_none(index) {
            let label = if kind == EventKind::PY_RESUME { Label::Sent } else { Label::Result };
            let (code, values) = (context.code, &Values::default());
            let value = &Value::None;
            let met = Met { label, code, is_callers: false, value, values, at: 0, before: 0 };
            if !self.is_ignored(&met) {
                visit(met);
            }
        }
        let place = view.places()?[index];
        // Where one chunk ends with an event's values and the next begins with more of them.
        for values in self.values_with(ordinal)?.into_iter().flatten() {
            let groups = values.groups_of(ordinal.cast_unsigned());
            for at in groups.clone() {
                let Some(group) = values.group_at(at) else { continue };
                let is_of_site = group.kind.is_of_site();
                if is_of_site && group.values.first() != Some(&Value::Int(context.thread.into())) {
                    continue;
                }
                let is_callers =
                    group.kind == GroupKind::CallerBindings || is_of_site && kind.enters();
                let code = if is_callers { caller } else { Some(context.code) };
                let Some(code) = code else { continue };
                let before = values.moment(groups.start);
                let moment = values.moment(if is_of_site { at + 1 } else { groups.end });
                let mut meet = |label, value: &Value| {
                    let met =
                        Met { label, code, is_callers, value, values: &values, at: moment, before };
                    if !self.is_ignored(&met) {
                        visit(met);
                    }
                };
                let unit = |value: &Value| match value {
                    Value::Int(unit) => u32::try_from(*unit).unwrap_or(u32::MAX),
                    _ => u32::MAX,
                };
                let stores = || self.store.variables(self.process, code).map(|known| &known.stores);
                match (group.kind, group.values) {
                    (GroupKind::Arguments, values) => {
                        (0..).zip(values).for_each(|(slot, v)| meet(Label::Argument(slot), v));
                    }
                    (GroupKind::Result, [value]) => meet(Label::Result, value),
                    (GroupKind::Sent, [value]) => meet(Label::Sent, value),
                    (GroupKind::Raised, [value]) => meet(Label::Raised, value),
                    // At the beginning: cells of other functions, which they tell of.
                    (GroupKind::Bindings, _) if kind == EventKind::PY_START => {}
                    (GroupKind::Bindings, [at, values @ ..])
                    | (GroupKind::Overwrite, [_, at, values @ ..]) => {
                        let slots = stores().map_or(&[][..], |stores| stores.pending(unit(at)));
                        let pairs = slots.iter().zip(values);
                        pairs.for_each(|(slot, value)| meet(Label::Variable(*slot), value));
                    }
                    (GroupKind::CallerBindings, [at, values @ ..]) => {
                        let stores = stores();
                        let slots = stores.map_or(&[][..], |s| s.pending_within(unit(at)));
                        let pairs = slots.iter().zip(values);
                        pairs.for_each(|(slot, value)| meet(Label::Variable(*slot), value));
                    }
                    // All are told of now and then; those that may have been stored count.
                    (GroupKind::Snapshot, values) if !kind.enters() => {
                        let Some(stores) = stores() else { continue };
                        for slot in stores.pending(place) {
                            let at = stores.all().binary_search(slot).ok();
                            if let Some(value) = at.and_then(|at| values.get(at)) {
                                meet(Label::Variable(*slot), value);
                            }
                        }
                    }
                    (kind, [_, _, _, key, rest @ ..]) if kind.is_store() => {
                        meet(Label::Key(kind), key);
                        rest.iter().take(1).for_each(|value| meet(Label::Stored(kind), value));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn values_with(&self, ordinal: i64) -> Result<[Option<Rc<Values>>; 2], Error> {
        let mut current = self.current.borrow_mut();
        if let Some((first, last, values)) = &*current
            && *first < ordinal
            && ordinal < *last
        {
            return Ok([Some(values.clone()), None]);
        }
        let (chunks, process_id) = (self.store.value_chunks(), self.process.process_id);
        self.store.known(process_id, ordinal, ordinal)?;
        let after = chunks.partition_point(|chunk| {
            (chunk.process_id, chunk.first_ordinal) <= (process_id, ordinal)
        });
        let mut found = [None, None];
        for (place, index) in (after.saturating_sub(2)..after).enumerate() {
            let header = &chunks[index];
            if header.process_id == process_id && header.last_ordinal >= ordinal {
                let values = self.store.values(index)?;
                *current = Some((header.first_ordinal, header.last_ordinal, values.clone()));
                found[place] = Some(values);
            }
        }
        Ok(found)
    }
}

/// Whether nothing or not all of a value is in the recording, or of what it holds.
pub(super) fn is_unrecorded(met: &Met<'_>) -> bool {
    /// Values within values that are looked at, and how deep.
    const LOOKED_AT: u32 = 200;
    const DEEP: u32 = 4;
    is_unknown(met, met.value, DEEP, &mut { LOOKED_AT })
}

fn is_unknown(met: &Met<'_>, value: &Value, depth: u32, left: &mut u32) -> bool {
    let (Value::Object(id) | Value::Shallow(id)) = *value else {
        return matches!(value, Value::Unread);
    };
    let Some(rest) = left.checked_sub(1).filter(|_| depth > 0) else { return false };
    *left = rest;
    let Some(object) = met.values.object(id, met.at) else { return true };
    let class = met.values.classes().get(object.class as usize);
    let sort = class.map(|class| class.sort);
    // What a class written in C keeps in fields of its own shows nowhere.
    let may_hold_more = match sort {
        None | Some(Sort::Opaque) => true,
        Some(Sort::Instance) => class.is_some_and(|class| class.name != "object"),
        _ => false,
    };
    let has_nothing =
        object.text.is_none() && object.items.is_none() && object.attributes.is_none();
    let is_cut = object.text.as_ref().is_some_and(|text| {
        let kept = met.values.text(text.kept);
        let known = if sort == Some(Sort::Str) {
            kept.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
        } else {
            kept.len()
        };
        (known as u64) < text.length && sort != Some(Sort::Int)
    });
    let pair = if sort == Some(Sort::Dict) { 2 } else { 1 };
    let items = object.items.as_ref();
    let is_short = items.is_some_and(|items| (items.kept.len() as u64) < items.length * pair);
    if is_cut || is_short || has_nothing && may_hold_more {
        return true;
    }
    let items = items.into_iter().flat_map(|items| &items.kept);
    let attributes = object.attributes.iter().flat_map(|(_, values)| values.iter());
    items.chain(attributes).any(|value| is_unknown(met, value, depth - 1, left))
}

/// The hash of a value: of all that is known of it, or of what is known of every object, its class.
pub(super) fn hash(met: &Met<'_>, is_whole: bool, has_state: bool) -> u64 {
    let mut hasher = Hasher::new(met, has_state);
    hasher.is_whole = is_whole;
    hasher.value(met.value)
}

/// Without state: the hash of what is surely as it was at the event, and whether that is all. A list
/// within what has not changed was told of when that was first met.
pub(super) fn surely(met: &Met<'_>) -> (u64, bool) {
    let mut hasher = Hasher::new(met, false);
    hasher.before = Some(met.before);
    (hasher.value(met.value), !hasher.has_stale)
}

/// Whether objects of a sort, told of within others, may hold something else by now.
fn may_change(sort: Sort) -> bool {
    matches!(
        sort,
        Sort::List | Sort::Dict | Sort::Set | Sort::ByteArray | Sort::Deque | Sort::Array
    )
}

struct Hasher<'a> {
    values: &'a Values,
    at: Moment,
    is_whole: bool,
    /// Without it, instances within others are told of as they once were.
    has_state: bool,
    /// What may change and is within something else counts by its class.
    before: Option<Moment>,
    /// Some of that was told of before the event.
    has_stale: bool,
    steps: u32,
    open: Vec<ObjectId>,
}

impl<'a> Hasher<'a> {
    fn new(met: &Met<'a>, has_state: bool) -> Hasher<'a> {
        Hasher {
            values: met.values,
            at: met.at,
            is_whole: true,
            has_state,
            before: None,
            has_stale: false,
            steps: 0,
            open: Vec::new(),
        }
    }

    fn text(&self, text: &[u8]) -> u64 {
        if text.windows(6).any(|part| part == b" at 0x") {
            return hash::text(&without_addresses(&String::from_utf8_lossy(text)));
        }
        hash::bytes(text)
    }

    fn value(&mut self, value: &Value) -> u64 {
        self.steps += 1;
        match *value {
            Value::Unbound => 1,
            Value::None => 2,
            Value::False => 3,
            Value::True => 4,
            Value::Ellipsis => 5,
            Value::NotImplemented => 6,
            Value::Redacted => 7,
            Value::Unread => 8,
            Value::Int(value) if is_address(value) => 17,
            Value::Int(value) => mix(9, value.cast_unsigned()),
            // All that are not a number are written alike.
            Value::Float(value) if value.is_nan() => 10,
            Value::Float(value) => mix(11, value.to_bits()),
            Value::Str(number) => mix(12, self.text(self.values.text(number))),
            Value::Bytes(number) => mix(13, self.text(self.values.text(number))),
            Value::Object(id) => self.object(id, self.is_whole),
            Value::Shallow(id) => self.object(id, false),
        }
    }

    fn object(&mut self, id: ObjectId, is_whole: bool) -> u64 {
        if self.open.len() >= DEPTH_MAX || self.open.contains(&id) || self.steps > STEPS_MAX {
            return 14;
        }
        let Some(object) = self.values.object(id, self.at) else { return 15 };
        let Some(class) = self.values.classes().get(object.class as usize) else { return 16 };
        let mut hash = hash::text(&class.name);
        let is_text = matches!(class.sort, Sort::Str | Sort::Bytes | Sort::Int);
        if !is_whole && !is_text {
            return hash;
        }
        let class_alone = hash;
        let before = self.before.filter(|_| !self.open.is_empty() && may_change(class.sort));
        if let Some(before) = before {
            let told = self.values.next_telling(id, before);
            self.has_stale |= told.is_none_or(|told| told > self.at);
        }
        self.open.push(id);
        if let Some(text) = &object.text {
            hash = mix(hash, self.text(self.values.text(text.kept)));
            hash = mix(hash, text.length);
        }
        if let Some(items) = &object.items {
            hash = mix(hash, items.length);
            if matches!(class.sort, Sort::Set | Sort::FrozenSet) {
                // In any order; which were kept of more is as good as random.
                if items.kept.len() as u64 >= items.length {
                    let sum = items.kept.iter().map(|value| self.value(value));
                    hash = mix(hash, sum.fold(0, u64::wrapping_add));
                }
            } else {
                for value in &items.kept {
                    hash = mix(hash, self.value(value));
                }
            }
        }
        let are_attributes_known = self.has_state || self.open.len() == 1;
        if let Some((shape, values)) = object.attributes.as_ref().filter(|_| are_attributes_known) {
            let names = self.values.shapes().get(*shape as usize).map_or(&[][..], |s| &s.names);
            for (name, value) in names.iter().zip(values) {
                if *value != Value::Unbound && name != NATIVE_ID {
                    hash = mix(mix(hash, hash::text(name)), self.value(value));
                }
            }
        }
        self.open.pop();
        // What is within was gone through for its age.
        if before.is_some() { class_alone } else { hash }
    }
}
