//! The ring's memory: an anonymous memfd, which only its descriptor refers to.

use super::layout::{Clock, HEADER_BYTES, Header, MAGIC, Ring, VERSION};
use super::sync::{AtomicU32, Ordering};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, FromRawFd};

/// Creates a ring of `capacity` words (a power of two). Returns it and the file it lives in, which
/// children do not inherit unless the caller arranges it.
///
/// # Errors
/// If the system has no memfd or not enough memory.
pub fn create(capacity: usize) -> Result<(Ring, File)> {
    assert!(capacity.is_power_of_two() && (2..=1 << 30).contains(&capacity));
    // SAFETY: the name is a NUL-terminated constant; the call touches no memory of ours.
    let fd = unsafe {
        libc::memfd_create(c"dashcam".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: memfd_create just returned this descriptor; no other object owns it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len((HEADER_BYTES + capacity * 4) as u64)?;
    // The seals keep any process from shrinking the file under the other side's mapping, where
    // access would then raise SIGBUS.
    // SAFETY: plain system call on a descriptor we own.
    unsafe {
        libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW)
    };
    let ring = map(&file)?;
    ring.header.capacity.store(capacity as u32, Ordering::Relaxed);
    ring.header.producer.clock.store(Clock::Monotonic as u32, Ordering::Relaxed);
    ring.header.version.store(VERSION, Ordering::Relaxed);
    ring.header.magic.store(MAGIC, Ordering::Release);
    Ok((ring, file))
}

/// Creates a ring of about `mib` MiB, a smaller one if the system does not provide that much memory.
/// File size limits also apply to it.
///
/// # Errors
/// As [`create`].
pub fn create_up_to(mib: u32) -> Result<(Ring, File)> {
    let mut words = (mib.max(1) as usize).next_power_of_two() << 18;
    loop {
        match create(words) {
            Err(_) if words > 1 << 14 => words /= 2,
            result => return result,
        }
    }
}

/// Maps the ring that another process created in this file.
///
/// # Errors
/// If the file is not a ring, or the ring is of another version of dashcam.
pub fn attach(file: &File) -> Result<Ring> {
    let ring = map(file)?;
    let header = ring.header;
    if header.magic.load(Ordering::Acquire) != MAGIC {
        return Err(Error::new(ErrorKind::InvalidData, "not a dashcam ring"));
    }
    if header.version.load(Ordering::Relaxed) != VERSION
        || header.capacity.load(Ordering::Relaxed) as usize != ring.words.len()
    {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "shim and recorder are of different dashcam versions",
        ));
    }
    Ok(ring)
}

fn map(file: &File) -> Result<Ring> {
    let bytes = file.metadata()?.len() as usize;
    let words = bytes.saturating_sub(HEADER_BYTES) / 4;
    if bytes < HEADER_BYTES + 8 || !words.is_power_of_two() {
        return Err(Error::new(ErrorKind::InvalidData, "not a dashcam ring"));
    }
    // SAFETY: a fresh shared mapping of the whole file; its size is sealed by `create`.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            // Without MAP_POPULATE: a program that does little must not wait for all the memory.
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // Core dumps need not carry it.
    // SAFETY: advice about the mapping just made.
    unsafe { libc::madvise(base, bytes, libc::MADV_DONTDUMP) };
    // SAFETY: the mapping is page-aligned, `bytes` long, never unmapped, and every bit pattern is
    // a valid atomic; `Header` fits into HEADER_BYTES (asserted in `layout`).
    unsafe {
        let header = &*base.cast::<Header>();
        let first = base.cast::<u8>().add(HEADER_BYTES).cast::<AtomicU32>();
        Ok(Ring { header, words: std::slice::from_raw_parts(first, words) })
    }
}

/// Unmaps a ring's memory.
///
/// # Safety
/// No [`Ring`], producer or consumer over this mapping is used any more.
pub unsafe fn unmap(ring: Ring) {
    if ring.words.len() == 1 {
        // `Ring::none`
        return;
    }
    let base = std::ptr::from_ref(ring.header).cast_mut();
    // SAFETY: `map` made this mapping with this size; the caller guarantees that it is not used any
    // more.
    unsafe { libc::munmap(base.cast(), HEADER_BYTES + ring.words.len() * 4) };
}

/// How much of a ring's memory a side has made ready. In the first round through the ring, the
/// system has to provide each page. That is cheaper for many pages at once, and at a time of our
/// choosing.
pub(super) struct Ready {
    /// Memory before this position, in words, is ready.
    at: u64,
    /// The end of the first round.
    all: u64,
}

/// Words that are made ready at a time.
const STEP: u64 = 1 << 14;

impl Ready {
    /// Returns the state of a side that begins at this position, with nothing ready yet.
    pub(super) fn new(ring: &Ring, at: u64) -> Ready {
        Ready { at, all: at + ring.words.len() as u64 }
    }

    /// True if there is nothing left to do before `position`.
    #[inline(always)]
    pub(super) fn is_past(&self, position: u64) -> bool {
        self.at >= position.min(self.all)
    }

    /// Makes ready the memory before `position`, and some more. Returns the position up to which it
    /// is ready.
    pub(super) fn extend(&mut self, ring: &Ring, position: u64) -> u64 {
        while self.at < self.all && self.at < position.saturating_add(STEP) {
            let capacity = ring.words.len() as u64;
            let start = self.at & (capacity - 1);
            let count = STEP.min(capacity - start).min(self.all - self.at);
            populate(&ring.words[start as usize..(start + count) as usize]);
            self.at += count;
        }
        if self.at < self.all { self.at } else { u64::MAX }
    }
}

fn populate(words: &[AtomicU32]) {
    // 64 kB on some machines. The ring's mapping begins at a page, so the advice stays within it.
    // SAFETY: a plain query, which the system can always answer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let start = words.as_ptr() as usize & !(page - 1);
    let end = words.as_ptr_range().end as usize;
    // SAFETY: advice about memory of ours. Where the system does not know this advice (before Linux
    // 5.14), it provides pages when they are touched.
    unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_POPULATE_WRITE) };
}
