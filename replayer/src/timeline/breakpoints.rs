//! Finds the next event that has a breakpoint.

use super::{Direction, Moved, Position, Timeline, Why};
use crate::state::Within;
use crate::store::{ChunkHeader, Error, Search, Sought};
use dashcam_schema::event::EventKind;
use rustc_hash::FxHashSet;

/// Which events a breakpoint is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// LINE events of a line of these code objects.
    Line { codes: FxHashSet<i64>, line: u32 },
    /// Calls of these code objects: PY_START.
    Call { codes: FxHashSet<i64> },
    /// Exceptions where they are raised, each once, however far they travel.
    ///
    /// `class` is the name of the class: `KeyError`, or `json.decoder.JSONDecodeError` or its end;
    /// all exceptions if it is `None`. With `unhandled`, only those that ended the program, a
    /// thread or a task. With `file`, only those raised in that file. With `only_mine`, only those
    /// that the user's own code raised or handled, and those that ended the program, a thread or a
    /// task.
    Exception { class: Option<String>, unhandled: bool, file: Option<String>, only_mine: bool },
    /// Calls of a function in C: CALL.
    CallInC { name: String },
    /// The events at these positions, in ascending order.
    At(Vec<Position>),
}

impl Timeline {
    /// Moves from a position to the next event of its process that has a breakpoint whose condition
    /// holds; if there is none, to the end of the process, or backwards to its beginning.
    /// `condition` is called with the index of the breakpoint and the position.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted; and the errors of `condition`.
    pub fn resume<E: From<Error>>(
        &self,
        from: Position,
        direction: Direction,
        breakpoints: &[Event],
        condition: impl FnMut(usize, Position) -> Result<bool, E>,
    ) -> Result<Moved, E> {
        let process_id = self.extent_at(from).process_id;
        self.resume_in(process_id, from, direction, breakpoints, condition)
    }

    /// As [`Timeline::resume`] in a process, from a position that need not have an event.
    ///
    /// # Errors
    /// As [`Timeline::resume`].
    pub fn resume_in<E: From<Error>>(
        &self,
        process_id: i64,
        from: Position,
        direction: Direction,
        breakpoints: &[Event],
        mut condition: impl FnMut(usize, Position) -> Result<bool, E>,
    ) -> Result<Moved, E> {
        let Some(extent) = self.extent(process_id) else {
            return Ok(Moved { to: from, why: Why::NoMore, missing: Vec::new() });
        };
        let mut missing = Vec::new();
        let prepared = breakpoints.iter().map(|event| self.prepared(event, extent.process_id));
        let events: Vec<Event> = prepared.collect::<Result<_, _>>()?;
        let mut search = Search::new(&self.store, |sought| {
            events.iter().any(|event| self.is_meant(event, sought))
        });
        let ahead = self.ahead(process_id, from, direction);
        for (done, &index) in ahead.iter().enumerate() {
            self.store.progress(done + 1, ahead.len());
            let header = &self.store.chunks()[index];
            if !events.iter().any(|event| self.may_have(event, header)) {
                continue;
            }
            let only_known = events.iter().all(|event| matches!(event, Event::At(_)));
            let may_be = if only_known { Ok(true) } else { search.may_be_in(index) };
            let has_known = events.iter().any(|event| is_known_in(event, header));
            match may_be {
                Ok(may_be) if !may_be && !has_known => continue,
                Err(error) => {
                    self.store.note(index, error)?;
                    missing.extend(self.store.damage_of(index));
                    continue;
                }
                Ok(_) => {}
            }
            let Some(within) = self.load(index, &mut missing)? else { continue };
            let mut hits = self.hits(index, &within, &events)?;
            let is_ahead = |(at, _): &(usize, usize)| match direction {
                Direction::Forward => self.at(index, *at) > from,
                Direction::Backward => self.at(index, *at) < from,
            };
            hits.retain(is_ahead);
            if direction == Direction::Backward {
                hits.reverse();
            }
            for (at, breakpoint) in hits {
                let to = self.at(index, at);
                if condition(breakpoint, to)? {
                    return Ok(Moved { to, why: Why::Breakpoint(breakpoint), missing });
                }
            }
        }
        let to = match direction {
            Direction::Forward => extent.last,
            Direction::Backward => extent.first,
        };
        Ok(Moved { to, why: Why::NoMore, missing })
    }

    /// The event in a form that can be found in chunks of a process: exceptions and calls in C
    /// become positions.
    fn prepared(&self, event: &Event, process_id: i64) -> Result<Event, Error> {
        let (class, unhandled, file, only_mine) = match event {
            Event::Exception { class, unhandled, file, only_mine } => {
                (class, unhandled, file, only_mine)
            }
            Event::CallInC { name } => return self.called_in_c(name, process_id),
            _ => return Ok(event.clone()),
        };
        let sql = "SELECT seq, type, code_id FROM temp.exceptions
                   WHERE run_id = ?1 AND process_id = ?4 AND (NOT ?2 OR outcome IN ('thread', 'program'))
                     AND (NOT ?3 OR is_mine OR outcome IN ('thread', 'program')) ORDER BY seq";
        let codes = file.as_ref().map(|file| self.codes_of_path(file));
        let is_in = |code: Option<i64>| {
            codes.as_ref().is_none_or(|codes| code.is_some_and(|code| codes.contains(&code)))
        };
        let is_meant = |name: &str| match class {
            None => true,
            Some(class) => name
                .strip_suffix(class.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
        };
        let read = || -> rusqlite::Result<Vec<Position>> {
            let mut statement = self.store.connection().prepare_cached(sql)?;
            let wanted = rusqlite::params![self.run_id, unhandled, only_mine, process_id];
            let mut rows = statement.query(wanted)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let name = row.get_ref(1)?.as_str_or_null().ok().flatten().unwrap_or_default();
                if is_meant(name) && is_in(row.get(2)?) {
                    found.push(Position::new(row.get(0)?));
                }
            }
            Ok(found)
        };
        read().map(Event::At).map_err(|error| Error::from_sqlite(self.store.path(), &error))
    }

    /// The callables that a name means: a qualified name, or its end (`append` matches
    /// `list.append`).
    fn callables(&self, name: &str) -> Vec<&str> {
        let directory = self.store.directory();
        let of_run = directory.processes.values().filter(|p| p.run_id == self.run_id);
        let names = of_run.flat_map(|process| process.callables.values());
        let names = names.filter_map(|text| directory.texts.get(*text));
        let is_meant = |of: &&str| {
            of.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let mut found: Vec<&str> = names.filter(is_meant).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether a callable of this name was called that is not a function in Python.
    pub fn calls_in_c(&self, name: &str) -> bool {
        !self.callables(name).is_empty()
    }

    /// The positions of the calls of a function in C in a process.
    fn called_in_c(&self, name: &str, process_id: i64) -> Result<Event, Error> {
        let sql = "SELECT seq FROM temp.events
                   WHERE run_id = ?1 AND process_id = ?3 AND kind = 'CALL' AND callable = ?2";
        let read = || -> rusqlite::Result<Vec<Position>> {
            let mut found = Vec::new();
            let mut statement = self.store.connection().prepare_cached(sql)?;
            for callable in self.callables(name) {
                let mut rows =
                    statement.query(rusqlite::params![self.run_id, callable, process_id])?;
                while let Some(row) = rows.next()? {
                    found.push(Position::new(row.get(0)?));
                }
            }
            found.sort_unstable();
            Ok(found)
        };
        read().map(Event::At).map_err(|error| Error::from_sqlite(self.store.path(), &error))
    }

    /// Whether a chunk may have events of a breakpoint, according to its header.
    fn may_have(&self, event: &Event, header: &ChunkHeader) -> bool {
        let has = |kind: EventKind| header.kinds >> kind.number() & 1 == 1;
        let process = self.store.process(header);
        let directory = self.store.directory();
        let runs = |codes: &FxHashSet<i64>| {
            header.codes.iter().any(|number| {
                let code = process.codes.get(number).map(|index| &directory.codes[*index]);
                code.is_some_and(|code| codes.contains(&code.code_id))
            })
        };
        match event {
            Event::Line { codes, .. } => has(EventKind::LINE) && runs(codes),
            Event::Call { codes } => has(EventKind::PY_START) && runs(codes),
            Event::Exception { .. } => has(EventKind::RAISE),
            Event::CallInC { .. } => has(EventKind::CALL),
            Event::At(_) => is_known_in(event, header),
        }
    }

    /// Whether a breakpoint is for an event.
    fn is_meant(&self, event: &Event, sought: Sought<'_>) -> bool {
        let is_of = |codes: &FxHashSet<i64>| {
            self.code_id(sought).is_some_and(|code_id| codes.contains(&code_id))
        };
        match event {
            Event::Line { codes, line } => {
                sought.kind == EventKind::LINE && sought.place == *line && is_of(codes)
            }
            Event::Call { codes } => sought.kind == EventKind::PY_START && is_of(codes),
            Event::Exception { .. } | Event::CallInC { .. } | Event::At(_) => false,
        }
    }

    /// The events of a chunk that have breakpoints, ascending, each with the breakpoint's index.
    fn hits(
        &self,
        chunk: usize,
        within: &Within,
        events: &[Event],
    ) -> Result<Vec<(usize, usize)>, Error> {
        let process = self.process(chunk);
        let header = &self.store.chunks()[chunk];
        let (kinds, places) = (within.chunk().kinds()?, within.chunk().places()?);
        let mut hits = Vec::new();
        for (breakpoint, event) in events.iter().enumerate() {
            let (kind, place) = match event {
                Event::Line { line, .. } => (EventKind::LINE, Some(*line)),
                Event::Call { .. } => (EventKind::PY_START, None),
                Event::Exception { .. } | Event::CallInC { .. } => continue,
                Event::At(positions) => {
                    let from = positions.partition_point(|at| at.seq() < header.first_seq);
                    let here =
                        positions[from..].iter().take_while(|at| at.seq() <= header.last_seq);
                    hits.extend(
                        here.map(|at| ((at.seq() - header.first_seq) as usize, breakpoint)),
                    );
                    continue;
                }
            };
            let number = kind.number();
            for (at, (of, at_place)) in kinds.iter().zip(places).enumerate() {
                if *of != number || place.is_some_and(|place| place != *at_place) {
                    continue;
                }
                let Some((_, code)) = within.context(at)? else { continue };
                if self.is_meant(event, Sought { process, kind, code, place: *at_place }) {
                    hits.push((at, breakpoint));
                }
            }
        }
        hits.sort_unstable();
        Ok(hits)
    }
}

/// Whether a chunk has one of the positions of an [`Event::At`].
fn is_known_in(event: &Event, header: &ChunkHeader) -> bool {
    let Event::At(positions) = event else { return false };
    let from = positions.partition_point(|at| at.seq() < header.first_seq);
    positions.get(from).is_some_and(|at| at.seq() <= header.last_seq)
}
