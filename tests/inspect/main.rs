//! The value of an expression at a position, by `value_at`, is what Python's `eval` made of it
//! then.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod claims;
mod truth;
