//! Values: what variables held, as far as a recording knows.
//!
//! ```text
//!  shim ── words ──▶ ring ──▶ recorder ── records ──▶ chunks of values ──▶ replayer ──▶ text, JSON
//!        [`words`]                        [`chunk`]                   [`render`]   [`json`]
//! ```
//!
//! A [`Value`] is a scalar or a reference to an object. What an object holds is said by an
//! [`Object`] record, once, and again when it is looked at and holds something else. So a value met
//! again costs a reference, and an object that two variables share is one object.
//!
//! Values are read and never asked: nothing here comes from running the program's code.

pub mod chunk;
pub mod handed;
pub mod json;
pub mod names;
pub mod parse;
pub mod render;
pub mod words;

use crate::event::EventKind;

/// How much of a program's values a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub enum Capture {
    /// None.
    #[default]
    Flow,
    /// Arguments, results, and exceptions.
    Calls,
    /// All that variables and objects hold, at every instruction.
    State,
}

impl Capture {
    /// As `--capture` and `runs.capture` spell it.
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

/// How much of a value is kept. What is cut says so, with its real length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Limits {
    /// Characters of a str, bytes of a bytes or bytearray.
    pub string: u32,
    /// Items of a container, attributes of an instance.
    pub items: u32,
    /// Containers within containers: 1 shows the items of a list but not of lists in it.
    pub depth: u32,
    /// Objects looked at for one event.
    pub objects: u32,
    /// Decimal digits of an int, roughly.
    pub digits: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { string: 200, items: 50, depth: 3, objects: 16, digits: 300 }
    }
}

/// What a variable, item or attribute holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Nothing: an unbound variable, an attribute that is not there.
    Unbound,
    None,
    False,
    True,
    Ellipsis,
    NotImplemented,
    /// Left out: its name is one whose values must not leave the program.
    Redacted,
    /// Left out: it could not be read safely.
    Unread,
    /// An int of 64 bits; longer ones are objects.
    Int(i64),
    Float(f64),
    /// A short str, as a number of the chunk's texts.
    Str(TextNumber),
    /// A short bytes, as a number of the chunk's texts.
    Bytes(TextNumber),
    /// An object whose contents were looked at then and there.
    Object(ObjectId),
    /// An object whose contents were not looked at: too deep, or one too many.
    Shallow(ObjectId),
}

/// Tells an object from all others of its process, whatever addresses were used again.
pub type ObjectId = u64;
/// Index into a chunk's texts.
pub type TextNumber = u32;
/// Index into a chunk's classes.
pub type ClassNumber = u32;
/// Index into a chunk's shapes.
pub type ShapeNumber = u32;

/// What sort of objects a class has: decides how they are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
#[repr(u8)]
pub enum Sort {
    /// Nothing is known but class and identity.
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
    /// Items, and as last pair of attributes `maxlen`.
    Deque,
    /// Items: start, stop, step.
    Range,
    Slice,
    /// A class in Python or C without contents of its own but attributes.
    Instance,
    /// Items: `args`; attributes `__cause__` and `__context__` where there are such, then its own.
    Exception,
    /// Functions, methods, builtins: goes by a name.
    Function,
    /// Goes by a name.
    Class,
    /// Goes by a name.
    Module,
    /// Generators, coroutines: goes by a name.
    Generator,
    /// `array.array`, numpy arrays: a name tells item type and shape, items are numbers.
    Array,
    /// What functions share a variable by. Items: what it holds, none if that is nothing.
    Cell,
    /// What a class in C keeps in fields of its own, as arguments of a call: items, before them perhaps a
    /// text, after them attributes. The class's [`Form`] has the name of what is called.
    Fields,
}

impl Sort {
    /// All, by number.
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
    /// As tracebacks print it: `module.qualname`, without the module if it is `builtins` or
    /// `__main__`.
    pub name: String,
    pub sort: Sort,
    /// It is that builtin class itself, not one derived from it: objects are written as Python
    /// writes them.
    pub is_exact: bool,
    pub form: Form,
}

/// How `repr` writes objects of a class, where it is the standard library's own: of a dataclass,
/// `Point(x=1, y=2)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, bincode::Encode, bincode::Decode)]
pub struct Form {
    pub style: Style,
    /// What is written before `(`.
    pub name: String,
    /// Names of attributes, or of items.
    pub fields: Vec<String>,
}

/// What is done with a form's name and fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, bincode::Encode, bincode::Decode)]
#[repr(u8)]
pub enum Style {
    /// `<app.Point object #17 x=1 y=2>`, or as the builtin class writes it.
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
    /// The one attribute as it is: `UserDict`.
    Held,
    /// The items of the one attribute: `ChainMap`.
    Spread,
    /// `<Color.RED: 1>`, of the two attributes: members of enumerations.
    Member,
    /// The one attribute as a UUID.
    Uuid,
    /// The first attribute as the text of a path, or if there is none the second, its parts.
    Path,
    /// The one attribute, an int, as an IPv4 address.
    IPv4,
    /// The same as an IPv6 address, and its scope.
    IPv6,
    /// The text and the items of a [`Sort::Fields`] object, then its attributes with their names.
    Call,
    /// A function, a tuple of its arguments, a dict of those with names: `functools.partial`.
    Partial,
    /// Keys of the one item, a dict, as a list.
    Keys,
    /// Values of it.
    Values,
    /// Pairs of it.
    Pairs,
    /// Begin, end, whether it is bytes; the text that matched.
    Match,
    /// The item, a str or bytes, and an int of flags: `re.compile('a+', re.IGNORECASE)`.
    Pattern,
}

impl Style {
    /// All, by number.
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
    /// A class whose objects are written as its sort says.
    pub fn plain(name: &str, sort: Sort, is_exact: bool) -> Class {
        Class { name: name.to_owned(), sort, is_exact, form: Form::default() }
    }
}

/// The names of an instance's attributes, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub struct Shape {
    pub names: Vec<String>,
}

/// What an object held when it was looked at. Each part has as many entries as were kept; the
/// lengths are the real ones. `V` is where values are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<V = Vec<Value>> {
    pub id: ObjectId,
    pub class: ClassNumber,
    /// Characters or bytes of a str, bytes, bytearray; decimal digits of a long int (`-123`,
    /// hexadecimal with `0x` if too long to be written decimally in time); the name of what goes by
    /// a name.
    pub text: Option<Part<TextNumber>>,
    /// Items of a sequence or set; for a dict, keys and values by turns, and the length counts
    /// pairs.
    pub items: Option<Part<V>>,
    /// How many items, or pairs, are written with it, if not all that are kept: those beyond are there to
    /// be asked for.
    pub shown: Option<u64>,
    /// Attributes by the names of a shape, [`Value::Unbound`] where there is none.
    pub attributes: Option<(ShapeNumber, V)>,
}

impl Object {
    /// The same, its values left where they are.
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

/// What a group's values are. The first four and the last come with an event; so do the next three, with
/// [`Capture::State`], beside them. The others stand between events, before the event whose ordinal
/// they have, and begin with the number of the thread and the code unit of the instruction, a
/// [site](crate::bytecode::stores::Site), that is about to be executed.
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
    /// All variables in the event's frame, by slot: its first event since an epoch.
    Snapshot,
    /// As `Bindings`, of the frame that the event's was entered from; with an event that leaves it, all
    /// variables of that frame, after a code unit of -1: another frame has changed them.
    CallerBindings,
    /// Objects that were looked at again: C code had them in hand, or the site before changed them.
    Seen,
    /// The variables that may be pending at the site.
    Overwrite,
    /// Object, name, value.
    SetAttribute,
    /// Object, name.
    DeleteAttribute,
    /// Object, key or index, value; and the length afterwards if there are more items than are written
    /// with the object.
    SetItem,
    /// Object, key or index.
    DeleteItem,
    /// The object that is changed in a way that shows only afterwards, if it is known; key or index if
    /// it is known, and then value if one is put there.
    Change,
    /// The instruction that a `Change` was before is over, whatever came between: the object; the low
    /// 32 bits of the ordinal of that `Change`; whether it did what it was to do. The object is
    /// looked at.
    Done,
    /// A call of C code ends that has changed an object under a key, which is looked at: the object;
    /// whether the key is an attribute's name; key or index; value if one was put there.
    Called,
    /// CALL of what is no Python function, and comes with that event: how it is called, and what it is handed.
    /// After None the arguments, of a method the object it is called on first; after a tuple the same, of which it
    /// names the last; after True a tuple of arguments, a dict of those with names (unbound if there is none), and
    /// perhaps the object that a method is called on. See [`handed`].
    ///
    /// In a chunk's forms, 16 and 17 are something else.
    Handed = 18,
}

impl GroupKind {
    /// All, by number.
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

    /// The values that an event of a kind may come with.
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

    /// Whether such a group may come with, or before, an event of a kind.
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

    /// Whether such a group's values are variables of a frame, each of which may hold much.
    pub const fn is_of_frame(self) -> bool {
        matches!(
            self,
            GroupKind::Bindings
                | GroupKind::Snapshot
                | GroupKind::CallerBindings
                | GroupKind::Overwrite
        )
    }

    /// Whether such a group stands between events: its first two values are thread and code unit.
    pub const fn is_of_site(self) -> bool {
        self as u8 >= GroupKind::Overwrite as u8 && self as u8 <= GroupKind::Called as u8
    }

    /// Whether such a group says how an object is changed, so that what it holds afterwards follows
    /// from what it held.
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

/// The values that came with one event, or before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group<'a> {
    /// Number of the event among its process's recorded events of other kinds than LINE, JUMP and
    /// INSTRUCTION, from 0.
    pub ordinal: u64,
    pub kind: GroupKind,
    pub values: &'a [Value],
}
