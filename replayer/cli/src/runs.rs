//! `dashcam runs`: prints one line per run.

use super::output::{Format, Rows};
use super::session::Session;
use dashcam_replayer::debugger::text::{shell, signal_name};
use rusqlite::Row;
use rusqlite::types::ValueRef;

#[derive(clap::Args)]
#[command(
    after_help = "Example: the runs that failed\n  dashcam runs --format jsonl | jq 'select(.exit != \"0\")'"
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) database: super::Database,
    /// How to print the rows
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const COLUMNS: [&str; 10] = [
    "run",
    "started",
    "seconds",
    "status",
    "exit",
    "events",
    "lost",
    "processes",
    "python",
    "command",
];
/// The place of `processes`.
const PROCESSES: usize = 7;

/// While a run is being recorded, its totals are only in its chunks.
const SQL: &str = "
    SELECT run_id, started_at,
           round((julianday(ended_at) - julianday(started_at)) * 86400, 3), status,
           exit_code, exit_signal,
           max(event_count, (SELECT coalesce(sum(event_count), 0) FROM chunks
                             WHERE chunks.run_id = runs.run_id)),
           lost_count,
           (SELECT count(*) FROM processes WHERE processes.run_id = runs.run_id),
           python_version, command
    FROM runs ORDER BY run_id";

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let explain = |error| session.explain(&error);
    let directory = session.recording.store().directory();
    let has_several = directory.runs.iter().any(|run| directory.processes_of(*run).len() > 1);
    // People need not read a column of ones; programs can rely on the columns.
    let has_processes = has_several || args.format != Format::Table;
    let mut columns = COLUMNS.map(str::to_owned).to_vec();
    if !has_processes {
        columns.remove(PROCESSES);
    }
    let mut out = Rows::new(args.format, columns);
    let mut statement = session.recording.connection().prepare(SQL).map_err(explain)?;
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        put(row, has_processes, &mut out).map_err(explain)??;
    }
    out.end()?;
    session.finish(None)
}

fn put(
    row: &Row<'_>,
    has_processes: bool,
    out: &mut Rows,
) -> rusqlite::Result<std::io::Result<()>> {
    let exit = exit(row.get(4)?, row.get(5)?);
    let exit = exit.as_ref().map_or(ValueRef::Null, |exit| ValueRef::Text(exit.as_bytes()));
    let command = shell(&row.get::<_, String>(10)?);
    let mut columns = vec![
        row.get_ref(0)?,
        row.get_ref(1)?,
        row.get_ref(2)?,
        row.get_ref(3)?,
        exit,
        row.get_ref(6)?,
        row.get_ref(7)?,
        row.get_ref(8)?,
        row.get_ref(9)?,
        ValueRef::Text(command.as_bytes()),
    ];
    if !has_processes {
        columns.remove(PROCESSES);
    }
    Ok(out.push(&columns))
}

/// The exit status, or the name of the signal that ended the program.
fn exit(code: Option<i64>, signal: Option<i64>) -> Option<String> {
    signal.map(signal_name).or(code.map(|code| code.to_string()))
}
