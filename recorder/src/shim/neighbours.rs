//! Faults of CPython's that the program would meet because a tool of `sys.monitoring` is beside its
//! own profile or trace function, and how they are kept from it.

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

/// What begins to profile, by their entries in the method table, which is static; 0 if unknown.
static PROFILERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Learns what begins to profile.
pub(super) fn learn(sys: &Bound<'_, PyModule>) {
    for (name, known) in ["setprofile", "_setprofileallthreads"].into_iter().zip(&PROFILERS) {
        let function = sys.getattr(name).ok().filter(ffi::is_builtin);
        // SAFETY: a live object.
        let entry = function.map_or(0, |f| unsafe { Obj::borrowed(f.as_ptr()) }.method_entry());
        known.store(entry, Ordering::Relaxed);
    }
}

/// A call that begins to profile, until it has returned.
struct Profiling {
    /// The thread's state, for which no tool hears of anything until then.
    state: *mut PyThreadState,
    /// Address of the frame that calls.
    frame: usize,
    /// What its CALL event had, and its C_RETURN event has.
    arguments: [*mut PyObject; 4],
}

/// Comes before every call that an event tells of and that may begin to profile.
///
/// The profile function hears of the calls whose instruction has events when they return. Of
/// `sys.setprofile` it does not, if there are no other tools: the instruction has no events yet when the
/// call begins. With us it has, so nobody hears of that return; ours is made up for afterwards.
pub(super) fn before_call(arguments: [Obj<'_>; 4], finder: Option<FrameFinder>) {
    let [_, _, callable, first] = arguments;
    let entry = callable.method_entry();
    // SAFETY: gives the address of a static object.
    let ends = first.address() == unsafe { Py_None() } as usize;
    let begins =
        entry != 0 && !ends && PROFILERS.iter().any(|p| p.load(Ordering::Relaxed) == entry);
    // CPython does pending calls in the main thread only. If somebody profiles already, the instruction
    // has events anyway.
    let Some(finder) = finder.filter(|_| begins) else { return };
    if !threads::is_main() || !interpreter::is_main() || finder.is_profiled() {
        return;
    }
    // SAFETY: live objects, which get a reference each; the running thread's state. Who is called gets
    // it all back.
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

/// CPython does this at the end of the instruction, or while a hook in Python runs before that.
extern "C" fn after_call(profiling: *mut c_void) -> c_int {
    // SAFETY: `before_call` made it, for this one call, in this thread, whose frames are asked for.
    unsafe {
        let calling = (*profiling.cast::<Profiling>()).frame;
        let mut running = ffi::running_frames().into_iter().map(|frame| frame.address);
        let is_within = running.next() != Some(calling) && running.any(|frame| frame == calling);
        if is_within && Py_AddPendingCall(Some(after_call), profiling) == 0 {
            return 0;
        }
        let Profiling { state, arguments, .. } = *Box::from_raw(profiling.cast::<Profiling>());
        PyThreadState_LeaveTracing(state);
        let tell = callbacks::function(EventKind::C_RETURN);
        Py_DECREF(tell(std::ptr::null_mut(), arguments.as_ptr(), 4, std::ptr::null_mut()));
        arguments.into_iter().for_each(|argument| Py_DECREF(argument));
    }
    0
}

/// Comes before every `sys.settrace`, announced to audit hooks.
///
/// In 3.13, a frame whose `f_trace_opcodes` was set before, as `breakpoint()` does it, loses its events
/// when by `sys.settrace` two tools have events of one kind, and the debugger stops too late. It does not
/// if two tools had such when it was set, so that is arranged, and it is set again.
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
