//! The rows of the virtual tables for small programs.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_schema::event::EventKind as K;
use support::{Ev, Maker, Process, check, ev, rows};

const MAIN: u32 = 0;
const F: u32 = 1;

/// Two code objects and two threads, only one of which has a name.
fn program(maker: &mut Maker) -> Process {
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, Some("MainThread"));
    maker.thread(&process, 1, None);
    maker.code(&process, MAIN, "app.py", "<module>", &[1, 1, 2, 0, 3, 4, 5, 6]);
    maker.code(&process, F, "lib.py", "C.f", &[10, 11, 0, 12, 13]);
    maker.callable(&process, 7, "len");
    maker.exception_type(&process, 3, "ValueError");
    maker.exception(&mut process, 40, 3, "no");
    process
}

fn recording(chunk: usize, events: &[Ev]) -> (tempfile::TempDir, Recording) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let mut process = program(&mut maker);
    maker.chunks(&mut process, events, chunk);
    let path = maker.finish();
    (dir, Recording::open(&path).unwrap())
}

#[test]
fn every_column_of_events() {
    let events = [
        ev(K::PY_START, MAIN, 0).after(100),
        ev(K::LINE, MAIN, 2),
        ev(K::INSTRUCTION, MAIN, 2),
        ev(K::INSTRUCTION, MAIN, 3),
        ev(K::CALL, MAIN, 4).calls(7).after(5),
        ev(K::C_RETURN, MAIN, 4).calls(7).after(6),
        ev(K::BRANCH, MAIN, 5).target(7),
        ev(K::PY_START, F, 0).thread(1).after(1),
        ev(K::RAISE, F, 1).thread(1).exception(40),
        ev(K::PY_UNWIND, F, 2).thread(1).exception(40).after(0),
        ev(K::from_number(20).unwrap(), MAIN, 1).target(0),
    ];
    for chunk in [1, 2, 5, 100] {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path());
        let mut process = program(&mut maker);
        let sql = "INSERT INTO event_kinds (process_id, number, name) VALUES (?, 20, 'WARP')";
        maker.db.execute(sql, [process.id]).unwrap();
        maker.chunks(&mut process, &events, chunk);
        let recording = Recording::open(&maker.finish()).unwrap();
        check(
            recording.connection(),
            "SELECT * FROM events",
            "
            1  1 1 1 100 PY_START    1 0 1 - - -   -          - 100
            1  2 1 1 100 LINE        1 - 2 - - -   -          - 100
            1  3 1 1 100 INSTRUCTION 1 4 2 - - -   -          - 100
            1  4 1 1 100 INSTRUCTION 1 6 - - - -   -          - 100
            1  5 1 1 105 CALL        1 8 3 - - len -          - 105
            1  6 1 1 111 C_RETURN    1 8 3 - - len -          - 111
            1  7 1 1 111 BRANCH      1 10 4 14 6 - -          - 111
            1  8 1 2 112 PY_START    2 0 10 - - -  -          - 112
            1  9 1 2 112 RAISE       2 2 11 - - -  ValueError - 112
            1 10 1 2 112 PY_UNWIND   2 4 -  - - -  ValueError - 112
            1 11 1 1 112 WARP        1 2 1  - - -  -          - 112",
        );
    }
}

#[test]
fn backwards_and_first_rows() {
    let events: Vec<Ev> = (0..1000).map(|i| ev(K::LINE, MAIN, 1 + i % 6)).collect();
    let (_dir, recording) = recording(64, &events);
    let db = recording.connection();
    check(db, "SELECT seq, line FROM events ORDER BY seq DESC LIMIT 2", "1000 4\n999 3");
    assert_eq!(recording.store().chunks_decoded(), 1);
    check(db, "SELECT seq FROM events WHERE line = 6 ORDER BY seq LIMIT 2", "6\n12");
    check(
        db,
        "SELECT seq FROM events WHERE line = 6 ORDER BY run_id DESC, seq DESC LIMIT 1",
        "996",
    );
    let plan = rows(db, "EXPLAIN QUERY PLAN SELECT * FROM events ORDER BY seq");
    assert!(!plan.join("").contains("TEMP B-TREE"), "{plan:?}");
}

#[test]
fn chunks_that_cannot_match_are_not_read() {
    let mut events: Vec<Ev> = (0..100).map(|_| ev(K::LINE, MAIN, 2)).collect();
    events[55] = ev(K::PY_START, F, 0).thread(1);
    let (_dir, recording) = recording(10, &events);
    let (db, store) = (recording.connection(), recording.store());
    for (sql, expected, chunks) in [
        ("SELECT count(*) FROM events", 100, 0),
        ("SELECT count(*) FROM events WHERE run_id = 1 AND process_id = 1", 100, 0),
        ("SELECT count(*) FROM events WHERE seq BETWEEN 5 AND 30", 26, 0),
        ("SELECT count(*) FROM events WHERE seq = 1e300", 0, 0),
        ("SELECT count(*) FROM events WHERE kind = 'PY_START' AND seq > 0", 1, 1),
        ("SELECT count(*) FROM events WHERE kind = 'BRANCH'", 0, 0),
        ("SELECT count(*) FROM events WHERE line = 77", 0, 0),
        ("SELECT count(*) FROM events WHERE thread_id = 2", 1, 0),
        ("SELECT count(*) FROM events WHERE code_id = 2 AND seq IN (56, 57, 99)", 1, 0),
        (
            "SELECT count(*) FROM events JOIN code_objects USING (code_id)
          WHERE qualname = 'C.f'",
            1,
            0,
        ),
        ("SELECT count(*) FROM calls WHERE qualname = 'C.f'", 1, 1),
        ("SELECT count(*) FROM calls WHERE qualname LIKE 'c.%'", 1, 1),
        ("SELECT count(*) FROM exceptions", 0, 0),
        ("SELECT sum(line) FROM events WHERE seq <= 20", 40, 2),
    ] {
        let before = store.chunks_decoded();
        assert_eq!(rows(db, sql), [expected.to_string()], "{sql}");
        let decoded = store.chunks_decoded() - before;
        assert!(decoded <= chunks, "{sql}: {decoded} chunks decoded, {chunks} expected");
    }
}

/// A generator is one call, wherever its parts are.
#[test]
fn a_generator_is_one_call() {
    let events = [
        ev(K::PY_START, MAIN, 0),          // 1 at 10
        ev(K::LINE, MAIN, 5),              // 2
        ev(K::PY_START, F, 0),             // 3 at 20
        ev(K::PY_YIELD, F, 1),             // 4 at 30
        ev(K::LINE, MAIN, 6),              // 5
        ev(K::PY_RESUME, F, 1).resumes(2), // 6 at 40
        ev(K::PY_RETURN, F, 4),            // 7 at 50
        ev(K::PY_START, F, 0),             // 8 at 60
        ev(K::PY_YIELD, F, 1),             // 9 at 70: never resumed
        ev(K::LINE, MAIN, 1),              // 10
    ];
    for chunk in 1..=11 {
        let (_dir, recording) = recording(chunk, &events);
        let sql = "SELECT call_id, parent_call_id, depth, qualname, path, call_line, end_seq,
                   start_ns, end_ns, duration_ns, self_ns, exit, exception FROM calls ORDER BY 1";
        check(
            recording.connection(),
            sql,
            "
            1 - 0 <module> app.py - - 10 - - 30 open -
            3 1 1 C.f lib.py 5 7 20 50 30 20 return -
            8 1 1 C.f lib.py 6 - 60 - - 10 open -",
        );
        // The same rows come back for any filter.
        let filtered = "SELECT call_id FROM calls WHERE ";
        for (filter, expected) in [
            ("qualname = 'C.f' ORDER BY 1", "3\n8"),
            ("call_id = 3", "3"),
            ("start_seq > 1 AND start_seq < 8", "3"),
            ("end_seq = 7", "3"),
            ("end_ns < 60 AND exit = 'return'", "3"),
            ("exit = 'open' ORDER BY 1", "1\n8"),
            ("parent_call_id = 1 ORDER BY 1", "3\n8"),
            ("path = 'app.py'", "1"),
            ("code_id IN (1, 99)", "1"),
            ("parent_call_id IS NULL", "1"),
            ("end_seq IS NULL ORDER BY 1", "1\n8"),
            ("depth = 0", "1"),
        ] {
            check(recording.connection(), &format!("{filtered}{filter}"), expected);
        }
    }
}

#[test]
fn exceptions_and_their_fates() {
    let mut events = vec![
        ev(K::PY_START, MAIN, 0),
        ev(K::PY_START, F, 0),
        ev(K::RAISE, F, 1).exception(40), // 3
        ev(K::PY_UNWIND, F, 1).exception(40),
        ev(K::RAISE, MAIN, 2).exception(40),
        ev(K::EXCEPTION_HANDLED, MAIN, 4).exception(40), // 6
        ev(K::RERAISE, MAIN, 5).exception(40),
        ev(K::EXCEPTION_HANDLED, MAIN, 6).exception(40), // 8
        ev(K::PY_START, F, 0).thread(1),                 // 9
        ev(K::RAISE, F, 3).exception(41).thread(1),      // 10
        ev(K::PY_UNWIND, F, 3).exception(41).thread(1),
    ];
    events.extend([ev(K::LINE, MAIN, 1); 6]);
    events.extend([
        ev(K::PY_RETURN, MAIN, 7),
        ev(K::PY_START, F, 0),
        ev(K::RAISE, F, 1).exception(40),
    ]);
    for chunk in 1..=20 {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path());
        let mut process = program(&mut maker);
        maker.exception_type(&process, 4, "app.Odd");
        maker.exception(&mut process, 41, 4, "");
        maker.chunks(&mut process, &events, chunk);
        let recording = Recording::open(&maker.finish()).unwrap();
        let db = recording.connection();
        let sql = "SELECT seq, thread_id, call_id, type, message, code_id, path, line, handled_seq,
                   handled_line FROM exceptions ORDER BY seq";
        check(
            db,
            sql,
            "
            3  1 2  ValueError no 2 lib.py 11 8 5
            10 2 9  app.Odd    2 lib.py 12 - -
            20 1 19 ValueError no 2 lib.py 11 - -",
        );
        check(
            db,
            "SELECT call_id, exit, exception FROM calls ORDER BY 1",
            "
            1 return -
            2 unwind ValueError
            9 unwind app.Odd
            19 open -",
        );
        check(db, "SELECT seq FROM exceptions WHERE type = 'app.Odd'", "10");
        check(db, "SELECT seq FROM exceptions WHERE seq > 3 AND call_id = 19", "20");
        check(db, "SELECT seq FROM events WHERE exception = 'app.Odd'", "10\n11");
    }
}

#[test]
fn processes_of_a_run_interleave() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let mut one = program(&mut maker);
    let mut two = maker.process(one.run);
    maker.thread(&two, 0, Some("Child"));
    maker.code(&two, MAIN, "child.py", "child", &[1, 2]);
    maker.chunk(&mut one, &[ev(K::PY_START, MAIN, 0), ev(K::LINE, MAIN, 2)]);
    maker.chunk(&mut two, &[ev(K::PY_START, MAIN, 0).after(3), ev(K::LINE, MAIN, 2)]);
    maker.chunk(&mut one, &[ev(K::PY_RETURN, MAIN, 4)]);
    maker.chunk(&mut two, &[ev(K::PY_RETURN, MAIN, 1)]);
    let recording = Recording::open(&maker.finish()).unwrap();
    let db = recording.connection();
    check(
        db,
        "SELECT seq, process_id, thread_id, code_id, time_ns, kind FROM events ORDER BY seq",
        "
        1 1 1 1 10 PY_START
        2 1 1 1 10 LINE
        3 2 3 3 3 PY_START
        4 2 3 3 3 LINE
        5 1 1 1 20 PY_RETURN
        6 2 3 3 13 PY_RETURN",
    );
    check(
        db,
        "SELECT call_id, process_id, qualname, end_seq, self_ns FROM calls ORDER BY 1",
        "
        1 1 <module> 5 10
        3 2 child 6 10",
    );
}

#[test]
fn only_reading_is_possible() {
    let (_dir, recording) = recording(10, &[ev(K::LINE, MAIN, 2)]);
    for sql in [
        "INSERT INTO runs (run_id) VALUES (9)",
        "INSERT INTO events VALUES (1)",
        "DELETE FROM chunks",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "ATTACH '/tmp/y.db' AS y",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = delete",
        "COMMIT",
        "VACUUM",
        "SELECT load_extension('x')",
    ] {
        let db = recording.connection();
        assert!(db.query_row(sql, [], |_| Ok(())).is_err(), "{sql}");
    }
    check(recording.connection(), "SELECT name FROM pragma_table_info('runs') LIMIT 1", "run_id");
}
