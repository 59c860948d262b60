//! Memory that is there when the program has used up all there is.
//!
//! Where CPython raises MemoryError and the program goes on, Rust aborts the process. So what the
//! system does not give the shim is taken from a reserve, and [`is_short`] says so from then on:
//! recording ends with the next event, which needs no memory. Until then the reserve lasts: a table
//! that grows needs at most twice what it has, and the reserve holds twice what all of them have, as
//! well as [`CALLBACK_BYTES`] for what else a callback needs. [`secure`] sees to that, before a table
//! grows. A reserve that is not used costs address space and nothing else.
//!
//! Nobody but the thread that holds the GIL allocates.

use super::threads;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// A callback needs no more than this for itself: texts and items are cut, names are short.
const CALLBACK_BYTES: usize = 4 << 20;
/// So much is needed, in the course of it, to describe a code object, for each of its code units.
const CODE_UNIT_BYTES: usize = 256;

/// What there is before recording begins.
#[repr(align(16))]
struct Early(UnsafeCell<[u8; EARLY_BYTES]>);

const EARLY_BYTES: usize = 1 << 16;

// SAFETY: its bytes are handed out by `take`, each to one owner.
unsafe impl Sync for Early {}

static EARLY: Early = Early(UnsafeCell::new([0; EARLY_BYTES]));

/// The reserve, its end, and the first byte of it that is not in use.
static BEGIN: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast());
static END: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast::<u8>().wrapping_add(EARLY_BYTES));
static NEXT: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast());
/// Allocations in it.
static SERVED: AtomicUsize = AtomicUsize::new(0);
/// Bytes allocated outside it.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// The reserve lasts as long as those are no more than this.
static SECURED: AtomicUsize = AtomicUsize::new(0);
static SHORT: AtomicBool = AtomicBool::new(false);

/// Whether there was no memory to be had, for us or for CPython on our behalf.
#[inline(always)]
pub(super) fn is_short() -> bool {
    SHORT.load(Relaxed)
}

/// There is no memory. The next event takes the slow path, where recording ends.
#[cold]
pub(super) fn note_shortage() {
    SHORT.store(true, Relaxed);
    threads::forget_last();
}

/// Before a recording: another one may have ended for want of memory.
pub(super) fn begin() {
    if SERVED.load(Relaxed) == 0 {
        SHORT.store(false, Relaxed);
    }
    secure();
}

/// Sees to it that the reserve is as large as it has to be; if it cannot be, memory is short.
#[inline(always)]
pub(super) fn secure() {
    if IN_USE.load(Relaxed) > SECURED.load(Relaxed) {
        grow(0);
    }
}

/// The same, before a code object of so many code units is described.
pub(super) fn secure_for_code(units: usize) {
    let bytes = units.saturating_mul(CODE_UNIT_BYTES);
    let free = END.load(Relaxed) as usize - NEXT.load(Relaxed) as usize;
    if needed(bytes) > free {
        grow(bytes);
    }
}

fn needed(more: usize) -> usize {
    CALLBACK_BYTES.saturating_add(2 * IN_USE.load(Relaxed)).saturating_add(more)
}

#[cold]
fn grow(more: usize) {
    if is_short() {
        return;
    }
    // So that it need not grow again soon.
    let size = needed(more).saturating_add(2 * IN_USE.load(Relaxed)).next_multiple_of(1 << 16);
    // SAFETY: a fresh mapping, of memory that is there once it is touched.
    let region = unsafe {
        libc::mmap(
            null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if region == libc::MAP_FAILED {
        return note_shortage();
    }
    let (begin, end) = (BEGIN.load(Relaxed), END.load(Relaxed));
    if begin != EARLY.0.get().cast() {
        // SAFETY: our own mapping; nothing was ever taken from it, or memory would be short.
        unsafe { libc::munmap(begin.cast(), end as usize - begin as usize) };
    }
    let region = region.cast::<u8>();
    BEGIN.store(region, Relaxed);
    NEXT.store(region, Relaxed);
    END.store(region.wrapping_add(size), Relaxed);
    SECURED.store((size - CALLBACK_BYTES).saturating_sub(more) / 2, Relaxed);
}

/// Takes memory from the reserve, which is zero if nothing has been given back to it; null if it does
/// not last.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    note_shortage();
    let (next, end) = (NEXT.load(Relaxed), END.load(Relaxed));
    let begin = next.wrapping_add(next.align_offset(layout.align()));
    if begin > end || end as usize - (begin as usize) < layout.size() {
        return null_mut();
    }
    NEXT.store(begin.wrapping_add(layout.size()), Relaxed);
    SERVED.store(SERVED.load(Relaxed) + 1, Relaxed);
    begin
}

#[cold]
fn give_back(pointer: *mut u8, size: usize) {
    let served = SERVED.load(Relaxed).saturating_sub(1);
    SERVED.store(served, Relaxed);
    if served == 0 {
        NEXT.store(BEGIN.load(Relaxed), Relaxed);
    } else if pointer.wrapping_add(size) == NEXT.load(Relaxed) {
        NEXT.store(pointer, Relaxed);
    }
}

#[inline(always)]
fn is_reserved(pointer: *mut u8) -> bool {
    (BEGIN.load(Relaxed)..END.load(Relaxed)).contains(&pointer)
}

/// Only the thread that holds the GIL comes here, so reading and writing need not be one step.
#[inline(always)]
fn count(more: usize, less: usize) {
    IN_USE.store(IN_USE.load(Relaxed).wrapping_add(more).wrapping_sub(less), Relaxed);
}

/// The system's allocator, and where that gives nothing the reserve.
struct Allocator;

// The recorder process has the system's own.
#[cfg(not(feature = "writer"))]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: what is not the system's is a part of the reserve that is in use once, as `take` moves on by
// as much as it gives, and moves back only over what was given back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            return take(layout);
        }
        count(layout.size(), 0);
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(layout.size(), 0);
            return pointer;
        }
        let pointer = take(layout);
        if !pointer.is_null() {
            // SAFETY: so much was taken just now.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_reserved(pointer) {
            return give_back(pointer, layout.size());
        }
        count(0, layout.size());
        // SAFETY: the caller's, and it is not from the reserve.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_reserved(pointer) {
            // SAFETY: the caller's, and it is not from the reserve.
            let moved = unsafe { System.realloc(pointer, layout, size) };
            if !moved.is_null() {
                count(size, layout.size());
                return moved;
            }
        }
        // SAFETY: the caller vouches for size and alignment; both places are as large as is copied, and
        // the old one is given back once.
        unsafe {
            let moved = take(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, size.min(layout.size()));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let layout =
            |size, align| Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>());
        let begin = BEGIN.load(Relaxed);
        let first = take(layout(3, 1));
        let second = take(layout(64, 16));
        assert_eq!((first, second), (begin, begin.wrapping_add(16)));
        assert!(is_short() && is_reserved(second));
        assert!(take(layout(EARLY_BYTES, 1)).is_null());
        give_back(second, 64);
        assert_eq!(take(layout(8, 8)), second);
        give_back(second, 8);
        give_back(first, 3);
        assert_eq!(NEXT.load(Relaxed), begin);
        super::super::memory::begin();
        assert!(!is_short());
        assert!(END.load(Relaxed) as usize - BEGIN.load(Relaxed) as usize > CALLBACK_BYTES);
    }
}
