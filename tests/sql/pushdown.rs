//! Whatever SQLite hands to a table to test, the answer is what SQLite would have found itself.
//! Random questions about a real recording are asked of the virtual tables, and of ordinary tables
//! with the same rows. (`replayer/tests/pushdown.rs` does so for recordings made by hand.)

use dashcam_replayer::Recording as Opened;
use dashcam_schema::tables;
use dashcam_tests::{Python, Recording, tests_path};
use rusqlite::types::Value;
use rusqlite::{Connection, Statement};
use std::collections::HashMap;

// The tests of both crates copy tables; neither can depend on the other's.
#[path = "../../replayer/tests/support/copied.rs"]
mod copied;

const TABLES: [&str; 6] = ["events", "calls", "c_calls", "exceptions", "variables", "mutations"];
const QUESTIONS: usize = 3000;
/// Number of values of a column that questions are about.
const SAMPLES: usize = 40;

/// Generates the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn rows(db: &Connection, sql: &str) -> Vec<String> {
    rows_of(db.prepare(sql).unwrap())
}

fn rows_of(mut statement: Statement<'_>) -> Vec<String> {
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|i| format!("{:?}", row.get::<_, Value>(i).unwrap()));
        Ok(values.collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns values of a column, written as SQL literals.
fn samples(copy: &Connection, table: &str, column: &str) -> Vec<String> {
    let sql = format!(
        "SELECT quote({column}) FROM (SELECT {column} FROM {table} GROUP BY 1)
         ORDER BY abs(random()) % 1000 LIMIT {SAMPLES}"
    );
    let mut statement = copy.prepare(&sql).unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

fn condition(random: &mut Random, columns: &HashMap<&str, Vec<String>>, names: &[&str]) -> String {
    let column = *random.of(names);
    let values = &columns[column];
    let mut value = || {
        let value = random.of(values).clone();
        match (random.below(8), value.parse::<i64>()) {
            (0, Ok(number)) => (number - 1).to_string(),
            (1, Ok(number)) => format!("{number}.5"),
            _ => value,
        }
    };
    let (one, other) = (value(), value());
    match random.below(12) {
        0..=4 => format!("{column} = {one}"),
        5 => format!("{column} IN ({one}, {other})"),
        6 => format!("{column} BETWEEN {one} AND {other}"),
        7 => format!("{column} >= {one}"),
        8 => format!("{column} < {one}"),
        9 => format!("{column} LIKE substr({one}, 1, 4) || '%'"),
        10 => format!("{column} GLOB '*' || substr({one}, -3)"),
        _ => format!("{column} <> {one}"),
    }
}

#[test]
fn questions_about_a_real_recording() {
    let program = tests_path("python/shop.py");
    let recording = Recording::new(&Python::any(), [program.as_path()]);
    let opened = Opened::open(&recording.db).unwrap();
    let copy = copied::copy(&opened, &TABLES);
    for name in TABLES {
        let count: i64 =
            copy.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
        assert!(count > 5, "{name}: {count} rows");
    }
    let columns = |table| tables::find(table).unwrap().columns.iter().map(|column| column.name);
    let samples: HashMap<&str, HashMap<&str, Vec<String>>> = TABLES
        .into_iter()
        .map(|table| (table, columns(table).map(|c| (c, samples(&copy, table, c))).collect()))
        .collect();
    let mut random = Random(20_261_129);
    let (mut answered, mut counted) = (0, 0);
    for number in 0..QUESTIONS {
        let table = TABLES[number % TABLES.len()];
        let names: Vec<&str> = columns(table).collect();
        let count = 1 + random.below(3);
        let conditions: Vec<String> =
            (0..count).map(|_| condition(&mut random, &samples[table], &names)).collect();
        let conditions = conditions.join(if random.below(4) == 0 { " OR " } else { " AND " });
        let column = *random.of(&names);
        let others = format!("{}, {}", random.of(&names), random.of(&names));
        let sql = match random.below(7) {
            0 => format!("SELECT count(*), max({column}) FROM {table} WHERE {conditions}"),
            1 => format!("SELECT {column}, count(*) FROM {table} WHERE {conditions} GROUP BY 1"),
            2 => {
                format!("SELECT DISTINCT {column} FROM {table} WHERE {conditions} ORDER BY 1 DESC")
            }
            5 => format!(
                "SELECT count(*), count({column}), count(DISTINCT {column}), min({column})
                 FROM {table} WHERE {conditions}"
            ),
            6 => format!(
                "SELECT {others}, count(*), max({column}) FROM {table} WHERE {conditions} GROUP BY 1, 2"
            ),
            3 => format!("SELECT {column} FROM {table} WHERE {conditions} ORDER BY 1 LIMIT 7"),
            _ => format!("SELECT * FROM {table} WHERE {conditions}"),
        };
        let statement = opened.prepare(&sql, None).unwrap();
        counted += usize::from(statement.expanded_sql().unwrap().contains("grouped_"));
        let (mut ours, mut theirs) = (rows_of(statement), rows(&copy, &sql));
        if !sql.contains("ORDER BY") {
            ours.sort_unstable();
            theirs.sort_unstable();
        }
        let (n, m) = (ours.len(), theirs.len());
        assert!(ours == theirs, "{sql}\n{n} rows where SQLite finds {m}");
        answered += usize::from(n > 0);
    }
    assert!(counted > QUESTIONS / 10, "only {counted} questions were about groups");
    assert!(answered > QUESTIONS / 4, "only {answered} questions had an answer");
}

/// Counts of whole tables and of common groups, for which no rows are made.
#[test]
fn counts_of_a_real_recording() {
    let program = tests_path("python/shop.py");
    let recording = Recording::new(&Python::any(), [program.as_path()]);
    let opened = Opened::open(&recording.db).unwrap();
    let copy = copied::copy(&opened, &TABLES);
    for sql in [
        "SELECT count(*) FROM events",
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "SELECT thread_id, code_id, kind, count(*) FROM events GROUP BY 1, 2, 3",
        "SELECT code_id, line, count(*) FROM events WHERE kind = 'LINE' GROUP BY 1, 2",
        "SELECT code_id, offset, kind, line, count(*) FROM events GROUP BY 1, 2, 3, 4",
        "SELECT callable, kind, count(*) FROM events GROUP BY 1, 2",
        "SELECT line, count(*) FROM events WHERE seq > 5000 AND line BETWEEN 5 AND 30 GROUP BY 1",
        "SELECT count(*), count(callable) FROM events WHERE callable = 'len'",
        "SELECT count(*) FROM variables",
        "SELECT scope, name, count(*) FROM variables GROUP BY 1, 2",
        "SELECT name, line, thread_id, count(*) FROM variables GROUP BY 1, 2, 3",
        "SELECT count(*) FROM variables WHERE name = 'self'",
        "SELECT name, count(*), count(DISTINCT value) FROM variables GROUP BY 1",
        "SELECT count(*) FROM variables WHERE line > 20 AND seq BETWEEN 3000 AND 60000",
        "SELECT operation, type, count(*) FROM mutations GROUP BY 1, 2",
        "SELECT count(*) FROM mutations WHERE seq > 5000",
        "SELECT qualname, count(*) FROM calls GROUP BY qualname",
        "SELECT type, outcome, count(*) FROM exceptions GROUP BY 1, 2",
    ] {
        let statement = opened.prepare(sql, None).unwrap();
        assert!(statement.expanded_sql().unwrap().contains("grouped_"), "{sql}");
        let (mut ours, mut theirs) = (rows_of(statement), rows(&copy, sql));
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{sql}");
    }
}
