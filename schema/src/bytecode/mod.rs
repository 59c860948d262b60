//! What CPython's compiled code says of itself.

pub mod code;
pub mod lines;
pub mod opcodes;
pub mod stores;
