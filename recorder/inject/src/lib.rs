//! Gets the shim into the program. `dashcam record` names this library in `LD_PRELOAD`, so the system
//! loads it before the program's `main`: before Python has read its environment, its options or a
//! single file, and whatever its options are (`-I`, `-E` and `-S` included).
//!
//! ```text
//! loaded ─▶ a Python? ─▶ environment as it was ─▶ audit hook ─▶ "cpython.run_…" ─▶ hook gone, shim on
//!              └ no: nothing is touched; what this process executes next finds all of it
//! ```
//!
//! CPython announces to audit hooks in C that it is about to run the program, after it has imported
//! `site`. There the hook claims the recording, which only one process can, and loads the shim. Then
//! the hook takes itself out of CPython's list: no later event pays for it.
//!
//! This library links to no Python, because it is also loaded into whatever starts one (`env`, a
//! shell). It writes nothing and fails silently: the recorder reports what was not recorded.

use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// As `dashcam_recorder::boot` has them; that crate is not linked to keep this library small.
const VARIABLE: &CStr = c"DASHCAM_BOOT";
const REFUSED: u8 = b'E';
const OTHER: u8 = b'O';
const SHIM: &str = "_shim.abi3.so";
const ENTRY: &CStr = c"dashcam_boot";

const PRELOAD: &CStr = c"LD_PRELOAD";
/// How `LD_PRELOAD` spells a library whose path it could not: a descriptor.
const BY_DESCRIPTOR: &[u8] = b"/proc/self/fd/";
const OLDEST: u64 = 0x030c_0000;
/// The list of audit hooks lies within this many bytes of CPython's runtime state.
const SEARCHED_BYTES: usize = 1 << 16;

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

/// Between [`at_load`] and the program.
static WAITING: AtomicPtr<Waiting> = AtomicPtr::new(ptr::null_mut());

struct Waiting {
    /// The variable's value, for the shim.
    value: CString,
    control: Control,
    shim: CString,
    /// The recorder has started this process, and not another one that did.
    is_first: bool,
    /// Where CPython keeps its first audit hook; null if that was not found.
    hooks: *mut *mut Hook,
}

/// An entry of CPython's list of audit hooks, the same in every version.
#[repr(C)]
struct Hook {
    next: *mut Hook,
    function: Function,
    data: *mut c_void,
}

type Function = unsafe extern "C" fn(*const c_char, *mut c_void, *mut c_void) -> c_int;

/// The socket to the recorder.
#[derive(Clone, Copy)]
struct Control {
    fd: c_int,
    inode: u64,
}

impl Control {
    /// Whether the descriptor still is what the recorder made: something between may have closed it,
    /// and its number may be another file's.
    fn is_ours(self) -> bool {
        // SAFETY: plain data the kernel fills.
        let mut about: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a stat of ours; a number that is not open is an error.
        let found = unsafe { libc::fstat(self.fd, &mut about) } == 0;
        found && about.st_mode & libc::S_IFMT == libc::S_IFSOCK && about.st_ino == self.inode
    }

    /// True for the first process that asks: the recorder has put one byte there for it.
    fn claim(self) -> bool {
        let mut token = 0u8;
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the buffer is one byte, as we say.
        unsafe { libc::recv(self.fd, (&raw mut token).cast(), 1, flags) == 1 }
    }

    fn send(self, message: &[u8]) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the buffer is as long as we say.
        unsafe { libc::send(self.fd, message.as_ptr().cast(), message.len(), flags) };
    }
}

extern "C" fn at_load() {
    let Some(value) = variable(VARIABLE) else { return };
    let Some(add_hook) = python() else { return };
    restore_preload();
    // SAFETY: nothing else runs before `main`; the name is a C string.
    unsafe { libc::unsetenv(VARIABLE.as_ptr()) };
    let Some((control, shim, is_first)) = open(&value) else { return };
    let waiting = Waiting { value, control, shim, is_first, hooks: ptr::null_mut() };
    let waiting = Box::into_raw(Box::new(waiting));
    WAITING.store(waiting, Ordering::Relaxed);
    let Some(runtime) = Runtime::find() else { return };
    let before = runtime.words();
    // SAFETY: CPython allows this call before it is initialised.
    if unsafe { add_hook(on_event, ptr::null_mut()) } == 0 {
        // SAFETY: made above; CPython calls the hook later, in this thread.
        unsafe { (*waiting).hooks = runtime.find_hook(&before) };
    }
}

/// A variable of the environment. Not through std, whose lock belongs to whoever else uses it.
fn variable(name: &CStr) -> Option<CString> {
    // SAFETY: nothing else runs before `main`, so nobody changes the environment meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: not null, so a C string.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
}

/// `PySys_AddAuditHook`, if this process is a `python` that can be recorded.
fn python() -> Option<unsafe extern "C" fn(Function, *mut c_void) -> c_int> {
    // Some other programs have a Python in them (gdb, vim), and may start the one that is meant.
    let executable = std::fs::read_link("/proc/self/exe").ok()?;
    let name = executable.file_name()?.as_bytes().to_ascii_lowercase();
    if !name.windows(2).any(|part| part == b"py") {
        return None;
    }
    let version = symbol(c"Py_Version")?.cast::<libc::c_ulong>();
    // SAFETY: CPython's number of its version: a constant.
    if unsafe { *version } < OLDEST {
        return None;
    }
    // SAFETY: a function of CPython's stable interface, with this signature in every version.
    Some(unsafe { std::mem::transmute::<*mut c_void, _>(symbol(c"PySys_AddAuditHook")?) })
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Takes this library out of `LD_PRELOAD`, where it is the last entry.
fn restore_preload() {
    // SAFETY: plain data that dladdr fills; the address is one of this library.
    let own = unsafe {
        let mut about: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr((&raw const AT_LOAD).cast(), &mut about) == 0 || about.dli_fname.is_null() {
            return;
        }
        CStr::from_ptr(about.dli_fname).to_bytes()
    };
    if let Some(fd) = own.strip_prefix(BY_DESCRIPTOR).and_then(number::<c_int>) {
        // SAFETY: the recorder made this descriptor for nothing else.
        unsafe { libc::close(fd) };
    }
    let Some(now) = variable(PRELOAD) else { return };
    let Some(before) = now.to_bytes().strip_suffix(own) else { return };
    // SAFETY: nothing else runs before `main`; the arguments are C strings.
    unsafe {
        match before.strip_suffix(b":").and_then(|before| CString::new(before).ok()) {
            Some(before) => libc::setenv(PRELOAD.as_ptr(), before.as_ptr(), 1),
            None => libc::unsetenv(PRELOAD.as_ptr()),
        };
    }
}

/// What the variable says, if it is meant for this process:
/// `CONTROL:INODE:RECORDER:RING:VALUES:…:PACKAGE`. RECORDER is a process, negative if not only its
/// child is meant. The descriptors are not inherited any further.
fn open(value: &CStr) -> Option<(Control, CString, bool)> {
    let mut fields = value.to_bytes().splitn(7, |byte| *byte == b':');
    let mut next = || fields.next();
    let control = Control { fd: number(next()?)?, inode: number(next()?)? };
    let recorder: c_int = number(next()?)?;
    let rings: [c_int; 2] = [number(next()?)?, number(next()?)?];
    let package = Path::new(OsStr::from_bytes(next().and_then(|_| next())?));
    // SAFETY: plain system call.
    let is_first = unsafe { libc::getppid() } == recorder.wrapping_abs();
    if !control.is_ours() {
        return None;
    }
    for fd in [control.fd, rings[0], rings[1]] {
        // SAFETY: plain system call; a number that is not open is an error.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    let shim = CString::new(package.join(SHIM).into_os_string().as_bytes()).ok()?;
    (is_first || recorder < 0).then_some((control, shim, is_first))
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// CPython's global state, as far as it is searched.
struct Runtime {
    start: *mut *mut Hook,
    count: usize,
}

impl Runtime {
    fn find() -> Option<Runtime> {
        let start = symbol(c"_PyRuntime")?.cast::<*mut Hook>();
        // SAFETY: plain data that dladdr fills.
        let mut about: libc::Dl_info = unsafe { std::mem::zeroed() };
        // 3.12 to 3.14 need at least 280 kB for it, so what is searched lies within.
        // SAFETY: the address is of a loaded object.
        let is_known = unsafe { libc::dladdr(start.cast(), &mut about) } != 0;
        is_known.then_some(Runtime { start, count: SEARCHED_BYTES / size_of::<usize>() })
    }

    fn words(&self) -> Vec<*mut Hook> {
        // SAFETY: within CPython's global state; nothing else runs before `main`.
        (0..self.count).map(|at| unsafe { self.start.add(at).read() }).collect()
    }

    /// The one word that changed when our hook was added. If there was a hook before, ours is at the
    /// end of a list and stays there.
    fn find_hook(&self, before: &[*mut Hook]) -> *mut *mut Hook {
        let changed = |at: &usize| {
            // SAFETY: as above.
            let now = unsafe { self.start.add(*at).read() };
            now != before[*at] && before[*at].is_null()
        };
        let mut changes = (0..self.count).filter(changed);
        match (changes.next(), changes.next()) {
            // SAFETY: within CPython's global state.
            (Some(at), None) => unsafe { self.start.add(at) },
            _ => ptr::null_mut(),
        }
    }
}

/// CPython's audit hook. Called with the GIL held; ours is the first in the list.
unsafe extern "C" fn on_event(event: *const c_char, _: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: the name of an event is a C string.
    let event = unsafe { CStr::from_ptr(event) }.to_bytes();
    let runs = event.starts_with(b"cpython.run_");
    // What is in the list at the very end CPython frees; it is not its to free.
    if !runs && event != b"cpython._PySys_ClearAuditHooks" {
        return 0;
    }
    let waiting = WAITING.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `at_load` made it, and whoever takes it out has it alone.
    if let Some(waiting) = unsafe { waiting.as_mut() } {
        waiting.remove_hook();
        if runs && !(event == b"cpython.run_command" && waiting.is_question()) {
            waiting.start();
        }
    }
    0
}

impl Waiting {
    /// Takes our entry out of the list. It is not freed: CPython is going along the list right now.
    fn remove_hook(&self) {
        // SAFETY: `hooks` is null or the place that changed to our entry when it was added. Only the
        // beginning of the list is ever added to by CPython's own hooks in C, at its end, and an entry
        // is one of ours only if it has our function.
        unsafe {
            let Some(first) = self.hooks.as_mut() else { return };
            if let Some(hook) = first.as_ref()
                && ptr::fn_addr_eq(hook.function, on_event as Function)
            {
                *first = hook.next;
            }
        }
    }

    /// Whether this is no program but a tool's question about the interpreter, to be asked before it
    /// starts the program (uv, poetry): `python -I -c …`, and not what the user started.
    fn is_question(&self) -> bool {
        let isolated = symbol(c"Py_IsolatedFlag").map(|flag| flag.cast::<c_int>());
        // SAFETY: a global of CPython's, which is initialised.
        !self.is_first && isolated.is_some_and(|flag| unsafe { *flag } != 0)
    }

    fn start(&self) {
        if !self.control.is_ours() {
            return;
        }
        if !self.control.claim() {
            self.control.send(&[OTHER]);
            return;
        }
        // SAFETY: C strings; the shim's entry takes the variable's value, which is never freed.
        unsafe {
            let shim = libc::dlopen(self.shim.as_ptr(), libc::RTLD_NOW);
            let entry = if shim.is_null() { shim } else { libc::dlsym(shim, ENTRY.as_ptr()) };
            if entry.is_null() {
                let why = libc::dlerror();
                let why = if why.is_null() { &[][..] } else { CStr::from_ptr(why).to_bytes() };
                self.control.send(&[&[REFUSED], why, b"\n"].concat());
                return;
            }
            let entry: unsafe extern "C" fn(*const c_char) = std::mem::transmute(entry);
            entry(self.value.as_ptr());
        }
    }
}
