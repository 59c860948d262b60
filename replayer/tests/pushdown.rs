//! Whatever constraints SQLite leaves to a table, the result is what SQLite would have found
//! itself.
//!
//! Random queries run twice: on the virtual table, and on an ordinary table with the same rows in
//! another database.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_schema::event::EventKind as K;
use dashcam_schema::tables;
use proptest::prelude::*;
use rusqlite::Connection;
use std::sync::OnceLock;
use support::copied::copy;
use support::{Ev, Maker, ev, rows, rows_of};

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

/// A random event that is possible with these stacks.
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
        // A call does not raise at the place of its PY_START long after it began.
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

/// The first rows by a column. Only that column is selected, because any of several equal rows may
/// come.
fn first_rows() -> impl Strategy<Value = String> {
    let columns: Vec<&str> =
        tables::find("calls").unwrap().columns.iter().map(|column| column.name).collect();
    let conditions = prop::collection::vec(condition(columns.clone()), 0..3);
    let direction = prop::sample::select(vec!["", "DESC"]);
    (prop::sample::select(columns), conditions, direction, -1i64..60, -1i64..20).prop_map(
        |(column, conditions, direction, limit, offset)| {
            let conditions = conditions.join(" AND ");
            let filter =
                if conditions.is_empty() { "".into() } else { format!("WHERE {conditions}") };
            format!(
                "SELECT {column} FROM calls {filter} ORDER BY {column} {direction} LIMIT {limit} OFFSET {offset}"
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

/// If the right side of a constraint is a column, it has a type of its own.
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

/// The size of chunks has no influence on the rows.
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

/// Runs a statement as `dashcam query` does. Returns the rows, and whether it read groups of rows.
fn counted(recording: &Recording, sql: &str) -> (Vec<String>, bool) {
    let statement = recording.prepare(sql, None).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let is_about_groups = statement.expanded_sql().unwrap().contains("grouped_");
    (rows_of(statement, sql), is_about_groups)
}

/// Statements that count rows read groups of rows, and the result is the same.
#[test]
fn counts_are_sqlites() {
    let recording = Recording::open(recording()).unwrap();
    let copy = copy(&recording, &TABLES);
    // The copy needs the table for joins, too.
    copy.execute_batch(
        "CREATE TABLE code_objects (code_id INTEGER PRIMARY KEY, run_id, qualname, path)",
    )
    .unwrap();
    let sql = "SELECT code_id, run_id, qualname, path FROM code_objects";
    let mut codes = recording.connection().prepare(sql).unwrap();
    let mut codes = codes.query([]).unwrap();
    while let Some(row) = codes.next().unwrap() {
        let values = (0..4).map(|i| row.get::<_, rusqlite::types::Value>(i).unwrap());
        let sql = "INSERT INTO code_objects VALUES (?, ?, ?, ?)";
        copy.execute(sql, rusqlite::params_from_iter(values)).unwrap();
    }
    for sql in [
        "SELECT count(*) FROM events",
        "SELECT COUNT( * ) FROM events;",
        "SELECT count(*), count(line), count(DISTINCT line), min(line), max(kind) FROM events",
        "SELECT count(*) FROM events WHERE seq < 0",
        "SELECT count(*) AS n FROM events HAVING n > 1",
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "SELECT kind, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC, kind LIMIT 3",
        "SELECT kind AS k, count(*) AS n FROM events GROUP BY k HAVING n > 10 ORDER BY n, k",
        "SELECT kind, count(*) * 100.0 / (SELECT count(*) FROM events) FROM events GROUP BY kind",
        "SELECT upper(kind) || '!', count(*) FROM events GROUP BY upper(kind) || '!'",
        "SELECT line / 10, count(*) FROM events GROUP BY 1",
        "SELECT e.line, e.kind, count(*) FROM events AS e WHERE e.thread_id = 1 GROUP BY e.line, e.kind",
        "SELECT count(*) FILTER (WHERE kind = 'LINE'), count(*) FILTER (WHERE line > 5) FROM events",
        "SELECT run_id, process_id, thread_id, code_id, count(*) FROM events GROUP BY 1, 2, 3, 4",
        "SELECT count(*) FROM events WHERE line % 2 = 0 OR callable = 'len'",
        "SELECT callable, count(*) FROM events WHERE callable IS NOT NULL GROUP BY callable",
        "SELECT count(*) FROM events WHERE seq BETWEEN 20 AND 90 AND kind = 'LINE'",
        "SELECT code_id, count(*) FROM events WHERE line IN (3, 5, 8) AND time_ns > 100 GROUP BY 1",
        "SELECT DISTINCT kind FROM events",
        "SELECT DISTINCT code_id, kind FROM events WHERE run_id = 2",
        "SELECT qualname, count(*) FROM events JOIN code_objects USING (code_id)
             GROUP BY code_id ORDER BY 2, 1",
        "SELECT c.path, count(*) FROM events e JOIN code_objects c ON c.code_id = e.code_id
             WHERE e.kind = 'LINE' GROUP BY c.path",
        "SELECT e.code_id, count(*) FROM events e, code_objects c
             WHERE e.code_id = c.code_id AND c.qualname = 'f' GROUP BY 1",
        "SELECT e.code_id, count(*), count(c.code_id) FROM events e
             LEFT JOIN code_objects c ON e.code_id = c.code_id AND c.qualname = 'f' GROUP BY 1",
        "SELECT max(n) FROM (SELECT count(*) AS n FROM events GROUP BY kind)",
        "WITH per_line AS (SELECT line, count(*) AS n FROM events GROUP BY line)
             SELECT line FROM per_line WHERE n > 4",
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM calls)",
        "SELECT count(*) FROM events UNION ALL SELECT count(*) FROM calls",
        "SELECT qualname, count(*) FROM calls GROUP BY qualname ORDER BY count(*) DESC, 1",
        "SELECT exit, depth, count(*) FROM calls WHERE start_seq > 20 GROUP BY 1, 2",
        "SELECT count(*) FROM calls WHERE qualname = 'f'",
        "SELECT type, count(*), count(DISTINCT message) FROM exceptions GROUP BY type",
        "SELECT count(*) FROM exceptions WHERE path = 'a.py' AND line >= 3",
    ] {
        let (mut ours, is_about_groups) = counted(&recording, sql);
        let mut theirs = rows(&copy, sql);
        if !sql.contains("ORDER BY") {
            ours.sort_unstable();
            theirs.sort_unstable();
        }
        assert!(is_about_groups, "{sql}");
        assert_eq!(ours, theirs, "{sql}");
    }
    for sql in [
        "SELECT kind, seq, count(*) FROM events GROUP BY kind",
        "SELECT thread_id, count(*) FROM events GROUP BY kind",
        "SELECT sum(line) FROM events",
        "SELECT count(*) FROM events WHERE abs(seq) = 5",
        "SELECT count(*) FROM events WHERE seq = '5'",
        "SELECT count(*) FROM events WHERE rowid = 5",
        "SELECT count(*) FROM events a, events b WHERE a.seq = b.seq AND a.run_id = b.run_id",
        "SELECT count(*) FROM code_objects c LEFT JOIN events e ON e.code_id = c.code_id",
        "WITH events AS (SELECT 1 AS seq) SELECT count(*) FROM events",
        "SELECT kind, count(*) OVER () FROM events LIMIT 3",
        "SELECT DISTINCT kind FROM events LIMIT 3",
        "SELECT count(*) FROM code_objects",
        "EXPLAIN QUERY PLAN SELECT count(*) FROM code_objects",
    ] {
        let (ours, is_about_groups) = counted(&recording, sql);
        assert!(!is_about_groups, "{sql}");
        if !sql.starts_with("EXPLAIN") {
            assert_eq!(ours.len(), rows(&copy, sql).len(), "{sql}");
        }
    }
    let parameters = |sql: &str| {
        let mut statement = recording.prepare(sql, None).unwrap();
        statement.query_row((3, "LINE"), |row| row.get::<_, i64>(0)).unwrap()
    };
    let sql = "SELECT count(*) FROM events WHERE line > ? AND kind = ?";
    let theirs = copy.query_row(sql, (3, "LINE"), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(parameters(sql), theirs);
    let names = |sql| recording.prepare(sql, None).unwrap().column_names().join("|");
    assert_eq!(names("SELECT Kind, COUNT( * ) FROM events GROUP BY 1"), "kind|COUNT( * )");
    // Two quotes next to each other.
    let sql = "SELECT count(*), length('a''''b'), '''' FROM events WHERE kind <> '''''' GROUP BY 2";
    let (ours, is_about_groups) = counted(&recording, sql);
    assert!(is_about_groups);
    assert_eq!(ours, rows(&copy, sql));
    let of_run = "SELECT count(*), count(DISTINCT run_id) FROM events";
    let statement = recording.prepare(of_run, Some(2)).unwrap();
    assert!(statement.expanded_sql().unwrap().contains("grouped_"));
    let theirs = rows(&copy, "SELECT count(*), 1 FROM events WHERE run_id = 2");
    assert_eq!(rows_of(statement, of_run), theirs);
}

/// A random statement that counts.
fn counting() -> impl Strategy<Value = String> {
    prop::sample::select(TABLES.to_vec()).prop_flat_map(|table| {
        let columns: Vec<&str> =
            tables::find(table).unwrap().columns.iter().map(|column| column.name).collect();
        let conditions = prop::collection::vec(condition(columns.clone()), 0..4);
        let groups = prop::collection::vec(prop::sample::select(columns.clone()), 0..4);
        let what = prop::sample::select(columns);
        (groups, conditions, what, any::<bool>()).prop_map(
            move |(groups, conditions, what, is_or)| {
                let joined = conditions.join(if is_or { " OR " } else { " AND " });
                let filter = if joined.is_empty() { joined } else { format!("WHERE {joined}") };
                let list = groups.join(", ");
                let numbers: Vec<String> = (1..=groups.len()).map(|n| n.to_string()).collect();
                let (list, group_by) = match groups.is_empty() {
                    true => (String::new(), String::new()),
                    false => (format!("{list}, "), format!("GROUP BY {}", numbers.join(", "))),
                };
                let order: Vec<String> = numbers.iter().cloned().chain(["1".to_owned()]).collect();
                format!(
                    "SELECT {list}count(*), count({what}), count(DISTINCT {what}), max({what})
                     FROM {table} {filter} {group_by} ORDER BY {}",
                    order.join(", ")
                )
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn random_counts_are_sqlites(questions in prop::collection::vec(counting(), 10)) {
        thread_local! {
            static BOTH: (Recording, Connection) = {
                let recording = Recording::open(recording()).unwrap();
                let copy = copy(&recording, &TABLES);
                (recording, copy)
            };
        }
        BOTH.with(|(recording, copy)| {
            for question in &questions {
                let (ours, _) = counted(recording, question);
                prop_assert_eq!(ours, rows(copy, question), "{}", question);
            }
            Ok(())
        })?;
    }
}
