//! Values: what variables and objects held, as far as they were recorded.
//!
//! ```text
//!  shim ── words ──▶ ring ──▶ recorder ── records ──▶ chunks of values ──▶ replayer ──▶ text, JSON
//!        [`words`]                        [`chunk`]                   [`render`]   [`json`]
//! ```
//!
//! A [`Value`] is a scalar or a reference to an object. An [`Object`] record describes what an
//! object holds. It is written once, and again if a later examination finds that the object holds
//! something else. So a value that occurs again costs one reference, and an object that two
//! variables share is one object.
//!
//! Values are read from memory. The program's code is never run to get them.

pub mod chunk;
pub mod handed;
pub mod json;
pub mod names;
pub mod parse;
pub mod render;
pub mod words;

use crate::event::EventKind;

/// The capture level: how much of a program's values is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub enum Capture {
    /// No values.
    #[default]
    Flow,
    /// Arguments, results, and exceptions.
    Calls,
    /// Also what variables and objects hold, at every instruction.
    State,
}

impl Capture {
    /// The name in `--capture` and `runs.capture`.
    pub const fn name(self) -> &'static str {
        match self {
            Capture::Flow => "flow",
            Capture::Calls => "calls",
            Capture::State => "state",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Capture> {
        let all = [Capture::Flow, Capture::Calls, Capture::State];
        all.into_iter().find(|capture| capture.name() == name)
    }
}

/// How much of a value is kept. A value that is cut is marked as such and has its real length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Limits {
    /// Characters of a str, bytes of a bytes or bytearray.
    pub string: u32,
    /// Items of a container, attributes of an instance.
    pub items: u32,
    /// Levels of nested containers: with 1, the items of a list are kept, but not those of lists in
    /// it.
    pub depth: u32,
    /// Objects examined for one event.
    pub objects: u32,
    /// Approximate number of decimal digits of an int.
    pub digits: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { string: 200, items: 50, depth: 3, objects: 16, digits: 300 }
    }
}

/// The value of a variable, item or attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// No value: an unbound variable, or an attribute that does not exist.
    Unbound,
    None,
    False,
    True,
    Ellipsis,
    NotImplemented,
    /// Not recorded, because values under its name must not leave the program.
    Redacted,
    /// Not recorded, because it could not be read safely.
    Unread,
    /// An int of 64 bits; longer ones are objects.
    Int(i64),
    Float(f64),
    /// A short str, as the number of a text of the chunk.
    Str(TextNumber),
    /// A short bytes object, as the number of a text of the chunk.
    Bytes(TextNumber),
    /// An object that was examined at this time.
    Object(ObjectId),
    /// An object that was not examined, because it is nested too deeply or there were too many.
    Shallow(ObjectId),
}

/// Identifies an object among all objects of its process, even if addresses are reused.
pub type ObjectId = u64;
/// Index into a chunk's texts.
pub type TextNumber = u32;
/// Index into a chunk's classes.
pub type ClassNumber = u32;
/// Index into a chunk's shapes.
pub type ShapeNumber = u32;

/// The sort of objects of a class, which determines how they are read and printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
#[repr(u8)]
pub enum Sort {
    /// Only class and identity are known.
    Opaque,
    Str,
    Bytes,
    ByteArray,
    Int,
    /// Items: real and imaginary part.
    Complex,
    List,
    Tuple,
    Set,
    FrozenSet,
    Dict,
    /// Items, and the attribute `maxlen` if the length is limited.
    Deque,
    /// Items: start, stop, step.
    Range,
    Slice,
    /// A class in Python or C whose objects hold only attributes.
    Instance,
    /// Items: `args`. Attributes: `__cause__` and `__context__` if they are set, then its own.
    Exception,
    /// Functions, methods and builtins. Text: the name.
    Function,
    /// Text: the name.
    Class,
    /// Text: the name.
    Module,
    /// Generators and coroutines. Text: the name.
    Generator,
    /// `array.array` and numpy arrays. Text: item type and shape. Items: numbers.
    Array,
    /// A cell, by which functions share a variable. Items: the value; none if the variable is
    /// unbound.
    Cell,
    /// A class in C with private fields, which are recorded as arguments of a call: perhaps a text,
    /// then items, then attributes. The class's [`Form`] has the name of the callable.
    Fields,
}

impl Sort {
    /// All sorts, by number.
    pub const ALL: [Sort; 23] = [
        Sort::Opaque,
        Sort::Str,
        Sort::Bytes,
        Sort::ByteArray,
        Sort::Int,
        Sort::Complex,
        Sort::List,
        Sort::Tuple,
        Sort::Set,
        Sort::FrozenSet,
        Sort::Dict,
        Sort::Deque,
        Sort::Range,
        Sort::Slice,
        Sort::Instance,
        Sort::Exception,
        Sort::Function,
        Sort::Class,
        Sort::Module,
        Sort::Generator,
        Sort::Array,
        Sort::Cell,
        Sort::Fields,
    ];

    /// The sort with this number.
    pub fn from_number(number: u8) -> Option<Sort> {
        Sort::ALL.get(usize::from(number)).copied()
    }
}

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// The name as in tracebacks: `module.qualname`, without the module if it is `builtins` or
    /// `__main__`.
    pub name: String,
    pub sort: Sort,
    /// Whether it is the builtin class itself, not a class derived from it. Its objects are printed
    /// as Python prints them.
    pub is_exact: bool,
    pub form: Form,
}

/// How `repr` prints objects of a class, if the standard library defines that: for example
/// `Point(x=1, y=2)` for a dataclass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, bincode::Encode, bincode::Decode)]
pub struct Form {
    pub style: Style,
    /// The text before `(`.
    pub name: String,
    /// Names of attributes, or of items.
    pub fields: Vec<String>,
}

/// How a form's name and fields are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, bincode::Encode, bincode::Decode)]
#[repr(u8)]
pub enum Style {
    /// `<app.Point object #17 x=1 y=2>`, or as the builtin class prints it.
    #[default]
    Plain,
    /// Attributes with their names: dataclasses.
    Attributes,
    /// Attributes without their names: `Fraction(1, 3)`.
    Arguments,
    /// Items with their names: named tuples.
    Items,
    /// All attributes with their names: `SimpleNamespace`.
    AllAttributes,
    /// The value of the one attribute: `UserDict`.
    Held,
    /// The items of the one attribute: `ChainMap`.
    Spread,
    /// `<Color.RED: 1>`, of the two attributes: members of enumerations.
    Member,
    /// The one attribute as a UUID.
    Uuid,
    /// The first attribute as the text of a path; if it is unbound, the second attribute, which has
    /// the path's parts.
    Path,
    /// The one attribute, an int, as an IPv4 address.
    IPv4,
    /// The first attribute, an int, as an IPv6 address, with the second one as its scope.
    IPv6,
    /// The text and the items of a [`Sort::Fields`] object, then its attributes with their names.
    Call,
    /// A function, a tuple of its arguments, a dict of those with names: `functools.partial`.
    Partial,
    /// The keys of the one item, a dict, as a list.
    Keys,
    /// The values of the one item, a dict, as a list.
    Values,
    /// The pairs of the one item, a dict, as a list.
    Pairs,
    /// A match of a regular expression. Items: begin, end, and whether it is bytes. Text: what
    /// matched.
    Match,
    /// The item, a str or bytes, and an int of flags: `re.compile('a+', re.IGNORECASE)`.
    Pattern,
}

impl Style {
    /// All styles, by number.
    pub const ALL: [Style; 19] = [
        Style::Plain,
        Style::Attributes,
        Style::Arguments,
        Style::Items,
        Style::AllAttributes,
        Style::Held,
        Style::Spread,
        Style::Member,
        Style::Uuid,
        Style::Path,
        Style::IPv4,
        Style::IPv6,
        Style::Call,
        Style::Partial,
        Style::Keys,
        Style::Values,
        Style::Pairs,
        Style::Match,
        Style::Pattern,
    ];

    /// The style with this number.
    pub fn from_number(number: u8) -> Option<Style> {
        Style::ALL.get(usize::from(number)).copied()
    }
}

impl Class {
    /// Returns a class whose objects are printed as its sort requires.
    pub fn plain(name: &str, sort: Sort, is_exact: bool) -> Class {
        Class { name: name.to_owned(), sort, is_exact, form: Form::default() }
    }
}

/// The names of an instance's attributes, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub struct Shape {
    pub names: Vec<String>,
}

/// What an object held when it was examined. Each part has the entries that were kept, and the real
/// length. `V` is the type that holds values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<V = Vec<Value>> {
    pub id: ObjectId,
    pub class: ClassNumber,
    /// The characters or bytes of a str, bytes or bytearray; the decimal digits of a long int
    /// (`-123`; hexadecimal with `0x` if decimal digits would take too long to compute); the name
    /// of an object whose sort has a name.
    pub text: Option<Part<TextNumber>>,
    /// The items of a sequence or set. For a dict: keys and values by turns; the length counts
    /// pairs.
    pub items: Option<Part<V>>,
    /// The number of items, or pairs, that are printed with the object, if not all that are kept.
    /// The others can be queried.
    pub shown: Option<u64>,
    /// The attributes in the order of a shape's names; [`Value::Unbound`] if an attribute does not
    /// exist.
    pub attributes: Option<(ShapeNumber, V)>,
}

impl Object {
    /// The same object with borrowed values.
    pub fn borrowed(&self) -> Object<&[Value]> {
        Object {
            id: self.id,
            class: self.class,
            text: self.text.clone(),
            items: self
                .items
                .as_ref()
                .map(|items| Part { kept: &items.kept[..], length: items.length }),
            shown: self.shown,
            attributes: self.attributes.as_ref().map(|(shape, values)| (*shape, &values[..])),
        }
    }
}

/// A part of an object and its real length: characters, bytes, items or pairs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part<T> {
    pub kept: T,
    pub length: u64,
}

/// The meaning of a group's values. Groups of the first four kinds and the last one come with an
/// event. With [`Capture::State`], groups of the next four kinds may come with it, too. Groups of
/// the other kinds are between events, before the event whose ordinal they have. They begin with
/// the number of the thread and the code unit of the instruction that is about to be executed, a
/// [site](crate::bytecode::stores::Site).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum GroupKind {
    /// PY_START: the arguments, in the order of the code object's argument names.
    Arguments,
    /// PY_RETURN, PY_YIELD: the one value returned or yielded.
    Result,
    /// PY_RESUME: the one value sent.
    Sent,
    /// RAISE: the one exception.
    Raised,
    /// A code unit and the variables of the event's frame that may be
    /// [pending](crate::bytecode::stores::Stores::pending) there.
    Bindings,
    /// All variables in the event's frame, by slot. Comes with the frame's first event in an epoch.
    Snapshot,
    /// As `Bindings`, for the frame that the event's frame was entered from. With an event that
    /// leaves the event's frame: a code unit of -1 and all variables of the calling frame, which
    /// another frame has changed.
    CallerBindings,
    /// Objects that were examined again, because C code had access to them or the previous site
    /// changed them.
    Seen,
    /// The variables that may be pending at the site.
    Overwrite,
    /// Object, name, value.
    SetAttribute,
    /// Object, name.
    DeleteAttribute,
    /// Object, key or index, value; and the length afterwards if there are more items than are
    /// printed with the object.
    SetItem,
    /// Object, key or index.
    DeleteItem,
    /// The object, if it is known, that is changed in a way that is visible only afterwards; key or
    /// index if it is known; and then the value if one is put there.
    Change,
    /// The instruction after a `Change` is over; other events may have come in between. Object; the
    /// low 32 bits of the ordinal of that `Change`; whether the instruction completed. The object
    /// is examined.
    Done,
    /// A call of C code ends that has changed an object under a key. Object; whether the key is an
    /// attribute's name; key or index; value if one was put there. The object is examined.
    Called,
    /// CALL of a callable that is not a Python function: the form of the call and its arguments.
    /// After None come the arguments; for a method the object it is called on is the first. After a
    /// tuple come the same arguments, and the tuple has the names of the last ones. After True come
    /// a tuple of arguments, a dict of named arguments (unbound if there are none), and perhaps the
    /// object that a method is called on. See [`handed`].
    ///
    /// The numbers 16 and 17 have another meaning in the forms of a chunk.
    Handed = 18,
}

impl GroupKind {
    /// All kinds, by number.
    pub const ALL: [GroupKind; 17] = [
        GroupKind::Arguments,
        GroupKind::Result,
        GroupKind::Sent,
        GroupKind::Raised,
        GroupKind::Bindings,
        GroupKind::Snapshot,
        GroupKind::CallerBindings,
        GroupKind::Seen,
        GroupKind::Overwrite,
        GroupKind::SetAttribute,
        GroupKind::DeleteAttribute,
        GroupKind::SetItem,
        GroupKind::DeleteItem,
        GroupKind::Change,
        GroupKind::Done,
        GroupKind::Called,
        GroupKind::Handed,
    ];

    /// The kind of group that holds the value or values of an event of this kind, if it has any.
    pub const fn of(kind: EventKind) -> Option<GroupKind> {
        match kind {
            EventKind::PY_START => Some(GroupKind::Arguments),
            EventKind::PY_RETURN | EventKind::PY_YIELD => Some(GroupKind::Result),
            EventKind::PY_RESUME => Some(GroupKind::Sent),
            EventKind::RAISE => Some(GroupKind::Raised),
            EventKind::CALL => Some(GroupKind::Handed),
            _ => None,
        }
    }

    /// Whether a group of this kind may come with, or before, an event of kind `kind`.
    pub fn fits(self, kind: EventKind) -> bool {
        match self {
            GroupKind::Arguments
            | GroupKind::Result
            | GroupKind::Sent
            | GroupKind::Raised
            | GroupKind::Handed => GroupKind::of(kind) == Some(self),
            GroupKind::CallerBindings => kind.enters() || kind.leaves(),
            _ => true,
        }
    }

    /// Whether the group's values are variables of a frame, each of which may hold many objects.
    pub const fn is_of_frame(self) -> bool {
        matches!(
            self,
            GroupKind::Bindings
                | GroupKind::Snapshot
                | GroupKind::CallerBindings
                | GroupKind::Overwrite
        )
    }

    /// Whether the group is between events. Its first two values are thread and code unit.
    pub const fn is_of_site(self) -> bool {
        self as u8 >= GroupKind::Overwrite as u8 && self as u8 <= GroupKind::Called as u8
    }

    /// Whether the group records how an object is changed, so that its contents afterwards follow
    /// from its contents before.
    pub const fn is_store(self) -> bool {
        matches!(
            self,
            GroupKind::SetAttribute
                | GroupKind::DeleteAttribute
                | GroupKind::SetItem
                | GroupKind::DeleteItem
        )
    }

    /// The kind with this number.
    #[inline]
    pub fn from_number(number: u8) -> Option<GroupKind> {
        const FIRST: usize = GroupKind::Called as usize + 1;
        match number {
            number if usize::from(number) < FIRST => Some(GroupKind::ALL[usize::from(number)]),
            number if number == GroupKind::Handed as u8 => Some(GroupKind::Handed),
            _ => None,
        }
    }
}

/// The values that come with one event, or before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group<'a> {
    /// The event's ordinal: its number among the recorded events of its process other than LINE,
    /// JUMP and INSTRUCTION, from 0.
    pub ordinal: u64,
    pub kind: GroupKind,
    pub values: &'a [Value],
}
