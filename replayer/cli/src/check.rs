//! `dashcam check`: reads everything and reports problems.

use super::output::{printable, stdout};
use super::session::Session;
use dashcam_replayer::store::{ChunkHeader, Error, Store, rows};
use dashcam_schema::chunk::Columns;
use dashcam_schema::event::EventKind;
use dashcam_schema::tables;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  dashcam check dashcam.db && cp dashcam.db /archive")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) database: super::Database,
}

/// Numbers of events by process, thread, code object and kind, by their numbers in chunks.
type Counts = FxHashMap<(i64, u32, u32, u8), i64>;

/// Differences in counts that are listed one by one; the others are only counted.
const NAMED: usize = 5;

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let store = session.recording.store();
    let mut problems = store.damage();
    let file = store.path().display();
    let explain = |error| session.explain(&error);
    let sqlite = sqlite(store).map_err(explain)?;
    problems.extend(sqlite.iter().map(|problem| format!("{file}: {problem}")));

    let chunks = store.chunks();
    let mut counts = Counts::default();
    let (mut events, mut damaged) = (0, problems.len());
    for (index, header) in chunks.iter().enumerate() {
        session.tick(index, chunks.len())?;
        let columns = store.chunk(index).and_then(|chunk| chunk.verify().map(Cow::into_owned));
        match columns {
            Ok(columns) => {
                events += header.events;
                let count = |problem| format!("{file}: chunk {}: {problem}", header.chunk_id);
                problems.extend(header_problems(store, header, &columns).into_iter().map(count));
                add(header, &columns, &mut counts);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted.into()),
            Err(error) => {
                damaged += 1;
                store.note(index, error)?;
            }
        }
    }
    for index in 0..store.value_chunks().len() {
        session.tick(index, store.value_chunks().len())?;
        match store.values(index) {
            Ok(_) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted.into()),
            Err(error) => {
                damaged += 1;
                store.note_values(index, error)?;
            }
        }
    }
    // The damage now includes the chunks; damage of headers is in both lists.
    for line in store.damage() {
        if !problems.contains(&line) {
            problems.push(line);
        }
    }
    let tables = tables::TABLES.iter().filter(|table| !table.is_virtual);
    for table in tables {
        let lines = rows::damaged(store.connection(), table.name).map_err(explain)?;
        let lines = lines.into_iter().map(|line| format!("{file}: {line}"));
        let new: Vec<String> = lines.filter(|line| !problems.contains(line)).collect();
        problems.extend(new);
    }
    let missing = row_counts(store).map_err(explain)?;
    problems.extend(missing.iter().map(|problem| format!("{file}: {problem}")));
    problems.extend(values(store, damaged == 0)?);
    if damaged == 0 {
        // If chunks are missing, sums cannot be right.
        let sums = sums(store, &counts).map_err(explain)?;
        problems.extend(sums.iter().map(|problem| format!("{file}: {problem}")));
    }
    session.clear();
    let mut out = stdout();
    for problem in &problems {
        writeln!(out, "{}", printable(problem))?;
    }
    let (found, chunks) = (problems.len(), chunks.len());
    if found == 0 {
        writeln!(out, "{file}: {chunks} chunks, {events} events, no damage")?;
    } else {
        let plural = if found == 1 { "" } else { "s" };
        writeln!(out, "{file}: {found} problem{plural} in {chunks} chunks; {events} events read")?;
    }
    out.flush()?;
    Ok(u8::from(found > 0))
}

/// Checks that values belong to events that can have them, and that the ordinals of events are
/// right. Does so only if nothing is damaged.
fn values(store: &Store, is_whole: bool) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    if !is_whole {
        return Ok(problems);
    }
    let file = store.path().display();
    let mut next: FxHashMap<i64, i64> = FxHashMap::default();
    for (index, header) in store.chunks().iter().enumerate() {
        let next = next.entry(header.process_id).or_insert(0);
        if header.first_ordinal != *next {
            let id = header.chunk_id;
            problems.push(format!("{file}: chunk {id}: its row has the wrong first ordinal"));
        }
        let chunk = store.chunk(index)?;
        *next = header.first_ordinal + i64::from(chunk.count_ordinals(0..chunk.kinds()?.len())?);
    }
    for (index, header) in store.value_chunks().iter().enumerate() {
        let events = next.get(&header.process_id).copied().unwrap_or(0);
        let misfits = store.misfits(index, events)?;
        if misfits > 0 {
            let id = header.value_chunk_id;
            problems.push(format!(
                "{file}: chunk of values {id}: {misfits} groups belong to events that cannot have such values"
            ));
        }
    }
    Ok(problems)
}

/// Checks that each table has as many rows of each run as when the run ended, and that no
/// references are broken.
fn row_counts(store: &Store) -> rusqlite::Result<Vec<String>> {
    let connection = store.connection();
    let mut problems = Vec::new();
    let mut statement =
        connection.prepare("SELECT run_id, row_counts FROM runs WHERE status <> 'recording'")?;
    let mut runs = statement.query([])?;
    while let Some(row) = runs.next()? {
        let run_id: i64 = row.get(0)?;
        // A row that lost its counts has another hash.
        let Ok(counts) = row.get::<_, String>(1) else { continue };
        let counts: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&counts).unwrap_or_default();
        for (table, sql) in tables::count_rows() {
            let there: i64 = connection.query_row(&sql, [run_id], |row| row.get(0))?;
            let recorded = counts.get(table).and_then(|count| count.as_i64());
            if recorded != Some(there) {
                let recorded = recorded.map_or("no".to_owned(), |recorded| recorded.to_string());
                problems.push(format!(
                    "run {run_id}: {table} had {recorded} rows when it ended, but has {there} now"
                ));
            }
        }
    }
    let sql = "SELECT count(*) FROM code_objects
               WHERE file_id IS NOT NULL AND file_id NOT IN (SELECT file_id FROM files)";
    let lost: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if lost > 0 {
        problems.push(format!("files: {lost} code objects refer to missing files"));
    }
    Ok(problems)
}

/// The problems that SQLite finds in its own structures.
fn sqlite(store: &Store) -> rusqlite::Result<Vec<String>> {
    let mut statement = store.connection().prepare("PRAGMA quick_check(10)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines.filter(|line| line.as_ref().map_or(true, |line| line != "ok")).collect()
}

/// Checks that the chunk's row describes its contents. Queries skip chunks by this description.
fn header_problems(store: &Store, header: &ChunkHeader, columns: &Columns) -> Vec<String> {
    let mut problems = Vec::new();
    let kinds = columns.kinds.iter().fold(0, |mask, kind| mask | 1u32 << kind);
    let threads: BTreeSet<u32> = columns.contexts.iter().map(|c| c.thread).collect();
    let codes: BTreeSet<u32> = columns.contexts.iter().map(|c| c.code).collect();
    let untimed = columns.kinds.first().and_then(|kind| EventKind::from_number(*kind));
    let untimed = untimed.is_some_and(|kind| !kind.is_timed());
    let first = columns.times.first().copied().filter(|_| !untimed).unwrap_or(0);
    let first_ns = columns.first_ns.saturating_add(first);
    let last_ns = columns.times.iter().fold(columns.first_ns, |now, ns| now.saturating_add(*ns));
    let mut expect = |what: &str, fine: bool| {
        if !fine {
            problems.push(format!("its row has the wrong {what}"));
        }
    };
    expect("kinds", kinds == header.kinds);
    expect("threads", header.threads.iter().eq(threads.iter()));
    expect("code objects", header.codes.iter().eq(codes.iter()));
    let fits = |row: i64, chunk: u64| u64::try_from(row).is_ok_and(|row| row == chunk);
    expect("first time", header.first_ns as u64 <= first_ns);
    expect("last time", fits(header.last_ns, last_ns));

    let process = store.process(header);
    let mut named = |what: &str, unnamed: usize| {
        if unnamed > 0 {
            problems.push(format!("{unnamed} {what} are in no table"));
        }
    };
    named("threads", threads.iter().filter(|n| !process.threads.contains_key(n)).count());
    named("code objects", codes.iter().filter(|n| !process.codes.contains_key(n)).count());
    let callables: BTreeSet<u32> = columns.callables.iter().copied().collect();
    named("callables", callables.iter().filter(|n| !process.callables.contains_key(n)).count());
    let entries = &columns.state.exceptions;
    let exceptions: BTreeSet<u32> = columns.exceptions.iter().copied().collect();
    let unknown =
        |number: &&u32| entries.binary_search_by_key(*number, |entry| entry.number).is_err();
    named("exceptions", exceptions.iter().filter(unknown).count());
    let types = entries.iter().filter(|e| !process.exception_types.contains_key(&e.exception_type));
    named("exception types", types.count());
    problems
}

fn add(header: &ChunkHeader, columns: &Columns, counts: &mut Counts) {
    let mut start = 0;
    for run in &columns.runs {
        let context = columns.contexts[run.context as usize];
        let end = start + run.events as usize;
        let mut kinds = [0i64; EventKind::LIMIT as usize];
        for kind in &columns.kinds[start..end] {
            kinds[usize::from(*kind)] += 1;
        }
        for (kind, count) in (0..).zip(kinds).filter(|(_, count)| *count > 0) {
            let key = (header.process_id, context.thread, context.code, kind);
            *counts.entry(key).or_insert(0) += count;
        }
        start = end;
    }
}

/// Compares the summaries with the counted events.
fn sums(store: &Store, counts: &Counts) -> rusqlite::Result<Vec<String>> {
    let directory = store.directory();
    let mut counted: FxHashMap<(i64, i64, i64, String), i64> = FxHashMap::default();
    let mut by_run: FxHashMap<i64, i64> = FxHashMap::default();
    for ((process, thread, code, kind), count) in counts {
        let Some(process) = directory.processes.get(process) else { continue };
        *by_run.entry(process.run_id).or_insert(0) += count;
        let thread = process.threads.get(thread).copied().unwrap_or(-1);
        let code = process.codes.get(code).map_or(-1, |index| directory.codes[*index].code_id);
        let kind = directory.texts.get(process.kinds[usize::from(*kind)]).unwrap_or_default();
        let key = (process.process_id, thread, code, kind.to_owned());
        *counted.entry(key).or_insert(0) += count;
    }
    let mut problems = Vec::new();
    // While a run is being recorded, its summaries may be behind.
    let ended = "FROM runs WHERE status <> 'recording'";
    let mut statement =
        store.connection().prepare(&format!("SELECT run_id, event_count {ended}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (run, stated): (i64, i64) = (row.get(0)?, row.get(1)?);
        let there = by_run.get(&run).copied().unwrap_or(0);
        if stated != there {
            problems.push(format!("run {run}: event_count is {stated}, but {there} are there"));
        }
    }
    let sql = format!(
        "SELECT process_id, thread_id, code_id, kind, count FROM event_counts
         WHERE run_id IN (SELECT run_id {ended})"
    );
    let mut statement = store.connection().prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut different = 0;
    let mut differ = |problems: &mut Vec<String>, process: i64, kind: &str, stated: i64, there| {
        different += 1;
        if different <= NAMED {
            problems.push(format!(
                "process {process}: event_counts has {stated} {kind}, but {there} are there"
            ));
        }
    };
    while let Some(row) = rows.next()? {
        let key = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let (stated, there): (i64, i64) = (row.get(4)?, counted.remove(&key).unwrap_or(0));
        if stated != there {
            differ(&mut problems, key.0, &key.3, stated, there);
        }
    }
    let mut statement = store.connection().prepare(
        "SELECT process_id FROM processes JOIN runs USING (run_id) WHERE status = 'recording'",
    )?;
    let live: BTreeSet<i64> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for ((process, _, _, kind), there) in counted {
        if !live.contains(&process) {
            differ(&mut problems, process, &kind, 0, there);
        }
    }
    if different > NAMED {
        problems.push(format!("{} more differences in event_counts", different - NAMED));
    }
    Ok(problems)
}
