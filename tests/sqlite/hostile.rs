//! Files that are no recordings or are damaged, and hosts that use the extension in unusual ways.
//! Each claim is a function of `hostile.py`, in a process of its own; it prints nothing if it
//! holds.

use super::{SUBJECT, clients, loading_pythons};
use dashcam_tests::{Python, command, run, tests_path, text};
use std::process::Command;

fn holds(mut python: Command, what: &str, claim: &str) {
    // A copy, because claims may write to it as other programs do.
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("shop.db");
    std::fs::copy(&SUBJECT.db, &db).unwrap();
    python
        .args(["-W", "error", "-W", "ignore::ResourceWarning"])
        .arg(tests_path("sqlite/hostile.py"));
    let output = run(python.arg(claim).arg(&SUBJECT.extension).arg(&db));
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success() && printed.is_empty(),
        "{what}: {claim}: {:?} {printed}",
        output.status
    );
}

macro_rules! claims {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            for python in loading_pythons() {
                holds(python.bare(), &python.to_string(), stringify!($name));
            }
        }
    )*};
}

claims! {
    a_database_of_another_program
    tables_of_another_program_come_first
    a_recording_of_a_newer_version
    a_recording_without_its_tables
    a_view_in_place_of_a_table
    damaged_chunks
    damaged_pages
    two_threads
    from_one_thread_to_another
    loaded_twice
    loaded_within_a_transaction
    a_temporary_table_of_the_hosts
    closed_in_the_middle
    after_a_fork
    nothing_is_changed
    nothing_is_locked
    a_recording_that_grows
    planned_before_it_grew
    in_memory
    attached
    interrupted
    an_old_sqlite
    runs_that_are_not_there
    kept_texts
    denied
}

/// The two libraries cannot share the extension. The second to load it is refused and goes on.
#[test]
fn two_libraries_in_a_process() {
    if let Some(python) = clients() {
        holds(command(python), "clients", "two_libraries");
    }
}

#[test]
fn statements_that_outlive_their_connection() {
    if let Some(python) = clients() {
        holds(command(python), "clients", "closed_by_force");
    }
}

/// The path that the program prints is the one that Python has: in the package's folder.
#[test]
fn the_path() {
    for python in Python::all() {
        let printed = run(python.dashcam().arg("sqlite-extension"));
        let printed = text(&printed.stdout).trim_end().to_owned();
        assert!(printed.contains("/dashcam/dashcam_sqlite"), "{printed}");
    }
}
