//! Values as owned trees, and as JSON.
//!
//! | value | JSON |
//! |---|---|
//! | None, bool, str | `null`, `true`, `"a"` |
//! | int of 64 bits, finite float | number |
//! | list, tuple | array |
//! | dict whose keys are strs, none of them `type` | object |
//! | all others | an object with `type`, the class, and `object_id`, if it has an identity |
//!
//! Beside `type`, such an object has what is known of the value:
//!
//! - `value`: the digits of a longer int, the text of a float or complex that JSON has no number
//!   for, the text of a str that was cut, the bytes of a bytes or bytearray as numbers, the name of
//!   a function, class, module or generator, the item type of an array;
//! - `items`: the items of a container or range, or the arguments of an exception; for a dict,
//!   pairs of key and value;
//! - `length`: the real length, if fewer items were kept;
//! - `attributes`: the attributes of an instance;
//! - `unknown`: why nothing is known of the value: `redacted`, `unread`, `class only`, `too deep`
//!   (it can be requested by itself), `within itself`.
//!
//! A list, tuple or dict that was cut is such an object too. JSON has no lone surrogates: they
//! become U+FFFD.

use super::error::InspectError;
use super::evaluate::Evaluated;
use super::operand::characters;
use super::snapshot::Snapshot;
use crate::state::{Contents, Expanded, Handle, Named};
use crate::store::Error;
use dashcam_schema::value::{ObjectId, Sort};
use serde_json::{Map, Number, json};

/// How much of a value becomes a tree. What is left out can be requested by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum depth of objects within objects.
    pub depth: usize,
    /// Maximum number of values in total.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 20, values: 10_000 }
    }
}

/// A value as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Ellipsis,
    NotImplemented,
    /// An int of 64 bits.
    Int(i64),
    /// A longer int that is not a recorded object, in decimal.
    LongInt(Box<str>),
    Float(f64),
    /// A str, in which lone surrogates become U+FFFD.
    Str(Box<str>),
    Bytes(Box<[u8]>),
    /// A list or tuple that is not a recorded object.
    List(Vec<Node>),
    Tuple(Vec<Node>),
    /// A class of which only the name is known.
    Type(Box<str>),
    Redacted,
    /// The value could not be read, or was not recorded.
    Unread,
    /// Left out because there were [`Limits::values`] values before it.
    Omitted,
    Object(Box<ObjectNode>),
}

/// An object with an identity.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectNode {
    pub object_id: ObjectId,
    /// The class, with its module unless that is `builtins` or `__main__`.
    pub class: Box<str>,
    /// The builtin class that the class is, or is derived from.
    pub sort: Sort,
    /// The class is that builtin class itself.
    pub is_exact: bool,
    pub body: Body,
    pub attributes: Vec<(Box<str>, Node)>,
}

/// What an object holds besides attributes. Lengths are real lengths, even if less was kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing else.
    Nothing,
    /// The digits of an int, the characters of a str (lone surrogates become U+FFFD), or a name.
    Text {
        text: Box<str>,
        length: u64,
    },
    Bytes {
        bytes: Box<[u8]>,
        length: u64,
    },
    /// Items of a sequence or set, parts of a complex, range or slice, arguments of an exception.
    Items {
        items: Vec<Node>,
        length: u64,
    },
    Pairs {
        pairs: Vec<(Node, Node)>,
        length: u64,
    },
    /// The item type and the items of an array.
    Array {
        code: Box<str>,
        items: Vec<Node>,
        length: u64,
    },
    /// Only class and identity are known.
    ClassOnly,
    /// Only the identity is known.
    Unknown,
    /// The object is within itself.
    Cycle,
    /// The object is deeper than [`Limits::depth`].
    TooDeep,
}

/// A tree under construction.
struct Building<'s, 'a> {
    snapshot: &'s Snapshot<'a>,
    limits: Limits,
    /// Objects that contain the next value.
    within: Vec<ObjectId>,
    /// Values that may still be added.
    left: usize,
}

impl Snapshot<'_> {
    /// A value as a tree.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn node(&self, value: &Evaluated, limits: Limits) -> Result<Node, Error> {
        let within = Vec::new();
        Building { snapshot: self, limits, within, left: limits.values }.node(value)
    }

    /// All variables as JSON, by name: an array of objects with `name`, `scope` (`local`, `global`
    /// or `cell`), `type` (the class), `object_id` if the value is an object with an identity,
    /// `repr`, and `value` as [`Node::to_json`] writes it.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn to_json(&self, limits: Limits) -> Result<serde_json::Value, InspectError> {
        let mut variables: Vec<&Named> = self.variables().iter().collect();
        variables.sort_by_key(|named| &*named.name);
        let rows = variables.into_iter().map(|named| {
            let value = Evaluated::Recorded(named.value);
            let node = self.node(&value, limits)?;
            let mut row = Map::new();
            row.insert("name".to_owned(), (*named.name).into());
            row.insert("scope".to_owned(), named.scope.into());
            row.insert("type".to_owned(), node.class().into());
            if let Some(id) = value.object_id() {
                row.insert("object_id".to_owned(), id.into());
            }
            row.insert("repr".to_owned(), self.repr(&value)?.into());
            row.insert("value".to_owned(), node.to_json());
            Ok(serde_json::Value::Object(row))
        });
        rows.collect()
    }
}

fn lossy(text: &[u8]) -> Box<str> {
    match std::str::from_utf8(text) {
        Ok(text) => text.into(),
        Err(_) => {
            let mut out = String::with_capacity(text.len());
            let mut rest = text;
            while !rest.is_empty() {
                // A lone surrogate is three bytes, and one character.
                if let [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] = rest {
                    out.push('\u{fffd}');
                    rest = after;
                    continue;
                }
                let next = (1..rest.len()).find(|at| rest[*at] == 0xed).unwrap_or(rest.len());
                out.push_str(&String::from_utf8_lossy(&rest[..next]));
                rest = &rest[next..];
            }
            out.into()
        }
    }
}

impl Building<'_, '_> {
    fn node(&mut self, value: &Evaluated) -> Result<Node, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(Node::Omitted) };
        self.left = left;
        Ok(match value {
            Evaluated::Recorded(handle) => return self.recorded(handle),
            Evaluated::None => Node::None,
            Evaluated::Ellipsis => Node::Ellipsis,
            Evaluated::Bool(value) => Node::Bool(*value),
            Evaluated::Int(value) => match i64::try_from(value) {
                Ok(value) => Node::Int(value),
                Err(_) => Node::LongInt(value.to_string().into()),
            },
            Evaluated::Float(value) => Node::Float(*value),
            Evaluated::Str(text) => Node::Str(lossy(text)),
            Evaluated::Bytes(bytes) => Node::Bytes((**bytes).into()),
            Evaluated::Tuple(items) => Node::Tuple(self.computed(items)?),
            Evaluated::List(items) => Node::List(self.computed(items)?),
            Evaluated::Type(name) => Node::Type(name.clone()),
        })
    }

    fn computed(&mut self, items: &[Evaluated]) -> Result<Vec<Node>, Error> {
        items.iter().map(|item| self.node(item)).collect()
    }

    fn recorded(&mut self, handle: &Handle) -> Result<Node, Error> {
        Ok(match self.snapshot.expand(handle)? {
            Expanded::None => Node::None,
            Expanded::Bool(value) => Node::Bool(value),
            Expanded::Ellipsis => Node::Ellipsis,
            Expanded::NotImplemented => Node::NotImplemented,
            Expanded::Redacted => Node::Redacted,
            Expanded::Unread => Node::Unread,
            Expanded::Int(value) => Node::Int(value),
            Expanded::Float(value) => Node::Float(value),
            Expanded::Str(text) => Node::Str(lossy(&text)),
            Expanded::Bytes(bytes) => Node::Bytes((*bytes).into()),
            Expanded::Object(contents) => {
                let class = &contents.class;
                Node::Object(Box::new(ObjectNode {
                    object_id: contents.id,
                    class: class.name.as_str().into(),
                    sort: class.sort,
                    is_exact: class.is_exact,
                    body: Body::Cycle,
                    attributes: Vec::new(),
                }))
                .filled(self, &contents)?
            }
            Expanded::Unknown(object_id) => Node::Object(Box::new(ObjectNode {
                object_id,
                class: "object".into(),
                sort: Sort::Opaque,
                is_exact: false,
                body: Body::Unknown,
                attributes: Vec::new(),
            })),
        })
    }

    fn items(&mut self, items: &[Handle]) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::with_capacity(items.len().min(self.left));
        for item in items {
            if self.left == 0 {
                nodes.push(Node::Omitted);
                break;
            }
            nodes.push(self.node(&Evaluated::Recorded(*item))?);
        }
        Ok(nodes)
    }

    fn body(&mut self, contents: &Contents) -> Result<Body, Error> {
        let length = |kept: usize, length: u64| length.max(kept as u64);
        Ok(match (contents.class.sort, &contents.text, &contents.items) {
            (Sort::Bytes | Sort::ByteArray, Some(text), _) => Body::Bytes {
                bytes: (*text.kept).into(),
                length: length(text.kept.len(), text.length),
            },
            (Sort::Array, Some(code), Some(items)) => Body::Array {
                code: lossy(&code.kept),
                items: self.items(&items.kept)?,
                length: length(items.kept.len(), items.length),
            },
            (_, Some(part), _) => {
                let length = part.length.max(characters(&part.kept));
                Body::Text { text: lossy(&part.kept), length }
            }
            (Sort::Dict, None, Some(items)) => {
                let kept: &[[Handle; 2]] = items.kept.as_chunks().0;
                let mut pairs = Vec::with_capacity(kept.len().min(self.left));
                for [key, value] in kept {
                    if self.left == 0 {
                        break;
                    }
                    let key = self.node(&Evaluated::Recorded(*key))?;
                    pairs.push((key, self.node(&Evaluated::Recorded(*value))?));
                }
                Body::Pairs { pairs, length: length(kept.len(), items.length) }
            }
            (_, None, Some(items)) => Body::Items {
                items: self.items(&items.kept)?,
                length: length(items.kept.len(), items.length),
            },
            (_, None, None) if contents.attributes.is_some() => Body::Nothing,
            (_, None, None) => Body::ClassOnly,
        })
    }
}

impl Node {
    /// Adds what an object holds to its node.
    fn filled(
        mut self,
        building: &mut Building<'_, '_>,
        contents: &Contents,
    ) -> Result<Node, Error> {
        let Node::Object(object) = &mut self else { return Ok(self) };
        if building.within.contains(&object.object_id) {
            return Ok(self);
        }
        if building.within.len() >= building.limits.depth {
            object.body = Body::TooDeep;
            return Ok(self);
        }
        building.within.push(object.object_id);
        object.body = building.body(contents)?;
        for (name, value) in contents.attributes.iter().flatten() {
            let value = building.node(&Evaluated::Recorded(*value))?;
            object.attributes.push((name.clone(), value));
        }
        building.within.pop();
        Ok(self)
    }

    /// The name of the value's class.
    pub fn class(&self) -> &str {
        match self {
            Node::None => "NoneType",
            Node::Bool(_) => "bool",
            Node::Ellipsis => "ellipsis",
            Node::NotImplemented => "NotImplementedType",
            Node::Int(_) | Node::LongInt(_) => "int",
            Node::Float(_) => "float",
            Node::Str(_) => "str",
            Node::Bytes(_) => "bytes",
            Node::List(_) => "list",
            Node::Tuple(_) => "tuple",
            Node::Type(_) => "type",
            Node::Redacted | Node::Unread | Node::Omitted => "object",
            Node::Object(object) => &object.class,
        }
    }

    /// The value as JSON; see the documentation of this module.
    pub fn to_json(&self) -> serde_json::Value {
        let array = |items: &[Node]| items.iter().map(Node::to_json).collect();
        match self {
            Node::None => serde_json::Value::Null,
            Node::Bool(value) => (*value).into(),
            Node::Int(value) => (*value).into(),
            Node::Float(value) => match Number::from_f64(*value) {
                Some(number) => number.into(),
                None => json!({ "type": "float", "value": float(*value) }),
            },
            Node::Str(text) => (**text).into(),
            Node::List(items) | Node::Tuple(items) => array(items),
            Node::LongInt(digits) => json!({ "type": "int", "value": digits }),
            Node::Bytes(bytes) => json!({ "type": "bytes", "value": bytes }),
            Node::Type(name) => json!({ "type": "type", "value": name }),
            Node::Ellipsis | Node::NotImplemented => json!({ "type": self.class() }),
            Node::Redacted => json!({ "type": "object", "unknown": "redacted" }),
            Node::Unread => json!({ "type": "object", "unknown": "unread" }),
            Node::Omitted => json!({ "type": "object", "unknown": "too deep" }),
            Node::Object(object) => object.to_json(),
        }
    }
}

/// The text of a float that JSON has no number for.
fn float(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "nan",
        value if value > 0.0 => "inf",
        _ => "-inf",
    }
}

impl ObjectNode {
    /// The object as a string, array or object without `type`, if nothing is lost by that.
    fn plain(&self) -> Option<serde_json::Value> {
        if !self.is_exact {
            return None;
        }
        match (&self.body, self.sort, &*self.class) {
            (Body::Text { text, length }, Sort::Str, _)
                if *length == characters(text.as_bytes()) =>
            {
                Some((**text).into())
            }
            (Body::Items { items, length }, Sort::List | Sort::Tuple, _)
                if *length == items.len() as u64 && !items.contains(&Node::Omitted) =>
            {
                Some(items.iter().map(Node::to_json).collect())
            }
            (Body::Pairs { pairs, length }, Sort::Dict, "dict")
                if *length == pairs.len() as u64 =>
            {
                let mut map = Map::new();
                for (key, value) in pairs {
                    let key = match key {
                        Node::Str(key) => (**key).to_owned(),
                        Node::Object(key) => match key.plain()? {
                            serde_json::Value::String(key) => key,
                            _ => return None,
                        },
                        _ => return None,
                    };
                    // Two keys may have become the same by replacing surrogates.
                    if key == "type" || key.contains('\u{fffd}') || map.contains_key(&key) {
                        return None;
                    }
                    map.insert(key, value.to_json());
                }
                Some(map.into())
            }
            _ => None,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        if let Some(plain) = self.plain() {
            return plain;
        }
        let mut map = Map::new();
        let mut put = |name: &str, value: serde_json::Value| {
            map.insert(name.to_owned(), value);
        };
        let array = |items: &[Node]| items.iter().map(Node::to_json).collect();
        put("type", (*self.class).into());
        put("object_id", self.object_id.into());
        match &self.body {
            Body::Nothing => {}
            Body::Text { text, length } => {
                put("value", (**text).into());
                if *length > characters(text.as_bytes()) {
                    put("length", (*length).into());
                }
            }
            Body::Bytes { bytes, length } => {
                put("value", bytes.iter().copied().collect());
                if *length > bytes.len() as u64 {
                    put("length", (*length).into());
                }
            }
            Body::Items { items, length } => {
                put("items", array(items));
                if *length > items.len() as u64 {
                    put("length", (*length).into());
                }
            }
            Body::Array { code, items, length } => {
                put("value", (**code).into());
                put("items", array(items));
                if *length > items.len() as u64 {
                    put("length", (*length).into());
                }
            }
            Body::Pairs { pairs, length } => {
                let pair = |(key, value): &(Node, Node)| json!([key.to_json(), value.to_json()]);
                put("items", pairs.iter().map(pair).collect());
                if *length > pairs.len() as u64 {
                    put("length", (*length).into());
                }
            }
            Body::ClassOnly => put("unknown", "class only".into()),
            Body::Unknown => put("unknown", "unread".into()),
            Body::Cycle => put("unknown", "within itself".into()),
            Body::TooDeep => put("unknown", "too deep".into()),
        }
        if !self.attributes.is_empty() {
            let attributes = self.attributes.iter();
            let attributes: Map<_, _> =
                attributes.map(|(name, value)| (name.to_string(), value.to_json())).collect();
            put("attributes", attributes.into());
        }
        map.into()
    }
}
