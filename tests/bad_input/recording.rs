//! `dashcam record` when it cannot record, or can no longer record.

use dashcam_tests::{
    Python, Recording, finish, program, run, shell_status, spawn, tests_path, text,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Asserts that the command ends with this status and writes one line, with all of `words` in it.
/// The program must not run: it would print something.
fn refuses(command: &mut Command, status: i32, words: &[&str]) {
    let output = run(command);
    let printed = text(&output.stderr);
    assert_eq!(shell_status(&output), status, "{command:?}: {printed}");
    assert_eq!(printed.trim_end().lines().count(), 1, "{command:?}: {printed}");
    assert!(!printed.contains("panicked"), "{printed}");
    for word in words {
        assert!(printed.contains(word), "{command:?}: {word} is not in: {printed}");
    }
    assert_eq!(text(&output.stdout), "", "{command:?}");
}

fn script(folder: &Path, name: &str, body: &str, executable: bool) -> String {
    let path = folder.join(name);
    std::fs::write(&path, body).unwrap();
    if executable {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn nothing_to_run() {
    let python = Python::any();
    assert_eq!(shell_status(&run(python.dashcam().arg("record"))), 2);
    assert_eq!(shell_status(&run(python.dashcam().args(["record", "-m"]))), 2);
    assert_eq!(
        shell_status(&run(python.dashcam().args(["record", "--no-such-option", "x.py"]))),
        2
    );
}

#[test]
fn the_script_is_missing() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    // The status is the one that `python` has.
    refuses(python.record(&db).arg("no-such-script.py"), 2, &["no-such-script.py"]);
    refuses(python.record(&db).args(["--", "no-such-command"]), 2, &["no-such-command"]);
    let with_options = ["--python-args", "-I", "no-such-script.py"];
    refuses(python.record(&db).args(with_options), 2, &["no-such-script.py"]);
    assert!(!db.exists(), "a recording of nothing");
}

#[test]
fn the_module_is_missing() {
    // Python reports this: only the interpreter knows whether there is such a module.
    let python = Python::any();
    let recording = Recording::new(&python, ["-m", "no_such_module"]);
    assert_eq!(shell_status(&recording.output), 1);
    assert!(text(&recording.output.stderr).contains("No module named no_such_module"));
}

#[test]
fn a_syntax_error_is_shown_as_python_shows_it() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let bad = script(folder.path(), "bad.py", "def f(:\n    pass\n", false);
        let bare = run(python.bare().arg(&bad));
        let recording = Recording::new(&python, [&bad]);
        assert_eq!(shell_status(&recording.output), 1);
        assert_eq!(
            dashcam_tests::program_stderr(&recording.output),
            text(&bare.stderr),
            "{python}"
        );
    }
}

#[test]
fn the_interpreter_is_missing_or_too_old() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    let with = |interpreter: &str, words: &[&str]| {
        refuses(python.record(&db).args(["--python", interpreter, "-c", "print(1)"]), 1, words);
    };
    with("/no/such/python", &["/no/such/python"]);
    // The oldest Python that is still in use answers like this, whatever it is asked.
    let old = script(
        folder.path(),
        "python3.9",
        "#!/bin/sh\nfor a; do case $a in --version|-V|-VV) echo 'Python 3.9.2'; exit 0;; esac; done\necho '3.9.2'\nexit 0\n",
        true,
    );
    with(&old, &["3.12"]);
    let no_python = script(folder.path(), "not-python", "#!/bin/sh\necho hello\nexit 4\n", true);
    with(&no_python, &["not-python"]);
    let not_executable = script(folder.path(), "data.txt", "hello", false);
    with(&not_executable, &["data.txt"]);
    // Real old interpreters, where this machine has any.
    for name in ["3.11", "3.10", "3.9", "3.8"].map(|version| format!("python{version}")) {
        let works = Command::new(&name).args(["-c", ""]).output().is_ok_and(|o| o.status.success());
        if works {
            with(&name, &["3.12"]);
        }
    }
}

#[test]
fn the_database_cannot_be_there() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let file = script(folder.path(), "file", "", false);
    for place in [
        format!("{file}/x.db"),
        "/proc/x.db".to_owned(),
        format!("{}/no/such/folder/x.db", folder.path().display()),
        folder.path().to_str().unwrap().to_owned(),
    ] {
        refuses(python.record(Path::new(&place)).args(["-c", "print(1)"]), 1, &[&place]);
    }
}

#[test]
fn other_peoples_files_are_left_alone() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let text_file = script(folder.path(), "notes.txt", &"important\n".repeat(200), false);
    let foreign = folder.path().join("foreign.db");
    let newer = folder.path().join("newer.db");
    let make = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1]); c.execute('create table t (x)')\n\
                c.execute('pragma application_id = ' + sys.argv[2]); c.execute('pragma user_version = ' + sys.argv[3]); c.commit()";
    let id = dashcam_schema::version::APPLICATION_ID.to_string();
    for (path, id, version) in [(&foreign, "0", "0"), (&newer, &*id, "999")] {
        assert!(
            run(python.bare().args(["-c", make]).arg(path).args([id, version])).status.success()
        );
    }
    for (path, word) in [
        (Path::new(&text_file), "not a dashcam recording"),
        (&foreign, "not a dashcam recording"),
        (&newer, "999"),
    ] {
        let before = std::fs::read(path).unwrap();
        let name = path.to_str().unwrap();
        refuses(python.record(path).args(["-c", "print(1)"]), 1, &[name, word]);
        for verb in ["runs", "check", "dump"] {
            refuses(python.dashcam().arg(verb).arg(path), 1, &[name, word]);
        }
        refuses(python.dashcam().arg("query").arg(path).arg("select 1"), 1, &[name, word]);
        assert!(before == std::fs::read(path).unwrap(), "{name} changed");
    }
}

#[test]
fn no_tool_id_is_free() {
    // All six tool ids are taken before recording starts. What else the program does is of no
    // interest here.
    let code = "import sys\nfor i in range(6): sys.monitoring.use_tool_id(i, f't{i}')\n\
                import dashcam\ntry:\n    with dashcam.record('x.db'): pass\nexcept Exception as e: print(type(e).__name__, e)";
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let output = run(python.bare().args(["-c", code]).current_dir(folder.path()));
        assert!(
            text(&output.stdout).contains("tool"),
            "{python}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

/// Makes many events, then prints a sum.
const BUSY: &str = "def f(i): return i + 1\nt = 0\nfor i in range(300_000): t += f(i)\nprint(t)";

fn the_program_ran_and_the_loss_is_reported(python: &Python, output: &Output) {
    assert_eq!(text(&output.stdout), "45000150000\n", "{python}: {}", text(&output.stderr));
    assert_eq!(shell_status(output), 0, "{python}: {}", text(&output.stderr));
    let printed = text(&output.stderr);
    assert!(printed.contains("dashcam") && !printed.contains("panicked"), "{python}: {printed}");
}

#[test]
fn the_file_may_not_grow() {
    // RLIMIT_FSIZE stands in for a full disk. SIGXFSZ, its other half, is ignored, as Python does.
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let record = python.record(&db);
        let mut sh = dashcam_tests::command("bash");
        sh.args(["-c", "ulimit -f 300; trap '' XFSZ; exec \"$@\"", "bash"]);
        sh.arg(record.get_program()).args(record.get_args()).args(["-c", BUSY]);
        let output = run(&mut sh);
        the_program_ran_and_the_loss_is_reported(&python, &output);
        assert!(text(&output.stderr).contains(db.to_str().unwrap()), "{}", text(&output.stderr));
    }
}

#[test]
fn the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let mount =
        |arguments: &[&str]| Command::new("mount").args(arguments).arg(folder.path()).output();
    if !mount(&["-t", "tmpfs", "-o", "size=400k", "tmpfs"]).is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: may not mount a small tmpfs here; nothing is tested on a full disk");
        return;
    }
    let results: Vec<(Python, Output, Output)> = Python::all()
        .into_iter()
        .map(|python| {
            let db = folder.path().join("x.db");
            let output = run(python.record(&db).args(["-c", BUSY]));
            let runs = run(python.dashcam().arg("runs").arg(&db));
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
            (python, output, runs)
        })
        .collect();
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    for (python, output, runs) in results {
        the_program_ran_and_the_loss_is_reported(&python, &output);
        assert!(!text(&runs.stderr).contains("panicked"), "{}", text(&runs.stderr));
        assert!(text(&output.stderr).contains("full"), "{python}: {}", text(&output.stderr));
    }
}

#[test]
fn two_recorders_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    let pythons = [Python::any(), Python::all().pop().unwrap()];
    let children: Vec<_> =
        pythons.iter().map(|python| spawn(python.record(&db).args(["-c", BUSY]))).collect();
    let outputs: Vec<Output> = children.into_iter().map(finish).collect();
    for output in &outputs {
        assert_eq!(text(&output.stdout), "45000150000\n", "{}", text(&output.stderr));
    }
    let [output, _] = outputs.try_into().unwrap();
    let recording = Recording { python: Python::any(), db, output, folder };
    recording.check("select status, exit_code, lost_count from runs", "complete 0 0\ncomplete 0 0");
    recording.check_all(
        "select run_id, count(*) from calls where qualname = 'f' group by 1 order by 1",
        "1 300000\n2 300000",
    );
    recording.check_all(
        "select r.event_count = (select count(*) from events e where e.run_id = r.run_id) from runs r",
        "1\n1",
    );
    let output = run(recording.python.dashcam().arg("check").arg(&recording.db));
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn someone_else_holds_the_database() {
    // A writer holds the lock for a while: recording waits for it and loses nothing.
    let python = Python::any();
    let recording = Recording::new(&python, [program("arguments.py")]);
    let code = "import sqlite3, sys, subprocess\nc = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin immediate')\n\
                p = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE)\n\
                try: p.wait(1.5)\nexcept subprocess.TimeoutExpired: pass\nc.execute('rollback'); print(p.wait())";
    let record = python.record(&recording.db);
    let mut holder = python.bare();
    holder.args(["-c", code]).arg(&recording.db).arg(record.get_program()).args(record.get_args());
    let output = run(holder.arg(program("arguments.py")));
    assert_eq!(text(&output.stdout), "0\n", "{}", text(&output.stderr));
    recording.check("select status, lost_count from runs", "complete 0\ncomplete 0");
}

/// Compiles a program that describes its build as a CPython does. Prints a line and returns `None`
/// if there is no C compiler.
fn fake_python(folder: &Path, options: &[&str]) -> Option<std::path::PathBuf> {
    std::fs::create_dir(folder).unwrap();
    let fake = folder.join("python3.14");
    let mut compiler = Command::new("cc");
    compiler.args(options).args(["-w", "-o"]).arg(&fake);
    let Ok(output) = compiler.arg(tests_path("bad_input/fake_python.c")).output() else {
        println!("SKIPPED: no C compiler (cc) is here, so nothing can stand for such a Python");
        return None;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(fake)
}

/// A free-threaded build is recognised before it runs anything, whatever its name is. None is
/// installed here, so a program describes its build as one does; `tests/tools/builds.sh
/// free-threaded` uses a real one.
#[test]
fn a_free_threaded_python_is_refused_by_name() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    let fake =
        |name: &str, option: &str| fake_python(&folder.path().join(name), &["-rdynamic", option]);
    let Some(free_threaded) = fake("t", "-DFREE_THREADED=1") else { return };
    let mut command = python.record(&db);
    command.arg("--python").arg(&free_threaded).args(["-c", "print(1)"]);
    refuses(&mut command, 1, &["free-threaded", "CPython 3.14", "--python"]);
    assert!(!db.exists(), "a run that never was");
    // The same program without that flag: it is started, and turns out not to be a Python.
    let Some(with_gil) = fake("gil", "-DFREE_THREADED=0") else { return };
    let output = run(python.record(&db).arg("--python").arg(&with_gil).args(["-c", "print(1)"]));
    assert_eq!(text(&output.stdout), "it runs\n", "{}", text(&output.stderr));
}

/// Nothing can be loaded into such a program. Pythons for containers that bring their libc along
/// are like it.
#[test]
fn a_python_without_a_dynamic_linker_is_refused() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("x.db");
    for option in ["-static", "-static-pie"] {
        let options = [option, "-DFREE_THREADED=0"];
        let Some(fake) = fake_python(&folder.path().join(option), &options) else { return };
        let mut command = python.record(&db);
        command.arg("--python").arg(&fake).args(["-c", "print(1)"]);
        refuses(&mut command, 1, &[fake.to_str().unwrap(), "statically", "--python"]);
        assert!(!db.exists(), "a run that never was");
    }
}
