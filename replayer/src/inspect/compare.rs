//! Compares values of builtin classes as Python does. If the result cannot be known, it is an
//! error.

use super::error::InspectError;
use super::evaluate::Evaluated;
use super::operand::{Items, Operand, Pairs, Range, Text, unknown};
use super::parse::Comparison;
use super::snapshot::Snapshot;
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed, Zero};
use std::cell::Cell;
use std::cmp::Ordering;

/// Maximum number of values compared for one comparison.
const COMPARED_MAX: u32 = 1 << 18;
/// Maximum depth of values within values.
const DEPTH_MAX: u32 = 60;

/// Compares an int with a float, without rounding; `None` if the float is NaN.
fn int_and_float(int: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = BigInt::from_f64(float.trunc())?;
    // A fraction has the sign of the float.
    let fraction = || 0.0f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    Some(int.cmp(&whole).then_with(fraction))
}

/// Compares two numbers. `Err` if an operand is not an int, bool or float, `Ok(None)` if one is
/// NaN.
fn numbers(a: &Operand, b: &Operand) -> Result<Option<Ordering>, ()> {
    let int = |operand: &Operand| match operand {
        Operand::Int(value) => Some(value.clone()),
        Operand::Bool(value) => Some(BigInt::from(*value)),
        _ => None,
    };
    Ok(match (a, b, int(a), int(b)) {
        (_, _, Some(a), Some(b)) => Some(a.cmp(&b)),
        (Operand::Float(a), Operand::Float(b), ..) => a.partial_cmp(b),
        (_, Operand::Float(b), Some(a), _) => int_and_float(&a, *b),
        (Operand::Float(a), _, _, Some(b)) => int_and_float(&b, *a).map(Ordering::reverse),
        _ => return Err(()),
    })
}

/// Compares two texts; `None` if the result depends on what was cut.
fn texts(a: &Text, b: &Text) -> Option<Ordering> {
    let shorter = a.kept.len().min(b.kept.len());
    // In UTF-8, comparing bytes gives the same order as comparing code points.
    match a.kept[..shorter].cmp(&b.kept[..shorter]) {
        Ordering::Equal
            if (a.is_cut && a.kept.len() == shorter) || (b.is_cut && b.kept.len() == shorter) =>
        {
            // The kept part of one is the beginning of the other.
            let is_prefix = |cut: &Text, whole: &Text| {
                !whole.is_cut && whole.length < cut.length && whole.kept.len() == shorter
            };
            match (is_prefix(a, b), is_prefix(b, a)) {
                (true, _) => Some(Ordering::Greater),
                (_, true) => Some(Ordering::Less),
                _ => None,
            }
        }
        Ordering::Equal => Some(a.kept.len().cmp(&b.kept.len())),
        other => Some(other),
    }
}

/// One comparison. `left` is the number of values that may still be compared.
pub(super) struct Comparing<'s, 'a> {
    snapshot: &'s Snapshot<'a>,
    left: Cell<u32>,
}

/// Two values, each with its name in errors.
type Both<'b> = ((&'b Evaluated, &'b str), (&'b Evaluated, &'b str));

impl<'a> Snapshot<'a> {
    /// Compares two values.
    ///
    /// # Errors
    /// If the result is not known, or Python would raise an exception.
    pub(super) fn compare(&self, how: Comparison, both: Both<'_>) -> Result<bool, InspectError> {
        let comparing = Comparing { snapshot: self, left: Cell::new(COMPARED_MAX) };
        match how {
            Comparison::Equal => comparing.equal(both, 0),
            Comparison::NotEqual => Ok(!comparing.equal(both, 0)?),
            Comparison::In => comparing.contains(both),
            Comparison::NotIn => Ok(!comparing.contains(both)?),
            Comparison::Is => comparing.is_same(both),
            Comparison::IsNot => Ok(!comparing.is_same(both)?),
            _ => comparing.ordered(how, both, 0),
        }
    }

    /// Returns an error if a value cannot be the key of a dict.
    pub(super) fn check_hashable(&self, value: &Evaluated) -> Result<(), InspectError> {
        Comparing { snapshot: self, left: Cell::new(COMPARED_MAX) }.hashable(value, "the key", 0)
    }

    /// Whether Python takes two values for the same key of a dict.
    pub(super) fn is_key(&self, both: Both<'_>) -> Result<bool, InspectError> {
        Comparing { snapshot: self, left: Cell::new(COMPARED_MAX) }.same_or_equal(both, 0)
    }
}

impl Comparing<'_, '_> {
    fn step(&self, depth: u32) -> Result<(), InspectError> {
        match self.left.get().checked_sub(1).filter(|_| depth < DEPTH_MAX) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(InspectError::Unknown("too much to compare".to_owned())),
        }
    }

    /// Compares as containers compare their items: an object is always equal to itself.
    fn same_or_equal(&self, both: Both<'_>, depth: u32) -> Result<bool, InspectError> {
        let ((a, shown), (b, _)) = both;
        if a.object_id().is_some() && a.object_id() == b.object_id() {
            return Ok(true);
        }
        let is_nan = |value: &Evaluated| -> Result<bool, InspectError> {
            Ok(match value {
                Evaluated::Float(value) => value.is_nan(),
                Evaluated::Recorded(handle) => {
                    matches!(self.snapshot.expand(handle)?, crate::state::Expanded::Float(v) if v.is_nan())
                }
                _ => false,
            })
        };
        if is_nan(a)? && is_nan(b)? {
            // They are equal only if they are the same object, which is not recorded of floats.
            return Err(unknown(shown, "holds nan, and whether it is the same was not recorded"));
        }
        self.equal(both, depth)
    }

    fn equal(&self, both: Both<'_>, depth: u32) -> Result<bool, InspectError> {
        self.step(depth)?;
        let ((left, left_shown), (right, right_shown)) = both;
        let a = self.snapshot.operand(left, left_shown)?;
        let b = self.snapshot.operand(right, right_shown)?;
        if let Ok(ordering) = numbers(&a, &b) {
            return Ok(ordering == Some(Ordering::Equal));
        }
        Ok(match (&a, &b) {
            (Operand::Other(id, class), other) | (other, Operand::Other(id, class)) => {
                let same = matches!(other, Operand::Other(other, _) if other == id);
                let what = match same {
                    true => {
                        "is the same object; whether it is equal to itself is decided by its class"
                    }
                    false => "may have an __eq__ of its own",
                };
                return Err(InspectError::Unknown(format!(
                    "{left_shown} == {right_shown} is not known: {class} {what}; is compares identity"
                )));
            }
            (Operand::Str(a), Operand::Str(b)) | (Operand::Bytes(a), Operand::Bytes(b)) => {
                if a.length != b.length {
                    return Ok(false);
                }
                match texts(a, b) {
                    Some(ordering) => ordering == Ordering::Equal,
                    None => return Err(cut(left_shown, a.is_cut, right_shown)),
                }
            }
            (Operand::Complex(ar, ai), Operand::Complex(br, bi)) => ar == br && ai == bi,
            (Operand::Complex(real, imaginary), number)
            | (number, Operand::Complex(real, imaginary)) => {
                *imaginary == 0.0
                    && numbers(&Operand::Float(*real), number) == Ok(Some(Ordering::Equal))
            }
            (Operand::None, Operand::None)
            | (Operand::Ellipsis, Operand::Ellipsis)
            | (Operand::NotImplemented, Operand::NotImplemented) => true,
            (Operand::Itself(a, _), Operand::Itself(b, _)) => a == b,
            (Operand::Type(a), Operand::Type(b)) if a != b => false,
            (Operand::Type(_), Operand::Type(_) | Operand::Itself(..))
            | (Operand::Itself(..), Operand::Type(_)) => {
                return self.same_class(both);
            }
            (Operand::Items(a), Operand::Items(b)) => {
                return self.equal_items((a, left_shown), (b, right_shown), depth);
            }
            (Operand::Pairs(a), Operand::Pairs(b)) => {
                return self.equal_pairs((a, left_shown), (b, right_shown), depth);
            }
            (Operand::Range(a), Operand::Range(b)) => {
                a.length == b.length
                    && (a.length.is_zero()
                        || a.start == b.start && (a.length == BigInt::from(1) || a.step == b.step))
            }
            _ => false,
        })
    }

    fn equal_items(
        &self,
        (a, a_shown): (&Items, &str),
        (b, b_shown): (&Items, &str),
        depth: u32,
    ) -> Result<bool, InspectError> {
        if a.id.is_some() && a.id == b.id {
            return Ok(true);
        }
        if a.is_set() && b.is_set() {
            if a.length != b.length {
                return Ok(false);
            }
            return self.is_subset((a, a_shown), (b, b_shown), depth);
        }
        if a.class != b.class || a.length != b.length {
            return Ok(false);
        }
        for (one, other) in a.kept.iter().zip(&b.kept) {
            if !self.same_or_equal(((one, a_shown), (other, b_shown)), depth + 1)? {
                return Ok(false);
            }
        }
        match a.is_cut() || b.is_cut() {
            true => Err(cut(a_shown, a.is_cut(), b_shown)),
            false => Ok(true),
        }
    }

    /// Whether set `a` is a subset of set `b`.
    fn is_subset(
        &self,
        (a, a_shown): (&Items, &str),
        (b, b_shown): (&Items, &str),
        depth: u32,
    ) -> Result<bool, InspectError> {
        if a.length > b.length {
            return Ok(false);
        }
        if a.id.is_some() && a.id == b.id {
            return Ok(true);
        }
        let mut uncertain = None;
        for one in &a.kept {
            match self.is_among((one, a_shown), (&b.kept, b.is_cut(), b_shown), depth) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error @ InspectError::Unknown(_)) => uncertain = Some(error),
                Err(error) => return Err(error),
            }
        }
        match (uncertain, a.is_cut()) {
            (Some(uncertain), _) => Err(uncertain),
            (None, true) => Err(cut(a_shown, true, b_shown)),
            (None, false) => Ok(true),
        }
    }

    fn equal_pairs(
        &self,
        (a, a_shown): (&Pairs, &str),
        (b, b_shown): (&Pairs, &str),
        depth: u32,
    ) -> Result<bool, InspectError> {
        if a.id == b.id || a.length != b.length {
            return Ok(a.id == b.id);
        }
        let is_ordered = |pairs: &Pairs| pairs.class == "collections.OrderedDict";
        if is_ordered(a) && is_ordered(b) {
            for ((key, _), (other, _)) in a.kept.iter().zip(&b.kept) {
                if !self.same_or_equal(((key, a_shown), (other, b_shown)), depth + 1)? {
                    return Ok(false);
                }
            }
        }
        for (key, value) in &a.kept {
            let mut found = None;
            for (other, its) in &b.kept {
                if self.same_or_equal(((key, a_shown), (other, b_shown)), depth + 1)? {
                    found = Some(its);
                    break;
                }
            }
            match found {
                Some(its) => {
                    if !self.same_or_equal(((value, a_shown), (its, b_shown)), depth + 1)? {
                        return Ok(false);
                    }
                }
                None if b.is_cut() => return Err(cut(b_shown, true, a_shown)),
                None => return Ok(false),
            }
        }
        match a.is_cut() {
            true => Err(cut(a_shown, true, b_shown)),
            false => Ok(true),
        }
    }

    /// Whether a value is equal to one of some items.
    fn is_among(
        &self,
        value: (&Evaluated, &str),
        (kept, is_cut, shown): (&[Evaluated], bool, &str),
        depth: u32,
    ) -> Result<bool, InspectError> {
        let mut uncertain = None;
        let within = format!("an item of {shown}");
        for item in kept {
            match self.same_or_equal(((item, &within), value), depth + 1) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error @ InspectError::Unknown(_)) => uncertain = Some(error),
                Err(error) => return Err(error),
            }
        }
        match uncertain {
            Some(uncertain) => Err(uncertain),
            None if is_cut => Err(cut(shown, true, value.1)),
            None => Ok(false),
        }
    }

    /// Evaluates `in`.
    fn contains(&self, both: Both<'_>) -> Result<bool, InspectError> {
        let ((value, value_shown), (container, shown)) = both;
        let within = self.snapshot.operand(container, shown)?;
        let is_hashed = matches!(&within, Operand::Pairs(_))
            || matches!(&within, Operand::Items(items) if items.is_set());
        if is_hashed {
            self.hashable(value, value_shown, 0)?;
        }
        match &within {
            Operand::Items(items) => self.is_among(both.0, (&items.kept, items.is_cut(), shown), 0),
            Operand::Pairs(pairs) => {
                let keys: Vec<_> = pairs.kept.iter().map(|(key, _)| key.clone()).collect();
                self.is_among(both.0, (&keys, pairs.is_cut(), shown), 0)
            }
            Operand::Str(text) => match self.snapshot.operand(value, value_shown)? {
                Operand::Str(part) => within_text(&part, text, value_shown, shown),
                other @ Operand::Other(..) => Err(unknown(
                    value_shown,
                    &format!("is a {}, so whether a str contains it is not known", other.class()),
                )),
                other => Err(InspectError::Invalid(format!(
                    "'in <string>' requires string as left operand, not {}",
                    other.class()
                ))),
            },
            Operand::Bytes(text) => match self.snapshot.operand(value, value_shown)? {
                Operand::Bytes(part) => within_text(&part, text, value_shown, shown),
                Operand::Int(byte) => match u8::try_from(byte) {
                    Ok(byte) if text.kept.contains(&byte) => Ok(true),
                    Ok(_) if text.is_cut => Err(cut(shown, true, value_shown)),
                    Ok(_) => Ok(false),
                    Err(_) => {
                        Err(InspectError::Invalid("byte must be in range(0, 256)".to_owned()))
                    }
                },
                Operand::Bool(byte) => match text.kept.contains(&byte.into()) {
                    false if text.is_cut => Err(cut(shown, true, value_shown)),
                    found => Ok(found),
                },
                other => Err(InspectError::Invalid(format!(
                    "a bytes-like object is required, not '{}'",
                    other.class()
                ))),
            },
            Operand::Range(range) => match self.snapshot.operand(value, value_shown)? {
                Operand::Int(value) => Ok(in_range(range, &value)),
                Operand::Bool(value) => Ok(in_range(range, &value.into())),
                Operand::Float(value) if value.fract() == 0.0 => {
                    Ok(BigInt::from_f64(value).is_some_and(|value| in_range(range, &value)))
                }
                Operand::Other(..) | Operand::Complex(..) => {
                    Err(unknown(value_shown, &format!("in {shown} is not known: it is not an int")))
                }
                _ => Ok(false),
            },
            Operand::Other(_, class) | Operand::Itself(_, class) => Err(InspectError::Unknown(
                format!("what is in {shown} is decided by its class {class}"),
            )),
            Operand::Type(_) | Operand::NotImplemented => {
                Err(unknown(shown, "may be iterable, or not"))
            }
            other => Err(InspectError::Invalid(format!(
                "argument of type '{}' is not iterable",
                other.class()
            ))),
        }
    }

    /// Returns an error if a value cannot be hashed.
    fn hashable(&self, value: &Evaluated, shown: &str, depth: u32) -> Result<(), InspectError> {
        self.step(depth)?;
        match self.snapshot.operand(value, shown)? {
            Operand::Items(items) if items.class == "tuple" => {
                items.kept.iter().try_for_each(|item| self.hashable(item, shown, depth + 1))
            }
            Operand::Items(Items { class, .. }) if class != "frozenset" => {
                Err(InspectError::Invalid(format!("unhashable type: '{class}'")))
            }
            Operand::Pairs(pairs) if pairs.class == "frozendict" => {
                let mut values = pairs.kept.iter().map(|(_, value)| value);
                values.try_for_each(|value| self.hashable(value, shown, depth + 1))
            }
            Operand::Pairs(Pairs { class, .. }) => {
                Err(InspectError::Invalid(format!("unhashable type: '{class}'")))
            }
            Operand::Bytes(text) if text.class == "bytearray" => {
                Err(InspectError::Invalid("unhashable type: 'bytearray'".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Evaluates `is`.
    fn is_same(&self, both: Both<'_>) -> Result<bool, InspectError> {
        let ((left, left_shown), (right, right_shown)) = both;
        let is_singleton = |operand: &Operand| {
            matches!(
                operand,
                Operand::None | Operand::Ellipsis | Operand::NotImplemented | Operand::Bool(_)
            )
        };
        // For objects with an identity, the ids are enough.
        match (left.object_id(), right.object_id()) {
            (Some(a), Some(b)) => return Ok(a == b),
            (Some(_), None) if is_singleton(&self.snapshot.operand(right, right_shown)?) => {
                return Ok(false);
            }
            (None, Some(_)) if is_singleton(&self.snapshot.operand(left, left_shown)?) => {
                return Ok(false);
            }
            _ => {}
        }
        let a = self.snapshot.operand(left, left_shown)?;
        let b = self.snapshot.operand(right, right_shown)?;
        if is_singleton(&a) || is_singleton(&b) {
            return Ok(match (&a, &b) {
                (Operand::Bool(a), Operand::Bool(b)) => a == b,
                _ => std::mem::discriminant(&a) == std::mem::discriminant(&b),
            });
        }
        if matches!(a, Operand::Type(_)) || matches!(b, Operand::Type(_)) {
            return self.same_class(both);
        }
        // A list display in the expression makes a new object.
        let is_new = |value: &Evaluated| matches!(value, Evaluated::List(_));
        if is_new(left) || is_new(right) || a.class() != b.class() {
            return Ok(false);
        }
        let is_other = match (&a, &b) {
            (Operand::Int(a), Operand::Int(b)) => a != b,
            (Operand::Float(a), Operand::Float(b)) => a.to_bits() != b.to_bits(),
            (Operand::Str(a), Operand::Str(b)) | (Operand::Bytes(a), Operand::Bytes(b)) => {
                a.length != b.length || texts(a, b).is_some_and(|ordering| ordering.is_ne())
            }
            (Operand::Items(a), Operand::Items(b)) => a.length != b.length,
            _ => false,
        };
        match is_other {
            true => Ok(false),
            false => Err(InspectError::Unknown(format!(
                "whether {left_shown} and {right_shown} are the same {} was not recorded; == compares",
                a.class()
            ))),
        }
    }

    /// Whether two classes are the same, if only the name of one is known.
    fn same_class(&self, both: Both<'_>) -> Result<bool, InspectError> {
        let ((left, left_shown), (right, right_shown)) = both;
        let name = |value: &Evaluated| self.snapshot.class_name(value);
        match (name(left)?, name(right)?) {
            (Some(a), Some(b)) if a != b => Ok(false),
            (Some(a), Some(_)) if super::evaluate::BUILTIN_CLASSES.contains(&&*a) => Ok(true),
            (Some(a), Some(_)) => Err(InspectError::Unknown(format!(
                "{left_shown} and {right_shown} are both called {a}; whether they are the same class was not recorded"
            ))),
            _ => Ok(false),
        }
    }

    /// Evaluates `<`, `<=`, `>` or `>=`.
    fn ordered(&self, how: Comparison, both: Both<'_>, depth: u32) -> Result<bool, InspectError> {
        self.step(depth)?;
        let ((left, left_shown), (right, right_shown)) = both;
        let a = self.snapshot.operand(left, left_shown)?;
        let b = self.snapshot.operand(right, right_shown)?;
        if let Ok(ordering) = numbers(&a, &b) {
            return Ok(ordering.is_some_and(|ordering| holds(how, ordering)));
        }
        match (&a, &b) {
            (Operand::Str(a), Operand::Str(b)) | (Operand::Bytes(a), Operand::Bytes(b)) => {
                match texts(a, b) {
                    Some(ordering) => Ok(holds(how, ordering)),
                    None => Err(cut(left_shown, a.is_cut, right_shown)),
                }
            }
            (Operand::Items(a), Operand::Items(b)) if a.is_set() && b.is_set() => {
                let (a, b) = ((a, left_shown), (b, right_shown));
                let (small, large) = match how {
                    Comparison::Less | Comparison::LessEqual => (a, b),
                    _ => (b, a),
                };
                let is_proper = matches!(how, Comparison::Less | Comparison::Greater);
                if is_proper && small.0.length >= large.0.length {
                    return Ok(false);
                }
                self.is_subset(small, large, depth)
            }
            (Operand::Items(a), Operand::Items(b)) if a.class == b.class => {
                for (one, other) in a.kept.iter().zip(&b.kept) {
                    let both = ((one, left_shown), (other, right_shown));
                    if !self.same_or_equal(both, depth + 1)? {
                        return self.ordered(how, both, depth + 1);
                    }
                }
                let is_decided = |cut: &Items, other: &Items| {
                    cut.is_cut()
                        && cut.kept.len() <= other.kept.len()
                        && other.length > cut.kept.len() as u64
                };
                if is_decided(a, b) || is_decided(b, a) {
                    return Err(cut(left_shown, a.is_cut(), right_shown));
                }
                Ok(holds(how, a.length.cmp(&b.length)))
            }
            (Operand::Other(_, class), _) | (_, Operand::Other(_, class)) => {
                Err(InspectError::Unknown(format!(
                    "{left_shown} {} {right_shown} is not known: it is decided by {class}",
                    sign(how)
                )))
            }
            _ => Err(InspectError::Invalid(format!(
                "'{}' not supported between instances of '{}' and '{}'",
                sign(how),
                a.class(),
                b.class()
            ))),
        }
    }
}

fn sign(how: Comparison) -> &'static str {
    match how {
        Comparison::Less => "<",
        Comparison::LessEqual => "<=",
        Comparison::Greater => ">",
        _ => ">=",
    }
}

fn holds(how: Comparison, ordering: Ordering) -> bool {
    match how {
        Comparison::Less => ordering.is_lt(),
        Comparison::LessEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

fn cut(shown: &str, is_first: bool, other: &str) -> InspectError {
    let shown = if is_first { shown } else { other };
    InspectError::Unknown(format!(
        "{shown} was cut, and the answer depends on what was not recorded"
    ))
}

fn in_range(range: &Range, value: &BigInt) -> bool {
    let offset = value - &range.start;
    let (at, rest) = (&offset / &range.step, &offset % &range.step);
    rest.is_zero() && !at.is_negative() && at < range.length
}

fn within_text(
    part: &Text,
    text: &Text,
    part_shown: &str,
    shown: &str,
) -> Result<bool, InspectError> {
    if part.length > text.length {
        return Ok(false);
    }
    let is_there = part.kept.is_empty()
        || text.kept.windows(part.kept.len()).any(|window| *window == *part.kept);
    match (is_there, part.is_cut, text.is_cut) {
        (true, false, _) => Ok(true),
        // The kept beginning of the part is not in the text, so the whole part is not either.
        (false, _, false) => Ok(false),
        (_, is_cut, _) => Err(cut(part_shown, is_cut, shown)),
    }
}
