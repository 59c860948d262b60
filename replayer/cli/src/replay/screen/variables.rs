//! The variables of the selected frame, and how they changed since they were last shown.

use dashcam_replayer::debugger::Debugger;
use dashcam_replayer::state::Variable;
use rustc_hash::FxHashMap;

/// The number of calls whose variables are remembered.
const CALLS_MAX: usize = 64;
/// Of longer values, only the hash is remembered.
const REMEMBERED_MAX: usize = 1 << 16;

/// The variables of the selected frame.
#[derive(Default)]
pub(super) struct Variables {
    pub(super) rows: Vec<Row>,
    pub(super) selected: usize,
    pub(super) top: usize,
    /// Why there are no variables.
    pub(super) note: Option<String>,
    /// Whether the position has changed since.
    pub(super) is_stale: bool,
    /// By call.
    seen: FxHashMap<u64, Seen>,
    refreshes: u64,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: Box<str>,
    pub(super) scope: &'static str,
    pub(super) value: Box<str>,
    pub(super) object_id: Option<u64>,
    pub(super) mark: Mark,
}

/// How a variable changed since its frame was last shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Same,
    New,
    /// The previous value; `None` if it was too long to remember.
    Changed(Option<Box<str>>),
}

/// The remembered variables of a call.
#[derive(Default)]
struct Seen {
    /// The number of the last refresh that showed it.
    shown: u64,
    seq: i64,
    now: Vec<Variable>,
    /// The values at the previous position.
    before: Option<FxHashMap<(&'static str, Box<str>), Remembered>>,
}

struct Remembered {
    hash: u64,
    value: Option<Box<str>>,
}

fn hash(text: &str) -> u64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = rustc_hash::FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Whether a value is a definition or import of a module. These are rarely interesting, and come
/// last.
fn is_definition(value: &str) -> bool {
    let kinds = ["<function ", "<class ", "<module ", "<built-in "];
    kinds.iter().any(|kind| value.starts_with(kind))
}

impl Variables {
    /// Reads the variables of a frame, given by its depth. `call_id` identifies the frame.
    pub(super) fn refresh(&mut self, debugger: &Debugger, call_id: u64, depth: usize) {
        self.is_stale = false;
        match debugger.locals(depth) {
            Ok(variables) => self.show(call_id, debugger.position().seq(), variables),
            Err(failure) => self.clear(failure.to_string()),
        }
    }

    /// Shows why there are no variables.
    pub(super) fn clear(&mut self, why: impl Into<String>) {
        self.is_stale = false;
        self.rows.clear();
        self.note = Some(why.into());
    }

    pub(super) fn show(&mut self, call_id: u64, seq: i64, variables: Vec<Variable>) {
        self.refreshes += 1;
        let selected = self.rows.get(self.selected).map(|row| (row.scope, row.name.clone()));
        if self.seen.len() >= CALLS_MAX && !self.seen.contains_key(&call_id) {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.shown).map(|(call, _)| *call);
            self.seen.remove(&oldest.unwrap_or(0));
        }
        let is_known = self.seen.contains_key(&call_id);
        let seen = self.seen.entry(call_id).or_default();
        if is_known && seen.seq != seq {
            let remembered = |variable: &Variable| Remembered {
                hash: hash(&variable.value),
                value: Some(variable.value.clone()).filter(|text| text.len() <= REMEMBERED_MAX),
            };
            let entry = |variable: &Variable| {
                ((variable.scope, variable.name.clone()), remembered(variable))
            };
            seen.before = Some(seen.now.iter().map(entry).collect());
        }
        (seen.shown, seen.seq, seen.now) = (self.refreshes, seq, variables);
        let mark = |variable: &Variable| {
            let Some(before) = &seen.before else { return Mark::Same };
            match before.get(&(variable.scope, variable.name.clone())) {
                None => Mark::New,
                Some(before) if before.hash == hash(&variable.value) => Mark::Same,
                Some(before) => Mark::Changed(before.value.clone()),
            }
        };
        let row = |variable: &Variable| Row {
            name: variable.name.clone(),
            scope: variable.scope,
            value: variable.value.clone(),
            object_id: variable.object_id,
            mark: mark(variable),
        };
        self.rows = seen.now.iter().map(row).collect();
        self.rows.sort_by_key(|row| is_definition(&row.value));
        self.note = self.rows.is_empty().then(|| "none are known here".to_owned());
        let is_selected = |row: &Row| {
            selected.as_ref().is_some_and(|(scope, name)| row.scope == *scope && row.name == *name)
        };
        self.selected = self.rows.iter().position(is_selected).unwrap_or(0);
    }

    /// Moves the selection.
    pub(super) fn go(&mut self, by: i64) {
        let last = self.rows.len().saturating_sub(1) as i64;
        self.selected = (self.selected as i64).saturating_add(by).clamp(0, last) as usize;
    }

    /// The selected variable.
    pub(super) fn current(&self) -> Option<&Row> {
        self.rows.get(self.selected)
    }
}

/// Local variables with these names and values.
#[cfg(test)]
pub(super) fn locals(all: &[(&str, &str)]) -> Vec<Variable> {
    let variable = |(name, value): &(&str, &str)| Variable {
        depth: 0,
        scope: "local",
        name: (*name).into(),
        value: (*value).into(),
        object_id: None,
    };
    all.iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(variables: &Variables) -> Vec<Mark> {
        variables.rows.iter().map(|row| row.mark.clone()).collect()
    }

    #[test]
    fn changes_in_a_call_are_marked() {
        let mut shown = Variables::default();
        shown.show(7, 10, locals(&[("a", "1")]));
        assert_eq!(marks(&shown), [Mark::Same], "nothing is known from before");
        shown.show(7, 11, locals(&[("a", "2"), ("b", "[]")]));
        let changed = [Mark::Changed(Some("1".into())), Mark::New];
        assert_eq!(marks(&shown), changed);
        // Another frame, and back at the same position.
        shown.show(3, 11, locals(&[("a", "9")]));
        assert_eq!(marks(&shown), [Mark::Same]);
        shown.show(7, 11, locals(&[("a", "2"), ("b", "[]")]));
        assert_eq!(marks(&shown), changed);
        shown.show(7, 12, locals(&[("a", "2"), ("b", "[]")]));
        assert_eq!(marks(&shown), [Mark::Same, Mark::Same]);
    }

    #[test]
    fn the_selected_name_stays_selected() {
        let mut shown = Variables::default();
        shown.show(7, 10, locals(&[("a", "1"), ("c", "1")]));
        shown.go(1);
        shown.show(7, 11, locals(&[("a", "1"), ("b", "1"), ("c", "1")]));
        assert_eq!(shown.current().map(|row| &*row.name), Some("c"));
        shown.go(99);
        shown.show(7, 12, Vec::new());
        assert_eq!((shown.current(), shown.selected), (None, 0));
    }

    #[test]
    fn definitions_come_last() {
        let mut shown = Variables::default();
        let all = [("os", "<module 'os'>"), ("a", "1"), ("f", "<function f>"), ("b", "'<class '")];
        shown.show(7, 10, locals(&all));
        let names: Vec<&str> = shown.rows.iter().map(|row| &*row.name).collect();
        assert_eq!(names, ["a", "b", "os", "f"]);
    }

    #[test]
    fn few_calls_are_remembered() {
        let mut shown = Variables::default();
        for call in 0..1000 {
            shown.show(call, call as i64, locals(&[("a", "1")]));
        }
        assert_eq!(shown.seen.len(), CALLS_MAX);
    }
}
