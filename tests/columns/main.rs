//! Tables as columns. What other engines read from exports, and other libraries take from the
//! Python API, is what SQL returns.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use dashcam_tests::{
    Python, Recording, finish, program, run, run_with_input, shell_status, spawn, tests_path, text,
};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Returns the environment with an engine in it. Prints a line and returns `None` if it is not
/// installed.
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

    /// Returns the rows that SQL gives for a question about all recordings, run by run.
    fn rows_of_sql(&self, question: &str) -> Vec<Vec<Value>> {
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

/// Asserts that an engine answers every question as SQLite does.
fn check_answers(name: &str) {
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
        let expected = sorted(FLEET.rows_of_sql(sql.as_str().unwrap()));
        assert!(expected.len() > 2, "{question}: {expected:?}");
        let rows: Vec<Vec<Value>> = serde_json::from_value(found[question].clone()).unwrap();
        assert_eq!(sorted(rows), expected, "{name}: {question}");
    }
}

#[test]
fn duckdb_answers_as_sqlite_does() {
    check_answers("duckdb");
}

#[test]
fn polars_answers_as_sqlite_does() {
    check_answers("polars");
}

#[test]
fn chdb_answers_as_sqlite_does() {
    check_answers("chdb");
}

#[test]
fn spark_answers_as_sqlite_does() {
    check_answers("pyspark");
}

/// Every table of every run is read back by an implementation of Parquet that is not ours.
#[test]
fn parquet_files_hold_the_rows_of_sql() {
    check_claim("round_trip", &[FLEET.export().as_path()]);
}

#[test]
fn other_libraries_take_columns() {
    check_claim("taken", &[]);
}

#[test]
fn frames_made_by_columns_equal_frames_made_by_rows() {
    check_claim("frames", &[]);
}

#[test]
fn older_exports_have_null_in_newer_columns() {
    check_claim("evolution", &[FLEET.export().as_path()]);
}

/// Calls a function of `takes.py`, which prints nothing if its claim holds.
fn check_claim(claim: &str, arguments: &[&Path]) {
    let Some(python) = engine("frames") else { return };
    let packages = FLEET.python.eval("__import__('sysconfig').get_path('purelib')");
    let mut command = dashcam_tests::command(python);
    command.env("PYTHONPATH", packages);
    command.arg(tests_path("columns/takes.py")).arg(claim);
    let output = run(command.args(&FLEET.recordings).args(arguments));
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && printed.is_empty(), "{claim}: {printed}");
}

fn export(recording: &Path, folder: &Path) -> std::process::Output {
    run(FLEET.python.dashcam().args(["export", "parquet"]).arg(folder).arg(recording))
}

/// Asserts that an export was made. Values that were not stored yet may be missing.
fn assert_exported(output: &std::process::Output) {
    let printed = text(&output.stderr);
    let is_late = printed.contains("rows of later events are left out");
    assert!(output.status.success() || is_late, "{printed}");
    assert!(text(&output.stdout).contains(" in run="), "{printed}");
}

/// A run is exported as far as it is recorded, and again when more of it is recorded.
#[test]
fn a_running_and_a_killed_run_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (db, out) = (folder.path().join("live.db"), folder.path().join("out"));
    let mut child = spawn(FLEET.python.record(&db).arg(program("columns/waits.py")));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let count = || {
        let sql = "select status, (select count(*) from events) from runs";
        text(&run(FLEET.python.dashcam().arg("query").arg(&db).arg(sql)).stdout)
    };
    // Events are stored within a second.
    while !count().contains("recording") || count().contains("  0") {}
    let first = export(&db, &out);
    assert_exported(&first);
    let pid = child.id() as i32;
    // SAFETY: kill takes no pointers. The recorder's process group is its own and is not waited for
    // yet.
    unsafe { libc::kill(-pid, libc::SIGKILL) };
    finish(child);
    let second = export(&db, &out);
    assert_exported(&second);
    let third = export(&db, &out);
    assert!(text(&third.stdout).contains("already in run="), "{}", text(&third.stdout));
    check_claim("round_trip_of", &[&db, &out]);
}

#[test]
fn errors_are_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let recording = &FLEET.recordings[1];
    let refused = |output: std::process::Output, words: &[&str]| {
        let printed = text(&output.stderr);
        assert_eq!(shell_status(&output), 1, "{printed}");
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines.len() == 1 && words.iter().all(|word| printed.contains(word)), "{printed}");
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
    // The reader closes the pipe early.
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

/// A full disk leaves no partial export behind.
#[test]
fn a_full_disk_leaves_no_partial_export() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut shell = dashcam_tests::command("sh");
    let program = FLEET.python.eval("__import__('sysconfig').get_path('scripts')") + "/dashcam";
    // The system's limit on the size of files causes an error like a full disk.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" export parquet \"$1\" \"$2\" --tables variables,events";
    shell.args(["-c", script, &program]).arg(&out).arg(&FLEET.recordings[0]);
    let output = run(&mut shell);
    let printed = text(&output.stderr);
    assert!(shell_status(&output) == 1 && printed.lines().count() == 1, "{printed}");
    assert!(printed.contains("part-0.parquet") && printed.contains("too large"), "{printed}");
    assert!(!out.join("variables").exists() && !out.join("events").exists());
    assert_eq!(out.join("_dashcam/runs").read_dir().unwrap().count(), 0);
    assert_eq!(out.join("_dashcam").read_dir().unwrap().count(), 2);
    assert!(export(&FLEET.recordings[0], &out).status.success());
}

#[test]
fn every_run_has_a_uuid_of_its_own() {
    let recording =
        Recording::new(&FLEET.python, [program("columns/shop.py").as_os_str(), "1".as_ref()]);
    let uuid = recording.value("select uuid from runs");
    let uuid = uuid.as_str().unwrap();
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "7"), "{uuid}");
    let all = FLEET.rows_of_sql("select run from {runs} r");
    let mut names: Vec<&str> =
        all.iter().map(|row| row[0].as_str().unwrap()).chain([uuid]).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4);
}
