//! Does `dashcam replay` go where pdb goes, and backwards by the same rules? One witness is pdb's
//! own machinery (`oracle.py`), the other a search over all events (`reference.py`), which knows
//! the way back too. Commands are random, and the same every time: the program's name is the seed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod answers;
mod moves;
mod pdb;
mod random;
mod tasks;

use dashcam_tests::{Python, Recording, program, tests_path};

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test] fn $name() { compare_all(stringify!($name)) })*
        const COMPARED: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! {
    arguments async_basics asyncio_tasks big_function callables callbacks chained classes closures
    comprehensions context_managers coroutines_by_hand dataclass_enum decorators descriptors
    except_star exceptions exec_eval finalizers finally_flow generator_close generator_expression_begins generator_expressions
    generator_throw generators globals_and_del imports lambdas lines long_file loops match_statement
    metaclasses operators recursion_deep recursion_limit signals silent_loop standard_library
    state_aliases state_bindings state_changes state_comprehensions state_dicts state_flow
    state_frozen state_hidden state_libraries state_lists state_objects state_overloaded state_reached state_reuse
    state_scopes state_stores state_suspended state_threads state_values steps_async steps_calls steps_exceptions
    steps_generators stop_iteration system_exit thread_pool threads type_parameters uncaught
    unicode_names unpacking values with_statement yield_from
}

/// At the recursion limit, trace functions written in Python fail. From 3.15 on they get no call
/// event where a generator expression raises before it begins.
const NOT_FOR_PDB: &[&str] = &["recursion_limit", "generator_expression_begins"];

/// Too long to step through: the program is about what variables hold.
const NOT_TO_STEP_THROUGH: &[&str] = &["state_resumed"];

#[test]
fn every_program_is_compared() {
    for entry in std::fs::read_dir(tests_path("programs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".py") {
            assert!(
                COMPARED.contains(&name) || NOT_TO_STEP_THROUGH.contains(&name),
                "programs/{name}.py is in no list of main.rs"
            );
        }
    }
}

/// Compares steps through the program's own code.
fn compare_all(name: &str) {
    for python in Python::in_turns(name) {
        let recording = record(&python, name, &["--no-stdlib"]);
        moves::streams(&recording, name);
        moves::there_and_back(&recording, name);
        moves::as_the_reference(&recording, name, 400);
        if !NOT_FOR_PDB.contains(&name) {
            let compared = pdb::compare(&recording, name);
            println!("{python}, {name}: {compared} stops as pdb's");
        }
    }
}

/// What is thrown into a coroutine that awaits another one runs in the innermost one at once. No
/// event shows that the others are on the stack then, and the recording does not have them there.
/// Once it has, this test fails, and `Same::AsRecorded` can go.
#[test]
fn awaiting_coroutines_are_not_on_the_stack_of_a_throw() {
    for python in Python::all() {
        let recording = record(&python, "coroutines_by_hand", &["--no-stdlib"]);
        assert!(moves::as_the_reference(&recording, "coroutines_by_hand", 400) > 0, "{python}");
    }
}

/// The frames of the standard library are between the program's: pdb passes through them with the
/// same commands.
#[test]
fn through_the_standard_library() {
    for python in Python::all() {
        for name in ["steps_exceptions", "steps_generators"] {
            let recording = record(&python, name, &[]);
            moves::as_the_reference(&recording, name, 100);
            let compared = pdb::compare(&recording, name);
            println!("{python}, {name}, all code: {compared} stops as pdb's");
        }
    }
}

#[test]
fn along_a_task() {
    for python in Python::all() {
        for name in ["async_basics", "asyncio_tasks", "state_suspended", "steps_async"] {
            let recording = record(&python, name, &["--no-stdlib"]);
            let compared = tasks::compare(&recording, name);
            println!("{python}, {name}: {compared} steps along tasks");
        }
    }
}

fn record(python: &Python, name: &str, options: &[&str]) -> Recording {
    let script = program(&format!("{name}.py"));
    let options = ["--capture", "state"].iter().chain(options).map(AsRef::as_ref);
    Recording::new(python, options.chain([script.as_os_str()]))
}
