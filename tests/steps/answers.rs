//! Commands to a debugger, one per line, and its answers.

use dashcam_tests::{Recording, Watchdog, finish, plain, spawn, tests_path, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout};

/// The two debuggers. They take the same commands and give answers of the same form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Debugger {
    /// `dashcam replay`.
    Dashcam,
    /// `reference.py`.
    Reference,
}

/// An answer to a command.
pub(crate) struct Answer(pub(crate) Value);

impl Answer {
    /// Returns the event that the command leads to.
    pub(crate) fn position(&self) -> i64 {
        self.0["position"].as_i64().unwrap_or_else(|| panic!("no position: {}", self.0))
    }

    /// Whether the command led nowhere: to the run's end, or backwards to its start.
    pub(crate) fn at_limit(&self) -> bool {
        matches!(self.0["why"].as_str(), Some("start" | "end"))
    }

    /// Returns where the command led, as a line of text. It does not contain which event stands for
    /// the run's start and end, nor the line of an event that is no LINE event: some have none.
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
    /// The answer follows from the stack as it is recorded, which lacks calls that await the
    /// coroutine that something is thrown into. This is known, and a test of its own shows it.
    AsRecorded,
    No,
}

/// Compares an answer with the expected one.
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

/// A debugger that was started on a recording. It keeps its breakpoints and its position from
/// command to command.
pub(crate) struct Session {
    debugger: Debugger,
    /// `None` once it has ended.
    child: Option<Child>,
    input: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// Kills a process that hangs, so that its answers end.
    _watchdog: Watchdog,
}

impl Session {
    pub(crate) fn new(debugger: Debugger, recording: &Recording) -> Session {
        let mut command = match debugger {
            Debugger::Dashcam => recording.python.dashcam(),
            Debugger::Reference => recording.python.bare(),
        };
        match debugger {
            Debugger::Dashcam => {
                command.arg("replay").arg(&recording.db).args(["--format", "json", "--all-code"])
            }
            Debugger::Reference => command
                .arg(tests_path("steps/reference.py"))
                .arg(recording.python.dashcam().get_program())
                .arg(&recording.db),
        };
        let mut child = spawn(&mut command);
        let watchdog = Watchdog::new(&child);
        let input = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Session { debugger, child: Some(child), input, answers, _watchdog: watchdog }
    }

    /// Gives commands and returns their answers, one for each.
    pub(crate) fn ask(&mut self, commands: &[String]) -> Vec<Answer> {
        let Session { debugger, input, answers, .. } = self;
        let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
        let input = input.as_mut().unwrap();
        // Answers arrive before all commands are given.
        std::thread::scope(|scope| {
            scope.spawn(|| input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap());
            let answer = |command: &String| {
                let line =
                    answers.next().unwrap_or_else(|| panic!("{debugger:?}: no answer: {command}"));
                let line = line.unwrap();
                let Ok(Value::Object(answer)) = serde_json::from_str(&line) else {
                    panic!("{debugger:?}: no answer to `{command}`: {line}")
                };
                let answer = Value::Object(answer);
                let verb = |text: &str| text.split(' ').next().map(str::to_owned);
                let answered = answer["command"].as_str().and_then(verb);
                assert_eq!(
                    answered,
                    verb(command),
                    "{debugger:?}: an answer to `{command}`: {answer}"
                );
                Answer(answer)
            };
            commands.iter().map(answer).collect()
        })
    }

    /// Ends the input and waits for the process. Fails if there are more answers.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        let more = self.answers.by_ref().map(Result::unwrap).collect::<Vec<_>>();
        let output = self.child.take().map(finish).unwrap();
        let (debugger, errors) = (self.debugger, text(&output.stderr));
        assert!(output.status.success(), "{debugger:?}: {errors}");
        assert!(more.is_empty(), "{debugger:?}: more answers than commands: {more:?}; {errors}");
    }
}

impl Drop for Session {
    /// A test that fails does not leave the process behind.
    fn drop(&mut self) {
        drop(self.input.take());
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// Starts a debugger, gives commands and returns their answers, one for each.
pub(crate) fn ask(debugger: Debugger, recording: &Recording, commands: &[String]) -> Vec<Answer> {
    let mut session = Session::new(debugger, recording);
    let answers = session.ask(commands);
    session.end();
    answers
}
