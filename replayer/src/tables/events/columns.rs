//! The values of a chunk's events, column by column.

use super::{
    CALLABLE, CODE_ID, EXCEPTION, KIND, LINE, OFFSET, PROCESS_ID, RUN_ID, SEQ, TARGET_LINE,
    TARGET_OFFSET, THREAD_ID, TIME_NS, VALUE, WALL_NS,
};
use crate::store::chunk::NONE;
use crate::store::texts::TextId;
use crate::store::{Chunk, ChunkHeader, Error, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::int;
use crate::tables::plan::Plan;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::event::EventKind;
use std::rc::Rc;

/// Bytes per code unit.
pub(super) const UNIT: i64 = 2;

/// Reads one chunk. Reads the file only if the chunk's header is not enough.
pub(super) struct Reader {
    store: Rc<Store>,
    index: usize,
    chunk: Option<Rc<Chunk>>,
    /// Ids of threads and code objects by context, if they are needed.
    thread_ids: Vec<i64>,
    code_ids: Vec<i64>,
}

impl Reader {
    pub(super) fn new(store: Rc<Store>, index: usize) -> Reader {
        Reader { store, index, chunk: None, thread_ids: Vec::new(), code_ids: Vec::new() }
    }

    pub(super) fn store(&self) -> &Rc<Store> {
        &self.store
    }

    pub(super) fn header(&self) -> &ChunkHeader {
        &self.store.chunks()[self.index]
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn chunk(&self) -> Option<&Rc<Chunk>> {
        self.chunk.as_ref()
    }

    pub(super) fn load(&mut self) -> Result<&Rc<Chunk>, Error> {
        if self.chunk.is_none() {
            self.chunk = Some(self.store.chunk(self.index)?);
        }
        self.chunk.as_ref().ok_or(Error::Interrupted)
    }

    /// Decodes every column that the plan needs, so that a damaged chunk has no rows at all rather
    /// than rows up to the damage.
    pub(super) fn prepare(&mut self, plan: &Plan) -> Result<(), Error> {
        let uses = |columns: &[usize]| columns.iter().any(|column| plan.uses(*column));
        if plan.used & !(1 << RUN_ID | 1 << PROCESS_ID | 1 << SEQ) == 0 {
            return Ok(());
        }
        let chunk = self.load()?.clone();
        if uses(&[KIND, OFFSET, LINE, TARGET_OFFSET, TARGET_LINE]) {
            chunk.kinds()?;
        }
        if uses(&[OFFSET, LINE]) {
            chunk.places()?;
        }
        if uses(&[TIME_NS, WALL_NS]) {
            chunk.times()?;
        }
        if uses(&[TARGET_OFFSET, TARGET_LINE]) {
            chunk.targets()?;
        }
        if uses(&[CALLABLE]) {
            chunk.callables()?;
        }
        if uses(&[EXCEPTION]) {
            chunk.exceptions()?;
            chunk.state()?;
        }
        if uses(&[VALUE]) {
            chunk.ordinals()?;
            chunk.contexts()?;
        }
        if uses(&[THREAD_ID, CODE_ID, LINE, TARGET_LINE]) {
            chunk.contexts()?;
            let process = self.store.process(self.header());
            let codes = &self.store.directory().codes;
            let contexts = &chunk.runs()?.contexts;
            let threads = contexts.iter().map(|c| process.threads.get(&c.thread));
            let thread_ids = threads.map(|id| id.copied().unwrap_or(NULL)).collect();
            let numbers = contexts.iter().map(|c| process.codes.get(&c.code));
            let code_ids = numbers.map(|index| index.map_or(NULL, |i| codes[*i].code_id)).collect();
            (self.thread_ids, self.code_ids) = (thread_ids, code_ids);
        }
        Ok(())
    }

    /// For each of the chunk's contexts, the id of the code object or the thread. The reader has to
    /// be [prepared](Self::prepare) for them.
    pub(super) fn ids(&self, of_codes: bool) -> &[i64] {
        if of_codes { &self.code_ids } else { &self.thread_ids }
    }

    /// Puts the events with these indexes into the batch.
    pub(super) fn read(
        &self,
        plan: &Plan,
        indexes: &[u32],
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let header = self.header();
        let process = self.store.process(header);
        let events = || indexes.iter().map(|index| *index as usize);
        if plan.uses(RUN_ID) {
            batch.columns[RUN_ID] = Column::Int(header.run_id);
        }
        if plan.uses(PROCESS_ID) {
            batch.columns[PROCESS_ID] = Column::Int(header.process_id);
        }
        if plan.uses(SEQ) {
            batch.ints(SEQ, indexes.iter().map(|index| header.first_seq + i64::from(*index)));
        }
        let Some(chunk) = &self.chunk else { return Ok(()) };
        if plan.uses(THREAD_ID) {
            let contexts = chunk.contexts()?;
            batch.ints(THREAD_ID, events().map(|i| self.thread_ids[contexts[i] as usize]));
        }
        if plan.uses(CODE_ID) {
            let contexts = chunk.contexts()?;
            batch.ints(CODE_ID, events().map(|i| self.code_ids[contexts[i] as usize]));
        }
        if plan.uses(TIME_NS) {
            let times = chunk.times()?;
            match contiguous(indexes) {
                Some(range) => batch.ints(TIME_NS, times[range].iter().map(|time| int(*time))),
                None => batch.ints(TIME_NS, events().map(|i| int(times[i]))),
            }
        }
        if plan.uses(WALL_NS) {
            let times = chunk.times()?;
            batch.ints(WALL_NS, events().map(|i| header.wall_ns(i, int(times[i]))));
        }
        if plan.uses(KIND) {
            let kinds = chunk.kinds()?;
            batch.texts(KIND, events().map(|i| process.kinds[usize::from(kinds[i])]));
        }
        if plan.uses(CALLABLE) {
            let callables = chunk.callables()?;
            let name = |number: u32| process.callables.get(&number).copied();
            batch.texts(CALLABLE, events().map(|i| name(callables[i]).unwrap_or(TextId::NONE)));
        }
        if plan.uses(EXCEPTION) {
            let exceptions = chunk.exceptions()?;
            let name = |number: u32| {
                let entry = chunk.exception(number).ok()??;
                process.exception_types.get(&entry.exception_type).copied()
            };
            let name = |number: u32| if number == NONE { None } else { name(number) };
            batch.texts(EXCEPTION, events().map(|i| name(exceptions[i]).unwrap_or(TextId::NONE)));
        }
        if plan.uses(OFFSET) {
            let (kinds, places) = (chunk.kinds()?, chunk.places()?);
            let offset = |i: usize| match kinds[i] == EventKind::LINE.number() {
                true => NULL,
                false => i64::from(places[i]) * UNIT,
            };
            batch.ints(OFFSET, events().map(offset));
        }
        if plan.uses(TARGET_OFFSET) {
            let (kinds, targets) = (chunk.kinds()?, chunk.targets()?);
            let offset = |i: usize| target(kinds[i], targets[i]).map(|unit| i64::from(unit) * UNIT);
            batch.ints(TARGET_OFFSET, events().map(|i| offset(i).unwrap_or(NULL)));
        }
        if plan.uses(VALUE) && self.store.has_values(process) {
            let value = |i| self.store.value_text(header, chunk, i);
            let values: Result<Vec<_>, _> =
                events().map(|i| value(i).map(|text| text.map(String::into_boxed_str))).collect();
            batch.columns[VALUE] = Column::Owned(values?);
        }
        if plan.uses(LINE) || plan.uses(TARGET_LINE) {
            self.read_lines(chunk, plan, indexes, batch)?;
        }
        Ok(())
    }

    fn read_lines(
        &self,
        chunk: &Chunk,
        plan: &Plan,
        indexes: &[u32],
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let process = self.store.process(self.header());
        let (kinds, places, contexts) = (chunk.kinds()?, chunk.places()?, chunk.contexts()?);
        let all = &chunk.runs()?.contexts;
        // Neighbouring events mostly have the same context.
        let mut last: (u32, Option<&LineTable>) = (NONE, None);
        let mut table = |context: u32| {
            if last.0 != context {
                let code = process.codes.get(&all[context as usize].code);
                let code = code.map(|index| &self.store.directory().codes[*index]);
                last = (context, code.and_then(|code| self.store.lines(code)));
            }
            last.1
        };
        let line_of = |table: Option<&LineTable>, unit| {
            table.and_then(|table| table.line(unit)).map_or(NULL, i64::from)
        };
        if plan.uses(LINE) {
            let line = |index: &u32| {
                let i = *index as usize;
                match kinds[i] == EventKind::LINE.number() {
                    true => i64::from(places[i]),
                    false => line_of(table(contexts[i]), places[i]),
                }
            };
            batch.ints(LINE, indexes.iter().map(line));
        }
        if plan.uses(TARGET_LINE) {
            let targets = chunk.targets()?;
            let line = |index: &u32| {
                let i = *index as usize;
                target(kinds[i], targets[i]).map_or(NULL, |unit| line_of(table(contexts[i]), unit))
            };
            batch.ints(TARGET_LINE, indexes.iter().map(line));
        }
        Ok(())
    }
}

/// The indexes as a range, if they are consecutive and ascending.
fn contiguous(indexes: &[u32]) -> Option<std::ops::Range<usize>> {
    let (first, last) = (*indexes.first()? as usize, *indexes.last()? as usize);
    (last.wrapping_sub(first) == indexes.len() - 1).then_some(first..last + 1)
}

/// The target of an event. For kinds that a later CPython adds, 0 means that there is none.
fn target(kind: u8, target: u32) -> Option<u32> {
    let none = target == NONE || kind >= EventKind::KNOWN && target == 0;
    (!none).then_some(target)
}
