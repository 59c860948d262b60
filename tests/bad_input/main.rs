//! What is wrong is said in one line that names what and where; nothing is overwritten, nothing
//! panics, and damaged bytes never become plausible answers.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod damage;
mod databases;
mod recording;
