//! Exception object → number, and what it says, without asking it.

use super::ffi::{self, Obj};
use dashcam_schema::EventKind;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// Characters of a message that are kept.
const MESSAGE_MAX: usize = 1000;
/// Exceptions remembered by address; dead ones among them are harmless until the address returns
/// in a fresh raise, which replaces them.
const REMEMBERED: usize = 1 << 14;

/// The exceptions met so far.
pub(super) struct Exceptions {
    by_address: FxHashMap<usize, (usize, u32)>,
    types: FxHashMap<String, u32>,
    type_cache: FxHashMap<(usize, usize), u32>,
    count: u32,
    /// Address of the exception of the last PY_THROW: the RAISE that follows is not a new one.
    thrown: usize,
    /// Number of a StopIteration without a value, which one that ends a generator may share: nothing
    /// comes of it, and generators end often.
    bare_stop: Option<u32>,
    plain_str: [usize; 3],
    os_error_str: usize,
}

/// So many exceptions after it was defined, a shared one is defined again: the recorder does not
/// keep them for ever.
const SHARED_FOR: u32 = 1 << 14;

/// An exception to be defined.
pub(super) struct New<'a> {
    pub(super) number: u32,
    pub(super) exception_type: u32,
    /// The name of its type, if that is to be defined first.
    pub(super) type_name: Option<String>,
    pub(super) message: Cow<'a, str>,
    pub(super) fate: Fate,
}

/// What became of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Whole,
    Cut,
    /// Only user code could have said it.
    Unread,
}

impl Exceptions {
    pub(super) fn new() -> Exceptions {
        Exceptions {
            by_address: FxHashMap::default(),
            types: FxHashMap::default(),
            type_cache: FxHashMap::default(),
            count: 0,
            thrown: 0,
            bare_stop: None,
            plain_str: ffi::plain_str_slots(),
            os_error_str: ffi::os_error_str_slot(),
        }
    }

    /// The number of the exception an event of `kind` carries.
    ///
    /// Addresses are used again at once (`except ValueError` in a loop), and holding a reference
    /// would change when things are freed. An exception raised for the first time is told from
    /// one on its way by its traceback, which has one entry only then.
    pub(super) fn number<'a>(
        &mut self,
        kind: EventKind,
        exception: Obj<'a>,
    ) -> Result<u32, New<'a>> {
        let address = exception.address();
        let fresh = match kind {
            EventKind::RAISE => exception.is_freshly_raised() && self.thrown != address,
            EventKind::PY_THROW | EventKind::STOP_ITERATION => exception.is_freshly_raised(),
            _ => false,
        };
        self.thrown = if kind == EventKind::PY_THROW { address } else { 0 };
        let class = exception.class();
        if !fresh
            && let Some((known_class, number)) = self.by_address.get(&address)
            && *known_class == class.address()
        {
            return Ok(*number);
        }
        let is_bare_stop = kind == EventKind::STOP_ITERATION && exception.is_bare_stop();
        if is_bare_stop
            && let Some(number) = self.bare_stop
            && self.count - number < SHARED_FOR
        {
            return Ok(number);
        }
        if is_bare_stop {
            self.bare_stop = Some(self.count);
        }
        if self.by_address.len() >= REMEMBERED {
            self.by_address.clear();
        }
        let number = self.count;
        self.count += 1;
        self.by_address.insert(address, (class.address(), number));
        let (exception_type, type_name) = self.exception_type(class);
        let (message, fate) = self.message(exception);
        Err(New { number, exception_type, type_name, message, fate })
    }

    fn exception_type(&mut self, class: Obj<'_>) -> (u32, Option<String>) {
        let key = class.class_version().map(|version| (class.address(), version));
        if let Some(number) = key.and_then(|key| self.type_cache.get(&key)) {
            return (*number, None);
        }
        let name = class.class_name();
        let next = self.types.len() as u32;
        let number = *self.types.entry(name.clone()).or_insert(next);
        if let Some(key) = key {
            self.type_cache.insert(key, number);
        }
        (number, (number == next).then_some(name))
    }

    /// What `str(exception)` gives, where that takes no user code.
    fn message<'a>(&self, exception: Obj<'a>) -> (Cow<'a, str>, Fate) {
        let slot = exception.class().str_slot();
        let args = exception.exception_args();
        // By far the most frequent: one ASCII str, printed as it is.
        if slot == self.plain_str[0]
            && let Some(text) = args.and_then(Obj::only_item).and_then(Obj::ascii)
            && text.len() <= MESSAGE_MAX
        {
            return (text.into(), Fate::Whole);
        }
        // KeyError prints the repr of its one argument.
        if slot == self.plain_str[1]
            && let Some(text) = args.and_then(Obj::only_item).and_then(Obj::scalar_repr)
        {
            let length = text.chars().count();
            return cut(text.chars().take(MESSAGE_MAX).collect(), length, Fate::Whole);
        }
        let args = args.and_then(Obj::tuple_items).unwrap_or_default();
        let reprs: Option<Vec<String>> = args.iter().map(|arg| arg.scalar_repr()).collect();
        if reprs.is_some()
            && self.plain_str.contains(&slot)
            && (slot != self.os_error_str || exception.has_plain_filenames())
            && let Some((text, length)) = exception.exception_str(MESSAGE_MAX)
        {
            return cut(text, length, Fate::Whole);
        }
        // A class with a __str__ of its own, or arguments that have: what can be seen of them.
        let shown = reprs.unwrap_or_else(|| {
            let shown = |arg: &Obj<'_>| {
                let opaque = || format!("<{} object>", arg.class().class_name());
                arg.scalar_repr().unwrap_or_else(opaque)
            };
            args.iter().map(shown).collect()
        });
        let text = shown.join(", ");
        let length = text.chars().count();
        cut(text.chars().take(MESSAGE_MAX).collect(), length, Fate::Unread)
    }
}

fn cut<'a>(text: String, length: usize, fate: Fate) -> (Cow<'a, str>, Fate) {
    if length > MESSAGE_MAX {
        (format!("{text}… ({length} characters)").into(), Fate::Cut)
    } else {
        (text.into(), fate)
    }
}
