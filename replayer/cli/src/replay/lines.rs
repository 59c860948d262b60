//! The line mode: reads one command per line, and answers each.

use super::Format;
use super::complete::Words;
use super::history::History;
use crate::output::{json_printable, printable, stdout};
use crate::session::Session;
use dashcam_replayer::debugger::{Debugger, Failure, Reply, command, json, text};
use dashcam_replayer::store::Error;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::cell::RefCell;
use std::io::{BufRead as _, Write};
use std::rc::Rc;

/// Answers the commands on standard input.
pub(super) fn read(debugger: &mut Debugger, format: Format) -> anyhow::Result<()> {
    let mut out = stdout();
    let run_id = debugger.timeline().run_id();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let typed = line.trim();
        let reply = match debugger.say(typed) {
            Ok(None) => continue,
            Ok(Some(reply)) => Ok(reply),
            Err(Failure::Recording(error @ Error::Interrupted)) => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        match (format, &reply) {
            (Format::Text, reply) => put(&mut out, reply)?,
            (Format::Json, Ok(reply)) => {
                writeln!(out, "{}", json_printable(&json::json(typed, run_id, reply).to_string()))?;
            }
            (Format::Json, Err(message)) => {
                writeln!(out, "{}", json_printable(&json::error(typed, message).to_string()))?;
            }
        }
        // A program at the other end waits for the answer.
        out.flush()?;
        if matches!(reply, Ok(Reply::Quit)) {
            break;
        }
    }
    Ok(())
}

fn put(out: &mut impl Write, reply: &Result<Reply, String>) -> std::io::Result<()> {
    match reply {
        Ok(reply) => text::text(reply).lines().try_for_each(|line| {
            // Tabs occur in source.
            let line: Vec<String> = line.split('\t').map(printable).collect();
            writeln!(out, "{}", line.join("\t"))
        }),
        Err(message) => writeln!(out, "*** {}", printable(message)),
    }
}

/// Answers the commands that are typed at a terminal. An empty line repeats the last command.
pub(super) fn edited(session: &Session, debugger: Debugger) -> anyhow::Result<()> {
    let words = Words::of(&debugger);
    let debugger = Rc::new(RefCell::new(debugger));
    let config = Config::builder().completion_type(CompletionType::List).build();
    let memory = MemHistory::with_config(&config);
    let mut editor: Editor<Completing, MemHistory> = Editor::with_history(config, memory)?;
    let mut history = History::open("history");
    for line in history.lines() {
        editor.add_history_entry(line)?;
    }
    editor.set_helper(Some(Completing { debugger: debugger.clone(), words }));
    let mut out = stdout();
    let execute = |line: &str| {
        let reply = session.command(|| debugger.borrow_mut().say(line));
        reply.map_err(|error| error.to_string())
    };
    let mut typed = "info".to_owned();
    let mut has_begun = false;
    let mut last = String::new();
    loop {
        // Pasted text can have many lines.
        for line in typed.lines() {
            let Some(reply) = execute(line).transpose() else { continue };
            put_at_terminal(&mut out, &reply)?;
            if matches!(reply, Ok(Reply::Quit)) {
                return Ok(());
            }
            if matches!(command::parse(line), Ok(Some(_))) && has_begun {
                last = line.to_owned();
            }
        }
        has_begun = true;
        typed = loop {
            match editor.readline("(dashcam) ") {
                Ok(line) if !line.trim().is_empty() => break line,
                Ok(_) if !last.is_empty() => break last.clone(),
                Ok(_) | Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        };
        for line in typed.lines() {
            editor.add_history_entry(line.trim())?;
            history.add(line);
        }
    }
}

fn put_at_terminal(out: &mut impl Write, reply: &Result<Reply, String>) -> std::io::Result<()> {
    let mut text = Vec::new();
    put(&mut text, reply)?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "{}", printable(line))?;
    }
    out.flush()
}

/// Completes the typed text with names from the run.
struct Completing {
    debugger: Rc<RefCell<Debugger>>,
    words: Words,
}

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..cursor).unwrap_or(line);
        Ok(self.words.complete(&self.debugger.borrow(), line))
    }
}

impl Hinter for Completing {
    type Hint = String;
}
impl Highlighter for Completing {}
impl Validator for Completing {}
impl Helper for Completing {}
