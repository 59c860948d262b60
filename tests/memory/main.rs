//! Recording never harms the program's memory: nothing outside an object is read, and where CPython
//! runs out of memory and goes on, so does a recorded program.
//!
//! `DASHCAM_MEMORY=long` runs every program, and more often.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use dashcam_tests::{
    Python, Recording, program, program_stderr, run, shell_status, tests_path, text,
};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

fn is_long() -> bool {
    std::env::var_os("DASHCAM_MEMORY").is_some_and(|how| how == "long")
}

/// Compiles `guard.c`. Returns `None` if there is no C compiler.
fn guard(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("guard.so");
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library);
    compiler.arg(tests_path("memory/guard.c")).args(["-ldl", "-lpthread"]);
    let Ok(output) = compiler.output() else {
        println!("SKIPPED: no C compiler (cc) is here, so nothing shows what is read where");
        return None;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(library)
}

/// Returns programs whose objects lie in memory in every way there is.
fn programs_to_run() -> Vec<PathBuf> {
    let mut programs = vec![program("memory/layouts.py"), program("values/hostile.py")];
    if !is_long() {
        programs.push(program("values.py"));
        return programs;
    }
    let all = std::fs::read_dir(tests_path("programs")).unwrap();
    let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
    // At the recursion limit, the smallest difference shows.
    all.retain(|path| {
        path.extension() == Some(OsStr::new("py")) && !path.ends_with("recursion_limit.py")
    });
    all.sort();
    programs.append(&mut all);
    programs
}

/// Runs programs with a guard: what lies behind objects (`side` is back) or before them (front)
/// cannot be read, nor what was freed. The guard watches one in `every` allocations at a time.
fn reads_within(side: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(guard) = guard(folder.path()) else { return };
    let rounds: &[(u32, u32)] = if is_long() { &[(1, 0), (3, 1), (3, 2)] } else { &[(3, 0)] };
    for python in Python::all() {
        for program in programs_to_run() {
            let bare = run(python.bare().arg(&program));
            for (every, phase) in rounds {
                let db = folder.path().join("dashcam.db");
                let mut record = python.record(&db);
                record.args(["--capture", "state"]).arg(&program);
                record.env("LD_PRELOAD", &guard).env("PYTHONMALLOC", "malloc");
                record.env("GUARD_EVERY", every.to_string()).env("GUARD_PHASE", phase.to_string());
                let output = run(record.env("GUARD_SIDE", side));
                let what = format!("{python}: {} ({side} {every} {phase})", program.display());
                let printed = text(&output.stderr);
                assert_eq!(shell_status(&output), shell_status(&bare), "{what}: {printed}");
                assert_eq!(text(&output.stdout), text(&bare.stdout), "{what}: {printed}");
                let recording = Recording {
                    python: python.clone(),
                    db,
                    output,
                    folder: tempfile::tempdir().unwrap(),
                };
                recording.check("select kind from losses where severity != 'info'", "");
                assert!(
                    recording.number("select event_count from runs order by run_id desc limit 1")
                        > 0
                );
                std::fs::remove_file(&recording.db).unwrap();
            }
        }
    }
}

#[test]
fn nothing_behind_an_object_is_read() {
    reads_within("back");
}

#[test]
fn nothing_before_an_object_is_read() {
    reads_within("front");
}

/// Without a working guard, the tests above would pass whatever is read.
#[test]
fn the_guard_works() {
    let folder = tempfile::tempdir().unwrap();
    let Some(guard) = guard(folder.path()) else { return };
    let python = Python::any();
    // The first that is a library, and not part of the interpreter, as it is in some builds.
    let module = python.eval(
        "next(name for name in ('_struct', '_bz2', '_lsprof') if name not in sys.builtin_module_names)",
    );
    let reads = |offset: &str| {
        let code = format!(
            "import ctypes; ctypes.CDLL(None); import {module}
objects = [object() for _ in range(100)]
print(ctypes.string_at(id(objects[50]) + {offset}, 1) is None)"
        );
        let mut command = python.bare();
        command.args(["-c", &code]).env("LD_PRELOAD", &guard).env("PYTHONMALLOC", "malloc");
        shell_status(&run(command.env("GUARD_FROM", &module)))
    };
    assert_eq!((reads("15"), reads("16")), (0, 139));
}

/// Compares what a program prints and how it ends when it runs out of memory, bare and recorded.
/// Returns the recording.
fn recovers(python: &Python, kib: u32, capture: &str) -> Recording {
    let script = program("memory/shortage.py");
    let kib = kib.to_string();
    let bare = run(python.bare().arg(&script).arg(&kib));
    let what = ["--capture", capture].map(OsStr::new).into_iter();
    let recording = Recording::new(python, what.chain([script.as_os_str(), kib.as_ref()]));
    let which = format!("{python}: {kib} KiB, {capture}: {}", recording.printed());
    assert_eq!(text(&bare.stdout), "recovered 6 times\n", "{python}: bare");
    assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{which}");
    assert_eq!(shell_status(&recording.output), 0, "{which}");
    assert_eq!(program_stderr(&recording.output), program_stderr(&bare), "{which}");
    recording
}

#[test]
fn a_program_out_of_memory_goes_on() {
    let headrooms: Vec<u32> = match is_long() {
        true => (0..24).map(|i| 1500 + 733 * i).collect(),
        false => vec![2000, 9000],
    };
    for python in Python::all() {
        if python.eval("hasattr(sys, 'gettotalrefcount')") == "True" {
            println!(
                "SKIPPED: {python} is a debug build, which has asserts that fail without memory"
            );
            continue;
        }
        for capture in ["flow", "calls", "state"] {
            for kib in &headrooms {
                let recording = recovers(&python, *kib, capture);
                // Dashcam seldom has enough memory when the program has too little.
                let ended =
                    recording.number("select count(*) from losses where kind = 'out_of_memory'");
                let (status, notices) = match ended {
                    0 => ("complete 0", 0),
                    _ => ("interrupted 0", 1),
                };
                recording.check("select status, exit_code from runs", status);
                let lines = text(&recording.output.stderr);
                let lines =
                    lines.lines().filter(|line| line.contains("ran out of memory; it goes on"));
                assert_eq!(lines.count(), notices, "{python}: {}", recording.printed());
                recording.check(
                    "select kind from losses where severity != 'info' and kind != 'out_of_memory'",
                    "",
                );
                assert!(recording.number("select event_count from runs") > 1000, "{python}");
            }
        }
    }
}

/// With too little memory for a recorder or for the shim, the program runs, and one line says why
/// it is not recorded.
#[test]
fn a_program_with_too_little_memory_to_record_runs() {
    for python in Python::all() {
        for mib in [48, 64, 96, 128, 192, 256, 384] {
            let folder = tempfile::tempdir().unwrap();
            let db = folder.path().join("dashcam.db");
            let limit = libc::rlimit { rlim_cur: mib << 20, rlim_max: mib << 20 };
            let limited = move || {
                // SAFETY: the pointer is to an rlimit of ours.
                match unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            };
            let code = "import os, sys; print(os.environ.get('PYTHONPATH'), sys.argv); sys.exit(3)";
            let mut bare = python.bare();
            let mut record = python.record(&db);
            for command in [&mut bare, &mut record] {
                command.args(["-c", code, "x"]).env("PYTHONPATH", "/nowhere");
                // SAFETY: the closure makes one system call, between fork and exec.
                unsafe { command.pre_exec(limited) };
            }
            let (bare, recorded) = (run(&mut bare), run(&mut record));
            let what = format!("{python}: {mib} MiB: {}", text(&recorded.stderr));
            assert_eq!(shell_status(&bare), 3, "{what}");
            assert_eq!(shell_status(&recorded), 3, "{what}");
            assert_eq!(text(&recorded.stdout), text(&bare.stdout), "{what}");
            assert_eq!(program_stderr(&recorded), program_stderr(&bare), "{what}");
            assert_eq!(text(&recorded.stderr).lines().count(), 1, "{what}");
            assert!(mib < 256 || text(&recorded.stderr).contains("events in"), "{what}");
        }
    }
}
