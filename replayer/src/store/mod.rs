//! Opens a file and reads what is in it.
//!
//! Opening reads the names and the chunks' headers (milliseconds for 100 million events). A chunk's
//! events are read when they are needed: that takes about a millisecond for the first column of
//! 131,072 events, and no time while it is in the cache.

mod cache;
pub mod chunk;
mod chunks;
mod derive;
pub mod directory;
mod edges;
mod error;
mod evaluated;
pub mod mine;
mod open;
mod recorded;
pub mod rows;
mod sources;
pub mod texts;
pub mod values;
mod variables;
mod went;
mod work;

pub use chunk::Chunk;
pub use chunks::ChunkHeader;
pub use directory::{Code, Directory, Process};
pub(crate) use edges::{Edges, Happened};
pub use error::{Error, message};
pub use evaluated::Evaluated;
pub use open::wal_bytes;
pub use recorded::{Recorded, Step};
pub use sources::SourceText;
pub use values::Raised;
use values::ValueDamage;
pub use variables::Variables;
pub use went::{Search, Sought};
pub(crate) use work::Damage;

use cache::Cache;
use chunk::Source;
use dashcam_schema::FormatError;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::calls::Site;
use dashcam_schema::chunk::SEQ_PER_PROCESS;
use dashcam_schema::chunk::control::Expander;
use dashcam_schema::event::{EventKind, Place};
use dashcam_schema::loss::LossKind;
use dashcam_schema::value::chunk::Values;
use derive::Bytecode;
use rusqlite::Connection;
use rustc_hash::{FxHashMap, FxHashSet};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Called with the progress of a scan: chunks done, chunks in all.
pub type Progress = Box<dyn Fn(usize, usize)>;

/// An open recording, as it was when it was opened.
pub struct Store {
    // First, so that it is closed first: its statements may point to texts of the directory.
    connection: Rc<Connection>,
    /// `None` if the connection is not ours.
    opened: Option<Arc<open::Opened>>,
    path: Rc<PathBuf>,
    directory: Directory,
    chunks: Vec<ChunkHeader>,
    cache: Cache<Chunk>,
    value_chunks: Vec<values::ValueHeader>,
    value_cache: Cache<Values>,
    /// By process: the ordinals that the chunks of values cover.
    coverage: FxHashMap<i64, values::Coverage>,
    parts: went::ChunkParts,
    sources: sources::Sources,
    decoded: Cell<u64>,
    /// By process.
    expanders: RefCell<FxHashMap<i64, Expander>>,
    /// By chunk id: a line for each chunk that could not be read.
    damage: RefCell<BTreeMap<i64, String>>,
    /// The same for chunks of values.
    value_damage: RefCell<BTreeMap<ValueDamage, String>>,
    /// How often damage was found.
    noted: Cell<u64>,
    /// Runs with a loss of kind desync.
    desynced: FxHashSet<i64>,
    progress: RefCell<Option<Progress>>,
    kept: RefCell<Vec<Rc<dyn Any>>>,
    /// The only run that tables show.
    bound_to: Cell<Option<i64>>,
    mine: RefCell<mine::Mine>,
    work: work::Work,
}

/// What is read when a recording is opened.
#[derive(Default)]
struct Found {
    directory: Directory,
    headers: chunks::Headers,
    values: values::ValueHeaders,
    desynced: FxHashSet<i64>,
}

impl Store {
    /// Opens a recording for reading.
    ///
    /// # Errors
    /// One variant of [`Error`] for each thing that can be wrong with the file.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let (connection, opened) = open::connect(path)?;
        Store::load(Rc::new(connection), Some(opened), path)
            .map_err(|error| open::explain(path, &error))
    }

    /// Reads the recording that is the main database of a connection which somebody else opened,
    /// and which is left as it is. Statements run on it one after the other, and none stays open.
    /// They read the recording as it is at that time, so a new store is needed when it has changed.
    ///
    /// # Errors
    /// If it is not a recording, has a format that is not read, or cannot be read.
    pub fn over(connection: Rc<Connection>) -> Result<Store, Error> {
        // A database has no name in memory, or before its first page is written.
        let path = connection.path().filter(|path| !path.is_empty()).unwrap_or(":memory:");
        let path = PathBuf::from(path);
        open::check(&connection, &path)?;
        Store::load(connection, None, &path).map_err(|error| Error::from_sqlite(&path, &error))
    }

    fn load(
        connection: Rc<Connection>,
        opened: Option<Arc<open::Opened>>,
        path: &Path,
    ) -> rusqlite::Result<Store> {
        let directory = Directory::load(&connection)?;
        let headers = chunks::Headers::load(&connection, &directory)?;
        let values = values::ValueHeaders::load(&connection, &directory)?;
        let sql = "SELECT DISTINCT run_id FROM main.losses WHERE kind = ?";
        let desynced = connection.prepare(sql).and_then(|mut rows| {
            rows.query_map([LossKind::Desync.name()], |row| row.get(0))?.collect()
        })?;
        let found = Found { directory, headers, values, desynced };
        Ok(Store::of(connection, opened, path, found))
    }

    /// A recording without runs.
    pub(crate) fn empty(connection: Rc<Connection>) -> Store {
        Store::of(connection, None, Path::new(""), Found::default())
    }

    fn of(
        connection: Rc<Connection>,
        opened: Option<Arc<open::Opened>>,
        path: &Path,
        found: Found,
    ) -> Store {
        let Found { directory, headers, values: value_headers, desynced } = found;
        let store = Store {
            connection,
            opened,
            path: Rc::new(path.to_owned()),
            directory,
            chunks: headers.chunks,
            cache: Cache::default(),
            value_chunks: value_headers.chunks,
            value_cache: Cache::default(),
            coverage: value_headers.coverage,
            parts: went::ChunkParts::default(),
            sources: sources::Sources::default(),
            decoded: Cell::new(0),
            expanders: RefCell::default(),
            damage: RefCell::default(),
            value_damage: RefCell::default(),
            noted: Cell::new(0),
            desynced,
            progress: RefCell::default(),
            kept: RefCell::default(),
            bound_to: Cell::default(),
            mine: RefCell::new(mine::Mine::of_environment()),
            work: work::Work::default(),
        };
        for (chunk, what) in headers.impossible {
            let path = store.path().display();
            let line = format!("{path}: chunk {chunk}: {what}; its events are unavailable");
            store.damage.borrow_mut().insert(chunk, line);
        }
        for (chunk, what) in value_headers.impossible {
            let path = store.path().display();
            let line =
                format!("{path}: chunk of values {chunk}: {what}; its values are unavailable");
            store.value_damage.borrow_mut().insert(ValueDamage::Chunk(chunk), line);
        }
        for (process, what) in value_headers.missing {
            let line = format!("{}: process {process}: {what}", store.path().display());
            store.value_damage.borrow_mut().insert(ValueDamage::Missing(process), line);
        }
        for (number, what) in (0..).zip(&store.directory.damage) {
            let line = format!("{}: {what}", store.path().display());
            store.damage.borrow_mut().insert(i64::MIN + number, line);
        }
        store
    }

    /// Whether nothing will be added to what is in it now. Otherwise a statement that is planned
    /// with this store may run on a later one.
    pub fn is_final(&self) -> bool {
        self.opened.is_some()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that all reading uses, in a read transaction.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The names of a code object's arguments, in order; none if they cannot be read.
    pub fn argument_names<'a>(&self, code: &'a Code) -> &'a [Box<str>] {
        code.argument_names(&self.connection).unwrap_or_else(|error| {
            self.directory.unread.set(error.sqlite_error_code());
            &[]
        })
    }

    /// Sets which code is the user's own.
    pub fn set_mine(&self, mine: mine::Mine) {
        for code in &self.directory.codes {
            code.is_mine.set(None);
        }
        *self.mine.borrow_mut() = mine;
    }

    /// Whether code is the user's own.
    pub fn is_mine(&self, code: &Code) -> bool {
        code.is_mine.get().unwrap_or_else(|| {
            let path = self.directory.texts.get(code.path).unwrap_or_default();
            let is_mine = self.is_my_path(path);
            code.is_mine.set(Some(is_mine));
            is_mine
        })
    }

    /// Whether the code of a file is the user's own.
    pub fn is_my_path(&self, path: &str) -> bool {
        self.mine.borrow().has(path)
    }

    /// Makes tables show the rows of one run only, or of all. Returns the setting before.
    pub fn bind(&self, run_id: Option<i64>) -> Option<i64> {
        self.bound_to.replace(run_id)
    }

    /// The only run that tables show; `None` if they show all.
    pub fn bound_to(&self) -> Option<i64> {
        self.bound_to.get()
    }

    /// What the numbers in chunks stand for.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The run with this number, or the last run.
    ///
    /// # Errors
    /// If there is no such run.
    pub fn run(&self, wanted: Option<i64>) -> Result<i64, Error> {
        let runs = &self.directory.runs;
        match (wanted, runs.last()) {
            (Some(run), _) if runs.contains(&run) => Ok(run),
            (None, Some(last)) => Ok(*last),
            (wanted, last) => {
                Err(Error::NoRun { path: self.path.to_path_buf(), wanted, last: last.copied() })
            }
        }
    }

    /// All chunks, by run and position. Chunks whose row is invalid are left out and noted.
    pub fn chunks(&self) -> &[ChunkHeader] {
        &self.chunks
    }

    /// The positions between a chunk and the one before it in its process: those of calls that were
    /// running when recording of their thread began, and those of damaged chunks.
    pub fn positions_before(&self, index: usize) -> Range<i64> {
        let header = &self.chunks[index];
        let before = index.checked_sub(1).map(|at| &self.chunks[at]);
        let before = before.filter(|chunk| chunk.process_id == header.process_id);
        let first = (header.first_seq - 1) / SEQ_PER_PROCESS as i64 * SEQ_PER_PROCESS as i64 + 1;
        before.map_or(first, |chunk| chunk.last_seq + 1)..header.first_seq
    }

    /// The process a chunk belongs to.
    pub fn process(&self, header: &ChunkHeader) -> &Process {
        // Invariant: `open` left out chunks of unknown processes.
        &self.directory.processes[&header.process_id]
    }

    /// Runs in which a call stack did not fit an event.
    pub fn desynced_runs(&self) -> FxHashSet<i64> {
        self.desynced.clone()
    }

    /// The chunk with this index in [`Store::chunks`].
    pub fn chunk(&self, index: usize) -> Result<Rc<Chunk>, Error> {
        if self.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let damaged = |source| self.of_chunk(index, source);
        self.cache.get_or_read(index, damaged, || self.read_chunk(index))
    }

    fn read_chunk(&self, index: usize) -> Result<Rc<Chunk>, Error> {
        let header = &self.chunks[index];
        let bytes = self.bytes(index)?;
        self.decoded.set(self.decoded.get() + 1);
        let source = self.source(header, bytes).map_err(|source| {
            // Not everything that the chunk follows from could be read. What was worked out by then
            // may be wrong, too.
            self.take_unread().map_or_else(
                || self.of_chunk(index, source),
                |error| {
                    self.expanders.borrow_mut().remove(&header.process_id);
                    error
                },
            )
        })?;
        Ok(Rc::new(Chunk::new(self.path.clone(), header, source)?))
    }

    /// The columns of a chunk, or the bytes they are in.
    fn source(&self, header: &ChunkHeader, bytes: Vec<u8>) -> Result<Source, FormatError> {
        let open = dashcam_schema::chunk::open(&bytes)?;
        if !open.is_control() {
            return Ok(Source::Stored(bytes));
        }
        let control = open.control()?;
        let codes = Bytecode {
            process: self.process(header),
            directory: &self.directory,
            connection: &self.connection,
        };
        let mut expanders = self.expanders.borrow_mut();
        let expander = expanders.entry(header.process_id).or_default();
        expander.expand(&codes, control).map(|columns| Source::Derived(columns.into()))
    }

    fn of_chunk(&self, index: usize, source: FormatError) -> Error {
        Error::Chunk { path: self.path.to_path_buf(), chunk: self.chunks[index].chunk_id, source }
    }

    fn unreadable(&self, chunk: i64, what: String) -> Error {
        let source = FormatError::Invalid { part: "data", offset: 0, what };
        Error::Chunk { path: self.path.to_path_buf(), chunk, source }
    }

    /// The error for a chunk that could not be read: `damaged`, unless it can be read another time.
    fn not_read(&self, error: &rusqlite::Error, damaged: impl FnOnce(String) -> Error) -> Error {
        match error::is_temporary(error) {
            true => Error::from_sqlite(&self.path, error),
            false => damaged(message(error)),
        }
    }

    /// Why something was left out since the last call that is there, but could not be read then.
    pub fn take_unread(&self) -> Option<Error> {
        self.directory.unread.take().map(|code| match code {
            rusqlite::ErrorCode::OperationInterrupted => Error::Interrupted,
            code => {
                let message = format!("it could not be read at the moment ({code:?}); try again");
                Error::Sqlite { path: self.path.to_path_buf(), message }
            }
        })
    }

    /// The number of chunks that were read from the file so far.
    pub fn chunks_decoded(&self) -> u64 {
        self.decoded.get()
    }

    /// The lines of a code object; none if they cannot be read, which is noted.
    pub fn lines<'a>(&self, code: &'a Code) -> Option<&'a LineTable> {
        code.lines().or_else(|| {
            code.read_lines(&self.connection)
                .inspect_err(|error| {
                    if error::is_temporary(error) {
                        return self.directory.unread.set(error.sqlite_error_code());
                    }
                    let (path, message) = (self.path.display(), message(error));
                    let line = format!("{path}: code object {}: {message}", code.code_id);
                    // The sign tells code objects from chunks.
                    self.damage.borrow_mut().insert(-code.code_id, line);
                    self.noted.set(self.noted.get() + 1);
                })
                .ok()
        })
    }

    /// The line a site is on.
    pub fn line(&self, process: &Process, site: Site) -> Option<i64> {
        let is_line = EventKind::from_number(site.kind).is_some_and(|k| k.place() == Place::Line);
        if is_line {
            return Some(site.place.into());
        }
        let code = &self.directory.codes[*process.codes.get(&site.code)?];
        self.lines(code)?.line(site.place).map(i64::from)
    }

    /// Notes a damaged chunk, so that it can be reported to the user; returns every other error.
    pub fn note(&self, index: usize, error: Error) -> Result<(), Error> {
        let Error::Chunk { .. } = error else { return Err(error) };
        let header = &self.chunks[index];
        let (first, last) = (header.first_seq, header.last_seq);
        let line = format!("{error}; events {first}..{last} unavailable, the rest is readable");
        self.damage.borrow_mut().entry(header.chunk_id).or_insert(line);
        self.noted.set(self.noted.get() + 1);
        Ok(())
    }

    /// The message about a chunk, if it was found to be damaged.
    pub fn damage_of(&self, index: usize) -> Option<String> {
        self.damage.borrow().get(&self.chunks[index].chunk_id).cloned()
    }

    /// A message for each chunk that was found to be damaged so far.
    pub fn damage(&self) -> Vec<String> {
        let (events, values) = (self.damage.borrow(), self.value_damage.borrow());
        events.values().chain(values.values()).cloned().collect()
    }

    /// How often damage was found, including the same damage again.
    pub fn damage_met(&self) -> u64 {
        self.noted.get()
    }

    /// Something that a table keeps from one scan to the next, for as long as the recording is
    /// open.
    pub fn keep<T: Any + Default>(&self) -> Rc<T> {
        let mut kept = self.kept.borrow_mut();
        if let Some(found) = kept.iter().find_map(|any| any.clone().downcast().ok()) {
            return found;
        }
        let new: Rc<T> = Rc::default();
        kept.push(new.clone());
        new
    }

    /// Sets the function to which scans report their progress.
    pub fn set_progress(&self, progress: Option<Progress>) {
        *self.progress.borrow_mut() = progress;
    }

    /// Reports the progress of a scan.
    pub fn progress(&self, done: usize, of: usize) {
        if let Some(progress) = &*self.progress.borrow() {
            progress(done, of);
        }
    }
}
