//! `dashcam replay`: step through a run, forwards and backwards.
//!
//! - `lines`: one command per line, each with an answer; for programs, optionally on a terminal;
//! - `screen`: source, stack, variables and the run on a terminal;
//! - `complete`, `history`: input help for both.

mod complete;
mod history;
mod lines;
mod screen;

pub(super) use history::History;

use super::session::Session;
use anyhow::bail;
use dashcam_replayer::debugger::command::Target;
use dashcam_replayer::debugger::{Command, Debugger};
use std::io::IsTerminal as _;

#[derive(clap::Args)]
#[command(after_help = "\
Example: where did total go wrong?
  printf '%s\\n' 'goto crash' where locals 'last-write total' | dashcam replay

On a terminal, `?` shows the keys. `help` lists the commands.")]
pub(super) struct Args {
    #[command(flatten)]
    database: super::Database,
    /// The run; the last run if left out
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// The event to begin at
    #[arg(long, value_name = "SEQ")]
    at: Option<i64>,
    #[command(flatten)]
    mine: super::MineChoice,
    /// Let steps and exceptions stop in all code, not only in yours
    #[arg(long)]
    all_code: bool,
    /// Use lines instead of the full screen on a terminal
    #[arg(long)]
    plain: bool,
    /// How to print answers
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// One JSON object for each command, one per line
    Json,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let store = session.recording.store();
    args.mine.apply(store);
    let run = store.run(args.run)?;
    let Some(mut debugger) = Debugger::new(session.recording.clone(), run) else {
        bail!("{}: run {run} has no events", store.path().display());
    };
    debugger.set_only_mine(!args.all_code);
    if let Some(seq) = args.at {
        debugger.run(Command::Goto(Target::Seq(seq)))?;
    }
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    match args.format {
        Format::Text if is_terminal && !args.plain && !is_dumb => {
            if let Some(signal) = screen::run(&session, debugger)? {
                // The exit code that a shell reports for a program ended by this signal.
                return Ok(u8::try_from(128 + signal).unwrap_or(1));
            }
        }
        Format::Text if is_terminal => lines::edited(&session, debugger)?,
        format => lines::read(&mut debugger, format)?,
    }
    session.finish(Some(run))
}
