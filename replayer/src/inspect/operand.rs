//! Values as Python's operators see them, of builtin classes only.

use super::error::InspectError;
use super::evaluate::Evaluated;
use super::snapshot::Snapshot;
use crate::state::{Contents, Look};
use dashcam_schema::value::{ObjectId, Part, Sort};
use num_bigint::BigInt;
use num_traits::Signed;
use std::borrow::Cow;
use std::rc::Rc;

/// A value whose class is one of Python's own, so that it is known what operators do. What is cut
/// says its real length.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    None,
    Ellipsis,
    NotImplemented,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    Complex(f64, f64),
    Str(Text),
    /// bytes, and bytearray.
    Bytes(Text),
    /// A class, by its name.
    Type(Box<str>),
    Items(Items),
    Pairs(Pairs),
    Range(Range),
    /// What cannot be equal to another object, and is true: a module, a class, a generator.
    Itself(ObjectId, Box<str>),
    /// Its class may say what operators do.
    Other(ObjectId, Box<str>),
}

/// What there is of a text, and its real length in characters or bytes.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) kept: Rc<[u8]>,
    pub(super) length: u64,
    pub(super) is_cut: bool,
    pub(super) class: &'static str,
}

/// A container of items.
#[derive(Debug, Clone)]
pub(super) struct Items {
    pub(super) class: &'static str,
    pub(super) id: Option<ObjectId>,
    pub(super) kept: Vec<Evaluated>,
    pub(super) length: u64,
}

/// A dict.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    pub(super) class: &'static str,
    pub(super) id: ObjectId,
    pub(super) kept: Vec<(Evaluated, Evaluated)>,
    pub(super) length: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) start: BigInt,
    pub(super) step: BigInt,
    pub(super) length: BigInt,
}

impl Items {
    pub(super) fn is_cut(&self) -> bool {
        self.length > self.kept.len() as u64
    }

    pub(super) fn is_set(&self) -> bool {
        matches!(self.class, "set" | "frozenset")
    }
}

impl Pairs {
    pub(super) fn is_cut(&self) -> bool {
        self.length > self.kept.len() as u64
    }
}

impl Operand {
    /// The name of its class.
    pub(super) fn class(&self) -> &str {
        match self {
            Operand::None => "NoneType",
            Operand::Ellipsis => "ellipsis",
            Operand::NotImplemented => "NotImplementedType",
            Operand::Bool(_) => "bool",
            Operand::Int(_) => "int",
            Operand::Float(_) => "float",
            Operand::Complex(..) => "complex",
            Operand::Str(text) | Operand::Bytes(text) => text.class,
            Operand::Type(_) => "type",
            Operand::Items(items) => items.class,
            Operand::Pairs(pairs) => pairs.class,
            Operand::Range(_) => "range",
            Operand::Itself(_, class) | Operand::Other(_, class) => class,
        }
    }
}

/// How many code points a text has in which lone surrogates are encoded like others.
pub(super) fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

fn text(kept: &Rc<[u8]>, length: u64, class: &'static str) -> Text {
    let known = if class == "str" { characters(kept) } else { kept.len() as u64 };
    Text { kept: kept.clone(), length: length.max(known), is_cut: length > known, class }
}

/// What is not known of a value, as an error.
pub(super) fn unknown(shown: &str, what: &str) -> InspectError {
    InspectError::Unknown(format!("{shown} {what}"))
}

impl Snapshot<'_> {
    /// A value as operators see it. `shown`: what it is called in errors.
    pub(super) fn operand(&self, value: &Evaluated, shown: &str) -> Result<Operand, InspectError> {
        let handle = match value {
            Evaluated::Recorded(handle) => handle,
            Evaluated::None => return Ok(Operand::None),
            Evaluated::Ellipsis => return Ok(Operand::Ellipsis),
            Evaluated::Bool(value) => return Ok(Operand::Bool(*value)),
            Evaluated::Int(value) => return Ok(Operand::Int(value.clone())),
            Evaluated::Float(value) => return Ok(Operand::Float(*value)),
            Evaluated::Str(kept) => return Ok(Operand::Str(text(kept, 0, "str"))),
            Evaluated::Bytes(kept) => return Ok(Operand::Bytes(text(kept, 0, "bytes"))),
            Evaluated::Type(name) => return Ok(Operand::Type(name.clone())),
            Evaluated::Tuple(items) | Evaluated::List(items) => {
                let is_list = matches!(value, Evaluated::List(_));
                return Ok(Operand::Items(Items {
                    class: if is_list { "list" } else { "tuple" },
                    id: None,
                    kept: items.clone(),
                    length: items.len() as u64,
                }));
            }
        };
        Ok(match self.look(handle)? {
            Look::None => Operand::None,
            Look::Ellipsis => Operand::Ellipsis,
            Look::NotImplemented => Operand::NotImplemented,
            Look::Bool(value) => Operand::Bool(value),
            Look::Int(value) => Operand::Int(value.into()),
            Look::Float(value) => Operand::Float(value),
            Look::Str(kept) => Operand::Str(text(&kept, 0, "str")),
            Look::Bytes(kept) => Operand::Bytes(text(&kept, 0, "bytes")),
            Look::Redacted => return Err(unknown(shown, "is redacted")),
            Look::Unread => return Err(unknown(shown, "was not recorded")),
            Look::Unknown(_) => return Err(unknown(shown, "is an object that was not recorded")),
            Look::Object(contents) => self.of_object(&contents, shown)?,
        })
    }

    fn of_object(&self, object: &Contents, shown: &str) -> Result<Operand, InspectError> {
        let class = &object.class;
        let other = || Operand::Other(object.id, class.name.as_str().into());
        if !class.is_exact {
            return Ok(other());
        }
        let untold = || match class.sort {
            Sort::Opaque | Sort::Instance | Sort::Exception | Sort::Function => Ok(other()),
            _ => Err(unknown(shown, "was not recorded: only its class was")),
        };
        let as_text = |class| match &object.text {
            Some(part) => Ok(text(&part.kept, part.length, class)),
            None => Err(unknown(shown, "was not recorded: only its class was")),
        };
        let items = |class| match &object.items {
            Some(part) => Ok(Operand::Items(Items {
                class,
                id: Some(object.id),
                kept: part.kept.iter().copied().map(Evaluated::Recorded).collect(),
                length: part.length.max(part.kept.len() as u64),
            })),
            None => untold(),
        };
        match (class.sort, &*class.name) {
            (Sort::Str, _) => Ok(Operand::Str(as_text("str")?)),
            (Sort::Bytes, _) => Ok(Operand::Bytes(as_text("bytes")?)),
            (Sort::ByteArray, _) => Ok(Operand::Bytes(as_text("bytearray")?)),
            (Sort::Int, _) => match &object.text {
                Some(part) => match int(part) {
                    Some(value) => Ok(Operand::Int(value)),
                    None => Err(unknown(shown, "is an int whose digits were cut")),
                },
                None => untold(),
            },
            (Sort::Complex, _) => match &self.numbers(object)?[..] {
                [Look::Float(real), Look::Float(imaginary)] => {
                    Ok(Operand::Complex(*real, *imaginary))
                }
                _ => untold(),
            },
            (Sort::Range, _) => match &self.numbers(object)?[..] {
                [Look::Int(start), Look::Int(stop), Look::Int(step)] if *step != 0 => {
                    let [start, stop, step] = [*start, *stop, *step].map(BigInt::from);
                    let length = (&stop - &start + &step - step.signum()) / &step;
                    Ok(Operand::Range(Range { length: length.max(BigInt::ZERO), start, step }))
                }
                _ => Err(unknown(shown, "is a range that is not computed with")),
            },
            (Sort::List, _) => items("list"),
            (Sort::Tuple, _) => items("tuple"),
            (Sort::Set, _) => items("set"),
            (Sort::FrozenSet, _) => items("frozenset"),
            (Sort::Deque, _) => items("collections.deque"),
            (Sort::Dict, name) => {
                let class = match name {
                    "dict" => "dict",
                    "frozendict" => "frozendict",
                    "collections.OrderedDict" => "collections.OrderedDict",
                    "collections.defaultdict" => "collections.defaultdict",
                    _ => return Ok(other()),
                };
                let Some(part) = &object.items else { return untold() };
                let pairs: &[[_; 2]] = part.kept.as_chunks().0;
                let pair = |pair: &[_; 2]| {
                    let [key, value] = *pair;
                    (Evaluated::Recorded(key), Evaluated::Recorded(value))
                };
                Ok(Operand::Pairs(Pairs {
                    class,
                    id: object.id,
                    kept: pairs.iter().map(pair).collect(),
                    length: part.length.max(pairs.len() as u64),
                }))
            }
            // Of another metaclass, or bound to an object, it may be equal to others.
            (Sort::Class, "type")
            | (Sort::Function, "function")
            | (Sort::Module | Sort::Generator, _) => {
                Ok(Operand::Itself(object.id, class.name.as_str().into()))
            }
            _ => Ok(other()),
        }
    }

    /// What an object's items are.
    fn numbers(&self, object: &Contents) -> Result<Vec<Look>, InspectError> {
        let items = object.items.iter().flat_map(|part| part.kept.iter());
        items.map(|item| Ok(self.look(item)?)).collect()
    }
}

/// An int by its digits; `None` if they were cut.
pub(super) fn int(part: &Part<Rc<[u8]>>) -> Option<BigInt> {
    if part.length > part.kept.len() as u64 {
        return None;
    }
    let digits: Cow<'_, str> = String::from_utf8_lossy(&part.kept);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, &*digits),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => BigInt::parse_bytes(digits.as_bytes(), 16),
        None => BigInt::parse_bytes(digits.as_bytes(), 10),
    };
    value.map(|value| value * sign)
}
