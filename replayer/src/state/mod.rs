//! What variables and objects held at a position.
//!
//! With capture level `state`, a recording holds the values of variables at the recorded events,
//! and at instructions whose effect had to be recorded at once. What happened in between follows
//! from the bytecode: the executed instructions are known, and the next recorded event records what
//! they stored.
//!
//! - `frames`: the frame of each event, and the earlier events of the same frame;
//! - `groups`: the groups of a chunk of values, by the event or instruction they belong to;
//! - `bindings`: the values of a frame's variables at an event;
//! - `window`: the instructions executed between two events;
//! - `objects`: what objects held, and a copy of it that can be written as text;
//! - `graph`: a frame's variables and the objects they lead to, for readers that take them apart;
//! - `changes`: the same forwards: every binding and every change of an object;
//! - `differences`: changes found by comparing what an object held before and after.
//!
//! A query reads what lies between the position and the last position queried in its thread, or
//! else the last snapshot of the frame's variables, which is at most a quarter of a second earlier.
//! It also reads the chunks of events and values in that range, which takes some milliseconds each
//! unless they were read before.

mod arguments;
mod bindings;
mod caches;
mod cells;
mod changes;
mod differences;
mod frames;
mod graph;
mod groups;
mod history;
mod members;
mod objects;
mod own;
mod window;
mod within;

pub use caches::State;
pub use changes::{Binding, Content, Detail, Mutation, Wanted, Where};
pub use graph::{Contents, Expanded, Graph, Handle, LastBinding, Named, Unbound};
pub use members::{Key, Members, Seen};
pub(crate) use own::{Did, Own};
pub(crate) use within::Met;
pub use within::{Direction, FrameIn, Within};

use crate::store::{Error, Variables};
use bindings::Held;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::calls::{CallId, Site};
use dashcam_schema::value::{ObjectId, Sort, Value, render};
use frames::{CallIn, Frames, Link, Track};
use groups::Instant;
use objects::{Copied, Viewpoint};
use rustc_hash::FxHashMap;
use std::rc::Rc;
use window::{SiteGroup, Window};

/// A frame of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackFrame {
    pub process_id: i64,
    pub call_id: CallId,
    /// Number of its code object.
    pub code: u32,
    /// The current line.
    pub line: Option<i64>,
}

/// A bound variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// 0 for the innermost frame.
    pub depth: usize,
    /// `local`, `global` or `cell`.
    pub scope: &'static str,
    pub name: Box<str>,
    /// As `repr()` writes it.
    pub value: Box<str>,
    /// Set if it is an object with an identity.
    pub object_id: Option<ObjectId>,
}

/// What an object held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectText {
    /// Name of its class.
    pub r#type: Box<str>,
    /// As `repr()` writes it.
    pub value: Box<str>,
}

/// An event, and its place among the events of its thread.
struct Position {
    chunk: usize,
    index: usize,
    seq: i64,
    thread: u32,
    frames: Rc<Frames>,
    /// Number of the thread's events in the chunk that have an ordinal and come before this one.
    events: usize,
    has_ordinal: bool,
}

impl Position {
    fn track(&self) -> Option<&Track> {
        self.frames.tracks.get(&self.thread)
    }

    /// The running frame, and a link to the last event of its chain.
    fn innermost(&self) -> Option<(u32, Link)> {
        match self.has_ordinal {
            true => self.track()?.at(self.events as u32),
            false => self.track()?.after(self.events),
        }
    }

    /// The running call, if it is known.
    fn call_id(&self) -> Option<CallId> {
        let (frame, _) = self.innermost()?;
        Some(self.track()?.frames[frame as usize].call_id)
    }

    /// The frames on the stack, innermost first, each with a link to the last event of its chain.
    fn stack(&self) -> impl Iterator<Item = (u32, Link)> {
        let caller = |(frame, _): &(u32, Link)| self.track()?.caller(*frame);
        std::iter::successors(self.innermost(), caller)
    }
}

impl State<'_> {
    fn position(&self, run_id: i64, seq: i64) -> Result<Option<Position>, Error> {
        let Some((chunk, index)) = self.store.locate(run_id, seq) else { return Ok(None) };
        let Some(frames) = self.frames(chunk)? else { return Ok(None) };
        self.position_in(&frames, chunk, index).map(Some)
    }

    fn position_in(
        &self,
        frames: &Rc<Frames>,
        chunk: usize,
        index: usize,
    ) -> Result<Position, Error> {
        let thread = frames.context(index)?.thread;
        Ok(Position {
            chunk,
            index,
            seq: self.store.chunks()[chunk].first_seq + index as i64,
            thread,
            frames: frames.clone(),
            events: frames.tracks.get(&thread).map_or(0, |track| track.before(index)),
            has_ordinal: frames.chunk.has_ordinal(index)?,
        })
    }

    /// The stack of an event's thread, innermost frame first. At an event that enters a frame, that
    /// frame is on the stack; at an event that leaves a frame, that frame still is. Empty if there
    /// is no such event, or its chunk is damaged, which is noted.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn stack_at(&self, run_id: i64, seq: i64) -> Result<Vec<StackFrame>, Error> {
        let Some(position) = self.position(run_id, seq)? else { return Ok(Vec::new()) };
        let process = self.process(position.chunk);
        let stack: Vec<_> = position.stack().collect();
        let mut found = Vec::with_capacity(stack.len());
        for (depth, (frame, _)) in stack.iter().enumerate() {
            let Some(track) = position.track() else { break };
            let site = match depth.checked_sub(1) {
                None => Some(self.site(&position.frames, position.index)?),
                Some(inner) => self.stood(&position, track, stack[inner].0)?,
            };
            let frame = &track.frames[*frame as usize];
            found.push(StackFrame {
                process_id: process.process_id,
                call_id: frame.call_id,
                code: frame.code,
                line: site.and_then(|site| self.store.line(process, site)),
            });
        }
        Ok(found)
    }

    /// The number of a call's code object; `None` if there is no such call.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub(crate) fn code_of_call(&self, run_id: i64, call: i64) -> Result<Option<u32>, Error> {
        let Some((chunk, index)) = self.store.locate(run_id, call) else { return Ok(None) };
        let Some(frames) = self.frames(chunk)? else { return Ok(None) };
        frames.context(index).map(|context| Some(context.code))
    }

    /// The process that has a call from before it was forked. No event begins such a call: its id
    /// comes before the positions of the process's events.
    pub(crate) fn inherited_by(&self, run_id: i64, call: i64) -> Option<i64> {
        let chunks = self.store.chunks();
        let next = chunks.partition_point(|c| (c.run_id, c.first_seq) <= (run_id, call));
        let header = chunks.get(next).filter(|chunk| chunk.run_id == run_id)?;
        let is_first = self.chunks_of(header.process_id).first() == Some(&next);
        (is_first && self.store.locate(run_id, call).is_none()).then_some(header.process_id)
    }

    /// The part of a call that is in a chunk; `None` if there is none, or the chunk is damaged,
    /// which is noted.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub(crate) fn call_in(&self, chunk: usize, call: CallId) -> Result<Option<CallIn>, Error> {
        let Some(frames) = self.frames(chunk)? else { return Ok(None) };
        frames.extent(call)
    }

    fn site(&self, frames: &Frames, index: usize) -> Result<Site, Error> {
        Ok(Site {
            code: frames.context(index)?.code,
            kind: frames.chunk.kinds()?[index],
            place: frames.chunk.places()?[index],
        })
    }

    /// The site where the caller of a frame stood when it entered the frame. `None` if there is no
    /// caller or the site is not known.
    fn stood(
        &self,
        position: &Position,
        track: &Track,
        callee: u32,
    ) -> Result<Option<Site>, Error> {
        let Some(caller) = track.frames[callee as usize].caller else { return Ok(None) };
        let first = &track.frames[track.frames[callee as usize].row as usize];
        // If the frame was entered before the chunk began, no event of the chunk comes before that.
        let entered = first.entered.map_or(0, |entered| track.events[entered as usize] as usize);
        let Some(before) = position.frames.events_of(position.thread, 0, entered)?.next_back()
        else {
            return Ok(Some(track.frames[caller as usize].stood));
        };
        let event = track.before(before);
        let is_own = track.events.get(event).copied() != Some(before as u32)
            || track.at(event as u32).is_some_and(|(frame, _)| frame == caller);
        is_own.then(|| self.site(&position.frames, before)).transpose()
    }

    /// The bound variables of an event's stack, of all frames or of one, as they are just before
    /// the event. Variables of which nothing is known are left out, as is everything that was not
    /// recorded with [`Capture::State`]. Damaged chunks are noted.
    ///
    /// [`Capture::State`]: dashcam_schema::value::Capture::State
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn locals_at(
        &self,
        run_id: i64,
        seq: i64,
        depth: Option<usize>,
    ) -> Result<Vec<Variable>, Error> {
        let mut found = Vec::new();
        if !self.is_there(run_id, seq) {
            return Ok(found);
        }
        let Some(position) = self.position(run_id, seq)? else { return Ok(found) };
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(viewpoint) = self.viewpoint_of(&position, window)? else { return Ok(found) };
        for (at, at_frame) in position.stack().enumerate() {
            if depth.is_some_and(|depth| depth != at) {
                continue;
            }
            let window = window.filter(|_| at == 0);
            if let Some((variables, slots)) = self.slots_of(&position, at_frame, window)? {
                self.write(at, variables, &viewpoint, slots, &mut found)?;
            }
        }
        Ok(found)
    }

    /// What an object held just before an event. `None` if it was not described, or the run was
    /// recorded without state.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn object_at(
        &self,
        run_id: i64,
        object_id: ObjectId,
        seq: i64,
    ) -> Result<Option<ObjectText>, Error> {
        if !self.is_there(run_id, seq) {
            return Ok(None);
        }
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(viewpoint) = self.viewpoint_of(&position, window)? else { return Ok(None) };
        let mut copied = Copied::default();
        let until = window.and_then(|(window, _)| window.upper);
        let until =
            until.map(|upper| self.instant_after(viewpoint.process_id, upper)).transpose()?;
        // A new object is described only later.
        for until in [None, until.flatten()] {
            let held = Held { value: Value::Object(object_id), chunk: viewpoint.instant.chunk };
            let value = copied.add(self, &viewpoint, &[(held, until)])?.into_iter().next();
            if let (Some(value), Some(class)) = (value, copied.class_of(object_id)) {
                let value = render::repr(&copied, &value, 0).into();
                return Ok(Some(ObjectText { r#type: class.into(), value }));
            }
        }
        Ok(None)
    }

    /// The window that contains a position; `None` at an event that has an ordinal.
    fn window_of(&self, position: &Position) -> Result<Option<Rc<Window>>, Error> {
        if position.has_ordinal {
            return Ok(None);
        }
        self.window(position.chunk, position.thread, position.events).map(Some)
    }

    /// The viewpoint of a position, after the given number of instructions of its window. `None` if
    /// the process has no values.
    ///
    /// # Errors
    /// If the values of what was executed up to there were not stored.
    fn viewpoint_of(
        &self,
        position: &Position,
        window: Option<(&Window, usize)>,
    ) -> Result<Option<Viewpoint>, Error> {
        let process_id = self.process(position.chunk).process_id;
        let next = self.ordinal(&position.frames, position.chunk, position.index)?;
        let last = if position.has_ordinal { next } else { next - 1 };
        let Some(mut instant) = self.instant_after(process_id, last)? else { return Ok(None) };
        let mut viewpoint = Viewpoint { process_id, instant, until: None, changed: None };
        if let Some((window, executed)) = window {
            // If no event ends the window, nothing has shown yet whether all its groups are stored.
            let stored = window.stored_before();
            if window.upper.is_none() && executed > stored {
                self.store.known(process_id, next, next).map_err(|error| {
                    let Error::Unknown { path, last } = error else { return error };
                    let before = stored.checked_sub(1).and_then(|at| window.executed.get(at));
                    Error::Unknown { path, last: before.map(|before| before.seq).or(last) }
                })?;
            }
            instant = window.consumed(executed).map_or(instant, |consumed| consumed.max(instant));
            // Another thread may have had events between this thread's next store and its next
            // event.
            instant = window.before_next(executed).map_or(instant, |next| next.min(instant));
            viewpoint.instant = instant;
            let until = window.upper.map(|upper| self.instant_after(process_id, upper));
            viewpoint.until = until.transpose()?.flatten();
            viewpoint.changed = Some((Rc::clone(&window.changes), executed));
        }
        Ok(Some(viewpoint))
    }

    /// The instant after all groups that have this ordinal or an earlier one. `None` if the process
    /// has no values.
    ///
    /// # Errors
    /// If the values of that event were not stored.
    fn instant_after(&self, process_id: i64, ordinal: i64) -> Result<Option<Instant>, Error> {
        self.store.known(process_id, ordinal, ordinal)?;
        let chunks = self.store.value_chunks();
        let after = chunks.partition_point(|chunk| {
            (chunk.process_id, chunk.first_ordinal) <= (process_id, ordinal)
        });
        let is_of_process =
            |at: &usize| chunks.get(*at).is_some_and(|chunk| chunk.process_id == process_id);
        let Some(chunk) = after.checked_sub(1).filter(is_of_process) else {
            let first = Some(after).filter(is_of_process);
            return Ok(first.map(|chunk| Instant { chunk, at: 0 }));
        };
        let groups = self.groups(chunk)?;
        let at = groups.map_or(0, |groups| {
            let count = groups.of(ordinal.saturating_add(1)).start;
            groups.values.moment(count)
        });
        Ok(Some(Instant { chunk, at }))
    }

    /// The content of the cell that holds a variable; the value itself if it is not in a cell.
    /// `None` if it is not known.
    fn content(
        &self,
        viewpoint: &Viewpoint,
        held: Held,
        is_cell: bool,
        until: Option<Instant>,
    ) -> Result<Option<Held>, Error> {
        let (Value::Object(id) | Value::Shallow(id)) = held.value else { return Ok(Some(held)) };
        if !is_cell {
            return Ok(Some(held));
        }
        let Some(description) = self.description(viewpoint, id, until)? else { return Ok(None) };
        let Some(object) = description.object(id) else { return Ok(None) };
        let values = &description.groups.values;
        let class = values.classes().get(object.class as usize);
        if class.is_none_or(|class| class.sort != Sort::Cell) {
            // Before the cell is made, its slot holds the argument itself.
            return Ok(Some(held));
        }
        let value = object.items.map(|items| items.kept.first().copied().unwrap_or(Value::Unbound));
        Ok(value.map(|value| Held { value, chunk: description.groups.index }))
    }

    /// The bound variables: those bound before the window, and those stored in it.
    fn bound<'v>(
        &self,
        variables: &'v Variables,
        viewpoint: &Viewpoint,
        slots: Slots,
    ) -> Result<[Vec<Bound<'v>>; 2], Error> {
        let (mut before, mut new) = (Vec::new(), Vec::new());
        for (slot, held) in variables.stores.all().iter().zip(slots) {
            let Some((held, until)) = held else { continue };
            let is_cell = variables.is_cell(*slot);
            let Some(held) = self.content(viewpoint, held, is_cell, until)? else { continue };
            let Some(name) = variables.name(*slot) else { continue };
            if held.value != Value::Unbound {
                let found = if until.is_some() { &mut new } else { &mut before };
                found.push((*slot, name, (held, until)));
            }
        }
        Ok([before, new])
    }

    /// Appends the bound variables to `out`, with their values as text.
    fn write(
        &self,
        depth: usize,
        variables: &Variables,
        viewpoint: &Viewpoint,
        slots: Slots,
        out: &mut Vec<Variable>,
    ) -> Result<(), Error> {
        // Values from before the window go first: an object that is reached from both is read as it
        // was known before.
        let [before, new] = self.bound(variables, viewpoint, slots)?;
        let mut copied = Copied::default();
        let mut values = Vec::new();
        for found in [&before, &new] {
            let held: Vec<_> = found.iter().map(|(.., held)| *held).collect();
            values.extend(copied.add(self, viewpoint, &held)?);
        }
        let mut rows: Vec<_> = before.iter().chain(&new).zip(values).collect();
        rows.sort_unstable_by_key(|((slot, ..), _)| *slot);
        out.extend(rows.into_iter().map(|((slot, name, (held, _)), value)| Variable {
            depth,
            scope: variables.scope(*slot),
            name: (*name).into(),
            value: render::repr(&copied, &value, 0).into(),
            object_id: id_of(held.value),
        }));
        Ok(())
    }
}

impl<'a> State<'a> {
    /// The variables of a frame on a stack and the value of each; for the innermost frame, after
    /// the given number of instructions of the window.
    fn slots_of(
        &self,
        position: &Position,
        (frame, link): (u32, Link),
        window: Option<(&Window, usize)>,
    ) -> Result<Option<(&'a Variables, Slots)>, Error> {
        let Some(track) = position.track() else { return Ok(None) };
        let frame = track.frames[frame as usize];
        let process = self.process(position.chunk);
        let Some(variables) = self.store.variables(process, frame.code) else { return Ok(None) };
        let element = self.element(position.chunk, position.thread, frame.call_id, link)?;
        let mut base = element.map(|element| self.base(element, variables)).transpose()?;
        if window.is_some() {
            let Position { frames, chunk, thread, events, .. } = position;
            if let Some(held) = self.reached(frames, *chunk, *thread, *events, variables)? {
                base = Some(held.into());
            }
        }
        Ok(Some((variables, slots(variables, base.as_deref(), window))))
    }
}

/// The value of each of a frame's variables, and, if it was stored in the window, the instant when
/// it is described.
type Slots = Vec<Option<(Held, Option<Instant>)>>;

/// A bound variable: its slot, name and value, and, if it was stored in the window, the instant
/// when it is described.
type Bound<'v> = (Slot, &'v str, (Held, Option<Instant>));

/// The value of each variable, and, if it was stored in the window, the instant when it is
/// described.
fn slots(
    variables: &Variables,
    base: Option<&[Option<Held>]>,
    window: Option<(&Window, usize)>,
) -> Slots {
    let all = variables.stores.all();
    let base = base.into_iter().flatten().map(|held| held.map(|held| (held, None)));
    let mut slots: Vec<_> = base.collect();
    slots.resize(all.len(), None);
    let Some((window, executed)) = window else { return slots };
    // The last instruction that stored each slot.
    let mut stored = FxHashMap::default();
    for (by, executed) in window.executed[..executed].iter().enumerate() {
        for (slot, binds) in variables.stores.stored(executed.unit) {
            stored.insert(slot, (by, binds));
        }
    }
    // Names do not belong to the frame alone. Those that it does not store in the window may have
    // been bound elsewhere before the frame continued: they have the value that is recorded next.
    for (at, slot) in all.iter().enumerate().filter(|(_, slot)| **slot >= variables.stores.fast()) {
        let stores = |unit| variables.stores.stored(unit).any(|(stored, _)| stored == *slot);
        // They may be bound later through the namespace. Their value until then is not known.
        let is_bound_later =
            |name| window.changes_under(name, false).any(|site| site.by >= executed);
        if !window.executed.iter().any(|executed| stores(executed.unit))
            && let Some((held, described)) = window.next_value(*slot, variables)
        {
            let is_known = !variables.name(*slot).is_some_and(is_bound_later);
            slots[at] = is_known.then_some((held, Some(described)));
        }
    }
    for (at, slot) in all.iter().enumerate().take_while(|(_, s)| **s < variables.stores.fast()) {
        let Some(name) = variables.name(*slot) else { continue };
        let is_later = |site: &&SiteGroup| {
            site.by < executed && stored.get(slot).is_none_or(|(by, _)| *by < site.by)
        };
        // A change through the frame's `f_locals`.
        if let Some(site) = window.changes_under(name, true).rev().find(is_later) {
            stored.remove(slot);
            slots[at] = site.value().map(|held| (held, Some(site.described())));
        }
    }
    for (slot, (by, binds)) in stored {
        let Ok(at) = all.binary_search(&slot) else { continue };
        slots[at] = match binds {
            true => {
                let stored = window.stored(by, slot, variables);
                stored.map(|(held, described)| (held, Some(described)))
            }
            false => None,
        };
    }
    slots
}

fn id_of(value: Value) -> Option<ObjectId> {
    match value {
        Value::Object(id) | Value::Shallow(id) => Some(id),
        _ => None,
    }
}
