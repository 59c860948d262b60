//! Compares what the oracle saw with what a recording shows.

use crate::instance;
use dashcam_schema::value::parse::{self, Node};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// After this many bytes of a text, the replayer begins no further value. Texts of instances that
/// hold others become that long.
const BEGUN_MAX: usize = 48 << 10;

/// A LINE event and the variables of its frame.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Number of the thread, in the order in which threads appear.
    pub(crate) thread: usize,
    pub(crate) qualname: String,
    pub(crate) line: i64,
    /// From the oracle: what each name held, as `oracle.py` writes it. From a recording: its text.
    pub(crate) variables: BTreeMap<String, Value>,
    /// Names that a recording may or may not show. `None`: all names.
    pub(crate) free: Option<Vec<String>>,
}

impl Line {
    fn place(&self) -> (&str, i64) {
        (&self.qualname, self.line)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Pairs of line and variable whose values were compared and are equal.
    pub(crate) equal: usize,
    /// Pairs for which only the presence of the variable was compared.
    pub(crate) bound: usize,
    /// A sentence for each, in the order of the oracle's lines.
    pub(crate) differences: Vec<String>,
}

pub(crate) fn compare(expected: &[Line], found: &[Line]) -> Outcome {
    let mut outcome = Outcome::default();
    let threads = expected.iter().chain(found).map(|line| line.thread + 1).max().unwrap_or(0);
    for thread in 0..threads {
        let of = |lines: &[Line]| -> Vec<Line> {
            lines.iter().filter(|line| line.thread == thread).cloned().collect()
        };
        let (expected, found) = (of(expected), of(found));
        let pairs = || expected.iter().zip(&found);
        let same = pairs().take_while(|(a, b)| a.place() == b.place()).count();
        if same < expected.len().max(found.len()) {
            outcome.differences.push(format!(
                "thread {thread}: LINE event {same} expected {:?}, found {:?}; {} and {} in all",
                expected.get(same).map(Line::place),
                found.get(same).map(Line::place),
                expected.len(),
                found.len(),
            ));
        }
        pairs().take(same).for_each(|(expected, found)| outcome.variables(expected, found));
    }
    outcome
}

impl Outcome {
    fn variables(&mut self, expected: &Line, found: &Line) {
        for (name, value) in &expected.variables {
            match found.variables.get(name) {
                None => self.differ(expected, name, "missing", value, &Value::Null),
                Some(_) if value.is_null() => self.bound += 1,
                Some(shown) if is_equal(value, shown) => self.equal += 1,
                Some(shown) => self.differ(expected, name, "differing", value, shown),
            }
        }
        let Some(free) = &expected.free else { return };
        for (name, shown) in &found.variables {
            if !expected.variables.contains_key(name) && !free.contains(name) {
                self.differ(expected, name, "too many", &Value::Null, shown);
            }
        }
    }

    fn differ(&mut self, at: &Line, name: &str, what: &str, expected: &Value, found: &Value) {
        self.differences.push(format!(
            "line {} of {}, {name}: {what}\n    expected {expected}\n    found    {found}",
            at.line, at.qualname
        ));
    }
}

/// Whether a text shows what the oracle saw.
fn is_equal(expected: &Value, shown: &Value) -> bool {
    let Some(shown) = shown.as_str() else { return false };
    if let Some(text) = expected.as_str() {
        return text == shown;
    }
    let Some(attributes) = expected["attributes"].as_object() else { return false };
    let Some((class, found)) = instance::parse(shown) else {
        return expected["class"].as_str().is_some_and(|class| is_formed(class, attributes, shown));
    };
    let is_cut = shown.len() >= BEGUN_MAX;
    // The value of an attribute is not compared where null is expected.
    let is_same = |(name, value): &(&str, &str)| {
        let is_left_out = is_cut && *value == "…";
        attributes.get(*name).is_some_and(|text| text.is_null() || text == value || is_left_out)
    };
    let are_all = attributes.len() == found.len() || is_cut;
    expected["class"] == class && are_all && found.iter().all(is_same)
}

/// Whether a text is that of an instance as a dataclass or an enumeration writes it. It does not
/// show all attributes.
fn is_formed(class: &str, attributes: &Map<String, Value>, shown: &str) -> bool {
    let is_class = |name: &str| class == name || class.ends_with(&format!(".{name}"));
    let holds = |name: &str, text: &str| {
        attributes.get(name).is_some_and(|held| held.is_null() || held == text)
    };
    match parse::value(shown).map(|parsed| parsed.node) {
        Some(Node::Call { name, args, named }) => {
            let are_equal = named.iter().all(|(name, value)| holds(name, value.text));
            is_class(name) && args.is_empty() && !named.is_empty() && are_equal
        }
        Some(Node::Member { class, name, value }) => {
            let name = name.map_or_else(|| "None".to_owned(), |name| format!("'{name}'"));
            is_class(class) && holds("_name_", &name) && holds("_value_", value.text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(line: i64, variables: Value) -> Line {
        let variables = variables.as_object().unwrap().clone().into_iter().collect();
        let free = Some(vec!["free".to_owned()]);
        Line { thread: 0, qualname: "f".to_owned(), line, variables, free }
    }

    fn differing(expected: Value, found: Value) -> usize {
        compare(&[line(1, expected)], &[line(1, found)]).differences.len()
    }

    #[test]
    fn each_sort_of_difference_is_found() {
        assert_eq!(differing(json!({"a": "1", "b": null}), json!({"a": "1", "b": "<x>"})), 0);
        assert_eq!(differing(json!({"a": "1"}), json!({"a": "1", "free": "2"})), 0);
        assert_eq!(differing(json!({"a": "1"}), json!({"a": "2"})), 1);
        assert_eq!(differing(json!({"a": "1", "b": null}), json!({})), 2);
        assert_eq!(differing(json!({}), json!({"a": "2"})), 1);
        assert_eq!(differing(json!({"a": "1"}), json!({"a": null})), 1);
    }

    #[test]
    fn instances_are_compared_by_class_and_attributes() {
        let point = json!({"p": {"class": "Point", "attributes": {"x": "(1,)", "y": null}}});
        let differs = |text: &str| differing(point.clone(), json!({"p": text}));
        assert_eq!(differs("<Point object #3 y=<Point object #4 x=2> x=(1,)>"), 0);
        assert_eq!(differs("<Point object #3 x=[1] y=None>"), 1);
        assert_eq!(differs("<Paint object #3 x=(1,) y=None>"), 1);
        assert_eq!(differs("<Point object #3 x=(1,)>"), 1);
        assert_eq!(differs("<Point object #3 x=(1,) y=None z=1>"), 1);
        assert_eq!(differs("None"), 1);
        assert_eq!(differs("Point(x=(1,), y=3)"), 0);
        assert_eq!(differs("Point(x=(1,))"), 0);
        assert_eq!(differs("Point(x=[1])"), 1);
        assert_eq!(differs("Point(z=1)"), 1);
        assert_eq!(differs("Paint(x=(1,), y=3)"), 1);
        let attributes = json!({"_name_": "'A'", "_value_": "1", "_sort_order_": "0"});
        let member = json!({"p": {"class": "app.Kind", "attributes": attributes}});
        let differs = |text: &str| differing(member.clone(), json!({"p": text}));
        assert_eq!(differs("<Kind.A: 1>"), 0);
        assert_eq!(differs("<Kind.B: 1>"), 1);
        assert_eq!(differs("<Kind.A: 2>"), 1);
    }

    #[test]
    fn lines_must_be_the_same() {
        let lines = [line(1, json!({})), line(2, json!({}))];
        assert_eq!(compare(&lines, &lines[..1]).differences.len(), 1);
        assert_eq!(compare(&lines[..1], &lines).differences.len(), 1);
        assert_eq!(compare(&lines[..1], &lines[1..]).differences.len(), 1);
        assert!(compare(&lines, &lines).differences.is_empty());
    }
}
