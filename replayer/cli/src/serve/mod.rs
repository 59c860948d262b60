//! Answers requests of a program, as lines of JSON. The Python API is built on this.
//!
//! The first line of output names version and protocol: `{"dashcam": "0.1.0", "protocol": 1}`.
//! After that each line of input is a request,
//! `{"id": 1, "method": "goto", "run": 1, "to": "start"}`, and each line of output its answer,
//! `{"id": 1, "result": …}` or `{"id": 1, "error": {"kind": "refused", "message": …}}`, in the
//! order of the requests. An answer has `notes` if chunks turned out to be damaged: a sentence for
//! each, reported once. The server ends at the end of the input. Only cursors are kept between
//! requests: a request contains its position.
//!
//! | method | members | result |
//! |---|---|---|
//! | `query` | `sql`; `parameters`: array or object; `run`: tables of that run only; `rows`: maximum number of rows | `columns`, `rows`, `cursor`: for the rest, which may be empty; null if there is none |
//! | `fetch` | `cursor`, `rows` | `rows`, `cursor` |
//! | `close` | `cursor` | null |
//! | `goto` | `run`; `to`: as in [`replay`](dashcam_replayer::debugger::COMMANDS); or `position`: of an existing event | the position |
//! | `step` | `run`, `position`; `step`: `step`, `back-next` …; `follow`: `thread` or `task`; `mine`: true for lines of your own code only | the position |
//! | `resume` | `run`, `position`; `direction`: `forward` or `backward`; `breakpoints`: array | the position; `breakpoint` is an index into the array |
//! | `stack`, `threads` | `run`, `position` | `frames`, `threads` |
//! | `source`, `locals` | `run`, `position`, `depth` | lines; `variables` |
//! | `evaluate` | `run`, `position`, `depth`, `expression` | `text`; `held` |
//! | `write` | `run`, `position`, `depth`, `path`; `direction` | the position of the nearest write, or null |
//! | `origin` | `run`, `position`, `depth`, `path` | `links` |
//! | `values` | `texts`, `arguments`: whether they are named values | the values |
//! | `interrupt` | | no answer: earlier requests that are not answered yet fail with kind `interrupted`; cursors are closed |
//!
//! Positions, frames, threads and lines are written as in
//! [`debugger::json`](dashcam_replayer::debugger::json). Beside a value that is a text there, `held` has its
//! structure (see `tagged`). In rows and in `parameters`, bytes are `{"bytes": "00ff"}`, and floats
//! that JSON does not have `{"float": "inf"}`. Kinds of errors: `refused` (the request makes no
//! sense here), `sql`, `recording` (the file cannot be read), `interrupted`, `protocol`.
//!
//! A `query` whose rows are to be Arrow columns goes to a process of its own,
//! `dashcam export arrow --request` ([`columns`]).

mod cursors;
mod inbox;
mod places;
mod tagged;
mod verb;

pub(crate) use verb::{Args, run};

use cursors::Cursors;
use dashcam_replayer::debugger::{self, Debugger};
use dashcam_replayer::export::{self, Sink};
use dashcam_replayer::sql::Recording;
use dashcam_replayer::store::Error;
use inbox::{Inbox, Request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};
use std::rc::Rc;

/// Version of the protocol. It changes when old clients would misunderstand the new one.
const PROTOCOL: u32 = 1;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Sql(String),
    #[error("{0}")]
    Protocol(String),
    #[error(transparent)]
    Recording(#[from] Error),
}

impl From<debugger::Failure> for Failure {
    fn from(failure: debugger::Failure) -> Failure {
        match failure {
            debugger::Failure::Refused(what) => Failure::Refused(what),
            debugger::Failure::Recording(error) => Failure::Recording(error),
        }
    }
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Failure::Refused(_) => "refused",
            Failure::Sql(_) => "sql",
            Failure::Protocol(_) => "protocol",
            Failure::Recording(Error::Interrupted) => "interrupted",
            Failure::Recording(_) => "recording",
        }
    }
}

/// The answer to a request: its result as JSON.
type Answer = Result<String, Failure>;

struct Server<'a> {
    recording: &'a Rc<Recording>,
    cursors: Cursors<'a>,
    /// By run. They are kept between requests only to be faster.
    debuggers: BTreeMap<i64, Debugger>,
    /// Sentences about damage that were reported.
    reported: BTreeSet<String>,
}

/// Writes the rows of a request `query`, a line of JSON, as Arrow columns to `sink`.
///
/// # Errors
/// If the request makes no sense; the errors of the statement and of `sink`.
pub(crate) fn columns(
    recording: &Recording,
    line: &[u8],
    sink: Sink<'_>,
) -> Result<(), export::Error> {
    cursors::columns(recording, &Request::of(line), sink)
}

/// Answers requests until there are no more.
///
/// # Errors
/// If answers cannot be written.
pub(crate) fn serve(
    recording: &Rc<Recording>,
    input: impl BufRead + Send + 'static,
    out: &mut impl Write,
) -> io::Result<()> {
    let inbox = Inbox::open(recording.connection().get_interrupt_handle(), input)?;
    let hello = json!({"dashcam": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL});
    writeln!(out, "{hello}")?;
    out.flush()?;
    let mut server = Server {
        recording,
        cursors: Cursors::new(recording),
        debuggers: BTreeMap::new(),
        reported: BTreeSet::new(),
    };
    while let Some(request) = inbox.next() {
        server.forget_interrupt();
        let answer = match inbox.is_interrupted(&request) {
            true => Err(Error::Interrupted.into()),
            false => server.answer(&request),
        };
        write!(out, "{{\"id\":{}", request.id())?;
        match answer {
            Ok(result) => write!(out, ",\"result\":{result}")?,
            Err(failure) => {
                let error = json!({"kind": failure.kind(), "message": failure.to_string()});
                write!(out, ",\"error\":{error}")?;
            }
        }
        let notes = server.notes();
        if !notes.is_empty() {
            write!(out, ",\"notes\":{}", Value::from(notes))?;
        }
        writeln!(out, "}}")?;
        // The client waits for the answer.
        out.flush()?;
    }
    Ok(())
}

impl Server<'_> {
    /// Resets an interrupt that came after the request it was meant for was answered.
    fn forget_interrupt(&mut self) {
        let connection = self.recording.connection();
        if connection.is_interrupted() {
            // SQLite resets it when a statement starts while no other is running.
            self.cursors.clear();
            let _ = connection.query_row("SELECT 1", [], |_| Ok(()));
        }
    }

    /// Sentences about damage that have not been reported yet.
    fn notes(&mut self) -> Vec<String> {
        let damage = self.recording.store().damage();
        damage.into_iter().filter(|line| self.reported.insert(line.clone())).collect()
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match request.text("method")? {
            "query" => self.cursors.query(request),
            "fetch" => self.cursors.fetch(request),
            "close" => self.cursors.close(request),
            "goto" => self.goto(request),
            "step" => self.step(request),
            "resume" => self.resume(request),
            "stack" => self.stack(request),
            "threads" => self.threads(request),
            "source" => self.source(request),
            "locals" => self.locals(request),
            "evaluate" => self.evaluate(request),
            "write" => self.write(request),
            "origin" => self.origin(request),
            "values" => values(request),
            other => Err(Failure::Protocol(format!("no method {other}"))),
        }
    }
}

fn values(request: &Request) -> Answer {
    let are_arguments = request.flag("arguments");
    let texts = request.texts("texts")?;
    let held = texts.iter().map(|text| match are_arguments {
        true => tagged::arguments(text),
        false => tagged::value(text),
    });
    Ok(Value::from_iter(held).to_string())
}

#[cfg(test)]
mod tests;
