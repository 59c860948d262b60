//! Where a value came from: the chain of bindings back to the literal, input or call in C it began
//! as, as far as the recording knows.
//!
//! Every instruction that was executed is known, and how deep the evaluation stack was before it. So
//! from the store of a variable one goes back, within its call, to the instruction that put the
//! value on the stack: one that loads another variable leads to the last write of that, a call to
//! the callee's return, an argument to the caller's stack, an attribute or item to the last
//! change of its object. Each step is compared with the value that was recorded there.
//!
//! - `trace`: back over what a call executed;
//! - `follow`: what each instruction means for the value it put;
//! - `calls`: from a result into the callee, from an argument to the caller;
//! - `members`: from an attribute or item to where it was set;
//! - `values`: what something on the stack was;
//! - `source`: what only the source says.

mod calls;
mod follow;
mod members;
mod source;
mod trace;
mod values;

use super::{Direction, Position, Timeline, Variable};
use crate::state::{Key, Own, Seen};
use crate::store::Error;
use dashcam_schema::calls::CallId;
use dashcam_schema::value::ObjectId;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use trace::Executed;

/// Links of a chain, at most.
pub const LINKS_MAX: usize = 50;
/// Steps for one chain, those on the way to what its values were among them.
const STEPS_MAX: usize = 2000;
/// Chains within chains: of the container of an item, of a generator that is gone over.
const DEPTH_MAX: usize = 6;

/// What a link is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// A variable is bound.
    Bound,
    /// A call is given an argument.
    Argument,
    /// A call returns.
    Returned,
    /// A generator yields.
    Yielded,
    /// An attribute is set.
    Attribute,
    /// An item is set, or is there from the beginning.
    Item,
    /// Ends the chain, as all that follow: a literal.
    Literal,
    /// An operator, comparison, f-string or the like, of what is beside it.
    Computed,
    /// An object is made: by its class, a display, `def`, calling a generator function.
    Made,
    /// A function in C returns it, or sets it.
    FromC,
    Imported,
    /// An exception.
    Raised,
    /// The default of a parameter.
    Default,
    /// The recording does not tell further.
    Unknown,
    /// What was recorded at the next step back is another value.
    Contradiction,
}

impl LinkKind {
    /// As JSON spells it.
    pub const fn name(self) -> &'static str {
        match self {
            LinkKind::Bound => "bound",
            LinkKind::Argument => "argument",
            LinkKind::Returned => "returned",
            LinkKind::Yielded => "yielded",
            LinkKind::Attribute => "attribute",
            LinkKind::Item => "item",
            LinkKind::Literal => "literal",
            LinkKind::Computed => "computed",
            LinkKind::Made => "made",
            LinkKind::FromC => "from_c",
            LinkKind::Imported => "imported",
            LinkKind::Raised => "raised",
            LinkKind::Default => "default",
            LinkKind::Unknown => "unknown",
            LinkKind::Contradiction => "contradiction",
        }
    }

    /// Whether the chain goes on from there.
    pub const fn goes_on(self) -> bool {
        matches!(
            self,
            LinkKind::Bound
                | LinkKind::Argument
                | LinkKind::Returned
                | LinkKind::Yielded
                | LinkKind::Attribute
                | LinkKind::Item
        )
    }
}

/// A step of the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it happened: one can stand there.
    pub at: Position,
    pub kind: LinkKind,
    /// The variable, expression or callable; for `Unknown` and `Contradiction` a sentence.
    pub text: String,
    /// As `repr()` writes it.
    pub value: Option<String>,
    pub path: String,
    pub line: Option<i64>,
    /// Qualified name of the function it happened in.
    pub function: String,
    /// What it was computed from: expressions that can be asked about there.
    pub operands: Vec<Operand>,
}

/// What a value was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    pub text: String,
    pub value: Option<String>,
}

/// What one asks the origin of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// A variable, as seen from a frame.
    Name(&'a str),
    /// What an object has under a key; with how to write it.
    Member { object_id: ObjectId, key: Key, text: &'a str },
}

/// Why a step back cannot be made.
enum Lost {
    Why(Box<str>),
    Error(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Lost {
        Lost::Error(error)
    }
}

/// What is to be followed next.
#[derive(Debug, Clone)]
enum Goal {
    /// A variable, as it is before a position.
    Variable { variable: Variable, name: Box<str>, before: Position },
    /// What lies in a slot of the evaluation stack before an instruction.
    Slot { of: Executed, slot: u32 },
    /// What a call was given.
    Argument { call: CallId, target: Target, name: Box<str> },
    /// What an object has under a key before a position; the object lay in a slot.
    Member { id: ObjectId, key: Key, text: Box<str>, at: Position, held: Option<(Executed, u32)> },
    /// An item of what lies in a slot.
    Element { of: Executed, slot: u32, key: Key, text: Box<str> },
    /// What a call returns or yields at a position.
    Left { call: CallId, at: Position },
}

/// Which argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// That of a parameter.
    Parameter(u32),
    /// One of those in `*args`, which is in a slot.
    More { slot: u32, index: u32 },
    /// One of those in `**kwargs`.
    Named(Box<str>),
}

/// How a chain ended, for who goes over it to get to something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// At an instruction that put it.
    Put(Executed),
    /// It holds the arguments of a call that have no parameter of their own, from one on.
    Packed {
        call: CallId,
        slot: u32,
    },
    Other,
}

enum Next {
    On(Goal),
    Link(Box<Link>, Seen, Goal),
    End(Box<Link>, Stop),
}

struct Tracer<'a> {
    timeline: &'a Timeline,
    missing: Vec<String>,
    /// What calls do, by chunk.
    lists: FxHashMap<(usize, CallId), Rc<[Own]>>,
    steps: usize,
    depth: usize,
}

impl Timeline {
    /// Where the value of something came from, as seen from a frame of a position's stack, 0 being
    /// the innermost: the last step first. Where one stands at the very write of it, what that writes
    /// counts. Empty if there is no such variable. Damaged chunks on the way are said.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn origin(
        &self,
        at: Position,
        depth: usize,
        wanted: &Wanted<'_>,
        missing: &mut Vec<String>,
    ) -> Result<Vec<Link>, Error> {
        let mut tracer = Tracer {
            timeline: self,
            missing: Vec::new(),
            lists: FxHashMap::default(),
            steps: 0,
            depth: 0,
        };
        let (state, run_id) = (self.state(), self.run_id);
        let (goal, seen) = match wanted {
            Wanted::Name(name) => {
                let Some(variable) = self.variable(at, depth, name)? else { return Ok(Vec::new()) };
                let name_text = (*name).into();
                if let Some((before, seen)) = self.bound_here(&variable, name, at)? {
                    let goal = Goal::Variable { variable, name: name_text, before };
                    let (links, _) = tracer.chain(goal, seen, at)?;
                    missing.append(&mut tracer.missing);
                    return Ok(links);
                }
                let variables = state.locals_at(run_id, at.seq(), Some(depth))?;
                let is_global = matches!(variable, Variable::Global { .. });
                let is_meant = |v: &crate::state::Variable| {
                    *v.name == **name && is_global == (v.scope == "global")
                };
                let seen = variables
                    .into_iter()
                    .find(is_meant)
                    .map(|found| Seen { text: Some(found.value), object_id: found.object_id });
                (Goal::Variable { variable, name: name_text, before: at }, seen)
            }
            Wanted::Member { object_id: id, key, text } => {
                let at = self.after_change(*id, at)?;
                let found = state.member_at(run_id, *id, at.seq(), Some(key))?;
                let (key, text) = (key.clone(), (*text).into());
                let goal = Goal::Member { id: *id, key, text, at, held: None };
                (goal, found.and_then(|found| found.found))
            }
        };
        let (links, _) = tracer.chain(goal, seen.unwrap_or_default(), at)?;
        for line in tracer.missing {
            if !missing.contains(&line) {
                missing.push(line);
            }
        }
        Ok(links)
    }
}

impl Timeline {
    /// If the event at a position binds a variable: the position after it, and what it binds.
    fn bound_here(
        &self,
        variable: &Variable,
        name: &str,
        at: Position,
    ) -> Result<Option<(Position, Seen)>, Error> {
        let after = self.position(at.seq() + 1);
        let write = self.write_of(variable, after, Direction::Backward, &mut Vec::new())?;
        let Some(write) = write.filter(|write| write.at == at && !write.is_argument) else {
            return Ok(None);
        };
        let text = self.bound(&write, name)?.flatten().map(Into::into);
        Ok(Some((after, Seen { text, object_id: None })))
    }

    /// A position, or the one after it if the event there changes an object.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn after_change(&self, id: ObjectId, at: Position) -> Result<Position, Error> {
        let after = self.position(at.seq() + 1);
        let change = self.state().change_of(
            self.run_id,
            id,
            after.seq(),
            Direction::Backward,
            &mut |change| Ok(change.at.seq <= at.seq()),
        )?;
        let is_here = change.is_some_and(|change| self.position(change.at.seq) == at);
        Ok(if is_here { after } else { at })
    }
}

impl Tracer<'_> {
    /// Follows something to its end.
    fn chain(&mut self, goal: Goal, seen: Seen, at: Position) -> Result<(Vec<Link>, Stop), Error> {
        let (mut goal, mut seen, mut at) = (goal, seen, at);
        let mut links: Vec<Link> = Vec::new();
        self.depth += 1;
        let stop = loop {
            self.steps += 1;
            let is_enough = links.len() + 1 >= LINKS_MAX || self.depth > DEPTH_MAX;
            let next = match is_enough || self.steps > STEPS_MAX {
                true => Err(Lost::Why("the chain goes on, but is followed no further".into())),
                false => self.advance(&goal, &seen),
            };
            match next {
                Ok(Next::On(next)) => goal = next,
                Ok(Next::Link(link, found, next)) => {
                    if !found.may_be(&seen) {
                        let text = format!(
                            "{} was {} there, so something that the recording does not tell has bound it since",
                            link.text,
                            link.value.as_deref().unwrap_or("another object"),
                        );
                        links.push(self.link(
                            link.at,
                            LinkKind::Contradiction,
                            text,
                            &Seen::default(),
                        )?);
                        break Stop::Other;
                    }
                    at = link.at;
                    seen = Seen {
                        object_id: found.object_id.or(seen.object_id),
                        text: found.text.or(seen.text),
                    };
                    links.push(*link);
                    goal = next;
                }
                Ok(Next::End(mut link, stop)) => {
                    if link.value.is_none() && link.kind != LinkKind::Unknown {
                        link.value = seen.text.as_deref().map(str::to_owned);
                    }
                    links.push(*link);
                    break stop;
                }
                Err(Lost::Error(error)) => return Err(error),
                Err(Lost::Why(why)) => {
                    links.push(self.link(at, LinkKind::Unknown, why.into(), &Seen::default())?);
                    break Stop::Other;
                }
            }
        };
        self.depth -= 1;
        Ok((links, stop))
    }

    fn link(&self, at: Position, kind: LinkKind, text: String, seen: &Seen) -> Result<Link, Error> {
        let here = self.timeline.here(at)?;
        let (path, line, function) =
            here.map(|here| (here.path, here.line, here.qualname)).unwrap_or_default();
        let value = seen.text.as_deref().map(str::to_owned);
        Ok(Link { at, kind, text, value, path, line, function, operands: Vec::new() })
    }

    fn step(
        &self,
        at: Position,
        kind: LinkKind,
        text: impl Into<String>,
        seen: Seen,
        next: Goal,
    ) -> Result<Next, Lost> {
        let link = self.link(at, kind, text.into(), &seen)?;
        Ok(Next::Link(Box::new(link), seen, next))
    }

    fn end(&self, of: &Executed, kind: LinkKind, text: impl Into<String>) -> Result<Next, Lost> {
        let link = self.link(of.at, kind, text.into(), &Seen::default())?;
        Ok(Next::End(Box::new(link), Stop::Put(*of)))
    }
}

fn lost<T>(why: impl Into<Box<str>>) -> Result<T, Lost> {
    Err(Lost::Why(why.into()))
}
