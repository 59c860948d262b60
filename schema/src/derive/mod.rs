//! LINE, INSTRUCTION, JUMP and most branches follow from the other events: the program can only get
//! from one recorded event to the next along its bytecode, and where it has a choice, the choice is an
//! event, or the next event tells which it was (see [`crate::bytecode::branches`]).
//!
//! - [`walk`]: the rules, an instruction at a time;
//! - [`automaton`]: the same, remembered: what follows between two events is worked out once and
//!   looked up after that;
//! - [`stacks`]: the activations of every thread.
//!
//! Recorder and replayer run the same code. The recorder needs to know how many events follow, to
//! number them, and what they are, to count them; the replayer gives them back.

pub mod automaton;
pub mod stacks;
pub mod walk;

use crate::bytecode::code::{Control, NO_UNIT};
use crate::event::EventKind;

/// A recorded event, as far as the events before it depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Step {
    /// [`EventKind::number`].
    pub kind: u8,
    /// The code object the event is of.
    pub code: u32,
    /// The code unit that was reported. For RAISE, the instruction its frame stands at.
    pub place: u32,
    /// By kind: a branch's or jump's target; a callable; for RERAISE the unit its frame stands at,
    /// caches included; for what enters a frame, RAISE at a RESUME included, the unit its caller
    /// stands at. [`NO_UNIT`] if there is none.
    pub with: u32,
    /// For PY_THROW the unit its frame stands at, caches included; for RAISE the unit that was
    /// reported, or [`NO_UNIT`] where that depends on how CPython has specialised the instruction; for
    /// what [`EventKind::may_say_none`] 0 if it does.
    pub also: u32,
}

impl Step {
    /// Whether the value that comes with the event is None.
    pub fn says_none(&self) -> bool {
        self.also == 0 && EventKind::from_number(self.kind).is_some_and(EventKind::may_say_none)
    }
}

/// An event that follows, or the recorded one it leads up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    pub kind: u8,
    /// A code unit; for LINE a line.
    pub place: u32,
    /// For kinds that have one, else [`NO_UNIT`].
    pub target: u32,
}

/// Where one activation of a code object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub struct Activation {
    /// Number of its code object.
    pub code: u32,
    /// The instruction that is executed next, or now.
    pub at: u32,
    /// The instruction a LINE event is decided by: the one before.
    pub previous: u32,
    /// It executes the instruction at `at`.
    pub in_progress: bool,
    /// It is in a call.
    pub called: Called,
    /// An exception is on its way through.
    pub raising: bool,
    /// It was entered by PY_THROW.
    pub thrown: bool,
    /// Where the instruction in progress leads, if its event came before its end; else
    /// [`NO_UNIT`].
    pub pending: u32,
    /// Where the exception on its way was reported; else [`NO_UNIT`].
    pub fault: u32,
}

/// What the instruction in progress has called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Called {
    Nothing,
    /// Something whose return is no event here: a Python function, unless a C_RETURN follows.
    Python,
    C,
}

impl Activation {
    /// An activation that executes the instruction at `at`.
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

/// Whether recording leaves an event out because it follows. `place` and `target` are as reported.
pub fn is_derived(kind: EventKind, place: u32, target: u32, control: &Control) -> bool {
    match kind {
        EventKind::LINE | EventKind::INSTRUCTION => true,
        EventKind::JUMP => !control.has_silent_cycle,
        _ => kind.is_branch() && control.branches.implies(kind, place, target),
    }
}
