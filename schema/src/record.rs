//! The compact records that travel through the ring, as 32-bit words.
//!
//! A record is one word, then as many as its tag says:
//!
//! ```text
//!   31        26 25                    0
//!  +------------+-----------------------+
//!  |  tag (6)   |  payload (26)         |
//!  +------------+-----------------------+
//! ```
//!
//! Tags below [`EventKind::LIMIT`] are events; the payload is the event's place
//! ([`crate::event::Place`]). The words after it, in this order, each if the kind has it:
//!
//! | words | what | kinds |
//! |---|---|---|
//! | 1 | clock ticks since the last reading in this ring | timed ones |
//! | 1 | target, in code units | those with a target, and unknown kinds (0 if none) |
//! | 1 | number of the callable's [`Definition::Callable`] | those with a callable |
//! | 1 | number of the exception's [`Definition::Exception`] | those with an exception |
//! | 2 | frame address, low word first | those that resume, and [`TAG_START_SUSPENDABLE`] |
//!
//! In derived recordings with values, [`SAYS_NONE`] in the payload of PY_RETURN, PY_YIELD and PY_RESUME
//! stands for a value that is None.
//!
//! An event belongs to the thread and the code object that the last [`TAG_THREAD`] and
//! [`TAG_CODE`] named.

use crate::event::EventKind;
use crate::loss::LossKind;
use crate::value::Capture;

/// PY_START of a generator, coroutine or asynchronous generator: the event's words as for
/// PY_START, then the frame's address, by which PY_RESUME names it.
pub const TAG_START_SUSPENDABLE: u8 = 32;
/// The events that follow are of the code object numbered in the payload.
pub const TAG_CODE: u8 = 33;
/// The events that follow are of the thread numbered in the payload.
pub const TAG_THREAD: u8 = 34;
/// Two words: the clock, in ticks (low word first). Deltas go on from here.
pub const TAG_CLOCK: u8 = 35;
/// One word: the place of the event that follows, whose payload was too small for it.
pub const TAG_WIDE_PLACE: u8 = 36;
/// Payload words follow: the length in bytes of a bincoded [`Definition`], then its bytes.
pub const TAG_DEFINE: u8 = 37;
/// One word: the code object's number. The current thread already was in a call of this code
/// object, at the place in the payload, when recording began; outermost calls come first. Two
/// more words: the frame's address.
pub const TAG_RUNNING: u8 = 38;
/// One word: a code object's number. Before an event that enters a frame: the frame that called it
/// is of this code object and stands at the code unit in the payload, its caches included. Several
/// stand for callers further up, nearest first; only frames that are recorded are told of.
pub const TAG_CALLER: u8 = 39;
/// Before RAISE, RERAISE and PY_THROW: the code unit, caches included, that the frame the event is
/// of stands at.
pub const TAG_AT: u8 = 40;
/// One word: so many ticks the callbacks since the event before the last took, that of the last event
/// included. The payload is how many callbacks without an event were among them. One stretch in a few
/// hundred is measured; the others took about as long.
pub const TAG_COST: u8 = 41;
/// Two words: so many ticks recording took before the event that follows, waiting for the recorder or
/// describing what was new (low word first). All of them are told of, and none is part of a
/// [`TAG_COST`].
pub const TAG_SPENT: u8 = 42;

/// Bits of a word that hold the payload.
pub const PAYLOAD_BITS: u32 = 26;
/// The largest payload.
pub const PAYLOAD_MAX: u32 = (1 << PAYLOAD_BITS) - 1;
/// Bit of the payload of events that [`EventKind::may_say_none`]: what is returned, yielded or sent is
/// None, and is not told of otherwise. Their places are smaller than this or wide.
pub const SAYS_NONE: u32 = 1 << (PAYLOAD_BITS - 1);
/// An event record, with everything that may have to stand before it except definitions, fits
/// in this many words.
pub const EVENT_WORDS_MAX: usize = 24 + 2 * CALLERS_MAX;
/// At most so many [`TAG_CALLER`] before one event.
pub const CALLERS_MAX: usize = 8;
/// The longest definition the consumer accepts, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 8 << 20;

/// A record's first word.
pub const fn word(tag: u8, payload: u32) -> u32 {
    (tag as u32) << PAYLOAD_BITS | payload & PAYLOAD_MAX
}

/// The tag of a record's first word.
pub const fn tag(word: u32) -> u8 {
    (word >> PAYLOAD_BITS) as u8
}

/// The payload of a record's first word.
pub const fn payload(word: u32) -> u32 {
    word & PAYLOAD_MAX
}

/// Words that follow the first word of an event of this kind.
pub const fn event_words(kind: EventKind) -> usize {
    kind.is_timed() as usize
        + (kind.has_target() || kind.number() >= EventKind::KNOWN) as usize
        + kind.has_callable() as usize
        + kind.has_exception() as usize
        + 2 * kind.resumes() as usize
}

/// What a number in later records stands for. Each sort is numbered from 0 in the order of
/// definition, except threads and kinds, which say their number.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Definition {
    Code(CodeDefinition),
    Thread {
        number: u32,
        /// OS thread id; reused by the OS after the thread's end.
        native_id: u64,
    },
    /// Also sent again when a thread is renamed.
    ThreadName {
        number: u32,
        name: String,
    },
    /// A name a callable goes by: `len`, `list.append`, `json.dumps`.
    Callable {
        name: String,
    },
    /// A class of exceptions.
    ExceptionType {
        name: String,
    },
    Exception {
        /// Number of the [`Definition::ExceptionType`].
        exception_type: u32,
        message: String,
    },
    /// Names an event kind that [`EventKind`] does not know.
    Kind {
        number: u8,
        name: String,
    },
    /// Something was not recorded just here. `count` adds up.
    Loss {
        kind: LossKind,
        count: u64,
        detail: String,
    },
    /// The interpreter the program runs in; the first definition of a ring.
    Interpreter {
        version: String,
        platform: String,
        stdlib: String,
        pid: u32,
        /// `importlib.util.MAGIC_NUMBER`, its first two bytes: tells what bytecode means.
        magic: u16,
        mode: Mode,
        /// Which values come with the events, through a ring of their own.
        capture: Capture,
        /// What was found in it that may matter to who reads the recording, as sentences.
        quirks: Vec<String>,
    },
    /// The source of code whose file has this name, where the program says what it is. It is that of code
    /// objects defined from here on.
    Source {
        path: String,
        text: String,
    },
}

/// Which events are recorded, and which are left to follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub enum Mode {
    /// Every kind by callback.
    #[default]
    Direct,
    /// LINE, INSTRUCTION and most of JUMP follow from the rest (see [`crate::derive`]); records
    /// carry [`TAG_CALLER`] and [`TAG_AT`].
    Derived,
    /// Both: every kind by callback, with what derived recording needs beside it, to compare the two.
    Verify,
}

impl Mode {
    /// As `--events` and `runs.events` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Derived => "derived",
            Mode::Verify => "verify",
        }
    }

    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Direct, Mode::Derived, Mode::Verify].into_iter().find(|mode| mode.name() == name)
    }

    /// Whether records carry what derivation needs.
    pub const fn has_frames(self) -> bool {
        !matches!(self, Mode::Direct)
    }
}

/// Number of [`Definition::Exception`] among the variants, as it is encoded.
pub const EXCEPTION_VARIANT: u32 = 5;

/// A code object as the shim first saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub struct CodeDefinition {
    /// `co_filename`
    pub path: String,
    /// `co_qualname`
    pub qualname: String,
    /// `co_name`
    pub name: String,
    /// `co_firstlineno`
    pub first_line: u32,
    /// `co_flags`
    pub flags: u32,
    /// Names of the arguments, in order, `*args` and `**kwargs` last.
    pub argument_names: Vec<String>,
    /// Names of all locals, cells and free variables, as they lie in a frame.
    pub variable_names: Vec<String>,
    /// `co_names`, if the code binds any of them.
    pub names: Vec<String>,
    /// `co_linetable`
    pub line_table: Vec<u8>,
    /// `co_code`
    pub bytecode: Vec<u8>,
    /// `co_exceptiontable`
    pub exception_table: Vec<u8>,
}

/// `co_flags` bits that say what sort of function a code object is.
pub mod flags {
    pub const OPTIMIZED: u32 = 0x1;
    pub const GENERATOR: u32 = 0x20;
    pub const COROUTINE: u32 = 0x80;
    pub const ASYNC_GENERATOR: u32 = 0x200;
    /// Calls of it may be suspended: PY_YIELD leaves them, PY_RESUME goes on.
    pub const SUSPENDABLE: u32 = GENERATOR | COROUTINE | ASYNC_GENERATOR;
}

impl CodeDefinition {
    /// As `code_objects.kind` spells it.
    pub fn kind(&self) -> &'static str {
        match &*self.name {
            "<module>" => "module",
            "<lambda>" => "lambda",
            "<genexpr>" | "<listcomp>" | "<setcomp>" | "<dictcomp>" => "comprehension",
            _ if self.flags & flags::ASYNC_GENERATOR != 0 => "async_generator",
            _ if self.flags & flags::COROUTINE != 0 => "coroutine",
            _ if self.flags & flags::GENERATOR != 0 => "generator",
            // CPython leaves CO_OPTIMIZED out of module, class and exec'd code only.
            _ if self.flags & flags::OPTIMIZED == 0 => "class",
            _ => "function",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_encoded_like_a_tuple() {
        let config = bincode::config::standard();
        let definition = Definition::Exception { exception_type: 300, message: "ünknown".into() };
        assert_eq!(
            bincode::encode_to_vec(&definition, config).unwrap(),
            bincode::encode_to_vec((EXCEPTION_VARIANT, 300u32, "ünknown"), config).unwrap()
        );
    }
}
