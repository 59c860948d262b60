//! `dashcam query` and the commands like it: formats, exit codes, and what they refuse.

use dashcam_tests::{Python, Recording, program, run, shell_status, text};
use std::process::Output;
use std::sync::LazyLock;

static RECORDING: LazyLock<Recording> =
    LazyLock::new(|| Recording::new(&Python::any(), [program("exceptions.py")]));

fn dashcam(verb: &str, rest: &[&str]) -> Output {
    run(RECORDING.python.dashcam().arg(verb).arg(&RECORDING.db).args(rest))
}

/// Asserts that a command ended with this status, and with one line on standard error that contains
/// all of `words`.
fn refuses(output: &Output, status: i32, words: &[&str]) {
    let printed = text(&output.stderr);
    assert_eq!(shell_status(output), status, "{printed}");
    assert_eq!(printed.trim_end().lines().count(), 1, "{printed}");
    for word in words {
        assert!(printed.contains(word), "{word} is not in: {printed}");
    }
}

#[test]
fn formats() {
    let sql = "select 1 as n, null as gap, 'a,\"b\nc' as t, 2.5 as r";
    let show = |format: &str| text(&dashcam("query", &[sql, "--format", format]).stdout);
    assert_eq!(show("jsonl"), "{\"n\":1,\"gap\":null,\"t\":\"a,\\\"b\\nc\",\"r\":2.5}\n");
    let json: serde_json::Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(json[0]["t"], "a,\"b\nc");
    assert_eq!(show("csv").replace("\r\n", "\n"), "n,gap,t,r\n1,,\"a,\"\"b\nc\",2.5\n");
    let table = show("table");
    assert!(table.contains("gap") && table.contains("2.5"), "{table}");
}

#[test]
fn no_rows_is_an_answer() {
    let output = dashcam("query", &["select 1 where 0", "--format", "jsonl"]);
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
fn writing_is_refused() {
    let before = std::fs::read(&RECORDING.db).unwrap();
    for sql in [
        "delete from runs",
        "update runs set cwd = ''",
        "insert into losses(run_id, kind, severity, count, detail) values (1, 'x', 'info', 1, '')",
        "create table t (x)",
        "drop table runs",
        "pragma user_version = 7",
        "attach '/tmp/dashcam-should-not-exist.db' as other",
        "vacuum into '/tmp/dashcam-should-not-exist.db'",
        "select 1; delete from runs",
    ] {
        let output = dashcam("query", &[sql]);
        assert_eq!(
            shell_status(&output),
            1,
            "{sql}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        assert!(!text(&output.stderr).contains("panicked"));
    }
    assert!(before == std::fs::read(&RECORDING.db).unwrap(), "the file changed");
    assert!(!std::path::Path::new("/tmp/dashcam-should-not-exist.db").exists());
}

#[test]
fn mistakes_are_named() {
    refuses(&dashcam("query", &["select colour from events"]), 1, &["colour"]);
    refuses(&dashcam("query", &["select 1 from nowhere"]), 1, &["nowhere"]);
    refuses(&dashcam("query", &["selec 1"]), 1, &["selec"]);
    assert_eq!(shell_status(&dashcam("query", &["select 1", "--format", "xml"])), 2);
    assert_eq!(shell_status(&dashcam("frobnicate", &[])), 2);
    assert_eq!(shell_status(&run(&mut RECORDING.python.dashcam())), 2);
}

#[test]
fn help_shows_an_example_of_each_verb() {
    for verb in ["record", "runs", "query", "dump", "diff", "check", "schema"] {
        let output = run(RECORDING.python.dashcam().args([verb, "--help"]));
        assert!(output.status.success(), "{verb}");
        let help = text(&output.stdout);
        assert!(
            help.contains(&format!("dashcam {verb}")) && help.to_lowercase().contains("example"),
            "{help}"
        );
    }
}

#[test]
fn dump_is_one_event_per_line_and_stable() {
    let dump = dashcam("dump", &[]);
    assert!(dump.status.success(), "{}", text(&dump.stderr));
    let lines = text(&dump.stdout).lines().count() as i64;
    assert_eq!(lines, RECORDING.number("select count(*) from events"));
    assert!(
        text(&dump.stdout).contains("ZeroDivisionError")
            == text(&dashcam("dump", &[]).stdout).contains("ZeroDivisionError")
    );
    assert!(dump.stdout == dashcam("dump", &[]).stdout);
}

#[test]
fn a_broken_pipe_is_success() {
    let mut sh = dashcam_tests::command("bash");
    let dashcam = RECORDING.python.dashcam().get_program().to_owned();
    sh.args(["-c", "\"$0\" dump \"$1\" | head -1; exit ${PIPESTATUS[0]}"])
        .arg(dashcam)
        .arg(&RECORDING.db);
    let output = run(&mut sh);
    assert_eq!(shell_status(&output), 0, "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn check_finds_nothing_wrong() {
    let output = dashcam("check", &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn runs_lists_them() {
    let listed = text(&dashcam("runs", &[]).stdout);
    assert!(listed.contains("complete") && listed.contains("exceptions.py"), "{listed}");
}

#[test]
fn schema_describes_every_table() {
    let output = run(RECORDING.python.dashcam().arg("schema"));
    let printed = text(&output.stdout);
    for table in dashcam_schema::tables::TABLES.iter().filter(|table| !table.is_internal) {
        assert!(printed.contains(table.name), "{}", table.name);
        for column in table.columns {
            assert!(printed.contains(column.name), "{}.{}", table.name, column.name);
        }
    }
}

#[test]
fn any_sqlite_client_reads_the_ordinary_tables() {
    // Python's own sqlite3, which knows nothing of dashcam.
    let code = "import sqlite3, sys; c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True); \
                print(c.execute('select status, event_count = (select sum(count) from event_counts) from runs').fetchall())";
    let output = run(RECORDING.python.bare().args(["-c", code]).arg(&RECORDING.db));
    assert_eq!(text(&output.stdout), "[('complete', 1)]\n", "{}", text(&output.stderr));
}
