//! Helpers for all end-to-end tests: they find the Pythons, record a program and query the
//! recording. Only this file knows command lines; a test names a program, a question and an answer.
//!
//! A failed expectation panics with everything that was printed, as a test helper should.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// More time than anything here takes on a slow machine. A process that runs longer hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Returns the path of a folder or file of `tests/`.
pub fn tests_path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Returns the path of a program of `tests/programs/`, or of a test's own folder if the name
/// contains one.
pub fn program(name: &str) -> PathBuf {
    let relative = if name.contains('/') { name.to_owned() } else { format!("programs/{name}") };
    let path = tests_path(&relative);
    assert!(path.exists(), "no program {}", path.display());
    path
}

/// A CPython with dashcam installed in a virtual environment of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Python {
    /// For example (3, 13).
    pub version: (u32, u32),
    venv: PathBuf,
}

impl Python {
    /// The folder with the virtual environments that `make test` or `builds.sh` has set up.
    fn environments() -> PathBuf {
        std::env::var_os("DASHCAM_VENVS").map_or_else(|| tests_path("../.venv"), PathBuf::from)
    }

    /// Every Python that is there, oldest first.
    pub fn all() -> Vec<Python> {
        let root = Python::environments();
        let mut found: Vec<Python> = std::fs::read_dir(&root)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let (major, minor) = entry
                    .file_name()
                    .to_str()?
                    .split_once('.')
                    .map(|(a, b)| (a.parse(), b.parse()))?;
                let venv = root.canonicalize().ok()?.join(entry.file_name());
                venv.join("bin/dashcam").exists().then_some(())?;
                Some(Python { version: (major.ok()?, minor.ok()?), venv })
            })
            .collect();
        found.sort();
        assert!(!found.is_empty(), "no Python with dashcam in {}: run `make test`", root.display());
        found
    }

    /// The Pythons that one program of many is tried on. With more than two Pythons these are half
    /// of them, in turns, so that each Python tries half of the programs. With DASHCAM_EVERY_PYTHON
    /// in the environment they are all.
    pub fn in_turns(program: &str) -> Vec<Python> {
        let mut pythons = Python::all();
        if pythons.len() > 2 && std::env::var_os("DASHCAM_EVERY_PYTHON").is_none() {
            let turn = program.bytes().map(usize::from).sum::<usize>() % 2;
            let mut number = 0;
            pythons.retain(|_| {
                number += 1;
                number % 2 == turn
            });
        }
        pythons
    }

    /// One Python, for claims that do not depend on the interpreter.
    pub fn any() -> Python {
        let default = Python::environments().join("default").canonicalize().ok();
        let all = Python::all();
        all.iter().find(|p| Some(&p.venv) == default.as_ref()).unwrap_or(&all[0]).clone()
    }

    /// The path of the interpreter.
    pub fn executable(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// The interpreter without dashcam, in the same environment as [`Self::dashcam`].
    pub fn bare(&self) -> Command {
        command(self.executable())
    }

    /// The program `dashcam` beside the interpreter.
    pub fn dashcam(&self) -> Command {
        command(self.venv.join("bin/dashcam"))
    }

    /// `dashcam record -o DB`. The caller adds what to run.
    pub fn record(&self, db: &Path) -> Command {
        let mut command = self.dashcam();
        command.arg("record").arg("-o").arg(db);
        command
    }

    /// Evaluates an expression and returns what `print` writes.
    pub fn eval(&self, expression: &str) -> String {
        let output = run(self.bare().args(["-c", &format!("import sys, os; print({expression})")]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }
}

impl std::fmt::Display for Python {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Python {}.{}", self.version.0, self.version.1)
    }
}

/// A command whose Python behaves the same every time, whatever the caller's environment says.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYTHON") {
            command.env_remove(name);
        }
    }
    command.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
    // `builds.sh` runs every test with the JIT compiler by this variable.
    if let Some(jit) = std::env::var_os("DASHCAM_JIT") {
        command.env("PYTHON_JIT", jit);
    }
    command
}

/// Runs a command with nothing on its standard input.
pub fn run(command: &mut Command) -> Output {
    run_with_input(command, b"")
}

/// Runs a command with `input` on its standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // The program may end without reading its input.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child);
    feeder.join().unwrap();
    output
}

/// Starts a command in a process group of its own, with its standard streams piped.
pub fn spawn(command: &mut Command) -> Child {
    let set_defaults = || {
        for signal in [libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: takes no pointer; may be called between fork and exec.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // A shell ignores these signals for what it starts in the background, and it may have started
    // the tests so.
    // SAFETY: the closure only sets how two signals are handled.
    unsafe { command.pre_exec(set_defaults) };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Kills what [`spawn`] started if it takes too long.
pub struct Watchdog {
    done: mpsc::Sender<()>,
    waiting: JoinHandle<bool>,
}

impl Watchdog {
    /// Starts to watch a child that has not been waited for, until this value is dropped or asked.
    pub fn new(child: &Child) -> Watchdog {
        let group = child.id() as i32;
        let (done, waiting) = mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            let hung = waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
            if hung {
                // SAFETY: kill takes no pointers; the group is that of a child not waited for yet.
                unsafe { libc::kill(-group, libc::SIGKILL) };
            }
            hung
        });
        Watchdog { done, waiting }
    }

    /// Stops watching. Returns whether the child was killed.
    pub fn has_killed(self) -> bool {
        drop(self.done);
        self.waiting.join().unwrap()
    }
}

/// Waits for a command to end and returns what it printed. Kills it and fails if that takes too
/// long.
pub fn finish(child: Child) -> Output {
    let watchdog = Watchdog::new(&child);
    let output = child.wait_with_output().unwrap();
    assert!(!watchdog.has_killed(), "hung, and was killed: {}", text(&output.stderr));
    output
}

/// Returns what a process printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the exit status as a shell reports it: 128 + N for signal N.
pub fn shell_status(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap())
}

/// Returns standard error without dashcam's own lines.
pub fn program_stderr(output: &Output) -> String {
    text(&output.stderr)
        .lines()
        .filter(|line| !line.starts_with("dashcam: "))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// A recording, and how it was made.
pub struct Recording {
    pub python: Python,
    pub db: PathBuf,
    /// The output of `dashcam record`.
    pub output: Output,
    /// Holds `db`. It is removed with this value.
    pub folder: tempfile::TempDir,
}

impl Recording {
    /// Records a program with its arguments: `["script.py", "x"]`, `["-m", "module"]` …
    pub fn new<S: AsRef<OsStr>>(python: &Python, what: impl IntoIterator<Item = S>) -> Recording {
        Recording::with_input(python, what, b"")
    }

    /// Like [`Self::new`], with something on the program's standard input.
    pub fn with_input<S: AsRef<OsStr>>(
        python: &Python,
        what: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Recording {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        let output = run_with_input(python.record(&db).args(what), input);
        let recording = Recording { python: python.clone(), db, output, folder };
        assert!(recording.db.exists(), "{python}: no recording; {}", recording.printed());
        recording
    }

    /// Returns what `dashcam record` printed.
    pub fn printed(&self) -> String {
        format!("it printed\n{}{}", text(&self.output.stdout), text(&self.output.stderr))
    }

    /// Returns the rows of a query.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.rows_of(sql, &[])
    }

    /// Returns the rows of a query on the chosen `runs`: options of `dashcam query`.
    fn rows_of(&self, sql: &str, runs: &[&str]) -> Vec<Vec<Value>> {
        let mut query = self.python.dashcam();
        query.arg("query").arg(&self.db).arg(sql).args(["--format", "jsonl"]).args(runs);
        let output = run(&mut query);
        assert!(
            output.status.success(),
            "{}: {sql}\n{}{}",
            self.python,
            text(&output.stderr),
            self.printed()
        );
        text(&output.stdout)
            .lines()
            .map(|line| match serde_json::from_str(line) {
                Ok(Value::Object(row)) => row.into_iter().map(|(_, value)| value).collect(),
                other => panic!("not a row: {line}: {other:?}"),
            })
            .collect()
    }

    /// Fails unless the query on all runs has the answer `expected`.
    pub fn check_all(&self, sql: &str, expected: &str) {
        let rows = self.rows_of(sql, &["--run", "all"]);
        let lines: Vec<String> =
            rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines.join("\n"), expected, "{}: {sql}\n{}", self.python, self.printed());
    }

    /// Returns the rows of a query as text: one row per line, columns separated by a space, NULL as
    /// `-`.
    pub fn text(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        let lines: Vec<String> =
            rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" ")).collect();
        lines.join("\n")
    }

    /// Returns the only value of a query that has one.
    pub fn value(&self, sql: &str) -> Value {
        let rows = self.rows(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{}: {sql}: {rows:?}", self.python);
        rows[0][0].clone()
    }

    /// Returns the only value of a query that has one number.
    pub fn number(&self, sql: &str) -> i64 {
        let value = self.value(sql);
        value.as_i64().unwrap_or_else(|| panic!("{}: {sql}: {value}", self.python))
    }

    /// Fails unless the query has the answer `expected`, written as by [`Self::text`]. The amount
    /// of space does not matter.
    pub fn check(&self, sql: &str, expected: &str) {
        let normal = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .filter(|line| !line.is_empty())
                .collect()
        };
        let found = self.text(sql);
        assert!(
            normal(&found) == normal(expected),
            "{}: {sql}\nexpected:\n{expected}\nfound:\n{found}\n{}",
            self.python,
            self.printed()
        );
    }
}

/// Returns a value as text, without quotes; NULL as `-`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Records a program with each Python there is, and fails unless the query has the answer
/// `expected`.
pub fn check(name: &str, sql: &str, expected: &str) {
    for python in Python::all() {
        Recording::new(&python, [program(name)]).check(sql, expected);
    }
}
