//! Do the events that follow from others follow rightly? `events/` compares derived recordings with
//! an independent witness; here one and the same run is recorded both ways.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cpython;
mod doctor;
mod opcodes;
mod stretch;
mod unknown;
mod verify;
