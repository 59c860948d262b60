//! The arguments of a call of C code, from a group of [`GroupKind::Handed`](super::GroupKind).

use super::chunk::Moment;
use super::render::Objects;
use super::{Object, ObjectId, Value};
use std::borrow::Cow;

/// Arguments of a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Handed {
    /// Positional arguments, in order. For a method the object it is called on comes first.
    pub positional: Vec<Value>,
    /// Named arguments.
    pub named: Vec<(String, Value)>,
    /// The numbers of further arguments of each sort, which were not kept.
    pub more_positional: u64,
    pub more_named: u64,
}

impl Handed {
    /// Reads a group's values. The objects they refer to are read as they were at that moment.
    /// Returns `None` if the values are not those of such a group.
    pub fn read(objects: &impl Objects, values: &[Value], at: Moment) -> Option<Handed> {
        let (how, rest) = values.split_first()?;
        match how {
            Value::None => Some(Handed { positional: rest.to_vec(), ..Handed::default() }),
            Value::Object(names) | Value::Shallow(names) => {
                let names = texts(objects, *names, at)?;
                let (positional, named) =
                    rest.split_at_checked(rest.len().checked_sub(names.len())?)?;
                let named = names.into_iter().zip(named.iter().copied()).collect();
                Some(Handed { positional: positional.to_vec(), named, ..Handed::default() })
            }
            Value::True => spread(objects, rest, at),
            _ => None,
        }
    }

    /// All arguments, the named ones last.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.positional.iter().chain(self.named.iter().map(|(_, value)| value))
    }
}

/// Reads the arguments of a call with `*`: a tuple; a dict, or unbound if there are no named
/// arguments; perhaps the object that the method is called on.
fn spread(objects: &impl Objects, values: &[Value], at: Moment) -> Option<Handed> {
    let [tuple, names, own @ ..] = values else { return None };
    let mut handed = Handed { positional: own.to_vec(), ..Handed::default() };
    match tuple {
        Value::Object(id) => {
            let tuple = objects.object(*id, at)?;
            let items = tuple.items.as_ref()?;
            handed.positional.extend(&items.kept);
            handed.more_positional = items.length.saturating_sub(items.kept.len() as u64);
        }
        // Its items and their number are not known.
        other => handed.positional.push(*other),
    }
    match names {
        Value::Unbound => {}
        Value::Object(id) => {
            let dict = objects.object(*id, at)?;
            let items = dict.items.as_ref()?;
            let pairs = items.kept.as_chunks::<2>().0;
            for [name, value] in pairs {
                handed.named.push((text(objects, name, at)?, *value));
            }
            handed.more_named = items.length.saturating_sub(pairs.len() as u64);
        }
        other => handed.named.push(("**".to_owned(), *other)),
    }
    Some(handed)
}

/// The texts in a tuple.
fn texts(objects: &impl Objects, tuple: ObjectId, at: Moment) -> Option<Vec<String>> {
    let tuple: Cow<'_, Object> = objects.object(tuple, at)?;
    let items = tuple.items.as_ref()?;
    items.kept.iter().map(|item| text(objects, item, at)).collect()
}

/// The text of a str.
fn text(objects: &impl Objects, value: &Value, at: Moment) -> Option<String> {
    let number = match value {
        Value::Str(number) => *number,
        Value::Object(id) => objects.object(*id, at)?.text.as_ref()?.kept,
        _ => return None,
    };
    Some(String::from_utf8_lossy(objects.text(number)).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::value::chunk::{Builder, Values};
    use crate::value::{Class, GroupKind, Part, Sort};

    fn chunk() -> Values {
        let mut builder = Builder::default();
        let tuple = builder.class(Class::plain("tuple", Sort::Tuple, true));
        let dict = builder.class(Class::plain("dict", Sort::Dict, true));
        let [sep, end] = ["sep", "end"].map(|name| Value::Str(builder.text(name.as_bytes())));
        builder.group(1, GroupKind::Handed, &[Value::Object(1), Value::Int(7), Value::None]);
        let mut object = |class, id, kept: &[Value], length| {
            let items = Some(Part { kept, length });
            builder.object(&Object { id, class, items, ..Object::default() });
        };
        object(tuple, 1, &[sep], 1);
        object(dict, 2, &[end, Value::Int(5)], 3);
        object(tuple, 3, &[Value::Int(1), Value::Int(2)], 9);
        Values::open(&builder.seal(1).unwrap()).unwrap()
    }

    #[test]
    fn the_last_arguments_have_the_names() {
        let values = chunk();
        let group = values.group(1, GroupKind::Handed).unwrap();
        let handed = Handed::read(&values, group.values, values.moment(1)).unwrap();
        assert_eq!(handed.positional, [Value::Int(7)]);
        assert_eq!(handed.named, [("sep".to_owned(), Value::None)]);
    }

    #[test]
    fn tuples_and_dicts_are_spread() {
        let values = chunk();
        let at = values.moment(1);
        let group = [Value::True, Value::Object(3), Value::Object(2), Value::False];
        let handed = Handed::read(&values, &group, at).unwrap();
        assert_eq!(handed.positional, [Value::False, Value::Int(1), Value::Int(2)]);
        assert_eq!(handed.named, [("end".to_owned(), Value::Int(5))]);
        assert_eq!((handed.more_positional, handed.more_named), (7, 2));
    }

    #[test]
    fn other_groups_are_none() {
        let values = chunk();
        for group in [&[][..], &[Value::Int(1)], &[Value::True], &[Value::Object(1)]] {
            assert_eq!(Handed::read(&values, group, values.moment(1)), None, "{group:?}");
        }
    }
}
