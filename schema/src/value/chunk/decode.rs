//! Decodes a chunk of values in one pass over its records: checks the records and finds where each
//! one is.
//!
//! This pass resolves everything that makes a record depend on earlier ones: ordinals, and slots
//! that refer to the next object or text. The values themselves stay in their columns until they
//! are needed.

use super::columns::Columns;
use super::definitions;
use super::read::{Description, Moment, Slots, Table, Values};
use super::{Column, Form, RECORDS_MAX, Slot, VALUES_MAX, changes_max, characters, unzigzag};
use crate::error::FormatError;
use crate::value::TextNumber;

pub(super) struct Decoder<'a> {
    columns: &'a Columns<'a>,
    /// By form: the number of records read so far.
    rows: Vec<u32>,
    lengths: Vec<u64>,
    objects: Vec<u32>,
    positions: Vec<u32>,
    /// The first object, and the first text, that has not occurred yet.
    next_object: u32,
    next_text: u32,
    /// The index after that of the last object described in full.
    next_full: u32,
    /// By index of the object.
    last: Vec<Option<Last>>,
    /// The descriptions read so far: index of the object, the moment from which on the description
    /// holds, and its number.
    described: Vec<(u32, Moment, u32)>,
    /// The number of groups read so far.
    groups: u32,
    values: Values,
}

/// The last description of an object.
#[derive(Clone, Copy)]
struct Last {
    description: u32,
    has_items: bool,
    attributes: u32,
    /// How often it was described by its changes since it was described in full.
    changes: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(columns: &'a Columns<'a>) -> Result<Decoder<'a>, FormatError> {
        let mut ids = columns.ints::<u64>(Column::Ids)?;
        let mut last = 0u64;
        for id in &mut ids {
            last = last.wrapping_add(unzigzag(*id).cast_unsigned()).wrapping_add(1);
            *id = last;
        }
        let mut texts = columns.ints::<u32>(Column::TextLengths)?;
        let text_bytes = columns.raw(Column::Texts)?;
        let mut end = 0u64;
        for length in &mut texts {
            end += u64::from(*length);
            // The check below bounds this: the texts have fewer than 2³² bytes.
            *length = end as u32;
        }
        if end != text_bytes.len() as u64 {
            return Err(columns.invalid(Column::TextLengths, "do not match the texts"));
        }
        let definitions = columns.raw(Column::Definitions)?;
        let (classes, shapes) = definitions::decode(&definitions)
            .map_err(|error| columns.invalid(Column::Definitions, error))?;
        let slots = Slots {
            references: columns.ints(Column::References)?,
            ints: columns.wide(Column::IntsLow, Column::IntsHigh)?,
            floats: columns.wide(Column::FloatsLow, Column::FloatsHigh)?,
            texts: columns.ints(Column::TextNumbers)?,
        };
        let mut decoder = Decoder {
            columns,
            rows: Vec::new(),
            lengths: columns.ints(Column::Lengths)?,
            objects: columns.ints(Column::Objects)?,
            positions: columns.ints(Column::Positions)?,
            next_object: 0,
            next_text: 0,
            next_full: 0,
            last: vec![None; ids.len()],
            described: Vec::new(),
            groups: 0,
            values: Values {
                texts: text_bytes,
                text_ends: texts,
                classes,
                shapes,
                ids,
                slots,
                forms: columns.ints(Column::Records)?,
                ordinals: columns.ints(Column::Ordinals)?,
                ..Values::default()
            },
        };
        decoder.read_forms()?;
        Ok(decoder)
    }

    /// Reads the forms, finds where the slots of each are, and turns differences of ints back into
    /// ints.
    fn read_forms(&mut self) -> Result<(), FormatError> {
        let columns = self.columns;
        let lengths = columns.ints::<u32>(Column::FormLengths)?;
        let bytes = columns.raw(Column::Forms)?;
        let bad = |what: &str| columns.invalid(Column::Forms, what);
        let Values { forms: records, slots, tables, .. } = &mut self.values;
        // A parsed form takes about ten times its bytes.
        if records.len() > RECORDS_MAX || bytes.len() > VALUES_MAX {
            return Err(columns.invalid(Column::Records, "more than there may be"));
        }
        let mut counts = vec![0u32; lengths.len()];
        for record in &*records {
            *counts.get_mut(*record as usize).ok_or_else(|| bad("too few"))? += 1;
        }
        let modes = columns.raw(Column::IntModes)?;
        let mut modes = modes.into_iter();
        let mut rest = &bytes[..];
        // The number of slots so far, by column.
        let (mut references, mut ints, mut floats, mut texts) = (0, 0, 0, 0);
        let (mut real_lengths, mut objects, mut positions) = (0, 0, 0);
        for (length, count) in lengths.iter().zip(counts) {
            let (form, after) =
                rest.split_at_checked(*length as usize).ok_or_else(|| bad("too few bytes"))?;
            rest = after;
            let form = Form::decode(form).ok_or_else(|| bad("malformed"))?;
            let mut starts = Vec::new();
            for slot in form.slots() {
                let total: &mut u64 = match slot {
                    Slot::Reference => &mut references,
                    Slot::Int => &mut ints,
                    Slot::Float => &mut floats,
                    Slot::Text => &mut texts,
                    Slot::Length => &mut real_lengths,
                    Slot::Full | Slot::Changed => &mut objects,
                    Slot::Position => &mut positions,
                };
                // If the sum does not fit `u32`, it cannot be the length of a column, and the check
                // below fails.
                let start = *total;
                *total += u64::from(count);
                starts.push(start as u32);
                if slot == Slot::Int {
                    let ints = slots.ints.get_mut(start as usize..*total as usize);
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
            tables.push(Table::new(form, starts));
        }
        let fits = [
            (Column::Forms, rest.len() as u64, 0),
            (Column::References, references, slots.references.len()),
            (Column::IntsLow, ints, slots.ints.len()),
            (Column::IntModes, modes.len() as u64, 0),
            (Column::FloatsLow, floats, slots.floats.len()),
            (Column::TextNumbers, texts, slots.texts.len()),
            (Column::Lengths, real_lengths, self.lengths.len()),
            (Column::Objects, objects, self.objects.len()),
            (Column::Positions, positions, self.positions.len()),
        ];
        match fits.iter().find(|(_, wanted, found)| *wanted != *found as u64) {
            Some((column, ..)) => Err(columns.invalid(*column, "do not match the records")),
            None => Ok(()),
        }
    }

    pub(super) fn run(mut self) -> Result<Values, FormatError> {
        let columns = self.columns;
        let tables = std::mem::take(&mut self.values.tables);
        // Both are changed in place to contain only groups.
        let mut forms = std::mem::take(&mut self.values.forms);
        let mut ordinals = std::mem::take(&mut self.values.ordinals);
        self.rows.resize(tables.len(), 0);
        self.values.rows.reserve(ordinals.len().min(forms.len()));
        let mut ordinal = columns.header.first_ordinal;
        let mut values = 0;
        // The last group, and the index of the first description after it.
        let mut last: Option<(&Table, u32)> = None;
        let mut first_description = 0;
        for at in 0..forms.len() {
            let number = forms[at];
            let table = &tables[number as usize];
            let row = self.rows[number as usize];
            self.rows[number as usize] += 1;
            values += table.form.tags().len();
            if values > VALUES_MAX {
                return Err(columns.invalid(Column::Records, "with too many values"));
            }
            match &table.form {
                Form::Group { .. } => {
                    let groups = self.groups as usize;
                    let delta = ordinals.get_mut(groups);
                    let next = delta.and_then(|delta| {
                        *delta = ordinal.checked_add(*delta)?;
                        Some(*delta)
                    });
                    ordinal =
                        next.ok_or_else(|| columns.invalid(Column::Ordinals, "do not fit"))?;
                    self.name(table, row)?;
                    self.settle(last, first_description);
                    last = Some((table, row));
                    first_description = self.described.len();
                    forms[groups] = number;
                    self.values.rows.push(row);
                    self.groups += 1;
                }
                _ if last.is_none() => {
                    return Err(
                        columns.invalid(Column::Records, "an object before the first group")
                    );
                }
                Form::Full { .. } => self.full((number, row), table)?,
                Form::Changed { .. } => self.changed((number, row), table)?,
            }
        }
        self.settle(last, first_description);
        let groups = self.groups as usize;
        let is_last = groups == 0 || ordinal == columns.header.last_ordinal;
        if ordinals.len() != groups || groups != columns.header.groups as usize || !is_last {
            return Err(columns.invalid(Column::Ordinals, "do not match the groups"));
        }
        forms.truncate(groups);
        (self.values.forms, self.values.ordinals, self.values.tables) = (forms, ordinals, tables);
        self.values.index(&self.described);
        Ok(self.values)
    }

    /// If the last group records a change of an object, and the last description is of that object,
    /// the description holds after the change.
    fn settle(&mut self, last: Option<(&Table, u32)>, first_description: usize) {
        let Some((described, since, _)) = self.described[first_description..].last_mut() else {
            return;
        };
        let stored = last.and_then(|(table, row)| self.values.slots.stored(table, row));
        let id = |index: u32| self.values.ids.get(index as usize);
        if stored.is_some_and(|stored| id(stored) == id(*described)) {
            *since += 1;
        }
    }

    /// The moment after the last group, before the change that it records.
    fn moment(&self) -> Moment {
        2 * self.groups - 1
    }

    fn full(&mut self, at: (u32, u32), table: &Table) -> Result<(), FormatError> {
        let Form::Full { class, has_text, items, shape, tags, .. } = &table.form else {
            return Ok(());
        };
        let bad = |what: &str| self.columns.invalid(Column::Forms, what);
        let kept = items.unwrap_or(0);
        let names = shape.map(|shape| self.values.shapes.get(shape as usize).ok_or(shape));
        let names = names.transpose().map_err(|_| bad("of an unknown shape"))?;
        let attributes = tags.len() - kept;
        if names.map_or(0, |shape| shape.names.len()) != attributes {
            return Err(bad("of another shape"));
        }
        if *class as usize >= self.values.classes.len() {
            return Err(bad("of an unknown class"));
        }
        let mut slots = table.cursor(at.1);
        let step = unzigzag(slots.next(&self.objects).into());
        let index = i64::from(self.next_full).checked_add(step);
        let index = index.and_then(|index| u32::try_from(index).ok());
        let index = index.filter(|index| (*index as usize) < self.values.ids.len());
        let index =
            index.ok_or_else(|| self.columns.invalid(Column::Objects, "of an unknown object"))?;
        self.next_full = index + 1;
        // An object may be described without an earlier reference to it.
        self.next_object += u32::from(index == self.next_object);
        self.name(table, at.1)?;
        let text = has_text.then(|| {
            let number: TextNumber = slots.next(&self.values.slots.texts);
            (number, self.length(slots.next(&self.lengths), characters(self.values.text(number))))
        });
        let length = items.map_or(0, |_| self.length(slots.next(&self.lengths), kept as u64));
        let last = Last {
            description: self.values.descriptions.len() as u32,
            has_items: items.is_some(),
            attributes: attributes as u32,
            changes: 0,
        };
        let kept = kept as u32;
        self.add_description(index, last, Description { at, text, kept, length, positions: 0 });
        Ok(())
    }

    fn changed(&mut self, at: (u32, u32), table: &Table) -> Result<(), FormatError> {
        let Form::Changed { kept, length, changed, .. } = &table.form else { return Ok(()) };
        let mut slots = table.cursor(at.1);
        let index = slots.next(&self.objects);
        let last = self.last.get(index as usize).copied().flatten();
        let values = |last: &Last| {
            let kept = self
                .values
                .descriptions
                .get(last.description as usize)
                .map_or(0, |before| before.kept);
            kept as usize + last.attributes as usize
        };
        let Some(last) = last.filter(|last| last.changes < changes_max(values(last))) else {
            return Err(self.columns.invalid(Column::Objects, "of an object not described before"));
        };
        let bad = |what: &str| self.columns.invalid(Column::Positions, what);
        let before = &self.values.descriptions[last.description as usize];
        let (old, length) = (before.kept, before.length.wrapping_add_signed(*length));
        let kept = i64::from(old).checked_add(*kept).and_then(|k| u32::try_from(k).ok());
        let Some(kept) = kept else {
            return Err(bad("more items removed than there were"));
        };
        if !last.has_items && (kept, length) != (0, 0) {
            return Err(bad("items of an object without items"));
        }
        let positions = self.values.positions.len() as u32;
        let beyond = u64::from(old) + u64::from(last.attributes);
        let mut next = 0u64;
        for _ in 0..*changed {
            let position = next + u64::from(slots.next(&self.positions));
            let is_item = position < old.min(kept).into();
            if !is_item && !(u64::from(old)..beyond).contains(&position) {
                return Err(bad("beyond what the object holds"));
            }
            // The position is less than the number of values in the chunk.
            self.values.positions.push(position as u32);
            next = position + 1;
        }
        self.name(table, at.1)?;
        let description = self.values.descriptions.len() as u32;
        let last = Last { description, changes: last.changes + 1, ..last };
        self.add_description(index, last, Description { at, text: None, kept, length, positions });
        Ok(())
    }

    fn add_description(&mut self, index: u32, last: Last, description: Description) {
        self.described.push((index, self.moment(), last.description));
        self.values.descriptions.push(description);
        if let Some(known) = self.last.get_mut(index as usize) {
            *known = Some(last);
        }
    }

    fn length(&self, slot: u64, expected: u64) -> u64 {
        expected.wrapping_add(unzigzag(slot).cast_unsigned())
    }

    /// Replaces the entries for objects and texts in a record's slots by the numbers they mean.
    fn name(&mut self, table: &Table, row: u32) -> Result<(), FormatError> {
        let Slots { references, texts, .. } = &mut self.values.slots;
        for (slot, start) in &table.names {
            let at = (start + row) as usize;
            let (column, next, count) = match slot {
                Slot::Text => (texts.get_mut(at), &mut self.next_text, self.values.text_ends.len()),
                _ => (references.get_mut(at), &mut self.next_object, self.values.ids.len()),
            };
            // Invariant: `read_forms` has checked that each column has as many entries as the
            // records need.
            let Some(entry) = column else { continue };
            let number = entry.checked_sub(1).unwrap_or(*next);
            *next += u32::from(number == *next);
            *entry = number;
            if number as usize >= count {
                return Err(match slot {
                    Slot::Text => self.columns.invalid(Column::TextNumbers, "to an unknown text"),
                    _ => self.columns.invalid(Column::References, "to an unknown object"),
                });
            }
        }
        Ok(())
    }
}
