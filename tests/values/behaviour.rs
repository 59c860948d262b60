//! Reading values changes nothing that a program can see: CPython's own tests of garbage
//! collection, weak references, object counts and containers end as they do unrecorded.

use dashcam_tests::{Python, Recording, run, shell_status};

const MODULES: &[&str] = &[
    "test.test_gc",
    "test.test_weakref",
    "test.test_descr",
    "test.test_finalization",
    "test.test_ordered_dict",
    "test.test_deque",
];

#[test]
fn cpythons_own() {
    for python in Python::all() {
        let missing = "__import__('importlib.util').util.find_spec('test.test_gc') is None";
        if python.eval(missing) != "False" {
            println!("SKIPPED: {python} has no tests of its own");
            continue;
        }
        for module in MODULES {
            let bare = run(python.bare().args(["-m", "unittest", "-q", module]));
            let what = ["--capture", "state", "-m", "unittest", "-q", module];
            let recording = Recording::new(&python, what);
            assert_eq!(
                shell_status(&recording.output),
                shell_status(&bare),
                "{python} {module}: {}",
                recording.printed()
            );
            recording.check(
                "select kind from losses where kind in ('bad_value', 'bad_record', 'callback_failed')",
                "",
            );
        }
    }
}
