//! Adds events, with one method per form. The caller has checked `is_full` and `has_context`.

use super::derive::Unsettled;
use super::{Bad, Chunker};
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::code::NO_UNIT;
use dashcam_schema::calls::Event;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::record::{payload, tag};

impl Chunker {
    /// Adds the LINE and INSTRUCTION events at the beginning of `words`, as many as there is room
    /// for. Returns their number.
    #[inline]
    pub(in crate::writer) fn plain(&mut self, words: &[u32]) -> usize {
        const PLAIN: u64 = 1 << EventKind::LINE.number() | 1 << EventKind::INSTRUCTION.number();
        let kinds = &mut self.columns.kinds[self.len..];
        let places = &mut self.columns.places[self.len..];
        let mut count = 0;
        for ((word, kind), place) in words.iter().zip(kinds).zip(places) {
            let tag = tag(*word);
            if PLAIN >> tag & 1 == 0 {
                break;
            }
            *kind = tag;
            *place = payload(*word);
            count += 1;
        }
        for word in &words[..count] {
            self.charge(tag(*word));
        }
        if self.derivation.is_some() {
            self.check_plain(words, count);
        }
        self.len += count;
        count
    }

    /// Notes these events for comparison with the derived ones.
    #[cold]
    fn check_plain(&mut self, words: &[u32], count: usize) {
        for word in &words[..count] {
            self.note_derivable(tag(*word), payload(*word), NO_UNIT);
        }
    }

    /// Charges one more event of the current code object.
    #[inline(always)]
    fn charge(&mut self, kind: u8) {
        if let Some(kind) = EventKind::from_number(kind) {
            self.costs.charge(self.code, kind);
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, kind: u8, place: u32) {
        match self.derivation.as_mut().filter(|d| d.omits_derived()) {
            Some(derivation) => derivation.unsettled = Unsettled::Recorded(derivation.last_edge),
            None => {
                self.columns.kinds[self.len] = kind;
                self.columns.places[self.len] = place;
            }
        }
        self.len += 1;
    }

    /// Adds an event that has nothing but its place.
    #[inline(always)]
    pub(in crate::writer) fn bare(&mut self, kind: u8, place: u32) {
        self.charge(kind);
        if self.derivation.is_some() {
            self.note_derivable(kind, place, NO_UNIT);
        }
        self.push(kind, place);
    }

    /// Adds a JUMP, a BRANCH*, or an event of a kind of a later CPython.
    #[inline(always)]
    pub(in crate::writer) fn branch(
        &mut self,
        kind: u8,
        place: u32,
        target: u32,
    ) -> Result<(), Bad> {
        if self.kinds >> kind & 1 == 0 {
            return Err("an undefined event kind");
        }
        let Some(number) = EventKind::from_number(kind) else { return Ok(()) };
        let (place, _) = self.step(number, place, target);
        self.push(kind, place);
        if !self.omits_derived() {
            self.columns.targets.push(target);
        }
        Ok(())
    }

    /// Adds a CALL, C_RETURN or C_RAISE.
    #[inline(always)]
    pub(in crate::writer) fn call(
        &mut self,
        kind: u8,
        place: u32,
        ticks: u32,
        callable: u32,
    ) -> Result<(), Bad> {
        if callable >= self.callables {
            return Err("an undefined callable");
        }
        let Some(number) = EventKind::from_number(kind) else { return Ok(()) };
        let (place, _) = self.step(number, place, callable);
        self.advance(ticks);
        self.push(kind, place);
        if !self.omits_derived() {
            self.columns.callables.push(callable);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn check_exception(&self, exception: u32) -> Result<(), Bad> {
        if exception >= self.exceptions.defined() {
            return Err("an undefined exception");
        }
        Ok(())
    }

    #[inline]
    pub(super) fn name_exception(&mut self, exception: u32) {
        self.exceptions.name(exception);
        self.columns.exceptions.push(exception);
    }

    /// Adds a STOP_ITERATION.
    pub(in crate::writer) fn stop_iteration(
        &mut self,
        place: u32,
        exception: u32,
    ) -> Result<(), Bad> {
        self.check_exception(exception)?;
        let (place, _) = self.step(EventKind::STOP_ITERATION, place, NO_UNIT);
        self.name_exception(exception);
        self.push(EventKind::STOP_ITERATION.number(), place);
        Ok(())
    }

    /// Adds a PY_START. `frame` is the frame's address if the call may be suspended.
    #[inline]
    pub(in crate::writer) fn start(&mut self, place: u32, ticks: u32, frame: Option<u64>) {
        let (place, _) = self.step(EventKind::PY_START, place, NO_UNIT);
        self.advance(ticks);
        if let Some(address) = frame {
            self.begin_suspendable(address);
        }
        self.apply(EventKind::PY_START, place, 0, 0, frame.unwrap_or(0));
    }

    /// Notes that the next event begins a call in this frame that may be suspended.
    #[inline]
    pub(super) fn begin_suspendable(&mut self, frame: u64) {
        let id = self.next_seq();
        self.watch.suspended.begin(frame, id, self.code, self.chunk, &mut self.calls);
    }

    /// Adds a PY_RETURN.
    #[inline]
    pub(in crate::writer) fn leave(&mut self, place: u32, ticks: u32) {
        let (place, _) = self.step(EventKind::PY_RETURN, place, NO_UNIT);
        self.advance(ticks);
        self.apply(EventKind::PY_RETURN, place, 0, 0, 0);
    }

    /// Adds a PY_YIELD.
    pub(in crate::writer) fn suspend(&mut self, place: u32, ticks: u32) {
        let (place, _) = self.step(EventKind::PY_YIELD, place, NO_UNIT);
        self.advance(ticks);
        self.apply(EventKind::PY_YIELD, place, 0, 0, 0);
    }

    /// Adds a PY_UNWIND, RAISE, RERAISE or EXCEPTION_HANDLED, with `ticks` for kinds that have
    /// them.
    pub(in crate::writer) fn exception(
        &mut self,
        kind: EventKind,
        place: u32,
        ticks: Option<u32>,
        exception: u32,
    ) -> Result<(), Bad> {
        self.check_exception(exception)?;
        let (place, _) = self.step(kind, place, NO_UNIT);
        self.name_exception(exception);
        if let Some(ticks) = ticks {
            self.advance(ticks);
        }
        self.apply(kind, place, exception, 0, 0);
        Ok(())
    }

    /// Adds a PY_RESUME, or a PY_THROW with its exception.
    pub(in crate::writer) fn resume(
        &mut self,
        kind: EventKind,
        place: u32,
        ticks: u32,
        exception: Option<u32>,
        frame: u64,
    ) -> Result<(), Bad> {
        if let Some(exception) = exception {
            self.check_exception(exception)?;
        }
        let (place, edge) = self.step(kind, place, NO_UNIT);
        if let Some(exception) = exception {
            self.name_exception(exception);
        }
        self.advance(ticks);
        self.resume_call(kind, place, exception, frame, edge);
        Ok(())
    }

    /// The rest of [`Self::resume`], once the derived events before it are in the chunk.
    fn resume_call(
        &mut self,
        kind: EventKind,
        place: u32,
        exception: Option<u32>,
        frame: u64,
        edge: EdgeId,
    ) {
        let resumed = self.resumed(frame, edge);
        self.apply(kind, place, exception.unwrap_or(0), resumed, frame);
    }

    /// Returns the call that goes on in this frame, and notes it in the chunk; 0 if the call is not
    /// known.
    #[inline(always)]
    pub(super) fn resumed(&mut self, frame: u64, edge: EdgeId) -> u64 {
        let resumed = match self.watch.suspended.resume(frame, self.code, self.chunk, &self.calls) {
            Some((id, new)) => {
                if let Some(call) = new {
                    for open in &call.exceptions {
                        self.exceptions.name(open.exception);
                    }
                    self.columns.state.suspended.push(call.clone());
                }
                id
            }
            None => {
                let id = self.next_seq();
                self.watch.suspended.begin(frame, id, self.code, self.chunk, &mut self.calls);
                0
            }
        };
        self.put_resumed(edge, resumed);
        resumed
    }

    pub(super) fn apply(
        &mut self,
        kind: EventKind,
        place: u32,
        exception: u32,
        resumed: u64,
        frame: u64,
    ) {
        self.apply_to_calls(kind, place, exception, resumed, frame);
        self.push(kind.number(), place);
        self.applied = self.len;
        if let Some(derivation) = &mut self.derivation {
            derivation.unsettled = Unsettled::Nothing;
        }
    }

    /// Applies the next event to the call stacks.
    #[inline(always)]
    pub(super) fn apply_to_calls(
        &mut self,
        kind: EventKind,
        place: u32,
        exception: u32,
        resumed: u64,
        frame: u64,
    ) {
        let event = Event {
            seq: self.next_seq(),
            time_ns: self.last_ns,
            kind,
            place,
            code: self.code,
            exception,
            resumed,
            frame,
        };
        let (unsettled, calls, watch) = self.unsettled();
        calls.apply_after(unsettled, &event, watch);
    }
}
