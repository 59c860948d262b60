//! The Python API for reading recordings: it returns what the tables have and what really happened.
//! Each claim is a function of a Python file here; it prints nothing if it holds.
#![allow(clippy::unwrap_used)]

use dashcam_tests::{Python, Recording, program, run, tests_path, text};

/// Records the program on every Python, and checks the claim about it in a process of its own.
fn holds(claim: &str, name: &str, capture: &str) {
    let (file, function) = claim.split_once('.').unwrap();
    for python in Python::all() {
        let path = program(&format!("python/{name}"));
        let recording =
            Recording::new(&python, ["--capture".as_ref(), capture.as_ref(), path.as_os_str()]);
        let script = tests_path(&format!("python/{file}.py"));
        let mut claims = python.bare();
        claims.args(["-W", "error", "-X", "dev"]).arg(script).arg(function).arg(&recording.db);
        let output = run(&mut claims);
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success() && printed.is_empty(), "{python}: {claim}: {printed}");
    }
}

macro_rules! claims {
    ($($name:ident: $claim:literal $program:literal $capture:literal)*) => {$(
        #[test]
        fn $name() {
            holds($claim, $program, $capture);
        }
    )*};
}

claims! {
    whole_values_are_made_again: "values.whole" "whole.py" "state"
    other_values_are_recorded_only: "values.apart" "whole.py" "state"
    values_carried_by_events_and_calls: "values.carried" "shop.py" "calls"
    locals_are_what_the_tables_say: "places.locals_and_stack" "shop.py" "state"
    positions: "places.positions" "shop.py" "state"
    steps_go_along_the_lines: "places.steps" "shop.py" "state"
    expressions_and_writes: "places.writes" "shop.py" "state"
    breakpoints: "places.breakpoints" "shop.py" "state"
    without_state_there_are_no_variables: "places.no_state" "shop.py" "calls"
    notebooks: "places.notebooks" "shop.py" "state"
    calls_and_exceptions: "tables.records" "shop.py" "calls"
    a_run_has_its_rows_only: "tables.of_run" "shop.py" "flow"
    rows: "tables.rows" "shop.py" "flow"
    parameters: "tables.parameters" "shop.py" "flow"
    streams_do_not_disturb_each_other: "tables.streams" "shop.py" "calls"
    frames_of_data: "tables.frames" "shop.py" "flow"
    what_makes_no_sense_is_refused: "tables.refused" "shop.py" "flow"
    importing_costs_nothing: "lives.lazy" "shop.py" "flow"
    closing: "lives.closing" "shop.py" "flow"
    a_forked_process_is_refused: "lives.forking" "shop.py" "flow"
    threads: "lives.threads" "shop.py" "calls"
    a_dead_child: "lives.dying" "shop.py" "flow"
    an_interrupt: "lives.interrupting" "shop.py" "flow"
    files_that_cannot_be_read: "lives.bad_files" "shop.py" "flow"
    a_damaged_file_warns: "lives.damage" "shop.py" "calls"
}
