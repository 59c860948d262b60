//! Makes a process that the recorded program started join its recording.

use crate::boot::Boot;
use crate::children::wire::{self, Address};
use crate::children::{self, Hello};
use crate::ring;
use dashcam_schema::value::Capture;
use std::fs::File;
use std::io::{Read, Result};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, Once, OnceLock};
use std::time::Duration;

/// The recorder answers at once. If it is held up, a child waits no longer than the program would.
const ANSWER_MIN: Duration = Duration::from_millis(100);

/// The settings for processes that this one forks; `None` if they are not recorded.
static FOR_FORKED: Mutex<Option<Boot>> = Mutex::new(None);
/// The number of this process in the run.
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// Where the exit status is sent to, and the process that does: 0 for none.
static ADDRESS: OnceLock<Address> = OnceLock::new();
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Whether processes that this one starts are recorded too.
pub(super) fn is_on() -> bool {
    FOR_FORKED.lock().is_ok_and(|boot| boot.is_some())
}

/// Notes the settings for processes that this one forks.
pub(super) fn remember(boot: &Boot) {
    if let Ok(mut remembered) = FOR_FORKED.lock() {
        let follows = !boot.socket.is_empty();
        *remembered = follows.then(|| boot.clone().for_joining());
    }
}

/// Returns the settings for this process, which was just forked.
pub(super) fn remembered() -> Option<Boot> {
    FOR_FORKED.lock().ok()?.clone()
}

/// Joins the recording: makes rings, and passes them to the recorder. Returns the settings with
/// the descriptors in them. `is_forked`: this process was forked from one that is recorded.
///
/// # Errors
/// If the recorder is gone, or cannot record this process.
pub(super) fn join(mut boot: Boot, is_forked: bool) -> Result<Boot> {
    // Its number belongs to the process that this one was forked from.
    OWNER.store(0, Ordering::Relaxed);
    let mut stream = children::connect(&boot.socket)?;
    let parent = is_forked.then(|| NUMBER.load(Ordering::Relaxed));
    let (ring, values) = match rings(&boot) {
        Ok(rings) => rings,
        Err(error) => {
            let why = Hello::Refusal(format!("no shared memory ({error})"));
            let _ = children::greet(&stream, &why, &[]);
            return Err(error);
        }
    };
    let fds: Vec<_> = [Some(&ring), values.as_ref()].into_iter().flatten().collect();
    let fds: Vec<_> = fds.into_iter().map(AsRawFd::as_raw_fd).collect();
    children::greet(&stream, &Hello::Join { parent }, &fds)?;
    let patience = Duration::from_nanos(boot.max_wait_ns).max(ANSWER_MIN);
    stream.set_read_timeout(Some(patience))?;
    let mut number = [0; 4];
    stream.read_exact(&mut number)?;
    stream.set_read_timeout(None)?;
    NUMBER.store(u32::from_le_bytes(number), Ordering::Relaxed);
    boot.ring_fd = ring.into_raw_fd();
    boot.values_fd = values.map_or(-1, IntoRawFd::into_raw_fd);
    boot.control_fd = stream.into_raw_fd();
    Ok(boot)
}

/// Makes the ring for events and, if values are recorded, the one for values.
fn rings(boot: &Boot) -> Result<(File, Option<File>)> {
    let create = || -> Result<File> {
        let (ring, file) = ring::create_up_to(boot.ring_mib)?;
        // The mapping was needed to write the header.
        // SAFETY: neither end of this mapping was made.
        unsafe { ring::unmap(ring) };
        Ok(file)
    };
    let captures = boot.capture != Capture::Flow;
    Ok((create()?, captures.then(create).transpose()?))
}

/// Has the exit status of this process reported to the recorder, which is not its parent and so
/// cannot ask the system.
pub(super) fn report_exit(boot: &Boot) {
    let Some(address) = Address::of(boot.socket.as_bytes()) else { return };
    // SAFETY: plain system call.
    OWNER.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    let _ = ADDRESS.set(address);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Some(on_exit) = symbol::<OnExit>(c"on_exit") {
            // SAFETY: the C library's function, and a function that is never unloaded.
            unsafe { on_exit(at_exit, std::ptr::null_mut()) };
        }
        // What ends the process at once, which nothing but `recorder/inject` notices.
        if let Some(hook) = symbol::<*const AtomicPtr<()>>(c"DASHCAM_EXIT_HOOK") {
            // SAFETY: a variable of that type in `recorder/inject`, which is never unloaded.
            unsafe { &*hook }.store(send_exit as *mut (), Ordering::Release);
        }
    });
}

type OnExit = unsafe extern "C" fn(
    extern "C" fn(libc::c_int, *mut libc::c_void),
    *mut libc::c_void,
) -> libc::c_int;

/// Returns a symbol of a loaded library as `T`, a pointer.
fn symbol<T>(name: &std::ffi::CStr) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut libc::c_void>()) };
    // SAFETY: a plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: not null, and the caller names the type that the symbol has.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

extern "C" fn at_exit(status: libc::c_int, _: *mut libc::c_void) {
    send_exit(status);
}

/// Sends the exit status. It is called in any state of the process, even in a child that shares
/// its memory and has not executed its program yet, and allocates nothing.
extern "C" fn send_exit(status: libc::c_int) {
    // SAFETY: plain system call.
    let own = unsafe { libc::getpid() };
    if OWNER.load(Ordering::Relaxed) != own {
        return;
    }
    if let Some(address) = ADDRESS.get() {
        address.send(&wire::header(0, wire::EXIT, (status & 0xff).cast_unsigned()));
    }
}
