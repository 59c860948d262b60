//! The callbacks that CPython calls for events: one C function for each kind, with nothing in
//! between.

use super::ffi::{Interpreter, Obj, Vectorcall};
use super::state::{self, Enter, State};
use super::{cost, monitoring, neighbours};
use dashcam_schema::EventKind;
use dashcam_schema::record::{
    self, PAYLOAD_MAX, TAG_START_SUSPENDABLE, TAG_WIDE_PLACE, event_words,
};
use dashcam_schema::value::GroupKind;
use pyo3::ffi::{Py_DECREF, Py_NewRef, Py_None, PyObject};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering};

/// `sys.monitoring.DISABLE`; null until the first recording.
pub(super) static DISABLE: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// The callback for a kind.
pub(super) fn function(kind: EventKind) -> Vectorcall {
    macro_rules! table {
        ($($number:literal)*) => { [$(event::<$number> as Vectorcall),*] };
    }
    const TABLE: [Vectorcall; EventKind::LIMIT as usize] = table!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    );
    TABLE[kind.number() as usize]
}

/// Whether the callback of a kind may return DISABLE. For other kinds that is an error or, in 3.14,
/// switches the callback off everywhere.
const fn is_local(kind: EventKind) -> bool {
    !(kind.has_exception() && kind.number() != EventKind::STOP_ITERATION.number()
        || kind.number() == EventKind::C_RETURN.number()
        || kind.number() == EventKind::C_RAISE.number()
        || kind.number() >= EventKind::KNOWN)
}

/// The callback for one kind. Arguments: the code object, an offset (for LINE, a line), and what
/// else the kind has. Always returns None or DISABLE, never an error.
unsafe extern "C" fn event<const NUMBER: u8>(
    _callback: *mut PyObject,
    args: *const *mut PyObject,
    _count: usize,
    _names: *mut PyObject,
) -> *mut PyObject {
    let kind = const {
        match EventKind::from_number(NUMBER) {
            Some(kind) => kind,
            None => panic!(),
        }
    };
    // SAFETY: every kind has at least a code object and an int; both live during the call.
    let (code, place) = unsafe { (Obj::borrowed(*args), Obj::borrowed(*args.add(1))) };
    // SAFETY: CPython calls with the GIL held, and nothing in here releases it.
    if !unsafe { state::current() }.is_ready(code.address()) {
        match enter(kind, code) {
            Enter::Record => {}
            skipped => {
                if kind.number() == EventKind::CALL.number() {
                    // SAFETY: CALL has four arguments, and `enter` has returned.
                    let (arguments, state) = unsafe { (arguments(args), state::current()) };
                    neighbours::before_call(arguments, state.finder());
                }
                return answer(kind, skipped == Enter::Skip);
            }
        }
    }
    // SAFETY: as above. `enter` has returned, so this is the only reference again.
    let state = unsafe { state::current() };
    let place = place.small_int();
    let place = if kind.number() == EventKind::LINE.number() { place } else { place / 2 };

    if kind.is_branch() {
        // SAFETY: branches carry the target offset third.
        let target = unsafe { Obj::borrowed(*args.add(2)) }.small_int() / 2;
        if state.is_implied(kind, place, target) {
            return answer(kind, true);
        }
    }

    // A new callable or exception is defined before the event's first word.
    let mut extra = 0;
    if kind.has_callable() {
        // SAFETY: CALL and C_* have four arguments.
        let arguments = unsafe { arguments(args) };
        match fenced(state, |s| s.callable(kind, arguments)) {
            Some(number) => extra = number,
            None => return answer(kind, true),
        }
    } else if kind.has_exception() {
        // SAFETY: these carry the exception third.
        let exception = unsafe { Obj::borrowed(*args.add(2)) };
        match fenced(state, |s| s.exception(kind, exception)) {
            Some(number) => extra = number,
            None => return answer(kind, true),
        }
    }

    if kind.number() == EventKind::INSTRUCTION.number() {
        let has_site = state.has_state() && fenced(state, |s| s.record_site(code, place));
        if state.derives_events() {
            state.leave_callback();
            return answer(kind, !has_site);
        }
    }
    let mut says_none = false;
    if state.captures() {
        if kind.has_ordinal() && state.is_changing() {
            // Before all other values, because the changes happened before the event.
            fenced(state, |s| s.record_changed(kind, code));
        }
        // A None needs no group of its own: a bit of the event stands for it.
        let may_say_none =
            kind.may_say_none() && place < record::SAYS_NONE && state.derives_events();
        // SAFETY: gives the address of a static object.
        let is_none = |value: Obj<'_>| value.address() == unsafe { Py_None() } as usize;
        // Before the event itself, so that an event that is in its ring has its values in theirs.
        match kind {
            EventKind::PY_START => fenced(state, |s| s.record_arguments(code)),
            EventKind::PY_RESUME => {
                let sent = fenced(state, |s| s.sent(code, place));
                match sent {
                    Some(value) if may_say_none && is_none(value) => says_none = true,
                    Some(value) => fenced(state, |s| s.record_value(GroupKind::Sent, value)),
                    None => {}
                }
            }
            EventKind::PY_RETURN => {
                // SAFETY: PY_RETURN carries the value third.
                let value = unsafe { Obj::borrowed(*args.add(2)) };
                says_none = may_say_none && is_none(value);
                if !says_none {
                    fenced(state, |s| s.record_value(GroupKind::Result, value));
                }
            }
            EventKind::PY_YIELD => {
                // SAFETY: PY_YIELD carries the value third.
                let value = unsafe { Obj::borrowed(*args.add(2)) };
                fenced(state, |s| s.note_yield(code, place));
                says_none = may_say_none && is_none(value);
                if !says_none {
                    fenced(state, |s| s.record_value(GroupKind::Result, value));
                }
            }
            EventKind::RAISE if state.is_new_exception() => {
                // SAFETY: RAISE carries the exception third.
                let exception = unsafe { Obj::borrowed(*args.add(2)) };
                fenced(state, |s| s.record_value(GroupKind::Raised, exception));
            }
            _ => {}
        }
    }

    // After the arguments, because those in cells are recorded as cells here.
    if kind.has_ordinal() && state.wants_state(kind, code, place, extra) {
        let handed = if kind.has_callable() {
            // SAFETY: CALL and C_* carry the callable third and the first argument fourth.
            let [callable, first] = [2, 3].map(|at| unsafe { Obj::borrowed(*args.add(at)) });
            Some((extra, callable, first))
        } else {
            None
        };
        fenced(state, |s| s.record_state(kind, code, place, handed));
    }

    if kind.number() == EventKind::CALL.number() && state.wants_call(extra) {
        // SAFETY: CALL carries the callable third.
        let callable = unsafe { Obj::borrowed(*args.add(2)) };
        fenced(state, |s| s.record_call(code, place, callable));
    }

    let mut words = state.begin_event();
    let mut is_called = false;
    if kind.enters()
        || kind.number() == EventKind::RAISE.number()
        || kind.number() == EventKind::RERAISE.number()
    {
        is_called = state.put_frames(&mut words, kind, code);
    }
    let starts = kind.number() == EventKind::PY_START.number() && state.is_suspendable();
    // Between the CALL of a Python function and its PY_START only the recording takes time, so one
    // reading of the clock serves both. A reading is no small part of an event's cost.
    let ticks = if kind.is_timed() && !is_called { state.tick(&mut words) } else { 0 };
    state.note_call(kind, place);
    let most = if kind.may_say_none() { record::SAYS_NONE - 1 } else { PAYLOAD_MAX };
    if place > most {
        words.put(record::word(TAG_WIDE_PLACE, 0));
        words.put(place);
    }
    let tag = if starts { TAG_START_SUSPENDABLE } else { NUMBER };
    let none = if says_none { record::SAYS_NONE } else { 0 };
    words.put(record::word(tag, place.min(most) | none));
    if kind.is_timed() {
        words.put(ticks);
    }
    if kind.has_target() {
        // SAFETY: these carry the target offset third.
        words.put(unsafe { Obj::borrowed(*args.add(2)) }.small_int() / 2);
    } else if event_words(kind) > 0 && kind.number() >= EventKind::KNOWN {
        // A kind of a later CPython. Its third argument is recorded if it is an int.
        // SAFETY: the count, without its flag bit, is the number of arguments.
        let third = (_count & !(1 << 63) > 2).then(|| unsafe { Obj::borrowed(*args.add(2)) });
        words.put(third.filter(|o| o.is_int()).map_or(0, |o| o.small_int() / 2));
    }
    if kind.has_callable() || kind.has_exception() {
        words.put(extra);
    }
    if starts || kind.resumes() {
        let frame = state.frame();
        words.put(frame as u32);
        words.put((frame as u64 >> 32) as u32);
    }
    state.leave_event(&mut words);
    state.end_event(words);
    if kind.has_ordinal() {
        state.count_event();
    }
    answer(kind, false)
}

/// The arguments of an event that has four.
///
/// # Safety
/// The event has four arguments, and they live as long as the callback.
#[inline(always)]
unsafe fn arguments<'a>(args: *const *mut PyObject) -> [Obj<'a>; 4] {
    // SAFETY: the caller's promise.
    [0, 1, 2, 3].map(|at| unsafe { Obj::borrowed(*args.add(at)) })
}

/// Prepares the state for an event that [`State::is_ready`] does not cover.
#[cold]
#[inline(never)]
fn enter(kind: EventKind, code: Obj<'_>) -> Enter {
    // SAFETY: the GIL is held.
    let clock = unsafe { state::current() }.clock();
    let began = cost::begin(clock);
    let entered = enter_unmeasured(kind, code);
    cost::end(clock, began);
    // SAFETY: the GIL is held, and there is no other reference any more.
    unsafe { state::current() }.enter_callback();
    entered
}

fn enter_unmeasured(kind: EventKind, code: Obj<'_>) -> Enter {
    loop {
        // SAFETY: the GIL is held. This is the only reference until the next call of `current`.
        let state = unsafe { state::current() };
        let entered = fenced(state, |s| s.enter(kind, code));
        let watched = state.take_new_watched();
        if watched.is_empty() {
            return entered;
        }
        // This calls CPython, so no reference to the state may exist. Afterwards `entered` may no
        // longer be right.
        monitoring::watch(&watched);
    }
}

/// Returns None, or DISABLE if there must be no more events of this kind at this location.
#[inline(always)]
fn answer(kind: EventKind, skipped: bool) -> *mut PyObject {
    if skipped && is_local(kind) {
        let disable = DISABLE.load(Ordering::Relaxed);
        if !disable.is_null() {
            // SAFETY: `sys.monitoring` holds the object for ever, and the GIL is held.
            return unsafe { Py_NewRef(disable) };
        }
    }
    // SAFETY: None is immortal from 3.12 on, so it needs no new reference.
    unsafe { Py_None() }
}

/// Runs work that may allocate or panic. A panic ends the recording, not the program.
#[inline(always)]
fn fenced<T: Fallback>(state: &mut State, work: impl FnOnce(&mut State) -> T) -> T {
    // After a panic the state is only used to end the recording.
    match catch_unwind(AssertUnwindSafe(|| work(state))) {
        Ok(result) => result,
        Err(_) => {
            state.end_in_child();
            T::FALLBACK
        }
    }
}

trait Fallback {
    const FALLBACK: Self;
}

impl Fallback for Enter {
    const FALLBACK: Enter = Enter::Skip;
}

impl Fallback for bool {
    const FALLBACK: bool = true;
}

impl Fallback for () {
    const FALLBACK: () = ();
}

impl<T> Fallback for Option<T> {
    const FALLBACK: Option<T> = None;
}

/// The callback for PY_START while the interpreter starts up. Waits for the program's first frame.
pub(super) unsafe extern "C" fn first_start(
    _callback: *mut PyObject,
    args: *const *mut PyObject,
    _count: usize,
    _names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: PY_START carries a code object and an offset; the GIL is held.
    let code = unsafe { Obj::borrowed(*args) };
    // The frame that Python runs as the program has no caller: it is a module, or runpy for `-m`.
    // If Python runs no program, there is nothing to record.
    let name = code.code_text(c"co_name");
    if (name == "<module>" || name == "_run_module_as_main")
        && super::ffi::running_frames().len() == 1
        && Interpreter::running().is_some()
    {
        // SAFETY: a callback holds the GIL.
        let began = pyo3::Python::try_attach(|py| super::module::begin_program(py).is_ok());
        if began == Some(true) {
            // SAFETY: the arguments are passed on as they came.
            let result = unsafe { event::<0>(_callback, args, _count, _names) };
            if result == DISABLE.load(Ordering::Relaxed) {
                // DISABLE is meant for the real callback, not for this one.
                // SAFETY: a reference just made.
                unsafe { Py_DECREF(result) };
            }
        }
    }
    // SAFETY: None is immortal.
    unsafe { Py_None() }
}
