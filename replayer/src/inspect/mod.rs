//! Evaluates expressions at a position of a run.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let recording = dashcam_replayer::Recording::open("dashcam.db".as_ref())?;
//! use dashcam_replayer::inspect::{Expression, Snapshot};
//! let condition = Expression::parse("order.items[-1].price > 100 and order.owner is not None")?;
//! if let Some(snapshot) = Snapshot::at(recording.store(), 1, 4711, 0)? {
//!     println!("{}", snapshot.is_true(&condition)?);
//! }
//! # Ok(()) }
//! ```
//!
//! A [`Snapshot`] is the variables of one frame at one position. An [`Expression`] is an expression
//! of the part of Python's grammar that runs no code: names, attributes, items, literals,
//! comparisons, `and`, `or`, `not`, arithmetic on numbers, `len(x)`, `type(x)`. A [`Path`] is an
//! expression that leads from a name to a value; resolving it also gives the object that holds the
//! value. A [`Node`] is a value as an owned tree, which can be written as JSON.
//!
//! No code of the program runs, so what its code would decide is not known here:
//!
//! - An attribute is one of the object's own, from its `__dict__` or slots. Properties,
//!   `__getattr__` and attributes of the class are not considered.
//! - Items are those of the builtin container that the object's class is, or is derived from.
//! - The answer is an error where a class may have an `__eq__`, `__lt__`, `__bool__`, `__len__` or
//!   `__contains__` of its own, and where it depends on what was cut or not recorded.
//!
//! - `lexer`, `parse`: text to expressions;
//! - `snapshot`: looks up names, and writes a value as text; `globals`: names of the module;
//! - `evaluate`, `path`: expressions to values;
//! - `operand`, `compare`, `arithmetic`: Python's operators;
//! - `node`: values as trees and JSON.

mod arithmetic;
mod compare;
mod error;
mod evaluate;
mod globals;
mod lexer;
mod node;
mod operand;
mod parse;
mod path;
mod snapshot;

pub use error::{InspectError, ParseError};
pub use evaluate::Evaluated;
pub use node::{Body, Limits, Node, ObjectNode};
pub use parse::Expression;
pub use path::{Path, PathStep, Resolved, ResolvedStep};
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
