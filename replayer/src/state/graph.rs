//! The variables of a frame and the objects they lead to, to be taken apart.
//!
//! What [`State::locals_at`] writes as text, here is a graph: a variable has a [`Handle`], a look at it
//! shows what it is, and handles of what it holds. Each look asks for one object and no more, so there
//! is no limit to how deep one may go, and a number costs nothing.

use super::bindings::Held;
use super::caches::State;
use super::groups::Instant;
use super::objects::{Copied, Sight, Telling};
use super::{Bound, StackFrame, id_of};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::{Class, ObjectId, Part, Value, render};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// A value, where it was told. Means something to the graph it came from only.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    held: Held,
    /// By when the objects it leads to are told of, if they may be new.
    until: Option<Instant>,
    /// If it is what a variable holds: its index.
    variable: Option<usize>,
}

impl Handle {
    /// The object it is, if it is one with an identity.
    pub fn object_id(&self) -> Option<ObjectId> {
        id_of(self.held.value)
    }
}

/// A variable that is bound.
#[derive(Debug, Clone)]
pub struct Named {
    /// `local`, `global` or `cell`.
    pub scope: &'static str,
    pub name: Box<str>,
    pub value: Handle,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Look {
    None,
    Bool(bool),
    Ellipsis,
    NotImplemented,
    /// Its name is one whose values must not leave the program.
    Redacted,
    /// It could not be read, or was not recorded.
    Unread,
    /// Longer ones are objects.
    Int(i64),
    Float(f64),
    /// UTF-8 in which lone surrogates are encoded like other code points; longer ones are objects.
    Str(Rc<[u8]>),
    /// Longer ones are objects.
    Bytes(Rc<[u8]>),
    Object(Rc<Contents>),
    /// An object of which nothing is known but its identity.
    Unknown(ObjectId),
}

/// What an object held, as [`Object`](dashcam_schema::value::Object) says it. Where neither text nor items nor attributes are
/// known, its class alone is.
#[derive(Debug)]
pub struct Contents {
    pub id: ObjectId,
    pub class: Class,
    pub text: Option<Part<Rc<[u8]>>>,
    pub items: Option<Part<Vec<Handle>>>,
    /// Those that are there; `None` if nothing is known of them, or there are none.
    pub attributes: Option<Vec<(Box<str>, Handle)>>,
}

/// The variables of one frame, and the objects they lead to, as they were just before an event.
pub struct Graph<'a> {
    state: State<'a>,
    sight: Option<Sight>,
    frame: StackFrame,
    /// Those that were bound before come first.
    variables: Vec<Named>,
    /// How many were.
    before: usize,
    /// Names that the code object stores and that are not among those: whether that is because they
    /// are unbound, or nothing is known of them.
    others: Vec<(Box<str>, &'static str, Unbound)>,
    near: OnceCell<Near>,
    looks: RefCell<FxHashMap<ObjectId, Rc<Contents>>>,
}

/// Why a name that a code object stores has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    Unbound,
    /// What it holds is not known, or whether it is bound.
    Unknown,
}

/// What the variables lead to, as far as it is written with them.
struct Near {
    copied: Copied,
    /// Of each variable.
    values: Vec<Value>,
}

impl<'a> State<'a> {
    /// The variables of a frame of an event's stack as they are just before the event, and what they
    /// lead to; depth 0 is the innermost frame. `None` if there is no such event or frame, or the
    /// chunk it is in is damaged, which is noted. Of a run that was recorded without
    /// [`Capture::State`] there are no variables.
    ///
    /// [`Capture::State`]: dashcam_schema::value::Capture::State
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn graph_at(
        &self,
        run_id: i64,
        seq: i64,
        depth: usize,
    ) -> Result<Option<Graph<'a>>, Error> {
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        let Some(found) = position.stack().nth(depth) else { return Ok(None) };
        let process = self.process(position.chunk);
        let Some(frame) = position.track().and_then(|track| track.frames.get(found.0 as usize))
        else {
            return Ok(None);
        };
        let frame = StackFrame {
            process_id: process.process_id,
            call_id: frame.call_id,
            code: frame.code,
            line: None,
        };
        let state = State { store: self.store, caches: self.caches.clone() };
        let mut graph = Graph {
            state,
            sight: None,
            frame,
            variables: Vec::new(),
            before: 0,
            others: Vec::new(),
            near: OnceCell::new(),
            looks: RefCell::default(),
        };
        if !self.is_there(run_id)? {
            return Ok(Some(graph));
        }
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(sight) = self.sight_of(&position, window)? else { return Ok(Some(graph)) };
        let window = window.filter(|_| depth == 0);
        if let Some((variables, slots)) = self.slots_of(&position, found, window)? {
            let told = slots.clone();
            let [before, new] = self.bound(variables, &sight, slots)?;
            graph.before = before.len();
            let all = before.iter().chain(&new).enumerate();
            let named = |(at, (slot, name, (held, until))): (usize, &Bound<'_>)| Named {
                scope: variables.scope(*slot),
                name: (*name).into(),
                value: Handle { held: *held, until: *until, variable: Some(at) },
            };
            graph.variables = all.map(named).collect();
            let is_bound = |slot: &Slot| before.iter().chain(&new).any(|(bound, ..)| bound == slot);
            for (slot, held) in variables.stores.all().iter().zip(told) {
                let Some(name) = variables.name(*slot).filter(|_| !is_bound(slot)) else {
                    continue;
                };
                let is_cell = variables.is_cell(*slot);
                let held = match held {
                    Some((held, until)) => self.content(&sight, held, is_cell, until)?,
                    None => None,
                };
                let is_unbound = held.is_some_and(|held| held.value == Value::Unbound);
                let why = if is_unbound { Unbound::Unbound } else { Unbound::Unknown };
                graph.others.push((name.into(), variables.scope(*slot), why));
            }
        }
        graph.sight = Some(sight);
        Ok(Some(graph))
    }
}

/// What bound or unbound a name of a module.
#[derive(Debug, Clone, Copy)]
pub struct LastBinding {
    /// The INSTRUCTION event that did.
    pub seq: i64,
    /// What it was bound to; `None` if it was unbound.
    pub value: Option<Handle>,
}

impl State<'_> {
    /// The last binding of a name among the globals, before a graph's position and by these code
    /// objects of its process: by a module's code in its own namespace, by others with `global`.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn last_binding(
        &self,
        graph: &Graph<'_>,
        (run_id, seq): (i64, i64),
        codes: &[u32],
        name: &str,
    ) -> Result<Option<LastBinding>, Error> {
        let Some(sight) = &graph.sight else { return Ok(None) };
        let chunks = self.chunks_of(graph.frame.process_id);
        for chunk in chunks.iter().rev().copied() {
            let header = &self.store.chunks()[chunk];
            let has_codes = codes.iter().any(|code| header.codes.binary_search(code).is_ok());
            if header.run_id != run_id || header.first_seq >= seq || !has_codes {
                continue;
            }
            let Some(frames) = self.frames(chunk)? else { return Ok(None) };
            let (kinds, places) = (frames.chunk.kinds()?, frames.chunk.places()?);
            let runs = frames.chunk.runs()?;
            let process = self.process(chunk);
            let mut end = kinds.len();
            for run in runs.runs.iter().rev() {
                let begin = end.saturating_sub(run.events as usize);
                let range = begin..std::mem::replace(&mut end, begin);
                let code = runs.contexts[run.context as usize].code;
                if !codes.contains(&code) {
                    continue;
                }
                let Some(variables) = self.store.variables(process, code) else {
                    return Ok(None);
                };
                for index in range.rev() {
                    let at = header.first_seq + index as i64;
                    if at >= seq || kinds[index] != EventKind::INSTRUCTION.number() {
                        continue;
                    }
                    let is_it = |(slot, _): &(Slot, bool)| {
                        variables.scope(*slot) == "global" && variables.name(*slot) == Some(name)
                    };
                    let Some((slot, binds)) = variables.stores.stored(places[index]).find(is_it)
                    else {
                        continue;
                    };
                    if !binds {
                        return Ok(Some(LastBinding { seq: at, value: None }));
                    }
                    let position = self.position_in(&frames, chunk, index)?;
                    let Some(window) = self.window_of(&position)? else { return Ok(None) };
                    let by = window.executed_before(at);
                    let Some((held, told)) = window.stored(by, slot, variables) else {
                        return Ok(None);
                    };
                    let until = Some(told).filter(|told| *told > sight.instant);
                    let value = Handle { held, until, variable: None };
                    return Ok(Some(LastBinding { seq: at, value: Some(value) }));
                }
            }
        }
        Ok(None)
    }
}

impl Graph<'_> {
    /// The frame. Its line is not looked up.
    pub fn frame(&self) -> StackFrame {
        self.frame
    }

    /// Its variables that are bound and known, in no particular order.
    pub fn variables(&self) -> &[Named] {
        &self.variables
    }

    /// Names that the code object stores, with their scope, that have no value here.
    pub fn others(&self) -> impl Iterator<Item = (&str, &'static str, Unbound)> {
        self.others.iter().map(|(name, scope, why)| (&**name, *scope, *why))
    }

    /// What a value is.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn look(&self, value: &Handle) -> Result<Look, Error> {
        let text = |number| -> Result<Option<Rc<[u8]>>, Error> {
            let groups = self.state.groups(value.held.chunk)?;
            Ok(groups.map(|groups| groups.values.text(number).into()))
        };
        Ok(match value.held.value {
            Value::None => Look::None,
            Value::False => Look::Bool(false),
            Value::True => Look::Bool(true),
            Value::Ellipsis => Look::Ellipsis,
            Value::NotImplemented => Look::NotImplemented,
            Value::Redacted => Look::Redacted,
            Value::Unbound | Value::Unread => Look::Unread,
            Value::Int(value) => Look::Int(value),
            Value::Float(value) => Look::Float(value),
            Value::Str(number) => text(number)?.map_or(Look::Unread, Look::Str),
            Value::Bytes(number) => text(number)?.map_or(Look::Unread, Look::Bytes),
            Value::Object(id) | Value::Shallow(id) => match self.contents(id, value.until)? {
                Some(contents) => Look::Object(contents),
                None => Look::Unknown(id),
            },
        })
    }

    fn contents(
        &self,
        id: ObjectId,
        until: Option<Instant>,
    ) -> Result<Option<Rc<Contents>>, Error> {
        if let Some(known) = self.looks.borrow().get(&id) {
            return Ok(Some(known.clone()));
        }
        let Some(sight) = &self.sight else { return Ok(None) };
        let old = self.state.telling(sight, id, None)?;
        let new = match until {
            Some(_) => self.state.telling(sight, id, until)?,
            None => None,
        };
        let place = |telling: &Option<Telling>| {
            telling.as_ref().map(|telling| (telling.groups.index, telling.at))
        };
        let (telling, until) = if until.is_none() || place(&old) == place(&new) {
            (old, until)
        } else {
            // What was there before is not new, however it is reached.
            match self.near(sight)?.copied.until(id, until) {
                None => (old, None),
                until => (new, until),
            }
        };
        let Some(telling) = telling else { return Ok(None) };
        let Some(object) = telling.object(id) else { return Ok(None) };
        let (values, chunk) = (&telling.groups.values, telling.groups.index);
        let Some(class) = values.classes().get(object.class as usize) else { return Ok(None) };
        let handle = |value: Value| Handle { held: Held { value, chunk }, until, variable: None };
        let attributes = object.attributes.and_then(|(shape, attributes)| {
            let names = &values.shapes().get(shape as usize)?.names;
            let named = names.iter().zip(attributes).filter(|(_, value)| *value != Value::Unbound);
            Some(named.map(|(name, value)| (name.as_str().into(), handle(value))).collect())
        });
        let contents = Rc::new(Contents {
            id,
            class: class.clone(),
            text: object
                .text
                .map(|text| Part { kept: values.text(text.kept).into(), length: text.length }),
            items: object.items.map(|items| Part {
                kept: items.kept.into_iter().map(handle).collect(),
                length: items.length,
            }),
            attributes,
        });
        self.looks.borrow_mut().insert(id, contents.clone());
        Ok(Some(contents))
    }

    /// A value as `repr()` writes it: of a variable the text that [`State::locals_at`] gives.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn repr(&self, value: &Handle) -> Result<String, Error> {
        let unread = || "<unread>".to_owned();
        let Some(sight) = &self.sight else { return Ok(unread()) };
        if let Some(at) = value.variable {
            let near = self.near(sight)?;
            let value = near.values.get(at);
            return Ok(value.map_or_else(unread, |value| render::repr(&near.copied, value, 0)));
        }
        let mut copied = match value.until {
            Some(_) => self.near(sight)?.copied.another(),
            None => Copied::default(),
        };
        let value = copied.add(&self.state, sight, &[(value.held, value.until)])?;
        Ok(value.first().map_or_else(unread, |value| render::repr(&copied, value, 0)))
    }

    fn near(&self, sight: &Sight) -> Result<&Near, Error> {
        if let Some(near) = self.near.get() {
            return Ok(near);
        }
        let mut copied = Copied::default();
        let held: Vec<_> =
            self.variables.iter().map(|named| (named.value.held, named.value.until)).collect();
        // What is known already first: what an object reached both ways holds is known from there.
        let (before, new) = held.split_at(self.before);
        let mut values = copied.add(&self.state, sight, before)?;
        copied.know();
        values.extend(copied.add(&self.state, sight, new)?);
        Ok(self.near.get_or_init(|| Near { copied, values }))
    }
}
