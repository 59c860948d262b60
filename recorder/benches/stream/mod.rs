//! The words of a made-up program, as a shim would push them: nested calls of functions with loops,
//! branches and C calls, generators, and now and then an exception. The writer's tests and its
//! bench use them.

use dashcam_schema::EventKind;
use dashcam_schema::record::{
    CodeDefinition, Definition, Mode, TAG_CLOCK, TAG_CODE, TAG_DEFINE, TAG_START_SUSPENDABLE,
    TAG_THREAD, flags, word,
};
use dashcam_schema::value::Capture;
use std::collections::BTreeMap;

/// The number of functions of the program.
pub(crate) const FUNCTIONS: u32 = 60;
/// Functions from this number on are generators.
pub(crate) const GENERATORS_FROM: u32 = 50;
const CALLABLES: u32 = 40;
const EXCEPTIONS: u32 = 8;
/// The number of lines of a function. Functions begin at lines 1, 21, 41 …
const LINES: u32 = 20;

/// Words, and counts of what they contain.
#[derive(Default, Clone)]
pub(crate) struct Stream {
    pub(crate) words: Vec<u32>,
    /// Events by kind.
    pub(crate) events: BTreeMap<u8, u64>,
    /// Calls that ended, by code object.
    pub(crate) calls: BTreeMap<u32, u64>,
    seed: u64,
    code: u32,
    frame: u64,
}

impl Stream {
    /// Returns a stream without words.
    pub(crate) fn empty() -> Stream {
        Stream { seed: 1, code: u32::MAX, frame: 0x7f00_0000_0000, ..Stream::default() }
    }

    /// Returns the words that come before any event: all definitions and a thread.
    pub(crate) fn prologue() -> Stream {
        let mut stream = Stream::empty();
        stream.define(&Definition::Interpreter {
            version: "3.13.0".into(),
            platform: "linux x86_64".into(),
            stdlib: "/usr/lib/python3.13".into(),
            pid: 1,
            magic: 3571,
            mode: Mode::Direct,
            capture: Capture::Flow,
            quirks: Vec::new(),
        });
        stream.define(&Definition::Thread { number: 0, native_id: 1 });
        stream.define(&Definition::ThreadName { number: 0, name: "MainThread".into() });
        stream.define(&Definition::ExceptionType { name: "ValueError".into() });
        for i in 0..FUNCTIONS {
            let is_generator = i >= GENERATORS_FROM;
            stream.define(&Definition::Code(CodeDefinition {
                path: format!("/nowhere/module{}.py", i % 7),
                qualname: format!("Class{}.function{i}", i % 5),
                name: format!("function{i}"),
                first_line: i * LINES + 1,
                flags: flags::OPTIMIZED | if is_generator { flags::GENERATOR } else { 0 },
                line_table: line_table(),
                ..CodeDefinition::default()
            }));
        }
        for i in 0..CALLABLES {
            stream.define(&Definition::Callable { name: format!("callable{i}") });
        }
        for i in 0..EXCEPTIONS {
            stream.define(&Definition::Exception { exception_type: 0, message: format!("no {i}") });
        }
        stream.words.push(word(TAG_THREAD, 0));
        stream
    }

    /// Sets the clock; times go on from there.
    pub(crate) fn set_clock(&mut self, ticks: u64) {
        self.words.extend([word(TAG_CLOCK, 0), ticks as u32, (ticks >> 32) as u32]);
    }

    pub(crate) fn define(&mut self, definition: &Definition) {
        let bytes =
            bincode::encode_to_vec(definition, bincode::config::standard()).unwrap_or_default();
        let length = bytes.len().div_ceil(4);
        self.words.extend([word(TAG_DEFINE, length as u32 + 1), bytes.len() as u32]);
        let at = self.words.len();
        self.words.resize(at + length, 0);
        for (i, byte) in bytes.iter().enumerate() {
            self.words[at + i / 4] |= u32::from(*byte) << (8 * (i % 4));
        }
    }

    fn random(&mut self, below: u32) -> u32 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.seed >> 33) % u64::from(below)) as u32
    }

    pub(crate) fn enter(&mut self, code: u32) {
        if self.code != code {
            self.code = code;
            self.words.push(word(TAG_CODE, code));
        }
    }

    /// Appends an event with exactly these words.
    pub(crate) fn exact(&mut self, kind: EventKind, place: u32, rest: &[u32]) {
        self.words.push(word(kind.number(), place));
        self.words.extend(rest);
        *self.events.entry(kind.number()).or_insert(0) += 1;
    }

    /// Appends an event. If it is timed, up to 15 ticks are added to its time, so that times are
    /// similar but not equal, as those of a real clock.
    pub(crate) fn event(&mut self, kind: EventKind, place: u32, rest: &[u32]) {
        let at = self.words.len() + 1;
        self.exact(kind, place, rest);
        if kind.is_timed() {
            self.words[at] += self.random(16);
        }
    }

    /// Appends a call of `code` and everything in it.
    pub(crate) fn call(&mut self, code: u32, depth: u32) {
        self.enter(code);
        *self.calls.entry(code).or_insert(0) += 1;
        if code >= GENERATORS_FROM {
            return self.generator(code);
        }
        self.event(EventKind::PY_START, 0, &[35]);
        // Programs repeat themselves: most calls of a function go the same way.
        let turns = if self.random(8) == 0 { 1 + self.random(6) } else { 1 + code % 6 };
        for turn in 0..turns {
            self.statement(code, turn % LINES);
            let fails =
                if turn.is_multiple_of(2) { self.random(16) == 0 } else { code.is_multiple_of(2) };
            let at = 10 + turn * 8 % 60;
            self.event(EventKind::BRANCH, at, &[if fails { at + 20 } else { at + 2 }]);
            if turn.is_multiple_of(3) {
                let callable = (code + turn) % CALLABLES;
                self.event(EventKind::CALL, at + 3, &[40, callable]);
                self.event(EventKind::C_RETURN, at + 3, &[30, callable]);
            }
            if depth > 0 && (code + turn).is_multiple_of(3) {
                let callee = if self.random(16) == 0 {
                    self.random(FUNCTIONS)
                } else {
                    (code * 7 + turn) % FUNCTIONS
                };
                self.event(EventKind::CALL, at + 5, &[25, callee % CALLABLES]);
                self.call(callee, depth - 1);
                self.enter(code);
            }
            self.event(EventKind::JUMP, at + 6, &[4]);
        }
        if self.random(50) == 0 {
            let exception = self.random(EXCEPTIONS);
            self.event(EventKind::RAISE, 70, &[exception]);
            self.event(EventKind::EXCEPTION_HANDLED, 72, &[exception]);
        }
        self.statement(code, LINES - 1);
        self.event(EventKind::PY_RETURN, 75, &[35]);
    }

    fn statement(&mut self, code: u32, line: u32) {
        self.event(EventKind::LINE, code * LINES + 1 + line, &[]);
        let at = line * 8 % 60;
        for i in 0..6 {
            self.event(EventKind::INSTRUCTION, at + i, &[]);
        }
    }

    fn generator(&mut self, code: u32) {
        self.frame += 0x100;
        let address = [self.frame as u32, (self.frame >> 32) as u32];
        self.words.extend([word(TAG_START_SUSPENDABLE, 0), 50, address[0], address[1]]);
        *self.events.entry(EventKind::PY_START.number()).or_insert(0) += 1;
        for turn in 0..1 + self.random(4) {
            self.statement(code, turn);
            self.event(EventKind::PY_YIELD, 20, &[35]);
            self.event(EventKind::PY_RESUME, 21, &[35, address[0], address[1]]);
        }
        self.event(EventKind::PY_RETURN, 30, &[35]);
        self.frame -= 0x100;
    }

    /// Appends calls until there are at least `events` more events.
    pub(crate) fn calls(&mut self, events: u64) {
        let end = self.len() + events;
        while self.len() < end {
            let code = self.random(FUNCTIONS);
            self.call(code, 6);
        }
    }

    /// The number of events in the stream.
    #[allow(clippy::len_without_is_empty)]
    pub(crate) fn len(&self) -> u64 {
        self.events.values().sum()
    }
}

/// Returns the line table of eighty code units, four to a line. The first byte of an entry has the
/// number of units less one and the form, which gives the distance from the previous line (form 10:
/// the same line, form 11: the next). Two bytes of columns follow.
fn line_table() -> Vec<u8> {
    let entry = |form: u8| [0x80 | form << 3 | 3, 0, 0];
    (0..LINES).flat_map(|i| entry(if i == 0 { 10 } else { 11 })).collect()
}
