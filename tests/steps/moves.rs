//! What holds of any run: repeated steps are the run's lines, the way back is the way there, and every
//! command goes where `reference.py` goes.

use crate::answers::{Answer, Same, Who, ask, same};
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

/// Of a run with more events than this, `reference.py` reads only those at which commands stop.
const MANY: i64 = 100_000;

/// Positions of each thread's LINE events.
fn lines_by_thread(recording: &Recording) -> Vec<Vec<i64>> {
    let rows = recording
        .rows("select thread_id, seq from events where kind = 'LINE' order by thread_id, seq");
    rows.chunk_by(|a, b| a[0] == b[0])
        .map(|rows| rows.iter().map(|row| row[1].as_i64().unwrap()).collect())
        .collect()
}

/// `step` from a thread's first line goes over all its LINE events, `back-step` back over them.
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
        let answers = ask(Who::Dashcam, recording, &commands);
        for ((command, expected), found) in commands.iter().zip(&expected).zip(&answers) {
            let position = (!found.at_limit()).then(|| found.position());
            assert_eq!(&position, expected, "{}, {name}: {command}: {}", recording.python, found.0);
        }
    }
}

/// After steps there and back, and there again, all is as it was: the place, the stack, the variables.
pub(crate) fn there_and_back(recording: &Recording, name: &str) {
    let mut random = Random::new(name);
    let threads = lines_by_thread(recording);
    let (mut commands, mut walks) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        let lines = random.of(&threads);
        let from = random.below(lines.len());
        let steps = random.below((lines.len() - from).min(40));
        let goto = format!("goto {}", lines[from]);
        let mut asked = Vec::new();
        for (command, times) in
            [(goto.as_str(), 1), ("step", steps), ("back-step", steps), ("step", steps)]
        {
            commands.extend(std::iter::repeat_n(command.to_owned(), times));
            asked.push(commands.len());
            commands.extend(["where".to_owned(), "locals".to_owned()]);
        }
        walks.push((lines[from], lines[from + steps], steps, asked));
    }
    let answers = ask(Who::Dashcam, recording, &commands);
    for (from, to, steps, asked) in walks {
        let walk = format!("{}, {name}: {steps} steps from {from} to {to}", recording.python);
        for (at, expected) in asked.iter().zip([from, to, from, to]) {
            if *at == asked[0] || steps > 0 {
                assert_eq!(answers[at - 1].position(), expected, "{walk}");
            }
        }
        // What is told of a place: `where` and `locals`.
        for (first, second) in [(asked[0], asked[2]), (asked[1], asked[3])] {
            for (first, second) in [(first, second), (first + 1, second + 1)] {
                let (first, second) = (&answers[first].0, &answers[second].0);
                assert!(first["error"].is_null(), "{walk}: {first}");
                assert_eq!(first, second, "{walk}");
            }
        }
    }
}

/// `count` random commands, at random positions and one after another, with some breakpoints. How many
/// lead where they do only because the recorded stack is another than it was.
pub(crate) fn as_the_reference(recording: &Recording, name: &str, count: usize) -> usize {
    let mut as_recorded = 0;
    for round in 0..4 {
        let seed = format!("{name} {round}");
        let commands = commands(recording, &mut Random::new(&seed), count / 4);
        let expected = ask(Who::Reference, recording, &commands);
        let found = ask(Who::Dashcam, recording, &commands);
        let mut lost = false;
        for (at, command) in commands.iter().enumerate() {
            // Which event stands for the run's start or end is not said, so neither what follows.
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

/// The shortest way to the same difference: the command alone, from where it was given.
fn alone(recording: &Recording, commands: &[String], at: usize, expected: &Answer) -> String {
    let mut few: Vec<String> =
        commands.iter().filter(|command| command.starts_with("break")).cloned().collect();
    let before = ask(Who::Reference, recording, &commands[..at]);
    if let Some(before) = before.last() {
        few.push(format!("goto {}", before.position()));
    }
    few.push(commands[at].clone());
    let found = ask(Who::Dashcam, recording, &few);
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
    // A name that is a method's too is not said to be one or the other.
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
