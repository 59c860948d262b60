//! Is every event there, and every one right? The truth test compares with the oracle; the others
//! say in words what single events are.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod claims;
mod truth;
