//! Arguments, results and exceptions equal, call for call, the `repr` that a plain Python
//! `sys.monitoring` logger took of them in another process (`oracle.py`), wherever they are built
//! of builtin types within the limits.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};

macro_rules! programs {
    ($($name:ident)*) => { $(#[test] fn $name() { own_code(stringify!($name)); })* };
}

programs! {
    arguments big_function chained classes closures comprehensions context_managers
    dataclass_enum decorators descriptors except_star exceptions exec_eval finally_flow
    generator_expressions generator_throw generators globals_and_del lambdas loops
    match_statement metaclasses operators type_parameters unicode_names unpacking values
    with_statement yield_from
}

/// Kind, qualified name and values of each event.
type Rows = Vec<Vec<String>>;

/// Compares the standard library's own calls, without those of imports and of the interpreter's
/// end.
#[test]
fn libraries() {
    let script = program("values/libraries.py");
    let own = |rows: Rows| -> Rows {
        let first = rows.iter().position(|row| row[1] == "asdict").unwrap();
        let last = rows.iter().rposition(|row| row[1] == "generate_tokens").unwrap();
        rows[first..=last].to_vec()
    };
    for python in Python::all() {
        let library = python.eval("os.path.dirname(os.__file__)");
        compare(&python, &script.to_string_lossy(), &library, own);
    }
}

/// Values are written as by `repr`, and every one of them was compared.
#[test]
fn standard() {
    let script = program("values/standard.py");
    for python in Python::all() {
        let script = script.to_string_lossy();
        let shown = |rows: Rows| -> Rows {
            let is_shown = |row: &Vec<String>| row[0] == "PY_RETURN" && row[1] == "show";
            rows.into_iter().filter(is_shown).collect()
        };
        let compared = compare(&python, &script, &script, shown);
        assert!(compared >= 96, "{python}: {compared}");
    }
}

fn own_code(name: &str) {
    let script = program(&format!("{name}.py"));
    for python in Python::in_turns(name) {
        let script = script.to_string_lossy();
        compare(&python, &script, &script, |rows| rows);
    }
}

/// Compares values of code whose path begins with `scope`, of the rows that `part` leaves. Returns
/// how many were compared.
fn compare(python: &Python, script: &str, scope: &str, part: impl Fn(Rows) -> Rows) -> usize {
    let expected = part(oracle(python, script, scope));
    let recording = Recording::new(python, ["--capture", "calls", script]);
    let rows = recording.rows(&format!(
        "select events.kind, qualname, coalesce(value, '') from events join code_objects using (code_id)
         where events.kind in ('PY_START', 'PY_RETURN', 'PY_YIELD') and path like '{scope}%'
         order by seq"
    ));
    let found = part(rows.iter().map(|row| row.iter().map(plain).collect()).collect());
    assert_eq!(expected.len(), found.len(), "{python}, {script}: {}", recording.printed());
    let mut compared = 0;
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected[..2], found[..2], "{python}, {script}");
        if expected[2] != "?" {
            assert_eq!(expected[2], found[2], "{python}, {script}: {} {}", found[0], found[1]);
            compared += 1;
        }
    }
    println!("{python}, {script}: {compared} of {} values compared", found.len());
    assert!(compared > 0, "{python}, {script}: nothing to compare");
    compared
}

fn oracle(python: &Python, script: &str, scope: &str) -> Rows {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let oracle = tests_path("values/oracle.py");
    let output = run(python.bare().arg(oracle).arg(&log).arg(scope).arg(script));
    let Ok(log) = std::fs::read_to_string(&log) else {
        panic!("{python}: the oracle failed: {}", text(&output.stderr));
    };
    let row = |line: &str| line.splitn(3, '\t').map(str::to_owned).collect();
    log.lines().map(row).collect()
}
