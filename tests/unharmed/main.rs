//! Recording never harms the program: whatever happens to the recorder, to the database or to those
//! who read it, the program runs to its own end, with its own output and exit status.
#![allow(clippy::unwrap_used)]

mod database;
mod file;
mod recorder;
mod stress;

use dashcam_tests::{Python, Recording, finish, program, run, shell_status, spawn, text};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output};

/// Makes many events, and prints a sum.
const BUSY: &str = "def f(i): return i + 1\nt = 0\nfor i in range(100_000): t += f(i)\nprint(t)";
const BUSY_PRINTS: &str = "5000050000\n";

/// Returns the lines of dashcam on standard error, without the report at the end.
fn notices(output: &Output) -> Vec<String> {
    let printed = text(&output.stderr);
    let ours = printed.lines().filter_map(|line| line.strip_prefix("dashcam: "));
    ours.filter(|line| !line.starts_with("run ")).map(str::to_owned).collect()
}

/// Asserts that the program ran as it would have without dashcam.
fn unharmed(python: &Python, output: &Output) {
    let printed = text(&output.stderr);
    assert_eq!(text(&output.stdout), BUSY_PRINTS, "{python}: {printed}");
    assert_eq!(shell_status(output), 0, "{python}: {printed}");
    assert!(!printed.contains("panicked"), "{python}: {printed}");
}

/// Returns the rows of a query on a recording that need not be from here.
fn ask(python: &Python, db: &Path, sql: &str) -> String {
    let mut query = python.dashcam();
    let output = run(query.arg("query").arg(db).arg(sql).args(["--format", "csv"]));
    assert!(output.status.success(), "{python}: {}", text(&output.stderr));
    text(&output.stdout).lines().skip(1).collect::<Vec<_>>().join("\n")
}

/// Asserts that `dashcam check` finds nothing.
fn is_clean(python: &Python, db: &Path) {
    let output = run(python.dashcam().arg("check").arg(db));
    assert!(output.status.success(), "{python}: {}", text(&output.stdout));
}

/// A program that waits between its steps: it prints a line after each, and goes on when it gets
/// one.
struct Stepped {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Stepped {
    /// Starts it and waits for its first line.
    fn new(command: &mut Command) -> Stepped {
        let mut child = spawn(command);
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stepped = Stepped { child, stdin, stdout };
        stepped.next_line();
        stepped
    }

    /// Returns the next line that the program prints.
    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Lets the program go on.
    fn go_on(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    /// Lets the program go on to its end. Returns its output.
    fn end(mut self) -> Output {
        let _ = self.stdin.write_all(b"\n");
        drop(self.stdin);
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut self.stdout, &mut rest).unwrap();
        let mut output = finish(self.child);
        output.stdout = rest;
        output
    }
}

/// Makes events, prints that it is ready, waits, and makes more events.
const STEPS: &str = "
import sys
def f(i): return i + 1
def work(n):
    t = 0
    for i in range(n): t += f(i)
    return t
work(1000)
print('ready', flush=True)
sys.stdin.readline()
print(work(100_000))
";

/// Records [`STEPS`] up to where it waits.
fn stepped(python: &Python, db: &Path) -> Stepped {
    Stepped::new(python.record(db).args(["-c", STEPS]))
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: kill takes no pointers; the caller has not waited for the process yet.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Calls a function of `api.py`, which prints nothing if its claim holds. Warnings are errors.
fn api(claim: &str, arguments: &[&str]) {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python.bare();
        command.args(["-W", "error", "-X", "dev"]).arg(program("unharmed/api.py"));
        command.arg(claim).args(arguments).current_dir(folder.path());
        let output = run(&mut command);
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success() && printed.is_empty(), "{python}: {claim}: {printed}");
    }
}
