//! The shared memory between shim and writer: a lock-free ring of 32-bit words, one producer, one
//! consumer.
//!
//! The treaty:
//!
//! ```text
//!           tail                 head
//! ───────────┬────────────────────┬───────────────────
//!    free    │       ready        │       free
//! ───────────┴────────────────────┴───────────────────
//!   producer's      consumer's           producer's
//! ```
//!
//! - `head` counts the words ever published, `tail` those ever taken. Only the producer moves
//!   `head`, only the consumer moves `tail`, both only upwards; `head - tail` never exceeds the
//!   capacity.
//! - Free words are the producer's alone. It fills whole records there and then publishes them by
//!   storing `head` (Release). Ready words are the consumer's; it gives them back by storing `tail`
//!   (Release).
//! - A producer that dies leaves a ring in which every published record is whole. A record it was
//!   still writing was never published and is never read.
//! - Neither side waits for a lock. A producer without room waits for `tail`, and counts how long.
//!   It may give up: it then sets a flag in the header and publishes no more.
//! - The consumer may ask for an epoch by incrementing `epoch`. The producer answers later with a
//!   record of its own, at a time of its choosing. The consumer does not wait for that record.
//! - The consumer trusts nothing it reads: `head` is checked against the capacity, and records are
//!   validated from a private copy.
//!
//! Words are relaxed atomics, so even a misbehaving peer cannot make a race undefined behaviour.

mod consumer;
mod layout;
mod producer;
#[cfg(not(loom))]
mod segment;
mod sync;

pub use consumer::{Consumer, Corrupt};
pub use layout::{Attached, Clock, Ring};
pub use producer::{Gone, Producer, Words};
#[cfg(not(loom))]
pub use segment::{attach, create, create_up_to, unmap};

/// A stand-in for the model checker, whose rings have no pages.
#[cfg(loom)]
mod segment {
    pub(super) struct Ready;

    impl Ready {
        pub(super) fn new(_: &super::Ring, _: u64) -> Ready {
            Ready
        }

        pub(super) fn is_past(&self, _: u64) -> bool {
            true
        }

        pub(super) fn extend(&mut self, _: &super::Ring, _: u64) -> u64 {
            u64::MAX
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
