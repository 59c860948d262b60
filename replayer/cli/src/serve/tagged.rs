//! Writes values as JSON from which Python can rebuild them.
//!
//! | JSON | value |
//! |---|---|
//! | `null`, `true`, `1`, `1.5`, `"a"`, `[…]` | None, bool, int of 64 bits, float, str, list |
//! | `{"int": "…"}`, `{"float": "nan"}`, `{"complex": "…"}` | in the syntax of `int`, `float` and `complex`; an int may be hexadecimal |
//! | `{"bytes": "b'…'"}`, `{"str": "'…'"}` | a Python literal; a str only if it has lone surrogates |
//! | `{"constant": "Ellipsis"}` | Ellipsis or NotImplemented |
//! | `{"tuple": […]}`; also `set`, `frozenset`, `range`, `slice` | an object of that class, made from these |
//! | `{"dict": [[k, v], …]}`; also `OrderedDict`, `Counter` | an object of that class, made from these |
//! | `{"bytearray": {"bytes": …}}` | a bytearray |
//! | `{"deque": […], "maxlen": n}` | a deque; without `maxlen` it has none |
//! | `{"standard": "datetime.date", "args": […], "named": [[k, v], …]}` | the result of calling that class of the standard library |
//! | `{"recorded": [begin, end], …}` | any other value: its part of the text, in characters |
//!
//! A `recorded` value has, where known, `type`, `object_id`, `attributes` (pairs), `args` (of an
//! exception), `held` (what an instance of a subclass of a builtin class holds), `items` (the kept
//! items of a container, an array or pairs), `kept` (the kept part of a str or bytes), `length`
//! (the real length of a value that was cut). A value of which anything is missing is always
//! `recorded`. A container is not `recorded` just because one of its items is.

use dashcam_schema::value::parse::{self, Named, Node, Parsed};
use dashcam_schema::value::render::STANDARD;
use serde_json::{Map, Value, json};

/// A value as JSON. If the text is not a value, it is `recorded` as a whole.
pub(super) fn value(text: &str) -> Value {
    let whole = || json!({"recorded": [0, text.chars().count()]});
    parse::value(text).map_or_else(whole, |value| Writer { whole: text }.value(&value))
}

/// Named values as JSON: `{"names": [[name, value], …], "more": 0}`.
pub(super) fn arguments(text: &str) -> Value {
    let Some(named) = parse::arguments(text) else {
        // The text cannot be read, so it is not known how many there are.
        return json!({"names": [], "more": 1});
    };
    let (names, more) = Writer { whole: text }.named(&named);
    json!({"names": names, "more": more})
}

/// Whether no part of a value is missing.
fn is_whole(value: &Value) -> bool {
    match value {
        Value::Object(object) => !object.contains_key("recorded") && object.values().all(is_whole),
        Value::Array(items) => items.iter().all(is_whole),
        _ => true,
    }
}

struct Writer<'a> {
    whole: &'a str,
}

impl Writer<'_> {
    fn value(&self, value: &Parsed<'_>) -> Value {
        let text = value.text;
        match &value.node {
            Node::None => Value::Null,
            Node::True => Value::Bool(true),
            Node::False => Value::Bool(false),
            Node::Ellipsis | Node::NotImplemented => json!({"constant": text}),
            Node::Int { length: None, .. } => match text.parse::<i64>() {
                Ok(int) => int.into(),
                Err(_) => json!({"int": text}),
            },
            Node::Float => match text.parse::<f64>() {
                Ok(float) if float.is_finite() => float.into(),
                _ => json!({"float": text}),
            },
            Node::Complex => json!({"complex": text}),
            Node::Str { kept, literal, length: None } => str(kept, literal),
            Node::Bytes { literal, length: None } => json!({"bytes": literal}),
            Node::Int { length, .. } => {
                self.recorded(value, [("type", "int".into()), ("length", json!(length))])
            }
            Node::Str { kept, literal, length } => {
                let kept = str(kept, literal);
                let known = [("type", "str".into()), ("kept", kept), ("length", json!(length))];
                self.recorded(value, known)
            }
            Node::Bytes { literal, length } => {
                let kept = json!({"bytes": literal});
                let known = [("type", "bytes".into()), ("kept", kept), ("length", json!(length))];
                self.recorded(value, known)
            }
            Node::List(items) => match self.items(items) {
                (items, 0) => items.into(),
                (items, more) => self.cut(value, "list", items, more),
            },
            Node::Tuple(items) => self.container(value, "tuple", items),
            Node::Set(items) => self.container(value, "set", items),
            Node::Dict(pairs) => self.dict(value, "dict", pairs),
            Node::Call { name, args, named } => self.call(value, name, args, named),
            Node::Instance { class, id, held, attributes } => {
                let (attributes, more) = self.named(attributes);
                let mut known = vec![
                    ("type", class.as_str().into()),
                    ("object_id", json!(id)),
                    ("attributes", attributes.into()),
                ];
                known.extend(held.as_ref().map(|held| ("held", self.value(held))));
                known.extend((more > 0).then(|| ("more", json!(more))));
                self.recorded(value, known)
            }
            Node::Mark if text == "datetime.timezone.utc" => {
                json!({"standard": text, "args": [], "named": []})
            }
            Node::Member { class, .. } => self.recorded(value, [("type", (*class).into())]),
            Node::Mark | Node::More(_) => self.recorded(value, mark(text)),
        }
    }

    /// Items, and the number of items that are missing.
    fn items(&self, items: &[Parsed<'_>]) -> (Vec<Value>, u64) {
        let mut more = 0u64;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match item.node {
                Node::More(count) => more = more.saturating_add(count.max(1)),
                _ => values.push(self.value(item)),
            }
        }
        (values, more)
    }

    /// Pairs of names and values, and the number of pairs that are missing.
    fn named(&self, named: &Named<'_>) -> (Vec<Value>, u64) {
        let mut more = 0u64;
        let mut values = Vec::with_capacity(named.len());
        for (name, value) in named {
            match value.node {
                Node::More(count) => more = more.saturating_add(count.max(1)),
                _ => values.push(json!([name, self.value(value)])),
            }
        }
        (values, more)
    }

    fn container(&self, value: &Parsed<'_>, class: &str, items: &[Parsed<'_>]) -> Value {
        match self.items(items) {
            (items, 0) => json!({class: items}),
            (items, more) => self.cut(value, class, items, more),
        }
    }

    fn dict(&self, value: &Parsed<'_>, class: &str, pairs: &[(Parsed<'_>, Parsed<'_>)]) -> Value {
        let mut more = 0u64;
        let mut items = Vec::with_capacity(pairs.len());
        for (key, held) in pairs {
            match key.node {
                Node::More(count) => more = more.saturating_add(count.max(1)),
                _ => items.push(json!([self.value(key), self.value(held)])),
            }
        }
        match more {
            0 => json!({class: items}),
            more => self.cut(value, class, items, more),
        }
    }

    /// A container that was cut; `more` items are missing.
    fn cut(&self, value: &Parsed<'_>, class: &str, items: Vec<Value>, more: u64) -> Value {
        let length = (items.len() as u64).saturating_add(more);
        let known = [("type", class.into()), ("items", items.into()), ("length", json!(length))];
        self.recorded(value, known)
    }

    /// A value that is written as a call: of some builtin classes, or an exception.
    fn call(
        &self,
        value: &Parsed<'_>,
        name: &str,
        args: &[Parsed<'_>],
        named: &Named<'_>,
    ) -> Value {
        let is_int = |arg: &Parsed<'_>| matches!(arg.node, Node::Int { length: None, .. });
        match (name, args, &named[..]) {
            ("set" | "frozenset", [], []) => return json!({name: []}),
            ("OrderedDict" | "Counter", [], []) => return json!({name: []}),
            ("set", args @ [Parsed { node: Node::More(_), .. }], []) => {
                return self.container(value, name, args);
            }
            ("frozenset", [Parsed { node: Node::Set(items), .. }], []) => {
                return self.container(value, name, items);
            }
            // `frozenset({… 9 more})`
            ("frozenset", [Parsed { node: Node::Dict(pairs), .. }], []) if !pairs.is_empty() => {
                return self.dict(value, name, pairs);
            }
            ("OrderedDict" | "Counter", [Parsed { node: Node::Dict(pairs), .. }], []) => {
                return self.dict(value, name, pairs);
            }
            ("bytearray", [arg @ Parsed { node: Node::Bytes { length: None, .. }, .. }], []) => {
                return json!({"bytearray": self.value(arg)});
            }
            ("range", [_, _] | [_, _, _], []) if args.iter().all(is_int) => {
                return self.container(value, name, args);
            }
            ("slice", [_, _, _], []) => return self.container(value, name, args),
            ("deque", [Parsed { node: Node::List(items), .. }], named) => {
                match (self.items(items), named) {
                    ((items, 0), []) => return json!({"deque": items}),
                    ((items, 0), [(key, maxlen)]) if key == "maxlen" && is_int(maxlen) => {
                        return json!({"deque": items, "maxlen": self.value(maxlen)});
                    }
                    ((items, more), _) => return self.cut(value, name, items, more),
                }
            }
            ("array" | "defaultdict", [.., last], _) if args.len() == 2 => {
                return match &last.node {
                    Node::Dict(pairs) => self.part_of(value, name, self.dict(last, name, pairs)),
                    Node::List(items) => {
                        let (items, more) = self.items(items);
                        self.cut(value, name, items, more)
                    }
                    _ => self.recorded(value, [("type", name.into())]),
                };
            }
            // The client's Python may be older than the class.
            ("frozendict", [], []) => {
                return self.part_of(value, name, self.dict(value, name, &[]));
            }
            ("frozendict", [Parsed { node: Node::Dict(pairs), .. }], []) => {
                return self.part_of(value, name, self.dict(value, name, pairs));
            }
            (
                "bytearray" | "range" | "slice" | "set" | "frozenset" | "deque" | "OrderedDict"
                | "Counter" | "array" | "defaultdict" | "frozendict",
                ..,
            ) => {
                return self.recorded(value, [("type", name.into())]);
            }
            _ => {}
        }
        let (args, more) = self.items(args);
        let (named, more_named) = self.named(named);
        let is_whole = more == 0
            && more_named == 0
            && args.iter().chain(named.iter().map(|pair| &pair[1])).all(is_whole);
        if is_whole && STANDARD.contains(&name) {
            return json!({"standard": name, "args": args, "named": named});
        }
        let mut known = vec![("type", name.into())];
        if !args.is_empty() || named.is_empty() {
            known.push(("args", args.into()));
        }
        known.extend((!named.is_empty()).then(|| ("attributes", json!(named))));
        known.extend((more > 0).then(|| ("more", json!(more))));
        self.recorded(value, known)
    }

    /// A `defaultdict`, whose factory is not known, or a `frozendict`, as `recorded` with its
    /// items.
    fn part_of(&self, value: &Parsed<'_>, class: &str, dict: Value) -> Value {
        let items = dict.get(class).or(dict.get("items")).cloned().unwrap_or_default();
        let all = items.as_array().map_or(0, Vec::len);
        let length = dict.get("length").cloned().unwrap_or(json!(all));
        self.recorded(value, [("type", class.into()), ("items", items), ("length", length)])
    }

    /// A `recorded` value, with what is known of it.
    fn recorded(
        &self,
        value: &Parsed<'_>,
        known: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Value {
        // `value.text` is a slice of `whole`.
        let begin = value.text.as_ptr() as usize - self.whole.as_ptr() as usize;
        let end = begin + value.text.len();
        let (begin, end) = match self.whole.is_ascii() {
            true => (begin, end),
            false => {
                let begin = self.whole.get(..begin).map_or(0, |before| before.chars().count());
                (begin, begin + value.text.chars().count())
            }
        };
        let mut object = Map::new();
        object.insert("recorded".into(), json!([begin, end]));
        object.extend(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(object)
    }
}

fn str(kept: &str, literal: &str) -> Value {
    match kept.contains(char::REPLACEMENT_CHARACTER) {
        // The character may stand for a lone surrogate, which JSON does not have.
        true => json!({"str": literal}),
        false => kept.into(),
    }
}

/// What a mark in a text shows of the value it stands for.
fn mark(text: &str) -> Vec<(&'static str, Value)> {
    let starts = |with: &str| text.starts_with(with);
    let class = match text {
        "[...]" => "list",
        "(...)" => "tuple",
        _ if starts("<function ") => "function",
        _ if starts("<class ") => "type",
        _ if starts("<module ") => "module",
        _ => {
            let id = text.strip_prefix("<object #").and_then(|rest| rest.strip_suffix('>'));
            let id = id.and_then(|id| id.parse::<u64>().ok());
            return id.map(|id| ("object_id", json!(id))).into_iter().collect();
        }
    };
    vec![("type", class.into())]
}
