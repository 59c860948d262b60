//! The rules for deriving events, one instruction at a time.
//!
//! They are those of `Python/instrumentation.c`, `ceval.c` and `bytecodes.c` of 3.12, 3.13 and
//! 3.14, found by reading these files and by comparing derived events with recorded ones. Where
//! versions differ, the code names the version.

use super::{Activation, Called, Derived, Step};
use crate::bytecode::code::{Code, NO_UNIT, Unit};
use crate::bytecode::opcodes::{Op, Version};
use crate::event::EventKind;

/// The reason why the rules do not cover an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desync(pub &'static str);

/// What an event does to a thread's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The top activation has this state.
    Stay(Activation),
    /// The top activation is left.
    Pop,
}

/// Advances the top activation of a thread to the next recorded event.
pub struct Walker<'a> {
    code: &'a Code,
    pub activation: Activation,
    events: &'a mut Vec<Derived>,
}

const fn number(kind: EventKind) -> u8 {
    kind.number()
}

impl<'a> Walker<'a> {
    /// Returns a walker that appends the derived events to `events`.
    pub fn new(code: &'a Code, activation: Activation, events: &'a mut Vec<Derived>) -> Walker<'a> {
        Walker { code, activation, events }
    }

    fn version(&self) -> Version {
        self.code.version
    }

    fn unit(&self, unit: u32) -> Result<&'a Unit, Desync> {
        self.code.unit(unit).ok_or(Desync("a place outside of the code object"))
    }

    /// Where the instruction that contains this unit begins.
    fn start(&self, unit: u32) -> Result<u32, Desync> {
        Ok(self.unit(unit)?.start)
    }

    fn emit(&mut self, kind: EventKind, place: u32, target: u32) {
        self.events.push(Derived { kind: number(kind), place, target });
    }

    // ---- One instruction

    /// Begins the next instruction.
    fn enter(&mut self) -> Result<(), Desync> {
        let at = self.activation.at;
        let unit = self.unit(at)?;
        if !unit.is_start {
            return Err(Desync("a place inside of an instruction"));
        }
        if unit.has_line_event {
            let previous = self.unit(self.activation.previous)?;
            if previous.line != unit.line || previous.op == Op::Resume {
                self.emit(EventKind::LINE, unit.line, NO_UNIT);
            }
        }
        self.activation.previous = at;
        if unit.has_instruction_event {
            self.emit(EventKind::INSTRUCTION, at, NO_UNIT);
        }
        self.activation.in_progress = true;
        self.activation.called = Called::Nothing;
        self.activation.raising = false;
        self.activation.fault = NO_UNIT;
        Ok(())
    }

    /// Ends the instruction in progress; `next` is executed next.
    fn leave(&mut self, next: u32) -> Result<(), Desync> {
        let at = self.activation.at;
        let unit = self.unit(at)?;
        if self.version() == Version::V3_12
            && self.activation.called == Called::Python
            && !matches!(unit.op, Op::CallFunctionEx | Op::LoadSuperAttr)
        {
            // An inlined call leaves `prev_instr` on the last unit of its cache.
            self.activation.previous = at + u32::from(unit.len) - 1;
        }
        self.activation.at = next;
        self.activation.in_progress = false;
        self.activation.called = Called::Nothing;
        self.activation.raising = false;
        self.activation.fault = NO_UNIT;
        self.activation.pending = NO_UNIT;
        Ok(())
    }

    /// Ends the instruction in progress, which has no recorded event, on the path to an event of
    /// `kind` at `wanted`.
    fn pass(&mut self, kind: u8, wanted: u32) -> Result<(), Desync> {
        let Activation { at, pending, called, .. } = self.activation;
        let unit = self.unit(at)?;
        let next = at + u32::from(unit.len);
        if pending != NO_UNIT {
            return self.leave(pending);
        }
        match unit.op {
            Op::JumpForward | Op::JumpBackward => {
                if self.code.control.has_silent_cycle {
                    return Err(Desync("a JUMP was not reported"));
                }
                self.emit(EventKind::JUMP, at, unit.target);
                self.leave(unit.target)
            }
            Op::JumpBackwardNoInterrupt => self.leave(unit.target),
            Op::Send => {
                if kind == number(EventKind::PY_YIELD) && wanted == next {
                    return self.leave(next);
                }
                if self.version() == Version::V3_12 && self.activation.previous != at {
                    // `prev_instr += return_offset`
                    self.activation.previous = unit.target.wrapping_sub(1);
                }
                self.leave(unit.target)
            }
            Op::PopJump | Op::NotTaken if self.code.control.branches.is_implied(at) => {
                self.pass_branch(unit, wanted)
            }
            // Not taken: the NOT_TAKEN that follows reports it.
            Op::PopJump if self.version() >= Version::V3_14 => self.leave(next),
            // The iterator is exhausted: the POP_ITER that follows reports it.
            Op::ForIter if self.version() >= Version::V3_14 => self.leave(unit.target),
            Op::PopJump | Op::ForIter | Op::PopIter | Op::NotTaken => {
                Err(Desync("a branch was not reported"))
            }
            Op::YieldValue | Op::Return => Err(Desync("the end of a frame was not reported")),
            Op::RaiseVarargs | Op::Reraise => Err(Desync("a raise was not reported")),
            Op::Call | Op::CallKw if called == Called::Nothing => {
                Err(Desync("a CALL was not reported"))
            }
            // 3.12 does not report it when the callable is a Python function.
            Op::CallFunctionEx if called == Called::Nothing && self.version() > Version::V3_12 => {
                Err(Desync("a CALL was not reported"))
            }
            _ => self.leave(next),
        }
    }

    /// Ends an implied POP_JUMP or NOT_TAKEN, on the path to an event at `wanted`.
    fn pass_branch(&mut self, unit: &Unit, wanted: u32) -> Result<(), Desync> {
        let (at, is_sided) = (unit.start, self.version() >= Version::V3_14);
        let side = self
            .code
            .side_towards(unit, wanted)
            .ok_or(Desync("neither side of a branch leads there"))?;
        match unit.op {
            Op::NotTaken => self.emit(EventKind::BRANCH_LEFT, at, side),
            _ if !is_sided => self.emit(EventKind::BRANCH, at, side),
            _ if side == unit.target => self.emit(EventKind::BRANCH_RIGHT, at, side),
            // The NOT_TAKEN that comes next reports it.
            _ => {}
        }
        self.leave(side)
    }

    /// Advances until the instruction that contains this unit is in progress.
    fn walk(&mut self, unit: u32, kind: u8) -> Result<(), Desync> {
        let unit = self.start(unit)?;
        // Without a silent cycle no instruction is reached twice, except in iterations of a loop
        // whose event is the wanted one.
        for _ in 0..=2 * self.code.units().len() {
            if !self.activation.in_progress {
                self.enter()?;
            }
            if self.activation.at == unit {
                return Ok(());
            }
            self.pass(kind, unit)?;
        }
        Err(Desync("a loop without an event"))
    }

    /// Emits the JUMP of a JUMP_BACKWARD in progress in 3.12, which reports JUMP first and handles
    /// signals afterwards. From 3.13 on the order is reversed.
    fn jump_before_signals(&mut self) -> Result<(), Desync> {
        let Activation { at, in_progress, pending, .. } = self.activation;
        let unit = self.unit(at)?;
        if self.version() == Version::V3_12
            && in_progress
            && pending == NO_UNIT
            && unit.op == Op::JumpBackward
        {
            if self.code.control.has_silent_cycle {
                // JUMP is recorded here, so it was reported already.
                return Ok(());
            }
            self.emit(EventKind::JUMP, at, unit.target);
            self.activation.pending = unit.target;
        }
        Ok(())
    }

    // ---- Events

    /// Whether a caller that stands at `unit` can be this activation. A caller at a RESUME that
    /// this activation is not executing is a frame that has not begun; one at such a YIELD_VALUE is
    /// a generator that passes a `throw` on.
    pub fn stands_at(&self, unit: u32) -> bool {
        let Some(found) = self.code.unit(unit) else { return false };
        let Some(found) = self.code.unit(found.start) else { return false };
        let is_here = self.activation.in_progress && self.activation.at == found.start;
        is_here || !matches!(found.op, Op::Resume | Op::YieldValue)
    }

    /// Advances to the point where another frame is entered while this one stands at `unit`, caches
    /// included.
    pub fn enter_from(&mut self, unit: u32) -> Result<(), Desync> {
        if self.activation.raising {
            // While an exception passes through, the frame does not go on; other frames may run to
            // finalise objects.
            let is_iterating = self.activation.in_progress
                && matches!(self.unit(self.activation.at)?.op, Op::ForIter | Op::Send);
            if !is_iterating {
                return Ok(());
            }
        }
        let start = self.start(unit)?;
        self.walk(start, number(EventKind::CALL))?;
        self.jump_before_signals()?;
        if self.version() == Version::V3_12
            && unit != start
            && matches!(self.unit(start)?.op, Op::Call | Op::Send)
        {
            self.activation.previous = unit;
        }
        Ok(())
    }

    /// Returns the activation that PY_START, PY_RESUME or PY_THROW begins.
    pub fn entered(step: &Step) -> Activation {
        let is_thrown = step.kind == number(EventKind::PY_THROW);
        let previous = if is_thrown && step.also != NO_UNIT { step.also } else { step.place };
        Activation { thrown: is_thrown, ..Activation::new(step.code, step.place, previous) }
    }

    /// Advances to a recorded event of this activation that enters no frame, and applies it.
    pub fn event(&mut self, step: &Step) -> Result<Effect, Desync> {
        let Step { kind, place, with, .. } = *step;
        let event = EventKind::from_number(kind).ok_or(Desync("an impossible event kind"))?;
        match event {
            EventKind::BRANCH | EventKind::BRANCH_LEFT | EventKind::BRANCH_RIGHT => {
                self.branch(event, place, with)?;
            }
            EventKind::JUMP => {
                let start = self.start(place)?;
                let Activation { at, in_progress, pending, .. } = self.activation;
                if in_progress && at == start && pending != NO_UNIT {
                    self.pass(kind, start)?;
                }
                self.walk(place, kind)?;
                self.emit(event, place, with);
                if self.version() == Version::V3_12 && self.unit(start)?.op == Op::JumpBackward {
                    self.activation.pending = with;
                } else {
                    self.leave(with)?;
                }
            }
            EventKind::PY_RETURN | EventKind::PY_YIELD => {
                self.walk(place, kind)?;
                self.emit(event, place, NO_UNIT);
                return Ok(Effect::Pop);
            }
            EventKind::CALL => {
                let start = self.start(place)?;
                let Activation { at, in_progress, called, .. } = self.activation;
                if in_progress && at == start && called != Called::Nothing {
                    // The same call again: the next iteration of a loop.
                    self.pass(kind, start)?;
                }
                self.walk(place, kind)?;
                self.emit(event, place, NO_UNIT);
                self.activation.called = Called::Python;
            }
            EventKind::C_RETURN | EventKind::C_RAISE => {
                if !self.activation.in_progress || self.activation.at != self.start(place)? {
                    return Err(Desync("the end of a call that did not begin"));
                }
                self.emit(event, place, NO_UNIT);
                self.activation.called = Called::C;
            }
            EventKind::STOP_ITERATION => {
                self.walk(place, kind)?;
                self.emit(event, place, NO_UNIT);
            }
            EventKind::RAISE => {
                self.walk(place, kind)?;
                self.jump_before_signals()?;
                let reported = self.raise_place(step.also)?;
                self.emit(event, reported, NO_UNIT);
                self.activation.raising = true;
                self.activation.fault = reported;
            }
            EventKind::RERAISE => {
                self.walk(place, kind)?;
                self.emit(event, place, NO_UNIT);
                if with != NO_UNIT {
                    self.activation.previous = with;
                }
                self.activation.raising = true;
                self.activation.fault = place;
            }
            EventKind::EXCEPTION_HANDLED | EventKind::PY_UNWIND if !self.activation.raising => {
                // For example, an exception of a trace function.
                return Err(Desync("an exception that was not raised"));
            }
            EventKind::EXCEPTION_HANDLED => {
                self.emit(event, place, NO_UNIT);
                self.activation = Activation {
                    at: place,
                    in_progress: false,
                    called: Called::Nothing,
                    raising: false,
                    pending: NO_UNIT,
                    fault: NO_UNIT,
                    ..self.activation
                };
            }
            EventKind::PY_UNWIND => {
                let fault = self.activation.fault;
                self.emit(event, if fault == NO_UNIT { place } else { fault }, NO_UNIT);
                return Ok(Effect::Pop);
            }
            // An event kind of a later CPython.
            _ => return Err(Desync("an event kind without rules")),
        }
        Ok(Effect::Stay(self.activation))
    }

    /// Advances to a BRANCH, BRANCH_LEFT or BRANCH_RIGHT, and applies it.
    fn branch(&mut self, kind: EventKind, place: u32, target: u32) -> Result<(), Desync> {
        let (mut from, mut reported) = (place, place);
        if self.version() >= Version::V3_14 {
            // NOT_TAKEN, POP_ITER and END_ASYNC_FOR report the instruction executed before them
            // unless INSTRUCTION events are on. The reporting instruction is the one before the
            // target.
            let before = target.wrapping_sub(1);
            let op = self.code.unit(before).map_or(Op::Other, |unit| unit.op);
            let is_jump = self
                .code
                .unit(place)
                .is_some_and(|unit| unit.op == Op::PopJump && unit.target == target);
            let is_left = kind == EventKind::BRANCH_LEFT && op == Op::NotTaken;
            let is_right = kind == EventKind::BRANCH_RIGHT
                && !is_jump
                && matches!(op, Op::PopIter | Op::EndAsyncFor);
            if is_left || is_right {
                (from, reported) = (before, before);
                if op == Op::EndAsyncFor {
                    // Reported as coming from the loop's END_SEND.
                    reported = self.unit(before)?.target;
                }
            }
        }
        self.walk(from, number(kind))?;
        self.emit(kind, reported, target);
        if matches!(self.unit(self.start(from)?)?.op, Op::PopIter | Op::EndAsyncFor) {
            // The iterator is released after the event.
            self.activation.pending = target;
            Ok(())
        } else {
            self.leave(target)
        }
    }

    /// Returns the place that CPython reports for an exception raised by the instruction in
    /// progress if every kind of event is on. That is `recorded`, unless it is missing because the
    /// instruction may have been specialised, having no recorded event of its own.
    fn raise_place(&self, recorded: u32) -> Result<u32, Desync> {
        let at = self.activation.at;
        Ok(match self.version() {
            _ if recorded != NO_UNIT => recorded,
            Version::V3_12 => at,
            // The unit before the next instruction.
            _ => at + u32::from(self.unit(at)?.len) - 1,
        })
    }
}

/// Returns the effect of an event that the rules do not cover: the top activation is where the
/// event is.
pub fn recovered(step: &Step) -> Effect {
    let kind = EventKind::from_number(step.kind);
    let has_target = kind.is_some_and(EventKind::has_target);
    match kind {
        Some(EventKind::PY_RETURN | EventKind::PY_YIELD | EventKind::PY_UNWIND) => Effect::Pop,
        _ if has_target => Effect::Stay(Activation {
            in_progress: false,
            ..Activation::new(step.code, step.with, step.place)
        }),
        Some(EventKind::EXCEPTION_HANDLED) => Effect::Stay(Activation {
            in_progress: false,
            ..Activation::new(step.code, step.place, step.place)
        }),
        Some(EventKind::CALL) => Effect::Stay(Activation {
            called: Called::Python,
            ..Activation::new(step.code, step.place, step.place)
        }),
        Some(EventKind::C_RETURN | EventKind::C_RAISE) => Effect::Stay(Activation {
            called: Called::C,
            ..Activation::new(step.code, step.place, step.place)
        }),
        Some(EventKind::RAISE | EventKind::RERAISE) => Effect::Stay(Activation {
            raising: true,
            fault: step.place,
            ..Activation::new(step.code, step.place, step.place)
        }),
        _ => Effect::Stay(Activation::new(step.code, step.place, step.place)),
    }
}
