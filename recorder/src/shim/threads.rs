//! Numbers threads, and finds the OS's id and Python's name of each.
//!
//! A greenlet has a stack of its own, so it is recorded like a thread.

use super::ffi::{self, Interpreter, StackFinder};
use super::memory;
use rustc_hash::FxHashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Thread pointer of the thread that pushed the last record. 0 makes the next event take the slow
/// path. Written under the GIL, except that a thread removes itself when it ends.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Thread pointers of the threads that ended since [`Threads::running`] last read this list. The
/// system may give the same pointer to a new thread. The list has room for all known threads,
/// because a thread that ends holds no GIL, without which it must not allocate.
static ENDED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// How many threads ended so far.
static ENDS: AtomicUsize = AtomicUsize::new(0);

/// Runs when a thread ends, long after it released the GIL.
unsafe extern "C" fn end(pointer: *mut c_void) {
    let pointer = pointer as usize;
    let _ = LAST.compare_exchange(pointer, 0, Ordering::Relaxed, Ordering::Relaxed);
    ENDS.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut ended) = ENDED.lock() {
        ended.push(pointer);
    }
}

/// Has [`end`] called when the running thread ends. A `thread_local!` cannot do this: a library
/// that is loaded late gets the memory for those at their first use, and the process ends if there
/// is none.
fn watch_end(pointer: usize) {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the function has the right signature and is never unloaded.
        let created = unsafe { libc::pthread_key_create(&mut key, Some(end)) } == 0;
        created.then_some(key)
    });
    // SAFETY: our own key. The value is not null, and is only passed on.
    let is_set = key.is_some_and(|key| unsafe {
        libc::pthread_setspecific(key, pointer as *const c_void) == 0
    });
    if !is_set {
        memory::note_shortage();
    }
}

/// Whether the running thread pushed the last record too.
#[inline(always)]
pub(super) fn is_last() -> bool {
    LAST.load(Ordering::Relaxed) == ffi::thread_pointer()
}

/// Makes the next event take the slow path.
pub(super) fn forget_last() {
    LAST.store(0, Ordering::Relaxed);
}

/// A thread that still has no name after this many events is not a thread of Python's.
const TRIES: u32 = 2000;

#[derive(Default)]
struct Entry {
    number: u32,
    name: String,
    tries: u32,
    /// If greenlets are recorded: the first chunk of the stack that the thread began with.
    own_stack: usize,
}

/// A stack other than the one its thread began with.
struct Greenlet {
    number: u32,
    thread_pointer: usize,
}

/// Identifies the running stack among all stacks so far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RunningStack {
    thread_pointer: usize,
    first_chunk: usize,
    /// [`ENDS`] at that time. The other two may be used again for a new thread after one has ended.
    ends: usize,
}

impl RunningStack {
    fn now(stacks: StackFinder) -> RunningStack {
        RunningStack {
            thread_pointer: ffi::thread_pointer(),
            first_chunk: stacks.first_chunk(),
            ends: ENDS.load(Ordering::Relaxed),
        }
    }
}

/// The known threads that are alive.
#[derive(Default)]
pub(super) struct Threads {
    by_pointer: FxHashMap<usize, Entry>,
    /// How many threads and greenlets have a number.
    count: u32,
    /// `None` if there are no greenlets.
    stacks: Option<StackFinder>,
    /// By the first chunk of their stacks. A new greenlet may get the memory of one that ended, and
    /// then has the same number.
    greenlets: FxHashMap<usize, Greenlet>,
    /// If greenlets are recorded: the stack that pushed the last record.
    last_stack: Option<RunningStack>,
}

/// The running thread or greenlet.
pub(super) struct Running {
    pub(super) number: u32,
    /// It had no number before.
    pub(super) is_new: bool,
    /// Its name, if that is new.
    pub(super) name: Option<String>,
}

impl Threads {
    /// Records greenlets from now on. Must be called from Python code.
    pub(super) fn follow_greenlets(&mut self) {
        if self.stacks.is_none() {
            self.stacks = StackFinder::find();
            forget_last();
        }
    }

    /// Whether the running stack pushed the last record too. False if greenlets are not recorded.
    /// If they are, [`is_last`] is always false.
    pub(super) fn is_last_stack(&self) -> bool {
        self.stacks.is_some_and(|stacks| self.last_stack == Some(RunningStack::now(stacks)))
    }

    /// Looks up the running thread or greenlet, and gives it a number if it has none.
    pub(super) fn running(&mut self) -> Running {
        if let Ok(mut ended) = ENDED.lock() {
            for pointer in ended.drain(..) {
                self.by_pointer.remove(&pointer);
                self.greenlets.retain(|_, greenlet| greenlet.thread_pointer != pointer);
            }
            ended.reserve(self.by_pointer.len() + 1);
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
            watch_end(pointer);
        }
        let name = match Interpreter::running() {
            Some(interpreter) => python_name(interpreter),
            // The interpreter is gone, so the thread keeps its name.
            None => (entry.name.is_empty() && is_main()).then(|| "MainThread".to_owned()),
        };
        let name = name.filter(|name| *name != entry.name);
        if let Some(name) = &name {
            entry.name.clone_from(name);
        }
        // `threading` registers a thread some events after it began. Until then, try again.
        entry.tries += 1;
        let settled = !entry.name.is_empty() || entry.tries > TRIES;
        let settled = settled && !memory::is_short();
        // Greenlets switch while the thread stays the same.
        let is_shared = self.stacks.is_some();
        LAST.store(if settled && !is_shared { pointer } else { 0 }, Ordering::Relaxed);
        let thread = Running { number: entry.number, is_new, name };
        let Some(stacks) = self.stacks else { return thread };
        let stack = RunningStack::now(stacks);
        self.last_stack = settled.then_some(stack);
        self.greenlet(pointer, stack.first_chunk).unwrap_or(thread)
    }

    /// The greenlet that runs in a thread on this stack. `None` if the stack is the thread's own.
    fn greenlet(&mut self, pointer: usize, stack: usize) -> Option<Running> {
        let thread = self.by_pointer.get_mut(&pointer)?;
        if thread.own_stack == 0 {
            // This is the thread's first event since greenlets are recorded.
            thread.own_stack = stack;
        }
        if thread.own_stack == stack {
            return None;
        }
        let of = if thread.name.is_empty() { "a thread" } else { &thread.name };
        let known = self.greenlets.get(&stack);
        if let Some(known) = known.filter(|known| known.thread_pointer == pointer) {
            return Some(Running { number: known.number, is_new: false, name: None });
        }
        let number = self.count;
        self.count += 1;
        self.greenlets.insert(stack, Greenlet { number, thread_pointer: pointer });
        let name = Some(format!("greenlet {} of {of}", self.greenlets.len()));
        Some(Running { number, is_new: true, name })
    }
}

/// The name of the running thread in `threading`.
fn python_name(interpreter: Interpreter) -> Option<String> {
    let active = interpreter.module_entry(c"threading", c"_active");
    let thread = active.and_then(|active| active.dict_get_int(ffi::thread_ident()));
    match thread {
        Some(thread) => thread.instance_get(c"_name"),
        // Without `threading`, Python knows only the main thread.
        None => is_main().then(|| "MainThread".to_owned()),
    }
}

/// Whether this is the process's main thread.
pub(super) fn is_main() -> bool {
    // SAFETY: only asks the operating system for our process id.
    native_id() == u64::from(unsafe { libc::getpid() }.unsigned_abs())
}

/// The operating system's id of the running thread.
pub(super) fn native_id() -> u64 {
    // SAFETY: only asks the operating system for our thread id.
    unsafe { libc::gettid() }.unsigned_abs().into()
}
