//! The contents of variables and objects in small programs recorded by hand.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_schema::event::EventKind as K;
use dashcam_schema::value::chunk::Builder;
use dashcam_schema::value::{Class, GroupKind as G, Object, Part, Shape, Sort, Value as V};
use support::{Ev, Maker, Process, Source, check, ev, rows};

/// `def f(a):\n    x = a\n    x = a\n    y = x\n    return g(y)`
const F: Source<'_> = Source {
    lines: &[10, 11, 11, 12, 12, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14],
    code: &[
        149, 0, // RESUME
        85, 0, 110, 1, // LOAD_FAST a, STORE_FAST x
        85, 0, 110, 1, // LOAD_FAST a, STORE_FAST x
        85, 1, 110, 2, // LOAD_FAST x, STORE_FAST y
        91, 1, 0, 0, 0, 0, 0, 0, 0, 0, // LOAD_GLOBAL g
        85, 2, // LOAD_FAST y
        53, 1, 0, 0, 0, 0, 0, 0, // CALL
        36, 0, // RETURN_VALUE
    ],
    arguments: 1,
    variables: &["a", "x", "y"],
    names: &[],
};

/// An entry in a recording of values.
enum Entry {
    Group(u64, G, Vec<V>),
    List(u64, Vec<V>),
    Cell(u64, Vec<V>),
    /// `app.Point` with the attribute `x`.
    Point(u64, V),
    /// A new chunk begins.
    Cut,
}
use Entry::{Cell, Cut, Group, List, Point};

/// A chunk of values whose first text is `x`.
fn builder() -> Builder {
    let mut builder = Builder::default();
    builder.text(b"x");
    builder
}

fn write_values(maker: &mut Maker, process: &Process, entries: &[Entry]) {
    let mut builder = builder();
    for entry in entries {
        let mut object = |id, name: &str, sort, items: &[V], attributes: Option<&[V]>| {
            // Numbers of classes and shapes differ from chunk to chunk.
            let is_exact = sort != Sort::Instance;
            let class = builder.class(Class::plain(name, sort, is_exact));
            let shape = builder.shape(Shape { names: vec!["x".to_owned()] });
            let length = items.len() as u64;
            let items = (sort != Sort::Instance).then_some(Part { kept: items, length });
            let attributes = attributes.map(|values| (shape, values));
            builder.object(&Object { id, class, text: None, items, shown: None, attributes });
        };
        match entry {
            Group(ordinal, kind, values) => {
                builder.group(*ordinal, *kind, values);
                builder.store(*kind, values);
            }
            List(id, items) => object(*id, "list", Sort::List, items, None),
            Cell(id, items) => object(*id, "cell", Sort::Cell, items, None),
            Point(id, x) => object(*id, "app.Point", Sort::Instance, &[], Some(&[*x])),
            Cut => maker.values(process, &mut std::mem::replace(&mut builder, self::builder())),
        }
    }
    if !builder.is_empty() {
        maker.values(process, &mut builder);
    }
}

/// A recording with these code objects, events in chunks of `size`, and values.
fn record(codes: &[&Source<'_>], size: usize, events: &[Ev], entries: &[Entry]) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let run = maker.run();
    let mut process = maker.process(run);
    maker.with_state();
    maker.thread(&process, 0, Some("MainThread"));
    maker.thread(&process, 1, None);
    for (number, source) in (0..).zip(codes) {
        maker.bytecode(&process, number, &format!("f{number}"), "function", source);
    }
    maker.callable(&process, 7, "list.append");
    maker.chunks(&mut process, events, size);
    write_values(&mut maker, &process, entries);
    // The file stays open after it was removed.
    Recording::open(&maker.finish()).unwrap()
}

/// Checks the variables of a frame at several positions.
#[track_caller]
fn check_locals(recording: &Recording, depth: usize, expected: &[(i64, &str)]) {
    let at = |seq: i64| {
        let sql = format!("SELECT name || '=' || value FROM locals_at(1, {seq}, {depth})");
        rows(recording.connection(), &sql).join(" ")
    };
    let found: Vec<(i64, String)> = expected.iter().map(|(seq, _)| (*seq, at(*seq))).collect();
    let expected: Vec<(i64, String)> =
        expected.iter().map(|(seq, text)| (*seq, (*text).to_owned())).collect();
    assert_eq!(found, expected);
}

fn int(n: i64) -> V {
    V::Int(n)
}

fn run_of(code: u32, units: &[u32]) -> Vec<Ev> {
    units.iter().map(|unit| ev(K::INSTRUCTION, code, *unit)).collect()
}

/// `f(5)` runs and calls `f(7)`, in one thread.
fn f_events() -> Vec<Ev> {
    let mut events = vec![ev(K::PY_START, 0, 0), ev(K::LINE, 0, 11)];
    events.extend(run_of(0, &[1, 2]));
    events.push(ev(K::LINE, 0, 12));
    events.extend(run_of(0, &[3, 4]));
    events.push(ev(K::LINE, 0, 13));
    events.extend(run_of(0, &[5, 6]));
    events.push(ev(K::LINE, 0, 14));
    events.extend(run_of(0, &[7, 12, 13]));
    events.push(ev(K::CALL, 0, 13).calls(1));
    // seq 16
    events.extend([ev(K::PY_START, 1, 0), ev(K::LINE, 1, 11)]);
    events.extend(run_of(1, &[1, 2]));
    events.extend([ev(K::LINE, 1, 12), ev(K::PY_UNWIND, 1, 3), ev(K::PY_UNWIND, 0, 13)]);
    events
}

fn f_values() -> Vec<Entry> {
    vec![
        Group(0, G::Arguments, vec![int(5)]),
        Group(1, G::Overwrite, vec![int(0), int(4), int(5)]),
        Group(1, G::Bindings, vec![int(13), int(6), int(7)]),
        Group(2, G::Arguments, vec![int(7)]),
        Group(3, G::Bindings, vec![int(3), int(8)]),
    ]
}

#[test]
fn variables_within_a_window() {
    for size in [1, 2, 3, 5, 100] {
        let recording = record(&[&F, &F], size, &f_events(), &f_values());
        let innermost = [
            (1, "a=5"),
            (2, "a=5"),
            (4, "a=5"),
            (5, "a=5 x=5"),
            (7, "a=5 x=5"),
            (8, "a=5 x=6"),
            (10, "a=5 x=6"),
            (11, "a=5 x=6 y=7"),
            (15, "a=5 x=6 y=7"),
            (16, "a=7"),
            (19, "a=7"),
            (20, "a=7 x=8"),
            (21, "a=7 x=8"),
            (22, "a=5 x=6 y=7"),
        ];
        check_locals(&recording, 0, &innermost);
        // In reverse order, so that less is known from earlier queries.
        let backwards: Vec<_> = innermost.into_iter().rev().collect();
        check_locals(&record(&[&F, &F], size, &f_events(), &f_values()), 0, &backwards);
        check_locals(&recording, 1, &[(15, ""), (18, "a=5 x=6 y=7"), (21, "a=5 x=6 y=7")]);
        check(
            recording.connection(),
            "SELECT seq, call_id, scope, name, line, value FROM variables",
            "1 1 local a 10 5
             4 1 local x 11 5
             7 1 local x 12 6
             10 1 local y 13 7
             16 16 local a 10 7
             19 16 local x 11 8",
        );
        check(
            recording.connection(),
            "SELECT seq, value FROM variables WHERE name = 'x' AND seq < 8",
            "4 5\n7 6",
        );
    }
}

#[test]
fn values_in_chunks_of_their_own() {
    let entries = f_values().into_iter().flat_map(|entry| [entry, Cut]).collect::<Vec<_>>();
    let recording = record(&[&F, &F], 4, &f_events(), &entries);
    check_locals(&recording, 0, &[(7, "a=5 x=5"), (8, "a=5 x=6"), (20, "a=7 x=8")]);
    check_locals(&recording, 1, &[(20, "a=5 x=6 y=7")]);
}

#[test]
fn joins_and_stacks() {
    for size in [1, 4, 100] {
        let recording = record(&[&F, &F], size, &f_events(), &f_values());
        let db = recording.connection();
        check(
            db,
            "SELECT e.seq, l.depth, l.name, l.value FROM events e, locals_at(e.run_id, e.seq, 0) l
             WHERE e.kind = 'LINE' AND l.name = 'x'",
            "5 0 x 5\n8 0 x 6\n11 0 x 6\n20 0 x 8",
        );
        check(
            db,
            "SELECT depth, name, value FROM locals_at(1, 20)",
            "0 a 7\n0 x 8\n1 a 5\n1 x 6\n1 y 7",
        );
        check(db, "SELECT name FROM locals_at(1, 20) WHERE depth = 1", "a\nx\ny");
        check(db, "SELECT count(*) FROM locals_at WHERE run_id = 1 AND seq IN (1, 20)", "6");
        check(db, "SELECT * FROM stack_at(1, 20)", "0 16 2 f1 app.py 12\n1 1 1 f0 app.py 14");
        check(db, "SELECT * FROM stack_at(1, 21)", "0 16 2 f1 app.py 12\n1 1 1 f0 app.py 14");
        check(db, "SELECT * FROM stack_at(1, 22)", "0 1 1 f0 app.py 14");
        for (what, message) in [
            ("stack_at(1, 99)", "no event 99: run 1 has events 1 to 22"),
            ("stack_at(2, 1)", "no run 2"),
            ("stack_at", "stack_at needs its arguments"),
        ] {
            let mut rows = db.prepare(&format!("SELECT * FROM {what}")).unwrap();
            let error = rows.query([]).unwrap().next().err().unwrap().to_string();
            assert!(error.contains(message), "{what}: {error}");
        }
    }
}

#[test]
fn without_state_there_are_no_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, None);
    maker.bytecode(&process, 0, "f", "function", &F);
    maker.chunk(&mut process, &f_events()[..4]);
    write_values(&mut maker, &process, &f_values()[..1]);
    let recording = Recording::open(&maker.finish()).unwrap();
    for table in ["variables", "mutations", "locals_at(1, 3)", "object_at(1, 1, 3)"] {
        check(recording.connection(), &format!("SELECT * FROM {table}"), "");
    }
    check(recording.connection(), "SELECT line FROM stack_at(1, 2)", "11");
}

/// `def f(a):\n    a[0] = …\n    a.x = …\n    a[:] = …\n    return …`
const STORES: Source<'_> = Source {
    lines: &[10, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 13, 13, 14, 14],
    code: &[
        149, 0, // RESUME
        85, 0, 85, 0, 85, 0, // LOAD_FAST
        39, 0, 0, 0, // STORE_SUBSCR
        108, 0, 0, 0, 0, 0, 0, 0, 0, 0, // STORE_ATTR
        85, 0, // LOAD_FAST
        38, 0, // STORE_SLICE
        110, 1, // STORE_FAST b
        36, 0, // RETURN_VALUE
    ],
    arguments: 1,
    variables: &["a", "b"],
    names: &[],
};

#[test]
fn objects_as_they_are_changed() {
    let mut events = vec![ev(K::PY_START, 0, 0)];
    // seq 2 to 9
    events.extend(run_of(0, &[1, 2, 3, 4, 6, 11, 12, 13]));
    events.extend([ev(K::LINE, 0, 14), ev(K::PY_RETURN, 0, 14)]);
    let entries = [
        Group(0, G::Arguments, vec![V::Object(5)]),
        List(5, vec![int(1), V::Object(6)]),
        Point(6, int(1)),
        Group(1, G::SetItem, vec![int(0), int(4), V::Object(5), int(0), int(9)]),
        Group(1, G::SetAttribute, vec![int(0), int(6), V::Object(6), V::Str(0), int(3)]),
        Group(1, G::Change, vec![int(0), int(12), V::Object(5)]),
        Group(1, G::Done, vec![int(0), int(12), V::Object(5), int(1), int(1)]),
        List(5, vec![int(4)]),
        Group(1, G::Bindings, vec![int(14), V::Object(8)]),
        List(8, vec![V::Shallow(5)]),
    ];
    for size in [1, 3, 100] {
        let recording = record(&[&STORES], size, &events, &entries);
        let point = |x: i64| format!("<app.Point object #6 x={x}>");
        check_locals(
            &recording,
            0,
            &[
                (1, &format!("a=[1, {}]", point(1))),
                (5, &format!("a=[1, {}]", point(1))),
                (6, &format!("a=[9, {}]", point(1))),
                (7, &format!("a=[9, {}]", point(3))),
                (8, &format!("a=[9, {}]", point(3))),
                (9, "a=[4]"),
                (10, "a=[4] b=[[4]]"),
                (11, "a=[4] b=[[4]]"),
            ],
        );
        let db = recording.connection();
        check(
            db,
            "SELECT seq, line, object_id, type, operation, key, value FROM mutations",
            "5 11 5 list set item 0 9
             6 12 6 app.Point set attribute x 3
             8 13 5 list set slice - [4]",
        );
        check(db, "SELECT * FROM object_at(1, 6, 6)", &format!("6 app.Point {}", point(1)));
        check(db, "SELECT * FROM object_at(1, 6, 7)", &format!("6 app.Point {}", point(3)));
        check(db, "SELECT * FROM object_at(1, 66, 7)", "");
        check(
            db,
            "SELECT seq, name, value, object_id FROM variables",
            &format!("1 a [1, {}] 5\n9 b [[4]] 8", point(1)),
        );
    }
}

/// `def g():\n    x = …\n    h()\n    return …` where `h` shares `x`, the only slot.
const SHARES: Source<'_> = Source {
    lines: &[10, 10, 11, 11, 12, 12, 12, 12, 12, 13],
    code: &[
        94, 0, // MAKE_CELL x
        149, 0, // RESUME
        85, 0, 109, 0, // LOAD_FAST, STORE_DEREF x
        85, 0, 53, 0, 0, 0, 0, 0, 0, 0, // LOAD_FAST, CALL
        36, 0, // RETURN_VALUE
    ],
    arguments: 0,
    variables: &["x"],
    names: &[],
};

/// `def h():\n    nonlocal x\n    x = …`
const SHARED: Source<'_> = Source {
    lines: &[20, 20, 21, 21, 22],
    code: &[
        62, 1, // COPY_FREE_VARS
        149, 0, // RESUME
        85, 0, 109, 0, // LOAD_FAST, STORE_DEREF x
        36, 0, // RETURN_VALUE
    ],
    arguments: 0,
    variables: &["x"],
    names: &[],
};

#[test]
fn cells_are_seen_through() {
    let mut events = vec![ev(K::PY_START, 0, 1), ev(K::LINE, 0, 11)];
    events.extend(run_of(0, &[2, 3]));
    events.push(ev(K::LINE, 0, 12));
    events.extend(run_of(0, &[4, 5]));
    events.extend([ev(K::CALL, 0, 5).calls(1), ev(K::PY_START, 1, 1)]);
    // seq 10
    events.extend(run_of(1, &[2, 3]));
    events.extend([ev(K::LINE, 1, 22), ev(K::PY_RETURN, 1, 4), ev(K::LINE, 0, 13)]);
    events.push(ev(K::PY_RETURN, 0, 9));
    let entries = [
        Group(0, G::Bindings, vec![int(1), V::Object(3)]),
        Cell(3, vec![]),
        Group(1, G::Bindings, vec![int(5), V::Object(3)]),
        Cell(3, vec![int(4)]),
        Group(2, G::Bindings, vec![int(1), V::Object(3)]),
        Group(3, G::Bindings, vec![int(4), V::Object(3)]),
        Cell(3, vec![int(5)]),
    ];
    for size in [1, 4, 100] {
        let recording = record(&[&SHARES, &SHARED], size, &events, &entries);
        check_locals(
            &recording,
            0,
            &[(1, ""), (4, ""), (5, "x=4"), (8, "x=4"), (9, "x=4"), (11, "x=4"), (12, "x=5")],
        );
        check_locals(&recording, 0, &[(13, "x=5"), (14, "x=5"), (15, "x=5")]);
        check_locals(&recording, 1, &[(9, "x=4"), (11, "x=4"), (13, "x=5")]);
        check(
            recording.connection(),
            "SELECT seq, scope, name, value, object_id FROM variables",
            "4 cell x 4 -\n11 cell x 5 -",
        );
    }
}

#[test]
fn frames_entered_by_operators_and_resumed() {
    // `x` is pending when an operator enters another frame.
    let mut events = vec![ev(K::PY_START, 0, 0)];
    events.extend(run_of(0, &[1, 2]));
    // seq 4: as if LOAD_FAST could enter a frame.
    events.extend(run_of(0, &[3]));
    events.extend([ev(K::PY_START, 1, 0), ev(K::LINE, 1, 11), ev(K::PY_RETURN, 1, 17)]);
    events.extend([ev(K::PY_START, 1, 0), ev(K::PY_YIELD, 1, 17), ev(K::LINE, 0, 12)]);
    // seq 11
    events.extend([ev(K::PY_RESUME, 1, 0).resumes(7), ev(K::LINE, 1, 12)]);
    // seq 13: and again, without a description.
    events.extend([ev(K::CALL, 1, 13).calls(7), ev(K::PY_YIELD, 1, 17), ev(K::LINE, 0, 13)]);
    events.extend([ev(K::PY_RESUME, 1, 0).resumes(7), ev(K::LINE, 1, 13)]);
    let entries = [
        Group(0, G::Arguments, vec![int(5)]),
        Group(1, G::Arguments, vec![int(1)]),
        Group(1, G::CallerBindings, vec![int(3), int(6)]),
        Group(3, G::Arguments, vec![int(2)]),
        Cut,
        Group(5, G::Snapshot, vec![int(3), V::Unbound, int(4)]),
        Group(6, G::Bindings, vec![int(13), int(8), int(9)]),
    ];
    for size in [1, 4, 100] {
        let recording = record(&[&F, &F], size, &events, &entries);
        let innermost =
            [(2, "a=5"), (4, "a=5 x=6"), (5, "a=1"), (6, "a=1"), (8, "a=2"), (10, "a=5 x=6")];
        check_locals(&recording, 0, &innermost);
        check_locals(&recording, 0, &[(11, "a=3 y=4"), (12, "a=3 y=4"), (14, "a=3 x=8 y=9")]);
        check_locals(&recording, 0, &[(16, "a=3 x=8 y=9"), (17, "a=3 x=8 y=9")]);
        check_locals(&recording, 1, &[(6, "a=5 x=6"), (8, "a=5 x=6"), (12, "a=5 x=6")]);
        check(
            recording.connection(),
            "SELECT depth, call_id, line FROM stack_at(1, 12)",
            "0 8 12\n1 1 12",
        );
        check(
            recording.connection(),
            "SELECT depth, call_id, line FROM stack_at(1, 8)",
            "0 8 10\n1 1 12",
        );
    }
}

#[test]
fn objects_described_in_earlier_chunks() {
    let events = [
        ev(K::PY_START, 0, 0),
        ev(K::CALL, 0, 13).calls(7),
        ev(K::C_RETURN, 0, 13).calls(7),
        ev(K::LINE, 0, 14),
        ev(K::CALL, 0, 13).calls(7),
        ev(K::C_RETURN, 0, 13).calls(7),
        ev(K::PY_RETURN, 0, 17),
    ];
    let entries = [
        Group(0, G::Arguments, vec![V::Object(1)]),
        List(1, vec![int(1)]),
        Cut,
        Group(1, G::Bindings, vec![int(13), V::Object(2), V::Shallow(77)]),
        List(2, vec![V::Shallow(1)]),
        Group(2, G::Seen, vec![V::Object(1), V::Object(2)]),
        List(1, vec![int(1), int(2)]),
        List(2, vec![V::Shallow(1)]),
        Cut,
        Group(4, G::Seen, vec![V::Object(1)]),
        List(1, vec![int(1), int(2)]),
    ];
    for size in [1, 4, 100] {
        let recording = record(&[&F], size, &events, &entries);
        let at = |list: &str| format!("a={list} x=[{list}] y=<object #77>");
        check_locals(
            &recording,
            0,
            &[(1, "a=[1]"), (2, &at("[1]")), (3, &at("[1, 2]")), (7, &at("[1, 2]"))],
        );
        check(
            recording.connection(),
            "SELECT seq, line, object_id, type, operation, key, value FROM mutations",
            "3 14 1 list list.append 1 2",
        );
    }
}

#[test]
fn threads_do_not_mix() {
    // The other thread stores the same variable in between.
    let mut events = vec![ev(K::PY_START, 0, 0), ev(K::PY_START, 1, 0).thread(1)];
    events.extend(run_of(0, &[1, 2]));
    events.extend(run_of(1, &[1, 2, 3, 4]).into_iter().map(|event| event.thread(1)));
    // seq 9
    events.push(ev(K::CALL, 1, 13).thread(1).calls(1));
    events.extend(run_of(0, &[3, 4, 5]));
    events.push(ev(K::CALL, 0, 13).calls(1));
    let entries = [
        Group(0, G::Arguments, vec![int(1)]),
        Group(1, G::Arguments, vec![int(2)]),
        Group(2, G::Overwrite, vec![int(1), int(4), int(20)]),
        Group(2, G::Overwrite, vec![int(0), int(4), int(10)]),
        Group(2, G::Bindings, vec![int(13), int(21), V::Unbound]),
        Group(3, G::Bindings, vec![int(13), int(11), V::Unbound]),
    ];
    for size in [1, 4, 100] {
        let recording = record(&[&F, &F], size, &events, &entries);
        check_locals(&recording, 0, &[(4, "a=1"), (6, "a=2"), (8, "a=2 x=20"), (9, "a=2 x=21")]);
        check_locals(&recording, 0, &[(10, "a=1 x=10"), (12, "a=1 x=11"), (13, "a=1 x=11")]);
    }
}

#[test]
fn damaged_values_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let run = maker.run();
    let mut process = maker.process(run);
    maker.with_state();
    maker.thread(&process, 0, None);
    for number in [0, 1] {
        maker.bytecode(&process, number, "f", "function", &F);
    }
    maker.chunks(&mut process, &f_events(), 4);
    let entries: Vec<Entry> = f_values().into_iter().flat_map(|entry| [entry, Cut]).collect();
    write_values(&mut maker, &process, &entries);
    maker.db.execute("UPDATE value_chunks SET data = x'00' WHERE value_chunk_id = 3", []).unwrap();
    maker.db.execute("UPDATE code_objects SET bytecode = x'95' WHERE number = 1", []).unwrap();
    let recording = Recording::open(&maker.finish()).unwrap();
    check_locals(&recording, 0, &[(1, "a=5"), (7, "a=5 x=5"), (8, "a=5"), (20, "")]);
    check(recording.connection(), "SELECT count(*) FROM variables", "4");
    let damage = recording.store().damage();
    assert_eq!(damage.len(), 2, "{damage:?}");
}
