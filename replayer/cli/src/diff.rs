//! `dashcam diff`: the places where two runs of a program differ.

mod json;
mod text;

use super::output::{json_printable, stdout};
use super::session::Session;
use anyhow::{anyhow, bail};
use dashcam_replayer::diff::{self, Exclude, Options, Run};
use dashcam_replayer::store::Store;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use text::Show;

#[derive(clap::Args)]
#[command(
    override_usage = "dashcam diff [DB] [RUN RUN] [OPTIONS]\n       dashcam diff A.db[:RUN] B.db[:RUN] [OPTIONS]",
    after_help = "\
Example: a test that fails one time in fifty
  dashcam record -o good.db -m pytest tests/test_it.py
  dashcam record -o bad.db -m pytest tests/test_it.py
  dashcam diff good.db bad.db

Without runs, the last two runs of the recording are compared; with two recordings, the
last run of each. The earliest difference comes first, and similar ones at the same place
are counted with it. `seq` is the position in each run, as for stack_at and locals_at.

Values that differ between any two runs are ignored: times, object numbers, addresses and
ints that could be addresses, results of __hash__, the order in which threads take turns,
and the order of sets. Clocks, random numbers, process ids and values that depend on them
are compared: leave them out with --ignore, or leave out the code that uses them with
--exclude and --no-stdlib. Set PYTHONHASHSEED while recording if the program iterates over
sets of strings.

Differences in your own code come first: code that is neither standard library nor an
installed package, or that --mine names. Values that were not recorded cannot be compared:
if no difference is found, they are counted, and the exit code is 0.

Exit codes: 0 no difference, 1 differences, 2 an error, such as a damaged recording,
130 interrupted."
)]
pub(super) struct Args {
    /// The recording (./dashcam.db if left out) and two runs, or two recordings
    #[arg(num_args = 0..=3, value_names = ["DB", "RUN", "RUN"])]
    arguments: Vec<String>,
    /// Find at most this many differences
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Compare only the control flow
    #[arg(long)]
    ignore_values: bool,
    /// Ignore the values of these variables, arguments or functions: names or globs
    #[arg(long, value_name = "NAME")]
    ignore: Vec<String>,
    /// Leave this code out, as if it had not been recorded: a file, directory, function or glob
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out the standard library
    #[arg(long)]
    no_stdlib: bool,
    #[command(flatten)]
    mine: super::MineChoice,
    /// How to print differences
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// For people; stable in a pipe
    Text,
    /// One object
    Json,
}

/// Exits like `diff`: 1 means differences, so an error is 2.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    match compare(args) {
        Ok(code) => Ok(code),
        Err(error) => Ok(match super::report(&error) {
            1 => 2,
            other => other,
        }),
    }
}

/// A run of a file; the last run if `run` is `None`.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    path: PathBuf,
    run: Option<i64>,
}

/// The runs that the arguments name. If the second is `None`, the last two runs of one recording.
fn wanted(arguments: &[String]) -> anyhow::Result<(Wanted, Option<Wanted>)> {
    let is_file = |text: &str| Path::new(text).is_file();
    let number = |text: &str| text.parse::<i64>().ok().filter(|_| !is_file(text));
    let run =
        |text: &str| number(text).ok_or_else(|| anyhow!("{text}: not a run; see: dashcam runs"));
    let of = |path: &str, run| Wanted { path: path.into(), run };
    // `a.db:3`, unless a file has that name.
    let file = |text: &str| match text.rsplit_once(':') {
        Some((path, number)) if !is_file(text) && number.parse::<i64>().is_ok() => {
            of(path, number.parse().ok())
        }
        _ => of(text, None),
    };
    Ok(match arguments {
        [] => (of(super::DEFAULT, None), None),
        [one] if number(one).is_some() => bail!("two runs are compared; one was named"),
        [one] => (file(one), None),
        [a, b] if number(a).is_some() && number(b).is_some() => {
            (of(super::DEFAULT, number(a)), Some(of(super::DEFAULT, number(b))))
        }
        [a, b] if number(a).is_none() && number(b).is_none() => (file(a), Some(file(b))),
        [_, _] => bail!("which runs? name two runs, or two recordings as A.db:RUN B.db:RUN"),
        [db, a, b, ..] => (of(db, Some(run(a)?)), Some(of(db, Some(run(b)?)))),
    })
}

fn compare(args: &Args) -> anyhow::Result<u8> {
    let (one, two) = wanted(&args.arguments)?;
    let first = Session::open(&one.path)?;
    let other = two.as_ref().filter(|two| two.path != one.path);
    let second = other.map(|two| Session::open(&two.path)).transpose()?;
    let runs = match &two {
        Some(two) => {
            let store = second.as_ref().unwrap_or(&first).recording.store();
            [choose(first.recording.store(), one.run)?, choose(store, two.run)?]
        }
        None => {
            let store = first.recording.store();
            match (&store.directory().runs[..], one.run) {
                ([.., a, b], None) => [*a, *b],
                (_, None) => bail!("{}: fewer than two runs", store.path().display()),
                _ => bail!("two runs are compared; one was named"),
            }
        }
    };
    let sessions = [&first, second.as_ref().unwrap_or(&first)];
    let stores = sessions.map(|session| session.recording.store());
    stores.iter().for_each(|store| args.mine.apply(store));
    let sides = [0, 1].map(|side: usize| Run { store: stores[side], run_id: runs[side] });
    let options = Options {
        values: !args.ignore_values,
        limit: args.limit as usize,
        exclude: Exclude { patterns: args.exclude.clone(), stdlib: args.no_stdlib },
        ignored: args.ignore.clone(),
        ..Options::default()
    };
    let tick = |done, of| first.tick(done, of);
    let report = diff::compare(sides[0], sides[1], &options, &tick)?;
    sessions.iter().for_each(|session| session.clear());
    match args.format {
        Format::Text => {
            Show::new(sides).report(&report)?;
        }
        Format::Json => {
            let mut out = stdout();
            let report = json::report(&report, sides);
            let report = serde_json::to_string_pretty(&report)?;
            writeln!(out, "{}", json_printable(&report))?;
            out.flush()?;
        }
    }
    let mut is_damaged = first.finish(Some(runs[0]))? != 0;
    if second.is_some() || runs[0] != runs[1] {
        is_damaged |= sessions[1].finish(Some(runs[1]))? != 0;
    }
    Ok(match (is_damaged, report.differences.is_empty()) {
        (true, _) => 2,
        (false, is_same) => u8::from(!is_same),
    })
}

fn choose(store: &Store, run: Option<i64>) -> anyhow::Result<i64> {
    let runs = &store.directory().runs;
    let path = store.path().display();
    match (run, runs.last()) {
        (Some(run), _) if runs.contains(&run) => Ok(run),
        (Some(run), Some(last)) => bail!("{path}: no run {run}; the last is {last}"),
        (None, Some(last)) => Ok(*last),
        (_, None) => bail!("{path}: no runs"),
    }
}
