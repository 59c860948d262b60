//! Every question has an answer, and no answer contradicts what was recorded.

use dashcam_tests::{Python, Recording, program, run_with_input, text};
use serde_json::Value;

/// One line in this many is asked about.
const EVERY: usize = 10;
const LINES_MAX: usize = 120;
/// Programs that bind variables without a store in their bytecode: by `exec`, `globals()`,
/// `f_locals`.
const HIDDEN: &[&str] = &["state_hidden", "state_reached", "state_scopes"];

fn ask(recording: &Recording, commands: &str) -> Vec<Value> {
    let mut replay = recording.python.dashcam();
    let replay = replay.arg("replay").arg(&recording.db).args(["--format", "json"]);
    let output = run_with_input(replay, commands.as_bytes());
    let printed = text(&output.stdout);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn programs() -> Vec<String> {
    let folder = program("state_flow.py").parent().unwrap().to_owned();
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names
        .filter_map(|name| name.to_str()?.strip_suffix(".py").map(str::to_owned))
        .filter(|name| name.starts_with("state_") && name != "state_libraries")
        .collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    names
}

#[test]
fn no_chain_contradicts_what_was_recorded() {
    for python in Python::all() {
        let (mut asked, mut ended) = (0, 0);
        for name in programs() {
            let file = program(&format!("{name}.py"));
            let recording =
                Recording::new(&python, ["--capture".as_ref(), "state".as_ref(), file.as_os_str()]);
            let sql = format!(
                "select seq from events join code_objects using (code_id)
                 where events.kind = 'LINE' and path like '%/{name}.py' order by seq"
            );
            let lines = recording.rows(&sql);
            let lines = lines.iter().step_by(EVERY).take(LINES_MAX).map(|row| &row[0]);
            let places: String = lines.map(|seq| format!("goto {seq}\nlocals\n")).collect();
            let mut questions = String::new();
            for reply in ask(&recording, &places) {
                if let Some(position) = reply["position"].as_i64() {
                    questions += &format!("goto {position}\n");
                }
                for variable in reply["variables"].as_array().into_iter().flatten() {
                    let variable = variable["name"].as_str().unwrap();
                    // When C code makes a class, it binds `__classdict__` again.
                    if !variable.starts_with('.') && variable != "__classdict__" {
                        questions += &format!("origin {variable}\n");
                    }
                }
            }
            for reply in ask(&recording, &questions) {
                if reply["command"].as_str().is_none_or(|command| !command.starts_with("origin")) {
                    continue;
                }
                asked += 1;
                let links = reply["links"].as_array();
                let kind = |link: &Value| link["kind"].as_str().unwrap_or_default().to_owned();
                let last = links.and_then(|links| links.last()).map(kind);
                let is_hidden = HIDDEN.contains(&&*name);
                assert!(
                    is_hidden || last.as_deref() != Some("contradiction"),
                    "{python}: {name}: {reply}"
                );
                ended += usize::from(last.is_some_and(|kind| kind != "unknown"));
            }
        }
        println!("{python}: {asked} asked, {ended} followed to the end");
        assert!(asked > 500 && ended * 10 > asked * 7, "{python}: {ended} of {asked}");
    }
}
