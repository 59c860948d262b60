//! The truth test: what dashcam recorded of a program equals, event for event, what a plain Python
//! `sys.monitoring` logger saw of it in another process (`oracle/oracle.py`).
//!
//! Events are compared per thread: which thread runs when is the operating system's choice, not the
//! program's.

use dashcam_tests::{Python, Recording, plain, program, run, tests_path, text};
use std::collections::BTreeMap;
use std::path::Path;

/// The oracle's Python callbacks need stack space of their own, so at the recursion limit they fail
/// where dashcam's do not. `claims.rs` tests what is expected of this program.
const NOT_FOR_THE_ORACLE: &[&str] = &["recursion_limit"];

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test] fn $name() { own_code(stringify!($name)) })*
        const COMPARED: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! {
    arguments async_basics asyncio_tasks big_function callables callbacks chained classes closures
    comprehensions context_managers coroutines_by_hand dataclass_enum decorators descriptors
    except_star exceptions exec_eval finalizers finally_flow generator_close generator_expression_begins generator_expressions
    generator_throw generators globals_and_del imports lambdas lines long_file loops match_statement
    metaclasses operators recursion_deep signals silent_loop standard_library state_aliases
    state_bindings state_changes state_comprehensions state_dicts state_flow state_frozen state_hidden state_libraries
    state_lists state_objects state_overloaded state_reached state_resumed state_reuse state_scopes
    state_stores state_suspended state_threads state_values steps_async steps_calls steps_exceptions steps_generators
    stop_iteration system_exit thread_pool threads type_parameters uncaught unicode_names
    unpacking values with_statement yield_from
}

#[test]
fn every_program_is_compared() {
    for entry in std::fs::read_dir(tests_path("programs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".py") {
            assert!(
                COMPARED.contains(&name) || NOT_FOR_THE_ORACLE.contains(&name),
                "programs/{name}.py is in no list of truth.rs"
            );
        }
    }
}

/// Threads in the order of their first events, and for each its events, one per line.
type Streams = Vec<Vec<String>>;

/// Compares all events of the program's own files.
fn own_code(name: &str) {
    let script = program(&format!("{name}.py"));
    for python in Python::in_turns(name) {
        let scope = tests_path("programs/");
        let oracle = program_only(oracle(&python, &scope.to_string_lossy(), &script), &script);
        let recording = Recording::new(&python, [&script]);
        let condition = format!("path like '{}%'", scope.display());
        let recorded = program_only(recorded(&recording, &condition), &script);
        compare(&python, name, &oracle, &recorded, &recording);
    }
}

/// Leaves out the texts that the standard library executes after the script's end, when it prints a
/// traceback: the oracle's traceback has a line more.
fn program_only(mut streams: Streams, script: &Path) -> Streams {
    let module = format!("{}\t<module>", script.display());
    if let Some(main) = streams.first_mut() {
        let end = main.iter().rposition(|line| line.contains(&module)).unwrap_or(0);
        let mut at = 0;
        main.retain(|line| {
            at += 1;
            at <= end + 1 || !line.contains("\t<string>\t")
        });
    }
    streams
}

/// Compares all events, those of the standard library too, from the script's first to its last.
#[test]
fn standard_library_inside() {
    let script = program("standard_library.py");
    for python in Python::all() {
        let library = python.eval("os.path.dirname(os.__file__)");
        let scope = format!("{}:{library}", script.display());
        let trim = |streams: Streams| -> Streams {
            let own = format!("{}\t<module>", script.display());
            let main = streams.into_iter().next().unwrap_or_default();
            let first = main.iter().position(|line| line.contains(&own)).unwrap_or(0);
            let last = main.iter().rposition(|line| line.contains(&own)).map_or(0, |i| i + 1);
            vec![main[first..last].to_vec()]
        };
        let oracle = trim(oracle(&python, &scope, &script));
        let recording = Recording::new(&python, [&script]);
        let condition = format!("path = '{}' or path like '{library}%'", script.display());
        let recorded = trim(recorded(&recording, &condition));
        assert!(oracle[0].len() > 100_000, "{python}: only {} events", oracle[0].len());
        compare(&python, "standard library", &oracle, &recorded, &recording);
    }
}

fn oracle(python: &Python, scope: &str, script: &Path) -> Streams {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let output =
        run(python.bare().arg(tests_path("oracle/oracle.py")).arg(&log).arg(scope).arg(script));
    let Ok(log) = std::fs::read_to_string(&log) else {
        panic!("{python}: the oracle failed: {}", text(&output.stderr));
    };
    let mut streams = Streams::new();
    for line in log.lines() {
        let (thread, event) = line.split_once('\t').unwrap();
        let thread: usize = thread.parse().unwrap();
        streams.resize(streams.len().max(thread + 1), Vec::new());
        streams[thread].push(event.to_owned());
    }
    streams
}

fn recorded(recording: &Recording, condition: &str) -> Streams {
    let rows = recording.rows(&format!(
        "select thread_id, events.kind, path, qualname, first_line, offset, line, target_offset, callable, exception
         from events join code_objects using (code_id) where {condition} or path = '<string>'
         order by seq"
    ));
    let mut number = BTreeMap::new();
    let mut streams = Streams::new();
    for row in rows {
        let next = number.len();
        let thread = *number.entry(plain(&row[0])).or_insert(next);
        streams.resize(streams.len().max(thread + 1), Vec::new());
        streams[thread].push(row[1..].iter().map(plain).collect::<Vec<_>>().join("\t"));
    }
    streams
}

fn compare(python: &Python, name: &str, oracle: &Streams, recorded: &Streams, by: &Recording) {
    for (thread, expected) in oracle.iter().enumerate() {
        let found = recorded.get(thread).map_or(&[][..], |stream| stream);
        if expected == found {
            continue;
        }
        let at = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
        let around = |stream: &[String]| {
            let lines = &stream[at.saturating_sub(4).min(stream.len())..(at + 5).min(stream.len())];
            lines.iter().map(|line| format!("    {line}\n")).collect::<String>()
        };
        panic!(
            "{python}, {name}, thread {thread}: {} events expected, {} recorded, differing from \
             event {at} on\nexpected:\n{}recorded:\n{}{}",
            expected.len(),
            found.len(),
            around(expected),
            around(found),
            by.printed()
        );
    }
    assert_eq!(oracle.len(), recorded.len(), "{python}, {name}: threads");
}
