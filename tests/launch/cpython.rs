//! CPython's own tests of what a tool might disturb end as they do without dashcam.
#![allow(clippy::print_stdout)]

use dashcam_tests::{Python, command, program, run, text};
use std::collections::BTreeSet;
use std::process::{Command, Output};

/// Tests that have the same results recorded as bare.
const UNDISTURBED: &[&str] =
    &["test_frame", "test_gc", "test_sys_setprofile", "test_sys_settrace", "test_traceback"];

/// More of them, which take minutes and run only with `DASHCAM_CPYTHON=long`.
const UNDISTURBED_LONG: &[&str] =
    &["test_inspect", "test_subprocess", "test_threading", "test_weakref"];

/// Some of these fail beside any tool: they check which tools there are, and read specialised
/// bytecode.
const DISTURBED: &[&str] = &["test_dis", "test_monitoring"];

fn has_tests(python: &Python) -> bool {
    let found =
        python.eval("__import__('importlib.util').util.find_spec('test.test_gc') is not None");
    if found != "True" {
        println!("SKIPPED: {python} has no tests of its own");
    }
    found == "True"
}

/// Returns which tests failed, and how many tests were run.
fn outcome(output: &Output) -> (BTreeSet<String>, Option<String>) {
    let all = text(&output.stdout) + &text(&output.stderr);
    let is_failure = |line: &&str| line.starts_with("FAIL: ") || line.starts_with("ERROR: ");
    let ran = all
        .lines()
        .find(|line| line.starts_with("Ran "))
        .map(|line| line.split(" in ").next().unwrap_or_default().to_owned());
    (all.lines().filter(is_failure).map(str::to_owned).collect(), ran)
}

fn test(mut before: Command, words: &[&str], name: &str) -> (BTreeSet<String>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let output = run(before.args(words).args(["-v", name]).current_dir(folder.path()));
    let (failed, ran) = outcome(&output);
    assert!(ran.is_some(), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
    (failed, ran)
}

fn recorded(python: &Python, name: &str) -> (BTreeSet<String>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let record = python.record(&folder.path().join("x.db"));
    test(record, &["-m", "test"], name)
}

#[test]
fn what_passes_bare_passes_recorded() {
    for python in Python::all().into_iter().filter(has_tests) {
        let is_long = std::env::var("DASHCAM_CPYTHON").is_ok_and(|length| length == "long");
        let more = if is_long { UNDISTURBED_LONG } else { &[] };
        let names = UNDISTURBED.iter().chain(more);
        for name in names.filter(|name| Python::in_turns(name).contains(&python)) {
            let bare = test(command(python.executable()), &["-m", "test"], name);
            assert_eq!(recorded(&python, name), bare, "{python}: {name}");
        }
    }
}

#[test]
fn what_passes_beside_an_empty_tool_passes_recorded() {
    let tool = program("launch/empty_tool.py");
    for python in Python::all().into_iter().filter(has_tests) {
        for name in DISTURBED.iter().filter(|name| Python::in_turns(name).contains(&python)) {
            let words = [tool.to_str().unwrap(), "test"];
            let beside_tool = test(command(python.executable()), &words, name);
            let recorded = recorded(&python, name);
            let more: Vec<_> = recorded.0.difference(&beside_tool.0).collect();
            assert!(more.is_empty(), "{python}: {name}: {more:?}");
            assert_eq!(recorded.1, beside_tool.1, "{python}: {name}");
        }
    }
}
