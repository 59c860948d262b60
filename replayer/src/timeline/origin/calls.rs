//! Follows a result into the callee, and an argument to the caller.

use super::source::{self, Parameter, Written};
use super::trace::{Executed, Producer};
use super::{Goal, Link, LinkKind, Lost, Next, Stop, Target, Tracer, lost};
use crate::state::{Did, Direction, Key, Seen};
use crate::store::{Error, Evaluated, Variables};
use crate::timeline::Position;
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use std::ops::ControlFlow;

/// The beginning of a call, and its function.
struct Callee<'a> {
    start: Position,
    qualname: String,
    variables: &'a Variables,
    code: &'a Evaluated,
    /// The parameters as written; `None` if the source does not show them.
    parameters: Option<Vec<Parameter>>,
}

impl Callee<'_> {
    /// Number of parameters, without `*args` and `**kwargs`.
    fn plain(&self) -> usize {
        let more = usize::from(self.code.has_varargs()) + usize::from(self.code.has_varkeywords());
        self.variables.arguments.saturating_sub(more)
    }

    /// Number of parameters that can be passed by position; `None` if that is not known.
    fn positional(&self) -> Option<usize> {
        self.parameters
            .as_ref()
            .map(|parameters| parameters.iter().filter(|p| !p.is_keyword_only).count())
    }
}

/// The arguments of a call.
struct CallArguments {
    /// The calling instruction.
    by: Executed,
    place: ArgumentPlace,
    /// Names of the arguments that were passed by name, which come last.
    names: Vec<Box<str>>,
    /// Number of arguments that were passed by position; `None` if that is not known.
    positional: Option<usize>,
    /// The slot of the receiver, if the callable may be a method of the value there; true if it
    /// certainly is.
    receiver: Option<(u32, bool)>,
    /// The slot of the callable, if it has no receiver beside it.
    callable: u32,
}

/// Where the arguments of a call are.
#[derive(Clone, Copy)]
enum ArgumentPlace {
    /// On the stack, from this slot on.
    Stack(u32),
    /// `f(*args, **kwargs)`: the slots of the tuple, and of the dict if there is one.
    Packed { tuple: u32, dict: Option<u32> },
}

impl<'a> Tracer<'a> {
    /// Follows the result of a call to what returned it.
    pub(super) fn called(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        let followed = self.followed(by)?;
        let callable = |tracer: &Self, at: Option<Position>| -> Result<String, Error> {
            let here = at.map(|at| tracer.timeline.here(at)).transpose()?.flatten();
            Ok(here.and_then(|here| here.callable).unwrap_or_default())
        };
        if let Some(at) = followed.c_return {
            let name = callable(self, Some(at))?;
            if name == "__build_class__" {
                let text = self.shown(by, "class")?;
                let text = text.split(':').next().unwrap_or_default().to_owned();
                return self.end(by, LinkKind::Made, text);
            }
            let mut class = None;
            if let Some(id) = seen.object_id {
                // An object without an `__init__` is described only at the next instruction.
                for at in [Some(at), followed.next].into_iter().flatten() {
                    if class.is_none() {
                        let found = self.members(id, at, &Key::Index(0))?;
                        class = found.map(|found| found.class);
                    }
                }
            }
            let is_made = class.is_some_and(|class| last(&class) == last(&name));
            let kind = if is_made { LinkKind::Made } else { LinkKind::FromC };
            let text = match is_made {
                true => self.shown(by, &name)?,
                false => self.call_text(name, followed.called)?,
            };
            return self.end(by, kind, text);
        }
        if let Some((_, call, EventKind::PY_START)) = followed.entered.first() {
            let Some((at, found)) = self.result(*call)? else {
                return lost("no return of the call was recorded");
            };
            let name = self.timeline.here(at)?.map(|here| here.qualname).unwrap_or_default();
            return self.step(at, LinkKind::Returned, name, found, Goal::Left { call: *call, at });
        }
        let class = match (seen.object_id, followed.next) {
            (Some(id), Some(next)) => self.members(id, next, &Key::Index(0))?,
            _ => None,
        };
        let is_suspended = class.as_ref().is_some_and(|found| {
            matches!(&*found.class, "generator" | "coroutine" | "async_generator")
        });
        match is_suspended || followed.entered.is_empty() && followed.next.is_some() {
            true => {
                let name = callable(self, followed.called)?;
                let text = self.shown(by, &name)?;
                self.end(by, LinkKind::Made, text)
            }
            false => lost("what was called is not in the recording"),
        }
    }

    /// Follows what a call returns or yields at a position to what pushed it.
    pub(super) fn left(&mut self, call: CallId, at: Position) -> Result<Next, Lost> {
        let Some(spot) = self.timeline.spot(at, &mut self.missing)? else {
            return lost("where the call returned cannot be read");
        };
        let Some((_, code)) = spot.within.context(spot.index)? else {
            return lost("where the call returned cannot be read");
        };
        let Some(by) = self.last_executed(call, code, at)? else {
            return lost("what the callee executed is not in the recording");
        };
        let (instruction, _) = self.instruction(&by)?;
        match instruction.does {
            Does::Return | Does::Yield => {
                Ok(Next::On(Goal::Slot { of: by, slot: self.below(&by, 1)? }))
            }
            Does::ReturnConst => {
                let text = self.shown(&by, "a constant")?;
                self.end(&by, LinkKind::Literal, text)
            }
            _ => lost("how the callee returned is not known"),
        }
    }

    /// Follows the value of a `with` statement to what `__enter__` returned.
    pub(super) fn entered(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        match self.by_python(by, seen)? {
            Some(next) => Ok(next),
            None => {
                let text = self.shown(by, "a context manager")?;
                self.end(by, LinkKind::FromC, format!("__enter__ of {text}"))
            }
        }
    }

    /// Follows the result of an `await` or `yield from` to what returned or yielded it.
    pub(super) fn awaited(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        let followed = self.followed(by)?;
        let found = match followed.entered.first() {
            Some((entered, call, _)) => {
                let found = self.yielded(*call, *entered)?;
                found.map(|(at, kind, found)| (*call, at, kind, found))
            }
            None => None,
        };
        match found {
            Some((call, at, kind, found)) => {
                let name = self.timeline.here(at)?.map(|here| here.qualname).unwrap_or_default();
                let kind = match kind {
                    EventKind::PY_YIELD => LinkKind::Yielded,
                    _ => LinkKind::Returned,
                };
                self.step(at, kind, name, found, Goal::Left { call, at })
            }
            None => match self.by_python(by, seen)? {
                Some(next) => Ok(next),
                None => {
                    let text = self.shown(by, "something awaited")?;
                    self.end(by, LinkKind::FromC, text)
                }
            },
        }
    }

    /// Follows the value that was sent into a generator to the sender.
    pub(super) fn sent(&mut self, by: &Executed) -> Result<Next, Lost> {
        let found = self.walk(by.call, by.at, Direction::Forward, |at, _, did| match did {
            Did::Event(EventKind::PY_RESUME, _) => ControlFlow::Break(Some(at)),
            Did::Execute(_) => ControlFlow::Break(None),
            _ => ControlFlow::Continue(()),
        })?;
        let Some(at) = found.flatten() else {
            return lost("how the generator went on is not known");
        };
        let Some(spot) = self.timeline.spot(at, &mut self.missing)? else {
            return lost("how the generator went on cannot be read");
        };
        let Some(caller) = spot.frame.and_then(|frame| spot.within.caller(frame)) else {
            return lost("what was sent in came from the interpreter itself");
        };
        let (call, code) = (spot.within.call_of(caller), spot.within.code_of(caller));
        let sender = match code {
            Some(code) => self.last_executed(call, code, at)?,
            None => None,
        };
        let Some(sender) = sender else { return lost("what sent it is not in the recording") };
        let (instruction, _) = self.instruction(&sender)?;
        match instruction.does {
            Does::Call if instruction.operand == 1 => {
                let seen = self.timeline.state().carried(self.timeline.run_id, at.seq())?;
                let text = self.shown(&sender, "send()")?;
                let next = Goal::Slot { of: sender, slot: self.below(&sender, 1)? };
                self.step(at, LinkKind::Argument, text, seen.unwrap_or_default(), next)
            }
            Does::Next => self.end(&sender, LinkKind::Literal, "None"),
            Does::Send => Ok(Next::On(Goal::Slot { of: sender, slot: self.below(&sender, 1)? })),
            _ => lost("what sent it is not known"),
        }
    }

    /// Where the exception that a handler found was first raised.
    pub(super) fn raise_before(&mut self, handler: &Executed) -> Result<Option<Position>, Lost> {
        let found =
            self.walk(handler.call, handler.at, Direction::Backward, |at, _, did| match did {
                Did::Event(EventKind::RAISE | EventKind::PY_THROW, _) => ControlFlow::Break(at),
                _ => ControlFlow::Continue(()),
            })?;
        let Some(mut raised) = found else { return Ok(None) };
        // While the exception came out of a call, it was raised in that call.
        loop {
            let Some(by) = self.calling(raised)? else { return Ok(Some(raised)) };
            let entered = self.followed(&by)?.entered;
            let Some((_, call, _)) = entered.into_iter().rfind(|(at, ..)| *at < raised) else {
                return Ok(Some(raised));
            };
            let mut is_left = false;
            let farther = self.walk(call, raised, Direction::Backward, |at, _, did| match did {
                Did::Event(EventKind::PY_UNWIND, _) if !is_left => {
                    is_left = true;
                    ControlFlow::Continue(())
                }
                Did::Event(EventKind::RAISE, _) if is_left => ControlFlow::Break(Some(at)),
                _ if is_left => ControlFlow::Continue(()),
                _ => ControlFlow::Break(None),
            })?;
            match farther.flatten() {
                Some(farther) => raised = farther,
                None => return Ok(Some(raised)),
            }
        }
    }

    /// The call that begins at a position.
    fn callee(&mut self, start: Position) -> Result<Callee<'a>, Lost> {
        let unreadable = || Lost::Why("the call cannot be read".into());
        let spot = self.timeline.spot(start, &mut self.missing)?.ok_or_else(unreadable)?;
        let (_, code) = spot.within.context(spot.index)?.ok_or_else(unreadable)?;
        let store = &self.timeline.store;
        let process = self.process(spot.chunk);
        let variables = store.variables(process, code).ok_or_else(unreadable)?;
        let evaluated = store.evaluated(process, code).ok_or_else(unreadable)?;
        let index = process.codes.get(&code).ok_or_else(unreadable)?;
        let entry = &store.directory().codes[*index];
        let text = store.source_of(entry.code_id)?;
        let text = text.as_ref().and_then(|text| text.from_line(evaluated.first_line as usize));
        let mut callee = Callee {
            start,
            qualname: store.directory().texts.get(entry.qualname).unwrap_or_default().to_owned(),
            variables,
            code: evaluated,
            parameters: None,
        };
        let parameters = text.and_then(|text| source::parameters(text, &evaluated.name));
        callee.parameters = parameters.filter(|all| all.len() == callee.plain());
        Ok(callee)
    }

    /// Follows an argument to the value that the caller passed.
    pub(super) fn argument(
        &mut self,
        call: CallId,
        target: &Target,
        name: &str,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let start = Position::new(call.cast_signed());
        let callee = self.callee(start)?;
        let spot = self.timeline.spot(start, &mut self.missing)?;
        let spot = spot.ok_or_else(|| Lost::Why("the call cannot be read".into()))?;
        let Some(caller) = spot.frame.and_then(|frame| spot.within.caller(frame)) else {
            return lost("the interpreter itself called it, as the first of its thread");
        };
        let Some(code) = spot.within.code_of(caller) else {
            return lost("the caller is not known");
        };
        let Some(by) = self.last_executed(spot.within.call_of(caller), code, start)? else {
            return lost("where it was called is not in the recording");
        };
        let (instruction, depth) = self.instruction(&by)?;
        match instruction.does {
            Does::Call | Does::CallKw | Does::CallEx => {
                let followed = self.followed(&by)?;
                let called = match followed.c_return.or(followed.called) {
                    Some(at) => self.timeline.here(at)?.and_then(|here| here.callable),
                    None => None,
                };
                let is_it = called.as_deref().is_none_or(|called| {
                    called.ends_with(&callee.qualname) || callee.qualname.ends_with(called)
                });
                let is_first = followed.entered.first().is_some_and(|(at, ..)| *at == start);
                if is_first && followed.c_return.is_none() && (followed.next.is_some() || is_it) {
                    return self.given(&callee, &by, None, target, name, seen);
                }
                let called = called.unwrap_or_else(|| "a function".to_owned());
                if matches!(&*callee.code.name, "__init__" | "__new__")
                    && self.is_class_of(&callee, &called)?
                {
                    if *target == Target::Parameter(0) {
                        let text = self.shown(&by, &called)?;
                        return self.end(&by, LinkKind::Made, text);
                    }
                    return self.given(&callee, &by, Some(1), target, name, seen);
                }
                if callee.code.suspends()
                    && instruction.does == Does::Call
                    && instruction.operand > 0
                {
                    // next(g), list(g) and the like begin a generator.
                    let slot = depth.saturating_sub(instruction.operand);
                    if let Some(made) = self.made(&by, slot, &callee)? {
                        return self.given(&callee, &made, None, target, name, seen);
                    }
                }
                let mut link = self.link(
                    by.at,
                    LinkKind::FromC,
                    format!("called from C by {called}"),
                    &Seen::default(),
                )?;
                link.value = seen.text.as_deref().map(str::to_owned);
                Ok(Next::End(Box::new(link), Stop::Other))
            }
            Does::Send | Does::Next => {
                let above = u32::from(instruction.does == Does::Send);
                let iterator = self.below(&by, above + self.iterator_places(&by))?;
                match self.made(&by, iterator, &callee)? {
                    Some(made) => self.given(&callee, &made, None, target, name, seen),
                    None => lost(format!("where {} was called is not known", callee.qualname)),
                }
            }
            _ => self.operand(&by, seen),
        }
    }

    /// Number of stack slots that an iterator takes; the iterator is in the first.
    pub(super) fn iterator_places(&self, by: &Executed) -> u32 {
        self.evaluated(by).map_or(1, |code| code.evaluation.version.iterator_places())
    }

    /// The call that made the generator in a slot, if it is a generator of function `callee`.
    fn made(
        &mut self,
        by: &Executed,
        slot: u32,
        callee: &Callee<'_>,
    ) -> Result<Option<Executed>, Lost> {
        let goal = match self.producer(by, slot)? {
            // The iterator of a generator is the generator itself.
            Producer::Put(iterate, _)
                if matches!(self.instruction(&iterate)?.0.does, Does::Iterate | Does::Await) =>
            {
                Goal::Slot { of: iterate, slot: self.below(&iterate, 1)? }
            }
            _ => Goal::Slot { of: *by, slot },
        };
        let (links, stop) = self.chain(goal, Seen::default(), by.at)?;
        let (Some(Link { kind: LinkKind::Made, .. }), Stop::Put(made)) = (links.last(), stop)
        else {
            return Ok(None);
        };
        let (instruction, _) = self.instruction(&made)?;
        if !matches!(instruction.does, Does::Call | Does::CallKw | Does::CallEx) {
            return Ok(None);
        }
        let called = self.followed(&made)?.called;
        let here = called.map(|at| self.timeline.here(at)).transpose()?.flatten();
        let name = here.and_then(|here| here.callable);
        let is_it = name.is_some_and(|name| {
            let (name, of) = (last(&name).to_owned(), last(&callee.qualname));
            name == of
        });
        Ok(is_it.then_some(made))
    }

    /// Whether the first argument is a class with this name, or an instance of one.
    fn is_class_of(&mut self, callee: &Callee<'_>, called: &str) -> Result<bool, Lost> {
        let Some(name) = callee.variables.name(0) else { return Ok(false) };
        let bound =
            self.timeline.state().seen_bound(self.timeline.run_id, callee.start.seq(), name)?;
        let Some(bound) = bound else { return Ok(false) };
        let Some(id) = bound.object_id else { return Ok(false) };
        let Some(found) = self.members(id, callee.start, &Key::Index(0))? else { return Ok(false) };
        if found.is_class {
            let text = bound.text.unwrap_or_default();
            let named = text.trim_end_matches("'>");
            return Ok(named.ends_with(last(called)));
        }
        Ok(last(&found.class) == last(called))
    }

    /// Follows an argument that the interpreter passed for an instruction that is not a call, to
    /// the operand with this value.
    fn operand(&mut self, by: &Executed, seen: &Seen) -> Result<Next, Lost> {
        let (instruction, depth) = self.instruction(by)?;
        let takes = match (self.evaluated(by), instruction.does) {
            (_, Does::Next) => self.iterator_places(by),
            (None, _) => 1,
            (Some(code), _) => code.evaluation.effect(&instruction).takes,
        };
        let mut found = None;
        for slot in depth.saturating_sub(takes)..depth {
            let held = self.held(by, slot, 0)?.unwrap_or_default();
            if held.is(seen) {
                if found.is_some() {
                    found = None;
                    break;
                }
                found = Some(slot);
            }
        }
        match found {
            Some(slot) => Ok(Next::On(Goal::Slot { of: *by, slot })),
            None => {
                let text = self.shown(by, "an operator")?;
                lost(format!("it was passed by the interpreter, for {text}"))
            }
        }
    }

    /// The arguments of a call.
    fn call_arguments(&mut self, by: &Executed) -> Result<CallArguments, Lost> {
        let (instruction, depth) = self.instruction(by)?;
        let version = self.evaluated(by).map(|code| code.evaluation.version);
        let count = instruction.operand;
        let under = |slot: u32, more: u32| {
            slot.checked_sub(more)
                .ok_or_else(|| Lost::Why("the bytecode cannot be followed here".into()))
        };
        if instruction.does == Does::CallEx {
            let (tuple, dict) = match version {
                Some(Version::V3_14 | Version::V3_15) => (under(depth, 2)?, Some(under(depth, 1)?)),
                _ if count & 1 == 1 => (under(depth, 2)?, Some(under(depth, 1)?)),
                _ => (under(depth, 1)?, None),
            };
            let dict = match dict {
                Some(slot) => match self.producer(by, slot)? {
                    Producer::Put(put, _) if self.instruction(&put)?.0.does == Does::Null => None,
                    _ => Some(slot),
                },
                None => None,
            };
            let held = self.held(by, tuple, 0)?.and_then(|held| held.object_id);
            let length = match held {
                Some(id) => self.members(id, by.at, &Key::Index(0))?.and_then(|found| found.length),
                None => None,
            };
            let place = ArgumentPlace::Packed { tuple, dict };
            let positional = length.and_then(|length| usize::try_from(length).ok());
            let more = if version == Some(Version::V3_12) { 1 } else { 2 };
            let callable = under(tuple, more)?;
            let (names, receiver) = (Vec::new(), None);
            return Ok(CallArguments { by: *by, place, names, positional, receiver, callable });
        }
        let mut names = Vec::new();
        let is_named = match instruction.does {
            Does::CallKw => true,
            _ if version == Some(Version::V3_12) => {
                let before = self.last_executed(by.call, by.code, by.at)?;
                let before = before.map(|before| self.instruction(&before)).transpose()?;
                before.is_some_and(|(before, _)| before.does == Does::KwNames)
            }
            _ => false,
        };
        if is_named {
            let text = self.text_of(by)?;
            let written = text.as_deref().and_then(source::arguments).unwrap_or_default();
            if written.len() != count as usize || written.contains(&Written::Starred) {
                return lost("which arguments have names is not known");
            }
            names = written
                .into_iter()
                .filter_map(|written| match written {
                    Written::Named(name) => Some(name),
                    _ => None,
                })
                .collect();
        }
        let first = under(depth, count + u32::from(instruction.does == Does::CallKw))?;
        let slot = under(first, 1)?;
        let receiver = match self.producer(by, slot)? {
            Producer::Put(put, output) => {
                let does = self.instruction(&put)?.0.does;
                let below = match version {
                    Some(Version::V3_12) => self.producer(by, under(first, 2)?)?,
                    _ => Producer::Put(put, output),
                };
                let is_null = match below {
                    Producer::Put(below, below_output) => {
                        let (found, _) = self.instruction(&below)?;
                        let null = u32::from(version != Some(Version::V3_12));
                        found.does == Does::Null
                            || found.does == Does::Global
                                && below_output == null
                                && found.operand & 1 == 1
                    }
                    Producer::Raised(_) => false,
                };
                let may_be = matches!(does, Does::Attribute | Does::SuperAttribute | Does::Special);
                (!is_null).then_some((slot, !may_be))
            }
            Producer::Raised(_) => None,
        };
        let positional = Some(count as usize - names.len().min(count as usize));
        let more = if version == Some(Version::V3_12) { 1 } else { 2 };
        let callable = under(first, more)?;
        Ok(CallArguments {
            by: *by,
            place: ArgumentPlace::Stack(first),
            names,
            positional,
            receiver,
            callable,
        })
    }

    /// Follows a parameter to the value that the call passed for it. `shift` is the number of
    /// parameters before the first argument, if known.
    fn given(
        &mut self,
        callee: &Callee<'_>,
        by: &Executed,
        shift: Option<usize>,
        target: &Target,
        name: &str,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let given = self.call_arguments(by)?;
        let shifts: &[usize] = match (shift, given.receiver) {
            (Some(0), _) => &[0],
            (Some(_), _) | (None, Some((_, true))) => &[1],
            (None, Some((_, false))) => &[0, 1],
            (None, None) => match self.class_of_callable(&given)?.as_deref() {
                Some("function") => &[0],
                Some("method") => &[1],
                _ => &[0, 1],
            },
        };
        let mut fitting = Vec::new();
        for shift in shifts {
            if shifts.len() == 1 || self.fits(callee, &given, *shift)? {
                fitting.push(*shift);
            }
        }
        let [shift] = *fitting.as_slice() else {
            return lost(format!("which argument of the call {name} was is not known"));
        };
        let slot = match target {
            Target::Parameter(slot) => *slot as usize,
            Target::More { index, .. } => match callee.positional() {
                Some(positional) => {
                    return self.by_position(
                        callee,
                        &given,
                        positional + *index as usize,
                        shift,
                        name,
                        seen,
                    );
                }
                None => return lost(format!("which argument of the call {name} was is not known")),
            },
            Target::Named(named) => return self.by_name(&given, named, name),
        };
        let (plain, code) = (callee.plain(), callee.code);
        if slot >= plain {
            let text = self.shown(by, "a call")?;
            let link = self.link(by.at, LinkKind::Made, text, seen)?;
            let stop = Stop::Packed { call: callee.start.seq().cast_unsigned(), slot: slot as u32 };
            return Ok(Next::End(Box::new(link), stop));
        }
        let named = callee.variables.name(slot as Slot).unwrap_or_default();
        if given.names.iter().any(|of| **of == *named) {
            return self.by_name(&given, named, name);
        }
        let is_positional = match callee.positional() {
            Some(positional) => slot < positional,
            None if code.has_varargs() => {
                return lost(format!("which argument of the call {name} was is not known"));
            }
            None => true,
        };
        let count = given.positional.map(|count| count + shift);
        match count {
            Some(count) if is_positional && slot < count => {
                self.by_position(callee, &given, slot, shift, name, seen)
            }
            None if is_positional => lost("how many arguments the call was given is not known"),
            _ => {
                if let ArgumentPlace::Packed { dict: Some(_), .. } = given.place {
                    return self.by_name(&given, named, name);
                }
                let link = self.link(callee.start, LinkKind::Default, named.to_owned(), seen)?;
                Ok(Next::End(Box::new(link), Stop::Other))
            }
        }
    }

    /// The class of the callable.
    fn class_of_callable(&mut self, given: &CallArguments) -> Result<Option<Box<str>>, Lost> {
        let held = self.held(&given.by, given.callable, 0)?;
        let Some(id) = held.and_then(|held| held.object_id) else { return Ok(None) };
        let found = self.members(id, given.by.at, &Key::Index(0))?;
        Ok(found.map(|found| found.class))
    }

    /// Whether the call is possible with the receiver as first argument (`shift` 1) or without (0).
    fn fits(
        &mut self,
        callee: &Callee<'_>,
        given: &CallArguments,
        shift: usize,
    ) -> Result<bool, Lost> {
        let Some(positional) = given.positional else { return Ok(true) };
        let count = positional + shift;
        if let Some(parameters) = &callee.parameters {
            let can = callee.positional().unwrap_or(0);
            if count > can && !callee.code.has_varargs() {
                return Ok(false);
            }
            let may_be_named = matches!(given.place, ArgumentPlace::Packed { dict: Some(_), .. });
            let is_missing = |(at, parameter): (usize, &Parameter)| {
                let is_given = !parameter.is_keyword_only && at < count;
                let is_named = given.names.contains(&parameter.name);
                is_given && is_named
                    || !is_given && !is_named && !parameter.has_default && !may_be_named
            };
            if parameters.iter().enumerate().any(is_missing) {
                return Ok(false);
            }
        } else if count > callee.plain() && !callee.code.has_varargs() {
            return Ok(false);
        }
        let known = callee.positional().unwrap_or(callee.plain());
        let (state, run_id) = (self.timeline.state(), self.timeline.run_id);
        let bound = |slot: usize| -> Result<Option<Seen>, Error> {
            match callee.variables.name(slot as Slot) {
                Some(name) => state.seen_bound(run_id, callee.start.seq(), name),
                None => Ok(None),
            }
        };
        for at in 0..positional {
            if at + shift >= known {
                break;
            }
            let (Some(held), Some(bound)) = (self.at_position(given, at)?, bound(at + shift)?)
            else {
                continue;
            };
            if !held.may_be(&bound) || held.object_id.is_some() != bound.object_id.is_some() {
                return Ok(false);
            }
        }
        if let (1, Some((slot, _))) = (shift, given.receiver)
            && let (Some(held), Some(bound)) = (self.held(&given.by, slot, 0)?, bound(0)?)
            && !held.may_be(&bound)
        {
            // A class method can be looked up on an instance, and then receives the class.
            return Ok(self.is_class(&bound, callee.start)?);
        }
        Ok(true)
    }

    fn is_class(&self, seen: &Seen, at: Position) -> Result<bool, Error> {
        let Some(id) = seen.object_id else { return Ok(false) };
        Ok(self.members(id, at, &Key::Index(0))?.is_some_and(|found| found.is_class))
    }

    /// The value of an argument that was passed by position.
    fn at_position(&mut self, given: &CallArguments, at: usize) -> Result<Option<Seen>, Error> {
        match given.place {
            ArgumentPlace::Stack(first) => self.held(&given.by, first.saturating_add(at as u32), 0),
            ArgumentPlace::Packed { tuple, .. } => {
                let held = self.held(&given.by, tuple, 0)?;
                let Some(id) = held.and_then(|held| held.object_id) else { return Ok(None) };
                let members = self.members(id, given.by.at, &Key::Index(at as i64))?;
                Ok(members.and_then(|members| members.found))
            }
        }
    }

    /// Follows a parameter to the argument that was passed by position.
    fn by_position(
        &mut self,
        callee: &Callee<'_>,
        given: &CallArguments,
        at: usize,
        shift: usize,
        name: &str,
        seen: &Seen,
    ) -> Result<Next, Lost> {
        let Some(at) = at.checked_sub(shift) else {
            return match given.receiver {
                Some((slot, _)) => {
                    let held = self.held(&given.by, slot, 0)?;
                    if held.is_some_and(|held| !held.may_be(seen)) {
                        return lost(format!(
                            "{name} is the class that {} was looked up on",
                            callee.qualname
                        ));
                    }
                    Ok(Next::On(Goal::Slot { of: given.by, slot }))
                }
                None => lost(format!("{name} is the object of a bound method")),
            };
        };
        match given.place {
            ArgumentPlace::Stack(first) => {
                Ok(Next::On(Goal::Slot { of: given.by, slot: first.saturating_add(at as u32) }))
            }
            ArgumentPlace::Packed { tuple, .. } => {
                let key = Key::Index(at as i64);
                let text = format!("{}[{at}]", self.expression(&given.by, tuple)?).into();
                Ok(Next::On(Goal::Element { of: given.by, slot: tuple, key, text }))
            }
        }
    }

    /// Follows a parameter to the argument that was passed by name.
    fn by_name(&mut self, given: &CallArguments, named: &str, name: &str) -> Result<Next, Lost> {
        match given.place {
            ArgumentPlace::Stack(first) => {
                let at = given.names.iter().position(|of| **of == *named);
                let Some(at) = at.zip(given.positional).map(|(at, count)| at + count) else {
                    return lost(format!("which argument of the call {name} was is not known"));
                };
                Ok(Next::On(Goal::Slot { of: given.by, slot: first.saturating_add(at as u32) }))
            }
            ArgumentPlace::Packed { dict: Some(slot), .. } => {
                let key = Key::Item(format!("'{named}'").into());
                let held = self.held(&given.by, slot, 0)?.and_then(|held| held.object_id);
                let found = match held {
                    Some(id) => self.members(id, given.by.at, &key)?.and_then(|found| found.found),
                    None => None,
                };
                match found {
                    Some(_) => {
                        let text = name.into();
                        Ok(Next::On(Goal::Element { of: given.by, slot, key, text }))
                    }
                    None => lost(format!("what ** passed for {name} is not followed")),
                }
            }
            ArgumentPlace::Packed { .. } => {
                lost(format!("which argument of the call {name} was is not known"))
            }
        }
    }
}

/// The last part of a qualified name.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
