//! Paths: a name followed by attributes and items, such as `order.items[3].price`.

use super::error::{InspectError, ParseError};
use super::evaluate::Evaluated;
use super::parse::Expression;
use super::snapshot::Snapshot;
use dashcam_schema::value::ObjectId;
use std::sync::Arc;

/// A path from a name to a value.
#[derive(Debug, Clone)]
pub struct Path {
    /// The name of the variable it begins with.
    pub root: Box<str>,
    pub steps: Vec<PathStep>,
    pub(super) text: Arc<str>,
    /// Where the path begins in the text, in bytes.
    pub(super) begin: usize,
    /// Where the root and each step end.
    pub(super) ends: Vec<usize>,
}

/// A step from a value to one that it holds.
#[derive(Debug, Clone)]
pub enum PathStep {
    Attribute(Box<str>),
    /// A key or index, evaluated when the path is resolved.
    Item(Expression),
}

/// What a path leads to at a position.
#[derive(Debug)]
pub struct Resolved {
    /// The object that holds the value. `None` if the path is a name alone, or the holder has no
    /// identity.
    pub container: Option<ObjectId>,
    /// The last step; `None` if the path is a name alone.
    pub step: Option<ResolvedStep>,
    /// The value, or why it is not known.
    pub value: Result<Evaluated, InspectError>,
}

/// A step whose key has been evaluated.
#[derive(Debug, Clone)]
pub enum ResolvedStep {
    Attribute(Box<str>),
    Item {
        key: Evaluated,
        /// As in `mutations.key`: the key as `repr()` writes it. An index into a sequence counts
        /// from the front.
        text: String,
    },
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// If the text is no path.
    pub fn parse(text: &str) -> Result<Path, ParseError> {
        let no_path = || ParseError {
            message: "expected a name, and attributes and items from there".to_owned(),
            column: 1,
        };
        Expression::parse(text)?.path().ok_or_else(no_path)
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        self.shown(self.steps.len())
    }

    /// The text of the root and the first `steps` steps.
    fn shown(&self, steps: usize) -> &str {
        let end = self.ends.get(steps).copied().unwrap_or(self.text.len());
        self.text.get(self.begin..end).unwrap_or_default()
    }
}

impl Snapshot<'_> {
    /// Follows a path.
    ///
    /// # Errors
    /// If the holder of the value or the key of the last step is not found. If only the value
    /// itself is missing or not known, the error is in [`Resolved::value`].
    pub fn resolve(&self, path: &Path) -> Result<Resolved, InspectError> {
        let root = self.lookup(&path.root).map(Evaluated::Recorded);
        let Some((last, before)) = path.steps.split_last() else {
            return Ok(Resolved { container: None, step: None, value: root });
        };
        let mut holder = root?;
        for (at, step) in before.iter().enumerate() {
            let shown = path.shown(at);
            holder = match step {
                PathStep::Attribute(name) => self.attribute(&holder, name, shown)?,
                PathStep::Item(key) => self.item(&holder, &self.evaluate(key)?, shown)?,
            };
        }
        let shown = path.shown(before.len());
        let container = holder.object_id();
        let (step, value) = match last {
            PathStep::Attribute(name) => {
                (ResolvedStep::Attribute(name.clone()), self.attribute(&holder, name, shown))
            }
            PathStep::Item(key) => {
                let key = self.front_index(&holder, self.evaluate(key)?)?;
                let text = self.repr(&key)?;
                let value = self.item(&holder, &key, shown);
                (ResolvedStep::Item { key, text }, value)
            }
        };
        Ok(Resolved { container, step: Some(step), value })
    }
}
