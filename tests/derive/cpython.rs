//! CPython's own tests of control flow, each recorded both ways in one run.

use crate::verify::DIFFERENCES;
use dashcam_tests::{Python, Recording, shell_status};

/// Modules of `test`. test_sys_settrace is not among them: its tests set `f_lineno`, a jump that no
/// event reports.
const MODULES: &[&str] = &[
    "test.test_generators",
    "test.test_exceptions",
    "test.test_coroutines",
    "test.test_asyncgen",
    "test.test_with",
    "test.test_patma",
    "test.test_contextlib",
];

#[test]
fn cpythons_own() {
    for python in Python::all() {
        if python.eval("__import__('importlib.util').util.find_spec('test.test_with') is None")
            != "False"
        {
            println!("SKIPPED: {python} has no tests of its own");
            continue;
        }
        for module in MODULES.iter().filter(|module| Python::in_turns(module).contains(&python)) {
            // Some start a child that has no memory from its n-th allocation on, which may be ours.
            let what = ["--no-follow", "--events", "verify", "-m", "unittest", "-q", module];
            let recording = Recording::new(&python, what);
            assert_eq!(
                shell_status(&recording.output),
                0,
                "{python} {module}: {}",
                recording.printed()
            );
            assert!(recording.number("select event_count from runs") > 50_000);
            let found = recording.text(DIFFERENCES);
            assert!(found.is_empty(), "{python}, {module}: {found}");
        }
    }
}
