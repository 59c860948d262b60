//! What expressions were, and who wrote the variables and objects in them.

use super::{Debugger, Failure, Reply, Stopper, refused};
use crate::inspect::{Expression, InspectError, Limits, Path, ResolvedStep, Snapshot};
use crate::state::Mutation;
use crate::timeline::{Direction, Position, Variable, Write};
use dashcam_schema::value::ObjectId;

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Failure {
        match error {
            InspectError::Store(error) => Failure::Recording(error),
            other => Failure::Refused(other.to_string()),
        }
    }
}

/// What can be written: found out once, so that it stays the same wherever one goes.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Variable {
        name: Box<str>,
        variable: Variable,
    },
    /// Something that an object holds; `key` as `mutations` has it.
    Member {
        path: String,
        object_id: ObjectId,
        key: String,
    },
}

/// A write, and what it does.
pub(super) struct Written {
    pub(super) write: Write,
    what: Option<String>,
    missing: Vec<String>,
}

impl Debugger {
    pub(super) fn print(&self, path: String) -> Result<Reply, Failure> {
        self.with_state()?;
        let expression = parse(&path)?;
        let snapshot = self.snapshot(self.at, self.frame)?;
        let value = snapshot.evaluate(&expression)?;
        let text = snapshot.repr(&value)?;
        let json = snapshot.node(&value, Limits::default())?.to_json();
        Ok(Reply::Value { path, text, json })
    }

    fn snapshot(&self, at: Position, depth: usize) -> Result<Snapshot<'_>, Failure> {
        let run_id = self.timeline.run_id();
        match Snapshot::at(self.timeline.store(), run_id, at.seq(), depth)? {
            Some(snapshot) => Ok(snapshot),
            None => refused(format!("no frame {depth} is known at {at}")),
        }
    }

    /// Whether a condition holds at a position. Where that cannot be known it does, as in pdb, and
    /// why not is given.
    pub(super) fn holds(
        &self,
        condition: &Expression,
        at: Position,
    ) -> Result<(bool, Option<String>), Failure> {
        let held = self.snapshot(at, 0).and_then(|found| Ok(found.is_true(condition)?));
        match held {
            Ok(holds) => Ok((holds, None)),
            Err(Failure::Refused(why)) => Ok((true, Some(format!("{}: {why}", condition.text())))),
            Err(error) => Err(error),
        }
    }

    /// What a path leads to here.
    pub(super) fn target(&self, text: &str) -> Result<Target, Failure> {
        self.with_state()?;
        let path = Path::parse(text).map_err(|error| unread(text, &error))?;
        if path.steps.is_empty() {
            let name = path.root.clone();
            return match self.timeline.variable(self.at, self.frame, &name)? {
                Some(variable) => Ok(Target::Variable { name, variable }),
                None => refused(format!("no variable {name} is bound in this frame or its module")),
            };
        }
        let resolved = self.snapshot(self.at, self.frame)?.resolve(&path)?;
        let (Some(object_id), Some(step)) = (resolved.container, resolved.step) else {
            return refused(format!("{text} is held by a value that nothing can change"));
        };
        let key = match step {
            ResolvedStep::Attribute(name) => format!("'{name}'"),
            ResolvedStep::Item { text, .. } => text,
        };
        Ok(Target::Member { path: text.to_owned(), object_id, key })
    }

    /// The nearest write of something before a position, or after it.
    pub(super) fn written(
        &self,
        target: &Target,
        at: Position,
        direction: Direction,
    ) -> Result<Option<Written>, Failure> {
        let mut missing = Vec::new();
        match target {
            Target::Variable { name, variable } => {
                let found = self.timeline.write_of(variable, at, direction, &mut missing)?;
                let Some(write) = found else { return Ok(None) };
                let what = self.timeline.bound(&write, name)?;
                let what = what.map(|value| match value {
                    Some(value) if write.is_argument => format!("argument {name} = {value}"),
                    Some(value) => format!("{name} = {value}"),
                    None => format!("del {name}"),
                });
                Ok(Some(Written { write, what, missing }))
            }
            Target::Member { path, object_id, key } => {
                // What changes more than one item may have changed this one.
                let is_meant = |change: &Mutation| {
                    change.key.as_deref().is_none_or(|changed| changed == &**key)
                };
                let (state, run_id) = (self.timeline.state(), self.timeline.run_id());
                let found =
                    state.change_of(run_id, *object_id, at.seq(), direction, &mut |change| {
                        Ok(is_meant(change))
                    })?;
                let Some(change) = found else { return Ok(None) };
                let what = match (&change.key, &change.value) {
                    (Some(_), Some(value)) => format!("{path} = {value}"),
                    (Some(_), None) => format!("del {path}"),
                    (None, Some(value)) => format!("{}: now {value}", change.operation),
                    (None, None) => change.operation.to_string(),
                };
                let at = self.timeline.position(change.at.seq);
                let write = Write { at, is_argument: false };
                Ok(Some(Written { write, what: Some(what), missing }))
            }
        }
    }

    pub(super) fn write(&mut self, path: &str, direction: Direction) -> Result<Reply, Failure> {
        let target = self.target(path)?;
        let Some(written) = self.written(&target, self.at, direction)? else {
            return refused(match direction {
                Direction::Backward => {
                    format!("nothing wrote {path} before, as far as is recorded")
                }
                Direction::Forward => format!("nothing writes {path} after this"),
            });
        };
        (self.at, self.frame) = (written.write.at, 0);
        let mut reply = self.stop("write", None, written.missing)?;
        if let Reply::Stop(stop) = &mut reply {
            stop.what = written.what;
        }
        Ok(reply)
    }

    pub(super) fn origin(&mut self, _path: &str) -> Result<Reply, Failure> {
        refused("later")
    }

    pub(super) fn watch(&mut self, path: &str) -> Result<Reply, Failure> {
        let target = self.target(path)?;
        Ok(self.put(format!("writes of {path}"), Stopper::Watch(target), None))
    }

    /// Refuses where values were not recorded.
    pub(super) fn with_state(&self) -> Result<(), Failure> {
        let run_id = self.timeline.run_id();
        match self.timeline.state().is_there(run_id)? {
            true => Ok(()),
            false => refused(format!(
                "run {run_id} has no variables: they are recorded with --capture state"
            )),
        }
    }
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, Failure> {
    Expression::parse(text).map_err(|error| unread(text, &error))
}

fn unread(text: &str, error: &crate::inspect::ParseError) -> Failure {
    Failure::Refused(format!("{text}: {error}"))
}
