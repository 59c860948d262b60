//! `dashcam export`: exports tables as columns, for other engines.

use super::session::Session;
use crate::serve;
use anyhow::bail;
use dashcam_replayer::export::{self, Layout, Options, Query, read_statement};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    format: Format,
}

#[derive(clap::Subcommand)]
enum Format {
    /// Export all tables as a folder of Parquet files, to which further recordings can be added
    Parquet(Parquet),
    /// Write one table as an Arrow IPC stream to standard output
    Arrow(Arrow),
}

#[derive(clap::Args)]
#[command(after_help = "\
Example: the time that functions take, in all recordings that were exported
  dashcam export parquet fleet/ monday.db --run all
  dashcam export parquet fleet/ tuesday.db --run all
  duckdb -c \"SELECT qualname, sum(self_ns) FROM 'fleet/calls/**/*.parquet' GROUP BY 1 ORDER BY 2 DESC\"

Files are at DIR/TABLE/run=UUID/process=N/. Runs that were exported before and have not changed
are skipped.")]
struct Parquet {
    /// The folder; created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    database: super::Database,
    #[command(flatten)]
    run: super::RunChoice,
    /// Only these tables
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    tables: Vec<String>,
    /// Also export values as JSON, in columns such as value_json
    #[arg(long)]
    json_values: bool,
    /// Also export runs that were exported before and have not changed
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    mine: super::MineChoice,
}

#[derive(clap::Args)]
#[command(
    override_usage = "dashcam export arrow TABLE [DB] [OPTIONS]\n       dashcam export arrow --sql SQL [DB] [OPTIONS]",
    after_help = "\
Example: the slow calls, for a program that reads Arrow
  dashcam export arrow calls --columns qualname,duration_ns --where 'duration_ns > 1000000' > slow.arrows"
)]
struct Arrow {
    /// The table, unless --sql is given, and the recording (./dashcam.db if left out)
    #[arg(num_args = 0..=2, value_names = ["TABLE", "DB"])]
    arguments: Vec<String>,
    #[command(flatten)]
    run: super::RunChoice,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "sql")]
    columns: Vec<String>,
    /// Only rows for which this SQL condition holds; comparisons joined by AND are fastest
    #[arg(long = "where", value_name = "SQL", conflicts_with = "sql")]
    condition: Option<String>,
    /// The rows of this statement instead of a table
    #[arg(long, value_name = "SQL")]
    sql: Option<String>,
    /// The rows of a `query` request of `dashcam serve`, which is read from standard input
    #[arg(long, hide = true, conflicts_with_all = ["sql", "columns", "condition"])]
    request: bool,
    #[command(flatten)]
    mine: super::MineChoice,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.format {
        Format::Parquet(args) => parquet(args),
        Format::Arrow(args) => arrow(args),
    }
}

fn parquet(args: &Parquet) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let store = session.recording.store();
    args.mine.apply(store);
    let run = args.run.of(store)?;
    let runs = run.map_or_else(|| store.directory().runs.clone(), |run| vec![run]);
    let layout = Layout::open(&args.folder)?;
    let options =
        Options { tables: args.tables.clone(), json_values: args.json_values, again: args.again };
    let mut out = super::output::stdout();
    for run in runs {
        session.begin();
        let done = layout.export(&session.recording, run, &options)?;
        session.clear();
        match done.rows {
            Some(rows) => writeln!(out, "run {run}: {rows} rows in run={}", done.uuid)?,
            None => writeln!(out, "run {run}: already in run={}", done.uuid)?,
        }
        out.flush()?;
    }
    session.finish(run)
}

fn arrow(args: &Arrow) -> anyhow::Result<u8> {
    if std::io::stdout().is_terminal() {
        bail!("an Arrow stream cannot be shown on a terminal; redirect standard output");
    }
    let (table, database) = match &*args.arguments {
        rest if args.sql.is_some() || args.request => match rest {
            [] => (None, super::DEFAULT),
            [database] => (None, &**database),
            _ => bail!("a table and --sql exclude each other"),
        },
        [table] => (Some(table), super::DEFAULT),
        [table, database] => (Some(table), &**database),
        _ => bail!("no table; `dashcam schema` lists them"),
    };
    let session = Session::open(Path::new(database))?;
    let store = session.recording.store();
    args.mine.apply(store);
    let out = super::output::stdout();
    if args.request {
        let request = std::io::read_to_string(std::io::stdin())?;
        export::stream(out, |sink| serve::columns(&session.recording, request.as_bytes(), sink))?;
        return session.finish(None);
    }
    let run = args.run.of(store)?;
    session.recording.bind(run)?;
    match (&args.sql, table) {
        (Some(sql), _) => {
            let recording = &session.recording;
            export::stream(out, |sink| read_statement(recording, sql, |_| Ok(()), sink))?;
        }
        (None, Some(table)) => {
            let mut query = Query::new(&session.recording, table)?;
            // Without this, `runs` would list all runs.
            if let Some(run) = run {
                query = query.run(run);
            }
            if !args.columns.is_empty() {
                query = query.columns(&args.columns)?;
            }
            if let Some(condition) = &args.condition {
                query = query.condition(condition)?;
            }
            export::stream(out, |sink| query.read(sink))?;
        }
        // One of the two is always given.
        (None, None) => {}
    }
    session.finish(run)
}
