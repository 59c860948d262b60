//! Values of events: where they are, and how they are read.
//!
//! An event and its values are connected by the event's ordinal, its number among the process's
//! recorded events that may carry values. Chunks of values can be read alone, so one look-up reads
//! one chunk.

use super::chunks::ChunkHeader;
use super::{Chunk, Directory, Error, Process, Store};
use dashcam_schema::FormatError;
use dashcam_schema::chunk::{ValueStatistics, header_xxh3};
use dashcam_schema::event::EventKind;
use dashcam_schema::value::chunk::{DescribedIds, Moment, Values};
use dashcam_schema::value::handed::Handed;
use dashcam_schema::value::{Group, GroupKind, ObjectId, Value, render};
use rusqlite::{Connection, Row};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// A row of `value_chunks` without its data.
#[derive(Debug, Clone)]
pub struct ValueHeader {
    pub value_chunk_id: i64,
    pub run_id: i64,
    pub process_id: i64,
    /// Its number among the chunks of values of its process.
    number: i64,
    /// All values of the events with these ordinals are in it.
    pub covers: Range<i64>,
    pub first_ordinal: i64,
    pub last_ordinal: i64,
    pub groups: i64,
    header_xxh3: i64,
    /// The objects that it describes.
    pub described: DescribedIds,
}

impl ValueHeader {
    /// Ties the row to its data.
    pub(super) fn header_xxh3(&self) -> i64 {
        self.header_xxh3
    }
}

/// The ordinals of a process that the chunks of values which are there cover: ascending ranges that
/// do not touch. Nothing is known of other events.
#[derive(Default)]
pub(super) struct Coverage(Vec<Range<i64>>);

impl Coverage {
    fn add(&mut self, range: Range<i64>) {
        match self.0.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.0.push(range),
        }
    }

    /// The last range that begins at or before an ordinal.
    fn around(&self, ordinal: i64) -> Option<&Range<i64>> {
        let after = self.0.partition_point(|range| range.start <= ordinal);
        after.checked_sub(1).map(|at| &self.0[at])
    }
}

/// All rows of `value_chunks`, by process and position.
#[derive(Default)]
pub(super) struct ValueHeaders {
    pub(super) chunks: Vec<ValueHeader>,
    /// Rows that are invalid: the id, and what is wrong.
    pub(super) impossible: Vec<(i64, String)>,
    pub(super) coverage: FxHashMap<i64, Coverage>,
    /// Processes with missing chunks of values, and what is missing.
    pub(super) missing: Vec<(i64, String)>,
}

impl ValueHeaders {
    pub(super) fn load(
        connection: &Connection,
        directory: &Directory,
    ) -> rusqlite::Result<ValueHeaders> {
        let sql = "SELECT value_chunk_id, run_id, process_id, first_ordinal, last_ordinal,
                          group_count, row_xxh3, told, number, covers_from, covers_to, header_xxh3
                   FROM main.value_chunks ORDER BY process_id, number, value_chunk_id";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut headers = ValueHeaders::default();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            match header(row) {
                Some(chunk) if directory.run_of(chunk.process_id) != Some(chunk.run_id) => {
                    headers.impossible.push((id, "no such process".to_owned()));
                }
                Some(chunk) if headers.follows(&chunk) => headers.chunks.push(chunk),
                Some(_) => {
                    headers.impossible.push((id, "overlaps the chunk before".to_owned()));
                }
                None => headers.impossible.push((id, "row: checksum mismatch".to_owned())),
            }
        }
        headers.cover(directory);
        Ok(headers)
    }

    /// Whether a chunk begins where the one before ends, or later.
    fn follows(&self, chunk: &ValueHeader) -> bool {
        let before = self.chunks.last().filter(|last| last.process_id == chunk.process_id);
        before
            .is_none_or(|last| last.number < chunk.number && last.covers.end <= chunk.covers.start)
    }

    /// Finds out which ordinals are covered, and what is missing.
    fn cover(&mut self, directory: &Directory) {
        let mut counts: FxHashMap<i64, i64> = FxHashMap::default();
        for chunk in &self.chunks {
            *counts.entry(chunk.process_id).or_insert(0) += 1;
            self.coverage.entry(chunk.process_id).or_default().add(chunk.covers.clone());
        }
        for process in directory.processes.values() {
            let id = process.process_id;
            let there = counts.get(&id).copied().unwrap_or(0);
            let (covers_to, chunks) = process.values.unwrap_or((0, 0));
            if there != chunks {
                let what = format!(
                    "{chunks} chunks of values were stored, but {there} can be read; the values of \
                     the others are unavailable"
                );
                self.missing.push((id, what));
            }
            let coverage = self.coverage.entry(id).or_default();
            let end = coverage.0.last().map_or(0, |last| last.end);
            let is_last_there = chunks == 0
                || self.chunks.iter().any(|c| c.process_id == id && c.number == chunks - 1);
            if is_last_there && end < covers_to {
                coverage.add(end..covers_to);
            }
        }
    }
}

fn header(row: &Row<'_>) -> Option<ValueHeader> {
    let integer = |column: usize| row.get::<_, i64>(column).ok();
    let [run_id, process_id] = [integer(1)?, integer(2)?];
    let [first_ordinal, last_ordinal, group_count] = [integer(3)?, integer(4)?, integer(5)?];
    let [number, covers_from, covers_to, header_xxh3] =
        [integer(8)?, integer(9)?, integer(10)?, integer(11)?];
    let told = row.get_ref(7).ok()?.as_blob().ok()?;
    let statistics = ValueStatistics {
        run_id,
        process_id,
        number,
        covers_from,
        covers_to,
        first_ordinal,
        last_ordinal,
        group_count,
        header_xxh3,
        told,
    };
    let ascends = [0, covers_from, first_ordinal, last_ordinal, covers_to].is_sorted();
    let fits = statistics.xxh3() == integer(6)? && ascends && number >= 0;
    let described = DescribedIds::decode(told)?;
    fits.then_some(ValueHeader {
        described,
        value_chunk_id: row.get(0).ok()?,
        run_id,
        process_id,
        number,
        covers: covers_from..covers_to,
        first_ordinal,
        last_ordinal,
        groups: group_count,
        header_xxh3,
    })
}

/// The values of one kind that came with an event.
pub struct Found {
    values: Rc<Values>,
    ordinal: u64,
    kind: GroupKind,
}

impl Found {
    fn group(&self) -> Option<Group<'_>> {
        self.values.group(self.ordinal, self.kind)
    }

    fn moment(&self) -> Moment {
        self.values.moment(self.values.groups_of(self.ordinal).end)
    }

    /// The value as text, if there is only one.
    pub fn text(&self) -> Option<String> {
        let group = self.group()?;
        let [value] = group.values else { return None };
        Some(self.repr(value))
    }

    /// A value that the group refers to, as text.
    pub fn repr(&self, value: &Value) -> String {
        render::repr(&*self.values, value, self.moment())
    }

    /// What a call was given; `None` for groups of other kinds.
    pub fn handed(&self) -> Option<Handed> {
        let group = self.group().filter(|group| group.kind == GroupKind::Handed)?;
        Handed::read(&*self.values, group.values, self.moment())
    }

    /// What a call was given, as text.
    pub fn handed_text(&self) -> Option<String> {
        Some(render::handed(&*self.values, &self.handed()?, self.moment()))
    }

    /// The values as text: arguments with these names.
    pub fn arguments(&self, names: &[Box<str>]) -> Option<String> {
        let group = self.group()?;
        let names = names.iter().map(|name| &**name);
        Some(render::arguments(&*self.values, names, group.values, self.moment()))
    }
}

/// What is known of an exception besides its type, as text; and the ids of the exception and of
/// those that it names.
#[derive(Debug, Default, Clone)]
pub struct Raised {
    pub object_id: Option<ObjectId>,
    pub arguments: Option<String>,
    pub cause: Option<String>,
    pub cause_id: Option<ObjectId>,
    pub context: Option<String>,
    pub context_id: Option<ObjectId>,
}

impl Found {
    /// The parts of the exception, if the group's only value is one.
    fn raised(&self) -> Option<Raised> {
        let [Value::Object(object_id)] = self.group()?.values else { return None };
        let object = self.values.object(*object_id, self.moment())?;
        let repr = |value: &Value| self.repr(value);
        let names = object.attributes.iter().flat_map(|(shape, values)| {
            let names = self.values.shapes().get(*shape as usize).map(|shape| &shape.names[..]);
            names.unwrap_or_default().iter().zip(values)
        });
        let named = |wanted: &str| {
            let mut values = names.clone();
            values.find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let (cause, context) = (named("__cause__"), named("__context__"));
        let id = |value: &Value| match value {
            Value::Object(id) => Some(*id),
            _ => None,
        };
        Some(Raised {
            object_id: Some(*object_id),
            arguments: object
                .items
                .as_ref()
                .map(|items| render::tuple(&*self.values, items, self.moment())),
            cause: cause.map(repr),
            cause_id: cause.and_then(id),
            context: context.map(repr),
            context_id: context.and_then(id),
        })
    }
}

/// A part of a recording whose values cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueDamage {
    /// Chunks of this process are missing.
    Missing(i64),
    /// Values of this process were not stored up to its last events.
    NotStored(i64),
    /// The chunk with this id.
    Chunk(i64),
}

impl Store {
    /// What was captured of the exception that the event at a position raised. A damaged chunk is
    /// noted.
    pub fn raised_at(&self, run_id: i64, seq: i64) -> Result<Option<Raised>, Error> {
        let Some((at, index)) = self.locate(run_id, seq) else { return Ok(None) };
        let header = &self.chunks[at];
        let found = self
            .chunk(at)
            .and_then(|chunk| self.values_of(header, &chunk, index, GroupKind::Raised));
        match found {
            Err(error) => self.note(at, error).map(|()| None),
            Ok(found) => Ok(found.and_then(|found| found.raised())),
        }
    }

    /// All chunks of values, by process and position. Chunks whose row is invalid are left out and
    /// noted.
    pub fn value_chunks(&self) -> &[ValueHeader] {
        &self.value_chunks
    }

    /// The chunk of values with this index in [`Store::value_chunks`].
    ///
    /// # Errors
    /// If it is damaged or missing.
    pub fn values(&self, index: usize) -> Result<Rc<Values>, Error> {
        if self.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let damaged = |source| self.of_values(index, source);
        self.value_cache.get_or_read(index, damaged, || self.read_values(index))
    }

    fn of_values(&self, index: usize, source: FormatError) -> Error {
        let chunk = self.value_chunks[index].value_chunk_id;
        Error::Values { path: self.path.to_path_buf(), chunk, source }
    }

    fn read_values(&self, index: usize) -> Result<Rc<Values>, Error> {
        let header = &self.value_chunks[index];
        let id = header.value_chunk_id;
        let failed = |source| self.of_values(index, source);
        let invalid = |part, what| failed(FormatError::Invalid { part, offset: 0, what });
        let sql = "SELECT data FROM main.value_chunks WHERE value_chunk_id = ?";
        let bytes: Vec<u8> = self
            .connection
            .query_row(sql, [id], |row| row.get(0))
            .map_err(|error| self.not_read(&error, |what| invalid("data", what)))?;
        let values = Rc::new(Values::open(&bytes).map_err(failed)?);
        if header_xxh3(&bytes) != header.header_xxh3 {
            return Err(invalid("data", "does not belong to this chunk".to_owned()));
        }
        let groups = values.groups().len();
        let ends = [Some(0), groups.checked_sub(1)].map(|at| {
            at.and_then(|at| values.group_at(at)).map_or(-1, |group| group.ordinal.cast_signed())
        });
        if groups as i64 != header.groups || ends != [header.first_ordinal, header.last_ordinal] {
            return Err(invalid("chunk header", "holds other groups than its row says".to_owned()));
        }
        Ok(values)
    }

    /// Whether there are any values of this process.
    pub fn has_values(&self, process: &Process) -> bool {
        let id = process.process_id;
        let at = self.value_chunks.partition_point(|chunk| chunk.process_id < id);
        self.value_chunks.get(at).is_some_and(|chunk| chunk.process_id == id)
    }

    /// Whether all values of a process's events with these ordinals, both included, are stored.
    /// True if none were captured.
    pub fn is_known(&self, process_id: i64, from: i64, to: i64) -> bool {
        let captures = self.directory.processes.get(&process_id).is_some_and(|p| p.captures);
        let around = self.coverage.get(&process_id).and_then(|c| c.around(from.max(0)));
        !captures || to < 0 || around.is_some_and(|range| to < range.end)
    }

    /// Checks that all values of a process's events with these ordinals are stored.
    ///
    /// # Errors
    /// If they are not.
    pub fn known(&self, process_id: i64, from: i64, to: i64) -> Result<(), Error> {
        if self.is_known(process_id, from, to) {
            return Ok(());
        }
        let around = self.coverage.get(&process_id).and_then(|c| c.around(from.max(0)));
        let last = around.and_then(|range| self.seq_of(process_id, range.end - 1).ok().flatten());
        Err(Error::Unknown { path: self.path.to_path_buf(), last })
    }

    /// The position of the event with an ordinal.
    fn seq_of(&self, process_id: i64, ordinal: i64) -> Result<Option<i64>, Error> {
        let of_process = |header: &&ChunkHeader| {
            header.process_id == process_id && header.first_ordinal <= ordinal
        };
        let Some(at) = self.chunks.iter().rposition(|header| of_process(&header)) else {
            return Ok(None);
        };
        let within = (ordinal - self.chunks[at].first_ordinal) as u32;
        let chunk = self.chunk(at)?;
        // The last of the events with this number of ordinals before them has the ordinal.
        let last = chunk.ordinals()?.partition_point(|before| *before <= within).checked_sub(1);
        Ok(last.map(|last| self.chunks[at].first_seq + last as i64))
    }

    /// Notes that values are not stored; returns every other error.
    pub fn note_unknown(&self, process_id: i64, error: Error) -> Result<(), Error> {
        let Error::Unknown { .. } = error else { return Err(error) };
        let line = format!("{error}; rows of later events are left out");
        self.value_damage.borrow_mut().entry(ValueDamage::NotStored(process_id)).or_insert(line);
        Ok(())
    }

    /// The values of one kind that came with an event, given by its index in its chunk. A damaged
    /// chunk of values is noted, and gives none.
    pub fn values_of(
        &self,
        header: &ChunkHeader,
        chunk: &Chunk,
        index: usize,
        kind: GroupKind,
    ) -> Result<Option<Found>, Error> {
        let ordinal = header.first_ordinal + i64::from(chunk.ordinals()?[index]);
        let process_id = header.process_id;
        if let Err(error) = self.known(process_id, ordinal, ordinal) {
            return self.note_unknown(process_id, error).map(|()| None);
        }
        let after = self.value_chunks.partition_point(|chunk| {
            (chunk.process_id, chunk.first_ordinal) <= (process_id, ordinal)
        });
        // One chunk may end with an event's values, and the next begin with more of them.
        for index in (after.saturating_sub(2)..after).rev() {
            let found = &self.value_chunks[index];
            if found.process_id != process_id || found.last_ordinal < ordinal {
                continue;
            }
            match self.values(index) {
                Ok(values) => {
                    let ordinal = ordinal.cast_unsigned();
                    if values.group(ordinal, kind).is_some() {
                        return Ok(Some(Found { values, ordinal, kind }));
                    }
                }
                Err(error) => self.note_values(index, error)?,
            }
        }
        Ok(None)
    }

    /// Notes a damaged chunk of values; returns every other error.
    pub fn note_values(&self, index: usize, error: Error) -> Result<(), Error> {
        let Error::Values { .. } = error else { return Err(error) };
        let header = &self.value_chunks[index];
        let line = format!("{error}; its values are unavailable, the rest is readable");
        let chunk = ValueDamage::Chunk(header.value_chunk_id);
        self.value_damage.borrow_mut().entry(chunk).or_insert(line);
        self.noted.set(self.noted.get() + 1);
        Ok(())
    }

    /// The chunk an event is in, and its index there.
    pub fn locate(&self, run_id: i64, seq: i64) -> Option<(usize, usize)> {
        let after =
            self.chunks.partition_point(|chunk| (chunk.run_id, chunk.first_seq) <= (run_id, seq));
        let index = after.checked_sub(1)?;
        let header = &self.chunks[index];
        let is_there = header.run_id == run_id && seq <= header.last_seq;
        is_there.then(|| (index, (seq - header.first_seq) as usize))
    }

    /// The number of groups in a chunk of values that belong to events which cannot have them. The
    /// process has `events` events; values may be ahead of them if it died.
    pub fn misfits(&self, index: usize, events: i64) -> Result<usize, Error> {
        let process_id = self.value_chunks[index].process_id;
        let of_process = |at: &usize| self.chunks[*at].process_id == process_id;
        let chunks: Vec<usize> = (0..self.chunks.len()).filter(of_process).collect();
        let mut misfits = 0;
        for group in self.values(index)?.groups() {
            let ordinal = group.ordinal.cast_signed();
            if ordinal >= events {
                continue;
            }
            let after = chunks.partition_point(|at| self.chunks[*at].first_ordinal <= ordinal);
            let kind = match after.checked_sub(1) {
                Some(at) => self.kind_of(chunks[at], ordinal)?,
                None => None,
            };
            misfits += usize::from(!kind.is_some_and(|kind| group.kind.fits(kind)));
        }
        Ok(misfits)
    }

    /// The kind of the event with an ordinal, in the chunk it must be in.
    fn kind_of(&self, chunk: usize, ordinal: i64) -> Result<Option<EventKind>, Error> {
        let within = (ordinal - self.chunks[chunk].first_ordinal) as u32;
        let chunk = self.chunk(chunk)?;
        let (kinds, ordinals) = (chunk.kinds()?, chunk.ordinals()?);
        // The last of the events with this number of ordinals before them has the ordinal.
        let last = ordinals.partition_point(|before| *before <= within).checked_sub(1);
        let found = last.filter(|last| ordinals[*last] == within).map(|last| kinds[last]);
        Ok(found.and_then(EventKind::from_number))
    }

    /// As [`Store::value_text`], for the event at a position. A damaged chunk is noted.
    pub fn value_text_at(&self, run_id: i64, seq: i64) -> Result<Option<String>, Error> {
        let Some((at, index)) = self.locate(run_id, seq) else { return Ok(None) };
        let header = &self.chunks[at];
        match self.chunk(at).and_then(|chunk| self.value_text(header, &chunk, index)) {
            Err(error) => self.note(at, error).map(|()| None),
            found => found,
        }
    }

    /// The arguments, result or other value that an event of this kind carries, as text; `None` if
    /// it carries none or it was not recorded.
    pub fn value_text(
        &self,
        header: &ChunkHeader,
        chunk: &Chunk,
        index: usize,
    ) -> Result<Option<String>, Error> {
        let kind = chunk.kinds()?[index];
        let Some(group) = EventKind::from_number(kind).and_then(GroupKind::of) else {
            return Ok(None);
        };
        if chunk.says_none(index) {
            return Ok(Some("None".to_owned()));
        }
        let Some(found) = self.values_of(header, chunk, index, group)? else { return Ok(None) };
        match group {
            GroupKind::Arguments => {}
            GroupKind::Handed => return Ok(found.handed_text()),
            _ => return Ok(found.text()),
        }
        let runs = chunk.runs()?;
        let number = runs.contexts[chunk.contexts()?[index] as usize].code;
        let code = self.process(header).codes.get(&number);
        let Some(code) = code.map(|index| &self.directory.codes[*index]) else { return Ok(None) };
        Ok(found.arguments(self.argument_names(code)))
    }
}
