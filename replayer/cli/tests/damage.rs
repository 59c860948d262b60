//! Damaged files are refused or read in part, each with its own message.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/mod.rs"]
mod support;

use dashcam_replayer::Recording;
use dashcam_schema::chunk::Statistics;
use dashcam_schema::event::EventKind as K;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Ev, Maker, ev, rows};

fn recording(dir: &Path) -> PathBuf {
    let mut maker = Maker::new(dir);
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, Some("MainThread"));
    maker.code(&process, 0, "app.py", "<module>", &[1, 2, 3, 4]);
    let mut events = vec![ev(K::PY_START, 0, 0)];
    events.extend((0..298).map(|i| Ev { place: 1 + i * 7 % 4, ..ev(K::LINE, 0, 0) }));
    events.push(ev(K::PY_RETURN, 0, 3));
    maker.chunks(&mut process, &events, 100);
    maker.finish()
}

/// The error from opening a file; the path is replaced by `x.db`.
fn refusal(path: &Path) -> String {
    let Err(error) = Recording::open(path) else { panic!("{} opens", path.display()) };
    error.to_string().replace(&*path.to_string_lossy(), "x.db")
}

#[test]
fn each_refusal_has_its_own_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    assert_eq!(refusal(&path), "x.db: no such file");
    std::fs::write(&path, "").unwrap();
    assert_eq!(refusal(&path), "x.db: not a database, so not a dashcam recording (an empty file)");
    std::fs::write(&path, "import dashcam\n".repeat(100)).unwrap();
    assert_eq!(refusal(&path), "x.db: not a database, so not a dashcam recording");
    assert_eq!(
        refusal(dir.path()),
        "x.db: not a database, so not a dashcam recording (a directory)"
    );
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert_eq!(refusal(&path), "x.db: not a dashcam recording");
    std::fs::remove_file(&path).unwrap();
    let path = recording(dir.path());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(
        refusal(&path),
        "x.db: written in format 99, but this dashcam reads up to 10; update dashcam"
    );
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 0).unwrap();
    assert_eq!(refusal(&path), "x.db: written in format 0, but this dashcam reads only from 8 on");
}

#[test]
fn a_truncated_file_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let whole = std::fs::read(&path).unwrap();
    for length in (1..whole.len()).step_by(997) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let message = refusal(&path);
        assert!(message.starts_with(&format!("x.db: truncated: {length} bytes of ")), "{message}");
    }
}

/// Flips one bit in the middle of a chunk's data.
fn damage(path: &Path, chunk: i64, byte: usize) {
    let db = Connection::open(path).unwrap();
    let sql = "SELECT data FROM chunks WHERE chunk_id = ?";
    let mut data: Vec<u8> = db.query_row(sql, [chunk], |row| row.get(0)).unwrap();
    data[byte] ^= 4;
    db.execute("UPDATE chunks SET data = ? WHERE chunk_id = ?", rusqlite::params![data, chunk])
        .unwrap();
}

#[test]
fn undamaged_chunks_can_still_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    damage(&path, 2, 20);
    let recording = Recording::open(&path).unwrap();
    let db = recording.connection();
    // The row of a damaged chunk is enough to count its events.
    assert_eq!(rows(db, "SELECT count(*) FROM events"), ["300"]);
    assert!(recording.store().damage().is_empty());
    assert_eq!(
        rows(db, "SELECT count(*), min(seq), max(seq) FROM events WHERE kind <> 'x'"),
        ["200 1 300"]
    );
    let message = recording.store().damage().join("\n").replace(&*path.to_string_lossy(), "x.db");
    let expected = "x.db: chunk 2: chunk header at byte 16: checksum mismatch; events 101..200 \
                    unavailable, the rest is readable";
    assert_eq!(message, expected);
    // Each chunk contains the stacks at its beginning.
    assert_eq!(rows(db, "SELECT call_id, end_seq, exit FROM calls"), ["1 300 return"]);

    for (arguments, out) in [
        (&["query", "x.db", "SELECT count(line) AS n FROM events"][..], "  n\n200\n".to_owned()),
        (
            &["check", "x.db"][..],
            format!("{expected}\nx.db: 1 problem in 3 chunks; 200 events read\n"),
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dashcam"));
        let output = command.current_dir(dir.path()).args(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), out);
        assert_eq!(output.status.code(), Some(1));
        let is_reported =
            arguments[0] == "check" || output.stderr.starts_with(b"dashcam: x.db: chunk 2");
        assert!(is_reported, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut dump = Command::new(env!("CARGO_BIN_EXE_dashcam"));
    let output = dump.current_dir(dir.path()).args(["dump", "x.db"]).output().unwrap();
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 200);
    assert_eq!(output.status.code(), Some(1));
}

/// Whichever bit of a chunk is flipped, no wrong row is ever read, and nothing panics.
#[test]
fn flipped_bits_never_give_wrong_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let everything = "SELECT * FROM events ORDER BY seq";
    let whole = rows(Recording::open(&path).unwrap().connection(), everything);
    let original = std::fs::read(&path).unwrap();
    let db = Connection::open(&path).unwrap();
    let sql = "SELECT length(data) FROM chunks WHERE chunk_id = 2";
    let length: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(db);
    for byte in (0..length as usize).step_by(3) {
        damage(&path, 2, byte);
        let recording = Recording::open(&path).unwrap();
        let read = rows(recording.connection(), everything);
        assert!(read == whole || read.len() == 200, "byte {byte}: {} rows", read.len());
        assert!(read.len() == 300 || !recording.store().damage().is_empty());
        assert!(read.iter().all(|row| whole.contains(row)), "byte {byte}");
        rows(recording.connection(), "SELECT * FROM calls");
        rows(recording.connection(), "SELECT * FROM exceptions");
        assert!(!recording.store().damage().is_empty() || read.len() == 300, "byte {byte}");
        std::fs::write(&path, &original).unwrap();
    }
}

/// Bits flipped anywhere in the file cause an error or missing rows, but no panic.
#[test]
fn flipped_bits_in_the_file_do_not_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let original = std::fs::read(&path).unwrap();
    for byte in (0..original.len()).step_by(211) {
        let mut damaged = original.clone();
        damaged[byte] ^= 0x41;
        std::fs::write(&path, &damaged).unwrap();
        let Ok(recording) = Recording::open(&path) else { continue };
        for table in ["events", "calls", "exceptions"] {
            let sql = format!("SELECT * FROM {table}");
            let mut statement = recording.connection().prepare(&sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Ok(Some(_)) = rows.next() {}
        }
    }
}

#[test]
fn invalid_rows_of_chunks_are_reported() {
    for (change, expected) in [
        ("event_count = 1000000000", "chunk 2: event_count is 1000000000"),
        ("first_seq = 50", "chunk 2: events 50.. overlap the chunk before"),
        ("codes = x'0102'", "chunk 2: codes is not a list of ascending numbers"),
        ("process_id = 9", "chunk 2: no process 9 in run 1"),
        ("event_count = 99", "chunk 2: chunk header at byte 0: holds another number of events"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = recording(dir.path());
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        db.execute(&format!("UPDATE chunks SET {change} WHERE chunk_id = 2"), []).unwrap();
        // The row's hash is right, so the change counts as intended.
        db.execute("UPDATE chunks SET row_xxh3 = ? WHERE chunk_id = 2", [hash(&db, 2)]).unwrap();
        drop(db);
        let recording = Recording::open(&path).unwrap();
        assert_eq!(rows(recording.connection(), "SELECT count(kind) FROM events"), ["200"]);
        let damage = recording.store().damage().join("\n");
        assert!(damage.contains(expected), "{change}: {damage}");
    }
}

fn hash(db: &Connection, chunk: i64) -> i64 {
    let sql =
        "SELECT run_id, process_id, first_seq, event_count, first_ns, last_ns, kinds, threads,
                   codes, first_ordinal, header_xxh3, first_wall_ns, last_wall_ns FROM chunks WHERE chunk_id = ?";
    db.query_row(sql, [chunk], |row| {
        let (threads, codes): (Vec<u8>, Vec<u8>) = (row.get(7)?, row.get(8)?);
        let statistics = Statistics {
            run_id: row.get(0)?,
            process_id: row.get(1)?,
            first_seq: row.get(2)?,
            event_count: row.get(3)?,
            first_ns: row.get(4)?,
            last_ns: row.get(5)?,
            first_wall_ns: row.get(11)?,
            last_wall_ns: row.get(12)?,
            kinds: row.get(6)?,
            first_ordinal: row.get(9)?,
            header_xxh3: row.get(10)?,
            threads: &threads,
            codes: &codes,
        };
        Ok(statistics.xxh3())
    })
    .unwrap()
}

/// If a row described less than its chunk contains, queries would skip the chunk.
#[test]
fn damaged_rows_of_chunks_are_reported() {
    for change in ["kinds = kinds & ~8192", "codes = x''", "last_ns = last_ns - 1", "row_xxh3 = 0"]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = recording(dir.path());
        let db = Connection::open(&path).unwrap();
        db.execute(&format!("UPDATE chunks SET {change} WHERE chunk_id = 2"), []).unwrap();
        drop(db);
        let recording = Recording::open(&path).unwrap();
        let damage = recording.store().damage().join("\n");
        assert!(damage.contains("chunk 2: row: checksum mismatch"), "{change}: {damage}");
    }
}

/// A recorder continues to write while the recording is read.
#[test]
fn a_recording_in_progress_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    maker.db.pragma_update(None, "journal_mode", "wal").unwrap();
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, None);
    maker.code(&process, 0, "app.py", "<module>", &[1]);
    maker.chunk(&mut process, &[ev(K::LINE, 0, 1)]);
    let before = Recording::open(&maker.path).unwrap();
    maker.chunk(&mut process, &[ev(K::LINE, 0, 1)]);
    let after = Recording::open(&maker.path).unwrap();
    let sql = "SELECT count(*), (SELECT event_count FROM runs) FROM events";
    assert_eq!(rows(before.connection(), sql), ["1 1"]);
    assert_eq!(rows(after.connection(), sql), ["2 2"]);
}

/// If nothing can be created beside the file, the file alone is enough.
#[test]
fn a_read_only_directory_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(db);
    assert!(!dir.path().join("x.db-wal").exists());
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(dir.path(), mode(0o555)).unwrap();
    let opened =
        Recording::open(&path).map(|r| rows(r.connection(), "SELECT count(*) FROM events"));
    std::fs::set_permissions(dir.path(), mode(0o755)).unwrap();
    assert_eq!(opened.unwrap(), ["300"]);
}
