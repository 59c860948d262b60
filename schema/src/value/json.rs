//! Values as JSON, from the text that [`super::render`] writes.
//!
//! From the text, so that what a user sees in a column is what can be taken apart: queries get at
//! values without a second way of reading chunks.
//!
//! | text | JSON |
//! |---|---|
//! | `None`, `True`, `1`, `1.5`, `'a'` | `null`, `true`, `1`, `1.5`, `"a"` |
//! | `nan`, `inf`, `1j`, `b'a'`, `Ellipsis` | the text as a string |
//! | list, tuple, set, frozenset, deque, array | array |
//! | dict, defaultdict, OrderedDict, Counter, frozendict | object; keys that are no strs by their text |
//! | `a=1, b='x'` | `{"a":1,"b":"x"}` |
//! | `<app.Point object #17 x=1>` | `{"type":"app.Point","object_id":17,"x":1}`, and as `"value"` what it holds besides attributes |
//! | `ValueError('bad')` | `{"type":"ValueError","args":["bad"]}` |
//! | `<function f>`, `[...]` | the text as a string |
//! | `'abc'… (9 characters)` | `"abc…"` |
//! | `[1, … 9 more]`, `{'a': 1, … 9 more}` | `[1,"… 9 more"]`, `{"a":1,"…":9}` |
//!
//! An attribute that has the name of one of our own keys gets a dot before its name: `".type"`.
//! JSON has no lone surrogates: they become U+FFFD.

use super::parse::{self, Named, Node, Parsed};

/// The JSON of a value or of named values; nothing if the text is not one of [`super::render`].
pub fn value_json(text: &str) -> Option<String> {
    if parse::is_arguments(text) {
        return parse::arguments(text).map(|named| object(&fields(&named, &[])));
    }
    parse::value(text).map(|value| json(&value))
}

/// The JSON of a value.
fn json(value: &Parsed<'_>) -> String {
    match &value.node {
        Node::None => "null".to_owned(),
        Node::True => "true".to_owned(),
        Node::False => "false".to_owned(),
        Node::Int { kept, length: None } if !kept.contains('x') => (*kept).to_owned(),
        Node::Float if value.text.ends_with(|c: char| c.is_ascii_digit()) => value.text.to_owned(),
        Node::Ellipsis
        | Node::NotImplemented
        | Node::Int { length: None, .. }
        | Node::Float
        | Node::Complex
        | Node::Bytes { length: None, .. }
        | Node::Mark
        | Node::More(_) => string(value.text),
        Node::Int { kept, .. } => string(&format!("{kept}…")),
        Node::Bytes { literal, .. } => string(&format!("{literal}…")),
        Node::Str { .. } => string(&key(value)),
        Node::List(items) | Node::Tuple(items) | Node::Set(items) => array(&all(items)),
        Node::Dict(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, value)| match &value.node {
                    Node::More(more) => ("…".to_owned(), more.to_string()),
                    _ => (key(name), json(value)),
                })
                .collect();
            object(&pairs)
        }
        Node::Call { name, args, named } => call(name, &all(args), named),
        Node::Instance { class, id, held, attributes } => {
            let mut pairs =
                vec![("type".to_owned(), string(class)), ("object_id".to_owned(), id.to_string())];
            pairs.extend(held.iter().map(|held| ("value".to_owned(), json(held))));
            pairs.extend(fields(attributes, &["type", "object_id", "value"]));
            object(&pairs)
        }
    }
}

fn all(items: &[Parsed<'_>]) -> Vec<String> {
    items.iter().map(json).collect()
}

/// What stands for a value where JSON wants a str.
fn key(value: &Parsed<'_>) -> String {
    match &value.node {
        Node::Str { kept, length: None, .. } => kept.clone(),
        Node::Str { kept, .. } => format!("{kept}…"),
        _ => value.text.to_owned(),
    }
}

/// The JSON of named values beside our own keys.
fn fields(named: &Named<'_>, own: &[&str]) -> Vec<(String, String)> {
    let field = |(name, value): &(String, Parsed<'_>)| match &value.node {
        Node::More(more) => (name.clone(), more.to_string()),
        _ => (beside_own(name.clone(), own), json(value)),
    };
    named.iter().map(field).collect()
}

fn call(name: &str, args: &[String], named: &Named<'_>) -> String {
    let held = match (name, args) {
        ("set" | "frozenset" | "deque", []) => Some("[]"),
        ("OrderedDict" | "Counter" | "frozendict", []) => Some("{}"),
        ("array", [_]) => Some("[]"),
        ("set" | "frozenset", [args]) if args.starts_with("\"… ") => {
            return format!("[{args}]");
        }
        ("set" | "frozenset" | "deque" | "OrderedDict" | "Counter" | "frozendict", [held])
            if is_container(held) =>
        {
            Some(&**held)
        }
        ("set" | "frozenset", [held]) if held == "\"...\"" => {
            return string(&format!("{name}(...)"));
        }
        ("array", [_, held]) if held.starts_with(['[', '"']) => Some(&**held),
        ("defaultdict", [_, held]) if is_container(held) => Some(&**held),
        _ => None,
    };
    if let Some(held) = held {
        return held.to_owned();
    }
    let mut pairs = vec![("type".to_owned(), string(name)), ("args".to_owned(), array(args))];
    pairs.extend(fields(named, &["type", "args"]));
    object(&pairs)
}

/// Appends a JSON string.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn object(fields: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_string(&mut out, name);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

/// The name of an attribute beside our own keys.
fn beside_own(name: String, own: &[&str]) -> String {
    // What already has dots gets one more, so that no two names become the same.
    match own.contains(&name.trim_start_matches('.')) {
        true => format!(".{name}"),
        false => name,
    }
}

/// Whether what was in parentheses can be what a class of containers is made of.
fn is_container(json: &str) -> bool {
    json.starts_with(['[', '{']) || matches!(json, r#""[...]""# | r#""{...}""# | r#""…""#)
}

#[cfg(test)]
mod tests;
