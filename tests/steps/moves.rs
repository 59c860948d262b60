//! What holds for any run: repeated steps visit the run's lines, the way back is the way there, and
//! every command goes where `reference.py` goes.

use crate::answers::{Answer, Debugger, Same, ask, same};
use crate::random::Random;
use dashcam_tests::{Recording, plain};

const MOVES: &[&str] = &[
    "step",
    "next",
    "finish",
    "back-step",
    "back-next",
    "back-finish",
    "continue",
    "back-continue",
    "stepi",
    "back-stepi",
];

/// In a run with more events than this, `reference.py` reads only those at which commands stop.
const MANY: i64 = 100_000;

/// Returns the positions of each thread's LINE events.
fn lines_by_thread(recording: &Recording) -> Vec<Vec<i64>> {
    let rows = recording
        .rows("select thread_id, seq from events where kind = 'LINE' order by thread_id, seq");
    rows.chunk_by(|a, b| a[0] == b[0])
        .map(|rows| rows.iter().map(|row| row[1].as_i64().unwrap()).collect())
        .collect()
}

/// `step` from a thread's first line visits all its LINE events; `back-step` visits them backwards.
pub(crate) fn streams(recording: &Recording, name: &str) {
    for lines in lines_by_thread(recording) {
        let steps = lines.len() - 1;
        let mut commands = vec![format!("goto {}", lines[0])];
        commands.extend(std::iter::repeat_n("step".to_owned(), steps));
        commands.extend(std::iter::repeat_n("back-step".to_owned(), steps + 1));
        commands.extend([format!("goto {}", lines[steps]), "step".to_owned()]);
        let mut expected: Vec<_> = lines.iter().map(|&line| Some(line)).collect();
        expected.extend(lines[..steps].iter().rev().map(|&line| Some(line)));
        expected.extend([None, Some(lines[steps]), None]);
        let answers = ask(Debugger::Dashcam, recording, &commands);
        for ((command, expected), found) in commands.iter().zip(&expected).zip(&answers) {
            let position = (!found.at_limit()).then(|| found.position());
            assert_eq!(&position, expected, "{}, {name}: {command}: {}", recording.python, found.0);
        }
    }
}

/// After steps forwards, backwards and forwards again, the place, the stack and the variables are
/// as they were.
pub(crate) fn there_and_back(recording: &Recording, name: &str) {
    let mut random = Random::new(name);
    let threads = lines_by_thread(recording);
    let (mut commands, mut walks) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        let lines = random.of(&threads);
        let from = random.below(lines.len());
        let steps = random.below((lines.len() - from).min(40));
        let goto = format!("goto {}", lines[from]);
        let mut at_where = Vec::new();
        for (command, times) in
            [(goto.as_str(), 1), ("step", steps), ("back-step", steps), ("step", steps)]
        {
            commands.extend(std::iter::repeat_n(command.to_owned(), times));
            at_where.push(commands.len());
            commands.extend(["where".to_owned(), "locals".to_owned()]);
        }
        walks.push((lines[from], lines[from + steps], steps, at_where));
    }
    let answers = ask(Debugger::Dashcam, recording, &commands);
    for (from, to, steps, at_where) in walks {
        let walk = format!("{}, {name}: {steps} steps from {from} to {to}", recording.python);
        for (at, expected) in at_where.iter().zip([from, to, from, to]) {
            if *at == at_where[0] || steps > 0 {
                assert_eq!(answers[at - 1].position(), expected, "{walk}");
            }
        }
        // Compares what `where` and `locals` show at a place.
        for (first, second) in [(at_where[0], at_where[2]), (at_where[1], at_where[3])] {
            for (first, second) in [(first, second), (first + 1, second + 1)] {
                let (first, second) = (&answers[first].0, &answers[second].0);
                assert!(first["error"].is_null(), "{walk}: {first}");
                assert_eq!(first, second, "{walk}");
            }
        }
    }
}

/// Gives `count` random commands, at random positions and one after another, with some breakpoints.
/// Returns how many of them lead where they do only because the recorded stack differs from the
/// real one.
pub(crate) fn as_the_reference(recording: &Recording, name: &str, count: usize) -> usize {
    let mut as_recorded = 0;
    for round in 0..4 {
        let seed = format!("{name} {round}");
        let commands = commands(recording, &mut Random::new(&seed), count / 4);
        let expected = ask(Debugger::Reference, recording, &commands);
        let found = ask(Debugger::Dashcam, recording, &commands);
        let mut lost = false;
        for (at, command) in commands.iter().enumerate() {
            // Which event stands for the run's start or end is not defined, so what follows is not
            // compared.
            if lost && !command.starts_with("goto") || command.starts_with("break") {
                continue;
            }
            let (expected, found) = (&expected[at], &found[at]);
            let same = same(expected, found);
            as_recorded += usize::from(same == Same::AsRecorded);
            lost = expected.at_limit() || same == Same::AsRecorded;
            assert!(
                same != Same::No,
                "{}, {name}.py, seed {seed:?}: command {at}, `{command}`, leads to\n  {}\nnot to\n  \
                 {}\n{}\nafter\n  {}",
                recording.python,
                found.place(),
                expected.place(),
                alone(recording, &commands, at, expected),
                commands[..=at].join("\n  ")
            );
        }
    }
    as_recorded
}

/// Tries to reach the same difference in a shorter way: by the command alone, from where it was
/// given.
fn alone(recording: &Recording, commands: &[String], at: usize, expected: &Answer) -> String {
    let mut few: Vec<String> =
        commands.iter().filter(|command| command.starts_with("break")).cloned().collect();
    let before = ask(Debugger::Reference, recording, &commands[..at]);
    if let Some(before) = before.last() {
        few.push(format!("goto {}", before.position()));
    }
    few.push(commands[at].clone());
    let found = ask(Debugger::Dashcam, recording, &few);
    match found.last() {
        Some(found) if found.place() != expected.place() => {
            format!("so do\n  {}", few.join("\n  "))
        }
        _ => "but not alone: what came before matters".to_owned(),
    }
}

fn commands(recording: &Recording, random: &mut Random, count: usize) -> Vec<String> {
    let is_small = recording.number("select event_count from runs") <= MANY;
    let only = if is_small { "" } else { "where kind = 'LINE' or kind like 'PY_%'" };
    let positions = recording.rows(&format!("select seq from events {only}"));
    let lines = recording.rows(
        "select distinct path, line from events join code_objects using (code_id)
         where events.kind = 'LINE'",
    );
    // A name that is also the name of a method would be ambiguous.
    let functions = recording.rows(
        "select distinct qualname from code_objects c where qualname not like '%<%'
         and not exists (select 1 from code_objects d where d.name = c.qualname and d.qualname <> d.name)",
    );
    let mut commands = Vec::new();
    for _ in 0..random.below(4) {
        if random.below(3) == 0 && !functions.is_empty() {
            commands.push(format!("break {}", plain(&random.of(&functions)[0])));
        } else {
            let line = random.of(&lines);
            commands.push(format!("break {}:{}", plain(&line[0]), plain(&line[1])));
        }
    }
    let moves = if is_small { MOVES } else { &MOVES[..MOVES.len() - 2] };
    for at in 0..count {
        if at == 0 || random.below(5) == 0 {
            commands.push(format!("goto {}", plain(&random.of(&positions)[0])));
        }
        commands.push((*random.of(moves)).to_owned());
    }
    commands
}
