//! `PyRefTracer`, from 3.13 on: CPython says when objects are made and destroyed.

use pyo3::ffi::PyObject;
use std::ffi::{c_int, c_void};
use std::mem::transmute;

/// What it calls.
pub(in crate::shim) type Tracer = unsafe extern "C" fn(*mut PyObject, c_int, *mut c_void) -> c_int;

type Set = unsafe extern "C" fn(Option<Tracer>, *mut c_void) -> c_int;
type Get = unsafe extern "C" fn(*mut *mut c_void) -> Option<Tracer>;

fn functions() -> Option<(Set, Get)> {
    // SAFETY: looks names up among what is loaded; functions of these names have these signatures in
    // every version that has them.
    unsafe {
        let set = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_SetTracer".as_ptr());
        let get = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_GetTracer".as_ptr());
        let is_there = !set.is_null() && !get.is_null();
        is_there.then(|| (transmute::<*mut c_void, Set>(set), transmute::<*mut c_void, Get>(get)))
    }
}

/// Sets the tracer. False if there is none in this version, or somebody else's is set.
///
/// # Safety
/// The GIL is held, and `data` is what the tracer needs until it is unset.
pub(in crate::shim) unsafe fn set(tracer: Tracer, data: *mut c_void) -> bool {
    let Some((set, get)) = functions() else { return false };
    // SAFETY: the caller's.
    unsafe { get(&mut std::ptr::null_mut()).is_none() && set(Some(tracer), data) == 0 }
}

/// Whether this tracer is set. The GIL is held.
pub(in crate::shim) fn is_set(tracer: Tracer) -> bool {
    let Some((_, get)) = functions() else { return false };
    // SAFETY: as the signature has it.
    let set = unsafe { get(&mut std::ptr::null_mut()) };
    set.is_some_and(|set| set as usize == tracer as usize)
}

/// Takes the tracer away, if it still is this one. The GIL is held.
pub(in crate::shim) fn unset(tracer: Tracer) {
    if is_set(tracer)
        && let Some((set, _)) = functions()
    {
        // SAFETY: as the signature has it.
        unsafe { set(None, std::ptr::null_mut()) };
    }
}
