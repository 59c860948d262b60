//! The program `dashcam`: a module for each subcommand, and their common parts.
//!
//! Exit codes: 0 success, 1 something was not found or failed, 2 wrong usage, 130 interrupted.

#![deny(unsafe_code)]

mod bar;
mod check;
mod diff;
mod doctor;
mod dump;
mod export;
mod manual;
mod output;
mod printable;
mod query;
mod record;
mod replay;
mod runs;
mod schema;
mod serve;
mod session;
mod sqlite_extension;

use clap::{Parser, Subcommand};
use dashcam_replayer::store::mine::Mine;
use dashcam_replayer::store::{Error, Store, wal_bytes};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Watch what a Python program did, after it did it.
#[derive(Parser)]
#[command(name = "dashcam", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a Python program and record it (passes all arguments to dashcam-recorder)
    #[command(disable_help_flag = true)]
    Record(record::Args),
    /// List the recorded runs
    Runs(runs::Args),
    /// Query a recording in SQL
    Query(query::Args),
    /// Step through a run, forwards and backwards
    Replay(replay::Args),
    /// Print a run's events, one per line
    Dump(dump::Args),
    /// Write tables as Parquet files or an Arrow stream, for other engines
    Export(export::Args),
    /// Find the differences between two runs of a program
    Diff(diff::Args),
    /// Verify every chunk and report damage
    Check(check::Args),
    /// Describe the tables and their columns
    Schema(schema::Args),
    /// Answer another program's requests, as lines of JSON
    Serve(serve::Args),
    /// Print the path of the extension with which other SQLite clients read recordings
    SqliteExtension(sqlite_extension::Args),
    /// Print a script that completes commands and options in a shell
    Completions(manual::Completions),
    /// Print a manual page, or write all of them into a folder
    Man(manual::Man),
    /// Test what works with an interpreter, and whether derived events are correct
    Doctor(doctor::Args),
}

/// The recording to read.
#[derive(clap::Args)]
struct Database {
    /// The recording
    #[arg(value_name = "DB", default_value = DEFAULT)]
    path: PathBuf,
}

const DEFAULT: &str = "dashcam.db";

/// The runs of a recording that a subcommand reads.
#[derive(clap::Args)]
struct RunChoice {
    /// The run, or all runs; the last run if left out
    #[arg(long, value_name = "N|all", value_parser = run_choice)]
    run: Option<Wanted>,
}

/// Which code is the user's own.
#[derive(clap::Args)]
struct MineChoice {
    /// Your own code: globs of paths or names of directories; if left out, $DASHCAM_MINE, or else
    /// everything outside the standard library and installed packages
    #[arg(long, value_name = "GLOB")]
    mine: Vec<String>,
}

impl MineChoice {
    /// Passes the choice to the store.
    fn apply(&self, store: &Store) {
        if !self.mine.is_empty() {
            store.set_mine(Mine::new(&self.mine));
        }
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    All,
    One(i64),
}

impl RunChoice {
    /// The run; `None` for all of them.
    fn of(&self, store: &Store) -> Result<Option<i64>, Error> {
        match self.run {
            Some(Wanted::All) => Ok(None),
            Some(Wanted::One(run)) => store.run(Some(run)).map(Some),
            None if store.directory().runs.is_empty() => Ok(None),
            None => store.run(None).map(Some),
        }
    }
}

fn run_choice(text: &str) -> Result<Wanted, String> {
    match text {
        "all" => Ok(Wanted::All),
        _ => text.parse().map(Wanted::One).map_err(|_| "a run's number, or all".to_owned()),
    }
}

fn main() -> ExitCode {
    // All arguments of `record` are for the recorder, including `--help`.
    let mut arguments = std::env::args_os().skip(1);
    let result = if arguments.next().is_some_and(|verb| verb == "record") {
        record::run(arguments)
    } else {
        let cli = Cli::try_parse().unwrap_or_else(|error| {
            let first = std::env::args_os().nth(1).unwrap_or_default();
            if error.kind() == clap::error::ErrorKind::InvalidSubcommand && is_program(&first) {
                let first = output::printable(&first.to_string_lossy());
                eprintln!("dashcam: {first} is no command; to record it: dashcam record {first}");
                std::process::exit(2);
            }
            error.exit()
        });
        match cli.verb {
            Verb::Record(args) => record::run(args.arguments.into_iter()),
            Verb::Runs(args) => noting_log(&args.database.path, runs::run(&args)),
            Verb::Query(args) => query::run(&args),
            Verb::Replay(args) => replay::run(&args),
            Verb::Dump(args) => dump::run(&args),
            Verb::Export(args) => export::run(&args),
            Verb::Diff(args) => diff::run(&args),
            Verb::Check(args) => noting_log(&args.database.path, check::run(&args)),
            Verb::Schema(args) => schema::run(&args),
            Verb::Serve(args) => serve::run(&args),
            Verb::SqliteExtension(args) => sqlite_extension::run(&args),
            Verb::Completions(args) => manual::completions(&args),
            Verb::Man(args) => manual::man(&args),
            Verb::Doctor(args) => doctor::run(&args),
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(report(&error)),
    }
}

/// Prints which files a copy of the recording has to include, if there is more than one: closing
/// the recording moves the write-ahead log into it only if no other process has it open and it is
/// writable.
fn noting_log(path: &Path, result: anyhow::Result<u8>) -> anyhow::Result<u8> {
    let bytes = wal_bytes(path);
    if bytes > 0 && result.is_ok() {
        let (shown, kilobytes) = (path.display(), bytes.div_ceil(1000));
        let line = format!("{shown}-wal holds {kilobytes} kB of this recording: copy both");
        eprintln!("dashcam: {}", output::printable(&line));
    }
    result
}

/// Whether a user who types this as first argument means a program to record.
fn is_program(word: &std::ffi::OsStr) -> bool {
    let path = std::path::Path::new(word);
    path.is_file() || path.extension().is_some_and(|extension| extension == "py")
}

/// Whether the reader of our output has closed it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Prints the error in one line. Returns the exit code.
fn report(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return 0;
    }
    if matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted)) {
        eprintln!("dashcam: interrupted");
        return 130;
    }
    eprintln!("dashcam: {}", output::printable(&format!("{error:#}")));
    1
}
