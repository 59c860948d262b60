//! Writes one process's part of a transaction: pending batches → rows.

use super::commit::Pending;
use super::encode::StoredChunk;
use super::outlet::LossDelta;
use super::processes::{Joined, ProcessEnd};
use super::source::Sources;
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::chunk::{Statistics, ValueStatistics, code_xxh3, header_xxh3};
use dashcam_schema::loss::{DETAIL_MAX, LossKind, Severity};
use dashcam_schema::record::{CodeDefinition, Definition};
use rusqlite::{Connection, Result, Transaction};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// How many line tables are kept decoded; all of them are in the database.
const LINE_TABLES: usize = 4096;

/// What the row of the run says about its interpreter, and by which process. It is the first
/// process, unless that was never recorded.
pub(super) struct Interpreter {
    slot: u32,
    python_version: String,
    events_by: &'static str,
    capture: &'static str,
}

/// Maps the numbers used in the ring to rows of the database.
pub(super) struct Rows {
    run_id: i64,
    process_id: i64,
    slot: u32,
    sources: Sources,
    codes: Vec<Code>,
    /// Paths and the ids of their rows, by [`Code::file`].
    files: Vec<(String, i64)>,
    file_indexes: FxHashMap<String, u32>,
    threads: FxHashMap<u32, i64>,
    callables: u32,
    exception_types: u32,
    /// The number of chunks of values so far.
    value_chunks: i64,
    kinds: FxHashMap<u8, String>,
    line_tables: FxHashMap<u32, LineTable>,
}

#[derive(Clone, Copy)]
struct Code {
    id: i64,
    file: u32,
}

impl Rows {
    pub(super) fn new(run_id: i64, process_id: i64, slot: u32, sources: Sources) -> Rows {
        Rows {
            run_id,
            process_id,
            slot,
            sources,
            codes: Vec::new(),
            files: Vec::new(),
            file_indexes: FxHashMap::default(),
            threads: FxHashMap::default(),
            callables: 0,
            exception_types: 0,
            value_chunks: 0,
            kinds: FxHashMap::default(),
            line_tables: FxHashMap::default(),
        }
    }

    /// Writes everything that is pending of the process.
    pub(super) fn write(
        &mut self,
        tx: &Transaction<'_>,
        pending: &Pending,
        interpreter: &mut Option<Interpreter>,
    ) -> Result<()> {
        let mut unread = Vec::new();
        for definition in &pending.definitions {
            self.define(tx, definition, pending.began_ns, &mut unread, interpreter)?;
        }
        for chunk in &pending.chunks {
            self.chunk(tx, chunk)?;
        }
        self.values(tx, pending)?;
        self.event_counts(tx, pending)?;
        self.line_counts(tx, pending)?;
        self.branch_counts(tx, pending)?;
        self.function_totals(tx, pending)?;
        for loss in pending.losses.iter().chain(&unread) {
            add_loss(tx, self.run_id, self.process_id, loss)?;
        }
        Ok(())
    }

    /// Writes the end of the process.
    pub(super) fn end(&self, tx: &Transaction<'_>, end: &ProcessEnd, now_ns: u64) -> Result<()> {
        end_process(tx, self.process_id, now_ns, end.exit_code, end.exit_signal)
    }

    fn define(
        &mut self,
        tx: &Transaction<'_>,
        definition: &Definition,
        began_ns: Option<u64>,
        unread: &mut Vec<LossDelta>,
        interpreter: &mut Option<Interpreter>,
    ) -> Result<()> {
        let process = self.process_id;
        match definition {
            Definition::Code(code) => self.code(tx, code, unread)?,
            Definition::Thread { number, native_id } => {
                let id = tx
                    .prepare_cached(
                        "INSERT INTO threads (process_id, native_id, number) VALUES (?, ?, ?)
                         ON CONFLICT DO UPDATE SET native_id = excluded.native_id
                         RETURNING thread_id",
                    )?
                    .query_row((process, *native_id as i64, number), |row| row.get(0))?;
                self.threads.insert(*number, id);
            }
            Definition::ThreadName { number, name } => {
                tx.prepare_cached(
                    "UPDATE threads SET name = ? WHERE process_id = ? AND number = ?",
                )?
                .execute((name, process, number))?;
            }
            Definition::Callable { name } => {
                tx.prepare_cached(
                    "INSERT INTO callables (process_id, number, name) VALUES (?, ?, ?)",
                )?
                .execute((process, self.callables, name))?;
                self.callables += 1;
            }
            Definition::ExceptionType { name } => {
                tx.prepare_cached(
                    "INSERT INTO exception_types (process_id, number, name) VALUES (?, ?, ?)",
                )?
                .execute((process, self.exception_types, name))?;
                self.exception_types += 1;
            }
            Definition::Kind { number, name } => {
                tx.execute(
                    "INSERT OR REPLACE INTO event_kinds (process_id, number, name)
                     VALUES (?, ?, ?)",
                    (process, number, name),
                )?;
                self.kinds.insert(*number, name.clone());
            }
            Definition::Interpreter {
                version,
                platform,
                stdlib,
                pid,
                magic,
                mode,
                capture,
                quirks,
            } => {
                self.sources.stdlib = stdlib.into();
                let ours = Interpreter {
                    slot: self.slot,
                    python_version: version.clone(),
                    events_by: mode.name(),
                    capture: capture.name(),
                };
                match interpreter {
                    Some(of_run) if of_run.slot != self.slot => {
                        self.differences(tx, &ours, of_run)?;
                    }
                    _ => {
                        let known = Version::from_magic(*magic).map_or(&[][..], Version::quirks);
                        let known = known.iter().map(|quirk| (*quirk).to_owned());
                        let quirks: Vec<String> = known.chain(quirks.iter().cloned()).collect();
                        tx.execute(
                            "UPDATE runs SET python_version = ?, platform = ?, events_by = ?,
                                 capture = ?, quirks = ?
                             WHERE run_id = ?",
                            (
                                version,
                                platform,
                                ours.events_by,
                                ours.capture,
                                json(&quirks),
                                self.run_id,
                            ),
                        )?;
                        *interpreter = Some(ours);
                    }
                }
                // That of a process that has joined is known exactly.
                let started_ns = (self.slot == 0).then_some(began_ns.unwrap_or(0) as i64);
                tx.execute(
                    "UPDATE processes SET pid = ?, started_ns = coalesce(?, started_ns), magic = ?
                     WHERE process_id = ?",
                    (pid, started_ns, magic, process),
                )?;
            }
            Definition::Source { path, text } => {
                let path = self.sources.path(path);
                self.file_indexes.remove(&path);
                self.sources.registered.insert(path, text.clone());
            }
            // The chunker puts exceptions into chunks, and losses into `Pending::losses`.
            Definition::Exception { .. } | Definition::Loss { .. } => {}
        }
        Ok(())
    }

    /// Stores what the row of the run does not say about the interpreter of this process.
    fn differences(
        &self,
        tx: &Transaction<'_>,
        ours: &Interpreter,
        of_run: &Interpreter,
    ) -> Result<()> {
        let version = &*ours.python_version;
        let differences = (
            Some(version).filter(|version| *version != of_run.python_version),
            Some(ours.events_by).filter(|mode| *mode != of_run.events_by),
            Some(ours.capture).filter(|capture| *capture != of_run.capture),
        );
        if differences == (None, None, None) {
            return Ok(());
        }
        let (version, events_by, capture) = differences;
        tx.execute(
            "UPDATE processes SET own_python_version = ?, own_events_by = ?, own_capture = ?
             WHERE process_id = ?",
            (version, events_by, capture, self.process_id),
        )?;
        Ok(())
    }

    fn code(
        &mut self,
        tx: &Transaction<'_>,
        code: &CodeDefinition,
        unread: &mut Vec<LossDelta>,
    ) -> Result<()> {
        let path = self.sources.path(&code.path);
        let index = match self.file_indexes.get(&path) {
            Some(index) => *index,
            None => self.file(tx, path, unread)?,
        };
        let (path, file_id) = &self.files[index as usize];
        tx.prepare_cached(
            "INSERT INTO code_objects (run_id, file_id, path, qualname, name, first_line, kind,
                 argument_names, variable_names, names, process_id, number, flags, line_table, bytecode,
                 exception_table, code_xxh3)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(rusqlite::params![
            self.run_id,
            file_id,
            path,
            &code.qualname,
            &code.name,
            code.first_line,
            code.kind(),
            json(&code.argument_names),
            json(&code.variable_names),
            json(&code.names),
            self.process_id,
            self.codes.len() as i64,
            code.flags,
            &code.line_table,
            &code.bytecode,
            &code.exception_table,
            code_xxh3(code.first_line, [&code.line_table, &code.bytecode, &code.exception_table]),
        ])?;
        self.codes.push(Code { id: tx.last_insert_rowid(), file: index });
        Ok(())
    }

    fn file(
        &mut self,
        tx: &Transaction<'_>,
        path: String,
        unread: &mut Vec<LossDelta>,
    ) -> Result<u32> {
        let source = self.sources.read(path);
        if source.is_unread {
            let path = source.path.clone();
            LossDelta::add(unread, LossKind::SourceUnread, 1, 0, path);
        }
        let (hash, text) = source.text.unzip();
        tx.prepare_cached(
            "INSERT INTO files (path, sha256, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute((&source.path, &hash, &text))?;
        let id = tx
            .prepare_cached(
                "SELECT file_id FROM files WHERE path = ? AND coalesce(sha256, '') = ?",
            )?
            .query_row((&source.path, hash.unwrap_or_default()), |row| row.get(0))?;
        let index = self.files.len() as u32;
        self.file_indexes.insert(source.path.clone(), index);
        self.files.push((source.path, id));
        Ok(index)
    }

    fn chunk(&self, tx: &Transaction<'_>, chunk: &StoredChunk) -> Result<()> {
        let row = Statistics {
            run_id: self.run_id,
            process_id: self.process_id,
            first_seq: chunk.first_seq as i64,
            event_count: chunk.event_count as i64,
            first_ns: chunk.first_ns as i64,
            last_ns: chunk.last_ns as i64,
            first_wall_ns: chunk.first_wall_ns as i64,
            last_wall_ns: chunk.last_wall_ns as i64,
            kinds: chunk.kinds.into(),
            first_ordinal: chunk.first_ordinal as i64,
            header_xxh3: header_xxh3(&chunk.data),
            threads: &chunk.threads,
            codes: &chunk.codes,
        };
        tx.prepare_cached(
            "INSERT INTO chunks (run_id, process_id, first_seq, event_count, first_ns, last_ns,
                 first_wall_ns, last_wall_ns, kinds, first_ordinal, threads, codes, header_xxh3,
                 row_xxh3, data)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
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
            &chunk.data,
        ))?;
        Ok(())
    }

    fn values(&mut self, tx: &Transaction<'_>, pending: &Pending) -> Result<()> {
        let mut covers_to = pending.covered;
        let mut number = self.value_chunks;
        for values in &pending.values {
            covers_to = covers_to.max(Some(values.covers_to));
            let row = ValueStatistics {
                run_id: self.run_id,
                process_id: self.process_id,
                number,
                covers_from: values.covers_from as i64,
                covers_to: values.covers_to as i64,
                first_ordinal: values.first_ordinal as i64,
                last_ordinal: values.last_ordinal as i64,
                group_count: values.group_count as i64,
                header_xxh3: header_xxh3(&values.data),
                told: &values.described,
            };
            number += 1;
            tx.prepare_cached(
                "INSERT INTO value_chunks (run_id, process_id, number, covers_from, covers_to,
                     first_ordinal, last_ordinal, group_count, told, header_xxh3, row_xxh3, data)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
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
                &values.data,
            ))?;
        }
        if let Some(covers_to) = covers_to {
            tx.prepare_cached(
                "UPDATE processes SET covers_to = ?, value_chunk_count = ? WHERE process_id = ?",
            )?
            .execute((covers_to as i64, number, self.process_id))?;
        }
        self.value_chunks = number;
        Ok(())
    }

    fn event_counts(&self, tx: &Transaction<'_>, pending: &Pending) -> Result<()> {
        let mut add = tx.prepare_cached(
            "INSERT INTO event_counts (run_id, process_id, thread_id, kind, code_id, count)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((thread, code, kind), count) in sorted(&pending.events) {
            // Invariant: the drain rejects undefined threads and code objects.
            let (thread, code) = (self.threads[thread], self.codes[*code as usize].id);
            let name = EventKind::from_number(*kind)
                .and_then(EventKind::name)
                .or_else(|| self.kinds.get(kind).map(|name| &**name))
                .unwrap_or("?");
            add.execute((self.run_id, self.process_id, thread, name, code, *count as i64))?;
        }
        Ok(())
    }

    fn line_counts(&self, tx: &Transaction<'_>, pending: &Pending) -> Result<()> {
        // Several code objects may share a line.
        let mut by_file: FxHashMap<(u32, u32), u64> = FxHashMap::default();
        for ((code, line), count) in &pending.lines {
            *by_file.entry((self.codes[*code as usize].file, *line)).or_insert(0) += count;
        }
        let mut add = tx.prepare_cached(
            "INSERT INTO line_counts (run_id, path, line, count) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((file, line), count) in sorted(&by_file) {
            let path = &self.files[*file as usize].0;
            add.execute((self.run_id, path, line, *count as i64))?;
        }
        Ok(())
    }

    fn branch_counts(&mut self, tx: &Transaction<'_>, pending: &Pending) -> Result<()> {
        for ((code, unit), (taken, not_taken)) in sorted(&pending.branches) {
            let line = self.line(tx, *code, *unit)?;
            let Code { id, file } = self.codes[*code as usize];
            tx.prepare_cached(
                "INSERT INTO branch_counts (run_id, path, line, code_id, offset, taken, not_taken)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET taken = taken + excluded.taken,
                                           not_taken = not_taken + excluded.not_taken",
            )?
            .execute((
                self.run_id,
                &self.files[file as usize].0,
                line,
                id,
                i64::from(*unit) * 2,
                *taken as i64,
                *not_taken as i64,
            ))?;
        }
        Ok(())
    }

    /// Returns the line of a code unit; 0 if it has none.
    fn line(&mut self, tx: &Transaction<'_>, code: u32, unit: u32) -> Result<u32> {
        if self.line_tables.len() >= LINE_TABLES {
            self.line_tables.clear();
        }
        let table = match self.line_tables.entry(code) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let table = tx
                    .prepare_cached(
                        "SELECT line_table, first_line FROM code_objects WHERE code_id = ?",
                    )?
                    .query_row([self.codes[code as usize].id], |row| {
                        Ok(LineTable::decode(row.get_ref(0)?.as_blob()?, row.get(1)?))
                    })?;
                entry.insert(table)
            }
        };
        Ok(table.line(unit).unwrap_or(0))
    }

    fn function_totals(&self, tx: &Transaction<'_>, pending: &Pending) -> Result<()> {
        let mut add = tx.prepare_cached(
            "INSERT INTO function_totals (run_id, code_id, path, qualname, calls, unwinds,
                 total_ns, self_ns)
             SELECT run_id, code_id, path, qualname, ?, ?, ?, ? FROM code_objects
             WHERE code_id = ?
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 unwinds = unwinds + excluded.unwinds, total_ns = total_ns + excluded.total_ns,
                 self_ns = self_ns + excluded.self_ns",
        )?;
        for (code, total) in sorted(&pending.totals) {
            add.execute((
                total.calls as i64,
                total.unwinds as i64,
                total.total_ns as i64,
                total.self_ns as i64,
                self.codes[*code as usize].id,
            ))?;
        }
        Ok(())
    }
}

/// Inserts the row of a process that joined a run. Returns its `process_id`.
pub(super) fn insert_process(
    db: &Connection,
    run_id: i64,
    parent: Option<i64>,
    joined: &Joined,
) -> Result<i64> {
    let Joined { process, joined_ns } = joined;
    db.execute(
        "INSERT INTO processes (run_id, pid, parent_process_id, command, started_ns)
         VALUES (?, ?, ?, ?, ?)",
        (run_id, process.pid, parent, &process.command, *joined_ns as i64),
    )?;
    let process_id = db.last_insert_rowid();
    define_unknown_type(db, process_id)?;
    Ok(process_id)
}

/// Inserts the name of the exceptions of a process whose type is not known.
pub(super) fn define_unknown_type(db: &Connection, process_id: i64) -> Result<()> {
    db.execute(
        "INSERT INTO exception_types (process_id, number, name) VALUES (?, ?, 'unknown')",
        (process_id, super::exceptions::UNKNOWN_TYPE),
    )?;
    Ok(())
}

/// Writes the end of a process.
pub(super) fn end_process(
    db: &Connection,
    process_id: i64,
    now_ns: u64,
    exit_code: Option<i32>,
    exit_signal: Option<i32>,
) -> Result<()> {
    db.execute(
        "UPDATE processes SET ended_ns = ?, exit_code = ?, exit_signal = ? WHERE process_id = ?",
        (now_ns as i64, exit_code, exit_signal, process_id),
    )?;
    Ok(())
}

/// Adds to a row of `losses`, or inserts one.
pub(super) fn add_loss(
    db: &Connection,
    run_id: i64,
    process_id: i64,
    loss: &LossDelta,
) -> Result<()> {
    let severity = loss.kind.severity();
    let detail = loss.kind.detail(&loss.detail);
    let is_listed = loss.kind.lists_each() && !loss.detail.is_empty();
    let more = if is_listed { format!(", {}", loss.detail) } else { String::new() };
    let first_seq = (loss.first_seq > 0).then_some(loss.first_seq as i64);
    db.execute(
        "INSERT INTO losses (run_id, process_id, kind, severity, count, first_seq, detail)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET count = count + excluded.count,
             detail = detail || iif(length(detail) < ?, ?, '')",
        (
            run_id,
            process_id,
            loss.kind.name(),
            severity.name(),
            loss.count as i64,
            first_seq,
            detail.trim_end(),
            DETAIL_MAX as i64,
            more,
        ),
    )?;
    if severity != Severity::Info {
        db.execute(
            "UPDATE runs SET lost_count = lost_count + ? WHERE run_id = ?",
            (loss.count as i64, run_id),
        )?;
    }
    Ok(())
}

/// Returns the entries in the order of the keys, which is about the order of the rows: neighbours
/// are on one page.
fn sorted<K: Ord + Copy, V>(map: &FxHashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| **key);
    entries
}

fn json(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}
