//! What the numbers in chunks stand for: threads, code objects, names.
//!
//! Chunks number these per process; users see the ids of the tables. Everything here is read when
//! the file is opened and does not change afterwards, except line tables, which are decoded when
//! they are first used.

use super::error::is_temporary;
use super::texts::{TextId, Texts};
use super::{Evaluated, Variables, rows};
use dashcam_schema::bytecode::{self, lines::LineTable};
use dashcam_schema::event::EventKind;
use dashcam_schema::record::Mode;
use dashcam_schema::value::Capture;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use rustc_hash::FxHashMap;
use std::cell::{Cell, OnceCell};

/// Index into [`Directory::codes`].
pub type CodeIndex = usize;

/// A row of `code_objects`.
pub struct Code {
    pub code_id: i64,
    pub path: TextId,
    pub qualname: TextId,
    pub is_coroutine: bool,
    /// Whether it is the code of a module.
    pub is_module: bool,
    /// Whether it is the user's own code, once that was determined.
    pub(super) is_mine: Cell<Option<bool>>,
    first_line: u32,
    lines: OnceCell<LineTable>,
    /// `None` if it cannot be read.
    pub(super) bytecode: OnceCell<Option<bytecode::code::Code>>,
    argument_names: OnceCell<Box<[Box<str>]>>,
    /// `None` if they cannot be read.
    pub(super) variables: OnceCell<Option<Variables>>,
    /// `None` if it cannot be read.
    pub(super) evaluated: OnceCell<Option<Evaluated>>,
}

/// A row of `threads`.
pub struct Thread {
    pub thread_id: i64,
    pub name: Option<String>,
}

/// One process, with what its chunks' numbers stand for.
pub struct Process {
    pub process_id: i64,
    pub run_id: i64,
    /// The operating system's id.
    pub pid: Option<i64>,
    /// The process that started it; `None` for the first of a run.
    pub parent: Option<i64>,
    /// Its command line, as a JSON array of strings; empty if it is not known.
    pub command: String,
    /// The magic number of its code objects' bytecode.
    pub magic: Option<u16>,
    /// Which of its events were recorded.
    pub mode: Mode,
    /// Whether values were to be recorded.
    pub captures: bool,
    /// Whether what variables and objects hold was to be recorded.
    pub has_state: bool,
    /// The ordinal up to which values are stored, exclusive, and the number of chunks they are in;
    /// `None` if none are stored.
    pub values: Option<(i64, i64)>,
    pub threads: FxHashMap<u32, i64>,
    /// The number of its main thread, if it is known.
    pub main_thread: Option<u32>,
    /// Its exit status; `None` if it has none yet, or was ended by a signal.
    pub exit_code: Option<i64>,
    /// Number of the signal that ended it.
    pub exit_signal: Option<i64>,
    /// Whether its end was recorded.
    pub is_over: bool,
    pub codes: FxHashMap<u32, CodeIndex>,
    pub callables: FxHashMap<u32, TextId>,
    pub exception_types: FxHashMap<u32, TextId>,
    /// Names of event kinds by number; [`TextId::NONE`] for numbers of no kind.
    pub kinds: [TextId; EventKind::LIMIT as usize],
}

/// Everything in a recording that has a name.
#[derive(Default)]
pub struct Directory {
    pub runs: Vec<i64>,
    pub processes: FxHashMap<i64, Process>,
    pub codes: Vec<Code>,
    pub threads: FxHashMap<i64, Thread>,
    pub texts: Texts,
    /// A line for each row that is not as it was written.
    pub damage: Vec<String>,
    /// Why something that is there could not be read; taken by the caller that reports it.
    pub(super) unread: Cell<Option<rusqlite::ErrorCode>>,
    code_by_id: FxHashMap<i64, CodeIndex>,
}

impl Directory {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Directory> {
        let mut directory = Directory::default();
        let known = EventKind::known().map(|kind| kind.name().unwrap_or_default());
        let known: Vec<TextId> = known.map(|name| directory.texts.intern(name)).collect();
        let mut kinds = [TextId::NONE; EventKind::LIMIT as usize];
        kinds[..known.len()].copy_from_slice(&known);
        // The values of `calls.exit`, and of `scope` for variables.
        for word in ["return", "unwind", "open", "local", "global", "cell"] {
            directory.texts.intern(word);
        }

        each(connection, "SELECT run_id FROM main.runs ORDER BY run_id", |row| {
            directory.runs.push(row.get(0)?);
            Ok(())
        })?;
        // The tables that are needed to read everything else.
        for table in ["runs", "processes", "threads", "callables", "exception_types", "event_kinds"]
        {
            directory.damage.extend(rows::damaged(connection, table)?);
        }
        let known = connection.prepare("SELECT * FROM main.processes LIMIT 0")?;
        // Older files do not have all columns.
        let own = |name| if known.column_names().contains(&name) { name } else { "NULL" };
        // A run ended the way its first process did.
        let sql = format!(
            "SELECT process_id, run_id, magic, coalesce({}, r.events_by),
                    coalesce(p.exit_code, iif(parent_process_id IS NULL, r.exit_code, NULL)),
                    coalesce(p.exit_signal, iif(parent_process_id IS NULL, r.exit_signal, NULL)),
                    coalesce({}, r.capture), covers_to, value_chunk_count,
                    pid, parent_process_id,
                    coalesce(p.command, iif(parent_process_id IS NULL, r.command, NULL)),
                    coalesce(ended_ns, iif(parent_process_id IS NULL, r.ended_at, NULL))
             FROM main.processes p LEFT JOIN main.runs r USING (run_id)",
            own("own_events_by"),
            own("own_capture"),
        );
        each(connection, &sql, |row| {
            let capture = row.get_ref(6)?.as_bytes_or_null().ok().flatten();
            let exit_code: Option<i64> = row.get(4).unwrap_or_default();
            let exit_signal: Option<i64> = row.get(5).unwrap_or_default();
            let has_ended = !matches!(row.get_ref(12)?, ValueRef::Null);
            let process = Process {
                process_id: row.get(0)?,
                run_id: row.get(1)?,
                pid: row.get(9).unwrap_or_default(),
                parent: row.get(10).unwrap_or_default(),
                command: text(row, 11)?,
                // A damaged number makes the derived chunks unreadable, not the file.
                magic: row.get::<_, i64>(2).ok().and_then(|magic| magic.try_into().ok()),
                mode: row
                    .get::<_, String>(3)
                    .ok()
                    .and_then(|mode| Mode::from_name(&mode))
                    .unwrap_or_default(),
                captures: capture != Some(&b"flow"[..]),
                has_state: capture == Some(Capture::State.name().as_bytes()),
                values: row.get(7).ok().zip(row.get(8).ok()),
                threads: FxHashMap::default(),
                main_thread: None,
                exit_code,
                exit_signal,
                is_over: has_ended || exit_code.is_some() || exit_signal.is_some(),
                codes: FxHashMap::default(),
                callables: FxHashMap::default(),
                exception_types: FxHashMap::default(),
                kinds,
            };
            directory.processes.insert(process.process_id, process);
            Ok(())
        })?;
        let sql = "SELECT process_id, number, thread_id, name, native_id = pid
                   FROM main.threads LEFT JOIN main.processes USING (process_id)";
        each(connection, sql, |row| {
            let thread_id = row.get(2)?;
            let is_main = row.get::<_, Option<bool>>(4).unwrap_or_default().unwrap_or_default();
            directory.named(row, |process, number, _| {
                process.threads.insert(number, thread_id);
                if is_main {
                    process.main_thread = Some(number);
                }
            })?;
            let name = row.get_ref(3)?.as_bytes_or_null().unwrap_or_default();
            let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
            directory.threads.insert(thread_id, Thread { thread_id, name });
            Ok(())
        })?;
        let sql = "SELECT process_id, number, code_id, path, qualname, first_line, kind
                   FROM main.code_objects ORDER BY code_id";
        each(connection, sql, |row| {
            let index = directory.codes.len();
            let code = Code {
                code_id: row.get(2)?,
                path: directory.texts.intern(&text(row, 3)?),
                qualname: directory.texts.intern(&text(row, 4)?),
                is_coroutine: text(row, 6)? == "coroutine",
                is_module: text(row, 6)? == "module",
                is_mine: Cell::new(None),
                first_line: row.get::<_, i64>(5)?.try_into().unwrap_or(0),
                lines: OnceCell::new(),
                bytecode: OnceCell::new(),
                argument_names: OnceCell::new(),
                variables: OnceCell::new(),
                evaluated: OnceCell::new(),
            };
            directory.code_by_id.insert(code.code_id, index);
            directory.codes.push(code);
            directory.named(row, |process, number, _| {
                process.codes.insert(number, index);
            })
        })?;
        each(connection, "SELECT process_id, number, name FROM main.callables", |row| {
            let name = text(row, 2)?;
            directory.named(row, |process, number, texts| {
                process.callables.insert(number, texts.intern(&name));
            })
        })?;
        each(connection, "SELECT process_id, number, name FROM main.exception_types", |row| {
            let name = text(row, 2)?;
            directory.named(row, |process, number, texts| {
                process.exception_types.insert(number, texts.intern(&name));
            })
        })?;
        each(connection, "SELECT process_id, number, name FROM main.event_kinds", |row| {
            let name = text(row, 2)?;
            directory.named(row, |process, number, texts| {
                // The first numbers are fixed; a recording cannot rename them.
                if number >= EventKind::KNOWN.into()
                    && let Some(kind) = process.kinds.get_mut(number as usize)
                {
                    *kind = texts.intern(&name);
                }
            })
        })?;
        Ok(directory)
    }

    /// Calls `put` with the process in column 0 and the number in column 1, if both are valid.
    fn named(
        &mut self,
        row: &Row<'_>,
        put: impl FnOnce(&mut Process, u32, &mut Texts),
    ) -> rusqlite::Result<()> {
        let (process, number): (i64, i64) = (row.get(0)?, row.get(1)?);
        if let (Some(process), Ok(number)) =
            (self.processes.get_mut(&process), u32::try_from(number))
        {
            put(process, number, &mut self.texts);
        }
        Ok(())
    }

    /// Reads something once, when it is first needed. If it cannot be read at the moment, it stays
    /// undecided whether it is there, and `unread` says why.
    pub(super) fn once<'c, T>(
        &self,
        cell: &'c OnceCell<Option<T>>,
        read: impl FnOnce() -> rusqlite::Result<Option<T>>,
    ) -> Option<&'c T> {
        if let Some(known) = cell.get() {
            return known.as_ref();
        }
        match read() {
            Err(error) if is_temporary(&error) => {
                self.unread.set(error.sqlite_error_code());
                None
            }
            read => cell.get_or_init(|| read.ok().flatten()).as_ref(),
        }
    }

    /// The processes of a run, in the order in which they joined it.
    pub fn processes_of(&self, run_id: i64) -> Vec<&Process> {
        let of_run = self.processes.values().filter(|process| process.run_id == run_id);
        let mut found: Vec<&Process> = of_run.collect();
        found.sort_unstable_by_key(|process| process.process_id);
        found
    }

    /// The run a process belongs to.
    pub fn run_of(&self, process_id: i64) -> Option<i64> {
        self.processes.get(&process_id).map(|process| process.run_id)
    }

    /// The code object with this `code_id`.
    pub fn code(&self, code_id: i64) -> Option<&Code> {
        self.code_by_id.get(&code_id).map(|index| &self.codes[*index])
    }
}

impl Code {
    /// The lines, if they were read before.
    pub(super) fn lines(&self) -> Option<&LineTable> {
        self.lines.get()
    }

    /// The names of the arguments, in order; none if they cannot be read.
    pub(super) fn argument_names(&self, connection: &Connection) -> rusqlite::Result<&[Box<str>]> {
        if let Some(names) = self.argument_names.get() {
            return Ok(names);
        }
        let sql = "SELECT argument_names FROM main.code_objects WHERE code_id = ?";
        let names = connection.query_row(sql, [self.code_id], |row| row.get::<_, String>(0));
        let names = match names {
            Err(error) if is_temporary(&error) => return Err(error),
            names => {
                names.ok().and_then(|names| serde_json::from_str::<Vec<Box<str>>>(&names).ok())
            }
        };
        Ok(self.argument_names.get_or_init(|| names.unwrap_or_default().into()))
    }

    /// Reads and decodes the line table.
    pub(super) fn read_lines(&self, connection: &Connection) -> rusqlite::Result<&LineTable> {
        let sql = "SELECT line_table FROM main.code_objects WHERE code_id = ?";
        let table = connection.query_row(sql, [self.code_id], |row| {
            Ok(row.get_ref(0)?.as_bytes().map(<[u8]>::to_vec).unwrap_or_default())
        })?;
        Ok(self.lines.get_or_init(|| LineTable::decode(&table, self.first_line)))
    }
}

fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}

/// A text column. Bytes that are not UTF-8 are replaced instead of refused.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let value = row.get_ref(column)?;
    Ok(String::from_utf8_lossy(value.as_bytes_or_null().ok().flatten().unwrap_or(b"")).into_owned())
}
