//! Ends recording in a forked child, which must not write into its parent's ring, and begins it
//! anew with rings of its own.

use super::{follow, module, state};
use dashcam_schema::loss::LossKind;
use pyo3::prelude::*;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process was forked from one that was being recorded, and is not recorded yet.
static WAS_RECORDED: AtomicBool = AtomicBool::new(false);

/// Registers the handlers with the C library and with Python, once per process.
pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
    static ONCE: Once = Once::new();
    // SAFETY: registers functions that are never unloaded.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
        libc::atexit(state::at_exit);
    });
    static REGISTERED: pyo3::sync::PyOnceLock<()> = pyo3::sync::PyOnceLock::new();
    REGISTERED.get_or_try_init(py, || {
        let kwargs = pyo3::types::PyDict::new(py);
        kwargs.set_item("after_in_child", pyo3::wrap_pyfunction!(forked_child, py)?)?;
        kwargs.set_item("after_in_parent", pyo3::wrap_pyfunction!(forked_parent, py)?)?;
        py.import("posix")?.call_method("register_at_fork", (), Some(&kwargs))?;
        Ok::<(), PyErr>(())
    })?;
    Ok(())
}

/// Runs in the child of every fork, before any Python code does.
unsafe extern "C" fn in_child() {
    // SAFETY: the code that forks holds the GIL if it runs Python. If it is foreign code that never
    // does, no other code runs Python in the child. `end_in_child` only sets fields.
    let state = unsafe { state::current() };
    WAS_RECORDED.store(state.is_recording(), Ordering::Relaxed);
    state.end_in_child();
}

/// Runs in the child of `os.fork` and of what is built on it. Removes our tool from the child's
/// interpreter, and begins anew if the child is recorded too.
#[pyfunction]
fn forked_child(py: Python<'_>) {
    // An error here must not reach the program.
    let _ = super::monitoring::release_tool(py);
    // SAFETY: Python code calls us with the GIL held.
    unsafe { state::current() }.end();
    if WAS_RECORDED.swap(false, Ordering::Relaxed) {
        let _ = module::begin_forked(py);
    }
}

/// Runs in the parent of `os.fork` and of what is built on it.
#[pyfunction]
fn forked_parent() {
    // SAFETY: Python code calls us with the GIL held.
    let state = unsafe { state::current() };
    if state.is_recording() && !follow::is_on() {
        state.lose(LossKind::ChildNotFollowed, 1, "");
    }
}
