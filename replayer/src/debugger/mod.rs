//! A debugger for recorded runs: it takes one command and returns one reply.
//!
//! The program's plain mode, its full-screen view and the Python API all use this type. They differ
//! only in how they write a [`Reply`].

pub mod command;
pub mod json;
pub mod origin;
mod place;
mod processes;
pub mod reply;
mod shown;
pub mod text;
mod values;

pub use command::{COMMANDS, Command};
pub use reply::{Reply, Stop};

use crate::inspect::Expression;
use crate::sql::Recording;
use crate::store::Error;
use crate::timeline::{Direction, Event, Follow, Here, Moved, Position, Step, Timeline, Why};
use command::{Followed, Setting, Target};
use rustc_hash::FxHashSet;
use std::cell::Cell;
use std::rc::Rc;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command makes no sense here; the text is a line that says why.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Recording(#[from] Error),
}

fn refused<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(what.into()))
}

/// A breakpoint that is set.
struct Breakpoint {
    number: usize,
    place: String,
    event: Stopper,
    condition: Option<Expression>,
    /// The breakpoint is deleted when it is reached.
    once: bool,
}

/// What a breakpoint stops at.
enum Stopper {
    Event(Event),
    /// Writes of a variable or attribute of a process.
    Watch {
        process_id: i64,
        target: crate::timeline::Target,
    },
}

/// A debugger: a position in a run, with breakpoints, displays and settings.
pub struct Debugger {
    recording: Rc<Recording>,
    timeline: Timeline,
    at: Position,
    /// The process of the last stop that was returned.
    stopped_in: Cell<i64>,
    /// Depth of the selected frame, which `locals` and `print` refer to.
    frame: usize,
    follow: Follow,
    breakpoints: Vec<Breakpoint>,
    /// Number of breakpoints made so far; numbers are not used twice.
    breakpoints_made: usize,
    /// Expressions shown at every stop, each with its number.
    displays: Vec<(usize, Expression)>,
    displays_made: usize,
    /// Steps and exceptions stop in the user's own code only.
    only_mine: bool,
}

impl Debugger {
    /// A debugger at the first event of a run's first process. `None` if the run has no events.
    pub fn new(recording: Rc<Recording>, run_id: i64) -> Option<Debugger> {
        let timeline = Timeline::new(recording.store().clone(), run_id)?;
        let at = timeline.first();
        Some(Debugger {
            recording,
            stopped_in: Cell::new(timeline.extent_at(at).process_id),
            timeline,
            at,
            frame: 0,
            follow: Follow::Thread,
            breakpoints: Vec::new(),
            breakpoints_made: 0,
            displays: Vec::new(),
            displays_made: 0,
            only_mine: false,
        })
    }

    /// The recording.
    pub fn recording(&self) -> &Rc<Recording> {
        &self.recording
    }

    /// The timeline of the run.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The current position.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Depth of the selected frame, 0 for the innermost.
    pub fn selected(&self) -> usize {
        self.frame
    }

    /// Parses a line and runs its command. `None` if the line is empty or a comment.
    ///
    /// # Errors
    /// If the command makes no sense, or the recording cannot be read.
    pub fn say(&mut self, line: &str) -> Result<Option<Reply>, Failure> {
        let command = command::parse(line).map_err(Failure::Refused)?;
        command.map(|command| self.run(command)).transpose()
    }

    /// Runs a command.
    ///
    /// # Errors
    /// As for [`Debugger::say`].
    pub fn run(&mut self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::Step(step, direction) => self.step(step, direction),
            Command::Continue(direction) => self.resume(direction),
            Command::Break { place, condition, once } => self.set(&place, condition, once),
            Command::Until(line) => self.until(line),
            Command::Display(expression) => self.display(expression),
            Command::Undisplay(number) => self.undisplay(number),
            Command::Args => {
                let variables = self.arguments()?;
                Ok(Reply::Variables { depth: self.frame, variables })
            }
            Command::Set(setting) => {
                if let Some(Setting::Mine(only_mine)) = setting {
                    self.only_mine = only_mine;
                }
                Ok(Reply::Said(match self.only_mine {
                    true => "mine is on: steps and exceptions stop in your own code".to_owned(),
                    false => "mine is off: steps and exceptions stop in all code".to_owned(),
                }))
            }
            Command::Watch(path) => self.watch(&path),
            Command::Breakpoints => Ok(Reply::Breakpoints(self.listed())),
            Command::Delete(number) => self.delete(number),
            Command::Goto(target) => self.goto(&target),
            Command::Frame(frames) => self.select(frames),
            Command::Where => Ok(Reply::Stack { frames: self.stack()?, selected: self.frame }),
            Command::Locals(depth) => {
                let depth = depth.unwrap_or(self.frame);
                Ok(Reply::Variables { depth, variables: self.locals(depth)? })
            }
            Command::Print(path) => self.print(path),
            Command::LastWrite(path) => self.write(&path, Direction::Backward),
            Command::NextWrite(path) => self.write(&path, Direction::Forward),
            Command::Origin(path) => self.origin(&path),
            Command::List(around) => self.list(around),
            Command::Threads => Ok(Reply::Threads(self.threads()?)),
            Command::Thread(id) => self.thread(id),
            Command::Processes => Ok(Reply::Processes(self.processes())),
            Command::Process(id) => self.process(id),
            Command::Follow(followed) => Ok(Reply::Said(self.followed(followed))),
            Command::Info => self.stop("info", None, Vec::new()),
            Command::Help => Ok(Reply::Help),
            Command::Quit => Ok(Reply::Quit),
        }
    }

    /// Sets the position without reading the event there.
    pub fn place(&mut self, at: Position) {
        (self.at, self.frame) = (at, 0);
    }

    /// Goes to a position.
    ///
    /// # Errors
    /// If the recording cannot be read.
    pub fn stand(&mut self, at: Position, why: &'static str) -> Result<Reply, Failure> {
        self.at = at;
        self.frame = 0;
        self.stop(why, None, Vec::new())
    }

    fn step(&mut self, step: Step, direction: Direction) -> Result<Reply, Failure> {
        let moved = match self.only_mine {
            true => self.timeline.step_in_mine(self.at, step, direction, self.follow)?,
            false => self.timeline.step(self.at, step, direction, self.follow)?,
        };
        self.moved(moved, direction, "step")
    }

    fn until(&mut self, line: Option<u32>) -> Result<Reply, Failure> {
        let here = self.here()?.line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        // `until LINE` stops at that line or after it.
        let beyond = line.map_or(here, |line| line.saturating_sub(1));
        let moved = self.timeline.until(self.at, beyond)?;
        self.moved(moved, Direction::Forward, "step")
    }

    /// Sets whether steps and exceptions stop in the user's own code only.
    pub fn set_only_mine(&mut self, only_mine: bool) {
        self.only_mine = only_mine;
    }

    /// Takes over the position of a movement. Returns the stop there.
    fn moved(
        &mut self,
        moved: Moved,
        direction: Direction,
        why: &'static str,
    ) -> Result<Reply, Failure> {
        let Moved { to, why: ended, mut missing } = moved;
        (self.at, self.frame) = (to, 0);
        let (why, breakpoint) = match ended {
            Why::Arrived => (why, None),
            Why::Breakpoint(index) => {
                let hit = self.breakpoints.get(index).map(|found| (found.number, found.once));
                if hit.is_some_and(|(_, once)| once) {
                    self.breakpoints.remove(index);
                }
                ("breakpoint", hit.map(|(number, _)| number))
            }
            Why::NoMore if direction == Direction::Forward => ("end", None),
            Why::NoMore => ("start", None),
        };
        missing.dedup();
        self.stop(why, breakpoint, missing)
    }

    /// The reply for a stop at the current position.
    fn stop(
        &self,
        why: &'static str,
        breakpoint: Option<usize>,
        notes: Vec<String>,
    ) -> Result<Reply, Failure> {
        let here = self.here()?;
        let source = self.source_line(here.code_id, here.line)?;
        let displays = self.shown()?;
        let before = self.stopped_in.replace(here.process_id);
        let is_said = why == "info" || before != here.process_id;
        let process = (is_said && self.has_several()).then(|| self.command_of(here.process_id));
        let stop = Stop { here, why, breakpoint, process, what: None, notes, source, displays };
        Ok(Reply::Stop(Box::new(stop)))
    }

    /// The event at the current position.
    ///
    /// # Errors
    /// If the recording, or this part of it, cannot be read.
    pub fn here(&self) -> Result<Here, Failure> {
        match self.timeline.here(self.at)? {
            Some(here) => Ok(here),
            None => refused(self.unreadable(self.at)),
        }
    }

    /// Why the event at a position cannot be read.
    fn unreadable(&self, at: Position) -> String {
        let store = self.timeline.store();
        let chunk = store.locate(self.timeline.run_id(), at.seq());
        let what = chunk.and_then(|(chunk, _)| store.damage_of(chunk));
        what.unwrap_or_else(|| format!("event {at} cannot be read"))
    }

    fn goto(&mut self, target: &Target) -> Result<Reply, Failure> {
        let timeline = &self.timeline;
        let to = match target {
            Target::Seq(seq) => self.event(*seq)?,
            Target::Start => timeline.extent_at(self.at).first,
            Target::End => timeline.extent_at(self.at).last,
            Target::Time(time_ns) if *time_ns > timeline.end_ns(self.at) => {
                let end = timeline.end_ns(self.at) as f64 / 1e9;
                return refused(format!("{} ends after {end} s", self.process_or_run()));
            }
            Target::Time(time_ns) => timeline.at_time(*time_ns, self.at)?,
            Target::Fraction(fraction) if !(0.0..=1.0).contains(fraction) => {
                return refused("a run goes from 0% to 100%");
            }
            Target::Fraction(fraction) => timeline.at_fraction(*fraction, self.at),
            Target::Crash => self.crash()?,
            Target::Call(call_id) => {
                let to = timeline.position(*call_id);
                let is_call = match timeline.here(to)? {
                    Some(here) => to.seq() == *call_id && here.call_id.cast_signed() == *call_id,
                    None => false,
                };
                if !is_call {
                    return refused(format!("no call {call_id} in run {}", timeline.run_id()));
                }
                to
            }
            Target::Line { path, line, nth } => {
                let codes = self.codes_at(path, *line)?;
                match self.nth_run_of_line(&codes, *line, *nth)? {
                    Some(to) => to,
                    None if *nth == 1 => return refused(format!("{path}:{line} never ran")),
                    None if self.has_several() => {
                        let what = format!("{path}:{line} did not run {nth} times in any process");
                        return refused(what);
                    }
                    None => return refused(format!("{path}:{line} did not run {nth} times")),
                }
            }
        };
        // If the destination cannot be read, the position does not change.
        if timeline.here(to)?.is_none() {
            return refused(self.unreadable(to));
        }
        self.stand(to, "goto")
    }

    /// The position with a `seq` of the run, or the nearest after it in the same process.
    fn event(&self, seq: i64) -> Result<Position, Failure> {
        let extent = self.timeline.extent_at(Position::new(seq));
        let (first, last) = (extent.first, extent.last);
        if seq < first.seq() || seq > last.seq() {
            let whose = match self.has_several() {
                true => format!("process {}", extent.process_id),
                false => format!("run {}", self.timeline.run_id()),
            };
            return refused(format!("no event {seq}: {whose} has events {first} to {last}"));
        }
        Ok(self.timeline.position(seq))
    }

    /// Where a line runs for the n-th time in the current process, or else in the first other
    /// process where it runs so often.
    fn nth_run_of_line(
        &self,
        codes: &FxHashSet<i64>,
        line: u32,
        nth: u64,
    ) -> Result<Option<Position>, Failure> {
        let own = self.process_id();
        let others = self.timeline.extents().iter().map(|of| of.process_id);
        for process in std::iter::once(own).chain(others.filter(|of| *of != own)) {
            if let Some(to) = self.timeline.nth_run_of_line(codes, line, nth, process)? {
                return Ok(Some(to));
            }
        }
        Ok(None)
    }

    fn followed(&mut self, followed: Option<Followed>) -> String {
        match followed {
            Some(Followed::Thread) => self.follow = Follow::Thread,
            Some(Followed::Task) => self.follow = Follow::Task,
            None => {}
        }
        let whose = match self.follow {
            Follow::Thread => "the thread",
            Follow::Task => "the task",
        };
        format!("step follows the lines of {whose}")
    }
}
