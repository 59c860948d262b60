//! Tables as columns: what other engines read of exports, and other libraries take of the Python API, is what
//! SQL says.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use dashcam_tests::{
    Python, Recording, finish, program, run, run_with_input, shell_status, spawn, tests_path, text,
};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// An environment with an engine in it; none if it could not be installed, which is said.
fn engine(name: &str) -> Option<PathBuf> {
    let folder = tests_path("../.venv/engines").join(name);
    if !folder.join("ready").exists() {
        eprintln!(
            "SKIPPED: {name}: not installed; make engines installs it, or says why it cannot"
        );
        return None;
    }
    Some(folder.join("bin/python"))
}

/// Two recordings, one of them with two runs, and an export of both.
struct Fleet {
    folder: tempfile::TempDir,
    recordings: Vec<PathBuf>,
    python: Python,
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let shop = program("columns/shop.py");
    let shop = shop.to_str().unwrap();
    let mut recordings = Vec::new();
    for (name, runs) in
        [("monday.db", &[&["30"][..], &["8", "5"]][..]), ("tuesday.db", &[&["12", "9"]])]
    {
        let path = folder.path().join(name);
        for arguments in runs {
            let output = run(python.record(&path).arg(shop).args(*arguments));
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        let output = run(python
            .dashcam()
            .args(["export", "parquet"])
            .arg(folder.path().join("fleet"))
            .arg(&path)
            .args(["--run", "all"]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        recordings.push(path);
    }
    Fleet { folder, recordings, python }
});

impl Fleet {
    fn export(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    /// What SQL says of all recordings, run by run.
    fn asked(&self, question: &str) -> Vec<Vec<Value>> {
        let mut sql = question.to_owned();
        while let Some(begin) = sql.find('{') {
            let end = sql.find('}').unwrap();
            let table = match &sql[begin + 1..end] {
                "runs" => "(SELECT uuid AS run, * FROM runs)".to_owned(),
                name => {
                    format!("(SELECT runs.uuid AS run, t.* FROM {name} t JOIN runs USING (run_id))")
                }
            };
            sql.replace_range(begin..=end, &table);
        }
        let rows = self.recordings.iter().flat_map(|path| {
            let mut query = self.python.dashcam();
            query.arg("query").arg(path).arg(&sql).args(["--run", "all", "--format", "jsonl"]);
            let output = run(&mut query);
            assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
            let rows = text(&output.stdout);
            let row = |line: &str| match serde_json::from_str(line).unwrap() {
                Value::Object(row) => row.into_iter().map(|(_, value)| value).collect(),
                other => panic!("{other}"),
            };
            rows.lines().map(row).collect::<Vec<Vec<Value>>>()
        });
        rows.collect()
    }
}

fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<String> {
    rows.sort_by_key(|row| json!(row).to_string());
    rows.into_iter().map(|row| json!(row).to_string()).collect()
}

/// That an engine answers every question as SQLite does.
fn answers(name: &str) {
    let Some(python) = engine(name) else { return };
    let questions = std::fs::read(tests_path("columns/questions.json")).unwrap();
    let script = tests_path(&format!("columns/engine_{name}.py"));
    let output =
        run_with_input(dashcam_tests::command(python).arg(script).arg(FLEET.export()), &questions);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    let found: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let questions: Map<String, Value> = serde_json::from_slice(&questions).unwrap();
    assert_eq!(questions.len(), 10);
    for (question, sql) in &questions {
        let expected = sorted(FLEET.asked(sql.as_str().unwrap()));
        assert!(expected.len() > 2, "{question}: {expected:?}");
        let rows: Vec<Vec<Value>> = serde_json::from_value(found[question].clone()).unwrap();
        assert_eq!(sorted(rows), expected, "{name}: {question}");
    }
}

#[test]
fn duckdb_answers_as_sqlite_does() {
    answers("duckdb");
}

#[test]
fn polars_answers_as_sqlite_does() {
    answers("polars");
}

#[test]
fn chdb_answers_as_sqlite_does() {
    answers("chdb");
}

#[test]
fn spark_answers_as_sqlite_does() {
    answers("pyspark");
}

/// Every table of every run, read back by an implementation of Parquet that is not ours.
#[test]
fn parquet_files_hold_the_rows_of_sql() {
    takes("round_trip", &[FLEET.export().as_path()]);
}

#[test]
fn columns_are_taken_by_other_libraries() {
    takes("taken", &[]);
}

#[test]
fn frames_by_columns_are_those_by_rows() {
    takes("frames", &[]);
}

#[test]
fn older_exports_have_null_in_newer_columns() {
    takes("evolution", &[FLEET.export().as_path()]);
}

/// A function of `takes.py`, which says nothing if what it claims holds.
fn takes(claim: &str, arguments: &[&Path]) {
    let Some(python) = engine("frames") else { return };
    let packages = FLEET.python.eval("__import__('sysconfig').get_path('purelib')");
    let mut command = dashcam_tests::command(python);
    command.env("PYTHONPATH", packages);
    command.arg(tests_path("columns/takes.py")).arg(claim);
    let output = run(command.args(&FLEET.recordings).args(arguments));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{claim}: {said}");
}

fn export(recording: &Path, folder: &Path) -> std::process::Output {
    run(FLEET.python.dashcam().args(["export", "parquet"]).arg(folder).arg(recording))
}

/// That an export was made, at most without the values that were not stored yet.
fn as_far_as_recorded(output: &std::process::Output) {
    let said = text(&output.stderr);
    let is_late = said.contains("rows of later events are left out");
    assert!(output.status.success() || is_late, "{said}");
    assert!(text(&output.stdout).contains(" in run="), "{said}");
}

/// A run is exported as far as it is recorded, and again when there is more of it.
#[test]
fn a_run_that_goes_on_and_one_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (db, out) = (folder.path().join("live.db"), folder.path().join("out"));
    let mut child = spawn(FLEET.python.record(&db).arg(program("columns/waits.py")));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let count = || {
        let sql = "select status, (select count(*) from events) from runs";
        text(&run(FLEET.python.dashcam().arg("query").arg(&db).arg(sql)).stdout)
    };
    // What it did so far is stored within a second.
    while !count().contains("recording") || count().contains("  0") {}
    let first = export(&db, &out);
    as_far_as_recorded(&first);
    let pid = child.id() as i32;
    // SAFETY: takes no pointers; the recorder's process group is its own and is not waited for yet.
    unsafe { libc::kill(-pid, libc::SIGKILL) };
    finish(child);
    let second = export(&db, &out);
    as_far_as_recorded(&second);
    let third = export(&db, &out);
    assert!(text(&third.stdout).contains("already in run="), "{}", text(&third.stdout));
    takes("round_trip_of", &[&db, &out]);
}

#[test]
fn trouble_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let recording = &FLEET.recordings[1];
    let refused = |output: std::process::Output, words: &[&str]| {
        let said = text(&output.stderr);
        assert_eq!(shell_status(&output), 1, "{said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.len() == 1 && words.iter().all(|word| said.contains(word)), "{said}");
    };
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "important").unwrap();
    refused(export(recording, folder.path()), &["not an export of dashcam and not empty"]);
    refused(export(recording, &notes), &["notes.txt", "exists"]);
    refused(export(recording, Path::new("/proc/no")), &["/proc/no"]);
    let arrow =
        |arguments: &[&str]| run(FLEET.python.dashcam().args(["export", "arrow"]).args(arguments));
    let db = recording.to_str().unwrap();
    refused(arrow(&["evnts", db]), &["no table evnts; did you mean events?"]);
    refused(arrow(&["events", db, "--columns", "sek"]), &["no column sek"]);
    refused(arrow(&["events", db, "--where", "seq +"]), &["syntax error"]);
    refused(arrow(&["--sql", "select 1 as a union select 'x'", db]), &["cast(a as text)"]);
    // Who reads has seen enough.
    let mut shell = dashcam_tests::command("sh");
    let program = FLEET.python.eval("__import__('sysconfig').get_path('scripts')") + "/dashcam";
    shell.args([
        "-c",
        "set -o pipefail 2>/dev/null; \"$0\" export arrow events \"$1\" | head -c 1",
        &program,
        db,
    ]);
    let output = run(&mut shell);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// A full disk leaves nothing half done.
#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut shell = dashcam_tests::command("sh");
    let program = FLEET.python.eval("__import__('sysconfig').get_path('scripts')") + "/dashcam";
    // The system's limit on the size of files is refused like a full disk.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" export parquet \"$1\" \"$2\" --tables variables,events";
    shell.args(["-c", script, &program]).arg(&out).arg(&FLEET.recordings[0]);
    let output = run(&mut shell);
    let said = text(&output.stderr);
    assert!(shell_status(&output) == 1 && said.lines().count() == 1, "{said}");
    assert!(said.contains("part-0.parquet") && said.contains("too large"), "{said}");
    assert!(!out.join("variables").exists() && !out.join("events").exists());
    assert_eq!(out.join("_dashcam/runs").read_dir().unwrap().count(), 0);
    assert_eq!(out.join("_dashcam").read_dir().unwrap().count(), 2);
    assert!(export(&FLEET.recordings[0], &out).status.success());
}

#[test]
fn runs_have_names_of_their_own() {
    let recording =
        Recording::new(&FLEET.python, [program("columns/shop.py").as_os_str(), "1".as_ref()]);
    let uuid = recording.value("select uuid from runs");
    let uuid = uuid.as_str().unwrap();
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "7"), "{uuid}");
    let all = FLEET.asked("select run from {runs} r");
    let mut names: Vec<&str> =
        all.iter().map(|row| row[0].as_str().unwrap()).chain([uuid]).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4);
}
