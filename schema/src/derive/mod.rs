//! Derives events from recorded ones. LINE, INSTRUCTION, JUMP and most branches follow from the
//! other events: the program can only get from one recorded event to the next along its bytecode.
//! Where it has a choice, the choice is an event, or the next event shows which it was (see
//! [`crate::bytecode::branches`]).
//!
//! - [`walk`]: the rules, one instruction at a time;
//! - [`automaton`]: the events between two recorded events, worked out once and then looked up;
//! - [`stacks`]: the activations of every thread.
//!
//! Recorder and replayer run the same code. The recorder needs the number of derived events for
//! their positions, and their kinds to count them. The replayer returns the events.

pub mod automaton;
pub mod stacks;
pub mod walk;

use crate::bytecode::code::{Control, NO_UNIT};
use crate::event::EventKind;

/// A recorded event, with what the derived events before it depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Step {
    /// [`EventKind::number`].
    pub kind: u8,
    /// The code object the event is of.
    pub code: u32,
    /// The code unit that was reported. For RAISE: the instruction at which its frame stands.
    pub place: u32,
    /// Depends on the kind. For branches and JUMP: the target. For CALL, C_RETURN and C_RAISE: the
    /// callable. For RERAISE: the unit, caches included, at which its frame stands. For events that
    /// enter a frame, RAISE at a RESUME included: the unit at which the caller stands. [`NO_UNIT`]
    /// if there is none.
    pub with: u32,
    /// Depends on the kind. For PY_THROW: the unit, caches included, at which its frame stands. For
    /// RAISE: the unit that was reported, or [`NO_UNIT`] if that depends on how CPython has
    /// specialised the instruction. For kinds that [`EventKind::may_say_none`]: 0 if the value is
    /// None.
    pub also: u32,
}

impl Step {
    /// Whether the value that comes with the event is None.
    pub fn says_none(&self) -> bool {
        self.also == 0 && EventKind::from_number(self.kind).is_some_and(EventKind::may_say_none)
    }
}

/// A derived event, or the recorded event that follows the derived ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    pub kind: u8,
    /// A code unit; for LINE a line.
    pub place: u32,
    /// The target, for kinds that have one, else [`NO_UNIT`].
    pub target: u32,
}

/// The state of one activation of a code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub struct Activation {
    /// Number of its code object.
    pub code: u32,
    /// The instruction that is executed next, or now.
    pub at: u32,
    /// The instruction that was executed before: whether a LINE event follows depends on it.
    pub previous: u32,
    /// Whether it is executing the instruction at `at`.
    pub in_progress: bool,
    /// What the instruction in progress has called.
    pub called: Called,
    /// Whether an exception is passing through it.
    pub raising: bool,
    /// Whether it was entered by PY_THROW.
    pub thrown: bool,
    /// Where the instruction in progress leads, if its event was reported before its end; else
    /// [`NO_UNIT`].
    pub pending: u32,
    /// Where the exception that is passing through was reported; else [`NO_UNIT`].
    pub fault: u32,
}

/// What the instruction in progress has called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Called {
    Nothing,
    /// A callable whose return is not an event of this frame: a Python function, unless a C_RETURN
    /// follows.
    Python,
    C,
}

impl Activation {
    /// Returns an activation that is executing the instruction at `at`.
    pub const fn new(code: u32, at: u32, previous: u32) -> Activation {
        Activation {
            code,
            at,
            previous,
            in_progress: true,
            called: Called::Nothing,
            raising: false,
            thrown: false,
            pending: NO_UNIT,
            fault: NO_UNIT,
        }
    }
}

/// Whether an event is derived instead of recorded. `place` and `target` are as CPython reports
/// them.
pub fn is_derived(kind: EventKind, place: u32, target: u32, control: &Control) -> bool {
    match kind {
        EventKind::LINE | EventKind::INSTRUCTION => true,
        EventKind::JUMP => !control.has_silent_cycle,
        _ => kind.is_branch() && control.branches.implies(kind, place, target),
    }
}
