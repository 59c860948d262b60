//! The command `origin`: where a value came from.

use super::text::place;
use super::{Debugger, Failure, Reply, refused};
use crate::state::Key;
use crate::timeline::{Link, LinkKind, Target, Wanted};
use dashcam_schema::value::ObjectId;
use std::fmt::Write as _;

impl Debugger {
    pub(super) fn origin(&mut self, path: &str) -> Result<Reply, Failure> {
        self.with_state()?;
        let mut notes = Vec::new();
        let (at, frame) = (self.at, self.frame);
        let (name, keys) = match parse(path) {
            Ok(parsed) => parsed,
            // Other keys are evaluated, as in a condition.
            Err(error) => match self.timeline.target(at, frame, path) {
                Ok(Target::Member { object_id, is_attribute: false, key, .. }) => {
                    let (key, _) = self.resolve(object_id, &Key::Item(key.into()), path)?;
                    let wanted = Wanted::Member { object_id, key, text: path };
                    let links = self.timeline.origin(at, frame, &wanted, &mut notes)?;
                    return Ok(Reply::Origin { path: path.to_owned(), links, notes });
                }
                _ => return Err(error),
            },
        };
        let links = match keys.split_last() {
            None => self.timeline.origin(at, frame, &Wanted::Name(&name), &mut notes)?,
            Some((key, before)) => {
                let object_id = self.object(&name, before, path)?;
                let (key, _) = self.resolve(object_id, key, path)?;
                let wanted = Wanted::Member { object_id, key, text: path };
                self.timeline.origin(at, frame, &wanted, &mut notes)?
            }
        };
        if links.is_empty() {
            return refused(format!("no variable {path} is bound in this frame or its module"));
        }
        Ok(Reply::Origin { path: path.to_owned(), links, notes })
    }

    /// The object that a variable and some keys lead to: the one that holds the last part of `path`.
    fn object(&self, name: &str, keys: &[Key], path: &str) -> Result<ObjectId, Failure> {
        let variables = self.locals(self.frame)?;
        let Some(variable) = variables.into_iter().find(|variable| *variable.name == *name) else {
            // A global that the frame's code does not name.
            return match self.timeline.target(self.at, self.frame, path) {
                Ok(Target::Member { object_id, .. }) => Ok(object_id),
                _ => refused(format!("no variable {name} here")),
            };
        };
        let mut object_id = variable.object_id;
        for key in keys {
            let Some(id) = object_id else { break };
            object_id = self.resolve(id, key, path)?.1;
        }
        match object_id {
            Some(id) => Ok(id),
            None => refused(format!("{path}: that is not a part of an object")),
        }
    }

    /// The form of a key that the object has, and the id of the object there.
    fn resolve(
        &self,
        object_id: ObjectId,
        key: &Key,
        path: &str,
    ) -> Result<(Key, Option<ObjectId>), Failure> {
        let (state, run_id) = (self.timeline.state(), self.timeline.run_id());
        let as_item = match key {
            Key::Index(index) => Some(Key::Item(index.to_string().into())),
            _ => None,
        };
        let at = self.timeline.after_change(object_id, self.at)?;
        for key in std::iter::once(key).chain(as_item.as_ref()) {
            let found = state.member_at(run_id, object_id, at.seq(), Some(key))?;
            if let Some(found) = found.and_then(|found| found.found) {
                return Ok((key.clone(), found.object_id));
            }
        }
        refused(format!("{path}: the recording does not show that this exists here"))
    }
}

/// Parses a name followed by attributes and literal subscripts.
fn parse(path: &str) -> Result<(String, Vec<Key>), Failure> {
    let bad = || Failure::Refused(format!("origin: no variable, attribute or item: {path}"));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c == '_' || c.is_alphanumeric())
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, mut rest) = path.split_at(end);
    if !is_name(name) {
        return Err(bad());
    }
    let mut keys = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, left) = after.split_at(end);
            if !is_name(name) {
                return Err(bad());
            }
            keys.push(Key::Attribute(name.into()));
            rest = left;
            continue;
        }
        let after = rest.strip_prefix('[').ok_or_else(bad)?;
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let end = match quote {
            Some(quote) => after[1..].find(quote).map(|at| at + 2),
            None => after.find(']'),
        };
        let (key, left) = after.split_at(end.ok_or_else(bad)?);
        keys.push(match quote {
            Some(_) => Key::Item(format!("'{}'", &key[1..key.len() - 1]).into()),
            None => Key::Index(key.trim().parse().map_err(|_| bad())?),
        });
        rest = left.strip_prefix(']').ok_or_else(bad)?;
    }
    Ok((name.to_owned(), keys))
}

/// A link as text, without its place.
pub fn said(link: &Link) -> String {
    let text = &link.text;
    let value = link.value.as_deref().unwrap_or("…");
    match link.kind {
        LinkKind::Bound | LinkKind::Attribute | LinkKind::Item => format!("{text} = {value}"),
        LinkKind::Argument => format!("argument {text} = {value}"),
        LinkKind::Returned => format!("{text} returns {value}"),
        LinkKind::Yielded => format!("{text} yields {value}"),
        LinkKind::Literal => format!("literal {text}"),
        LinkKind::Computed => format!("computed: {text}"),
        LinkKind::Made => format!("made by {text}"),
        LinkKind::FromC => format!("from C: {text}"),
        LinkKind::Imported => format!("imported: {text}"),
        LinkKind::Raised => format!("raised: {text}"),
        LinkKind::Default => format!("default of {text}"),
        LinkKind::Unknown => format!("not known further: {text}"),
        LinkKind::Contradiction => format!("not known further: {text}"),
    }
}

/// Links as lines, the last step first.
pub(super) fn lines(out: &mut String, links: &[Link], notes: &[String]) -> std::fmt::Result {
    for note in notes {
        writeln!(out, "! {note}")?;
    }
    for link in links {
        let place = place(&link.path, link.line);
        writeln!(out, "{}  {place} {}  [{}]", said(link), link.function, link.at)?;
        for operand in &link.operands {
            let value = operand.value.as_deref().unwrap_or("…");
            writeln!(out, "    {} = {value}", operand.text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys() {
        let of = |path| parse(path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(of("x"), ("x".into(), vec![]));
        let keys = vec![
            Key::Attribute("items".into()),
            Key::Index(-3),
            Key::Item("'a.b'".into()),
            Key::Attribute("y".into()),
        ];
        assert_eq!(of("o.items[-3][\"a.b\"].y"), ("o".into(), keys));
        for bad in ["", "1x", "x.", "x[", "x[y]", "x['a]", "x]", "x.1", "x+y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
