//! Recordings of every format that can still be read are kept here and are never made anew. This
//! version gives the answers that the version that made them gave. `README.md` beside this file
//! describes how to add recordings of a new format.
#![allow(clippy::unwrap_used)]

use dashcam_tests::{Python, run, run_with_input, tests_path, text};
use std::fs::{copy, read_dir, read_to_string, write};
use std::path::{Path, PathBuf};

/// The recordings, by format and interpreter.
fn recordings() -> Vec<PathBuf> {
    let formats = read_dir(tests_path("compat")).unwrap().map(|entry| entry.unwrap().path());
    let formats = formats.filter(|path| path.is_dir());
    let files = formats.flat_map(|folder| read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "db")).collect();
    found.sort();
    assert!(found.len() >= 4, "{found:?}");
    found
}

/// Copies a recording, because a command that opens it may write to it.
fn copied(recording: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    copy(recording, &path).unwrap();
    (folder, path)
}

fn dashcam(verb: &str, recording: &Path, rest: &[&str], input: &str) -> String {
    let mut command = Python::any().dashcam();
    let command = command.arg(verb).arg(recording).args(rest);
    let output = run_with_input(command, input.as_bytes());
    assert!(output.status.success(), "{verb} {rest:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Steps forwards and backwards, and shows what is found on the way.
const COMMANDS: &str = "goto 50%\nwhere\nlocals\nback-step\nlocals\nfinish\nbreak parse\ncontinue\nargs\n\
                   break exception\ncontinue\nwhere\nlast-write found\norigin text\n";

#[test]
fn old_recordings_give_the_answers_they_gave() {
    let questions = read_to_string(tests_path("compat/questions.sql")).unwrap();
    for recording in recordings() {
        let (_folder, path) = copied(&recording);
        let mut answers = String::new();
        for question in questions.lines() {
            let answer = dashcam("query", &path, &[question, "--format", "jsonl"], "");
            answers += &format!("-- {question}\n{answer}");
        }
        answers += "-- replay\n";
        answers += &dashcam("replay", &path, &["--format", "text"], COMMANDS);
        let expected = recording.with_extension("txt");
        // The answers are written once, by the version that made the recording.
        if std::env::var_os("DASHCAM_COMPAT").is_some() && !expected.exists() {
            write(&expected, &answers).unwrap();
        }
        let expected = read_to_string(expected).unwrap();
        for (was, is) in expected.lines().zip(answers.lines()) {
            assert_eq!(is, was, "{}", recording.display());
        }
        assert_eq!(answers.lines().count(), expected.lines().count(), "{}", recording.display());
    }
}

#[test]
fn old_recordings_are_whole_and_can_be_added_to() {
    for recording in recordings() {
        let (folder, path) = copied(&recording);
        dashcam("check", &path, &[], "");
        write(folder.path().join("new.py"), "x = 1\n").unwrap();
        let python = Python::any();
        let output = run(python.record(&path).arg(folder.path().join("new.py")));
        assert!(output.status.success(), "{}", text(&output.stderr));
        dashcam("check", &path, &[], "");
        let runs = dashcam("query", &path, &["select count(*) from runs", "--format", "csv"], "");
        assert_eq!(runs.lines().last(), Some("2"), "{}", recording.display());
    }
}
