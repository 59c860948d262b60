//! What an exception came to, and how it is said.

use super::fates::Swallowed;
use crate::store::{Code, Directory, Process};
use dashcam_schema::calls::OpenException;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Handled,
    /// By what.
    Swallowed(Box<str>),
    Thread,
    Program,
    InFlight,
}

/// Code that is not recorded may have handled what left the outermost frame that is.
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

/// Python code handled it. Where that is what threads, tasks and processes begin with, it ended them.
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

/// C code let it go no further. If that began a coroutine, it was a task's.
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
        // Finalizers run wherever an object happens to die, whatever is called there.
        (_, Some("__del__"), _) => "__del__".into(),
        (Some(callable), ..) => callable.into(),
        (None, _, "GeneratorExit") => "close".into(),
        (None, None | Some("__next__"), "StopIteration") => "for".into(),
        (None, None | Some("__anext__"), "StopAsyncIteration") => "async for".into(),
        // What has no `__iter__` is asked for items until there is none.
        (None, Some("__getitem__"), "IndexError") => "for".into(),
        (None, Some("__getattr__" | "__getattribute__"), _) => "attribute lookup".into(),
        (None, ..) => match qualname {
            Some(qualname) => format!("the interpreter, which called {qualname}").into(),
            None => "the interpreter".into(),
        },
    };
    Outcome::Swallowed(by)
}

/// Whether it tells of something that went wrong in a task. Not so the ways it is told to end, or ends.
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

/// Something below the outermost recorded frame dealt with it.
pub(super) fn elsewhere() -> Outcome {
    Outcome::Swallowed(UNRECORDED.into())
}

/// The interpreter printed it on its way out.
pub(super) fn at_exit() -> Outcome {
    Outcome::Swallowed("the interpreter".into())
}

/// The last exception that left the outermost frame of a process's main thread.
pub(super) fn last(process: &Process, outcome: Outcome, type_name: &str) -> Outcome {
    let is_over = process.exit_code.is_some() || process.was_killed;
    // An exception makes the status 1, an interrupt as a signal would.
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
