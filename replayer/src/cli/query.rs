//! `dashcam query`: one SQL statement.

use super::output::{Format, Rows};
use super::session::Session;
use crate::sql;
use anyhow::{anyhow, bail};
use rusqlite::types::ValueRef;
use std::path::Path;

#[derive(clap::Args)]
#[command(
    override_usage = "dashcam query [DB] SQL|- [--run N|all] [--format FORMAT]",
    after_help = "\
Example: the ten functions that took longest
  dashcam query \"SELECT qualname, count(*), sum(self_ns) / 1e6 AS self_ms
                 FROM calls GROUP BY code_id ORDER BY self_ms DESC LIMIT 10\"

`dashcam schema` describes the tables. All of them but `runs` show the last run only, or the one that
--run names, or with --run all every run. `-` reads the statement from standard input."
)]
pub(super) struct Args {
    /// The recording (./dashcam.db if left out), and the statement
    #[arg(num_args = 1..=2, required = true, value_names = ["DB", "SQL"])]
    arguments: Vec<String>,
    #[command(flatten)]
    run: super::RunChoice,
    #[command(flatten)]
    mine: super::MineChoice,
    /// How to print the rows
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let (database, sql) = match &*args.arguments {
        [file] if file != "-" && Path::new(file).is_file() => {
            eprintln!("dashcam: a recording but no statement; see: dashcam query --help");
            return Ok(2);
        }
        [sql] => (super::DEFAULT, sql),
        [database, sql] => (&**database, sql),
        _ => bail!("no statement"),
    };
    let typed;
    let sql = match &**sql {
        "-" => {
            typed = std::io::read_to_string(std::io::stdin())?;
            &typed
        }
        _ => sql,
    };
    let session = Session::open(Path::new(database))?;
    let run = args.run.of(session.recording.store())?;
    args.mine.say(session.recording.store());
    session.recording.bind(run)?;
    let explain = |error| explain(&session, &error);
    let mut statement = session.recording.prepare(sql, None).map_err(explain)?;
    if statement.column_count() == 0 {
        bail!("no statement that gives rows");
    }
    let columns = statement.column_names().into_iter().map(str::to_owned);
    let mut out = Rows::new(args.format, columns.collect());
    let width = statement.column_count();
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        let values: Vec<ValueRef<'_>> =
            (0..width).map(|i| row.get_ref(i)).collect::<Result<_, _>>().map_err(explain)?;
        session.clear();
        out.push(&values)?;
    }
    drop(rows);
    session.clear();
    out.end()?;
    session.finish(run)
}

/// What SQLite's complaint means, and what may have been meant.
fn explain(session: &Session, error: &rusqlite::Error) -> anyhow::Error {
    match sql::explain(session.recording.store().path(), error) {
        Some(line) => anyhow!(line),
        None => session.explain(error),
    }
}
