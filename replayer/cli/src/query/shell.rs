//! The SQL shell: reads statements and a few commands from a terminal.

use super::complete::Words;
use super::statement::{self, End};
use super::{Output, execute};
use crate::output::{Format, printable};
use crate::replay::History;
use crate::schema;
use crate::session::Session;
use clap::ValueEnum as _;
use dashcam_replayer::store::Error;
use dashcam_replayer::suggest::closest;
use dashcam_schema::tables::TABLES;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::collections::BTreeSet;
use std::io::Write as _;

/// The commands, their arguments and descriptions.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    (".help", "", "this list"),
    (".mode", "table|csv|json|jsonl", "how rows are printed"),
    (".quit", "", "leave the shell; so does Ctrl-D"),
    (".run", "N|all", "the run that the tables show, or all of them"),
    (".schema", "[TABLE]", "the tables and functions, or the columns of a table"),
    (".tables", "", "the names of the tables"),
];

/// What happens after a command.
enum Next {
    Continue,
    Quit,
}

struct Shell<'a> {
    session: &'a Session,
    run: Option<i64>,
    output: Output,
    /// Damage that was already reported.
    reported: BTreeSet<String>,
}

/// Runs statements and commands until the input ends. Returns the exit code.
pub(super) fn run(session: &Session, run: Option<i64>, output: Output) -> anyhow::Result<u8> {
    let config = Config::builder().completion_type(CompletionType::List).build();
    let memory = MemHistory::with_config(&config);
    let mut editor: Editor<Typing, MemHistory> = Editor::with_history(config, memory)?;
    let mut history = History::open("query_history");
    for line in history.lines() {
        editor.add_history_entry(line)?;
    }
    editor.set_helper(Some(Typing { words: Words::new(session.recording.connection()) }));
    let mut shell = Shell { session, run, output, reported: BTreeSet::new() };
    shell.greet();
    // From here on Ctrl-C ends a statement, but never the shell.
    session.command(|| ());
    loop {
        let typed = match editor.readline("dashcam> ") {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        if statement::end(&typed) == End::Empty {
            continue;
        }
        editor.add_history_entry(typed.trim())?;
        history.add(&one_line(&typed));
        if let Next::Quit = shell.answer(typed.trim())? {
            break;
        }
    }
    session.finish(shell.run)
}

/// Joins the lines of a statement for the history file, which has one line per statement. A comment
/// would then hide the text after it, so a statement with a comment is returned unchanged. If it
/// has several lines, it is not kept.
fn one_line(typed: &str) -> String {
    match typed.contains("--") {
        true => typed.to_owned(),
        false => typed.split('\n').map(str::trim).collect::<Vec<_>>().join(" "),
    }
}

impl Shell<'_> {
    fn greet(&self) {
        let path = self.session.recording.store().path().display();
        let runs = &self.session.recording.store().directory().runs;
        let run = match (self.run, runs.last()) {
            (Some(run), Some(last)) if runs.len() > 1 => format!("run {run} of {last}"),
            (Some(run), _) => format!("run {run}"),
            (None, _) => "all runs".to_owned(),
        };
        println(&format!("{path}, {run}. A statement ends with ; and .help lists commands."));
    }

    fn answer(&mut self, typed: &str) -> anyhow::Result<Next> {
        if typed.starts_with('.') {
            return self.command(typed.trim_end_matches(';'));
        }
        for sql in statement::split(typed) {
            let (session, output) = (self.session, &self.output);
            // A pager that the user leaves early is not an error.
            match session.command(|| execute(session, sql, output)) {
                Ok(()) => {}
                Err(error) if crate::is_broken_pipe(&error) => {}
                Err(error) => {
                    let is_interrupted =
                        matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted));
                    let message = format!("{error:#}");
                    let message = if is_interrupted { "interrupted" } else { &message };
                    println(&format!("*** {}", printable(message)));
                    break;
                }
            }
            for line in self.session.recording.store().damage() {
                if self.reported.insert(line.clone()) {
                    println(&format!("*** {}", printable(&line)));
                }
            }
        }
        Ok(Next::Continue)
    }

    fn command(&mut self, typed: &str) -> anyhow::Result<Next> {
        let words: Vec<&str> = typed.split_whitespace().collect();
        let (command, rest) = words.split_first().map_or((typed, &[][..]), |(c, rest)| (*c, rest));
        match (command, rest) {
            (".quit" | ".exit" | ".q", []) => return Ok(Next::Quit),
            (".help", []) => {
                for (name, arguments, what) in COMMANDS {
                    println(&format!("{:<28} {what}", format!("{name} {arguments}")));
                }
            }
            (".tables", []) => {
                let tables = TABLES.iter().filter(|table| !table.is_internal);
                println(&tables.map(|table| table.name).collect::<Vec<_>>().join("  "));
            }
            (".schema", [] | [_]) => {
                let name = rest.first().copied();
                match schema::text(name) {
                    Ok(text) => self.page(&text)?,
                    Err(error) => println(&format!("*** {error}")),
                }
            }
            (".mode", [mode]) => match Format::from_str(mode, true) {
                Ok(format) => self.output.format = format,
                Err(_) => println(&format!("*** no mode {mode}: table, csv, json or jsonl")),
            },
            (".run", [wanted]) => match self.bind(wanted) {
                Ok(()) => self.greet(),
                Err(error) => println(&format!("*** {error:#}")),
            },
            _ => {
                let known = COMMANDS.iter().find(|(name, ..)| *name == command);
                let hint = closest(command, COMMANDS.iter().map(|(name, ..)| *name));
                println(&match (known, hint) {
                    (Some((name, arguments, _)), _) => {
                        format!("*** {}", format!("usage: {name} {arguments}").trim_end())
                    }
                    (None, Some(name)) => format!("*** no command {command}; did you mean {name}?"),
                    (None, None) => format!("*** no command {command}; see .help"),
                });
            }
        }
        Ok(Next::Continue)
    }

    fn bind(&mut self, wanted: &str) -> anyhow::Result<()> {
        let run = match wanted {
            "all" => None,
            _ => {
                let number = wanted.parse();
                let number = number.map_err(|_| anyhow::anyhow!("usage: .run N|all"))?;
                Some(self.session.recording.store().run(Some(number))?)
            }
        };
        self.session.recording.bind(run)?;
        self.run = run;
        Ok(())
    }

    fn page(&self, text: &str) -> anyhow::Result<()> {
        use crate::output::Sink as _;
        let mut paged = super::pager::Paged::new(self.output.pages, || ());
        match paged.write_all(text.as_bytes()).and_then(|()| paged.finish()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn println(line: &str) {
    let mut out = std::io::stdout().lock();
    // If the terminal is gone, the next read fails.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Completes the typed text, and makes the editor read on until a statement ends.
struct Typing {
    words: Words,
}

impl Completer for Typing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.words.complete(line.get(..cursor).unwrap_or(line)))
    }
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let typed = context.input();
        let is_whole = typed.trim_start().starts_with('.')
            || matches!(statement::end(typed), End::Complete)
            || typed.trim().is_empty();
        Ok(match is_whole {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Typing {
    type Hint = String;
}
impl Highlighter for Typing {}
impl Helper for Typing {}
