//! The records of events in the ring, as 32-bit words.
//!
//! A record is one word, followed by as many words as its tag requires:
//!
//! ```text
//!   31        26 25                    0
//!  +------------+-----------------------+
//!  |  tag (6)   |  payload (26)         |
//!  +------------+-----------------------+
//! ```
//!
//! Tags below [`EventKind::LIMIT`] are events; the payload is the event's place
//! ([`crate::event::Place`]). These words follow, in this order, each only if the kind has it:
//!
//! | words | what | kinds |
//! |---|---|---|
//! | 1 | clock ticks since the last reading in this ring | timed ones |
//! | 1 | target, in code units | those with a target, and unknown kinds (0 if none) |
//! | 1 | number of the callable's [`Definition::Callable`] | those with a callable |
//! | 1 | number of the exception's [`Definition::Exception`] | those with an exception |
//! | 2 | frame address, low word first | those that resume, and [`TAG_START_SUSPENDABLE`] |
//!
//! In derived recordings with values, [`SAYS_NONE`] in the payload of PY_RETURN, PY_YIELD and
//! PY_RESUME means that the value is None.
//!
//! An event belongs to the thread of the last [`TAG_THREAD`] and the code object of the last
//! [`TAG_CODE`].

use crate::event::EventKind;
use crate::loss::LossKind;
use crate::value::Capture;

/// PY_START of a generator, coroutine or asynchronous generator: the event's words as for
/// PY_START, then the frame's address, by which PY_RESUME refers to it.
pub const TAG_START_SUSPENDABLE: u8 = 32;
/// The events that follow are of the code object whose number is the payload.
pub const TAG_CODE: u8 = 33;
/// The events that follow are of the thread whose number is the payload.
pub const TAG_THREAD: u8 = 34;
/// Two words: the clock, in ticks (low word first). Later deltas are relative to it.
pub const TAG_CLOCK: u8 = 35;
/// One word: the place of the event that follows, whose payload was too small for it.
pub const TAG_WIDE_PLACE: u8 = 36;
/// Payload words follow: the length in bytes of a bincoded [`Definition`], then its bytes.
pub const TAG_DEFINE: u8 = 37;
/// One word: the code object's number. The current thread was already in a call of this code
/// object, at the place in the payload, when recording began. Outermost calls come first. Two
/// more words: the frame's address.
pub const TAG_RUNNING: u8 = 38;
/// One word: a code object's number. Comes before an event that enters a frame: the calling frame
/// is of this code object and stands at the code unit in the payload, caches included. Several of
/// these describe callers further up, nearest first. Frames that are not recorded are left out.
pub const TAG_CALLER: u8 = 39;
/// Comes before RAISE, RERAISE and PY_THROW. The payload is the code unit, caches included, at
/// which the event's frame stands.
pub const TAG_AT: u8 = 40;
/// One word: the ticks taken by the callbacks since the event before the last one, the callback of
/// the last event included. The payload is the number of callbacks without an event among them. One
/// stretch in a few hundred is measured; the others take about as long.
pub const TAG_COST: u8 = 41;
/// Two words: the ticks (low word first) that recording took before the event that follows for work
/// that takes long, such as waiting for the recorder, or defining and describing what is new. All
/// such ticks are reported, and none is part of a [`TAG_COST`].
pub const TAG_SPENT: u8 = 42;

/// Bits of a word that hold the payload.
pub const PAYLOAD_BITS: u32 = 26;
/// The largest payload.
pub const PAYLOAD_MAX: u32 = (1 << PAYLOAD_BITS) - 1;
/// Bit in the payload of events that [`EventKind::may_say_none`]: the value returned, yielded or
/// sent is None, and is not in a group. The places of these events are smaller than this bit, or
/// are recorded with [`TAG_WIDE_PLACE`].
pub const SAYS_NONE: u32 = 1 << (PAYLOAD_BITS - 1);
/// The largest size in words of an event record with all records that may have to come before it,
/// definitions excepted.
pub const EVENT_WORDS_MAX: usize = 24 + 2 * CALLERS_MAX;
/// The maximum number of [`TAG_CALLER`] records before one event.
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

/// The meaning of a number in later records. Each sort of definition is numbered from 0 in the
/// order of definition, except threads and kinds, which contain their number.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Definition {
    Code(CodeDefinition),
    Thread {
        number: u32,
        /// The operating system's thread id, which it reuses after the thread's end.
        native_id: u64,
    },
    /// Sent again when a thread is renamed.
    ThreadName {
        number: u32,
        name: String,
    },
    /// The name of a callable: `len`, `list.append`, `json.dumps`.
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
    /// The name of an event kind that [`EventKind`] does not know.
    Kind {
        number: u8,
        name: String,
    },
    /// Something was not recorded at this point. Counts of one kind are added up.
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
        /// The first two bytes of `importlib.util.MAGIC_NUMBER`, which determine the meaning of
        /// bytecode.
        magic: u16,
        mode: Mode,
        /// Which values are recorded with the events; values have a ring of their own.
        capture: Capture,
        /// Findings about the interpreter that may matter to the reader of the recording, as
        /// sentences.
        quirks: Vec<String>,
    },
    /// The source of a file of this name, where the program itself provides it. It applies to code
    /// objects defined from here on.
    Source {
        path: String,
        text: String,
    },
}

/// Which events are recorded, and which are derived from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub enum Mode {
    /// Every event is recorded by callback.
    #[default]
    Direct,
    /// LINE, INSTRUCTION, most JUMP events and most branches are derived from the rest (see
    /// [`crate::derive`]); records have [`TAG_CALLER`] and [`TAG_AT`].
    Derived,
    /// Every event is recorded by callback, together with what derivation needs, so that the two
    /// can be compared.
    Verify,
}

impl Mode {
    /// The name in `--events` and `runs.events_by`.
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

    /// Whether records have what derivation needs.
    pub const fn has_frames(self) -> bool {
        !matches!(self, Mode::Direct)
    }
}

/// The encoded number of the variant [`Definition::Exception`].
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
    /// Names of all locals, cells and free variables, in the order of their slots in a frame.
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

/// The bits of `co_flags` that determine what sort of function a code object is.
pub mod flags {
    pub const OPTIMIZED: u32 = 0x1;
    pub const GENERATOR: u32 = 0x20;
    pub const COROUTINE: u32 = 0x80;
    pub const ASYNC_GENERATOR: u32 = 0x200;
    /// Calls may be suspended: PY_YIELD leaves them, and PY_RESUME continues them.
    pub const SUSPENDABLE: u32 = GENERATOR | COROUTINE | ASYNC_GENERATOR;
}

impl CodeDefinition {
    /// The name in `code_objects.kind`.
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
