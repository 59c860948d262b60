//! Follows an attribute or item to where it was set.

use super::trace::{Executed, Producer};
use super::{Goal, LinkKind, Lost, Next, Stop, Target, Tracer, lost, source};
use crate::state::{Did, Direction, Key, Mutation, Seen};
use crate::timeline::Position;
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::ObjectId;
use std::ops::ControlFlow;

impl Tracer<'_> {
    /// Follows the result of an attribute lookup to the attribute.
    pub(super) fn attribute(
        &mut self,
        by: &Executed,
        operand: u32,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        if let Some(next) = self.by_python(by, seen)? {
            return Ok(next);
        }
        let text = self.shown(by, "an attribute")?;
        let slot = self.below(by, 1)?;
        let Some(name) = self.attribute_name(by, operand)? else {
            return lost("the name of the attribute is not known");
        };
        let object = self.held(by, slot, 0)?;
        let Some(id) = object.and_then(|object| object.object_id) else {
            return lost(format!("{text}: which object that is an attribute of is not known"));
        };
        let (key, text) = (Key::Attribute(name), text.into());
        Ok(Next::On(Goal::Member { id, key, text, at: by.at, held: Some((*by, slot)) }))
    }

    /// Follows the result of a subscript to the item.
    pub(super) fn subscript(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        if let Some(next) = self.by_python(by, seen)? {
            return Ok(next);
        }
        let text: Box<str> = self.shown(by, "an item")?.into();
        let (container, key) = (self.below(by, 2)?, self.below(by, 1)?);
        match self.item_of(by, container, key, 0)? {
            Some((id, key)) => {
                let held = Some((*by, container));
                Ok(Next::On(Goal::Member { id, key, text, at: by.at, held }))
            }
            None => {
                let is_slice = match self.producer(by, key)? {
                    Producer::Put(put, _) => match self.instruction(&put)?.0.does {
                        Does::Slice => true,
                        Does::Const => self
                            .text_of(&put)?
                            .is_some_and(|text| text.contains(':') && !text.contains(['\'', '"'])),
                        _ => false,
                    },
                    Producer::Raised(_) => false,
                };
                if is_slice {
                    return self.computed(by, seen);
                }
                let key = self.held(by, key, 0)?.and_then(|key| key.text);
                let key = key.and_then(|key| key.parse().ok()).map(Key::Index);
                match key {
                    Some(key) if self.is_display(by, container)? => {
                        self.created(by, container, None, &key, &text, seen)
                    }
                    _ => lost(format!("{text}: which item of which object that is is not known")),
                }
            }
        }
    }

    /// Follows an attribute or item to its last change before a position.
    pub(super) fn member(
        &mut self,
        id: ObjectId,
        key: &Key,
        text: &str,
        at: Position,
        held: Option<(Executed, u32)>,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let (state, run_id) = (self.timeline.state(), self.timeline.run_id);
        let Some(members) = self.members(id, at, key)? else {
            return lost(format!("{text}: what the object held is not in the recording"));
        };
        let is_list = &*members.class == "list";
        let key = match (key, members.index) {
            (Key::Index(_), Some(index)) => &Key::Index(index as i64),
            _ => key,
        };
        let name = match key {
            Key::Attribute(name) => name.to_string(),
            Key::Index(index) => index.to_string(),
            Key::Item(key) => key.to_string(),
        };
        let is_attribute = matches!(key, Key::Attribute(_));
        // Changes of another key do not matter, unless they move the item.
        let mut may_be = |change: &Mutation| {
            let Some(changed) = &change.key else { return Ok(true) };
            let is_same = is_attribute == change.is_attribute;
            let stays = change.value.is_some() && !inserts_before(change);
            let index = |text: &str| text.parse::<i64>().ok();
            let moves = is_list && !stays && index(changed) < index(&name);
            Ok(**changed == *name && is_same || moves)
        };
        let mut until = at.seq();
        let (change, is_key) = loop {
            self.steps += 1;
            if self.steps > super::STEPS_MAX {
                return lost(format!("{text}: the object was changed too often since"));
            }
            let change = state.change_of(run_id, id, until, Direction::Backward, &mut may_be)?;
            let Some(change) = change else {
                return self.unchanged(id, key, text, at, held, seen);
            };
            // A change that moves the item has another key.
            let is_key = change.key.as_deref().is_some_and(|changed| *changed == *name);
            if is_key || !self.cannot_touch(id, key, is_list, &change, seen)? {
                break (change, is_key);
            }
            until = change.at.seq;
        };
        let change_at = Position::new(change.at.seq);
        let found = Seen { text: change.value.clone(), object_id: change.value_id };
        let by = self.executed(change_at)?;
        let does = match &by {
            Some(by) => Some(self.instruction(by)?.0.does),
            None => None,
        };
        match (&by, &*change.operation, does) {
            (Some(by), "set attribute", Some(Does::Take(2))) => {
                let next = Goal::Slot { of: *by, slot: self.below(by, 2)? };
                self.step(change_at, LinkKind::Attribute, text, found, next)
            }
            (Some(by), "set item", Some(Does::Take(3))) if change.key.is_some() => {
                let next = Goal::Slot { of: *by, slot: self.below(by, 3)? };
                self.step(change_at, LinkKind::Item, text, found, next)
            }
            (None, operation, _) if is_key && stores_last_argument(operation) => {
                let found = Seen { object_id: found.object_id.or(seen.object_id), ..found };
                let kind = if is_attribute { LinkKind::Attribute } else { LinkKind::Item };
                self.last_argument(change_at, kind, operation, text, found)
            }
            (None, "list.append", _) => {
                // The appended value is the one that is traced, because it is at this index.
                let found = match seen.object_id {
                    Some(_) => Seen { object_id: found.object_id.or(seen.object_id), ..found },
                    None => seen.clone(),
                };
                self.last_argument(change_at, LinkKind::Item, "list.append", text, found)
            }
            (None, operation, _) if is_key && change.value.is_some() => {
                let text = operation.to_owned();
                let link = self.link(change_at, LinkKind::FromC, text, &found)?;
                Ok(Next::End(Box::new(link), Stop::Other))
            }
            (_, operation, _) if is_list => lost(format!(
                "{text}: before {operation} changed the list, which item it was is not known"
            )),
            (None, operation, _) => {
                let text = operation.to_owned();
                let link = self.link(change_at, LinkKind::FromC, text, &Seen::default())?;
                Ok(Next::End(Box::new(link), Stop::Other))
            }
            (_, operation, _) => lost(format!("{text} was changed by {operation}")),
        }
    }

    /// Whether this change, recorded without `key`, cannot have changed the value at `key`.
    fn cannot_touch(
        &mut self,
        id: ObjectId,
        key: &Key,
        is_list: bool,
        change: &Mutation,
        seen: &Seen,
    ) -> Result<bool, Lost> {
        let at = Position::new(change.at.seq);
        let before = match self.executed(at)? {
            Some(_) => at,
            None => self.calling(at)?.map_or(at, |by| by.at),
        };
        let Some(found) = self.members(id, before, key)? else { return Ok(false) };
        if let (true, Key::Index(index)) = (is_list, key) {
            // These add items at the end only.
            let grows = matches!(&*change.operation, "list.append" | "list.extend");
            let index = u64::try_from(*index).unwrap_or(u64::MAX);
            return Ok(grows && found.length.is_some_and(|length| index < length));
        }
        Ok(found.found.is_some_and(|found| found.is(seen)))
    }

    /// Follows what a function in C stored to the last argument of its call.
    fn last_argument(
        &mut self,
        at: Position,
        kind: LinkKind,
        operation: &str,
        text: &str,
        seen: Seen,
    ) -> Result<Next, Lost> {
        let Some(by) = self.calling(at)? else {
            return lost(format!("what called {operation} is not known"));
        };
        let (instruction, _) = self.instruction(&by)?;
        if instruction.does != Does::Call || instruction.operand == 0 {
            return lost(format!("{operation} was called from C"));
        }
        let next = Goal::Slot { of: by, slot: self.below(&by, 1)? };
        self.step(at, kind, text, seen, next)
    }

    /// The instruction during which an event of its call happened.
    pub(super) fn calling(&mut self, at: Position) -> Result<Option<Executed>, Lost> {
        let Some(spot) = self.timeline.spot(at, &mut self.missing)? else { return Ok(None) };
        let Some(frame) = spot.frame else { return Ok(None) };
        let Some(code) = spot.within.code_of(frame) else { return Ok(None) };
        self.last_executed(spot.within.call_of(frame), code, at)
    }

    /// Follows an attribute or item that was not changed since its object was made.
    fn unchanged(
        &mut self,
        id: ObjectId,
        key: &Key,
        text: &str,
        at: Position,
        held: Option<(Executed, u32)>,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let members = self.members(id, at, key)?;
        if let Key::Attribute(name) = key {
            let members = members.filter(|members| members.found.is_none());
            return lost(match members {
                Some(members) if !members.has_attributes => {
                    format!("{text}: the attributes of a {} are not recorded", members.class)
                }
                Some(members) => format!(
                    "{text}: {name} is no attribute of the object itself, but of {}",
                    members.class
                ),
                None => format!("{text}: what set {name} is not in the recording"),
            });
        }
        match held {
            Some((of, slot)) => self.created(&of, slot, Some(id), key, text, seen),
            None => lost(format!("{text}: it was there when the object was made")),
        }
    }

    /// Follows an item of the value in a slot to its last change, or to where the container was
    /// made.
    pub(super) fn element(
        &mut self,
        of: &Executed,
        slot: u32,
        key: &Key,
        text: &str,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let container = self.held(of, slot, 0)?;
        let id = container.and_then(|container| container.object_id);
        let members = match id {
            Some(id) => self.members(id, of.at, key)?,
            None => None,
        };
        match (id, members) {
            (Some(id), Some(members)) if matches!(&*members.class, "list" | "dict") => {
                let (key, text) = (key.clone(), text.into());
                Ok(Next::On(Goal::Member { id, key, text, at: of.at, held: Some((*of, slot)) }))
            }
            (Some(_), Some(members)) if &*members.class != "tuple" => {
                lost(format!("{text}: how a {} gives its items is not known", members.class))
            }
            _ => self.created(of, slot, id, key, text, seen),
        }
    }

    /// Follows an item that is in its container since that was made, to its value at that time.
    fn created(
        &mut self,
        of: &Executed,
        slot: u32,
        id: Option<ObjectId>,
        key: &Key,
        text: &str,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let container = Seen { text: None, object_id: id };
        let (links, stop) = self.chain(Goal::Slot { of: *of, slot }, container, of.at)?;
        let last = links.last();
        let by = match stop {
            Stop::Packed { call, slot } => return self.packed(call, slot, key, text),
            Stop::Put(by) => by,
            Stop::Other => {
                let why = last.map(|link| link.text.clone()).unwrap_or_default();
                return lost(format!("{text}: where its container came from is not known: {why}"));
            }
        };
        let (instruction, _) = self.instruction(&by)?;
        let count = instruction.operand;
        let at = match (instruction.does, key) {
            (Does::Tuple | Does::List, Key::Index(index)) => {
                let index = if *index < 0 { index + i64::from(count) } else { *index };
                u32::try_from(index).ok().filter(|index| *index < count).map(|index| count - index)
            }
            (Does::Map, Key::Item(key)) => {
                let mut found = None;
                for pair in (0..count).rev() {
                    let from_top = 2 * (count - pair);
                    let slot = self.below(&by, from_top)?;
                    match self.held(&by, slot, 0)?.and_then(|key| key.text) {
                        Some(text) if *text == **key => found = Some(from_top - 1),
                        Some(_) => continue,
                        // The key is not known, so it may be this one.
                        None => {}
                    }
                    break;
                }
                found
            }
            (Does::ConstKeyMap, Key::Item(key)) => {
                let text = self.text_of(&by)?;
                let keys = text.as_deref().and_then(source::keys).unwrap_or_default();
                let at = keys.iter().rposition(|of| of == key);
                at.filter(|_| keys.len() == count as usize).map(|at| count + 1 - at as u32)
            }
            _ => None,
        };
        if let Some(from_top) = at {
            let next = Goal::Slot { of: by, slot: self.below(&by, from_top)? };
            return self.step(by.at, LinkKind::Item, text, seen.clone(), next);
        }
        match last {
            Some(link) if link.kind == LinkKind::Literal => {
                let text = link.text.clone();
                self.end(&by, LinkKind::Literal, text)
            }
            Some(link) if link.kind == LinkKind::FromC || link.kind == LinkKind::Computed => {
                let (kind, text) = (link.kind, link.text.clone());
                self.end(&by, kind, text)
            }
            Some(link) if link.kind == LinkKind::Made => {
                let text = link.text.clone();
                self.end(&by, LinkKind::Computed, text)
            }
            _ => lost(format!("{text}: how its container was filled is not known")),
        }
    }

    /// Follows an item of `*args` or `**kwargs` to the argument.
    fn packed(
        &mut self,
        call: dashcam_schema::calls::CallId,
        slot: u32,
        key: &Key,
        text: &str,
    ) -> Result<Next, Lost> {
        let target = match key {
            Key::Index(index) => match u32::try_from(*index) {
                Ok(index) => Target::More { slot, index },
                Err(_) => return lost(format!("{text}: which argument that was is not known")),
            },
            Key::Item(name) => Target::Named(name.trim_matches('\'').into()),
            Key::Attribute(_) => return lost("arguments have no attributes"),
        };
        Ok(Next::On(Goal::Argument { call, target, name: text.into() }))
    }

    /// Follows the value that a loop takes from its iterator to the item or to what yielded it.
    pub(super) fn next_item(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        let followed = self.followed(by)?;
        let mut generators = followed.entered.iter();
        if let Some((entered, call, _)) = generators.next() {
            let Some((at, kind, found)) = self.yielded(*call, *entered)? else {
                return lost("what the generator yielded is not in the recording");
            };
            let name = self.timeline.here(at)?.map(|here| here.qualname).unwrap_or_default();
            if kind == EventKind::PY_RETURN {
                return self.step(
                    at,
                    LinkKind::Returned,
                    name,
                    found,
                    Goal::Left { call: *call, at },
                );
            }
            return self.step(at, LinkKind::Yielded, name, found, Goal::Left { call: *call, at });
        }
        let iterator = self.below(by, self.iterator_places(by))?;
        let Producer::Put(iterate, _) = self.producer(by, iterator)? else {
            return lost("what is iterated over is not known");
        };
        let (instruction, _) = self.instruction(&iterate)?;
        if !matches!(instruction.does, Does::Iterate | Does::Await) {
            return lost("what is iterated over was made elsewhere");
        }
        let slot = self.below(&iterate, 1)?;
        let expression = self.expression(&iterate, slot)?;
        let container = self.held(&iterate, slot, 0)?;
        let id = container.and_then(|container| container.object_id);
        let class = match id {
            Some(id) => self.members(id, iterate.at, &Key::Index(0))?.map(|found| found.class),
            None => None,
        };
        let is_display = id.is_none() && self.is_display(&iterate, slot)?;
        if !is_display && !class.as_deref().is_some_and(|class| matches!(class, "list" | "tuple")) {
            return self.end(by, LinkKind::FromC, format!("the next item of {expression}"));
        }
        // Counts how often the instruction was executed before, which is the index of the item.
        let (mut index, unit) = (0i64, by.unit);
        self.walk(by.call, by.at, Direction::Backward, |at, _, did| {
            if at == iterate.at {
                return ControlFlow::Break(());
            }
            index += i64::from(did == Did::Execute(unit));
            ControlFlow::Continue(())
        })?;
        let key = Key::Index(index);
        let text: Box<str> = format!("{expression}[{index}]").into();
        match id.filter(|_| class.as_deref() == Some("list")) {
            Some(id) => {
                let now = self.members(id, by.at, &key)?.and_then(|members| members.found);
                if !now.is_some_and(|now| now.may_be(seen)) {
                    return self.end(by, LinkKind::FromC, format!("the next item of {expression}"));
                }
                Ok(Next::On(Goal::Member { id, key, text, at: by.at, held: Some((iterate, slot)) }))
            }
            None => self.created(&iterate, slot, id, &key, &text, seen),
        }
    }

    /// Whether the value in a slot is a tuple or list display or a constant, to which nothing else
    /// refers.
    fn is_display(&mut self, of: &Executed, slot: u32) -> Result<bool, Lost> {
        let Producer::Put(by, _) = self.producer(of, slot)? else { return Ok(false) };
        let (instruction, _) = self.instruction(&by)?;
        Ok(matches!(instruction.does, Does::Tuple | Does::List | Does::Const))
    }
}

/// Whether a change inserts an item before others.
fn inserts_before(change: &Mutation) -> bool {
    let method = change.operation.rsplit('.').next().unwrap_or_default();
    matches!(method, "insert" | "appendleft" | "extendleft")
}

/// Whether a function in C stores its last argument.
fn stores_last_argument(operation: &str) -> bool {
    let method = operation.rsplit('.').next().unwrap_or_default();
    matches!(
        method,
        "setattr"
            | "setitem"
            | "setdefault"
            | "__setattr__"
            | "__setitem__"
            | "append"
            | "appendleft"
            | "insert"
            | "add"
    )
}
