//! The loadable extension: in every SQLite client it gives the answers of `dashcam query`, and
//! whatever it is loaded into goes on as before.
//!
//! Clients that are not there are reported as `SKIPPED`. `make test` installs those that PyPI has.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod hostile;
mod hosts;
mod views;

use dashcam_tests::{Python, program, run, text};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A recording of two runs, and the extension that was installed beside the recorder.
struct Subject {
    db: PathBuf,
    extension: String,
    python: Python,
    _folder: tempfile::TempDir,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("shop.db");
    let python = Python::any();
    for _ in 0..2 {
        let mut record = python.record(&db);
        let output = run(record.args(["--capture", "state"]).arg(program("python/shop.py")));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = run(python.dashcam().arg("sqlite-extension"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let extension = text(&output.stdout).trim_end().to_owned();
    assert!(Path::new(&extension).is_file(), "{extension}");
    Subject { db, extension, python, _folder: folder }
});

/// Returns interpreters whose `sqlite3` can load extensions. Some distributions leave that out.
fn loading_pythons() -> Vec<Python> {
    let can = |python: &Python| {
        let expression = "hasattr(__import__('sqlite3').Connection, 'enable_load_extension')";
        let can = python.eval(expression) == "True";
        if !can {
            println!("SKIPPED: the sqlite3 module of {python} was built without load_extension");
        }
        can
    };
    Python::all().into_iter().filter(can).collect()
}

/// Returns the interpreter of an environment with clients from PyPI, if `make test` could set it
/// up.
fn clients() -> Option<PathBuf> {
    let python = std::env::var_os("DASHCAM_SQLITE_CLIENTS")
        .map_or_else(|| dashcam_tests::tests_path("../.venv/clients"), PathBuf::from)
        .join("bin/python");
    if !python.exists() {
        println!("SKIPPED: no {}: apsw and datasette are not tested", python.display());
    }
    python.exists().then_some(python)
}

/// The extension has a lock file of its own. Packages that both lock files have are of the same
/// version.
#[test]
fn the_lock_files_agree() {
    let packages = |path: &str| -> Vec<(String, String)> {
        let text = std::fs::read_to_string(dashcam_tests::tests_path(path)).unwrap();
        let name_and_version = |package: &str| {
            let mut lines = package.trim_start().lines().map(str::to_owned);
            (lines.next().unwrap(), lines.next().unwrap())
        };
        text.split("[[package]]").skip(1).map(name_and_version).collect()
    };
    let all = packages("../Cargo.lock");
    let mut others = packages("../replayer/sqlite/Cargo.lock");
    others
        .retain(|package| all.iter().any(|(name, _)| *name == package.0) && !all.contains(package));
    assert!(others.is_empty(), "{others:?}: cargo update --precise in replayer/sqlite");
}
