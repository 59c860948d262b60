//! Whatever SQLite hands to a table to test, the answer is what SQLite would have found itself: random
//! questions about a real recording, asked of the virtual tables and of ordinary ones with the same rows.
//! (`replayer/tests/pushdown.rs` does so for recordings made by hand.)

use dashcam_replayer::Recording as Opened;
use dashcam_schema::tables;
use dashcam_tests::{Python, Recording, tests_path};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::HashMap;

// Both crates' tests copy tables; neither can depend on the other's.
#[path = "../../replayer/tests/support/copied.rs"]
mod copied;

const TABLES: [&str; 5] = ["events", "calls", "exceptions", "variables", "mutations"];
const QUESTIONS: usize = 3000;
/// Values of a column that questions are about.
const SAMPLES: usize = 40;

/// The same numbers every time.
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
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|i| format!("{:?}", row.get::<_, Value>(i).unwrap()));
        Ok(values.collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Values that a column has, as SQL writes them.
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
    let mut answered = 0;
    for number in 0..QUESTIONS {
        let table = TABLES[number % TABLES.len()];
        let names: Vec<&str> = columns(table).collect();
        let count = 1 + random.below(3);
        let conditions: Vec<String> =
            (0..count).map(|_| condition(&mut random, &samples[table], &names)).collect();
        let conditions = conditions.join(if random.below(4) == 0 { " OR " } else { " AND " });
        let column = *random.of(&names);
        let sql = match random.below(5) {
            0 => format!("SELECT count(*), max({column}) FROM {table} WHERE {conditions}"),
            1 => format!("SELECT {column}, count(*) FROM {table} WHERE {conditions} GROUP BY 1"),
            2 => {
                format!("SELECT DISTINCT {column} FROM {table} WHERE {conditions} ORDER BY 1 DESC")
            }
            3 => format!("SELECT {column} FROM {table} WHERE {conditions} ORDER BY 1 LIMIT 7"),
            _ => format!("SELECT * FROM {table} WHERE {conditions}"),
        };
        let (mut ours, mut theirs) = (rows(opened.connection(), &sql), rows(&copy, &sql));
        if !sql.contains("ORDER BY") {
            ours.sort_unstable();
            theirs.sort_unstable();
        }
        let (n, m) = (ours.len(), theirs.len());
        assert!(ours == theirs, "{sql}\n{n} rows where SQLite finds {m}");
        answered += usize::from(n > 0);
    }
    assert!(answered > QUESTIONS / 4, "only {answered} questions had an answer");
}
