//! Opens or creates the database file. A file that is not a recording is not touched.

use dashcam_schema::FormatError;
use dashcam_schema::tables::{self, RowHash};
use dashcam_schema::version::{self, APPLICATION_ID, FORMAT_VERSION};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The reason why a database cannot be recorded into. Each message contains the file's name.
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

impl StoreError {
    /// True if the file cannot hold a recording and the user has to name another. False if it only
    /// cannot be used right now: it is locked or damaged, or the disk is full.
    pub fn is_refusal(&self) -> bool {
        match self {
            StoreError::File { error, .. } => matches!(
                error.kind(),
                ErrorKind::NotFound
                    | ErrorKind::PermissionDenied
                    | ErrorKind::IsADirectory
                    | ErrorKind::NotADirectory
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::InvalidInput
                    | ErrorKind::InvalidFilename
            ),
            StoreError::Format { .. } => true,
            StoreError::Sqlite { error, .. } => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::NotADatabase | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
            ),
        }
    }
}

/// Whether another connection holds a lock that this one needs.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Describes SQLite's error in words that help a user.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => FormatError::NotARecording.to_string(),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "locked by another program".to_owned()
        }
        Some(ErrorCode::ReadOnly) => "not writable".to_owned(),
        _ => error.to_string(),
    }
}

/// Makes the connection keep [`tables::ROW_HASH`] up to date in the rows that it writes.
fn hash_rows(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function(tables::ROW_HASH, -1, flags, |arguments| {
        let mut hash = RowHash::default();
        for at in 0..arguments.len() {
            match arguments.get_raw(at) {
                ValueRef::Null => hash.null(),
                ValueRef::Integer(value) => hash.integer(value),
                ValueRef::Real(value) => hash.real(value),
                ValueRef::Text(value) => hash.text(value),
                ValueRef::Blob(value) => hash.blob(value),
            }
        }
        Ok(hash.finish())
    })?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.execute_batch(&tables::hash_triggers())
}

/// Returns the system's error message without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// How long a recording waits for a lock when it begins. The program waits too.
const BUSY_AT_START: Duration = Duration::from_secs(2);
/// How long to wait when a file of an older dashcam is switched to a write-ahead log. Its readers
/// may keep it open for hours, so there is no point in waiting for them.
const BUSY_SWITCH: Duration = Duration::from_millis(250);
/// How long a commit waits for a lock in all before recording fails.
pub(super) const BUSY: Duration = Duration::from_secs(30);
/// How long to wait for a lock when nothing depends on it any more.
const BUSY_AT_END: Duration = Duration::from_millis(200);
/// The size of a page. Chunks are blobs of some 50 kB. Pages that are larger than SQLite's default
/// of 4096 bytes give shorter chains; still larger ones waste space in a small recording.
const PAGE_BYTES: u32 = 8192;
/// The write-ahead log is moved into the file when it has this many pages, some 32 MB. Moving it
/// waits for the disk.
const CHECKPOINT_PAGES: u32 = 4096;

/// A recording is small if its file and log together have at most this many bytes.
const SMALL_BYTES: u64 = 4 << 20;

/// An open database that recordings may be written to.
#[derive(Debug)]
pub struct Database {
    // Declared before `file`, so that it is closed first: closing any descriptor of a file releases
    // the locks that the whole process has on it.
    pub(super) connection: Connection,
    /// Shows where the file is, whatever its name is by now.
    file: File,
    pub(super) path: PathBuf,
    /// We created the file, so it may be removed if nothing is recorded.
    is_ours: bool,
}

/// The place of the file that the connection writes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Same,
    /// The file now has this name, if the name is known.
    Moved(Option<PathBuf>),
    Deleted,
}

impl Database {
    /// Opens a recording, or creates an empty one that only its owner can read.
    ///
    /// # Errors
    /// If the file is not a recording, is newer than this build, or cannot be written.
    pub fn open(path: &Path) -> Result<Database, StoreError> {
        let error = |error| StoreError::File { path: path.to_owned(), error };
        let sqlite = |error| StoreError::Sqlite { path: path.to_owned(), error };
        let created =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let (file, is_ours) = match created {
            Ok(file) => (file, true),
            // Opened here too: the messages "is a directory" and "permission denied" are better
            // than SQLite's.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                (OpenOptions::new().read(true).write(true).open(path).map_err(error)?, false)
            }
            Err(e) => return Err(error(e)),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags);
        let connection = opened.map_err(sqlite).inspect_err(|_| {
            if is_ours {
                let _ = std::fs::remove_file(path);
            }
        })?;
        let database = Database { connection, file, path: path.to_owned(), is_ours };
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
        db.busy_timeout(BUSY_AT_START).map_err(sqlite)?;
        db.set_prepared_statement_cache_capacity(64);
        // If the file turns out not to be a recording, closing it must not change it.
        self.fold_at_close(false).map_err(sqlite)?;
        self.check().map_err(|error| match error {
            Ok(error) => StoreError::Format { path: self.path.clone(), error },
            Err(error) => sqlite(error),
        })?;
        hash_rows(db).map_err(sqlite)?;
        self.fold_at_close(true).map_err(sqlite)?;
        let log = with_end(&self.path, "-wal");
        let has_log = !self.is_ours && std::fs::metadata(log).is_ok_and(|about| about.len() > 0);
        db.pragma_update(None, "synchronous", "off").map_err(sqlite)?;
        let mode = self.enter_wal(BUSY_SWITCH).map_err(sqlite)?;
        // A new log contains nothing yet that could be lost; `Run::begin` writes its first entry.
        if has_log || mode != "wal" {
            self.wait_for_disk().map_err(sqlite)?;
        }
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(sqlite)?;
        db.pragma_update(None, "foreign_keys", false).map_err(sqlite)
    }

    /// Sets whether the last connection to be closed moves the write-ahead log into the file and
    /// removes it. SQLite finds the log by name.
    fn fold_at_close(&self, folds: bool) -> rusqlite::Result<()> {
        let leaves = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        self.connection.set_db_config(leaves, !folds).map(|_| ())
    }

    /// Checks that the file is a recording. Makes an empty file a recording.
    fn check(&self) -> Result<(), Result<FormatError, rusqlite::Error>> {
        let db = &self.connection;
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let is_empty = || {
            let count = "SELECT count(*) = 0 FROM sqlite_schema";
            let has_no_tables: bool = db.query_row(count, [], |row| row.get(0))?;
            Ok(has_no_tables && pragma("application_id")? == 0 && pragma("user_version")? == 0)
        };
        if is_empty().map_err(Err)? {
            db.pragma_update(None, "page_size", PAGE_BYTES).map_err(Err)?;
            // If the machine stops right now, nothing is lost.
            db.pragma_update(None, "synchronous", "off").map_err(Err)?;
            // Before anything else: readers of a database in another mode would block us later.
            self.enter_wal(BUSY_AT_START).map_err(Err)?;
            let sql = format!(
                "PRAGMA application_id = {APPLICATION_ID};\n\
                 PRAGMA user_version = {FORMAT_VERSION};\n{}",
                tables::create()
            );
            let begin = TransactionBehavior::Immediate;
            let transaction = rusqlite::Transaction::new_unchecked(db, begin).map_err(Err)?;
            // Checked again, because another recorder may have been faster.
            if is_empty().map_err(Err)? {
                transaction.execute_batch(&sql).map_err(Err)?;
            }
            transaction.commit().map_err(Err)?;
            // From now on, the file is a recording even without its log.
            let _ = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
        let application_id = pragma("application_id").map_err(Err)?;
        let user_version = pragma("user_version").map_err(Err)?;
        version::check(application_id, user_version).map_err(Ok)?;
        if user_version < FORMAT_VERSION || !self.missing_columns().map_err(Err)?.is_empty() {
            // Because the rows that are added are of this version.
            self.enter_wal(BUSY_SWITCH).map_err(Err)?;
            self.upgrade().map_err(Err)?;
        }
        Ok(())
    }

    /// Returns the statements that add the columns which an older dashcam did not have.
    fn missing_columns(&self) -> rusqlite::Result<String> {
        let mut sql = String::new();
        for table in tables::TABLES.iter().filter(|table| !table.is_virtual) {
            let query = format!("SELECT * FROM {} LIMIT 0", table.name);
            let names = self.connection.prepare(&query)?;
            let names: Vec<String> = names.column_names().into_iter().map(str::to_owned).collect();
            sql.push_str(&table.upgrade(&names));
        }
        Ok(sql)
    }

    /// Turns a recording of an older version into one of this version.
    fn upgrade(&self) -> rusqlite::Result<()> {
        let begin = TransactionBehavior::Immediate;
        let transaction = rusqlite::Transaction::new_unchecked(&self.connection, begin)?;
        // Read again, because another recorder may have been faster.
        transaction.execute_batch(&self.missing_columns()?)?;
        transaction.execute_batch(&tables::create_views())?;
        transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
        transaction.commit()
    }

    /// Removes the file if we created it and no other recorder has used it.
    pub(super) fn remove_if_ours(self) {
        if !self.is_ours || self.place() != Place::Same {
            return;
        }
        let _ = self.connection.busy_timeout(BUSY_AT_END);
        let Database { connection, file, path, .. } = self;
        // False if another recorder has begun to use the file.
        let is_unused = connection
            .query_row("SELECT count(*) = 0 FROM runs", [], |row| row.get(0))
            .unwrap_or(true);
        drop(connection);
        drop(file);
        if is_unused {
            // SQLite leaves its helper files behind if it could not close the database properly.
            for end in ["", "-wal", "-shm", "-journal"] {
                let _ = std::fs::remove_file(with_end(&path, end));
            }
        }
    }

    /// Makes the connection wait for the disk from now on, where the file could be damaged
    /// otherwise.
    pub(super) fn wait_for_disk(&self) -> rusqlite::Result<()> {
        let mode: String =
            self.connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        // Some file systems cannot share memory, so they have no write-ahead log. Recording works
        // without it, but readers wait.
        let synchronous = if mode == "wal" { "normal" } else { "full" };
        self.connection.pragma_update(None, "synchronous", synchronous)
    }

    /// Switches to a write-ahead log permanently: with it, readers and recorders never wait for
    /// each other. Returns the journal mode afterwards. SQLite itself waits for only some of the
    /// locks that are needed, so this tries again until `patience` is over.
    fn enter_wal(&self, patience: Duration) -> rusqlite::Result<String> {
        let db = &self.connection;
        db.busy_timeout(Duration::ZERO)?;
        let begun = Instant::now();
        let mode = loop {
            let mode = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
            match mode {
                Err(error) if is_busy(&error) && begun.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                mode => break mode,
            }
        };
        db.busy_timeout(BUSY_AT_START)?;
        mode
    }

    /// Moves all of the write-ahead log into the file. If another connection is reading from it
    /// right now, the last connection to be closed moves it.
    pub(super) fn tidy(&self) {
        let _ = self.connection.busy_timeout(BUSY_AT_END);
        if self.is_small_and_alone() {
            let _ = self.connection.pragma_update(None, "synchronous", "off");
        }
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// Whether one small run that was just made is all that can be lost if the machine stops right
    /// now. That does not justify making the program wait for the disk.
    fn is_small_and_alone(&self) -> bool {
        let bytes =
            |end| std::fs::metadata(with_end(&self.path, end)).map_or(u64::MAX, |of| of.len());
        let is_small = bytes("").saturating_add(bytes("-wal")) <= SMALL_BYTES;
        let sql = "SELECT count(*) = 1 FROM runs";
        let is_alone = || self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or(false);
        self.is_ours && is_small && is_alone()
    }

    /// Finds out where the file is.
    pub(super) fn place(&self) -> Place {
        let Ok(ours) = self.file.metadata() else { return Place::Same };
        let is_ours =
            |there: &std::fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        match std::fs::metadata(&self.path) {
            Ok(there) if is_ours(&there) => Place::Same,
            Err(error) if error.kind() != ErrorKind::NotFound => Place::Same,
            _ if ours.nlink() == 0 => Place::Deleted,
            _ => {
                let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let name = std::fs::read_link(link).ok();
                Place::Moved(
                    name.filter(|name| std::fs::metadata(name).is_ok_and(|it| is_ours(&it))),
                )
            }
        }
    }

    /// Removes the write-ahead log from the file's old name, for a file that is no longer there. A
    /// new file of that name must not be combined with our log, nor our file with a new log.
    pub(super) fn leave_name(&self) {
        for end in ["-wal", "-shm"] {
            let path = with_end(&self.path, end);
            if is_open_here(&path) {
                let _ = std::fs::remove_file(path);
            }
        }
        let _ = self.fold_at_close(false);
    }

    /// Copies one run to a new file, because the old one has no name any more. Returns the new
    /// file's path.
    pub(super) fn copy_run(&self, run_id: i64) -> Result<PathBuf, StoreError> {
        let mut candidates = std::iter::once(self.path.clone()).chain(beside(&self.path));
        let new = |path: &PathBuf| {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).is_ok()
        };
        let path = candidates.find(new).ok_or_else(|| StoreError::File {
            path: self.path.clone(),
            error: ErrorKind::AlreadyExists.into(),
        })?;
        let copied = || {
            self.connection.execute("VACUUM INTO ?", [path.to_string_lossy()])?;
            let copy = Connection::open(&path)?;
            copy.pragma_update(None, "synchronous", "off")?;
            copy.pragma_update(None, "foreign_keys", false)?;
            // The user deleted the file with the other runs in it, so those stay deleted.
            if copy.execute("DELETE FROM runs WHERE run_id <> ?", [run_id])? > 0 {
                keep_run(&copy, run_id)?;
            }
            copy.pragma_update(None, "journal_mode", "wal")
        };
        match copied() {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(StoreError::Sqlite { path, error })
            }
        }
    }
}

/// Deletes the data of other runs, whose rows in `runs` have already been deleted.
fn keep_run(db: &Connection, run_id: i64) -> rusqlite::Result<()> {
    let with_column = |column| -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT s.name FROM sqlite_schema s, pragma_table_info(s.name) c
                   WHERE s.type = 'table' AND c.name = ?";
        db.prepare(sql)?.query_map([column], |row| row.get(0))?.collect()
    };
    for table in with_column("run_id")? {
        db.execute(&format!("DELETE FROM \"{table}\" WHERE run_id <> ?"), [run_id])?;
    }
    for table in with_column("process_id")? {
        let kept = "SELECT process_id FROM processes";
        db.execute_batch(&format!("DELETE FROM \"{table}\" WHERE process_id NOT IN ({kept})"))?;
    }
    db.execute_batch(
        "DELETE FROM files WHERE file_id NOT IN (SELECT file_id FROM code_objects); VACUUM",
    )
}

/// Returns the path with `end` appended, as SQLite names its helper files: `x.db-wal`.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Returns names for a file that replaces this one: `x.2.db`, `x.3.db` …
pub(super) fn beside(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    let stem = path.file_stem().unwrap_or_default();
    (2..10).map(move |number| {
        let mut name = stem.to_owned();
        name.push(format!(".{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    })
}

/// Whether this process has the file open.
fn is_open_here(path: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|about| (about.dev(), about.ino()));
    let Ok(wanted) = identity(path) else { return false };
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    descriptors.into_iter().any(|entry| identity(&entry.path()).is_ok_and(|it| it == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacement_names_keep_the_extension() {
        let names = |path| beside(Path::new(path)).next().unwrap_or_default();
        for (path, expected) in [
            ("x.db", "x.2.db"),
            ("/a.b/x", "/a.b/x.2"),
            ("runs/app.v1.db", "runs/app.v1.2.db"),
            (".db", ".db.2"),
        ] {
            assert_eq!(names(path), Path::new(expected), "{path}");
        }
    }
}
