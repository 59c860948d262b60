//! A client without the extension: reading a table that is missing gives an error that says so, and
//! nothing else hinders the client.

use super::SUBJECT;
use dashcam_tests::{Python, run, tests_path, text};

#[test]
fn without_the_extension() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("shop.db");
        std::fs::copy(&SUBJECT.db, &db).unwrap();
        let mut script = python.bare();
        script.args(["-W", "error"]).arg(tests_path("sqlite/views.py")).arg(&db);
        let output = run(&mut script);
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success() && printed.is_empty(), "{python}: {printed}");
    }
}
