//! The database is in use, locked or full, or cannot be opened at all.

use super::*;
use dashcam_tests::command;

/// Starts a reader in a process of its own, which keeps the recording open.
fn reader(python: &Python, db: &Path) -> Stepped {
    let code = "import dashcam, sys\nr = dashcam.open(sys.argv[1])\nlen(r.run().query('select 1'))\n\
                print('reads', flush=True)\nsys.stdin.readline()";
    Stepped::new(python.bare().args(["-c", code]).arg(db))
}

/// Starts another program that executes these statements and keeps its connection open.
fn holder(python: &Python, db: &Path, sql: &str) -> Stepped {
    let code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                [c.execute(s).fetchall() for s in sys.argv[2].split(';')]\n\
                print('holds', flush=True)\nsys.stdin.readline()\nc.close()";
    Stepped::new(python.bare().args(["-c", code]).arg(db).arg(sql))
}

#[test]
fn readers_and_recorders_stop_no_recorder() {
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", "pass"]);
        let reader = reader(&python, &recording.db);
        let other = stepped(&python, &recording.db);
        let output = run(python.record(&recording.db).args(["-c", BUSY]));
        unharmed(&python, &output);
        assert_eq!(notices(&output), [""; 0], "{python}");
        other.end();
        reader.end();
        recording.check("select distinct status, lost_count from runs", "complete 0");
        recording.check("select count(*) from runs", "3");
        is_clean(&python, &recording.db);
        // The last process that closed the recording left one file.
        assert_eq!(std::fs::read_dir(recording.folder.path()).unwrap().count(), 1, "{python}");
    }
}

#[test]
fn a_locked_file_gets_another_beside_it() {
    let old = "pragma journal_mode = delete; begin; select * from runs";
    for python in Python::all() {
        for (sql, words) in [
            (old, "locked"),
            ("pragma journal_mode = delete; begin exclusive", "locked"),
            ("begin immediate", "locked"),
        ] {
            let recording = Recording::new(&python, ["-c", "pass"]);
            let holder = holder(&python, &recording.db, sql);
            let output = run(python.record(&recording.db).args(["-c", BUSY]));
            unharmed(&python, &output);
            let printed = notices(&output);
            assert!(printed.len() == 1 && printed[0].contains(words), "{python}: {printed:?}");
            assert!(printed[0].contains("dashcam.2.db"), "{python}: {printed:?}");
            let beside = recording.db.with_file_name("dashcam.2.db");
            assert_eq!(ask(&python, &beside, "select status from runs"), "complete");
            holder.end();
            assert_eq!(ask(&python, &recording.db, "select count(*) from runs"), "1");
        }
    }
}

#[test]
fn no_file_can_be_made_and_the_program_runs() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    let record = python.record(&db);
    // Not one block may be written.
    let mut sh = command("bash");
    sh.args(["-c", "ulimit -f 0; exec \"$@\"", "bash"]);
    sh.arg(record.get_program()).args(record.get_args());
    let output = run(sh.args(["-c", "import sys; print(5000050000); sys.exit(3)"]));
    assert_eq!(text(&output.stdout), BUSY_PRINTS, "{}", text(&output.stderr));
    assert_eq!(shell_status(&output), 3);
    let printed = notices(&output);
    assert!(
        printed.len() == 1 && printed[0].contains("the program runs unrecorded"),
        "{printed:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
}

#[test]
fn locked_for_a_while_in_the_middle() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let mut program = stepped(&python, &db);
        let mut holder = holder(&python, &db, "begin immediate");
        // Its events can be stored only after the lock is released.
        program.go_on();
        assert_eq!(program.next_line(), "5000050000", "{python}");
        holder.go_on();
        holder.end();
        let output = program.end();
        assert_eq!(notices(&output), [""; 0], "{python}");
        assert_eq!(ask(&python, &db, "select status, lost_count from runs"), "complete,0");
        is_clean(&python, &db);
    }
}

#[test]
fn few_descriptors() {
    for python in Python::all() {
        for limit in ["200", "100", "40"] {
            let folder = tempfile::tempdir().unwrap();
            let db = folder.path().join("x.db");
            let record = python.record(&db);
            let mut sh = command("bash");
            sh.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "bash"]);
            sh.arg(record.get_program()).args(record.get_args()).args(["-c", BUSY]);
            let output = run(&mut sh);
            unharmed(&python, &output);
            assert_eq!(notices(&output), [""; 0], "{python}: {limit}");
            assert_eq!(ask(&python, &db, "select status from runs"), "complete", "{limit}");
        }
    }
}

#[test]
fn few_descriptors_and_the_api() {
    api("few_descriptors", &[]);
}
