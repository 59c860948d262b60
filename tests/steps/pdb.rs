//! `step`, `next`, `finish` and `continue` stop where pdb stops, each time (`oracle.py`).

use crate::answers::{Answer, Debugger, Same, Session, same};
use crate::random::Random;
use dashcam_tests::{Recording, plain, program, run_with_input, tests_path, text};
use serde_json::{Value, json};

/// Commands between two places, one of them in library code. More commands mean that it never ends.
const PATIENCE: usize = 500_000;

/// An event of the program's own code, in its first thread.
struct Event {
    seq: i64,
    kind: String,
    path: String,
    function: String,
    line: Option<i64>,
}

/// Commands for pdb.
struct Sequence {
    /// Places of breakpoints during the commands that are compared.
    breakpoints: Vec<String>,
    /// All commands.
    commands: Vec<String>,
    /// The first of the moving commands that is compared, with those that follow.
    compared_from: usize,
}

/// One command, and where pdb stopped after it.
struct Case {
    sequence: usize,
    from: i64,
    command: String,
    /// `None` at the program's end.
    to: Option<i64>,
}

/// The program as pdb sees it.
struct Program {
    name: String,
    scope: String,
    thread: i64,
    events: Vec<Event>,
    /// Position where its module ends. What the interpreter does at its end is not part of the
    /// program.
    end: i64,
}

/// Compares random sequences of commands. Returns how many stops were compared.
pub(crate) fn compare(recording: &Recording, name: &str) -> usize {
    let program = Program::new(recording, name);
    let sequences = sequences(&program);
    let cases = cases(recording, &program, &sequences);
    let differences = differences(recording, &program, &sequences, &cases);
    assert!(
        differences.is_empty(),
        "{}, {name}.py: differences at {} of {} stops\n{}",
        recording.python,
        differences.len(),
        cases.len(),
        differences[..differences.len().min(5)].join("\n")
    );
    assert!(!cases.is_empty(), "{name}: nothing to compare");
    cases.len()
}

impl Program {
    fn new(recording: &Recording, name: &str) -> Program {
        let script = program(&format!("{name}.py"));
        let script = script.to_string_lossy();
        let scope = tests_path("programs/").to_string_lossy().into_owned();
        let rows = recording.rows(&format!(
            "select e.seq, e.thread_id, e.kind, c.path, c.qualname, e.line
             from events e join code_objects c using (code_id)
             where instr(c.path, '{scope}') = 1 and e.kind in ('PY_START', 'PY_RESUME', 'PY_THROW',
                 'PY_RETURN', 'PY_YIELD', 'PY_UNWIND', 'LINE')
             order by e.seq"
        ));
        let thread = rows[0][1].clone();
        let events: Vec<Event> = rows
            .iter()
            .filter(|row| row[1] == thread)
            .map(|row| Event {
                seq: row[0].as_i64().unwrap(),
                kind: plain(&row[2]),
                path: plain(&row[3]),
                function: plain(&row[4]),
                line: row[5].as_i64(),
            })
            .collect();
        let is_end = |event: &&Event| {
            event.path == script && event.function == "<module>" && event.ends_a_call()
        };
        // Code that the program has compiled under its own name ends before.
        let end = events.iter().rfind(is_end).map_or(i64::MAX, |event| event.seq);
        Program { name: name.to_owned(), scope, thread: thread.as_i64().unwrap(), events, end }
    }

    /// Returns the events that pdb can stop at: lines before the module's end. Texts that are no
    /// file are left out: there can be no breakpoints at their lines.
    fn lines(&self) -> Vec<&Event> {
        let is_one = |e: &&Event| e.kind == "LINE" && e.seq < self.end && e.path.ends_with(".py");
        self.events.iter().filter(is_one).collect()
    }

    fn own(&self, answer: &Answer) -> Place {
        if answer.at_limit() || answer.position() > self.end {
            return Place::End;
        }
        let is_own =
            answer.0["thread"] == self.thread && plain(&answer.0["path"]).starts_with(&self.scope);
        if is_own { Place::At(answer.position()) } else { Place::Elsewhere }
    }
}

/// Where an answer leads, as pdb sees it.
enum Place {
    At(i64),
    /// Into other files, or another thread.
    Elsewhere,
    /// Out of the program.
    End,
}

impl Event {
    fn ends_a_call(&self) -> bool {
        self.kind == "PY_RETURN" || self.kind == "PY_UNWIND"
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path, self.line.unwrap_or(0))
    }
}

fn sequences(program: &Program) -> Vec<Sequence> {
    let random = &mut Random::new(&program.name);
    let lines = program.lines();
    let mut all = Vec::new();
    for command in ["step", "next", "finish"] {
        let count = (lines.len() + 2).min(1_000);
        let commands = vec![command.to_owned(); count];
        all.push(Sequence { breakpoints: Vec::new(), commands, compared_from: 0 });
    }
    for _ in 0..14 {
        let weights = *random.of(&[[6, 3, 1], [3, 6, 1], [8, 1, 2], [2, 2, 2]]);
        let bag: Vec<&str> = ["step", "next", "finish"]
            .iter()
            .zip(weights)
            .flat_map(|(&command, weight)| std::iter::repeat_n(command, weight))
            .collect();
        let mut commands = to_line(&lines, random);
        let compared_from = commands.iter().filter(|c| *c == "continue").count();
        commands.extend((0..30).map(|_| (*random.of(&bag)).to_owned()));
        all.push(Sequence { breakpoints: Vec::new(), commands, compared_from });
    }
    for _ in 0..4 {
        let breakpoints: Vec<String> =
            (0..1 + random.below(3)).map(|_| random.of(&lines).place()).collect();
        let mut commands: Vec<String> =
            breakpoints.iter().map(|place| format!("break {place}")).collect();
        let bag = ["step", "continue", "continue"];
        commands.extend((0..30).map(|_| (*random.of(&bag)).to_owned()));
        all.push(Sequence { breakpoints, commands, compared_from: 0 });
    }
    all
}

/// Returns commands that lead to some line, at one of the times it is run, and leave no breakpoint.
fn to_line(lines: &[&Event], random: &mut Random) -> Vec<String> {
    let target = random.below(lines.len());
    let place = lines[target].place();
    // The first stop is at the first line, before any command.
    let times = lines[1..=target.max(1).min(lines.len() - 1)]
        .iter()
        .filter(|line| line.place() == place)
        .count();
    let mut commands = vec![format!("break {place}")];
    commands.extend(std::iter::repeat_n("continue".to_owned(), times.min(50)));
    commands.push("clear".to_owned());
    commands
}

/// Runs the sequences under pdb.
fn cases(recording: &Recording, program: &Program, sequences: &[Sequence]) -> Vec<Case> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("stops");
    let input: String =
        sequences.iter().map(|sequence| format!("{}\n", json!(sequence.commands))).collect();
    let mut command = recording.python.bare();
    command.arg(tests_path("steps/oracle.py")).arg(&out).arg(&program.scope);
    command.arg(tests_path(&format!("programs/{}.py", program.name)));
    let output = run_with_input(&mut command, input.as_bytes());
    assert!(output.status.success(), "{}: {}", recording.python, text(&output.stderr));
    let stops = std::fs::read_to_string(&out).unwrap();
    assert_eq!(stops.lines().count(), sequences.len());
    let mut cases = Vec::new();
    for (sequence, stops) in stops.lines().enumerate() {
        let stops: Vec<Value> = serde_json::from_str(stops).unwrap();
        let stops: Vec<Option<i64>> = stops.iter().map(|stop| position(program, stop)).collect();
        let moves = sequences[sequence]
            .commands
            .iter()
            .filter(|command| !command.starts_with("break") && *command != "clear");
        for (at, (two, command)) in stops.windows(2).zip(moves).enumerate() {
            let from = two[0].unwrap();
            if at >= sequences[sequence].compared_from {
                cases.push(Case { sequence, from, command: command.clone(), to: two[1] });
            }
        }
    }
    cases
}

/// Returns the event of the recording at which pdb stopped.
fn position(program: &Program, stop: &Value) -> Option<i64> {
    if stop[0] == "end" {
        return None;
    }
    let event = stop[1].as_u64().and_then(|ordinal| program.events.get(ordinal as usize));
    let is_it = |event: &&Event| {
        let kind_and_line = match stop[0].as_str() {
            Some("line") => event.kind == "LINE" && event.line == stop[4].as_i64(),
            _ => event.ends_a_call(),
        };
        kind_and_line && stop[2] == event.path && stop[3] == event.function
    };
    let event = event.filter(is_it);
    Some(event.unwrap_or_else(|| panic!("{}: pdb ran another way: {stop}", program.name)).seq)
}

/// Gives each command where pdb was given it, and again as long as it leads out of the program's
/// files. `reference.py` must stop where pdb does, and `dashcam replay` where `reference.py` does.
fn differences(
    recording: &Recording,
    program: &Program,
    sequences: &[Sequence],
    cases: &[Case],
) -> Vec<String> {
    let mut differences = Vec::new();
    let breakpoints = |case: &Case| &sequences[case.sequence].breakpoints;
    for group in cases.chunk_by(|a, b| breakpoints(a) == breakpoints(b)) {
        let breaks: Vec<String> =
            breakpoints(&group[0]).iter().map(|place| format!("break {place}")).collect();
        let [mut reference, mut dashcam] = [Debugger::Reference, Debugger::Dashcam]
            .map(|debugger| Session::new(debugger, recording));
        reference.ask(&breaks);
        dashcam.ask(&breaks);
        let mut due: Vec<(&Case, i64)> = group.iter().map(|case| (case, case.from)).collect();
        let mut rounds = 0;
        while !due.is_empty() {
            rounds += 1;
            assert!(rounds < PATIENCE, "{}: {} goes on for ever", program.name, due[0].0.command);
            let goto = |(case, from): &(&Case, _)| [format!("goto {from}"), case.command.clone()];
            let commands: Vec<String> = due.iter().flat_map(goto).collect();
            let expected = reference.ask(&commands);
            let found = dashcam.ask(&commands);
            let mut again = Vec::new();
            for (at, (case, from)) in due.into_iter().enumerate() {
                let at = 2 * at + 1;
                let (expected, found) = (&expected[at], &found[at]);
                let mut differs = |what: &str| {
                    differences.push(format!(
                        "`{}` at {}: {what}\n  pdb: {}\n  reference.py: {}\n  dashcam: {}\n  in {}",
                        case.command,
                        describe(program, Some(from)),
                        describe(program, case.to),
                        expected.place(),
                        found.place(),
                        sequences[case.sequence].commands.join(", ")
                    ));
                };
                if same(expected, found) == Same::No {
                    differs("dashcam is wrong");
                }
                match program.own(expected) {
                    _ if case.to.is_none() && expected.0["abandoned"] == true => {}
                    Place::Elsewhere => again.push((case, expected.position())),
                    Place::At(position) if Some(position) == case.to => {}
                    Place::End if case.to.is_none() => {}
                    _ => differs("reference.py is wrong"),
                }
            }
            due = again;
        }
        reference.end();
        dashcam.end();
    }
    differences
}

fn describe(program: &Program, position: Option<i64>) -> String {
    let event = program.events.iter().find(|event| Some(event.seq) == position);
    event.map_or("the program's end".to_owned(), |event| {
        format!("{} ({} {} in {})", event.seq, event.kind, event.place(), event.function)
    })
}
