//! Errors of an export.

use crate::store;
use arrow_schema::ArrowError;
use std::io;
use std::path::{Path, PathBuf};

/// Why an export failed. The message is one line, and says what to do if something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("no table {name}{hint}; `dashcam schema` lists them")]
    NoTable { name: String, hint: String },
    /// A table that needs arguments, such as `stack_at`.
    #[error("{name} needs arguments, so it cannot be exported; ask with `dashcam query`")]
    NeedsArguments { name: String },
    #[error("{table} has no column {name}{hint}; it has {columns}")]
    NoColumn { table: &'static str, name: String, hint: String, columns: String },
    #[error("{table}.{column} is compared with {found}, but holds {holds}")]
    Compared { table: &'static str, column: &'static str, holds: &'static str, found: &'static str },
    #[error("{table}.{column} cannot be filtered by{instead}")]
    NotFiltered { table: &'static str, column: String, instead: &'static str },
    #[error("{message}")]
    Sql { message: String },
    /// An Arrow column has one type; an SQLite column may have several.
    #[error("column {column} has {one} and {other}; choose one: cast({column} as text)")]
    Mixed { column: String, one: &'static str, other: &'static str },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: not an export of dashcam and not empty; name an empty or new folder", path.display())]
    NotAnExport { path: PathBuf },
    #[error("{}: an export of a newer dashcam (layout {found}, this one writes {ours}); update dashcam", path.display())]
    Newer { path: PathBuf, found: u64, ours: u64 },
    #[error("{}: not as dashcam wrote it ({why}); remove it and export again", path.display())]
    Marker { path: PathBuf, why: String },
    /// The reader of the batches has ended; it reports the reason itself.
    #[error("the reader of the rows has ended")]
    NotTaken,
    #[error("{0}")]
    Output(#[source] io::Error),
    #[error("{0}")]
    Arrow(ArrowError),
    #[error("{}: {source}", path.display())]
    Parquet { path: PathBuf, source: ::parquet::errors::ParquetError },
}

impl Error {
    /// Creates an operating system error about a file.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { path: path.to_owned(), source }
    }
}
