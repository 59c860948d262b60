//! Reads dashcam recordings.
//!
//! - [`store`]: here is a file, give me runs, threads, code objects and the events of a chunk.
//!   The only module that opens a file. Useful for everything; not useful for questions.
//! - [`tables`]: the rows of `events`, `calls` and others, decoded from chunks, as batches of columns.
//! - [`sql`]: these as SQLite's virtual tables, and a connection on which nothing but reading is possible.
//! - [`export`]: the tables as Arrow columns and Parquet files, for other engines.
//! - [`state`]: here is a position, what did variables and objects hold?
//! - [`inspect`]: what an expression was at a position: paths, conditions, values to be taken apart.
//! - [`timeline`]: here is a position, where do steps and breakpoints lead from there?
//! - [`debugger`]: commands and replies, for people and programs.
//! - [`diff`]: where two runs of a program part.
//! - [`serve`]: for programs: questions and answers as lines of JSON.
//! - [`cli`]: the program `dashcam`, a module per verb.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recording = dashcam_replayer::Recording::open("dashcam.db".as_ref())?;
//! let lines: i64 = recording.connection().query_row(
//!     "SELECT count(*) FROM events WHERE kind = 'LINE'", [], |row| row.get(0))?;
//! # Ok(()) }
//! ```
//!
//! Any table by name, as columns:
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

#[cfg(feature = "cli")]
pub mod cli;
pub mod debugger;
pub mod diff;
#[cfg(feature = "export")]
pub mod export;
pub mod inspect;
#[cfg(feature = "cli")]
mod printable;
#[cfg(feature = "cli")]
pub mod serve;
pub mod sql;
pub mod state;
pub mod store;
mod suggest;
pub mod tables;
pub mod timeline;

pub use sql::Recording;
pub use store::Error;
