//! The replayer's side.

use super::{
    CHANGES_MAX, COLUMN_BYTES_MAX, COLUMNS, Column, Form, Header, RECORDS_MAX, Slot, Tag,
    VALUES_MAX, characters, unzigzag,
};
use crate::chunk::{self, HEADER, Int, PREFIX, VALUES_MAGIC, bounded, unpack};
use crate::error::FormatError;
use crate::value::render::Objects;
use crate::value::{
    Class, ClassNumber, Group, GroupKind, Object, ObjectId, Part, Shape, ShapeNumber, TextNumber,
    Value,
};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::ops::Range;

/// A chunk of values, decoded.
#[derive(Debug, Default)]
pub struct Values {
    texts: Vec<u8>,
    /// Where each text ends.
    text_ends: Vec<u32>,
    classes: Vec<Class>,
    shapes: Vec<Shape>,
    groups: Vec<GroupEntry>,
    /// Of groups and objects, in the order they were told.
    values: Vec<Value>,
    positions: Vec<u32>,
    tellings: Vec<Telling>,
    /// Ascending: which object, from which moment on, and the telling.
    objects: Vec<(ObjectId, Moment, u32)>,
}

/// An instant between the groups of a chunk: twice the number of groups that have come, less one
/// while what the last of them stores has no effect yet.
pub type Moment = u32;

#[derive(Debug)]
struct GroupEntry {
    ordinal: u64,
    kind: GroupKind,
    values: Range<u32>,
}

/// What an object held from some event on.
#[derive(Debug, Clone)]
struct Telling {
    what: What,
    /// Items that were kept, and the real length.
    kept: u32,
    length: u64,
    values: Range<u32>,
}

#[derive(Debug, Clone)]
enum What {
    Full {
        class: ClassNumber,
        text: Option<(TextNumber, u64)>,
        has_items: bool,
        shape: Option<ShapeNumber>,
    },
    /// Values changed at `positions` since the telling `before`; the other values are new items.
    Changed { before: u32, positions: Range<u32> },
}

impl Values {
    /// Decodes a chunk.
    ///
    /// # Errors
    /// If the bytes are damaged, or are no chunk of values.
    pub fn open(bytes: &[u8]) -> Result<Values, FormatError> {
        let columns = Columns::open(bytes)?;
        let mut texts = columns.ints::<u32>(Column::TextLengths)?;
        let text_bytes = columns.raw(Column::Texts)?;
        let mut end = 0u64;
        for length in &mut texts {
            end += u64::from(*length);
            // Bounded by the check below: the texts' bytes are fewer than 2³².
            *length = end as u32;
        }
        if end != text_bytes.len() as u64 {
            return Err(columns.invalid(Column::TextLengths, "do not fit the texts"));
        }
        let definitions = columns.raw(Column::Definitions)?;
        let ((classes, shapes), _) =
            bincode::decode_from_slice(&definitions, bounded::<COLUMN_BYTES_MAX>())
                .map_err(|error| columns.invalid(Column::Definitions, error))?;
        let values =
            Values { texts: text_bytes, text_ends: texts, classes, shapes, ..Values::default() };
        Decoder::new(&columns, values)?.run()
    }

    /// All groups, by ordinal.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        self.groups.iter().map(|group| self.group_of(group))
    }

    /// The values that came with an event.
    pub fn group(&self, ordinal: u64, kind: GroupKind) -> Option<Group<'_>> {
        let first = self.groups.partition_point(|group| group.ordinal < ordinal);
        let mut same = self.groups[first..].iter().take_while(|group| group.ordinal == ordinal);
        same.find(|group| group.kind == kind).map(|group| self.group_of(group))
    }

    fn group_of(&self, group: &GroupEntry) -> Group<'_> {
        let values = &self.values[usize_range(&group.values)];
        Group { ordinal: group.ordinal, kind: group.kind, values }
    }

    /// Indexes of the groups that come with an event, or between it and the one before.
    pub fn groups_of(&self, ordinal: u64) -> Range<usize> {
        let first = self.groups.partition_point(|group| group.ordinal < ordinal);
        let after = self.groups[first..].partition_point(|group| group.ordinal == ordinal);
        first..first + after
    }

    /// The group with an index.
    pub fn group_at(&self, index: usize) -> Option<Group<'_>> {
        self.groups.get(index).map(|group| self.group_of(group))
    }

    /// When the groups before this index have come, and what they store has had its effect.
    pub fn moment(&self, groups: usize) -> Moment {
        2 * groups as Moment
    }

    /// What an object holds at a moment, as far as this chunk tells.
    pub fn object(&self, id: ObjectId, at: Moment) -> Option<Object> {
        let after = self.objects.partition_point(|(i, since, _)| (*i, *since) <= (id, at));
        let (found, _, telling) = *self.objects[..after].last()?;
        (found == id).then(|| self.told(id, telling as usize))
    }

    /// When an object is told of first after a moment.
    pub fn next_telling(&self, id: ObjectId, after: Moment) -> Option<Moment> {
        let next = self.objects.partition_point(|(i, since, _)| (*i, *since) <= (id, after));
        self.objects.get(next).filter(|(i, ..)| *i == id).map(|(_, since, _)| *since)
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

    /// Memory it takes, roughly.
    pub fn size(&self) -> usize {
        self.texts.len()
            + self.text_ends.len() * 4
            + self.values.len() * size_of::<Value>()
            + self.groups.len() * size_of::<GroupEntry>()
            + self.tellings.len() * size_of::<Telling>()
            + self.objects.len() * 24
            + self.positions.len() * 4
    }

    /// Goes back to where the object was told of in full, and from there makes the changes.
    fn told(&self, id: ObjectId, telling: usize) -> Object {
        let mut chain = Vec::new();
        let mut at = telling;
        let (class, text, has_items, shape, full) = loop {
            let told = &self.tellings[at];
            match told.what {
                What::Full { class, text, has_items, shape } => {
                    break (class, text, has_items, shape, told);
                }
                What::Changed { before, ref positions } => {
                    chain.push((told, positions));
                    at = before as usize;
                }
            }
        };
        let values = &self.values[usize_range(&full.values)];
        let (items, attributes) = values.split_at(full.kept as usize);
        let (mut items, mut attributes) = (items.to_vec(), attributes.to_vec());
        for (told, positions) in chain.iter().rev() {
            let values = &self.values[usize_range(&told.values)];
            let (changed, new) = values.split_at(positions.len());
            for (position, value) in self.positions[usize_range(positions)].iter().zip(changed) {
                let position = *position as usize;
                match items.get_mut(position) {
                    Some(item) => *item = *value,
                    None => attributes[position - items.len()] = *value,
                }
            }
            items.truncate(told.kept as usize);
            items.extend_from_slice(new);
        }
        Object {
            id,
            class,
            text: text.map(|(kept, length)| Part { kept, length }),
            items: has_items.then(|| Part { kept: items, length: self.tellings[telling].length }),
            attributes: shape.map(|shape| (shape, attributes)),
        }
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

fn usize_range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// A chunk whose header was checked.
struct Columns<'a> {
    bytes: &'a [u8],
    header: Header,
    offsets: [usize; COLUMNS],
}

impl<'a> Columns<'a> {
    fn open(bytes: &'a [u8]) -> Result<Columns<'a>, FormatError> {
        let (magic, header, mut offset): (_, Header, _) = chunk::read_header(bytes)?;
        if magic != VALUES_MAGIC {
            return Err(FormatError::invalid(HEADER, 0, "not of a chunk of values"));
        }
        if header.columns.len() != COLUMNS {
            return Err(FormatError::invalid(HEADER, PREFIX, "impossible number of columns"));
        }
        let mut offsets = [0; COLUMNS];
        for (at, column) in offsets.iter_mut().zip(&header.columns) {
            *at = offset;
            offset += column.packed as usize;
        }
        Ok(Columns { bytes, header, offsets })
    }

    fn raw(&self, column: Column) -> Result<Vec<u8>, FormatError> {
        let (header, offset) = (&self.header.columns[column as usize], self.offset(column));
        header.read(self.bytes, column.name(), offset, COLUMN_BYTES_MAX)
    }

    fn ints<T: Int>(&self, column: Column) -> Result<Vec<T>, FormatError> {
        let count = self.header.columns[column as usize].count as usize;
        if count > VALUES_MAX {
            return Err(self.invalid(column, "longer than a column may be"));
        }
        let raw = self.raw(column)?;
        unpack(&raw, count).ok_or_else(|| self.invalid(column, "malformed integers"))
    }

    /// Numbers of 64 bits whose halves are columns of their own.
    fn wide(&self, low: Column, high: Column) -> Result<Vec<u64>, FormatError> {
        let (lows, highs) = (self.ints::<u32>(low)?, self.ints::<u32>(high)?);
        if lows.len() != highs.len() {
            return Err(self.invalid(high, "halves of unequal number"));
        }
        let join = |(low, high): (u32, u32)| u64::from(low) | u64::from(high) << 32;
        Ok(lows.into_iter().zip(highs).map(join).collect())
    }

    fn offset(&self, column: Column) -> usize {
        self.offsets[column as usize]
    }

    fn invalid(&self, column: Column, what: impl ToString) -> FormatError {
        FormatError::invalid(column.name(), self.offset(column), what)
    }
}

/// A form, and where its slots are in their columns.
struct Table {
    form: Form,
    /// Where each slot's values begin.
    starts: Vec<usize>,
    /// Records that were read.
    row: usize,
}

struct Decoder<'a> {
    columns: &'a Columns<'a>,
    tables: Vec<Table>,
    records: Vec<u32>,
    ordinals: Vec<u64>,
    ids: Vec<ObjectId>,
    references: Vec<u32>,
    ints: Vec<u64>,
    floats: Vec<u64>,
    texts: Vec<u32>,
    lengths: Vec<u64>,
    objects: Vec<u32>,
    slot_positions: Vec<u32>,
    /// The first object, and text, that did not occur.
    next_object: u32,
    next_text: u32,
    /// The index after that of the object last told of in full.
    next_first: u32,
    /// By object: its last telling, attributes, and times it changed since the last in full.
    last: FxHashMap<u32, Last>,
    values: Values,
}

#[derive(Clone, Copy)]
struct Last {
    telling: u32,
    attributes: usize,
    changes: u8,
}

impl<'a> Decoder<'a> {
    fn new(columns: &'a Columns<'a>, values: Values) -> Result<Decoder<'a>, FormatError> {
        let mut ids = columns.ints::<u64>(Column::Ids)?;
        let mut last = 0u64;
        for id in &mut ids {
            last = last.wrapping_add(unzigzag(*id).cast_unsigned()).wrapping_add(1);
            *id = last;
        }
        let mut decoder = Decoder {
            columns,
            tables: Vec::new(),
            records: columns.ints(Column::Records)?,
            ordinals: columns.ints(Column::Ordinals)?,
            ids,
            references: columns.ints(Column::References)?,
            ints: columns.wide(Column::IntsLow, Column::IntsHigh)?,
            floats: columns.wide(Column::FloatsLow, Column::FloatsHigh)?,
            texts: columns.ints(Column::TextNumbers)?,
            lengths: columns.ints(Column::Lengths)?,
            objects: columns.ints(Column::Objects)?,
            slot_positions: columns.ints(Column::Positions)?,
            next_object: 0,
            next_text: 0,
            next_first: 0,
            last: FxHashMap::default(),
            values,
        };
        decoder.read_forms()?;
        Ok(decoder)
    }

    /// Reads the forms, finds out where the slots of each are, and undoes the differences of ints.
    fn read_forms(&mut self) -> Result<(), FormatError> {
        let columns = self.columns;
        let lengths = columns.ints::<u32>(Column::FormLengths)?;
        let bytes = columns.raw(Column::Forms)?;
        let bad = |what: &str| columns.invalid(Column::Forms, what);
        // Each byte of a form takes some ten when it is parsed.
        if self.records.len() > RECORDS_MAX || bytes.len() > VALUES_MAX {
            return Err(columns.invalid(Column::Records, "more than there may be"));
        }
        let mut counts = vec![0usize; lengths.len()];
        for record in &self.records {
            *counts.get_mut(*record as usize).ok_or_else(|| bad("too few"))? += 1;
        }
        let modes = columns.raw(Column::IntModes)?;
        let mut modes = modes.into_iter();
        let mut rest = &bytes[..];
        // Numbers of slots so far, by column.
        let (mut references, mut ints, mut floats, mut texts) = (0, 0, 0, 0);
        let (mut real_lengths, mut objects, mut positions) = (0, 0, 0);
        for (length, count) in lengths.iter().zip(counts) {
            let (form, after) =
                rest.split_at_checked(*length as usize).ok_or_else(|| bad("too few bytes"))?;
            rest = after;
            let form = Form::decode(form).ok_or_else(|| bad("malformed"))?;
            let mut starts = Vec::new();
            for slot in form.slots() {
                let total = match slot {
                    Slot::Reference => &mut references,
                    Slot::Int => &mut ints,
                    Slot::Float => &mut floats,
                    Slot::Text => &mut texts,
                    Slot::Length => &mut real_lengths,
                    Slot::First | Slot::Again => &mut objects,
                    Slot::Position => &mut positions,
                };
                let start: usize = *total;
                *total += count;
                starts.push(start);
                if slot == Slot::Int {
                    let ints = self.ints.get_mut(start..start + count);
                    let ints = ints.ok_or_else(|| columns.invalid(Column::IntsLow, "too few"))?;
                    let is_less = match modes.next() {
                        Some(mode @ (0 | 1)) => mode == 1,
                        _ => return Err(columns.invalid(Column::IntModes, "do not fit")),
                    };
                    let mut last = 0i64;
                    for int in ints {
                        let value = unzigzag(*int);
                        last = if is_less { last.wrapping_add(value) } else { value };
                        *int = last.cast_unsigned();
                    }
                }
            }
            self.tables.push(Table { form, starts, row: 0 });
        }
        let fits = [
            (Column::Forms, rest.len(), 0),
            (Column::References, references, self.references.len()),
            (Column::IntsLow, ints, self.ints.len()),
            (Column::IntModes, modes.len(), 0),
            (Column::FloatsLow, floats, self.floats.len()),
            (Column::TextNumbers, texts, self.texts.len()),
            (Column::Lengths, real_lengths, self.lengths.len()),
            (Column::Objects, objects, self.objects.len()),
            (Column::Positions, positions, self.slot_positions.len()),
        ];
        match fits.iter().find(|(_, wanted, found)| wanted != found) {
            Some((column, ..)) => Err(columns.invalid(*column, "do not fit the records")),
            None => Ok(()),
        }
    }

    fn run(mut self) -> Result<Values, FormatError> {
        let columns = self.columns;
        let mut tables = std::mem::take(&mut self.tables);
        let header = &columns.header;
        let mut ordinals = std::mem::take(&mut self.ordinals).into_iter();
        let mut ordinal = header.first_ordinal;
        // Where the tellings of the last group begin.
        let mut first_telling = 0;
        for record in std::mem::take(&mut self.records) {
            let Table { form, starts, row } = &mut tables[record as usize];
            let mut slots = Cursor { starts: starts.iter(), row: *row };
            *row += 1;
            if self.values.values.len() + form.tags().len() > VALUES_MAX {
                return Err(columns.invalid(Column::Records, "of too many values"));
            }
            match form {
                Form::Group { kind, tags } => {
                    let delta = ordinals.next();
                    let next = delta.and_then(|delta| ordinal.checked_add(delta));
                    ordinal =
                        next.ok_or_else(|| columns.invalid(Column::Ordinals, "do not fit"))?;
                    let values = self.take_values(tags, &mut slots)?;
                    self.settle(first_telling);
                    first_telling = self.values.objects.len();
                    self.values.groups.push(GroupEntry { ordinal, kind: *kind, values });
                }
                _ if self.values.groups.is_empty() => {
                    return Err(columns.invalid(Column::Records, "an object before all groups"));
                }
                Form::Full { .. } => self.full(form, &mut slots)?,
                Form::Changed { .. } => self.changed(form, &mut slots)?,
            }
        }
        self.settle(first_telling);
        let groups = self.values.groups.len();
        let is_last = groups == 0 || ordinal == header.last_ordinal;
        if ordinals.next().is_some() || groups != header.groups as usize || !is_last {
            return Err(columns.invalid(Column::Ordinals, "do not fit the groups"));
        }
        self.values.objects.sort_unstable();
        Ok(self.values)
    }

    /// Where the last group says how an object is changed, and that object is told of last, this is
    /// what it holds afterwards.
    fn settle(&mut self, first_telling: usize) {
        let Some(group) = self.values.groups.last().filter(|group| group.kind.is_store()) else {
            return;
        };
        let values = &self.values.values[usize_range(&group.values)];
        let Some(Value::Object(id) | Value::Shallow(id)) = values.get(2) else { return };
        let told = self.values.objects[first_telling..].last_mut();
        if let Some((_, since, _)) = told.filter(|(told, ..)| told == id) {
            *since += 1;
        }
    }

    /// While the last group has no effect yet.
    fn moment(&self) -> Moment {
        2 * self.values.groups.len() as Moment - 1
    }

    fn full(&mut self, form: &Form, slots: &mut Cursor<'_>) -> Result<(), FormatError> {
        let Form::Full { class, has_text, items, shape, tags } = form else { return Ok(()) };
        let bad = |what: &str| self.columns.invalid(Column::Forms, what);
        let kept = items.unwrap_or(0);
        let names = shape.map(|shape| self.values.shapes.get(shape as usize).ok_or(shape));
        let names = names.transpose().map_err(|_| bad("of no shape"))?;
        let attributes = tags.len() - kept;
        if names.map_or(0, |shape| shape.names.len()) != attributes {
            return Err(bad("of another shape"));
        }
        if *class as usize >= self.values.classes.len() {
            return Err(bad("of no class"));
        }
        let step = unzigzag(slots.next(&self.objects).into());
        let index = i64::from(self.next_first).checked_add(step);
        let index = index.and_then(|index| u32::try_from(index).ok());
        let index = index.filter(|index| (*index as usize) < self.ids.len());
        let index = index.ok_or_else(|| self.columns.invalid(Column::Objects, "not there"))?;
        self.next_first = index + 1;
        // An object may be told of without having been referred to.
        self.next_object += u32::from(index == self.next_object);
        let text = if *has_text {
            let number = self.take_text(slots)?;
            let expected = characters(self.values.text(number));
            Some((number, self.take_length(slots, expected)))
        } else {
            None
        };
        let length = if items.is_some() { self.take_length(slots, kept as u64) } else { 0 };
        let values = self.take_values(tags, slots)?;
        let telling = self.values.tellings.len() as u32;
        self.values.tellings.push(Telling {
            what: What::Full { class: *class, text, has_items: items.is_some(), shape: *shape },
            kept: kept as u32,
            length,
            values,
        });
        self.last.insert(index, Last { telling, attributes, changes: 0 });
        self.values.objects.push((self.ids[index as usize], self.moment(), telling));
        Ok(())
    }

    fn changed(&mut self, form: &Form, slots: &mut Cursor<'_>) -> Result<(), FormatError> {
        let Form::Changed { kept, length, changed, tags } = form else { return Ok(()) };
        let index = slots.next(&self.objects);
        let last = self.last.get(&index).filter(|last| last.changes < CHANGES_MAX).copied();
        let Some(Last { telling: before, attributes, changes }) = last else {
            return Err(self.columns.invalid(Column::Objects, "not told of before"));
        };
        let bad = |what: &str| self.columns.invalid(Column::Positions, what);
        let told = &self.values.tellings[before as usize];
        let (old, length) = (told.kept as usize, told.length.wrapping_add_signed(*length));
        let kept = i64::from(told.kept).checked_add(*kept).and_then(|k| u32::try_from(k).ok());
        let Some(kept) = kept else {
            return Err(bad("more items less than there were"));
        };
        let has_items =
            kept == 0 && length == 0 || matches!(told.what, What::Full { has_items: true, .. });
        let has_items = has_items || matches!(told.what, What::Changed { .. });
        if !has_items {
            return Err(bad("items where there are none"));
        }
        let first = self.values.positions.len() as u32;
        let mut next = 0usize;
        for _ in 0..*changed {
            let position = next + slots.next(&self.slot_positions) as usize;
            let is_item = position < old && position < kept as usize;
            if !is_item && !(old..old + attributes).contains(&position) {
                return Err(bad("beyond what the object holds"));
            }
            self.values.positions.push(position as u32);
            next = position + 1;
        }
        let positions = first..self.values.positions.len() as u32;
        let values = self.take_values(tags, slots)?;
        let telling = self.values.tellings.len() as u32;
        let what = What::Changed { before, positions };
        self.values.tellings.push(Telling { what, kept, length, values });
        self.last.insert(index, Last { telling, attributes, changes: changes + 1 });
        self.values.objects.push((self.ids[index as usize], self.moment(), telling));
        Ok(())
    }

    fn take_values(
        &mut self,
        tags: &[Tag],
        slots: &mut Cursor<'_>,
    ) -> Result<Range<u32>, FormatError> {
        let first = self.values.values.len() as u32;
        self.values.values.reserve(tags.len());
        for tag in tags {
            let value = match tag {
                Tag::Unbound => Value::Unbound,
                Tag::None => Value::None,
                Tag::False => Value::False,
                Tag::True => Value::True,
                Tag::Ellipsis => Value::Ellipsis,
                Tag::NotImplemented => Value::NotImplemented,
                Tag::Redacted => Value::Redacted,
                Tag::Unread => Value::Unread,
                Tag::Int => Value::Int(slots.next(&self.ints).cast_signed()),
                Tag::Float => Value::Float(f64::from_bits(slots.next(&self.floats))),
                Tag::Str => Value::Str(self.take_text(slots)?),
                Tag::Bytes => Value::Bytes(self.take_text(slots)?),
                Tag::Object => Value::Object(self.take_reference(slots)?),
                Tag::Shallow => Value::Shallow(self.take_reference(slots)?),
            };
            self.values.values.push(value);
        }
        Ok(first..self.values.values.len() as u32)
    }

    fn take_length(&self, slots: &mut Cursor<'_>, expected: u64) -> u64 {
        expected.wrapping_add(unzigzag(slots.next(&self.lengths)).cast_unsigned())
    }

    fn take_text(&mut self, slots: &mut Cursor<'_>) -> Result<TextNumber, FormatError> {
        let number = match slots.next(&self.texts).checked_sub(1) {
            Some(number) => number,
            None => self.next_text,
        };
        self.next_text += u32::from(number == self.next_text);
        if number as usize >= self.values.text_ends.len() {
            return Err(self.columns.invalid(Column::TextNumbers, "of no text"));
        }
        Ok(number)
    }

    fn take_reference(&mut self, slots: &mut Cursor<'_>) -> Result<ObjectId, FormatError> {
        let index = match slots.next(&self.references).checked_sub(1) {
            Some(index) => index,
            None => self.next_object,
        };
        self.next_object += u32::from(index == self.next_object);
        let id = self.ids.get(index as usize).copied();
        id.ok_or_else(|| self.columns.invalid(Column::References, "to no object"))
    }
}

/// The slots of one record, one after the other.
struct Cursor<'a> {
    starts: std::slice::Iter<'a, usize>,
    row: usize,
}

impl Cursor<'_> {
    fn next<T: Copy + Default>(&mut self, column: &[T]) -> T {
        // Invariant: `read_forms` saw to it that each column has what the records take.
        let at = self.starts.next().map(|start| start + self.row);
        at.and_then(|at| column.get(at)).copied().unwrap_or_default()
    }
}
