//! Reads the messages of exceptions without running the program's code: what `str()` returns, if it
//! runs only C code.

use super::ffi::{Obj, Said, StrSlots};
use std::borrow::Cow;

/// How many characters of a message are recorded.
const MESSAGE_MAX: usize = 1000;
/// How many values within the arguments are examined, and how deep within each other.
const VALUES_MAX: usize = 100;
const DEPTH_MAX: usize = 4;

/// Whether the whole message was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Whole,
    Cut,
    /// Only user code could have produced the message; the arguments stand for it.
    Unread,
}

/// Reads messages. Knows the `__str__` slots of the builtin exceptions.
pub(super) struct Messages {
    slots: StrSlots,
}

impl Messages {
    pub(super) fn new() -> Messages {
        Messages { slots: StrSlots::find() }
    }

    /// Returns what `str(exception)` returns, if that runs no user code. Otherwise returns what is
    /// known of the arguments.
    pub(super) fn of<'a>(&self, exception: Obj<'a>) -> (Cow<'a, str>, Fate) {
        let slot = exception.class().str_slot();
        let args = exception.exception_args();
        // By far the most frequent: one ASCII str, printed as it is.
        if slot == self.slots.base
            && let Some(text) = args.and_then(Obj::only_item).and_then(Obj::ascii)
            && text.len() <= MESSAGE_MAX
        {
            return (text.into(), Fate::Whole);
        }
        // KeyError prints the repr of its only argument.
        if slot == self.slots.key_error
            && let Some(text) = args.and_then(Obj::only_item).and_then(Obj::scalar_repr)
        {
            let length = text.chars().count();
            return cut(text.chars().take(MESSAGE_MAX).collect(), length, Fate::Whole);
        }
        if self.runs_only_c(exception, DEPTH_MAX, &mut 0)
            && let Some((text, length)) = exception.exception_str(MESSAGE_MAX)
        {
            return cut(text, length, Fate::Whole);
        }
        // `str()` might run Python code, of the class or of an argument. Show the arguments as far
        // as they can be read.
        let args = args.and_then(Obj::tuple_items).unwrap_or_default();
        let shown = |arg: &Obj<'_>| {
            let opaque = || format!("<{} object>", arg.class().class_name());
            arg.scalar_repr().unwrap_or_else(opaque)
        };
        let text = args.iter().map(shown).collect::<Vec<_>>().join(", ");
        let length = text.chars().count();
        cut(text.chars().take(MESSAGE_MAX).collect(), length, Fate::Unread)
    }

    /// Whether only C code runs for `str(exception)`.
    fn runs_only_c(&self, exception: Obj<'_>, depth: usize, examined: &mut usize) -> bool {
        let (slots, slot) = (&self.slots, exception.class().str_slot());
        let mut has_plain_args = || {
            let args = exception.exception_args().and_then(Obj::tuple_items);
            args.is_some_and(|args| match &args[..] {
                [only] if slot != slots.key_error => self.is_plain_text(*only, depth, examined),
                args => args.iter().all(|arg| self.is_plain(*arg, depth, examined)),
            })
        };
        match slots.said(slot) {
            Some(said) => {
                (said != Said::Os || has_plain_args()) && exception.has_plain_fields(said)
            }
            None => {
                [slots.base, slots.key_error, slots.import_error].contains(&slot)
                    && has_plain_args()
            }
        }
    }

    /// Whether only C code runs for `str(value)`.
    fn is_plain_text(&self, value: Obj<'_>, depth: usize, examined: &mut usize) -> bool {
        let is_exception = depth > 0 && value.is_exception();
        is_exception && self.runs_only_c(value, depth - 1, examined)
            || self.is_plain(value, depth, examined)
    }

    /// Whether only C code runs for `repr(value)`.
    fn is_plain(&self, value: Obj<'_>, depth: usize, examined: &mut usize) -> bool {
        *examined += 1;
        if *examined > VALUES_MAX {
            return false;
        }
        if value.scalar_repr().is_some() {
            return true;
        }
        if depth == 0 {
            return false;
        }
        let within = match value.is_exception() {
            true if value.class().repr_slot() == self.slots.base_repr => {
                value.exception_args().and_then(Obj::tuple_items)
            }
            true => None,
            false => value.plain_items(VALUES_MAX),
        };
        within.is_some_and(|all| all.iter().all(|one| self.is_plain(*one, depth - 1, examined)))
    }
}

fn cut<'a>(text: String, length: usize, fate: Fate) -> (Cow<'a, str>, Fate) {
    if length > MESSAGE_MAX {
        (format!("{text}… ({length} characters)").into(), Fate::Cut)
    } else {
        (text.into(), fate)
    }
}
