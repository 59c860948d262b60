//! The variables of one frame at one position.

use super::error::InspectError;
use super::evaluate::Evaluated;
use crate::state::{Expanded, Graph, Handle, Named, State, Unbound};
use crate::store::{Error, Store};
use crate::suggest::closest;
use dashcam_schema::value::chunk::Moment;
use dashcam_schema::value::render::{self, Objects};
use dashcam_schema::value::{Class, ClassNumber, Object, ObjectId, Shape, ShapeNumber, TextNumber};
use dashcam_schema::value::{Part, Sort, Value};
use std::borrow::Cow;

/// The variables of one frame just before an event, and all objects they lead to.
///
/// Objects are found when they are requested, so only these cost time.
pub struct Snapshot<'a> {
    pub(super) store: &'a Store,
    pub(super) state: State<'a>,
    graph: Graph<'a>,
    pub(super) run_id: i64,
    pub(super) seq: i64,
    pub(super) depth: usize,
    has_state: bool,
}

impl<'a> Snapshot<'a> {
    /// The variables of a frame of an event's stack; depth 0 is the innermost frame. `None` if
    /// there is no such event or frame, or if its chunk is damaged. Damage is noted in the store.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn at(
        store: &'a Store,
        run_id: i64,
        seq: i64,
        depth: usize,
    ) -> Result<Option<Snapshot<'a>>, Error> {
        let state = State::of(store);
        let Some(graph) = state.graph_at(run_id, seq, depth)? else { return Ok(None) };
        let has_state = state.is_there(run_id, seq);
        Ok(Some(Snapshot { store, state, graph, run_id, seq, depth, has_state }))
    }

    /// The variables that are bound and known, in no particular order. Variables of the module are
    /// included only if the frame is the module's.
    pub fn variables(&self) -> &[Named] {
        self.graph.variables()
    }

    /// The graph of objects that the frame's variables lead to.
    pub fn graph(&self) -> &Graph<'a> {
        &self.graph
    }

    /// A recorded value with what it holds.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn expand(&self, value: &Handle) -> Result<Expanded, Error> {
        self.graph.expand(value)
    }

    /// The value that a name is bound to in the frame, or else in its module.
    ///
    /// # Errors
    /// [`InspectError::Missing`] if it is not bound, [`InspectError::Unknown`] if that is not
    /// known.
    pub fn lookup(&self, name: &str) -> Result<Handle, InspectError> {
        if !self.has_state {
            let run = self.run_id;
            let message = format!("run {run} was recorded without --capture state");
            return Err(InspectError::Unknown(message));
        }
        let is_global = |named: &&Named| named.scope == "global";
        let mut own = self.graph.variables().iter().filter(|named| *named.name == *name);
        if let Some(found) = own.clone().find(|named| !is_global(named)) {
            return self.known(found.value, name);
        }
        let others = self.graph.others().filter(|(other, ..)| *other == name);
        let (mut is_unbound, mut is_unknown, mut is_stored) = (false, false, own.next().is_some());
        for (_, scope, why) in others {
            match (scope, why) {
                ("global", _) => is_stored = true,
                (_, Unbound::Unbound) => is_unbound = true,
                (_, Unbound::Unknown) => is_unknown = true,
            }
        }
        if is_unknown {
            return Err(InspectError::Unknown(format!("{name} was not recorded")));
        }
        // In the body of a class, a name that is unbound there means the module's variable.
        if is_unbound && !is_stored && !self.is_class_body() {
            return Err(InspectError::Missing(format!("{name} is not bound here")));
        }
        self.global(name)
    }

    pub(super) fn known(&self, value: Handle, name: &str) -> Result<Handle, InspectError> {
        match self.expand(&value)? {
            Expanded::Unread => Err(InspectError::Unknown(format!("{name} was not recorded"))),
            _ => Ok(value),
        }
    }

    /// The error for a name that no recorded variable has.
    pub(super) fn unknown_name<'n>(
        &'n self,
        name: &str,
        others: impl Iterator<Item = &'n str>,
    ) -> InspectError {
        let own = self.graph.variables().iter().map(|named| &*named.name);
        let meant = closest(name, own.chain(others));
        let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        InspectError::Unknown(format!("no variable {name} was recorded{meant}"))
    }

    /// A value as `repr()` writes it. For a variable this is the text that
    /// [`State::locals_at`](crate::state::State::locals_at) returns.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn repr(&self, value: &Evaluated) -> Result<String, Error> {
        let listed = |items: &[Evaluated]| -> Result<String, Error> {
            let items: Result<Vec<_>, _> = items.iter().map(|item| self.repr(item)).collect();
            Ok(items?.join(", "))
        };
        Ok(match value {
            Evaluated::Recorded(handle) => return self.graph.repr(handle),
            Evaluated::None => written(Value::None, &[]),
            Evaluated::Ellipsis => written(Value::Ellipsis, &[]),
            Evaluated::Bool(false) => written(Value::False, &[]),
            Evaluated::Bool(true) => written(Value::True, &[]),
            Evaluated::Int(value) => match i64::try_from(value) {
                Ok(value) => written(Value::Int(value), &[]),
                Err(_) => written(Value::Object(0), value.to_string().as_bytes()),
            },
            Evaluated::Float(value) => written(Value::Float(*value), &[]),
            Evaluated::Str(text) => written(Value::Str(0), text),
            Evaluated::Bytes(text) => written(Value::Bytes(0), text),
            Evaluated::Tuple(items) => match &items[..] {
                [one] => format!("({},)", self.repr(one)?),
                items => format!("({})", listed(items)?),
            },
            Evaluated::List(items) => format!("[{}]", listed(items)?),
            Evaluated::Type(name) => {
                format!("<class {}>", written(Value::Str(0), name.as_bytes()))
            }
        })
    }
}

/// The text of a value. If the value refers to a text or to an int object, `text` is that text or
/// the int's digits.
fn written(value: Value, text: &[u8]) -> String {
    struct One<'t>(&'t [u8], Class);
    impl Objects for One<'_> {
        fn object(&self, id: ObjectId, _: Moment) -> Option<Cow<'_, Object>> {
            let text = Some(Part { kept: 0, length: self.0.len() as u64 });
            Some(Cow::Owned(Object { id, text, ..Object::default() }))
        }
        fn text(&self, _: TextNumber) -> &[u8] {
            self.0
        }
        fn class(&self, _: ClassNumber) -> Option<&Class> {
            Some(&self.1)
        }
        fn shape(&self, _: ShapeNumber) -> Option<&Shape> {
            None
        }
    }
    let int = Class::plain("int", Sort::Int, true);
    render::repr(&One(text, int), &value, 0)
}
