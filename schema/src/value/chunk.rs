//! A chunk of values: the groups and objects between two epochs, as compressed columns.
//!
//! [`Builder`] gathers them and seals the bytes that stand in `value_chunks.data`; [`Values`] reads
//! those. A chunk carries all it takes to read it alone.
//!
//! Most groups are like one before: the method called with an object and two ints, the function
//! that returns None. So what is alike is said once, as a *form*, and a chunk is a list of records,
//! each the number of its form:
//!
//! | record | its form | its slots |
//! |---|---|---|
//! | a group | kind; tags of the values | one per value that is not a constant |
//! | an object told of in full | class, parts, shape; tags of items and attributes | which object; real lengths; text; as above |
//! | an object told of again | how many items it has more or less; tags of what changed | which object; positions; as above |
//!
//! Slots go to columns form by form and slot by slot, so that all first arguments of one form are
//! neighbours: that is what makes a reference to `self`, or a counter, cost next to nothing.

mod build;
mod columns;
mod decode;
mod definitions;
mod read;
mod told;

pub use build::Builder;
pub use read::{Moment, Values};
pub use told::ToldIds;

use super::{ClassNumber, GroupKind, ShapeNumber, Value};
use crate::chunk::ColumnHeader;

/// Records and values in one chunk, and bytes in one of its columns, are at most so many.
const RECORDS_MAX: usize = 1 << 22;
const VALUES_MAX: usize = 1 << 23;
const COLUMN_BYTES_MAX: usize = 1 << 26;
/// So often at most an object that holds so many values is told of by what changed before it is told of in
/// full again: reading one costs no more than twice what it holds, and a little.
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

/// The columns, in the order they stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Number of the form of each record.
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
    /// Slots, by what is in them.
    References,
    IntsLow,
    IntsHigh,
    /// Per slot with ints: 1 if they are differences.
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

/// What kind of value it is; what else there is to it stands in a slot.
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

/// What a number of a record is, and so which column it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// 0 for the first object that did not occur before, else its index + 1.
    Reference,
    Int,
    /// Bits of the double.
    Float,
    /// 0 for the first text that did not occur before, else its number + 1.
    Text,
    /// A real length less the one to be expected, zigzag.
    Length,
    /// The index of an object told of in full, less that of the last such less 1, zigzag.
    First,
    /// The index of an object told of by what changed.
    Again,
    /// Items and attributes passed over since the last that changed.
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
        /// Items kept.
        items: Option<usize>,
        /// Items that are written with it, or pairs, if not all.
        shown: Option<u64>,
        shape: Option<ShapeNumber>,
        /// Of the items kept, then of the attributes.
        tags: Vec<Tag>,
    },
    Changed {
        /// Items kept and real length, less those before.
        kept: i64,
        length: i64,
        /// Values that changed; `tags` are of these, then of the items that came after the last.
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

    /// In the order in which a record says them.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        match self {
            Form::Group { .. } => {}
            Form::Full { has_text, items, .. } => {
                slots.push(Slot::First);
                if *has_text {
                    slots.extend([Slot::Text, Slot::Length]);
                }
                slots.extend(items.map(|_| Slot::Length));
            }
            Form::Changed { changed, .. } => {
                slots.push(Slot::Again);
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

/// The length a text is expected to have: characters, if it is UTF-8.
fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte as i8 >= -0x40).count() as u64
}

#[cfg(test)]
mod tests;
