//! Call trees when calls do not simply nest: threads, tasks, generators left open.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use dashcam_tests::{Python, Recording, command, program, run, tests_path, text};
use std::path::PathBuf;

fn recorded(name: &str) -> impl Iterator<Item = Recording> {
    let script = program(&format!("threads_tasks/{name}"));
    Python::all().into_iter().map(move |python| {
        let recording = Recording::new(&python, [&script]);
        assert!(recording.output.status.success(), "{}", recording.printed());
        recording.check("select kind, count from losses where severity <> 'info'", "");
        recording
    })
}

/// Asserts that a call's parent is a call of the same thread that began before it. Where both are
/// plain functions, it also ends after it. (A coroutine may end under another call.)
fn nested(recording: &Recording) {
    recording.check(
        "select count(*) from calls c left join calls p on p.call_id = c.parent_call_id
         where c.parent_call_id is not null
           and (p.call_id is null or p.start_seq >= c.start_seq or p.thread_id <> c.thread_id)",
        "0",
    );
    recording.check(
        "with plain as (select calls.* from calls join code_objects using (code_id)
                        where kind in ('function', 'lambda'))
         select count(*) from plain c join plain p on p.call_id = c.parent_call_id
         where c.end_seq > p.end_seq or c.depth <> p.depth + 1",
        "0",
    );
}

#[test]
fn two_threads() {
    for recording in recorded("two_threads.py") {
        nested(&recording);
        recording.check(
            "select t.name, c.qualname, count(*), max(c.depth) - min(c.depth), min(c.exit), max(c.exit)
             from calls c join threads t using (thread_id) where c.qualname in ('down', 'job')
             group by 1, 2 order by 1, 2",
            "one down 606 5 return return
             one job  101 0 return return
             two down 606 5 return return
             two job  101 0 return return",
        );
    }
}

#[test]
fn ten_thousand_tasks() {
    for recording in recorded("many_tasks.py") {
        nested(&recording);
        recording.check(
            "select qualname, count(*), count(distinct call_id), min(exit), max(exit) from calls
             where qualname in ('child', 'grandchild', 'main') group by 1 order by 1",
            "child 10000 10000 return return
             grandchild 10000 10000 return return
             main 1 1 return return",
        );
        // Each grandchild was called by a different child.
        recording.check(
            "select count(distinct g.parent_call_id) from calls g
             join calls c on c.call_id = g.parent_call_id
             where g.qualname = 'grandchild' and c.qualname = 'child'",
            "10000",
        );
    }
}

#[test]
fn generators_left_open() {
    for recording in recorded("open_generators.py") {
        assert_eq!(text(&recording.output.stdout), "1000 1000000\n");
        nested(&recording);
        recording.check(
            "select qualname, exit, count(*) from calls where qualname in ('count', 'main') group by 1, 2 order by 1, 2",
            "count open 1000
             main return 1",
        );
        recording.check(
            "select p.qualname, count(*) from calls c join calls p on p.call_id = c.parent_call_id
             where c.qualname = 'count' group by 1",
            "main 1000",
        );
    }
}

/// Returns the folder of an installed library, for one Python. Prints a line and returns `None` if
/// it cannot be installed.
fn library(python: &Python, requirement: &str) -> Option<PathBuf> {
    let (major, minor) = python.version;
    let folder = tests_path("../target/tmp").join(format!("{requirement}-{major}.{minor}"));
    if !folder.exists() {
        let mut pip = command(tests_path("../.venv/build/bin/python"));
        pip.args(["-m", "pip", "--quiet", "--python"]).arg(python.executable());
        let output = run(pip.args(["install", "--target"]).arg(&folder).arg(requirement));
        if !output.status.success() {
            println!("SKIPPED: {requirement} for {python}: {}", text(&output.stderr));
            return None;
        }
    }
    Some(folder)
}

#[test]
fn greenlets() {
    for python in Python::all() {
        let Some(folder) = library(&python, "greenlet==3.2.4") else { continue };
        let script = program("threads_tasks/greenlets.py");
        let recording = Recording::new(&python, [script.as_os_str(), folder.as_os_str()]);
        assert!(recording.output.status.success(), "{}", recording.printed());
        recording.check("select kind, count from losses where severity <> 'info'", "");
        nested(&recording);
        // The greenlets of a thread are distinguished, and each has the values it was given.
        recording.check(
            "select arguments, result, exit, depth, count(*) from calls
             where qualname = 'worker' group by 1 order by start_seq",
            "start=0 30 return 0 2
             start=100 160 return 0 2
             start=200 290 return 0 2
             start=300 420 return 0 2",
        );
        recording.check(
            "select t.name like '%other', i.arguments, i.result, count(distinct w.thread_id)
             from calls i join calls w on w.call_id = i.parent_call_id join threads t
             on t.thread_id = i.thread_id where i.qualname = 'inner' and w.qualname = 'worker'
             group by 1, 2, 3 order by 1, 2, 3",
            "0 n=0 10 1
             0 n=0 20 1
             0 n=0 30 1
             0 n=0 40 1
             0 n=1 10 1
             0 n=1 20 1
             0 n=1 30 1
             0 n=1 40 1
             0 n=2 10 1
             0 n=2 20 1
             0 n=2 30 1
             0 n=2 40 1
             1 n=0 10 1
             1 n=0 20 1
             1 n=0 30 1
             1 n=0 40 1
             1 n=1 10 1
             1 n=1 20 1
             1 n=1 30 1
             1 n=1 40 1
             1 n=2 10 1
             1 n=2 20 1
             1 n=2 30 1
             1 n=2 40 1",
        );
        recording.check(
            "select qualname, result, exit from calls where qualname in ('ping', 'pong')",
            "ping 'ping is done' return
             pong ([0, 1, 2], 'thrown') return",
        );
        recording.check(
            "select count(*), sum(result) from calls where qualname like 'many.%<lambda>'",
            "50 1275",
        );
        recording.check(
            "select count(*) from variables v join calls c on c.call_id = v.call_id
             where c.qualname = 'worker' and v.name = 'total' and v.value = '160'",
            "2",
        );
    }
}
