//! Exported columns have the same contents as SQL, for any table, columns and filters; so do files.
#![allow(clippy::unwrap_used)]

mod support;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::DataType;
use dashcam_replayer::Recording;
use dashcam_replayer::export::{self, Error, Filter, Layout, Options, Query, exported_tables};
use dashcam_replayer::tables::plan::{Op, Value};
use dashcam_schema::event::EventKind as K;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use rusqlite::types::Value as Sql;
use std::path::{Path, PathBuf};
use support::{Maker, ev};

/// Two runs, the first with two processes, with threads, calls, exceptions and C calls; chunks of
/// five.
fn recording() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    for processes in [2, 1] {
        let run = maker.run();
        for _ in 0..processes {
            let mut process = maker.process(run);
            maker.thread(&process, 0, Some("MainThread"));
            maker.thread(&process, 1, None);
            maker.code(&process, 0, "app.py", "<module>", &[1, 1, 2, 0, 3]);
            maker.code(&process, 1, "it's.py", "C.f", &[10, 11, 0, 12, 13]);
            maker.callable(&process, 7, "len");
            maker.exception_type(&process, 3, "ValueError");
            maker.exception(&mut process, 40, 3, "no, \"no\"\n");
            let mut events = vec![ev(K::PY_START, 0, 0).after(100), ev(K::LINE, 0, 2)];
            for _ in 0..7 {
                events.extend([
                    ev(K::CALL, 0, 4).calls(7).after(5),
                    ev(K::C_RETURN, 0, 4).calls(7).after(6),
                    ev(K::BRANCH, 0, 4).target(2),
                    ev(K::PY_START, 1, 0).after(3),
                    ev(K::RAISE, 1, 1).exception(40),
                    ev(K::PY_UNWIND, 1, 2).exception(40),
                    ev(K::PY_START, 1, 0).thread(1).after(1),
                    ev(K::PY_RETURN, 1, 4).thread(1).after(2),
                ]);
            }
            maker.chunks(&mut process, &events, 5);
        }
    }
    let path = maker.finish();
    (dir, path)
}

/// The values of an array as SQL has them. Points in time are nanoseconds.
fn values(array: &ArrayRef) -> Vec<Sql> {
    let value = |row: usize| match array.data_type() {
        _ if array.is_null(row) => Sql::Null,
        DataType::Null => Sql::Null,
        DataType::Int64 => Sql::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Sql::Real(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(..) => {
            Sql::Integer(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Utf8 => Sql::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Sql::Blob(array.as_binary::<i32>().value(row).to_owned()),
        DataType::Dictionary(..) => {
            let names = array.as_dictionary::<Int32Type>();
            let key = names.keys().value(row) as usize;
            Sql::Text(names.values().as_string::<i32>().value(key).to_owned())
        }
        other => panic!("{other}"),
    };
    (0..array.len()).map(value).collect()
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<Sql>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<Sql>> = batch.columns().iter().map(values).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|c| c[row].clone()).collect()),
        );
    }
    rows
}

fn read(query: &Query<'_>) -> Vec<Vec<Sql>> {
    let mut batches = Vec::new();
    query
        .read(&mut |batch| {
            batches.push(batch);
            Ok(())
        })
        .unwrap();
    assert!(batches.iter().all(|batch| batch.schema() == *query.schema()));
    assert!(!batches.is_empty());
    rows(&batches)
}

fn in_sql(recording: &Recording, sql: &str) -> Vec<Vec<Sql>> {
    let mut statement = recording.connection().prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect());
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// The columns of a query in SQL.
fn columns_in_sql(query: &Query<'_>) -> String {
    let ns = |column: &str| {
        format!("CAST(round((julianday({column}) - 2440587.5) * 86400000) AS INTEGER) * 1000000")
    };
    let columns = query.schema().fields().iter().map(|field| match &**field.name() {
        "wall_time" => {
            format!("(SELECT {} FROM runs r WHERE r.run_id = t.run_id) + wall_ns", ns("started_at"))
        }
        name @ ("started_at" | "ended_at") => ns(name),
        name => match name.strip_suffix("_json") {
            Some(value) => format!("value_json({value})"),
            None => name.to_owned(),
        },
    });
    columns.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_table_has_the_rows_of_sql() {
    let (_dir, path) = recording();
    let recording = Recording::open(&path).unwrap();
    for table in exported_tables() {
        let query = Query::new(&recording, table.name).unwrap();
        let sql = format!("SELECT {} FROM {} t", columns_in_sql(&query), table.name);
        let expected = in_sql(&recording, &sql);
        assert_eq!(read(&query), expected, "{}", table.name);
        // The same result through SQLite.
        let by_sql = Query::new(&recording, table.name).unwrap().condition("1 OR 0").unwrap();
        assert_eq!(read(&by_sql), expected, "{}", table.name);
        for run in 1..=2 {
            let one = Query::new(&recording, table.name).unwrap().run(run);
            let bound = Recording::open(&path).unwrap();
            bound.bind(Some(run)).unwrap();
            let only =
                if table.name == "runs" { format!(" WHERE run_id = {run}") } else { String::new() };
            assert_eq!(
                read(&one),
                in_sql(&bound, &(sql.clone() + &only)),
                "{} of {run}",
                table.name
            );
        }
    }
    let events = in_sql(&recording, "SELECT count(*) FROM events");
    assert_eq!(events, [[Sql::Integer(3 * 58)]]);
}

fn a_filter() -> impl Strategy<Value = (String, &'static str, Vec<Value>)> {
    let ints =
        ["seq", "line", "code_id", "process_id", "target_line", "time_ns", "thread_id", "run_id"];
    let texts = ["kind", "callable", "exception", "value"];
    let op = prop::sample::select(vec!["=", "<", "<=", ">", ">=", "IN"]);
    let int = prop::collection::vec((0..60_i64).prop_map(Value::Integer), 1..4);
    let word = prop::sample::select(vec!["LINE", "CALL", "len", "ValueError", "it's", ""]);
    let text = prop::collection::vec(word.prop_map(|w| Value::Text(w.to_owned())), 1..4);
    let one = (prop::sample::select(ints.to_vec()), op.clone(), int);
    let other = (prop::sample::select(texts.to_vec()), op, text);
    prop_oneof![one, other].prop_map(|(column, op, mut values)| {
        if op != "IN" {
            values.truncate(1);
        }
        (column.to_owned(), op, values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Filters that a table does not take over are tested.
    #[test]
    fn filters_match_where(filters in prop::collection::vec(a_filter(), 1..4)) {
        thread_local! {
            static OPEN: (tempfile::TempDir, Recording) = {
                let (dir, path) = recording();
                (dir, Recording::open(&path).unwrap())
            };
        }
        OPEN.with(|(_, recording)| {
            let literal = |value: &Value| match value {
                Value::Integer(n) => n.to_string(),
                Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
                other => panic!("{other:?}"),
            };
            let condition = |(column, op, values): &(String, &str, Vec<Value>)| {
                let values: Vec<String> = values.iter().map(literal).collect();
                match *op {
                    "IN" => format!("{column} IN ({})", values.join(", ")),
                    op => format!("{column} {op} {}", values.join("")),
                }
            };
            let condition = filters.iter().map(condition).collect::<Vec<_>>().join(" AND ");
            let new = || Query::new(recording, "events").unwrap().columns(&["seq", "kind", "wall_time"]).unwrap();
            let mut query = new();
            for (column, op, values) in &filters {
                let op = match *op {
                    "=" => Op::Eq,
                    "<" => Op::Lt,
                    "<=" => Op::Le,
                    ">" => Op::Gt,
                    ">=" => Op::Ge,
                    _ => Op::In,
                };
                let filter = Filter { column: column.clone(), op, values: values.clone() };
                query = query.filter(filter).unwrap();
            }
            let sql = format!("SELECT {} FROM events t WHERE {condition}", columns_in_sql(&query));
            let expected = in_sql(recording, &sql);
            assert_eq!(read(&query), expected, "{condition}");
            assert_eq!(read(&new().condition(&condition).unwrap()), expected, "{condition}");
            // This is not a filter, but has the same result.
            let by_sql = format!("({condition}) AND 1 -- all");
            assert_eq!(read(&new().condition(&by_sql).unwrap()), expected, "{condition}");
        });
    }
}

#[test]
fn columns_that_are_equal_in_all_rows() {
    let (_dir, path) = recording();
    let recording = Recording::open(&path).unwrap();
    let query = Query::new(&recording, "events").unwrap().columns(&["run_id"]).unwrap();
    assert_eq!(read(&query), in_sql(&recording, "SELECT run_id FROM events"));
}

#[test]
fn invalid_queries_are_refused() {
    let (_dir, path) = recording();
    let recording = Recording::open(&path).unwrap();
    let message =
        |result: Result<Query<'_>, Error>| result.err().map(|error| error.to_string()).unwrap();
    let new = || Query::new(&recording, "events").unwrap();
    for (error, words) in [
        (message(Query::new(&recording, "evnts")), "no table evnts; did you mean events?"),
        (message(Query::new(&recording, "chunks")), "no table chunks"),
        (message(Query::new(&recording, "stack_at")), "needs arguments"),
        (message(new().columns(&["sek"])), "no column sek (did you mean seq?)"),
        (message(new().condition("sek = 1")), "no column sek"),
        (message(new().condition("wall_time = 1")), "filter by wall_ns"),
        (
            message(new().filter(Filter {
                column: "seq".into(),
                op: Op::Eq,
                values: vec![Value::Text("1".into())],
            })),
            "events.seq is compared with text, but holds integers",
        ),
        (
            message(new().filter(Filter {
                column: "kind".into(),
                op: Op::Like,
                values: vec![Value::Text("L%".into())],
            })),
            "patterns",
        ),
    ] {
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
    let wrong =
        new().condition("sek + 1 = 2").unwrap().read(&mut |_| Ok(())).unwrap_err().to_string();
    assert!(wrong.contains("no such column: sek"), "{wrong}");
}

#[test]
fn a_stream_is_read_back() {
    let (_dir, path) = recording();
    let recording = Recording::open(&path).unwrap();
    for table in exported_tables() {
        let query = Query::new(&recording, table.name).unwrap();
        let mut bytes = Vec::new();
        export::stream(&mut bytes, |sink| query.read(sink)).unwrap();
        let batches: Result<Vec<_>, _> = StreamReader::try_new(&*bytes, None).unwrap().collect();
        assert_eq!(rows(&batches.unwrap()), read(&query), "{}", table.name);
    }
}

#[test]
fn a_statement_has_the_types_of_its_values() {
    let (_dir, path) = recording();
    let recording = Recording::open(&path).unwrap();
    let read = |sql: &str| {
        let mut batches = Vec::new();
        let read = export::read_statement(&recording, sql, |_| Ok(()), &mut |batch| {
            batches.push(batch);
            Ok(())
        });
        read.map(|()| batches)
    };
    let sql = "SELECT 1 AS i, 2.5 AS r, 'x' AS t, x'00' AS b, NULL AS n, 3 AS m
               UNION ALL SELECT NULL, 2, NULL, NULL, NULL, 4.5";
    let batches = read(sql).unwrap();
    let types: Vec<_> =
        batches[0].schema().fields().iter().map(|f| f.data_type().clone()).collect();
    use DataType::{Binary, Float64, Int64, Null, Utf8};
    assert_eq!(types, [Int64, Float64, Utf8, Binary, Null, Float64]);
    assert_eq!(batches[0].num_rows(), 2);
    let empty = read("SELECT seq FROM events WHERE 0").unwrap();
    assert_eq!((empty.len(), empty[0].num_rows(), empty[0].num_columns()), (1, 0, 1));
    let large = read("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000) SELECT n FROM n").unwrap();
    let total: i64 = large
        .iter()
        .map(|b| b.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>())
        .sum();
    assert_eq!(total, 200_000 * 200_001 / 2);
    for (sql, words) in [
        (
            "SELECT 1 AS x UNION ALL SELECT 'a'",
            "column x has integers and text; choose one: cast(x as text)",
        ),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("DELETE FROM runs", "not a query"),
        (
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 70000)
             SELECT iif(n < 69000, NULL, n) AS late FROM n",
            "column late has NULL only at its beginning and integers",
        ),
    ] {
        let error = read(sql).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// All rows of a run's files of a table.
fn exported(dir: &Path, table: &str, uuid: &str) -> Vec<Vec<Sql>> {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&dir.join(table).join(format!("run={uuid}")), &mut found);
    let mut all = Vec::new();
    for path in found {
        let file = std::fs::File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let keys = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        assert!(
            keys.iter()
                .any(|k| k.key == "dashcam.layout_version" && k.value.as_deref() == Some("1"))
        );
        let batches: Result<Vec<_>, _> = reader.build().unwrap().collect();
        all.extend(rows(&batches.unwrap()));
    }
    all
}

#[test]
fn an_export_has_every_table_of_every_run() {
    let (dir, path) = recording();
    let out = dir.path().join("made/on the way");
    let recording = Recording::open(&path).unwrap();
    let layout = Layout::open(&out).unwrap();
    let options = Options { json_values: true, ..Options::default() };
    for run in 1..=2 {
        let done = layout.export(&recording, run, &options).unwrap();
        let bound = Recording::open(&path).unwrap();
        bound.bind(Some(run)).unwrap();
        let mut total = 0;
        for table in exported_tables() {
            let query = Query::new(&bound, table.name).unwrap();
            let mut columns = columns_in_sql(&query);
            for column in table.columns.iter().filter(|_| table.is_virtual) {
                if ["value", "arguments", "result", "key", "cause", "context"]
                    .contains(&column.name)
                {
                    columns.push_str(&format!(", value_json({})", column.name));
                }
            }
            let only =
                if table.name == "runs" { format!(" WHERE run_id = {run}") } else { String::new() };
            // Each process has its own files.
            let order = if table.is_virtual { " ORDER BY process_id" } else { "" };
            let sql = format!("SELECT {columns} FROM {} t{only}{order}", table.name);
            let expected = in_sql(&bound, &sql);
            total += expected.len() as u64;
            assert_eq!(
                exported(&out, table.name, &done.uuid),
                expected,
                "{} of run {run}",
                table.name
            );
        }
        assert_eq!(done.rows, Some(total));
    }
    let left: Vec<_> =
        out.join("_dashcam").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn only_what_is_new_is_exported() {
    let (dir, path) = recording();
    let out = dir.path().join("out");
    let rows = |run: i64, options: &Options| {
        let recording = Recording::open(&path).unwrap();
        Layout::open(&out).unwrap().export(&recording, run, options).unwrap().rows
    };
    let only = |tables: &[&str]| Options {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        ..Options::default()
    };
    assert_eq!(rows(2, &only(&["events", "runs"])), Some(59));
    assert_eq!(rows(2, &only(&["events"])), None);
    assert_eq!(rows(2, &only(&["events", "threads"])), Some(2));
    let with_json = Options { json_values: true, ..only(&["events"]) };
    assert_eq!(rows(2, &with_json), Some(58));
    assert_eq!(rows(2, &with_json), None);
    assert_eq!(rows(2, &Options { again: true, ..only(&["runs"]) }), Some(61));
    // If a run continues, all its exported tables are exported again.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE runs SET status = 'interrupted' WHERE run_id = 2", []).unwrap();
    assert_eq!(rows(2, &only(&["events"])), Some(61));
    assert_eq!(rows(2, &only(&["events"])), None);
    assert!(rows(1, &Options::default()) > Some(58 * 2));
    // An export that was killed while it moved its files.
    let uuid = Recording::open(&path).unwrap();
    let uuid: String = uuid
        .connection()
        .query_row("SELECT uuid FROM runs WHERE run_id = 2", [], |r| r.get(0))
        .unwrap();
    std::fs::remove_file(out.join(format!("_dashcam/runs/{uuid}.json"))).unwrap();
    std::fs::remove_dir_all(out.join(format!("events/run={uuid}"))).unwrap();
    assert_eq!(rows(2, &only(&["events"])), Some(58));
    assert_eq!(exported(&out, "events", &uuid).len(), 58);
}

#[test]
fn folders_that_are_not_exports_are_refused() {
    let (dir, path) = recording();
    let message = |path: &Path| Layout::open(path).err().map(|error| error.to_string()).unwrap();
    assert!(message(dir.path()).contains("not an export of dashcam and not empty"));
    assert!(message(&path).contains("x.db: "));
    let out = dir.path().join("out");
    Layout::open(&out).unwrap();
    let marker = out.join("_dashcam/layout.json");
    std::fs::write(&marker, "{\"layout_version\": 99}").unwrap();
    assert!(message(&out).contains("newer dashcam (layout 99, this one writes 1)"));
    std::fs::write(&marker, "{").unwrap();
    assert!(message(&out).contains("remove it and export again"));
}

/// In recordings from before UUIDs, the file lacks the column, or the row has NULL there.
#[test]
fn runs_of_older_recordings_have_uuids() {
    let (_dir, path) = recording();
    let uuids = |path: &Path| {
        let recording = Recording::open(path).unwrap();
        assert_eq!(recording.store().damage(), Vec::<String>::new());
        in_sql(&recording, "SELECT uuid FROM runs ORDER BY run_id")
    };
    let with_null = uuids(&path);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("ALTER TABLE runs DROP COLUMN uuid; PRAGMA user_version = 8").unwrap();
    drop(db);
    let without = uuids(&path);
    assert_eq!(with_null, without);
    let texts: Vec<&String> = without
        .iter()
        .map(|row| match &row[0] {
            Sql::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    // 2026-01-02T03:04:05Z, in milliseconds.
    assert!(texts.iter().all(|uuid| uuid.starts_with("019b7ca9-8c88-7")), "{texts:?}");
    assert_ne!(texts[0], texts[1]);
}

/// What a process does not share with its run. Files of older versions lack the columns.
#[test]
fn processes_of_older_recordings_have_what_the_run_has() {
    let (_dir, path) = recording();
    let db = rusqlite::Connection::open(&path).unwrap();
    support::hash_rows(&db);
    db.execute_batch("UPDATE processes SET own_capture = 'state' WHERE process_id = 2").unwrap();
    let captures = |path: &Path| {
        let recording = Recording::open(path).unwrap();
        assert_eq!(recording.store().damage(), Vec::<String>::new());
        let processes = &recording.store().directory().processes;
        let captures = [1, 2, 3].map(|process| processes[&process].captures);
        let query = Query::new(&recording, "processes").unwrap();
        let columns = query.schema().fields().len();
        let sql = "SELECT count(own_capture) FROM processes";
        let own = in_sql(&recording, sql);
        assert_eq!((read(&query).len(), read(&query)[0].len()), (3, columns));
        recording.bind(Some(1)).unwrap();
        in_sql(&recording, "SELECT count(own_events_by) FROM processes");
        (captures, own[0][0].clone())
    };
    assert_eq!(captures(&path), ([false, true, false], Sql::Integer(1)));
    db.execute_batch("UPDATE processes SET own_capture = NULL").unwrap();
    drop(db);
    let db = rusqlite::Connection::open(&path).unwrap();
    for column in dashcam_schema::tables::find("processes").unwrap().later_columns() {
        let sql = format!("ALTER TABLE processes DROP COLUMN {}", column.name);
        db.execute_batch(&sql).unwrap();
    }
    drop(db);
    assert_eq!(captures(&path), ([false; 3], Sql::Integer(0)));
}
