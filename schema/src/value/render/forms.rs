//! Writes objects of the standard library's classes as their own `repr` does, by the class's
//! [`Form`]. If a part that this needs was not recorded, the object is written like any other.

use super::{Items, NAME_MAX, Objects, Writer, is_callable, items, literal};
use crate::value::{Class, Form, Object, Sort, Style, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Names before `(` of values of the standard library that can be created again from the arguments.
/// No other values are written with these names.
pub const STANDARD: [&str; 15] = [
    "Decimal",
    "Fraction",
    "IPv4Address",
    "IPv6Address",
    "PosixPath",
    "PurePosixPath",
    "UUID",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "mappingproxy",
    "namespace",
    "zoneinfo.ZoneInfo",
];

/// Whether a name before `(` is reserved for values of the standard library.
pub(super) fn is_reserved(name: &str) -> bool {
    STANDARD.contains(&name) || name == "re.compile" || name.starts_with("datetime.")
}

/// The flags of `re.compile`, in the order in which they are written.
const PATTERN_FLAGS: [(i64, &str); 8] = [
    (2, "re.IGNORECASE"),
    (4, "re.LOCALE"),
    (8, "re.MULTILINE"),
    (16, "re.DOTALL"),
    (PATTERN_UNICODE, "re.UNICODE"),
    (64, "re.VERBOSE"),
    (128, "re.DEBUG"),
    (256, "re.ASCII"),
];
const PATTERN_UNICODE: i64 = 32;
/// The flags that determine which characters are letters.
const PATTERN_LETTERS: i64 = 4 | PATTERN_UNICODE | 256;

impl<O: Objects> Writer<'_, O> {
    /// Writes an object by its class's form. Returns false and writes nothing if the class has no
    /// form, or if a part that the form needs is not known.
    pub(super) fn formed(&mut self, object: &Object, class: &Class) -> bool {
        let form = &class.form;
        let is_standard = !matches!(form.style, Style::Attributes | Style::Items);
        let is_taken = !is_standard && is_reserved(&form.name);
        if form.style == Style::Plain
            || form.name.len() > NAME_MAX
            || is_taken
            || !is_callable(&form.name)
        {
            return false;
        }
        self.written(object, form).is_some()
    }

    fn written(&mut self, object: &Object, form: &Form) -> Option<()> {
        match form.style {
            Style::Plain => return None,
            Style::Attributes => {
                let values = self.fields(object, &form.fields)?;
                self.called(&form.name, values.len(), 0, |writer, at| {
                    writer.attribute(&form.fields[at], &values[at]);
                });
            }
            Style::Arguments => {
                let values = self.fields(object, &form.fields)?;
                self.called(&form.name, values.len(), 0, |writer, at| writer.value(&values[at]));
            }
            Style::Items => {
                let (kept, length) = items(object)?;
                self.called(&form.name, kept.len(), length, |writer, at| {
                    match form.fields.get(at) {
                        Some(name) => writer.attribute(name, &kept[at]),
                        None => writer.value(&kept[at]),
                    }
                });
            }
            Style::AllAttributes => {
                let (number, values) = object.attributes.as_ref()?;
                let names = &self.objects.shape(*number)?.names;
                let bound = names.iter().zip(values).filter(|(_, v)| **v != Value::Unbound);
                let bound: Vec<_> = bound.collect();
                self.steps += bound.len();
                self.called(&form.name, bound.len(), 0, |writer, at| {
                    writer.attribute(bound[at].0, bound[at].1);
                });
            }
            Style::Held => {
                let held = self.field(object, form, 0)?;
                self.value(&held);
            }
            Style::Spread => {
                let held = self.field(object, form, 0)?;
                let held = self.contents_of(&held, &[Sort::List, Sort::Tuple])?;
                let (kept, length) = items(&held)?;
                self.called(&form.name, kept.len(), length, |writer, at| writer.value(&kept[at]));
            }
            Style::Member => self.member(object, form)?,
            Style::Uuid => {
                let int = self.field(object, form, 0).and_then(|value| self.unsigned(&value))?;
                let digits = format!("{int:032x}");
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
                self.quoted(&form.name, parts.join("-").as_bytes(), 0);
            }
            Style::Path => {
                let path = self.path(object, form)?;
                self.quoted(&form.name, path.as_bytes(), 0);
            }
            Style::IPv4 => {
                let int = self.field(object, form, 0).and_then(|value| self.unsigned(&value))?;
                let address = Ipv4Addr::from_bits(u32::try_from(int).ok()?);
                self.quoted(&form.name, address.to_string().as_bytes(), 0);
            }
            Style::IPv6 => {
                let int = self.field(object, form, 0).and_then(|value| self.unsigned(&value))?;
                let address = Ipv6Addr::from_bits(int);
                // The versions of Python write these addresses differently.
                if address.to_ipv4_mapped().is_some() {
                    return None;
                }
                let scope = match self.field(object, form, 1)? {
                    Value::None => String::new(),
                    scope => format!("%{}", self.whole_text(&scope)?),
                };
                self.quoted(&form.name, format!("{address}{scope}").as_bytes(), 0);
            }
            Style::Call => self.call_of_fields(object, form)?,
            Style::Partial => self.partial(object, form)?,
            Style::Keys | Style::Values | Style::Pairs => self.view(object, form)?,
            Style::Match => {
                let text = object.text.as_ref()?;
                let ([Value::Int(begin), Value::Int(end), kind], _) = items(object)? else {
                    return None;
                };
                let matched = self.objects.text(text.kept);
                self.push(&format!("<re.Match object; span=({begin}, {end}), match="));
                match kind {
                    Value::True => self.bytes(matched, text.length),
                    _ => self.str(matched, text.length),
                }
                self.push(">");
            }
            Style::Pattern => self.pattern(object, form)?,
        }
        Some(())
    }

    /// Writes `name(`, the parts as [`Writer::list`] does, and `)`.
    fn called(
        &mut self,
        name: &str,
        count: usize,
        length: u64,
        each: impl FnMut(&mut Self, usize),
    ) {
        self.push(name);
        self.push("(");
        self.list(count, length, each);
        self.push(")");
    }

    /// Writes `name('text')`. `length` is the real length of the text in characters, if it is
    /// larger.
    fn quoted(&mut self, name: &str, text: &[u8], length: u64) {
        self.push(name);
        self.push("(");
        self.str(text, length);
        self.push(")");
    }

    /// The value of one of the form's attributes, if it is bound.
    fn field(&mut self, object: &Object, form: &Form, at: usize) -> Option<Value> {
        let value = self.named(object, form.fields.get(at)?)?;
        (value != Value::Unbound).then_some(value)
    }

    fn fields(&mut self, object: &Object, names: &[String]) -> Option<Vec<Value>> {
        let bound = |value: &Value| *value != Value::Unbound;
        names.iter().map(|name| self.named(object, name).filter(bound)).collect()
    }

    /// What an object holds, if it was examined and is of one of these sorts.
    fn contents_of(&mut self, value: &Value, sorts: &[Sort]) -> Option<Object> {
        self.steps += 1;
        let Value::Object(id) = value else { return None };
        let (object, class) = self.find(*id)?;
        sorts.contains(&class.sort).then(|| object.into_owned())
    }

    /// The value of an int that is not negative.
    fn unsigned(&mut self, value: &Value) -> Option<u128> {
        if let Value::Int(value) = value {
            return u128::try_from(*value).ok();
        }
        let object = self.contents_of(value, &[Sort::Int])?;
        let digits = object.text?;
        let text = std::str::from_utf8(self.objects.text(digits.kept)).ok()?;
        if digits.length > text.len() as u64 {
            return None;
        }
        match text.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The text of a str that was kept completely and has no lone surrogates.
    fn whole_text(&mut self, value: &Value) -> Option<String> {
        let (number, length) = match value {
            Value::Str(number) => (*number, None),
            _ => {
                let text = self.contents_of(value, &[Sort::Str])?.text?;
                (text.kept, Some(text.length))
            }
        };
        let text = std::str::from_utf8(self.objects.text(number)).ok()?;
        let is_whole = length.is_none_or(|length| length <= text.chars().count() as u64);
        is_whole.then(|| text.to_owned())
    }

    /// `<Color.RED: 1>`
    fn member(&mut self, object: &Object, form: &Form) -> Option<()> {
        let (name, value) = (self.field(object, form, 0)?, self.field(object, form, 1)?);
        let name = match name {
            // A flags object without flags.
            Value::None => None,
            name => Some(self.whole_text(&name)?),
        };
        if name.as_ref().is_some_and(|name| name.is_empty() || !is_member_name(name)) {
            return None;
        }
        self.push("<");
        self.push(&form.name);
        if let Some(name) = name {
            self.push(".");
            self.push(&name);
        }
        self.push(": ");
        self.value(&value);
        self.push(">");
        Some(())
    }

    /// The text of a POSIX path: the one that Python has cached, or made from the path's parts.
    fn path(&mut self, object: &Object, form: &Form) -> Option<String> {
        if let Some(text) = self.field(object, form, 0) {
            return self.whole_text(&text);
        }
        let parts = self.field(object, form, 1)?;
        let parts = self.contents_of(&parts, &[Sort::List])?.items?;
        if parts.length > parts.kept.len() as u64 {
            return None;
        }
        let mut path = String::new();
        for part in &parts.kept {
            let part = self.whole_text(part)?;
            if part.starts_with('/') {
                path.clear();
            } else if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&part);
        }
        let root = match path.as_bytes() {
            [b'/', b'/', b'/', ..] => "/",
            // In POSIX the meaning of two slashes depends on the system.
            [b'/', b'/', ..] => "//",
            [b'/', ..] => "/",
            _ => "",
        };
        let names: Vec<&str> =
            path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let text = format!("{root}{}", names.join("/"));
        Some(if text.is_empty() { ".".to_owned() } else { text })
    }

    /// `datetime.date(2024, 1, 2)`, `Decimal('1.50')`
    fn call_of_fields(&mut self, object: &Object, form: &Form) -> Option<()> {
        let (kept, length) = items(object).unwrap_or_default();
        let named: Vec<(&String, Value)> = form
            .fields
            .iter()
            .filter_map(|name| Some((name, self.named(object, name)?)))
            .filter(|(_, value)| *value != Value::Unbound)
            .collect();
        if let Some(text) = &object.text {
            self.quoted(&form.name, self.objects.text(text.kept), text.length);
            return Some(());
        }
        if kept.is_empty() && named.is_empty() {
            // `timezone.utc` is a constant.
            if form.name != "datetime.timezone" || object.items.is_none() {
                return None;
            }
            self.push("datetime.timezone.utc");
            return Some(());
        }
        let (count, all) = (kept.len(), kept.len() + named.len());
        let length = length.max(count as u64) + named.len() as u64;
        self.called(&form.name, all, length, |writer, at| match kept.get(at) {
            Some(item) => writer.value(item),
            None => writer.attribute(named[at - count].0, &named[at - count].1),
        });
        Some(())
    }

    /// `functools.partial(<function f>, 1, a=2)`
    fn partial(&mut self, object: &Object, form: &Form) -> Option<()> {
        let ([function, arguments, keywords], _) = items(object)? else { return None };
        let arguments = self.contents_of(arguments, &[Sort::Tuple])?;
        let (arguments, length) = items(&arguments)?;
        let keywords = self.contents_of(keywords, &[Sort::Dict])?;
        let (keywords, more) = items(&keywords)?;
        let pairs: &[[Value; 2]] = keywords.as_chunks().0;
        let names = pairs.iter().map(|[name, _]| self.whole_text(name));
        let names: Vec<String> = names.collect::<Option<_>>()?;
        if length > arguments.len() as u64 || more > pairs.len() as u64 {
            return None;
        }
        let (count, all) = (1 + arguments.len(), 1 + arguments.len() + pairs.len());
        self.called(&form.name, all, 0, |writer, at| match at {
            0 => writer.value(function),
            at if at < count => writer.value(&arguments[at - 1]),
            at => writer.attribute(&names[at - count], &pairs[at - count][1]),
        });
        Some(())
    }

    /// `dict_keys(['a', 'b'])`
    fn view(&mut self, object: &Object, form: &Form) -> Option<()> {
        let ([dict], _) = items(object)? else { return None };
        let dict = self.contents_of(dict, &[Sort::Dict])?;
        let (kept, length): Items<'_> = items(&dict)?;
        let pairs: &[[Value; 2]] = kept.as_chunks().0;
        self.push(&form.name);
        self.push("([");
        self.list(pairs.len(), length, |writer, at| match form.style {
            Style::Keys => writer.value(&pairs[at][0]),
            Style::Values => writer.value(&pairs[at][1]),
            _ => writer.bracketed("(", &pairs[at], 2, ")"),
        });
        self.push("])");
        Some(())
    }

    /// `re.compile('a+', re.IGNORECASE)`
    fn pattern(&mut self, object: &Object, form: &Form) -> Option<()> {
        let ([pattern, Value::Int(flags)], _) = items(object)? else { return None };
        let is_str = match pattern {
            Value::Str(_) => true,
            Value::Bytes(_) => false,
            pattern => self.contents_of(pattern, &[Sort::Str]).is_some(),
        };
        let mut flags = *flags;
        if is_str && flags & PATTERN_LETTERS == PATTERN_UNICODE {
            flags &= !PATTERN_UNICODE;
        }
        let set = PATTERN_FLAGS.iter().filter(|(flag, _)| flags & flag != 0);
        let mut names: Vec<String> = set.map(|(_, name)| (*name).to_owned()).collect();
        let rest = PATTERN_FLAGS.iter().fold(flags, |rest, (flag, _)| rest & !flag);
        if rest != 0 {
            names.push(format!("0x{rest:x}"));
        }
        self.push(&form.name);
        self.push("(");
        self.value(pattern);
        if !names.is_empty() {
            self.push(", ");
            self.push(&names.join("|"));
        }
        self.push(")");
        Some(())
    }
}

/// Whether the name of a member can be written between `.` and `:`. The name of several flags is
/// `A|B`.
fn is_member_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.chars().all(|c| {
            (c.is_alphanumeric() || matches!(c, '_' | '|' | '-' | '.' | '$' | ' '))
                && literal::is_printable(c)
        })
}
