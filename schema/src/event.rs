//! The event kinds of `sys.monitoring`, and what each one carries.

/// One event kind of `sys.monitoring`.
///
/// The first [`EventKind::KNOWN`] numbers are fixed by this file. The numbers from there up to
/// [`EventKind::LIMIT`] belong to kinds that a later CPython adds. The shim assigns them in the
/// order of first occurrence, and the recording has their names (see
/// [`crate::record::Definition::Kind`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKind(u8);

macro_rules! kinds {
    ($($number:literal $name:ident)*) => {
        impl EventKind {
            $(#[doc = concat!("`sys.monitoring.events.", stringify!($name), "`")]
              pub const $name: EventKind = EventKind($number);)*
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
        }
    };
}

kinds! {
    0 PY_START
    1 PY_RESUME
    2 PY_RETURN
    3 PY_YIELD
    4 PY_THROW
    5 PY_UNWIND
    6 CALL
    7 C_RETURN
    8 C_RAISE
    9 RAISE
    10 RERAISE
    11 EXCEPTION_HANDLED
    12 STOP_ITERATION
    13 LINE
    14 JUMP
    15 BRANCH
    16 BRANCH_LEFT
    17 BRANCH_RIGHT
    18 INSTRUCTION
}

/// The meaning of an event's `place`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Offset of an instruction in the code object's bytecode, in code units of two bytes.
    Unit,
    /// Line number in the code object's file, from 1.
    Line,
}

const fn mask(kinds: &[EventKind]) -> u32 {
    let mut bits = 0;
    let mut i = 0;
    while i < kinds.len() {
        bits |= 1 << kinds[i].0;
        i += 1;
    }
    bits
}

const TIMED: u32 = mask(&[
    EventKind::PY_START,
    EventKind::PY_RESUME,
    EventKind::PY_RETURN,
    EventKind::PY_YIELD,
    EventKind::PY_THROW,
    EventKind::PY_UNWIND,
    EventKind::CALL,
    EventKind::C_RETURN,
    EventKind::C_RAISE,
]);
const TARGET: u32 = BRANCH | mask(&[EventKind::JUMP]);
const CALLABLE: u32 = mask(&[EventKind::CALL, EventKind::C_RETURN, EventKind::C_RAISE]);
const EXCEPTION: u32 = mask(&[
    EventKind::PY_THROW,
    EventKind::PY_UNWIND,
    EventKind::RAISE,
    EventKind::RERAISE,
    EventKind::EXCEPTION_HANDLED,
    EventKind::STOP_ITERATION,
]);
const RESUMED: u32 = mask(&[EventKind::PY_RESUME, EventKind::PY_THROW]);
const BRANCH: u32 = mask(&[EventKind::BRANCH, EventKind::BRANCH_LEFT, EventKind::BRANCH_RIGHT]);
const SAYS_NONE: u32 = mask(&[EventKind::PY_RETURN, EventKind::PY_YIELD, EventKind::PY_RESUME]);
const FOLLOWS: u32 = mask(&[EventKind::LINE, EventKind::JUMP, EventKind::INSTRUCTION]);
const STACK: u32 = mask(&[
    EventKind::PY_START,
    EventKind::PY_RESUME,
    EventKind::PY_RETURN,
    EventKind::PY_YIELD,
    EventKind::PY_THROW,
    EventKind::PY_UNWIND,
    EventKind::RAISE,
    EventKind::RERAISE,
    EventKind::EXCEPTION_HANDLED,
]);

impl EventKind {
    /// The number of kinds whose number is fixed.
    pub const KNOWN: u8 = 19;
    /// All kinds have numbers below this one.
    pub const LIMIT: u8 = 32;

    /// The kind with this number; `None` from [`Self::LIMIT`] on.
    pub const fn from_number(number: u8) -> Option<EventKind> {
        if number < Self::LIMIT { Some(EventKind(number)) } else { None }
    }

    /// The kind CPython calls `name`, if this file fixes its number.
    pub fn from_name(name: &str) -> Option<EventKind> {
        Self::NAMES.iter().position(|n| *n == name).map(|i| EventKind(i as u8))
    }

    /// The number of this kind in rings and chunks.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// CPython's name of this kind; `None` if only the recording has the name.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.get(self.0 as usize).copied()
    }

    /// Every kind with a fixed number.
    pub fn known() -> impl Iterator<Item = EventKind> {
        (0..Self::KNOWN).map(EventKind)
    }

    const fn is_in(self, mask: u32) -> bool {
        mask >> self.0 & 1 == 1
    }

    /// Whether the event's place is an offset or a line.
    pub const fn place(self) -> Place {
        if self.0 == EventKind::LINE.0 { Place::Line } else { Place::Unit }
    }

    /// Whether the clock is read at events of this kind. Other events have the last reading.
    pub const fn is_timed(self) -> bool {
        self.is_in(TIMED)
    }

    /// Whether events of this kind carry the offset that control goes to.
    pub const fn has_target(self) -> bool {
        self.is_in(TARGET)
    }

    /// Whether events of this kind carry the object being called.
    pub const fn has_callable(self) -> bool {
        self.is_in(CALLABLE)
    }

    /// Whether events of this kind carry an exception.
    pub const fn has_exception(self) -> bool {
        self.is_in(EXCEPTION)
    }

    /// Whether a suspended call goes on with events of this kind. They carry which call it is.
    pub const fn resumes(self) -> bool {
        self.is_in(RESUMED)
    }

    /// Whether recorded events of this kind have an ordinal: all but the kinds that may follow from
    /// other events. Branches have one unless they are derived.
    pub const fn has_ordinal(self) -> bool {
        !self.is_in(FOLLOWS)
    }

    /// Whether events of this kind come with one value that may be None. If it is None, a flag of
    /// the event says so, and the value is not recorded in a group.
    pub const fn may_say_none(self) -> bool {
        self.is_in(SAYS_NONE)
    }

    /// Whether events of this kind report which side of a branch was taken.
    pub const fn is_branch(self) -> bool {
        self.is_in(BRANCH)
    }

    /// Whether events of this kind put a frame on the stack: a call begins or goes on.
    pub const fn enters(self) -> bool {
        self.0 == EventKind::PY_START.0 || self.resumes()
    }

    /// Whether events of this kind leave a Python frame, for good or until it is resumed.
    pub const fn leaves(self) -> bool {
        self.0 == EventKind::PY_RETURN.0
            || self.0 == EventKind::PY_YIELD.0
            || self.0 == EventKind::PY_UNWIND.0
    }

    /// Whether events of this kind change the call stack or the exceptions in flight (see
    /// [`crate::calls`]).
    pub const fn touches_stack(self) -> bool {
        self.is_in(STACK)
    }
}

/// A mask with a bit set for each kind for which `has` returns true.
pub fn kinds_that(has: impl Fn(EventKind) -> bool) -> u32 {
    (0..EventKind::LIMIT)
        .filter_map(EventKind::from_number)
        .filter(|kind| has(*kind))
        .fold(0, |mask, kind| mask | 1 << kind.number())
}

impl std::fmt::Debug for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "kind {}", self.0),
        }
    }
}
