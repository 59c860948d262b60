//! The part of the recorder that runs inside the recorded program, on its threads.
//!
//! CPython calls a callback of [`callbacks`] for every event, with the GIL held. The callback
//! pushes one record into the ring and returns: no allocation, no lock, no system call, no user
//! code. An event with something new (a code object, a callable, a thread) takes the slow path
//! through [`state`], which defines the new thing in the ring once.

mod audit;
mod callables;
mod callbacks;
mod clock;
mod code;
mod cost;
mod exceptions;
mod ffi;
mod follow;
mod fork;
mod memory;
mod messages;
mod module;
mod monitoring;
mod neighbours;
mod reach;
mod sources;
mod state;
mod threads;
mod values;

#[cfg(not(all(target_endian = "little", target_pointer_width = "64")))]
compile_error!("the shim reads objects as CPython lays them out on 64-bit little-endian machines");
