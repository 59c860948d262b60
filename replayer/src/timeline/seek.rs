//! Finds positions by time, exception, line, thread and code object.

use super::{Direction, Position, Timeline};
use crate::state::Within;
use crate::store::{Error, Search, Sought};
use dashcam_schema::event::EventKind;
use rusqlite::OptionalExtension as _;
use rustc_hash::FxHashSet;

impl Timeline {
    /// The first event of the process of `at` at or after a time, in nanoseconds since the run
    /// began; else its last event.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn at_time(&self, time_ns: i64, at: Position) -> Result<Position, Error> {
        let is_late = |index: &usize| self.store.chunks()[*index].last_ns >= time_ns;
        for index in self.chunks_at(at).into_iter().filter(is_late) {
            let Some(within) = self.state().within(index)? else { continue };
            let times = within.chunk().times()?;
            let found =
                times.partition_point(|time| i64::try_from(*time).unwrap_or(i64::MAX) < time_ns);
            if found < times.len() {
                return Ok(self.at(index, found));
            }
        }
        Ok(self.extent_at(at).last)
    }

    /// The time of the last event of a position's process, in nanoseconds since the run began.
    pub fn end_ns(&self, at: Position) -> i64 {
        let last_ns = |index: usize| self.store.chunks()[index].last_ns;
        self.chunks_at(at).into_iter().map(last_ns).max().unwrap_or(0)
    }

    /// Where the exception was raised that ended a process; `None` if no exception did. If the
    /// exception ended a task before it left the process, this is where it was first raised.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn crash(&self, process_id: i64) -> Result<Option<Position>, Error> {
        // asyncio raises the exception of a task again where the task is awaited.
        let sql = "SELECT coalesce((
                SELECT min(task.seq) FROM temp.exceptions task
                WHERE task.run_id = ?1 AND task.outcome = 'thread' AND task.seq < ended.seq
                  AND task.process_id = ended.process_id AND task.thread_id = ended.thread_id
                  AND task.type = ended.type AND task.message IS ended.message
                  AND ended.path LIKE '%/asyncio/%'), ended.seq)
            FROM temp.exceptions ended
            WHERE ended.run_id = ?1 AND ended.process_id = ?2 AND ended.outcome = 'program' ORDER BY ended.seq DESC LIMIT 1";
        let read = self.store.connection().prepare_cached(sql).and_then(|mut statement| {
            statement.query_row([self.run_id, process_id], |row| row.get(0)).optional()
        });
        let found = read.map_err(|error| Error::from_sqlite(self.store.path(), &error))?;
        Ok(found.map(Position::new))
    }

    /// The first event after a fraction of the events of a position's process, from 0 to 1.
    pub fn at_fraction(&self, fraction: f64, at: Position) -> Position {
        let extent = self.extent_at(at);
        let mut before = (extent.events as f64 * fraction.clamp(0.0, 1.0)) as usize;
        for chunk in self.chunks_at(at).into_iter().map(|index| &self.store.chunks()[index]) {
            if before < chunk.events {
                return Position::new(chunk.first_seq + before as i64);
            }
            before -= chunk.events;
        }
        extent.last
    }

    /// The fraction of the events of a position's process that come before the position, from 0 to
    /// 1.
    pub fn fraction(&self, at: Position) -> f64 {
        let (mut before, mut total) = (0, 0);
        for chunk in self.chunks_at(at).into_iter().map(|index| &self.store.chunks()[index]) {
            total += chunk.events;
            before += (at.seq() - chunk.first_seq).clamp(0, chunk.events as i64);
        }
        if total == 0 { 0.0 } else { before as f64 / total as f64 }
    }

    /// Where a line of some code objects runs for the n-th time in a process, counted from 1; `None`
    /// if it runs less often. For the code objects of a path, see [`Timeline::codes_of_path`].
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn nth_run_of_line(
        &self,
        codes: &FxHashSet<i64>,
        line: u32,
        nth: u64,
        process_id: i64,
    ) -> Result<Option<Position>, Error> {
        let is_wanted = |sought: Sought<'_>| {
            sought.kind == EventKind::LINE
                && sought.place == line
                && self.code_id(sought).is_some_and(|id| codes.contains(&id))
        };
        let mut search = Search::new(&self.store, is_wanted);
        let mut left = nth;
        for &index in self.state().chunks_of(process_id) {
            if self.store.chunks()[index].kinds >> EventKind::LINE.number() & 1 == 0 {
                continue;
            }
            match search.may_be_in(index) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    self.store.note(index, error)?;
                    continue;
                }
            }
            let Some(within) = self.state().within(index)? else { continue };
            for at in self.lines_in(index, &within, codes, line)? {
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(Some(self.at(index, at)));
                }
            }
        }
        Ok(None)
    }

    /// The indices in a chunk of the LINE events of a line of some code objects.
    fn lines_in(
        &self,
        chunk: usize,
        within: &Within,
        codes: &FxHashSet<i64>,
        line: u32,
    ) -> Result<Vec<usize>, Error> {
        let process = self.process(chunk);
        let (kinds, places) = (within.chunk().kinds()?, within.chunk().places()?);
        let mut found = Vec::new();
        for (at, (kind, place)) in kinds.iter().zip(places).enumerate() {
            if *kind != EventKind::LINE.number() || *place != line {
                continue;
            }
            let Some((_, code)) = within.context(at)? else { continue };
            let sought = Sought { process, kind: EventKind::LINE, code, place: line };
            if self.code_id(sought).is_some_and(|id| codes.contains(&id)) {
                found.push(at);
            }
        }
        Ok(found)
    }

    /// The `code_id` of the code object of an event.
    pub(super) fn code_id(&self, sought: Sought<'_>) -> Option<i64> {
        let index = sought.process.codes.get(&sought.code)?;
        Some(self.store.directory().codes.get(*index)?.code_id)
    }

    /// The threads of the run as pairs of `thread_id` and `process_id`, in the order they first
    /// appeared.
    pub fn threads(&self) -> Vec<(i64, i64)> {
        let processes = self.store.directory().processes.values();
        let of_run = processes.filter(|process| process.run_id == self.run_id);
        let mut threads: Vec<(i64, i64)> = of_run
            .flat_map(|process| process.threads.values().map(|id| (*id, process.process_id)))
            .collect();
        threads.sort_unstable();
        threads
    }

    /// The last event of a thread up to a position of its process.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn last_of_thread(&self, thread_id: i64, at: Position) -> Result<Option<Position>, Error> {
        self.of_thread(thread_id, at, Direction::Backward)
    }

    /// The first event of a thread from a position of its process on.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn first_of_thread(&self, thread_id: i64, at: Position) -> Result<Option<Position>, Error> {
        self.of_thread(thread_id, at, Direction::Forward)
    }

    /// The chunks of a process that may have events at or after a position, or at or before it,
    /// nearest first.
    pub(super) fn ahead(
        &self,
        process_id: i64,
        from: Position,
        direction: Direction,
    ) -> Vec<usize> {
        let mut chunks = self.state().chunks_of(process_id).to_vec();
        let header = |index: &usize| &self.store.chunks()[*index];
        match direction {
            Direction::Forward => chunks.retain(|index| header(index).last_seq >= from.seq()),
            Direction::Backward => {
                chunks.retain(|index| header(index).first_seq <= from.seq());
                chunks.reverse();
            }
        }
        chunks
    }

    fn of_thread(
        &self,
        thread_id: i64,
        at: Position,
        direction: Direction,
    ) -> Result<Option<Position>, Error> {
        let chunks = self.store.chunks();
        let process_id = self.extent_at(at).process_id;
        for index in self.ahead(process_id, at, direction) {
            let numbers = &self.process(index).threads;
            let number =
                numbers.iter().find(|(_, id)| **id == thread_id).map(|(number, _)| *number);
            let Some(thread) = number.filter(|n| chunks[index].threads.contains(n)) else {
                continue;
            };
            let Some(within) = self.state().within(index)? else { continue };
            let offset = at.seq() - chunks[index].first_seq;
            let from = match direction {
                Direction::Forward => usize::try_from(offset).unwrap_or(0),
                Direction::Backward => usize::try_from(offset).unwrap_or(0).saturating_add(1),
            };
            if let Some(found) = within.nearest(thread, from, direction, |_| Ok(true))? {
                return Ok(Some(self.at(index, found)));
            }
        }
        Ok(None)
    }

    /// The code objects of files whose path ends with this path. Names of files and directories
    /// match as a whole: `app.py` matches `/home/me/app.py`, but not `/home/me/myapp.py`.
    pub fn codes_of_path(&self, path: &str) -> FxHashSet<i64> {
        let directory = self.store.directory();
        let is_meant = |of: &str| {
            of.strip_suffix(path).is_some_and(|before| {
                before.is_empty() || before.ends_with('/') || path.starts_with('/')
            })
        };
        let mut codes = FxHashSet::default();
        for process in directory.processes.values().filter(|p| p.run_id == self.run_id) {
            for code in process.codes.values().map(|index| &directory.codes[*index]) {
                if directory.texts.get(code.path).is_some_and(is_meant) {
                    codes.insert(code.code_id);
                }
            }
        }
        codes
    }

    /// The code objects with a name: a qualified name, or its end (`total` matches `Order.total`).
    pub fn codes_of_function(&self, name: &str) -> FxHashSet<i64> {
        let directory = self.store.directory();
        let is_meant = |of: &str| {
            of.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let mut codes = FxHashSet::default();
        for process in directory.processes.values().filter(|p| p.run_id == self.run_id) {
            for code in process.codes.values().map(|index| &directory.codes[*index]) {
                if directory.texts.get(code.qualname).is_some_and(is_meant) {
                    codes.insert(code.code_id);
                }
            }
        }
        codes
    }
}
