//! Collects the details of a difference.

use super::Run;
use super::compare::{Found, Gap, GapSide, Name, Two, What};
use super::items::leaves;
use super::reader::{Reader, View, counts};
use super::text::differ;
use crate::debugger::text::shell;
use crate::state::{State, Wanted};
use crate::store::{Error, Process};
use dashcam_schema::event::EventKind;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Maximum number of differing variables that are listed.
const VARIABLES_MAX: usize = 20;
/// Maximum number of frames whose variables are compared, from the innermost.
const FRAMES_MAX: usize = 50;
/// Maximum number of events searched for the next line.
const NEXT_MAX: usize = 1 << 12;
/// Maximum number of events searched for the lines that only one run has.
const LINES_MAX: usize = 1 << 16;

/// One difference between two runs.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Ids of the process in each run, if a run has several.
    pub processes: [Option<i64>; 2],
    /// Name of the thread.
    pub thread: String,
    pub change: Change,
    /// The place in each run.
    pub places: [Option<Place>; 2],
    /// Other variables that differ there, innermost frame first.
    pub variables: Vec<Variable>,
    /// Number of similar differences later in the run.
    pub more: u64,
    /// It is in the user's own code.
    pub is_mine: bool,
}

/// The kind of a difference.
#[derive(Debug, Clone)]
pub enum Change {
    /// A value, with its name if it has one. In `values`, `None` means that it was not bound.
    Value { of: ValueOf, name: Option<String>, values: [Option<String>; 2] },
    /// Control took another path: what came next, and what only one run has until both continue
    /// alike.
    Path { line: Option<i64>, next: [Next; 2], only: [Only; 2] },
    /// One run has no such thread.
    Thread,
    /// One run has no such process.
    Process {
        /// The command line, as for a shell.
        command: String,
    },
}

/// Which value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueOf {
    Argument,
    Result,
    Yielded,
    Sent,
    Exception,
    Variable,
    /// The value that was stored into an attribute.
    Attribute,
    /// The value that was stored into an item, whose key is the name.
    Item,
    /// The key of an item that was set or deleted.
    Key,
}

/// A position, with the stack there.
#[derive(Debug, Clone)]
pub struct Place {
    pub seq: i64,
    /// Innermost first.
    pub stack: Vec<Frame>,
}

/// A frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub qualname: String,
    pub path: String,
    pub line: Option<i64>,
}

/// A variable that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// 0 for the innermost frame.
    pub depth: usize,
    pub name: String,
    pub values: [Option<String>; 2],
}

/// What a run did next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Went on to a line.
    Line(i64),
    /// Called a function in Python, or resumed a generator or coroutine.
    Call {
        qualname: String,
        resumes: bool,
    },
    /// Called another callable; its name, and the line.
    Callable {
        name: String,
        line: Option<i64>,
    },
    Return {
        line: Option<i64>,
    },
    Yield {
        line: Option<i64>,
    },
    /// Raised an exception: its type, with the message if there is one.
    Raise {
        exception: String,
        line: Option<i64>,
    },
    /// Handled an exception.
    Handle {
        exception: String,
        line: Option<i64>,
    },
    /// Was left by an exception.
    Unwind {
        exception: String,
    },
    /// Anything else, such as the second part of a line.
    Other {
        line: Option<i64>,
    },
    /// Nothing: there are no more events.
    End,
}

/// What only one run has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// The lowest and highest line of the function itself that only this run has.
    pub lines: Option<(i64, i64)>,
    pub calls: Vec<Calls>,
    /// Number of calls of further functions.
    pub others: u64,
}

/// Calls of a function that only one run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    pub qualname: String,
    /// Line of the caller.
    pub line: Option<i64>,
    /// Arguments of the first call.
    pub arguments: Option<String>,
    pub count: u64,
    /// The event that began the first call.
    pub first_seq: i64,
}

impl Difference {
    /// The difference for a thread that only one run has.
    pub(super) fn of_thread(thread: String, seqs: [Option<i64>; 2]) -> Difference {
        Difference {
            processes: [None; 2],
            thread,
            change: Change::Thread,
            places: seqs.map(|seq| Some(Place { seq: seq?, stack: Vec::new() })),
            variables: Vec::new(),
            more: 0,
            is_mine: true,
        }
    }

    /// The difference for a process that only one run has.
    pub(super) fn of_process(
        process: &Process,
        processes: [Option<i64>; 2],
        seqs: [Option<i64>; 2],
    ) -> Difference {
        let command = shell(&process.command);
        Difference {
            processes,
            change: Change::Process { command },
            ..Difference::of_thread("MainThread".to_owned(), seqs)
        }
    }

    /// The sort key: the user's own code first, then by position in the first run, or in the second
    /// if it has none in the first.
    pub(super) fn order(&self) -> (bool, i64) {
        let seq = |side: usize| self.places[side].as_ref().map(|place: &Place| place.seq);
        (!self.is_mine, seq(0).or(seq(1)).unwrap_or(i64::MAX))
    }
}

/// Collects the details of a difference.
pub(super) fn difference(
    readers: Two<&Reader<'_>>,
    states: &Two<State<'_>>,
    runs: Two<Run<'_>>,
    thread: &str,
    found: Found,
) -> Result<Difference, Error> {
    let reporter = Reporter { readers, states, runs };
    let is_mine = found.is_mine;
    let mut seqs = found.seqs;
    let mut texts = None;
    let stored = match &found.what {
        What::Value { name: Name::Variable(name), .. } => reporter.bound(seqs, name)?,
        What::Value { name: Name::Attribute(_) | Name::Item(_), .. } => reporter.changed(seqs)?,
        _ => None,
    };
    if let Some((at, values)) = stored {
        (seqs, texts) = (at, Some(values));
    }
    let change = match found.what {
        What::Value { name, texts: event_texts } => {
            let values = texts.unwrap_or(event_texts);
            let (of, name) = match name {
                Name::Argument(name) => (ValueOf::Argument, Some(name.into())),
                Name::Result => (ValueOf::Result, None),
                Name::Yielded => (ValueOf::Yielded, None),
                Name::Sent => (ValueOf::Sent, None),
                Name::Exception => (ValueOf::Exception, None),
                Name::Variable(name) => (ValueOf::Variable, Some(name.into())),
                Name::Attribute(name) => (ValueOf::Attribute, Some(name.into())),
                Name::Item(name) => (ValueOf::Item, Some(name.into())),
                Name::Key => (ValueOf::Key, None),
            };
            Change::Value { of, name, values }
        }
        What::Path { gap } => reporter.path(&gap)?,
    };
    let places = [reporter.place(0, seqs[0])?, reporter.place(1, seqs[1])?];
    let mut variables = reporter.variables(seqs, &places)?;
    if let Change::Value { name: Some(name), .. } = &change {
        variables.retain(|variable| variable.depth > 0 || variable.name != *name);
    }
    variables.truncate(VARIABLES_MAX);
    Ok(Difference {
        processes: [None; 2],
        thread: thread.to_owned(),
        change,
        places: places.map(Some),
        variables,
        more: found.more,
        is_mine,
    })
}

/// The event of a store, and the stored value.
type Row = (i64, Option<Box<str>>);
/// The event and the value, for each run.
type Stored = (Two<i64>, Two<Option<String>>);

/// The first stores that differ, if both runs have the same number of stores.
fn first_other([a, b]: &Two<Vec<Row>>) -> Option<Stored> {
    let is_other = |((_, a), (_, b)): &(&Row, &Row)| match (a, b) {
        (Some(a), Some(b)) => differ(a, b, true),
        (a, b) => a.is_some() != b.is_some(),
    };
    let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
    let found = a.iter().zip(b).find(is_other).filter(|_| a.len() == b.len());
    found.map(|((at, one), (other, two))| ([*at, *other], [text(one), text(two)]))
}

struct Reporter<'t, 'a> {
    readers: Two<&'t Reader<'a>>,
    states: &'t Two<State<'a>>,
    runs: Two<Run<'a>>,
}

impl Reporter<'_, '_> {
    /// A position of one run with its stack.
    fn place(&self, side: usize, seq: i64) -> Result<Place, Error> {
        let reader = self.readers[side];
        let stack = self.states[side].stack_at(self.runs[side].run_id, seq)?;
        let frame = |frame: &crate::state::StackFrame| {
            let (qualname, path) = reader.named(frame.code);
            Frame { qualname: qualname.to_owned(), path: path.to_owned(), line: frame.line }
        };
        Ok(Place { seq, stack: stack.iter().map(frame).collect() })
    }

    /// The chunk and thread of an event, and the range of the chunk from the previous compared
    /// event of the thread to it.
    fn since(&self, side: usize, seq: i64) -> Result<Option<(usize, u32, Range<usize>)>, Error> {
        let Some((view, index)) = self.readers[side].locate(seq)? else { return Ok(None) };
        let (thread, counts) = (view.context(index).thread, counts());
        let kinds = view.chunk.kinds()?;
        let is_before =
            |at: &usize| counts >> kinds[*at] & 1 == 1 && view.context(*at).thread == thread;
        let before = (0..index).rev().find(is_before);
        Ok(Some((view.index, thread, before.unwrap_or(0)..index)))
    }

    /// Where exactly a variable was bound to different values, which are recorded with the two
    /// events.
    fn bound(&self, seqs: Two<i64>, name: &str) -> Result<Option<Stored>, Error> {
        let mut rows: Two<Vec<Row>> = Default::default();
        for side in [0, 1] {
            let Some((chunk, thread, range)) = self.since(side, seqs[side])? else {
                return Ok(None);
            };
            let bound = self.states[side].bindings(
                chunk,
                range,
                &Wanted::all(&|_, of| of == thread, &|known| known == name),
            )?;
            rows[side] = bound.into_iter().map(|bound| (bound.at.seq, bound.value)).collect();
        }
        Ok(first_other(&rows))
    }

    /// Where exactly objects were changed differently, which is recorded with the two events.
    fn changed(&self, seqs: Two<i64>) -> Result<Option<Stored>, Error> {
        let mut rows: Two<Vec<Row>> = Default::default();
        for side in [0, 1] {
            let Some((chunk, thread, range)) = self.since(side, seqs[side])? else {
                return Ok(None);
            };
            let changed = self.states[side].mutations(
                chunk,
                range,
                &Wanted::all(&|_, of| of == thread, &|_| true),
            )?;
            rows[side] = changed.into_iter().map(|change| (change.at.seq, change.value)).collect();
        }
        Ok(first_other(&rows))
    }

    /// The variables on both stacks that differ; without state, the arguments.
    fn variables(&self, seqs: Two<i64>, places: &Two<Place>) -> Result<Vec<Variable>, Error> {
        let mut known: Two<BTreeMap<(usize, String), String>> = Default::default();
        for side in [0, 1] {
            let run_id = self.runs[side].run_id;
            if self.readers[side].has_state {
                for depth in 0..places[side].stack.len().min(FRAMES_MAX) {
                    let found = self.states[side].locals_at(run_id, seqs[side], Some(depth))?;
                    let pair = |v: crate::state::Variable| ((depth, v.name.into()), v.value.into());
                    known[side].extend(found.into_iter().map(pair));
                }
                continue;
            }
            let stack = self.states[side].stack_at(run_id, seqs[side])?;
            for (depth, frame) in stack.iter().enumerate().take(FRAMES_MAX) {
                let reader = self.readers[side];
                let Some((view, index)) = reader.locate(frame.call_id.cast_signed())? else {
                    continue;
                };
                if view.kind(index) != Some(EventKind::PY_START) {
                    continue;
                }
                reader.each_value(&view, index, None, |found| {
                    if let super::values::Label::Argument(number) = found.label {
                        let name = reader.argument(found.code, number).into();
                        known[side].insert((depth, name), found.text());
                    }
                })?;
            }
        }
        let [a, b] = known;
        let is_same_frame = |depth: usize| {
            let frame = |side: usize| places[side].stack.get(depth).map(|f: &Frame| &f.qualname);
            frame(0).is_some() && frame(0) == frame(1)
        };
        let mut found = Vec::new();
        let mut names: Vec<&(usize, String)> = a.keys().chain(b.keys()).collect();
        names.sort();
        names.dedup();
        for key in names {
            let (one, two) = (a.get(key), b.get(key));
            let is_other = match (one, two) {
                (Some(one), Some(two)) => differ(one, two, self.readers[0].has_state),
                // A variable that is not recorded may still be bound.
                _ => false,
            };
            if is_other && is_same_frame(key.0) {
                let values = [one.cloned(), two.cloned()];
                found.push(Variable { depth: key.0, name: key.1.clone(), values });
            }
        }
        Ok(found)
    }

    /// The details of a gap.
    fn path(&self, gap: &Gap) -> Result<Change, Error> {
        let seq = |side: usize| {
            let first = gap.sides[side].first.map(|item| item.seq);
            first.or(gap.after.map(|after| after[side]))
        };
        let mut line = None;
        let mut units = Vec::new();
        for side in [0, 1] {
            if let Some(item) = gap.sides[side].first
                && let Some((view, index)) = self.readers[side].locate(item.seq)?
                && let Some(unit) = view.branch(index)?
            {
                line = self.readers[side].line(view.context(index).code, unit);
                units.push(unit);
            }
        }
        // The line counts only if both runs were at the same branch.
        line = line.filter(|_| matches!(units[..], [a, b] if a == b));
        let next = [self.next(0, seq(0))?, self.next(1, seq(1))?];
        let mut only = [self.only(0, &gap.sides[0])?, self.only(1, &gap.sides[1])?];
        let lines = [self.lines(0, gap)?, self.lines(1, gap)?];
        for side in [0, 1] {
            let own = || lines[side].difference(&lines[1 - side]).copied();
            only[side].lines = own().next().zip(own().last());
        }
        Ok(Change::Path { line, next, only })
    }

    /// What a run did next at an event.
    fn next(&self, side: usize, seq: Option<i64>) -> Result<Next, Error> {
        let reader = self.readers[side];
        let Some(seq) = seq else { return Ok(Next::End) };
        let Some((view, index)) = reader.locate(seq)? else { return Ok(Next::End) };
        let Some(kind) = view.kind(index) else { return Ok(Next::End) };
        let context = view.context(index);
        let line = reader.line(context.code, view.places()?[index]);
        let exception = || -> Result<String, Error> {
            Ok(match reader.exception(&view, index)? {
                Some((name, "")) => name.to_owned(),
                Some((name, message)) => format!("{name}: {message}"),
                None => "an exception".to_owned(),
            })
        };
        Ok(match kind {
            kind if kind.enters() => {
                let (qualname, _) = reader.named(context.code);
                Next::Call { qualname: qualname.to_owned(), resumes: kind.resumes() }
            }
            kind if kind.has_target() => match self.next_line(side, &view, index)? {
                Some(line) => Next::Line(line),
                None => Next::Other { line },
            },
            EventKind::CALL | EventKind::C_RAISE => {
                let name = reader.callable_name(view.chunk.callables()?[index]);
                Next::Callable { name: name.unwrap_or("?").to_owned(), line }
            }
            EventKind::PY_RETURN => Next::Return { line },
            EventKind::PY_YIELD => Next::Yield { line },
            EventKind::RAISE | EventKind::RERAISE => Next::Raise { exception: exception()?, line },
            EventKind::EXCEPTION_HANDLED => {
                let line = self.next_line(side, &view, index)?.or(line);
                Next::Handle { exception: exception()?, line }
            }
            EventKind::PY_UNWIND => Next::Unwind { exception: exception()? },
            _ => Next::Other { line },
        })
    }

    /// The next line in the frame of an event.
    fn next_line(&self, side: usize, view: &View, index: usize) -> Result<Option<i64>, Error> {
        let reader = self.readers[side];
        let kinds = view.chunk.kinds()?;
        let context = view.context(index);
        for at in (index + 1..kinds.len()).take(NEXT_MAX) {
            let of = view.context(at);
            if of.thread != context.thread {
                continue;
            }
            let Some(kind) = view.kind(at) else { break };
            if kind == EventKind::LINE && of.code == context.code {
                return Ok(Some(view.places()?[at].into()));
            }
            if kind.enters() || leaves(kind) {
                break;
            }
        }
        let target = match view.kind(index).is_some_and(EventKind::has_target) {
            true => Some(view.chunk.targets()?[index]),
            false => None,
        };
        Ok(target.and_then(|unit| reader.line(context.code, unit)))
    }

    /// The lines of the function itself that ran in a gap, within [`LINES_MAX`] events.
    fn lines(&self, side: usize, gap: &Gap) -> Result<BTreeSet<i64>, Error> {
        let mut lines = BTreeSet::new();
        let Some(first) = gap.sides[side].first else { return Ok(lines) };
        let reader = self.readers[side];
        let Some((view, index)) = reader.locate(first.seq)? else { return Ok(lines) };
        let kinds = view.chunk.kinds()?;
        let end = gap.after.map_or(i64::MAX, |after| after[side]);
        let thread = view.context(index).thread;
        let mut depth = 0;
        for at in (index..kinds.len()).take(LINES_MAX).take_while(|at| view.seq(*at) < end) {
            if view.context(at).thread != thread {
                continue;
            }
            match view.kind(at) {
                Some(EventKind::LINE) if depth == 0 => {
                    lines.insert(view.places()?[at].into());
                }
                Some(kind) if kind.enters() => depth += 1,
                Some(kind) if leaves(kind) => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                break;
            }
        }
        Ok(lines)
    }

    /// The calls that only one run has in a gap.
    fn only(&self, side: usize, part: &GapSide) -> Result<Only, Error> {
        let reader = self.readers[side];
        let mut only = Only { lines: None, calls: Vec::new(), others: part.others };
        for (_, seq, count) in &part.extras {
            let stack = self.states[side].stack_at(self.runs[side].run_id, *seq)?;
            let code = stack.first().map_or(u32::MAX, |frame| frame.code);
            let arguments = reader.store.value_text_at(self.runs[side].run_id, *seq)?;
            let is_start = reader
                .locate(*seq)?
                .is_some_and(|(view, index)| view.kind(index) == Some(EventKind::PY_START));
            only.calls.push(Calls {
                qualname: reader.named(code).0.to_owned(),
                line: stack.get(1).and_then(|frame| frame.line),
                arguments: arguments.filter(|_| is_start),
                count: *count,
                first_seq: *seq,
            });
        }
        Ok(only)
    }
}
