//! The row of a run, from its beginning to its end.
//!
//! ```text
//! recording ─▶ complete       the program ended by itself (whatever its exit code), or stopped
//!     │                       the recording
//!     └──────▶ interrupted    a signal ended the program, it died without a message, or recording
//!                             had to stop before the program ended
//! ```
//!
//! If a run stays `recording` although no process records it, its recorder was killed: the file is
//! complete up to its last transaction.

use super::commit::{BUSY_STEP, Health};
use super::outlet::LossDelta;
use super::rows;
use super::store::{BUSY, Database, Place, StoreError, beside, is_busy, with_end};
use dashcam_schema::loss::{LossKind, Severity};
use dashcam_schema::tables;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// The facts about a run that are known when it begins.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The program's command line, a JSON array.
    pub command: String,
    pub cwd: PathBuf,
    /// The argument of `-c`.
    pub code: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The program ended by itself or stopped the recording.
    pub is_complete: bool,
    pub exit_code: Option<i32>,
    pub exit_signal: Option<i32>,
    /// The reason why the program ran unrecorded.
    pub refusal: Option<String>,
    /// The number of Pythons among the program's processes besides the recorded one.
    pub others: u64,
    /// Commands of processes that were to be recorded, and why they were not.
    pub unrecorded: Vec<String>,
}

/// A run that is being recorded.
#[derive(Debug)]
pub struct Run {
    pub(super) database: Database,
    pub run_id: i64,
    pub(super) process_id: i64,
    /// The file is not where it was, and the user has been told.
    pub(super) is_displaced: bool,
}

/// The result of a run, for the user.
#[derive(Debug)]
pub struct Summary {
    pub run_id: i64,
    pub events: u64,
    /// Where the file is now.
    pub database: PathBuf,
    /// A sentence about what happened to the file, if it is not where it was and the user has not
    /// been told.
    pub displaced: Option<String>,
    /// The size of the whole file.
    pub database_bytes: u64,
    /// Losses that matter: the count, unless it means nothing to the user, and a description.
    pub losses: Vec<(Option<u64>, String)>,
    /// The interpreter loaded the shim.
    pub is_recorded: bool,
    /// Everything that was recorded is in the database.
    pub is_stored: bool,
}

impl Run {
    /// Begins a run in this database or, if the database cannot be used right now, in a new one
    /// beside it. In that case it also returns a message about it.
    ///
    /// # Errors
    /// If the file cannot hold a recording, or no database beside it can be used either.
    pub fn obtain(path: &Path, about: &About) -> Result<(Run, Option<String>), StoreError> {
        let begin = |path: &Path| Run::begin(Database::open(path)?, about);
        let error = match begin(path) {
            Err(error) if !error.is_refusal() => error,
            result => return result.map(|run| (run, None)),
        };
        // Two are enough: the second is used if another process has locked the first as well.
        for path in beside(path).take(2) {
            if let Ok(run) = begin(&path) {
                let notice = format!("{error}; recording into {} instead", path.display());
                return Ok((run, Some(notice)));
            }
        }
        Err(error)
    }

    /// Inserts the run's rows.
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
            rows::define_unknown_type(db, process_id)?;
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

    /// Stores the id of the program's process.
    pub fn set_pid(&mut self, pid: u32) {
        let db = &self.database.connection;
        // The shim reports it too. This is for a program that ends before that.
        let _ =
            db.execute("UPDATE processes SET pid = ? WHERE process_id = ?", (pid, self.process_id));
    }

    /// Removes all traces of the run, as when the program could not be started.
    pub fn abandon(self) {
        let db = &self.database.connection;
        let _ = db.execute("DELETE FROM exception_types WHERE process_id = ?", [self.process_id]);
        let _ = db.execute("DELETE FROM losses WHERE run_id = ?", [self.run_id]);
        let _ = db.execute("DELETE FROM processes WHERE process_id = ?", [self.process_id]);
        let _ = db.execute("DELETE FROM runs WHERE run_id = ?", [self.run_id]);
        self.database.tidy();
        self.database.remove_if_ours();
    }

    /// The path of the database.
    pub fn path(&self) -> &Path {
        &self.database.path
    }

    /// Writes the run's end, and leaves the database as one plain file if no other process is using
    /// it. `is_stored`: nothing failed before.
    pub(super) fn finish(self, end: End, now_ns: u64, is_stored: bool, health: &Health) -> Summary {
        let db = &self.database.connection;
        // If storing failed before, this is tried once, without waiting.
        self.begin_end(if is_stored { BUSY } else { Duration::ZERO }, health);
        let loss = |kind, count, detail| LossDelta { kind, count, first_seq: 0, detail };
        let refused = end.refusal.map(|why| loss(LossKind::NotStarted, 1, why));
        let others = loss(LossKind::ChildNotFollowed, end.others, String::new());
        let unrecorded = end.unrecorded.into_iter();
        let unrecorded = unrecorded.map(|what| loss(LossKind::ChildNotRecorded, 1, what));
        let others = (end.others > 0).then_some(others);
        for loss in refused.into_iter().chain(others).chain(unrecorded) {
            // If this fails, the store has already reported it.
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
        // If this fails, the run's status stays `recording`.
        let _ = db.execute(&sql, (status, end.exit_code, end.exit_signal, self.run_id));
        let _ = rows::end_process(db, self.process_id, now_ns, end.exit_code, end.exit_signal);
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

    /// Begins the last transaction, if the lock for it is granted within `patience`.
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

    /// Returns the file in which the run can be read from now on, a message if there is something
    /// new for the user, and whether the run can be read.
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
                    let words = news(format!(
                        "deleted while recording; run {run} was written to a new file"
                    ));
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

    /// Returns the text of `runs.row_counts`.
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
            // The shim reports that the program gave up when it happens.
            if !is_info && kind != LossKind::GaveUp.name() {
                let counts = kind != LossKind::InterpreterUnknown.name();
                losses.push((counts.then_some(count), detail));
            }
        }
        Ok(losses)
    }
}
