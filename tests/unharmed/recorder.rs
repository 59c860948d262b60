//! The recorder dies, stops, or fails.

use super::*;

#[test]
fn it_dies_before_a_quiet_program_ends() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        // There are few events, so the ring never fills: only at the end is it noticed that the
        // recorder is dead.
        let code = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nprint('end')";
        let mut program = Stepped::new(python.record(&db).args(["-c", code]));
        signal(program.child.id(), libc::SIGKILL);
        program.child.wait().unwrap();
        let output = program.end();
        assert_eq!(text(&output.stdout), "end\n", "{python}");
        let printed = notices(&output);
        assert!(printed.len() == 1 && printed[0].contains("has died"), "{python}: {printed:?}");
    }
}

#[test]
fn it_dies_before_a_busy_program_ends() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = stepped(&python, &folder.path().join("x.db"));
        signal(program.child.id(), libc::SIGKILL);
        program.child.wait().unwrap();
        let output = program.end();
        assert_eq!(text(&output.stdout), BUSY_PRINTS, "{python}");
        let printed = notices(&output);
        assert!(printed.len() == 1 && printed[0].contains("has died"), "{python}: {printed:?}");
    }
}

#[test]
fn it_stops_and_the_program_goes_on_without_it() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let code = STEPS.replace("100_000", "1_000_000");
        let mut command = python.record(&db);
        command.args(["--max-wait", "0.5", "--ring-size", "1", "-c", &code]);
        let mut program = Stepped::new(&mut command);
        signal(program.child.id(), libc::SIGSTOP);
        program.go_on();
        // The program prints its result although no recorder takes its events.
        assert_eq!(program.next_line(), "500000500000", "{python}");
        signal(program.child.id(), libc::SIGCONT);
        let output = program.end();
        assert_eq!(shell_status(&output), 0, "{python}");
        let printed = notices(&output);
        assert!(printed.len() == 1 && printed[0].contains("--max-wait"), "{python}: {printed:?}");
        let lost = "select status, kind, count from losses join runs using (run_id)
                    where severity = 'error'";
        assert_eq!(ask(&python, &db, lost), "interrupted,gave_up,1", "{python}");
        is_clean(&python, &db);
    }
}

#[test]
fn it_is_killed_and_the_api_goes_on() {
    api("killed", &[]);
}

#[test]
fn it_stops_and_the_api_goes_on() {
    api("stopped", &[]);
}

#[test]
fn it_cannot_store_and_the_api_goes_on() {
    api("full", &[]);
}

#[test]
fn it_cannot_begin_and_leaves_nothing() {
    api("leaves_nothing", &[]);
}

#[test]
fn it_records_beside_and_says_where() {
    api("beside", &[]);
}
