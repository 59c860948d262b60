//! Damage of every kind, done at random: to the file's bytes and, through SQL, to its rows. Nothing
//! may panic or hang. An answer that differs from the undamaged recording's comes with a message,
//! or `dashcam check` finds the damage.
//!
//! A few hundred cases are tried; with `DASHCAM_DAMAGE=long` in the environment, some thousands.

use dashcam_replayer::Recording as Opened;
use dashcam_tests::{Python, Recording, run, shell_status, text};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Its recording has several chunks of events and of values.
const PROGRAM: &str = "
import time
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
def add(points, n):
    points.append(Point(n, str(n) * 3))
    return len(points)
def fail(n):
    try:
        raise ValueError(n)
    except ValueError as error:
        return {'error': str(error), 'n': n}
def main():
    points, table = [], {}
    for part in range(4):
        for n in range(12):
            table[n] = add(points, n * part)
        table['failed'] = fail(part)
        time.sleep(0.3)
    return table
main()
";

const QUESTIONS: &[&str] = &[
    "select * from events",
    "select * from calls",
    "select * from exceptions",
    "select * from variables",
    "select * from mutations",
    "select e.seq, s.* from events e, stack_at(e.run_id, e.seq) s where e.seq % 13 = 0",
    "select e.seq, l.* from events e, locals_at(e.run_id, e.seq) l where e.seq % 7 = 0",
    "select v.seq, o.* from variables v, object_at(v.run_id, v.object_id, v.seq) o",
    "select * from runs",
    "select * from processes",
    "select * from threads",
    "select * from files",
    "select * from code_objects",
    "select * from event_counts",
    "select * from line_counts",
    "select * from branch_counts",
    "select * from function_totals",
    "select * from losses",
];

struct Sample {
    recording: Recording,
    bytes: Vec<u8>,
    answers: Vec<Answer>,
}

/// Rows as text, or an error.
type Answer = Result<String, String>;

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let python = Python::all().pop().unwrap();
    let recording = Recording::new(&python, ["--no-stdlib", "-c", PROGRAM]);
    let bytes = std::fs::read(&recording.db).unwrap();
    let (answers, messages) = ask_all(&recording.db);
    assert!(messages.is_empty(), "{messages:?}");
    answers.iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    Sample { recording, bytes, answers }
});

fn is_long() -> bool {
    std::env::var("DASHCAM_DAMAGE").is_ok_and(|size| size == "long")
}

/// Xorshift. The cases are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// The answers to all questions, and messages about damage. There are no answers if the recording
/// cannot be opened; the message then says why.
fn ask_all(path: &Path) -> (Vec<Answer>, Vec<String>) {
    let recording = match Opened::open(path) {
        Ok(recording) => recording,
        Err(error) => return (Vec::new(), vec![error.to_string()]),
    };
    let connection = recording.connection();
    let ask = |sql: &&str| -> Answer {
        let rows = || -> rusqlite::Result<String> {
            let mut statement = connection.prepare(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let mut text = String::new();
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    text += &format!("{:?} ", row.get_ref(column)?);
                }
                text.push('\n');
            }
            Ok(text)
        };
        rows().map_err(|error| error.to_string())
    };
    let answers = QUESTIONS.iter().map(ask).collect();
    (answers, recording.store().damage())
}

/// Counts the outcomes of all cases.
#[derive(Default, Debug)]
struct Tally {
    cases: usize,
    refused: usize,
    reported: usize,
    checked: usize,
    same: usize,
}

fn try_case(tally: &mut Tally, path: &Path, case: &str) {
    tally.cases += 1;
    let (sender, receiver) = channel();
    let damaged = path.to_owned();
    let thread = std::thread::spawn(move || {
        let answers = catch_unwind(AssertUnwindSafe(|| ask_all(&damaged)));
        let _ = sender.send(processor_time());
        answers
    });
    // Processor time of the thread itself: other processes may keep the machine busy.
    let used = receiver.recv_timeout(Duration::from_secs(120));
    assert!(used.is_ok_and(|used| used < Duration::from_secs(10)), "{case}: hangs ({used:?})");
    let Ok(Ok((answers, messages))) = thread.join() else { panic!("{case}: a panic") };
    if answers.is_empty() {
        assert!(messages[0].contains(path.to_str().unwrap()), "{case}: {messages:?}");
        tally.refused += 1;
        return;
    }
    let wrong: Vec<_> = answers
        .iter()
        .zip(&SAMPLE.answers)
        .zip(QUESTIONS)
        .filter(|((is, was), _)| is.is_ok() && is != was)
        .map(|(_, question)| *question)
        .collect();
    if wrong.is_empty() {
        tally.same += 1;
    } else if !messages.is_empty() {
        tally.reported += 1;
    } else {
        let check = run(SAMPLE.recording.python.dashcam().arg("check").arg(path));
        let found = text(&check.stdout) + &text(&check.stderr);
        assert_eq!(
            shell_status(&check),
            1,
            "{case}: {wrong:?} differ, and nothing says so: {found}"
        );
        tally.checked += 1;
    }
}

/// Returns the processor time that the calling thread has used.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes a timespec.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("damaged.db");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn truncations() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tally, mut random) = (Tally::default(), Random(7));
    for _ in 0..if is_long() { 300 } else { 20 } {
        let end = random.below(SAMPLE.bytes.len());
        let path = write(folder.path(), &SAMPLE.bytes[..end]);
        try_case(&mut tally, &path, &format!("cut at {end}"));
    }
    println!("truncations: {tally:?}");
}

#[test]
fn flips() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tally, mut random) = (Tally::default(), Random(11));
    for _ in 0..if is_long() { 5000 } else { 100 } {
        let (at, bit) = (random.below(SAMPLE.bytes.len()), random.below(8));
        let mut bytes = SAMPLE.bytes.clone();
        bytes[at] ^= 1 << bit;
        let path = write(folder.path(), &bytes);
        try_case(&mut tally, &path, &format!("bit {bit} of byte {at}"));
    }
    println!("flips: {tally:?}");
}

#[test]
fn edits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tally, mut random) = (Tally::default(), Random(13));
    let tables: Vec<_> =
        dashcam_schema::tables::TABLES.iter().filter(|table| !table.is_virtual).collect();
    let cases = if is_long() { 2000 } else { 60 };
    while tally.cases < cases {
        let path = write(folder.path(), &SAMPLE.bytes);
        let db = Connection::open(&path).unwrap();
        let table = tables[random.below(tables.len())];
        let count: i64 = db
            .query_row(&format!("select count(*) from {}", table.name), [], |row| row.get(0))
            .unwrap();
        let count = count as usize;
        if count == 0 {
            continue;
        }
        let key = match table.options {
            "WITHOUT ROWID" => {
                let names = table.constraint.trim_start_matches("PRIMARY KEY ");
                names.trim_matches(['(', ')']).to_owned()
            }
            _ => "rowid".to_owned(),
        };
        let name = table.name;
        let row = |at: usize| format!("(select {key} from {name} limit 1 offset {at})");
        let at = random.below(count);
        let column = table.columns[random.below(table.columns.len())].name;
        let of_row = format!("select {column} from {name} limit 1 offset {at}");
        let value: Value = db.query_row(&of_row, [], |row| row.get(0)).unwrap();
        let sql = match random.below(5) {
            0 => format!("delete from {name} where ({key}) = {}", row(at)),
            1 => {
                let other = random.below(count);
                format!(
                    "update or ignore {name} set {column} = (select {column} from {name} limit 1 \
                     offset {other}) where ({key}) = {}",
                    row(at)
                )
            }
            _ => format!("update or ignore {name} set {column} = ? where ({key}) = {}", row(at)),
        };
        let new = match value {
            Value::Null => Value::Integer(random.below(5) as i64),
            Value::Integer(value) => Value::Integer(value ^ 1 << random.below(12)),
            Value::Real(value) => Value::Real(value + 1.0),
            Value::Text(mut value) => {
                value.push('x');
                Value::Text(value)
            }
            Value::Blob(mut value) => {
                if value.is_empty() {
                    value.push(0);
                }
                let at = random.below(value.len());
                value[at] ^= 1 << random.below(8);
                Value::Blob(value)
            }
        };
        db.execute_batch("pragma foreign_keys = off").unwrap();
        let done = match sql.contains('?') {
            true => db.execute(&sql, [new]),
            false => db.execute(&sql, []),
        };
        drop(db);
        // The edit may have failed, for example because a column must not be NULL.
        if done.is_ok() {
            try_case(&mut tally, &path, &format!("{sql} (row {at})"));
        }
    }
    println!("edits: {tally:?}");
}

#[test]
fn chunks_in_each_others_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::default();
    for (table, id) in [("chunks", "chunk_id"), ("value_chunks", "value_chunk_id")] {
        let db = Connection::open(&SAMPLE.recording.db).unwrap();
        let mut ids = db.prepare(&format!("select {id} from {table}")).unwrap();
        let ids: Vec<i64> =
            ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(ids.len() > 2, "{table}: {ids:?}");
        for (one, other) in ids
            .iter()
            .flat_map(|one| ids.iter().map(move |other| (one, other)))
            .filter(|(a, b)| a < b)
        {
            for columns in [&["data"][..], &["data", "header_xxh3"]] {
                let path = write(folder.path(), &SAMPLE.bytes);
                let db = Connection::open(&path).unwrap();
                let set: Vec<String> = columns
                    .iter()
                    .map(|c| {
                        format!(
                            "{c} = (select o.{c} from {table} o
                                    where o.{id} = {one} + {other} - {table}.{id})"
                        )
                    })
                    .collect();
                let sql =
                    format!("update {table} set {} where {id} in ({one}, {other})", set.join(", "));
                assert_eq!(db.execute(&sql, []).unwrap(), 2);
                drop(db);
                try_case(&mut tally, &path, &format!("{table} {one} and {other}: {columns:?}"));
            }
        }
    }
    println!("swaps: {tally:?}");
    assert_eq!(tally.same, 0);
}
