//! Single values: what an event carries, what an argument was, what an object has under a key.

use super::bindings::Held;
use super::caches::State;
use super::changes::Wanted;
use super::id_of;
use crate::store::Error;
use dashcam_schema::value::{GroupKind, ObjectId, Sort, Value};

/// The value of a variable, a member or an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// As `repr()` writes it; `None` if it is not known.
    pub text: Option<Box<str>>,
    /// Set if it is an object with an identity.
    pub object_id: Option<ObjectId>,
}

impl Seen {
    /// Whether both may be the same value, as far as they are known.
    pub fn may_be(&self, other: &Seen) -> bool {
        match (self.object_id, other.object_id) {
            (Some(one), Some(two)) => one == two,
            (None, None) => match (self.known(), other.known()) {
                (Some(one), Some(two)) => one == two,
                _ => true,
            },
            // The contents of an object may have changed.
            _ => true,
        }
    }

    /// Whether both are certainly the same value, or equal values.
    pub fn is(&self, other: &Seen) -> bool {
        let is_known = match (self.object_id, other.object_id) {
            (Some(_), Some(_)) => true,
            (None, None) => self.known().is_some() && other.known().is_some(),
            _ => false,
        };
        is_known && self.may_be(other)
    }

    fn known(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !matches!(*text, "<unread>" | "<redacted>"))
    }
}

/// Which member of an object to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Attribute(Box<str>),
    /// Index in a list or tuple; negative from the end.
    Index(i64),
    /// Key of a dict, as `repr()` writes it.
    Item(Box<str>),
}

/// What is known of an object's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// Name of its class.
    pub class: Box<str>,
    pub is_class: bool,
    /// Whether its attributes are known.
    pub has_attributes: bool,
    /// Number of items or pairs; `None` if it has none or they are not known.
    pub length: Option<u64>,
    /// That member, if it is there and known.
    pub found: Option<Seen>,
    /// The index of an item of a list, tuple or dict.
    pub index: Option<usize>,
}

impl State<'_> {
    /// The value that an event carries: a result, a yielded or sent value, or an exception.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn carried(&self, run_id: i64, seq: i64) -> Result<Option<Seen>, Error> {
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        if position.frames.chunk.says_none(position.index) {
            return Ok(Some(Seen { text: Some("None".into()), object_id: None }));
        }
        let ordinal = self.ordinal(&position.frames, position.chunk, position.index)?;
        let process_id = self.process(position.chunk).process_id;
        let Some(viewpoint) = self.viewpoint_of(&position, None)? else { return Ok(None) };
        for groups in self.groups_between(process_id, ordinal - 1, ordinal)? {
            for group in groups.of(ordinal) {
                let kind = groups.kind(group);
                let values = groups.values.group_at(group).map_or(&[][..], |group| group.values);
                let is_wanted =
                    matches!(kind, Some(GroupKind::Result | GroupKind::Sent | GroupKind::Raised));
                if let (true, [value]) = (is_wanted, values) {
                    let held = Held { value: *value, chunk: groups.index };
                    let text = self.text(&viewpoint, held, None)?;
                    return Ok(Some(Seen { text, object_id: id_of(*value) }));
                }
            }
        }
        Ok(None)
    }

    /// The value that an event binds a variable to; the last one if it binds it more than once.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn seen_bound(&self, run_id: i64, seq: i64, name: &str) -> Result<Option<Seen>, Error> {
        let Some((chunk, index)) = self.store.locate(run_id, seq) else { return Ok(None) };
        let found =
            self.bindings(chunk, index..index + 1, &Wanted::all(&|_, _| true, &|of| of == name))?;
        Ok(found.into_iter().last().map(|b| Seen { text: b.value, object_id: b.object_id }))
    }

    /// What is known of an object just before an event, and its member under a key. `None` if the
    /// object is not known.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn member_at(
        &self,
        run_id: i64,
        object_id: ObjectId,
        seq: i64,
        key: Option<&Key>,
    ) -> Result<Option<Members>, Error> {
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(viewpoint) = self.viewpoint_of(&position, window)? else { return Ok(None) };
        let until = window.and_then(|(window, _)| window.upper);
        let until =
            until.map(|upper| self.instant_after(viewpoint.process_id, upper)).transpose()?;
        let mut description = self.description(&viewpoint, object_id, None)?;
        if description.is_none() {
            description = self.description(&viewpoint, object_id, until.flatten())?;
        }
        let Some(description) = description else { return Ok(None) };
        let Some(object) = description.object(object_id) else { return Ok(None) };
        let Some(class) = description.groups.values.classes().get(object.class as usize) else {
            return Ok(None);
        };
        let chunk = description.groups.index;
        let seen = |value: Value| -> Result<Seen, Error> {
            let text = self.text(&viewpoint, Held { value, chunk }, None)?;
            Ok(Seen { text, object_id: id_of(value) })
        };
        let is_map = class.sort == Sort::Dict;
        let items = object.items.as_ref();
        let mut members = Members {
            class: class.name.as_str().into(),
            is_class: class.sort == Sort::Class,
            has_attributes: object.attributes.is_some(),
            length: items.map(|items| items.length),
            found: None,
            index: None,
        };
        match (key, items) {
            (Some(Key::Attribute(name)), _) => {
                let Some((shape, values)) = &object.attributes else { return Ok(Some(members)) };
                let shape = description.groups.values.shapes().get(*shape as usize);
                let names = shape.map_or(&[][..], |shape| &shape.names);
                let mut named = names.iter().zip(values).filter(|(of, _)| **of == **name);
                let value = named.next().map(|(_, value)| *value);
                if let Some(value) = value.filter(|value| *value != Value::Unbound) {
                    members.found = Some(seen(value)?);
                }
            }
            (Some(Key::Index(at)), Some(items)) if !is_map => {
                let length = i64::try_from(items.length).unwrap_or(i64::MAX);
                let at = if *at < 0 { at.saturating_add(length) } else { *at };
                members.index = usize::try_from(at).ok();
                let value = members.index.and_then(|at| items.kept.get(at));
                members.found = value.map(|value| seen(*value)).transpose()?;
            }
            (Some(Key::Item(text)), Some(items)) if is_map => {
                for (at, pair) in items.kept.chunks_exact(2).enumerate() {
                    if seen(pair[0])?.text.as_deref() == Some(&**text) {
                        members.found = Some(seen(pair[1])?);
                        members.index = Some(at);
                        break;
                    }
                }
            }
            _ => {}
        }
        Ok(Some(members))
    }
}
