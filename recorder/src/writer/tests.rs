//! Tests from words to the database: the tables must contain what a made-up program did.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::ring::{Clock as RingClock, Producer, create};
use dashcam_schema::EventKind;
use dashcam_schema::chunk::ValueStatistics;
use dashcam_schema::chunk::{self, Columns, DIRECT_EVENTS};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::{
    Definition, TAG_CODE, TAG_RUNNING, TAG_START_SUSPENDABLE, TAG_THREAD, TAG_WIDE_PLACE, word,
};
use dashcam_schema::value::words as values;
use dashcam_schema::value::{GroupKind, Value};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

#[path = "../../benches/stream/mod.rs"]
mod stream;
use stream::{FUNCTIONS, GENERATORS_FROM, Stream};

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dashcam-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn db(&self) -> PathBuf {
        self.0.join("x.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const COMPLETE: End = End {
    is_complete: true,
    exit_code: Some(0),
    exit_signal: None,
    refusal: None,
    others: 0,
    unrecorded: Vec::new(),
};

fn begin(folder: &Folder) -> (Recording, Producer) {
    let about = About { command: r#"["app.py"]"#.into(), cwd: "/".into(), code: None };
    let run = Run::begin(Database::open(&folder.db()).unwrap(), &about).unwrap();
    let (ring, _file) = create(1 << 16).unwrap();
    let recording = Recording::start(run, &about, ring, None, Clock::start()).unwrap();
    (recording, Producer::new(ring, RingClock::Monotonic))
}

/// Pushes words, cut anywhere. False if the consumer takes no more.
fn push(producer: &mut Producer, words: &[u32]) -> bool {
    for part in words.chunks(777) {
        let pause = || {
            std::thread::sleep(std::time::Duration::from_micros(20));
            Ok(20_000)
        };
        if producer.wait(part.len(), pause).is_err() {
            return false;
        }
        part.iter().for_each(|word| producer.put(*word));
        producer.publish();
    }
    true
}

fn record(words: &[u32]) -> (Folder, Connection, Summary) {
    let folder = Folder::new();
    let (recording, mut producer) = begin(&folder);
    push(&mut producer, words);
    let summary = recording.finish(COMPLETE).unwrap();
    let db = Connection::open(folder.db()).unwrap();
    (folder, db, summary)
}

fn numbers<const N: usize>(db: &Connection, sql: &str) -> Vec<[i64; N]> {
    let mut query = db.prepare(sql).unwrap();
    let rows = query.query_map([], |row| {
        let mut numbers = [0; N];
        for (i, number) in numbers.iter_mut().enumerate() {
            *number = row.get(i)?;
        }
        Ok(numbers)
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn text(db: &Connection, sql: &str) -> String {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Returns the first position and the columns of every chunk.
fn chunks(db: &Connection) -> Vec<(u64, Columns)> {
    let mut query = db.prepare("SELECT first_seq, data FROM chunks ORDER BY first_seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
    rows.unwrap()
        .map(|row| {
            let (first_seq, data) = row.unwrap();
            (first_seq as u64, chunk::open(&data).unwrap().columns().unwrap())
        })
        .collect()
}

fn stream() -> Stream {
    let mut stream = Stream::prologue();
    // Long after the run's beginning, which comes late on a slow or emulated machine.
    stream.set_clock(sys::monotonic_ns() + 100_000_000_000);
    stream
}

#[test]
fn a_program_is_in_the_tables() {
    let mut program = stream();
    program.calls(3 * DIRECT_EVENTS as u64);
    let (folder, db, summary) = record(&program.words);
    let total = program.len() as i64;
    assert_eq!((summary.run_id, summary.events as i64, summary.is_recorded), (1, total, true));
    assert!(summary.losses.is_empty(), "{:?}", summary.losses);
    assert_eq!(
        text(
            &db,
            "SELECT status || ' ' || events_by || ' ' || event_count || ' ' || lost_count || ' ' || exit_code || ' ' || python_version FROM runs"
        ),
        format!("complete direct {total} 0 0 3.13.0")
    );
    assert_eq!(text(&db, "SELECT name FROM threads"), "MainThread");
    assert_eq!(number(&db, "SELECT count(*) FROM code_objects"), i64::from(FUNCTIONS));
    assert_eq!(number(&db, "SELECT count(*) FROM files WHERE source IS NULL"), 7);

    // Events by kind, in the summary and in the chunks.
    let mut query = db.prepare("SELECT kind, sum(count) FROM event_counts GROUP BY 1").unwrap();
    let mut counted = std::collections::BTreeMap::new();
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).unwrap() {
        let (name, count): (String, i64) = row.unwrap();
        counted.insert(EventKind::from_name(&name).unwrap().number(), count as u64);
    }
    assert_eq!(counted, program.events);
    let chunks = chunks(&db);
    let mut next = 1;
    let mut found = std::collections::BTreeMap::new();
    for (first_seq, columns) in &chunks {
        assert_eq!(*first_seq, next);
        next += columns.kinds.len() as u64;
        columns.kinds.iter().for_each(|kind| *found.entry(*kind).or_insert(0) += 1);
    }
    assert_eq!(found, program.events);
    let mut ordinals = vec![0];
    for (_, columns) in &chunks {
        let kinds = columns.kinds.iter().filter_map(|kind| EventKind::from_number(*kind));
        let count = kinds.filter(|kind| kind.has_ordinal()).count() as i64;
        ordinals.push(ordinals[ordinals.len() - 1] + count);
    }
    ordinals.pop();
    let stored = numbers::<1>(&db, "SELECT first_ordinal FROM chunks ORDER BY first_seq");
    assert_eq!(stored.concat(), ordinals);
    let lines = number(&db, "SELECT sum(count) FROM line_counts") as u64;
    assert_eq!(lines, program.events[&EventKind::LINE.number()]);
    let branches = number(&db, "SELECT sum(taken + not_taken) FROM branch_counts") as u64;
    assert_eq!(branches, program.events[&EventKind::BRANCH.number()]);
    assert_eq!(
        number(&db, "SELECT count(*) FROM branch_counts WHERE line % 20 <> (1 + offset / 8) % 20"),
        0
    );
    let calls: u64 = program.calls.values().sum();
    assert_eq!(number(&db, "SELECT sum(calls) FROM function_totals") as u64, calls);
    // The functions' own times add up to at most the whole time.
    let spans = numbers::<2>(&db, "SELECT min(first_ns), max(last_ns) FROM chunks")[0];
    let own = number(&db, "SELECT sum(self_ns) FROM function_totals");
    assert!(own <= spans[1] - spans[0] && own > 0);
    let mode = std::fs::metadata(folder.db()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The last connection to be closed leaves no other file beside the database.
    drop(query);
    drop(db);
    assert!(!folder.0.join("x.db-wal").exists());
}

/// The call stacks of each chunk by itself report the same as those of the whole recording.
#[test]
fn chunks_begin_with_the_state_the_ones_before_leave() {
    use dashcam_schema::calls::{Calls, Event, Exit, OpenCall, OpenException, Sink};
    #[derive(Default, PartialEq, Debug)]
    struct Ends(Vec<(OpenCall, u64, Exit)>, u64);
    impl Sink for Ends {
        fn call(&mut self, call: &OpenCall, end_seq: u64, _: u64, exit: Exit) {
            // Only the recorder knows the addresses of frames.
            self.0.push((OpenCall { frame: 0, ..call.clone() }, end_seq, exit));
        }
        fn exception(&mut self, _: &OpenException) {
            self.1 += 1;
        }
        fn desync(&mut self, seq: u64, _: u64) {
            panic!("the stack does not fit the event at {seq}");
        }
    }
    fn play(calls: &mut Calls, first_seq: u64, columns: &Columns, ends: &mut Ends) {
        let mut times = columns.times.iter();
        let mut exceptions = columns.exceptions.iter();
        let mut resumed = columns.resumed.iter();
        let mut time_ns = columns.first_ns;
        let mut index = 0;
        for run in &columns.runs {
            let context = columns.contexts[run.context as usize];
            calls.set_thread(context.thread);
            for _ in 0..run.events {
                let kind = EventKind::from_number(columns.kinds[index]).unwrap();
                if kind.is_timed() {
                    time_ns += times.next().unwrap();
                }
                let event = Event {
                    seq: first_seq + index as u64,
                    time_ns,
                    kind,
                    place: columns.places[index],
                    code: context.code,
                    exception: if kind.has_exception() { *exceptions.next().unwrap() } else { 0 },
                    resumed: if kind.resumes() { *resumed.next().unwrap() } else { 0 },
                    frame: 0,
                };
                calls.apply(&event, ends);
                index += 1;
            }
        }
    }

    let mut program = stream();
    program.define(&Definition::Thread { number: 7, native_id: 70 });
    for i in 0..30 {
        program.words.push(word(TAG_THREAD, [0, 7][i % 2]));
        program.calls(20_000);
    }
    let (_folder, db, _) = record(&program.words);
    let (mut all, mut alone) = (Ends::default(), Ends::default());
    let mut going_on = Calls::default();
    for (first_seq, columns) in &chunks(&db) {
        play(&mut going_on, *first_seq, columns, &mut all);
        let state = columns.state.clone();
        let mut fresh = Calls::resume_from(state.stacks, state.suspended);
        play(&mut fresh, *first_seq, columns, &mut alone);
    }
    assert_eq!(all, alone);
    let calls: u64 = program.calls.values().sum();
    assert_eq!(all.0.len() as u64, calls);
}

#[test]
fn generators_keep_their_call_across_chunks_and_lose_it_with_their_frame() {
    let generator = GENERATORS_FROM;
    let mut program = stream();
    let start = [word(TAG_START_SUSPENDABLE, 0), 1, 0xf00, 0];
    program.enter(generator);
    program.words.extend(start);
    program.event(EventKind::PY_YIELD, 3, &[1]);
    program.enter(1);
    for _ in 0..DIRECT_EVENTS {
        program.event(EventKind::INSTRUCTION, 4, &[]);
    }
    program.enter(generator);
    program.event(EventKind::PY_RESUME, 3, &[1, 0xf00, 0]);
    program.event(EventKind::PY_YIELD, 3, &[1]);
    // The generator is dropped unfinished; another one begins in its frame.
    program.words.extend(start);
    program.event(EventKind::PY_YIELD, 3, &[1]);
    program.event(EventKind::PY_RESUME, 3, &[1, 0xf00, 0]);
    program.event(EventKind::PY_RETURN, 5, &[1]);
    // An unknown frame.
    program.event(EventKind::PY_RESUME, 3, &[1, 0xbad, 0]);
    program.event(EventKind::PY_YIELD, 3, &[1]);
    program.event(EventKind::PY_RESUME, 3, &[1, 0xbad, 0]);
    program.event(EventKind::PY_RETURN, 5, &[1]);
    let (_folder, db, _) = record(&program.words);
    let chunks = chunks(&db);
    let resumed: Vec<u64> = chunks.iter().flat_map(|(_, c)| c.resumed.clone()).collect();
    let n = DIRECT_EVENTS as u64;
    assert_eq!(resumed, [1, n + 5, 0, n + 9]);
    let carried: Vec<u64> =
        chunks[1..].iter().flat_map(|(_, c)| &c.state.suspended).map(|c| c.call_id).collect();
    assert_eq!(carried, [1]);
}

#[test]
fn calls_that_were_running_already_have_ids_of_their_own() {
    let mut program = stream();
    for (code, place) in [(0, 5), (GENERATORS_FROM, 6), (2, 7)] {
        program.words.extend([word(TAG_RUNNING, place), code, 0x100 * code, 0]);
    }
    program.enter(2);
    program.event(EventKind::INSTRUCTION, 8, &[]);
    program.event(EventKind::PY_RETURN, 9, &[1]);
    program.enter(GENERATORS_FROM);
    program.event(EventKind::PY_YIELD, 9, &[1]);
    program.event(EventKind::PY_RESUME, 9, &[1, 0x100 * GENERATORS_FROM, 0]);
    let (_folder, db, _) = record(&program.words);
    let chunks = chunks(&db);
    let (first_seq, columns) = &chunks[0];
    assert_eq!(*first_seq, 4);
    let stack = &columns.state.stacks[0].calls;
    let ids: Vec<(u64, u64, u32)> = stack.iter().map(|c| (c.call_id, c.parent, c.depth)).collect();
    assert_eq!(ids, [(1, 0, 0), (2, 1, 1), (3, 2, 2)]);
    assert_eq!(stack[2].called_from.unwrap().place, 6);
    assert_eq!(columns.resumed, [2]);
}

#[test]
fn wide_places_and_kinds_of_a_later_python_pass() {
    let mut program = stream();
    program.define(&Definition::Kind { number: 19, name: "PY_TELEPORT".into() });
    program.enter(3);
    let place = 1 << 30;
    program.words.extend([word(TAG_WIDE_PLACE, 0), place, word(EventKind::LINE.number(), 0)]);
    program.words.extend([
        word(TAG_WIDE_PLACE, 0),
        place,
        word(EventKind::BRANCH.number(), 0),
        place + 9,
    ]);
    program.words.extend([word(19, 4), 0]);
    let (_folder, db, _) = record(&program.words);
    let (_, columns) = &chunks(&db)[0];
    assert_eq!(columns.kinds, [13, 15, 19]);
    assert_eq!(columns.places, [place, place, 4]);
    assert_eq!(numbers::<2>(&db, "SELECT line, count FROM line_counts"), [[place.into(), 1]]);
    assert_eq!(
        numbers::<3>(&db, "SELECT offset, taken, not_taken FROM branch_counts"),
        [[2 * i64::from(place), 1, 0]]
    );
    assert_eq!(number(&db, "SELECT count FROM event_counts WHERE kind = 'PY_TELEPORT'"), 1);
}

#[test]
fn a_bad_record_ends_the_recording_there() {
    let line = word(EventKind::LINE.number(), 1);
    let bad: &[&[u32]] = &[
        &[word(63, 0)],
        &[word(TAG_CODE, FUNCTIONS), line],
        &[word(TAG_THREAD, 5), line],
        &[word(EventKind::CALL.number(), 0), 1, 1_000_000],
        &[word(EventKind::RAISE.number(), 0), 1_000_000],
        &[word(EventKind::LINE.number() + 10, 0), 0],
        &[word(TAG_WIDE_PLACE, 0), 1, word(TAG_THREAD, 0)],
        &[word(dashcam_schema::record::TAG_DEFINE, 2), 3, u32::MAX],
        &[word(dashcam_schema::record::TAG_DEFINE, 0)],
        &[word(EventKind::PY_RETURN.number(), dashcam_schema::record::SAYS_NONE), 1],
    ];
    for bad in bad {
        let mut program = stream();
        program.enter(1);
        program.event(EventKind::LINE, 21, &[]);
        program.words.extend(*bad);
        program.words.extend([line; 8]);
        let (_folder, db, summary) = record(&program.words);
        assert_eq!(summary.events, 1, "{bad:?}");
        assert_eq!(
            text(&db, "SELECT kind || ' ' || count || ' ' || first_seq FROM losses"),
            "bad_record 1 2",
            "{bad:?}"
        );
        assert_eq!(summary.losses.len(), 1);
    }
    // An event before any record of a thread or code object.
    let (_folder, _db, summary) = record(&[line]);
    assert_eq!((summary.events, summary.losses.len()), (0, 1));
}

#[test]
fn random_words_do_no_harm() {
    let mut seed = 12345u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u32
    };
    for _ in 0..40 {
        let mut program = stream();
        program.enter(1);
        // Tags that exist, payloads that mostly do.
        for _ in 0..2000 {
            let payload = if random() % 8 == 0 { random() } else { random() % 50 };
            program.words.push(word((random() % 40) as u8, payload));
        }
        let (_folder, db, summary) = record(&program.words);
        assert_eq!(number(&db, "SELECT event_count FROM runs") as u64, summary.events);
        let in_chunks: usize = chunks(&db).iter().map(|(_, c)| c.kinds.len()).sum();
        assert_eq!(in_chunks as u64, summary.events);
    }
}

#[test]
fn a_flush_is_visible_to_others_while_recording() {
    let folder = Folder::new();
    let (recording, mut producer) = begin(&folder);
    let mut program = stream();
    program.calls(1000);
    push(&mut producer, &program.words);
    recording.flush();
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(number(&db, "SELECT event_count FROM runs") as u64, program.len());
    assert_eq!(text(&db, "SELECT status FROM runs"), "recording");
    let counted = number(&db, "SELECT sum(count) FROM event_counts") as u64;
    assert_eq!(counted, program.len());
    let end = End { exit_signal: Some(9), ..End::default() };
    recording.finish(end).unwrap();
    assert_eq!(text(&db, "SELECT status || exit_signal FROM runs"), "interrupted9");
}

#[test]
fn a_full_disk_ends_the_recording_and_is_counted() {
    let folder = Folder::new();
    let about = About { command: "[]".into(), cwd: "/".into(), code: None };
    let run = Run::begin(Database::open(&folder.db()).unwrap(), &about).unwrap();
    let pages = number(&run.database.connection, "PRAGMA page_count");
    run.database.connection.pragma_update(None, "max_page_count", pages + 20).unwrap();
    let (ring, _file) = create(1 << 16).unwrap();
    let recording = Recording::start(run, &about, ring, None, Clock::start()).unwrap();
    let mut producer = Producer::new(ring, RingClock::Monotonic);
    let mut program = stream();
    program.calls(DIRECT_EVENTS as u64);
    let mut turns = 0;
    while push(&mut producer, &program.words) {
        program.words.clear();
        program.calls(DIRECT_EVENTS as u64);
        turns += 1;
        assert!(turns < 1000, "recording goes on");
    }
    let summary = recording.finish(COMPLETE).unwrap();
    assert_eq!(summary.losses.len(), 1);
    let db = Connection::open(folder.db()).unwrap();
    let kind = "SELECT group_concat(kind) FROM losses WHERE severity <> 'info'";
    assert_eq!(text(&db, kind), LossKind::StoreFailed.name());
    assert_eq!(text(&db, "SELECT status FROM runs"), "interrupted");
}

#[test]
fn runs_share_a_file_and_abandoned_ones_leave_nothing() {
    let folder = Folder::new();
    let about = About { command: "[]".into(), cwd: "/".into(), code: None };
    Run::begin(Database::open(&folder.db()).unwrap(), &about).unwrap().abandon();
    assert!(!folder.db().exists());
    let (first, mut producer) = begin(&folder);
    let (second, _) = begin(&folder);
    let mut program = stream();
    program.calls(1000);
    push(&mut producer, &program.words);
    assert_eq!(first.finish(COMPLETE).unwrap().run_id, 1);
    second.abandon();
    let third = Run::begin(Database::open(&folder.db()).unwrap(), &about).unwrap();
    assert!(third.run_id > 1);
    third.abandon();
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM runs"), 1);
    assert_eq!(number(&db, "SELECT count(*) FROM processes"), 1);
}

/// Begins a recording with a second ring for values.
fn begin_with_values(folder: &Folder) -> (Recording, Producer, Producer) {
    let about = About { command: "[]".into(), cwd: "/".into(), code: None };
    let run = Run::begin(Database::open(&folder.db()).unwrap(), &about).unwrap();
    let (ring, values) = (Ring::on_heap(1 << 16), Ring::on_heap(1 << 16));
    let recording = Recording::start(run, &about, ring, Some(values), Clock::start()).unwrap();
    let producer = |ring| Producer::new(ring, RingClock::Monotonic);
    (recording, producer(ring), producer(values))
}

/// Publishes one value of one event, and the description of the object it refers to.
fn put_value(producer: &mut Producer, ordinal: u64) {
    let pause = || {
        std::thread::sleep(std::time::Duration::from_micros(20));
        Ok(20_000)
    };
    producer.wait(16, pause).unwrap();
    let address = 0x1000 + ordinal as u32 % 64 * 16;
    let mut words = producer.begin();
    let group = [word(values::GROUP, 1), ordinal as u32, 1, word(values::REFERENCE, 0), address];
    let object = [word(values::OBJECT, 0), address, 0, 1];
    let item = [word(values::ITEMS, 1), 1, 0, word(values::SMALL_INT, ordinal as u32)];
    group.into_iter().chain(object).chain(item).for_each(|word| words.put(word));
    producer.end(words);
}

/// The value of the item that the object of [`put_value`] holds.
fn small(ordinal: u64) -> i64 {
    i64::from(((ordinal as u32) << 6).cast_signed() >> 6)
}

/// Publishes an epoch, as a shim does when it is asked to.
fn put_epoch(producer: &mut Producer, ordinal: u64) {
    producer.wait(16, || Ok(0)).unwrap();
    let mut words = producer.begin();
    let epoch = [word(values::EPOCH, 0), ordinal as u32, (ordinal >> 32) as u32];
    let class = [word(values::CLASS, 0), 6, 4, u32::from_le_bytes(*b"list")];
    epoch.into_iter().chain(class).for_each(|word| words.put(word));
    producer.end(words);
}

/// Returns first ordinal, last ordinal and number of groups of every chunk of values. Checks the
/// hashes of their rows.
fn value_chunks(db: &Connection) -> Vec<[i64; 3]> {
    let sql = "SELECT run_id, process_id, first_ordinal, last_ordinal, group_count, row_xxh3, told,
                      number, covers_from, covers_to, header_xxh3, data
               FROM value_chunks ORDER BY number";
    let mut query = db.prepare(sql).unwrap();
    let (mut number, mut covered) = (0, 0);
    let rows = query.query_map([], |row| {
        let told: Vec<u8> = row.get(6)?;
        let statistics = ValueStatistics {
            run_id: row.get(0)?,
            process_id: row.get(1)?,
            number: row.get(7)?,
            covers_from: row.get(8)?,
            covers_to: row.get(9)?,
            first_ordinal: row.get(2)?,
            last_ordinal: row.get(3)?,
            group_count: row.get(4)?,
            header_xxh3: row.get(10)?,
            told: &told,
        };
        assert_eq!(statistics.xxh3(), row.get::<_, i64>(5)?);
        assert_eq!(statistics.header_xxh3, chunk::header_xxh3(&row.get::<_, Vec<u8>>(11)?));
        // The chunks cover all ordinals, without gaps.
        assert_eq!((statistics.number, statistics.covers_from), (number, covered));
        assert!(statistics.covers_from <= statistics.first_ordinal);
        assert!(statistics.last_ordinal <= statistics.covers_to);
        (number, covered) = (number + 1, statistics.covers_to);
        Ok([statistics.first_ordinal, statistics.last_ordinal, statistics.group_count])
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn values_are_stored_beside_events_epoch_by_epoch() {
    const GROUPS: u64 = 200_000;
    let folder = Folder::new();
    let (recording, mut events, mut values) = begin_with_values(&folder);
    let mut program = stream();
    program.calls(1000);
    push(&mut events, &program.words);
    // The ordinals begin beyond 32 bits.
    let first = (1 << 33) - 5;
    let mut epoch = values.wanted_epoch();
    let mut begins = vec![first as i64];
    put_epoch(&mut values, first);
    for ordinal in first..first + GROUPS {
        // An epoch is asked for when a chunk is old, which on a fast machine is after all groups.
        let mut waits = if ordinal == first + GROUPS / 2 && begins.len() == 1 { 1000 } else { 0 };
        while waits > 0 && values.wanted_epoch() == epoch {
            std::thread::sleep(std::time::Duration::from_millis(10));
            waits -= 1;
        }
        if values.wanted_epoch() != epoch {
            epoch = values.wanted_epoch();
            begins.push(ordinal as i64);
            put_epoch(&mut values, ordinal);
        }
        put_value(&mut values, ordinal);
    }
    let summary = recording.finish(COMPLETE).unwrap();
    assert!(summary.losses.is_empty(), "{:?}", summary.losses);
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(summary.events, program.len());
    let chunks = value_chunks(&db);
    assert!(chunks.len() > 1, "an epoch is asked for");
    assert_eq!(chunks.iter().map(|[first, ..]| *first).collect::<Vec<_>>(), begins);
    assert!(chunks.windows(2).all(|pair| pair[0][1] + 1 == pair[1][0]));
    assert!(chunks.iter().all(|[first, last, groups]| last - first + 1 == *groups));
    assert_eq!(chunks[chunks.len() - 1][1] as u64, first + GROUPS - 1);
    let data: Vec<u8> = db
        .query_row("SELECT data FROM value_chunks LIMIT 1 OFFSET 1", [], |row| row.get(0))
        .unwrap();
    let chunk = dashcam_schema::value::chunk::Values::open(&data).unwrap();
    let ordinal = chunks[1][1] as u64;
    let group = chunk.group(ordinal, GroupKind::Result).unwrap();
    let [Value::Object(id)] = *group.values else { panic!("{group:?}") };
    assert!((1..=64).contains(&id), "{id}");
    let at = chunk.moment(chunk.groups_of(ordinal).end);
    let held = chunk.object(id, at).unwrap().items.unwrap();
    assert_eq!((held.kept, held.length), (vec![Value::Int(small(ordinal))], 1));
    // At least the producer of values had to wait.
    let waited = text(&db, "SELECT detail FROM losses WHERE kind = 'waited'");
    assert!(waited.contains("for room for values"), "{waited}");
}

/// Chunks are sealed nevertheless, and can be read.
#[test]
fn a_shim_that_begins_no_epoch_does_not_take_all_memory() {
    const GROUPS: u64 = 7 << 19;
    let folder = Folder::new();
    let (recording, _events, mut values) = begin_with_values(&folder);
    let words: Vec<u32> =
        (0..GROUPS as u32).flat_map(|ordinal| [word(values::GROUP, 0), ordinal, 0]).collect();
    for words in words.chunks(3 * 1000) {
        push(&mut values, words);
    }
    let summary = recording.finish(COMPLETE).unwrap();
    assert!(summary.losses.is_empty(), "{:?}", summary.losses);
    let db = Connection::open(folder.db()).unwrap();
    let chunks = value_chunks(&db);
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks.iter().map(|chunk| chunk[2]).sum::<i64>() as u64, GROUPS);
    let mut query = db.prepare("SELECT data FROM value_chunks").unwrap();
    let data = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    data.for_each(|data| {
        dashcam_schema::value::chunk::Values::open(&data.unwrap()).unwrap();
    });
}

#[test]
fn a_flush_takes_values_along() {
    let folder = Folder::new();
    let (recording, _events, mut values) = begin_with_values(&folder);
    put_epoch(&mut values, 0);
    (0..10).for_each(|ordinal| put_value(&mut values, ordinal));
    recording.flush();
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(value_chunks(&db), [[0, 9, 10]]);
    assert!(values.wanted_epoch() > 0);
    // The program is killed: the values that it published are stored.
    (10..20).for_each(|ordinal| put_value(&mut values, ordinal));
    let end = End { exit_signal: Some(9), ..End::default() };
    recording.finish(end).unwrap();
    assert_eq!(value_chunks(&db), [[0, 9, 10], [10, 19, 10]]);
}

fn covers_to(db: &Connection) -> i64 {
    number(db, "SELECT covers_to FROM processes")
}

#[test]
fn values_cover_events_as_far_as_they_were_read() {
    let folder = Folder::new();
    let (recording, mut events, mut values) = begin_with_values(&folder);
    put_epoch(&mut values, 0);
    let mut program = stream();
    program.calls(5000);
    push(&mut events, &program.words);
    // The events have no values, so coverage extends to all stored events.
    recording.flush();
    let db = Connection::open(folder.db()).unwrap();
    let mask = dashcam_schema::event::kinds_that(EventKind::has_ordinal);
    let counted = program.events.iter().filter(|(kind, _)| mask >> **kind & 1 == 1);
    let with_ordinals = counted.map(|(_, count)| *count as i64).sum::<i64>();
    assert_eq!(covers_to(&db), with_ordinals);
    assert_eq!(number(&db, "SELECT value_chunk_count FROM processes"), 0);
    recording.finish(COMPLETE).unwrap();
    assert_eq!(covers_to(&db), with_ordinals + 1);
}

/// The values of a program that records no more values can be read nevertheless.
#[test]
fn values_are_stored_though_no_epoch_begins() {
    let folder = Folder::new();
    let (recording, _events, mut values) = begin_with_values(&folder);
    put_epoch(&mut values, 0);
    put_value(&mut values, 0);
    let db = Connection::open(folder.db()).unwrap();
    let begun = std::time::Instant::now();
    while value_chunks(&db).is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "nothing is stored");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(value_chunks(&db), [[0, 0, 1]]);
    recording.finish(COMPLETE).unwrap();
}

/// Every row of an ordinary table has its hash, whatever statement wrote it last.
#[test]
fn rows_have_their_hashes() {
    let mut program = stream();
    program.calls(3 * DIRECT_EVENTS as u64);
    let (_folder, db, _) = record(&program.words);
    for table in dashcam_schema::tables::TABLES.iter().filter(|t| !t.hashed_columns().is_empty()) {
        let columns = table.hashed_columns().iter().chain(table.later_columns());
        let names: Vec<&str> = columns.map(|c| c.name).collect();
        let sql = format!("SELECT {}, row_xxh3 FROM {}", names.join(", "), table.name);
        let mut query = db.prepare(&sql).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut hash = dashcam_schema::tables::RowHash::default();
            let is_null = |at: &usize| row.get_ref(*at).unwrap() == rusqlite::types::ValueRef::Null;
            let nulls = (table.hashed_columns().len()..names.len()).rev().take_while(is_null);
            for at in 0..names.len() - nulls.count() {
                match row.get_ref(at).unwrap() {
                    rusqlite::types::ValueRef::Null => hash.null(),
                    rusqlite::types::ValueRef::Integer(value) => hash.integer(value),
                    rusqlite::types::ValueRef::Real(value) => hash.real(value),
                    rusqlite::types::ValueRef::Text(value) => hash.text(value),
                    rusqlite::types::ValueRef::Blob(value) => hash.blob(value),
                }
            }
            assert_eq!(hash.finish(), row.get::<_, i64>(names.len()).unwrap(), "{}", table.name);
        }
    }
    let counts = text(&db, "SELECT row_counts FROM runs");
    assert!(counts.contains("\"threads\":1"), "{counts}");
}

/// A file of an earlier dashcam with this version of the format gets the columns of processes.
#[test]
fn an_older_file_of_this_version_gets_the_columns_it_lacks() {
    let folder = Folder::new();
    drop(Database::open(&folder.db()).unwrap());
    let db = Connection::open(folder.db()).unwrap();
    let later = dashcam_schema::tables::find("processes").unwrap().later_columns();
    for column in later {
        let sql = format!("ALTER TABLE processes DROP COLUMN {}", column.name);
        db.execute_batch(&sql).unwrap();
    }
    let (recording, mut producer) = begin(&folder);
    let mut program = stream();
    program.calls(100);
    push(&mut producer, &program.words);
    recording.finish(COMPLETE).unwrap();
    assert_eq!(number(&db, "SELECT event_count FROM runs") as u64, program.len());
    let columns = "SELECT count(*) FROM pragma_table_info('processes') WHERE name LIKE 'own_%'";
    assert_eq!(number(&db, columns), later.len() as i64);
}

/// A file of version 8, whose runs have no UUID, becomes a file of this version when more is
/// recorded into it. Existing rows and their hashes do not change.
#[test]
fn an_older_file_gets_the_columns_it_lacks() {
    let folder = Folder::new();
    let path = folder.0.join("old.db");
    drop(Database::open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "ALTER TABLE runs DROP COLUMN uuid; PRAGMA user_version = 8;
         INSERT INTO runs (run_id, started_at, status, command, cwd, hostname, capture, events_by,
             dashcam_version, row_xxh3)
         VALUES (1, '2026-01-02T03:04:05.678Z', 'complete', '[]', '/', 'h', 'flow', 'direct', '0.1.0', 7)",
    )
    .unwrap();
    drop(db);
    for _ in 0..2 {
        drop(Database::open(&path).unwrap());
        let db = Connection::open(&path).unwrap();
        let row = db.query_row(
            "SELECT uuid, row_xxh3, user_version FROM runs, pragma_user_version",
            [],
            |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, row.get::<_, i32>(2)?))
            },
        );
        assert_eq!(row.unwrap(), (None, 7, dashcam_schema::version::FORMAT_VERSION));
    }
}

#[test]
fn a_bad_value_ends_the_capture_and_events_go_on() {
    let folder = Folder::new();
    let (recording, mut events, mut values) = begin_with_values(&folder);
    put_epoch(&mut values, 0);
    put_value(&mut values, 7);
    push(&mut values, &[word(values::ATTRIBUTES, 0)]);
    while values.wait(1 << 16, || Ok(0)).is_ok() {
        push(&mut values, &[word(values::EPOCH, 0); 999]);
    }
    recording.flush();
    let mut program = stream();
    program.calls(1000);
    push(&mut events, &program.words);
    let summary = recording.finish(COMPLETE).unwrap();
    assert_eq!((summary.events, summary.losses.len()), (program.len(), 1));
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(value_chunks(&db), [[7, 7, 1]]);
    assert_eq!(covers_to(&db), 7);
    assert_eq!(text(&db, "SELECT kind || ' ' || count FROM losses"), "bad_value 1");
    assert_eq!(text(&db, "SELECT status FROM runs"), "complete");
}

#[test]
fn an_abandoned_run_leaves_no_values() {
    let folder = Folder::new();
    let (recording, _events, _values) = begin_with_values(&folder);
    recording.abandon();
    assert!(!folder.db().exists());
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = Folder::new();
    let refuse = |path: &PathBuf, word: &str| {
        let before = std::fs::read(path).ok();
        let error = Database::open(path).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains(&*path.to_string_lossy()), "{error}");
        assert!(!error.contains('\n'));
        assert_eq!(std::fs::read(path).ok(), before);
    };
    let notes = folder.0.join("notes.txt");
    std::fs::write(&notes, "important\n".repeat(300)).unwrap();
    refuse(&notes, "not a dashcam recording");
    let foreign = folder.0.join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    refuse(&foreign, "not a dashcam recording");
    let newer = folder.0.join("newer.db");
    drop(Database::open(&newer).unwrap());
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refuse(&newer, "99");
    refuse(&folder.0, "directory");
    refuse(&folder.0.join("no/such/folder/x.db"), "no such file");
}

fn join(joiner: &Joiner, parent: u32, pid: u32) -> (ProcessRecording, Producer) {
    let command = format!(r#"["child", "{pid}"]"#);
    let process = NewProcess { parent, pid, command, cwd: "/".into(), code: None };
    let ring = Ring::on_heap(1 << 16);
    let recording = joiner.join(process, ring.into(), None).unwrap();
    (recording, Producer::new(ring, RingClock::Monotonic))
}

fn exited(code: i32) -> ProcessEnd {
    ProcessEnd { exit_code: Some(code), ..ProcessEnd::default() }
}

/// The interpreter's definition, as the words of a stream.
fn interpreter(version: &str, pid: u32) -> Vec<u32> {
    let mut stream = Stream::default();
    stream.define(&Definition::Interpreter {
        version: version.into(),
        platform: "linux x86_64".into(),
        stdlib: "/lib/python3.13".into(),
        pid,
        magic: 3571,
        mode: Default::default(),
        capture: dashcam_schema::value::Capture::Flow,
        quirks: Vec::new(),
    });
    stream.words
}

#[test]
fn processes_of_a_run_share_its_tables() {
    let folder = Folder::new();
    let (recording, mut first) = begin(&folder);
    let joiner = recording.joiner();
    // From another thread than that of the recording.
    let joined = std::thread::spawn(move || join(&joiner, 0, 77)).join();
    let (child, mut second) = joined.unwrap();
    assert_eq!(child.slot(), 1);
    let mut programs = [stream(), stream()];
    for program in &mut programs {
        program.calls(2 * DIRECT_EVENTS as u64);
    }
    // Turn by turn.
    let [mut one, mut two] = [0, 1].map(|i| programs[i].words.chunks(50_000));
    loop {
        let words = (one.next(), two.next());
        push(&mut first, words.0.unwrap_or_default());
        push(&mut second, words.1.unwrap_or_default());
        if words == (None, None) {
            break;
        }
    }
    child.flush();
    let db = Connection::open(folder.db()).unwrap();
    let of_child = "(SELECT process_id FROM processes WHERE parent_process_id IS NOT NULL)";
    let stored = format!("SELECT sum(event_count) FROM chunks WHERE process_id = {of_child}");
    assert_eq!(number(&db, &stored) as u64, programs[1].len());
    child.finish(ProcessEnd { exit_signal: Some(15), ..ProcessEnd::default() });
    let summary = recording.finish(COMPLETE).unwrap();
    let total = programs[0].len() + programs[1].len();
    assert_eq!((summary.events, summary.losses), (total, Vec::new()));

    // Positions of the two do not overlap.
    let mut next = [1, chunk::SEQ_PER_PROCESS as i64 + 1];
    let rows =
        "SELECT process_id, first_seq, event_count FROM chunks ORDER BY process_id, first_seq";
    for [process, first_seq, events] in numbers::<3>(&db, rows) {
        let next = &mut next[process as usize - 1];
        assert_eq!(first_seq, *next);
        *next += events;
    }
    // Calls have ids beyond 32 bits.
    let (_, columns) = &chunks(&db)[chunks(&db).len() - 1];
    let large = columns.resumed.iter().filter(|call| **call != 0);
    assert!(large.clone().count() > 0);
    assert!(large.clone().all(|call| *call > chunk::SEQ_PER_PROCESS));

    let ids = "SELECT process_id, coalesce(parent_process_id, 0), coalesce(exit_code, -1),
                      coalesce(exit_signal, -1), ended_ns >= started_ns FROM processes";
    assert_eq!(numbers::<5>(&db, ids), [[1, 0, 0, -1, 1], [2, 1, -1, 15, 1]]);
    assert_eq!(
        text(&db, "SELECT command FROM processes WHERE process_id = 2"),
        r#"["child", "77"]"#
    );
    assert_eq!(number(&db, "SELECT count(*) FROM exception_types WHERE name = 'unknown'"), 2);
    let counted = "SELECT process_id, sum(count) FROM event_counts GROUP BY 1";
    let lens = [0, 1].map(|i| [i as i64 + 1, programs[i].len() as i64]);
    assert_eq!(numbers::<2>(&db, counted), lens);
    let sum = |kind: EventKind| programs.iter().map(|p| p.events[&kind.number()]).sum::<u64>();
    let lines = number(&db, "SELECT sum(count) FROM line_counts") as u64;
    assert_eq!(lines, sum(EventKind::LINE));
    let branches = number(&db, "SELECT sum(taken + not_taken) FROM branch_counts") as u64;
    assert_eq!(branches, sum(EventKind::BRANCH));
    let calls: u64 = programs.iter().flat_map(|program| program.calls.values()).sum();
    assert_eq!(number(&db, "SELECT sum(calls) FROM function_totals") as u64, calls);
    let counts = text(&db, "SELECT row_counts FROM runs");
    assert!(counts.contains("\"threads\":2") && counts.contains("\"processes\":2"), "{counts}");
}

#[test]
fn a_parent_comes_before_its_child() {
    let folder = Folder::new();
    let (recording, _first) = begin(&folder);
    let joiner = recording.joiner();
    let (parent, mut late) = join(&joiner, 0, 10);
    let (silent, _producer) = join(&joiner, 1, 11);
    let (child, mut early) = join(&joiner, 2, 12);
    let mut program = stream();
    program.calls(1000);
    push(&mut early, &program.words);
    child.flush();
    let db = Connection::open(folder.db()).unwrap();
    let rows = "SELECT process_id, parent_process_id, ended_ns IS NULL FROM processes
                WHERE process_id > 1 ORDER BY 1";
    assert_eq!(numbers::<3>(&db, rows), [[2, 1, 1], [3, 2, 1], [4, 3, 1]]);
    push(&mut late, &program.words);
    silent.finish(exited(3));
    parent.finish(exited(0));
    // A parent that has ended.
    let (orphan, _producer) = join(&joiner, 1, 13);
    assert_eq!(orphan.slot(), 4);
    child.finish(exited(0));
    orphan.finish(exited(7));
    recording.finish(COMPLETE).unwrap();
    let rows = "SELECT pid, coalesce(parent_process_id, 0), exit_code, ended_ns IS NOT NULL
                FROM processes WHERE process_id > 1 ORDER BY process_id";
    let pid = number(&db, "SELECT pid FROM processes WHERE process_id = 2");
    let expected = [[pid, 1, 0, 1], [11, 2, 3, 1], [pid, 3, 0, 1], [13, 2, 7, 1]];
    assert_eq!(numbers::<4>(&db, rows), expected);
    let chunks = "SELECT DISTINCT process_id FROM chunks ORDER BY 1";
    assert_eq!(numbers::<1>(&db, chunks).concat(), [2, 4]);
}

#[test]
fn losses_belong_to_their_process() {
    let folder = Folder::new();
    let (recording, mut first) = begin(&folder);
    let joiner = recording.joiner();
    let (child, mut second) = join(&joiner, 0, 10);
    let mut program = stream();
    program.enter(1);
    program.event(EventKind::LINE, 21, &[]);
    push(&mut first, &program.words);
    program.words.push(word(63, 0));
    push(&mut second, &program.words);
    let losses = vec![
        (LossKind::ChildNotFollowed, 2, String::new()),
        (LossKind::ChildNotFollowed, 1, String::new()),
    ];
    child.finish(ProcessEnd { exit_code: Some(0), losses, ..ProcessEnd::default() });
    recording.finish(End { others: 5, ..COMPLETE }).unwrap();
    let db = Connection::open(folder.db()).unwrap();
    let first_seq = chunk::SEQ_PER_PROCESS as i64 + 2;
    assert_eq!(
        numbers::<3>(
            &db,
            "SELECT process_id, count, coalesce(first_seq, 0) FROM losses
             WHERE kind <> 'source_unread' ORDER BY 1, kind"
        ),
        [[1, 5, 0], [2, 1, first_seq], [2, 3, 0]]
    );
    assert_eq!(number(&db, "SELECT event_count FROM runs"), 2);
}

#[test]
fn a_process_has_columns_for_what_differs_from_the_run() {
    let folder = Folder::new();
    let (recording, mut first) = begin(&folder);
    let joiner = recording.joiner();
    push(&mut first, &interpreter("3.13.1", 1));
    recording.flush();
    for (slot, version) in ["3.13.1", "3.14.0"].iter().enumerate() {
        let (child, mut producer) = join(&joiner, slot as u32, 9);
        push(&mut producer, &interpreter(version, 10));
        child.finish(exited(0));
    }
    recording.finish(COMPLETE).unwrap();
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(text(&db, "SELECT python_version FROM runs"), "3.13.1");
    let own = "SELECT group_concat(coalesce(own_python_version, '-')) FROM processes
               WHERE coalesce(own_events_by, own_capture) IS NULL";
    assert_eq!(text(&db, own), "-,-,3.14.0");
    assert_eq!(number(&db, "SELECT pid FROM processes WHERE process_id = 3"), 10);

    // The first process is not recorded.
    let (recording, _first) = begin(&folder);
    let (child, mut producer) = join(&recording.joiner(), 0, 9);
    push(&mut producer, &interpreter("3.14.2", 10));
    child.finish(exited(0));
    assert!(recording.finish(COMPLETE).unwrap().is_recorded);
    let version = "SELECT python_version || count(own_python_version)
                   FROM runs JOIN processes USING (run_id) WHERE run_id = 2";
    assert_eq!(text(&db, version), "3.14.20");
}

#[test]
fn values_of_a_joined_process_are_covered_when_it_ends() {
    let folder = Folder::new();
    let (recording, _events, mut of_first) = begin_with_values(&folder);
    put_epoch(&mut of_first, 0);
    let (ring, values) = (Ring::on_heap(1 << 16), Ring::on_heap(1 << 16));
    let child =
        recording.joiner().join(NewProcess::default(), ring.into(), Some(values.into())).unwrap();
    let mut events = Producer::new(ring, RingClock::Monotonic);
    let mut values = Producer::new(values, RingClock::Monotonic);
    put_epoch(&mut values, 0);
    (0..10).for_each(|ordinal| put_value(&mut values, ordinal));
    let mut program = stream();
    program.calls(5000);
    push(&mut events, &program.words);
    let mask = dashcam_schema::event::kinds_that(EventKind::has_ordinal);
    let counted = program.events.iter().filter(|(kind, _)| mask >> **kind & 1 == 1);
    let with_ordinals = counted.map(|(_, count)| *count as i64).sum::<i64>();
    child.finish(exited(0));
    recording.finish(COMPLETE).unwrap();
    let db = Connection::open(folder.db()).unwrap();
    let covered = "SELECT covers_to, value_chunk_count FROM processes ORDER BY process_id";
    assert_eq!(numbers::<2>(&db, covered), [[1, 0], [with_ordinals + 1, 1]]);
}

#[test]
fn no_process_joins_a_run_that_is_finished() {
    let folder = Folder::new();
    let (recording, _producer) = begin(&folder);
    let joiner = recording.joiner();
    let stranger = NewProcess { parent: 1, ..NewProcess::default() };
    assert!(joiner.join(stranger, Ring::on_heap(1 << 16).into(), None).is_err());
    // One that is not finished does not keep the run from being finished.
    let (unfinished, mut producer) = join(&joiner, 0, 5);
    let mut program = stream();
    program.calls(100);
    push(&mut producer, &program.words);
    let summary = recording.finish(COMPLETE).unwrap();
    assert_eq!(summary.events, program.len());
    let process = NewProcess::default();
    assert!(joiner.join(process, Ring::on_heap(1 << 16).into(), None).is_err());
    unfinished.finish(exited(0));
    let db = Connection::open(folder.db()).unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM processes WHERE ended_ns IS NULL"), 1);
}
