//! A program cannot tell that it is being recorded: everything it can see of how it was started is
//! as it is without dashcam.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod children;
mod cpython;
mod neighbours;
mod processes;

use dashcam_tests::{
    Python, Recording, command, program, program_stderr, run, run_with_input, shell_status,
    tests_path, text,
};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a command bare and recorded in one folder, and compares what it printed, field by field.
fn same(what: &[&str], adjust: impl Fn(&mut Command)) {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("dashcam.db");
        compare(&python, python.bare(), python.record(&db), what, &adjust);
    }
}

/// Compares what a bare and a recording command print when they are given the same arguments.
fn compare(
    python: &Python,
    bare: Command,
    recorded: Command,
    what: &[&str],
    adjust: impl Fn(&mut Command),
) {
    let go = |mut command: Command| -> Output {
        command.args(what).current_dir(tests_path("launch"));
        adjust(&mut command);
        run_with_input(&mut command, b"line one\nline two\n")
    };
    let (bare, recorded) = (go(bare), go(recorded));
    let report = |output: &Output| -> serde_json::Map<String, Value> {
        match serde_json::from_slice(&output.stdout) {
            Ok(Value::Object(map)) => map,
            _ => panic!("{python}: {}{}", text(&output.stdout), text(&output.stderr)),
        }
    };
    let (expected, found) = (report(&bare), report(&recorded));
    for (name, value) in &expected {
        assert_eq!(value, &found[name], "{python}: {name}");
    }
    assert_eq!(shell_status(&bare), shell_status(&recorded), "{python}");
    assert_eq!(program_stderr(&bare), program_stderr(&recorded), "{python}");
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

/// Options of Python, before the program's own arguments.
const OPTIONS: &[&str] = &[
    "-I",
    "-E",
    "-S",
    "-s",
    "-I -S",
    "-O",
    "-OO",
    "-u",
    "-B",
    "-P",
    "-X dev",
    "-W error",
    "-X utf8=0 -bb",
];

/// Tests every option in `--python-args`, after `--`, and after `--` and the interpreter.
#[test]
fn with_options_of_the_interpreter() {
    for python in Python::all() {
        for options in OPTIONS {
            let words: Vec<&str> = options.split(' ').chain(["report.py", "one"]).collect();
            let executable = python.executable();
            for form in 0..3 {
                let folder = tempfile::tempdir().unwrap();
                let db = folder.path().join("dashcam.db");
                let mut bare = python.bare();
                bare.args(options.split(' '));
                let mut recorded = python.record(&db);
                match form {
                    0 => recorded.args(["--python-args", options]),
                    1 => recorded.arg("--").args(options.split(' ')),
                    _ => recorded.arg("--").arg(&executable).args(options.split(' ')),
                };
                compare(&python, bare, recorded, &words[words.len() - 2..], |command| {
                    command.env("PYTHONPATH", "somewhere");
                });
                let recording = Recording {
                    python: python.clone(),
                    db,
                    output: run(&mut python.bare()),
                    folder,
                };
                let found = "select count(*) from calls where qualname = '<module>' and path like '%/report.py'";
                assert_eq!(recording.number(found), 1, "{python}: {words:?}");
                recording.check("select status from runs", "complete");
            }
        }
    }
}

/// Code that runs before the program finds nothing of dashcam: no frame, variable, module or path.
#[test]
fn code_before_the_program_sees_nothing() {
    const SEES: &str = "\
import os, sys, traceback
print(list(os.environ.items()), sys.path, [f.name for f in traceback.extract_stack()])
print(sorted(m for m in sys.modules if 'dashcam' in m), list(sys.path_importer_cache), sys.builtin_module_names)
print([sys.monitoring.get_tool(i) for i in range(6)], os.popen('env').read())
sys.addaudithook(lambda event, args: print(event) if event in ('compile', 'exec', 'import', 'cpython.run_command') else None)
raise RuntimeError('of its own')
";
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sitecustomize.py"), SEES).unwrap();
        let db = folder.path().join("dashcam.db");
        let go = |mut command: Command| {
            run(command
                .args(["-c", "print('the program')"])
                .env("PYTHONPATH", folder.path())
                .env("PYTHONVERBOSE", "1"))
        };
        let (bare, recorded) = (go(python.bare()), go(python.record(&db)));
        assert!(text(&bare.stdout).contains("the program"), "{}", text(&bare.stderr));
        assert_eq!(text(&bare.stdout), text(&recorded.stdout), "{python}");
        // Returns what Python prints about every import and about the error, with all addresses
        // alike. `sys.monitoring` is still in use when Python prints which modules it releases.
        let printed = |output: &Output| -> Vec<String> {
            let hide = |word: &str| if word.starts_with("0x") { "0x" } else { word }.to_owned();
            let lines = program_stderr(output);
            let words = |line: &str| line.split(' ').map(hide).collect::<Vec<_>>().join(" ");
            let lines = lines.lines().filter(|line| *line != "# destroy sys.monitoring");
            lines.map(words).collect()
        };
        assert_eq!(printed(&bare), printed(&recorded), "{python}");
    }
}

/// CPython 3.15 with its JIT compiler on aborts under the events that values need, so the JIT
/// compiler is kept off. The variable stays what it was. The program has loops that get compiled.
#[test]
fn the_jit_compiler_does_no_harm() {
    const PROGRAM: &str = "\
import os, re, sys
def step(total, i):
    for j in (1, 2, 3): total ^= j
    return total + i if i % 3 else total
def work(n):
    total, seen = 0, {}
    for i in range(n):
        total = step(total, i)
        seen[i % 7] = total
    return total, seen
for _ in range(5): print(work(3000))
print(len(re.compile('|'.join('(?P<a%d>x{1,%d}[a-f]+)' % (i, i + 1) for i in range(60))).groupindex))
print(os.environ['PYTHON_JIT'])
sys.stdout.flush()
os.system('echo $PYTHON_JIT')
";
    for python in Python::all() {
        let has_jit = "getattr(sys, '_jit', None) and sys._jit.is_available()";
        if python.eval(&format!("bool({has_jit})")) != "True" {
            println!("SKIPPED: {python} has no JIT compiler built in");
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let go = |mut command: Command| run(command.args(["-c", PROGRAM]).env("PYTHON_JIT", "1"));
        let (bare, recorded) = (go(python.bare()), go(python.record(&db)));
        assert_eq!(shell_status(&recorded), 0, "{python}: {}", text(&recorded.stderr));
        assert_eq!(text(&bare.stdout), text(&recorded.stdout), "{python}");
        let output = run(&mut python.bare());
        let recording = Recording { python: python.clone(), db, output, folder };
        recording.check("select kind from losses where severity != 'info'", "");
        recording.check("select distinct capture from runs", "state");
    }
}

/// Where the environment does not switch it off, a recording that begins within the program is
/// refused in one line.
#[test]
fn the_jit_compiler_is_refused_where_it_is_on() {
    const PROGRAM: &str = "\
import dashcam, sys
for capture in ('calls', 'state'):
    try:
        with dashcam.record(sys.argv[1], capture=capture):
            pass
        print(capture)
    except dashcam.DashcamError as error:
        print('JIT' in str(error) and 'PYTHON_JIT=0' in str(error))
";
    for python in Python::all().into_iter().filter(|python| python.version >= (3, 15)) {
        if python.eval("bool(sys._jit.is_available())") != "True" {
            println!("SKIPPED: {python} has no JIT compiler built in");
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        for (jit, expected) in [("0", "calls\nstate\n"), ("1", "calls\nTrue\n")] {
            let mut command = python.bare();
            command.args(["-c", PROGRAM]).arg(folder.path().join(format!("{jit}.db")));
            let output = run(command.env("PYTHON_JIT", jit));
            assert_eq!(text(&output.stdout), expected, "{python}: {}", text(&output.stderr));
        }
    }
}

/// Layouts that installers make: a virtual environment behind a link, an interpreter at the end of
/// a chain of links, and one whose folder was moved.
#[test]
fn interpreters_in_other_places() {
    use std::os::unix::fs::symlink;
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let venv = python.executable().ancestors().nth(2).unwrap().canonicalize().unwrap();
        symlink(&venv, at("linked")).unwrap();
        symlink(at("linked/bin/python"), at("first")).unwrap();
        symlink("first", at("python")).unwrap();
        // An environment that was made in one place and is used in another.
        let made = run(python.bare().args(["-m", "venv", "--without-pip"]).arg(at("made")));
        assert!(made.status.success(), "{python}: {}", text(&made.stderr));
        std::fs::rename(at("made"), at("moved")).unwrap();
        let code = "import sys\ndef f(a): b = [a]; return b\nprint(f(7), sys.prefix, sys.base_prefix, sys.executable)";
        for (name, options) in ["linked/bin/python", "first", "python", "moved/bin/python"]
            .into_iter()
            .flat_map(|name| {
                [&[][..], &["-I"], &["-S"], &["-I", "-S"]]
                    .into_iter()
                    .map(move |options| (name, options))
            })
        {
            let db = at("x.db");
            let _ = std::fs::remove_file(&db);
            let mut recorded = python.record(&db);
            recorded.arg("--python").arg(at(name)).arg("--").args(options).args(["-c", code]);
            let mut bare = dashcam_tests::command(at(name));
            let (bare, output) = (run(bare.args(options).args(["-c", code])), run(&mut recorded));
            let what = format!("{python}: {name} {options:?}: {}", text(&output.stderr));
            assert!(bare.status.success(), "{what}");
            assert_eq!(text(&bare.stdout), text(&output.stdout), "{what}");
            let folder = tempfile::tempdir().unwrap();
            let recording = Recording { python: python.clone(), db, output, folder };
            recording
                .check("select value from variables where name = 'b' and value <> 'None'", "[7]");
        }
    }
}

#[test]
fn import_times_list_no_other_modules() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let words = ["-X", "importtime", "-c", "import json"];
        let names = |output: &Output| -> Vec<String> {
            let lines = program_stderr(output);
            lines.lines().map(|line| line.rsplit('|').next().unwrap().to_owned()).collect()
        };
        let bare = run(python.bare().args(words));
        let recorded = run(python.record(&folder.path().join("x.db")).arg("--").args(words));
        assert!(names(&bare).iter().any(|name| name.trim() == "json"), "{}", text(&bare.stderr));
        assert_eq!(names(&bare), names(&recorded), "{python}");
    }
}

/// Records a command in a folder. `files` are executable there and come first on PATH.
fn with_commands(python: &Python, files: &[(&str, &str)], words: &[&str]) -> Recording {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, content) in files {
        let python = python.executable();
        let content = content.replace("PYTHON", python.to_str().unwrap());
        std::fs::write(bin.join(name), content).unwrap();
        std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let db = folder.path().join("dashcam.db");
    let venv = python.executable().parent().unwrap().to_owned();
    let old = std::env::var_os("PATH").unwrap();
    let path = [bin, venv].into_iter().chain(std::env::split_paths(&old));
    let mut command = python.record(&db);
    command.args(words).env("PATH", std::env::join_paths(path).unwrap());
    let output = run(command.current_dir(folder.path()));
    Recording { python: python.clone(), db, output, folder }
}

#[test]
fn commands_that_are_a_python_or_start_one() {
    const TOOL: &str =
        "#!PYTHON\nimport sys\ndef tool(): print(sys.argv[1:], sys.flags.optimize)\ntool()\n";
    let files = [
        ("tool", TOOL),
        ("asker", "#!/bin/sh\npython -I -c 'pass'\npython -O \"$(dirname \"$0\")/tool\" \"$@\"\n"),
        ("wrapper", "#!/bin/sh\ntrue\nexec python -O \"$(dirname \"$0\")/tool\" \"$@\"\n"),
        (
            "starter",
            "#!/bin/sh\npython --version >/dev/null\npython -O \"$(dirname \"$0\")/tool\" \"$@\"\nexit 6\n",
        ),
    ];
    for python in Python::all() {
        for (words, optimize, status) in [
            (&["tool", "a", "-m"][..], 0, 0),
            (&["--", "tool", "a", "-m"], 0, 0),
            (&["bin/tool", "a", "-m"], 0, 0),
            (&["python", "-O", "bin/tool", "a", "-m"], 1, 0),
            (&["--", "env", "X=1", "python", "-O", "bin/tool", "a", "-m"], 1, 0),
            (&["wrapper", "a", "-m"], 1, 0),
            (&["starter", "a", "-m"], 1, 6),
            (&["asker", "a", "-m"], 1, 0),
        ] {
            let recording = with_commands(&python, &files, words);
            let printed = recording.printed();
            let expected = format!("['a', '-m'] {optimize}\n");
            assert_eq!(text(&recording.output.stdout), expected, "{python}: {words:?}: {printed}");
            assert_eq!(shell_status(&recording.output), status, "{python}: {words:?}: {printed}");
            recording.check("select exit from calls where qualname = 'tool'", "return");
            recording.check("select status, lost_count from runs", "complete 0");
        }
    }
}

#[test]
fn of_two_pythons_both_are_recorded_or_the_second_is_counted() {
    let files = [(
        "both",
        "#!/bin/sh\npython -c 'def one(): pass\none()'\npython -c 'def two(): print(2)\ntwo()'\n",
    )];
    for python in Python::all() {
        let recording = with_commands(&python, &files, &["both"]);
        assert_eq!(text(&recording.output.stdout), "2\n", "{python}: {}", recording.printed());
        recording.check("select qualname from calls where qualname in ('one', 'two')", "one\ntwo");
        recording.check("select count(*), max(parent_process_id) from processes", "2 1");
        recording.check("select count(*) from losses where severity <> 'info'", "0");
        let recording = with_commands(&python, &files, &["--no-follow", "both"]);
        assert_eq!(text(&recording.output.stdout), "2\n", "{python}: {}", recording.printed());
        recording.check("select qualname from calls where qualname in ('one', 'two')", "one");
        recording
            .check("select kind, count from losses where kind <> 'waited'", "child_not_followed 1");
    }
}

#[test]
fn a_command_that_starts_no_python_runs_anyway() {
    let python = Python::any();
    let recording =
        with_commands(&python, &[("none", "#!/bin/sh\necho none\nexit 3\n")], &["none"]);
    assert_eq!(text(&recording.output.stdout), "none\n", "{}", recording.printed());
    assert_eq!(shell_status(&recording.output), 3, "{}", recording.printed());
    recording.check("select kind, count from losses", "not_started 1");
    let printed = text(&recording.output.stderr);
    assert!(printed.contains("no Python 3.12 or newer began to run a program"), "{printed}");
}

/// Isolated or not, the program is recorded, and its children are not.
#[test]
fn a_child_never_takes_the_programs_place() {
    for python in Python::all() {
        for options in ["-B", "-I", "-E", "-S"] {
            let child = format!("'{}' -c 'def child(): pass' ", python.executable().display());
            let code = format!("import os\ndef program(): os.system(\"{child}\")\nprogram()");
            let recording = Recording::new(&python, ["--", options, "-c", &code]);
            recording.check(
                "select qualname from calls where qualname in ('program', 'child')",
                "program",
            );
        }
    }
}

/// The program and its children see LD_PRELOAD as it was set, whether or not it names libraries.
#[test]
fn libraries_to_load_first_stay_as_they_were() {
    for python in Python::all() {
        let code = [
            "-c",
            "import os; print(os.environ.get('LD_PRELOAD')); os.system('env | grep LD_PRELOAD')",
        ];
        for value in ["", "libc.so.6", "libc.so.6:libm.so.6"] {
            let folder = tempfile::tempdir().unwrap();
            let db = folder.path().join("x.db");
            let bare = run(python.bare().args(code).env("LD_PRELOAD", value));
            let recorded = run(python.record(&db).args(code).env("LD_PRELOAD", value));
            assert_eq!(text(&bare.stdout), text(&recorded.stdout), "{}", text(&recorded.stderr));
        }
    }
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
        assert_eq!(
            text(&recording.output.stdout),
            "child\n5\n",
            "{python}: {}",
            recording.printed()
        );
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
        assert_eq!(
            text(&recording.output.stdout),
            "False\nTrue\nFalse\n",
            "{}",
            recording.printed()
        );
        recording.check("select status from runs", "complete");
        recording.check(
            "select exit from calls where qualname = 'f' order by start_seq",
            "return\nreturn",
        );
    }
}

/// Which branches need no event is known by the number of their code object. Frames that were
/// running when the recording began get such a number as late as others.
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
        assert_eq!(text(&recording.output.stdout), "out\n", "{}", recording.printed());
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
    // Every tool id but one is taken. The other tools keep getting their events.
    let code = "import sys\nm = sys.monitoring\nids = [i for i in range(6) if m.get_tool(i) is None]\n\
                print(len(ids))\nfor i in ids: m.use_tool_id(i, f'tool{i}')\nseen = []\n\
                m.register_callback(ids[0], m.events.PY_START, lambda code, at: seen.append(code.co_name))\n\
                m.set_events(ids[0], m.events.PY_START)\ndef f(): pass\nf()\nprint(seen)\nm.free_tool_id(ids[0])";
    for python in Python::all() {
        let recording = Recording::new(&python, ["-c", code]);
        assert_eq!(
            text(&recording.output.stdout),
            "5\n['f']\n",
            "{python}: {}",
            recording.printed()
        );
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
