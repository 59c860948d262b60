//! Exception object → number.

use super::ffi::Obj;
use super::messages::{Fate, Messages};
use dashcam_schema::EventKind;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

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
    /// The exception of the last PY_UNWIND, and where it goes on.
    unwound: Option<Unwound>,
    /// Number of a StopIteration without a value, which one that ends a generator may share: nothing
    /// comes of it, and generators end often.
    bare_stop: Option<u32>,
    messages: Messages,
}

/// An exception that left a frame. Its traceback does not tell that it travels on: CPython drops the
/// frames of an import, gives none to a generator's own RuntimeError, and reports once more what ends a
/// `for` loop.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Unwound {
    address: usize,
    class: usize,
    to: Stood,
}

/// A frame's address, and the code unit it stands at.
pub(super) type Stood = (usize, u32);

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

impl Exceptions {
    pub(super) fn new() -> Exceptions {
        Exceptions {
            by_address: FxHashMap::default(),
            types: FxHashMap::default(),
            type_cache: FxHashMap::default(),
            count: 0,
            thrown: 0,
            bare_stop: None,
            unwound: None,
            messages: Messages::new(),
        }
    }

    /// The number of the exception an event of `kind` carries.
    ///
    /// Addresses are used again at once (`except ValueError` in a loop), and holding a reference
    /// would change when things are freed. An exception raised for the first time is told from
    /// one on its way by its traceback, which has one entry only then. `stood` is where the frame stands
    /// that it is raised in, for PY_UNWIND where its caller does, if that is known.
    pub(super) fn number<'a>(
        &mut self,
        kind: EventKind,
        exception: Obj<'a>,
        stood: Option<Stood>,
    ) -> Result<u32, New<'a>> {
        let address = exception.address();
        let class = exception.class().address();
        let travels = stood.map(|to| Unwound { address, class, to });
        let fresh = match kind {
            EventKind::RAISE => {
                exception.is_freshly_raised()
                    && self.thrown != address
                    && (travels.is_none() || self.unwound != travels)
            }
            EventKind::PY_THROW | EventKind::STOP_ITERATION => exception.is_freshly_raised(),
            _ => false,
        };
        self.unwound = travels.filter(|_| kind == EventKind::PY_UNWIND);
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
        let (message, fate) = self.messages.of(exception);
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
}
