//! Do the tables agree with each other, and the command line with the tables? `events/` tests which
//! events are right.
#![allow(clippy::unwrap_used)]

mod command_line;
mod cookbook;
mod functions;
mod outcomes;
mod processes;
mod pushdown;
mod questions;
mod tables;
mod times;
