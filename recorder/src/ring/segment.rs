//! The ring's memory: an anonymous memfd, so nothing but its descriptor names it.

use super::layout::{Clock, HEADER_BYTES, Header, MAGIC, Ring, VERSION};
use super::sync::{AtomicU32, Ordering};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, FromRawFd};

/// A new ring of `capacity` words (a power of two) and the file it lives in, which is not
/// inherited by children unless the caller arranges it.
///
/// # Errors
/// If the system has no memfd or not the memory.
pub fn create(capacity: usize) -> Result<(Ring, File)> {
    assert!(capacity.is_power_of_two() && (2..=1 << 30).contains(&capacity));
    // SAFETY: the name is a NUL-terminated constant; the call touches no memory of ours.
    let fd = unsafe {
        libc::memfd_create(c"dashcam".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: memfd_create just gave us this descriptor; nobody else owns it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len((HEADER_BYTES + capacity * 4) as u64)?;
    // Nobody may shrink it under the other side's mapping, which would be a SIGBUS there.
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

/// The ring another process created in this file.
///
/// # Errors
/// If it is not a ring, or one of another dashcam.
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
            // Without its memory: a program that does little is not to wait for it.
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

/// Gives a ring's memory back.
///
/// # Safety
/// No [`Ring`], producer or consumer over this mapping is used any more.
pub unsafe fn unmap(ring: Ring) {
    if ring.words.len() == 1 {
        // `Ring::none`
        return;
    }
    let base = std::ptr::from_ref(ring.header).cast_mut();
    // SAFETY: `map` made this mapping with this size; the caller vouches for the rest.
    unsafe { libc::munmap(base.cast(), HEADER_BYTES + ring.words.len() * 4) };
}

/// How much of a ring's memory a side has made ready: in the first round the system has to provide each
/// page, which is cheaper for many at once, and at a time of our choosing.
pub(super) struct Ready {
    /// In words, as positions in the ring are.
    at: u64,
    /// The end of the first round.
    all: u64,
}

/// Words that are made ready at a time.
const STEP: u64 = 1 << 14;

impl Ready {
    /// Nothing yet, for a side that begins at this position.
    pub(super) fn new(ring: &Ring, at: u64) -> Ready {
        Ready { at, all: at + ring.words.len() as u64 }
    }

    /// True if there is nothing left to do before `position`.
    #[inline(always)]
    pub(super) fn is_past(&self, position: u64) -> bool {
        self.at >= position.min(self.all)
    }

    /// Makes ready what lies before `position`, and some more; says up to where it is.
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
    // 64 kB on some machines. The ring's mapping begins a page, so this stays within it.
    // SAFETY: plain question to the system, which always knows the answer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let start = words.as_ptr() as usize & !(page - 1);
    let end = words.as_ptr_range().end as usize;
    // SAFETY: advice about memory of ours. Where the system does not know it (before Linux 5.14), pages
    // come when they are touched.
    unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_POPULATE_WRITE) };
}
