//! Has the programs that this process executes join the recording.
//!
//! The environment of a program is given where it is executed, so that is where the two variables
//! are added, whatever environment the program is given. The functions of the C library that
//! execute programs are replaced by functions of the same names here, which is what a library in
//! `LD_PRELOAD` can do. Not replaced are `execl` and its relatives, whose number of arguments
//! varies: Rust cannot define them, and Python does not use them.
//!
//! Between `fork` and `exec`, and after `vfork`, only the stack may be used: nothing here allocates
//! while a program is executed, unless its environment is very large.

use crate::wire::{self, Address};
use crate::{PRELOAD, VARIABLE};
use libc::{c_char, c_int, c_void, pid_t};
use std::ffi::{CStr, CString};
use std::mem::{MaybeUninit, transmute, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// An environment of more entries is built in memory of its own.
const ENTRIES: usize = 1000;
/// The same for `LD_PRELOAD`, in bytes.
const PRELOAD_BYTES: usize = 2000;

/// What the programs are given; null if they are not recorded.
static CHILDREN: AtomicPtr<Children> = AtomicPtr::new(ptr::null_mut());

/// What programs are given so that they join the recording.
pub(crate) struct Children {
    /// `DASHCAM_BOOT=…`
    variable: CString,
    /// Where the value begins in `variable`.
    value: usize,
    /// `LD_PRELOAD=…`, if the program is given none itself.
    preload: CString,
    /// Name of the recorder's socket.
    socket: Vec<u8>,
}

/// A function of the shim that is called with the exit status when the process ends at once, by
/// `_exit`. See `recorder/src/shim/follow.rs`.
#[unsafe(no_mangle)]
static DASHCAM_EXIT_HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

impl Children {
    /// Prepares for programs that this process will execute. `value` is the variable's value, and
    /// `own` the path of this library. `None` if they are not to be recorded.
    pub(crate) fn new(value: &CStr, own: &CStr) -> Option<&'static Children> {
        let value = value.to_bytes();
        let mut fields = value.splitn(7, |byte| *byte == b':');
        let recorder = fields.nth(2)?;
        let socket = fields.nth(2)?;
        if socket.is_empty() {
            return None;
        }
        let rest = [b":", socket, b":", fields.next()?].concat();
        let number = recorder.strip_prefix(b"-").unwrap_or(recorder);
        let value = [&b"-1:0:-"[..], number, b":-1:-1", &rest].concat();
        Children::set(&value, own, socket)
    }

    /// Has the programs that this process executes find the same as this process, so that the first
    /// Python among them is the one that is recorded, or joins.
    pub(crate) fn pass_on(value: &CStr, own: &CStr) {
        Children::set(value.to_bytes(), own, &[]);
    }

    fn set(value: &[u8], own: &CStr, socket: &[u8]) -> Option<&'static Children> {
        let name = [VARIABLE.to_bytes(), b"="].concat();
        let preload = [PRELOAD.to_bytes(), b"=", own.to_bytes()].concat();
        let children = Children {
            variable: CString::new([&*name, value].concat()).ok()?,
            value: name.len(),
            preload: CString::new(preload).ok()?,
            socket: socket.to_vec(),
        };
        let children = Box::leak(Box::new(children));
        CHILDREN.store(children, Ordering::Release);
        Some(children)
    }

    /// The variable's value.
    pub(crate) fn value(&self) -> &CStr {
        // Invariant: a part of a C string up to its end is a C string.
        CStr::from_bytes_with_nul(&self.variable.as_bytes_with_nul()[self.value..])
            .unwrap_or_default()
    }

    /// Reports that this process cannot be recorded.
    pub(crate) fn refuse(&self, why: &[u8]) {
        let Some(address) = Address::of(&self.socket) else { return };
        let why = &why[..why.len().min(wire::REASON_MAX)];
        let header = wire::header(wire::NO_PARENT, wire::JOIN, why.len() as u32);
        address.send(&[&header[..], why].concat());
    }
}

type Environment = *const *const c_char;

unsafe extern "C" {
    static environ: Environment;
}

/// Calls `run` with the environment `given`, to which the two variables are added.
///
/// # Safety
/// `given` is null or an environment: pointers to C strings, then null.
unsafe fn with_variables<T>(given: Environment, run: impl FnOnce(Environment) -> T) -> T {
    // SAFETY: `Children::new` stored it for ever.
    let Some(children) = (unsafe { CHILDREN.load(Ordering::Acquire).as_ref() }) else {
        return run(given);
    };
    let (mut count, mut preload) = (0, None);
    if !given.is_null() {
        loop {
            // SAFETY: the caller's promise.
            let entry = unsafe { *given.add(count) };
            if entry.is_null() {
                break;
            }
            // SAFETY: as above.
            let entry = unsafe { CStr::from_ptr(entry) }.to_bytes();
            if is_named(entry, VARIABLE) {
                // The program passes on what a recorder gave it.
                return run(given);
            }
            if is_named(entry, PRELOAD) && preload.is_none() {
                preload = Some((count, entry));
            }
            count += 1;
        }
    }
    let own = children.preload.as_bytes_with_nul();
    // Where ours comes after the program's own, the name is already there.
    let path = &own[PRELOAD.to_bytes().len() + 1..];
    let mut text = Memory::<u8, PRELOAD_BYTES>::new();
    let mut list = Memory::<*const c_char, ENTRIES>::new();
    let (Some(list), Some(text)) =
        (list.of(count + 3), text.of(preload.map_or(0, |(_, entry)| entry.len() + 1 + path.len())))
    else {
        return run(given);
    };
    for (at, place) in list[..count].iter_mut().enumerate() {
        // SAFETY: within the environment, as counted.
        place.write(unsafe { *given.add(at) });
    }
    let mut end = count;
    match preload {
        Some((at, entry)) => {
            for (place, byte) in text.iter_mut().zip(entry.iter().chain(b":").chain(path)) {
                place.write(*byte);
            }
            list[at].write(text.as_ptr().cast());
        }
        None => {
            list[end].write(children.preload.as_ptr());
            end += 1;
        }
    }
    list[end].write(children.variable.as_ptr());
    list[end + 1].write(ptr::null());
    run(list.as_ptr().cast())
}

fn is_named(entry: &[u8], name: &CStr) -> bool {
    entry.strip_prefix(name.to_bytes()).is_some_and(|rest| rest.starts_with(b"="))
}

/// Memory on the stack, or from the system if that is too small.
struct Memory<T, const N: usize> {
    stack: [MaybeUninit<T>; N],
    mapped: (*mut c_void, usize),
}

impl<T: Copy, const N: usize> Memory<T, N> {
    fn new() -> Self {
        Memory { stack: [MaybeUninit::uninit(); N], mapped: (ptr::null_mut(), 0) }
    }

    /// Returns room for so many; `None` if there is no memory.
    fn of(&mut self, count: usize) -> Option<&mut [MaybeUninit<T>]> {
        if count <= N {
            return Some(&mut self.stack[..count]);
        }
        let bytes = count * size_of::<T>();
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping.
        let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return None;
        }
        self.mapped = (memory, bytes);
        // SAFETY: the mapping has room for so many, and is aligned to a page.
        Some(unsafe { std::slice::from_raw_parts_mut(memory.cast(), count) })
    }
}

impl<T, const N: usize> Drop for Memory<T, N> {
    fn drop(&mut self) {
        if self.mapped.1 > 0 {
            // SAFETY: mapped by `of`, and borrowed from this object.
            unsafe { libc::munmap(self.mapped.0, self.mapped.1) };
        }
    }
}

/// Returns the C library's function with this name.
fn next<T>(name: &CStr, cache: &AtomicPtr<c_void>) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
    let mut found = cache.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: a plain look-up of a name.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        cache.store(found, Ordering::Relaxed);
    }
    // SAFETY: the caller names the function's type.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the address of this thread's error number.
    unsafe { *libc::__errno_location() = error };
    -1
}

type Arguments = *const *const c_char;

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn execve(path: *const c_char, words: Arguments, given: Environment) -> c_int {
    // SAFETY: the caller's promise. The system call is what the C library's function is.
    unsafe {
        with_variables(given, |environment| {
            libc::syscall(libc::SYS_execve, path, words, environment) as c_int
        })
    }
}

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn execv(path: *const c_char, words: Arguments) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { execve(path, words, environ) }
}

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn execvp(file: *const c_char, words: Arguments) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { execvpe(file, words, environ) }
}

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn execvpe(file: *const c_char, words: Arguments, given: Environment) -> c_int {
    type Function = unsafe extern "C" fn(*const c_char, Arguments, Environment) -> c_int;
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let Some(next) = next::<Function>(c"execvpe", &NEXT) else { return fail(libc::ENOSYS) };
    // SAFETY: the caller's promise.
    unsafe { with_variables(given, |environment| next(file, words, environment)) }
}

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn fexecve(fd: c_int, words: Arguments, given: Environment) -> c_int {
    type Function = unsafe extern "C" fn(c_int, Arguments, Environment) -> c_int;
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let Some(next) = next::<Function>(c"fexecve", &NEXT) else { return fail(libc::ENOSYS) };
    // SAFETY: the caller's promise.
    unsafe { with_variables(given, |environment| next(fd, words, environment)) }
}

type Spawn = unsafe extern "C" fn(
    *mut pid_t,
    *const c_char,
    *const c_void,
    *const c_void,
    Arguments,
    Environment,
) -> c_int;

macro_rules! replace_spawn {
    ($name:ident, $text:literal) => {
        /// Replaces the C library's function.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            pid: *mut pid_t,
            program: *const c_char,
            actions: *const c_void,
            attributes: *const c_void,
            words: Arguments,
            given: Environment,
        ) -> c_int {
            static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
            let Some(next) = next::<Spawn>($text, &NEXT) else { return libc::ENOSYS };
            let spawn = |given| {
                // SAFETY: the caller's promise.
                unsafe { next(pid, program, actions, attributes, words, given) }
            };
            // SAFETY: as above.
            unsafe { with_variables(given, spawn) }
        }
    };
}

replace_spawn!(posix_spawn, c"posix_spawn");
replace_spawn!(posix_spawnp, c"posix_spawnp");

/// Replaces the C library's function, which gives the shell this process' environment. As POSIX
/// describes it: the signals of a terminal are left to the command meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn system(command: *const c_char) -> c_int {
    type System = unsafe extern "C" fn(*const c_char) -> c_int;
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    if CHILDREN.load(Ordering::Acquire).is_null() || command.is_null() {
        let Some(next) = next::<System>(c"system", &NEXT) else { return fail(libc::ENOSYS) };
        // SAFETY: the caller's promise.
        return unsafe { next(command) };
    }
    // SAFETY: all data is initialised by the calls before it is used, and lives until they return.
    // The shell's words are C strings, and so is the command.
    unsafe {
        let mut ignored: libc::sigaction = zeroed();
        ignored.sa_sigaction = libc::SIG_IGN;
        let (mut interrupt, mut quit): (libc::sigaction, libc::sigaction) = (zeroed(), zeroed());
        libc::sigaction(libc::SIGINT, &ignored, &mut interrupt);
        libc::sigaction(libc::SIGQUIT, &ignored, &mut quit);
        let (mut child_signal, mut mask): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
        libc::sigemptyset(&mut child_signal);
        libc::sigaddset(&mut child_signal, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_BLOCK, &child_signal, &mut mask);

        // The command handles those that this process does not ignore as any program does.
        let mut defaults: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut defaults);
        for (signal, before) in [(libc::SIGINT, &interrupt), (libc::SIGQUIT, &quit)] {
            if before.sa_sigaction != libc::SIG_IGN {
                libc::sigaddset(&mut defaults, signal);
            }
        }
        let mut attributes: libc::posix_spawnattr_t = zeroed();
        libc::posix_spawnattr_init(&mut attributes);
        libc::posix_spawnattr_setsigmask(&mut attributes, &mask);
        libc::posix_spawnattr_setsigdefault(&mut attributes, &defaults);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        libc::posix_spawnattr_setflags(&mut attributes, flags as libc::c_short);
        let words = [c"sh".as_ptr(), c"-c".as_ptr(), command, ptr::null()];
        let (mut pid, mut status): (pid_t, c_int) = (0, -1);
        let attributes_given = (&raw const attributes).cast();
        let shell = c"/bin/sh".as_ptr();
        let error =
            posix_spawn(&mut pid, shell, ptr::null(), attributes_given, words.as_ptr(), environ);
        libc::posix_spawnattr_destroy(&mut attributes);
        let mut errno = 0;
        if error == 0 {
            while libc::waitpid(pid, &mut status, 0) != pid {
                errno = *libc::__errno_location();
                if errno != libc::EINTR {
                    status = -1;
                    break;
                }
            }
        } else {
            // As if the shell had ended with status 127.
            status = 127 << 8;
        }
        libc::sigaction(libc::SIGINT, &interrupt, ptr::null_mut());
        libc::sigaction(libc::SIGQUIT, &quit, ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut());
        if status == -1 { fail(errno) } else { status }
    }
}

/// Replaces the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn _exit(status: c_int) -> ! {
    let hook = DASHCAM_EXIT_HOOK.load(Ordering::Acquire);
    if !hook.is_null() {
        // SAFETY: the shim stored a function of this type.
        unsafe { transmute::<*mut (), extern "C" fn(c_int)>(hook)(status) };
    }
    // SAFETY: the system call that the C library's function is.
    unsafe { libc::syscall(libc::SYS_exit_group, status) };
    loop {
        std::hint::spin_loop();
    }
}
