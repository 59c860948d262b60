//! Changes whose effect is known only afterwards: by an instruction that runs other code, or by a
//! function in C.

use super::changes::{Mutation, class_name};
use super::groups::{Groups, Instant};
use super::objects::{Description, Viewpoint};
use super::window::{SiteGroup, Window};
use super::{Position, State, id_of};
use crate::state::bindings::Held;
use crate::state::changes::{Detail, Wanted};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Site;
use dashcam_schema::value::{GroupKind, Object, ObjectId, Sort, Value};
use std::rc::Rc;

/// An item or attribute that differs afterwards. Key and value are values of the chunk that
/// describes them.
#[derive(Debug, PartialEq)]
struct Difference {
    key: Key,
    /// `None` if it is gone.
    value: Option<Value>,
}

#[derive(Debug, PartialEq)]
enum Key {
    Attribute(String),
    Index(usize),
    /// A value of the later description; of the earlier one if the item is gone.
    Item(Value),
}

/// The end of an instruction that changes an object.
pub(super) struct End {
    groups: Rc<Groups>,
    group: usize,
    succeeded: bool,
}

impl State<'_> {
    /// The rows of an instruction whose change of an object is known only when the instruction
    /// ends.
    pub(super) fn changed(
        &self,
        position: &Position,
        window: &Window,
        group: &SiteGroup,
        site: Site,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Mutation>, Error> {
        let found = group.groups.values.group_at(group.group);
        let Some([_, _, object, rest @ ..]) = found.map(|group| group.values) else {
            return Ok(Vec::new());
        };
        let process_id = self.process(position.chunk).process_id;
        let (Some(id), Some(end)) = (id_of(*object), self.end_of(process_id, window, group)?)
        else {
            return Ok(Vec::new());
        };
        let End { groups, group: at, succeeded } = end;
        let instant = groups.examined_at(at);
        let before = Instant { at: instant.at - 1, ..instant };
        let before = self.last_description(process_id, id, before)?;
        let after = self.last_description(process_id, id, instant)?;
        let Some(mut viewpoint) = self.viewpoint_of(position, Some((window, group.by)))? else {
            return Ok(Vec::new());
        };
        viewpoint.instant = groups.after(at);
        let operation = match (site, rest) {
            (Site::SetSlice, _) | (Site::SetItem, []) => "set slice",
            (Site::DeleteItem, []) => "delete slice",
            // `__missing__` put it there.
            (Site::SetItem | Site::Subscript, _) => "set item",
            (Site::DeleteItem, _) => "delete item",
            (Site::SetAttribute, _) => "set attribute",
            (Site::DeleteAttribute, _) => "delete attribute",
            (Site::InPlace | Site::Overwrite, _) => "in place",
        };
        if let ([key, value @ ..], true) = (rest, succeeded) {
            let is_attribute = matches!(site, Site::SetAttribute | Site::DeleteAttribute)
                || after.as_ref().is_some_and(|after| is_instance(after, id));
            let operation = match (is_attribute, value) {
                (true, []) => "delete attribute",
                (true, _) => "set attribute",
                _ => operation,
            };
            let latest = after.as_ref().or(before.as_ref());
            let row = Mutation {
                at: self.whereabouts(position)?,
                object_id: id,
                r#type: latest.and_then(|description| class_name(description, id)),
                operation: operation.into(),
                is_attribute,
                key: self.key_text(
                    &viewpoint,
                    Some(*key),
                    group.groups.index,
                    is_attribute,
                    wanted,
                )?,
                value: match value.first() {
                    Some(value) if wanted.detail == Detail::Texts => {
                        let held = Held { value: *value, chunk: group.groups.index };
                        self.text(&viewpoint, held, None)?
                    }
                    _ => None,
                },
                value_id: value.first().copied().and_then(id_of),
            };
            return Ok(vec![row]);
        }
        match after {
            Some(after) => self.rows(position, id, &viewpoint, (before, &after), operation, wanted),
            None => Ok(Vec::new()),
        }
    }

    /// The end of the instruction at which a group was recorded; `None` if the instruction changed
    /// nothing.
    fn end_of(
        &self,
        process_id: i64,
        window: &Window,
        site: &SiteGroup,
    ) -> Result<Option<End>, Error> {
        let end = |groups: &Rc<Groups>, group: usize| -> Option<End> {
            let values = groups.values.group_at(group)?.values;
            let succeeded = values.get(4) == Some(&Value::Int(1));
            Some(End { groups: groups.clone(), group, succeeded })
        };
        let mut same = window.sites_of(site.by).iter();
        if let Some(done) = same.find(|site| site.kind == GroupKind::Done) {
            return Ok(end(&done.groups, done.group));
        }
        // Other events came before the end.
        let Some(begun) = site.groups.values.group_at(site.group) else { return Ok(None) };
        let [thread, unit, ..] = begun.values else { return Ok(None) };
        let ordinal = Value::Int((begun.ordinal as u32).into());
        let chunks = self.store.value_chunks();
        let of_process = |index: &usize| chunks[*index].process_id == process_id;
        for index in (site.groups.index..chunks.len()).take_while(of_process) {
            let Some(groups) = self.groups(index)? else { continue };
            let from = if index == site.groups.index { site.group + 1 } else { 0 };
            let ends = groups.ends();
            let later = ends[ends.partition_point(|group| (*group as usize) < from)..].iter();
            for group in later.map(|group| *group as usize) {
                let values = groups.values.group_at(group).map_or(&[][..], |group| group.values);
                if let [of_thread, of_unit, _, of_ordinal, ..] = values
                    && (of_thread, of_unit, of_ordinal) == (thread, unit, &ordinal)
                {
                    return Ok(end(&groups, group));
                }
            }
        }
        Ok(None)
    }

    /// The rows of an object whose contents changed: one for each key if that describes the change
    /// completely, otherwise one for the whole object.
    pub(super) fn rows(
        &self,
        position: &Position,
        id: ObjectId,
        viewpoint: &Viewpoint,
        (before, after): (Option<Description>, &Description),
        operation: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Mutation>, Error> {
        let differences = before.as_ref().and_then(|before| differences(id, before, after));
        let whole = |value| Mutation {
            at: value,
            object_id: id,
            r#type: class_name(after, id),
            operation: operation.into(),
            is_attribute: false,
            key: None,
            value: None,
            value_id: None,
        };
        let at = self.whereabouts(position)?;
        let Some(differences) = differences else {
            let held = Held { value: Value::Object(id), chunk: after.groups.index };
            let value = if wanted.detail == Detail::Texts {
                self.text(viewpoint, held, None)?
            } else {
                None
            };
            return Ok(vec![Mutation { value, ..whole(at) }]);
        };
        let mut rows = Vec::with_capacity(differences.len());
        for Difference { key, value } in differences {
            let is_attribute = matches!(key, Key::Attribute(_));
            let of = match value {
                Some(_) => after.groups.index,
                None => before.as_ref().map_or(after.groups.index, |before| before.groups.index),
            };
            let key = match key {
                Key::Attribute(name) => Some(name.into()),
                Key::Index(index) => Some(index.to_string().into()),
                Key::Item(key) => self.key_text(viewpoint, Some(key), of, false, wanted)?,
            };
            let held = value.map(|value| Held { value, chunk: after.groups.index });
            let text = match held {
                Some(held) if wanted.detail == Detail::Texts => self.text(viewpoint, held, None)?,
                _ => None,
            };
            rows.push(Mutation {
                key,
                value: text,
                value_id: value.and_then(id_of),
                is_attribute,
                ..whole(at)
            });
        }
        Ok(rows)
    }

    /// The text of a key in a row: the name of an attribute, or the key as `repr()` writes it.
    pub(super) fn key_text(
        &self,
        viewpoint: &Viewpoint,
        key: Option<Value>,
        chunk: usize,
        is_attribute: bool,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Box<str>>, Error> {
        let Some(key) = key.filter(|_| wanted.detail == Detail::Texts) else { return Ok(None) };
        let name = match key {
            Value::Str(number) if is_attribute => {
                self.groups(chunk)?.map(|groups| groups.values.text(number).to_vec())
            }
            Value::Object(id) | Value::Shallow(id) if is_attribute => {
                let description =
                    self.last_description(viewpoint.process_id, id, viewpoint.instant)?;
                description.and_then(|description| {
                    let text = description.object(id)?.text?;
                    Some(description.groups.values.text(text.kept).to_vec())
                })
            }
            _ => None,
        };
        if let Some(name) = name {
            return Ok(Some(String::from_utf8_lossy(&name).into()));
        }
        self.text(viewpoint, Held { value: key, chunk }, None)
    }
}

/// Whether an object's contents are its attributes.
fn is_instance(description: &Description, id: ObjectId) -> bool {
    sort_of(description, id).is_some_and(|sort| {
        !matches!(
            sort,
            Sort::List | Sort::Dict | Sort::Set | Sort::ByteArray | Sort::Deque | Sort::Array
        )
    })
}

fn sort_of(description: &Description, id: ObjectId) -> Option<Sort> {
    let class = description.object(id)?.class;
    Some(description.groups.values.classes().get(class as usize)?.sort)
}

/// Two descriptions of an object, to be compared value by value.
struct Both<'a> {
    before: &'a Description,
    after: &'a Description,
}

impl Both<'_> {
    fn is_same(&self, before: &Value, after: &Value) -> bool {
        let (earlier, later) = (&self.before.groups.values, &self.after.groups.values);
        match (*before, *after) {
            (Value::Str(one), Value::Str(two)) | (Value::Bytes(one), Value::Bytes(two)) => {
                earlier.text(one) == later.text(two)
            }
            (Value::Float(one), Value::Float(two)) => one.to_bits() == two.to_bits(),
            (
                Value::Object(one) | Value::Shallow(one),
                Value::Object(two) | Value::Shallow(two),
            ) => one == two,
            (one, two) => one == two,
        }
    }

    fn are_same(&self, before: &[Value], after: &[Value]) -> bool {
        before.len() == after.len()
            && before.iter().zip(after).all(|(one, two)| self.is_same(one, two))
    }
}

/// What differs between two descriptions of an object, key by key. `None` if that is not known, or
/// the change cannot be described by single keys.
fn differences(id: ObjectId, before: &Description, after: &Description) -> Option<Vec<Difference>> {
    let (one, two) = (before.object(id)?, after.object(id)?);
    let sort = sort_of(after, id)?;
    let both = Both { before, after };
    let mut found = Vec::new();
    match sort {
        Sort::Dict => both.pairs(items(&one, 2)?, items(&two, 2)?, &mut found)?,
        Sort::List | Sort::Deque => both.sequence(items(&one, 1)?, items(&two, 1)?, &mut found)?,
        Sort::Array => both.sequence(items(&one, 1)?, items(&two, 1)?, &mut found)?,
        Sort::Set => both.set(items(&one, 1)?, items(&two, 1)?, &mut found),
        Sort::ByteArray => {
            let bytes = |description: &Description, object: &Object| {
                let text = object.text.clone()?;
                let kept = description.groups.values.text(text.kept);
                (kept.len() as u64 == text.length)
                    .then(|| kept.iter().map(|byte| Value::Int((*byte).into())).collect::<Vec<_>>())
            };
            let (one, two) = (bytes(before, &one)?, bytes(after, &two)?);
            both.sequence(&one, &two, &mut found)?;
        }
        Sort::Instance | Sort::Exception => {}
        _ => return None,
    }
    both.attributes(&one, &two, &mut found);
    (!found.is_empty()).then_some(found)
}

/// The items of an object; `None` unless all of them are known.
fn items(object: &Object, each: u64) -> Option<&[Value]> {
    let items = object.items.as_ref()?;
    let is_known = |value: &Value| *value != Value::Unread;
    let is_whole = items.kept.len() as u64 == items.length * each;
    (is_whole && items.kept.iter().all(is_known)).then_some(&items.kept[..])
}

impl Both<'_> {
    fn pairs(&self, one: &[Value], two: &[Value], found: &mut Vec<Difference>) -> Option<()> {
        let (one, two) = (one.as_chunks::<2>().0, two.as_chunks::<2>().0);
        // Keys that stay keep their order.
        let mut stays = 0;
        for [key, value] in two {
            let at = one.iter().position(|[of, _]| self.is_same(of, key));
            match at {
                Some(at) => {
                    if at < stays {
                        return None;
                    }
                    stays = at;
                    if self.is_same(&one[at][1], value) {
                        continue;
                    }
                }
                None => stays = one.len(),
            }
            found.push(Difference { key: Key::Item(*key), value: Some(*value) });
        }
        for [key, _] in one {
            if !two.iter().any(|[of, _]| self.is_same(key, of)) {
                found.push(Difference { key: Key::Item(*key), value: None });
            }
        }
        Some(())
    }

    fn sequence(&self, one: &[Value], two: &[Value], found: &mut Vec<Difference>) -> Option<()> {
        let same = one.iter().zip(two).take_while(|(one, two)| self.is_same(one, two)).count();
        let put = |index: usize| Difference { key: Key::Index(index), value: Some(two[index]) };
        if one.len() == two.len() {
            let differs = |at: &usize| !self.is_same(&one[*at], &two[*at]);
            let different: Vec<usize> = (same..two.len()).filter(differs).collect();
            if different.len() > 1 {
                return None;
            }
            found.extend(different.into_iter().map(put));
        } else if same == one.len() {
            found.extend((same..two.len()).map(put));
        } else if two.len() == one.len() + 1 && self.are_same(&one[same..], &two[same + 1..]) {
            found.push(put(same));
        } else if one.len() == two.len() + 1 && self.are_same(&one[same + 1..], &two[same..]) {
            found.push(Difference { key: Key::Index(same), value: None });
        } else {
            return None;
        }
        Some(())
    }

    fn set(&self, one: &[Value], two: &[Value], found: &mut Vec<Difference>) {
        for item in two.iter().filter(|item| !one.iter().any(|of| self.is_same(of, item))) {
            found.push(Difference { key: Key::Item(*item), value: Some(*item) });
        }
        for item in one.iter().filter(|item| !two.iter().any(|of| self.is_same(item, of))) {
            found.push(Difference { key: Key::Item(*item), value: None });
        }
    }

    fn attributes(&self, one: &Object, two: &Object, found: &mut Vec<Difference>) {
        let named = |description: &Description, object: &Object| -> Vec<(String, Value)> {
            let Some((shape, values)) = &object.attributes else { return Vec::new() };
            let shape = description.groups.values.shapes().get(*shape as usize);
            let names = shape.map_or(&[][..], |shape| &shape.names);
            let bound = names.iter().cloned().zip(values.iter().copied());
            bound.filter(|(_, value)| *value != Value::Unbound).collect()
        };
        let (one, two) = (named(self.before, one), named(self.after, two));
        for (name, value) in &two {
            let before = one.iter().find(|(of, _)| of == name);
            if before.is_none_or(|(_, before)| !self.is_same(before, value)) {
                found.push(Difference { key: Key::Attribute(name.clone()), value: Some(*value) });
            }
        }
        for (name, _) in &one {
            if !two.iter().any(|(of, _)| of == name) {
                found.push(Difference { key: Key::Attribute(name.clone()), value: None });
            }
        }
    }
}
