//! However the program ends, what it did before is in the recording, and its caller sees what it
//! would see without dashcam.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod finalizing;

use dashcam_tests::{
    Python, Recording, finish, program, program_stderr, run, shell_status, spawn, text,
};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdout, Command, Output};
use std::time::{Duration, Instant};

/// How a run of `ends.py` looks from outside.
struct End {
    how: &'static str,
    status: i32,
    run: &'static str,
    /// How the call that ended the program is recorded, in `calls.exit`.
    exit: &'static str,
}

const ENDS: &[End] = &[
    End { how: "sigkill", status: 137, run: "interrupted - 9", exit: "open" },
    End { how: "os_exit", status: 0, run: "complete 0 -", exit: "open" },
    End { how: "os_exit_like_a_signal", status: 143, run: "complete 143 -", exit: "open" },
    End { how: "segfault", status: 139, run: "interrupted - 11", exit: "open" },
    End { how: "abort", status: 134, run: "interrupted - 6", exit: "open" },
    End { how: "uncaught", status: 1, run: "complete 1 -", exit: "unwind" },
    End { how: "sys_exit", status: 3, run: "complete 3 -", exit: "unwind" },
    End { how: "sys_exit_text", status: 1, run: "complete 1 -", exit: "unwind" },
    End { how: "return_", status: 0, run: "complete 0 -", exit: "return" },
];

/// Exit code and signal, as a caller that waits sees them. Whether there is a core dump is left
/// out.
fn outcome(output: &Output) -> (Option<i32>, Option<i32>) {
    (output.status.code(), output.status.signal())
}

fn ends(how: &str) {
    let end = ENDS.iter().find(|end| end.how == how).unwrap();
    let script = program("crash/ends.py");
    for python in Python::all() {
        let bare = run(python.bare().arg(&script).arg(how));
        let recording = Recording::new(&python, [script.as_os_str(), how.as_ref()]);
        assert_eq!(shell_status(&bare), end.status, "{python}: bare");
        assert_eq!(outcome(&recording.output), outcome(&bare), "{python}: {}", recording.printed());
        assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{python}");
        assert_eq!(program_stderr(&recording.output), program_stderr(&bare), "{python}");
        recording.check("select status, exit_code, exit_signal from runs", end.run);
        recording.check("select exit from calls where qualname = 'marker'", "return");
        recording.check(&format!("select exit from calls where qualname = '{how}'"), end.exit);
        recording.check("select kind from events where callable = 'marker' order by seq", "CALL");
        // The last thing the function did is recorded too.
        let last = format!(
            "select count(*) > 0 from events join code_objects using (code_id)
             where qualname = '{how}' and events.kind = 'CALL'"
        );
        assert!(how == "uncaught" || how == "return_" || recording.number(&last) == 1, "{python}");
        let printed = text(&recording.output.stderr);
        let ours: Vec<_> = printed.lines().filter(|line| line.starts_with("dashcam: ")).collect();
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
fn left_with_a_status_that_looks_like_a_signal() {
    ends("os_exit_like_a_signal")
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

/// Runs `waits.py`, sends the recorder a signal once the program has printed that it is ready, and
/// returns the recording.
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

/// Records `waits.py` at a terminal, where `key` is pressed once the program has printed that it is
/// ready.
fn at_a_terminal(python: &Python, key: &str) -> Recording {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let record = python.record(&db);
    let mut terminal = python.bare();
    terminal.env("PYTHON_COLORS", "0");
    terminal.arg(program("crash/terminal.py")).arg(key);
    terminal.arg(record.get_program()).args(record.get_args());
    let output = run(terminal.arg(program("crash/waits.py")).arg("spin").env("NO_COLOR", "1"));
    Recording { python: python.clone(), db, output, folder }
}

#[test]
fn ctrl_c_in_an_endless_loop() {
    for python in Python::all() {
        let recording = at_a_terminal(&python, "\x03");
        assert_eq!(
            outcome(&recording.output),
            (None, Some(2)),
            "{python}: {}",
            recording.printed()
        );
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
fn ctrl_backslash_quits() {
    for python in Python::all() {
        let recording = at_a_terminal(&python, "\x1c");
        assert_eq!(
            outcome(&recording.output),
            (None, Some(3)),
            "{python}: {}",
            recording.printed()
        );
        recording.check("select status, exit_signal from runs", "interrupted 3");
    }
}

/// The kernel sends the signal only to the leader of the session, which is the recorder.
#[test]
fn a_terminal_that_goes_away_ends_the_program() {
    for python in Python::all() {
        let recording = at_a_terminal(&python, "hang-up");
        assert_eq!(
            outcome(&recording.output),
            (None, Some(1)),
            "{python}: {}",
            recording.printed()
        );
        recording.check("select status, exit_signal from runs", "interrupted 1");
    }
}

/// A running `counts.py`, in a process group of its own.
struct Counting {
    child: std::process::Child,
    stdout: BufReader<ChildStdout>,
    /// Id of the program's own process.
    program: i32,
}

impl Counting {
    fn start(command: &mut Command) -> Counting {
        let mut child = spawn(command.arg(program("crash/counts.py")));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut counting = Counting { child, stdout, program: 0 };
        counting.program = counting.line().parse().unwrap();
        counting
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns the id of the process that the shell started.
    fn outer(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until the process that the shell started stops or continues. Returns the signal that
    /// stopped it.
    fn wait(&self) -> Option<i32> {
        let mut status = 0;
        let flags = libc::WUNTRACED | libc::WCONTINUED | libc::WNOHANG;
        // SAFETY: the pointer is to an int of ours.
        let mut waited = || unsafe { libc::waitpid(self.outer(), &mut status, flags) };
        let begin = Instant::now();
        let mut pid = 0;
        while pid == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "neither stopped nor continued");
            std::thread::sleep(Duration::from_millis(1));
            pid = waited();
        }
        assert_eq!(pid, self.outer());
        assert!(libc::WIFSTOPPED(status) || libc::WIFCONTINUED(status), "ended: {status:#x}");
        libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
    }

    /// Waits until a recorder that was continued has blocked SIGTSTP again in the thread that
    /// unblocked it to stop. A SIGTSTP sent to the recorder alone before that stops the recorder,
    /// and not the program.
    fn settle(&self) {
        let outer = self.outer();
        let is_open = |task: std::fs::DirEntry| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            let set = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            let set = u64::from_str_radix(set.trim(), 16).unwrap();
            let is_blocked = |signal: i32| set >> (signal - 1) & 1 == 1;
            // The thread that waits for signals has all of them unblocked meanwhile.
            !is_blocked(libc::SIGTSTP) && is_blocked(libc::SIGUSR1)
        };
        let tasks = || std::fs::read_dir(format!("/proc/{outer}/task")).unwrap();
        while outer != self.program && tasks().any(|task| is_open(task.unwrap())) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn kill(target: i32, signal: i32) {
    // SAFETY: kill takes no pointers; the target is a child not waited for, its child, or its
    // group.
    assert_eq!(unsafe { libc::kill(target, signal) }, 0);
}

/// Runs it bare, and recorded into a folder that the caller must keep.
fn counting(python: &Python) -> [(Counting, Option<tempfile::TempDir>); 2] {
    let folder = tempfile::tempdir().unwrap();
    let recorded = Counting::start(&mut python.record(&folder.path().join("dashcam.db")));
    [(Counting::start(&mut python.bare()), None), (recorded, Some(folder))]
}

#[test]
fn a_signal_to_the_group_or_to_one_arrives_once() {
    for python in Python::all() {
        for (mut counting, _folder) in counting(&python) {
            let (outer, own) = (counting.outer(), counting.program);
            for target in [-outer, outer, own, outer, -outer] {
                kill(target, libc::SIGUSR1);
                assert_eq!(counting.line(), "SIGUSR1", "{python}");
                // Two signals of one kind count as one until the first is delivered, with or
                // without dashcam.
                let status = format!("/proc/{outer}/status");
                let is_pending = || {
                    let status = std::fs::read_to_string(&status).unwrap();
                    status.contains("ShdPnd:") && !status.contains("ShdPnd:\t0000000000000000")
                };
                while is_pending() {
                    std::thread::yield_now();
                }
            }
            // A second signal that was still on its way would arrive before this one.
            kill(outer, libc::SIGTERM);
            assert_eq!(counting.line(), "SIGTERM", "{python}");
            assert_eq!(counting.line(), "", "{python}");
            assert_eq!(outcome(&finish(counting.child)), (Some(0), None), "{python}");
        }
    }
}

#[test]
fn stopped_and_continued_alone_or_with_the_group() {
    for python in Python::all() {
        for (mut counting, _folder) in counting(&python) {
            let (outer, own) = (counting.outer(), counting.program);
            for (stop, signal, go_on) in [
                (own, libc::SIGTSTP, own),
                (own, libc::SIGSTOP, own),
                (own, libc::SIGSTOP, outer),
                (own, libc::SIGTTOU, -outer),
                (outer, libc::SIGTSTP, outer),
                (outer, libc::SIGTSTP, own),
                (-outer, libc::SIGTSTP, -outer),
                (-outer, libc::SIGSTOP, -outer),
            ] {
                let what = format!("{python}: {stop} {signal} {go_on} of {outer} {own}");
                kill(stop, signal);
                assert_eq!(counting.wait(), Some(signal), "{what}");
                kill(go_on, libc::SIGCONT);
                assert_eq!(counting.wait(), None, "{what}");
                assert_eq!(counting.line(), "SIGCONT", "{what}");
                counting.settle();
            }
            kill(outer, libc::SIGTERM);
            // Of two signals that follow each other closely, one to the group may be passed on as
            // well.
            let mut line = counting.line();
            while line == "SIGCONT" {
                line = counting.line();
            }
            assert_eq!(line, "SIGTERM", "{python}");
            assert_eq!(outcome(&finish(counting.child)), (Some(0), None), "{python}");
        }
    }
}

/// The first process of a container is not ended by signals that it sends to itself.
#[test]
fn the_first_process_of_a_container_exits_as_a_shell_would() {
    let isolated = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let works = Command::new("unshare").args(isolated).arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: the first process of a container: unshare does not work here");
        return;
    }
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        let record = python.record(&db);
        let mut command = Command::new("unshare");
        command.args(isolated).arg(record.get_program()).args(record.get_args());
        let output = run(command.arg(program("crash/ends.py")).arg("abort"));
        assert_eq!(outcome(&output), (Some(134), None), "{python}: {}", text(&output.stderr));
        let recording = Recording { python: python.clone(), db, output, folder };
        recording.check("select status, exit_signal from runs", "interrupted 6");
    }
}

/// Starts a command with some signals ignored and others blocked.
const WITH_SIGNALS: &str = "\
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ, signal.SIGTTOU):
    signal.signal(number, signal.SIG_IGN)
blocked = {signal.SIGUSR2, signal.SIGTERM, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
os.execvp(sys.argv[1], sys.argv[1:])
";

#[test]
fn signals_are_ignored_and_blocked_as_ever() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let show = ["grep", "^Sig[BI]", "/proc/self/status"];
    let go = |before: &Command| {
        let mut command = python.bare();
        command.args(["-c", WITH_SIGNALS]);
        if before.get_program() != Path::new("") {
            command.arg(before.get_program()).args(before.get_args());
        }
        run(command.args(show))
    };
    let (bare, recorded) = (go(&Command::new("")), go(python.record(&db).arg("--")));
    assert_eq!(outcome(&bare), (Some(0), None), "{}", text(&bare.stderr));
    // Leaves out the two signals that the C library keeps for itself.
    let sets = |output: &Output| -> Vec<u64> {
        let printed = text(&output.stdout);
        let sets = printed.lines().filter_map(|line| line.split_whitespace().nth(1));
        sets.map(|set| u64::from_str_radix(set, 16).unwrap() & !(3 << 31)).collect()
    };
    assert_eq!(sets(&bare).len(), 2);
    assert_eq!(sets(&bare), sets(&recorded), "{}", text(&recorded.stderr));
    assert_eq!(outcome(&recorded), (Some(0), None), "{}", text(&recorded.stderr));
}

#[test]
fn sigterm_to_the_recorder_reaches_the_program() {
    for python in Python::all() {
        let recording = signalled(&python, libc::SIGTERM, "spin");
        assert_eq!(
            outcome(&recording.output),
            (None, Some(15)),
            "{python}: {}",
            recording.printed()
        );
        recording.check("select status, exit_signal from runs", "interrupted 15");
        recording.check("select exit from calls where qualname = 'spin'", "open");
    }
}

#[test]
fn a_handler_decides_what_sigterm_means() {
    for python in Python::all() {
        let recording = signalled(&python, libc::SIGTERM, "handled");
        assert_eq!(shell_status(&recording.output), 7, "{python}: {}", recording.printed());
        assert_eq!(text(&recording.output.stdout), "handled\n", "{python}");
        recording.check("select status, exit_code from runs", "complete 7");
        // The handler is called by the loop that it interrupted.
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
        // SAFETY: kill takes no pointers; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(child.id() as i32, libc::SIGKILL) };
        // End of file means that the program, which holds the other end, has ended as well.
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

/// How `counts_up.py` counts, and an expression that is one less than the number of times its
/// marked line has begun.
const COUNTS: &[(&str, &str)] = &[
    ("calls", "i"),
    ("variables", "i"),
    ("attributes", "box.n"),
    ("items", "box['n']"),
    ("lists", "box[0]"),
    ("generators", "box.n"),
];

/// Events and values are committed separately, so the values of the last events may be missing.
#[test]
fn after_both_are_killed_the_last_value_is_true_or_refused() {
    let python = Python::all().pop().unwrap();
    for (how, expression) in COUNTS {
        let known = count_known(&python, how, expression, false);
        let known = known + count_known(&python, how, expression, true);
        println!("{python}, {how}: {known} values known");
        assert!(known > 0, "{how}: nothing at all was known");
    }
}

/// Kills recorder and program: early, or once values have been stored. Then asks for a value whose
/// count is known, at events near the last one and long before it. Returns how many of the values
/// are known.
fn count_known(python: &Python, how: &str, expression: &str, is_stored: bool) -> u32 {
    let script = program("crash/counts_up.py");
    let source = std::fs::read_to_string(&script).unwrap();
    let line = 1 + source.lines().position(|line| line.ends_with(&format!("# {how}"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let mut command = python.record(&db);
    command.args(["--no-stdlib", "--capture", "state"]);
    let mut child = spawn(command.arg(&script).arg(how));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first_line = String::new();
    stdout.read_line(&mut first_line).unwrap();
    let pid: i32 = first_line.trim().parse().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let begun = std::time::Instant::now();
    while is_stored && begun.elapsed().as_secs() < 60 && !has_values(&db) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // SAFETY: kill takes no pointers; the child has not been waited for, so the id is its own. The
    // program is the child's, which has not waited for it.
    unsafe {
        libc::kill(child.id() as i32, libc::SIGKILL);
        libc::kill(pid, libc::SIGKILL);
    }
    let output = finish(child);
    let recording = Recording { python: python.clone(), db, output, folder };
    let lines = format!("from events where kind = 'LINE' and line = {line}");
    // Nothing at all may be stored yet.
    let count = format!("select count(*) {lines}");
    let mut query = python.dashcam();
    let answer = run(query.arg("query").arg(&recording.db).args([&count, "--format", "csv"]));
    let count: i64 = text(&answer.stdout).trim().rsplit('\n').next().unwrap().parse().unwrap_or(0);
    let mut known = 0;
    for nth in [count, count - 1, count - 500, count / 2, 2] {
        if nth < 2 || nth > count {
            continue;
        }
        let seq = recording
            .number(&format!("select seq {lines} order by seq limit 1 offset {}", nth - 1));
        let sql = format!("select value_at(1, {seq}, 0, \"{expression}\") as value");
        let mut query = python.dashcam();
        let answer = run(query.arg("query").arg(&recording.db).args([&sql, "--format", "csv"]));
        let printed = text(&answer.stderr);
        match shell_status(&answer) {
            0 => {
                let is = format!("value\n{}\n", nth - 1);
                assert_eq!(text(&answer.stdout), is, "{how}, {nth} of {count}: {printed}");
                known += 1;
            }
            _ => {
                let is_refused =
                    printed.contains("is not known here") || printed.contains("not recorded");
                assert!(is_refused, "{how}, {nth} of {count}: {printed}");
            }
        }
    }
    known
}

/// Whether chunks of events and of values have been stored.
fn has_values(db: &Path) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let count = |db: rusqlite::Connection| {
        let sql = "SELECT min((SELECT count(*) FROM chunks), (SELECT count(*) FROM value_chunks))";
        db.query_row(sql, (), |row| row.get::<_, i64>(0))
    };
    rusqlite::Connection::open_with_flags(db, flags).and_then(count).is_ok_and(|count| count > 0)
}
