//! Long stretches of code without calls and branches: all of their events are derived from the
//! recorded one at the end.

use dashcam_tests::{Python, Recording};
use std::fmt::Write as _;

#[test]
fn a_module_of_many_lines_is_recorded_whole() {
    const LINES: usize = 60_000;
    let mut source = String::from("x = 0\n");
    for line in 1..LINES {
        // Names beyond the first 256 need EXTENDED_ARG.
        let _ = writeln!(source, "name_{} = x", line % 700);
    }
    source.push_str("def f(y): return y\nf(x)\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.py");
    std::fs::write(&path, source).unwrap();
    for python in Python::all() {
        let recording = Recording::new(&python, ["--no-stdlib", path.to_str().unwrap()]);
        let lines = "select count(*), max(line) from events join code_objects using (code_id)
                     where events.kind = 'LINE' and name = '<module>' and path like '%long.py'";
        recording.check(lines, &format!("{} {}", LINES + 2, LINES + 2));
        recording.check("select count(*) from losses where severity <> 'info'", "0");
        recording.check(
            // The function's only line is also a line of the module.
            "select count(*) from line_counts where path like '%long.py' and count = 1",
            &(LINES + 1).to_string(),
        );
    }
}
