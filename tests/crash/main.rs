//! Whatever becomes of the program, what it did before is in the recording, and who started it
//! sees what they would have seen without dashcam.
#![allow(clippy::unwrap_used)]

mod finalizing;

use dashcam_tests::{
    Python, Recording, finish, program, program_stderr, run, shell_status, spawn, text,
};
use std::io::{BufRead, BufReader};

/// How a run of `ends.py` should look from outside.
struct End {
    how: &'static str,
    status: i32,
    run: &'static str,
    /// Of the call that did not come back.
    exit: &'static str,
}

const ENDS: &[End] = &[
    End { how: "sigkill", status: 137, run: "interrupted - 9", exit: "open" },
    End { how: "os_exit", status: 0, run: "complete 0 -", exit: "open" },
    End { how: "segfault", status: 139, run: "interrupted - 11", exit: "open" },
    End { how: "abort", status: 134, run: "interrupted - 6", exit: "open" },
    End { how: "uncaught", status: 1, run: "complete 1 -", exit: "unwind" },
    End { how: "sys_exit", status: 3, run: "complete 3 -", exit: "unwind" },
    End { how: "sys_exit_text", status: 1, run: "complete 1 -", exit: "unwind" },
    End { how: "return_", status: 0, run: "complete 0 -", exit: "return" },
];

fn ends(how: &str) {
    let end = ENDS.iter().find(|end| end.how == how).unwrap();
    let script = program("crash/ends.py");
    for python in Python::all() {
        let bare = run(python.bare().arg(&script).arg(how));
        let recording = Recording::new(&python, [script.as_os_str(), how.as_ref()]);
        assert_eq!(shell_status(&bare), end.status, "{python}: bare");
        assert_eq!(shell_status(&recording.output), end.status, "{python}: {}", recording.said());
        assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{python}");
        assert_eq!(program_stderr(&recording.output), program_stderr(&bare), "{python}");
        recording.check("select status, exit_code, exit_signal from runs", end.run);
        recording.check("select exit from calls where qualname = 'marker'", "return");
        recording.check(&format!("select exit from calls where qualname = '{how}'"), end.exit);
        recording.check("select kind from events where callable = 'marker' order by seq", "CALL");
        // The last thing it did is there too.
        let last = format!(
            "select count(*) > 0 from events join code_objects using (code_id)
             where qualname = '{how}' and events.kind = 'CALL'"
        );
        assert!(how == "uncaught" || how == "return_" || recording.number(&last) == 1, "{python}");
        let said = text(&recording.output.stderr);
        let ours: Vec<_> = said.lines().filter(|line| line.starts_with("dashcam: ")).collect();
        assert!(ours.len() == 1 && ours[0].contains("events in"), "{python}: {ours:?}");
    }
}

#[test]
fn killed() {
    ends("sigkill")
}

#[test]
fn left_by_os_exit() {
    ends("os_exit")
}

#[test]
fn segmentation_fault() {
    ends("segfault")
}

#[test]
fn aborted() {
    ends("abort")
}

#[test]
fn uncaught_exception() {
    ends("uncaught")
}

#[test]
fn sys_exit() {
    ends("sys_exit")
}

#[test]
fn sys_exit_with_a_text() {
    ends("sys_exit_text")
}

#[test]
fn ordinary_end() {
    ends("return_")
}

/// Runs `waits.py`, sends the recorder a signal once it has said that it is ready, and gives the
/// recording.
fn signalled(python: &Python, signal: i32, mode: &str) -> Recording {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let mut child = spawn(python.record(&db).arg(program("crash/waits.py")).arg(mode));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "{python}: {}", text(&finish(child).stderr));
    // SAFETY: kill takes no pointers; the child has not been waited for, so the id is its own.
    unsafe { libc::kill(child.id() as i32, signal) };
    let mut output = finish(child);
    std::io::Read::read_to_end(&mut stdout, &mut output.stdout).unwrap();
    Recording { python: python.clone(), db, output, folder }
}

#[test]
fn ctrl_c_in_an_endless_loop() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        let record = python.record(&db);
        let mut terminal = python.bare();
        terminal.env("PYTHON_COLORS", "0");
        terminal.arg(program("crash/terminal.py"));
        terminal.arg(record.get_program()).args(record.get_args());
        let output = run(terminal.arg(program("crash/waits.py")).arg("spin").env("NO_COLOR", "1"));
        let recording = Recording { python: python.clone(), db, output, folder };
        assert_eq!(shell_status(&recording.output), 130, "{python}: {}", recording.said());
        let shown = text(&recording.output.stdout);
        assert_eq!(shown.matches("Traceback").count(), 1, "{python}: {shown}");
        assert_eq!(shown.matches("\nKeyboardInterrupt\n").count(), 1, "{python}: {shown}");
        recording.check("select status, exit_signal from runs", "interrupted 2");
        recording.check(
            "select exit, exception from calls where qualname = 'spin'",
            "unwind KeyboardInterrupt",
        );
    }
}

#[test]
fn sigterm_to_the_recorder_reaches_the_program() {
    for python in Python::all() {
        let recording = signalled(&python, libc::SIGTERM, "spin");
        assert_eq!(shell_status(&recording.output), 143, "{python}: {}", recording.said());
        recording.check("select status, exit_signal from runs", "interrupted 15");
        recording.check("select exit from calls where qualname = 'spin'", "open");
    }
}

#[test]
fn a_handler_decides_what_sigterm_means() {
    for python in Python::all() {
        let recording = signalled(&python, libc::SIGTERM, "handled");
        assert_eq!(shell_status(&recording.output), 7, "{python}: {}", recording.said());
        assert_eq!(text(&recording.output.stdout), "handled\n", "{python}");
        recording.check("select status, exit_code from runs", "complete 7");
        // The handler is called from the loop it interrupted.
        recording.check(
            "select p.qualname from calls c join calls p on p.call_id = c.parent_call_id
             where c.qualname = 'handler'",
            "spin",
        );
    }
}

#[test]
fn the_recorder_killed_leaves_the_program_unharmed() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        let finished = folder.path().join("finished");
        let mut command = python.record(&db);
        command.arg(program("crash/outlives.py")).arg(&finished);
        let mut child = spawn(&mut command);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{python}");
        // SAFETY: as above.
        unsafe { libc::kill(child.id() as i32, libc::SIGKILL) };
        // End of file: the program, which holds the other end, has ended as well.
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
        let output = finish(child);
        assert_eq!(rest, "499500\n", "{python}: {}", text(&output.stderr));
        assert!(finished.exists(), "{python}");
        let recording = Recording { python: python.clone(), db, output, folder };
        let runs = recording.text("select status from runs");
        assert!(runs == "interrupted" || runs == "recording", "{python}: {runs}");
    }
}
