//! Loads the shim into the program. `dashcam record` names this library in `LD_PRELOAD`, so the
//! system loads it before the program's `main`: before Python has read its environment, its options
//! or a single file, and whatever its options are (`-I`, `-E` and `-S` included).
//!
//! ```text
//! loaded ─▶ a Python? ─▶ environment restored ─▶ audit hook ─▶ "cpython.run_…" ─▶ shim in place
//!              └ no: nothing is touched; a program that this process executes next finds it all
//! ```
//!
//! CPython announces to audit hooks in C that it is about to run the program, after it has imported
//! `site`. At that event the hook removes itself from CPython's list, so that no later event pays
//! for it. Then it claims the recording, which only one process can do, and loads the shim.
//!
//! An interpreter in which no program can be recorded ends here, before it has begun, if it is the
//! one that the user named.
//!
//! Processes that the program starts are recorded too ([`children`]): this library adds what it has
//! removed from the environment to that of every program that is executed.
//!
//! This library links to no Python, because it is also loaded into programs that start one (`env`,
//! a shell). It prints nothing and fails silently: the recorder reports what was not recorded.

mod children;
#[allow(dead_code, unreachable_pub)] // it is also a part of another crate
#[path = "../../src/children/wire.rs"]
mod wire;

use children::Children;
use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// These have the values they have in `dashcam_recorder::boot`. That crate is not linked, to keep
/// this library small.
const VARIABLE: &CStr = c"DASHCAM_BOOT";
const REFUSED: u8 = b'E';
const OTHER: u8 = b'O';
const UNSTARTED: u8 = b'X';
const SHIM: &str = "_shim.abi3.so";
const ENTRY: &CStr = c"dashcam_boot";

const PRELOAD: &CStr = c"LD_PRELOAD";
/// The beginning of a library's name in `LD_PRELOAD` if the variable cannot contain its path. A
/// descriptor's number follows.
const BY_DESCRIPTOR: &[u8] = b"/proc/self/fd/";
const OLDEST: u64 = 0x030c_0000;
/// From this version on, CPython's `_Py_DebugOffsets` tell whether it is a free-threaded build.
const OLDEST_WITH_DEBUG_OFFSETS: u64 = 0x030d_0000;
/// From this version on, CPython aborts ("Executing a cache") when its JIT compiler finds code with
/// INSTRUCTION events at some of its instructions, whichever tool asked for them. 3.13 and 3.14
/// have another JIT.
const JIT_UNSAFE: u64 = 0x030f_0000;
const JIT_VARIABLE: &CStr = c"PYTHON_JIT";
/// The list of audit hooks lies within this many bytes of CPython's runtime state.
const SEARCHED_BYTES: usize = 1 << 16;

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

/// The state from [`at_load`] to the start of the program.
static WAITING: AtomicPtr<Waiting> = AtomicPtr::new(ptr::null_mut());

struct Waiting {
    /// The variable's value, for the shim.
    value: CString,
    control: Control,
    shim: CString,
    /// The recorder started this process itself, not through another one.
    is_first: bool,
    /// For processes that join the recording, as this one does if another was first.
    children: Option<&'static Children>,
    /// This process has no part in who is first.
    joins: bool,
    /// Why this interpreter cannot be recorded.
    unfit: Option<String>,
    jit: Jit,
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

/// Keeps the JIT compiler from being switched on. CPython reads the variable after it has imported
/// `site`. It has copied the environment that the program sees before that.
enum Jit {
    /// Nothing to do, or done.
    Left,
    /// To be switched off.
    On,
    /// Switched off. The variable had this value.
    Off(CString),
}

/// The socket to the recorder.
#[derive(Clone, Copy)]
struct Control {
    fd: c_int,
    inode: u64,
}

impl Control {
    /// Whether the descriptor still is the one that the recorder made: a program in between may
    /// have closed it, and its number may belong to another file.
    fn is_ours(self) -> bool {
        // SAFETY: plain data the kernel fills.
        let mut about: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to our own `stat`; for a number that is not open, the call fails.
        let found = unsafe { libc::fstat(self.fd, &mut about) } == 0;
        found && about.st_mode & libc::S_IFMT == libc::S_IFSOCK && about.st_ino == self.inode
    }

    /// True for the first process that calls it: the recorder has sent one byte, for that process.
    fn claim(self) -> bool {
        let mut token = 0u8;
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the buffer has one byte, the length that is passed.
        unsafe { libc::recv(self.fd, (&raw mut token).cast(), 1, flags) == 1 }
    }

    fn send(self, message: &[u8]) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the buffer has the length that is passed.
        unsafe { libc::send(self.fd, message.as_ptr().cast(), message.len(), flags) };
    }

    /// Reports that recording cannot start. `how` is [`REFUSED`] or [`UNSTARTED`].
    fn refuse(self, how: u8, why: &[u8]) {
        self.send(&[&[how], why, b"\n"].concat());
    }
}

extern "C" fn at_load() {
    let Some(value) = variable(VARIABLE) else { return };
    let joins = value.to_bytes().starts_with(b"-1:");
    let python = python();
    let own = own_path();
    if python.is_none() && !joins {
        // The program may clear the environment of the one that it executes.
        if let Some(own) = own.filter(|own| !own.to_bytes().starts_with(BY_DESCRIPTOR)) {
            Children::pass_on(&value, own);
        }
        return;
    }
    let own = own.and_then(restore_preload);
    // SAFETY: nothing else runs before `main`; the name is a C string.
    unsafe { libc::unsetenv(VARIABLE.as_ptr()) };
    let children = own.and_then(|own| Children::new(&value, own));
    let Some((version, add_hook)) = python else {
        if let (Some(children), Some(why)) = (children, too_old()) {
            children.refuse(why.as_bytes());
        }
        return;
    };
    let Some(Settings { control, shim, is_first, is_direct }) = open(&value, joins) else { return };
    let Some(runtime) = Runtime::find() else { return };
    let unfit = runtime.unfit(version);
    if let Some(why) = unfit.as_ref().filter(|_| is_direct) {
        control.refuse(UNSTARTED, why.as_bytes());
        // SAFETY: nothing has run yet that needs an orderly end.
        unsafe { libc::_exit(1) };
    }
    let jit = if version >= JIT_UNSAFE && wants_jit() { Jit::On } else { Jit::Left };
    let hooks = ptr::null_mut();
    let waiting = Waiting { value, control, shim, is_first, children, joins, unfit, jit, hooks };
    let waiting = Box::into_raw(Box::new(waiting));
    WAITING.store(waiting, Ordering::Relaxed);
    let before = runtime.words();
    // SAFETY: CPython allows this call before it is initialised.
    if unsafe { add_hook(on_event, ptr::null_mut()) } == 0 {
        // SAFETY: `waiting` was made above. CPython calls the hook later, in this thread.
        unsafe { (*waiting).hooks = runtime.find_hook(&before) };
    }
}

/// Returns a variable of the environment. It does not go through std, whose lock belongs to other
/// users of std.
fn variable(name: &CStr) -> Option<CString> {
    // SAFETY: nothing else runs before `main`, so nothing changes the environment meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: not null, so a C string.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
}

type AddHook = unsafe extern "C" fn(Function, *mut c_void) -> c_int;

/// Returns CPython's version and `PySys_AddAuditHook` if this process is a `python` that is new
/// enough.
fn python() -> Option<(u64, AddHook)> {
    if !is_named_python() {
        return None;
    }
    let version = symbol(c"Py_Version")?.cast::<libc::c_ulong>();
    // SAFETY: `Py_Version` is a constant of CPython.
    let version = unsafe { *version };
    if version < OLDEST {
        return None;
    }
    // SAFETY: this function of CPython's stable interface has this signature in every version.
    let add_hook =
        unsafe { std::mem::transmute::<*mut c_void, AddHook>(symbol(c"PySys_AddAuditHook")?) };
    Some((version, add_hook))
}

/// Whether the program's name is that of a Python. Some other programs contain a Python (gdb, vim),
/// and may start the one that is to be recorded.
fn is_named_python() -> bool {
    let executable = std::fs::read_link("/proc/self/exe");
    let is_python = |path: &Path| {
        let name = path.file_name().unwrap_or_default().as_bytes().to_ascii_lowercase();
        name.windows(2).any(|part| part == b"py")
    };
    executable.is_ok_and(|path| is_python(&path))
}

/// Returns the reason why this Python is not recorded, if it is one that is too old.
fn too_old() -> Option<String> {
    type GetVersion = unsafe extern "C" fn() -> *const c_char;
    if !is_named_python() {
        return None;
    }
    // SAFETY: this function has this signature in every version of CPython, and needs no
    // initialization.
    let version = unsafe {
        let function = std::mem::transmute::<*mut c_void, GetVersion>(symbol(c"Py_GetVersion")?);
        CStr::from_ptr(function())
    };
    let version = version.to_string_lossy();
    let number = version.split(' ').next().unwrap_or_default();
    Some(format!("Python {number} has no sys.monitoring"))
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// The path of this library.
fn own_path() -> Option<&'static CStr> {
    // SAFETY: plain data that dladdr fills; the address is in this library.
    unsafe {
        let mut about: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr((&raw const AT_LOAD).cast(), &mut about) == 0 || about.dli_fname.is_null() {
            return None;
        }
        // The loader keeps the name as long as the library, which is never unloaded.
        Some(CStr::from_ptr(about.dli_fname))
    }
}

/// Removes this library, whose path is `own`, from `LD_PRELOAD`, where it is the last entry.
/// Returns the path, if it is one that the variable can contain.
fn restore_preload(own: &'static CStr) -> Option<&'static CStr> {
    let descriptor = own.to_bytes().strip_prefix(BY_DESCRIPTOR).and_then(number::<c_int>);
    if let Some(fd) = descriptor {
        // SAFETY: the recorder made this descriptor only for loading this library.
        unsafe { libc::close(fd) };
    }
    let now = variable(PRELOAD)?;
    let before = now.to_bytes().strip_suffix(own.to_bytes())?;
    // SAFETY: nothing else runs before `main`; the arguments are C strings.
    unsafe {
        match before.strip_suffix(b":").and_then(|before| CString::new(before).ok()) {
            Some(before) => libc::setenv(PRELOAD.as_ptr(), before.as_ptr(), 1),
            None => libc::unsetenv(PRELOAD.as_ptr()),
        };
    }
    descriptor.is_none().then_some(own)
}

/// The settings in the variable.
struct Settings {
    control: Control,
    shim: CString,
    is_first: bool,
    /// This process is the interpreter that was to be recorded, and no other process is.
    is_direct: bool,
}

/// Parses the variable `CONTROL:INODE:RECORDER:RING:VALUES:SOCKET:…:PACKAGE`; `None` if it is not
/// intended for this process. RECORDER is a process id, negative if other processes than its child
/// may be recorded too. The descriptors are not inherited any further. `joins`: there are none,
/// because this process joins a recording that another began.
fn open(value: &CStr, joins: bool) -> Option<Settings> {
    let mut fields = value.to_bytes().splitn(8, |byte| *byte == b':');
    let mut next = || fields.next();
    let control = Control { fd: number(next()?)?, inode: number(next()?)? };
    let recorder: c_int = number(next()?)?;
    let rings: [c_int; 2] = [number(next()?)?, number(next()?)?];
    let _socket = next()?;
    let package = Path::new(OsStr::from_bytes(next().and_then(|_| next())?));
    let shim = CString::new(package.join(SHIM).into_os_string().as_bytes()).ok()?;
    if joins {
        return Some(Settings { control, shim, is_first: false, is_direct: false });
    }
    // SAFETY: plain system call.
    let is_first = unsafe { libc::getppid() } == recorder.wrapping_abs();
    if !control.is_ours() {
        return None;
    }
    for fd in [control.fd, rings[0], rings[1]] {
        // SAFETY: plain system call; for a number that is not open, it fails.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    let is_direct = is_first && recorder > 0;
    (is_first || recorder < 0).then_some(Settings { control, shim, is_first, is_direct })
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The part of CPython's global state that is searched.
struct Runtime {
    start: *mut *mut Hook,
    count: usize,
}

impl Runtime {
    fn find() -> Option<Runtime> {
        let start = symbol(c"_PyRuntime")?.cast::<*mut Hook>();
        // SAFETY: plain data that dladdr fills.
        let mut about: libc::Dl_info = unsafe { std::mem::zeroed() };
        // In 3.12 to 3.15 the state has at least 280 kB, so the searched part lies within it.
        // SAFETY: the address is of a loaded object.
        let is_known = unsafe { libc::dladdr(start.cast(), &mut about) } != 0;
        is_known.then_some(Runtime { start, count: SEARCHED_BYTES / size_of::<usize>() })
    }

    /// Returns the reason why an interpreter of this version cannot be recorded, if there is one.
    fn unfit(&self, version: u64) -> Option<String> {
        /// CPython puts this word before its offsets for debuggers. Their version follows, and a
        /// word that is not 0 in a free-threaded build.
        const COOKIE: u64 = u64::from_ne_bytes(*b"xdebugpy");
        if version < OLDEST_WITH_DEBUG_OFFSETS {
            return None;
        }
        // SAFETY: the first words of CPython's global state, filled when it was compiled.
        let [cookie, _, free_threaded] = unsafe { self.start.cast::<[u64; 3]>().read() };
        (cookie == COOKIE && free_threaded != 0).then(|| {
            let minor = version >> 16 & 0xff;
            format!(
                "a free-threaded build of CPython 3.{minor}, which cannot be recorded yet; name a build \
                 with the GIL, as with --python python3.{minor}"
            )
        })
    }

    fn words(&self) -> Vec<*mut Hook> {
        // SAFETY: within CPython's global state; nothing else runs before `main`.
        (0..self.count).map(|at| unsafe { self.start.add(at).read() }).collect()
    }

    /// Returns the address of the one word that changed when our hook was added; null if there is
    /// no such word. If there was a hook before, ours is at the end of a list and stays there.
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
unsafe extern "C" fn on_event(
    event: *const c_char,
    arguments: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: the name of an event is a C string.
    let event = unsafe { CStr::from_ptr(event) }.to_bytes();
    if event == b"import"
        // SAFETY: `at_load` made it; it is only taken out in this thread.
        && let Some(waiting) = unsafe { WAITING.load(Ordering::Relaxed).as_mut() }
        && matches!(waiting.jit, Jit::On)
        && imports(arguments, c"encodings")
    {
        waiting.jit.switch_off();
    }
    let runs = event.starts_with(b"cpython.run_");
    // At the very end CPython frees the entries that are in the list. Ours is not CPython's to
    // free.
    if !runs && event != b"cpython._PySys_ClearAuditHooks" {
        return 0;
    }
    let waiting = WAITING.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `at_load` made it, and the swap above makes us its only user.
    if let Some(waiting) = unsafe { waiting.as_mut() } {
        waiting.remove_hook();
        waiting.jit.restore();
        if runs && !(event == b"cpython.run_command" && waiting.is_query()) {
            waiting.start();
        }
    }
    0
}

/// Whether an event `import` with these arguments is about this module.
fn imports(arguments: *mut c_void, module: &CStr) -> bool {
    type Item = unsafe extern "C" fn(*mut c_void, isize) -> *mut c_void;
    type Compare = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
    let item = symbol(c"PyTuple_GetItem");
    let compare = symbol(c"PyUnicode_CompareWithASCIIString");
    let (Some(item), Some(compare)) = (item, compare) else { return false };
    // SAFETY: these functions of CPython's stable interface have these signatures in every version;
    // the first argument of this event is a str, and CPython calls us with the GIL held.
    unsafe {
        let item = std::mem::transmute::<*mut c_void, Item>(item);
        let compare = std::mem::transmute::<*mut c_void, Compare>(compare);
        compare(item(arguments, 0), module.as_ptr()) == 0
    }
}

/// Whether the environment switches the JIT compiler on. The shim refuses a build that has it on by
/// default: switching it off here would need a variable, and code that starts before the program
/// would see it.
fn wants_jit() -> bool {
    variable(JIT_VARIABLE)
        .is_some_and(|value| !matches!(value.to_bytes().first(), None | Some(b'0')))
}

impl Jit {
    /// Switches the JIT compiler off. It is called when CPython has copied the environment for the
    /// program (`posix.environ`). CPython does so before it imports `encodings`, the first module
    /// that is not built in.
    fn switch_off(&mut self) {
        let Some(before) = variable(JIT_VARIABLE) else { return };
        *self = Jit::Off(before);
        // SAFETY: no Python code has run yet that could have started a thread; the arguments are C
        // strings.
        unsafe { libc::setenv(JIT_VARIABLE.as_ptr(), c"0".as_ptr(), 1) };
    }

    /// Restores the variable, for processes that the program starts.
    fn restore(&mut self) {
        let Jit::Off(before) = std::mem::replace(self, Jit::Left) else { return };
        // SAFETY: the GIL is held, under which CPython changes the environment; the arguments are C
        // strings.
        unsafe { libc::setenv(JIT_VARIABLE.as_ptr(), before.as_ptr(), 1) };
    }
}

impl Waiting {
    /// Removes our entry from the list. It is not freed: CPython is walking along the list right
    /// now.
    fn remove_hook(&self) {
        // SAFETY: `hooks` is null or the place that changed to our entry when it was added. Other
        // hooks in C are only ever added at the end of the list, and an entry is ours only if it
        // has our function.
        unsafe {
            let Some(first) = self.hooks.as_mut() else { return };
            if let Some(hook) = first.as_ref()
                && ptr::fn_addr_eq(hook.function, on_event as Function)
            {
                *first = hook.next;
            }
        }
    }

    /// Whether this process is a query and not the program: tools such as uv and poetry run
    /// `python -I -c …` to learn about the interpreter before they start the program. The process
    /// that the user started is never a query.
    fn is_query(&self) -> bool {
        let isolated = symbol(c"Py_IsolatedFlag").map(|flag| flag.cast::<c_int>());
        // SAFETY: a global of CPython, which is initialised.
        !self.is_first && !self.joins && isolated.is_some_and(|flag| unsafe { *flag } != 0)
    }

    fn start(&self) {
        if self.joins {
            return self.start_as_child();
        }
        if !self.control.is_ours() {
            return;
        }
        if !self.control.claim() {
            match self.children {
                Some(_) => self.start_as_child(),
                None => self.control.send(&[OTHER]),
            }
            return;
        }
        if let Some(why) = &self.unfit {
            self.control.refuse(REFUSED, why.as_bytes());
            return;
        }
        if let Err(why) = self.load(&self.value) {
            self.control.refuse(REFUSED, &why);
        }
    }

    /// Starts the shim in a process that joins the recording of another.
    fn start_as_child(&self) {
        let Some(children) = self.children else { return };
        if let Some(why) = &self.unfit {
            return children.refuse(why.as_bytes());
        }
        if let Err(why) = self.load(children.value()) {
            children.refuse(&why);
        }
    }

    /// Loads the shim, and passes it the variable's value. An error is the reason why it cannot be
    /// loaded.
    fn load(&self, value: &CStr) -> Result<(), Vec<u8>> {
        // SAFETY: the arguments are C strings; the shim's entry takes the variable's value, which
        // is never freed.
        unsafe {
            let shim = libc::dlopen(self.shim.as_ptr(), libc::RTLD_NOW);
            let entry = if shim.is_null() { shim } else { libc::dlsym(shim, ENTRY.as_ptr()) };
            if entry.is_null() {
                let why = libc::dlerror();
                let why = if why.is_null() { &[][..] } else { CStr::from_ptr(why).to_bytes() };
                return Err(why.to_vec());
            }
            let entry: unsafe extern "C" fn(*const c_char) = std::mem::transmute(entry);
            entry(value.as_ptr());
        }
        Ok(())
    }
}
