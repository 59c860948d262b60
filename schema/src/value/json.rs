//! Converts values to JSON, from the text that [`super::render`] writes.
//!
//! The input is the text, so that queries can get the parts of any value that a user sees in a
//! column, without a second way of reading chunks.
//!
//! | text | JSON |
//! |---|---|
//! | `None`, `True`, `1`, `1.5`, `'a'` | `null`, `true`, `1`, `1.5`, `"a"` |
//! | `nan`, `inf`, `1j`, `b'a'`, `Ellipsis` | the text as a string |
//! | list, tuple, set, frozenset, deque, array | array |
//! | dict, defaultdict, OrderedDict, Counter, frozendict | object; the key is the text of a key that is not a str |
//! | `a=1, b='x'` | `{"a":1,"b":"x"}` |
//! | `1, 'x', key=None`: arguments of a function in C | `[1,"x",{"key":null}]` |
//! | `<app.Point object #17 x=1>` | `{"type":"app.Point","object_id":17,"x":1}`, and what it holds besides attributes as `"value"` |
//! | `ValueError('bad')` | `{"type":"ValueError","args":["bad"]}` |
//! | `Point(x=1, y=2)`: named tuples, dataclasses | `{"type":"Point","x":1,"y":2}` |
//! | `<Color.RED: 1>` | `{"type":"Color","name":"RED","value":1}` |
//! | `datetime.datetime(2024, 1, 2, 3, 4)`, and dates and times | `"2024-01-02T03:04:00"`, followed by a fixed offset such as `+00:00` |
//! | `Decimal('1.50')` | `1.50`; a string if JSON has no such number |
//! | `UUID('…')`, `PosixPath('/a')`, `IPv4Address('…')`, `IPv6Address('…')` | the text within as a string |
//! | `<function f>`, `[...]` | the text as a string |
//! | `'abc'… (9 characters)` | `"abc…"` |
//! | `[1, … 9 more]`, `{'a': 1, … 9 more}` | `[1,"… 9 more"]`, `{"a":1,"…":9}` |
//!
//! If an attribute has the same name as a key that is added here, a dot is put before its name:
//! `".type"`. JSON has no lone surrogates, so they become U+FFFD.

use super::parse::{self, Named, Node, Parsed};

/// Returns the JSON of a value or of named values; `None` if the text is not one that
/// [`super::render`] writes.
pub fn value_json(text: &str) -> Option<String> {
    if parse::is_arguments(text) {
        return parse::arguments(text).map(|named| object(&fields(&named, &[])));
    }
    match parse::value(text) {
        Some(value) => Some(json(&value)),
        None => handed(text),
    }
}

/// The JSON of several values, some of which may have names.
fn handed(text: &str) -> Option<String> {
    if text.ends_with(',') {
        return None;
    }
    let call = format!("f({text})");
    let Node::Call { args, named, .. } = parse::value(&call)?.node else { return None };
    let mut values = all(&args);
    if !named.is_empty() {
        values.push(object(&fields(&named, &[])));
    }
    Some(array(&values))
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
        Node::Call { name, args, named } => match standard(name, args, named) {
            Some(json) => json,
            None => call(name, &all(args), named),
        },
        Node::Member { class, name, value } => object(&[
            ("type".to_owned(), string(class)),
            ("name".to_owned(), name.map_or_else(|| "null".to_owned(), string)),
            ("value".to_owned(), json(value)),
        ]),
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

/// The string for a value where JSON requires a string.
fn key(value: &Parsed<'_>) -> String {
    match &value.node {
        Node::Str { kept, length: None, .. } => kept.clone(),
        Node::Str { kept, .. } => format!("{kept}…"),
        _ => value.text.to_owned(),
    }
}

/// The JSON of named values in an object that also has the keys `own`.
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
    let mut pairs = vec![("type".to_owned(), string(name))];
    if !args.is_empty() || named.is_empty() {
        pairs.push(("args".to_owned(), array(args)));
    }
    pairs.extend(fields(named, &["type", "args"]));
    object(&pairs)
}

/// The JSON of values that have a usual representation in JSON; `None` for others.
fn standard(name: &str, args: &[Parsed<'_>], named: &Named<'_>) -> Option<String> {
    let text = match (args, named.is_empty()) {
        ([Parsed { node: Node::Str { kept, length: None, .. }, .. }], true) => Some(kept),
        _ => None,
    };
    match name {
        "UUID" | "PosixPath" | "PurePosixPath" | "IPv4Address" | "IPv6Address" => {
            text.map(|text| string(text))
        }
        // Exponents have a sign, which JSON allows.
        "Decimal" => text.map(|text| match parse::is_number(&text.replace('E', "e")) {
            true => text.clone(),
            false => string(text),
        }),
        "datetime.date" | "datetime.datetime" | "datetime.time" => moment(name, args, named),
        _ => None,
    }
}

/// A date or time in the format of ISO 8601.
fn moment(name: &str, args: &[Parsed<'_>], named: &Named<'_>) -> Option<String> {
    let numbers: Option<Vec<u32>> = args.iter().map(number).collect();
    let numbers = numbers?;
    let mut offset = String::new();
    for (key, value) in named {
        match key.as_str() {
            "fold" => {}
            "tzinfo" => offset = utc_offset(value)?,
            _ => return None,
        }
    }
    let date = |parts: &[u32]| match parts {
        [year, month, day] => Some(format!("{year:04}-{month:02}-{day:02}")),
        _ => None,
    };
    let clock = |parts: &[u32]| match parts {
        [hour, minute] => Some(format!("{hour:02}:{minute:02}:00")),
        [hour, minute, second] => Some(format!("{hour:02}:{minute:02}:{second:02}")),
        [hour, minute, second, micros] => {
            Some(format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"))
        }
        _ => None,
    };
    let text = match name {
        "datetime.date" => date(&numbers)?,
        "datetime.time" => clock(&numbers)?,
        _ => {
            let (day, time) = numbers.split_at_checked(3)?;
            format!("{}T{}", date(day)?, clock(time)?)
        }
    };
    Some(string(&format!("{text}{offset}")))
}

fn number(value: &Parsed<'_>) -> Option<u32> {
    match &value.node {
        Node::Int { kept, length: None } => kept.parse().ok(),
        _ => None,
    }
}

/// `+01:00`, for a fixed offset; `None` for other time zones.
fn utc_offset(zone: &Parsed<'_>) -> Option<String> {
    match &zone.node {
        Node::None => Some(String::new()),
        Node::Mark if zone.text == "datetime.timezone.utc" => Some("+00:00".to_owned()),
        Node::Call { name: "datetime.timezone", args, .. } => {
            let Node::Call { name: "datetime.timedelta", args: none, named } = &args.first()?.node
            else {
                return None;
            };
            let part = |wanted: &str| -> Option<i64> {
                match named.iter().find(|(name, _)| name == wanted) {
                    Some((_, Parsed { node: Node::Int { kept, length: None }, .. })) => {
                        kept.parse().ok()
                    }
                    Some(_) => None,
                    None => Some(0),
                }
            };
            let seconds = match none.is_empty() {
                true => part("days")?.checked_mul(86_400)?.checked_add(part("seconds")?)?,
                false => 0,
            };
            if part("microseconds")? != 0 || seconds % 60 != 0 {
                return None;
            }
            let (sign, minutes) =
                (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
            Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
        }
        _ => None,
    }
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

/// The name of an attribute in an object that also has the keys `own`.
fn beside_own(name: String, own: &[&str]) -> String {
    // A name that already has dots gets one more, so that no two names become the same.
    match own.contains(&name.trim_start_matches('.')) {
        true => format!(".{name}"),
        false => name,
    }
}

/// Whether the JSON of an argument can be the contents of a container.
fn is_container(json: &str) -> bool {
    json.starts_with(['[', '{']) || matches!(json, r#""[...]""# | r#""{...}""# | r#""…""#)
}

#[cfg(test)]
mod tests;
