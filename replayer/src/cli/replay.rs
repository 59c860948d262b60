//! `dashcam replay`: step through a run, forwards and backwards.

use super::output::{printable, stdout};
use super::session::Session;
use crate::debugger::{Debugger, Failure, Reply, json, text};
use crate::store::Error;
use anyhow::bail;
use std::io::{BufRead as _, Write};

#[derive(clap::Args)]
#[command(after_help = "\
Example: where did total go wrong?
  printf '%s\\n' 'break unhandled' continue where locals 'last-write total' | dashcam replay

`help` lists the commands.")]
pub(super) struct Args {
    #[command(flatten)]
    database: super::Database,
    /// The run; the last if left out
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// The event to begin at
    #[arg(long, value_name = "SEQ")]
    at: Option<i64>,
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
    let run = store.run(args.run)?;
    let Some(mut debugger) = Debugger::new(session.recording.clone(), run) else {
        bail!("{}: run {run} has no events", store.path().display());
    };
    if let Some(seq) = args.at {
        let to = debugger.timeline().position(seq);
        debugger.stand(to, "goto")?;
    }
    lines(&mut debugger, args.format)?;
    session.finish(Some(run))
}

/// Answers what comes on standard input, a command a line.
fn lines(debugger: &mut Debugger, format: Format) -> anyhow::Result<()> {
    let mut out = stdout();
    let run_id = debugger.timeline().run_id();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let said = line.trim();
        let reply = match debugger.say(said) {
            Ok(None) => continue,
            Ok(Some(reply)) => Ok(reply),
            Err(Failure::Recording(error @ Error::Interrupted)) => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        match (format, &reply) {
            (Format::Text, Ok(reply)) => out.write_all(text::text(reply).as_bytes())?,
            (Format::Text, Err(message)) => writeln!(out, "*** {}", printable(message))?,
            (Format::Json, Ok(reply)) => {
                writeln!(out, "{}", json::json(said, run_id, reply))?;
            }
            (Format::Json, Err(message)) => {
                writeln!(out, "{}", json::error(said, message))?;
            }
        }
        // Who speaks with us waits for the answer.
        out.flush()?;
        if matches!(reply, Ok(Reply::Quit)) {
            break;
        }
    }
    Ok(())
}
