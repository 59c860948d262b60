//! Tests the program from outside: its output and exit codes.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/mod.rs"]
mod support;

use dashcam_schema::event::EventKind as K;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{Maker, ev};

fn recording(dir: &Path) -> std::path::PathBuf {
    let mut maker = Maker::new(dir);
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, Some("MainThread"));
    maker.thread(&process, 1, Some("Thread-1 (w\u{1b})"));
    maker.code(&process, 0, "app.py", "<module>", &[1, 2, 0, 3]);
    maker.callable(&process, 0, "len");
    maker.exception_type(&process, 0, "KeyError");
    maker.exception(&mut process, 9, 0, "k");
    let events = [
        ev(K::PY_START, 0, 0),
        ev(K::LINE, 0, 2),
        ev(K::CALL, 0, 1).calls(0).after(5),
        ev(K::BRANCH, 0, 2).target(3),
        ev(K::RAISE, 0, 3).exception(9).thread(1),
    ];
    maker.chunks(&mut process, &events, 2);
    maker.finish()
}

fn dashcam(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashcam"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Standard output, standard error, exit code.
fn run(dir: &Path, arguments: &[&str]) -> (String, String, i32) {
    let output = dashcam(dir, arguments);
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap(),
    )
}

#[track_caller]
fn prints(arguments: &[&str], expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    recording(dir.path());
    let (out, err, code) = run(dir.path(), arguments);
    assert_eq!((out.as_str(), err.as_str(), code), (expected, "", 0), "{arguments:?}\n{out}");
}

#[track_caller]
fn fails(arguments: &[&str], expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    recording(dir.path());
    let (out, err, code) = run(dir.path(), arguments);
    assert_eq!((out.as_str(), err.trim_end(), code), ("", expected, 1), "{arguments:?}");
}

#[test]
fn dump_is_one_event_per_line() {
    prints(
        &["dump", "x.db"],
        "       \
1  MainThread  PY_START           app.py:1  <module>  offset=0
       2  MainThread  LINE               app.py:2  <module>
       3  MainThread  CALL               app.py:2  <module>  offset=2  callable=len
       4  MainThread  BRANCH             app.py:-  <module>  offset=4  target=6 line 3
       5  Thread-1 (w\\u{1b})  RAISE              app.py:3  <module>  offset=6  exception=KeyError
",
    );
    prints(
        &["dump", "x.db", "--run", "1", "--format", "jsonl", "--time"],
        concat!(
            r#"{"run_id":1,"seq":1,"process_id":1,"thread_id":1,"thread":"MainThread","time_ns":10,"kind":"PY_START","code_id":1,"path":"app.py","qualname":"<module>","line":1,"offset":0,"target_offset":null,"target_line":null,"callable":null,"exception":null,"value":null}"#,
            "\n",
            r#"{"run_id":1,"seq":2,"process_id":1,"thread_id":1,"thread":"MainThread","time_ns":10,"kind":"LINE","code_id":1,"path":"app.py","qualname":"<module>","line":2,"offset":null,"target_offset":null,"target_line":null,"callable":null,"exception":null,"value":null}"#,
            "\n",
            r#"{"run_id":1,"seq":3,"process_id":1,"thread_id":1,"thread":"MainThread","time_ns":15,"kind":"CALL","code_id":1,"path":"app.py","qualname":"<module>","line":2,"offset":2,"target_offset":null,"target_line":null,"callable":"len","exception":null,"value":null}"#,
            "\n",
            r#"{"run_id":1,"seq":4,"process_id":1,"thread_id":1,"thread":"MainThread","time_ns":15,"kind":"BRANCH","code_id":1,"path":"app.py","qualname":"<module>","line":null,"offset":4,"target_offset":6,"target_line":3,"callable":null,"exception":null,"value":null}"#,
            "\n",
            r#"{"run_id":1,"seq":5,"process_id":1,"thread_id":2,"thread":"Thread-1 (w\u001b)","time_ns":15,"kind":"RAISE","code_id":1,"path":"app.py","qualname":"<module>","line":3,"offset":6,"target_offset":null,"target_line":null,"callable":null,"exception":"KeyError","value":null}"#,
            "\n",
        ),
    );
}

#[test]
fn query_has_four_formats() {
    let sql = "SELECT seq, kind, callable, 1.0 AS r FROM events WHERE seq > 2 ORDER BY seq";
    prints(
        &["query", "x.db", sql],
        "\
seq  kind    callable    r
  3  CALL    len       1.0
  4  BRANCH  NULL      1.0
  5  RAISE   NULL      1.0
",
    );
    prints(
        &["query", "x.db", sql, "--format", "csv"],
        "\
seq,kind,callable,r
3,CALL,len,1.0
4,BRANCH,,1.0
5,RAISE,,1.0
",
    );
    prints(
        &["query", "x.db", sql, "--format", "jsonl"],
        "\
{\"seq\":3,\"kind\":\"CALL\",\"callable\":\"len\",\"r\":1.0}
{\"seq\":4,\"kind\":\"BRANCH\",\"callable\":null,\"r\":1.0}
{\"seq\":5,\"kind\":\"RAISE\",\"callable\":null,\"r\":1.0}
",
    );
    prints(&["query", "x.db", "SELECT 1 AS a", "--format", "json"], "[\n{\"a\":1}\n]\n");
    prints(&["query", "x.db", "SELECT 1 AS a WHERE 0", "--format", "json"], "[]\n");
    prints(&["query", "x.db", "SELECT 1 AS a WHERE 0", "--format", "csv"], "a\n");
    prints(&["query", "x.db", "SELECT 1 AS a WHERE 0"], "a\n");
}

#[test]
fn runs_are_listed() {
    prints(
        &["runs", "x.db"],
        "\
run  started               seconds  status    exit  events  lost  python  command
  1  2026-01-02T03:04:05Z      1.5  complete  0          5     0  3.13.0  app.py 'a b'
",
    );
}

#[test]
fn check_finds_nothing_wrong() {
    prints(&["check", "x.db"], "x.db: 3 chunks, 5 events, no damage\n");
}

#[test]
fn schema_describes_tables() {
    let (out, _, code) = run(Path::new("/"), &["schema"]);
    assert!(out.contains("events: Every event, in order") && !out.contains("chunks:"), "{out}");
    assert_eq!(code, 0);
    assert!(run(Path::new("/"), &["schema", "--all"]).0.contains("\nchunks:"));
    let (out, ..) = run(Path::new("/"), &["schema", "threads", "--format", "csv"]);
    assert!(out.starts_with("table,column,type,description\nthreads,thread_id,INTEGER,Number"));
}

#[test]
fn the_database_is_in_the_current_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::rename(recording(dir.path()), dir.path().join("dashcam.db")).unwrap();
    assert_eq!(run(dir.path(), &["query", "SELECT count(*) AS n FROM events"]).0, "n\n5\n");
    assert_eq!(run(dir.path(), &["dump"]).0.lines().count(), 5);
}

#[test]
fn mistakes_get_one_line() {
    fails(
        &["query", "x.db", "SELECT lin FROM events"],
        "dashcam: x.db: no such column: lin; did you mean line?",
    );
    fails(
        &["query", "x.db", "SELECT first_line FROM events"],
        "dashcam: x.db: no such column: first_line; code_objects has it",
    );
    fails(
        &["query", "x.db", "SELECT e.banana FROM events e"],
        "dashcam: x.db: no such column: e.banana; see: dashcam schema",
    );
    fails(
        &["query", "x.db", "SELECT events.banana FROM events"],
        "dashcam: x.db: no such column: events.banana; see: dashcam schema events",
    );
    fails(
        &["query", "x.db", "SELECT * FROM event"],
        "dashcam: x.db: no such table: event; did you mean events?",
    );
    fails(&["query", "x.db", "SELEC 1"], "dashcam: x.db: near \"SELEC\": syntax error");
    fails(&["query", "x.db", "SELECT 1; SELECT 2"], "dashcam: x.db: one statement at a time");
    fails(
        &["query", "x.db", "DELETE FROM runs"],
        "dashcam: x.db: recordings are read-only: this statement is not a query",
    );
    fails(&["dump", "x.db", "--run", "7"], "dashcam: x.db: no run 7; the last is 1");
    fails(&["schema", "cals"], "dashcam: no table cals; did you mean calls?");
    fails(
        &["runs"],
        "dashcam: dashcam.db: no such file; name a recording, or make one with `dashcam record`",
    );
    fails(&["runs", "y.db"], "dashcam: y.db: no such file");
    assert_eq!(run(Path::new("/"), &["query"]).2, 2);
    assert_eq!(run(Path::new("/"), &["quary"]).2, 2);
}

#[test]
fn every_verb_has_an_example() {
    for verb in ["runs", "query", "dump", "check", "schema"] {
        let (out, _, code) = run(Path::new("/"), &[verb, "--help"]);
        assert!(code == 0 && out.contains("Example"), "{verb}: {out}");
    }
}

#[test]
fn losses_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "INSERT INTO losses (run_id, process_id, kind, severity, count, first_seq, detail) VALUES (1, 1, 'foreign_code', 'loss', 2, 1, ''),
                                   (1, 1, 'waited', 'info', 99, 1, '')",
    )
    .unwrap();
    let (_, err, code) = run(dir.path(), &["dump", "x.db"]);
    assert_eq!(err, "dashcam: run 1: 2 events lost (see: select * from losses)\n");
    assert_eq!(code, 0);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    recording(dir.path());
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)
               SELECT i FROM n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_dashcam"))
        .current_dir(dir.path())
        .args(["query", "x.db", sql, "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn interrupting_a_query_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    recording(dir.path());
    // The first row shows that the statement is running.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_dashcam"))
        .current_dir(dir.path())
        .args(["query", "x.db", sql, "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut out, &mut [0; 8]).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "dashcam: interrupted\n");
    assert_eq!(output.status.code(), Some(130));
}

#[test]
fn record_becomes_the_recorder() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("dashcam");
    // Other processes create the files: if this one had opened them for writing, a child that
    // another test forks in the meantime could still have them open, and a busy file cannot be
    // executed.
    let shell = |script: &str| {
        let status = Command::new("sh").args(["-c", script]).current_dir(dir.path()).status();
        assert!(status.unwrap().success());
    };
    shell(&format!("cp '{}' dashcam", env!("CARGO_BIN_EXE_dashcam")));
    let record = |path: &str| {
        let mut command = Command::new(&program);
        command.args(["record", "--help", "-m", "x"]).env("PATH", path).output().unwrap()
    };
    let output = record("");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("dashcam: dashcam-recorder is"));
    shell(
        r#"printf '#!/bin/sh\necho "$@"; exit 7\n' > dashcam-recorder; chmod +x dashcam-recorder"#,
    );
    let output = record("/usr/bin:/bin");
    assert_eq!(output.stdout, b"--help -m x\n");
    assert_eq!(output.status.code(), Some(7));
}
