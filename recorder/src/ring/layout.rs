//! The layout of the shared memory.

#[cfg(not(loom))]
use super::sync::Ordering;
use super::sync::{AtomicU32, AtomicU64};

/// "dcrg", little endian.
pub(super) const MAGIC: u32 = 0x6772_6364;
/// Both sides come from one wheel, but a recorder may meet the shim of another installation.
pub(super) const VERSION: u32 = 6;
/// Bytes before the words.
#[cfg_attr(loom, allow(dead_code))]
pub(super) const HEADER_BYTES: usize = 4096;

/// The header. Producer's and consumer's fields lie on cache lines of their own.
#[repr(C, align(64))]
pub(super) struct Header {
    pub(super) magic: AtomicU32,
    pub(super) version: AtomicU32,
    /// Words, a power of two.
    pub(super) capacity: AtomicU32,
    pub(super) producer: ProducerFields,
    pub(super) consumer: ConsumerFields,
}

#[repr(C, align(64))]
pub(super) struct ProducerFields {
    /// Words ever published.
    pub(super) head: AtomicU64,
    /// Times the producer had to wait for room.
    pub(super) waits: AtomicU64,
    /// Nanoseconds it waited.
    pub(super) waited_ns: AtomicU64,
    /// Objects that were not examined because there were too many. The number is kept here so that
    /// it is complete however the program ends.
    pub(super) skipped: AtomicU64,
    /// A [`Clock`].
    pub(super) clock: AtomicU32,
    /// 1 once the producer has given up waiting for room and publishes no more.
    pub(super) gave_up: AtomicU32,
}

#[repr(C, align(64))]
pub(super) struct ConsumerFields {
    /// Words ever taken.
    pub(super) tail: AtomicU64,
    /// 1 once the consumer takes no more.
    pub(super) closed: AtomicU32,
    /// Times the consumer asked for an epoch, from whose beginning on records can be read without
    /// those published before.
    pub(super) epoch: AtomicU32,
}

// Both processes must see the same layout.
#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(Header, producer) == 64);
    assert!(std::mem::offset_of!(Header, consumer) == 128);
    assert!(size_of::<Header>() == 192 && size_of::<Header>() <= HEADER_BYTES);
};

/// The clock whose ticks the records contain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Clock {
    /// Nanoseconds of CLOCK_MONOTONIC.
    Monotonic = 0,
    /// The processor's time stamp counter, constant rate, same on all cores.
    Tsc = 1,
}

/// A ring in memory that both sides see. It lives as long as the process: it is mapped once, and
/// the shim's callbacks may run until the very end.
#[derive(Clone, Copy)]
pub struct Ring {
    pub(super) header: &'static Header,
    /// Length is a power of two.
    pub(super) words: &'static [AtomicU32],
}

#[cfg(any(test, loom))]
impl Ring {
    /// A ring on this process's heap.
    pub(crate) fn on_heap(capacity: usize) -> Ring {
        assert!(capacity.is_power_of_two());
        let header = Header {
            magic: AtomicU32::new(MAGIC),
            version: AtomicU32::new(VERSION),
            capacity: AtomicU32::new(capacity as u32),
            producer: ProducerFields {
                head: AtomicU64::new(0),
                waits: AtomicU64::new(0),
                waited_ns: AtomicU64::new(0),
                skipped: AtomicU64::new(0),
                clock: AtomicU32::new(0),
                gave_up: AtomicU32::new(0),
            },
            consumer: ConsumerFields {
                tail: AtomicU64::new(0),
                closed: AtomicU32::new(0),
                epoch: AtomicU32::new(0),
            },
        };
        Ring {
            header: Box::leak(Box::new(header)),
            words: Vec::leak((0..capacity).map(|_| AtomicU32::new(0)).collect()),
        }
    }
}

#[cfg(not(loom))]
impl Ring {
    /// Whether nothing was ever published in this ring.
    pub fn is_unused(&self) -> bool {
        self.header.producer.head.load(Ordering::Relaxed) == 0
    }

    /// A ring without room, for the time when nothing is recorded.
    pub fn none() -> Ring {
        static HEADER: Header = Header {
            magic: AtomicU32::new(0),
            version: AtomicU32::new(0),
            capacity: AtomicU32::new(0),
            producer: ProducerFields {
                head: AtomicU64::new(0),
                waits: AtomicU64::new(0),
                waited_ns: AtomicU64::new(0),
                skipped: AtomicU64::new(0),
                clock: AtomicU32::new(0),
                gave_up: AtomicU32::new(0),
            },
            consumer: ConsumerFields {
                tail: AtomicU64::new(0),
                closed: AtomicU32::new(1),
                epoch: AtomicU32::new(0),
            },
        };
        static WORDS: [AtomicU32; 1] = [AtomicU32::new(0)];
        Ring { header: &HEADER, words: &WORDS }
    }
}

/// A ring whose memory is given back when this is dropped.
pub struct Attached {
    ring: Ring,
    #[cfg_attr(loom, allow(dead_code))]
    is_mapped: bool,
}

impl Attached {
    /// Maps the ring that another process created in this file.
    ///
    /// # Errors
    /// As [`attach`](super::attach).
    #[cfg(not(loom))]
    pub fn new(file: &std::fs::File) -> std::io::Result<Attached> {
        Ok(Attached { ring: super::attach(file)?, is_mapped: true })
    }

    /// The ring. It must not be used any more once this is dropped.
    #[cfg(feature = "writer")]
    pub(crate) fn ring(&self) -> Ring {
        self.ring
    }
}

/// A ring that stays as long as the process.
impl From<Ring> for Attached {
    fn from(ring: Ring) -> Attached {
        Attached { ring, is_mapped: false }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        #[cfg(not(loom))]
        if self.is_mapped {
            // SAFETY: `new` mapped it, and nobody else has a use for it: see `ring`.
            unsafe { super::unmap(self.ring) };
        }
    }
}
