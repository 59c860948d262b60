//! Every binding of a variable, and every change of an object, in the order of events.

use super::bindings::{Element, Held};
use super::caches::State;
use super::groups::{Groups, Instant};
use super::objects::{Copied, Description, Viewpoint};
use super::window::{SiteGroup, Window};
use super::{Position, id_of};
use crate::store::{Error, Variables};
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::{EventKind, kinds_that};
use dashcam_schema::value::{GroupKind, ObjectId, Sort, Value, render};
use std::ops::Range;
use std::rc::Rc;

/// The events of interest. Other events get no rows.
pub struct Wanted<'a> {
    /// Selects events by position and number of the thread.
    pub event: &'a dyn Fn(i64, u32) -> bool,
    /// Selects variables by name.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Selects events by call, unless all calls are wanted.
    pub calls: Option<&'a dyn Fn(CallId) -> bool>,
    /// Selects events by the number of their code object, unless all are wanted.
    pub codes: Option<&'a dyn Fn(u32) -> bool>,
    /// Selects events by line, unless all lines are wanted.
    pub lines: Option<&'a dyn Fn(i64) -> bool>,
    pub detail: Detail,
    /// True if events whose values were not stored are left out and noted. Otherwise they are an
    /// error.
    pub skips_unknown: bool,
}

impl<'a> Wanted<'a> {
    /// Everything about these events and variables. Values that were not stored are an error.
    pub fn all(event: &'a dyn Fn(i64, u32) -> bool, name: &'a dyn Fn(&str) -> bool) -> Wanted<'a> {
        Wanted {
            event,
            name,
            calls: None,
            codes: None,
            lines: None,
            detail: Detail::Texts,
            skips_unknown: false,
        }
    }
}

/// What rows contain. Each level costs more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Where something was bound or changed, and its name.
    Places,
    /// Also ids and classes of objects, and the bound value, for [`State::write_content`].
    Values,
    /// Also values as text.
    Texts,
}

/// A value at a position, from which its text can be made.
#[derive(Debug, Clone)]
pub struct Content {
    viewpoint: Viewpoint,
    held: Held,
    until: Option<Instant>,
}

/// A variable that was bound or unbound.
#[derive(Debug, Clone)]
pub struct Binding {
    pub at: Where,
    /// Its index among the variables that the event may bind, wanted or not.
    pub number: u32,
    /// `local`, `global` or `cell`.
    pub scope: &'static str,
    pub name: Box<str>,
    /// As `repr()` writes it; `None` if the variable was unbound, or texts are not wanted.
    pub value: Option<Box<str>>,
    /// The value it was bound to, unless texts are wanted.
    pub content: Option<Content>,
    pub object_id: Option<ObjectId>,
}

/// An object that was changed in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    pub at: Where,
    pub object_id: ObjectId,
    /// Name of its class, if it is known.
    pub r#type: Option<Box<str>>,
    /// What was done, or the name of the callable that did it.
    pub operation: Box<str>,
    /// Whether the key is the name of an attribute.
    pub is_attribute: bool,
    pub key: Option<Box<str>>,
    pub value: Option<Box<str>>,
    /// Set if the stored value is an object with an identity.
    pub value_id: Option<ObjectId>,
}

/// The event at which something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Where {
    pub seq: i64,
    /// Number of the thread.
    pub thread: u32,
    /// 0 if it is not known.
    pub call_id: u64,
    pub line: Option<i64>,
}

/// Number of events to search for the value that an instruction bound, if the instruction runs
/// other code.
const LATER_MAX: usize = 1 << 12;
const CALLED: u32 = 1 << EventKind::C_RETURN.number() | 1 << EventKind::C_RAISE.number();
const INSTRUCTION: u8 = EventKind::INSTRUCTION.number();

impl State<'_> {
    /// The bindings by the events of a chunk with these indexes, in order.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub fn bindings(
        &self,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Binding>, Error> {
        let mut found = Vec::new();
        let kinds = 1 << INSTRUCTION | 1 << EventKind::PY_START.number();
        self.visit((chunk, range), kinds, wanted, |position, kind, unit, variables| {
            if kind == EventKind::PY_START.number() {
                return self.arguments(position, variables, wanted, &mut found);
            }
            let mut window = None;
            for (number, (slot, binds)) in variables.stores.stored(unit).enumerate() {
                let Some(name) = variables.name(slot).filter(|name| (wanted.name)(name)) else {
                    continue;
                };
                let mut binding = self.binding(position, variables, slot, name)?;
                binding.number = number as u32;
                if wanted.detail == Detail::Places {
                    found.push(binding);
                    continue;
                }
                if window.is_none() {
                    window = self.window_of(position)?;
                }
                let Some(window) = &window else { continue };
                let by = window.executed_before(position.seq);
                let mut stored = if binds { window.stored(by, slot, variables) } else { None };
                // An instruction that runs Python code in order to bind a name is not finished when
                // that code begins.
                let is_last = by + 1 == window.executed.len();
                if binds && is_last && slot >= variables.stores.fast() && window.enters {
                    stored = self.stored_later(position, slot, variables)?.or(stored);
                }
                let until = stored.map(|(_, described)| described);
                // The stored value is recorded later, unless the recording ends before that.
                let unknown = if binds { Value::Unread } else { Value::Unbound };
                let held = stored.map_or(Held { value: unknown, chunk: 0 }, |(held, _)| held);
                let viewpoint = self.viewpoint_of(position, Some((window, by + 1)))?;
                let is_cell = variables.is_cell(slot);
                let content = match &viewpoint {
                    Some(viewpoint) => self.content(viewpoint, held, is_cell, until)?,
                    None => None,
                };
                let value = content.map_or(Value::Unread, |content| content.value);
                binding.object_id = id_of(value);
                if value != Value::Unbound {
                    match (viewpoint, content, wanted.detail) {
                        (Some(viewpoint), Some(held), Detail::Values) => {
                            binding.content = Some(Content { viewpoint, held, until });
                        }
                        (Some(viewpoint), Some(content), _) => {
                            binding.value = self.text(&viewpoint, content, until)?;
                        }
                        _ => binding.value = Some("<unread>".into()),
                    }
                }
                found.push(binding);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// A binding without its value.
    fn binding(
        &self,
        position: &Position,
        variables: &Variables,
        slot: Slot,
        name: &str,
    ) -> Result<Binding, Error> {
        Ok(Binding {
            at: self.whereabouts(position)?,
            number: slot,
            scope: variables.scope(slot),
            name: name.into(),
            value: None,
            content: None,
            object_id: None,
        })
    }

    /// The value that the frame's own next event records for a variable, after the frames it has
    /// entered meanwhile are left.
    fn stored_later(
        &self,
        position: &Position,
        slot: Slot,
        variables: &Variables,
    ) -> Result<Option<(Held, Instant)>, Error> {
        let (Some(track), Some((frame, _))) = (position.track(), position.innermost()) else {
            return Ok(None);
        };
        let entered = position.events + 1;
        for events in entered..(track.events.len() + 1).min(entered + LATER_MAX) {
            if track.after(events).is_none_or(|(of, _)| of != frame) {
                continue;
            }
            let window = self.window(position.chunk, position.thread, events)?;
            if let Some(found) = window.next_value(slot, variables) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Appends the bindings of a call's arguments to `found`.
    fn arguments(
        &self,
        position: &Position,
        variables: &Variables,
        wanted: &Wanted<'_>,
        found: &mut Vec<Binding>,
    ) -> Result<(), Error> {
        let Position { chunk, thread, events, .. } = *position;
        let at = Element { chunk, thread, event: events as u32, is_callee: false };
        let flushes = self.flushes(&position.frames, at)?;
        let Some(arguments) = flushes.iter().find(|flush| flush.kind == GroupKind::Arguments)
        else {
            return Ok(());
        };
        let viewpoint = match wanted.detail {
            Detail::Places => None,
            _ => match self.viewpoint_of(position, None)? {
                None => return Ok(()),
                viewpoint => viewpoint,
            },
        };
        for slot in 0..variables.arguments as u32 {
            let held = arguments.value_of(slot, variables);
            let held = held.filter(|held| held.value != Value::Unbound);
            let name = variables.name(slot).filter(|name| (wanted.name)(name));
            let (Some(held), Some(name)) = (held, name) else { continue };
            let mut binding = self.binding(position, variables, slot, name)?;
            binding.object_id = id_of(held.value);
            match &viewpoint {
                Some(viewpoint) if wanted.detail == Detail::Texts => {
                    binding.value = self.text(viewpoint, held, None)?;
                }
                Some(viewpoint) => {
                    let viewpoint = viewpoint.clone();
                    binding.content = Some(Content { viewpoint, held, until: None });
                }
                None => {}
            }
            found.push(binding);
        }
        Ok(())
    }

    /// Whether the values of all of a chunk's events were stored.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub fn is_known(&self, chunk: usize) -> Result<bool, Error> {
        let Some(frames) = self.frames(chunk)? else { return Ok(false) };
        let header = &self.store.chunks()[chunk];
        let count = i64::from(frames.ordinal(frames.chunk.kinds()?.len())?);
        // The effects of the chunk's last instructions are recorded with the event after it.
        let next = header.first_ordinal + count;
        Ok(self.store.is_known(header.process_id, header.first_ordinal, next))
    }

    /// A value as `repr()` writes it; `None` if it is not known.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn write_content(&self, content: &Content) -> Result<Option<Box<str>>, Error> {
        self.text(&content.viewpoint, content.held, content.until)
    }

    /// The changes of objects by the events of a chunk with these indexes, in order.
    ///
    /// # Errors
    /// As [`State::bindings`].
    pub fn mutations(
        &self,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Mutation>, Error> {
        let mut found = Vec::new();
        self.visit(
            (chunk, range.clone()),
            1 << INSTRUCTION | CALLED,
            wanted,
            |position, kind, unit, variables| {
                if kind != INSTRUCTION {
                    return self.called(position, wanted, &mut found);
                }
                let Some(site) = variables.stores.site(unit) else { return Ok(()) };
                let Some(window) = self.window_of(position)? else { return Ok(()) };
                let by = window.executed_before(position.seq);
                for group in window.sites_of(by) {
                    match group.kind {
                        GroupKind::Overwrite | GroupKind::Done => {}
                        GroupKind::Change => {
                            found.extend(self.changed(position, &window, group, site, wanted)?);
                        }
                        _ => found.extend(self.change(position, &window, group, wanted)?),
                    }
                }
                Ok(())
            },
        )?;
        if self.seen_elsewhere(chunk, range, wanted, &mut found)? {
            found.sort_by_key(|change| change.at.seq);
        }
        Ok(found)
    }

    /// Appends changes that were found by examining objects at events other than the end of C code:
    /// C code may call the functions it was handed at any time. Returns true if there are any.
    fn seen_elsewhere(
        &self,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
        found: &mut Vec<Mutation>,
    ) -> Result<bool, Error> {
        let Some(frames) = self.frames(chunk)? else { return Ok(false) };
        let end = range.end.min(frames.chunk.kinds()?.len());
        if range.start >= end {
            return Ok(false);
        }
        let process_id = self.process(chunk).process_id;
        let first = self.store.chunks()[chunk].first_ordinal;
        let [from, to] = [range.start, end].map(|index| frames.ordinal(index).map(i64::from));
        let (from, to) = (first + from?, first + to?);
        let before = found.len();
        let mask = kinds_that(EventKind::has_ordinal) & !CALLED;
        for groups in self.stored_between(process_id, from - 1, to - 1)? {
            for (group, ordinal) in groups.seen_between(from, to) {
                // Of the events with the same number of ordinals before them, the last one has the
                // ordinal.
                let ordinals = frames.chunk.ordinals()?;
                let end = ordinals.partition_point(|it| i64::from(*it) <= ordinal - first);
                let event = end.saturating_sub(1)..end;
                self.visit((chunk, event), mask, wanted, |position, kind, _, _| {
                    // A list is empty while it is being sorted, and the functions that the sort
                    // calls see it empty.
                    let enters = EventKind::from_number(kind).is_some_and(EventKind::enters);
                    for id in groups.ids(*group).filter(|_| position.has_ordinal) {
                        if !enters || !groups.is_emptied(*group, id) {
                            let rows =
                                self.seen(position, &groups, *group, id, "changed", wanted)?;
                            found.extend(rows);
                        }
                    }
                    Ok(())
                })?;
            }
        }
        Ok(found.len() > before)
    }

    /// The row of a group that was recorded before an instruction and changes an object.
    fn change(
        &self,
        position: &Position,
        window: &Window,
        group: &SiteGroup,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Mutation>, Error> {
        let values = &group.groups.values;
        let Some([_, _, object, rest @ ..]) = values.group_at(group.group).map(|g| g.values) else {
            return Ok(None);
        };
        let Some(id) = id_of(*object) else { return Ok(None) };
        let Some(viewpoint) = self.viewpoint_of(position, Some((window, group.by + 1)))? else {
            return Ok(None);
        };
        let description = match wanted.detail {
            Detail::Places => None,
            _ => self.description(&viewpoint, id, None)?,
        };
        let (operation, key, value) = match (group.kind, rest) {
            (GroupKind::SetAttribute, [key, value]) => ("set attribute", key, Some(*value)),
            (GroupKind::DeleteAttribute, [key]) => ("delete attribute", key, None),
            (GroupKind::SetItem, [key, value, ..]) => ("set item", key, Some(*value)),
            (GroupKind::DeleteItem, [key]) => ("delete item", key, None),
            _ => return Ok(None),
        };
        let is_attribute =
            matches!(group.kind, GroupKind::SetAttribute | GroupKind::DeleteAttribute);
        let text = |value: Option<Value>| match value {
            Some(value) if wanted.detail == Detail::Texts => {
                self.text(&viewpoint, Held { value, chunk: group.groups.index }, None)
            }
            _ => Ok(None),
        };
        Ok(Some(Mutation {
            at: self.whereabouts(position)?,
            object_id: id,
            r#type: description.and_then(|description| class_name(&description, id)),
            operation: operation.into(),
            is_attribute,
            key: self.key_text(&viewpoint, Some(*key), group.groups.index, is_attribute, wanted)?,
            value: text(value)?,
            value_id: value.and_then(id_of),
        }))
    }

    /// Appends what a function in C changed: changes that were recorded as such, and changes that
    /// were found by examining objects afterwards.
    fn called(
        &self,
        position: &Position,
        wanted: &Wanted<'_>,
        found: &mut Vec<Mutation>,
    ) -> Result<(), Error> {
        let process = self.process(position.chunk);
        let ordinal = self.ordinal(&position.frames, position.chunk, position.index)?;
        let Position { chunk, thread, events, .. } = *position;
        let at = Element { chunk, thread, event: events as u32, is_callee: false };
        let lower = self.ordinal_before(at)?;
        let unit = position.frames.chunk.places()?[position.index];
        for groups in self.groups_between(process.process_id, lower, ordinal)? {
            for group in groups.of_sites(thread, lower, ordinal) {
                let group = group as usize;
                let values = groups.values.group_at(group).map_or(&[][..], |group| group.values);
                if values.get(1) == Some(&Value::Int(unit.into())) {
                    found.extend(self.stored(position, &groups, group, wanted)?);
                }
            }
            for group in groups.of_event(ordinal) {
                if groups.kind(group) != Some(GroupKind::Seen) {
                    continue;
                }
                let callable = self.callable(position)?;
                for id in groups.ids(group) {
                    found.extend(self.seen(position, &groups, group, id, &callable, wanted)?);
                }
            }
        }
        Ok(())
    }

    /// The rows of an object that was examined again, if its contents changed.
    fn seen(
        &self,
        position: &Position,
        groups: &Rc<Groups>,
        group: usize,
        id: ObjectId,
        operation: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Mutation>, Error> {
        let process = self.process(position.chunk);
        let Instant { chunk, at } = groups.examined_at(group);
        if groups.values.next_description(id, at - 1) != Some(at) {
            return Ok(Vec::new());
        }
        let before = Instant { chunk, at: at - 1 };
        let Some(before) = self.last_description(process.process_id, id, before)? else {
            return Ok(Vec::new());
        };
        let after = Description { groups: groups.clone(), at };
        if !differs(id, &before, &after) {
            return Ok(Vec::new());
        }
        let Some(viewpoint) = self.viewpoint_of(position, None)? else { return Ok(Vec::new()) };
        self.rows(position, id, &viewpoint, (Some(before), &after), operation, wanted)
    }

    /// The row of a group that records how a function in C changed an object.
    fn stored(
        &self,
        position: &Position,
        groups: &Rc<Groups>,
        group: usize,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Mutation>, Error> {
        let Some(found) = groups.values.group_at(group) else { return Ok(None) };
        let (object, key, rest, is_attribute) = match (found.kind, found.values) {
            (GroupKind::Called, [_, _, object, flag, key, rest @ ..]) => {
                (object, key, rest, *flag == Value::Int(1))
            }
            (kind, [_, _, object, key, rest @ ..]) if kind.is_store() => (object, key, rest, false),
            _ => return Ok(None),
        };
        let (Some(id), Some(viewpoint)) = (id_of(*object), self.viewpoint_of(position, None)?)
        else {
            return Ok(None);
        };
        let text = |value: Option<&Value>| match value {
            Some(value) if wanted.detail == Detail::Texts => {
                self.text(&viewpoint, Held { value: *value, chunk: groups.index }, None)
            }
            _ => Ok(None),
        };
        let description = match wanted.detail {
            Detail::Places => None,
            _ => self.description(&viewpoint, id, None)?,
        };
        Ok(Some(Mutation {
            at: self.whereabouts(position)?,
            object_id: id,
            r#type: description.and_then(|description| class_name(&description, id)),
            operation: self.callable(position)?,
            is_attribute,
            key: self.key_text(&viewpoint, Some(*key), groups.index, is_attribute, wanted)?,
            value: text(rest.first())?,
            value_id: rest.first().copied().and_then(id_of),
        }))
    }

    /// The name of an event's callable.
    fn callable(&self, position: &Position) -> Result<Box<str>, Error> {
        let callable = position.frames.chunk.callables()?[position.index];
        let name = self.process(position.chunk).callables.get(&callable);
        let name = name.and_then(|name| self.store.directory().texts.get(*name));
        Ok(name.unwrap_or_default().into())
    }

    /// Calls `visit` for the wanted events of the kinds in `mask` whose code object is known, with
    /// their kind and place.
    fn visit(
        &self,
        (chunk, visited): (usize, Range<usize>),
        mask: u32,
        wanted: &Wanted<'_>,
        mut visit: impl FnMut(&Position, u8, u32, &Variables) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(frames) = self.frames(chunk)? else { return Ok(()) };
        let (kinds, places) = (frames.chunk.kinds()?, frames.chunk.places()?);
        if mask & kinds_that(EventKind::has_callable) != 0
            && let Err(error) = frames.chunk.callables()
        {
            return self.store.note(chunk, error);
        }
        let runs = frames.chunk.runs()?;
        let (process, first_seq) = (self.process(chunk), self.store.chunks()[chunk].first_seq);
        let mut start = 0;
        for run in &runs.runs {
            let (first, end) = (start, start + run.events as usize);
            start = end;
            let range = first.max(visited.start)..end.min(visited.end);
            if range.is_empty() {
                continue;
            }
            let context = runs.contexts[run.context as usize];
            if wanted.codes.is_some_and(|is_code| !is_code(context.code)) {
                continue;
            }
            let Some(variables) = self.store.variables(process, context.code) else { continue };
            let stores = &variables.stores;
            let track = frames.tracks.get(&context.thread);
            // Number of the thread's events with an ordinal before the visited event.
            let mut events = track.map_or(0, |track| track.before(range.start));
            for index in range.filter(|index| mask >> kinds[*index] & 1 == 1) {
                let (kind, unit) = (kinds[index], places[index]);
                let is_idle = kind == INSTRUCTION
                    && stores.site(unit).is_none()
                    && stores.stored(unit).next().is_none();
                if is_idle || !(wanted.event)(first_seq + index as i64, context.thread) {
                    continue;
                }
                if let Some(is_line) = wanted.lines {
                    let site = self.site(&frames, index)?;
                    if !self.store.line(process, site).is_some_and(is_line) {
                        continue;
                    }
                }
                if self.store.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let known = track.map_or(&[][..], |track| &track.events);
                while known.get(events).is_some_and(|event| (*event as usize) < index) {
                    events += 1;
                }
                let position = Position {
                    chunk,
                    index,
                    seq: first_seq + index as i64,
                    thread: context.thread,
                    frames: frames.clone(),
                    events,
                    has_ordinal: kind != INSTRUCTION && frames.chunk.has_ordinal(index)?,
                };
                if let Some(is_call) = wanted.calls
                    && !position.call_id().is_some_and(is_call)
                {
                    continue;
                }
                match visit(&position, kind, unit, variables) {
                    Err(error @ Error::Unknown { .. }) if wanted.skips_unknown => {
                        self.store.note_unknown(process.process_id, error)?;
                    }
                    done => done?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn whereabouts(&self, position: &Position) -> Result<Where, Error> {
        let call_id = position.call_id();
        let site = self.site(&position.frames, position.index)?;
        Ok(Where {
            seq: position.seq,
            thread: position.thread,
            call_id: call_id.unwrap_or(0),
            line: self.store.line(self.process(position.chunk), site),
        })
    }

    pub(super) fn text(
        &self,
        viewpoint: &Viewpoint,
        held: Held,
        until: Option<Instant>,
    ) -> Result<Option<Box<str>>, Error> {
        let mut copied = Copied::default();
        let value = copied.add(self, viewpoint, &[(held, until)])?.into_iter().next();
        Ok(value.map(|value| render::repr(&copied, &value, 0).into()))
    }
}

pub(super) fn class_name(description: &Description, id: ObjectId) -> Option<Box<str>> {
    let class = description.object(id)?.class;
    Some(description.groups.values.classes().get(class as usize)?.name.as_str().into())
}

/// A value that can be compared across chunks.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    Bits(u64),
    Id(ObjectId),
    Other(Value),
}

/// The pieces that were kept, in order, and the number of pieces there really are.
#[derive(Debug, Default)]
struct Pieces {
    kept: Vec<Piece>,
    length: u64,
}

impl Pieces {
    /// Whether they certainly differ. What could not be read, or was cut off, may be anything.
    fn differs(&self, other: &Pieces) -> bool {
        let is_read = |piece: &Piece| *piece != Piece::Other(Value::Unread);
        let mut both = self.kept.iter().zip(&other.kept);
        self.length != other.length
            || both.any(|(one, two)| one != two && is_read(one) && is_read(two))
    }
}

/// Whether the contents of an object certainly differ between two descriptions.
fn differs(id: ObjectId, one: &Description, other: &Description) -> bool {
    let (Some(one), Some(other)) = (pieces(one, id), pieces(other, id)) else { return false };
    one.1 != other.1 || one.0.iter().zip(&other.0).any(|(one, two)| one.differs(two))
}

/// An object's text, items and attributes, and the names of the attributes; `None` if they are not
/// known.
fn pieces(description: &Description, id: ObjectId) -> Option<([Pieces; 3], Vec<String>)> {
    let values = &description.groups.values;
    let object = description.object(id)?;
    if object.text.is_none() && object.items.is_none() && object.attributes.is_none() {
        return None;
    }
    let piece = |value: &Value| match *value {
        Value::Str(number) | Value::Bytes(number) => Piece::Text(values.text(number).to_vec()),
        Value::Float(float) => Piece::Bits(float.to_bits()),
        Value::Object(id) | Value::Shallow(id) => Piece::Id(id),
        other => Piece::Other(other),
    };
    let text = object.text.as_ref().map(|text| {
        let bytes = values.text(text.kept);
        Pieces {
            kept: bytes.iter().map(|byte| Piece::Bits(u64::from(*byte))).collect(),
            // A text that was not cut off may have more bytes than characters.
            length: text.length,
        }
    });
    let class = values.classes().get(object.class as usize);
    let is_dict = class.is_some_and(|class| class.sort == Sort::Dict);
    let items = object.items.as_ref().map(|items| Pieces {
        kept: items.kept.iter().map(piece).collect(),
        length: items.length << u32::from(is_dict),
    });
    let (mut attributes, mut all) = (Pieces::default(), Vec::new());
    if let Some((shape, held)) = &object.attributes {
        let names = values.shapes().get(*shape as usize).map_or(&[][..], |shape| &shape.names);
        let bound = names.iter().zip(held).filter(|(_, value)| **value != Value::Unbound);
        let mut bound: Vec<_> = bound.collect();
        bound.sort_unstable_by_key(|(name, _)| *name);
        attributes.length = bound.len() as u64;
        for (name, value) in bound {
            all.push(name.clone());
            attributes.kept.push(piece(value));
        }
    }
    Some(([text.unwrap_or_default(), items.unwrap_or_default(), attributes], all))
}
