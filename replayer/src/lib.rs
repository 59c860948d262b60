//! Reads dashcam recordings.
//!
//! - [`store`]: opens a file and reads runs, threads, code objects and the events of chunks. The
//!   only module that opens a file. It answers no queries itself.
//! - [`tables`]: the rows of `events`, `calls` and others, decoded from chunks, as batches of
//!   columns.
//! - [`sql`]: these as SQLite's virtual tables, on a connection that only permits reading.
//! - [`export`]: the tables as Arrow columns and Parquet files, for other engines.
//! - [`state`]: the contents of variables and objects at a position.
//! - [`inspect`]: the values of expressions at a position: paths, conditions, parts of values.
//! - [`timeline`]: the positions that steps and breakpoints lead to.
//! - [`debugger`]: commands and replies, for people and programs.
//! - [`diff`]: the places where two runs of a program differ.
//!
//! The program `dashcam` is a crate of its own, in `replayer/cli`. `examples/` has three small programs
//! that use the library.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recording = dashcam_replayer::Recording::open("dashcam.db".as_ref())?;
//! let lines: i64 = recording.connection().query_row(
//!     "SELECT count(*) FROM events WHERE kind = 'LINE'", [], |row| row.get(0))?;
//! # Ok(()) }
//! ```
//!
//! Any table can be read by name, as columns:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("dashcam.db");
//! # let made = rusqlite::Connection::open(&path)?;
//! # made.execute_batch(&dashcam_schema::tables::create())?;
//! # made.pragma_update(None, "application_id", dashcam_schema::version::APPLICATION_ID)?;
//! # made.pragma_update(None, "user_version", dashcam_schema::version::FORMAT_VERSION)?;
//! # made.execute_batch("INSERT INTO runs (started_at, status, command, cwd, hostname, capture, events_by,
//! #     dashcam_version) VALUES ('2026-01-01T00:00:00Z', 'complete', '[]', '/', '', 'flow', 'direct', '')")?;
//! # drop(made);
//! use dashcam_replayer::Recording;
//! use dashcam_replayer::export::{Filter, Query};
//! use dashcam_replayer::tables::plan::{Op, Value};
//!
//! let recording = Recording::open(&path)?;
//! let complete = Filter {
//!     column: "status".to_owned(),
//!     op: Op::Eq,
//!     values: vec![Value::Text("complete".to_owned())],
//! };
//! let runs = Query::new(&recording, "runs")?.columns(&["run_id", "command"])?.filter(complete)?;
//! let mut rows = 0;
//! runs.read(&mut |batch| {
//!     // An Arrow record batch.
//!     assert_eq!(batch.schema().field(1).name(), "command");
//!     rows += batch.num_rows();
//!     Ok(())
//! })?;
//! assert_eq!(rows, 1);
//! # Ok(()) }
//! ```
#![deny(unsafe_code)]

pub mod debugger;
pub mod diff;
#[cfg(feature = "export")]
pub mod export;
pub mod inspect;
pub mod sql;
pub mod state;
pub mod store;
pub mod suggest;
pub mod tables;
pub mod timeline;

pub use sql::Recording;
pub use store::Error;
