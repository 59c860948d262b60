//! `dashcam replay`: step through a run, forwards and backwards.
//!
//! - `lines`: a command a line, an answer each; for programs, and on a terminal if one likes;
//! - `screen`: source, stack, variables and the run on a terminal;
//! - `complete`, `history`: what both do for who types.

mod complete;
mod history;
mod lines;
mod screen;

pub(super) use history::History;

use super::session::Session;
use crate::debugger::command::Target;
use crate::debugger::{Command, Debugger};
use anyhow::bail;
use std::io::IsTerminal as _;

#[derive(clap::Args)]
#[command(after_help = "\
Example: where did total go wrong?
  printf '%s\\n' 'goto crash' where locals 'last-write total' | dashcam replay

On a terminal, `?` shows the keys. `help` lists the commands.")]
pub(super) struct Args {
    #[command(flatten)]
    database: super::Database,
    /// The run; the last if left out
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// The event to begin at
    #[arg(long, value_name = "SEQ")]
    at: Option<i64>,
    #[command(flatten)]
    mine: super::MineChoice,
    /// Steps and exceptions stop in all code, and not only in yours
    #[arg(long)]
    all_code: bool,
    /// Lines instead of the full screen on a terminal
    #[arg(long)]
    plain: bool,
    /// How to answer
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// One object for each command, a line each
    Json,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let store = session.recording.store();
    args.mine.say(store);
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
                // As a shell says it of who is ended by it.
                return Ok(u8::try_from(128 + signal).unwrap_or(1));
            }
        }
        Format::Text if is_terminal => lines::edited(&session, debugger)?,
        format => lines::read(&mut debugger, format)?,
    }
    session.finish(Some(run))
}
