//! The interpreter, as long as nobody takes it down.
//!
//! Events go on to the very end: finalizers and callbacks of weak references run when the modules, the
//! builtins and `sys` are gone, and asking CPython for one of them then ends the process. So what can be
//! asked only before that is a method of [`Interpreter`], and there is none to be had afterwards.
//! What a callback may touch at any time: objects it was handed and what they refer to, the running
//! thread's state and frames, CPython's static objects, and what the shim holds references to itself.

use super::{Obj, clear_error, take_bytes};
use pyo3::PyResult;
use pyo3::ffi::{
    Py_NewRef, PyImport_GetModuleDict, PyInterpreterState, PyInterpreterState_Get, PyModule_GetDict,
};
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::transmute;
use std::sync::OnceLock;

/// Whether Python is being taken down; `None` if that cannot be asked.
fn is_finalizing() -> Option<bool> {
    type Ask = unsafe extern "C" fn() -> c_int;
    static ASK: OnceLock<Option<Ask>> = OnceLock::new();
    let ask = ASK.get_or_init(|| {
        // The second name is that of 3.12.
        [c"Py_IsFinalizing", c"_Py_IsFinalizing"].into_iter().find_map(|name| {
            // SAFETY: looks a name up among what is loaded; the functions of these names have this
            // signature.
            unsafe {
                let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
                (!found.is_null()).then(|| transmute::<*mut c_void, Ask>(found))
            }
        })
    });
    // SAFETY: reads a field of the runtime, which is always there.
    ask.map(|ask| unsafe { ask() } != 0)
}

/// Proof that the main interpreter runs and is not being taken down. Holds as long as the callback
/// that got it: who takes an interpreter down needs the GIL.
#[derive(Clone, Copy)]
pub(in crate::shim) struct Interpreter(PhantomData<*const ()>);

impl Interpreter {
    /// The GIL must be held. `None` once it is being taken down, and in another interpreter.
    pub(in crate::shim) fn running() -> Option<Interpreter> {
        let is_running = is_finalizing() == Some(false) && is_main();
        is_running.then_some(Interpreter(PhantomData))
    }

    /// The same, as an error for who asked for something that cannot be done then.
    ///
    /// # Errors
    /// It is being taken down.
    pub(in crate::shim) fn required() -> PyResult<Interpreter> {
        let error =
            || pyo3::exceptions::PyRuntimeError::new_err("the interpreter is shutting down");
        Interpreter::running().ok_or_else(error)
    }

    /// An entry of a module that is already imported.
    pub(in crate::shim) fn module_entry<'a>(self, module: &CStr, name: &CStr) -> Option<Obj<'a>> {
        // SAFETY: there are modules as long as there is an `Interpreter`. Borrowed references all the
        // way: sys.modules holds the module, it holds its dict.
        unsafe {
            let modules = PyImport_GetModuleDict();
            let module = Obj::borrowed(modules).dict_get(module)?;
            if !module.is_module() {
                return None;
            }
            let dict = PyModule_GetDict(module.0);
            Obj::borrowed(dict).dict_get(name)
        }
    }
}

/// Whether the running thread is in the main interpreter, the only one that is recorded. The GIL, or
/// that of the interpreter, must be held.
pub(in crate::shim) fn is_main() -> bool {
    unsafe extern "C" {
        fn PyInterpreterState_Main() -> *mut PyInterpreterState;
    }
    // SAFETY: both read a pointer.
    unsafe { PyInterpreterState_Get() == PyInterpreterState_Main() }
}

/// The first two bytes of `importlib.util.MAGIC_NUMBER`; 0 if it cannot be had. Asked once, when
/// recording begins at the latest: code objects are met to the very end.
pub(in crate::shim) fn bytecode_magic() -> u16 {
    static MAGIC: OnceLock<u16> = OnceLock::new();
    *MAGIC.get_or_init(|| {
        // SAFETY: a new reference to the module's entry; `take_bytes` gives it back.
        let magic = Interpreter::running()
            .and_then(|it| it.module_entry(c"_frozen_importlib_external", c"MAGIC_NUMBER"))
            .and_then(|magic| unsafe { take_bytes(Py_NewRef(magic.0)) });
        clear_error();
        match magic.as_deref() {
            Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
            _ => 0,
        }
    })
}
