//! The variables of a frame and the objects they lead to, for readers that take them apart.
//!
//! What [`State::locals_at`] writes as text is a graph here: a variable has a [`Handle`], and
//! expanding it gives its value, with handles for what that holds. Each expansion reads one object
//! and no more, so there is no limit to the depth, and expanding a number costs nothing.

use super::bindings::Held;
use super::caches::State;
use super::groups::Instant;
use super::objects::{Copied, Description, Viewpoint};
use super::{Bound, StackFrame, id_of};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::{Class, ObjectId, Part, Value, render};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// A value, and where it was recorded. It is valid only for the graph it came from.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    held: Held,
    /// The instant by which the objects it leads to are described, if they may be new.
    until: Option<Instant>,
    /// The index of the variable, if it is the value of one.
    variable: Option<usize>,
}

impl Handle {
    /// The id of the object, if it is one with an identity.
    pub fn object_id(&self) -> Option<ObjectId> {
        id_of(self.held.value)
    }
}

/// A bound variable.
#[derive(Debug, Clone)]
pub struct Named {
    /// `local`, `global` or `cell`.
    pub scope: &'static str,
    pub name: Box<str>,
    pub value: Handle,
}

/// A value, with handles for what it holds.
#[derive(Debug, Clone)]
pub enum Expanded {
    None,
    Bool(bool),
    Ellipsis,
    NotImplemented,
    /// Its value must not leave the program, because of its name.
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
    /// An object of which only the identity is known.
    Unknown(ObjectId),
}

/// What an object held, as in [`Object`](dashcam_schema::value::Object). If neither text nor items
/// nor attributes are known, only its class is.
#[derive(Debug)]
pub struct Contents {
    pub id: ObjectId,
    pub class: Class,
    pub text: Option<Part<Rc<[u8]>>>,
    pub items: Option<Part<Vec<Handle>>>,
    /// The attributes that are there; `None` if nothing is known of them, or there are none.
    pub attributes: Option<Vec<(Box<str>, Handle)>>,
}

/// The variables of one frame, and the objects they lead to, as they were just before an event.
pub struct Graph<'a> {
    state: State<'a>,
    viewpoint: Option<Viewpoint>,
    frame: StackFrame,
    /// Those that were bound before the window come first.
    variables: Vec<Named>,
    /// The number of those.
    before: usize,
    /// Other names that the code object stores: either they are unbound, or nothing is known of
    /// them.
    others: Vec<(Box<str>, &'static str, Unbound)>,
    near: OnceCell<Near>,
    expanded: RefCell<FxHashMap<ObjectId, Rc<Contents>>>,
}

/// Why a name that a code object stores has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    Unbound,
    /// It is not known what it holds, or whether it is bound.
    Unknown,
}

/// The objects that the variables lead to, as far as they are written with the variables.
struct Near {
    copied: Copied,
    /// The value of each variable.
    values: Vec<Value>,
}

impl<'a> State<'a> {
    /// The variables of a frame of an event's stack as they are just before the event, and the
    /// objects they lead to; depth 0 is the innermost frame. `None` if there is no such event or
    /// frame, or its chunk is damaged, which is noted. A run that was recorded without
    /// [`Capture::State`] has no variables.
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
            viewpoint: None,
            frame,
            variables: Vec::new(),
            before: 0,
            others: Vec::new(),
            near: OnceCell::new(),
            expanded: RefCell::default(),
        };
        if !self.is_there(run_id, seq) {
            return Ok(Some(graph));
        }
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(viewpoint) = self.viewpoint_of(&position, window)? else { return Ok(Some(graph)) };
        let window = window.filter(|_| depth == 0);
        if let Some((variables, slots)) = self.slots_of(&position, found, window)? {
            let recorded = slots.clone();
            let [before, new] = self.bound(variables, &viewpoint, slots)?;
            graph.before = before.len();
            let all = before.iter().chain(&new).enumerate();
            let named = |(at, (slot, name, (held, until))): (usize, &Bound<'_>)| Named {
                scope: variables.scope(*slot),
                name: (*name).into(),
                value: Handle { held: *held, until: *until, variable: Some(at) },
            };
            graph.variables = all.map(named).collect();
            let is_bound = |slot: &Slot| before.iter().chain(&new).any(|(bound, ..)| bound == slot);
            for (slot, held) in variables.stores.all().iter().zip(recorded) {
                let Some(name) = variables.name(*slot).filter(|_| !is_bound(slot)) else {
                    continue;
                };
                let is_cell = variables.is_cell(*slot);
                let held = match held {
                    Some((held, until)) => self.content(&viewpoint, held, is_cell, until)?,
                    None => None,
                };
                let is_unbound = held.is_some_and(|held| held.value == Value::Unbound);
                let why = if is_unbound { Unbound::Unbound } else { Unbound::Unknown };
                graph.others.push((name.into(), variables.scope(*slot), why));
            }
        }
        graph.viewpoint = Some(viewpoint);
        Ok(Some(graph))
    }
}

/// The event that last bound or unbound a name of a module.
#[derive(Debug, Clone, Copy)]
pub struct LastBinding {
    /// The position of that INSTRUCTION event.
    pub seq: i64,
    /// The value it was bound to; `None` if it was unbound.
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
        let Some(viewpoint) = &graph.viewpoint else { return Ok(None) };
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
                    let Some((held, described)) = window.stored(by, slot, variables) else {
                        return Ok(None);
                    };
                    let until = Some(described).filter(|described| *described > viewpoint.instant);
                    let value = Handle { held, until, variable: None };
                    return Ok(Some(LastBinding { seq: at, value: Some(value) }));
                }
            }
        }
        Ok(None)
    }
}

impl Graph<'_> {
    /// The frame, without its line.
    pub fn frame(&self) -> StackFrame {
        self.frame
    }

    /// Its variables that are bound and known, in no particular order.
    pub fn variables(&self) -> &[Named] {
        &self.variables
    }

    /// Names that the code object stores and that have no value here, with their scope.
    pub fn others(&self) -> impl Iterator<Item = (&str, &'static str, Unbound)> {
        self.others.iter().map(|(name, scope, why)| (&**name, *scope, *why))
    }

    /// The value behind a handle.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn expand(&self, value: &Handle) -> Result<Expanded, Error> {
        let text = |number| -> Result<Option<Rc<[u8]>>, Error> {
            let groups = self.state.groups(value.held.chunk)?;
            Ok(groups.map(|groups| groups.values.text(number).into()))
        };
        Ok(match value.held.value {
            Value::None => Expanded::None,
            Value::False => Expanded::Bool(false),
            Value::True => Expanded::Bool(true),
            Value::Ellipsis => Expanded::Ellipsis,
            Value::NotImplemented => Expanded::NotImplemented,
            Value::Redacted => Expanded::Redacted,
            Value::Unbound | Value::Unread => Expanded::Unread,
            Value::Int(value) => Expanded::Int(value),
            Value::Float(value) => Expanded::Float(value),
            Value::Str(number) => text(number)?.map_or(Expanded::Unread, Expanded::Str),
            Value::Bytes(number) => text(number)?.map_or(Expanded::Unread, Expanded::Bytes),
            Value::Object(id) | Value::Shallow(id) => match self.contents(id, value.until)? {
                Some(contents) => Expanded::Object(contents),
                None => Expanded::Unknown(id),
            },
        })
    }

    fn contents(
        &self,
        id: ObjectId,
        until: Option<Instant>,
    ) -> Result<Option<Rc<Contents>>, Error> {
        if let Some(known) = self.expanded.borrow().get(&id) {
            return Ok(Some(known.clone()));
        }
        let Some(viewpoint) = &self.viewpoint else { return Ok(None) };
        let old = self.state.description(viewpoint, id, None)?;
        let new = match until {
            Some(_) => self.state.description(viewpoint, id, until)?,
            None => None,
        };
        let place = |description: &Option<Description>| {
            description.as_ref().map(|description| (description.groups.index, description.at))
        };
        let (description, until) = if until.is_none() || place(&old) == place(&new) {
            (old, until)
        } else {
            // An object that was there before the window is not new, however it is reached.
            match self.near(viewpoint)?.copied.until(id, until) {
                None => (old, None),
                until => (new, until),
            }
        };
        let Some(description) = description else { return Ok(None) };
        let Some(object) = description.object(id) else { return Ok(None) };
        let (values, chunk) = (&description.groups.values, description.groups.index);
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
        self.expanded.borrow_mut().insert(id, contents.clone());
        Ok(Some(contents))
    }

    /// A value as `repr()` writes it; for a variable, the text that [`State::locals_at`] gives.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn repr(&self, value: &Handle) -> Result<String, Error> {
        let unread = || "<unread>".to_owned();
        let Some(viewpoint) = &self.viewpoint else { return Ok(unread()) };
        if let Some(at) = value.variable {
            let near = self.near(viewpoint)?;
            let value = near.values.get(at);
            return Ok(value.map_or_else(unread, |value| render::repr(&near.copied, value, 0)));
        }
        let mut copied = match value.until {
            Some(_) => self.near(viewpoint)?.copied.new_with_known(),
            None => Copied::default(),
        };
        let value = copied.add(&self.state, viewpoint, &[(value.held, value.until)])?;
        Ok(value.first().map_or_else(unread, |value| render::repr(&copied, value, 0)))
    }

    fn near(&self, viewpoint: &Viewpoint) -> Result<&Near, Error> {
        if let Some(near) = self.near.get() {
            return Ok(near);
        }
        let mut copied = Copied::default();
        let held: Vec<_> =
            self.variables.iter().map(|named| (named.value.held, named.value.until)).collect();
        // Values from before the window go first: an object that is reached from both is read as it
        // was known before.
        let (before, new) = held.split_at(self.before);
        let mut values = copied.add(&self.state, viewpoint, before)?;
        copied.mark_known();
        values.extend(copied.add(&self.state, viewpoint, new)?);
        Ok(self.near.get_or_init(|| Near { copied, values }))
    }
}
