//! Every change is a row that says what was changed. A comment on each line of `state_changes.py`
//! lists the rows that the line makes.

use dashcam_tests::{Python, Recording, plain, program, run_with_input, text};
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
            let fields: Vec<String> = rest.iter().map(text).collect();
            (line.as_u64().unwrap(), fields.join(" | "))
        };
        let found: Vec<(u64, String)> = rows.into_iter().map(row).collect();
        let source = std::fs::read_to_string(&script).unwrap();
        let mut expected = Vec::new();
        for (line, number) in source.lines().zip(1..) {
            let comment = line.split_once("  #: ").map_or("", |(_, comment)| comment);
            let rows = comment.split(" & ").filter(|row| !row.is_empty());
            expected.extend(rows.map(|row| (number, row.to_owned())));
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

const WRITES: &str = "\
from collections import Counter

class Conf:
    pass

def f():
    c = Conf()
    setattr(c, 'host', 'h')
    setattr(c, 'port', 80)
    n = Counter()
    n['a'] += 1
    n['b'] += 1
    d = {}
    put = d.__setitem__
    put((1, 2), 3)
    put(2.5, 4)
    l = [1, 2, 3]
    l.insert(1, 'x')
    l.append('y')
    return c, n, d, l

f()
";

/// A write of one item is not reported as a write of another.
#[test]
fn last_writes_are_those_of_the_path_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("writes.py");
    std::fs::write(&script, WRITES).unwrap();
    let expected = [
        ("c.host", 8, "c.host = 'h'"),
        ("c.port", 9, "c.port = 80"),
        ("n['a']", 11, "n['a'] = 1"),
        ("n['b']", 12, "n['b'] = 1"),
        ("d[(1, 2)]", 15, "d[(1, 2)] = 3"),
        ("d[2.5]", 16, "d[2.5] = 4"),
        ("l[1]", 18, "l[1] = 'x'"),
        ("l[2]", 18, "list.insert at 1 moves the items behind"),
        ("l[4]", 19, "l[4] = 'y'"),
    ];
    let ask = |(path, ..): &(&str, u32, &str)| format!("goto writes.py:20\nlast-write {path}\n");
    let commands: String = expected.iter().map(ask).collect();
    for python in Python::all() {
        let recording =
            Recording::new(&python, ["--capture".as_ref(), "state".as_ref(), script.as_os_str()]);
        let mut replay = python.dashcam();
        let replay = replay.arg("replay").arg(&recording.db).arg("--plain");
        let printed = text(&run_with_input(replay, commands.as_bytes()).stdout);
        let mut lines = printed.lines();
        for (path, line, what) in expected {
            let place = format!("writes.py:{line} ");
            assert!(lines.any(|printed| printed.contains(&place)), "{python}: {path}: {printed}");
            assert!(lines.any(|printed| printed.trim() == what), "{python}: {path}: {printed}");
        }
    }
}
