//! A program cannot tell that it is being recorded: everything it can see of how it was started is
//! as it is without dashcam.
#![allow(clippy::unwrap_used)]

mod children;
mod cpython;
mod neighbours;

use dashcam_tests::{
    Python, Recording, command, program, program_stderr, run, run_with_input, shell_status,
    tests_path, text,
};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

/// Runs it bare and recorded in one folder and compares what it printed, field by field.
fn same(what: &[&str], adjust: impl Fn(&mut Command)) {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        let go = |mut command: Command| -> Output {
            command.args(what).current_dir(tests_path("launch"));
            adjust(&mut command);
            run_with_input(&mut command, b"line one\nline two\n")
        };
        let bare = go(python.bare());
        let recorded = go(python.record(&db));
        let report = |output: &Output| -> serde_json::Map<String, Value> {
            match serde_json::from_slice(&output.stdout) {
                Ok(Value::Object(map)) => map,
                _ => panic!("{python}: {}{}", text(&output.stdout), text(&output.stderr)),
            }
        };
        let (expected, found) = (report(&bare), report(&recorded));
        for (name, value) in &expected {
            if name == "modules" {
                let extra: Vec<_> = found[name]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|module| !value.as_array().unwrap().contains(module))
                    .map(|module| module.as_str().unwrap())
                    .filter(|module| !module.starts_with("dashcam"))
                    .collect();
                assert!(extra.is_empty(), "{python}: imported for the program: {extra:?}");
            } else {
                assert_eq!(value, &found[name], "{python}: {name}");
            }
        }
        assert_eq!(shell_status(&bare), shell_status(&recorded), "{python}");
        assert_eq!(program_stderr(&bare), program_stderr(&recorded), "{python}");
    }
}

#[test]
fn a_script() {
    same(&["report.py", "one", "--two", "-o", "three four"], |_| {});
}

#[test]
fn a_script_by_absolute_path() {
    let script = program("launch/report.py");
    same(&[script.to_str().unwrap()], |_| {});
}

#[test]
fn a_module() {
    same(&["-m", "report", "one", "-m"], |_| {});
}

#[test]
fn a_package() {
    same(&["-m", "package", "--flag"], |_| {});
}

#[test]
fn a_text() {
    same(&["-c", "import sys; exec(open('report.py').read())", "one"], |_| {});
}

#[test]
fn with_an_environment_of_its_own() {
    same(&["report.py"], |command| {
        command
            .env("PYTHONPATH", "somewhere:else")
            .env("PYTHONWARNINGS", "error::UserWarning")
            .env("ODD", "ü\nb")
            .env("PYTHONUNBUFFERED", "1");
    });
}

#[test]
fn a_sitecustomize_of_the_users_still_runs() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sitecustomize.py"), "print('customized')").unwrap();
        let db = folder.path().join("dashcam.db");
        let code = ["-c", "import sitecustomize; print(sitecustomize.__file__)"];
        let bare = run(python.bare().args(code).env("PYTHONPATH", folder.path()));
        let recorded = run(python.record(&db).args(code).env("PYTHONPATH", folder.path()));
        assert!(text(&bare.stdout).starts_with("customized\n"));
        assert_eq!(
            text(&bare.stdout),
            text(&recorded.stdout),
            "{python}: {}",
            text(&recorded.stderr)
        );
    }
}

#[test]
fn python_children_run_as_ever() {
    for python in Python::all() {
        let code = "import subprocess, sys, os; r = subprocess.run([sys.executable, '-c', \
                    'import sys, os; print(sorted(os.environ), sys.path)'], capture_output=True); \
                    print(r.stdout, r.stderr, r.returncode)";
        let bare = run(python.bare().args(["-c", code]));
        let recording = Recording::new(&python, ["-c", code]);
        assert_eq!(text(&bare.stdout), text(&recording.output.stdout), "{python}");
    }
}

#[test]
fn a_forked_child_lives_and_the_parent_is_recorded() {
    let code = "import os\ndef after(): return 1\npid = os.fork()\nif pid == 0:\n    after(); print('child', flush=True); os._exit(5)\n\
                _, status = os.waitpid(pid, 0)\nafter()\nprint(os.waitstatus_to_exitcode(status))";
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", code]);
        assert_eq!(text(&recording.output.stdout), "child\n5\n", "{python}: {}", recording.said());
        let pid = recording.number("select min(process_id) from processes");
        recording.check(
            &format!("select exit from calls where qualname = 'after' and process_id = {pid}"),
            "return",
        );
        recording.check("select status from runs", "complete");
    }
}

#[test]
fn the_database_is_where_it_was_asked_for() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let go =
        |args: &[&str]| run(python.dashcam().arg("record").args(args).current_dir(folder.path()));
    let output = go(&["-c", "pass"]);
    assert!(folder.path().join("dashcam.db").exists(), "{}", text(&output.stderr));
    go(&["-o", "other.db", "-c", "pass"]);
    assert!(folder.path().join("other.db").exists());
    // A second run goes into the same file.
    go(&["-c", "pass"]);
    let runs = run(python
        .dashcam()
        .args(["query", "select count(*) from runs", "--format", "csv"])
        .current_dir(folder.path()));
    assert_eq!(text(&runs.stdout).lines().last(), Some("2"), "{}", text(&runs.stderr));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.path().join("dashcam.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "recordings hold a program's data");
}

/// Runs a script that uses `import dashcam` itself.
fn in_process(python: &Python, code: &str, folder: &Path) -> Recording {
    let mut command = python.bare();
    let output = run(command.arg("-c").arg(code).current_dir(folder));
    Recording {
        python: python.clone(),
        db: folder.join("x.db"),
        output,
        folder: tempfile::tempdir().unwrap(),
    }
}

#[test]
fn recording_a_part_from_inside() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let recording = in_process(
            &python,
            "import dashcam\ndef f(): return 1\nf()\nprint(dashcam.is_recording())\n\
             with dashcam.record('x.db'):\n    print(dashcam.is_recording()); f(); f()\nf()\nprint(dashcam.is_recording())",
            folder.path(),
        );
        assert_eq!(text(&recording.output.stdout), "False\nTrue\nFalse\n", "{}", recording.said());
        recording.check("select status from runs", "complete");
        recording.check(
            "select exit from calls where qualname = 'f' order by start_seq",
            "return\nreturn",
        );
    }
}

/// Which branches need no event is known by the number of their code object, which frames that stood
/// when the recording began get as late as others.
#[test]
fn recording_a_part_from_inside_derives_what_is_recorded_directly() {
    const CODE: &str = "\
import dashcam, sys

def g(x): return x

def f(n):
    t = 0
    for i in range(n):
        if i % 3 == 0:
            t += g(i)
        elif i % 3 == 1:
            t += len(str(i))
        elif t % 2:
            g(t)
    return t

def outer(events):
    if events:
        g(1)
    with dashcam.record('x.db', capture='state', events=events):
        a = f(100)
        if a > 5:
            g(2)
        else:
            f(3)
    return a

def outest(events):
    while events:
        result = outer(events)
        if result: g(4)
        return result

print(outest('EVENTS'))
";
    for python in Python::all() {
        let [derived, direct] = ["derived", "direct"].map(|events| {
            let folder = tempfile::tempdir().unwrap();
            let recording = in_process(&python, &CODE.replace("EVENTS", events), folder.path());
            recording.check("select status from runs", "complete");
            recording.check("select count(*) from losses where severity = 'loss'", "0");
            let sql = "select events.kind, qualname, line, offset, target_offset from events
                       join code_objects using (code_id) where path = '<string>' order by seq";
            recording.text(sql)
        });
        assert_eq!(derived, direct, "{python}");
    }
}

#[test]
fn recording_from_inside_survives_an_exception() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let recording = in_process(
            &python,
            "import dashcam\ndef f(): raise ValueError('out')\ntry:\n    with dashcam.record('x.db'): f()\nexcept ValueError as e: print(e)",
            folder.path(),
        );
        assert_eq!(text(&recording.output.stdout), "out\n", "{}", recording.said());
        recording
            .check("select exit, exception from calls where qualname = 'f'", "unwind ValueError");
        recording.check("select status from runs", "complete");
    }
}

#[test]
fn python_dash_m_is_the_same_program() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let output = run(python
        .bare()
        .args(["-m", "dashcam", "record", "-c", "print(1)"])
        .current_dir(folder.path()));
    assert_eq!(text(&output.stdout), "1\n", "{}", text(&output.stderr));
    assert!(folder.path().join("dashcam.db").exists());
}

#[test]
fn another_tool_keeps_its_place() {
    // Every tool id but one is taken; what they were told stays with them.
    let code = "import sys\nm = sys.monitoring\nids = [i for i in range(6) if m.get_tool(i) is None]\n\
                print(len(ids))\nfor i in ids: m.use_tool_id(i, f'tool{i}')\nseen = []\n\
                m.register_callback(ids[0], m.events.PY_START, lambda code, at: seen.append(code.co_name))\n\
                m.set_events(ids[0], m.events.PY_START)\ndef f(): pass\nf()\nprint(seen)\nm.free_tool_id(ids[0])";
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", code]);
        assert_eq!(text(&recording.output.stdout), "5\n['f']\n", "{python}: {}", recording.said());
        recording.check("select exit from calls where qualname = 'f'", "return");
    }
}

#[test]
fn arguments_are_passed_byte_for_byte() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(b"\xff x".to_vec());
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let code = "import sys, os; print(os.fsencode(sys.argv[1]))";
        let output = run(python.record(&db).args(["-c", code]).arg(&odd));
        assert_eq!(text(&output.stdout), "b'\\xff x'\n", "{python}: {}", text(&output.stderr));
    }
}

#[test]
fn a_link_to_the_program_works() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("dc");
    let dashcam = python.dashcam().get_program().to_owned();
    std::os::unix::fs::symlink(dashcam, &link).unwrap();
    let output = run(command(&link)
        .args(["record", "-c", "import sys; print(sys.prefix != sys.base_prefix)"])
        .current_dir(folder.path()));
    assert_eq!(text(&output.stdout), "True\n", "{}", text(&output.stderr));
}
