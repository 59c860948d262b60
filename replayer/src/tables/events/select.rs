//! Which events of a chunk pass the constraints: decided from its header if possible, otherwise
//! from its columns, run by run.

use super::columns::Reader;
use super::{CALLABLE, CODE_ID, EXCEPTION, KIND, LINE, SEQ, THREAD_ID, TIME_NS};
use crate::store::{Chunk, ChunkHeader, Code, Error, Happened, Process, Store};
use crate::tables::candidates::{self, CodeFilter, CodeTest, Scope};
use crate::tables::filter::{IntSet, TextSet};
use crate::tables::int;
use crate::tables::plan::Plan;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::chunk::Context;
use dashcam_schema::event::EventKind;
use dashcam_schema::event::kinds_that;
use std::ops::Range;

/// Events of a chunk, as ascending ranges of indexes.
#[derive(Default)]
pub(super) struct Selection {
    ranges: Vec<Range<u32>>,
    /// The ranges from here to `end` are left.
    begin: usize,
    end: usize,
}

impl Selection {
    fn new(ranges: Vec<Range<u32>>) -> Selection {
        Selection { begin: 0, end: ranges.len(), ranges }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    pub(super) fn ranges(&self) -> &[Range<u32>] {
        &self.ranges[self.begin..self.end]
    }

    /// Takes all events that are left, and returns their number.
    pub(super) fn take_all(&mut self) -> usize {
        let count = self.ranges().iter().map(|range| range.len()).sum();
        self.begin = self.end;
        count
    }

    /// Moves up to `limit` indexes to `indexes`, from the front or the back.
    pub(super) fn take(&mut self, limit: usize, descending: bool, indexes: &mut Vec<u32>) {
        indexes.clear();
        while indexes.len() < limit && !self.is_empty() {
            let at = if descending { self.end - 1 } else { self.begin };
            let range = &mut self.ranges[at];
            let count = (limit - indexes.len()).min(range.len()) as u32;
            if descending {
                indexes.extend((range.end - count..range.end).rev());
                range.end -= count;
            } else {
                indexes.extend(range.start..range.start + count);
                range.start += count;
            }
            if range.start == range.end {
                if descending { self.end -= 1 } else { self.begin += 1 }
            }
        }
    }
}

/// The values that pass the constraints, column by column.
pub(super) struct Filter {
    pub(super) scope: Scope,
    pub(super) seqs: IntSet,
    times: IntSet,
    threads: IntSet,
    lines: IntSet,
    kinds: TextSet,
    callables: TextSet,
    exceptions: TextSet,
    /// By `code_id`, and by whether the code object has any of the lines.
    codes: CodeFilter<CodeTest>,
}

impl Filter {
    pub(super) fn new(store: &Store, plan: &Plan) -> Filter {
        let texts = &store.directory().texts;
        let (codes, lines) = (IntSet::of(plan, CODE_ID), IntSet::of(plan, LINE));
        let any_code = codes.is_all();
        let test: Option<CodeTest> = (!any_code).then(|| {
            Box::new(move |_: &Store, code: &Code| codes.contains(code.code_id)) as CodeTest
        });
        let test = candidates::with_lines(test, &lines);
        Filter {
            scope: super::scope(plan),
            seqs: IntSet::of(plan, SEQ),
            times: IntSet::of(plan, TIME_NS),
            threads: IntSet::of(plan, THREAD_ID),
            lines,
            kinds: TextSet::of(plan, KIND, texts),
            callables: TextSet::of(plan, CALLABLE, texts),
            exceptions: TextSet::of(plan, EXCEPTION, texts),
            codes: CodeFilter::new(test, any_code),
        }
    }

    /// A bit for each kind that passes in this process.
    pub(super) fn kinds(&self, process: &Process) -> u32 {
        let mut kinds =
            kinds_that(|kind| self.kinds.contains(process.kinds[kind.number() as usize]));
        if !self.callables.is_all() {
            kinds &= kinds_that(EventKind::has_callable);
        }
        if !self.exceptions.is_all() {
            kinds &= kinds_that(EventKind::has_exception);
        }
        kinds
    }

    fn thread_passes(&self, process: &Process, number: u32) -> bool {
        self.threads.is_all()
            || process.threads.get(&number).is_some_and(|id| self.threads.contains(*id))
    }

    /// Whether an event can pass, according to the chunk's header.
    pub(super) fn may_pass(&self, store: &Store, index: usize) -> bool {
        let header = &store.chunks()[index];
        let process = store.process(header);
        self.scope.has(header)
            && self.seqs.overlaps(header.first_seq, header.last_seq)
            && self.times.overlaps(header.first_ns, header.last_ns)
            && header.kinds & self.kinds(process) != 0
            && header.threads.iter().any(|number| self.thread_passes(process, *number))
            && self.codes.passes_any(store, header)
    }

    /// Whether the chunk's header shows that all its positions and times pass.
    pub(super) fn covers(&self, header: &ChunkHeader) -> bool {
        self.seqs.covers(header.first_seq, header.last_seq)
            && self.times.covers(header.first_ns, header.last_ns)
    }

    /// Whether events of a chunk pass whose positions and times all pass.
    pub(super) fn passes(&self, store: &Store, process: &Process, happened: &Happened) -> bool {
        let callable = || {
            let name = happened.callable.and_then(|number| process.callables.get(&number));
            name.is_some_and(|name| self.callables.contains(*name))
        };
        self.kinds(process) >> happened.kind & 1 == 1
            && self.thread_passes(process, happened.thread)
            && self.codes.passes(store, process, happened.code)
            && (self.callables.is_all() || callable())
            && (self.lines.is_all()
                || happened.line(store, process).is_some_and(|line| self.lines.contains(line)))
    }

    /// Selects the events that pass.
    pub(super) fn select(&self, reader: &mut Reader) -> Result<Selection, Error> {
        let store = reader.store().clone();
        let header = &store.chunks()[reader.index()];
        let process = store.process(header);
        let mut range = 0..header.events as u32;
        if self.seqs.lo > header.first_seq {
            range.start = (self.seqs.lo - header.first_seq).min(range.end.into()) as u32;
        }
        if self.seqs.hi < header.last_seq {
            range.end = (self.seqs.hi - header.first_seq + 1).max(0) as u32;
        }
        let kinds = self.kinds(process);
        let by_seq = self.seqs.values.as_ref().is_some_and(|values| values.len() > 1);
        let by_time = !self.times.covers(header.first_ns, header.last_ns);
        let by_name = !self.callables.is_all() || !self.exceptions.is_all();
        let by_event = header.kinds & !kinds != 0 || !self.lines.is_all() || by_seq || by_name;
        let by_context = header.threads.iter().any(|n| !self.thread_passes(process, *n))
            || header.codes.iter().any(|n| !self.codes.passes(&store, process, *n));
        if !by_time && !by_event && !by_context {
            return Ok(Selection::new(if range.is_empty() { Vec::new() } else { vec![range] }));
        }

        let chunk = reader.load()?.clone();
        let mut each_time = None;
        if by_time {
            let times = chunk.times()?;
            // Times never decrease within a chunk.
            let lo = times.partition_point(|t| int(*t) < self.times.lo) as u32;
            let hi = times.partition_point(|t| int(*t) <= self.times.hi) as u32;
            range = range.start.max(lo)..range.end.min(hi);
            if self.times.values.as_ref().is_some_and(|values| values.len() > 1) {
                each_time = Some(times);
            }
        }
        let mut ranges: Vec<Range<u32>> = Vec::new();
        let mut events = Events { filter: self, chunk: &chunk, kinds, ranges: &mut ranges };
        let mut visit = |range: Range<u32>, context: Option<Context>| {
            if range.is_empty() {
                return Ok(());
            }
            if by_event {
                let code = context.and_then(|context| process.codes.get(&context.code));
                let code = code.map(|index| &store.directory().codes[*index]);
                events.select(range, code.and_then(|code| store.lines(code)))
            } else {
                events.push(range);
                Ok(())
            }
        };
        if by_context || !self.lines.is_all() {
            let runs = chunk.runs()?;
            let passes: Vec<bool> = runs
                .contexts
                .iter()
                .map(|context| {
                    self.thread_passes(process, context.thread)
                        && self.codes.passes(&store, process, context.code)
                })
                .collect();
            let mut start = 0;
            for run in &runs.runs {
                let end = start + run.events;
                let context = run.context as usize;
                if passes[context] {
                    visit(
                        start.max(range.start)..end.min(range.end),
                        Some(runs.contexts[context]),
                    )?;
                }
                start = end;
            }
        } else {
            visit(range, None)?;
        }
        if by_seq || by_name || each_time.is_some() {
            ranges = self.one_by_one(header, &chunk, process, ranges, each_time)?;
        }
        Ok(Selection::new(ranges))
    }

    /// Applies the tests for which a faster way is not worth it.
    fn one_by_one(
        &self,
        header: &ChunkHeader,
        chunk: &Chunk,
        process: &Process,
        ranges: Vec<Range<u32>>,
        times: Option<&Vec<u64>>,
    ) -> Result<Vec<Range<u32>>, Error> {
        let callables = if self.callables.is_all() { None } else { Some(chunk.callables()?) };
        let exceptions = if self.exceptions.is_all() { None } else { Some(chunk.exceptions()?) };
        let mut passing = Vec::new();
        for index in ranges.into_iter().flatten() {
            let i = index as usize;
            let called = |callables: &Vec<u32>| {
                let name = process.callables.get(&callables[i]);
                name.is_some_and(|name| self.callables.contains(*name))
            };
            let mut passes = self.seqs.contains(header.first_seq + i64::from(index))
                && times.is_none_or(|t| self.times.contains(int(t[i])))
                && callables.is_none_or(called);
            if let (true, Some(exceptions)) = (passes, exceptions) {
                let entry = chunk.exception(exceptions[i])?;
                let name = entry.and_then(|e| process.exception_types.get(&e.exception_type));
                passes = name.is_some_and(|name| self.exceptions.contains(*name));
            }
            if passes {
                passing.push(index..index + 1);
            }
        }
        Ok(passing)
    }
}

/// The loops over single events.
struct Events<'a> {
    filter: &'a Filter,
    chunk: &'a Chunk,
    kinds: u32,
    ranges: &'a mut Vec<Range<u32>>,
}

impl Events<'_> {
    fn push(&mut self, range: Range<u32>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// Selects the events of one code object in `range` by kind and, if lines are constrained, by
    /// line.
    fn select(&mut self, range: Range<u32>, table: Option<&LineTable>) -> Result<(), Error> {
        let all = range.start as usize..range.end as usize;
        let kinds = &self.chunk.kinds()?[all.clone()];
        let (mask, lines, line) = (self.kinds, &self.filter.lines, EventKind::LINE.number());
        if lines.is_all() {
            for (i, kind) in (range.start..).zip(kinds) {
                if mask >> kind & 1 == 1 {
                    self.push(i..i + 1);
                }
            }
            return Ok(());
        }
        let places = &self.chunk.places()?[all];
        let (Ok(lo), Ok(hi)) =
            (u32::try_from(lines.lo.max(0)), u32::try_from(lines.hi.min(u32::MAX.into())))
        else {
            return Ok(());
        };
        let width = hi.wrapping_sub(lo);
        let in_bounds = |place: u32| place.wrapping_sub(lo) <= width;
        let only_lines = mask == 1 << line;
        for ((i, kind), place) in (range.start..).zip(kinds).zip(places) {
            if only_lines {
                // The case of the question "who runs line N".
                if *kind == line && in_bounds(*place) && lines.contains((*place).into()) {
                    self.push(i..i + 1);
                }
            } else if mask >> kind & 1 == 1 {
                let here =
                    if *kind == line { Some(*place) } else { table.and_then(|t| t.line(*place)) };
                if here.is_some_and(|here| in_bounds(here) && lines.contains(here.into())) {
                    self.push(i..i + 1);
                }
            }
        }
        Ok(())
    }
}
