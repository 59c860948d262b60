//! Makes recordings. The map, in the order the data flows:
//!
//! - [`shim`] runs inside the traced program, on its threads: `sys.monitoring` callbacks that push
//!   records. Feature `python`.
//! - [`ring`] is the shared memory between the two processes.
//! - [`writer`] runs out of process: ring → chunks → SQLite. No Python in it.
//! - [`boot`] is what the recorder process tells a shim that is about to start.

pub mod boot;
#[cfg(any(feature = "python", test))]
#[cfg_attr(not(feature = "python"), allow(dead_code))] // then only tested
mod filter;
pub mod ring;
#[cfg(feature = "python")]
mod shim;
#[cfg(feature = "writer")]
pub mod writer;
