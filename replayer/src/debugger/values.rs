//! What variables held, and who wrote them.

use super::{Debugger, Failure, Reply, refused};
use crate::timeline::{Direction, Position};

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
        _path: &str,
        _at: Position,
        _direction: Direction,
    ) -> Result<Option<Position>, Failure> {
        refused("later")
    }

    pub(super) fn write(&mut self, _path: &str, _direction: Direction) -> Result<Reply, Failure> {
        refused("later")
    }

    pub(super) fn origin(&mut self, _path: &str) -> Result<Reply, Failure> {
        refused("later")
    }

    pub(super) fn watch(&mut self, _path: String) -> Result<Reply, Failure> {
        refused("later")
    }
}
