//! Makes recordings from events, without a recorder.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod copied;

use dashcam_schema::calls::{Calls, Event, Exit, OpenCall, OpenException, Sink, Site};
use dashcam_schema::chunk::{
    Columns, Context, ExceptionEntry, Run, Sealer, Statistics, ValueStatistics, code_xxh3,
    has_target, header_xxh3,
};
use dashcam_schema::event::EventKind;
use dashcam_schema::tables::RowHash;
use dashcam_schema::value::chunk::Builder;
use dashcam_schema::{tables, version};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One event, as a test writes it.
#[derive(Clone, Copy, Debug)]
pub struct Ev {
    pub kind: EventKind,
    pub thread: u32,
    pub code: u32,
    pub place: u32,
    /// Nanoseconds since the previous timed event; used for timed kinds.
    pub after: u64,
    pub target: u32,
    pub callable: u32,
    pub exception: u32,
    /// Position among the events of the process, from 0, of the event that began the call.
    pub resumes: Option<usize>,
}

pub fn ev(kind: EventKind, code: u32, place: u32) -> Ev {
    Ev {
        kind,
        thread: 0,
        code,
        place,
        after: 10,
        target: 0,
        callable: 0,
        exception: 0,
        resumes: None,
    }
}

impl Ev {
    pub fn thread(self, thread: u32) -> Ev {
        Ev { thread, ..self }
    }
    pub fn target(self, target: u32) -> Ev {
        Ev { target, ..self }
    }
    pub fn calls(self, callable: u32) -> Ev {
        Ev { callable, ..self }
    }
    pub fn exception(self, exception: u32) -> Ev {
        Ev { exception, ..self }
    }
    pub fn resumes(self, start: usize) -> Ev {
        Ev { resumes: Some(start), ..self }
    }
    pub fn after(self, after: u64) -> Ev {
        Ev { after, ..self }
    }
}

/// A code object with bytecode.
pub struct Source<'a> {
    /// The line of each code unit; 0 if it has none.
    pub lines: &'a [u32],
    pub code: &'a [u8],
    /// The number of variables that are arguments.
    pub arguments: usize,
    pub variables: &'a [&'a str],
    pub names: &'a [&'a str],
}

/// A file under construction.
pub struct Maker {
    pub path: PathBuf,
    pub db: Connection,
    sealer: Sealer,
    seqs: BTreeMap<i64, u64>,
}

/// A process under construction. Its events continue over several calls of [`Maker::chunk`].
pub struct Process {
    pub run: i64,
    pub id: i64,
    calls: Calls,
    clock: u64,
    ordinal: u64,
    /// The `seq` of each event so far.
    seqs: Vec<u64>,
    exceptions: Vec<ExceptionEntry>,
    /// The next `seq`, if the process has positions of its own.
    next_seq: Option<u64>,
}

struct Ignore;

impl Sink for Ignore {
    fn call(&mut self, _: &OpenCall, _: u64, _: u64, _: Exit) {}
    fn exception(&mut self, _: &OpenException) {}
    fn desync(&mut self, _: u64, _: u64) {}
}

/// Hashes rows as the recorder does.
pub fn hash_rows(db: &Connection) {
    db.create_scalar_function(tables::ROW_HASH, -1, FunctionFlags::SQLITE_UTF8, |arguments| {
        let mut hash = RowHash::default();
        for at in 0..arguments.len() {
            match arguments.get_raw(at) {
                ValueRef::Null => hash.null(),
                ValueRef::Integer(value) => hash.integer(value),
                ValueRef::Real(value) => hash.real(value),
                ValueRef::Text(value) => hash.text(value),
                ValueRef::Blob(value) => hash.blob(value),
            }
        }
        Ok(hash.finish())
    })
    .unwrap();
    db.execute_batch(&tables::hash_triggers()).unwrap();
}

impl Maker {
    pub fn new(dir: &Path) -> Maker {
        let path = dir.join("x.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF").unwrap();
        db.execute_batch(&tables::create()).unwrap();
        hash_rows(&db);
        db.pragma_update(None, "application_id", version::APPLICATION_ID).unwrap();
        db.pragma_update(None, "user_version", version::FORMAT_VERSION).unwrap();
        Maker { path, db, sealer: Sealer::new(1).unwrap(), seqs: BTreeMap::new() }
    }

    pub fn run(&mut self) -> i64 {
        self.db
            .execute(
                "INSERT INTO runs (started_at, ended_at, status, command, cwd, hostname,
                     python_version, capture, events_by, dashcam_version, exit_code)
                 VALUES ('2026-01-02T03:04:05Z', '2026-01-02T03:04:06.5Z', 'complete',
                     '[\"app.py\",\"a b\"]', '/', 'h', '3.13.0', 'flow', 'direct', '0.1.0', 0)",
                [],
            )
            .unwrap();
        self.db.last_insert_rowid()
    }

    pub fn process(&mut self, run: i64) -> Process {
        self.db.execute("INSERT INTO processes (run_id, started_ns) VALUES (?, 0)", [run]).unwrap();
        Process {
            run,
            id: self.db.last_insert_rowid(),
            calls: Calls::default(),
            clock: 0,
            ordinal: 0,
            seqs: Vec::new(),
            exceptions: Vec::new(),
            next_seq: None,
        }
    }

    /// A process with the positions of a slot, which begins at a time.
    pub fn started(
        &mut self,
        run: i64,
        parent: Option<&Process>,
        (slot, pid, command): (u64, i64, &str),
        begins: u64,
    ) -> Process {
        let process = self.process(run);
        let sql = "UPDATE processes SET parent_process_id = ?, pid = ?, command = ?,
                       exit_code = 0, ended_ns = 1 WHERE process_id = ?";
        let row = params![parent.map(|parent| parent.id), pid, command, process.id];
        self.db.execute(sql, row).unwrap();
        let next_seq = Some(slot * dashcam_schema::chunk::SEQ_PER_PROCESS + 1);
        Process { clock: begins, next_seq, ..process }
    }

    pub fn thread(&mut self, process: &Process, number: u32, name: Option<&str>) -> i64 {
        let sql = "INSERT INTO threads (process_id, number, name) VALUES (?, ?, ?)";
        self.db.execute(sql, params![process.id, number, name]).unwrap();
        self.db.last_insert_rowid()
    }

    /// `lines[unit]` is 0 if a unit has no line.
    pub fn code(&mut self, p: &Process, number: u32, path: &str, name: &str, lines: &[u32]) -> i64 {
        let first = lines.iter().copied().find(|line| *line != 0).unwrap_or(1);
        let sql = "INSERT INTO code_objects (run_id, path, qualname, name, first_line, kind,
                       argument_names, variable_names, process_id, number, flags, line_table,
                       bytecode, exception_table, code_xxh3)
                   VALUES (?, ?, ?, ?, ?, 'function', '[]', '[]', ?, ?, 3, ?, x'', x'', 0)";
        let table = line_table(first, lines);
        self.db.execute(sql, params![p.run, path, name, name, first, p.id, number, table]).unwrap();
        self.db.last_insert_rowid()
    }

    /// Adds code of 3.13 with variables; `kind` is as in `code_objects.kind`.
    pub fn bytecode(&mut self, p: &Process, number: u32, name: &str, kind: &str, source: &Source) {
        let first = source.lines[0];
        let sql = "INSERT INTO code_objects (run_id, path, qualname, name, first_line, kind,
                       argument_names, variable_names, names, process_id, number, flags,
                       line_table, bytecode, exception_table, code_xxh3)
                   VALUES (?1, 'app.py', ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 3, ?10, ?11, x'',
                       ?12)";
        let table = line_table(first, source.lines);
        let hash = code_xxh3(first, [&table, source.code, &[]]);
        let json = |names: &[&str]| format!("{names:?}");
        let arguments = json(&source.variables[..source.arguments]);
        let (variables, names) = (json(source.variables), json(source.names));
        let row = params![
            p.run,
            name,
            first,
            kind,
            arguments,
            variables,
            names,
            p.id,
            number,
            table,
            source.code,
            hash
        ];
        self.db.execute(sql, row).unwrap();
    }

    /// Appends a chunk of values.
    pub fn values(&mut self, p: &Process, values: &mut Builder) {
        let described = values.described_ids().encode();
        let sql =
            "SELECT count(*), coalesce(max(covers_to), 0) FROM value_chunks WHERE process_id = ?";
        let (number, covers_from) =
            self.db.query_row(sql, [p.id], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let last_ordinal = values.last_ordinal().unwrap() as i64;
        let mut row = ValueStatistics {
            run_id: p.run,
            process_id: p.id,
            number,
            covers_from,
            covers_to: last_ordinal,
            first_ordinal: values.first_ordinal().unwrap() as i64,
            last_ordinal,
            group_count: values.groups() as i64,
            header_xxh3: 0,
            told: &described,
        };
        let data = values.seal(1).unwrap();
        row.header_xxh3 = header_xxh3(&data);
        let sql = "INSERT INTO value_chunks (run_id, process_id, number, covers_from, covers_to,
                       first_ordinal, last_ordinal, group_count, told, header_xxh3, row_xxh3, data)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![
            row.run_id,
            row.process_id,
            row.number,
            row.covers_from,
            row.covers_to,
            row.first_ordinal,
            row.last_ordinal,
            row.group_count,
            row.told,
            row.header_xxh3,
            row.xxh3(),
            data
        ];
        self.db.execute(sql, row).unwrap();
        self.cover(1 << 40);
    }

    /// Marks the values of all events with ordinals below this one as stored.
    pub fn cover(&self, to: i64) {
        let sql = "UPDATE processes SET covers_to = ?, value_chunk_count =
                       (SELECT count(*) FROM value_chunks AS c
                        WHERE c.process_id = processes.process_id)";
        self.db.execute(sql, [to]).unwrap();
    }

    /// Marks all runs as recorded with state, by 3.13.
    pub fn with_state(&mut self) {
        self.db
            .execute_batch("UPDATE runs SET capture = 'state'; UPDATE processes SET magic = 3571")
            .unwrap();
        self.cover(1 << 40);
    }

    pub fn callable(&mut self, process: &Process, number: u32, name: &str) {
        let sql = "INSERT INTO callables (process_id, number, name) VALUES (?, ?, ?)";
        self.db.execute(sql, params![process.id, number, name]).unwrap();
    }

    pub fn exception_type(&mut self, process: &Process, number: u32, name: &str) {
        let sql = "INSERT INTO exception_types (process_id, number, name) VALUES (?, ?, ?)";
        self.db.execute(sql, params![process.id, number, name]).unwrap();
    }

    /// Sets the type and message of an exception object. Numbers ascend.
    pub fn exception(&mut self, process: &mut Process, number: u32, r#type: u32, message: &str) {
        process.exceptions.push(ExceptionEntry {
            number,
            exception_type: r#type,
            message: message.to_owned(),
        });
    }

    /// Appends one chunk with these events, and updates the run's sums.
    pub fn chunk(&mut self, process: &mut Process, events: &[Ev]) {
        let seq = match &mut process.next_seq {
            Some(own) => own,
            None => self.seqs.entry(process.run).or_insert(1),
        };
        let first_seq = *seq;
        *seq += events.len() as u64;
        let mut columns = Columns { first_ns: process.clock, ..Columns::default() };
        columns.state.stacks = process.calls.stacks().collect();
        columns.state.stacks.sort_by_key(|stack| stack.thread);
        let (mut first_ns, mut kinds) = (None, 0u32);
        let mut counts: BTreeMap<(u32, u32, u8), i64> = BTreeMap::new();
        let mut resumed_before = BTreeSet::new();
        for (i, event) in events.iter().enumerate() {
            let kind = event.kind;
            process.seqs.push(first_seq + i as u64);
            columns.kinds.push(kind.number());
            columns.places.push(event.place);
            kinds |= 1 << kind.number();
            *counts.entry((event.thread, event.code, kind.number())).or_default() += 1;
            let context = Context { thread: event.thread, code: event.code };
            let at = columns.contexts.iter().position(|c| *c == context).unwrap_or_else(|| {
                columns.contexts.push(context);
                columns.contexts.len() - 1
            });
            match columns.runs.last_mut() {
                Some(run) if run.context as usize == at => run.events += 1,
                _ => columns.runs.push(Run { events: 1, context: at as u32 }),
            }
            if has_target(kind) {
                columns.targets.push(event.target);
            }
            if kind.is_timed() {
                columns.times.push(event.after);
                process.clock += event.after;
            }
            first_ns.get_or_insert(process.clock);
            if kind.has_callable() {
                columns.callables.push(event.callable);
            }
            if kind.has_exception() {
                columns.exceptions.push(event.exception);
                let entry = process.exceptions.iter().find(|e| e.number == event.exception);
                columns.state.exceptions.extend(entry.cloned());
            }
            let resumed = event.resumes.map_or(0, |start| process.seqs[start]);
            if kind.resumes() {
                columns.resumed.push(resumed);
                if resumed < first_seq && resumed_before.insert(resumed) {
                    columns.state.suspended.extend(process.calls.suspended(resumed).cloned());
                }
            }
            process.calls.set_thread(event.thread);
            if kind.touches_stack() {
                let event = Event {
                    seq: first_seq + i as u64,
                    time_ns: process.clock,
                    kind,
                    place: event.place,
                    code: event.code,
                    exception: event.exception,
                    resumed,
                    frame: 0,
                };
                process.calls.apply(&event, &mut Ignore);
            } else {
                let site = Site { code: event.code, kind: kind.number(), place: event.place };
                process.calls.at(site);
            }
        }
        columns.state.exceptions.sort_by_key(|e| e.number);
        columns.state.exceptions.dedup();
        // A call resumed here may also have been suspended here. Then the chunk need not contain
        // it.
        columns.state.suspended.retain(|call| call.call_id < first_seq);
        let data = self.sealer.seal(&columns).unwrap();
        let numbers = |of: fn(&Context) -> u32| -> Vec<u8> {
            let numbers: BTreeSet<u32> = columns.contexts.iter().map(of).collect();
            numbers.into_iter().flat_map(u32::to_le_bytes).collect()
        };
        let (threads, codes) = (numbers(|c| c.thread), numbers(|c| c.code));
        let row = Statistics {
            run_id: process.run,
            process_id: process.id,
            first_seq: first_seq as i64,
            event_count: events.len() as i64,
            first_ns: first_ns.unwrap_or(0) as i64,
            last_ns: process.clock as i64,
            first_wall_ns: first_ns.unwrap_or(0) as i64,
            last_wall_ns: process.clock as i64,
            kinds: i64::from(kinds),
            first_ordinal: process.ordinal as i64,
            header_xxh3: header_xxh3(&data),
            threads: &threads,
            codes: &codes,
        };
        let sql = "INSERT INTO chunks (run_id, process_id, first_seq, event_count, first_ns,
                       last_ns, first_wall_ns, last_wall_ns, kinds, first_ordinal, threads,
                       codes, header_xxh3, row_xxh3, data)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![
            row.run_id,
            row.process_id,
            row.first_seq,
            row.event_count,
            row.first_ns,
            row.last_ns,
            row.first_wall_ns,
            row.last_wall_ns,
            row.kinds,
            row.first_ordinal,
            row.threads,
            row.codes,
            row.header_xxh3,
            row.xxh3(),
            data
        ];
        self.db.execute(sql, row).unwrap();
        process.ordinal += events.iter().filter(|event| event.kind.has_ordinal()).count() as u64;
        let sql = "UPDATE runs SET event_count = event_count + ? WHERE run_id = ?";
        self.db.execute(sql, params![events.len() as i64, process.run]).unwrap();
        let sql = "INSERT INTO event_counts
                (run_id, process_id, thread_id, kind, code_id, count)
            SELECT ?1, ?2, thread_id, ?5, code_id, ?6 FROM threads, code_objects
            WHERE threads.process_id = ?2 AND threads.number = ?3
              AND code_objects.process_id = ?2 AND code_objects.number = ?4
            ON CONFLICT DO UPDATE SET count = count + excluded.count";
        let mut count = self.db.prepare_cached(sql).unwrap();
        for ((thread, code, kind), n) in counts {
            let kind = EventKind::from_number(kind).unwrap();
            let name = kind.name().unwrap_or("UNKNOWN");
            count.execute(params![process.run, process.id, thread, code, name, n]).unwrap();
        }
    }

    /// Appends events in chunks of this size.
    pub fn chunks(&mut self, process: &mut Process, events: &[Ev], size: usize) {
        for events in events.chunks(size) {
            self.chunk(process, events);
        }
    }

    pub fn finish(self) -> PathBuf {
        self.db.close().unwrap();
        self.path
    }
}

/// A `co_linetable` with these lines.
pub fn line_table(first: u32, lines: &[u32]) -> Vec<u8> {
    let (mut table, mut last) = (Vec::new(), i64::from(first));
    for line in lines.iter().map(|line| i64::from(*line)) {
        if line == 0 {
            table.push(0x80 | 15 << 3);
            continue;
        }
        table.push(0x80 | 13 << 3);
        let delta = line - last;
        last = line;
        let mut value = delta.unsigned_abs() << 1 | u64::from(delta < 0);
        while value > 63 {
            table.push((value & 63) as u8 | 64);
            value >>= 6;
        }
        table.push(value as u8);
    }
    table
}

/// The rows that a query returns: columns separated by a space, NULL as `-`.
pub fn rows(db: &Connection, sql: &str) -> Vec<String> {
    rows_of(db.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}")), sql)
}

/// Like [`rows`], for a prepared statement.
pub fn rows_of(mut statement: Statement<'_>, sql: &str) -> Vec<String> {
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let value = |i| {
            Ok(match row.get::<_, rusqlite::types::Value>(i)? {
                rusqlite::types::Value::Null => "-".to_owned(),
                rusqlite::types::Value::Integer(n) => n.to_string(),
                rusqlite::types::Value::Real(r) => format!("{r:?}"),
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
            })
        };
        Ok((0..width).map(value).collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Asserts that a query returns the rows of `expected`, one per line, ignoring indentation.
#[track_caller]
pub fn check(db: &Connection, sql: &str, expected: &str) {
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found = rows(db, sql);
    let found: Vec<String> =
        found.iter().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected: Vec<String> =
        expected.iter().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(found, expected, "\n{sql}\n{}", found.join("\n"));
}
