//! Works around faults of CPython that would affect the program because a tool of `sys.monitoring`
//! runs beside the program's own profile or trace function.

use super::ffi::{self, FrameFinder, Obj, interpreter};
use super::{callbacks, monitoring, state, threads};
use dashcam_schema::EventKind;
use pyo3::ffi::{
    Py_AddPendingCall, Py_DECREF, Py_NewRef, Py_None, PyObject, PyThreadState, PyThreadState_Get,
};
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn PyThreadState_EnterTracing(state: *mut PyThreadState);
    fn PyThreadState_LeaveTracing(state: *mut PyThreadState);
}

/// The functions that start profiling, by their entries in the static method table. 0 if unknown.
static PROFILERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Finds the functions that start profiling.
pub(super) fn learn(sys: &Bound<'_, PyModule>) {
    for (name, known) in ["setprofile", "_setprofileallthreads"].into_iter().zip(&PROFILERS) {
        let function = sys.getattr(name).ok().filter(ffi::is_builtin);
        // SAFETY: a live object.
        let entry = function.map_or(0, |f| unsafe { Obj::borrowed(f.as_ptr()) }.method_entry());
        known.store(entry, Ordering::Relaxed);
    }
}

/// A call that starts profiling, until it has returned.
struct Profiling {
    /// The state of the thread. No tool gets events of this thread until the call has returned.
    state: *mut PyThreadState,
    /// Address of the calling frame.
    frame: usize,
    /// The arguments of its CALL event, which are also those of its C_RETURN event.
    arguments: [*mut PyObject; 4],
}

/// Runs before every call that has an event and may start profiling.
///
/// When a call returns, the profile function is called if the call's instruction has events.
/// Without other tools, it is not called for `sys.setprofile` itself: the instruction has no events
/// yet when that call begins. With our tool it has. So no tool gets an event of that return, and
/// our own event is recorded afterwards.
pub(super) fn before_call(arguments: [Obj<'_>; 4], finder: Option<FrameFinder>) {
    let [_, _, callable, first] = arguments;
    let entry = callable.method_entry();
    // SAFETY: gives the address of a static object.
    let ends = first.address() == unsafe { Py_None() } as usize;
    let begins =
        entry != 0 && !ends && PROFILERS.iter().any(|p| p.load(Ordering::Relaxed) == entry);
    // CPython makes pending calls in the main thread only. If a profile function is set already,
    // the instruction has events anyway.
    let Some(finder) = finder.filter(|_| begins) else { return };
    if !threads::is_main() || !interpreter::is_main() || finder.is_profiled() {
        return;
    }
    // SAFETY: live objects, each of which gets a reference; the running thread's state.
    // `after_call` takes the box and the references back.
    unsafe {
        let arguments = arguments.map(|argument| Py_NewRef(argument.address() as *mut PyObject));
        let state = PyThreadState_Get();
        let frame = finder.current();
        let profiling = Box::into_raw(Box::new(Profiling { state, frame, arguments }));
        if Py_AddPendingCall(Some(after_call), profiling.cast()) == 0 {
            PyThreadState_EnterTracing(state);
        } else {
            let profiling = Box::from_raw(profiling);
            profiling.arguments.into_iter().for_each(|argument| Py_DECREF(argument));
        }
    }
}

/// CPython calls this at the end of the instruction, or earlier, while a hook in Python runs.
extern "C" fn after_call(profiling: *mut c_void) -> c_int {
    // SAFETY: `before_call` made `profiling`, for this one call, in this thread, whose frames are
    // read.
    unsafe {
        let calling = (*profiling.cast::<Profiling>()).frame;
        let mut running = ffi::running_frames().into_iter().map(|frame| frame.address);
        let is_within = running.next() != Some(calling) && running.any(|frame| frame == calling);
        if is_within && Py_AddPendingCall(Some(after_call), profiling) == 0 {
            return 0;
        }
        let Profiling { state, arguments, .. } = *Box::from_raw(profiling.cast::<Profiling>());
        PyThreadState_LeaveTracing(state);
        let callback = callbacks::function(EventKind::C_RETURN);
        Py_DECREF(callback(std::ptr::null_mut(), arguments.as_ptr(), 4, std::ptr::null_mut()));
        arguments.into_iter().for_each(|argument| Py_DECREF(argument));
    }
    0
}

/// Runs before every `sys.settrace`, which CPython reports to audit hooks.
///
/// In 3.13, a frame whose `f_trace_opcodes` was set earlier, as `breakpoint()` does, loses its
/// events if `sys.settrace` makes a second tool have events of one kind. The debugger then stops
/// too late. The frame keeps its events if two tools had such events when the attribute was set. So
/// this switches on our own INSTRUCTION events meanwhile and sets the attribute again.
pub(super) fn before_trace() {
    if !ffi::is_version(0x030D) {
        return;
    }
    // SAFETY: an audit hook, as a callback, holds the GIL.
    let Some(frames) = unsafe { state::current() }.frames() else { return };
    let mut frame = frames.running();
    while let Some(at) = frame {
        if let Some(object) = frames.object(at)
            && object.traces_opcodes()
        {
            // SAFETY: a running frame keeps its code object alive.
            let code = unsafe { Obj::borrowed(at.code as *mut PyObject) };
            monitoring::with_instructions(code, || {
                object.set_traces_opcodes(false);
                object.set_traces_opcodes(true);
            });
        }
        frame = frames.caller(at);
    }
}
