//! Finds values that were on the evaluation stack.

use super::trace::{Executed, Producer};
use super::{Goal, Lost, Tracer, source};
use crate::state::{Direction, Key, Members, Seen};
use crate::store::Error;
use crate::timeline::Position;
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::ObjectId;

/// Maximum depth of values that are needed to find a value.
const DEPTH_MAX: usize = 8;

impl Tracer<'_> {
    /// The value in a slot of the stack before an instruction; `None` if it is not known.
    pub(super) fn held(
        &mut self,
        of: &Executed,
        slot: u32,
        depth: usize,
    ) -> Result<Option<Seen>, Error> {
        match self.try_held(of, slot, depth) {
            Ok(found) => Ok(found),
            Err(Lost::Why(_)) => Ok(None),
            Err(Lost::Error(error)) => Err(error),
        }
    }

    fn try_held(&mut self, of: &Executed, slot: u32, depth: usize) -> Result<Option<Seen>, Lost> {
        self.steps += 1;
        if depth > DEPTH_MAX || self.steps > super::STEPS_MAX {
            return Ok(None);
        }
        let Producer::Put(by, output) = self.producer(of, slot)? else { return Ok(None) };
        let (instruction, _) = self.instruction(&by)?;
        let version = self.evaluated(&by).map(|code| code.evaluation.version);
        let operand = instruction.operand;
        let below = |tracer: &Self, from_top| tracer.below(&by, from_top);
        match instruction.does {
            Does::Fast | Does::FastAndClear | Does::Deref => self.local(&by, operand),
            Does::FastPair if output == 0 => self.local(&by, operand >> 4),
            Does::FastPair | Does::StoreLoadFast => self.local(&by, operand & 15),
            Does::Name | Does::Global | Does::DictOrGlobal => {
                let goal = self.load_name(&by, instruction.does, operand)?;
                let Goal::Variable { variable, name, before } = goal else { return Ok(None) };
                let mut missing = Vec::new();
                let write =
                    self.timeline.write_of(&variable, before, Direction::Backward, &mut missing)?;
                let Some(write) = write else { return Ok(None) };
                let run_id = self.timeline.run_id;
                Ok(self.timeline.state().seen_bound(run_id, write.at.seq(), &name)?)
            }
            Does::Const => {
                let text = self.text_of(&by)?;
                let text = text.and_then(|text| source::literal(&text));
                Ok(text.map(|text| Seen { text: Some(text), object_id: None }))
            }
            Does::Attribute => {
                let slot = below(self, 1)?;
                let Some(object) = self.held(&by, slot, depth + 1)? else { return Ok(None) };
                let name = self.attribute_name(&by, operand)?;
                match (output, object.object_id, name) {
                    (1, ..) => Ok(Some(object)),
                    (_, Some(id), Some(name)) => {
                        let key = Key::Attribute(name);
                        Ok(self.members(id, by.at, &key)?.and_then(|members| members.found))
                    }
                    _ => Ok(None),
                }
            }
            does if does == Does::Subscript
                || version.is_some_and(|v| does == Does::Binary && v.is_subscript(operand)) =>
            {
                let (container, key) = (below(self, 2)?, below(self, 1)?);
                let Some((id, key)) = self.item_of(&by, container, key, depth)? else {
                    return Ok(None);
                };
                Ok(self.members(id, by.at, &key)?.and_then(|members| members.found))
            }
            Does::Call | Does::CallKw | Does::CallEx => {
                let followed = self.followed(&by)?;
                match followed.entered.first() {
                    Some((_, call, EventKind::PY_START)) if followed.c_return.is_none() => {
                        Ok(self.result(*call)?.map(|(_, seen)| seen))
                    }
                    _ => Ok(None),
                }
            }
            Does::Unpack => {
                let slot = below(self, 1)?;
                let object = self.held(&by, slot, depth + 1)?;
                let Some(id) = object.and_then(|object| object.object_id) else { return Ok(None) };
                let key = Key::Index(i64::from(operand.saturating_sub(output + 1)));
                Ok(self.members(id, by.at, &key)?.and_then(|members| members.found))
            }
            Does::Binary | Does::Compute(_) => {
                // An operator that a class defines in Python.
                let followed = self.followed(&by)?;
                match *followed.entered.as_slice() {
                    [(_, call, EventKind::PY_START)] => {
                        Ok(self.result(call)?.map(|(_, seen)| seen))
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// The value of a variable in the frame of an instruction.
    fn local(&self, of: &Executed, slot: u32) -> Result<Option<Seen>, Lost> {
        let name = self.variables(of).and_then(|variables| variables.name(slot));
        let Some(name) = name else { return Ok(None) };
        let run_id = self.timeline.run_id;
        let found = self.timeline.state().locals_at(run_id, of.at.seq(), Some(0))?;
        let found = found.into_iter().find(|v| *v.name == *name && v.scope != "global");
        Ok(found.map(|found| Seen { text: Some(found.value), object_id: found.object_id }))
    }

    /// What an object has at a key before a position.
    pub(super) fn members(
        &self,
        id: ObjectId,
        at: Position,
        key: &Key,
    ) -> Result<Option<Members>, Error> {
        self.timeline.state().member_at(self.timeline.run_id, id, at.seq(), Some(key))
    }

    /// The container and key of a subscript, from their slots.
    pub(super) fn item_of(
        &mut self,
        by: &Executed,
        container: u32,
        key: u32,
        depth: usize,
    ) -> Result<Option<(ObjectId, Key)>, Lost> {
        let Some(id) = self.held(by, container, depth + 1)?.and_then(|seen| seen.object_id) else {
            return Ok(None);
        };
        let Some(text) = self.held(by, key, depth + 1)?.and_then(|seen| seen.text) else {
            return Ok(None);
        };
        let members = self.members(id, by.at, &Key::Index(0))?;
        let is_sequence =
            members.is_some_and(|members| matches!(&*members.class, "list" | "tuple"));
        Ok(match (is_sequence, text.parse()) {
            (true, Ok(index)) => Some((id, Key::Index(index))),
            (true, Err(_)) => None,
            (false, _) => Some((id, Key::Item(text))),
        })
    }

    /// The name that an instruction looks up on an object.
    pub(super) fn attribute_name(
        &self,
        by: &Executed,
        operand: u32,
    ) -> Result<Option<Box<str>>, Error> {
        let Some(code) = self.evaluated(by) else { return Ok(None) };
        if let Some(name) = code.names.get((operand >> 1) as usize) {
            return Ok(Some(name.clone()));
        }
        let Some(text) = self.text_of(by)? else { return Ok(None) };
        let Some(name) = source::last_name(&text) else { return Ok(None) };
        if !name.starts_with("__") || name.ends_with("__") {
            return Ok(Some(name.into()));
        }
        // A name that is private to a class is mangled.
        let qualname = self.timeline.here(by.at)?.map(|here| here.qualname).unwrap_or_default();
        let mut parts: Vec<&str> = qualname.split('.').collect();
        parts.pop();
        while parts.last() == Some(&"<locals>") {
            parts.pop();
            parts.pop();
        }
        let class = parts.last().map(|class| class.trim_start_matches('_'));
        Ok(Some(match class.filter(|class| !class.is_empty()) {
            Some(class) => format!("_{class}{name}").into(),
            None => name.into(),
        }))
    }
}
