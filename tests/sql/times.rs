//! Times are the program's own: the time that recording took is not in them.

use dashcam_tests::{Python, Recording, tests_path};

/// Returns how long a function ran that was called once: by the program's own clock, and by the
/// system's.
fn durations(recording: &Recording, function: &str) -> (f64, f64) {
    let of = |column: &str, kind: &str| {
        recording.number(&format!(
            "select {column} from events join code_objects using (code_id)
             where qualname = '{function}' and events.kind = '{kind}'"
        )) as f64
    };
    let own = of("time_ns", "PY_RETURN") - of("time_ns", "PY_START");
    (own, of("wall_ns", "PY_RETURN") - of("wall_ns", "PY_START"))
}

#[test]
fn times_are_without_what_recording_took() {
    for python in Python::all() {
        for capture in ["flow", "state"] {
            let program = tests_path("sql/chatty.py");
            let options = ["--capture".as_ref(), capture.as_ref(), program.as_os_str()];
            let recording = Recording::new(&python, options);
            // No event happens while C code runs, so all of its time is the program's own.
            let (own, wall) = durations(&recording, "busy");
            assert!(
                own > 0.95 * wall && own <= 1.01 * wall,
                "{python:?} {capture}: {own} of {wall}"
            );
            // The program has an event every few nanoseconds of its own time.
            let (own, wall) = durations(&recording, "chatty");
            assert!(own < 0.6 * wall, "{python:?} {capture}: {own} of {wall}");
            // Calls and totals use the same clock.
            recording.check(
                "select count(*) from calls c
                 join events a on a.seq = c.start_seq join events b on b.seq = c.end_seq
                 where c.start_ns <> a.time_ns or c.duration_ns <> b.time_ns - a.time_ns",
                "0",
            );
            // Neither clock goes backwards.
            recording.check(
                "select count(*) from (select time_ns - lag(time_ns) over w as own,
                     wall_ns - lag(wall_ns) over w as wall, wall_ns - time_ns as took
                 from events window w as (order by seq)) where own < 0 or wall < 0 or took < 0",
                "0",
            );
        }
    }
}
