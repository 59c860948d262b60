//! Everything that can be reached from variables is right at every line, and everything that has
//! changed has a write (`paths.py`).

use dashcam_tests::{Python, Recording, program, run, tests_path, text};

/// Programs in `paths/`.
const PROGRAMS: [&str; 13] = [
    "aliases",
    "attributes",
    "c_code",
    "concurrency",
    "generators",
    "handed_to_c",
    "large_containers",
    "many_in_c",
    "modules",
    "more_than_a_record",
    "namespaces",
    "stores_run_python",
    "very_large",
];

#[test]
fn what_is_reached_is_as_recorded() {
    let script = tests_path("state/paths.py");
    for python in Python::all() {
        for name in PROGRAMS {
            // Before 3.13 CPython does not report new objects, and few such objects are followed.
            if name == "many_in_c" && python.version < (3, 13) {
                continue;
            }
            let program = program(&format!("state/paths/{name}.py"));
            let folder = tempfile::tempdir().unwrap();
            let (db, samples) = (folder.path().join("x.db"), folder.path().join("samples"));
            let mut record = python.record(&db);
            record.args(["--capture", "state", "--no-default-redact"]).arg(&script);
            let output = run(record.arg(&samples).arg(&program));
            assert!(output.status.success(), "{python}, {name}: {}", text(&output.stderr));
            // After such a loss, values are missing, and so they are unknown instead of wrong.
            let recording = Recording { python: python.clone(), db, output, folder };
            recording.check("select count(*) from losses where severity <> 'info'", "0");
            let mut check = python.bare();
            check.arg(&script).arg("check").arg(&recording.db).arg(&samples).arg(&program);
            let check = run(&mut check);
            println!("{python}, {name}: {}", text(&check.stdout));
            assert!(check.status.success(), "{python}, {name}: {}", text(&check.stderr));
        }
    }
}
