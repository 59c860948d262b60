//! Opens the file, or says what is wrong with it.

use super::Error;
use dashcam_schema::version;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A connection that can only read, in a read transaction: all that is read from it later is
/// the file as it was now, also while a recorder goes on writing.
pub(super) fn connect(path: &Path) -> Result<Connection, Error> {
    let now = header(path)?;
    let connection = match begin(path, false) {
        // A recording in WAL mode needs files beside it. Where they cannot be made there is no
        // writer either, and the file alone is all there is.
        Err(error) if is_cannot_open(&error) && !wal(path).exists() => begin(path, true),
        other => other,
    }
    .map_err(|error| explain(path, &error))?;
    // SQLite notices a page cut short only when it reads it. Beside a write-ahead log somebody may
    // be writing that page right now.
    let Header { length, .. } = now;
    if length < now.expected() && !length.is_multiple_of(now.page()) && !wal(path).exists() {
        let (path, expected) = (path.to_owned(), now.expected());
        return Err(Error::Truncated { path, found: length, expected });
    }
    let pragma = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(|error| explain(path, &error))
    };
    version::check(pragma("application_id")?, pragma("user_version")?)
        .map_err(|source| Error::Format { path: path.to_owned(), source })?;
    Ok(connection)
}

fn begin(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        let uri = format!("file:{}?immutable=1", escape(path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // A recording is untrusted input: nothing in its schema may call functions with effects.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn is_cannot_open(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
    )
}

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

/// The file's length and first bytes, if they are SQLite's.
struct Header {
    length: u64,
    bytes: [u8; 100],
}

fn header(path: &Path) -> Result<Header, Error> {
    let io = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
        _ => Error::Io { path: path.to_owned(), source },
    };
    let not = |hint| Error::NotADatabase { path: path.to_owned(), hint };
    // To open a FIFO is to wait for somebody who writes to it.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(not(" (a directory)"));
    }
    if !metadata.is_file() {
        return Err(not(" (no regular file)"));
    }
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::with_capacity(100);
    file.by_ref().take(100).read_to_end(&mut bytes).map_err(io)?;
    if bytes.is_empty() {
        return Err(not(" (an empty file)"));
    }
    if !bytes.starts_with(&MAGIC[..bytes.len().min(16)]) {
        return Err(not(""));
    }
    let length = metadata.len();
    match bytes.try_into() {
        Ok(bytes) => Ok(Header { length, bytes }),
        Err(_) => Err(Error::Truncated { path: path.to_owned(), found: length, expected: 512 }),
    }
}

impl Header {
    /// Bytes of a page.
    fn page(&self) -> u64 {
        match u16::from_be_bytes([self.bytes[16], self.bytes[17]]) {
            1 => 65536,
            page => page.into(),
        }
    }

    /// The length SQLite gave the file when it last wrote the header.
    fn expected(&self) -> u64 {
        let at = |i: usize| u64::from(self.bytes[i]);
        self.page() * (at(28) << 24 | at(29) << 16 | at(30) << 8 | at(31))
    }
}

/// What an error of SQLite's means, be it that the file is shorter than it should be.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    match (Error::from_sqlite(path, error), header(path)) {
        (Error::Corrupt { path, .. }, Ok(header)) if header.length < header.expected() => {
            Error::Truncated { path, found: header.length, expected: header.expected() }
        }
        (other, _) => other,
    }
}
