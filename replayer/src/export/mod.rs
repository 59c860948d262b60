//! Tables as Arrow columns, for engines other than SQLite.
//!
//! - [`Query`] reads any table by name, with columns and simple filters, in batches.
//! - [`read_statement`] does the same with the rows of an SQL statement.
//! - [`stream`] writes batches as an Arrow IPC stream.
//! - [`Layout`] is a folder of Parquet files with the runs of many recordings.
//!
//! Types: integers are `int64`, points in time `timestamp(ns, UTC)`, blobs `binary`. Texts are
//! `utf8`; in tables decoded from chunks, texts with few different values, such as names and paths,
//! are dictionaries. `events` has one column more than in SQL: `wall_time`, which is `wall_ns` as a
//! point in time.

mod columns;
mod condition;
mod error;
mod layout;
mod parquet;
mod query;
mod statement;

pub use error::Error;
pub use layout::{Done, Layout, Options, exported_tables};
pub use query::{Filter, Query};
pub use statement::read_statement;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use std::io::Write;

/// Receives the batches that a reader reads. There is at least one, so that the schema is known.
pub type Sink<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<(), Error>;

/// The version of the layout that this build writes: its folders, files and columns. Columns are
/// only ever added.
///
/// 1. All tables of format 9.
pub const LAYOUT_VERSION: u64 = 1;

/// The largest number of rows in a batch.
pub const ROWS: usize = 1 << 16;

/// Writes the batches that `read` reads as an Arrow IPC stream.
///
/// # Errors
/// The errors of `read`, and if `out` cannot be written to.
pub fn stream<W: Write>(
    out: W,
    read: impl FnOnce(Sink<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut out = Some(out);
    let mut writer: Option<StreamWriter<W>> = None;
    read(&mut |batch| {
        if let Some(out) = out.take() {
            writer = Some(StreamWriter::try_new(out, &batch.schema()).map_err(written)?);
        }
        let Some(writer) = &mut writer else { return Ok(()) };
        writer.write(&batch).and_then(|()| writer.flush()).map_err(written)
    })?;
    writer.map_or(Ok(()), |mut writer| writer.finish().map_err(written))
}

/// An error while writing: an error of the output, unless it is a bug of ours.
fn written(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => Error::Output(error),
        other => Error::Arrow(other),
    }
}
