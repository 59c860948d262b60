//! Values as operands: how Python's operators treat values of builtin classes.

use super::error::InspectError;
use super::evaluate::Evaluated;
use super::snapshot::Snapshot;
use crate::state::{Contents, Expanded};
use dashcam_schema::value::{ObjectId, Part, Sort};
use num_bigint::BigInt;
use num_traits::Signed;
use std::borrow::Cow;
use std::rc::Rc;

/// A value as an operand. It is known what operators do with all but [`Operand::Other`]. A value
/// that was cut has its real length.
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
    /// A bytes or bytearray.
    Bytes(Text),
    /// A class of which only the name is known.
    Type(Box<str>),
    Items(Items),
    Pairs(Pairs),
    Range(Range),
    /// An object that is true and equal to no other object: a module, a class, a function, a
    /// generator.
    Itself(ObjectId, Box<str>),
    /// An object whose class may define operators itself.
    Other(ObjectId, Box<str>),
}

/// The kept part of a text, and its real length in characters or bytes.
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
    /// The name of the value's class.
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

/// The number of code points of a text in UTF-8. Lone surrogates may be encoded like others.
pub(super) fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

fn text(kept: &Rc<[u8]>, length: u64, class: &'static str) -> Text {
    let known = if class == "str" { characters(kept) } else { kept.len() as u64 };
    Text { kept: kept.clone(), length: length.max(known), is_cut: length > known, class }
}

/// An [`InspectError::Unknown`] for a value: its name, and what is not known of it.
pub(super) fn unknown(shown: &str, what: &str) -> InspectError {
    InspectError::Unknown(format!("{shown} {what}"))
}

impl Snapshot<'_> {
    /// A value as an operand. `shown` is its name in errors.
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
        Ok(match self.expand(handle)? {
            Expanded::None => Operand::None,
            Expanded::Ellipsis => Operand::Ellipsis,
            Expanded::NotImplemented => Operand::NotImplemented,
            Expanded::Bool(value) => Operand::Bool(value),
            Expanded::Int(value) => Operand::Int(value.into()),
            Expanded::Float(value) => Operand::Float(value),
            Expanded::Str(kept) => Operand::Str(text(&kept, 0, "str")),
            Expanded::Bytes(kept) => Operand::Bytes(text(&kept, 0, "bytes")),
            Expanded::Redacted => return Err(unknown(shown, "is redacted")),
            Expanded::Unread => return Err(unknown(shown, "was not recorded")),
            Expanded::Unknown(_) => {
                return Err(unknown(shown, "is an object that was not recorded"));
            }
            Expanded::Object(contents) => self.of_object(&contents, shown)?,
        })
    }

    fn of_object(&self, object: &Contents, shown: &str) -> Result<Operand, InspectError> {
        let class = &object.class;
        let other = || Operand::Other(object.id, class.name.as_str().into());
        if !class.is_exact {
            return Ok(other());
        }
        let undescribed = || match class.sort {
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
            None => undescribed(),
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
                None => undescribed(),
            },
            (Sort::Complex, _) => match &self.numbers(object)?[..] {
                [Expanded::Float(real), Expanded::Float(imaginary)] => {
                    Ok(Operand::Complex(*real, *imaginary))
                }
                _ => undescribed(),
            },
            (Sort::Range, _) => match &self.numbers(object)?[..] {
                [Expanded::Int(start), Expanded::Int(stop), Expanded::Int(step)] if *step != 0 => {
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
                let Some(part) = &object.items else { return undescribed() };
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
            // A class with another metaclass, or a bound method, may be equal to other objects.
            (Sort::Class, "type")
            | (Sort::Function, "function")
            | (Sort::Module | Sort::Generator, _) => {
                Ok(Operand::Itself(object.id, class.name.as_str().into()))
            }
            _ => Ok(other()),
        }
    }

    /// The items of an object, expanded.
    fn numbers(&self, object: &Contents) -> Result<Vec<Expanded>, InspectError> {
        let items = object.items.iter().flat_map(|part| part.kept.iter());
        items.map(|item| Ok(self.expand(item)?)).collect()
    }
}

/// Parses the digits of an int; `None` if they were cut.
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
