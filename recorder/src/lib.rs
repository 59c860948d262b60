//! Makes recordings. The map, in the order the data flows:
//!
//! - [`shim`] runs inside the traced program, on its threads: `sys.monitoring` callbacks that push
//!   records. Feature `python`.
//! - [`ring`] is the shared memory between the two processes.
//! - [`writer`] runs out of process: ring → chunks → SQLite. No Python in it.
//! - [`boot`] has the settings that the recorder process passes to a shim that is about to start,
//!   and the bytes that the two exchange through the control socket. [`children`] is how processes
//!   that the program starts join its recording.

pub mod boot;
pub mod children;
#[cfg(any(feature = "python", test))]
#[cfg_attr(not(feature = "python"), allow(dead_code))] // without `python`, only tests use it
mod filter;
pub mod ring;
#[cfg(feature = "python")]
mod shim;
#[cfg(feature = "writer")]
pub mod writer;
