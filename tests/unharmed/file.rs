//! What happens to the file while it is recorded into, and after the death of a recorder.

use super::*;

/// Records [`STEPS`] and does something to the file in the middle. Returns what dashcam printed.
fn meanwhile(python: &Python, db: &Path, act: impl FnOnce()) -> Vec<String> {
    let mut program = stepped(python, db);
    act();
    program.go_on();
    assert_eq!(program.next_line(), "5000050000", "{python}");
    let output = program.end();
    assert_eq!(shell_status(&output), 0, "{python}: {}", text(&output.stderr));
    notices(&output)
}

const CALLS: &str = "select count(*) from calls where qualname = 'f'";

#[test]
fn it_is_deleted() {
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", "pass"]);
        let db = &recording.db;
        let printed = meanwhile(&python, db, || std::fs::remove_file(db).unwrap());
        assert!(printed.len() == 1 && printed[0].contains("was deleted"), "{python}: {printed:?}");
        // This run was written into a new file. The run before it is gone.
        recording.check("select run_id, status from runs", "2 complete");
        recording.check(CALLS, "101000");
        recording.check("select count(*) from code_objects where run_id <> 2", "0");
        is_clean(&python, db);
    }
}

#[test]
fn it_is_moved() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let [db, new] = ["x.db", "y.db"].map(|name| folder.path().join(name));
        let printed = meanwhile(&python, &db, || std::fs::rename(&db, &new).unwrap());
        assert!(printed.len() == 1 && printed[0].contains("was moved to"), "{python}: {printed:?}");
        assert!(printed[0].contains("y.db"), "{python}: {printed:?}");
        assert_eq!(ask(&python, &new, "select status from runs"), "complete");
        assert_eq!(ask(&python, &new, CALLS), "101000", "{python}");
        is_clean(&python, &new);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{python}");
    }
}

#[test]
fn it_is_replaced() {
    for python in Python::all() {
        let other = Recording::new(&python, ["-c", "pass"]);
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let copy = folder.path().join("other.db");
        std::fs::copy(&other.db, &copy).unwrap();
        let printed = meanwhile(&python, &db, || std::fs::rename(&copy, &db).unwrap());
        assert!(printed.len() == 1 && printed[0].contains("was deleted"), "{python}: {printed:?}");
        // Neither file has anything of the other.
        assert_eq!(ask(&python, &db, CALLS), "0", "{python}");
        let beside = folder.path().join("x.2.db");
        assert_eq!(ask(&python, &beside, CALLS), "101000", "{python}");
        is_clean(&python, &db);
        is_clean(&python, &beside);
    }
}

#[test]
fn a_dead_recorders_log_is_moved_into_the_file() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let [db, copy] = ["x.db", "copy.db"].map(|name| folder.path().join(name));
        let program = stepped(&python, &db);
        let events = || ask(&python, &db, "select count(*) from events");
        while events() == "0" {}
        signal(program.child.id(), libc::SIGKILL);
        program.end();
        // Checks the file and then copies it, as in the help of `dashcam check`.
        is_clean(&python, &db);
        std::fs::copy(&db, &copy).unwrap();
        assert!(ask(&python, &copy, "select count(*) > 0 from events") == "1", "{python}");
        assert!(!folder.path().join("x.db-wal").exists(), "{python}");
    }
}

#[test]
fn a_log_that_stays_is_named() {
    let python = Python::any();
    let recording = Recording::new(&python, ["-c", "pass"]);
    let code = "import dashcam, sys\nr = dashcam.open(sys.argv[1])\nprint('reads', flush=True)\nsys.stdin.readline()";
    let reader = Stepped::new(python.bare().args(["-c", code]).arg(&recording.db));
    run(python.record(&recording.db).args(["-c", BUSY]));
    let output = run(python.dashcam().arg("check").arg(&recording.db));
    let printed = notices(&output);
    assert!(printed.len() == 1 && printed[0].contains("-wal holds"), "{printed:?}");
    reader.end();
    let output = run(python.dashcam().arg("check").arg(&recording.db));
    assert_eq!(notices(&output), [""; 0]);
}
