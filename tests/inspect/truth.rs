//! Expressions at lines of a program, compared with what `eval` made of them in another process
//! (`oracle.py`). Where that needs code of the program, or what was not recorded, there is no answer.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What the oracle says of an expression, at a line that had begun so often before.
struct Row {
    line: i64,
    time: usize,
    expression: String,
    /// It can be known without running code.
    is_known: bool,
    /// `repr` of the value; what was raised otherwise.
    value: Result<String, String>,
}

#[test]
fn expressions_are_what_eval_says() {
    for python in Python::all() {
        let script = program("inspect_paths.py");
        let expected = oracle(&python, &script);
        let options = ["--capture", "state", "--max-looks", "0"];
        let what = options.iter().map(AsRef::as_ref).chain([script.as_os_str()]);
        let recording = Recording::new(&python, what);
        let positions = positions(&recording, &script);
        let (mut equal, mut refused, mut wrong) = (0, 0, Vec::new());
        for row in &expected {
            let seq = positions[&row.line][row.time];
            let found = value_at(&recording, seq, &row.expression);
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

/// The positions at which each line of a program begins.
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

fn value_at(recording: &Recording, seq: i64, expression: &str) -> Result<String, String> {
    let expression = expression.replace('\'', "''");
    let sql = format!("select value_at(1, {seq}, 0, '{expression}') as value");
    let mut query = recording.python.dashcam();
    query.arg("query").arg(&recording.db).arg(sql).args(["--format", "jsonl"]);
    let output = run(&mut query);
    match output.status.success() {
        true => {
            let row: Value = serde_json::from_str(text(&output.stdout).trim_end()).unwrap();
            Ok(plain(&row["value"]))
        }
        false => Err(text(&output.stderr).trim_end().to_owned()),
    }
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
