//! What functions in C are called with and what they return equals what the program itself writes
//! down after its source was rewritten to do so (`probe.py`), call for call, wherever it is built
//! of builtin types within the limits.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};

/// CALL events that are no calls in the source (of what `with` and `class` call), and calls that
/// the probe leaves alone.
const UNSEEN: &str = "callable not in ('__build_class__', 'super', 'locals', 'globals', 'vars', 'dir', 'eval', 'exec', '__import__')
    and callable not like '%.__enter__' and callable not like '%.__exit__'";

/// Beginnings of arguments that are not read where objects are not traced from change to change:
/// containers that methods are called on.
const UNREAD: [&str; 4] = ["[...]", "{...}", "<collections.deque object", "<"];

#[test]
fn every_form_of_call() {
    for python in Python::all() {
        for level in ["state", "calls"] {
            let [compared, unknown, results] = compare(&python, level, "values/c_calls.py", "");
            assert!(compared > 80, "{python}, {level}: {compared}");
            // Not known are those of `f(*[3, 4])`, a class with a Python `__init__`, and a
            // `partial`.
            assert_eq!(unknown, 4, "{python}, {level}");
            assert!(results > 25, "{python}, {level}: {results}");
        }
    }
}

#[test]
fn programs() {
    for name in
        ["arguments", "comprehensions", "loops", "operators", "standard_library", "unpacking"]
    {
        for python in Python::all() {
            compare(&python, "state", &format!("programs/{name}.py"), "");
        }
    }
}

#[test]
fn libraries() {
    let modules = "json,json.decoder,json.encoder,json.scanner,csv,textwrap,html.parser";
    for python in Python::all() {
        let [compared, unknown, results] =
            compare(&python, "state", "values/libraries.py", modules);
        assert!(compared > 300, "{python}: {compared}");
        assert!(unknown * 50 < compared, "{python}: {unknown} of {compared}");
        assert!(results > 100, "{python}: {results}");
    }
}

/// Compares calls. Returns how many calls were compared, of how many the recording does not know
/// the arguments, and how many results were compared.
fn compare(python: &Python, level: &str, script: &str, modules: &str) -> [usize; 3] {
    let script = program(script).to_string_lossy().into_owned();
    let expected = probe(python, &script, modules);
    let recording =
        Recording::new(python, ["--capture", level, "--no-default-redact", script.as_str()]);
    let library = python.eval("os.path.dirname(os.__file__)");
    let paths = modules.split(',').filter(|module| !module.is_empty()).map(|module| {
        let module = module.replace('.', "/");
        format!("or path in ('{library}/{module}.py', '{library}/{module}/__init__.py')")
    });
    let paths: String = paths.collect();
    let rows = recording.rows(&format!(
        "select callable, arguments, path, line, result from c_calls
         where (path = '{script}' {paths}) and {UNSEEN} order by seq"
    ));
    let [mut compared, mut unknown, mut results] = [0; 3];
    for (at, [expected, returned]) in expected.iter().enumerate() {
        let found: Vec<String> = match rows.get(at) {
            Some(row) => row.iter().map(plain).collect(),
            None => panic!("{python}, {script}: only {at} of {} calls", rows.len()),
        };
        let [callable, arguments, path, line, result] = &found[..] else { panic!("{found:?}") };
        if returned != "?" && result != "-" && callable != "id" {
            assert_eq!(returned, result, "{python}, {level}: {callable} at {path}:{line}");
            results += 1;
        }
        if expected == "?" {
            continue;
        }
        match &**arguments {
            "-" => unknown += 1,
            unread if level == "calls" && UNREAD.iter().any(|begin| unread.starts_with(begin)) => {}
            found => {
                assert_eq!(expected, found, "{python}, {level}: {callable} at {path}:{line}");
                compared += 1;
            }
        }
    }
    assert_eq!(expected.len(), rows.len(), "{python}, {script}: {}", recording.printed());
    println!(
        "{python}, {level}, {script}: {compared} of {} calls and {results} results compared",
        rows.len()
    );
    [compared, unknown, results]
}

/// Returns arguments and result of each call, as the probe wrote them.
fn probe(python: &Python, script: &str, modules: &str) -> Vec<[String; 2]> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let output =
        run(python.bare().arg(tests_path("values/probe.py")).arg(&log).args([modules, script]));
    let Ok(log) = std::fs::read_to_string(&log) else {
        panic!("{python}: the probe failed: {}", text(&output.stderr));
    };
    let row = |line: &str| {
        let mut parts = line.split('\t').skip(1).map(str::to_owned);
        [parts.next().unwrap(), parts.next().unwrap()]
    };
    log.lines().map(row).collect()
}
