//! Builds chunks of values, for the recorder.

use super::definitions;
use super::{
    CHANGED, COLUMN_BYTES_MAX, COLUMNS, Column, DescribedIds, FULL, Form, HAS_ATTRIBUTES,
    HAS_ITEMS, HAS_SHOWN, HAS_TEXT, Header, RECORDS_MAX, Slot, Tag, VALUES_MAX, changes_max,
    characters, put_varint, zigzag,
};
use crate::chunk::{ColumnHeader, Sealer, VALUES_MAGIC};
use crate::error::FormatError;
use crate::value::{
    Class, ClassNumber, GroupKind, Object, ObjectId, Part, Shape, ShapeNumber, Sort, TextNumber,
    Value,
};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

/// The number of places of a [`Recent`], as a power of two: few enough to stay in the processor's
/// cache.
const RECENT_BITS: u32 = 10;

/// The maximum number of items kept of an object, including those that stores have added.
const ITEMS_MAX: usize = 1 << 14;
/// Up to this many items, a search from the beginning is quick enough.
const ITEMS_FEW: usize = 64;

/// A form's memory for rows is kept for the next chunk if it has at least this many numbers.
const ROWS_KEPT: usize = 1 << 12;

/// Collects the values of a chunk.
///
/// Groups have to be added by ascending ordinal. An object has to be added after the group of the
/// event from which on it has the described contents. Invalid input, such as an unknown number,
/// makes [`Builder::seal`] fail.
#[derive(Default)]
pub struct Builder {
    names: Names,
    classes: Vec<Class>,
    class_numbers: FxHashMap<Class, ClassNumber>,
    shapes: Vec<Shape>,
    shape_numbers: FxHashMap<Shape, ShapeNumber>,
    forms: Interner,
    /// The forms of groups with few values, by [`group_key`].
    group_forms: Recent,
    /// The forms of objects of which one value was replaced, by the value's tag.
    replaced_forms: [Option<u32>; Tag::ALL.len()],
    /// By form.
    tables: Vec<Table>,
    /// By form: empty memory for the rows of its table, as much as they took in the previous chunk,
    /// if that was much.
    spare: FxHashMap<Box<[u8]>, Vec<u64>>,
    records: Vec<u32>,
    ordinals: Vec<u64>,
    first_ordinal: Option<u64>,
    last_ordinal: u64,
    /// By index: what each object held when it was last described.
    described: Vec<Option<Described>>,
    /// The values of all objects in `described`.
    described_values: Vec<Value>,
    /// By [`key_hash`]: where the value of a key was found last.
    recent_items: Recent,
    /// The index after that of the last object described in full.
    next_full: u32,
    /// The number of values in records so far.
    values: usize,
    /// The first error in the input, if there is one.
    wrong: Option<&'static str>,
    bytes: usize,
    form: Vec<u8>,
    slots: Vec<u64>,
    /// The values that an object did not hold before: see [`Changes`].
    changed: Vec<(usize, Value)>,
    columns: Slots,
    sealer: Option<(i32, Sealer)>,
}

/// Texts and objects, to which slots refer by number.
#[derive(Default)]
struct Names {
    texts: Interner,
    /// The first text that has not occurred in a value yet.
    next_text: u32,
    /// Whether a text number occurred that was not assigned.
    is_wrong: bool,
    /// Object ids, by index.
    ids: Vec<ObjectId>,
    indexes: FxHashMap<ObjectId, u32>,
    recent_indexes: Recent,
}

impl Names {
    /// Appends the slots of values.
    #[inline]
    fn put_slots(&mut self, values: &[Value], to: &mut Vec<u64>) {
        for value in values {
            let slot = match *value {
                Value::Int(int) => int.cast_unsigned(),
                Value::Float(float) => float.to_bits(),
                Value::Str(text) | Value::Bytes(text) => self.text_slot(text),
                Value::Object(id) | Value::Shallow(id) => self.reference_slot(id),
                _ => continue,
            };
            to.push(slot);
        }
    }

    fn text_slot(&mut self, text: TextNumber) -> u64 {
        self.is_wrong |= text as usize >= self.texts.ends.len();
        if text == self.next_text {
            self.next_text += 1;
            return 0;
        }
        u64::from(text) + 1
    }

    fn reference_slot(&mut self, id: ObjectId) -> u64 {
        let known = self.ids.len();
        let index = self.index(id);
        if index as usize == known { 0 } else { u64::from(index) + 1 }
    }

    #[inline]
    fn index(&mut self, id: ObjectId) -> u32 {
        self.recent_indexes.get(id).unwrap_or_else(|| self.find_index(id))
    }

    #[inline(never)]
    fn find_index(&mut self, id: ObjectId) -> u32 {
        let index = *self.indexes.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() as u32 - 1
        });
        self.recent_indexes.set(id, index);
        index
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.next_text = 0;
        self.is_wrong = false;
        self.ids.clear();
        self.indexes.clear();
        self.recent_indexes.clear();
    }
}

/// The slots of all records of one form.
struct Table {
    slots: Box<[Slot]>,
    /// Record by record.
    rows: Vec<u64>,
}

/// What an object held when it was last described.
#[derive(Clone, Copy)]
struct Described {
    class: ClassNumber,
    text: Option<(TextNumber, u64)>,
    /// The number of items kept, and the real length.
    items: Option<(usize, u64)>,
    shown: Option<u64>,
    shape: Option<ShapeNumber>,
    /// Where in `described_values` its items begin, followed by its attributes; how many values
    /// these are; and how many there is room for.
    values: usize,
    count: usize,
    room: usize,
    /// How often it was described by its changes since it was described in full.
    changes: usize,
}

/// The number of items after one was put at a key or index that is not among those kept. `beyond`
/// has the number if there are more items than are printed with the object.
fn length_after(length: u64, beyond: &[Value], is_new: bool) -> u64 {
    match beyond {
        [Value::Int(all)] => all.cast_unsigned(),
        _ if is_new => length + 1,
        _ => length,
    }
}

impl Described {
    fn may_describe_changes(&self) -> bool {
        self.changes < changes_max(self.count)
    }
}

/// A cache of numbers that were looked up last, by key. Each key has one place, so that finding it
/// takes no search. Several keys share a place, so a key may be known even if it is not in this
/// cache.
struct Recent {
    places: Box<[(u64, Option<u32>); 1 << RECENT_BITS]>,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { places: Box::new([(0, None); 1 << RECENT_BITS]) }
    }
}

impl Recent {
    fn place(&mut self, key: u64) -> &mut (u64, Option<u32>) {
        // The fraction of the golden ratio: it spreads keys that differ in a few bits.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.places[(hash >> (64 - RECENT_BITS)) as usize]
    }

    fn get(&mut self, key: u64) -> Option<u32> {
        let (owner, value) = *self.place(key);
        value.filter(|_| owner == key)
    }

    fn set(&mut self, key: u64, value: u32) {
        *self.place(key) = (key, Some(value));
    }

    fn clear(&mut self) {
        self.places.fill((0, None));
    }
}

/// Assigns numbers to byte strings by content.
#[derive(Default)]
struct Interner {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// By hash. If the hash is taken by another string, the next free number after it is used.
    numbers: FxHashMap<u64, u32>,
}

impl Interner {
    fn known(&self, number: u32) -> Option<&[u8]> {
        ((number as usize) < self.ends.len()).then(|| self.get(number))
    }

    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[start..self.ends[number]]
    }

    fn number(&mut self, bytes: &[u8]) -> u32 {
        let mut hash = xxh3_64(bytes);
        while let Some(number) = self.numbers.get(&hash) {
            if self.get(*number) == bytes {
                return *number;
            }
            hash = hash.wrapping_add(1);
        }
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.numbers.insert(hash, number);
        number
    }

    fn lengths(&self) -> impl Iterator<Item = u32> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| (end - start) as u32)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.numbers.clear();
    }
}

impl Builder {
    /// Returns the number of a text. The same bytes have the same number.
    pub fn text(&mut self, text: &[u8]) -> TextNumber {
        let before = self.names.texts.bytes.len();
        let number = self.names.texts.number(text);
        self.bytes += self.names.texts.bytes.len() - before;
        number
    }

    /// Returns the number of a class. The same class has the same number.
    pub fn class(&mut self, class: Class) -> ClassNumber {
        let Builder { classes, class_numbers, bytes, .. } = self;
        *class_numbers.entry(class).or_insert_with_key(|class| {
            *bytes += class.name.len() + 4;
            classes.push(class.clone());
            classes.len() as u32 - 1
        })
    }

    /// Returns the number of a shape. The same names have the same number.
    pub fn shape(&mut self, shape: Shape) -> ShapeNumber {
        let Builder { shapes, shape_numbers, bytes, .. } = self;
        *shape_numbers.entry(shape).or_insert_with_key(|shape| {
            *bytes += shape.names.iter().map(|name| name.len() + 1).sum::<usize>();
            shapes.push(shape.clone());
            shapes.len() as u32 - 1
        })
    }

    /// Appends the group of an event's values.
    pub fn group(&mut self, ordinal: u64, kind: GroupKind, values: &[Value]) {
        let first = *self.first_ordinal.get_or_insert(ordinal);
        let last = if self.ordinals.is_empty() { first } else { self.last_ordinal };
        match ordinal.checked_sub(last) {
            Some(delta) => self.ordinals.push(delta),
            None => return self.refuse("ordinals that are not ascending"),
        }
        self.last_ordinal = ordinal;
        let form = group_key(kind, values)
            .and_then(|key| self.group_forms.get(key))
            .unwrap_or_else(|| self.group_form(kind, values));
        // Slots are written directly to the form's table.
        let rows = &mut self.tables[form as usize].rows;
        let before = rows.len();
        self.names.put_slots(values, rows);
        let slots = rows.len() - before;
        self.values += values.len();
        self.push_record(form, slots);
    }

    #[cold]
    fn group_form(&mut self, kind: GroupKind, values: &[Value]) -> u32 {
        self.form.clear();
        self.form.push(kind as u8);
        self.put_tags(values);
        let number = self.put_form();
        if let Some(key) = group_key(kind, values) {
            self.group_forms.set(key, number);
        }
        number
    }

    /// Appends the description of what an object holds from the event of the last group on.
    pub fn object(&mut self, object: &Object<&[Value]>) {
        if self.ordinals.is_empty() {
            return self.refuse("an object before the first group");
        }
        let names = |shape: u32| self.shapes.get(shape as usize).map(|shape| shape.names.len());
        let fits = object.class < self.classes.len() as u32
            && object.attributes.is_none_or(|(s, v)| names(s) == Some(v.len()));
        if !fits {
            return self.refuse("an object that does not match its class or shape");
        }
        let index = self.names.index(object.id);
        if index as usize >= self.described.len() {
            self.described.resize(self.names.ids.len(), None);
        }
        let before = self.described[index as usize];
        let changes = before.filter(Described::may_describe_changes);
        let changes = changes
            .and_then(|described| Some((self.changes(&described, object)?, described.changes)));
        let changes = if let Some((changes, count)) = changes {
            self.changed(index, object, &changes);
            count + 1
        } else {
            self.full(index, object);
            0
        };
        self.keep(index, object, changes);
    }

    /// Appends the description of what an object holds after the change that the last group
    /// records. It does nothing if the object was not described in this chunk before.
    pub fn store(&mut self, kind: GroupKind, values: &[Value]) {
        let [_, _, Value::Object(id) | Value::Shallow(id), key, rest @ ..] = values else { return };
        let index = self.names.index(*id) as usize;
        let Some(described) = self.described.get(index).copied().flatten() else { return };
        let sort = self.classes.get(described.class as usize).map(|class| class.sort);
        if sort == Some(Sort::ByteArray) {
            return self.byte(*id, described, key, rest);
        }
        let (kept, length) = described.items.unwrap_or_default();
        let is_dict = sort == Some(Sort::Dict);
        let is_whole = described.items.is_some() && kept as u64 == length << u32::from(is_dict);
        let at = match (kind, rest) {
            (GroupKind::SetAttribute, _) => {
                self.attribute(described.shape, key).map(|at| kept + at)
            }
            // The key is new, so it need not be searched for.
            (GroupKind::SetItem, [_, Value::Int(all)])
                if is_whole && *all == (length + 1).cast_signed() =>
            {
                None
            }
            (GroupKind::SetItem, _) => self.item(index, is_dict, key),
            _ => None,
        };
        if let (Some(at), [value, ..]) = (at.filter(|at| *at < described.count), rest)
            && described.may_describe_changes()
        {
            // This case is by far the most frequent: one value replaces another.
            self.replaced(index as u32, at, value);
            return;
        }
        let is_append = at.is_none()
            && is_whole
            && kept < ITEMS_MAX
            && (is_dict || *key == Value::Int(length.cast_signed()));
        let mut shown = described.shown;
        if let (GroupKind::SetItem, true, [value, beyond @ ..]) = (kind, is_append, rest) {
            let new = [*key, *value];
            let new = if is_dict { &new[..] } else { &new[1..] };
            if beyond.is_empty() || shown.is_some() {
                if described.may_describe_changes() && described.count == kept {
                    return self.appended(index, new, described);
                }
            } else {
                // The items from here on are not printed with the object.
                shown = Some(length);
            }
        }
        // Not all of the items may be kept. Changes of the others change only the length.
        let length_alone = match (kind, rest) {
            (GroupKind::SetItem, [_, beyond @ ..]) if at.is_none() && !is_append => {
                Some(length_after(length, beyond, is_dict))
            }
            (GroupKind::DeleteItem, [])
                if !is_whole && self.item(index, is_dict, key).is_none() =>
            {
                Some(length.saturating_sub(1))
            }
            _ => None,
        };
        if let Some(length) =
            length_alone.filter(|_| described.items.is_some() && described.may_describe_changes())
        {
            return self.resized(index, length, described);
        }
        // If the last item is deleted, all others keep their places.
        if kind == GroupKind::DeleteItem
            && rest.is_empty()
            && !is_dict
            && kept > 0
            && described.count == kept
            && described.may_describe_changes()
            && *key == Value::Int(kept as i64 - 1)
        {
            return self.shortened(index, described);
        }
        let before = &self.described_values[described.values..described.values + described.count];
        let (mut items, mut attributes) = (before[..kept].to_vec(), before[kept..].to_vec());
        let (mut length, mut shape) = (length, described.shape);
        match (kind, rest) {
            (GroupKind::SetAttribute, [value]) => {
                let at = self.attribute(shape, key);
                match at.and_then(|at| attributes.get_mut(at)) {
                    Some(attribute) => *attribute = *value,
                    None => {
                        let Some(name) = self.name(key) else { return };
                        let names = shape.map(|shape| self.shapes[shape as usize].names.clone());
                        let mut names = names.unwrap_or_default();
                        names.push(name);
                        shape = Some(self.shape(Shape { names }));
                        attributes.push(*value);
                    }
                }
            }
            (GroupKind::DeleteAttribute, []) => {
                let at = self.attribute(shape, key);
                if let Some(attribute) = at.and_then(|at| attributes.get_mut(at)) {
                    *attribute = Value::Unbound;
                }
            }
            (GroupKind::SetItem, [value, beyond @ ..]) => match at {
                Some(at) => items[at] = *value,
                None => {
                    if is_append {
                        items.extend(is_dict.then_some(*key));
                        items.push(*value);
                    }
                    length = length_after(length, beyond, is_dict || is_append);
                }
            },
            (GroupKind::DeleteItem, []) => {
                match self.item(index, is_dict, key) {
                    Some(at) => drop(items.drain(if is_dict { at - 1..=at } else { at..=at })),
                    // The item is not among those kept.
                    None if !is_whole => {}
                    None => return,
                }
                length = length.saturating_sub(1);
            }
            _ => return,
        }
        let text = described.text.map(|(kept, length)| Part { kept, length });
        let has_items = described.items.is_some();
        self.object(&Object {
            id: *id,
            class: described.class,
            text,
            items: has_items.then_some(Part { kept: &items, length }),
            shown,
            attributes: shape.map(|shape| (shape, &attributes[..])),
        });
    }

    /// Appends the description of a bytearray after one of its bytes was replaced.
    fn byte(&mut self, id: ObjectId, described: Described, key: &Value, rest: &[Value]) {
        let (Value::Int(at), [Value::Int(byte)], Some((text, length))) =
            (key, rest, described.text)
        else {
            return;
        };
        let mut bytes = self.names.texts.known(text).unwrap_or_default().to_vec();
        let place = usize::try_from(*at).ok().and_then(|at| bytes.get_mut(at));
        let (Some(place), Ok(byte)) = (place, u8::try_from(*byte)) else { return };
        *place = byte;
        let kept = self.text(&bytes);
        let attributes =
            self.described_values[described.values..described.values + described.count].to_vec();
        self.object(&Object {
            id,
            class: described.class,
            text: Some(Part { kept, length }),
            attributes: described.shape.map(|shape| (shape, &attributes[..])),
            ..Object::default()
        });
    }

    /// The position of an item among the values of an object: of the item with an index, or of the
    /// value of a key.
    fn item(&mut self, index: usize, is_dict: bool, key: &Value) -> Option<usize> {
        let described = self.described.get(index)?.as_ref()?;
        let (kept, _) = described.items.unwrap_or_default();
        let items = &self.described_values[described.values..described.values + kept];
        if !is_dict || kept <= ITEMS_FEW {
            return item(is_dict, items, key);
        }
        // It is likely to be where it was found last time.
        let recent = key_hash(index, key);
        if let Some(at) = self.recent_items.get(recent)
            && let Some(known) = items.get((at as usize).wrapping_sub(1))
            && is_same(known, key)
        {
            return Some(at as usize);
        }
        let at = item(is_dict, items, key)?;
        self.recent_items.set(recent, at as u32);
        Some(at)
    }

    /// Appends a description in which the number of items that are not kept has changed.
    fn resized(&mut self, index: usize, length: u64, described: Described) {
        let (kept, before) = described.items.unwrap_or_default();
        self.put_lengths(index, 0, length.wrapping_sub(before).cast_signed());
        let (items, changes) = (Some((kept, length)), described.changes + 1);
        self.described[index] = Some(Described { items, changes, ..described });
    }

    /// Appends a description in which the last item that is kept was removed. The object has no
    /// attributes.
    fn shortened(&mut self, index: usize, described: Described) {
        let (kept, length) = described.items.unwrap_or_default();
        self.put_lengths(index, -1, -1);
        let items = Some((kept - 1, length.saturating_sub(1)));
        let (count, changes) = (described.count - 1, described.changes + 1);
        self.described[index] = Some(Described { items, count, changes, ..described });
    }

    /// Appends a description by which the number of items kept and the real length change by these
    /// amounts, and nothing else changes.
    fn put_lengths(&mut self, index: usize, kept: i64, length: i64) {
        self.begin(CHANGED);
        put_varint(zigzag(kept), &mut self.form);
        put_varint(zigzag(length), &mut self.form);
        put_varint(0, &mut self.form);
        self.slots.push(index as u64);
        self.push();
    }

    /// Appends a description in which items were added at the end. The object has no attributes.
    fn appended(&mut self, index: usize, new: &[Value], described: Described) {
        self.begin(CHANGED);
        put_varint(zigzag(new.len() as i64), &mut self.form);
        put_varint(zigzag(1), &mut self.form);
        put_varint(0, &mut self.form);
        self.slots.push(index as u64);
        self.put_values(new);
        self.push();
        let (count, mut values, mut room) = (described.count, described.values, described.room);
        if room < count + new.len() {
            // The old room is left unused. Since the room doubles, all unused room is less than the
            // new.
            room = (count + new.len()).next_power_of_two();
            values = self.described_values.len();
            self.described_values.resize(values + room, Value::Unbound);
            self.described_values.copy_within(described.values..described.values + count, values);
        }
        self.described_values[values + count..][..new.len()].copy_from_slice(new);
        if let (Value::Int(_) | Value::Str(_), [key, _]) = (&new[0], new) {
            self.recent_items.set(key_hash(index, key), count as u32 + 1);
        }
        let items = described.items.map(|(kept, length)| (kept + new.len(), length + 1));
        let (count, changes) = (count + new.len(), described.changes + 1);
        self.described[index] =
            Some(Described { items, values, count, room, changes, ..described });
    }

    /// Appends a description in which the value at one position was replaced.
    fn replaced(&mut self, index: u32, at: usize, value: &Value) {
        let tag = Tag::of(value) as usize;
        let form = self.replaced_forms[tag].unwrap_or_else(|| self.replaced_form(tag));
        // Slots are written directly to the form's table.
        let rows = &mut self.tables[form as usize].rows;
        let before = rows.len();
        rows.extend([index.into(), at as u64]);
        self.names.put_slots(std::slice::from_ref(value), rows);
        let slots = rows.len() - before;
        self.values += 1;
        self.push_record(form, slots);
        if let Some(described) = &mut self.described[index as usize] {
            self.described_values[described.values + at] = *value;
            described.changes += 1;
        }
    }

    #[cold]
    fn replaced_form(&mut self, tag: usize) -> u32 {
        self.form.clear();
        // The numbers of items kept and of all items do not change, and there is one changed value.
        self.form.extend([CHANGED, 0, 0, 1, tag as u8]);
        let form = self.put_form();
        self.replaced_forms[tag] = Some(form);
        form
    }

    /// The bytes of a str, which may be an object.
    fn name_bytes(&self, key: &Value) -> Option<&[u8]> {
        let text = match key {
            Value::Str(text) => *text,
            Value::Object(id) => {
                let index = *self.names.indexes.get(id)?;
                self.described.get(index as usize)?.as_ref()?.text?.0
            }
            _ => return None,
        };
        self.names.texts.known(text)
    }

    fn name(&self, key: &Value) -> Option<String> {
        self.name_bytes(key).map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// The position of the attribute with this name in a shape.
    fn attribute(&self, shape: Option<ShapeNumber>, key: &Value) -> Option<usize> {
        let name = self.name_bytes(key)?;
        self.shapes.get(shape? as usize)?.names.iter().position(|known| known.as_bytes() == name)
    }

    /// Remembers what an object holds, for its next description.
    fn keep(&mut self, index: u32, object: &Object<&[Value]>, changes: usize) {
        let (items, attributes) = values(object);
        let count = items.len() + attributes.len();
        let before =
            self.described[index as usize].map(|described| (described.values, described.room));
        let (values, room) = before.filter(|(_, room)| *room >= count).unwrap_or_else(|| {
            // An object that needs more room leaves its old room unused. Since the room doubles,
            // all unused room is less than the new.
            let room = before.map_or(count, |_| count.next_power_of_two());
            let values = self.described_values.len();
            self.described_values.resize(values + room, Value::Unbound);
            (values, room)
        });
        let (to_items, to_attributes) =
            self.described_values[values..values + count].split_at_mut(items.len());
        to_items.copy_from_slice(items);
        to_attributes.copy_from_slice(attributes);
        self.described[index as usize] = Some(Described {
            class: object.class,
            text: object.text.as_ref().map(|text| (text.kept, text.length)),
            items: object.items.as_ref().map(|items| (items.kept.len(), items.length)),
            shown: object.shown,
            shape: object.attributes.map(|(shape, _)| shape),
            values,
            count,
            room,
            changes,
        });
    }

    /// Compares an object with its last description. Puts the changed values into `changed`.
    /// Returns `None` if there are too many changed values, or something else than values differs.
    fn changes(&mut self, before: &Described, now: &Object<&[Value]>) -> Option<Changes> {
        let text = now.text.as_ref().map(|text| (text.kept, text.length));
        let shape = now.attributes.map(|(shape, _)| shape);
        let is_alike = (before.class, before.text, before.shape) == (now.class, text, shape)
            && before.shown == now.shown
            && before.items.is_some() == now.items.is_some();
        if !is_alike {
            return None;
        }
        let (old_kept, old_length) = before.items.unwrap_or_default();
        let old = &self.described_values[before.values..before.values + before.count];
        let (old_items, old_attributes) = old.split_at(old_kept);
        let (items, attributes) = values(now);
        let kept = items.len() as i64 - old_kept as i64;
        let length = now.items.as_ref().map_or(0, |items| items.length);
        let length = length.wrapping_sub(old_length).cast_signed();
        let pairs = old_items.iter().zip(items).enumerate();
        let pairs = pairs.chain((old_kept..).zip(old_attributes.iter().zip(attributes)));
        let changed = pairs.filter(|(_, (old, new))| !is_same(old, new));
        self.changed.clear();
        self.changed.extend(changed.map(|(at, (_, new))| (at, *new)));
        let different = self.changed.len() + usize::try_from(kept).unwrap_or(0);
        let all = items.len() + attributes.len();
        (different <= 1 + all / 2).then_some(Changes { kept, length })
    }

    fn full(&mut self, index: u32, object: &Object<&[Value]>) {
        let parts = [
            (object.text.is_some(), HAS_TEXT),
            (object.items.is_some(), HAS_ITEMS),
            (object.attributes.is_some(), HAS_ATTRIBUTES),
            (object.shown.is_some(), HAS_SHOWN),
        ];
        self.begin(FULL);
        self.form.push(parts.iter().map(|(has, bit)| if *has { *bit } else { 0 }).sum());
        put_varint(object.class.into(), &mut self.form);
        self.slots.push(zigzag(i64::from(index) - i64::from(self.next_full)));
        self.next_full = index + 1;
        if let Some(text) = &object.text {
            if text.kept as usize >= self.names.texts.ends.len() {
                return self.refuse("a text that was not defined");
            }
            let expected = characters(self.names.texts.get(text.kept));
            let number = self.names.text_slot(text.kept);
            self.slots.push(number);
            self.slots.push(zigzag(text.length.wrapping_sub(expected).cast_signed()));
        }
        if let Some(items) = &object.items {
            let kept = items.kept.len() as u64;
            put_varint(kept, &mut self.form);
            self.slots.push(zigzag(items.length.wrapping_sub(kept).cast_signed()));
        }
        if let Some(shown) = object.shown {
            put_varint(shown, &mut self.form);
        }
        if let Some((shape, _)) = &object.attributes {
            put_varint((*shape).into(), &mut self.form);
        }
        let (items, attributes) = values(object);
        self.put_values(items);
        self.put_values(attributes);
        self.push();
    }

    fn changed(&mut self, index: u32, object: &Object<&[Value]>, changes: &Changes) {
        let changed = std::mem::take(&mut self.changed);
        self.begin(CHANGED);
        put_varint(zigzag(changes.kept), &mut self.form);
        put_varint(zigzag(changes.length), &mut self.form);
        put_varint(changed.len() as u64, &mut self.form);
        self.slots.push(index.into());
        let mut next = 0;
        for (position, _) in &changed {
            self.slots.push((position - next) as u64);
            next = position + 1;
        }
        for (_, value) in &changed {
            self.put_values(std::slice::from_ref(value));
        }
        if let Some(Part { kept, .. }) = object.items {
            let more = usize::try_from(changes.kept).unwrap_or(0);
            self.put_values(&kept[kept.len() - more..]);
        }
        self.push();
        self.changed = changed;
    }

    fn begin(&mut self, first: u8) {
        self.form.clear();
        self.form.push(first);
        self.slots.clear();
    }

    fn put_values(&mut self, values: &[Value]) {
        self.put_tags(values);
        self.values += values.len();
        self.names.put_slots(values, &mut self.slots);
    }

    fn put_tags(&mut self, values: &[Value]) {
        self.form.extend(values.iter().map(|value| Tag::of(value) as u8));
    }

    /// Appends the record whose form and slots are in `form` and `slots`.
    fn push(&mut self) {
        let form = self.put_form();
        self.tables[form as usize].rows.extend_from_slice(&self.slots);
        self.push_record(form, self.slots.len());
    }

    /// Returns the number of the form in `form`, and makes a table for it if it is new.
    fn put_form(&mut self) -> u32 {
        let number = self.forms.number(&self.form);
        if number as usize == self.tables.len() {
            // Invariant: the bytes in `form` are a valid form.
            let slots = Form::decode(&self.form).map(|form| form.slots()).unwrap_or_default();
            let rows = self.spare.remove(&self.form[..]).unwrap_or_default();
            self.tables.push(Table { slots: slots.into(), rows });
            // Each byte counts as much as a slot, because a chunk may have no more bytes of forms
            // than values.
            self.bytes += 3 * self.form.len();
        }
        number
    }

    /// Appends a record whose slots, `slots` in number, are already in the form's table.
    fn push_record(&mut self, form: u32, slots: usize) {
        debug_assert_eq!(slots, self.tables[form as usize].slots.len());
        self.records.push(form);
        self.bytes += 2 + 3 * slots;
    }

    fn refuse(&mut self, what: &'static str) {
        self.wrong.get_or_insert(what);
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.ordinals.len()
    }

    /// The approximate size before compression.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The objects described so far.
    pub fn described_ids(&self) -> DescribedIds {
        let ids = self.names.ids.iter().zip(&self.described);
        DescribedIds::new(
            ids.filter(|(_, described)| described.is_some()).map(|(id, _)| *id).collect(),
        )
    }

    /// The ordinal of the first group.
    pub fn first_ordinal(&self) -> Option<u64> {
        self.first_ordinal
    }

    /// The ordinal of the last group.
    pub fn last_ordinal(&self) -> Option<u64> {
        self.first_ordinal.map(|_| self.last_ordinal)
    }

    /// Returns the bytes of the chunk. The builder is empty afterwards, also if this fails. `level`
    /// is the compression level of zstd.
    ///
    /// # Errors
    /// If the input is invalid or more than a chunk may hold.
    pub fn seal(&mut self, level: i32) -> Result<Vec<u8>, FormatError> {
        let sealed = self.sealed(level);
        self.clear();
        sealed
    }

    fn sealed(&mut self, level: i32) -> Result<Vec<u8>, FormatError> {
        let invalid = |what: &str| FormatError::invalid("chunk of values", 0, what);
        let unknown_text = self.names.is_wrong.then_some("a text that was not defined");
        let slots = |table: &Table| table.rows.len();
        let values = self.tables.iter().map(slots).sum::<usize>().max(self.values);
        if let Some(what) = self.wrong.or(unknown_text) {
            return Err(invalid(what));
        }
        let values = values.max(self.forms.bytes.len());
        let bytes = self.names.texts.bytes.len();
        if self.records.len() > RECORDS_MAX || values > VALUES_MAX || bytes > COLUMN_BYTES_MAX {
            return Err(invalid("more than a chunk may hold"));
        }
        let mut sealer = match self.sealer.take() {
            Some((same, sealer)) if same == level => sealer,
            _ => Sealer::new(level).map_err(|error| invalid(&error.to_string()))?,
        };
        let mut slots = std::mem::take(&mut self.columns);
        slots.clear();
        self.tables.iter().for_each(|table| slots.take(table));
        let columns = self.put(&slots, &mut sealer);
        self.columns = slots;
        let sealed = columns.and_then(|columns| {
            let header = Header {
                groups: self.ordinals.len() as u32,
                first_ordinal: self.first_ordinal.unwrap_or(0),
                last_ordinal: self.last_ordinal,
                columns,
            };
            sealer.finish(VALUES_MAGIC, &header)
        });
        self.sealer = Some((level, sealer));
        sealed
    }

    /// Compresses all columns, in the order of [`Column`].
    fn put(&self, slots: &Slots, sealer: &mut Sealer) -> Result<Vec<ColumnHeader>, FormatError> {
        let definitions = definitions::encode(&self.classes, &self.shapes)
            .map_err(|error| FormatError::invalid(Column::Definitions.name(), 0, error))?;
        let before = std::iter::once(&0).chain(&self.names.ids);
        let ids = self.names.ids.iter().zip(before);
        let ids =
            ids.map(|(id, before)| zigzag(id.wrapping_sub(*before).wrapping_sub(1).cast_signed()));
        let ids: Vec<u64> = ids.collect();
        sealer.begin();
        let mut columns = Vec::with_capacity(COLUMNS);
        columns.push(sealer.put_ints(&self.records)?);
        columns.push(sealer.put_each(self.forms.lengths())?);
        columns.push(sealer.put(&self.forms.bytes, 1)?);
        columns.push(sealer.put_ints(&self.ordinals)?);
        columns.push(sealer.put(&definitions, 1)?);
        columns.push(sealer.put_each(self.names.texts.lengths())?);
        columns.push(sealer.put(&self.names.texts.bytes, 1)?);
        columns.push(sealer.put_ints(&ids)?);
        columns.push(sealer.put_ints(&slots.references)?);
        columns.push(sealer.put_ints(&slots.ints.low)?);
        columns.push(sealer.put_ints(&slots.ints.high)?);
        columns.push(sealer.put(&slots.int_modes, slots.int_modes.len())?);
        columns.push(sealer.put_ints(&slots.floats.low)?);
        columns.push(sealer.put_ints(&slots.floats.high)?);
        columns.push(sealer.put_ints(&slots.texts)?);
        columns.push(sealer.put_ints(&slots.lengths)?);
        columns.push(sealer.put_ints(&slots.objects)?);
        columns.push(sealer.put_ints(&slots.positions)?);
        Ok(columns)
    }

    fn clear(&mut self) {
        self.names.clear();
        self.classes.clear();
        self.class_numbers.clear();
        self.shapes.clear();
        self.shape_numbers.clear();
        self.group_forms.clear();
        self.replaced_forms = Default::default();
        self.recent_items.clear();
        self.spare.clear();
        for (Table { mut rows, .. }, form) in self.tables.drain(..).zip(0..) {
            if rows.len() >= ROWS_KEPT {
                rows.shrink_to(rows.len() + rows.len() / 4);
                rows.clear();
                self.spare.insert(self.forms.get(form).into(), rows);
            }
        }
        self.forms.clear();
        self.records.clear();
        self.ordinals.clear();
        self.first_ordinal = None;
        self.last_ordinal = 0;
        self.described.clear();
        self.described_values.clear();
        self.next_full = 0;
        self.values = 0;
        self.wrong = None;
        self.bytes = 0;
    }
}

/// Numbers of 64 bits, in two columns of halves.
#[derive(Default)]
struct Halves {
    low: Vec<u32>,
    high: Vec<u32>,
}

impl Halves {
    fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
    }

    fn extend(&mut self, values: impl Iterator<Item = u64> + Clone) {
        self.low.extend(values.clone().map(|value| value as u32));
        self.high.extend(values.map(|value| (value >> 32) as u32));
    }
}

/// The columns of slots.
#[derive(Default)]
struct Slots {
    references: Vec<u32>,
    ints: Halves,
    int_modes: Vec<u8>,
    floats: Halves,
    texts: Vec<u32>,
    lengths: Vec<u64>,
    objects: Vec<u32>,
    positions: Vec<u32>,
}

impl Slots {
    fn clear(&mut self) {
        self.references.clear();
        self.ints.clear();
        self.int_modes.clear();
        self.floats.clear();
        self.texts.clear();
        self.lengths.clear();
        self.objects.clear();
        self.positions.clear();
    }

    fn take(&mut self, table: &Table) {
        let width = table.slots.len();
        for (i, slot) in table.slots.iter().enumerate() {
            let column = || table.rows.iter().skip(i).step_by(width);
            let narrow = || column().map(|value| *value as u32);
            match slot {
                Slot::Reference => self.references.extend(narrow()),
                Slot::Text => self.texts.extend(narrow()),
                Slot::Full | Slot::Changed => self.objects.extend(narrow()),
                Slot::Position => self.positions.extend(narrow()),
                Slot::Length => self.lengths.extend(column()),
                Slot::Float => self.floats.extend(column().copied()),
                Slot::Int => {
                    let each = || column().map(|value| value.cast_signed());
                    let before = || std::iter::once(0).chain(each());
                    let less = || each().zip(before()).map(|(int, last)| int.wrapping_sub(last));
                    // Differences take fewer bits for counters, but often more for other ints.
                    let bits = |value: i64| u64::from(64 - zigzag(value).leading_zeros());
                    let as_is: u64 = each().map(bits).sum();
                    let differences: u64 = less().map(bits).sum();
                    if differences < as_is {
                        self.ints.extend(less().map(zigzag));
                    } else {
                        self.ints.extend(each().map(zigzag));
                    }
                    self.int_modes.push((differences < as_is).into());
                }
            }
        }
    }
}

/// How the number of items of an object changed: of those kept, and of all. The changed values are
/// in [`Builder::changed`], each with its position: items first, then attributes, with the
/// positions they had before. Appended items are not among them.
struct Changes {
    kept: i64,
    length: i64,
}

/// The position among items of the item with an index, or of the value of a key.
fn item(is_dict: bool, items: &[Value], key: &Value) -> Option<usize> {
    if !is_dict {
        let Value::Int(index) = key else { return None };
        return usize::try_from(*index).ok().filter(|index| *index < items.len());
    }
    let number = |value: &Value| match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::False => Some(0.0),
        Value::True => Some(1.0),
        _ => None,
    };
    // Python considers the keys 1, 1.0 and True equal.
    let is_equal = |other: &Value| match (key, other) {
        (Value::Int(key), Value::Int(other)) => key == other,
        _ => is_same(key, other) || number(key).is_some_and(|key| number(other) == Some(key)),
    };
    items.iter().step_by(2).position(is_equal).map(|pair| 2 * pair + 1)
}

/// A hash of an object's index and one of its keys.
fn key_hash(index: usize, key: &Value) -> u64 {
    let key = match *key {
        Value::Int(int) => int.cast_unsigned().rotate_left(7),
        Value::Float(float) => float.to_bits(),
        Value::Str(text) => u64::from(text) << 32 | 1,
        Value::Bytes(text) => u64::from(text) << 32 | 2,
        Value::Object(id) | Value::Shallow(id) => id.rotate_left(17),
        _ => 0,
    };
    (key ^ (index as u64).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The items and attributes of an object.
fn values<'a>(object: &Object<&'a [Value]>) -> (&'a [Value], &'a [Value]) {
    (
        object.items.as_ref().map_or(&[], |items| items.kept),
        object.attributes.map_or(&[], |(_, values)| values),
    )
}

/// The form of a group as one number, if the group has few values: kind and tags, with four bits
/// per tag.
fn group_key(kind: GroupKind, values: &[Value]) -> Option<u64> {
    // The highest bit that is set shows how many tags there are. The five bits below it have the
    // kind.
    let head = 32 | kind as u64;
    let put = |key, value| key << 4 | Tag::of(value) as u64;
    (values.len() <= 14).then(|| values.iter().fold(head, put))
}

/// Whether two values are the same, floats to the last bit: 0.0 is not -0.0, and NaN is NaN.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}
