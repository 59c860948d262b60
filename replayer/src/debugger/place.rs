//! Breakpoints: sets, lists and deletes them, and continues to the next one.

use super::command::Place;
use super::reply::BreakpointReply;
use super::values::parse;
use super::{Breakpoint, Debugger, Failure, Reply, Stopper, refused};
use crate::inspect::Expression;
use crate::timeline::{Direction, Event, Position, Why};
use rustc_hash::FxHashSet;

impl Debugger {
    pub(super) fn set(
        &mut self,
        place: &Place,
        condition: Option<String>,
        once: bool,
    ) -> Result<Reply, Failure> {
        let condition = condition.as_deref().map(parse).transpose()?;
        if condition.is_some() {
            self.with_state()?;
        }
        let event = match place {
            Place::Line { path, line } => {
                Event::Line { codes: self.codes_at(path, *line)?, line: *line }
            }
            Place::Function(name) => {
                let codes = self.timeline.codes_of_function(name);
                match codes.is_empty() {
                    true if self.timeline.calls_in_c(name) => Event::CallInC { name: name.clone() },
                    true => return refused(format!("no function {name} ran")),
                    false => Event::Call { codes },
                }
            }
            Place::Exception { class, unhandled, file } => {
                if let Some(file) = file
                    && self.timeline.codes_of_path(file).is_empty()
                {
                    return refused(format!("no code of {file} ran"));
                }
                Event::Exception {
                    class: class.clone(),
                    unhandled: *unhandled,
                    file: file.clone(),
                    only_mine: false,
                }
            }
        };
        let reply = self.put(place.to_string(), Stopper::Event(event), condition);
        if let Some(last) = self.breakpoints.last_mut() {
            last.once = once;
        }
        Ok(reply)
    }

    /// Adds a breakpoint.
    pub(super) fn put(
        &mut self,
        place: String,
        event: Stopper,
        condition: Option<Expression>,
    ) -> Reply {
        self.breakpoints_made += 1;
        let number = self.breakpoints_made;
        let with = condition.as_ref().map_or(String::new(), |c| format!(" if {}", c.text()));
        let message = format!("breakpoint {number}: {place}{with}");
        self.breakpoints.push(Breakpoint { number, place, event, condition, once: false });
        Reply::Said(message)
    }

    /// The code objects that have a line of a file.
    pub(super) fn codes_at(&self, path: &str, line: u32) -> Result<FxHashSet<i64>, Failure> {
        let mut codes = self.timeline.codes_of_path(path);
        if codes.is_empty() {
            return refused(format!("no code of {path} ran"));
        }
        let store = self.timeline.store();
        codes.retain(|code_id| {
            let code = store.directory().code(*code_id);
            let lines = code.and_then(|code| store.lines(code));
            lines.is_none_or(|lines| lines.by_unit().contains(&line))
        });
        if codes.is_empty() {
            return refused(format!("{path}:{line} is no line of code that ran"));
        }
        Ok(codes)
    }

    pub(super) fn listed(&self) -> Vec<BreakpointReply> {
        let reply = |breakpoint: &Breakpoint| BreakpointReply {
            number: breakpoint.number,
            place: breakpoint.place.clone(),
            condition: breakpoint.condition.as_ref().map(|c| c.text().to_owned()),
        };
        self.breakpoints.iter().map(reply).collect()
    }

    pub(super) fn delete(&mut self, number: Option<usize>) -> Result<Reply, Failure> {
        let before = self.breakpoints.len();
        self.breakpoints.retain(|breakpoint| number.is_some_and(|n| n != breakpoint.number));
        match (number, before - self.breakpoints.len()) {
            (Some(number), 0) => refused(format!("no breakpoint {number}")),
            (Some(number), _) => Ok(Reply::Said(format!("breakpoint {number} deleted"))),
            (None, 1) => Ok(Reply::Said("1 breakpoint deleted".to_owned())),
            (None, gone) => Ok(Reply::Said(format!("{gone} breakpoints deleted"))),
        }
    }

    pub(super) fn resume(&mut self, direction: Direction) -> Result<Reply, Failure> {
        let mut events = Vec::with_capacity(self.breakpoints.len());
        for breakpoint in &self.breakpoints {
            events.push(match &breakpoint.event {
                Stopper::Event(event) => {
                    let mut event = event.clone();
                    // A breakpoint for a named file stops there even if the file is not the user's.
                    if let Event::Exception { only_mine, file: None, .. } = &mut event {
                        *only_mine = self.only_mine;
                    }
                    event
                }
                // Calls and objects are those of one process.
                Stopper::Watch { process_id, .. } if *process_id != self.process_id() => {
                    Event::At(Vec::new())
                }
                Stopper::Watch { target, .. } => {
                    let written = self.timeline.written(target, self.at, direction)?;
                    Event::At(written.into_iter().map(|written| written.at).collect())
                }
            });
        }
        let mut unknown = None;
        let holds = |index: usize, at: Position| -> Result<bool, Failure> {
            match self.breakpoints.get(index).and_then(|b| b.condition.as_ref()) {
                Some(condition) => {
                    let (holds, why) = self.holds(condition, at)?;
                    unknown = why;
                    Ok(holds)
                }
                None => Ok(true),
            }
        };
        let mut moved = self.timeline.resume(self.at, direction, &events, holds)?;
        moved.missing.extend(unknown);
        if moved.why == Why::NoMore && direction == Direction::Forward {
            moved.missing.extend(self.reached_elsewhere(&events)?);
        }
        self.moved(moved, direction, "continue")
    }

    /// A sentence about the first other process that reaches a breakpoint, if one does.
    fn reached_elsewhere(&self, events: &[Event]) -> Result<Option<String>, Failure> {
        let own = self.process_id();
        for other in self.timeline.extents().iter().filter(|of| of.process_id != own) {
            // Positions begin before the first event, which may have a breakpoint.
            let before = Position::new(other.first.seq() - 1);
            let holds = |index: usize, at: Position| -> Result<bool, Failure> {
                let found = self.breakpoints.get(index);
                match found.and_then(|found| found.condition.as_ref()) {
                    Some(condition) => Ok(self.holds(condition, at)?.0),
                    None => Ok(true),
                }
            };
            let moved = self.timeline.resume_in(
                other.process_id,
                before,
                Direction::Forward,
                events,
                holds,
            )?;
            if let Why::Breakpoint(index) = moved.why
                && let Some(found) = self.breakpoints.get(index)
            {
                let process = other.process_id;
                return Ok(Some(format!(
                    "process {process} reaches breakpoint {}: process {process}, then continue",
                    found.number
                )));
            }
        }
        Ok(None)
    }
}
