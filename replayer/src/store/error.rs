//! What can go wrong with a file, each with a message of its own.

use dashcam_schema::FormatError;
use std::path::PathBuf;

/// Why a recording, or a part of it, cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{}: no such file", path.display())]
    NotFound { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The first bytes are not those of an SQLite file.
    #[error("{}: not a database, so not a dashcam recording{}", path.display(), hint)]
    NotADatabase { path: PathBuf, hint: &'static str },
    /// Another program's database, or a format this build does not read.
    #[error("{}: {source}", path.display())]
    Format { path: PathBuf, source: FormatError },
    #[error("{}: truncated: {found} bytes of {expected}", path.display())]
    Truncated { path: PathBuf, found: u64, expected: u64 },
    /// SQLite found its own structures damaged.
    #[error("{}: damaged: {message}", path.display())]
    Corrupt { path: PathBuf, message: String },
    #[error("{}: {message}", path.display())]
    Sqlite { path: PathBuf, message: String },
    #[error("{}: chunk {chunk}: {source}", path.display())]
    Chunk { path: PathBuf, chunk: i64, source: FormatError },
    #[error("{}: chunk of values {chunk}: {source}", path.display())]
    Values { path: PathBuf, chunk: i64, source: FormatError },
    /// Values of an event are not in the recording, although such values were captured.
    #[error("{}: {}", path.display(), unknown(*last))]
    Unknown { path: PathBuf, last: Option<i64> },
    #[error("{}: {}", path.display(), no_run(*wanted, *last))]
    NoRun { path: PathBuf, wanted: Option<i64>, last: Option<i64> },
    /// An SQL query asks for something that is not there. SQLite passes the message on, and its
    /// reader knows which file it is about.
    #[error("{what}")]
    NotThere { what: String },
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// What an SQLite error means for this file.
    pub fn from_sqlite(path: &std::path::Path, error: &rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        let message = message(error);
        match error.sqlite_error_code() {
            Some(Code::DatabaseCorrupt) => Error::Corrupt { path, message },
            Some(Code::NotADatabase) => Error::NotADatabase { path, hint: "" },
            Some(Code::OperationInterrupted) => Error::Interrupted,
            _ => {
                // Messages of our own tables contain the file's name already.
                let named = format!("{}: ", path.display());
                let message = message.strip_prefix(&named).map(str::to_owned).unwrap_or(message);
                Error::Sqlite { path, message }
            }
        }
    }
}

/// Whether an error is temporary: it says nothing about the file, which can be read another time.
pub(super) fn is_temporary(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(
        error.sqlite_error_code(),
        Some(
            Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::OperationInterrupted
                | Code::OutOfMemory
                | Code::AuthorizationForStatementDenied
        )
    )
}

fn unknown(last: Option<i64>) -> String {
    match last {
        Some(last) => format!(
            "what variables and objects held is not known here: values are stored up to event {last}"
        ),
        None => {
            "what variables and objects held is not known here: no values are stored".to_owned()
        }
    }
}

fn no_run(wanted: Option<i64>, last: Option<i64>) -> String {
    match (wanted, last) {
        (Some(run), Some(last)) => format!("no run {run}; the last is {last}"),
        _ => "no runs".to_owned(),
    }
}

/// SQLite's own message, without the result code that rusqlite puts around it.
pub fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
