//! `PyRefTracer`, from 3.13 on: CPython calls a function when objects are created and destroyed.

use pyo3::ffi::PyObject;
use std::ffi::{c_int, c_void};
use std::mem::transmute;

/// The function that CPython calls.
pub(in crate::shim) type Tracer = unsafe extern "C" fn(*mut PyObject, c_int, *mut c_void) -> c_int;

type Set = unsafe extern "C" fn(Option<Tracer>, *mut c_void) -> c_int;
type Get = unsafe extern "C" fn(*mut *mut c_void) -> Option<Tracer>;

fn functions() -> Option<(Set, Get)> {
    // SAFETY: `dlsym` looks the names up in what is loaded; functions of these names have these
    // signatures in every version that has them.
    unsafe {
        let set = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_SetTracer".as_ptr());
        let get = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_GetTracer".as_ptr());
        let is_there = !set.is_null() && !get.is_null();
        is_there.then(|| (transmute::<*mut c_void, Set>(set), transmute::<*mut c_void, Get>(get)))
    }
}

/// Sets the tracer. Returns false if this version has no tracers, another tracer is set, or setting
/// it fails.
///
/// # Safety
/// The GIL is held, and `data` is what the tracer needs and stays valid until the tracer is unset.
pub(in crate::shim) unsafe fn set(tracer: Tracer, data: *mut c_void) -> bool {
    let Some((set, get)) = functions() else { return false };
    // SAFETY: the caller guarantees what the tracer needs, and that the GIL is held.
    unsafe { get(&mut std::ptr::null_mut()).is_none() && set(Some(tracer), data) == 0 }
}

/// Whether this tracer is set. The GIL must be held.
pub(in crate::shim) fn is_set(tracer: Tracer) -> bool {
    let Some((_, get)) = functions() else { return false };
    // SAFETY: called as its signature requires, with the GIL held.
    let set = unsafe { get(&mut std::ptr::null_mut()) };
    set.is_some_and(|set| set as usize == tracer as usize)
}

/// Unsets the tracer, if it is still this one. The GIL must be held.
pub(in crate::shim) fn unset(tracer: Tracer) {
    if is_set(tracer)
        && let Some((set, _)) = functions()
    {
        // SAFETY: called as its signature requires, with the GIL held.
        unsafe { set(None, std::ptr::null_mut()) };
    }
}
