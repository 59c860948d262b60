//! Asking: commands in, a line each, answers out.

use dashcam_tests::{Recording, Watchdog, finish, plain, spawn, tests_path, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout};

/// Who answers: both speak alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// `dashcam replay`.
    Dashcam,
    /// `reference.py`.
    Reference,
}

/// An answer to a command.
pub(crate) struct Answer(pub(crate) Value);

impl Answer {
    /// The event it leads to.
    pub(crate) fn position(&self) -> i64 {
        self.0["position"].as_i64().unwrap_or_else(|| panic!("no position: {}", self.0))
    }

    /// Whether it led nowhere: to the run's end, or backwards to its start.
    pub(crate) fn at_limit(&self) -> bool {
        matches!(self.0["why"].as_str(), Some("start" | "end"))
    }

    /// Where it led, as a line of text. Which event stands for the run's start and end is not said, nor
    /// is the line of what is no LINE event: some have none.
    pub(crate) fn place(&self) -> String {
        if let Value::String(error) = &self.0["error"] {
            return format!("error: {error}");
        }
        if self.at_limit() {
            return plain(&self.0["why"]);
        }
        let mut parts = vec!["position", "thread", "event", "path", "function", "depth"];
        if self.0["event"] == "LINE" {
            parts.push("line");
        }
        parts.iter().map(|part| format!("{part} {} ", plain(&self.0[*part]))).collect()
    }
}

/// How an answer compares with the one expected of `reference.py`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Same {
    Yes,
    /// It is what follows from the stack as it is recorded, which lacks calls that await what is
    /// thrown into: known, and shown by a test of its own.
    AsRecorded,
    No,
}

/// Compares them.
pub(crate) fn same(expected: &Answer, found: &Answer) -> Same {
    if found.place() == expected.place() {
        return Same::Yes;
    }
    match &expected.0["recorded"] {
        Value::Null => Same::No,
        recorded if found.place() == Answer(recorded.clone()).place() => Same::AsRecorded,
        _ => Same::No,
    }
}

/// One of both, started on a recording. What it was told before holds on: breakpoints, and where it is.
pub(crate) struct Session {
    who: Who,
    /// Until it is ended.
    child: Option<Child>,
    input: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// Ends what hangs, so that there is an end of its answers.
    _watchdog: Watchdog,
}

impl Session {
    pub(crate) fn new(who: Who, recording: &Recording) -> Session {
        let mut command = match who {
            Who::Dashcam => recording.python.dashcam(),
            Who::Reference => recording.python.bare(),
        };
        match who {
            Who::Dashcam => {
                command.arg("replay").arg(&recording.db).args(["--format", "json", "--all-code"])
            }
            Who::Reference => command
                .arg(tests_path("steps/reference.py"))
                .arg(recording.python.dashcam().get_program())
                .arg(&recording.db),
        };
        let mut child = spawn(&mut command);
        let watchdog = Watchdog::new(&child);
        let input = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Session { who, child: Some(child), input, answers, _watchdog: watchdog }
    }

    /// Gives commands and takes the answers: as many.
    pub(crate) fn ask(&mut self, commands: &[String]) -> Vec<Answer> {
        let Session { who, input, answers, .. } = self;
        let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
        let input = input.as_mut().unwrap();
        // Answers come before all commands are given.
        std::thread::scope(|scope| {
            scope.spawn(|| input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap());
            let answer = |command: &String| {
                let line =
                    answers.next().unwrap_or_else(|| panic!("{who:?}: no answer: {command}"));
                let line = line.unwrap();
                let Ok(Value::Object(answer)) = serde_json::from_str(&line) else {
                    panic!("{who:?}: no answer to `{command}`: {line}")
                };
                let answer = Value::Object(answer);
                let verb = |text: &str| text.split(' ').next().map(str::to_owned);
                let answered = answer["command"].as_str().and_then(verb);
                assert_eq!(answered, verb(command), "{who:?}: an answer to `{command}`: {answer}");
                Answer(answer)
            };
            commands.iter().map(answer).collect()
        })
    }

    /// Says that there are no more commands.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        let more = self.answers.by_ref().map(Result::unwrap).collect::<Vec<_>>();
        let output = self.child.take().map(finish).unwrap();
        let (who, errors) = (self.who, text(&output.stderr));
        assert!(output.status.success(), "{who:?}: {errors}");
        assert!(more.is_empty(), "{who:?}: more answers than commands: {more:?}; {errors}");
    }
}

impl Drop for Session {
    /// Not to be left behind by a test that fails.
    fn drop(&mut self) {
        drop(self.input.take());
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// Starts anew, gives the commands and takes the answers: as many.
pub(crate) fn ask(who: Who, recording: &Recording, commands: &[String]) -> Vec<Answer> {
    let mut session = Session::new(who, recording);
    let answers = session.ask(commands);
    session.end();
    answers
}
