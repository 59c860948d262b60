//! A reserve of memory for when the program has used up all there is.
//!
//! Where CPython raises MemoryError and the program goes on, Rust aborts the process. So memory
//! that the system refuses to the shim is taken from a reserve, and [`is_short`] is true from then
//! on. Recording ends with the next event, which needs no memory. The reserve lasts until then: a
//! table that grows needs at most twice its size, and the reserve is twice as large as all tables,
//! plus [`CALLBACK_BYTES`] for what else a callback needs. [`secure`] ensures that size before a
//! table grows. An unused reserve costs address space and nothing else.
//!
//! Only the thread that holds the GIL allocates.

use super::threads;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// A callback needs no more bytes than this for itself: texts and items are cut, names are short.
const CALLBACK_BYTES: usize = 4 << 20;
/// Bytes needed while a code object is defined, for each of its code units.
const CODE_UNIT_BYTES: usize = 256;

/// The reserve before recording begins.
#[repr(align(16))]
struct Early(UnsafeCell<[u8; EARLY_BYTES]>);

const EARLY_BYTES: usize = 1 << 16;

// SAFETY: `take` hands out its bytes, each to one owner.
unsafe impl Sync for Early {}

static EARLY: Early = Early(UnsafeCell::new([0; EARLY_BYTES]));

/// The beginning of the reserve, its end, and its first byte that is not in use.
static BEGIN: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast());
static END: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast::<u8>().wrapping_add(EARLY_BYTES));
static NEXT: AtomicPtr<u8> = AtomicPtr::new(EARLY.0.get().cast());
/// The number of allocations in the reserve.
static SERVED: AtomicUsize = AtomicUsize::new(0);
/// Bytes allocated outside the reserve.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// The reserve is large enough as long as `IN_USE` is no more than this.
static SECURED: AtomicUsize = AtomicUsize::new(0);
static SHORT: AtomicBool = AtomicBool::new(false);

/// Whether the system has refused memory to the shim, or to CPython on the shim's behalf.
#[inline(always)]
pub(super) fn is_short() -> bool {
    SHORT.load(Relaxed)
}

/// Notes that there is no memory. The next event takes the slow path, where recording ends.
#[cold]
pub(super) fn note_shortage() {
    SHORT.store(true, Relaxed);
    threads::forget_last();
}

/// Prepares for a recording. An earlier one may have ended because there was no memory.
pub(super) fn begin() {
    if SERVED.load(Relaxed) == 0 {
        SHORT.store(false, Relaxed);
    }
    secure();
}

/// Makes the reserve as large as it has to be. If that is not possible, memory is short.
#[inline(always)]
pub(super) fn secure() {
    if IN_USE.load(Relaxed) > SECURED.load(Relaxed) {
        grow(0);
    }
}

/// Like [`secure`], before a code object of `units` code units is defined.
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
    // More than is needed, so that the reserve need not grow again soon.
    let size = needed(more).saturating_add(2 * IN_USE.load(Relaxed)).next_multiple_of(1 << 16);
    // SAFETY: a fresh mapping. The system provides its memory when it is touched.
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

/// Takes memory from the reserve. The memory is zero if nothing has been given back to the reserve.
/// Returns null if the reserve is too small.
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

/// Gives memory back to the reserve.
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

/// Whether memory is from the reserve.
#[inline(always)]
fn is_reserved(pointer: *mut u8) -> bool {
    (BEGIN.load(Relaxed)..END.load(Relaxed)).contains(&pointer)
}

/// Counts allocated bytes. Only the thread that holds the GIL calls this, so reading and writing
/// need not be one atomic step.
#[inline(always)]
fn count(more: usize, less: usize) {
    IN_USE.store(IN_USE.load(Relaxed).wrapping_add(more).wrapping_sub(less), Relaxed);
}

/// Allocates from the system, and from the reserve if the system refuses.
struct Allocator;

// The recorder process uses the system's allocator.
#[cfg(not(feature = "writer"))]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: memory that is not the system's is a part of the reserve with one owner, because `take`
// moves on by as much as it returns, and the reserve moves back only over what was given back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            return take(layout);
        }
        count(layout.size(), 0);
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(layout.size(), 0);
            return pointer;
        }
        let pointer = take(layout);
        if !pointer.is_null() {
            // SAFETY: this many bytes were taken just now.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_reserved(pointer) {
            return give_back(pointer, layout.size());
        }
        count(0, layout.size());
        // SAFETY: the caller's promise, and the memory is not from the reserve.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_reserved(pointer) {
            // SAFETY: the caller's promise, and the memory is not from the reserve.
            let moved = unsafe { System.realloc(pointer, layout, size) };
            if !moved.is_null() {
                count(size, layout.size());
                return moved;
            }
        }
        // SAFETY: the caller vouches for size and alignment. Both places are at least as large as
        // what is copied, and the old one is given back once.
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
    fn memory_given_back_can_be_taken_again() {
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
