//! Runs with several processes: movements stay in a process, and commands lead to others.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_replayer::debugger::{Debugger, json, text};
use dashcam_replayer::diff::{self, Change, Options};
use dashcam_schema::event::EventKind as K;
use std::rc::Rc;
use support::{Ev, Maker, Process, ev};

const SLOT: i64 = dashcam_schema::chunk::SEQ_PER_PROCESS as i64;

/// A module that runs lines 2 and 3, each as often as this, and calls `f` in between.
fn program(rounds: usize) -> Vec<Ev> {
    let mut events = vec![ev(K::PY_START, 0, 0)];
    for _ in 0..rounds {
        events.push(ev(K::LINE, 0, 2));
        events.extend([ev(K::PY_START, 1, 0), ev(K::LINE, 1, 12), ev(K::PY_RETURN, 1, 1)]);
        events.push(ev(K::LINE, 0, 3));
    }
    events.push(ev(K::PY_RETURN, 0, 2));
    events
}

fn codes(maker: &mut Maker, process: &Process) {
    maker.thread(process, 0, Some("MainThread"));
    maker.code(process, 0, "/x/app.py", "<module>", &[1, 2, 3]);
    maker.code(process, 1, "/x/app.py", "f", &[11, 12]);
}

/// A run whose first process starts others: command lines, and how many rounds each does.
fn run(maker: &mut Maker, children: &[(&str, i64, usize)]) {
    let run = maker.run();
    let first = (0, 100, "[\"app.py\"]");
    let mut parent = maker.started(run, None, first, 0);
    codes(maker, &parent);
    let mut all = Vec::new();
    for (slot, (command, pid, rounds)) in (1..).zip(children) {
        let child = maker.started(run, Some(&parent), (slot, *pid, *command), 1000 * slot);
        codes(maker, &child);
        all.push((child, *rounds));
    }
    maker.chunks(&mut parent, &program(20), 7);
    for (mut child, rounds) in all {
        maker.chunks(&mut child, &program(rounds), 7);
    }
}

fn debugger(children: &[(&str, i64, usize)]) -> (tempfile::TempDir, Debugger) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    run(&mut maker, children);
    let recording = Rc::new(Recording::open(&maker.finish()).unwrap());
    (dir, Debugger::new(recording, 1).unwrap())
}

fn say(debugger: &mut Debugger, line: &str) -> String {
    match debugger.say(line) {
        Ok(reply) => text::text(&reply.unwrap()),
        Err(failure) => format!("*** {failure}"),
    }
}

const WORKER: &str = "[\"python\",\"-c\",\"a\\nb\"]";

#[test]
fn movements_stay_in_the_process() {
    let (_dir, mut debugger) = debugger(&[(WORKER, 102, 3), (WORKER, 101, 30)]);
    let position = |debugger: &Debugger| debugger.position().seq();
    assert!(say(&mut debugger, "goto end").ends_with("[102]\n"));
    for forwards in ["step", "next", "stepi", "continue"] {
        let reply = say(&mut debugger, forwards);
        assert!(reply.starts_with("nothing comes after this\n"), "{reply}");
        assert_eq!(position(&debugger), 102, "{forwards}");
    }
    let reply = say(&mut debugger, "process 2");
    assert!(reply.starts_with("process 2: python -c 'a\\nb'\n> app.py"), "{reply}");
    // It says so once.
    let reply = say(&mut debugger, "goto start");
    assert_eq!(
        (reply.lines().next(), position(&debugger)),
        (Some("> app.py:1 <module> called with (…)  [1000000000001]"), SLOT + 1)
    );
    for backwards in ["back-step", "back-next", "back-continue"] {
        let reply = say(&mut debugger, backwards);
        assert!(reply.starts_with("nothing comes before this\n"), "{reply}");
        assert_eq!(position(&debugger), SLOT + 1, "{backwards}");
    }
    say(&mut debugger, "goto end");
    assert_eq!(position(&debugger), SLOT + 17);
    say(&mut debugger, "goto 50%");
    assert_eq!(position(&debugger), SLOT + 9);
    assert!((debugger.timeline().fraction(debugger.position()) - 0.5).abs() < 0.04);
    say(&mut debugger, "goto 0ns");
    assert_eq!(position(&debugger), SLOT + 1);
    assert_eq!(say(&mut debugger, "goto 1s"), "*** process 2 ends after 0.00000108 s\n".trim_end());
    let reply = say(&mut debugger, "goto 500");
    assert_eq!(reply, "*** no event 500: process 1 has events 1 to 102");
    // The third time in this process, and the thirtieth in the only one where it runs so often.
    say(&mut debugger, "goto app.py:2 3");
    assert_eq!(position(&debugger), SLOT + 12);
    say(&mut debugger, "goto app.py:2 30");
    assert_eq!(position(&debugger), 2 * SLOT + 2 + 29 * 5);
    let reply = say(&mut debugger, "goto app.py:2 31");
    assert_eq!(reply, "*** app.py:2 did not run 31 times in any process");
}

#[test]
fn breakpoints_are_reached_in_the_process() {
    let (_dir, mut debugger) = debugger(&[(WORKER, 102, 3)]);
    say(&mut debugger, "break app.py:12");
    say(&mut debugger, "goto end");
    let reply = say(&mut debugger, "continue");
    assert!(
        reply.starts_with(
            "! process 2 reaches breakpoint 1: process 2, then continue\nnothing comes after this\n"
        ),
        "{reply}"
    );
    say(&mut debugger, "process 2");
    let reply = say(&mut debugger, "back-continue");
    assert!(reply.starts_with("nothing comes before this"), "{reply}");
    assert!(say(&mut debugger, "continue").starts_with("breakpoint 1\n"));
    assert_eq!(debugger.position().seq(), SLOT + 4);
}

#[test]
fn processes_and_threads_are_listed() {
    let (_dir, mut debugger) = debugger(&[(WORKER, 102, 3), ("[\"x y\"]", 101, 2000)]);
    assert_eq!(
        say(&mut debugger, "processes"),
        "> 1 pid 100, exit 0, 102 events: app.py\n\
         \x20 2 pid 102 of process 1, exit 0, 17 events: python -c 'a\\nb'\n\
         \x20 3 pid 101 of process 1, exit 0, 10002 events: 'x y'\n"
    );
    assert_eq!(
        say(&mut debugger, "threads"),
        "> 1 process 1 MainThread app.py:1 <module>  [1]\n\
         \x20 2 process 2 MainThread not begun\n\
         \x20 3 process 3 MainThread not begun\n"
    );
    // The second process has ended before the third begins.
    say(&mut debugger, "process 3");
    assert_eq!(debugger.position().seq(), 2 * SLOT + 1);
    let reply = say(&mut debugger, "process 2");
    assert!(reply.ends_with("[1000000000017]\n"), "{reply}");
    // At the same time as the event where it is, the first process is at its last event before.
    say(&mut debugger, "goto start");
    let reply = say(&mut debugger, "thread 1");
    assert!(reply.starts_with("process 1: app.py\n") && reply.ends_with("[102]\n"), "{reply}");
    assert_eq!(say(&mut debugger, "process 4"), "*** no process 4; processes lists them");
    let reply = debugger.say("processes").unwrap().unwrap();
    let reply = json::json("processes", 1, &reply);
    let first = &reply["processes"][1];
    assert_eq!((first["parent"].as_i64(), first["events"].as_u64()), (Some(1), Some(17)));
    assert_eq!((first["exit_code"].as_i64(), first["current"].as_bool()), (Some(0), Some(false)));
}

#[test]
fn a_run_with_one_process_says_nothing_about_it() {
    let (_dir, mut debugger) = debugger(&[]);
    assert!(say(&mut debugger, "info").starts_with("> app.py:1"));
    assert_eq!(say(&mut debugger, "threads"), "> 1 MainThread app.py:1 <module>  [1]\n");
    assert!(say(&mut debugger, "goto 1s").starts_with("*** run 1 ends after"));
    assert_eq!(say(&mut debugger, "process"), "> 1 pid 100, exit 0, 102 events: app.py\n");
}

/// The crash of the process, of the first, and of another if the run failed.
#[test]
fn the_crash_is_that_of_the_process() {
    let crashes = |exit: i64| {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path());
        let run = maker.run();
        let mut parent = maker.started(run, None, (0, 100, "[\"app.py\"]"), 0);
        codes(&mut maker, &parent);
        let mut child = maker.started(run, Some(&parent), (1, 101, "[\"w.py\"]"), 50);
        codes(&mut maker, &child);
        maker.exception_type(&child, 1, "ValueError");
        maker.exception(&mut child, 1, 1, "no");
        maker.chunk(&mut parent, &program(2));
        let raise = |kind| ev(kind, 0, 1).exception(1);
        maker.chunk(&mut child, &[ev(K::PY_START, 0, 0), raise(K::RAISE), raise(K::PY_UNWIND)]);
        let kind = "UPDATE code_objects SET kind = 'module' WHERE qualname = '<module>'";
        maker.db.execute(kind, []).unwrap();
        let ends = "UPDATE processes SET exit_code = iif(process_id = 2, 1, ?)";
        maker.db.execute(ends, [exit]).unwrap();
        let recording = Rc::new(Recording::open(&maker.finish()).unwrap());
        let mut debugger = Debugger::new(recording, 1).unwrap();
        let first = say(&mut debugger, "goto crash");
        say(&mut debugger, "process 2");
        say(&mut debugger, "goto start");
        (first, say(&mut debugger, "goto crash"))
    };
    let (from_first, from_second) = crashes(0);
    assert!(
        from_first.ends_with("; one ended process 2: process 2, then goto crash"),
        "{from_first}"
    );
    assert!(from_second.contains("raises ValueError"), "{from_second}");
    let (from_first, _) = crashes(1);
    assert!(from_first.starts_with("process 2: w.py\n> app.py:2"), "{from_first}");
}

#[test]
fn a_diff_pairs_processes_by_their_place_in_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    // They joined in another order, and one has a descriptor with another number.
    run(&mut maker, &[("[\"a\",\"fd=5\"]", 101, 2), ("[\"b\"]", 102, 5), ("[\"c\"]", 103, 1)]);
    run(&mut maker, &[("[\"b\"]", 202, 6), ("[\"a\",\"fd=7\"]", 201, 2)]);
    let recording = Recording::open(&maker.finish()).unwrap();
    let of = |run_id| diff::Run { store: recording.store(), run_id };
    let report = diff::compare(of(1), of(2), &Options::default(), &|_, _| Ok(())).unwrap();
    let found: Vec<_> = report.differences.iter().map(|found| found.processes).collect();
    assert_eq!(found, [[Some(3), Some(6)], [Some(4), None]], "{:?}", report.differences);
    assert!(matches!(&report.differences[0].change, Change::Path { .. }));
    assert!(matches!(&report.differences[1].change, Change::Process { command } if command == "c"));
    let same = diff::compare(of(1), of(1), &Options::default(), &|_, _| Ok(())).unwrap();
    assert!(same.differences.is_empty());
}

/// A process can have another capture level than its run.
#[test]
fn variables_are_those_of_processes_with_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    run(&mut maker, &[(WORKER, 101, 2)]);
    maker.cover(1 << 40);
    maker
        .db
        .execute_batch("UPDATE processes SET own_capture = 'state' WHERE process_id = 2")
        .unwrap();
    let recording = Rc::new(Recording::open(&maker.finish()).unwrap());
    let mut debugger = Debugger::new(recording, 1).unwrap();
    let refused = "*** process 1 has no variables: they are recorded with --capture state";
    assert_eq!(say(&mut debugger, "locals"), refused);
    say(&mut debugger, "process 2");
    assert_eq!(say(&mut debugger, "locals"), "no variables are known here\n");
}
