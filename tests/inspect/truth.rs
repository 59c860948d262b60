//! Expressions at lines of a program, compared with what `eval` made of them in another process
//! (`oracle.py`). There is no answer where that needs code of the program, or what was not
//! recorded.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What the oracle found for an expression, at a line that had begun `time` times before.
struct Row {
    line: i64,
    time: usize,
    expression: String,
    /// Whether it can be known without running code.
    is_known: bool,
    /// `repr` of the value, or what was raised.
    value: Result<String, String>,
}

#[test]
fn expressions_are_what_eval_says() {
    for python in Python::all() {
        let script = program("inspect/paths.py");
        let expected = oracle(&python, &script);
        let options = ["--capture", "state"];
        let what = options.iter().map(AsRef::as_ref).chain([script.as_os_str()]);
        let recording = Recording::new(&python, what);
        let positions = positions(&recording, &script);
        let (mut equal, mut refused, mut wrong) = (0, 0, Vec::new());
        let question = |row: &Row| (positions[&row.line][row.time], row.expression.clone());
        let (known, others): (Vec<Row>, Vec<Row>) =
            expected.into_iter().partition(|row| row.is_known && row.value.is_ok());
        let all: Vec<_> = known.iter().map(question).collect();
        let mut found = values_at(&recording, &all);
        for row in &others {
            found.extend(values_at(&recording, &[question(row)]));
        }
        for (row, found) in known.iter().chain(&others).zip(found) {
            let is_right = match (&row.value, &found) {
                (Ok(value), Ok(found)) if value == found => {
                    equal += 1;
                    row.is_known
                }
                (Err(_), Err(_)) => {
                    refused += 1;
                    true
                }
                (Ok(_), Err(_)) => {
                    refused += 1;
                    !row.is_known
                }
                _ => false,
            };
            if let Err(message) = &found {
                assert!(!message.contains('\n') && !message.contains("bug"), "{message}");
            }
            if !is_right {
                let Row { line, expression, value, .. } = row;
                wrong.push(format!("line {line}: {expression}: {value:?}, but found {found:?}"));
            }
        }
        println!("{python}: {equal} values equal, {refused} refused");
        assert!(wrong.is_empty(), "{python}:\n{}", wrong.join("\n"));
        assert!(equal > 200, "{python}: hardly anything to compare");
    }
}

/// This holds at instructions too, where a stored value is recorded only later.
#[test]
fn a_name_has_the_value_that_locals_at_shows() {
    for python in Python::all() {
        for name in ["inspect/paths.py", "state_objects.py", "state_flow.py", "state_scopes.py"] {
            let script = program(name);
            let options = ["--capture", "state"].map(AsRef::as_ref);
            let what = options.into_iter().chain([script.as_os_str()]);
            let recording = Recording::new(&python, what);
            let rows = recording.rows(&format!(
                "select count(*), sum(value_at(e.run_id, e.seq, 0, l.name) <> l.value)
                 from events e join code_objects c using (code_id), locals_at(e.run_id, e.seq, 0) l
                 where e.kind in ('LINE', 'INSTRUCTION', 'CALL', 'PY_RETURN') and e.seq % 5 = 0
                   and c.path = '{}' and l.name not like '.%' and l.value <> '<unread>'",
                script.display()
            ));
            let [count, differing] = [0, 1].map(|at| rows[0][at].as_i64().unwrap());
            assert!(
                count > 300 && differing == 0,
                "{python}, {name}: {differing} of {count} differ"
            );
        }
    }
}

/// Returns the positions at which each line of a program begins.
fn positions(recording: &Recording, script: &Path) -> BTreeMap<i64, Vec<i64>> {
    let rows = recording.rows(&format!(
        "select e.line, e.seq from events e join code_objects c using (code_id)
         where e.kind = 'LINE' and c.path = '{}' order by e.seq",
        script.display()
    ));
    let mut positions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in rows {
        positions.entry(row[0].as_i64().unwrap()).or_default().push(row[1].as_i64().unwrap());
    }
    positions
}

/// Returns the values of expressions at positions, or the error messages. An error is that of the
/// whole statement, so a statement with an error is split into halves.
fn values_at(recording: &Recording, questions: &[(i64, String)]) -> Vec<Result<String, String>> {
    let select = |(at, (seq, expression)): (usize, &(i64, String))| {
        let expression = expression.replace('\'', "''");
        format!("select {at} as number, value_at(1, {seq}, 0, '{expression}') as value")
    };
    let selects: Vec<String> = questions.iter().enumerate().map(select).collect();
    let sql = format!("{} order by number", selects.join(" union all "));
    let mut query = recording.python.dashcam();
    query.arg("query").arg(&recording.db).arg(sql).args(["--format", "jsonl"]);
    let output = run(&mut query);
    if output.status.success() {
        let value = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            Ok(plain(&row["value"]))
        };
        let found: Vec<_> = text(&output.stdout).lines().map(value).collect();
        assert_eq!(found.len(), questions.len());
        return found;
    }
    match questions {
        [_] => vec![Err(text(&output.stderr).trim_end().to_owned())],
        _ => {
            let (first, second) = questions.split_at(questions.len() / 2);
            let first = values_at(recording, first);
            first.into_iter().chain(values_at(recording, second)).collect()
        }
    }
}

/// Returns the value of an expression at a position, or the error message.
pub(crate) fn value_at(
    recording: &Recording,
    seq: i64,
    expression: &str,
) -> Result<String, String> {
    let found = values_at(recording, &[(seq, expression.to_owned())]);
    found.into_iter().next().unwrap()
}

fn oracle(python: &Python, script: &Path) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let oracle = tests_path("inspect/oracle.py");
    let output = run(python.bare().arg(oracle).arg(&log).arg(script));
    assert!(output.status.success(), "{python}: the oracle failed: {}", text(&output.stderr));
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        Row {
            line: row[0].as_i64().unwrap(),
            time: row[1].as_u64().unwrap() as usize,
            is_known: row[2] == ":",
            expression: plain(&row[3]),
            value: match row[4].as_str() {
                Some(value) => Ok(value.to_owned()),
                None => Err(plain(&row[5])),
            },
        }
    };
    std::fs::read_to_string(&log).unwrap().lines().map(row).collect()
}
