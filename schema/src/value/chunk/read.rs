//! Reads chunks of values, for the replayer.

use super::columns::Columns;
use super::decode::Decoder;
use super::{Form, Slot, Tag};
use crate::error::FormatError;
use crate::value::render::Objects;
use crate::value::{
    Class, ClassNumber, Group, GroupKind, Object, ObjectId, Part, Shape, ShapeNumber, TextNumber,
    Value,
};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The number of groups whose values are read together.
const BLOCK: usize = 64;

/// A chunk of values, checked and indexed. Its values are read when they are needed.
#[derive(Debug, Default)]
pub struct Values {
    pub(super) texts: Vec<u8>,
    /// Where each text ends.
    pub(super) text_ends: Vec<u32>,
    pub(super) classes: Vec<Class>,
    pub(super) shapes: Vec<Shape>,
    /// By the number of the form.
    pub(super) tables: Vec<Table>,
    pub(super) slots: Slots,
    /// By group: its ordinal, its form, and the number of earlier records of that form.
    pub(super) ordinals: Vec<u64>,
    pub(super) forms: Vec<u32>,
    pub(super) rows: Vec<u32>,
    pub(super) blocks: Vec<OnceCell<Box<Block>>>,
    pub(super) blocks_size: Cell<usize>,
    /// Object ids, by index.
    pub(super) ids: Vec<ObjectId>,
    pub(super) descriptions: Vec<Description>,
    /// The positions at which descriptions change values.
    pub(super) positions: Vec<u32>,
    /// The ids of the described objects, ascending, and their indexes.
    pub(super) objects: Vec<(ObjectId, u32)>,
    /// The descriptions in the order of the objects' indexes, those of one object in order: the
    /// moment from which on it holds, and its number.
    pub(super) described: Vec<(Moment, u32)>,
    /// By index of the object: where its descriptions end in `described`.
    pub(super) described_ends: Vec<u32>,
}

/// A time between the groups of a chunk: twice the number of earlier groups, less one if the change
/// that the last of them records has not happened yet.
pub type Moment = u32;

/// The values of some groups.
#[derive(Debug)]
pub(super) struct Block {
    values: Box<[Value]>,
    /// By group: where its values end.
    ends: [u32; BLOCK],
}

/// The numbers in the slots of values, by column.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Indexes of objects.
    pub(super) references: Vec<u32>,
    pub(super) ints: Vec<u64>,
    pub(super) floats: Vec<u64>,
    pub(super) texts: Vec<TextNumber>,
}

/// A form, and where its slots are in their columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) form: Form,
    /// By slot: where its entries begin.
    starts: Vec<u32>,
    /// The number of slots before those of values.
    head: usize,
    /// The slots of objects and texts, in order, and where the entries of each begin.
    pub(super) names: Vec<(Slot, u32)>,
    /// Where the entries begin of the slot with the object that a group changes.
    stored: Option<u32>,
}

impl Table {
    pub(super) fn new(form: Form, starts: Vec<u32>) -> Table {
        let slots = form.slots();
        let is_name = |slot: &Slot| matches!(slot, Slot::Reference | Slot::Text);
        let names = slots.iter().copied().zip(starts.iter().copied());
        let names = names.filter(|(slot, _)| is_name(slot)).collect();
        let of_values = form.tags().iter().filter(|tag| tag.slot().is_some()).count();
        let stored = match &form {
            Form::Group { kind, tags } if kind.is_store() => match tags[..] {
                [first, second, Tag::Object | Tag::Shallow, ..] => {
                    let before = [first, second].iter().filter(|tag| tag.slot().is_some()).count();
                    starts.get(before).copied()
                }
                _ => None,
            },
            _ => None,
        };
        Table { head: slots.len() - of_values, form, starts, names, stored }
    }

    /// The slots of one record.
    pub(super) fn cursor(&self, row: u32) -> Cursor<'_> {
        Cursor { starts: self.starts.iter(), row }
    }

    /// The slots of the values of one record.
    fn values(&self, row: u32) -> Cursor<'_> {
        Cursor { starts: self.starts.get(self.head..).unwrap_or_default().iter(), row }
    }
}

/// Reads the slots of one record, one after the other.
pub(super) struct Cursor<'a> {
    starts: std::slice::Iter<'a, u32>,
    row: u32,
}

impl Cursor<'_> {
    pub(super) fn next<T: Copy + Default>(&mut self, column: &[T]) -> T {
        // Invariant: the decoder has checked that each column has as many entries as the records
        // need.
        let at = self.starts.next().map(|start| (start + self.row) as usize);
        at.and_then(|at| column.get(at)).copied().unwrap_or_default()
    }
}

impl Slots {
    /// The index of the object that a group changes.
    pub(super) fn stored(&self, table: &Table, row: u32) -> Option<u32> {
        self.references.get((table.stored? + row) as usize).copied()
    }
}

/// What an object holds from some event on.
#[derive(Debug, Clone)]
pub(super) struct Description {
    /// The number of the form, and the number of earlier records of that form.
    pub(super) at: (u32, u32),
    /// The text, with its real length.
    pub(super) text: Option<(TextNumber, u64)>,
    /// The number of items kept, and the real length.
    pub(super) kept: u32,
    pub(super) length: u64,
    /// Where the positions of the changed values begin.
    pub(super) positions: u32,
}

impl Values {
    /// Opens a chunk of values.
    ///
    /// # Errors
    /// If the bytes are damaged, or are not a chunk of values.
    pub fn open(bytes: &[u8]) -> Result<Values, FormatError> {
        Decoder::new(&Columns::open(bytes)?)?.run()
    }

    /// Indexes the descriptions, which are given by ascending moment: index of the object, moment,
    /// and number of the description.
    pub(super) fn index(&mut self, described: &[(u32, Moment, u32)]) {
        let mut next = vec![0u32; self.ids.len() + 1];
        for (index, ..) in described {
            next[*index as usize + 1] += 1;
        }
        let ids = self.ids.iter().zip(0..).zip(&next[1..]);
        let is_described =
            |((id, index), count): ((&ObjectId, u32), &u32)| (*count > 0).then_some((*id, index));
        self.objects = ids.filter_map(is_described).collect();
        self.objects.sort_unstable();
        for index in 1..next.len() {
            next[index] += next[index - 1];
        }
        self.described = vec![(0, 0); described.len()];
        for (index, moment, description) in described {
            let place = &mut next[*index as usize];
            self.described[*place as usize] = (*moment, *description);
            *place += 1;
        }
        next.pop();
        self.described_ends = next;
        self.blocks.resize_with(self.forms.len().div_ceil(BLOCK), OnceCell::new);
    }

    /// All groups, by ordinal.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        (0..self.forms.len()).map(|index| self.group_of(index))
    }

    /// The ordinal of each group; ascending.
    pub fn ordinals(&self) -> &[u64] {
        &self.ordinals
    }

    /// The group of this kind that comes with an event.
    pub fn group(&self, ordinal: u64, kind: GroupKind) -> Option<Group<'_>> {
        let mut same = self.groups_of(ordinal);
        same.find(|index| self.kind_at(*index) == Some(kind)).map(|index| self.group_of(index))
    }

    /// The group with an index, which must exist.
    fn group_of(&self, index: usize) -> Group<'_> {
        let block = self.blocks[index / BLOCK].get_or_init(|| self.block(index / BLOCK));
        let within = index % BLOCK;
        let start = if within == 0 { 0 } else { block.ends[within - 1] };
        let values = &block.values[start as usize..block.ends[within] as usize];
        // Invariant: the form of a group is always one of groups.
        let kind = self.kind_at(index).unwrap_or(GroupKind::Seen);
        Group { ordinal: self.ordinals[index], kind, values }
    }

    fn block(&self, number: usize) -> Box<Block> {
        let (mut values, mut ends) = (Vec::new(), [0; BLOCK]);
        let first = number * BLOCK;
        for (index, end) in (first..self.forms.len()).zip(&mut ends) {
            self.read((self.forms[index], self.rows[index]), &mut values);
            *end = values.len() as u32;
        }
        let size = values.len() * size_of::<Value>() + size_of::<Block>();
        self.blocks_size.set(self.blocks_size.get() + size);
        Box::new(Block { values: values.into(), ends })
    }

    /// Appends the values of a record to `to`. The record is given by the number of its form and
    /// the number of earlier records of that form.
    fn read(&self, (form, row): (u32, u32), to: &mut Vec<Value>) {
        let Some(table) = self.tables.get(form as usize) else { return };
        let mut slots = table.values(row);
        to.extend(table.form.tags().iter().map(|tag| self.value(*tag, &mut slots)));
    }

    fn value(&self, tag: Tag, slots: &mut Cursor<'_>) -> Value {
        let Slots { references, ints, floats, texts } = &self.slots;
        let mut id = || self.ids.get(slots.next(references) as usize).copied().unwrap_or_default();
        match tag {
            Tag::Unbound => Value::Unbound,
            Tag::None => Value::None,
            Tag::False => Value::False,
            Tag::True => Value::True,
            Tag::Ellipsis => Value::Ellipsis,
            Tag::NotImplemented => Value::NotImplemented,
            Tag::Redacted => Value::Redacted,
            Tag::Unread => Value::Unread,
            Tag::Object => Value::Object(id()),
            Tag::Shallow => Value::Shallow(id()),
            Tag::Int => Value::Int(slots.next(ints).cast_signed()),
            Tag::Float => Value::Float(f64::from_bits(slots.next(floats))),
            Tag::Str => Value::Str(slots.next(texts)),
            Tag::Bytes => Value::Bytes(slots.next(texts)),
        }
    }

    /// The indexes of the groups that come with an event, or between it and the previous one.
    pub fn groups_of(&self, ordinal: u64) -> Range<usize> {
        let first = self.ordinals.partition_point(|other| *other < ordinal);
        let after = self.ordinals[first..].partition_point(|other| *other == ordinal);
        first..first + after
    }

    /// The indexes of the groups with ordinals after `lower` and up to `upper`, inclusive.
    pub fn groups_between(&self, lower: i64, upper: i64) -> Range<usize> {
        let from = self.ordinals.partition_point(|ordinal| ordinal.cast_signed() <= lower);
        let to = self.ordinals.partition_point(|ordinal| ordinal.cast_signed() <= upper);
        from..to.max(from)
    }

    /// The group with an index.
    pub fn group_at(&self, index: usize) -> Option<Group<'_>> {
        (index < self.forms.len()).then(|| self.group_of(index))
    }

    /// The kind of the group with an index.
    pub fn kind_at(&self, index: usize) -> Option<GroupKind> {
        match self.tables.get(*self.forms.get(index)? as usize)?.form {
            Form::Group { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// The first value of the group with an index.
    pub fn first_value_at(&self, index: usize) -> Option<Value> {
        let table = self.tables.get(*self.forms.get(index)? as usize)?;
        let tag = table.form.tags().first()?;
        Some(self.value(*tag, &mut table.values(*self.rows.get(index)?)))
    }

    /// For each value of the group with an index, whether it is not [`Value::Unbound`]. The values
    /// themselves are not read.
    pub fn bound_at(&self, index: usize) -> Option<impl ExactSizeIterator<Item = bool>> {
        let table = self.tables.get(*self.forms.get(index)? as usize)?;
        Some(table.form.tags().iter().map(|tag| *tag != Tag::Unbound))
    }

    /// The moment after the first `groups` groups, when the changes they record have happened.
    pub fn moment(&self, groups: usize) -> Moment {
        2 * groups as Moment
    }

    /// What an object holds at a moment; `None` if this chunk does not describe it up to then.
    pub fn object(&self, id: ObjectId, at: Moment) -> Option<Object> {
        let described = self.descriptions_of(id);
        self.rebuild(id, &described[..described.partition_point(|(since, _)| *since <= at)])
    }

    /// The moment of an object's first description after a moment; `None` if there is none.
    pub fn next_description(&self, id: ObjectId, after: Moment) -> Option<Moment> {
        let described = self.descriptions_of(id);
        Some(described.get(described.partition_point(|(since, _)| *since <= after))?.0)
    }

    /// The descriptions of an object.
    fn descriptions_of(&self, id: ObjectId) -> &[(Moment, u32)] {
        let Ok(at) = self.objects.binary_search_by_key(&id, |(id, _)| *id) else { return &[] };
        let index = self.objects[at].1 as usize;
        let start = if index == 0 { 0 } else { self.described_ends[index - 1] };
        &self.described[start as usize..self.described_ends[index] as usize]
    }

    /// The number of descriptions of objects.
    pub fn descriptions(&self) -> usize {
        self.descriptions.len()
    }

    /// A text: UTF-8 in which lone surrogates are encoded in the same way, or bytes.
    pub fn text(&self, number: TextNumber) -> &[u8] {
        let number = number as usize;
        let end = self.text_ends.get(number).copied().unwrap_or(0);
        let start = if number == 0 { 0 } else { self.text_ends.get(number - 1).map_or(0, |e| *e) };
        self.texts.get(start as usize..end as usize).unwrap_or_default()
    }

    /// All texts, by number.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.text_ends.len() as u32).map(|number| self.text(number))
    }

    /// All classes, by number.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// All shapes, by number.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The approximate size in memory at present.
    pub fn size(&self) -> usize {
        let Slots { references, ints, floats, texts } = &self.slots;
        self.texts.len()
            + (self.text_ends.len() + references.len() + texts.len()) * 4
            + (ints.len() + floats.len()) * 8
            + self.ordinals.len() * 16
            + self.blocks.len() * size_of::<usize>()
            + self.blocks_size.get()
            + self.ids.len() * 28
            + self.descriptions.len() * (size_of::<Description>() + 8)
            + self.positions.len() * 4
    }

    /// Returns what an object holds after the last of these descriptions: it takes the last full
    /// description and applies the changes of the later ones.
    fn rebuild(&self, id: ObjectId, described: &[(Moment, u32)]) -> Option<Object> {
        let description = |(_, number): &(Moment, u32)| {
            let description = self.descriptions.get(*number as usize)?;
            Some((description, &self.tables.get(description.at.0 as usize)?.form))
        };
        let is_full =
            |entry: &(Moment, u32)| matches!(description(entry), Some((_, Form::Full { .. })));
        let described = &described[described.iter().rposition(is_full)?..];
        let (full, Form::Full { class, items: has_items, shown, shape, .. }) =
            description(described.first()?)?
        else {
            return None;
        };
        let mut items = Vec::new();
        self.read(full.at, &mut items);
        let mut attributes = items.split_off(items.len().min(full.kept as usize));
        let mut values = Vec::new();
        for (change, form) in described[1..].iter().filter_map(description) {
            let Form::Changed { changed, .. } = form else { continue };
            values.clear();
            self.read(change.at, &mut values);
            let (changed, new) = values.split_at_checked(*changed)?;
            let positions = self.positions.get(change.positions as usize..)?;
            for (position, value) in positions.iter().zip(changed) {
                let position = *position as usize;
                let beyond = position.wrapping_sub(items.len());
                if let Some(place) = items.get_mut(position).or(attributes.get_mut(beyond)) {
                    *place = *value;
                }
            }
            items.truncate(change.kept as usize);
            items.extend_from_slice(new);
        }
        let (last, _) = description(described.last()?)?;
        Some(Object {
            id,
            class: *class,
            text: full.text.map(|(kept, length)| Part { kept, length }),
            items: has_items.map(|_| Part { kept: items, length: last.length }),
            shown: *shown,
            attributes: shape.map(|shape| (shape, attributes)),
        })
    }
}

impl Objects for Values {
    fn object(&self, id: ObjectId, at: Moment) -> Option<Cow<'_, Object>> {
        self.object(id, at).map(Cow::Owned)
    }

    fn text(&self, number: TextNumber) -> &[u8] {
        self.text(number)
    }

    fn class(&self, number: ClassNumber) -> Option<&Class> {
        self.classes.get(number as usize)
    }

    fn shape(&self, number: ShapeNumber) -> Option<&Shape> {
        self.shapes.get(number as usize)
    }
}
