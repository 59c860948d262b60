//! `dashcam doctor` reports what works, and ends with status 0 if everything does.

use dashcam_tests::{Python, run, shell_status, text};
use serde_json::Value;

#[test]
fn every_python_passes() {
    for python in Python::all() {
        let mut doctor = python.dashcam();
        let output =
            run(doctor.args(["doctor", "--format", "json", "--python"]).arg(python.executable()));
        let printed = text(&output.stdout);
        assert_eq!(shell_status(&output), 0, "{python}: {printed}{}", text(&output.stderr));
        let findings: Vec<Value> =
            printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let words = |what: &str| {
            let found = findings.iter().find(|finding| finding["what"] == what);
            found.map_or("", |finding| finding["finding"].as_str().unwrap()).to_owned()
        };
        assert!(words("rules").starts_with("known"), "{python}: {printed}");
        assert!(words("one run both ways").ends_with("events, all as they follow"), "{printed}");
        assert!(words("two runs, one each way").ends_with("equal one by one"), "{printed}");
        assert_eq!(words("tool ids"), "all six are free", "{python}");
    }
}

#[test]
fn a_missing_python_is_reported_in_one_line() {
    let python = Python::any();
    let output = run(python.dashcam().args(["doctor", "--python", "no-such-python"]));
    assert_eq!(shell_status(&output), 1);
    assert_eq!(
        text(&output.stderr),
        "dashcam: recording failed: no-such-python: no such interpreter\n"
    );
}
