//! What did this expression hold at this position?
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
//! A [`Snapshot`] is the variables of one frame at one position. An [`Expression`] is the part of
//! Python's grammar that needs no code: names, attributes, items, literals, comparisons, `and`, `or`,
//! `not`, arithmetic on numbers, `len(x)`, `type(x)`. A [`Path`] is one that leads from a name to a
//! value, and can be asked which object holds it. A [`Node`] is a value as an owned tree, or JSON.
//!
//! Nothing of the program runs, so what its code would decide is not known here:
//!
//! - An attribute is one of the object's own, as it stands in its `__dict__` or slots. Properties,
//!   `__getattr__` and what its class has are not looked at.
//! - An item is what the builtin container holds that the object is, or is derived from.
//! - Where a class may have an `__eq__`, `__lt__`, `__bool__`, `__len__` or `__contains__` of its own, the
//!   answer is an error, and so it is where it depends on what was cut or not recorded.
//!
//! - `lexer`, `parse`: text to expressions;
//! - `snapshot`: names, and a value as text; `globals`: names of the module;
//! - `evaluate`, `path`: expressions to values;
//! - `operand`, `compare`, `arithmetic`: what Python's operators do;
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
