//! A chunk of values: the groups and objects between two epochs, as compressed columns.
//!
//! [`Builder`] collects them and makes the bytes of `value_chunks.data`; [`Values`] reads these
//! bytes. A chunk has everything that is needed to read it by itself.
//!
//! Most groups are similar to an earlier one: a method called with an object and two ints, a
//! function that returns None. So what similar records have in common is stored once, as a *form*.
//! A chunk is a list of records, each of which is the number of its form, with its own values in
//! *slots*:
//!
//! | record | its form | its slots |
//! |---|---|---|
//! | a group | kind; tags of the values | one per value that is not a constant |
//! | an object described in full | class, parts, shape; tags of items and attributes | the object; real lengths; text; as above |
//! | an object described by its changes | by how many items it grew or shrank; tags of the changed values | the object; positions; as above |
//!
//! Columns have the slots form by form and slot by slot, so that, for example, all first arguments
//! of one form are neighbours. That makes a reference to `self`, or a counter, cost next to
//! nothing.

mod build;
mod columns;
mod decode;
mod definitions;
mod described;
mod read;

pub use build::Builder;
pub use described::DescribedIds;
pub use read::{Moment, Values};

use super::{ClassNumber, GroupKind, ShapeNumber, Value};
use crate::chunk::ColumnHeader;

/// The maximum numbers of records and values in one chunk, and of bytes in one of its columns.
const RECORDS_MAX: usize = 1 << 22;
const VALUES_MAX: usize = 1 << 23;
const COLUMN_BYTES_MAX: usize = 1 << 26;
/// How often in a row an object with this many values may be described by its changes, before it is
/// described in full again. This bounds the cost of reading an object to about twice the cost of
/// its values.
const fn changes_max(values: usize) -> usize {
    64 + values / 2
}

#[derive(Debug, bincode::Encode, bincode::Decode)]
struct Header {
    groups: u32,
    first_ordinal: u64,
    last_ordinal: u64,
    columns: Vec<ColumnHeader>,
}

/// The columns, in their order in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Per record: the number of its form.
    Records,
    FormLengths,
    Forms,
    /// Per group: its ordinal less the one before.
    Ordinals,
    /// Classes and shapes.
    Definitions,
    TextLengths,
    Texts,
    /// Per object, in the order of first occurrence: its id less the one before less 1, zigzag.
    Ids,
    /// This column and the following ones have the slots, by kind of content.
    References,
    IntsLow,
    IntsHigh,
    /// Per slot with ints: 1 if the ints are differences.
    IntModes,
    FloatsLow,
    FloatsHigh,
    TextNumbers,
    Lengths,
    Objects,
    Positions,
}

const COLUMNS: usize = Column::Positions as usize + 1;

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Column::Records => "column of records",
            Column::FormLengths => "column of forms' lengths",
            Column::Forms => "column of forms",
            Column::Ordinals => "column of ordinals",
            Column::Definitions => "classes and shapes",
            Column::TextLengths => "column of texts' lengths",
            Column::Texts => "column of texts",
            Column::Ids => "column of object ids",
            Column::References => "column of references",
            Column::IntsLow | Column::IntsHigh => "column of ints",
            Column::IntModes => "column of ints' modes",
            Column::FloatsLow | Column::FloatsHigh => "column of floats",
            Column::TextNumbers => "column of text numbers",
            Column::Lengths => "column of lengths",
            Column::Objects => "column of objects",
            Column::Positions => "column of positions",
        }
    }
}

/// The kind of a value. The rest of the value, if there is more to it, is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Tag {
    Unbound,
    None,
    False,
    True,
    Ellipsis,
    NotImplemented,
    Redacted,
    Unread,
    Int,
    Float,
    Str,
    Bytes,
    Object,
    Shallow,
}

impl Tag {
    const ALL: [Tag; 14] = [
        Tag::Unbound,
        Tag::None,
        Tag::False,
        Tag::True,
        Tag::Ellipsis,
        Tag::NotImplemented,
        Tag::Redacted,
        Tag::Unread,
        Tag::Int,
        Tag::Float,
        Tag::Str,
        Tag::Bytes,
        Tag::Object,
        Tag::Shallow,
    ];

    fn of(value: &Value) -> Tag {
        match value {
            Value::Unbound => Tag::Unbound,
            Value::None => Tag::None,
            Value::False => Tag::False,
            Value::True => Tag::True,
            Value::Ellipsis => Tag::Ellipsis,
            Value::NotImplemented => Tag::NotImplemented,
            Value::Redacted => Tag::Redacted,
            Value::Unread => Tag::Unread,
            Value::Int(_) => Tag::Int,
            Value::Float(_) => Tag::Float,
            Value::Str(_) => Tag::Str,
            Value::Bytes(_) => Tag::Bytes,
            Value::Object(_) => Tag::Object,
            Value::Shallow(_) => Tag::Shallow,
        }
    }

    fn from_number(number: u8) -> Option<Tag> {
        Tag::ALL.get(usize::from(number)).copied()
    }

    const fn slot(self) -> Option<Slot> {
        match self {
            Tag::Int => Some(Slot::Int),
            Tag::Float => Some(Slot::Float),
            Tag::Str | Tag::Bytes => Some(Slot::Text),
            Tag::Object | Tag::Shallow => Some(Slot::Reference),
            _ => None,
        }
    }
}

/// The meaning of a number of a record, which determines its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// 0 for the first object that has not occurred yet, else its index + 1.
    Reference,
    Int,
    /// The bits of a double.
    Float,
    /// 0 for the first text that has not occurred yet, else its number + 1.
    Text,
    /// A real length less the expected one, zigzag.
    Length,
    /// The index of an object described in full, less that of the previous such object, less 1,
    /// zigzag.
    Full,
    /// The index of an object described by its changes.
    Changed,
    /// The number of items and attributes skipped since the previous one that changed.
    Position,
}

const FULL: u8 = 16;
const CHANGED: u8 = 17;
const HAS_TEXT: u8 = 1;
const HAS_ITEMS: u8 = 2;
const HAS_ATTRIBUTES: u8 = 4;
const HAS_SHOWN: u8 = 8;

/// A form, parsed.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Group {
        kind: GroupKind,
        tags: Vec<Tag>,
    },
    Full {
        class: ClassNumber,
        has_text: bool,
        /// The number of items kept.
        items: Option<usize>,
        /// The number of items, or pairs, that are printed with it, if not all.
        shown: Option<u64>,
        shape: Option<ShapeNumber>,
        /// The tags of the items kept, then of the attributes.
        tags: Vec<Tag>,
    },
    Changed {
        /// The number of items kept and the real length, each less the previous one.
        kept: i64,
        length: i64,
        /// The number of values that changed. `tags` has the tags of these values, then of the
        /// items that were appended.
        changed: usize,
        tags: Vec<Tag>,
    },
}

impl Form {
    fn decode(mut bytes: &[u8]) -> Option<Form> {
        let bytes = &mut bytes;
        let first = *bytes.split_off_first()?;
        let form = match first {
            FULL => {
                let parts = *bytes.split_off_first()?;
                let class = varint(bytes)?.try_into().ok()?;
                let items = if parts & HAS_ITEMS != 0 { Some(varint(bytes)?) } else { None };
                let shown = if parts & HAS_SHOWN != 0 { Some(varint(bytes)?) } else { None };
                let shape = if parts & HAS_ATTRIBUTES != 0 { Some(varint(bytes)?) } else { None };
                let tags = tags(bytes)?;
                let items: Option<usize> = items.map(usize::try_from).transpose().ok()?;
                if items.unwrap_or(0) > tags.len() || shown.is_some() && items.is_none() {
                    return None;
                }
                let shape = shape.map(u32::try_from).transpose().ok()?;
                Form::Full { class, has_text: parts & HAS_TEXT != 0, items, shown, shape, tags }
            }
            CHANGED => {
                let kept = unzigzag(varint(bytes)?);
                let length = unzigzag(varint(bytes)?);
                let changed = varint(bytes)?.try_into().ok()?;
                let tags = tags(bytes)?;
                if usize::try_from(kept.max(0)).ok()?.checked_add(changed)? != tags.len() {
                    return None;
                }
                Form::Changed { kept, length, changed, tags }
            }
            kind => Form::Group { kind: GroupKind::from_number(kind)?, tags: tags(bytes)? },
        };
        Some(form)
    }

    fn tags(&self) -> &[Tag] {
        match self {
            Form::Group { tags, .. } | Form::Full { tags, .. } | Form::Changed { tags, .. } => tags,
        }
    }

    /// The slots, in their order in a record.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        match self {
            Form::Group { .. } => {}
            Form::Full { has_text, items, .. } => {
                slots.push(Slot::Full);
                if *has_text {
                    slots.extend([Slot::Text, Slot::Length]);
                }
                slots.extend(items.map(|_| Slot::Length));
            }
            Form::Changed { changed, .. } => {
                slots.push(Slot::Changed);
                slots.resize(1 + changed, Slot::Position);
            }
        }
        slots.extend(self.tags().iter().filter_map(|tag| tag.slot()));
        slots
    }
}

fn tags(bytes: &[u8]) -> Option<Vec<Tag>> {
    bytes.iter().map(|byte| Tag::from_number(*byte)).collect()
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The expected length of a text: the number of characters, if it is UTF-8.
fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte as i8 >= -0x40).count() as u64
}

#[cfg(test)]
mod tests;
