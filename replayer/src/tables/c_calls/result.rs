//! The result of a call of C code: the value that it left on the stack, if that is recorded later.
//!
//! No event carries the value itself. The instructions that the frame executes next show where it
//! goes: into a variable, an attribute or an item, out of the frame, or into another call.

use super::Row;
use crate::state::{State, Wanted};
use crate::store::{Chunk, Error, Evaluated, Store};
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::handed::Handed;
use dashcam_schema::value::{GroupKind, Value};
use std::rc::Rc;

/// The number of events of its thread for which a value on the stack is followed.
const EVENTS_MAX: usize = 1 << 12;

/// The text for a value that was not read, as for any variable without [`State`].
const UNREAD: &str = "<unread>";

/// The result as `repr()` writes it. `None` if the call did not return, or the recording does not
/// show where the value went.
pub(super) fn text(store: &Store, row: &Row) -> Result<Option<String>, Error> {
    let process = &store.directory().processes[&row.process_id];
    let Some((seq, _)) = row.end.filter(|_| !row.raised) else {
        return Ok(None);
    };
    let Some(at) = store.locate(process.run_id, seq.cast_signed()) else { return Ok(None) };
    let Some(code) = store.evaluated(process, row.site.code) else { return Ok(None) };
    let follow = Follow { store, row, code, above: 0, is_receiver: false, wanted: None };
    match follow.run(at) {
        // A damaged chunk shows nothing of the value.
        Err(error @ Error::Chunk { .. }) => store.note(at.0, error).map(|()| None),
        found => found,
    }
}

/// Follows a value on the stack.
struct Follow<'a> {
    store: &'a Store,
    row: &'a Row,
    code: &'a Evaluated,
    /// The number of values above it on the stack.
    above: u32,
    /// The method of an attribute load was put below it: it is the receiver of a method call.
    is_receiver: bool,
    /// An instruction took it, and that instruction's event is still to come.
    wanted: Option<Taken>,
}

#[derive(Clone, Copy)]
enum Taken {
    /// By an instruction that leaves the frame.
    Left(EventKind),
    /// As an argument of a call with `count` arguments. `place` counts from 1; 0 is the receiver.
    Handed { place: usize, count: usize },
}

enum Next {
    Further,
    /// The recording does not show where it went.
    Lost,
    /// The event shows it.
    Found(Option<String>),
}

impl Next {
    /// The text of the value, unless the text says that the value is not known.
    fn known(text: Option<&str>) -> Next {
        Next::Found(text.filter(|text| *text != UNREAD).map(str::to_owned))
    }
}

impl Follow<'_> {
    /// Follows the value from the event after the given one, which is a chunk and an index.
    fn run(mut self, (chunk, index): (usize, usize)) -> Result<Option<String>, Error> {
        let (mut from, mut left, mut depth) = (index + 1, EVENTS_MAX, 0u32);
        let headers = self.store.chunks();
        let of_process = |at: &usize| headers[*at].process_id == self.row.process_id;
        for at in (chunk..headers.len()).filter(of_process).take(2) {
            let events = self.store.chunk(at)?;
            let (kinds, contexts, runs) = (events.kinds()?, events.contexts()?, events.runs()?);
            for index in from..kinds.len() {
                let context = runs.contexts[contexts[index] as usize];
                let Some(kind) = EventKind::from_number(kinds[index]) else { continue };
                if context.thread != self.row.thread {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return Ok(None);
                }
                if depth == 0 && !kind.enters() {
                    match self.step((at, index), &events, kind)? {
                        Next::Further if !kind.leaves() => {}
                        Next::Further | Next::Lost => return Ok(None),
                        Next::Found(text) => return Ok(text),
                    }
                } else if kind.enters() {
                    depth += 1;
                } else if kind.leaves() {
                    depth -= 1;
                }
            }
            from = 0;
        }
        Ok(None)
    }

    /// Handles an event of the value's frame.
    fn step(
        &mut self,
        at: (usize, usize),
        events: &Rc<Chunk>,
        kind: EventKind,
    ) -> Result<Next, Error> {
        let header = &self.store.chunks()[at.0];
        match self.wanted {
            Some(Taken::Left(wanted)) if kind == wanted => {
                return Ok(Next::Found(self.store.value_text(header, events, at.1)?));
            }
            Some(Taken::Handed { place, count }) if kind == EventKind::CALL => {
                let found = self.store.values_of(header, events, at.1, GroupKind::Handed)?;
                let text = found.and_then(|found| {
                    let handed = found.handed()?;
                    Some(found.repr(value_at(&handed, place, count)?))
                });
                return Ok(Next::Found(text));
            }
            // Something else happened first, such as an exception.
            Some(_) if kind == EventKind::INSTRUCTION => return Ok(Next::Lost),
            _ => {}
        }
        if kind == EventKind::RAISE || kind == EventKind::RERAISE {
            return Ok(Next::Lost);
        }
        if kind != EventKind::INSTRUCTION || self.wanted.is_some() {
            return Ok(Next::Further);
        }
        let Some(instruction) = self.code.evaluation.instruction(events.places()?[at.1]) else {
            return Ok(Next::Lost);
        };
        let (does, count) = (instruction.does, instruction.operand);
        match (does, self.above) {
            (Does::Return, 0) => self.wanted = Some(Taken::Left(EventKind::PY_RETURN)),
            (Does::Yield, 0) => self.wanted = Some(Taken::Left(EventKind::PY_YIELD)),
            (Does::Call, above) if above <= count => {
                if above == count && !self.is_receiver {
                    return Ok(Next::Lost);
                }
                let (place, count) = ((count - above) as usize, count as usize);
                self.wanted = Some(Taken::Handed { place, count });
            }
            (Does::StoreLoadFast, 0) => return self.stored(at, 1),
            (Does::Take(takes), above) if u32::from(takes) > above => {
                return self.stored(at, takes.into());
            }
            // The method is put below the value.
            (Does::Attribute, 0) if count & 1 == 1 => self.is_receiver = true,
            // The same value is pushed once more.
            (Does::Copy, 0) if count == 1 => {}
            // Changes the order of values, or jumps in a complex way.
            (
                Does::Swap
                | Does::Next
                | Does::Send
                | Does::EndSend
                | Does::EndFor
                | Does::PopIter
                | Does::Match(..)
                | Does::Handle
                | Does::CleanupThrow,
                _,
            ) => return Ok(Next::Lost),
            _ => {
                let effect = self.code.evaluation.effect(&instruction);
                if effect.takes > self.above {
                    return Ok(Next::Lost);
                }
                self.above = self.above - effect.takes + effect.puts;
            }
        }
        Ok(Next::Further)
    }

    /// An instruction takes `takes` values, including this one. Reads what it stores, if it does.
    fn stored(&self, (chunk, index): (usize, usize), takes: u32) -> Result<Next, Error> {
        let state = State::of(self.store);
        let (event, name) = (|_: i64, _: u32| true, |_: &str| true);
        let wanted = Wanted { skips_unknown: true, ..Wanted::all(&event, &name) };
        let bindings = state.bindings(chunk, index..index + 1, &wanted)?;
        // Of two values that are stored, the first is on top.
        if let Some(binding) = bindings.get(self.above as usize) {
            return Ok(Next::known(binding.value.as_deref()));
        }
        // A value that is stored in an object lies below the object and the key.
        if self.above + 1 != takes {
            return Ok(Next::Lost);
        }
        let changes = state.mutations(chunk, index..index + 1, &wanted)?;
        match &changes[..] {
            [change] if change.key.is_some() && &*change.operation != "delete item" => {
                Ok(Next::known(change.value.as_deref()))
            }
            _ => Ok(Next::Lost),
        }
    }
}

/// The argument at a place of a call that has `count` arguments, or at 0 the receiver of a method.
fn value_at(handed: &Handed, place: usize, count: usize) -> Option<&Value> {
    // The receiver comes first.
    let own = handed.values().count().checked_sub(count).filter(|own| *own <= 1)?;
    handed.values().nth((place + own).checked_sub(1)?)
}
