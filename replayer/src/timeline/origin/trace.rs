//! Goes back over what a call executed, to find the instruction that pushed a value.

use super::{Lost, Tracer};
use crate::state::{Did, Direction, Own, Seen};
use crate::store::{Error, Evaluated, Process};
use crate::timeline::{Follow, Position, Step};
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::bytecode::evaluation::Instruction;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use std::ops::ControlFlow;
use std::rc::Rc;

/// Maximum number of events of a call that are visited to find one.
const WALK_MAX: usize = 1 << 21;
/// Maximum number of lists of a call's events that are kept.
const LISTS_MAX: usize = 32;

/// An executed instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Executed {
    pub(super) at: Position,
    pub(super) chunk: usize,
    pub(super) call: CallId,
    pub(super) code: u32,
    pub(super) unit: u32,
}

/// What pushed a value onto the stack.
pub(super) enum Producer {
    /// An instruction, and the index among its outputs.
    Put(Executed, u32),
    /// The interpreter, for an exception handler; the handler's first instruction.
    Raised(Executed),
}

/// What happened from an instruction until its call executed the next.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Calls of Python functions that began or went on.
    pub(super) entered: Vec<(Position, CallId, EventKind)>,
    /// Where a function in C returned or raised to the call.
    pub(super) c_return: Option<Position>,
    /// The CALL event.
    pub(super) called: Option<Position>,
    /// The call's next instruction.
    pub(super) next: Option<Position>,
}

impl<'a> Tracer<'a> {
    pub(super) fn process(&self, chunk: usize) -> &'a Process {
        self.timeline.process(chunk)
    }

    /// What is known of the code object of an instruction.
    pub(super) fn evaluated(&self, of: &Executed) -> Option<&'a Evaluated> {
        self.timeline.store.evaluated(self.process(of.chunk), of.code)
    }

    /// The instruction, and the depth of the stack before it.
    pub(super) fn instruction(&self, of: &Executed) -> Result<(Instruction, u32), Lost> {
        let found = self.evaluated(of).and_then(|code| code.evaluation.instruction(of.unit));
        match found.and_then(|found| Some((found, found.depth?))) {
            Some(found) => Ok(found),
            None => Err(Lost::Why("the bytecode cannot be followed here".into())),
        }
    }

    /// The instruction executed at a position; `None` if the event there is not an INSTRUCTION.
    pub(super) fn executed(&mut self, at: Position) -> Result<Option<Executed>, Error> {
        let Some(spot) = self.timeline.spot(at, &mut self.missing)? else { return Ok(None) };
        if spot.within.kind(spot.index)? != Some(EventKind::INSTRUCTION) {
            return Ok(None);
        }
        let Some(frame) = spot.frame else { return Ok(None) };
        let Some(code) = spot.within.code_of(frame) else { return Ok(None) };
        let unit = spot.within.chunk().places()?.get(spot.index).copied().unwrap_or_default();
        Ok(Some(Executed { at, chunk: spot.chunk, call: spot.within.call_of(frame), code, unit }))
    }

    /// What a call does in a chunk; `None` if the chunk is damaged.
    fn own(&mut self, chunk: usize, call: CallId) -> Result<Option<Rc<[Own]>>, Error> {
        if let Some(found) = self.lists.get(&(chunk, call)) {
            return Ok(Some(found.clone()));
        }
        let Some(within) = self.timeline.load(chunk, &mut self.missing)? else { return Ok(None) };
        let list: Rc<[Own]> = within.own(call)?.into();
        if self.lists.len() >= LISTS_MAX {
            self.lists.clear();
        }
        self.lists.insert((chunk, call), list.clone());
        Ok(Some(list))
    }

    /// Visits what a call does before a position, or after it, until `visit` breaks. Returns the
    /// value it breaks with.
    pub(super) fn walk<T>(
        &mut self,
        call: CallId,
        at: Position,
        direction: Direction,
        mut visit: impl FnMut(Position, usize, Did) -> ControlFlow<T>,
    ) -> Result<Option<T>, Lost> {
        let store = &self.timeline.store;
        let Some((mut chunk, _)) = store.locate(self.timeline.run_id, at.seq()) else {
            return Ok(None);
        };
        let mut walked = 0;
        loop {
            if store.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            let Some(list) = self.own(chunk, call)? else { return Ok(None) };
            let first_seq = store.chunks()[chunk].first_seq;
            let seq = |own: &Own| first_seq + own.index as i64;
            let part: Box<dyn Iterator<Item = &Own>> = match direction {
                Direction::Backward => {
                    let end = list.partition_point(|own| seq(own) < at.seq());
                    Box::new(list[..end].iter().rev())
                }
                Direction::Forward => {
                    Box::new(list[list.partition_point(|own| seq(own) <= at.seq())..].iter())
                }
            };
            for own in part {
                walked += 1;
                if let ControlFlow::Break(found) = visit(Position::new(seq(own)), chunk, own.what) {
                    return Ok(Some(found));
                }
                let is_end =
                    matches!(own.what, Did::Event(EventKind::PY_RETURN | EventKind::PY_UNWIND, _));
                let is_begin = seq(own) == call.cast_signed();
                if walked > WALK_MAX {
                    return Err(Lost::Why(
                        "it lies too far back in a long call to be followed".into(),
                    ));
                }
                if is_end && direction == Direction::Forward
                    || is_begin && direction == Direction::Backward
                {
                    return Ok(None);
                }
            }
            match self.timeline.reach(call, chunk, direction)? {
                Some(next) if next != chunk => chunk = next,
                _ => return Ok(None),
            }
        }
    }

    /// The last instruction a call executed before a position.
    pub(super) fn last_executed(
        &mut self,
        call: CallId,
        code: u32,
        before: Position,
    ) -> Result<Option<Executed>, Lost> {
        self.walk(call, before, Direction::Backward, |at, chunk, did| match did {
            Did::Execute(unit) => ControlFlow::Break(Executed { at, chunk, call, code, unit }),
            _ => ControlFlow::Continue(()),
        })
    }

    /// What pushed the value in a slot of the stack, counted from its bottom, before an
    /// instruction.
    pub(super) fn producer(&mut self, of: &Executed, slot: u32) -> Result<Producer, Lost> {
        let no_code = || Lost::Why("the bytecode cannot be followed here".into());
        let code = self.evaluated(of).ok_or_else(no_code)?;
        let evaluation = &code.evaluation;
        let (mut slot, mut later) = (slot, *of);
        let found = self.walk(of.call, of.at, Direction::Backward, |at, chunk, did| {
            let Did::Execute(unit) = did else { return ControlFlow::Continue(()) };
            let here = Executed { at, chunk, unit, ..later };
            let handler = evaluation.instruction(later.unit).filter(|found| found.is_handler);
            if let Some(depth) = handler.and_then(|handler| handler.depth) {
                // An instruction that raises has pushed nothing.
                if slot + 1 >= depth {
                    return ControlFlow::Break(Some(Producer::Raised(later)));
                }
                later = here;
                return ControlFlow::Continue(());
            }
            later = here;
            let Some(found) = evaluation.instruction(unit) else { return ControlFlow::Break(None) };
            let Some(depth) = found.depth else { return ControlFlow::Break(None) };
            if found.does == Does::Swap {
                let (top, other) = (depth.wrapping_sub(1), depth.wrapping_sub(found.operand));
                slot = match slot {
                    slot if slot == top => other,
                    slot if slot == other => top,
                    slot => slot,
                };
                return ControlFlow::Continue(());
            }
            let effect = evaluation.effect(&found);
            let Some(base) = depth.checked_sub(effect.takes) else {
                return ControlFlow::Break(None);
            };
            let Some(output) = slot.checked_sub(base) else { return ControlFlow::Continue(()) };
            if output >= effect.puts {
                return ControlFlow::Break(None);
            }
            // If the instruction only moves the value, an earlier one pushed it.
            let moved = match (found.does, output) {
                (Does::Copy, _) => depth.checked_sub(found.operand),
                (Does::EndSend | Does::FunctionPart, _) => Some(depth - 1),
                (Does::Handle, 1) => Some(depth - 1),
                _ => return ControlFlow::Break(Some(Producer::Put(here, output))),
            };
            match moved {
                Some(moved) => slot = moved,
                None => return ControlFlow::Break(None),
            }
            ControlFlow::Continue(())
        })?;
        match found {
            Some(Some(found)) => Ok(found),
            Some(None) => Err(no_code()),
            None => Err(Lost::Why("what was executed before is not in the recording".into())),
        }
    }

    /// What happened from an instruction until its call executed the next.
    pub(super) fn followed(&mut self, of: &Executed) -> Result<Followed, Lost> {
        let mut followed = Followed::default();
        let next = self.walk(of.call, of.at, Direction::Forward, |at, _, did| {
            match did {
                Did::Execute(_) => return ControlFlow::Break(at),
                Did::Enter(call, kind) => followed.entered.push((at, call, kind)),
                Did::Event(EventKind::C_RETURN | EventKind::C_RAISE, _) => {
                    followed.c_return = Some(at);
                }
                Did::Event(EventKind::CALL, _) => followed.called = Some(at),
                Did::Event(..) => {}
            }
            ControlFlow::Continue(())
        })?;
        followed.next = next;
        Ok(followed)
    }

    /// Where a call returns, and the result.
    pub(super) fn result(&mut self, call: CallId) -> Result<Option<(Position, Seen)>, Error> {
        let begins = Position::new(call.cast_signed());
        let moved = self.timeline.step(begins, Step::Out, Direction::Forward, Follow::Thread)?;
        self.missing.extend(moved.missing);
        let Some(here) = self.timeline.here(moved.to)? else { return Ok(None) };
        if here.kind != EventKind::PY_RETURN || here.call_id != call {
            return Ok(None);
        }
        let state = self.timeline.state();
        let seen = state.carried(self.timeline.run_id, moved.to.seq())?.unwrap_or_default();
        Ok(Some((moved.to, seen)))
    }

    /// Where a generator next yields or returns after a position, and the value.
    pub(super) fn yielded(
        &mut self,
        call: CallId,
        after: Position,
    ) -> Result<Option<(Position, EventKind, Seen)>, Lost> {
        let found = self.walk(call, after, Direction::Forward, |at, _, did| match did {
            Did::Event(kind @ (EventKind::PY_YIELD | EventKind::PY_RETURN), _) => {
                ControlFlow::Break(Some((at, kind)))
            }
            Did::Event(EventKind::PY_UNWIND, _) => ControlFlow::Break(None),
            _ => ControlFlow::Continue(()),
        })?;
        let Some((at, kind)) = found.flatten() else { return Ok(None) };
        let seen = self.timeline.state().carried(self.timeline.run_id, at.seq())?;
        Ok(Some((at, kind, seen.unwrap_or_default())))
    }
}
