//! What follows from CPython's bytecode, line tables and exception tables.

pub mod branches;
pub mod code;
pub mod effects;
pub mod evaluation;
pub mod lines;
pub mod opcodes;
pub mod spans;
pub mod stores;
pub mod tables;
