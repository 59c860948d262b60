//! Follows a value from the instruction that pushed it to what that instruction took it from.

use super::trace::{Executed, Producer};
use super::{Goal, LinkKind, Lost, Next, Operand, Stop, Target, Tracer, lost, source};
use crate::state::{Direction, Key, Seen};
use crate::store::{Error, Variables};
use crate::timeline::{Position, Variable};
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::bytecode::stores::Slot;

/// Maximum number of operands listed for a computed value.
const OPERANDS_MAX: usize = 12;
/// Maximum number of characters shown of an expression.
const TEXT_MAX: usize = 200;

impl<'a> Tracer<'a> {
    /// One step back.
    pub(super) fn advance(&mut self, goal: &Goal, seen: &Seen) -> Result<Next, Lost> {
        match goal {
            Goal::Variable { variable, name, before } => self.variable(variable, name, *before),
            Goal::Slot { of, slot } => match self.producer(of, *slot)? {
                Producer::Put(by, output) => self.put(&by, output, seen),
                Producer::Raised(handler) => self.raised(&handler),
            },
            Goal::Argument { call, target, name } => self.argument(*call, target, name, seen),
            Goal::Member { id, key, text, at, held } => {
                self.member(*id, key, text, *at, *held, seen)
            }
            Goal::Element { of, slot, key, text } => self.element(of, *slot, key, text, seen),
            Goal::Left { call, at } => self.left(*call, *at),
        }
    }

    pub(super) fn variables(&self, of: &Executed) -> Option<&'a Variables> {
        self.timeline.store.variables(self.process(of.chunk), of.code)
    }

    /// Follows a variable to its last write.
    fn variable(
        &mut self,
        variable: &Variable,
        name: &str,
        before: Position,
    ) -> Result<Next, Lost> {
        let timeline = self.timeline;
        let write = timeline.write_of(variable, before, Direction::Backward, &mut self.missing)?;
        let Some(write) = write else {
            return lost(match variable {
                Variable::Global { .. } => format!(
                    "no instruction of its module bound {name} before: it is a builtin, or was bound in another way"
                ),
                _ => format!("no write of {name} before this is in the recording"),
            });
        };
        let seen = timeline.state().seen_bound(timeline.run_id, write.at.seq(), name)?;
        let seen = seen.unwrap_or_default();
        if write.is_argument {
            let call = write.at.seq().cast_unsigned();
            let Some(slot) = self.slot_of_argument(write.at, name)? else {
                return lost(format!("{name} is an argument, but which one is not known"));
            };
            let next = Goal::Argument { call, target: Target::Parameter(slot), name: name.into() };
            return self.step(write.at, LinkKind::Argument, name, seen, next);
        }
        let Some(by) = self.executed(write.at)? else {
            return lost(format!("what bound {name} cannot be read"));
        };
        let (instruction, depth) = self.instruction(&by)?;
        let Some(variables) = self.variables(&by) else {
            return lost(format!("what bound {name} cannot be read"));
        };
        let mut stored = variables.stores.stored(by.unit).enumerate();
        let Some((at, (_, binds))) =
            stored.find(|(_, (slot, _))| variables.name(*slot) == Some(name))
        else {
            return lost(format!("what bound {name} cannot be read"));
        };
        if !binds {
            return lost(format!(
                "{name} was unbound there, and has been bound in another way since"
            ));
        }
        let from_top = match instruction.does {
            Does::Take(2) => 1 + at as u32,
            Does::Take(1) | Does::StoreLoadFast => 1,
            _ => return self.end(&by, LinkKind::Made, name),
        };
        let Some(slot) = depth.checked_sub(from_top) else {
            return lost("the bytecode cannot be followed here");
        };
        self.step(by.at, LinkKind::Bound, name, seen, Goal::Slot { of: by, slot })
    }

    /// The slot of a call's argument, by its name.
    fn slot_of_argument(&mut self, start: Position, name: &str) -> Result<Option<Slot>, Error> {
        let Some(spot) = self.timeline.spot(start, &mut self.missing)? else { return Ok(None) };
        let Some((_, code)) = spot.within.context(spot.index)? else { return Ok(None) };
        let variables = self.timeline.store.variables(self.process(spot.chunk), code);
        let Some(variables) = variables else { return Ok(None) };
        let mut arguments = 0..variables.arguments as Slot;
        Ok(arguments.find(|slot| variables.name(*slot) == Some(name)))
    }

    /// The variable that an instruction loads from a slot of its frame.
    pub(super) fn load(&self, of: &Executed, slot: Slot) -> Result<Goal, Lost> {
        let Some(variables) = self.variables(of) else {
            return lost("the names of the variables cannot be read");
        };
        let Some(name) = variables.name(slot) else {
            return lost("the name of the variable is not known");
        };
        let (name, call, code): (Box<str>, _, _) = (name.into(), of.call, of.code);
        let variable = match variables.is_cell(slot) {
            false => Variable::Local { call, code, slot },
            true => {
                let state = self.timeline.state();
                let cell = state.cell_at(self.timeline.run_id, of.at.seq(), 0, slot)?;
                Variable::Cell { call, code, slot, name: name.clone(), cell }
            }
        };
        Ok(Goal::Variable { variable, name, before: of.at })
    }

    /// The variable that an instruction loads by its name.
    pub(super) fn load_name(&self, of: &Executed, does: Does, operand: u32) -> Result<Goal, Lost> {
        let Some(code) = self.evaluated(of) else { return lost("the bytecode cannot be read") };
        let entry = if does == Does::Global { operand >> 1 } else { operand };
        let name: Option<Box<str>> = match code.names.get(entry as usize) {
            Some(name) => Some(name.clone()),
            None => self
                .text_of(of)?
                .filter(|text| source::last_name(text) == Some(text))
                .map(Into::into),
        };
        let Some(name) = name else { return lost("the name of the variable is not known") };
        let global = Variable::Global { code: of.code, name: name.clone() };
        let variable = match does {
            Does::Global => global,
            _ => match self.timeline.variable(of.at, 0, &name)? {
                // A name that the body of a class has not bound is a global.
                Some(local @ Variable::Local { .. }) => {
                    let write = self.timeline.write_of(
                        &local,
                        of.at,
                        Direction::Backward,
                        &mut Vec::new(),
                    )?;
                    if write.is_some() { local } else { global }
                }
                found => found.unwrap_or(global),
            },
        };
        Ok(Goal::Variable { variable, name, before: of.at })
    }

    /// The source text of an instruction.
    pub(super) fn text_of(&self, of: &Executed) -> Result<Option<String>, Error> {
        let process = self.process(of.chunk);
        let Some(code) = self.evaluated(of) else { return Ok(None) };
        let index = process.codes.get(&of.code);
        let Some(id) = index.map(|index| self.timeline.store.directory().codes[*index].code_id)
        else {
            return Ok(None);
        };
        let Some(span) = code.spans.span(of.unit) else { return Ok(None) };
        let source = self.timeline.store.source_of(id)?;
        Ok(source.and_then(|source| source.part(span).map(str::to_owned)))
    }

    /// The source text of an instruction in one line, or `otherwise` if it is not known.
    pub(super) fn shown(&self, of: &Executed, otherwise: &str) -> Result<String, Error> {
        let text = self.text_of(of)?.filter(|text| !text.is_empty());
        let shown = |text: String| clipped(text.split_whitespace().collect::<Vec<_>>().join(" "));
        Ok(text.map_or_else(|| otherwise.to_owned(), |text| shown(text.to_string())))
    }

    /// The name of a callable, with the arguments of the call at a position if they were recorded.
    pub(super) fn call_text(&self, name: String, at: Option<Position>) -> Result<String, Error> {
        let Some(at) = at else { return Ok(name) };
        let timeline = self.timeline;
        let arguments = timeline.store.value_text_at(timeline.run_id, at.seq())?;
        Ok(match arguments {
            Some(arguments) => clipped(format!("{name}({arguments})")),
            None => name,
        })
    }

    /// The slot at a distance from the top of the stack before an instruction; 1 is the top.
    pub(super) fn below(&self, of: &Executed, from_top: u32) -> Result<u32, Lost> {
        let (_, depth) = self.instruction(of)?;
        depth
            .checked_sub(from_top)
            .ok_or_else(|| Lost::Why("the bytecode cannot be followed here".into()))
    }

    fn slot(&self, of: &Executed, from_top: u32) -> Result<Next, Lost> {
        Ok(Next::On(Goal::Slot { of: *of, slot: self.below(of, from_top)? }))
    }

    /// Follows an output of an instruction to what the instruction took it from.
    fn put(&mut self, by: &Executed, output: u32, seen: &Seen) -> Result<Next, Lost> {
        let (instruction, _) = self.instruction(by)?;
        let Some(code) = self.evaluated(by) else { return lost("the bytecode cannot be read") };
        let version = code.evaluation.version;
        let operand = instruction.operand;
        match instruction.does {
            Does::Fast if self.variables(by).is_some_and(|v| v.is_cell(operand)) => {
                lost("it is a cell, not a value")
            }
            Does::Fast | Does::FastAndClear | Does::Deref => Ok(Next::On(self.load(by, operand)?)),
            Does::FastPair => {
                let slot = if output == 0 { operand >> 4 } else { operand & 15 };
                Ok(Next::On(self.load(by, slot)?))
            }
            // If it stores and loads the same variable, it loads the value it has stored.
            Does::StoreLoadFast if operand >> 4 == operand & 15 => self.slot(by, 1),
            Does::StoreLoadFast => Ok(Next::On(self.load(by, operand & 15)?)),
            Does::Name | Does::DictOrGlobal => {
                Ok(Next::On(self.load_name(by, instruction.does, operand)?))
            }
            Does::Global => {
                let value = u32::from(version == Version::V3_12) & operand;
                match output == value {
                    true => Ok(Next::On(self.load_name(by, instruction.does, operand)?)),
                    false => lost("it is no value"),
                }
            }
            Does::Const => {
                let text = self.shown(by, seen.text.as_deref().unwrap_or("a constant"))?;
                self.end(by, LinkKind::Literal, text)
            }
            Does::Attribute if output == 1 => self.slot(by, 1),
            Does::Attribute => self.attribute(by, operand, seen),
            Does::Subscript => self.subscript(by, seen),
            Does::Binary if version.is_subscript(operand) => self.subscript(by, seen),
            // This intrinsic wraps what an asynchronous generator yields.
            Does::Intrinsic if operand == 4 => self.slot(by, 1),
            Does::Next => self.next_item(by, seen),
            Does::Unpack => {
                let index = i64::from(operand.saturating_sub(output + 1));
                self.unpacked(by, Key::Index(index))
            }
            Does::UnpackRest => {
                let (before, after) = (operand & 255, operand >> 8);
                let at = (before + after).saturating_sub(output);
                match at {
                    at if at == before => self.computed(by, seen),
                    at if at < before => self.unpacked(by, Key::Index(at.into())),
                    at => {
                        let from_end = i64::from(before + after + 1) - i64::from(at);
                        self.unpacked(by, Key::Index(-from_end))
                    }
                }
            }
            Does::Tuple | Does::List | Does::Set | Does::Map | Does::ConstKeyMap => {
                let text = self.shown(by, "a display")?;
                self.end(by, LinkKind::Made, text)
            }
            Does::Function => {
                let text = self.shown(by, "a function")?;
                let text = text.find("def ").map_or(&*text, |at| &text[at..]);
                let is_def = text.starts_with("def ");
                let end = text.find(if is_def { '(' } else { ':' });
                let text = text[..end.unwrap_or(text.len())].to_owned();
                self.end(by, LinkKind::Made, text)
            }
            Does::Call | Does::CallKw | Does::CallEx => self.called(by, seen),
            Does::Enter if output == 1 => self.entered(by, seen),
            Does::Send | Does::AsyncNext => self.awaited(by, seen),
            Does::Yield => self.sent(by),
            Does::Import | Does::ImportFrom => {
                let text = self.shown(by, "a module")?;
                self.end(by, LinkKind::Imported, text)
            }
            Does::Null | Does::Generator | Does::Locals | Does::DictOrDeref => {
                lost("how it is looked up is not followed")
            }
            Does::Iterate | Does::Await => lost("it is the iterator, made in C"),
            Does::SuperAttribute => self.computed_by_code(by, seen, "found by super()"),
            Does::Special | Does::Enter | Does::Handle | Does::Match(..) => {
                lost("how the interpreter makes it is not followed")
            }
            _ => self.computed(by, seen),
        }
    }

    /// If the instruction ran Python code (a property, an operator of a class) that returned this
    /// value: the step to its return.
    pub(super) fn by_python(&mut self, by: &Executed, seen: &Seen) -> Result<Option<Next>, Lost> {
        let followed = self.followed(by)?;
        let Some((_, call, _)) = followed.entered.last() else { return Ok(None) };
        let Some((at, found)) = self.result(*call)? else { return Ok(None) };
        if followed.next.is_some_and(|next| at > next) || !found.is(seen) {
            return Ok(None);
        }
        let name = self.timeline.here(at)?.map(|here| here.qualname).unwrap_or_default();
        let next = Goal::Left { call: *call, at };
        self.step(at, LinkKind::Returned, name, found, next).map(Some)
    }

    /// As [`Self::by_python`]; if that finds nothing, an error with the text `otherwise`.
    fn computed_by_code(
        &mut self,
        by: &Executed,
        seen: &Seen,
        otherwise: &str,
    ) -> Result<Next, Lost> {
        match self.by_python(by, seen)? {
            Some(next) => Ok(next),
            None => lost(otherwise),
        }
    }

    /// Follows the result of an operator or the like: into the Python code that computed it, or
    /// else the last link, with the operands.
    pub(super) fn computed(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        if let Some(next) = self.by_python(by, seen)? {
            return Ok(next);
        }
        let text = self.shown(by, "an expression")?;
        let mut link = self.link(by.at, LinkKind::Computed, text, &Seen::default())?;
        let mut operands = Vec::new();
        self.operands(by, 0, &mut operands)?;
        link.operands = operands;
        Ok(Next::End(Box::new(link), Stop::Put(*by)))
    }

    /// Collects the variables, attributes, items and calls that an expression consists of.
    fn operands(
        &mut self,
        of: &Executed,
        depth: usize,
        out: &mut Vec<Operand>,
    ) -> Result<(), Error> {
        let Ok((instruction, height)) = self.instruction(of) else { return Ok(()) };
        let Some(code) = self.evaluated(of) else { return Ok(()) };
        let effect = code.evaluation.effect(&instruction);
        for slot in height.saturating_sub(effect.takes)..height {
            if out.len() >= OPERANDS_MAX || depth > 4 {
                return Ok(());
            }
            let by = match self.producer(of, slot) {
                Ok(Producer::Put(by, _)) => by,
                Ok(Producer::Raised(_)) | Err(Lost::Why(_)) => continue,
                Err(Lost::Error(error)) => return Err(error),
            };
            let Ok((found, _)) = self.instruction(&by) else { continue };
            let version = self.evaluated(&by).map(|code| code.evaluation.version);
            let is_subscript = version.is_some_and(|v| v.is_subscript(found.operand));
            match found.does {
                Does::Const | Does::Unpack | Does::UnpackRest => {}
                Does::Binary if !is_subscript => self.operands(&by, depth + 1, out)?,
                Does::Compute(_) | Does::Format | Does::Text | Does::Slice | Does::Tuple => {
                    self.operands(&by, depth + 1, out)?;
                }
                _ => {
                    let value = self.held(of, slot, 0)?.and_then(|seen| seen.text);
                    let text = match found.does {
                        Does::FastPair | Does::StoreLoadFast => {
                            self.name_in_pair(&by, &found, of, slot)
                        }
                        _ => Some(self.shown(&by, "")?).filter(|text| !text.is_empty()),
                    };
                    let Some(text) = text else { continue };
                    let operand = Operand { text, value: value.map(Into::into) };
                    if !out.contains(&operand) {
                        out.push(operand);
                    }
                }
            }
        }
        Ok(())
    }

    /// The name of the variable that an instruction which loads two variables has pushed into a
    /// slot.
    fn name_in_pair(
        &mut self,
        by: &Executed,
        found: &dashcam_schema::bytecode::evaluation::Instruction,
        of: &Executed,
        slot: u32,
    ) -> Option<String> {
        let Ok(Producer::Put(_, output)) = self.producer(of, slot) else { return None };
        let local = match (found.does, output) {
            (Does::FastPair, 0) => found.operand >> 4,
            _ => found.operand & 15,
        };
        self.variables(by)?.name(local).map(str::to_owned)
    }

    /// Follows the exception that a handler found on the stack to where it was raised.
    fn raised(&mut self, handler: &Executed) -> Result<Next, Lost> {
        let found = self.raise_before(handler)?;
        let at = found.unwrap_or(handler.at);
        let seen = match found {
            Some(at) => self.timeline.state().carried(self.timeline.run_id, at.seq())?,
            None => None,
        };
        let here = self.timeline.here(at)?;
        let text =
            here.and_then(|here| here.exception).unwrap_or_else(|| "an exception".to_owned());
        let link = self.link(at, LinkKind::Raised, text, &seen.unwrap_or_default())?;
        Ok(Next::End(Box::new(link), Stop::Other))
    }

    /// The source text of the value in a slot.
    pub(super) fn expression(&mut self, of: &Executed, slot: u32) -> Result<String, Lost> {
        let Producer::Put(by, output) = self.producer(of, slot)? else {
            return Ok("(an exception)".to_owned());
        };
        let (found, _) = self.instruction(&by)?;
        let name = match (found.does, output) {
            // The source text of these is the target of the assignment, or more than one name.
            (Does::Unpack | Does::UnpackRest, _) => Some("(a sequence)".to_owned()),
            (Does::FastPair | Does::StoreLoadFast, _) => self.name_in_pair(&by, &found, of, slot),
            _ => None,
        };
        match name {
            Some(name) => Ok(name),
            None => Ok(self.shown(&by, "(a sequence)")?),
        }
    }

    /// Follows a part of an unpacked value to the item.
    fn unpacked(&mut self, by: &Executed, key: Key) -> Result<Next, Lost> {
        let slot = self.below(by, 1)?;
        let expression = self.expression(by, slot)?;
        let text = match &key {
            Key::Index(index) => format!("{expression}[{index}]"),
            _ => expression,
        };
        Ok(Next::On(Goal::Element { of: *by, slot, key, text: text.into() }))
    }
}

/// Cuts a text to the length that is shown.
fn clipped(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(at);
        text.push('…');
    }
    text
}
