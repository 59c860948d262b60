//! Profilers and debuggers that the program itself uses see what they see without dashcam.

use dashcam_tests::{Python, Recording, program_stderr, run, run_with_input, text};

const PROFILES: &str = "\
import sys, threading
seen = []
def profile(frame, event, arg):
    seen.append((frame.f_code.co_name, event, getattr(arg, '__name__', None)))
def f():
    len('x')
    return [max(1, 2)]
def set_it():
    sys.setprofile(profile)
def all_threads():
    threading.setprofile_all_threads(profile)
for begin in set_it, all_threads, set_it:
    begin()
    f()
    sys.setprofile(profile)
    f()
    sys.setprofile(None)
sys.setprofile(profile)
f()
sys.setprofile(None)
f()
threading.setprofile(None)
print(*seen, sep='\\n')
";

#[test]
fn a_profiler_sees_the_same_calls() {
    for python in Python::all() {
        let bare = run(python.bare().args(["-c", PROFILES]));
        for options in [
            &["--capture", "state"][..],
            &["--events", "direct"],
            &["--no-stdlib"],
            &["--include", "none"],
        ] {
            let args = options.iter().copied().chain(["-c", PROFILES]);
            let recording = Recording::new(&python, args);
            assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{python} {options:?}");
            // Recording continues afterwards, and the call that was hidden has its end.
            if !options.contains(&"--include") {
                recording.check("select count(*) from calls where qualname = 'f'", "8");
                recording.check(
                    "select count(*) from events where callable = 'sys.setprofile' and kind = 'CALL'
                     except select count(*) from events
                     where callable = 'sys.setprofile' and kind = 'C_RETURN'",
                    "",
                );
                recording.check("select count(*) from losses where severity <> 'info'", "0");
            }
        }
    }
}

const STOPS: &str = "\
import pdb
def f(x):
    y = x + 1
    breakpoint()
    z = y + 1
    return z
def g(x):
    y = x + 1
    pdb.set_trace()
    z = y + 1
    for i in range(2):
        z += f(i)
    return z
print(f(1))
print(g(1))
";

#[test]
fn a_debugger_stops_where_it_does() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("stops.py");
        std::fs::write(&script, STOPS).unwrap();
        let commands = "w\np y\nn\np y\ns\nw\nr\nc\nw\np y\nn\nn\nn\ns\nc\nc\nc\n";
        let mut bare = python.bare();
        bare.arg(&script).env("PYTHON_COLORS", "0").current_dir(folder.path());
        let bare = run_with_input(&mut bare, commands.as_bytes());
        for capture in ["flow", "calls", "state"] {
            let db = folder.path().join("x.db");
            let mut record = python.record(&db);
            record.args(["--capture", capture]).arg(&script).env("PYTHON_COLORS", "0");
            let recorded = run_with_input(record.current_dir(folder.path()), commands.as_bytes());
            assert_eq!(text(&recorded.stdout), text(&bare.stdout), "{python} {capture}");
            assert_eq!(program_stderr(&recorded), program_stderr(&bare), "{python} {capture}");
        }
    }
}

#[test]
fn a_program_runs_in_a_folder_that_was_removed() {
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("x.db");
        let go = |command: std::process::Command| {
            let gone = tempfile::tempdir().unwrap();
            // The shell removes its own working directory first.
            let mut shell = dashcam_tests::command("sh");
            shell.args(["-c", "rmdir \"$PWD\" && exec \"$@\"", "sh"]);
            shell.arg(command.get_program()).args(command.get_args());
            run(shell.args(["-c", "print('here')"]).current_dir(gone.path()))
        };
        let (bare, recorded) = (go(python.bare()), go(python.record(&db)));
        assert_eq!(text(&recorded.stdout), text(&bare.stdout), "{}", text(&recorded.stderr));
        assert_eq!(program_stderr(&recorded), program_stderr(&bare), "{python}");
        assert_eq!(text(&bare.stdout), "here\n");
        assert!(db.exists(), "{}", text(&recorded.stderr));
    }
}
