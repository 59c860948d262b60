//! Do the tables agree with each other, and the command line with the tables? What events are
//! right is the concern of `events/`.
#![allow(clippy::unwrap_used)]

mod command_line;
mod cookbook;
mod functions;
mod outcomes;
mod pushdown;
mod questions;
mod tables;
mod times;
