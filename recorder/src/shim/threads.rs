//! Threads by a number of their own, the OS's id and Python's name.

use super::ffi::{self, Interpreter};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Thread pointer of the thread that pushed the last record; 0 sends the next event through the
/// slow path. Written under the GIL, except that a thread that ends takes itself out.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Thread pointers of threads that ended since the last look. The system may give the same pointer
/// to a new thread.
static ENDED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Runs when its thread ends, long after the thread let go of the GIL.
struct EndOfThread(Cell<usize>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        let pointer = self.0.get();
        if pointer != 0 {
            let _ = LAST.compare_exchange(pointer, 0, Ordering::Relaxed, Ordering::Relaxed);
            if let Ok(mut ended) = ENDED.lock() {
                ended.push(pointer);
            }
        }
    }
}

thread_local! {
    static END: EndOfThread = const { EndOfThread(Cell::new(0)) };
}

/// Whether the running thread pushed the last record too.
#[inline(always)]
pub(super) fn is_last() -> bool {
    LAST.load(Ordering::Relaxed) == ffi::thread_pointer()
}

/// Sends the next event through the slow path.
pub(super) fn forget_last() {
    LAST.store(0, Ordering::Relaxed);
}

/// Events after which a thread without a name is taken to be none of Python's.
const TRIES: u32 = 2000;

#[derive(Default)]
struct Entry {
    number: u32,
    name: String,
    tries: u32,
}

/// The threads met so far and still alive.
#[derive(Default)]
pub(super) struct Threads {
    by_pointer: FxHashMap<usize, Entry>,
    count: u32,
}

/// What the running thread is.
pub(super) struct Running {
    pub(super) number: u32,
    /// Not met before.
    pub(super) is_new: bool,
    /// Its name, if that is news.
    pub(super) name: Option<String>,
}

impl Threads {
    /// Looks up the running thread.
    pub(super) fn running(&mut self) -> Running {
        if let Ok(mut ended) = ENDED.lock() {
            for pointer in ended.drain(..) {
                self.by_pointer.remove(&pointer);
            }
        }
        let pointer = ffi::thread_pointer();
        let mut is_new = false;
        let count = &mut self.count;
        let entry = self.by_pointer.entry(pointer).or_insert_with(|| {
            is_new = true;
            *count += 1;
            Entry { number: *count - 1, ..Entry::default() }
        });
        if is_new {
            // A thread already in its end cannot be watched any more, and has nothing to come.
            let _ = END.try_with(|end| end.0.set(pointer));
        }
        let name = match Interpreter::running() {
            Some(interpreter) => python_name(interpreter),
            // Nobody can be asked any more: it keeps the name it had.
            None => (entry.name.is_empty() && is_main()).then(|| "MainThread".to_owned()),
        };
        let name = name.filter(|name| *name != entry.name);
        if let Some(name) = &name {
            entry.name.clone_from(name);
        }
        // `threading` registers a thread some events after it began: look again until then.
        entry.tries += 1;
        let settled = !entry.name.is_empty() || entry.tries > TRIES;
        LAST.store(if settled { pointer } else { 0 }, Ordering::Relaxed);
        Running { number: entry.number, is_new, name }
    }
}

/// The name `threading` knows the running thread by.
fn python_name(interpreter: Interpreter) -> Option<String> {
    let active = interpreter.module_entry(c"threading", c"_active");
    let thread = active.and_then(|active| active.dict_get_int(ffi::thread_ident()));
    match thread {
        Some(thread) => thread.instance_get(c"_name"),
        // Without `threading` there is one thread Python knows.
        None => is_main().then(|| "MainThread".to_owned()),
    }
}

/// Whether this is the process's main thread.
pub(super) fn is_main() -> bool {
    // SAFETY: asks the operating system who we are.
    native_id() == u64::from(unsafe { libc::getpid() }.unsigned_abs())
}

/// The operating system's id of the running thread.
pub(super) fn native_id() -> u64 {
    // SAFETY: as above.
    unsafe { libc::gettid() }.unsigned_abs().into()
}
