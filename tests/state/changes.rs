//! Every change is a row that says what was changed: `state_changes.py` says behind each line which rows that
//! makes.

use dashcam_tests::{Python, Recording, plain, program};
use serde_json::Value;

#[test]
fn changes_say_operation_key_and_value() {
    for python in Python::all() {
        let script = program("state_changes.py");
        let recording = record(&python, "state_changes.py");
        let rows = recording.rows(&format!(
            "select m.line, m.operation, m.key, m.value from mutations m
             join calls c using (run_id, call_id) join code_objects k using (code_id)
             where k.path = '{}' order by m.seq",
            script.display()
        ));
        let text = |value: &Value| if value.is_null() { "-".to_owned() } else { plain(value) };
        let row = |row: Vec<Value>| {
            let [line, rest @ ..] = &row[..] else { panic!("no row") };
            let said: Vec<String> = rest.iter().map(text).collect();
            (line.as_u64().unwrap(), said.join(" | "))
        };
        let found: Vec<(u64, String)> = rows.into_iter().map(row).collect();
        let source = std::fs::read_to_string(&script).unwrap();
        let mut expected = Vec::new();
        for (line, number) in source.lines().zip(1..) {
            let said = line.split_once("  #: ").map_or("", |(_, said)| said);
            let rows = said.split(" & ").filter(|said| !said.is_empty());
            expected.extend(rows.map(|said| (number, said.to_owned())));
        }
        for row in &expected {
            assert!(found.contains(row), "{python}: no row {row:?}");
        }
        for row in &found {
            assert!(expected.contains(row), "{python}: {row:?} is not so");
        }
        assert_eq!(found.len(), expected.len(), "{python}");
    }
}

fn record(python: &Python, name: &str) -> Recording {
    let script = program(name);
    let options = ["--capture", "state"];
    Recording::new(python, options.iter().map(AsRef::as_ref).chain([script.as_os_str()]))
}
