//! The interpreter, as long as it is not being finalized.
//!
//! Events go on to the very end: finalizers and callbacks of weak references run when the modules,
//! the builtins and `sys` are gone. Asking CPython for one of those then ends the process.
//! Therefore whatever CPython may be asked for only before that is a method of [`Interpreter`], and
//! no `Interpreter` can be obtained afterwards.
//!
//! A callback may use these at any time: the objects that were passed to it and what they refer to,
//! the running thread's state and frames, CPython's static objects, and what the shim itself holds
//! references to.

use super::{Obj, clear_error, take_bytes};
use pyo3::PyResult;
use pyo3::ffi::{
    Py_NewRef, PyImport_GetModuleDict, PyInterpreterState, PyInterpreterState_Get, PyModule_GetDict,
};
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::transmute;
use std::sync::OnceLock;

/// Whether Python is being finalized; `None` if no function that returns it is found.
fn is_finalizing() -> Option<bool> {
    type IsFinalizing = unsafe extern "C" fn() -> c_int;
    static FUNCTION: OnceLock<Option<IsFinalizing>> = OnceLock::new();
    let function = FUNCTION.get_or_init(|| {
        // 3.12 has the second name.
        [c"Py_IsFinalizing", c"_Py_IsFinalizing"].into_iter().find_map(|name| {
            // SAFETY: `dlsym` looks a name up in what is loaded; the functions of these names have
            // this signature.
            unsafe {
                let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
                (!found.is_null()).then(|| transmute::<*mut c_void, IsFinalizing>(found))
            }
        })
    });
    // SAFETY: the function reads a field of the runtime, which always exists.
    function.map(|function| unsafe { function() } != 0)
}

/// Proof that the main interpreter runs and is not being finalized. It holds until the callback
/// that obtained it returns, because finalizing an interpreter requires the GIL.
#[derive(Clone, Copy)]
pub(in crate::shim) struct Interpreter(PhantomData<*const ()>);

impl Interpreter {
    /// Returns the proof; `None` once the main interpreter is being finalized, and in any other
    /// interpreter. The GIL must be held.
    pub(in crate::shim) fn running() -> Option<Interpreter> {
        let is_running = is_finalizing() == Some(false) && is_main();
        is_running.then_some(Interpreter(PhantomData))
    }

    /// As [`Interpreter::running`], but with an error for callers that cannot go on without it.
    ///
    /// # Errors
    /// If `running` returns `None`.
    pub(in crate::shim) fn required() -> PyResult<Interpreter> {
        let error =
            || pyo3::exceptions::PyRuntimeError::new_err("the interpreter is shutting down");
        Interpreter::running().ok_or_else(error)
    }

    /// Returns an entry of a module that is already imported.
    pub(in crate::shim) fn module_entry<'a>(self, module: &CStr, name: &CStr) -> Option<Obj<'a>> {
        // SAFETY: the modules exist as long as there is an `Interpreter`. All references are
        // borrowed: `sys.modules` holds the module, which holds its dict.
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

/// Whether the running thread is in the main interpreter, the only one that is recorded. The GIL,
/// or the running interpreter's own GIL, must be held.
pub(in crate::shim) fn is_main() -> bool {
    unsafe extern "C" {
        fn PyInterpreterState_Main() -> *mut PyInterpreterState;
    }
    // SAFETY: both functions read a pointer.
    unsafe { PyInterpreterState_Get() == PyInterpreterState_Main() }
}

/// The first two bytes of `importlib.util.MAGIC_NUMBER`; 0 if it is not available. It is read once,
/// at the latest when recording begins, because new code objects appear to the very end.
pub(in crate::shim) fn bytecode_magic() -> u16 {
    static MAGIC: OnceLock<u16> = OnceLock::new();
    *MAGIC.get_or_init(|| {
        // SAFETY: a new reference to the module's entry; `take_bytes` releases it.
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
