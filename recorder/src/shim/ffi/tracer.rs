//! `PyRefTracer`, from 3.13 on: CPython calls a function when objects are created and destroyed.

use pyo3::ffi::PyObject;
use std::ffi::{c_int, c_void};
use std::mem::transmute;

/// The function that CPython calls.
pub(in crate::shim) type Tracer = unsafe extern "C" fn(*mut PyObject, c_int, *mut c_void) -> c_int;

type SetTracer = unsafe extern "C" fn(Option<Tracer>, *mut c_void) -> c_int;
type GetTracer = unsafe extern "C" fn(*mut *mut c_void) -> Option<Tracer>;

fn functions() -> Option<(SetTracer, GetTracer)> {
    // SAFETY: `dlsym` looks the names up in what is loaded; functions of these names have these
    // signatures in every version that has them.
    unsafe {
        let set = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_SetTracer".as_ptr());
        let get = libc::dlsym(libc::RTLD_DEFAULT, c"PyRefTracer_GetTracer".as_ptr());
        let is_there = !set.is_null() && !get.is_null();
        is_there.then(|| {
            let set = transmute::<*mut c_void, SetTracer>(set);
            (set, transmute::<*mut c_void, GetTracer>(get))
        })
    }
}

/// A tracer, and what it is called with.
pub(in crate::shim) type Set = (Tracer, *mut c_void);

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

/// Sets the tracer in place of another, which it has to call from then on. Returns that one, or
/// `Err` if setting the tracer fails.
///
/// # Safety
/// As for [`set`].
pub(in crate::shim) unsafe fn set_before(
    tracer: Tracer,
    data: *mut c_void,
) -> Result<Option<Set>, ()> {
    let Some((set, get)) = functions() else { return Err(()) };
    let mut other = std::ptr::null_mut();
    // SAFETY: the caller guarantees what the tracer needs, and that the GIL is held.
    unsafe {
        let before = get(&mut other).map(|before| (before, other));
        if set(Some(tracer), data) == 0 { Ok(before) } else { Err(()) }
    }
}

/// Whether this tracer is set. The GIL must be held.
pub(in crate::shim) fn is_set(tracer: Tracer) -> bool {
    let Some((_, get)) = functions() else { return false };
    // SAFETY: called as its signature requires, with the GIL held.
    let set = unsafe { get(&mut std::ptr::null_mut()) };
    set.is_some_and(|set| set as usize == tracer as usize)
}

/// Unsets the tracer, if it is still this one, and sets the one again that it has called. The GIL
/// must be held.
pub(in crate::shim) fn unset(tracer: Tracer, next: Option<Set>) {
    if is_set(tracer)
        && let Some((set, _)) = functions()
    {
        let (next, data) = next.unzip();
        // SAFETY: called as its signature requires, with the GIL held.
        unsafe { set(next, data.unwrap_or_default()) };
    }
}
