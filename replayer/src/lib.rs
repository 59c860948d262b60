//! Reads dashcam recordings.
//!
//! - [`store`]: here is a file, give me runs, threads, code objects and the events of a chunk.
//!   The only module that opens a file. Useful for everything; not useful for questions.
//! - [`tables`]: the rows of `events`, `calls` and others, decoded from chunks, as batches of columns.
//! - [`sql`]: these as SQLite's virtual tables, and a connection on which nothing but reading is possible.
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
#![deny(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod debugger;
pub mod diff;
pub mod inspect;
#[cfg(feature = "cli")]
mod printable;
pub mod serve;
pub mod sql;
pub mod state;
pub mod store;
mod suggest;
pub mod tables;
pub mod timeline;

pub use sql::Recording;
pub use store::Error;
