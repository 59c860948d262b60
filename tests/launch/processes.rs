//! Processes that the program starts are recorded, each as a process of the same run, and cannot
//! tell.

use dashcam_tests::{Python, Recording, command, program, run, shell_status, text};
use std::process::Command;

/// Runs one way of a program bare and recorded, in folders of the same name, and compares what it
/// printed.
fn go(python: &Python, options: &[&str], script: &str, how: &str) -> Recording {
    let script = program(script);
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let go = |mut command: Command| {
        let inner = folder.path().join("in");
        std::fs::create_dir(&inner).unwrap();
        let output = run(command.current_dir(&inner));
        std::fs::rename(&inner, folder.path().join(format!("done {}", command.get_args().count())))
            .unwrap();
        output
    };
    let mut bare = python.bare();
    bare.arg(&script).arg(how);
    let bare = go(bare);
    let mut record = python.record(&db);
    record.args(options).arg(&script).arg(how);
    let output = go(record);
    let recording = Recording { python: python.clone(), db, output, folder };
    let printed = format!("{python} {how} {options:?}: {}", recording.printed());
    assert_eq!(text(&recording.output.stdout), text(&bare.stdout), "{printed}");
    assert_eq!(shell_status(&recording.output), shell_status(&bare), "{printed}");
    recording.check("select kind, detail from losses where severity <> 'info'", "");
    recording.check("select status from runs", "complete");
    recording
}

/// The numbers of processes, their parents in the order of the processes, and their exit statuses.
fn family(recording: &Recording) -> [String; 3] {
    ["process_id", "parent_process_id", "coalesce(exit_code, -1)"].map(|column| {
        let sql =
            format!("select {column} from processes where process_id > 1 order by process_id");
        recording.text(&sql).replace('\n', " ")
    })
}

/// How a child is started, and how many processes there are besides the first.
const WAYS: &[(&str, i64)] = &[
    ("popen", 1),
    ("shell", 1),
    ("system", 1),
    ("path_object", 1),
    ("through_env", 1),
    ("script", 1),
    ("posix_spawn", 1),
    ("execs", 1),
    // The process that tracks resources, and the child that was asked for.
    ("spawn", 2),
    // These two and the server.
    ("forkserver", 3),
    ("fork", 1),
];

#[test]
fn every_way_to_start_one() {
    for (how, count) in WAYS {
        for options in [&["--capture", "flow"][..], &["--events", "verify"]] {
            for python in Python::in_turns(how) {
                let recording = go(&python, options, "launch/children.py", how);
                let printed = format!("{python} {how} {options:?}: {}", recording.printed());
                let children = "from processes where parent_process_id is not null";
                let found = recording.number(&format!("select count(*) {children}"));
                assert_eq!(found, *count, "{printed}");
                recording.check("select count(*) from processes where pid is null", "0");
                let work = if *count > 1 || *how == "fork" {
                    "select count(*) > 0 from calls where qualname = 'square' and process_id > 1"
                } else {
                    "select count(*) from c_calls where callable = 'print' and process_id > 1"
                };
                assert_eq!(recording.number(work), 1, "{printed}");
            }
        }
    }
}

#[test]
fn children_have_children() {
    for python in Python::all() {
        let recording = go(&python, &[], "launch/family.py", "nested");
        assert_eq!(family(&recording), ["2 3", "1 2", "21 20"], "{python}");
        recording.check("select arguments, result from calls where qualname = 'leaf'", "n=10 20");
        // What was running when it was forked is on its stack.
        recording.check(
            "select group_concat(qualname, ' ') from (select s.qualname from calls c, \
             stack_at(c.run_id, c.start_seq) s where c.qualname = 'leaf' order by s.depth)",
            "leaf fork grandchild fork nested <module>",
        );
        recording.check("select count(*) from calls where qualname = 'nested'", "3");
        recording
            .check("select count(*) from calls where qualname = 'nested' and process_id = 2", "1");
        // Variables that were set before the fork are known.
        recording.check(
            "select l.value from calls c, locals_at(c.run_id, c.start_seq, 1) l \
             where c.qualname = 'leaf' and l.name = 'arguments'",
            "(10,)",
        );
        // A position belongs to one process.
        recording.check(
            "select count(*) from (select seq from events group by seq having count(*) > 1)",
            "0",
        );
        recording.check(
            "select count(*) from processes c join processes p on p.process_id = c.parent_process_id \
             where c.started_ns < p.started_ns or c.ended_ns < c.started_ns",
            "0",
        );
    }
}

#[test]
fn each_end_is_known() {
    for python in Python::all() {
        let recording = go(&python, &["--capture", "calls"], "launch/family.py", "ends");
        let [_, _, statuses] = family(&recording);
        assert_eq!(statuses, "3 4 1 -1", "{python}");
        recording.check("select count(*) from calls where qualname = 'leaf'", "4");
        recording.check(
            "select type, outcome from exceptions where type = 'ZeroDivisionError'",
            "ZeroDivisionError program",
        );
    }
}

#[test]
fn whatever_surrounds_it() {
    for python in Python::in_turns("family") {
        for how in ["from_threads", "environments", "descriptors", "before_exec", "chain", "closes"]
        {
            let recording = go(&python, &["--capture", "calls"], "launch/family.py", how);
            let [_, parents, _] = family(&recording);
            let expected = match how {
                "from_threads" => "1 1 1 1 1",
                "environments" => "1 1 1 1",
                // A process that executes another program is that program's parent.
                "before_exec" | "chain" => "1 2",
                _ => "1 1",
            };
            assert_eq!(parents, expected, "{python} {how}");
        }
    }
}

#[test]
fn pools_of_workers() {
    for python in Python::in_turns("pools") {
        let recording = go(&python, &[], "launch/family.py", "pools");
        recording.check(
            "select count(*), count(distinct arguments) from calls where qualname = 'leaf'",
            "60 20",
        );
        recording
            .check("select count(*) from calls where qualname = 'leaf' and process_id = 1", "0");
        let recording = go(&python, &[], "launch/family.py", "executor");
        recording.check("select count(*) from calls where qualname = 'leaf'", "10");
    }
}

/// None is lost, and nothing of them stays behind.
#[test]
fn many_of_them() {
    let python = Python::any();
    let recording = go(&python, &[], "launch/family.py", "many");
    recording.check(
        "select count(*), count(distinct pid), min(ended_ns) > 0 from processes",
        "101 101 1",
    );
    recording.check("select count(*) from calls where qualname = 'leaf'", "100");
    recording.check("select sum(exit_code) from processes", "9900");
}

/// The recording ends with the program, and a process that goes on is not disturbed.
#[test]
fn one_that_outlives_the_program() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let mut record = python.record(&db);
    record.arg(program("launch/family.py")).arg("orphan").current_dir(folder.path());
    let output = run(&mut record);
    let recording = Recording { python, db, output, folder };
    assert_eq!(shell_status(&recording.output), 0, "{}", recording.printed());
    recording.check(
        "select kind, process_id, count from losses where severity <> 'info'",
        "outlived 3 1",
    );
    recording
        .check("select coalesce(exit_code, -1) from processes order by process_id", "0\n0\n-1");
    recording.check("select count(*) from calls where qualname = 'leaf'", "1");
    let mut go_on = command("sh");
    go_on.args(["-c", "echo > go; cat done"]).current_dir(recording.folder.path());
    assert_eq!(text(&run(&mut go_on).stdout), "200000 leaves");
}

/// What cannot be recorded is counted, with its command and the reason.
#[test]
fn one_that_cannot_be_recorded() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let code = "import subprocess, sys\n\
                taken = 'import sys\\nfor i in range(6):\\n  try: sys.monitoring.use_tool_id(i, f\"t{i}\")\\n  except ValueError: pass\\n'\n\
                open('usercustomize.py', 'w').write(taken)\n\
                subprocess.run([sys.executable, '-c', 'print(1)'], env={'PYTHONPATH': '.', 'PYTHONUSERBASE': '.'})\n\
                open('sitecustomize.py', 'w').write(taken)\n\
                subprocess.run([sys.executable, '-c', 'print(2)'], env={'PYTHONPATH': '.'})";
    let mut record = python.record(&db);
    record.args(["-c", code]).current_dir(folder.path());
    let output = run(&mut record);
    let recording = Recording { python, db, output, folder };
    assert_eq!(text(&recording.output.stdout), "1\n2\n", "{}", recording.printed());
    let detail = recording.text("select detail from losses where kind = 'child_not_recorded'");
    assert!(detail.contains("all six sys.monitoring tool ids are in use"), "{detail}");
}

/// With `kill -9` of the recorder, no process of the program is harmed.
#[test]
fn a_recorder_that_dies() {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let code = "import os, signal\n\
                def child(n):\n  pid = os.fork()\n  if pid == 0:\n    sum(range(n)); os._exit(n)\n\
                \x20 return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n\
                print(child(1))\nos.kill(os.getppid(), signal.SIGKILL)\nprint(child(2), child(3))";
    let mut record = python.record(&db);
    record.args(["-c", code]).current_dir(folder.path());
    let output = run(&mut record);
    assert_eq!(text(&output.stdout), "1\n2 3\n", "{}", text(&output.stderr));
}
