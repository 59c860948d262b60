//! Threads by a number of their own, the OS's id and Python's name.
//!
//! A greenlet has a stack of its own, so it is recorded as a thread would be.

use super::ffi::{self, Interpreter, StackFinder};
use super::memory;
use rustc_hash::FxHashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Thread pointer of the thread that pushed the last record; 0 sends the next event through the
/// slow path. Written under the GIL, except that a thread that ends takes itself out.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Thread pointers of threads that ended since the last look. The system may give the same pointer
/// to a new thread. Has room for all that were met: who ends has no GIL to allocate under.
static ENDED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// How many threads ended so far.
static ENDS: AtomicUsize = AtomicUsize::new(0);

/// Runs when a thread ends, long after it let go of the GIL.
unsafe extern "C" fn end(pointer: *mut c_void) {
    let pointer = pointer as usize;
    let _ = LAST.compare_exchange(pointer, 0, Ordering::Relaxed, Ordering::Relaxed);
    ENDS.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut ended) = ENDED.lock() {
        ended.push(pointer);
    }
}

/// Has [`end`] called when the running thread ends. Not by a `thread_local!`: a library that is loaded
/// late gets the memory for those when they are first used, and if there is none the process ends.
fn watch_end(pointer: usize) {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the function has the right signature and is never unloaded.
        let created = unsafe { libc::pthread_key_create(&mut key, Some(end)) } == 0;
        created.then_some(key)
    });
    // SAFETY: a key of ours; the value is not null, and nothing is done with it but passing it on.
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
    /// Where greenlets are followed: the first chunk of the stack the thread began with.
    own_stack: usize,
}

/// A stack that is not the one its thread began with.
struct Greenlet {
    number: u32,
    thread_pointer: usize,
}

/// What tells the stack that runs from all others there were.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RunningStack {
    thread_pointer: usize,
    first_chunk: usize,
    /// Both may be given to a new thread when one ends.
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

/// The threads met so far and still alive.
#[derive(Default)]
pub(super) struct Threads {
    by_pointer: FxHashMap<usize, Entry>,
    /// Numbers of threads and greenlets that were given away.
    count: u32,
    /// `None` unless there may be greenlets.
    stacks: Option<StackFinder>,
    /// By the first chunk of their stacks. A greenlet that ended gives its memory, and so its
    /// number, to one that begins.
    greenlets: FxHashMap<usize, Greenlet>,
    /// The stack the last record was of, where greenlets are followed.
    last_stack: Option<RunningStack>,
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
    /// From now on greenlets may take turns on a thread. Must be called from Python code.
    pub(super) fn follow_greenlets(&mut self) {
        if self.stacks.is_none() {
            self.stacks = StackFinder::find();
            forget_last();
        }
    }

    /// Whether the running thread, and its greenlet if there are any, pushed the last record too.
    /// For events that [`is_last`] says nothing of.
    pub(super) fn is_last_stack(&self) -> bool {
        self.stacks.is_some_and(|stacks| self.last_stack == Some(RunningStack::now(stacks)))
    }

    /// Looks up the running thread or greenlet.
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
        let settled = settled && !memory::is_short();
        // Greenlets change without the thread's doing so.
        let is_shared = self.stacks.is_some();
        LAST.store(if settled && !is_shared { pointer } else { 0 }, Ordering::Relaxed);
        let thread = Running { number: entry.number, is_new, name };
        let Some(stacks) = self.stacks else { return thread };
        let stack = RunningStack::now(stacks);
        self.last_stack = settled.then_some(stack);
        self.greenlet(pointer, stack.first_chunk).unwrap_or(thread)
    }

    /// The greenlet that runs in a thread on this stack; `None` if it is the thread's own.
    fn greenlet(&mut self, pointer: usize, stack: usize) -> Option<Running> {
        let thread = self.by_pointer.get_mut(&pointer)?;
        if thread.own_stack == 0 {
            // Nothing of it ran since there may be greenlets.
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
