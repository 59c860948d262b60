//! A run's row, from its beginning to its end.
//!
//! ```text
//! recording ─▶ complete       the program ended by itself (whatever its exit code), or stopped
//!     │                       the recording
//!     └──────▶ interrupted    a signal ended the program, it died without a word, or recording
//!                             had to stop before it did
//! ```
//!
//! A run that stays `recording` although nobody records it is one whose recorder was killed: what
//! is in the file is whole up to its last transaction.

use super::commit::{BUSY_STEP, Health};
use super::outlet::LossDelta;
use super::rows;
use super::store::{BUSY, Database, Place, StoreError, beside, is_busy, with_end};
use dashcam_schema::loss::{LossKind, Severity};
use dashcam_schema::tables;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// What is known of a run when it begins.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The program's command line, a JSON array.
    pub command: String,
    pub cwd: PathBuf,
    /// What stood after `-c`.
    pub code: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The program ended by itself or stopped the recording.
    pub is_complete: bool,
    pub exit_code: Option<i32>,
    pub exit_signal: Option<i32>,
    /// Why the program ran unrecorded.
    pub refusal: Option<String>,
    /// Pythons among the program's processes that ran beside the one that was recorded.
    pub others: u64,
}

/// A run that is being recorded.
#[derive(Debug)]
pub struct Run {
    pub(super) database: Database,
    pub run_id: i64,
    pub(super) process_id: i64,
    /// The file is not where it was, and the user knows.
    pub(super) is_displaced: bool,
}

/// What came of a run, for the user.
#[derive(Debug)]
pub struct Summary {
    pub run_id: i64,
    pub events: u64,
    /// Where it is now.
    pub database: PathBuf,
    /// What became of the file meanwhile, as a sentence, if it is not where it was and the user does
    /// not know.
    pub displaced: Option<String>,
    /// Size of the whole file.
    pub database_bytes: u64,
    /// Losses that matter: in words, and the count, unless the words are the whole of it.
    pub losses: Vec<(Option<u64>, String)>,
    /// The interpreter loaded the shim.
    pub is_recorded: bool,
    /// Nothing failed on the way to the database.
    pub is_stored: bool,
}

impl Run {
    /// A run in this database or, if it cannot be had right now, in one beside it. Then there is a
    /// sentence about that.
    ///
    /// # Errors
    /// If the file is no place for a recording, or there is no place beside it either.
    pub fn obtain(path: &Path, about: &About) -> Result<(Run, Option<String>), StoreError> {
        let begin = |path: &Path| Run::begin(Database::open(path)?, about);
        let error = match begin(path) {
            Err(error) if !error.is_refusal() => error,
            result => return result.map(|run| (run, None)),
        };
        // Two are enough: the second is for when somebody has locked the first as well.
        for path in beside(path).take(2) {
            if let Ok(run) = begin(&path) {
                let notice = format!("{error}; recording into {} instead", path.display());
                return Ok((run, Some(notice)));
            }
        }
        Err(error)
    }

    /// A new row.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn begin(database: Database, about: &About) -> Result<Run, StoreError> {
        let rows = || {
            let db = &database.connection;
            let sql = format!(
                "INSERT INTO runs (started_at, status, command, cwd, hostname, capture, events_by,
                                   dashcam_version, uuid)
                 VALUES ({NOW}, 'recording', ?, ?, ?, 'flow', 'direct', ?, ?)"
            );
            let cwd = about.cwd.to_string_lossy();
            let version = env!("CARGO_PKG_VERSION");
            db.execute_batch("BEGIN IMMEDIATE")?;
            let uuid = uuid::Uuid::now_v7().to_string();
            db.execute(&sql, (&about.command, cwd, super::sys::hostname(), version, uuid))?;
            let run_id = db.last_insert_rowid();
            db.execute(
                "INSERT INTO processes (run_id, command, started_ns) VALUES (?, ?, 0)",
                (run_id, &about.command),
            )?;
            let process_id = db.last_insert_rowid();
            db.execute(
                "INSERT INTO exception_types (process_id, number, name) VALUES (?, ?, 'unknown')",
                (process_id, super::exceptions::UNKNOWN_TYPE),
            )?;
            db.execute_batch("COMMIT")?;
            database.wait_for_disk()?;
            Ok((run_id, process_id))
        };
        match rows() {
            Ok((run_id, process_id)) => {
                Ok(Run { database, run_id, process_id, is_displaced: false })
            }
            Err(error) => {
                let path = database.path.clone();
                database.remove_if_ours();
                Err(StoreError::Sqlite { path, error })
            }
        }
    }

    /// The program's process has this id.
    pub fn set_pid(&mut self, pid: u32) {
        let db = &self.database.connection;
        // The shim says it too; this is for a program that does not get that far.
        let _ =
            db.execute("UPDATE processes SET pid = ? WHERE process_id = ?", (pid, self.process_id));
    }

    /// As if it had never begun: the program could not be started.
    pub fn abandon(self) {
        let db = &self.database.connection;
        let _ = db.execute("DELETE FROM exception_types WHERE process_id = ?", [self.process_id]);
        let _ = db.execute("DELETE FROM losses WHERE run_id = ?", [self.run_id]);
        let _ = db.execute("DELETE FROM processes WHERE process_id = ?", [self.process_id]);
        let _ = db.execute("DELETE FROM runs WHERE run_id = ?", [self.run_id]);
        self.database.tidy();
        self.database.remove_if_ours();
    }

    /// Where it is recorded.
    pub fn path(&self) -> &Path {
        &self.database.path
    }

    /// Writes the end, and leaves the database as one plain file if nobody else is using it.
    /// `is_stored`: nothing failed before.
    pub(super) fn finish(self, end: End, now_ns: u64, is_stored: bool, health: &Health) -> Summary {
        let db = &self.database.connection;
        // What did not work before is tried once and not waited for.
        self.begin_end(if is_stored { BUSY } else { Duration::ZERO }, health);
        let loss = |kind, count, detail| LossDelta { kind, count, first_seq: 0, detail };
        let refused = end.refusal.map(|why| loss(LossKind::NotStarted, 1, why));
        let others = loss(LossKind::ChildNotFollowed, end.others, String::new());
        for loss in refused.into_iter().chain((end.others > 0).then_some(others)) {
            // Where this fails, the store has said so already.
            let _ = rows::add_loss(db, self.run_id, self.process_id, &loss);
        }
        let stopped_early = db
            .query_row(
                "SELECT count(*) > 0 FROM losses WHERE run_id = ? AND severity = 'error'",
                [self.run_id],
                |row| row.get(0),
            )
            .unwrap_or(true);
        let is_whole = end.is_complete && !stopped_early;
        let status = if is_whole { "complete" } else { "interrupted" };
        let sql = format!(
            "UPDATE runs SET ended_at = {NOW}, status = ?, exit_code = ?, exit_signal = ?
             WHERE run_id = ?"
        );
        // Where this fails the run's status stays `recording`.
        let _ = db.execute(&sql, (status, end.exit_code, end.exit_signal, self.run_id));
        let _ = db.execute(
            "UPDATE processes SET ended_ns = ?, exit_code = ?, exit_signal = ?
             WHERE process_id = ?",
            (now_ns as i64, end.exit_code, end.exit_signal, self.process_id),
        );
        let _ = db.execute(
            "UPDATE runs SET row_counts = ? WHERE run_id = ?",
            (self.row_counts().unwrap_or_default(), self.run_id),
        );
        if !db.is_autocommit() {
            let _ = db.execute_batch("COMMIT");
        }
        let (events, is_recorded) = db
            .query_row(
                "SELECT event_count, python_version IS NOT NULL FROM runs WHERE run_id = ?",
                [self.run_id],
                |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)),
            )
            .unwrap_or((0, true));
        let losses = self.losses().unwrap_or_default();
        self.database.tidy();
        let (path, displaced, is_kept) = self.settle(events);
        let run_id = self.run_id;
        drop(self);
        let bytes = |end| std::fs::metadata(with_end(&path, end)).map_or(0, |about| about.len());
        let database_bytes = bytes("") + bytes("-wal");
        Summary {
            run_id,
            events,
            database: path,
            displaced,
            database_bytes,
            losses,
            is_recorded,
            is_stored: is_stored && is_kept,
        }
    }

    /// Begins the last transaction, if the lock for it can be had.
    fn begin_end(&self, patience: Duration, health: &Health) {
        let db = &self.database.connection;
        let _ = db.busy_timeout(BUSY_STEP);
        let began = Instant::now();
        while let Err(error) = db.execute_batch("BEGIN IMMEDIATE") {
            if !is_busy(&error) || began.elapsed() >= patience {
                break;
            }
            health.set_stalled(true);
        }
        health.set_stalled(false);
        let _ = db.busy_timeout(patience);
    }

    /// Where the run can be read from now on, a sentence if that is news, and whether it can.
    fn settle(&self, events: u64) -> (PathBuf, Option<String>, bool) {
        let path = &self.database.path;
        let place = self.database.place();
        if place == Place::Same {
            return (path.clone(), None, true);
        }
        self.database.leave_name();
        let (was, run) = (path.display(), self.run_id);
        let news = |words: String| (!self.is_displaced).then(|| format!("{was} was {words}"));
        match place {
            Place::Same | Place::Moved(None) => {
                (path.clone(), news("moved while recording".to_owned()), true)
            }
            Place::Moved(Some(name)) => {
                let words = news(format!("moved to {} while recording", name.display()));
                (name, words, true)
            }
            Place::Deleted => match self.database.copy_run(run) {
                Ok(new) => {
                    let words =
                        news(format!("deleted while recording; run {run} was written anew"));
                    (new, words, true)
                }
                Err(error) => {
                    let what = "was deleted while recording";
                    let words = format!("{was} {what}; {events} events are lost ({error})");
                    (path.clone(), Some(words), false)
                }
            },
        }
    }

    /// As `runs.row_counts` has them.
    fn row_counts(&self) -> rusqlite::Result<String> {
        let db = &self.database.connection;
        let mut counts = serde_json::Map::new();
        for (table, sql) in tables::count_rows() {
            let count: i64 = db.query_row(&sql, [self.run_id], |row| row.get(0))?;
            counts.insert(table.to_owned(), count.into());
        }
        Ok(serde_json::Value::from(counts).to_string())
    }

    fn losses(&self) -> rusqlite::Result<Vec<(Option<u64>, String)>> {
        let db = &self.database.connection;
        let mut query = db.prepare("SELECT kind, count, detail FROM losses WHERE run_id = ?")?;
        let rows = query.query_map([self.run_id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?))
        })?;
        let mut losses = Vec::new();
        for row in rows {
            let (kind, count, detail) = row?;
            let is_info = LossKind::ALL
                .iter()
                .any(|known| known.name() == kind && known.severity() == Severity::Info);
            // The shim says so when it happens.
            if !is_info && kind != LossKind::GaveUp.name() {
                let counts = kind != LossKind::InterpreterUnknown.name();
                losses.push((counts.then_some(count), detail));
            }
        }
        Ok(losses)
    }
}
