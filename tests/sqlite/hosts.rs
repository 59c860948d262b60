//! Ten questions, asked in each client.

use super::{SUBJECT, clients, loading_pythons};
use dashcam_tests::{command, run, run_with_input, tests_path, text};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

type Rows = Vec<Vec<Value>>;

fn questions() -> Vec<String> {
    let file = std::fs::read_to_string(tests_path("sqlite/questions.sql")).unwrap();
    file.split_terminator(";\n").map(str::to_owned).collect()
}

/// Returns the rows of JSON objects, whose names are the columns.
fn rows(objects: &str) -> Rows {
    let objects = if objects.trim().is_empty() { "[]" } else { objects };
    let objects: Vec<serde_json::Map<String, Value>> = serde_json::from_str(objects).unwrap();
    objects.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect()).collect()
}

/// Returns what `dashcam query` answers.
fn expected(run_choice: &str) -> Vec<Rows> {
    let ask = |sql: &String| {
        let mut query = SUBJECT.python.dashcam();
        query.args(["query", "--run", run_choice, "--format", "json"]);
        let output = run(query.arg(&SUBJECT.db).arg(sql));
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        rows(&text(&output.stdout))
    };
    questions().iter().map(ask).collect()
}

fn agrees(host: &str, answers: &[Rows], run_choice: &str) {
    let expected = expected(run_choice);
    assert_eq!(answers.len(), expected.len(), "{host}");
    for ((answer, expected), question) in answers.iter().zip(&expected).zip(questions()) {
        assert!(!expected.is_empty(), "a question without rows proves nothing: {question}");
        assert_eq!(answer, expected, "{host}: {question}");
    }
}

/// Asks a client in Python, given by its module.
fn ask(mut python: Command, module: &str, setup: &[&str]) -> Vec<Rows> {
    python.arg(tests_path("sqlite/host.py")).arg(module).arg(&SUBJECT.extension);
    python.arg(&SUBJECT.db).args(setup);
    let input = serde_json::to_vec(&questions()).unwrap();
    let output = run_with_input(&mut python, &input);
    assert!(output.status.success(), "{module}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn in_the_sqlite3_of_python() {
    for python in loading_pythons() {
        agrees(&python.to_string(), &ask(python.bare(), "sqlite3", &[]), "all");
    }
}

#[test]
fn in_apsw() {
    let Some(python) = clients() else { return };
    agrees("apsw", &ask(command(python), "apsw", &[]), "all");
}

#[test]
fn of_one_run() {
    for python in loading_pythons() {
        let chosen = ask(python.bare(), "sqlite3", &["SELECT dashcam_run(2)"]);
        agrees("run 2", &chosen, "2");
        let last = ask(python.bare(), "sqlite3", &["SELECT dashcam_run(max(run_id)) FROM runs"]);
        agrees("the last run", &last, "2");
        let all = ["SELECT dashcam_run(1)", "SELECT dashcam_run(2)", "SELECT dashcam_run(NULL)"];
        agrees("all again", &ask(python.bare(), "sqlite3", &all), "all");
    }
}

#[test]
fn in_the_shell_of_sqlite() {
    let shell = Path::new("/usr/bin/sqlite3");
    if !shell.exists() {
        println!("SKIPPED: no {}", shell.display());
        return;
    }
    let answer = |question: &String| {
        let load = format!(".load {}", SUBJECT.extension);
        let mut shell = command(shell);
        shell.args(["-json", "-cmd", &load]).arg(&SUBJECT.db).arg(question);
        let output = run(&mut shell);
        assert!(output.status.success(), "{question}: {}", text(&output.stderr));
        rows(&text(&output.stdout))
    };
    let answers: Vec<Rows> = questions().iter().map(answer).collect();
    agrees("sqlite3", &answers, "all");
}

#[test]
fn in_datasette() {
    let Some(python) = clients() else { return };
    // The name of a database is that of its file there.
    let answer = |question: &String| {
        let mut datasette = command(&python);
        datasette.args(["-m", "datasette", "--load-extension", &SUBJECT.extension]);
        datasette.arg(&SUBJECT.db).arg("--get");
        let sql: String = question.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let output = run(datasette.arg(format!("/shop.json?_shape=arrays&sql={sql}")));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        serde_json::from_value(answer["rows"].take()).unwrap()
    };
    let answers: Vec<Rows> = questions().iter().map(answer).collect();
    agrees("datasette", &answers, "all");
    // Pages of datasette list the tables and views, count rows and find foreign keys.
    for page in ["/", "/shop", "/shop/runs", "/shop/events", "/shop/losses"] {
        let mut datasette = command(&python);
        datasette.args(["-m", "datasette", "--load-extension", &SUBJECT.extension]);
        let output = run(datasette.arg(&SUBJECT.db).args(["--get", page]));
        assert!(output.status.success(), "{page}: {}", text(&output.stdout));
    }
}
