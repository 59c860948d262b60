//! The standard library's classes: what those in C keep in fields of their own, and which `repr`
//! writes objects of those in Python.
//!
//! A class in C is recognised by its name and the size of its objects, because no header exports
//! it; Python code cannot make a class that is immutable. A `repr` in Python is recognised by its
//! module and qualified name, and is looked up in the classes' own dicts. Nothing is called.

use super::objects::{Detail, Layout};
use super::*;
use arrayvec::ArrayVec;
use dashcam_schema::value::{Form, Sort, Style};

// Offsets of fields of the classes below. They and the sizes are the same in all versions known
// here.
const DATE_YEAR: usize = 25;
const AWARE: usize = 24;
const DATETIME_FOLD: usize = 35;
const DATETIME_TZINFO: usize = 40;
const TIME_FOLD: usize = 31;
const TIME_TZINFO: usize = 32;
const TIMEDELTA_DAYS: usize = 24;
const TIMEZONE_OFFSET: usize = 16;
const TIMEZONE_NAME: usize = 24;
const DECIMAL_FLAGS: usize = 24;
const DECIMAL_EXPONENT: usize = 32;
const DECIMAL_DIGITS: usize = 40;
const DECIMAL_WORDS: usize = 48;
const DECIMAL_ROOM: usize = 56;
const DECIMAL_DATA: usize = 64;
/// The first field of a `functools.partial`, whose fields follow each other, and of objects that
/// refer to one other object.
const FIRST_FIELD: usize = 16;
const PATTERN_PATTERN: usize = 48;
const PATTERN_FLAGS: usize = 56;
const MATCH_STRING: usize = 24;
const MATCH_GROUPS: usize = 72;
const MATCH_MARKS: usize = 80;

/// The names of the classes, the sizes of their objects, and what they are.
pub(super) const CLASSES: [(&CStr, usize, Native); 18] = [
    (c"datetime.date", 32, Native::Date),
    (c"datetime.datetime", 48, Native::DateTime),
    (c"datetime.time", 40, Native::Time),
    (c"datetime.timedelta", 40, Native::TimeDelta),
    (c"datetime.timezone", 32, Native::TimeZone),
    (c"zoneinfo.ZoneInfo", 208, Native::ZoneInfo),
    (c"decimal.Decimal", 104, Native::Decimal),
    (c"functools.partial", 64, Native::Partial),
    // From 3.14 on.
    (c"functools.partial", 80, Native::Partial),
    (c"re.Pattern", 96, Native::Pattern),
    (c"re.Match", 88, Native::Match),
    (c"mappingproxy", 24, Native::Wrapper),
    (c"dict_keys", 24, Native::Keys),
    (c"dict_values", 24, Native::Values),
    (c"dict_items", 24, Native::Pairs),
    (c"odict_keys", 24, Native::Keys),
    (c"odict_values", 24, Native::Values),
    (c"odict_items", 24, Native::Pairs),
];

/// A class of the standard library in C that keeps what it holds in fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shim) enum Native {
    Date,
    DateTime,
    Time,
    TimeDelta,
    TimeZone,
    ZoneInfo,
    Decimal,
    Partial,
    Pattern,
    Match,
    /// `mappingproxy`: one object.
    Wrapper,
    /// Views of a dict.
    Keys,
    Values,
    Pairs,
}

/// The value of a field.
#[derive(Clone, Copy)]
pub(in crate::shim) enum Field<'a> {
    Object(Option<Obj<'a>>),
    Int(i64),
    Bool(bool),
}

/// An object has at most this many fields without names: those of a `datetime`.
const FIELDS_MAX: usize = 7;

impl Layout {
    /// Returns the fields without names of a [`Sort::Fields`] object.
    pub(in crate::shim) fn fields<'a>(&self, object: Obj<'a>) -> ArrayVec<Field<'a>, FIELDS_MAX> {
        let Detail::Native(native) = self.detail() else { return ArrayVec::new() };
        let mut fields = ArrayVec::new();
        let mut int = |value: i64| fields.push(Field::Int(value));
        match native {
            Native::Date => object.date().into_iter().for_each(&mut int),
            Native::DateTime => {
                object.date().into_iter().for_each(&mut int);
                object.clock(DATE_YEAR + 4, 2).into_iter().for_each(int);
            }
            Native::Time => object.clock(DATE_YEAR, 2).into_iter().for_each(int),
            Native::TimeDelta => {
                if object.durations() == [0; 3] {
                    int(0);
                }
            }
            Native::TimeZone => {
                // The constant `timezone.utc` has no fields here.
                if !object.is_utc() {
                    fields.push(Field::Object(object.field(TIMEZONE_OFFSET)));
                    if let Some(name) = object.field(TIMEZONE_NAME) {
                        fields.push(Field::Object(Some(name)));
                    }
                }
            }
            Native::Partial => {
                (0..3)
                    .for_each(|at| fields.push(Field::Object(object.field(FIRST_FIELD + 8 * at))));
            }
            Native::Wrapper | Native::Keys | Native::Values | Native::Pairs => {
                fields.push(Field::Object(object.field(FIRST_FIELD)));
            }
            Native::Pattern => {
                fields.push(Field::Object(object.field(PATTERN_PATTERN)));
                fields.push(Field::Int((object.word(PATTERN_FLAGS) as u32).into()));
            }
            Native::Match => {
                if let Some(matched) = object.matched() {
                    fields.push(Field::Int(matched.begin as i64));
                    fields.push(Field::Int(matched.end as i64));
                    fields.push(Field::Bool(!matched.string.is_str()));
                }
            }
            Native::Decimal | Native::ZoneInfo => {}
        }
        fields
    }

    /// Passes names and values of the fields with names of a [`Sort::Fields`] object to `each`.
    /// Each name is one of the [`Form`]'s.
    pub(in crate::shim) fn named_fields<'a>(
        &self,
        object: Obj<'a>,
        each: &mut dyn FnMut(&'static str, Field<'a>),
    ) {
        let Detail::Native(native) = self.detail() else { return };
        let fold = |at: usize| object.bytes_at::<1>(at)[0];
        // Called only for classes with this field: objects of other classes are smaller.
        let is_aware = || object.bytes_at::<1>(AWARE)[0] != 0;
        match native {
            Native::DateTime => {
                if fold(DATETIME_FOLD) != 0 {
                    each("fold", Field::Int(1));
                }
                if is_aware() {
                    each("tzinfo", Field::Object(object.field(DATETIME_TZINFO)));
                }
            }
            Native::Time => {
                if is_aware() {
                    each("tzinfo", Field::Object(object.field(TIME_TZINFO)));
                }
                if fold(TIME_FOLD) != 0 {
                    each("fold", Field::Int(1));
                }
            }
            Native::TimeDelta => {
                let durations = object.durations();
                for (name, value) in DURATIONS.into_iter().zip(durations) {
                    if value != 0 {
                        each(name, Field::Int(value));
                    }
                }
            }
            Native::ZoneInfo => {
                if let Some(key) = object.field(FIRST_FIELD).filter(|key| key.is_str()) {
                    each("key", Field::Object(Some(key)));
                }
            }
            _ => {}
        }
    }

    /// Returns the number of a `Decimal` as text.
    pub(in crate::shim) fn decimal(&self, object: Obj<'_>) -> Option<String> {
        (self.detail() == Detail::Native(Native::Decimal)).then(|| object.decimal()).flatten()
    }

    /// Returns what a regular expression has matched: a str or bytes, and the part of it.
    pub(in crate::shim) fn matched<'a>(&self, object: Obj<'a>) -> Option<Matched<'a>> {
        (self.detail() == Detail::Native(Native::Match)).then(|| object.matched()).flatten()
    }
}

const DURATIONS: [&str; 3] = ["days", "seconds", "microseconds"];

/// A part of a str or bytes.
pub(in crate::shim) struct Matched<'a> {
    pub(in crate::shim) string: Obj<'a>,
    pub(in crate::shim) begin: usize,
    pub(in crate::shim) end: usize,
}

impl<'a> Obj<'a> {
    /// Returns the bytes of a field that lies within the object.
    fn bytes_at<const N: usize>(self, at: usize) -> [u8; N] {
        // SAFETY: the field lies within the size that `CLASSES` has for the class, and objects of
        // the class have at least that size.
        unsafe { self.0.byte_add(at).cast::<[u8; N]>().read_unaligned() }
    }

    fn date(self) -> [i64; 3] {
        let [high, low, month, day] = self.bytes_at(DATE_YEAR);
        [i64::from(high) << 8 | i64::from(low), month.into(), day.into()]
    }

    /// Returns hours, minutes, seconds and microseconds without those at the end that are 0, but at
    /// least `least` of them.
    fn clock(self, at: usize, least: usize) -> ArrayVec<i64, 4> {
        let [hour, minute, second, a, b, c] = self.bytes_at(at);
        let microseconds = i64::from(a) << 16 | i64::from(b) << 8 | i64::from(c);
        let all = [hour.into(), minute.into(), second.into(), microseconds];
        let used = all.iter().rposition(|part| *part != 0).map_or(0, |last| last + 1);
        all.into_iter().take(used.max(least)).collect()
    }

    fn durations(self) -> [i64; 3] {
        let parts = [0, 4, 8].map(|at| self.bytes_at::<4>(TIMEDELTA_DAYS + at));
        parts.map(|part| i32::from_le_bytes(part).into())
    }

    fn is_utc(self) -> bool {
        // SAFETY: a class, and a str made here; the lookup goes through dicts whose keys are strs.
        // The result is borrowed.
        unsafe {
            let name = PyUnicode_InternFromString(c"utc".as_ptr());
            if name.is_null() {
                clear_error();
                return false;
            }
            let found = objects::type_lookup(self.class(), Obj::borrowed(name));
            Py_DECREF(name);
            found == Some(self)
        }
    }

    fn matched(self) -> Option<Matched<'a>> {
        let string = self.field(MATCH_STRING)?;
        if self.word(MATCH_GROUPS) == 0 {
            return None;
        }
        let (begin, end) = (self.word(MATCH_MARKS), self.word(MATCH_MARKS + 8));
        let is_there =
            (string.is_str() || string.is_bytes()) && begin <= end && end <= string.size();
        is_there.then_some(Matched { string, begin, end })
    }

    /// Returns the number as `str` writes it in a default context.
    fn decimal(self) -> Option<String> {
        const NEGATIVE: u8 = 1;
        const INFINITE: u8 = 2;
        const QUIET_NAN: u8 = 4;
        const SIGNALING_NAN: u8 = 8;
        /// Digits in a word.
        const WORD_DIGITS: usize = 19;
        let flags = self.bytes_at::<1>(DECIMAL_FLAGS)[0];
        let sign = if flags & NEGATIVE != 0 { "-" } else { "" };
        let (exponent, digits) = (self.word(DECIMAL_EXPONENT) as i64, self.word(DECIMAL_DIGITS));
        let (words, room) = (self.word(DECIMAL_WORDS), self.word(DECIMAL_ROOM));
        let data = self.word(DECIMAL_DATA) as *const u64;
        if data.is_null() || words > room || digits > words.saturating_mul(WORD_DIGITS) {
            return None;
        }
        if words > DECIMAL_WORDS_MAX {
            return None;
        }
        let mut coefficient = String::with_capacity(words * WORD_DIGITS);
        for at in (0..words).rev() {
            // SAFETY: a Decimal has at least `words` words at `data`, and does not change.
            let word = unsafe { data.add(at).read() };
            coefficient.push_str(&format!("{word:019}"));
        }
        let coefficient = coefficient.trim_start_matches('0');
        if flags & INFINITE != 0 {
            return Some(format!("{sign}Infinity"));
        }
        if flags & (QUIET_NAN | SIGNALING_NAN) != 0 {
            let signaling = if flags & SIGNALING_NAN != 0 { "s" } else { "" };
            return Some(format!("{sign}{signaling}NaN{coefficient}"));
        }
        let coefficient = if coefficient.is_empty() { "0" } else { coefficient };
        let count = coefficient.len() as i64;
        let leading = exponent.checked_add(count - 1)?;
        let text = if exponent <= 0 && leading >= -6 {
            let point = count + exponent;
            match usize::try_from(point) {
                Ok(point) if exponent == 0 => coefficient[..point].to_owned(),
                Ok(point) if point > 0 => {
                    format!("{}.{}", &coefficient[..point], &coefficient[point..])
                }
                _ => format!("0.{}{coefficient}", "0".repeat(point.unsigned_abs() as usize)),
            }
        } else {
            let (first, rest) = coefficient.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            format!("{first}{point}{rest}E{leading:+}")
        };
        Some(format!("{sign}{text}"))
    }
}

/// Decimals of more words than this are not made into text, because that would take long.
const DECIMAL_WORDS_MAX: usize = 64;

/// A form has names of at most this many fields.
pub(in crate::shim) const FIELD_NAMES_MAX: usize = 64;

/// Returns how `repr` writes objects of a class, if it is a `repr` of the standard library; else
/// the default form.
pub(in crate::shim) fn form(class: Obj<'_>, layout: &Layout) -> Form {
    found_form(class, layout).unwrap_or_default()
}

fn formed(style: Style, name: &str, fields: &[&str]) -> Form {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Form { style, name: name.to_owned(), fields }
}

fn found_form(class: Obj<'_>, layout: &Layout) -> Option<Form> {
    if let Detail::Native(native) = layout.detail() {
        return native_form(class, native);
    }
    if layout.is_namespace() {
        return Some(formed(Style::AllAttributes, "namespace", &[]));
    }
    if layout.sort == Sort::Tuple
        && let Some(fields) = objects::sequence_names(class)
    {
        return Some(Form { style: Style::Items, name: class.class_name(), fields });
    }
    if class.word(TYPE_FLAGS) as u64 & HEAPTYPE == 0 {
        return None;
    }
    let (owner, function) = found_repr(class)?;
    let CallableShape::Function { code, qualname, module } = function.function_shape() else {
        return None;
    };
    let (qualname, module) = (qualname.whole_text()?, module?.whole_text()?);
    let name = class.simple_name()?;
    let is_instance = layout.sort == Sort::Instance;
    match (&*module, &*qualname) {
        ("enum", "Enum.__repr__" | "Flag.__repr__") => {
            // Enums that mix in a dataclass write a member's value in another way.
            let is_mixed = class.bases().any(|base| base.own(c"__dataclass_fields__").is_some());
            (!is_mixed).then(|| formed(Style::Member, &name, &["_name_", "_value_"]))
        }
        ("fractions", "Fraction.__repr__") if is_instance => {
            Some(formed(Style::Arguments, &name, &["_numerator", "_denominator"]))
        }
        ("uuid", "UUID.__repr__") if is_instance => Some(formed(Style::Uuid, &name, &["int"])),
        ("pathlib" | "pathlib._local", "PurePath.__repr__") if is_instance => {
            let is_posix =
                class.bases().any(|base| base.simple_name().as_deref() == Some("PurePosixPath"));
            is_posix.then(|| formed(Style::Path, &name, &["_str", "_raw_paths"]))
        }
        ("collections", "UserDict.__repr__" | "UserList.__repr__" | "UserString.__repr__")
            if is_instance =>
        {
            Some(formed(Style::Held, &name, &["data"]))
        }
        ("collections", "ChainMap.__repr__") if is_instance => {
            Some(formed(Style::Spread, &name, &["maps"]))
        }
        ("ipaddress", "_BaseAddress.__repr__") if is_instance => match &*class.class_name() {
            "ipaddress.IPv4Address" => Some(formed(Style::IPv4, &name, &["_ip"])),
            "ipaddress.IPv6Address" => Some(formed(Style::IPv6, &name, &["_ip", "_scope_id"])),
            _ => None,
        },
        ("collections", _) if layout.sort == Sort::Tuple => {
            let made_by = code.safe_attribute(c"co_qualname", |name| name.whole_text()).flatten();
            (made_by? == "namedtuple.<locals>.__repr__").then(|| {
                let mut fields = class.field_names();
                fields.truncate(FIELD_NAMES_MAX);
                Form { style: Style::Items, name, fields }
            })
        }
        _ => {
            let fields = dataclass_fields(owner, function)?;
            (fields.len() <= FIELD_NAMES_MAX).then_some(())?;
            let name = class.qualified_name()?;
            Some(Form { style: Style::Attributes, name, fields })
        }
    }
}

fn native_form(class: Obj<'_>, native: Native) -> Option<Form> {
    // An object of a class derived from one is written under the name of that class in C.
    let base = class.immutable_base().class_name();
    Some(match native {
        Native::Date => formed(Style::Call, &base, &[]),
        Native::DateTime => formed(Style::Call, &base, &["fold", "tzinfo"]),
        Native::Time => formed(Style::Call, &base, &["tzinfo", "fold"]),
        Native::TimeDelta => formed(Style::Call, &base, &DURATIONS),
        Native::TimeZone | Native::Wrapper => formed(Style::Call, &base, &[]),
        Native::ZoneInfo => formed(Style::Call, &base, &["key"]),
        Native::Decimal => formed(Style::Call, "Decimal", &[]),
        Native::Partial => formed(Style::Partial, &base, &[]),
        Native::Pattern => formed(Style::Pattern, "re.compile", &[]),
        Native::Match => formed(Style::Match, "re.Match", &[]),
        Native::Keys => formed(Style::Keys, &base, &[]),
        Native::Values => formed(Style::Values, &base, &[]),
        Native::Pairs => formed(Style::Pairs, &base, &[]),
    })
}

/// Returns the class that defines the `__repr__` of a class's objects, and that method, if it is a
/// function in Python.
fn found_repr(class: Obj<'_>) -> Option<(Obj<'_>, Obj<'_>)> {
    for base in class.bases() {
        if base.word(TYPE_FLAGS) as u64 & HEAPTYPE == 0 {
            // This class has a method in C.
            return None;
        }
        if let Some(found) = base.own(c"__repr__") {
            return found.is_exactly(&raw const PyFunction_Type).then_some((base, found));
        }
    }
    None
}

/// Returns the attributes that the `__repr__` made for a dataclass writes; `None` if `function` is
/// another `__repr__`.
fn dataclass_fields(owner: Obj<'_>, function: Obj<'_>) -> Option<Vec<String>> {
    let fields = owner.own(c"__dataclass_fields__")?;
    if !fields.is_exactly(&raw const PyDict_Type) {
        return None;
    }
    owner.own(c"__dataclass_params__")?;
    // The `__repr__` of a dataclass is wrapped by a function that stops at circular references.
    let wrapped = function.function_dict()?.dict_get(c"__wrapped__")?;
    if !wrapped.is_exactly(&raw const PyFunction_Type) {
        return None;
    }
    let CallableShape::Function { qualname, .. } = wrapped.function_shape() else { return None };
    if qualname.whole_text()? != "__create_fn__.<locals>.__repr__" {
        return None;
    }
    let mut names = Vec::new();
    let mut is_known = true;
    fields.each_pair(FIELD_NAMES_MAX + 1, |name, field| {
        let layout = Layout::of(field.class());
        let slot = |wanted: &str| {
            let mut slots = layout.slot_names().zip(layout.slot_values(field));
            slots.find(|(name, _)| *name == wanted).and_then(|(_, value)| value)
        };
        let kind = slot("_field_type").and_then(|kind| kind.instance_get(c"name"));
        match (slot("repr"), kind, name.whole_text()) {
            (Some(shown), Some(kind), Some(name)) => {
                // SAFETY: returns the address of a static object.
                let is_shown = shown.address() == unsafe { Py_True() } as usize;
                if is_shown && kind == "_FIELD" {
                    names.push(name);
                }
            }
            _ => is_known = false,
        }
    });
    is_known.then_some(names)
}

/// Whether an object of a class of the standard library may hold something that must not be
/// recorded. Called for every value under a name that means credentials, so it compares only names
/// of classes.
pub(super) fn may_hold_texts(object: Obj<'_>) -> bool {
    let class = object.class();
    match objects::native(class) {
        Some(native) => matches!(
            native,
            Native::Partial
                | Native::Pattern
                | Native::Match
                | Native::Wrapper
                | Native::Keys
                | Native::Values
                | Native::Pairs
        ),
        None => class.bases().any(|base| objects::type_name(base) == c"UUID"),
    }
}

impl<'a> Obj<'a> {
    /// Returns a class and its bases, in the order in which attributes are looked up.
    fn bases(self) -> impl Iterator<Item = Obj<'a>> {
        let order = self.field(objects::TYPE_MRO);
        (0..).map_while(move |at| order?.tuple_item(at))
    }

    /// Returns what a class itself has under a name, not inherited.
    fn own(self, name: &CStr) -> Option<Obj<'a>> {
        self.field(TYPE_DICT)?.dict_get(name)
    }

    fn simple_name(self) -> Option<String> {
        // SAFETY: a class; the new reference is released.
        unsafe { taken_text(PyType_GetName(self.0.cast())) }
    }

    fn qualified_name(self) -> Option<String> {
        // SAFETY: a class; the new reference is released.
        unsafe { taken_text(PyType_GetQualName(self.0.cast())) }
    }

    /// Returns the dict of a Python function with the attributes that were set on it.
    fn function_dict(self) -> Option<Obj<'a>> {
        if !self.is_exactly(&raw const PyFunction_Type) {
            return None;
        }
        objects::dict_of(self)
    }
}

/// Returns the text of a str, and releases the reference to it.
///
/// # Safety
/// `text` is null or a new reference.
unsafe fn taken_text(text: *mut PyObject) -> Option<String> {
    if text.is_null() {
        clear_error();
        return None;
    }
    // SAFETY: the caller passes a new reference, which is released after the text is copied.
    unsafe {
        let found = Obj::borrowed(text).whole_text();
        Py_DECREF(text);
        found
    }
}
