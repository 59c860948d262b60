//! Arguments, results and exceptions equal, call for call, the `repr` that a plain Python
//! `sys.monitoring` logger took of them in another process (`oracle.py`), wherever they are built
//! of builtin types within the limits.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};

macro_rules! programs {
    ($($name:ident)*) => { $(#[test] fn $name() { compare(stringify!($name)); })* };
}

programs! {
    arguments big_function chained classes closures comprehensions context_managers
    dataclass_enum decorators descriptors except_star exceptions exec_eval finally_flow
    generator_expressions generator_throw generators globals_and_del lambdas loops
    match_statement metaclasses operators type_parameters unicode_names unpacking values
    with_statement yield_from
}

fn compare(name: &str) {
    let script = program(&format!("{name}.py"));
    for python in Python::all() {
        let scope = script.to_string_lossy();
        let expected = oracle(&python, &scope);
        let recording = Recording::new(&python, ["--capture", "calls", &scope]);
        let rows = recording.rows(&format!(
            "select events.kind, qualname, coalesce(value, '') from events join code_objects using (code_id)
             where events.kind in ('PY_START', 'PY_RETURN', 'PY_YIELD') and path like '{scope}%'
             order by seq"
        ));
        let found: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(plain).collect()).collect();
        assert_eq!(expected.len(), found.len(), "{python}, {name}: {}", recording.said());
        let mut compared = 0;
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected[..2], found[..2], "{python}, {name}");
            if expected[2] != "?" {
                assert_eq!(expected[2], found[2], "{python}, {name}: {} {}", found[0], found[1]);
                compared += 1;
            }
        }
        println!("{python}, {name}: {compared} of {} values compared", found.len());
        assert!(compared > 0, "{python}, {name}: nothing to compare");
    }
}

/// Kind, qualified name and values of each event.
fn oracle(python: &Python, scope: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let oracle = tests_path("values/oracle.py");
    let output = run(python.bare().arg(oracle).arg(&log).arg(scope).arg(scope));
    let Ok(log) = std::fs::read_to_string(&log) else {
        panic!("{python}: the oracle failed: {}", text(&output.stderr));
    };
    let row = |line: &str| line.splitn(3, '\t').map(str::to_owned).collect();
    log.lines().map(row).collect()
}
