//! Events happen while the interpreter is finalised, and nothing of dashcam ends the process.
#![allow(clippy::print_stdout)]

use dashcam_tests::{Python, Recording, program, program_stderr, run, shell_status, text};
use std::process::Command;

const STAGES: &[&str] = &[
    "atexit",
    "thread_exit",
    "module",
    "sys",
    "builtins",
    "cycle",
    "last_collection",
    "thread_state",
    "daemon_thread",
    "generator",
    "failing_program",
];
const ACTIONS: &[&str] =
    &["plain", "defines", "raises", "calls", "generates", "imports", "renames", "forks"];

/// Runs every stage with each of `actions`, bare and recorded at one level of capture.
fn at_every_stage(actions: &[&str], capture: &str, options: &[&str]) {
    let script = program("crash/finalizing.py");
    for python in Python::all() {
        for stage in STAGES {
            for action in actions {
                let at = format!("{python}, {stage}, {action}, {capture}");
                let mut bare = python.bare();
                // A warning contains the process id.
                bare.args(["-W", "ignore"]).arg(&script).args([stage, action]);
                let bare = run(&mut bare);
                let mut args = vec!["--capture".as_ref(), capture.as_ref()];
                args.extend(options.iter().map(|option| std::ffi::OsStr::new(*option)));
                args.extend(["--", "-W", "ignore"].map(std::ffi::OsStr::new));
                args.push(script.as_os_str());
                args.extend([stage, action].map(|word| std::ffi::OsStr::new(*word)));
                let recording = Recording::new(&python, args);
                let output = &recording.output;
                assert_eq!(
                    shell_status(output),
                    shell_status(&bare),
                    "{at}: {}",
                    recording.printed()
                );
                assert_eq!(
                    text(&output.stdout),
                    text(&bare.stdout),
                    "{at}: {}",
                    recording.printed()
                );
                assert_eq!(program_stderr(output), program_stderr(&bare), "{at}");
                recording.check("select status from runs", "complete");
                let did = text(&bare.stdout).lines().any(|line| line == *action);
                let calls = format!("select count(*) > 0 from calls where qualname = '{action}'");
                assert!(!did || recording.number(&calls) == 1, "{at}: not recorded");
            }
        }
    }
}

#[test]
fn events_to_the_very_end() {
    at_every_stage(&["plain", "defines"], "flow", &[]);
}

#[test]
fn values_to_the_very_end() {
    at_every_stage(ACTIONS, "state", &[]);
}

#[test]
fn every_event_by_callback_to_the_very_end() {
    at_every_stage(&["defines", "raises"], "calls", &["--events", "direct"]);
}

/// A program that initialises and finalises its own Python, twice.
const EMBEDDING: &str = r#"
#include <Python.h>
#include <stdio.h>

int main(int argc, char **argv) {
    for (int round = 0; round < 2; round++) {
        PyConfig config;
        PyConfig_InitPythonConfig(&config);
        PyConfig_SetBytesString(&config, &config.executable, argv[1]);
        PyConfig_SetBytesString(&config, &config.program_name, argv[1]);
        if (PyStatus_Exception(Py_InitializeFromConfig(&config))) return 10;
        PyConfig_Clear(&config);
        PyRun_SimpleString(
            "import sys\n"
            "try:\n"
            "    import dashcam\n"
            "    dashcam.start('x.db')\n"
            "except ImportError as error:\n"
            "    print('once')\n"
            "sys.argv = ['x', 'last_collection', 'defines']\n"
            "import os\n"
            "exec(compile(open(os.environ['LATE']).read(), 'late.py', 'exec'))\n");
        if (argc > 2) PyRun_SimpleString("dashcam.stop()");
        printf("%d\n", Py_FinalizeEx());
        fflush(stdout);
    }
    return 3;
}
"#;

#[test]
fn a_program_that_takes_its_python_down() {
    for python in Python::all() {
        let get =
            |name: &str| python.eval(&format!("__import__('sysconfig').get_config_var('{name}')"));
        let (include, lib) = (get("INCLUDEPY"), get("LIBDIR"));
        let name = format!("python{}.{}", python.version.0, python.version.1);
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("embeds.c");
        std::fs::write(&source, EMBEDDING).unwrap();
        let built = Command::new("cc")
            .arg(&source)
            .arg("-o")
            .arg(folder.path().join("embeds"))
            .args([format!("-I{include}"), format!("-L{lib}"), format!("-l{name}")])
            .arg(format!("-Wl,-rpath,{lib}"))
            .output();
        if !built.is_ok_and(|built| built.status.success()) {
            println!("SKIPPED: {python} cannot be embedded here: no library or no headers");
            continue;
        }
        for stops in [false, true] {
            let mut command = dashcam_tests::command(folder.path().join("embeds"));
            command.arg(python.executable()).args(stops.then_some("stop"));
            command.env("LATE", program("crash/finalizing.py")).current_dir(folder.path());
            let output = run(&mut command);
            let printed = format!("{python}: {}{}", text(&output.stdout), text(&output.stderr));
            assert_eq!(shell_status(&output), 3, "{printed}");
            assert_eq!(text(&output.stdout).matches("0\n").count(), 2, "{printed}");
            assert!(folder.path().join("x.db").exists(), "{printed}");
        }
    }
}
