//! `--events verify`: every event is recorded, and compared with the events derived from the
//! others.

use dashcam_tests::{Python, Recording, program, run, tests_path, text};

/// Losses that report that rules and events differ.
pub(crate) const DIFFERENCES: &str = "select kind, count, detail from losses
    where kind in ('underived', 'derived_differs', 'bad_record', 'callback_failed')";

#[test]
fn every_program() {
    for entry in std::fs::read_dir(tests_path("programs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".py") {
            continue;
        }
        let script = program(&name);
        for python in Python::in_turns(&name) {
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

/// A debugger that jumps sets `f_lineno`, which is no event. A row reports that this may have
/// happened.
#[test]
fn a_trace_function_is_reported() {
    let code = "import sys\nsys.settrace(lambda *a: None)\ndef f(): pass\nf()";
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", code]);
        recording.check("select kind, severity, count from losses", "traced info 1");
    }
}

/// Values are tied to events by the number of recorded events before them, of kinds that may have
/// values. Where branches are left out, `dashcam check` expands every chunk and counts.
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
    // One of the loop's two branches follows from the calls.
    assert!(last(&derived) < last(&direct));
}
