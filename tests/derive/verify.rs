//! `--events verify`: every event is recorded, and compared with what follows from the others.

use dashcam_tests::{Python, Recording, program, run, tests_path, text};

/// Losses that say that rules and events differ.
pub(crate) const DIFFERENCES: &str = "select kind, count, detail from losses
    where kind in ('underived', 'derived_differs', 'bad_record', 'callback_failed')";

#[test]
fn every_program() {
    for python in Python::all() {
        for entry in std::fs::read_dir(tests_path("programs")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.ends_with(".py") {
                continue;
            }
            let script = program(&name);
            let recording = Recording::new(
                &python,
                ["--events".as_ref(), "verify".as_ref(), script.as_os_str()],
            );
            recording.check("select events_by from runs", "verify");
            let found = recording.text(DIFFERENCES);
            assert!(found.is_empty(), "{python}, {name}: {found}");
        }
    }
}

/// A debugger that jumps sets `f_lineno`, which is no event: that it may have is a row.
#[test]
fn a_trace_function_is_said() {
    let code = "import sys\nsys.settrace(lambda *a: None)\ndef f(): pass\nf()";
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", code]);
        recording.check("select kind, severity, count from losses", "traced info 1");
    }
}

/// What values are tied to events by: the number of recorded events before, of kinds that may have
/// values. Where branches are left out, `check` expands every chunk and counts.
#[test]
fn chunks_know_their_first_ordinal() {
    let code = "def f(i): return len(str(i))\nfor i in range(100000):\n    f(i) if i % 3 else 0";
    let python = Python::any();
    let last = |recording: &Recording| recording.number("select max(first_ordinal) from chunks");
    let [derived, direct, verify] = ["derived", "direct", "verify"]
        .map(|mode| Recording::new(&python, ["--events", mode, "-c", code]));
    for recording in [&direct, &verify] {
        recording.check(
            "select count(*) from chunks where first_ordinal <> (select count(*) from events
             where seq < first_seq and kind not in ('LINE', 'JUMP', 'INSTRUCTION'))",
            "0",
        );
    }
    for recording in [&derived, &direct, &verify] {
        recording.check("select count(*) > 2 from chunks", "1");
        let output = run(python.dashcam().arg("check").arg(&recording.db));
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
    // Of the loop's two branches one follows from the calls.
    assert!(last(&derived) < last(&direct));
}
