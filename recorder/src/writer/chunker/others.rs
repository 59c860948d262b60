//! Records that are not events: definitions, and calls that are older than the recording.

use super::derive::{Derivation, TIME_SHIFT};
use super::{Bad, Chunker, DEFINITION_BYTES_MAX, NONE, Slot};
use dashcam_schema::EventKind;
use dashcam_schema::calls::{Calls, Event};
use dashcam_schema::chunk::DERIVED_EVENTS;
use dashcam_schema::record::{Definition, Mode, flags};
use rustc_hash::FxHashSet;

impl Chunker {
    /// Adds a call that began before the recording. It gets a position of its own, which no event
    /// has: the chunk ends here and the next one begins one position later, with the call on its
    /// stack. So ids stay unique, and a reader needs no rule for such calls.
    pub(in crate::writer) fn running(
        &mut self,
        place: u32,
        code: u32,
        frame: u64,
    ) -> Result<(), Bad> {
        if self.thread == NONE {
            return Err("a running call without a thread");
        }
        let Some(code_flags) = self.code_flags.get(code as usize) else {
            return Err("an undefined code object");
        };
        let can_be_suspended = code_flags & flags::SUSPENDABLE != 0;
        if self.len > 0 {
            self.seal();
        }
        let seq = self.first_seq;
        if can_be_suspended {
            self.watch.suspended.begin(frame, seq, code, self.chunk, &mut self.calls);
        }
        let event = Event {
            seq,
            time_ns: self.last_ns,
            kind: EventKind::PY_START,
            place,
            code,
            exception: 0,
            resumed: 0,
            frame: if can_be_suspended { frame } else { 0 },
        };
        self.calls.apply(&event, &mut self.watch);
        self.calls.ran_before();
        if let Some(derivation) = &mut self.derivation {
            derivation.running(code, place);
        }
        self.open(seq + 1);
        Ok(())
    }

    pub(in crate::writer) fn define(
        &mut self,
        definition: Definition,
        bytes: usize,
    ) -> Result<(), Bad> {
        match &definition {
            Definition::Exception { exception_type, .. }
                if *exception_type >= self.exception_types =>
            {
                return Err("an undefined type of exception");
            }
            Definition::Exception { .. } => {
                // Chunks contain the exceptions they refer to; the database has no table of all.
                let Definition::Exception { exception_type, message } = definition else {
                    return Ok(());
                };
                let calls = &self.calls;
                self.exceptions.define(exception_type, message, || open_exceptions(calls));
                return Ok(());
            }
            Definition::Loss { kind, count, detail } => {
                self.lose(*kind, *count, detail.clone());
                return Ok(());
            }
            Definition::Code(code) => {
                self.code_flags.push(code.flags);
                self.costs.define_code();
                if let Some(derivation) = &mut self.derivation {
                    derivation.define(code);
                }
                self.context_slots.push(Slot::default());
            }
            Definition::Thread { number, .. } => {
                self.threads.insert(*number);
            }
            Definition::ThreadName { number, .. } if !self.threads.contains(number) => {
                return Err("a name for an undefined thread");
            }
            Definition::Callable { .. } => self.callables += 1,
            Definition::ExceptionType { .. } => self.exception_types += 1,
            Definition::Kind { number, .. } => {
                if EventKind::from_number(*number).is_none() {
                    return Err("an event kind beyond the limit");
                }
                self.kinds |= 1 << number;
            }
            Definition::Interpreter { magic, mode, .. } => {
                self.began_ns = Some(self.clock.now_ns());
                if *mode != Mode::Direct && self.derivation.is_none() {
                    self.derivation = Derivation::new(*mode, *magic);
                    if self.derivation.is_none() {
                        return Err("a derived recording of an interpreter without rules");
                    }
                    if self.omits_derived() {
                        (self.limit, self.time_shift) = (DERIVED_EVENTS, TIME_SHIFT);
                        self.open_control();
                    }
                }
            }
            Definition::ThreadName { .. } | Definition::Source { .. } => {}
        }
        self.definitions.push(definition);
        self.definition_bytes += bytes;
        if self.definition_bytes > DEFINITION_BYTES_MAX {
            self.seal();
        }
        Ok(())
    }
}

/// Returns the numbers of the exceptions that calls have in flight or are handling.
fn open_exceptions(calls: &Calls) -> FxHashSet<u32> {
    calls.all().flat_map(|call| &call.exceptions).map(|open| open.exception).collect()
}
