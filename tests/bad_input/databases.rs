//! Opening files that are missing, or are not whole recordings.

use dashcam_tests::{Python, Recording, program, run, shell_status, text};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

/// Sums over what chunks hold of events.
const SUM: &str = "select count(*), sum(seq), sum(offset), sum(target_offset), sum(time_ns), count(distinct kind) from events";

struct Sample {
    recording: Recording,
    bytes: Vec<u8>,
    answer: String,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let python = Python::all().pop().unwrap();
    let recording = Recording::new(&python, [program("standard_library.py")]);
    let bytes = std::fs::read(&recording.db).unwrap();
    let answer = recording.text(SUM);
    Sample { recording, bytes, answer }
});

fn ask(db: &Path, verb: &str, rest: &[&str]) -> Output {
    run(SAMPLE.recording.python.dashcam().arg(verb).arg(db).args(rest))
}

/// Fails if a command panics or is ended by a signal, if an error does not name the file, or if an
/// answer is silently wrong.
fn survives(db: &Path, case: &str) {
    for (verb, rest) in [("runs", &[][..]), ("check", &[]), ("query", &[SUM, "--format", "jsonl"])]
    {
        let output = ask(db, verb, rest);
        let printed = text(&output.stderr);
        assert!(!printed.contains("panicked"), "{case}: {verb}: {printed}");
        match shell_status(&output) {
            0 => {
                if verb == "query" {
                    let found = text(&output.stdout);
                    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
                    let found: Vec<String> =
                        found.as_object().unwrap().values().map(dashcam_tests::plain).collect();
                    assert_eq!(found.join(" "), SAMPLE.answer, "{case}: silently wrong; {printed}");
                }
            }
            1 => assert!(
                (printed.clone() + &text(&output.stdout)).contains(db.to_str().unwrap()),
                "{case}: {verb}: does not name the file: {printed}"
            ),
            status => panic!("{case}: {verb}: status {status}: {printed}"),
        }
    }
}

fn damaged(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("damaged.db");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn missing() {
    for verb in ["runs", "check", "dump"] {
        let output = ask(Path::new("no-such.db"), verb, &[]);
        assert_eq!(shell_status(&output), 1, "{verb}");
        assert!(text(&output.stderr).contains("no-such.db"), "{verb}: {}", text(&output.stderr));
        assert!(!Path::new("no-such.db").exists(), "{verb} made one");
    }
}

#[test]
fn truncated() {
    let folder = tempfile::tempdir().unwrap();
    let length = SAMPLE.bytes.len();
    for part in 0..16 {
        let cut = length * part / 16 + part % 3;
        survives(
            &damaged(folder.path(), &SAMPLE.bytes[..cut]),
            &format!("cut at {cut} of {length}"),
        );
    }
}

#[test]
fn one_bit_flipped() {
    let folder = tempfile::tempdir().unwrap();
    let length = SAMPLE.bytes.len();
    for case in 0..150 {
        // The first cases are near the start of the file's header, the others spread over the file.
        let at = if case < 50 { case * 2 } else { (length * (case - 50) / 100 + case) % length };
        let mut bytes = SAMPLE.bytes.clone();
        bytes[at] ^= 1 << (case % 8);
        survives(
            &damaged(folder.path(), &bytes),
            &format!("bit {} of byte {at} of {length}", case % 8),
        );
    }
}

#[test]
fn a_damaged_chunk_is_named_and_the_rest_reads() {
    let folder = tempfile::tempdir().unwrap();
    let python = &SAMPLE.recording.python;
    let db = folder.path().join("many.db");
    let code = "def f(i): return i + 1\nfor i in range(100_000): f(i)";
    assert!(run(python.record(&db).args(["-c", code])).status.success());
    // Changes the middle of the second chunk's bytes through SQLite, so that only dashcam can
    // notice.
    let spoil = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\
                 (id, data), *_ = c.execute('select chunk_id, data from chunks order by first_seq limit 1 offset 1').fetchall()\n\
                 middle = len(data) // 2; data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]\n\
                 c.execute('update chunks set data = ? where chunk_id = ?', (data, id)); c.commit(); print(id)";
    let whole =
        text(&ask(&db, "query", &["select count(*) from chunks", "--format", "csv"]).stdout);
    assert!(whole.lines().last().unwrap().parse::<u32>().unwrap() > 3, "too few chunks: {whole}");
    let id = text(&run(python.bare().args(["-c", spoil]).arg(&db)).stdout);
    let check = ask(&db, "check", &[]);
    let printed = text(&check.stdout) + &text(&check.stderr);
    assert_eq!(shell_status(&check), 1, "{printed}");
    assert!(printed.contains(&format!("chunk {}", id.trim())), "{printed}");
    assert!(printed.contains("checksum"), "{printed}");
    let first = "select count(*) from events where seq < (select min(first_seq) + 10 from chunks)";
    let output = ask(&db, "query", &[first, "--format", "csv"]);
    assert_eq!(text(&output.stdout).lines().last(), Some("10"), "{}", text(&output.stderr));
}
