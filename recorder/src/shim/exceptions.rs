//! Maps exception objects to numbers.

use super::ffi::Obj;
use super::messages::{Fate, Messages};
use dashcam_schema::EventKind;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// How many exceptions are remembered by address. Dead ones among them are harmless: a fresh raise
/// at the same address replaces them.
const REMEMBERED: usize = 1 << 14;

/// The exceptions that have a number.
pub(super) struct Exceptions {
    by_address: FxHashMap<usize, (usize, u32)>,
    types: FxHashMap<String, u32>,
    type_cache: FxHashMap<(usize, usize), u32>,
    count: u32,
    /// Address of the exception of the last PY_THROW. The RAISE that follows has no new exception.
    thrown: usize,
    /// The exception of the last PY_UNWIND, and the place where it propagates to.
    unwound: Option<Unwound>,
    /// Number of a StopIteration without a value. All those that end a generator may share it: they
    /// have no further effect, and generators end often.
    bare_stop: Option<u32>,
    messages: Messages,
}

/// An exception that left a frame. Its traceback does not always show that it propagates: CPython
/// drops the frames of an import, gives none to a generator's own RuntimeError, and reports an
/// exception that ends a `for` loop once more.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Unwound {
    address: usize,
    class: usize,
    to: FramePlace,
}

/// A frame's address, and the code unit it stands at.
pub(super) type FramePlace = (usize, u32);

/// A shared exception is defined again after this many others, because the recorder does not keep
/// exceptions for ever.
const SHARED_FOR: u32 = 1 << 14;

/// An exception that has to be defined.
pub(super) struct New<'a> {
    pub(super) number: u32,
    pub(super) exception_type: u32,
    /// The name of its type, if the type has to be defined first.
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

    /// Returns the number of the exception that an event of `kind` carries, or [`New`] if the
    /// exception has to be defined.
    ///
    /// Addresses are used again at once (`except ValueError` in a loop), and holding a reference
    /// would change when objects are freed. An exception raised for the first time differs from one
    /// that propagates by its traceback, which has only one entry then. `place` is where the frame
    /// stands that the exception is raised in; for PY_UNWIND it is where the caller of that frame
    /// stands. It is `None` if not known.
    pub(super) fn number<'a>(
        &mut self,
        kind: EventKind,
        exception: Obj<'a>,
        place: Option<FramePlace>,
    ) -> Result<u32, New<'a>> {
        let address = exception.address();
        let class = exception.class().address();
        let unwinding = place.map(|to| Unwound { address, class, to });
        let fresh = match kind {
            EventKind::RAISE => {
                exception.is_freshly_raised()
                    && self.thrown != address
                    && (unwinding.is_none() || self.unwound != unwinding)
            }
            EventKind::PY_THROW | EventKind::STOP_ITERATION => exception.is_freshly_raised(),
            _ => false,
        };
        self.unwound = unwinding.filter(|_| kind == EventKind::PY_UNWIND);
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
