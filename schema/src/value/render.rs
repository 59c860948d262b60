//! Writes values as text: values of builtin classes as Python's `repr` does, others in a similar
//! way.
//!
//! No code of the program runs for this, so instances of its classes are written with what they
//! hold: `<app.Point object #17 x=1 y=2>`. Parts that were not kept are marked:
//! `[1, 2, … 998 more]`, `'abc'… (1000 characters)`.
//!
//! The text can be parsed again, which [`super::json`] does. So names that would make this
//! ambiguous, such as an attribute called `a b`, are written as str literals.
//!
//! Objects may come from a damaged recording, so the length of the text and the work are bounded
//! whatever the objects hold.

mod forms;
mod literal;

pub use forms::STANDARD;

use std::borrow::Cow;
use std::cmp::Reverse;

use super::chunk::Moment;
use super::handed::Handed;
use super::{Class, Object, Shape, Sort, Style, Value};
use super::{ClassNumber, ObjectId, Part, ShapeNumber, TextNumber};

/// The objects, texts, classes and shapes that the numbers in values refer to.
pub trait Objects {
    /// What the object held at a moment, by the last description up to then.
    fn object(&self, id: ObjectId, at: Moment) -> Option<Cow<'_, Object>>;
    /// A text: UTF-8 in which lone surrogates are encoded like other code points, or bytes; empty
    /// if there is none with this number.
    fn text(&self, number: TextNumber) -> &[u8];
    fn class(&self, number: ClassNumber) -> Option<&Class>;
    fn shape(&self, number: ShapeNumber) -> Option<&Shape>;
}

/// The maximum length of a text, in bytes.
pub const TEXT_MAX: usize = 64 << 10;
/// No part of a value is begun after this many bytes. The rest is for ending the parts begun
/// before.
const BEGUN_MAX: usize = 48 << 10;
/// The maximum nesting depth of objects.
pub const DEPTH_MAX: usize = 100;
/// The maximum number of values read for one text, including those that are not visible in it.
const STEPS_MAX: usize = 1 << 17;
/// The maximum length of the name of a class or attribute, in bytes.
const NAME_MAX: usize = 500;

/// Returns the text of a value as it was at a moment.
pub fn repr(objects: &impl Objects, value: &Value, at: Moment) -> String {
    let mut writer = Writer::new(objects, at);
    writer.value(value);
    writer.out
}

/// Returns the text of named values, such as a call's arguments: `a=1, b='x'`. Unbound values are
/// left out.
pub fn arguments(
    objects: &impl Objects,
    names: impl IntoIterator<Item = impl AsRef<str>>,
    values: &[Value],
    at: Moment,
) -> String {
    let mut writer = Writer::new(objects, at);
    let mut names = names.into_iter();
    // If a code object has no name for a value, it gets one like those that Python generates: `.0`
    let names = (0..values.len()).map(|at| match names.next() {
        Some(name) => name.as_ref().to_owned(),
        None => format!(".{at}"),
    });
    let bound = names.zip(values).filter(|(_, value)| **value != Value::Unbound);
    let bound: Vec<_> = bound.collect();
    writer.list(bound.len(), 0, |writer, at| {
        let (name, value) = &bound[at];
        writer.attribute(name, value);
    });
    writer.out
}

/// Returns the text of a call's arguments, as in source code: `[1, 2], 3, key=None`.
pub fn handed(objects: &impl Objects, handed: &Handed, at: Moment) -> String {
    let mut writer = Writer::new(objects, at);
    let Handed { positional, named, more_positional, more_named } = handed;
    writer.values(positional, positional.len() as u64 + more_positional);
    if !named.is_empty() || *more_named > 0 {
        if !writer.out.is_empty() {
            writer.push(", ");
        }
        writer.list(named.len(), named.len() as u64 + more_named, |writer, at| {
            let (name, value) = &named[at];
            writer.attribute(name, value);
        });
    }
    writer.out
}

/// Returns the text of a tuple with these items.
pub fn tuple(objects: &impl Objects, items: &Part<Vec<Value>>, at: Moment) -> String {
    let mut writer = Writer::new(objects, at);
    match (&items.kept[..], items.length) {
        ([one], 0 | 1) => {
            writer.push("(");
            writer.value(one);
            writer.push(",)");
        }
        (kept, length) => writer.bracketed("(", kept, length, ")"),
    }
    writer.out
}

/// Whether a name can be written in `name=value` as it is.
pub(super) fn is_variable(name: &str) -> bool {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let is_name = |name: &str| {
        name.starts_with(|c: char| is_word(c) && !c.is_numeric()) && name.chars().all(is_word)
    };
    match name.strip_prefix('.') {
        Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            number.bytes().all(|byte| byte.is_ascii_digit())
        }
        // In 3.14 the argument of functions that evaluate annotations is called `.format`.
        Some(name) => is_name(name),
        None => is_name(name),
    }
}

/// The names that are written before `(` for containers.
const CONTAINERS: [&str; 11] = [
    "Counter",
    "OrderedDict",
    "array",
    "bytearray",
    "defaultdict",
    "deque",
    "frozendict",
    "frozenset",
    "range",
    "set",
    "slice",
];

/// Whether the name of an exception's class can be written before `(`: `app.f.<locals>.Error`. It
/// cannot if it is also the name of a container.
fn is_callable(name: &str) -> bool {
    let mut parts = name.split('.');
    !CONTAINERS.contains(&name)
        && name.len() <= NAME_MAX
        && parts.next().is_some_and(is_variable)
        && parts.all(|part| {
            is_variable(part.strip_prefix('<').and_then(|p| p.strip_suffix('>')).unwrap_or(part))
        })
}

/// Whether a name can be written between `<` and `>` as it is.
fn is_plain(name: &str) -> bool {
    let mut depth = 0u32;
    let is_fine = name.chars().all(|c| {
        match c {
            '<' => depth += 1,
            '>' if depth == 0 => return false,
            '>' => depth -= 1,
            '\'' | '"' | '\\' | '#' | '=' | '…' => return false,
            _ => {}
        }
        literal::is_printable(c)
    });
    is_fine && depth == 0 && !name.is_empty() && !name.contains(" object")
}

/// A name, cut to [`NAME_MAX`] bytes.
fn clipped(name: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&name[..name.len().min(NAME_MAX)]).into_owned();
    if name.len() > NAME_MAX {
        text.push('…');
    }
    text
}

/// The items kept, and the real length.
type Items<'a> = (&'a [Value], u64);

fn items(object: &Object) -> Option<Items<'_>> {
    object.items.as_ref().map(|part| (&part.kept[..], part.length))
}

/// The builtin class of immutable dicts, from 3.15 on.
const FROZENDICT: &str = "frozendict";

/// The name that Python writes for a class of `collections`; `None` for other classes.
fn collection(class: &Class) -> Option<&str> {
    class.name.strip_prefix("collections.")
}

fn is_counter(class: &Class) -> bool {
    class.sort == Sort::Dict && collection(class) == Some("Counter")
}

struct Writer<'a, O> {
    objects: &'a O,
    at: Moment,
    out: String,
    /// The objects that are being written, outermost first.
    open: Vec<ObjectId>,
    steps: usize,
}

impl<'a, O: Objects> Writer<'a, O> {
    fn new(objects: &'a O, at: Moment) -> Writer<'a, O> {
        Writer { objects, at, out: String::new(), open: Vec::new(), steps: 0 }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Whether no further part may be begun.
    fn is_full(&self) -> bool {
        self.out.len() >= BEGUN_MAX || self.steps >= STEPS_MAX
    }

    fn value(&mut self, value: &Value) {
        self.steps += 1;
        if self.is_full() {
            return self.push("…");
        }
        match *value {
            Value::Unbound => self.push("<unbound>"),
            Value::None => self.push("None"),
            Value::False => self.push("False"),
            Value::True => self.push("True"),
            Value::Ellipsis => self.push("Ellipsis"),
            Value::NotImplemented => self.push("NotImplemented"),
            Value::Redacted => self.push("<redacted>"),
            Value::Unread => self.push("<unread>"),
            Value::Int(value) => self.push(&value.to_string()),
            Value::Float(value) => self.push(&literal::float(value)),
            Value::Str(number) => self.str(self.objects.text(number), 0),
            Value::Bytes(number) => self.bytes(self.objects.text(number), 0),
            Value::Object(id) => self.object(id),
            Value::Shallow(id) => self.shallow(id),
        }
    }

    /// Writes an object with its contents.
    fn object(&mut self, id: ObjectId) {
        let Some((object, class)) = self.find(id) else { return self.shallow(id) };
        let object = &*object;
        if self.open.contains(&id) {
            return self.cycle(id, object, class);
        }
        if self.open.len() >= DEPTH_MAX {
            return self.push("…");
        }
        self.open.push(id);
        self.contents(id, object, class);
        self.open.pop();
    }

    fn find(&self, id: ObjectId) -> Option<(Cow<'a, Object>, &'a Class)> {
        let object = self.objects.object(id, self.at)?;
        let class = self.objects.class(object.class)?;
        Some((object, class))
    }

    fn contents(&mut self, id: ObjectId, object: &Object, class: &'a Class) {
        let is_derived = class.sort == Sort::Fields && !class.is_exact;
        if !is_derived && self.formed(object, class) {
            return;
        }
        match class.sort {
            Sort::Function | Sort::Class | Sort::Module | Sort::Generator => {
                self.by_name(id, object, class);
            }
            Sort::Exception => match items(object) {
                Some(args) if is_callable(&class.name) && !forms::is_reserved(&class.name) => {
                    self.exception(class, args);
                }
                _ => self.instance(id, object, class),
            },
            Sort::Opaque | Sort::Instance | Sort::Fields => self.instance(id, object, class),
            _ if !has_body(object, class.sort) => match class.is_exact {
                true => self.shallow(id),
                false => self.instance(id, object, class),
            },
            _ if class.is_exact || is_counter(class) => self.body(object, class),
            _ => self.instance(id, object, class),
        }
    }

    /// Writes an object without its contents.
    fn shallow(&mut self, id: ObjectId) {
        let Some((object, class)) = self.find(id) else {
            return self.push(&format!("<object #{id}>"));
        };
        let object = &*object;
        match class.sort {
            _ if class.form.style == Style::Attributes && self.open.contains(&id) => {
                self.push("...");
            }
            // A name is not part of the contents, since it does not change.
            Sort::Function | Sort::Class | Sort::Module | Sort::Generator => {
                self.by_name(id, object, class);
            }
            Sort::List if class.is_exact => self.push("[...]"),
            Sort::Tuple if class.is_exact => self.push("(...)"),
            Sort::Set if class.is_exact => self.push("{...}"),
            Sort::Dict if class.is_exact && collection(class).is_none() => self.push("{...}"),
            _ => self.head(id, class, ">"),
        }
    }

    /// Writes an object that is contained in itself.
    fn cycle(&mut self, id: ObjectId, object: &Object, class: &Class) {
        match class.sort {
            _ if class.form.style == Style::Attributes => self.push("..."),
            Sort::Exception if is_callable(&class.name) => {
                self.call(class);
                self.push("(...)");
            }
            Sort::Dict if is_counter(class) => self.push("Counter({...})"),
            Sort::Dict if class.is_exact => match collection(class) {
                None if class.name == FROZENDICT => self.push("frozendict({...})"),
                Some("OrderedDict") => self.push("..."),
                Some("defaultdict") => {
                    self.push("defaultdict(");
                    // The factory may contain this object, so its contents must not be written.
                    match self.named(object, "default_factory") {
                        Some(Value::Object(factory) | Value::Shallow(factory)) => {
                            self.shallow(factory);
                        }
                        _ => self.push("None"),
                    }
                    self.push(", {...})");
                }
                _ => self.push("{...}"),
            },
            Sort::List | Sort::Deque if class.is_exact => self.push("[...]"),
            Sort::Tuple if class.is_exact => self.push("(...)"),
            Sort::Set if class.is_exact => self.push("set(...)"),
            Sort::FrozenSet if class.is_exact => self.push("frozenset(...)"),
            _ => self.head(id, class, " …>"),
        }
    }

    /// Writes an object that has a name: a function, class, module or generator.
    fn by_name(&mut self, id: ObjectId, object: &Object, class: &Class) {
        let Some(text) = &object.text else { return self.head(id, class, ">") };
        let name = clipped(self.objects.text(text.kept));
        match class.sort {
            Sort::Class | Sort::Module => {
                self.push(if class.sort == Sort::Class { "<class " } else { "<module " });
                self.str(name.as_bytes(), 0);
            }
            Sort::Generator => {
                self.push("<");
                self.plain(&class.name);
                self.push(" object ");
                self.plain(&name);
                self.push(&format!(" #{id}"));
            }
            _ => {
                self.push("<function ");
                self.plain(&name);
            }
        }
        self.push(">");
    }

    /// Writes `<app.Point object #17`, followed by `end`.
    fn head(&mut self, id: ObjectId, class: &Class, end: &str) {
        self.push("<");
        self.plain(&class.name);
        self.push(&format!(" object #{id}{end}"));
    }

    /// Writes a name between `<` and `>`.
    fn plain(&mut self, name: &str) {
        let name = clipped(name.as_bytes());
        match is_plain(&name) {
            true => self.push(&name),
            false => self.str(name.as_bytes(), 0),
        }
    }

    /// Writes the name of an exception's class, without the module if it is a builtin class, as
    /// Python does.
    fn call(&mut self, class: &Class) {
        let name = match class.name.rsplit_once('.') {
            Some((_, name)) if class.is_exact => name,
            _ => &class.name,
        };
        self.push(name);
    }

    fn exception(&mut self, class: &Class, (args, length): Items<'_>) {
        // The name must not be cut, since it would not be a name any more. But the text must be
        // bounded.
        if class.name.len() > NAME_MAX {
            return self.push("…");
        }
        self.call(class);
        self.push("(");
        self.values(args, length);
        self.push(")");
    }

    fn instance(&mut self, id: ObjectId, object: &Object, class: &'a Class) {
        self.head(id, class, "");
        if class.sort == Sort::Fields {
            let begin = self.out.len();
            self.push(" ");
            if !self.formed(object, class) {
                self.out.truncate(begin);
            }
        } else if has_body(object, class.sort) {
            self.push(" ");
            self.body(object, class);
        }
        if class.sort != Sort::Exception {
            self.attributes(object, class);
        }
        self.push(">");
    }

    fn attributes(&mut self, object: &Object, class: &Class) {
        let Some((number, values)) = &object.attributes else { return };
        let Some(shape) = self.objects.shape(*number) else { return };
        let mut pairs = shape.names.iter().zip(values);
        for (name, value) in pairs.by_ref() {
            if self.is_full() {
                return self.push(&format!(" … {} more", pairs.len() + 1));
            }
            self.steps += 1;
            // These attributes were written with the contents.
            let is_held = match class.sort {
                Sort::Deque => name == "maxlen",
                Sort::Fields => class.form.fields.contains(name),
                _ => false,
            };
            if *value == Value::Unbound || is_held {
                continue;
            }
            self.push(" ");
            self.attribute(name, value);
        }
    }

    fn attribute(&mut self, name: &str, value: &Value) {
        let name = clipped(name.as_bytes());
        match is_variable(&name) {
            true => self.push(&name),
            false => self.str(name.as_bytes(), 0),
        }
        self.push("=");
        self.value(value);
    }

    /// The value of the attribute with this name.
    fn named(&mut self, object: &Object, name: &str) -> Option<Value> {
        let (number, values) = object.attributes.as_ref()?;
        let names = &self.objects.shape(*number)?.names;
        let found = names.iter().zip(values).find(|(known, _)| {
            self.steps += 1;
            *known == name
        });
        found.map(|(_, value)| *value)
    }

    /// Writes what an object holds, as Python does for the builtin class of its sort. The object
    /// must [have](has_body) such contents.
    fn body(&mut self, object: &Object, class: &'a Class) {
        let (kept, length) = items(object).unwrap_or_default();
        let text = object.text.as_ref();
        let (text, text_length) =
            text.map_or((&[][..], 0), |part| (self.objects.text(part.kept), part.length));
        match class.sort {
            Sort::Str => self.str(text, text_length),
            Sort::Bytes => self.bytes(text, text_length),
            Sort::ByteArray => {
                self.push("bytearray(");
                self.quoted_bytes(text, text_length, true);
                self.push(")");
            }
            Sort::Int => self.int(text, text_length),
            Sort::Complex => {
                if let [Value::Float(real), Value::Float(imaginary)] = *kept {
                    self.push(&literal::complex(real, imaginary));
                }
            }
            Sort::List => self.bracketed("[", kept, length, "]"),
            Sort::Tuple | Sort::Exception => match (kept, length) {
                ([one], 0 | 1) => {
                    self.push("(");
                    self.value(one);
                    self.push(",)");
                }
                _ => self.bracketed("(", kept, length, ")"),
            },
            Sort::Set => match kept {
                // `{}` would be a dict.
                [] => self.bracketed("set(", kept, length, ")"),
                _ => self.bracketed("{", kept, length, "}"),
            },
            Sort::FrozenSet => match kept {
                [] => self.bracketed("frozenset(", kept, length, ")"),
                _ => self.bracketed("frozenset({", kept, length, "})"),
            },
            Sort::Dict => self.any_dict(object, class, (kept, length)),
            Sort::Deque => {
                self.bracketed("deque([", kept, length, "]");
                if let Some(Value::Int(maxlen)) = self.named(object, "maxlen") {
                    self.push(&format!(", maxlen={maxlen}"));
                }
                self.push(")");
            }
            Sort::Range => match kept {
                [start, stop, Value::Int(1)] => {
                    self.bracketed("range(", &[*start, *stop], 2, ")");
                }
                _ => self.bracketed("range(", kept, length, ")"),
            },
            Sort::Slice => self.bracketed("slice(", kept, length, ")"),
            Sort::Array => self.array(text, (kept, length)),
            _ => match kept {
                [one] => self.value(one),
                _ => self.bracketed("[", kept, length, "]"),
            },
        }
    }

    fn any_dict(&mut self, object: &Object, class: &Class, items: Items<'_>) {
        let is_empty = items.0.is_empty() && items.1 == 0;
        match collection(class) {
            Some("Counter") => match is_empty {
                true => self.push("Counter()"),
                false => {
                    self.push("Counter(");
                    self.dict(items, true);
                    self.push(")");
                }
            },
            Some("OrderedDict") if class.is_exact => match is_empty {
                true => self.push("OrderedDict()"),
                false => {
                    self.push("OrderedDict(");
                    self.dict(items, false);
                    self.push(")");
                }
            },
            Some("defaultdict") if class.is_exact => {
                self.push("defaultdict(");
                match self.named(object, "default_factory") {
                    None | Some(Value::Unbound) => self.push("None"),
                    Some(factory) => self.value(&factory),
                }
                self.push(", ");
                self.dict(items, false);
                self.push(")");
            }
            None if class.is_exact && class.name == FROZENDICT => match is_empty {
                true => self.push("frozendict()"),
                false => {
                    self.push("frozendict(");
                    self.dict(items, false);
                    self.push(")");
                }
            },
            _ => self.dict(items, false),
        }
    }

    /// Writes the pairs of a dict. If `are_counts`, the pair with the highest count comes first.
    fn dict(&mut self, (kept, length): Items<'_>, are_counts: bool) {
        let pairs: &[[Value; 2]] = kept.as_chunks().0;
        let count = |pair: &[Value; 2]| match pair[1] {
            Value::Int(count) => Some(count),
            _ => None,
        };
        let mut sorted = Vec::new();
        if are_counts {
            // The length of the text does not bound this work.
            self.steps += pairs.len();
            if !self.is_full() && pairs.iter().all(|pair| count(pair).is_some()) {
                sorted = pairs.to_vec();
                sorted.sort_by_key(|pair| Reverse(count(pair)));
            }
        }
        let pairs = if sorted.is_empty() { pairs } else { &sorted };
        self.push("{");
        self.list(pairs.len(), length, |writer, at| {
            writer.value(&pairs[at][0]);
            writer.push(": ");
            writer.value(&pairs[at][1]);
        });
        self.push("}");
    }

    /// Writes an `array.array`.
    fn array(&mut self, code: &[u8], (kept, length): Items<'_>) {
        self.push("array(");
        self.str(clipped(code).as_bytes(), 0);
        match code {
            _ if kept.is_empty() && length == 0 => {}
            b"u" | b"w" => {
                let mut text = Vec::new();
                for value in kept.iter().take(STEPS_MAX) {
                    self.steps += 1;
                    if let Value::Str(number) = value {
                        // One character.
                        text.extend(self.objects.text(*number).iter().take(4));
                    }
                }
                let length = length.max(kept.len() as u64);
                self.push(", ");
                self.str(&text, length);
            }
            _ => self.bracketed(", [", kept, length, "]"),
        }
        self.push(")");
    }

    fn bracketed(&mut self, open: &str, kept: &[Value], length: u64, close: &str) {
        self.push(open);
        self.values(kept, length);
        self.push(close);
    }

    fn values(&mut self, kept: &[Value], length: u64) {
        self.list(kept.len(), length, |writer, at| writer.value(&kept[at]));
    }

    /// Writes `count` parts by calling `each`, then how many more there are if `length` is larger.
    fn list(&mut self, count: usize, length: u64, mut each: impl FnMut(&mut Self, usize)) {
        let mut written = 0;
        while written < count && !self.is_full() {
            if written > 0 {
                self.push(", ");
            }
            each(self, written);
            written += 1;
        }
        let more = length.max(count as u64) - written as u64;
        if more > 0 {
            let comma = if written > 0 { ", " } else { "" };
            self.push(&format!("{comma}… {more} more"));
        }
    }

    /// Writes a str. `length` is its real length in characters, if it is larger than that of
    /// `text`.
    fn str(&mut self, text: &[u8], length: u64) {
        let quote = literal::quote(&text[..text.len().min(BEGUN_MAX)]);
        self.out.push(quote);
        let (mut rest, mut written) = (text, 0);
        while let Some((point, bytes)) = literal::next_point(rest) {
            if self.out.len() >= BEGUN_MAX {
                break;
            }
            literal::push_point(&mut self.out, point, quote);
            (rest, written) = (&rest[bytes..], written + 1);
        }
        self.out.push(quote);
        let mut all = written;
        if length > written || !rest.is_empty() {
            while let Some((_, bytes)) = literal::next_point(rest) {
                (rest, all) = (&rest[bytes..], all + 1);
            }
            self.push(&format!("… ({} characters)", all.max(length)));
        }
    }

    /// Writes a bytes object. `length` is its real length, if it is larger than that of `text`.
    fn bytes(&mut self, text: &[u8], length: u64) {
        self.quoted_bytes(text, length, false);
    }

    /// Writes the literal of a bytes object. `escapes_single`: single quotes are escaped whatever
    /// the quotes around the literal are, as Python does in a bytearray.
    fn quoted_bytes(&mut self, text: &[u8], length: u64, escapes_single: bool) {
        let quote = literal::quote(&text[..text.len().min(BEGUN_MAX)]);
        self.out.push('b');
        self.out.push(quote);
        let mut written = 0;
        for byte in text {
            if self.out.len() >= BEGUN_MAX {
                break;
            }
            if escapes_single && *byte == b'\'' {
                self.out.push('\\');
            }
            // A quote that was escaped above must not be escaped again.
            let quote = if escapes_single && *byte == b'\'' { '"' } else { quote };
            literal::push_byte(&mut self.out, *byte, quote);
            written += 1;
        }
        self.out.push(quote);
        let length = length.max(text.len() as u64);
        if length > written {
            self.push(&format!("… ({length} bytes)"));
        }
    }

    /// Writes an int. `length` is the real number of characters, if it is larger than that of
    /// `text`.
    fn int(&mut self, text: &[u8], length: u64) {
        if !is_int(text) {
            return self.push("…");
        }
        let room = BEGUN_MAX.saturating_sub(self.out.len());
        let kept = &text[..text.len().min(room)];
        self.out.extend(kept.iter().map(|byte| char::from(*byte)));
        let length = length.max(text.len() as u64);
        if length > kept.len() as u64 {
            self.push(&format!("… ({length} characters)"));
        }
    }
}

/// Whether a text is an int, decimal or hexadecimal.
fn is_int(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (digits, are_hexadecimal) = match digits.strip_prefix(b"0x") {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    let has_zeros = !are_hexadecimal && digits.len() > 1 && digits.starts_with(b"0");
    !digits.is_empty()
        && !has_zeros
        && digits.iter().all(|digit| match are_hexadecimal {
            true => digit.is_ascii_hexdigit(),
            false => digit.is_ascii_digit(),
        })
}

/// Whether an object has the parts that Python writes for objects of this sort.
fn has_body(object: &Object, sort: Sort) -> bool {
    let (text, items) = (object.text.is_some(), &object.items);
    match sort {
        Sort::Str | Sort::Bytes | Sort::ByteArray | Sort::Int => text,
        Sort::Complex => {
            matches!(items, Some(Part { kept, .. }) if matches!(kept[..], [Value::Float(_), Value::Float(_)]))
        }
        Sort::Array => text && items.is_some(),
        Sort::Opaque
        | Sort::Function
        | Sort::Class
        | Sort::Module
        | Sort::Generator
        | Sort::Fields => false,
        _ => items.is_some(),
    }
}

#[cfg(test)]
mod tests;
