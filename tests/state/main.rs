//! What every variable held at every line, compared with what Python itself shows.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod changes;
mod claims;
mod compare;
mod instance;
mod paths;
mod samples;
mod truth;
