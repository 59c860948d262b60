//! `--events verify`: every event is recorded, and compared with what follows from the others.

use dashcam_tests::{Python, Recording, program, tests_path};

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

/// What values are tied to events by is the same however events were obtained.
#[test]
fn chunks_know_their_first_ordinal() {
    let code = "def f(i): return len(str(i))\nfor i in range(100000):\n    f(i) if i % 3 else 0";
    let python = Python::any();
    for mode in ["derived", "direct", "verify"] {
        let recording = Recording::new(&python, ["--events", mode, "-c", code]);
        recording.check("select count(*) > 2 from chunks", "1");
        recording.check(
            "select count(*) from chunks where first_ordinal <> (select count(*) from events
             where seq < first_seq and kind not in ('LINE', 'JUMP', 'INSTRUCTION'))",
            "0",
        );
    }
}
