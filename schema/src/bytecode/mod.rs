//! What follows from a code object alone.

pub mod lines;
