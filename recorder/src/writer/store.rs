//! The database file: opened or created, and nothing that is not a recording is touched.

use dashcam_schema::FormatError;
use dashcam_schema::tables;
use dashcam_schema::version::{self, APPLICATION_ID, FORMAT_VERSION};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why a database cannot be recorded into. Each message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{}: {}", path.display(), reason(error))]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: {error}", path.display())]
    Format { path: PathBuf, error: FormatError },
    #[error("{}: {}", path.display(), words(error))]
    Sqlite { path: PathBuf, error: rusqlite::Error },
}

/// SQLite's error in words a user can do something with.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => FormatError::NotARecording.to_string(),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "locked by another program for too long".to_owned()
        }
        Some(ErrorCode::ReadOnly) => "not writable".to_owned(),
        _ => error.to_string(),
    }
}

/// The system's error without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Several recorders may write one file; each waits its turn, and turns are short.
const BUSY: Duration = Duration::from_secs(30);
/// Chunks are blobs of some 50 kB: larger pages than SQLite's 4096 make for shorter chains, and
/// still larger ones waste space in a small recording.
const PAGE_BYTES: u32 = 8192;
/// Pages the write-ahead log gathers before they are moved: some 32 MB. Moving waits for the disk.
const CHECKPOINT_PAGES: u32 = 4096;

/// An open database that recordings may be written to.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// We made the file, so it may go again if nothing comes to be recorded.
    pub(super) is_ours: bool,
}

impl Database {
    /// Opens a recording, or creates an empty one, readable by its owner only.
    ///
    /// # Errors
    /// If the file is something else, newer than this build, or cannot be written.
    pub fn open(path: &Path) -> Result<Database, StoreError> {
        let file = |error| StoreError::File { path: path.to_owned(), error };
        let sqlite = |error| StoreError::Sqlite { path: path.to_owned(), error };
        let created =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let is_ours = match created {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Says "is a directory" or "permission denied" better than SQLite does.
                OpenOptions::new().read(true).write(true).open(path).map_err(file)?;
                false
            }
            Err(error) => return Err(file(error)),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        let database = Database { connection, path: path.to_owned(), is_ours };
        match database.prepare() {
            Ok(()) => Ok(database),
            Err(error) => {
                database.remove_if_ours();
                Err(error)
            }
        }
    }

    fn prepare(&self) -> Result<(), StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: self.path.clone(), error };
        let db = &self.connection;
        db.busy_timeout(BUSY).map_err(sqlite)?;
        db.set_prepared_statement_cache_capacity(64);
        self.check().map_err(|error| match error {
            Ok(error) => StoreError::Format { path: self.path.clone(), error },
            Err(error) => sqlite(error),
        })?;
        let had_log = self.file_with("-wal").exists();
        self.change_journal().map_err(sqlite)?;
        let mode = self.enter_wal().map_err(sqlite)?;
        // A new log holds nothing yet that could be lost; `Run::begin` makes its first entry.
        if had_log || mode != "wal" {
            self.wait_for_disk().map_err(sqlite)?;
        }
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(sqlite)?;
        db.pragma_update(None, "foreign_keys", false).map_err(sqlite)
    }

    /// That the file is a recording, making an empty file one.
    fn check(&self) -> Result<(), Result<FormatError, rusqlite::Error>> {
        let db = &self.connection;
        let is_empty = || db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |r| r.get(0));
        if is_empty().map_err(Err)? && std::fs::metadata(&self.path).is_ok_and(|m| m.len() == 0) {
            db.pragma_update(None, "page_size", PAGE_BYTES).map_err(Err)?;
            // If the machine stops right now there is nothing to be sorry for.
            db.pragma_update(None, "synchronous", "off").map_err(Err)?;
            let sql = format!(
                "PRAGMA application_id = {APPLICATION_ID};\n\
                 PRAGMA user_version = {FORMAT_VERSION};\n{}",
                tables::create()
            );
            let begin = TransactionBehavior::Immediate;
            let transaction = rusqlite::Transaction::new_unchecked(db, begin).map_err(Err)?;
            // Another recorder may have been faster.
            if is_empty().map_err(Err)? {
                transaction.execute_batch(&sql).map_err(Err)?;
            }
            transaction.commit().map_err(Err)?;
        }
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application_id = pragma("application_id").map_err(Err)?;
        let user_version = pragma("user_version").map_err(Err)?;
        version::check(application_id, user_version).map_err(Ok)?;
        if user_version < FORMAT_VERSION {
            // What is added to it is of this version.
            db.pragma_update(None, "user_version", FORMAT_VERSION).map_err(Err)?;
        }
        Ok(())
    }

    /// Takes back the file's creation.
    pub(super) fn remove_if_ours(self) {
        let Database { connection, path, is_ours } = self;
        // Unless another recorder has begun to use it.
        let is_unused = connection
            .query_row("SELECT count(*) = 0 FROM runs", [], |row| row.get(0))
            .unwrap_or(true);
        drop(connection);
        if is_ours && is_unused {
            // SQLite leaves its helpers behind where it could not close properly.
            for end in ["", "-wal", "-shm", "-journal"] {
                let mut file = path.clone().into_os_string();
                file.push(end);
                let _ = std::fs::remove_file(file);
            }
        }
    }

    /// From now on waits for the disk where that is needed for the file to stay whole.
    pub(super) fn wait_for_disk(&self) -> rusqlite::Result<()> {
        let mode: String =
            self.connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        // Some file systems cannot share memory. Recording works without, only readers wait.
        let synchronous = if mode == "wal" { "normal" } else { "full" };
        self.connection.pragma_update(None, "synchronous", synchronous)
    }

    /// The name of a file that SQLite has beside the database.
    fn file_with(&self, end: &str) -> PathBuf {
        let mut file = self.path.clone().into_os_string();
        file.push(end);
        file.into()
    }

    /// Before the journal mode is changed: that changes two bytes of the first page, which a disk writes
    /// with the rest of their sector or not at all, so there is nothing to wait for.
    fn change_journal(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "off")
    }

    /// Switches to a write-ahead log and says what the journal mode is then. SQLite does not wait
    /// for this lock by itself.
    fn enter_wal(&self) -> rusqlite::Result<String> {
        let begun = Instant::now();
        loop {
            let mode =
                self.connection.pragma_update_and_check(None, "journal_mode", "wal", |row| {
                    row.get::<_, String>(0)
                });
            match mode {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < BUSY =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                mode => return mode,
            }
        }
    }

    /// Leaves one plain file behind, unless someone else is using the database right now.
    pub(super) fn tidy(&self) {
        let db = &self.connection;
        let _ = db.busy_timeout(Duration::ZERO);
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let _ = self.change_journal();
        let _ = db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
    }
}
