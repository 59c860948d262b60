//! With `--no-follow`, each process and interpreter that the program starts is reported as not
//! recorded. Without, the processes are recorded: `processes.rs`.

use dashcam_tests::{Python, Recording, program, run, shell_status, text};

/// How a child is started, what kind of loss that is, how many there are, and what the row's detail
/// contains.
const WAYS: &[(&str, &str, i64, &str)] = &[
    ("popen", "child_not_recorded", 1, "-c print('child'"),
    ("shell", "child_not_recorded", 1, "/bin/sh -c"),
    ("system", "child_not_recorded", 1, "-c \"print('child'"),
    ("path_object", "child_not_recorded", 1, "? -c print"),
    ("through_env", "child_not_recorded", 1, "env -u NOBODY"),
    ("script", "child_not_recorded", 1, "./child.py"),
    ("posix_spawn", "child_not_recorded", 1, "-c print('child'"),
    ("execs", "child_not_recorded", 1, "-c print('child'"),
    // The process that tracks resources, and the child that was asked for.
    ("spawn", "child_not_recorded", 2, "from multiprocessing.spawn import spawn_main"),
    // These two and the server.
    ("forkserver", "child_not_recorded", 3, "multiprocessing's server"),
    ("fork", "child_not_followed", 1, ""),
    ("interpreter", "interpreter_not_recorded", 1, ""),
];

const OPTIONS: &[&[&str]] = &[
    &["--capture", "flow"],
    &["--capture", "state"],
    &["--capture", "flow", "--no-stdlib"],
    &["--capture", "calls", "--include", "nothing_is"],
    &["--capture", "flow", "--events", "direct"],
];

fn go(python: &Python, options: &[&str], how: &str) -> Recording {
    let script = program("launch/children.py");
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let go = |mut command: std::process::Command| run(command.current_dir(folder.path()));
    let mut bare = python.bare();
    bare.arg(&script).arg(how);
    let bare = go(bare);
    let mut record = python.record(&db);
    record.arg("--no-follow").args(options).arg(&script).arg(how);
    let output = go(record);
    let recording = Recording { python: python.clone(), db, output, folder };
    let printed = format!("{python} {how} {options:?}: {}", recording.printed());
    assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{printed}");
    assert_eq!(shell_status(&recording.output), shell_status(&bare), "{printed}");
    recording
}

#[test]
fn each_is_counted_whatever_is_recorded() {
    for options in OPTIONS {
        for (how, kind, count, detail) in WAYS {
            for python in Python::in_turns(how) {
                let recording = go(&python, options, how);
                let rows = recording
                    .rows(&format!("select count, detail from losses where kind = '{kind}'"));
                let printed =
                    format!("{python} {how} {options:?}: {rows:?} {}", recording.printed());
                assert!(rows.len() == 1 && rows[0][0].as_i64() == Some(*count), "{printed}");
                assert!(rows[0][1].as_str().is_some_and(|text| text.contains(detail)), "{printed}");
            }
        }
    }
}

#[test]
fn what_is_not_python_is_no_loss() {
    for python in Python::all() {
        let recording = go(&python, &["--capture", "flow"], "other");
        recording.check("select count(*) from losses where severity <> 'info'", "0");
    }
}

#[test]
fn after_recording_from_inside_nothing_is_counted() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let code = "import dashcam, subprocess, sys\nwith dashcam.record('x.db'): pass\n\
                    subprocess.run([sys.executable, '-c', 'pass'], check=True)\n\
                    with dashcam.record('x.db'): subprocess.run([sys.executable, '-c', '1'])";
        let output = run(python.bare().args(["-c", code]).current_dir(folder.path()));
        let db = folder.path().join("x.db");
        let recording = Recording { python: python.clone(), db, output, folder };
        recording
            .check("select run_id, count from losses where kind = 'child_not_recorded'", "2 1");
    }
}

/// Whatever switches our events off is an error that the run's status shows, wherever it happens.
#[test]
fn events_switched_off_are_an_error() {
    let statements = [
        ("[m.set_events(i, 0) for i in range(6) if m.get_tool(i)]", "events_switched_off"),
        ("m.register_callback(t, m.events.PY_START, None)", "events_switched_off"),
        ("m.free_tool_id(t)", "events_switched_off"),
        ("m.free_tool_id(t); m.use_tool_id(t, 'mine')", "events_switched_off"),
    ];
    for python in Python::all() {
        for (statement, kind) in statements {
            let code = format!(
                "import sys\nm = sys.monitoring\nt = [i for i in range(6) if m.get_tool(i) == 'dashcam'][0]\n\
                 def f(): return 1\nfor i in range(10): f()\n{statement}\nfor i in range(1000): f()"
            );
            let recording = Recording::new(&python, ["--capture", "flow", "-c", &code]);
            assert_eq!(shell_status(&recording.output), 0, "{}", recording.printed());
            recording.check("select status from runs", "interrupted");
            recording.check(
                "select kind, severity from losses where severity = 'error'",
                &format!("{kind} error"),
            );
            // Nothing that leads to it is recorded here, so it is noticed at the end.
            if !statement.contains("register") {
                let options = ["--capture", "flow", "--include", "nothing_is", "-c", &code];
                let recording = Recording::new(&python, options);
                recording.check("select status from runs", "interrupted");
                recording.check("select count(*) from losses where severity = 'error'", "1");
            }
        }
    }
}
