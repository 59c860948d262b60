//! Traces a value back along the chain of bindings to the literal, input or call in C that it came
//! from, as far as the recording allows.
//!
//! Every executed instruction is known, and so is the depth of the evaluation stack before it. The
//! trace begins at the store of a variable and goes back, within the call, to the instruction that
//! pushed the value. From an instruction that loads another variable, it continues at the last
//! write of that variable; from a call, at the callee's return; from an argument, on the caller's
//! stack; from an attribute or item, at the last change of its object. At each step the value is
//! compared with the one that was recorded there.
//!
//! - `trace`: goes back over what a call executed;
//! - `follow`: how each instruction got the value it pushed;
//! - `calls`: from a result into the callee, from an argument to the caller;
//! - `members`: from an attribute or item to where it was set;
//! - `values`: values on the evaluation stack;
//! - `source`: what can be found out from the source text only.

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

/// Maximum number of links of a chain.
pub const LINKS_MAX: usize = 50;
/// Maximum number of steps for one chain, including those to find values on the stack.
const STEPS_MAX: usize = 2000;
/// Maximum depth of chains within chains, such as the chain of an item's container or of a
/// generator that is iterated over.
const DEPTH_MAX: usize = 6;

/// The kind of a link.
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
    /// An item is set, or was in the container from the beginning.
    Item,
    /// A literal. This kind and all below end the chain.
    Literal,
    /// The value is computed by an operator, comparison, f-string or the like.
    Computed,
    /// An object is made: by its class, a display, `def`, or calling a generator function.
    Made,
    /// A function in C returns or sets the value.
    FromC,
    Imported,
    /// An exception.
    Raised,
    /// The default of a parameter.
    Default,
    /// The recording does not show where the value came from.
    Unknown,
    /// Another value was recorded at the next step back.
    Contradiction,
}

impl LinkKind {
    /// The name of the kind in JSON.
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

    /// Whether the chain goes on after a link of this kind.
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

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it happened.
    pub at: Position,
    pub kind: LinkKind,
    /// The variable, expression or callable; for `Unknown` and `Contradiction` a sentence.
    pub text: String,
    /// The value as `repr()` writes it.
    pub value: Option<String>,
    pub path: String,
    pub line: Option<i64>,
    /// Qualified name of the function it happened in.
    pub function: String,
    /// What the value was computed from: expressions whose origin can be requested at `at`.
    pub operands: Vec<Operand>,
}

/// An expression that a value was computed from, with its own value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    pub text: String,
    pub value: Option<String>,
}

/// What to trace: a variable, or an attribute or item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// A variable, as seen from a frame.
    Name(&'a str),
    /// An attribute or item of an object; `text` is how it is written.
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

/// What is traced next.
#[derive(Debug, Clone)]
enum Goal {
    /// The value of a variable before a position.
    Variable { variable: Variable, name: Box<str>, before: Position },
    /// The value in a slot of the evaluation stack before an instruction.
    Slot { of: Executed, slot: u32 },
    /// An argument of a call.
    Argument { call: CallId, target: Target, name: Box<str> },
    /// An attribute or item of an object before a position; `held` is the slot that the object was
    /// in.
    Member { id: ObjectId, key: Key, text: Box<str>, at: Position, held: Option<(Executed, u32)> },
    /// An item of the value in a slot.
    Element { of: Executed, slot: u32, key: Key, text: Box<str> },
    /// What a call returns or yields at a position.
    Left { call: CallId, at: Position },
}

/// Which argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// The argument of the parameter in this slot.
    Parameter(u32),
    /// An argument in `*args`; the slot of `*args`, and the index.
    More { slot: u32, index: u32 },
    /// An argument in `**kwargs`.
    Named(Box<str>),
}

/// How a chain ended, for tracing that continues from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// At the instruction that pushed the value.
    Put(Executed),
    /// At `*args` or `**kwargs`, in this slot: the arguments of a call without a parameter of their
    /// own.
    Packed {
        call: CallId,
        slot: u32,
    },
    Other,
}

/// The result of one step back.
enum Next {
    /// The value came from here; the step adds no link.
    On(Goal),
    /// A link, the value recorded there, and where that came from.
    Link(Box<Link>, Seen, Goal),
    /// The last link.
    End(Box<Link>, Stop),
}

struct Tracer<'a> {
    timeline: &'a Timeline,
    /// A sentence for each damaged chunk.
    missing: Vec<String>,
    /// What a call does in a chunk, by chunk and call.
    lists: FxHashMap<(usize, CallId), Rc<[Own]>>,
    steps: usize,
    depth: usize,
}

impl Timeline {
    /// The chain of links to where a value came from, last step first. `depth` is the frame of the
    /// position's stack that names refer to; 0 is the innermost. If the event at the position
    /// writes the variable, attribute or item, the value it writes is traced. Empty if there is no
    /// such variable. A sentence for each damaged chunk on the way is added to `missing`.
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
                let bound = self.bound_here(&variable, name, at, &mut tracer.missing)?;
                if let Some((before, seen)) = bound {
                    let goal = Goal::Variable { variable, name: name_text, before };
                    let (links, _) = tracer.chain(goal, seen, at)?;
                    note(tracer.missing, missing);
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
        note(tracer.missing, missing);
        Ok(links)
    }
}

/// Adds the lines that are new.
fn note(lines: Vec<String>, all: &mut Vec<String>) {
    for line in lines {
        if !all.contains(&line) {
            all.push(line);
        }
    }
}

impl Timeline {
    /// If the event at a position binds a variable: the position after it, and the value it binds.
    fn bound_here(
        &self,
        variable: &Variable,
        name: &str,
        at: Position,
        missing: &mut Vec<String>,
    ) -> Result<Option<(Position, Seen)>, Error> {
        let after = self.position(at.seq() + 1);
        let write = self.write_of(variable, after, Direction::Backward, missing)?;
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
    /// Traces a goal to its end. Returns the links and how the chain ended.
    fn chain(&mut self, goal: Goal, seen: Seen, at: Position) -> Result<(Vec<Link>, Stop), Error> {
        let (mut goal, mut seen, mut at) = (goal, seen, at);
        let mut links: Vec<Link> = Vec::new();
        self.depth += 1;
        let stop = loop {
            self.steps += 1;
            let is_enough = links.len() + 1 >= LINKS_MAX || self.depth > DEPTH_MAX;
            let next = match is_enough || self.steps > STEPS_MAX {
                true => Err(Lost::Why("the chain goes on, but is not followed further".into())),
                false => self.advance(&goal, &seen),
            };
            match next {
                Ok(Next::On(next)) => goal = next,
                Ok(Next::Link(link, found, next)) => {
                    if !found.may_be(&seen) {
                        let text = format!(
                            "{} was {} there, so something that was not recorded has bound it since",
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

    /// A link at a position, without operands.
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

    /// The last link of a chain, at the instruction that pushed the value.
    fn end(&self, of: &Executed, kind: LinkKind, text: impl Into<String>) -> Result<Next, Lost> {
        let link = self.link(of.at, kind, text.into(), &Seen::default())?;
        Ok(Next::End(Box::new(link), Stop::Put(*of)))
    }
}

fn lost<T>(why: impl Into<Box<str>>) -> Result<T, Lost> {
    Err(Lost::Why(why.into()))
}
