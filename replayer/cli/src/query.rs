//! `dashcam query`: runs one SQL statement, or many at a terminal.

mod complete;
mod pager;
mod shell;
mod statement;

use super::output::{Format, Rows};
use super::session::Session;
use anyhow::{anyhow, bail};
use dashcam_replayer::sql;
use pager::Paged;
use rusqlite::types::ValueRef;
use std::io::{self, IsTerminal as _};
use std::path::Path;

#[derive(clap::Args)]
#[command(
    override_usage = "dashcam query [DB] [SQL|-] [--run N|all] [--format FORMAT]",
    after_help = "\
Example: the ten functions that took longest
  dashcam query \"SELECT qualname, count(*), sum(self_ns) / 1e6 AS self_ms
                 FROM calls GROUP BY code_id ORDER BY self_ms DESC LIMIT 10\"

`dashcam schema` describes the tables. All of them except `runs` show only the last run, or the
run that --run names, or with --run all every run. Without a statement, it prompts for statements
at a terminal (.help lists the commands), and otherwise reads one from standard input, as it does
with `-`."
)]
pub(super) struct Args {
    /// The recording (./dashcam.db if left out), and the statement
    #[arg(num_args = 0..=2, value_names = ["DB", "SQL"])]
    arguments: Vec<String>,
    #[command(flatten)]
    run: super::RunChoice,
    #[command(flatten)]
    mine: super::MineChoice,
    /// How to print the rows
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Print long results directly; otherwise they go through $PAGER at a terminal
    #[arg(long)]
    no_pager: bool,
}

/// How rows are printed.
struct Output {
    format: Format,
    /// Whether long results go through a pager, if there is a terminal.
    pages: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let is_file = |name: &str| name != "-" && Path::new(name).is_file();
    let (database, sql) = match &*args.arguments {
        [] => (super::DEFAULT, None),
        [file] if is_file(file) => (&**file, None),
        [sql] => (super::DEFAULT, Some(&**sql)),
        [database, sql] => (&**database, Some(&**sql)),
        _ => bail!("no statement"),
    };
    let is_typed = sql.is_none() && io::stdin().is_terminal() && io::stdout().is_terminal();
    let read;
    let sql = match sql {
        None if is_typed => None,
        None | Some("-") => {
            read = io::read_to_string(io::stdin())?;
            if sql.is_none() && statement::end(&read) == statement::End::Empty {
                eprintln!("dashcam: no statement was given; see: dashcam query --help");
                return Ok(2);
            }
            Some(&*read)
        }
        some => some,
    };
    let session = Session::open(Path::new(database))?;
    let run = args.run.of(session.recording.store())?;
    args.mine.apply(session.recording.store());
    session.recording.bind(run)?;
    let output = Output { format: args.format, pages: !args.no_pager };
    match sql {
        None => return shell::run(&session, run, output),
        // The pager handles its own keys, and Ctrl-C only ends the statement.
        Some(sql) if output.pages && io::stdout().is_terminal() => {
            session.command(|| execute(&session, sql, &output))?;
        }
        Some(sql) => execute(&session, sql, &output)?,
    }
    session.finish(run)
}

/// Runs a statement and prints its rows.
fn execute(session: &Session, sql: &str, output: &Output) -> anyhow::Result<()> {
    let explain = |error| explain(session, &error);
    let mut statement = session.recording.prepare(sql, None).map_err(explain)?;
    if statement.column_count() == 0 {
        bail!("the statement does not return rows");
    }
    let columns = statement.column_names().into_iter().map(str::to_owned);
    let paged = Paged::new(output.pages, || session.clear());
    let mut out = Rows::to(paged, output.format, columns.collect());
    let width = statement.column_count();
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        let values: Vec<ValueRef<'_>> =
            (0..width).map(|i| row.get_ref(i)).collect::<Result<_, _>>().map_err(explain)?;
        out.push(&values)?;
    }
    drop(rows);
    out.end()?;
    Ok(())
}

/// Explains SQLite's error, and suggests the name that was probably meant.
fn explain(session: &Session, error: &rusqlite::Error) -> anyhow::Error {
    match sql::explain(session.recording.store().path(), error) {
        Some(line) => anyhow!(line),
        None => session.explain(error),
    }
}
