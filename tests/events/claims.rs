//! Single events, written out: for what the oracle cannot see, and for what a reader should know.

use dashcam_tests::{Python, Recording, check, program, tests_path};

#[test]
fn closing_a_generator_throws_into_it() {
    check(
        "generator_close.py",
        "select events.kind, line, exception from events join code_objects using (code_id)
         where qualname = 'gen' and (events.kind like 'PY%' or events.kind in ('LINE', 'RAISE')) and seq <
           (select min(seq) from events where kind = 'RERAISE') order by seq",
        "PY_START 1 -
         LINE     2 -
         LINE     3 -
         PY_YIELD 3 -
         PY_THROW 3 GeneratorExit
         RAISE    3 GeneratorExit
         LINE     6 -",
    );
}

#[test]
fn an_exception_is_raised_in_every_frame_it_passes() {
    check(
        "uncaught.py",
        &format!(
            "select qualname, events.kind, line, exception from events join code_objects using (code_id)
             where path = '{}' and exception is not null order by seq",
            program("uncaught.py").display()
        ),
        "inner    RAISE      9 ZeroDivisionError
         inner    PY_UNWIND  9 ZeroDivisionError
         outer    RAISE      5 ZeroDivisionError
         outer    PY_UNWIND  5 ZeroDivisionError
         <module> RAISE     13 ZeroDivisionError
         <module> PY_UNWIND 13 ZeroDivisionError",
    );
}

#[test]
fn at_the_recursion_limit_nothing_is_lost() {
    for python in Python::all() {
        let recording = Recording::new(&python, [program("recursion_limit.py")]);
        let count = |kind: &str| {
            recording.number(&format!(
                "select count(*) from events join code_objects using (code_id)
                 where qualname = 'down' and events.kind = '{kind}'"
            ))
        };
        let started = count("PY_START");
        assert!(started > 150, "{python}: {started} calls");
        assert_eq!(count("PY_UNWIND"), started, "{python}");
        // The last call fails before its frame runs, so its caller's CALL has no PY_START.
        assert_eq!(count("CALL"), started, "{python}");
        assert_eq!(count("RAISE"), started, "{python}");
    }
}

#[test]
fn an_excluded_module_leaves_no_events() {
    let shapes =
        "select count(*) from events join code_objects using (code_id) where path like '%shapes%'";
    let python = Python::any();
    let all = Recording::new(&python, [program("imports.py")]);
    assert!(all.number(shapes) > 50);
    let script = program("imports.py").into_os_string().into_string().unwrap();
    for arguments in [
        ["--exclude", "shapes*", &script],
        ["--include", "__main__", &script],
        ["--exclude", "*/shapes/*", &script],
    ] {
        let some = Recording::new(&python, arguments);
        assert_eq!(some.number(shapes), 0, "{arguments:?}");
        let own = format!(
            "select count(*) from events join code_objects using (code_id) where path = '{script}'"
        );
        assert_eq!(some.number(&own), all.number(&own), "{arguments:?}");
    }
}

#[test]
fn no_stdlib_leaves_only_the_program() {
    for python in Python::all() {
        let script = program("standard_library.py");
        let own = format!("path = '{}' or path = '<string>'", script.display());
        let all = Recording::new(&python, [&script]);
        let arguments = ["--no-stdlib".as_ref(), script.as_os_str()];
        let some = Recording::new(&python, arguments);
        let count = |recording: &Recording, condition: &str| {
            recording.number(&format!(
                "select count(*) from events join code_objects using (code_id) where {condition}"
            ))
        };
        let script_only = format!("path = '{}'", script.display());
        assert_eq!(count(&some, &script_only), count(&all, &script_only), "{python}");
        assert_eq!(count(&some, &format!("not ({own})")), 0, "{python}");
    }
}

#[test]
fn time_never_runs_backwards() {
    for python in Python::all() {
        let recording = Recording::new(&python, [program("threads.py")]);
        let backwards = "select count(*) from (select time_ns < lag(time_ns) over (order by seq) as back from events) where back";
        assert_eq!(recording.number(backwards), 0, "{python}");
    }
}

/// The recorder reads the ring while the program writes, so it sees only the beginning of a record
/// now and then. It reads such a record later, and nothing of the first attempt may affect another
/// record.
#[test]
fn an_incomplete_record_changes_no_other() {
    for python in Python::all() {
        let program = tests_path("events/raising.py");
        let options = ["--capture".as_ref(), "calls".as_ref(), program.as_os_str()];
        let recording = Recording::new(&python, options);
        recording.check("select count(*) from losses where severity = 'loss'", "0");
        recording.check(
            "select e.line, count(*) from events e join code_objects using (code_id)
             where qualname = 'find' and e.kind = 'RAISE' group by 1 order by 1",
            "11 30000
             14 30000",
        );
    }
}
