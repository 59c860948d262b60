//! Opens the file, or reports what is wrong with it.

use super::Error;
use dashcam_schema::tables::TABLES;
use dashcam_schema::version;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustc_hash::FxHashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A connection that only reads, in a read transaction: all later reads see the file as it is now,
/// even while a recorder goes on writing.
///
/// Where it may, it opens the file for writing nevertheless. SQLite then does what is due when the
/// last connection is closed: it moves what a dead recorder has left in the write-ahead log into
/// the file. A connection that cannot write would leave files beside it instead.
pub(super) fn connect(path: &Path) -> Result<(Connection, Arc<Opened>), Error> {
    let opened = Opened::get(path).map_err(|error| io(path, error))?;
    let now = opened.header(path)?;
    let access = match opened.is_writable {
        true => Access::Write,
        // Files that we made beside another user's recording would get in the way of its recorder.
        false if !wal(path).exists() => Access::FileAlone,
        false => Access::Read,
    };
    let connection = match begin(path, access) {
        // The folder allows no files beside it. Then there is no writer either, and without a log
        // the file alone is complete.
        Err(error) if is_cannot_open(&error) && wal_bytes(path) == 0 => {
            begin(path, Access::FileAlone)
        }
        Err(error) if is_cannot_open(&error) => {
            let message = "part of it is in the -wal file beside it, which can be read only where \
                           new files can be made; copy both to another folder";
            return Err(Error::Sqlite { path: path.to_owned(), message: message.to_owned() });
        }
        other => other,
    }
    .map_err(|error| explain(path, &error))?;
    // SQLite notices a truncated page only when it reads it. If there is a write-ahead log,
    // somebody may be writing that page right now.
    let Header { length, .. } = now;
    if length < now.expected() && !length.is_multiple_of(now.page()) && wal_bytes(path) == 0 {
        let (path, expected) = (path.to_owned(), now.expected());
        return Err(Error::Truncated { path, found: length, expected });
    }
    check(&connection, path)?;
    fold_at_close(&connection, true).map_err(|error| explain(path, &error))?;
    Ok((connection, opened))
}

/// Checks that the main database is a recording of a format that is read, and that its tables are
/// tables: a view with the name of one could call any function that the connection has.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |error| explain(path, &error);
    let pragma = |name| {
        connection
            .pragma_query_value(Some("main"), name, |row| row.get::<_, i32>(0))
            .map_err(failed)
    };
    version::check(pragma("application_id")?, pragma("user_version")?)
        .map_err(|source| Error::Format { path: path.to_owned(), source })?;
    let sql = "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?";
    let mut is_table = connection.prepare(sql).map_err(failed)?;
    for table in TABLES.iter().filter(|table| !table.is_virtual) {
        if is_table.query_row([table.name], |row| row.get::<_, i64>(0)).map_err(failed)? == 0 {
            let message = format!("it has no table {}", table.name);
            return Err(Error::Corrupt { path: path.to_owned(), message });
        }
    }
    Ok(())
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Read,
    /// Without its write-ahead log; nothing writes to the file.
    FileAlone,
}

fn begin(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Write => {
            let write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(path, write)?
        }
        Access::Read => Connection::open_with_flags(path, read)?,
        Access::FileAlone => {
            let uri = format!("file:{}?immutable=1", escape(path));
            Connection::open_with_flags(uri, read | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    // Until the file is known to be a recording.
    fold_at_close(&connection, false)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // A recording is untrusted input: nothing in its schema may call functions with effects.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Sets whether closing the last connection moves the write-ahead log into the file.
fn fold_at_close(connection: &Connection, folds: bool) -> rusqlite::Result<()> {
    let leaves = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(leaves, !folds).map(|_| ())
}

/// Bytes in the write-ahead log beside a recording. They belong to the recording.
pub fn wal_bytes(path: &Path) -> u64 {
    std::fs::metadata(wal(path)).map_or(0, |about| about.len())
}

fn is_cannot_open(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
    )
}

/// The path of the write-ahead log.
fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn escape(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.as_os_str().as_encoded_bytes().iter().fold(String::new(), |mut uri, byte| {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
        uri
    })
}

/// The file's length and its first bytes, if they are SQLite's.
struct Header {
    length: u64,
    bytes: [u8; 100],
}

/// A descriptor of a file that SQLite has open too. Closing any descriptor gives up all locks that
/// the process has on the file. So all connections to the file share one descriptor, which is
/// closed after the last of them.
pub(super) struct Opened {
    file: File,
    is_writable: bool,
}

impl Opened {
    fn get(path: &Path) -> std::io::Result<Arc<Opened>> {
        type Files = FxHashMap<(u64, u64), Weak<Opened>>;
        static FILES: LazyLock<Mutex<Files>> = LazyLock::new(Mutex::default);
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, file| file.strong_count() > 0);
        let about = std::fs::metadata(path)?;
        // Opening a FIFO would wait for a writer.
        if !about.is_file() && !about.is_dir() {
            return Err(std::io::Error::other("not a regular file"));
        }
        let identity = (about.dev(), about.ino());
        if let Some(opened) = files.get(&identity).and_then(Weak::upgrade) {
            return Ok(opened);
        }
        let writable = File::options().read(true).write(true).open(path);
        let is_writable = writable.is_ok();
        let file = writable.or_else(|_| File::open(path))?;
        let opened = Arc::new(Opened { file, is_writable });
        files.insert(identity, Arc::downgrade(&opened));
        Ok(opened)
    }

    fn header(&self, path: &Path) -> Result<Header, Error> {
        let not = |hint| Error::NotADatabase { path: path.to_owned(), hint };
        let metadata = self.file.metadata().map_err(|error| io(path, error))?;
        if metadata.is_dir() {
            return Err(not(" (a directory)"));
        }
        let mut bytes = [0; 100];
        let mut count = 0;
        while count < bytes.len() {
            match self.file.read_at(&mut bytes[count..], count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io(path, error)),
            }
        }
        if count == 0 {
            return Err(not(" (an empty file)"));
        }
        if !bytes[..count].starts_with(&MAGIC[..count.min(16)]) {
            return Err(not(""));
        }
        let length = metadata.len();
        if count < bytes.len() {
            let path = path.to_owned();
            return Err(Error::Truncated { path, found: length, expected: 512 });
        }
        Ok(Header { length, bytes })
    }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
        _ => Error::Io { path: path.to_owned(), source },
    }
}

fn header(path: &Path) -> Result<Header, Error> {
    Opened::get(path).map_err(|error| io(path, error))?.header(path)
}

impl Header {
    /// The size of a page in bytes.
    fn page(&self) -> u64 {
        match u16::from_be_bytes([self.bytes[16], self.bytes[17]]) {
            1 => 65536,
            page => page.into(),
        }
    }

    /// The length that the file had when SQLite last wrote the header.
    fn expected(&self) -> u64 {
        let at = |i: usize| u64::from(self.bytes[i]);
        self.page() * (at(28) << 24 | at(29) << 16 | at(30) << 8 | at(31))
    }
}

/// What an SQLite error means. It may be that the file is shorter than it should be.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    match (Error::from_sqlite(path, error), header(path)) {
        (Error::Corrupt { path, .. }, Ok(header)) if header.length < header.expected() => {
            Error::Truncated { path, found: header.length, expected: header.expected() }
        }
        (other, _) => other,
    }
}
