//! `follow task`: steps go along the lines of one asyncio task, as `tasks.py` saw them.

use crate::answers::{Debugger, ask};
use dashcam_tests::{Recording, program, run, tests_path, text};

/// Steps through every task forwards and backwards. Returns how many steps were compared.
pub(crate) fn compare(recording: &Recording, name: &str) -> usize {
    let script = program(&format!("{name}.py"));
    let scope = tests_path("programs/");
    let mut witness = recording.python.bare();
    let output = run(witness.arg(tests_path("steps/tasks.py")).arg(&scope).arg(script));
    assert!(output.status.success(), "{}: {}", recording.python, text(&output.stderr));
    let printed = text(&output.stdout);
    let seen: Vec<(i64, Option<u64>)> =
        serde_json::from_str(printed.lines().last().unwrap_or_default()).unwrap();
    let lines = recording.rows(&format!(
        "select e.seq, e.line from events e join code_objects c using (code_id)
         where e.kind = 'LINE' and instr(c.path, '{}') = 1 order by e.seq",
        scope.display()
    ));
    assert_eq!(lines.len(), seen.len(), "{}, {name}: lines", recording.python);
    let mut compared = 0;
    for task in 0.. {
        let of_task: Vec<i64> = lines
            .iter()
            .zip(&seen)
            .inspect(|(row, (line, _))| assert_eq!(row[1], *line, "{name}: another way"))
            .filter(|(_, (_, of))| *of == Some(task))
            .map(|(row, _)| row[0].as_i64().unwrap())
            .collect();
        let Some(first) = of_task.first() else { break };
        let mut commands = vec![format!("goto {first}"), "follow task".to_owned()];
        commands.extend(vec!["step".to_owned(); of_task.len()]);
        commands.push(format!("goto {}", of_task[of_task.len() - 1]));
        commands.extend(vec!["back-step".to_owned(); of_task.len()]);
        let answers = ask(Debugger::Dashcam, recording, &commands);
        let mut found = answers.iter().zip(&commands).filter(|(_, c)| c.ends_with("step"));
        let expected = of_task[1..].iter().map(Some).chain([None]);
        let back = of_task[..of_task.len() - 1].iter().rev().map(Some).chain([None]);
        for expected in expected.chain(back) {
            let (answer, command) = found.next().unwrap();
            let position = (!answer.at_limit()).then(|| answer.position());
            let place = answer.place();
            assert_eq!(
                position.as_ref(),
                expected,
                "{}, {name}, task {task}: {command} leads to {place}",
                recording.python
            );
            compared += 1;
        }
    }
    assert!(compared > 0, "{name} has no task");
    compared
}
