//! `dashcam runs`: prints one line per run.

use super::output::{Format, Rows};
use super::session::Session;
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

const COLUMNS: [&str; 9] =
    ["run", "started", "seconds", "status", "exit", "events", "lost", "python", "command"];

/// While a run is being recorded, its totals are only in its chunks.
const SQL: &str = "
    SELECT run_id, started_at,
           round((julianday(ended_at) - julianday(started_at)) * 86400, 3), status,
           exit_code, exit_signal,
           max(event_count, (SELECT coalesce(sum(event_count), 0) FROM chunks
                             WHERE chunks.run_id = runs.run_id)),
           lost_count, python_version, command
    FROM runs ORDER BY run_id";

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let explain = |error| session.explain(&error);
    let mut out = Rows::new(args.format, COLUMNS.map(str::to_owned).to_vec());
    let mut statement = session.recording.connection().prepare(SQL).map_err(explain)?;
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        put(row, &mut out).map_err(explain)??;
    }
    out.end()?;
    session.finish(None)
}

fn put(row: &Row<'_>, out: &mut Rows) -> rusqlite::Result<std::io::Result<()>> {
    let exit = exit(row.get(4)?, row.get(5)?);
    let exit = exit.as_ref().map_or(ValueRef::Null, |exit| ValueRef::Text(exit.as_bytes()));
    let command = shell(&row.get::<_, String>(9)?);
    let column = |column: usize| row.get_ref(column);
    Ok(out.push(&[
        column(0)?,
        column(1)?,
        column(2)?,
        column(3)?,
        exit,
        column(6)?,
        column(7)?,
        column(8)?,
        ValueRef::Text(command.as_bytes()),
    ]))
}

/// The exit status, or the name of the signal that ended the program.
fn exit(code: Option<i64>, signal: Option<i64>) -> Option<String> {
    let name = |signal: i64| {
        let name = i32::try_from(signal).ok().and_then(signal_hook::low_level::signal_name);
        name.map_or(format!("signal {signal}"), str::to_owned)
    };
    signal.map(name).or(code.map(|code| code.to_string()))
}

/// Formats a JSON array of arguments as a shell command.
fn shell(command: &str) -> String {
    let Ok(arguments) = serde_json::from_str::<Vec<String>>(command) else {
        return command.to_owned();
    };
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    let quote = |argument: &String| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument.clone()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}
