//! Errors are reported in one line that names the problem and the place. Nothing is overwritten,
//! nothing panics, and damaged bytes never become plausible answers.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod damage;
mod databases;
mod recording;
