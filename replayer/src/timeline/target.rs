//! Targets of writes: variables, attributes and items, by path, and the nearest write of each.

use super::{Direction, Position, Timeline, Variable};
use crate::inspect::{InspectError, Path, ResolvedStep, Snapshot};
use crate::state::Mutation;
use crate::store::Error;
use dashcam_schema::value::ObjectId;

/// What a path means at the position where it was resolved. It does not change with the position.
#[derive(Debug, Clone)]
pub enum Target {
    /// A variable.
    Variable { name: Box<str>, variable: Variable },
    /// An attribute or item of an object; `key` as in `mutations`.
    Member { path: String, object_id: ObjectId, is_attribute: bool, key: String },
}

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// See [`Write::at`](super::Write::at).
    pub at: Position,
    /// `total = 11`, `del total`, `argument price = 2`; or how the object was changed as a whole.
    pub what: String,
    /// A sentence for each damaged chunk on the way.
    pub missing: Vec<String>,
}

impl Timeline {
    /// What a path means in a frame of a position's stack; depth 0 is the innermost frame.
    ///
    /// # Errors
    /// If the text is no path, or is not known to lead to something that can be written.
    pub fn target(&self, at: Position, depth: usize, text: &str) -> Result<Target, InspectError> {
        let path =
            Path::parse(text).map_err(|error| InspectError::Invalid(format!("{text}: {error}")))?;
        if path.steps.is_empty() {
            let name = path.root.clone();
            return match self.variable(at, depth, &name)? {
                Some(variable) => Ok(Target::Variable { name, variable }),
                None => Err(InspectError::Missing(format!(
                    "no variable {name} is bound in this frame or its module"
                ))),
            };
        }
        let Some(snapshot) = Snapshot::at(&self.store, self.run_id, at.seq(), depth)? else {
            return Err(InspectError::Missing(format!("no frame {depth} is known at {at}")));
        };
        let resolved = snapshot.resolve(&path)?;
        let (Some(object_id), Some(step)) = (resolved.container, resolved.step) else {
            let message = format!("{text} is held by a value that cannot be changed");
            return Err(InspectError::Invalid(message));
        };
        let (is_attribute, key) = match step {
            ResolvedStep::Attribute(name) => (true, name.into()),
            ResolvedStep::Item { text, .. } => (false, text),
        };
        Ok(Target::Member { path: text.to_owned(), object_id, is_attribute, key })
    }

    /// The nearest write of a target before a position, or after it. A change of an object as a
    /// whole counts as a write of each of its items.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn written(
        &self,
        target: &Target,
        at: Position,
        direction: Direction,
    ) -> Result<Option<Written>, Error> {
        let mut missing = Vec::new();
        match target {
            Target::Variable { name, variable } => {
                let found = self.write_of(variable, at, direction, &mut missing)?;
                let Some(write) = found else { return Ok(None) };
                let what = match self.bound(&write, name)? {
                    Some(Some(value)) if write.is_argument => format!("argument {name} = {value}"),
                    Some(Some(value)) => format!("{name} = {value}"),
                    Some(None) => format!("del {name}"),
                    None => format!("{name} = <unread>"),
                };
                Ok(Some(Written { at: write.at, what, missing }))
            }
            Target::Member { path, object_id, is_attribute, key } => {
                let is_it = |change: &Mutation| {
                    change.is_attribute == *is_attribute && change.key.as_deref() == Some(&**key)
                };
                let replaces = |change: &Mutation| {
                    *is_attribute
                        && change.is_attribute
                        && change.key.as_deref() == Some("__dict__")
                };
                let is_meant = |change: &Mutation| {
                    change.key.is_none() || is_it(change) || replaces(change) || moves(change, key)
                };
                let found = self.state().change_of(
                    self.run_id,
                    *object_id,
                    at.seq(),
                    direction,
                    &mut |change| Ok(is_meant(change)),
                )?;
                let Some(change) = found else { return Ok(None) };
                let what = match (&change.key, &change.value) {
                    (Some(_), Some(value)) if replaces(&change) => format!("__dict__ = {value}"),
                    (Some(at), _) if !is_it(&change) || removes_item(&change) => {
                        format!("{} at {at} moves the items behind", change.operation)
                    }
                    (Some(_), Some(value)) => format!("{path} = {value}"),
                    (Some(_), None) => format!("del {path}"),
                    (None, Some(value)) => format!("{}: now {value}", change.operation),
                    (None, None) => change.operation.to_string(),
                };
                Ok(Some(Written { at: self.position(change.at.seq), what, missing }))
            }
        }
    }
}

/// Whether a change of a sequence moves the item with this index, because an item before it is
/// inserted or removed.
fn moves(change: &Mutation, key: &str) -> bool {
    let inserts = || {
        let method = change.operation.rsplit('.').next().unwrap_or_default();
        matches!(method, "insert" | "insort_left" | "insort_right" | "appendleft" | "extendleft")
    };
    let index = |text: &str| text.parse::<u64>().ok();
    let at = change.key.as_deref().and_then(index);
    (removes_item(change) || is_of_sequence(change) && inserts())
        && at.zip(index(key)).is_some_and(|(at, index)| at < index)
}

/// Whether a change removes an item of a sequence.
fn removes_item(change: &Mutation) -> bool {
    is_of_sequence(change) && change.key.is_some() && change.value.is_none()
}

fn is_of_sequence(change: &Mutation) -> bool {
    let class = change.r#type.as_deref();
    let is_one = matches!(class, Some("list" | "collections.deque" | "bytearray" | "array.array"));
    is_one && !change.is_attribute
}
