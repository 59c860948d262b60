//! Commands that evaluate expressions or find writes: print, display, watch, last-write,
//! next-write.

use super::{Debugger, Failure, Reply, Stopper, refused};
use crate::inspect::{Expression, InspectError, Limits, Snapshot};
use crate::store::Error;
use crate::timeline::{Direction, Position, Target};

/// A display: its number, expression, and value or why that is not known.
type Shown = (usize, String, Result<String, String>);

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Failure {
        match error {
            InspectError::Store(error) => Failure::Recording(error),
            other => Failure::Refused(other.to_string()),
        }
    }
}

impl Debugger {
    pub(super) fn print(&self, path: String) -> Result<Reply, Failure> {
        self.with_state()?;
        let expression = parse(&path)?;
        let snapshot = self.snapshot(self.at, self.frame)?;
        let value = snapshot.evaluate(&expression).or_else(|error| self.not_yet(error))?;
        let text = snapshot.repr(&value)?;
        let json = snapshot.node(&value, Limits::default())?.to_json();
        Ok(Reply::Value { path, text, json })
    }

    pub(super) fn display(&mut self, text: Option<String>) -> Result<Reply, Failure> {
        if let Some(text) = text {
            self.with_state()?;
            self.displays_made += 1;
            self.displays.push((self.displays_made, parse(&text)?));
        }
        Ok(Reply::Said(match self.shown()? {
            shown if shown.is_empty() => "nothing is displayed".to_owned(),
            shown => {
                let lines = shown.into_iter().map(|(number, expression, held)| match held {
                    Ok(text) => format!("{number}: {expression} = {text}"),
                    Err(why) => format!("{number}: {expression}: {why}"),
                });
                lines.collect::<Vec<_>>().join("\n")
            }
        }))
    }

    pub(super) fn undisplay(&mut self, number: Option<usize>) -> Result<Reply, Failure> {
        let before = self.displays.len();
        self.displays.retain(|(of, _)| number.is_some_and(|number| number != *of));
        match (number, before - self.displays.len()) {
            (Some(number), 0) => refused(format!("nothing is displayed as {number}")),
            (_, gone) => Ok(Reply::Said(format!("{gone} no longer displayed"))),
        }
    }

    /// The displays, evaluated at the current position.
    pub(super) fn shown(&self) -> Result<Vec<Shown>, Failure> {
        let mut all = Vec::with_capacity(self.displays.len());
        for (number, expression) in &self.displays {
            let text = self
                .snapshot(self.at, 0)
                .and_then(|snapshot| Ok(snapshot.repr(&snapshot.evaluate(expression)?)?));
            let held = match text {
                Ok(text) => Ok(text),
                Err(Failure::Refused(why)) => Err(why),
                Err(error) => return Err(error),
            };
            all.push((*number, expression.text().to_owned(), held));
        }
        Ok(all)
    }

    /// Returns an error. If the run was still being recorded when it was opened, the message adds
    /// that the answer may not be in the file yet.
    fn not_yet<T>(&self, error: InspectError) -> Result<T, Failure> {
        let is_unknown = matches!(error, InspectError::Unknown(_) | InspectError::Missing(_));
        let store = self.timeline.store();
        let sql = "SELECT status = 'recording' FROM runs WHERE run_id = ?";
        let read = store.connection().query_row(sql, [self.timeline.run_id()], |row| row.get(0));
        let is_live: bool = read.map_err(|error| Error::from_sqlite(store.path(), &error))?;
        match is_unknown && is_live {
            true => refused(format!(
                "{error}, or is not in the file yet: the run was still being recorded when it was opened"
            )),
            false => Err(error.into()),
        }
    }

    fn snapshot(&self, at: Position, depth: usize) -> Result<Snapshot<'_>, Failure> {
        let run_id = self.timeline.run_id();
        match Snapshot::at(self.timeline.store(), run_id, at.seq(), depth)? {
            Some(snapshot) => Ok(snapshot),
            None => refused(format!("no frame {depth} is known at {at}")),
        }
    }

    /// Whether a condition holds at a position. If that cannot be known, the condition holds, as in
    /// pdb, and the reason is returned too.
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

    pub(super) fn write(&mut self, path: &str, direction: Direction) -> Result<Reply, Failure> {
        match self.nearest_write(path, direction)? {
            Some(reply) => Ok(reply),
            None => refused(match direction {
                Direction::Backward => {
                    format!("nothing wrote {path} before, as far as is recorded")
                }
                Direction::Forward => format!("nothing writes {path} after this"),
            }),
        }
    }

    /// Goes to the nearest write of what a path means in the selected frame. `None` if there is
    /// none.
    ///
    /// # Errors
    /// If the path leads nowhere, or the recording cannot be read.
    pub fn nearest_write(
        &mut self,
        path: &str,
        direction: Direction,
    ) -> Result<Option<Reply>, Failure> {
        let target = self.target(path)?;
        let Some(written) = self.timeline.written(&target, self.at, direction)? else {
            return Ok(None);
        };
        (self.at, self.frame) = (written.at, 0);
        let mut reply = self.stop("write", None, written.missing)?;
        if let Reply::Stop(stop) = &mut reply {
            stop.what = Some(written.what);
        }
        Ok(Some(reply))
    }

    pub(super) fn watch(&mut self, path: &str) -> Result<Reply, Failure> {
        let (process_id, target) = (self.process_id(), self.target(path)?);
        Ok(self.put(format!("writes of {path}"), Stopper::Watch { process_id, target }, None))
    }

    fn target(&self, path: &str) -> Result<Target, Failure> {
        self.with_state()?;
        Ok(self.timeline.target(self.at, self.frame, path)?)
    }

    /// Returns an error if values were not recorded.
    pub(super) fn with_state(&self) -> Result<(), Failure> {
        let run_id = self.timeline.run_id();
        match self.timeline.state().is_there(run_id, self.at.seq()) {
            true => Ok(()),
            false => refused(format!(
                "{} has no variables: they are recorded with --capture state",
                self.process_or_run()
            )),
        }
    }
}

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Expression, Failure> {
    Expression::parse(text).map_err(|error| Failure::Refused(format!("{text}: {error}")))
}
