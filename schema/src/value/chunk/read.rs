//! The replayer's side.

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

/// Groups whose values are read at once.
const BLOCK: usize = 64;

/// A chunk of values: checked and indexed, its values read when they are asked for.
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
    /// Of each group its ordinal, its form, and how many of the same form come before.
    pub(super) ordinals: Vec<u64>,
    pub(super) forms: Vec<u32>,
    pub(super) rows: Vec<u32>,
    pub(super) blocks: Vec<OnceCell<Box<Block>>>,
    pub(super) blocks_size: Cell<usize>,
    /// Ids of objects, by index.
    pub(super) ids: Vec<ObjectId>,
    pub(super) tellings: Vec<Telling>,
    /// Positions at which tellings change values.
    pub(super) positions: Vec<u32>,
    /// Objects that are told of, ascending, and their indexes.
    pub(super) objects: Vec<(ObjectId, u32)>,
    /// By index of the object and in order: from which moment on, and the telling.
    pub(super) told: Vec<(Moment, u32)>,
    /// Where those of each object end.
    pub(super) told_ends: Vec<u32>,
}

/// An instant between the groups of a chunk: twice the number of groups that have come, less one
/// while what the last of them stores has no effect yet.
pub type Moment = u32;

/// The values of some groups.
#[derive(Debug)]
pub(super) struct Block {
    values: Box<[Value]>,
    /// Where those of each group end.
    ends: [u32; BLOCK],
}

/// What the slots of values hold, by column.
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
    /// Where each slot's entries begin.
    starts: Vec<u32>,
    /// How many of them come before those of values.
    head: usize,
    /// The slots of objects and texts, in order, and where their entries begin.
    pub(super) names: Vec<(Slot, u32)>,
    /// The slot of the object that a group says is changed.
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

    /// The slots of its values.
    fn values(&self, row: u32) -> Cursor<'_> {
        Cursor { starts: self.starts.get(self.head..).unwrap_or_default().iter(), row }
    }
}

/// The slots of one record, one after the other.
pub(super) struct Cursor<'a> {
    starts: std::slice::Iter<'a, u32>,
    row: u32,
}

impl Cursor<'_> {
    pub(super) fn next<T: Copy + Default>(&mut self, column: &[T]) -> T {
        // Invariant: the decoder saw to it that each column has what the records take.
        let at = self.starts.next().map(|start| (start + self.row) as usize);
        at.and_then(|at| column.get(at)).copied().unwrap_or_default()
    }
}

impl Slots {
    /// The index of the object that a group says is changed.
    pub(super) fn stored(&self, table: &Table, row: u32) -> Option<u32> {
        self.references.get((table.stored? + row) as usize).copied()
    }
}

/// What an object held from some event on.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// Number of the form, and how many of it come before.
    pub(super) at: (u32, u32),
    /// With its real length.
    pub(super) text: Option<(TextNumber, u64)>,
    /// Items that were kept, and the real length.
    pub(super) kept: u32,
    pub(super) length: u64,
    /// Where the positions of what changed begin.
    pub(super) positions: u32,
}

impl Values {
    /// Opens a chunk.
    ///
    /// # Errors
    /// If the bytes are damaged, or are no chunk of values.
    pub fn open(bytes: &[u8]) -> Result<Values, FormatError> {
        Decoder::new(&Columns::open(bytes)?)?.run()
    }

    /// Puts the tellings in order: object, moment and number, by moment.
    pub(super) fn index(&mut self, told: &[(u32, Moment, u32)]) {
        let mut next = vec![0u32; self.ids.len() + 1];
        for (index, ..) in told {
            next[*index as usize + 1] += 1;
        }
        let ids = self.ids.iter().zip(0..).zip(&next[1..]);
        let is_told =
            |((id, index), count): ((&ObjectId, u32), &u32)| (*count > 0).then_some((*id, index));
        self.objects = ids.filter_map(is_told).collect();
        self.objects.sort_unstable();
        for index in 1..next.len() {
            next[index] += next[index - 1];
        }
        self.told = vec![(0, 0); told.len()];
        for (index, moment, telling) in told {
            let place = &mut next[*index as usize];
            self.told[*place as usize] = (*moment, *telling);
            *place += 1;
        }
        next.pop();
        self.told_ends = next;
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

    /// The values that came with an event.
    pub fn group(&self, ordinal: u64, kind: GroupKind) -> Option<Group<'_>> {
        let mut same = self.groups_of(ordinal);
        same.find(|index| self.kind_at(*index) == Some(kind)).map(|index| self.group_of(index))
    }

    /// The group with an index, which there must be.
    fn group_of(&self, index: usize) -> Group<'_> {
        let block = self.blocks[index / BLOCK].get_or_init(|| self.block(index / BLOCK));
        let within = index % BLOCK;
        let start = if within == 0 { 0 } else { block.ends[within - 1] };
        let values = &block.values[start as usize..block.ends[within] as usize];
        // Invariant: groups have forms of groups.
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

    /// Reads the values of a record, by the number of its form and how many of that come before.
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

    /// Indexes of the groups that come with an event, or between it and the one before.
    pub fn groups_of(&self, ordinal: u64) -> Range<usize> {
        let first = self.ordinals.partition_point(|other| *other < ordinal);
        let after = self.ordinals[first..].partition_point(|other| *other == ordinal);
        first..first + after
    }

    /// Indexes of the groups whose ordinals lie between two, the first exclusive.
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

    /// Whether each value of the group with an index is one, instead of that a variable has none. The values
    /// themselves are not read.
    pub fn bound_at(&self, index: usize) -> Option<impl ExactSizeIterator<Item = bool>> {
        let table = self.tables.get(*self.forms.get(index)? as usize)?;
        Some(table.form.tags().iter().map(|tag| *tag != Tag::Unbound))
    }

    /// When the groups before this index have come, and what they store has had its effect.
    pub fn moment(&self, groups: usize) -> Moment {
        2 * groups as Moment
    }

    /// What an object holds at a moment, as far as this chunk tells.
    pub fn object(&self, id: ObjectId, at: Moment) -> Option<Object> {
        let told = self.told_of(id);
        self.told(id, &told[..told.partition_point(|(since, _)| *since <= at)])
    }

    /// When an object is told of first after a moment.
    pub fn next_telling(&self, id: ObjectId, after: Moment) -> Option<Moment> {
        let told = self.told_of(id);
        Some(told.get(told.partition_point(|(since, _)| *since <= after))?.0)
    }

    /// The tellings of an object.
    fn told_of(&self, id: ObjectId) -> &[(Moment, u32)] {
        let Ok(at) = self.objects.binary_search_by_key(&id, |(id, _)| *id) else { return &[] };
        let index = self.objects[at].1 as usize;
        let start = if index == 0 { 0 } else { self.told_ends[index - 1] };
        &self.told[start as usize..self.told_ends[index] as usize]
    }

    /// How often objects are told of.
    pub fn tellings(&self) -> usize {
        self.tellings.len()
    }

    /// A text: UTF-8, lone surrogates encoded alike, or bytes.
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

    /// Memory it takes now, roughly.
    pub fn size(&self) -> usize {
        let Slots { references, ints, floats, texts } = &self.slots;
        self.texts.len()
            + (self.text_ends.len() + references.len() + texts.len()) * 4
            + (ints.len() + floats.len()) * 8
            + self.ordinals.len() * 16
            + self.blocks.len() * size_of::<usize>()
            + self.blocks_size.get()
            + self.ids.len() * 28
            + self.tellings.len() * (size_of::<Telling>() + 8)
            + self.positions.len() * 4
    }

    /// What an object holds after the last of these tellings: goes back to where it was told of in
    /// full, and from there makes the changes.
    fn told(&self, id: ObjectId, told: &[(Moment, u32)]) -> Option<Object> {
        let telling = |(_, number): &(Moment, u32)| {
            let telling = self.tellings.get(*number as usize)?;
            Some((telling, &self.tables.get(telling.at.0 as usize)?.form))
        };
        let is_full = |told: &(Moment, u32)| matches!(telling(told), Some((_, Form::Full { .. })));
        let told = &told[told.iter().rposition(is_full)?..];
        let (full, Form::Full { class, items: has_items, shown, shape, .. }) =
            telling(told.first()?)?
        else {
            return None;
        };
        let mut items = Vec::new();
        self.read(full.at, &mut items);
        let mut attributes = items.split_off(items.len().min(full.kept as usize));
        let mut values = Vec::new();
        for (told, form) in told[1..].iter().filter_map(telling) {
            let Form::Changed { changed, .. } = form else { continue };
            values.clear();
            self.read(told.at, &mut values);
            let (changed, new) = values.split_at_checked(*changed)?;
            let positions = self.positions.get(told.positions as usize..)?;
            for (position, value) in positions.iter().zip(changed) {
                let position = *position as usize;
                let beyond = position.wrapping_sub(items.len());
                if let Some(place) = items.get_mut(position).or(attributes.get_mut(beyond)) {
                    *place = *value;
                }
            }
            items.truncate(told.kept as usize);
            items.extend_from_slice(new);
        }
        let (last, _) = telling(told.last()?)?;
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
