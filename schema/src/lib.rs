//! What a dashcam recording is.
//!
//! A guided tour, in the order the data flows:
//!
//! - [`event`]: the kinds of `sys.monitoring` and what each carries;
//! - [`record`]: the words in which the shim pushes events through the ring;
//! - [`calls`]: the call stack that follows from events, kept by recorder and replayer alike;
//! - [`chunk`]: a run of events as compressed columns, the unit of storage;
//! - [`tables`]: the SQL tables, each column with its type, unit and sentence;
//! - [`bytecode`]: what follows from a code object alone, such as its lines;
//! - [`loss`]: every way something was not recorded;
//! - [`version`] and [`error`]: what can be read, and what may be wrong with it.
//!
//! `FORMAT.md` beside this crate is the specification in prose.
#![forbid(unsafe_code)]

pub mod bytecode;
pub mod calls;
pub mod chunk;
pub mod error;
pub mod event;
pub mod loss;
pub mod record;
pub mod tables;
pub mod version;

pub use error::FormatError;
pub use event::EventKind;
