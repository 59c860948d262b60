//! Signals and readers at random moments: nothing is blocked, and every database is whole. As a
//! test it is short; `DASHCAM_STRESS=200` makes it as long as that.

use super::*;

#[test]
fn signals_and_readers_at_any_moment() {
    let rounds = std::env::var("DASHCAM_STRESS").unwrap_or_else(|_| "6".to_owned());
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python.bare();
        command.arg(program("unharmed/stress.py")).arg(&rounds).arg(python.dashcam().get_program());
        let output = run(command.current_dir(folder.path()));
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{python}: {printed}");
    }
}
