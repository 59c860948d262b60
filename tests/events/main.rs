//! Is every event recorded, and is every one right? The truth test compares with the oracle; the
//! others write out single events.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod claims;
mod truth;
