//! Evaluates expressions on a snapshot.

use super::arithmetic;
use super::error::InspectError;
use super::operand::{Operand, unknown};
use super::parse::{Ast, Expression, Kind};
use super::snapshot::Snapshot;
use crate::state::{Contents, Expanded, Handle};
use dashcam_schema::value::{ObjectId, Sort};
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use std::rc::Rc;

/// The value of an expression: recorded, or computed here.
#[derive(Debug, Clone)]
pub enum Evaluated {
    /// A recorded value of the snapshot it was evaluated on.
    Recorded(Handle),
    None,
    Ellipsis,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    /// UTF-8 in which lone surrogates are encoded like other code points.
    Str(Rc<[u8]>),
    Bytes(Rc<[u8]>),
    Tuple(Vec<Evaluated>),
    List(Vec<Evaluated>),
    /// A class of which only the name is known, written as
    /// [`Class::name`](dashcam_schema::value::Class::name).
    Type(Box<str>),
}

impl Evaluated {
    /// The id of the object, if the value is an object with an identity.
    pub fn object_id(&self) -> Option<ObjectId> {
        match self {
            Evaluated::Recorded(handle) => handle.object_id(),
            _ => None,
        }
    }
}

/// Builtin classes. A name that no variable has means the class of that name, and no other class
/// has such a name.
pub(super) const BUILTIN_CLASSES: [&str; 20] = [
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "memoryview",
    "object",
    "property",
    "range",
    "set",
    "slice",
    "staticmethod",
    "str",
    "super",
    "tuple",
    "type",
];

/// Maximum number of names listed in a message.
const NAMES_MAX: usize = 12;

impl Snapshot<'_> {
    /// Evaluates an expression.
    ///
    /// # Errors
    /// If a part of the expression does not exist or was not recorded, if Python would raise an
    /// exception, or if code of the program would decide the result.
    pub fn evaluate(&self, expression: &Expression) -> Result<Evaluated, InspectError> {
        self.eval(expression, &expression.ast)
    }

    /// Whether an expression is true in the sense of `if`.
    ///
    /// # Errors
    /// As for [`Snapshot::evaluate`].
    pub fn is_true(&self, expression: &Expression) -> Result<bool, InspectError> {
        let value = self.evaluate(expression)?;
        self.truth(&value, expression.text())
    }

    fn eval(&self, of: &Expression, ast: &Ast) -> Result<Evaluated, InspectError> {
        let operand = |ast: &Ast| self.operand(&self.eval(of, ast)?, of.shown(ast));
        Ok(match &ast.kind {
            Kind::None => Evaluated::None,
            Kind::Bool(value) => Evaluated::Bool(*value),
            Kind::Ellipsis => Evaluated::Ellipsis,
            Kind::Int(value) => Evaluated::Int(value.clone()),
            Kind::Float(value) => Evaluated::Float(*value),
            Kind::Str(text) => Evaluated::Str((**text).into()),
            Kind::Bytes(text) => Evaluated::Bytes((**text).into()),
            Kind::Tuple(items) => Evaluated::Tuple(self.all(of, items)?),
            Kind::List(items) => Evaluated::List(self.all(of, items)?),
            Kind::Name(name) => match self.lookup(name) {
                Ok(value) => Evaluated::Recorded(value),
                Err(InspectError::Unknown(_)) if self.is_builtin(name) => {
                    Evaluated::Type(name.clone())
                }
                Err(error) => return Err(error),
            },
            Kind::Attribute(base, name) => {
                let base_value = self.eval(of, base)?;
                self.attribute(&base_value, name, of.shown(base))?
            }
            Kind::Item(base, key) => {
                let (base_value, key) = (self.eval(of, base)?, self.eval(of, key)?);
                self.item(&base_value, &key, of.shown(base))?
            }
            Kind::Slice(base, parts) => {
                let mut bounds = [None, None, None];
                for (bound, part) in bounds.iter_mut().zip(&**parts) {
                    if let Some(part) = part {
                        *bound = self.bound(&self.eval(of, part)?, of.shown(part))?;
                    }
                }
                self.slice(&self.eval(of, base)?, bounds, of.shown(base))?
            }
            Kind::If(parts) => {
                let [condition, then, other] = &**parts;
                let holds = self.truth(&self.eval(of, condition)?, of.shown(condition))?;
                self.eval(of, if holds { then } else { other })?
            }
            Kind::Len(base) => {
                self.is_not_bound("len")?;
                Evaluated::Int(self.length(&operand(base)?, of.shown(base))?)
            }
            Kind::Type(base) => {
                self.is_not_bound("type")?;
                self.class_of(&self.eval(of, base)?, of.shown(base))?
            }
            Kind::Not(base) => Evaluated::Bool(!self.truth(&self.eval(of, base)?, of.shown(base))?),
            Kind::Negative(base) => arithmetic::negative(&operand(base)?)?,
            Kind::Positive(base) => match operand(base)? {
                Operand::Int(value) => Evaluated::Int(value),
                Operand::Bool(value) => Evaluated::Int(value.into()),
                Operand::Float(value) => Evaluated::Float(value),
                other => {
                    let class = other.class();
                    return Err(InspectError::Invalid(format!(
                        "+ is computed of int and float only, not of '{class}'"
                    )));
                }
            },
            Kind::Arithmetic(a, how, b) => {
                let (a, b) = (operand(a)?, operand(b)?);
                arithmetic::compute(&a, *how, &b)?
            }
            Kind::And(parts) | Kind::Or(parts) => {
                let stops_at = matches!(ast.kind, Kind::Or(_));
                let mut value = Evaluated::None;
                for (at, part) in parts.iter().enumerate() {
                    value = self.eval(of, part)?;
                    // Whether the last part is true does not matter.
                    if at + 1 < parts.len() && self.truth(&value, of.shown(part))? == stops_at {
                        break;
                    }
                }
                value
            }
            Kind::Compare(first, others) => {
                let (mut left, mut left_shown) = (self.eval(of, first)?, of.shown(first));
                for (how, ast) in others {
                    let (right, right_shown) = (self.eval(of, ast)?, of.shown(ast));
                    if !self.compare(*how, ((&left, left_shown), (&right, right_shown)))? {
                        return Ok(Evaluated::Bool(false));
                    }
                    (left, left_shown) = (right, right_shown);
                }
                Evaluated::Bool(true)
            }
        })
    }

    fn all(&self, of: &Expression, items: &[Ast]) -> Result<Vec<Evaluated>, InspectError> {
        items.iter().map(|item| self.eval(of, item)).collect()
    }

    /// Whether a name means a class of `builtins`: no variable is known to have that name.
    fn is_builtin(&self, name: &str) -> bool {
        BUILTIN_CLASSES.contains(&name) && !self.stores(name)
    }

    /// Returns an error if a variable has the name of a builtin function.
    fn is_not_bound(&self, name: &str) -> Result<(), InspectError> {
        match self.lookup(name) {
            Err(InspectError::Unknown(_)) if !self.stores(name) => Ok(()),
            Err(InspectError::Store(error)) => Err(error.into()),
            _ => {
                Err(InspectError::Invalid(format!("{name} is a variable here, and no code is run")))
            }
        }
    }

    /// Whether a value is true in the sense of `if`. `shown` is its name in errors.
    ///
    /// # Errors
    /// If that is not known, or the class may have a `__bool__` of its own.
    pub fn truth(&self, value: &Evaluated, shown: &str) -> Result<bool, InspectError> {
        Ok(match self.operand(value, shown)? {
            Operand::None => false,
            Operand::Bool(value) => value,
            Operand::Int(value) => value != BigInt::ZERO,
            Operand::Float(value) => value != 0.0,
            Operand::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
            Operand::Str(text) | Operand::Bytes(text) => text.length != 0,
            Operand::Items(items) => items.length != 0,
            Operand::Pairs(pairs) => pairs.length != 0,
            Operand::Range(range) => range.length != BigInt::ZERO,
            Operand::Ellipsis | Operand::Itself(..) => true,
            Operand::Type(name) if BUILTIN_CLASSES.contains(&&*name) => true,
            Operand::Type(_) | Operand::NotImplemented => {
                return Err(unknown(shown, "may be true or not"));
            }
            Operand::Other(_, class) => {
                return Err(InspectError::Unknown(format!(
                    "whether {shown} is true is decided by its class {class}"
                )));
            }
        })
    }

    fn length(&self, of: &Operand, shown: &str) -> Result<BigInt, InspectError> {
        Ok(match of {
            Operand::Str(text) | Operand::Bytes(text) => text.length.into(),
            Operand::Items(items) => items.length.into(),
            Operand::Pairs(pairs) => pairs.length.into(),
            Operand::Range(range) => range.length.clone(),
            Operand::Other(_, class) => {
                return Err(InspectError::Unknown(format!(
                    "the length of {shown} is decided by its class {class}"
                )));
            }
            other => {
                let class = other.class();
                return Err(InspectError::Invalid(format!(
                    "{shown}: object of type '{class}' has no len()"
                )));
            }
        })
    }

    /// The value of `type(x)`.
    fn class_of(&self, value: &Evaluated, shown: &str) -> Result<Evaluated, InspectError> {
        let name: Box<str> = match value {
            Evaluated::Recorded(handle) => match self.expand(handle)? {
                Expanded::Object(contents) => contents.class.name.as_str().into(),
                _ => self.operand(value, shown)?.class().into(),
            },
            _ => self.operand(value, shown)?.class().into(),
        };
        Ok(Evaluated::Type(name))
    }

    /// The name of a class; `None` if the value is not a class.
    pub(super) fn class_name(&self, value: &Evaluated) -> Result<Option<Box<str>>, InspectError> {
        Ok(match value {
            Evaluated::Type(name) => Some(name.clone()),
            Evaluated::Recorded(handle) => match self.expand(handle)? {
                Expanded::Object(contents) if contents.class.sort == Sort::Class => {
                    Some(name_of(&contents))
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// An attribute of a value: one of the object's own, from its `__dict__` or slots.
    pub(super) fn attribute(
        &self,
        value: &Evaluated,
        name: &str,
        shown: &str,
    ) -> Result<Evaluated, InspectError> {
        if let (Evaluated::Type(class), "__name__" | "__qualname__") = (value, name) {
            return class_attribute(class, name);
        }
        let Evaluated::Recorded(handle) = value else {
            let operand = self.operand(value, shown)?;
            let class = operand.class();
            return Err(InspectError::Missing(format!(
                "{class} has no attribute {name} of its own"
            )));
        };
        let contents = match self.expand(handle)? {
            Expanded::Object(contents) => contents,
            _ => {
                let operand = self.operand(value, shown)?;
                let class = operand.class();
                let message =
                    format!("{shown} is of class {class}, and has no attribute {name} of its own");
                return Err(InspectError::Missing(message));
            }
        };
        let class = &contents.class;
        let own = contents.attributes.as_deref().unwrap_or_default();
        if let Some((_, value)) = own.iter().find(|(own, _)| **own == *name) {
            return self.recorded(*value, || format!("{shown}.{name}"));
        }
        match (class.sort, name) {
            (Sort::Class, "__name__" | "__qualname__") => {
                return class_attribute(&name_of(&contents), name);
            }
            (Sort::Exception, "args") => {
                if let Some(items) = &contents.items {
                    if items.length > items.kept.len() as u64 {
                        return Err(unknown(shown, "has arguments that were cut"));
                    }
                    let items = items.kept.iter().copied().map(Evaluated::Recorded);
                    return Ok(Evaluated::Tuple(items.collect()));
                }
            }
            _ => {}
        }
        let what = match class.sort {
            Sort::Class | Sort::Module | Sort::Function | Sort::Generator => {
                let sort = match class.sort {
                    Sort::Class => "class",
                    Sort::Module => "module",
                    Sort::Function => "function",
                    _ => "generator",
                };
                return Err(InspectError::Unknown(format!(
                    "{shown} is a {sort}, whose attributes are not recorded"
                )));
            }
            _ if own.is_empty() && contents.items.is_none() && contents.text.is_none() => {
                return Err(InspectError::Unknown(format!(
                    "{shown} is an instance of {}, and what it holds was not recorded",
                    class.name
                )));
            }
            _ => list_names(own.iter().map(|(name, _)| name.to_string())),
        };
        let closest = crate::suggest::closest(name, own.iter().map(|(name, _)| &**name));
        let meant = closest.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        Err(InspectError::Missing(format!(
            "{} has no attribute {name} of its own that was recorded{meant}; it has: {what}",
            class.name
        )))
    }

    /// A recorded value; an error if it was not read.
    fn recorded(
        &self,
        value: Handle,
        shown: impl Fn() -> String,
    ) -> Result<Evaluated, InspectError> {
        match self.expand(&value)? {
            Expanded::Unread => Err(unknown(&shown(), "was not recorded")),
            _ => Ok(Evaluated::Recorded(value)),
        }
    }

    /// A key; an index into a sequence becomes one that counts from the front.
    pub(super) fn front_index(
        &self,
        holder: &Evaluated,
        key: Evaluated,
    ) -> Result<Evaluated, InspectError> {
        let Some(sequence) = self.sequence(holder)? else { return Ok(key) };
        Ok(match self.operand(&key, "the index")? {
            Operand::Int(index) if index < BigInt::ZERO => Evaluated::Int(index + sequence.length),
            Operand::Int(index) => Evaluated::Int(index),
            Operand::Bool(index) => Evaluated::Int(index.into()),
            _ => key,
        })
    }

    /// The items of a value, if it is a sequence.
    fn sequence(&self, holder: &Evaluated) -> Result<Option<Sequence>, InspectError> {
        Ok(match holder {
            Evaluated::Tuple(items) | Evaluated::List(items) => {
                Some(Sequence { length: items.len() as u64, kept: items.clone() })
            }
            Evaluated::Recorded(handle) => match self.expand(handle)? {
                Expanded::Object(contents) => {
                    let is_sequence = matches!(
                        contents.class.sort,
                        Sort::List | Sort::Tuple | Sort::Deque | Sort::Array
                    );
                    let items = contents.items.as_ref().filter(|_| is_sequence);
                    items.map(|items| Sequence {
                        length: items.length.max(items.kept.len() as u64),
                        kept: items.kept.iter().copied().map(Evaluated::Recorded).collect(),
                    })
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// An item of a value, as returned by the builtin class that its class is, or is derived from.
    pub(super) fn item(
        &self,
        holder: &Evaluated,
        key: &Evaluated,
        shown: &str,
    ) -> Result<Evaluated, InspectError> {
        let key_shown = || self.repr(key).unwrap_or_default();
        if let Some(Sequence { kept, length }) = self.sequence(holder)? {
            let at = self.index(key, length, shown, "items")?;
            return match kept.get(at as usize) {
                Some(Evaluated::Recorded(item)) => {
                    self.recorded(*item, || format!("{shown}[{}]", key_shown()))
                }
                Some(item) => Ok(item.clone()),
                None => Err(InspectError::Unknown(format!(
                    "{shown} was cut after {} of {length} items, [{}] was not recorded",
                    kept.len(),
                    key_shown()
                ))),
            };
        }
        if let Evaluated::Recorded(handle) = holder
            && let Expanded::Object(contents) = self.expand(handle)?
        {
            match (contents.class.sort, &contents.items) {
                (Sort::Dict, Some(items)) => {
                    let pairs: &[[Handle; 2]] = items.kept.as_chunks().0;
                    let length = items.length.max(pairs.len() as u64);
                    return self.value_of(pairs, length, key, shown);
                }
                (Sort::Dict | Sort::List | Sort::Tuple | Sort::Deque, None) => {
                    return Err(unknown(shown, "was not recorded: only its class was"));
                }
                _ => {}
            }
        }
        match self.operand(holder, shown)? {
            Operand::Str(text) => {
                let at = self.index(key, text.length, shown, "characters")? as usize;
                let mut starts = (0..text.kept.len()).filter(|at| text.kept[*at] & 0xc0 != 0x80);
                match (starts.nth(at), starts.next()) {
                    (Some(begin), next) => {
                        let end = next.unwrap_or(text.kept.len());
                        Ok(Evaluated::Str(text.kept[begin..end].into()))
                    }
                    (None, _) => Err(unknown(shown, "was cut before that character")),
                }
            }
            Operand::Bytes(text) => {
                let at = self.index(key, text.length, shown, "bytes")? as usize;
                match text.kept.get(at) {
                    Some(byte) => Ok(Evaluated::Int((*byte).into())),
                    None => Err(unknown(shown, "was cut before that byte")),
                }
            }
            Operand::Range(range) => match range.length.to_u64() {
                Some(length) => {
                    let at = self.index(key, length, shown, "items")?;
                    Ok(Evaluated::Int(range.start + range.step * at))
                }
                None => Err(unknown(shown, "is a range that is too long")),
            },
            Operand::Other(_, class) => Err(InspectError::Unknown(format!(
                "the value of {shown}[{}] is decided by the class {class}",
                key_shown()
            ))),
            other => {
                let class = other.class();
                let message = format!("{shown}: '{class}' object is not subscriptable");
                Err(InspectError::Invalid(message))
            }
        }
    }

    /// A bound or step of a slice: an int, or None.
    fn bound(&self, value: &Evaluated, shown: &str) -> Result<Option<BigInt>, InspectError> {
        match self.operand(value, shown)? {
            Operand::None => Ok(None),
            Operand::Int(value) => Ok(Some(value)),
            Operand::Bool(value) => Ok(Some(value.into())),
            other => Err(InspectError::Invalid(format!(
                "a slice is of ints or None, and {shown} is of class '{}'",
                other.class()
            ))),
        }
    }

    /// A slice of a value, as the builtin class returns it.
    fn slice(
        &self,
        holder: &Evaluated,
        bounds: [Option<BigInt>; 3],
        shown: &str,
    ) -> Result<Evaluated, InspectError> {
        let cut = || unknown(shown, "was cut before the end of that slice");
        if let Some(Sequence { kept, length }) = self.sequence(holder)? {
            let is_list = match holder {
                Evaluated::Recorded(handle) => match self.expand(handle)? {
                    Expanded::Object(contents) if contents.class.sort == Sort::Deque => {
                        return Err(InspectError::Invalid(format!(
                            "{shown}: a deque has no slices"
                        )));
                    }
                    Expanded::Object(contents) if contents.class.sort == Sort::Array => {
                        return Err(unknown(
                            shown,
                            "is an array, and slices of arrays are not computed",
                        ));
                    }
                    Expanded::Object(contents) => contents.class.sort == Sort::List,
                    _ => false,
                },
                other => matches!(other, Evaluated::List(_)),
            };
            let items: Option<Vec<Evaluated>> =
                indices(&bounds, length)?.map(|at| kept.get(at as usize).cloned()).collect();
            let items = items.ok_or_else(cut)?;
            return Ok(if is_list { Evaluated::List(items) } else { Evaluated::Tuple(items) });
        }
        match self.operand(holder, shown)? {
            Operand::Str(text) => {
                let starts = (0..text.kept.len()).filter(|at| text.kept[*at] & 0xc0 != 0x80);
                let starts: Vec<usize> = starts.chain([text.kept.len()]).collect();
                let mut found = Vec::new();
                for at in indices(&bounds, text.length)? {
                    match starts.get(at as usize..).and_then(|from| from.get(..2)) {
                        Some([begin, end]) => found.extend_from_slice(&text.kept[*begin..*end]),
                        _ => return Err(cut()),
                    }
                }
                Ok(Evaluated::Str(found.into()))
            }
            Operand::Bytes(text) if text.class == "bytes" => {
                let bytes: Option<Vec<u8>> = indices(&bounds, text.length)?
                    .map(|at| text.kept.get(at as usize).copied())
                    .collect();
                Ok(Evaluated::Bytes(bytes.ok_or_else(cut)?.into()))
            }
            other => Err(InspectError::Invalid(format!(
                "slices are taken of list, tuple, str and bytes, and {shown} is of class '{}'",
                other.class()
            ))),
        }
    }

    /// The index, from the front, that a key means in a sequence of `length` items.
    fn index(
        &self,
        key: &Evaluated,
        length: u64,
        shown: &str,
        items: &str,
    ) -> Result<u64, InspectError> {
        let index = match self.operand(key, "the index")? {
            Operand::Int(index) => index,
            Operand::Bool(index) => index.into(),
            Operand::Other(_, class) => {
                return Err(InspectError::Unknown(format!(
                    "which index a {class} stands for is decided by its class"
                )));
            }
            other => {
                let class = other.class();
                let message = format!("indices of {shown} must be integers, not {class}");
                return Err(InspectError::Invalid(message));
            }
        };
        let from_front = if index < BigInt::ZERO { &index + length } else { index.clone() };
        from_front.to_u64().filter(|at| *at < length).ok_or_else(|| {
            let items = if length == 1 { items.trim_end_matches('s') } else { items };
            InspectError::Missing(format!("{shown} has {length} {items}, no [{index}]"))
        })
    }

    /// The value of a dict for a key.
    fn value_of(
        &self,
        pairs: &[[Handle; 2]],
        length: u64,
        key: &Evaluated,
        shown: &str,
    ) -> Result<Evaluated, InspectError> {
        self.check_hashable(key)?;
        let mut uncertain = None;
        for [known, value] in pairs {
            let known = Evaluated::Recorded(*known);
            match self.is_key(((&known, "a key"), (key, "the key"))) {
                Ok(true) => {
                    return self.recorded(*value, || {
                        format!("{shown}[{}]", self.repr(key).unwrap_or_default())
                    });
                }
                Ok(false) => {}
                Err(error @ InspectError::Unknown(_)) => uncertain = Some(error),
                Err(error) => return Err(error),
            }
        }
        let key = self.repr(key)?;
        if length > pairs.len() as u64 {
            let kept = pairs.len();
            return Err(InspectError::Unknown(format!(
                "{shown} was cut after {kept} of {length} items, [{key}] was not recorded"
            )));
        }
        if let Some(uncertain) = uncertain {
            return Err(InspectError::Unknown(format!("{shown}[{key}] is not known: {uncertain}")));
        }
        let mut keys = Vec::new();
        for [known, _] in pairs.iter().take(NAMES_MAX + 1) {
            keys.push(self.repr(&Evaluated::Recorded(*known))?);
        }
        let keys = list_names(keys.into_iter());
        Err(InspectError::Missing(format!("{shown} has no key {key}; it has: {keys}")))
    }
}

struct Sequence {
    kept: Vec<Evaluated>,
    length: u64,
}

/// The name of a class, function or module.
fn name_of(contents: &Contents) -> Box<str> {
    let text = contents.text.as_ref().map(|text| String::from_utf8_lossy(&text.kept));
    text.unwrap_or_default().into()
}

/// An attribute of a class: `__name__` is the last part of the recorded name.
fn class_attribute(class: &str, attribute: &str) -> Result<Evaluated, InspectError> {
    let last = class.rsplit_once('.').map_or(class, |(_, last)| last);
    match attribute {
        "__name__" => Ok(Evaluated::Str(last.as_bytes().into())),
        // It is not recorded where the module's name ends.
        _ => Err(InspectError::Unknown(format!(
            "{attribute} of {class} was not recorded; __name__ was"
        ))),
    }
}

/// Joins names for a message.
fn list_names(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.take(NAMES_MAX + 1).collect();
    if names.len() > NAMES_MAX {
        names.truncate(NAMES_MAX);
        names.push("…".to_owned());
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Maximum number of items of a slice.
const SLICE_MAX: u64 = 1 << 20;

/// The indices of a slice, as in `slice.indices`.
fn indices(
    bounds: &[Option<BigInt>; 3],
    length: u64,
) -> Result<impl Iterator<Item = u64> + use<>, InspectError> {
    let [start, stop, step] = bounds;
    let length = i128::from(length);
    let step = step
        .as_ref()
        .map_or(1, |step| step.to_i128().unwrap_or(i128::MAX).clamp(-length - 1, length + 1));
    if step == 0 {
        return Err(InspectError::Invalid("slice step cannot be zero".to_owned()));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamped = |bound: &Option<BigInt>, default: i128| match bound {
        None => default,
        Some(bound) => {
            let far =
                if bound.sign() == num_bigint::Sign::Minus { i128::MIN / 2 } else { i128::MAX / 2 };
            let bound = bound.to_i128().filter(|bound| bound.abs() < far.abs()).unwrap_or(far);
            let bound = if bound < 0 { bound + length } else { bound };
            bound.clamp(low, high)
        }
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (start, stop) = (clamped(start, first), clamped(stop, last));
    let count = match step > 0 {
        true => (stop - start + step - 1) / step,
        false => (start - stop - step - 1) / -step,
    };
    let count = count.max(0);
    if count > i128::from(SLICE_MAX) {
        return Err(InspectError::Invalid(format!("a slice of {count} items is too long")));
    }
    Ok((0..count).map(move |at| (start + at * step) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_as_in_python() {
        let of = |bounds: [Option<i64>; 3], length| -> Vec<u64> {
            let bounds = bounds.map(|bound| bound.map(BigInt::from));
            indices(&bounds, length).unwrap().collect()
        };
        assert_eq!(of([None, None, None], 3), [0, 1, 2]);
        assert_eq!(of([Some(1), Some(-1), None], 4), [1, 2]);
        assert_eq!(of([None, None, Some(-1)], 3), [2, 1, 0]);
        assert_eq!(of([Some(-2), None, None], 5), [3, 4]);
        assert_eq!(of([Some(9), Some(0), Some(-2)], 5), [4, 2]);
        assert_eq!(of([Some(5), Some(1), None], 5), [] as [u64; 0]);
        assert_eq!(of([None, Some(i64::MAX), Some(i64::MAX)], 5), [0]);
        assert_eq!(of([None, None, Some(-i64::MAX)], 0), [] as [u64; 0]);
        assert!(indices(&[None, None, Some(BigInt::ZERO)], 1).is_err());
    }
}
