//! The outcome of an exception, and its text.

use super::fates::Swallowed;
use crate::store::{Code, Directory, Process};
use dashcam_schema::calls::OpenException;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Handled,
    /// With what swallowed it.
    Swallowed(Box<str>),
    Thread,
    Program,
    InFlight,
}

/// An exception that left the outermost recorded frame may have been handled by code that is not
/// recorded.
const UNRECORDED: &str = "code that was not recorded";

impl Outcome {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Outcome::Handled => "handled",
            Outcome::Swallowed(_) => "swallowed",
            Outcome::Thread => "thread",
            Outcome::Program => "program",
            Outcome::InFlight => "in flight",
        }
    }

    pub(super) fn by(&self) -> Option<&str> {
        match self {
            Outcome::Swallowed(by) => Some(by),
            _ => None,
        }
    }
}

/// Python code handled it. If that is the code in which threads, tasks and processes begin, the
/// exception ended them.
pub(super) fn handled(
    directory: &Directory,
    process: &Process,
    exception: &OpenException,
    type_name: &str,
) -> Outcome {
    let Some((_, site)) = exception.handled else { return Outcome::InFlight };
    let Some(code) = process.codes.get(&site.code).map(|i| &directory.codes[*i]) else {
        return Outcome::Handled;
    };
    let text = |id| directory.texts.get(id).unwrap_or_default();
    let (path, qualname) = (text(code.path), text(code.qualname));
    if path.ends_with("/threading.py") && qualname == "Thread._bootstrap_inner" {
        Outcome::Thread
    } else if path.ends_with("/multiprocessing/process.py") && qualname == "BaseProcess._bootstrap"
    {
        Outcome::Program
    } else if path.ends_with("/asyncio/tasks.py")
        && qualname.starts_with("Task.__step")
        && is_failure(type_name)
    {
        Outcome::Thread
    } else {
        Outcome::Handled
    }
}

/// C code dropped it. If that C code ran a coroutine, the coroutine belongs to a task.
pub(super) fn swallowed(
    directory: &Directory,
    process: &Process,
    type_name: &str,
    by: Swallowed,
) -> Outcome {
    let left = by.left.and_then(|number| process.codes.get(&number));
    let left = left.map(|index| &directory.codes[*index]);
    let callable = by.callable.and_then(|callable| directory.texts.get(callable));
    let is_coroutine = |name: &str| name.starts_with("coroutine.");
    if left.is_some_and(|code| code.is_coroutine)
        && is_failure(type_name)
        && !callable.is_some_and(is_coroutine)
    {
        return Outcome::Thread;
    }
    let qualname = left.and_then(|code| directory.texts.get(code.qualname));
    let name = qualname.map(|name| name.rsplit('.').next().unwrap_or(name));
    let by = match (callable, name, type_name) {
        // Finalizers run wherever an object happens to be freed, whatever is being called there.
        (_, Some("__del__"), _) => "__del__".into(),
        (Some(callable), ..) => callable.into(),
        (None, _, "GeneratorExit") => "close".into(),
        (None, None | Some("__next__"), "StopIteration") => "for".into(),
        (None, None | Some("__anext__"), "StopAsyncIteration") => "async for".into(),
        // A `for` loop over an object without `__iter__` gets items until an IndexError.
        (None, Some("__getitem__"), "IndexError") => "for".into(),
        (None, Some("__getattr__" | "__getattribute__"), _) => "attribute lookup".into(),
        (None, ..) => match qualname {
            Some(qualname) => format!("the interpreter, which called {qualname}").into(),
            None => "the interpreter".into(),
        },
    };
    Outcome::Swallowed(by)
}

/// Whether the exception is a failure of a task: not its normal end and not its cancellation.
fn is_failure(type_name: &str) -> bool {
    let ends = ["StopIteration", "GeneratorExit", "asyncio.exceptions.CancelledError"];
    !ends.contains(&type_name)
}

/// Whether a frame of this code runs the program: that of `python -m`.
pub(super) fn is_runpy(directory: &Directory, code: &Code) -> bool {
    let is_of = |path: &str| path == "<frozen runpy>" || path.ends_with("/runpy.py");
    directory.texts.get(code.path).is_some_and(is_of)
        && directory.texts.get(code.qualname) == Some("_run_module_as_main")
}

/// Something outside the outermost recorded frame handled it.
pub(super) fn elsewhere() -> Outcome {
    Outcome::Swallowed(UNRECORDED.into())
}

/// The interpreter printed it while exiting.
pub(super) fn at_exit() -> Outcome {
    Outcome::Swallowed("the interpreter".into())
}

/// The outcome of the last exception that left the outermost frame of a process's main thread.
pub(super) fn last(process: &Process, outcome: Outcome, type_name: &str) -> Outcome {
    let is_over = process.exit_code.is_some() || process.exit_signal.is_some();
    // An exception makes the exit code 1; a KeyboardInterrupt makes it that of a signal.
    let can_have_ended = match process.exit_code {
        None | Some(1) => true,
        Some(130) => ["KeyboardInterrupt", "SystemExit"].contains(&type_name),
        Some(_) => type_name == "SystemExit",
    };
    match outcome {
        Outcome::Program if can_have_ended => outcome,
        _ if is_over => elsewhere(),
        _ => Outcome::InFlight,
    }
}
