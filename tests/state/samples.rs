//! The same in real programs, with samples: what `f_locals` held in the very run that was recorded
//! (`sampled.py`).

use dashcam_tests::{Python, run, tests_path, text};

/// Modules that are run, the number of LINE events per sample, and a part of the paths of the code
/// that is sampled.
const SUITES: [(&str, u32, &str); 3] = [
    ("state_libraries", 17, "argparse.py"),
    ("test.test_dataclasses", 97, "dataclasses"),
    ("test.test_textwrap", 97, "textwrap"),
];

#[test]
fn samples_of_real_programs_are_as_recorded() {
    let script = tests_path("state/sampled.py");
    for python in Python::all() {
        for (module, every, part) in SUITES {
            let is_there = format!("__import__('importlib.util').util.find_spec('{module}')");
            let search = format!("print({is_there} is not None)");
            let programs = tests_path("programs");
            let found = run(python.bare().current_dir(&programs).args(["-c", &search]));
            // Not every installation has CPython's own tests.
            if text(&found.stdout).trim() != "True" {
                println!("{python}: no {module}");
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let (db, samples) = (folder.path().join("x.db"), folder.path().join("samples"));
            let mut record = python.record(&db);
            record.args(["--capture", "state", "--no-default-redact"]).arg(&script).arg(&samples);
            record.args([&every.to_string(), part]).current_dir(&programs);
            match module.starts_with("test.") {
                true => record.args(["unittest", module]),
                false => record.arg(module),
            };
            let output = run(&mut record);
            assert!(samples.exists(), "{python}, {module}: {}", text(&output.stderr));
            let dashcam = python.dashcam().get_program().to_owned();
            let check =
                run(python.bare().arg(&script).arg("check").arg(dashcam).arg(&db).arg(&samples));
            println!("{python}, {module}: {}", text(&check.stdout));
            assert!(check.status.success(), "{python}, {module}: {}", text(&check.stderr));
        }
    }
}
