//! Whatever SQLite hands to a table to test, the answer is what SQLite would have found itself.
//!
//! Random queries are asked twice: of the virtual table, and of an ordinary table with the same
//! rows in another database.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_schema::event::EventKind as K;
use dashcam_schema::tables;
use proptest::prelude::*;
use rusqlite::Connection;
use std::sync::OnceLock;
use support::copied::copy;
use support::{Ev, Maker, ev, rows};

/// Two runs, three processes, generators, exceptions, several threads; chunks of seven.
fn recording() -> &'static std::path::Path {
    static FILE: OnceLock<(tempfile::TempDir, std::path::PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path());
        let first = maker.run();
        let second = maker.run();
        let mut processes = [maker.process(first), maker.process(first), maker.process(second)];
        for (p, process) in processes.iter_mut().enumerate() {
            maker.thread(process, 0, Some("MainThread"));
            maker.thread(process, 1, None);
            for code in 0..4 {
                let lines: Vec<u32> =
                    (0..9).map(|u| if u == 5 { 0 } else { code * 5 + u }).collect();
                let name = ["main", "f", "g", "f"][code as usize];
                maker.code(process, code, ["a.py", "b.py"][code as usize % 2], name, &lines);
            }
            for (number, name) in ["len", "print", "5"].into_iter().enumerate() {
                maker.callable(process, number as u32, name);
            }
            maker.exception_type(process, 0, "KeyError");
            maker.exception_type(process, 1, "OSError");
            for number in 0..4 {
                let message = format!("m{p}{number}");
                maker.exception(process, number, number % 2, &message);
            }
        }
        let mut seed = 12345u64;
        let mut stacks = [(); 3].map(|()| [(); 2].map(|()| Vec::<(u32, usize)>::new()));
        let mut suspended = [(); 3].map(|()| Vec::<(u32, usize)>::new());
        let mut made = [0; 3];
        for round in 0..90 {
            let p = round % 3;
            let mut events = Vec::new();
            while events.len() < 7 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = made[p] + events.len();
                events.push(random(seed >> 20, at, &mut stacks[p], &mut suspended[p]));
            }
            made[p] += 7;
            maker.chunk(&mut processes[p], &events);
        }
        let path = maker.finish();
        (dir, path)
    });
    path
}

/// An event that fits the stacks.
fn random(
    seed: u64,
    at: usize,
    stacks: &mut [Vec<(u32, usize)>; 2],
    suspended: &mut Vec<(u32, usize)>,
) -> Ev {
    let some = |shift: u32, n: u64| (seed >> shift) % n;
    let thread = some(0, 2) as usize;
    let stack = &mut stacks[thread];
    let place = some(3, 9) as u32;
    let Some(&(code, start)) = stack.last() else {
        let code = some(7, 4) as u32;
        stack.push((code, at));
        return ev(K::PY_START, code, 0).thread(thread as u32).after(some(9, 20));
    };
    let exception = some(11, 4) as u32;
    let event = match some(15, 22) {
        0 | 1 if stack.len() < 5 => {
            let code = some(7, 4) as u32;
            stack.push((code, at));
            ev(K::PY_START, code, 0)
        }
        2 => {
            stack.pop();
            ev(K::PY_RETURN, code, place)
        }
        3 => {
            stack.pop();
            suspended.push((code, start));
            ev(K::PY_YIELD, code, place)
        }
        4 if !suspended.is_empty() => {
            let (code, start) = suspended.remove(some(7, suspended.len() as u64) as usize);
            stack.push((code, start));
            ev(K::PY_RESUME, code, place).resumes(start)
        }
        5 => {
            stack.pop();
            ev(K::PY_UNWIND, code, place).exception(exception)
        }
        // At the place of its PY_START, a call that began long before does not raise.
        6 | 7 => ev(K::RAISE, code, place.max(1)).exception(exception),
        8 => ev(K::EXCEPTION_HANDLED, code, place).exception(exception),
        9 => ev(K::RERAISE, code, place).exception(exception),
        10 => ev(K::CALL, code, place).calls(some(7, 3) as u32),
        11 => ev(K::C_RETURN, code, place).calls(some(7, 3) as u32),
        12 => ev(K::BRANCH, code, place).target(some(7, 9) as u32),
        13 => ev(K::JUMP, code, place).target(some(7, 9) as u32),
        14..=17 => ev(K::LINE, code, code * 5 + if place == 5 { 6 } else { place.max(1) }),
        _ => ev(K::INSTRUCTION, code, place),
    };
    event.thread(thread as u32).after(some(9, 20))
}

const TABLES: [&str; 3] = ["events", "calls", "exceptions"];

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (-2i64..40).prop_map(|n| n.to_string()),
        4 => (0i64..700).prop_map(|n| n.to_string()),
        1 => (0i64..80).prop_map(|n| format!("{}.5", n)),
        1 => (0i64..80).prop_map(|n| format!("{}.0", n)),
        1 => (0i64..80).prop_map(|n| format!("'{n}'")),
        1 => (0i64..80).prop_map(|n| format!("' {n}.0 '")),
        1 => prop::sample::select(vec![
            "NULL", "'x'", "x'00'", "''", "9223372036854775807", "-9223372036854775808",
            "9223372036854775808", "-1e300", "1e300", "9223372036854775807.0", "CAST(3 AS TEXT)",
        ]).prop_map(str::to_owned),
        5 => prop::sample::select(vec![
            "'LINE'", "'CALL'", "'RAISE'", "'PY_START'", "'line'", "'len'", "'5'", "'KeyError'",
            "'main'", "'f'", "'a.py'", "'return'", "'open'",
        ]).prop_map(str::to_owned),
    ]
}

fn condition(columns: Vec<&'static str>) -> impl Strategy<Value = String> {
    let column = prop::sample::select(columns);
    let operator = prop::sample::select(vec!["=", "=", "=", "<", "<=", ">", ">=", "<>", "IS"]);
    prop_oneof![
        6 => (column.clone(), operator, literal()).prop_map(|(c, op, v)| format!("{c} {op} {v}")),
        2 => (column.clone(), prop::collection::vec(literal(), 0..4))
            .prop_map(|(c, values)| format!("{c} IN ({})", values.join(", "))),
        1 => (column.clone(), literal(), literal())
            .prop_map(|(c, a, b)| format!("{c} BETWEEN {a} AND {b}")),
        1 => (column.clone(), literal()).prop_map(|(c, v)| format!("{c} = {v} COLLATE NOCASE")),
        1 => (column.clone(), prop::sample::select(vec!["LIKE", "GLOB", "NOT LIKE"]),
              prop::sample::select(vec!["'F'", "'m%'", "'%.py'", "'f'", "'*.py'", "'[a-f]*'", "5", "NULL"]))
            .prop_map(|(c, op, v)| format!("{c} {op} {v}")),
        1 => column.prop_map(|c| format!("{c} IS NULL")),
    ]
}

fn question() -> impl Strategy<Value = String> {
    let table = prop::sample::select(vec!["events", "events", "calls", "exceptions"]);
    table.prop_flat_map(|table| {
        let columns: Vec<&str> =
            tables::find(table).unwrap().columns.iter().map(|column| column.name).collect();
        let conditions = prop::collection::vec(condition(columns.clone()), 1..4);
        let ends = if table == "events" {
            vec![
                "ORDER BY run_id, seq",
                "ORDER BY run_id DESC, seq DESC",
                "ORDER BY kind, run_id, seq",
                "ORDER BY run_id DESC, seq",
            ]
        } else if table == "calls" {
            vec!["ORDER BY run_id, call_id", "ORDER BY run_id DESC, start_seq DESC"]
        } else {
            vec!["ORDER BY run_id, seq"]
        };
        let what = prop_oneof![
            3 => Just(("*".to_owned(), true)),
            1 => Just(("count(*)".to_owned(), false)),
            2 => prop::sample::select(columns).prop_map(|c| (format!("{c}, run_id"), true)),
        ];
        (what, conditions, prop::sample::select(ends), any::<bool>()).prop_map(
            move |((what, many), conditions, end, or)| {
                let joined = conditions.join(if or { " OR " } else { " AND " });
                let end = if many { end } else { "" };
                format!("SELECT {what} FROM {table} WHERE {joined} {end}")
            },
        )
    })
}

/// The rows that come first by a column, which alone is asked for: of equal ones any may come.
fn first_rows() -> impl Strategy<Value = String> {
    let columns: Vec<&str> =
        tables::find("calls").unwrap().columns.iter().map(|column| column.name).collect();
    let conditions = prop::collection::vec(condition(columns.clone()), 0..3);
    let way = prop::sample::select(vec!["", "DESC"]);
    (prop::sample::select(columns), conditions, way, -1i64..60, -1i64..20).prop_map(
        |(column, conditions, way, limit, offset)| {
            let conditions = conditions.join(" AND ");
            let filter =
                if conditions.is_empty() { "".into() } else { format!("WHERE {conditions}") };
            format!(
                "SELECT {column} FROM calls {filter} ORDER BY {column} {way} LIMIT {limit} OFFSET {offset}"
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn filters_and_orders_are_sqlites(questions in prop::collection::vec(prop_oneof![4 => question().boxed(), 1 => first_rows().boxed()], 10)) {
        thread_local! {
            static BOTH: (Recording, Connection) = {
                let recording = Recording::open(recording()).unwrap();
                let copy = copy(&recording, &TABLES);
                (recording, copy)
            };
        }
        BOTH.with(|(recording, copy)| {
            for question in &questions {
                let (ours, theirs) = (rows(recording.connection(), question), rows(copy, question));
                let (n, m) = (ours.len(), theirs.len());
                prop_assert!(ours == theirs, "{question}\n{n} rows where SQLite finds {m}");
            }
            Ok(())
        })?;
    }
}

/// The right side of a constraint has a type of its own when it is a column.
#[test]
fn joins_convert_as_sqlite_does() {
    let recording = Recording::open(recording()).unwrap();
    let copy = copy(&recording, &TABLES);
    let values = "(SELECT 1 AS i, '1' AS t UNION ALL SELECT 2, 'LINE' UNION ALL SELECT 5, '5'
                   UNION ALL SELECT 30, 'len' UNION ALL SELECT NULL, NULL
                   UNION ALL SELECT 2.5, 'RAISE' UNION ALL SELECT x'31', x'35')";
    for (table, key) in [("events", "seq"), ("calls", "call_id"), ("exceptions", "seq")] {
        let columns = tables::find(table).unwrap().columns;
        for column in columns.iter().map(|column| column.name) {
            for right in ["v.i", "v.t", "CAST(v.t AS TEXT)", "CAST(v.i AS INTEGER)", "+v.t"] {
                for op in ["=", "<", ">="] {
                    let sql = format!(
                        "SELECT count(*), sum({key}) FROM {values} v CROSS JOIN {table} e
                         ON e.{column} {op} {right}"
                    );
                    assert_eq!(rows(recording.connection(), &sql), rows(&copy, &sql), "{sql}");
                }
                let sql = format!(
                    "SELECT count(*), sum({key}) FROM {table} e
                     WHERE e.{column} IN (SELECT {right} FROM {values} v)"
                );
                assert_eq!(rows(recording.connection(), &sql), rows(&copy, &sql), "{sql}");
            }
        }
    }
}

/// How events are cut into chunks shows nowhere.
#[test]
fn chunks_of_any_size_give_the_same_rows() {
    let tables = |size: usize| {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path());
        let run = maker.run();
        let mut process = maker.process(run);
        maker.thread(&process, 0, None);
        maker.thread(&process, 1, None);
        for code in 0..4 {
            maker.code(&process, code, "a.py", "f", &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
        maker.exception_type(&process, 0, "KeyError");
        for number in 0..4 {
            maker.exception(&mut process, number, 0, "m");
        }
        let (mut seed, mut stacks, mut suspended) = (99u64, Default::default(), Vec::new());
        let events: Vec<Ev> = (0..1500)
            .map(|at| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                random(seed >> 20, at, &mut stacks, &mut suspended)
            })
            .collect();
        maker.chunks(&mut process, &events, size);
        let recording = Recording::open(&maker.finish()).unwrap();
        [
            "SELECT * FROM events ORDER BY seq",
            "SELECT * FROM calls ORDER BY call_id",
            "SELECT * FROM calls WHERE code_id = 3 ORDER BY call_id",
            "SELECT * FROM exceptions ORDER BY seq",
        ]
        .map(|sql| rows(recording.connection(), sql))
    };
    let whole = tables(10_000);
    assert!(whole.iter().all(|rows| rows.len() > 30));
    for size in [1, 2, 7, 50, 999] {
        for (found, whole) in tables(size).iter().zip(&whole) {
            let differs = found.iter().zip(whole).position(|(one, two)| one != two);
            let differs = differs.map(|at| (&found[at], &whole[at]));
            assert!(found == whole, "chunks of {size}: {differs:?}");
        }
    }
}

#[test]
fn groups_by_kind_are_sqlites() {
    let recording = Recording::open(recording()).unwrap();
    let copy = copy(&recording, &TABLES);
    for sql in [
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "SELECT DISTINCT kind FROM events ORDER BY kind",
        "SELECT DISTINCT kind FROM events ORDER BY kind DESC",
        "SELECT kind, count(*) FROM events WHERE run_id = 2 GROUP BY kind ORDER BY kind DESC",
        "SELECT kind, sum(run_id) FROM events WHERE code_id IN (2, 7) GROUP BY kind",
        "SELECT kind, max(seq) FROM events GROUP BY kind",
        "SELECT run_id, kind, count(*) FROM events GROUP BY run_id, kind",
        "SELECT thread_id, count(*) FROM events GROUP BY thread_id",
        "SELECT thread_id, count(*), sum(process_id) FROM events WHERE run_id = 1 GROUP BY 1",
        "SELECT code_id, count(*) FROM events GROUP BY code_id ORDER BY code_id DESC",
        "SELECT DISTINCT code_id FROM events WHERE seq > 30",
        "SELECT code_id, count(*) FROM events WHERE kind = 'LINE' GROUP BY 1",
        "SELECT kind FROM events WHERE line BETWEEN 3 AND 9 ORDER BY kind LIMIT 50",
        "SELECT max(kind), min(kind), min(seq), max(seq), count(DISTINCT kind) FROM events",
        "SELECT e.kind, count(*) FROM events e JOIN calls c
             ON e.run_id = c.run_id AND e.seq = c.end_seq GROUP BY 1 ORDER BY 1",
    ] {
        assert_eq!(rows(recording.connection(), sql), rows(&copy, sql), "{sql}");
    }
}
