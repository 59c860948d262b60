//! Registers and removes our tool of `sys.monitoring`.

use super::callbacks;
use super::ffi::{self, Interpreter, Obj};
use super::memory;
use super::state::{self, Watched};
use dashcam_schema::EventKind;
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::Mode;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// Tool ids in the order in which they are tried. Those that CPython's documentation reserves for
/// no tool come first.
const TOOL_IDS: [c_int; 6] = [4, 3, 5, 2, 1, 0];
const TOOL_NAME: &str = "dashcam";
static TOOL: AtomicI32 = AtomicI32::new(-1);
/// The bits of JUMP and INSTRUCTION.
static JUMP: AtomicI32 = AtomicI32::new(0);
static INSTRUCTION: AtomicI32 = AtomicI32::new(0);
/// `sys.monitoring.set_local_events`, kept for ever, because callbacks must not look up names. Null
/// until the first recording, and if the program has replaced the function.
static SET_LOCAL_EVENTS: AtomicPtr<pyo3::ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// `sys.monitoring.get_tool` and so on, kept for ever too, because names cannot be looked up when
/// the interpreter ends.
static GET_TOOL: AtomicPtr<pyo3::ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
static GET_EVENTS: AtomicPtr<pyo3::ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
static GET_LOCAL_EVENTS: AtomicPtr<pyo3::ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The events that are on for our tool, as `get_events` returns them. -1 while there is nothing to
/// check.
static EVENTS: AtomicI32 = AtomicI32::new(-1);

fn monitoring<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    Interpreter::required()?;
    py.import("sys")?.getattr("monitoring")
}

/// The event kinds of the running interpreter: kind and its bit.
pub(super) struct Kinds {
    pub(super) known: Vec<(EventKind, i32)>,
    /// Kinds that only a later CPython has: their number in this recording, name and bit.
    pub(super) later: Vec<(EventKind, String, i32)>,
    /// Kinds for which a recording has no number left.
    pub(super) unknown: Vec<String>,
}

/// Asks the interpreter which kinds it has.
pub(super) fn kinds(py: Python<'_>) -> PyResult<Kinds> {
    let events = monitoring(py)?.getattr("events")?;
    let dict = events.getattr("__dict__")?;
    let has_sides = events.hasattr("BRANCH_LEFT")?;
    let mut kinds = Kinds { known: Vec::new(), later: Vec::new(), unknown: Vec::new() };
    let mut next = EventKind::KNOWN;
    for (name, bit) in dict.cast_into::<PyDict>()?.iter() {
        let (Ok(name), Ok(bit)) = (name.extract::<String>(), bit.extract::<i32>()) else {
            continue;
        };
        // NO_EVENTS, and private entries.
        if bit <= 0 || bit & (bit - 1) != 0 || name.starts_with('_') {
            continue;
        }
        match EventKind::from_name(&name) {
            // Deprecated where its two sides have events of their own.
            Some(EventKind::BRANCH) if has_sides => {}
            Some(kind) => kinds.known.push((kind, bit)),
            None => match EventKind::from_number(next) {
                Some(kind) => {
                    next += 1;
                    kinds.later.push((kind, name, bit));
                }
                None => kinds.unknown.push(name),
            },
        }
    }
    Ok(kinds)
}

/// Takes a free tool id.
///
/// # Errors
/// All are in use. The message names the tools that use them.
pub(super) fn take_tool(py: Python<'_>) -> PyResult<()> {
    let monitoring = monitoring(py)?;
    for id in TOOL_IDS {
        if monitoring.call_method1("use_tool_id", (id, TOOL_NAME)).is_ok() {
            TOOL.store(id, Ordering::Relaxed);
            let disable = monitoring.getattr("DISABLE")?;
            callbacks::DISABLE.store(disable.as_ptr(), Ordering::Relaxed);
            return Ok(());
        }
    }
    let name = |id| monitoring.call_method1("get_tool", (id,)).map(|name| name.to_string());
    let users: Vec<String> = (0..6).filter_map(|id| name(id).ok()).collect();
    Err(PyRuntimeError::new_err(format!(
        "all six sys.monitoring tool ids are in use (by {}); stop one of those tools to record",
        users.join(", ")
    )))
}

/// Names of the other tools that have an id.
pub(super) fn other_tools(py: Python<'_>) -> Vec<String> {
    let own = TOOL.load(Ordering::Relaxed);
    let name = |id: c_int| -> Option<String> {
        monitoring(py).ok()?.call_method1("get_tool", (id,)).ok()?.extract().ok()
    };
    TOOL_IDS.into_iter().filter(|id| *id != own).filter_map(name).collect()
}

/// Whether this is the id of our tool.
pub(super) fn is_our_tool(id: u32) -> bool {
    u32::try_from(TOOL.load(Ordering::Relaxed)) == Ok(id)
}

/// Returns a loss if our tool id was taken, or our events were changed, by other code. The GIL must
/// be held. May be called at any time, even when the interpreter ends.
pub(super) fn find_fault() -> Option<LossKind> {
    let (id, expected) = (TOOL.load(Ordering::Relaxed), EVENTS.load(Ordering::Relaxed));
    let function = GET_TOOL.load(Ordering::Relaxed);
    if id < 0 || expected < 0 || function.is_null() {
        return None;
    }
    let is_ours = |name: Obj<'_>| name.ascii() == Some(TOOL_NAME);
    // SAFETY: `switch_on` stored that function and its reference; the caller holds the GIL.
    if !unsafe { ffi::ask_monitoring(function, id, None, is_ours) }? {
        return Some(LossKind::ToolTaken);
    }
    (events_on(id, None)? != expected).then_some(LossKind::EventsSwitchedOff)
}

/// Returns which of our events are on everywhere, or which are on in `code` only.
fn events_on(id: c_int, code: Option<Obj<'_>>) -> Option<i32> {
    let function = if code.is_some() { &GET_LOCAL_EVENTS } else { &GET_EVENTS };
    let function = function.load(Ordering::Relaxed);
    if function.is_null() {
        return None;
    }
    // SAFETY: as above.
    unsafe { ffi::ask_monitoring(function, id, code, |events| events.small_int().cast_signed()) }
}

/// Frees the tool id. Returns a loss if another tool has taken it, or the events were changed.
pub(super) fn release_tool(py: Python<'_>) -> PyResult<Option<LossKind>> {
    let fault = find_fault();
    EVENTS.store(-1, Ordering::Relaxed);
    let id = TOOL.swap(-1, Ordering::Relaxed);
    if id < 0 {
        return Ok(None);
    }
    let monitoring = monitoring(py)?;
    let holder = monitoring.call_method1("get_tool", (id,))?;
    if holder.extract::<String>().is_ok_and(|name| name == TOOL_NAME) {
        monitoring.call_method1("set_events", (id, 0))?;
        // In 3.12 and 3.13, freeing the id leaves local events on.
        // SAFETY: Python called us with the GIL held.
        let watched = unsafe { state::current() }.take_watched();
        set_local_events(id, watched.into_iter().map(|code| (code, 0)));
        let kinds = kinds(py)?;
        let bits = kinds.known.iter().map(|(_, bit)| *bit);
        for bit in bits.chain(kinds.later.iter().map(|(_, _, bit)| *bit)) {
            monitoring.call_method1("register_callback", (id, bit, py.None()))?;
        }
        monitoring.call_method1("free_tool_id", (id,))?;
    }
    Ok(fault)
}

fn new_callback<'py>(py: Python<'py>, call: ffi::Vectorcall) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both calls return a new reference, or null with an error set.
    unsafe {
        let class = Bound::from_owned_ptr_or_err(py, ffi::callback_type())?;
        Bound::from_owned_ptr_or_err(py, ffi::new_callback(class.as_ptr(), call))
    }
}

/// The kinds of derived events.
const DERIVED: [EventKind; 3] = [EventKind::LINE, EventKind::JUMP, EventKind::INSTRUCTION];

/// Registers the callbacks of all kinds and switches on the events that the mode needs.
pub(super) fn switch_on(py: Python<'_>, kinds: &Kinds, mode: Mode) -> PyResult<()> {
    let monitoring = monitoring(py)?;
    let id = TOOL.load(Ordering::Relaxed);
    let known = kinds.known.iter().copied();
    let mut events = 0;
    for (kind, bit) in known.chain(kinds.later.iter().map(|(kind, _, bit)| (*kind, *bit))) {
        let callback = new_callback(py, callbacks::function(kind))?;
        monitoring.call_method1("register_callback", (id, bit, callback))?;
        match kind {
            EventKind::JUMP => JUMP.store(bit, Ordering::Relaxed),
            EventKind::INSTRUCTION => INSTRUCTION.store(bit, Ordering::Relaxed),
            _ => {}
        }
        // These come with CALL and cannot be switched on by themselves.
        let comes_with_call = kind == EventKind::C_RETURN || kind == EventKind::C_RAISE;
        let is_derived = mode == Mode::Derived && DERIVED.contains(&kind);
        if !comes_with_call && !is_derived {
            events |= bit;
        }
    }
    let functions = [
        ("set_local_events", &SET_LOCAL_EVENTS),
        ("get_tool", &GET_TOOL),
        ("get_events", &GET_EVENTS),
        ("get_local_events", &GET_LOCAL_EVENTS),
    ];
    for (name, kept) in functions {
        let function = monitoring.getattr(name)?;
        if kept.load(Ordering::Relaxed).is_null() && ffi::is_builtin(&function) {
            kept.store(function.into_ptr(), Ordering::Relaxed);
        }
    }
    // SAFETY: Python called us, directly or through a callback; the GIL is held.
    let state = unsafe { state::current() };
    state.remember_frames();
    let watched = state.take_new_watched();
    monitoring.call_method1("set_events", (id, events))?;
    EVENTS.store(events_on(id, None).unwrap_or(-1), Ordering::Relaxed);
    watch(&watched);
    // Locations that an earlier recording disabled are switched on again. This re-arms those of
    // other tools too, so it is done only if there was an earlier recording.
    static AGAIN: AtomicBool = AtomicBool::new(false);
    if AGAIN.swap(true, Ordering::Relaxed) {
        monitoring.call_method0("restart_events")?;
    }
    Ok(())
}

/// Switches on the local events of code objects, which must be alive. Calls CPython, so no
/// reference to the state may exist.
pub(super) fn watch(codes: &[(usize, Watched)]) {
    let id = TOOL.load(Ordering::Relaxed);
    let bits = |watched: Watched| {
        let jump = if watched.jumps { JUMP.load(Ordering::Relaxed) } else { 0 };
        jump | if watched.sites { INSTRUCTION.load(Ordering::Relaxed) } else { 0 }
    };
    let failures =
        set_local_events(id, codes.iter().map(|(code, watched)| (*code, bits(*watched))));
    // Without memory, recording ends with the next event, which reports that.
    if failures > 0 && !memory::is_short() {
        // SAFETY: callbacks, and what Python calls, hold the GIL.
        let state = unsafe { state::current() };
        let what = "the local events of code objects could not be switched on";
        state.lose(LossKind::CallbackFailed, failures, what);
    }
}

/// Runs `work` while INSTRUCTION events are on for our tool in a code object. Calls CPython, like
/// [`watch`].
pub(super) fn with_instructions(code: Obj<'_>, work: impl FnOnce()) {
    let (id, instruction) = (TOOL.load(Ordering::Relaxed), INSTRUCTION.load(Ordering::Relaxed));
    if id < 0 {
        return;
    }
    let Some(before) = events_on(id, Some(code)) else { return };
    let set = |events| set_local_events(id, std::iter::once((code.address(), events)));
    if set(before | instruction) == 0 {
        work();
        set(before);
    }
}

/// Sets the local events of code objects, which must be alive. Returns how many times it failed.
fn set_local_events(id: c_int, codes: impl Iterator<Item = (usize, i32)>) -> u64 {
    let function = SET_LOCAL_EVENTS.load(Ordering::Relaxed);
    if function.is_null() {
        return codes.count() as u64;
    }
    // SAFETY: `switch_on` stored that function and its reference; the caller holds the GIL.
    let set = |(code, events): &(usize, i32)| unsafe {
        ffi::set_local_events(function, id, *code, *events)
    };
    codes.filter(|code| !set(code)).count() as u64
}

/// Switches on the callback that waits for the program's first frame.
pub(super) fn wait_for_program(py: Python<'_>) -> PyResult<()> {
    let monitoring = monitoring(py)?;
    let id = TOOL.load(Ordering::Relaxed);
    let start = monitoring.getattr("events")?.getattr("PY_START")?;
    let callback = new_callback(py, callbacks::first_start)?;
    monitoring.call_method1("register_callback", (id, &start, callback))?;
    monitoring.call_method1("set_events", (id, &start))?;
    Ok(())
}
