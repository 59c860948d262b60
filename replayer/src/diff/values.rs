//! Reads and hashes the values of events, for comparison.

use super::hash::{self, mix};
use super::reader::{Reader, View};
use super::text::{NATIVE_ID, is_address, without_addresses};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::chunk::{Moment, Values};
use dashcam_schema::value::{GroupKind, ObjectId, Sort, Value, render};
use std::rc::Rc;

/// The role of a value in its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// The argument with this number.
    Argument(u32),
    Result,
    Sent,
    Raised,
    /// A variable that may have been stored since the frame's last event.
    Variable(Slot),
    /// The name of an attribute that is set or deleted, or the key or index of an item.
    Key(GroupKind),
    /// The value that was stored there.
    Stored(GroupKind),
}

/// A value of an event.
pub(super) struct EventValue<'a> {
    pub(super) label: Label,
    /// Number of the code object of the frame that the value belongs to.
    pub(super) code: u32,
    /// The value belongs to the calling frame: the one from which the event's frame was entered.
    pub(super) is_callers: bool,
    pub(super) value: &'a Value,
    pub(super) values: &'a Values,
    pub(super) at: Moment,
    /// The moment before the event's values.
    pub(super) before: Moment,
}

impl EventValue<'_> {
    /// The value as `repr()` writes it.
    pub(super) fn text(&self) -> String {
        render::repr(self.values, self.value, self.at)
    }
}

/// Maximum number of values within a value that are hashed. Texts have similar bounds.
const STEPS_MAX: u32 = 1 << 12;
const DEPTH_MAX: usize = render::DEPTH_MAX;

impl Reader<'_> {
    /// Visits the values of an event, in order. `caller` is the code object of the calling frame,
    /// for an event that enters a frame.
    pub(super) fn each_value(
        &self,
        view: &View,
        index: usize,
        caller: Option<u32>,
        mut visit: impl FnMut(EventValue<'_>),
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
            let found =
                EventValue { label, code, is_callers: false, value, values, at: 0, before: 0 };
            if !self.is_ignored(&found) {
                visit(found);
            }
        }
        let place = view.places()?[index];
        // There are two chunks if one ends with values of the event and the next begins with more.
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
                let mut visit_value = |label, value: &Value| {
                    let found = EventValue {
                        label,
                        code,
                        is_callers,
                        value,
                        values: &values,
                        at: moment,
                        before,
                    };
                    if !self.is_ignored(&found) {
                        visit(found);
                    }
                };
                let unit = |value: &Value| match value {
                    Value::Int(unit) => u32::try_from(*unit).unwrap_or(u32::MAX),
                    _ => u32::MAX,
                };
                let stores = || self.store.variables(self.process, code).map(|known| &known.stores);
                match (group.kind, group.values) {
                    (GroupKind::Arguments, values) => {
                        (0..)
                            .zip(values)
                            .for_each(|(slot, v)| visit_value(Label::Argument(slot), v));
                    }
                    (GroupKind::Result, [value]) => visit_value(Label::Result, value),
                    (GroupKind::Sent, [value]) => visit_value(Label::Sent, value),
                    (GroupKind::Raised, [value]) => visit_value(Label::Raised, value),
                    // At PY_START these are cells of other functions, which record them themselves.
                    (GroupKind::Bindings, _) if kind == EventKind::PY_START => {}
                    (GroupKind::Bindings, [at, values @ ..])
                    | (GroupKind::Overwrite, [_, at, values @ ..]) => {
                        let slots = stores().map_or(&[][..], |stores| stores.pending(unit(at)));
                        let pairs = slots.iter().zip(values);
                        pairs.for_each(|(slot, value)| visit_value(Label::Variable(*slot), value));
                    }
                    (GroupKind::CallerBindings, [at, values @ ..]) => {
                        let stores = stores();
                        let slots = stores.map_or(&[][..], |s| s.pending_within(unit(at)));
                        let pairs = slots.iter().zip(values);
                        pairs.for_each(|(slot, value)| visit_value(Label::Variable(*slot), value));
                    }
                    // A snapshot, recorded now and then, has all variables. Only those count that
                    // may have been stored.
                    (GroupKind::Snapshot, values) if !kind.enters() => {
                        let Some(stores) = stores() else { continue };
                        for slot in stores.pending(place) {
                            let at = stores.all().binary_search(slot).ok();
                            if let Some(value) = at.and_then(|at| values.get(at)) {
                                visit_value(Label::Variable(*slot), value);
                            }
                        }
                    }
                    (kind, [_, _, _, key, rest @ ..]) if kind.is_store() => {
                        visit_value(Label::Key(kind), key);
                        rest.iter()
                            .take(1)
                            .for_each(|value| visit_value(Label::Stored(kind), value));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The chunks with the values of an event, by its ordinal.
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

/// Whether a value, or something it holds, is not in the recording as a whole.
pub(super) fn is_unrecorded(found: &EventValue<'_>) -> bool {
    /// Maximum number and depth of values within the value that are checked.
    const CHECKED_MAX: u32 = 200;
    const CHECKED_DEPTH: u32 = 4;
    is_unknown(found, found.value, CHECKED_DEPTH, &mut { CHECKED_MAX })
}

fn is_unknown(found: &EventValue<'_>, value: &Value, depth: u32, left: &mut u32) -> bool {
    let (Value::Object(id) | Value::Shallow(id)) = *value else {
        return matches!(value, Value::Unread);
    };
    let Some(rest) = left.checked_sub(1).filter(|_| depth > 0) else { return false };
    *left = rest;
    let Some(object) = found.values.object(id, found.at) else { return true };
    let class = found.values.classes().get(object.class as usize);
    let sort = class.map(|class| class.sort);
    // The fields of classes written in C are not recorded.
    let may_hold_more = match sort {
        None | Some(Sort::Opaque) => true,
        Some(Sort::Instance) => class.is_some_and(|class| class.name != "object"),
        _ => false,
    };
    let has_nothing =
        object.text.is_none() && object.items.is_none() && object.attributes.is_none();
    let is_cut = object.text.as_ref().is_some_and(|text| {
        let kept = found.values.text(text.kept);
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
    items.chain(attributes).any(|value| is_unknown(found, value, depth - 1, left))
}

/// The hash of a value. With `is_whole`, all that is known of it is hashed; otherwise only the
/// class of an object, which is always known.
pub(super) fn hash(found: &EventValue<'_>, is_whole: bool, has_state: bool) -> u64 {
    let mut hasher = Hasher::new(found, has_state);
    hasher.is_whole = is_whole;
    hasher.value(found.value)
}

/// For recordings without state: the hash of the parts of a value that are certainly as they were
/// at the event, and whether these are all its parts. A list within an object that has not changed
/// may have been described long before, together with that object.
pub(super) fn certain_hash(found: &EventValue<'_>) -> (u64, bool) {
    let mut hasher = Hasher::new(found, false);
    hasher.before = Some(found.before);
    (hasher.value(found.value), !hasher.has_stale)
}

/// Whether objects of a sort that were described within others may have changed since.
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
    /// Variables were recorded. Without them, instances within other objects may have old
    /// descriptions.
    has_state: bool,
    /// If set, objects within others that may change are hashed by their class only.
    before: Option<Moment>,
    /// Some of these objects were described before the event.
    has_stale: bool,
    steps: u32,
    open: Vec<ObjectId>,
}

impl<'a> Hasher<'a> {
    fn new(found: &EventValue<'a>, has_state: bool) -> Hasher<'a> {
        Hasher {
            values: found.values,
            at: found.at,
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
            // All NaNs are written alike.
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
            let described = self.values.next_description(id, before);
            self.has_stale |= described.is_none_or(|described| described > self.at);
        }
        self.open.push(id);
        if let Some(text) = &object.text {
            hash = mix(hash, self.text(self.values.text(text.kept)));
            hash = mix(hash, text.length);
        }
        if let Some(items) = &object.items {
            hash = mix(hash, items.length);
            if matches!(class.sort, Sort::Set | Sort::FrozenSet) {
                // The order of a set does not count. If it was cut, which items were kept is
                // random.
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
        // If `before` is set, the items were hashed only to find old descriptions.
        if before.is_some() { class_alone } else { hash }
    }
}
