//! Are derived events right? `events/` compares derived recordings with an independent logger; here
//! one and the same run is recorded both ways.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cpython;
mod doctor;
mod opcodes;
mod stretch;
mod unknown;
mod verify;
