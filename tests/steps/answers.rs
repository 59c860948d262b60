//! Asking: commands in, a line each, answers out.

use dashcam_tests::{Recording, plain, run_with_input, tests_path, text};
use serde_json::Value;

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

/// Starts anew, gives the commands and takes the answers: as many.
pub(crate) fn ask(who: Who, recording: &Recording, commands: &[String]) -> Vec<Answer> {
    let mut command = match who {
        Who::Dashcam => recording.python.dashcam(),
        Who::Reference => recording.python.bare(),
    };
    match who {
        Who::Dashcam => command.arg("replay").arg(&recording.db).args(["--format", "json"]),
        Who::Reference => command
            .arg(tests_path("steps/reference.py"))
            .arg(recording.python.dashcam().get_program())
            .arg(&recording.db),
    };
    let output = run_with_input(&mut command, (commands.join("\n") + "\n").as_bytes());
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{}: {who:?}: {errors}", recording.python);
    let answers: Vec<Answer> = text(&output.stdout)
        .lines()
        .map(|line| match serde_json::from_str(line) {
            Ok(Value::Object(answer)) => Answer(Value::Object(answer)),
            other => panic!("{who:?}: no answer: {line}: {other:?}"),
        })
        .collect();
    assert_eq!(answers.len(), commands.len(), "{who:?}: answers; {errors}");
    for (command, answer) in commands.iter().zip(&answers) {
        let verb = |text: &str| text.split(' ').next().map(str::to_owned);
        let answered = answer.0["command"].as_str().and_then(verb);
        assert_eq!(answered, verb(command), "{who:?}: an answer to `{command}`: {}", answer.0);
    }
    answers
}
