//! What variables held, and who wrote them.

use super::{Debugger, Failure, Reply, Stopper, refused};
use crate::timeline::{Direction, Position, Write};

/// A write, and what it does.
struct Written {
    write: Write,
    what: Option<String>,
    missing: Vec<String>,
}

impl Debugger {
    pub(super) fn print(&self, path: String) -> Result<Reply, Failure> {
        let found = self.locals(self.frame)?.into_iter().find(|variable| *variable.name == *path);
        match found {
            Some(variable) => Ok(Reply::Value {
                path,
                text: variable.value.into(),
                json: serde_json::Value::Null,
            }),
            None => refused(format!("no variable {path}")),
        }
    }

    pub(super) fn holds(&self, _condition: &str, _at: Position) -> Result<bool, Failure> {
        refused("conditions come later")
    }

    pub(super) fn write_of(
        &self,
        path: &str,
        at: Position,
        direction: Direction,
    ) -> Result<Option<Position>, Failure> {
        Ok(self.written(path, at, direction)?.map(|written| written.write.at))
    }

    fn written(
        &self,
        path: &str,
        at: Position,
        direction: Direction,
    ) -> Result<Option<Written>, Failure> {
        self.with_state()?;
        let mut missing = Vec::new();
        let Some(variable) = self.timeline.variable(at, self.frame, path)? else {
            return refused(format!("no variable {path} is bound in this frame or its module"));
        };
        let found = self.timeline.write_of(&variable, at, direction, &mut missing)?;
        let Some(write) = found else { return Ok(None) };
        let what = self.timeline.bound(&write, path)?;
        let what = what.map(|value| match value {
            Some(value) if write.is_argument => format!("argument {path} = {value}"),
            Some(value) => format!("{path} = {value}"),
            None => format!("del {path}"),
        });
        Ok(Some(Written { write, what, missing }))
    }

    pub(super) fn write(&mut self, path: &str, direction: Direction) -> Result<Reply, Failure> {
        let Some(written) = self.written(path, self.at, direction)? else {
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

    pub(super) fn watch(&mut self, path: String) -> Result<Reply, Failure> {
        self.written(&path, self.at, Direction::Forward)?;
        Ok(self.put(format!("writes of {path}"), Stopper::Watch(path), None))
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
