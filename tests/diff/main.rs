//! Two recordings of one program: `dashcam diff` reports where they differ, and leaves out what
//! differs between any two runs.
#![allow(clippy::unwrap_used)]

use dashcam_tests::{Python, program, run, run_with_input, shell_status, text};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

/// Records a program of this folder twice, with these arguments, into one file.
fn record(python: &Python, capture: &str, name: &str, words: [&[&str]; 2]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for words in words {
        let mut record = python.record(&folder.path().join("dashcam.db"));
        record.args(["--capture", capture]).arg(program(name)).args(words);
        let output = run(record.env("PYTHONDONTWRITEBYTECODE", "1"));
        assert_eq!(shell_status(&output), 0, "{name}: {}", text(&output.stderr));
    }
    folder
}

fn dashcam(python: &Python, folder: &Path, arguments: &[&str]) -> Output {
    run(python.dashcam().arg("diff").args(arguments).current_dir(folder))
}

/// Asserts which differences are found, one per line of `expected`.
#[track_caller]
fn differs(capture: &str, name: &str, words: [&[&str]; 2], options: &[&str], expected: &str) {
    for python in Python::all() {
        let folder = record(&python, capture, &format!("diff/{name}"), words);
        let options = [options, &["--format", "json"]].concat();
        let output = dashcam(&python, folder.path(), &options);
        let printed = text(&output.stdout);
        let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| {
            panic!("{python}: {error}: {printed}{}", text(&output.stderr));
        });
        // In 3.14 each direction of a branch is an event of its own, so what was held at a branch
        // is recorded once more after it.
        let again = if python.version >= (3, 14) { " (and 1 more)" } else { "\0" };
        let found = array(&report["differences"]).iter().map(|of| line(of).replace(again, ""));
        let found: Vec<String> = found.collect();
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        let expected: Vec<&str> = expected.into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(found, expected, "{python}: {name}\n{}", found.join("\n"));
        assert_eq!(shell_status(&output), i32::from(!found.is_empty()), "{python}");
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |array| array)
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a difference as text: `argument n in f:5 < <module>:9: 1 | 2`
fn line(difference: &Value) -> String {
    let place = array(&difference["places"]).iter().find(|place| !place.is_null()).unwrap();
    let frame = |frame: &Value| format!("{}:{}", words(&frame["qualname"]), frame["line"]);
    // Lines of the standard library differ between versions.
    let is_ours = |frame: &&Value| !words(&frame["path"]).ends_with("/threading.py");
    let frames = array(&place["stack"]).iter().filter(is_ours).take(3).map(frame);
    let stack = frames.collect::<Vec<_>>().join(" < ");
    let kind = words(&difference["kind"]);
    let more = match difference["more"].as_i64().unwrap() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let what = match &*kind {
        "path" => {
            let next = |next: &Value| {
                let mut fields = next.as_object().unwrap().iter().filter(|(_, v)| !v.is_null());
                let texts: Vec<String> = fields.by_ref().map(|(_, value)| words(value)).collect();
                texts.join(" ")
            };
            let only = |only: &Value| {
                let calls = array(&only["calls"]).iter().map(|calls| {
                    let (name, count) = (words(&calls["qualname"]), &calls["count"]);
                    format!("{name}({}) x{count}", words(&calls["arguments"]))
                });
                calls.collect::<Vec<_>>().join(", ")
            };
            let [one, two] = [0, 1].map(|side: usize| {
                let calls = only(&difference["only"][side]);
                let calls = if calls.is_empty() { calls } else { format!(" [{calls}]") };
                format!("{}{calls}", next(&difference["next"][side]))
            });
            format!("{one} | {two}")
        }
        "thread" => words(&difference["thread"]),
        _ => format!("{} | {}", words(&difference["values"][0]), words(&difference["values"][1])),
    };
    let name = difference.get("name").map_or(String::new(), |name| format!(" {}", words(name)));
    let site = if stack.is_empty() { stack } else { format!(" in {stack}") };
    format!("{kind}{}{site}: {what}{more}", name.replace(" null", ""))
}

#[test]
fn one_iteration_more_is_one_difference() {
    differs(
        "calls",
        "steps.py",
        [&["1", "2", "4"], &["1", "2", "3", "4"]],
        &[],
        "path in step:5 < <module>:11: call step | call step [step(n=3) x1]",
    );
}

#[test]
fn an_argument_differs_and_then_the_result() {
    differs(
        "calls",
        "steps.py",
        [&["1", "2", "4"], &["1", "3", "4"]],
        &[],
        "argument n in step:5 < <module>:11: 2 | 3
         result in step:6 < <module>:11: 4 | 6",
    );
}

#[test]
fn values_can_be_ignored() {
    differs("calls", "steps.py", [&["1", "2"], &["1", "3"]], &["--ignore-values"], "");
    differs(
        "calls",
        "steps.py",
        [&["1", "2"], &["1", "3"]],
        &["--ignore", "n", "--ignore", "step"],
        "",
    );
    differs("flow", "steps.py", [&["1", "2"], &["1", "3"]], &[], "");
}

#[test]
fn a_variable_differs_before_the_branch_that_depends_on_it() {
    differs(
        "state",
        "deep.py",
        [&["ab"], &["abc"]],
        &[],
        "variable size in inner:6 < middle:14 < outer:18: 2 | 3
         path in inner:8 < middle:14 < outer:18: line 10 | line 9
         variable kind in inner:10 < middle:14 < outer:18: 'none' | 'long'",
    );
}

/// The program itself counts as a library here.
#[test]
fn differences_only_in_other_code_are_reported_as_such() {
    let python = Python::all().pop().unwrap();
    let words: [&[&str]; 2] = [&["ab"], &["abc"]];
    let folder = record(&python, "state", "diff/deep.py", words);
    let output = run(python
        .dashcam()
        .arg("diff")
        .env("DASHCAM_MINE", "/nothing/*")
        .current_dir(folder.path()));
    let printed = text(&output.stdout);
    assert!(printed.contains(": in your own code no difference; "), "{printed}");
    assert_eq!(shell_status(&output), 1);
}

#[test]
fn an_exception_on_one_side() {
    differs(
        "calls",
        "raises.py",
        [&["ab"], &["abc"]],
        &[],
        "path in check:7 < <module>:12: line 7 | line 8
         path in <module>:12: return 12 | raise ValueError: 3 is too long 12",
    );
}

#[test]
fn exceptions_with_other_messages() {
    differs(
        "calls",
        "raises.py",
        [&["abc"], &["abcd"]],
        &[],
        "exception in check:8 < <module>:12: ValueError: 3 is too long | ValueError: 4 is too long",
    );
}

#[test]
fn generators_are_compared_each_time_they_run() {
    differs(
        "calls",
        "yields.py",
        [&["a", "bb", "c"], &["a", "b", "c"]],
        &[],
        "yielded in lengths:7 < <module>:15: 2 | 1",
    );
    differs(
        "calls",
        "yields.py",
        [&["a", "b"], &["a", "b", "c"]],
        &[],
        "path in lengths:7 < <module>:15: resume lengths | resume lengths [lengths(null) x1]",
    );
}

#[test]
fn recursion() {
    differs(
        "calls",
        "recursion.py",
        [&["a"], &["bb"]],
        &[],
        "result in leaf:6 < fib:11 < fib:12: 1 | 2 (and 7 more)
         result in fib:11 < fib:12 < fib:12: 1 | 2 (and 7 more)
         result in fib:12 < fib:12 < fib:12: 1 | 2 (and 11 more)",
    );
}

#[test]
fn threads_are_compared_by_name() {
    differs(
        "calls",
        "threads.py",
        [&["a"], &["bb"]],
        &["--no-stdlib", "--ignore", "numbers"],
        "argument n in work:6 < run:12: 1 | 2
         result in work:7 < run:12: 2 | 3",
    );
    differs(
        "calls",
        "threads.py",
        [&["a"], &["a", "b"]],
        &["--no-stdlib"],
        "path in <module>:16: line 18 | line 17
         path in <module>:19: line 21 | line 20
         path in <module>:21: line 22 | line 22
         thread: late",
    );
}

#[test]
fn what_differs_between_any_two_runs_is_no_difference() {
    for capture in ["calls", "state"] {
        differs(capture, "hashes.py", [&[], &[]], &["--no-stdlib"], "");
    }
}

/// Programs whose two runs may differ: an attribute that C code sets (`__module__` of a generic
/// base) is known only when the object is described again, which happens now and then.
const MAY_DIFFER: [&str; 1] = ["type_parameters.py"];

#[test]
fn two_runs_of_a_program_do_not_differ() {
    let python = Python::any();
    let mut programs: Vec<String> = std::fs::read_dir(dashcam_tests::tests_path("programs"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".py"))
        .collect();
    programs.sort();
    assert!(programs.len() > 40);
    let mut differing = Vec::new();
    for name in programs {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut record = python.record(&folder.path().join("dashcam.db"));
            record.args(["--capture", "state"]).arg(program(&name));
            // Some programs end with an error: that is their purpose.
            run(record.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1"));
        }
        let output = dashcam(&python, folder.path(), &["--no-stdlib"]);
        if shell_status(&output) != 0 && !MAY_DIFFER.contains(&&*name) {
            differing.push(format!("{name}: {}{}", text(&output.stdout), text(&output.stderr)));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn two_files_and_their_runs_can_be_named() {
    let python = Python::any();
    let folder = record(&python, "calls", "diff/steps.py", [&["1"], &["2"]]);
    let other = folder.path().join("other.db");
    std::fs::copy(folder.path().join("dashcam.db"), &other).unwrap();
    let status = |arguments: &[&str]| shell_status(&dashcam(&python, folder.path(), arguments));
    // Compares the last two runs of one file, or the last run of each of two files.
    assert_eq!(status(&[]), 1);
    assert_eq!(status(&["dashcam.db"]), 1);
    assert_eq!(status(&["dashcam.db", "other.db"]), 0);
    assert_eq!(status(&["dashcam.db:1", "other.db:1"]), 0);
    assert_eq!(status(&["dashcam.db:1", "other.db"]), 1);
    assert_eq!(status(&["1", "2"]), 1);
    assert_eq!(status(&["other.db", "2", "2"]), 0);
}

#[test]
fn errors_have_status_two() {
    let python = Python::any();
    let folder = record(&python, "calls", "diff/steps.py", [&["1"], &["2"]]);
    let refuses = |arguments: &[&str], word: &str| {
        let output = dashcam(&python, folder.path(), arguments);
        let printed = text(&output.stderr);
        assert_eq!(shell_status(&output), 2, "{arguments:?}: {printed}");
        assert!(printed.contains(word) && printed.lines().count() == 1, "{arguments:?}: {printed}");
    };
    refuses(&["1", "7"], "no run 7");
    refuses(&["1"], "two runs");
    refuses(&["dashcam.db", "3"], "which runs");
    refuses(&["nothing.db", "1", "2"], "nothing.db");
    refuses(&["dashcam.db", "1", "two"], "two");
    std::fs::write(folder.path().join("bad.db"), "not a database, however long it is").unwrap();
    refuses(&["dashcam.db", "bad.db"], "bad.db");
}

#[test]
fn text_names_both_runs_the_stack_and_the_source() {
    let python = Python::any();
    let folder = record(&python, "calls", "diff/steps.py", [&["1", "2"], &["1", "3"]]);
    let output = dashcam(&python, folder.path(), &["--limit", "1"]);
    let printed = text(&output.stdout);
    for words in [
        "run 1 and run 2: 1 difference",
        "1. argument n of step differs  steps.py:5",
        "run 1  n = 2",
        "run 2  n = 3",
        ">     5  def step(n):",
        "stack  step steps.py:5 < <module> steps.py:11",
        "there are more",
    ] {
        assert!(printed.contains(words), "{words} is not in: {printed}");
    }
    assert_eq!(printed, text(&dashcam(&python, folder.path(), &["--limit", "1"]).stdout));
    assert!(!printed.contains('\u{1b}'));
}

#[test]
fn unrecorded_values_are_not_reported_as_equal() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        for order in ["1.50\n", "9.50\n"] {
            let mut record = python.record(&folder.path().join("dashcam.db"));
            record.arg(program("diff/streams.py"));
            let output = run_with_input(&mut record, order.as_bytes());
            assert_eq!(shell_status(&output), 0, "{}", text(&output.stderr));
        }
        // The text that the object was made from does differ. Without it, only what is not known is
        // left.
        let ignored = ["--ignore", "readline", "--ignore", "*value*"];
        let output = dashcam(&python, folder.path(), &[]);
        let printed = text(&output.stdout);
        assert!(!printed.contains("no difference"), "{python}: {printed}");
        assert!(printed.contains("equal as far as recorded"), "{python}: {printed}");
        let output = dashcam(&python, folder.path(), &[&ignored[..], &["--no-stdlib"]].concat());
        let printed = text(&output.stdout);
        assert_eq!(shell_status(&output), 0, "{python}: {printed}");
        assert!(
            printed.contains("equal as far as recorded")
                && printed.contains("first at streams.py:"),
            "{python}: {printed}"
        );
    }
}
