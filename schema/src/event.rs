//! What can happen: the event kinds of `sys.monitoring`, and what each one carries.

/// One event kind of `sys.monitoring`.
///
/// The first [`EventKind::KNOWN`] numbers are fixed by this file. The numbers from there up to
/// [`EventKind::LIMIT`] belong to kinds a later CPython adds: the shim hands them out in the order
/// it meets them, and the recording says their names (see [`crate::record::Definition::Kind`]).
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

/// What an event's `place` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Offset of an instruction in the code object's bytecode, in code units of two bytes.
    Unit,
    /// A line number of the code object's file, from 1.
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
    /// How many kinds have a fixed number.
    pub const KNOWN: u8 = 19;
    /// Kinds are numbered below this.
    pub const LIMIT: u8 = 32;

    /// The kind with this number; `None` from [`Self::LIMIT`] on.
    pub const fn from_number(number: u8) -> Option<EventKind> {
        if number < Self::LIMIT { Some(EventKind(number)) } else { None }
    }

    /// The kind CPython calls `name`, if this file fixes its number.
    pub fn from_name(name: &str) -> Option<EventKind> {
        Self::NAMES.iter().position(|n| *n == name).map(|i| EventKind(i as u8))
    }

    /// The number that stands for this kind in ring and chunk.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// CPython's name for it; `None` for a kind only the recording can name.
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

    /// The clock is read at this event; others carry the last reading.
    pub const fn is_timed(self) -> bool {
        self.is_in(TIMED)
    }

    /// Carries the offset control goes to.
    pub const fn has_target(self) -> bool {
        self.is_in(TARGET)
    }

    /// Carries the object being called.
    pub const fn has_callable(self) -> bool {
        self.is_in(CALLABLE)
    }

    /// Carries an exception.
    pub const fn has_exception(self) -> bool {
        self.is_in(EXCEPTION)
    }

    /// Goes on in a call that was suspended, so it has to say in which.
    pub const fn resumes(self) -> bool {
        self.is_in(RESUMED)
    }

    /// Is numbered among the events of its process that values may belong to: any kind but those that
    /// may follow from others. Branches that do follow have no number either.
    pub const fn has_ordinal(self) -> bool {
        !self.is_in(FOLLOWS)
    }

    /// Comes with one value, which may be None: then the event says so, and the value is not told of.
    pub const fn may_say_none(self) -> bool {
        self.is_in(SAYS_NONE)
    }

    /// Says which way a branch went.
    pub const fn is_branch(self) -> bool {
        self.is_in(BRANCH)
    }

    /// Puts a frame on the stack: a call begins or goes on.
    pub const fn enters(self) -> bool {
        self.0 == EventKind::PY_START.0 || self.resumes()
    }

    /// Leaves a Python frame, for good or for a while.
    pub const fn leaves(self) -> bool {
        self.0 == EventKind::PY_RETURN.0
            || self.0 == EventKind::PY_YIELD.0
            || self.0 == EventKind::PY_UNWIND.0
    }

    /// Changes the call stack or the exceptions in flight (see [`crate::calls`]).
    pub const fn touches_stack(self) -> bool {
        self.is_in(STACK)
    }
}

/// Bit per kind that `has` holds for.
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
