//! A client without the extension: the tables that are missing say so, and nothing else is in its way.

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
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{python}: {said}");
    }
}
