//! Reads what objects hold, by their structure: no method, property or descriptor is called.
//!
//! A [`Layout`] describes how to read the objects of one class. It is made from the class alone and
//! is valid for every object of it, so nothing has to be found out for each object.
//!
//! The limits of reads: nothing is read that has not been shown to lie within the object. The class
//! shows it when its layout is made, and the object when it is read:
//! - Fields of a builtin class are read only from objects whose class is that one or has it among
//!   its bases (`tp_base`), and is no smaller; or, for classes that no header exports, has its name
//!   and size. A flag in `tp_flags` alone shows nothing. So the sort is determined first, then the
//!   field is read.
//! - `__dict__` and `__slots__` are read where the class says that they are, if that is within
//!   `tp_basicsize`. What lies before an object is read only if a flag of its class says that it
//!   exists.
//! - No more items are read than the object says it has (`ob_size`), nor than its table has room
//!   for. No more shared values are read than there is room for and the keys have names for.
//!   Indexes in a dict's table are below its number of entries.
//! - A pointer may be null wherever an object may be half made or half cleared.
//! - Any other object is described by class and identity.

use super::standard::{self, Field, Native};
use super::*;
use dashcam_schema::value::Sort;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicUsize};

// The same in all versions known here; `verify_contents` compares these offsets with samples.
const SIZE: usize = 16;
const FLOAT_VALUE: usize = 16;
const STR_HASH: usize = 24;
const STR_ASCII_DATA: usize = 40;
const STR_COMPACT_DATA: usize = 56;
const BYTES_HASH: usize = 24;
const BYTES_DATA: usize = 32;
const BYTEARRAY_START: usize = 40;
const LIST_ITEMS: usize = 24;
const LIST_ROOM: usize = 32;
const SET_USED: usize = 24;
const SET_MASK: usize = 32;
const SET_TABLE: usize = 40;
const TRIPLE: usize = 16;
const WEAKREF_OBJECT: usize = 16;
const LOCALS_FRAME: usize = 16;
/// The interpreter's frame that a frame object refers to.
const FRAME_INTERPRETED: usize = 24;
const CELL_CONTENTS: usize = 16;
const EXCEPTION_DICT: usize = 16;
const EXCEPTION_CONTEXT: usize = 48;
const EXCEPTION_CAUSE: usize = 56;
const GENERATOR_QUALNAME: usize = 32;
const TYPE_BASIC_SIZE: usize = 32;
/// The size of an object without fields. The objects of every class have at least this size.
const OBJECT_SIZE: usize = 16;
const TYPE_MEMBERS: usize = 240;
const TYPE_BASE: usize = 256;
const TYPE_DICT_OFFSET: usize = 288;
const TYPE_SET_ATTRIBUTE: usize = 152;
pub(super) const TYPE_MRO: usize = 344;
const TYPE_AS_MAPPING: usize = 112;
const TYPE_SET: usize = 280;
/// `mp_ass_subscript` of a type's mapping methods.
const MAPPING_SET_ITEM: usize = 16;
const MEMBER_SIZE: usize = 40;
const DICT_KEYS: usize = 32;
const DICT_VALUES: usize = 40;
const KEYS_LOG2_SIZE: usize = 8;
const KEYS_GENERAL: u8 = 0;
const KEYS_UNICODE: u8 = 1;
const KEYS_INDEX_BYTES: usize = 9;
const KEYS_KIND: usize = 10;
const KEYS_ENTRIES: usize = 24;
const KEYS_INDICES: usize = 32;
const KEYS_SPLIT: u8 = 2;
/// How far before the object its dict pointer is, if its class has `MANAGED_DICT`.
const MANAGED_DICT: usize = 24;
const DEQUE_LEFT: usize = 24;
const DEQUE_RIGHT: usize = 32;
const DEQUE_LEFT_INDEX: usize = 40;
const DEQUE_RIGHT_INDEX: usize = 48;
const DEQUE_MAXLEN: usize = 64;
const DEQUE_BLOCK: usize = 64;
const DEFAULTDICT_FACTORY: usize = 48;
const ODICT_FIRST: usize = 48;
const ODICT_NODE_NEXT: usize = 16;
const ARRAY_ITEMS: usize = 24;
const ARRAY_ROOM: usize = 32;
const ARRAY_DESCRIPTOR: usize = 40;

const FLAG_INLINE_VALUES: usize = 1 << 2;
const FLAG_MANAGED_DICT: usize = 1 << 4;
const FLAG_IMMUTABLE_TYPE: usize = 1 << 8;
const FLAG_LONG: usize = 1 << 24;
const FLAG_LIST: usize = 1 << 25;
const FLAG_TUPLE: usize = 1 << 26;
const FLAG_BYTES: usize = 1 << 27;
const FLAG_STR: usize = 1 << 28;
const FLAG_DICT: usize = 1 << 29;
const FLAG_EXCEPTION: usize = 1 << 30;
const FLAG_CLASS: usize = 1 << 31;

/// Offset of a tuple's items: 3.14 put a hash before them.
static TUPLE_ITEMS: AtomicUsize = AtomicUsize::new(24);
/// Offset, in a class made at run time, of the keys that its instances share. They are right behind
/// its qualified name; 3.15 put a method before that. 0 if the offset is not known.
static HEAPTYPE_CACHED_KEYS: AtomicUsize = AtomicUsize::new(0);
const CACHED_KEYS: [usize; 2] = [880, 888];
/// Whether samples have shown that instances of classes written in Python lie in memory as they are
/// read here.
static INSTANCES_FIT: AtomicBool = AtomicBool::new(false);
/// Address of the class of lazy imports; 0 before 3.15.
static LAZY_IMPORT: AtomicUsize = AtomicUsize::new(0);
/// Classes that no header exports, or not the header of every version: their names, the sizes of
/// their objects, and what they are. The sizes are the same in all versions known here.
const UNEXPORTED: [(&CStr, usize, Sort, Detail); 5] = [
    (c"collections.deque", 216, Sort::Deque, Detail::Nothing),
    (c"collections.defaultdict", 56, Sort::Dict, Detail::Factory),
    (c"array.array", 64, Sort::Array, Detail::Nothing),
    // From 3.15 on: a dict and, behind it, its hash.
    (c"frozendict", 56, Sort::Dict, Detail::Frozen),
    // From 3.15 on: its name, and the module that made it.
    (c"sentinel", 40, Sort::Instance, Detail::Named),
];

unsafe extern "C" {
    static mut PyODict_Type: PyTypeObject;
    static PyByteArray_Type: PyTypeObject;
    static PyGen_Type: PyTypeObject;
    static PyCoro_Type: PyTypeObject;
    static PyAsyncGen_Type: PyTypeObject;
    static PyStaticMethod_Type: PyTypeObject;
    static PyClassMethod_Type: PyTypeObject;
    static PyCell_Type: PyTypeObject;
    static mut PyProperty_Type: PyTypeObject;
    static PyFrame_Type: PyTypeObject;
    static _PyWeakref_ProxyType: PyTypeObject;
    static _PyWeakref_CallableProxyType: PyTypeObject;
    fn _PyObject_GetDictPtr(object: *mut PyObject) -> *mut *mut PyObject;
    fn _PyType_Lookup(class: *mut PyTypeObject, name: *mut PyObject) -> *mut PyObject;
    fn PyType_GetDict(class: *mut PyTypeObject) -> *mut PyObject;
}

/// How to read the objects of one class.
#[derive(Debug, Clone)]
pub(in crate::shim) struct Layout {
    class: usize,
    version: usize,
    pub(in crate::shim) sort: Sort,
    /// Whether the class is the builtin class of this sort itself.
    pub(in crate::shim) is_exact: bool,
    detail: Detail,
    dict: DictAt,
    /// Offsets and names of `__slots__`.
    slots: Box<[(usize, String)]>,
    /// Whether some of the slots are fields of a class in C, whose code may set them at any time.
    is_foreign: bool,
}

/// What to read in addition to what the sort implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Nothing,
    /// The fields of a class in C: a [`Sort::Fields`] object.
    Native(Native),
    /// The number of a float.
    Float,
    /// `default_factory`
    Factory,
    /// A dict whose pairs have the order of a list of their own.
    Ordered,
    /// A dict that does not change.
    Frozen,
    /// The fields of an object in C that identify it and do not change.
    Named,
    /// `types.SimpleNamespace`, which keeps its attributes in a dict.
    Namespace,
    /// The `f_locals` of a function's frame, whose items are the frame's variables (3.13+).
    FrameLocals,
}

/// Where an instance's `__dict__` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DictAt {
    Nowhere,
    /// A pointer at this offset.
    Offset(usize),
    /// A pointer behind the object's items.
    Behind,
    /// A pointer before the object: to a dict or, if its lowest bit is set, to values (3.12).
    Before,
    /// Values at this offset or, if they are no longer valid, a dict pointer before the object.
    Inline(usize),
}

/// Where the attributes of one instance are.
pub(in crate::shim) enum Attributes<'a> {
    None,
    /// Values in the order of the keys that all instances of the class share.
    Shared {
        keys: SharedKeys,
        values: *const usize,
    },
    Dict(Obj<'a>),
}

/// The names of attributes that the instances of a class share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::shim) struct SharedKeys {
    address: usize,
    count: usize,
}

impl Layout {
    /// Returns the layout of a class.
    pub(in crate::shim) fn of(class: Obj<'_>) -> Layout {
        let flags = class.word(TYPE_FLAGS);
        let (sort, is_exact, detail) = sort(class, flags);
        let is_heap = flags as u64 & HEAPTYPE != 0;
        let fits = INSTANCES_FIT.load(Ordering::Relaxed);
        let may_have_attributes = !matches!(sort, Sort::Class | Sort::Module | Sort::Function);
        let is_namespace = detail == Detail::Namespace;
        let is_native = matches!(detail, Detail::Native(_));
        // A class of the standard library in C keeps all that it has in its fields.
        let has_attributes =
            (is_heap && !(is_native && is_exact) || is_namespace) && fits && may_have_attributes;
        let slots = match detail {
            Detail::Named => own_slots(class, class),
            _ if has_attributes => slots(class, is_native),
            _ => Box::default(),
        };
        Layout {
            class: class.address(),
            version: class.class_version().unwrap_or(usize::MAX),
            sort,
            is_exact,
            detail,
            dict: if has_attributes { dict_at(class, flags) } else { DictAt::Nowhere },
            slots,
            is_foreign: has_attributes && !is_native && is_foreign(class),
        }
    }

    /// Whether code in C may set attributes of objects at any time.
    pub(in crate::shim) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Whether this still is the layout of this class: an address may be used again, but a version
    /// is never assigned twice.
    #[inline(always)]
    pub(in crate::shim) fn fits(&self, class: Obj<'_>) -> bool {
        self.class == class.address() && class.class_version() == Some(self.version)
    }

    /// The version that the class had when this layout was made.
    pub(in crate::shim) fn version(&self) -> usize {
        self.version
    }

    /// Whether reading a subscript of an object may make a new item.
    pub(in crate::shim) fn has_factory(&self) -> bool {
        self.detail == Detail::Factory
    }

    pub(super) fn detail(&self) -> Detail {
        self.detail
    }

    /// Whether the class is `types.SimpleNamespace`.
    pub(super) fn is_namespace(&self) -> bool {
        self.detail == Detail::Namespace
    }

    /// Whether items of objects are the variables of a frame.
    pub(in crate::shim) fn is_frame_locals(&self) -> bool {
        self.detail == Detail::FrameLocals
    }

    /// Whether this layout and another have objects read in the same way.
    pub(in crate::shim) fn is_like(&self, other: &Layout) -> bool {
        (self.sort, self.is_exact, self.detail, self.dict, &self.slots)
            == (other.sort, other.is_exact, other.detail, other.dict, &other.slots)
    }

    /// The names of the slots, in the order in which [`Layout::slot_values`] returns their values.
    pub(in crate::shim) fn slot_names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|(_, name)| &**name)
    }

    pub(in crate::shim) fn slot_values<'a>(
        &self,
        object: Obj<'a>,
    ) -> impl Iterator<Item = Option<Obj<'a>>> {
        debug_assert_eq!(self.class, object.class().address());
        self.slots.iter().map(move |(offset, _)| object.field(*offset))
    }

    /// Returns where the attributes of an object of this class are.
    #[inline]
    pub(in crate::shim) fn attributes<'a>(&self, object: Obj<'a>) -> Attributes<'a> {
        debug_assert_eq!(self.class, object.class().address());
        // SAFETY: `dict_at` determined for this class that its objects have the pointer there; a
        // pointer that is not null points to a dict or values, which live as long as the object
        // keeps them.
        unsafe {
            match self.dict {
                DictAt::Nowhere => Attributes::None,
                DictAt::Offset(offset) => dict_or_none(object.word(offset)),
                DictAt::Behind => {
                    let pointer = _PyObject_GetDictPtr(object.0);
                    if pointer.is_null() {
                        Attributes::None
                    } else {
                        dict_or_none(*pointer as usize)
                    }
                }
                DictAt::Before => {
                    let pointer = object.0.byte_sub(MANAGED_DICT).cast::<usize>().read();
                    if pointer & 1 == 0 {
                        return dict_or_none(pointer);
                    }
                    shared(self.class, (pointer + 1) as *const usize, None)
                }
                DictAt::Inline(offset) => {
                    // capacity, size, embedded, valid
                    let head = object.0.byte_add(offset).cast::<[u8; 4]>().read();
                    if head[3] == 0 {
                        return dict_or_none(
                            object.0.byte_sub(MANAGED_DICT).cast::<usize>().read(),
                        );
                    }
                    let values = object.0.byte_add(offset + 8).cast::<usize>();
                    shared(self.class, values, Some(head[0]))
                }
            }
        }
    }

    /// Whether a dict is the `__dict__` of an object of this class.
    pub(in crate::shim) fn owns(&self, object: Obj<'_>, dict: Obj<'_>) -> bool {
        match self.attributes(object) {
            Attributes::None => false,
            Attributes::Dict(own) => own == dict,
            // From 3.13 on, a dict may share the object's values. It points to their sizes, which
            // are right before them.
            Attributes::Shared { values, .. } => {
                dict.is_exactly(&raw const PyDict_Type)
                    && dict.word(DICT_VALUES) == (values as usize).wrapping_sub(8)
            }
        }
    }

    /// Passes names and values of what comes before an instance's own attributes to `each`.
    pub(in crate::shim) fn extra<'a>(
        &self,
        object: Obj<'a>,
        each: &mut dyn FnMut(&'static str, Field<'a>),
    ) {
        let mut field = |name, offset| {
            if let Some(value) = object.field(offset) {
                each(name, Field::Object(Some(value)));
            }
        };
        match (self.sort, self.detail) {
            (Sort::Exception, _) => {
                field("__cause__", EXCEPTION_CAUSE);
                field("__context__", EXCEPTION_CONTEXT);
            }
            (Sort::Deque, _) => {
                let length = object.word(DEQUE_MAXLEN) as isize;
                if length >= 0 {
                    each("maxlen", Field::Int(length as i64));
                }
            }
            (_, Detail::Factory) => field("default_factory", DEFAULTDICT_FACTORY),
            (_, Detail::Native(_)) => self.named_fields(object, each),
            _ => {}
        }
    }

    /// Whether [`Layout::extra`] may pass anything to `each`.
    #[inline(always)]
    pub(in crate::shim) fn has_extra(&self) -> bool {
        matches!(self.sort, Sort::Exception | Sort::Deque | Sort::Fields)
            || self.detail == Detail::Factory
    }

    /// Returns, for an object that keeps a hash of its contents or is described by a name that
    /// keeps one, that hash and whatever else distinguishes the object from others of its class.
    #[inline]
    pub(in crate::shim) fn kept_hash(&self, object: Obj<'_>) -> Option<[u64; 2]> {
        if !self.is_exact {
            return None;
        }
        match self.sort {
            Sort::Str | Sort::Bytes => Some([object.text_hash()?, object.size() as u64]),
            Sort::Generator => {
                let name = object.field(GENERATOR_QUALNAME).filter(|name| name.is_str())?;
                Some([name.text_hash()?, 1])
            }
            Sort::Class => Some([object.class_version()? as u64, object.address() as u64]),
            Sort::Function => {
                let class = self.class as *const PyTypeObject;
                let function = if class == &raw const PyMethod_Type {
                    // SAFETY: exact method; its function is borrowed from it.
                    unsafe { Obj::borrowed(PyMethod_Function(object.0)) }
                } else {
                    object
                };
                if !function.is_exactly(&raw const PyFunction_Type) {
                    // Method tables are static; the name also depends on the class of the object
                    // that the method is bound to.
                    let is_builtin = class == &raw const PyCFunction_Type;
                    let owner = object.field(CFUNCTION_SELF).filter(|_| is_builtin)?;
                    let class = if owner.is_class() { owner } else { owner.class() };
                    let version = class.class_version()? as u64;
                    return Some([object.word(CFUNCTION_METHOD) as u64, version << 1 | 1]);
                }
                let CallableShape::Function { qualname, module, .. } = function.function_shape()
                else {
                    return None;
                };
                let module = module.filter(|module| module.is_str()).and_then(Obj::text_hash);
                Some([qualname.text_hash()?, module.unwrap_or(0)])
            }
            _ => None,
        }
    }

    /// Returns how many items or pairs an object has, if it may have many and each of them can be
    /// read quickly; `None` for any other object.
    pub(in crate::shim) fn length(&self, object: Obj<'_>) -> Option<usize> {
        match self.sort {
            Sort::Dict if self.detail == Detail::Ordered => None,
            Sort::List | Sort::Tuple | Sort::Deque | Sort::Dict => Some(object.word(SIZE)),
            Sort::Set | Sort::FrozenSet => Some(object.word(SET_USED)),
            _ => None,
        }
    }

    /// Passes up to `max` items to `each`, for a dict up to `max` pairs as key and value in turn.
    /// Returns how many items or pairs the object has. `each` must run no Python code.
    pub(in crate::shim) fn items<'a>(
        &self,
        object: Obj<'a>,
        max: usize,
        mut each: impl FnMut(Option<Obj<'a>>),
    ) -> u64 {
        debug_assert_eq!(self.class, object.class().address());
        let object_at =
            |word: usize| (word != 0).then_some(Obj(word as *mut PyObject, PhantomData));
        // SAFETY: the sort follows from the class, so objects of the class have these fields.
        // Nothing that could change them runs in the meantime.
        unsafe {
            match self.sort {
                Sort::List => {
                    let length = object.word(SIZE);
                    let items = object.word(LIST_ITEMS) as *const usize;
                    let available = length.min(object.word(LIST_ROOM));
                    (0..available.min(max)).for_each(|i| each(object_at(items.add(i).read())));
                    length as u64
                }
                Sort::Tuple => {
                    let length = object.word(SIZE);
                    let start = TUPLE_ITEMS.load(Ordering::Relaxed);
                    (0..length.min(max)).for_each(|i| each(object.field(start + 8 * i)));
                    length as u64
                }
                Sort::Dict if self.detail == Detail::Ordered => ordered(object, max, each),
                Sort::Dict => {
                    let (mut at, mut key, mut value) = (0, null_object(), null_object());
                    let mut left = max;
                    while left > 0 && PyDict_Next(object.0, &mut at, &mut key, &mut value) != 0 {
                        left -= 1;
                        each(object_at(key as usize));
                        each(object_at(value as usize));
                    }
                    PyDict_Size(object.0).max(0) as u64
                }
                Sort::Set | Sort::FrozenSet => {
                    let (used, mask) = (object.word(SET_USED), object.word(SET_MASK));
                    let table = object.word(SET_TABLE) as *const [usize; 2];
                    let mut left = if table.is_null() { 0 } else { used.min(max) };
                    for i in 0..=mask {
                        // A table stays large when its items are removed, so the search is limited.
                        if left == 0 || i > 16 * max + 64 {
                            break;
                        }
                        let [key, hash] = table.add(i).read();
                        if key != 0 && hash != usize::MAX {
                            left -= 1;
                            each(object_at(key));
                        }
                    }
                    used as u64
                }
                Sort::Deque => {
                    let length = object.word(SIZE);
                    let mut block = object.word(DEQUE_LEFT) as *const usize;
                    let mut index = object.word(DEQUE_LEFT_INDEX);
                    for _ in 0..length.min(max) {
                        // The pointer behind the last block's items is not defined, so it is read
                        // only if there are more items.
                        if index == DEQUE_BLOCK {
                            index = 0;
                            block = block.add(1 + DEQUE_BLOCK).read() as *const usize;
                        }
                        if block.is_null() || index > DEQUE_BLOCK {
                            break;
                        }
                        each(object_at(block.add(1 + index).read()));
                        index += 1;
                    }
                    length as u64
                }
                Sort::Cell => {
                    let held = object.field(CELL_CONTENTS);
                    held.into_iter().for_each(|held| each(Some(held)));
                    u64::from(held.is_some())
                }
                Sort::Range | Sort::Slice => {
                    (0..3).for_each(|i| each(object.field(TRIPLE + 8 * i)));
                    3
                }
                Sort::Exception => match object.exception_args() {
                    Some(args) if args.is_exactly(&raw const PyTuple_Type) => {
                        let length = args.word(SIZE);
                        let start = TUPLE_ITEMS.load(Ordering::Relaxed);
                        (0..length.min(max)).for_each(|i| each(args.field(start + 8 * i)));
                        length as u64
                    }
                    _ => 0,
                },
                _ => 0,
            }
        }
    }

    /// Returns the number of a float or of an instance of a class derived from it; `None` for
    /// anything else.
    pub(in crate::shim) fn float(&self, object: Obj<'_>) -> Option<f64> {
        (self.detail == Detail::Float).then(|| object.float_value())
    }
}

fn null_object() -> *mut PyObject {
    std::ptr::null_mut()
}

/// # Safety
/// `pointer` is 0 or the address of a live object.
unsafe fn dict_or_none<'a>(pointer: usize) -> Attributes<'a> {
    // SAFETY: the caller guarantees that this is a live object, unless it is 0, which is checked
    // below before it is read.
    let object = unsafe { Obj::borrowed(pointer as *mut PyObject) };
    if pointer != 0 && object.is_exactly(&raw const PyDict_Type) {
        Attributes::Dict(object)
    } else {
        Attributes::None
    }
}

/// # Safety
/// `class` is the address of a heap type; `values` are the values of one of its instances.
unsafe fn shared<'a>(class: usize, values: *const usize, capacity: Option<u8>) -> Attributes<'a> {
    // SAFETY: a heap type has this field; keys are never freed while instances use them.
    unsafe {
        let at = HEAPTYPE_CACHED_KEYS.load(Ordering::Relaxed);
        if at == 0 {
            return Attributes::None;
        }
        let keys = (class as *const u8).add(at).cast::<*const u8>().read();
        if keys.is_null() || keys.add(KEYS_KIND).read() != KEYS_SPLIT {
            return Attributes::None;
        }
        let entries = keys.add(KEYS_ENTRIES).cast::<usize>().read();
        let count = capacity.map_or(entries, |capacity| entries.min(usize::from(capacity)));
        Attributes::Shared { keys: SharedKeys { address: keys as usize, count }, values }
    }
}

impl SharedKeys {
    /// Returns the names, in order.
    pub(in crate::shim) fn names<'a>(self) -> impl Iterator<Item = Option<Obj<'a>>> {
        // SAFETY: `shared` checked that these are keys of this kind, with at least `count` entries,
        // each of a name and an unused word.
        unsafe {
            let keys = self.address as *const u8;
            let entries = keys.add(KEYS_INDICES).add(1 << keys.add(KEYS_INDEX_BYTES).read());
            let entries = entries.cast::<[*mut PyObject; 2]>();
            (0..self.count).map(move |i| {
                let name = (*entries.add(i))[0];
                (!name.is_null()).then_some(Obj(name, PhantomData))
            })
        }
    }

    /// Returns the values of the instance that these keys were read for, in the order of the names.
    pub(in crate::shim) fn values<'a>(
        self,
        values: *const usize,
    ) -> impl Iterator<Item = Option<Obj<'a>>> {
        (0..self.count).map(move |i| {
            // SAFETY: `shared` returned both for one instance, which has at least `count` values.
            let value = unsafe { values.add(i).read() };
            (value != 0).then_some(Obj(value as *mut PyObject, PhantomData))
        })
    }
}

/// Passes up to `max` pairs of an OrderedDict, in its own order, to `each` as key and value in
/// turn. Returns how many pairs it has.
///
/// # Safety
/// `object` is of that class or one derived from it.
unsafe fn ordered<'a>(object: Obj<'a>, max: usize, mut each: impl FnMut(Option<Obj<'a>>)) -> u64 {
    // SAFETY: such an object has a list of nodes, each of a key, its hash and the next node.
    // Looking up a key compares identities, but it compares entries with an equal hash and another
    // key by those keys' own code. So no key is looked up: the values are gathered in the dict's
    // own order instead.
    unsafe {
        let length = PyDict_Size(object.0).max(0) as usize;
        let mut pairs: Vec<(usize, usize)> = Vec::with_capacity(length.min(4 * max));
        let (mut at, mut key, mut value) = (0, null_object(), null_object());
        while pairs.len() < 4 * max && PyDict_Next(object.0, &mut at, &mut key, &mut value) != 0 {
            pairs.push((key as usize, value as usize));
        }
        let mut node = object.word(ODICT_FIRST) as *const usize;
        let mut next = 0;
        for _ in 0..length.min(max) {
            if node.is_null() {
                break;
            }
            let key = node.read();
            // Mostly the two orders are the same.
            let found = match pairs.get(next) {
                Some(pair) if pair.0 == key => Some(next),
                _ => pairs.iter().position(|pair| pair.0 == key),
            };
            each(Some(Obj(key as *mut PyObject, PhantomData)));
            each(found.map(|i| Obj(pairs[i].1 as *mut PyObject, PhantomData)));
            next = found.map_or(next, |i| i + 1);
            node = node.byte_add(ODICT_NODE_NEXT).read() as *const usize;
        }
        length as u64
    }
}

fn sort(class: Obj<'_>, flags: usize) -> (Sort, bool, Detail) {
    let is = |builtin: *const PyTypeObject| class.address() == builtin as usize;
    let derives = |builtin: *const PyTypeObject| derives(class, builtin as usize);
    let by_flag = [
        (FLAG_LONG, Sort::Int, &raw const PyLong_Type),
        (FLAG_LIST, Sort::List, &raw const PyList_Type),
        (FLAG_TUPLE, Sort::Tuple, &raw const PyTuple_Type),
        (FLAG_BYTES, Sort::Bytes, &raw const PyBytes_Type),
        (FLAG_STR, Sort::Str, &raw const PyUnicode_Type),
    ];
    for (flag, sort, builtin) in by_flag {
        if flags & flag != 0 && derives(builtin) {
            return (sort, is(builtin), Detail::Nothing);
        }
    }
    if flags & FLAG_DICT != 0 && derives(&raw const PyDict_Type) {
        let ordered = &raw const PyODict_Type;
        if derives(ordered) {
            return (Sort::Dict, is(ordered), Detail::Ordered);
        }
        if let Some((Sort::Dict, detail, is_exact)) = unexported(class) {
            return (Sort::Dict, is_exact, detail);
        }
        return (Sort::Dict, is(&raw const PyDict_Type), Detail::Nothing);
    }
    if is_exception(class, flags) {
        // An exception has a `repr` with code of its own only if its class is not a builtin one.
        let is_builtin = flags as u64 & HEAPTYPE == 0;
        return (Sort::Exception, is_builtin, Detail::Nothing);
    }
    if flags & FLAG_CLASS != 0 && derives(&raw const PyType_Type) {
        return (Sort::Class, true, Detail::Nothing);
    }
    let derived = [
        (Sort::Set, &raw const PySet_Type),
        (Sort::FrozenSet, &raw const PyFrozenSet_Type),
        (Sort::ByteArray, &raw const PyByteArray_Type),
    ];
    for (sort, builtin) in derived {
        if derives(builtin) {
            return (sort, is(builtin), Detail::Nothing);
        }
    }
    if derives(&raw const PyFloat_Type) {
        return (Sort::Instance, false, Detail::Float);
    }
    if let Some((sort, detail, is_exact)) = unexported(class) {
        return (sort, is_exact, detail);
    }
    let exactly = [
        (Sort::Complex, &raw const PyComplex_Type),
        (Sort::Range, &raw const PyRange_Type),
        (Sort::Slice, &raw const PySlice_Type),
        (Sort::Cell, &raw const PyCell_Type),
        (Sort::Module, &raw const PyModule_Type),
        (Sort::Generator, &raw const PyGen_Type),
        (Sort::Generator, &raw const PyCoro_Type),
        (Sort::Generator, &raw const PyAsyncGen_Type),
        (Sort::Function, &raw const PyFunction_Type),
        (Sort::Function, &raw const PyMethod_Type),
        (Sort::Function, &raw const PyCFunction_Type),
        (Sort::Function, &raw const PyCMethod_Type),
    ];
    for (sort, builtin) in exactly {
        if is(builtin) {
            return (sort, true, Detail::Nothing);
        }
    }
    let is_wrapper = is(&raw const PyStaticMethod_Type) || is(&raw const PyClassMethod_Type);
    if flags as u64 & HEAPTYPE != 0 && !is_wrapper {
        return (Sort::Instance, false, Detail::Nothing);
    }
    if type_name(class) == c"types.SimpleNamespace" {
        return (Sort::Instance, false, Detail::Namespace);
    }
    let detail = match type_name(class) == c"FrameLocalsProxy" {
        true => Detail::FrameLocals,
        false => Detail::Nothing,
    };
    (Sort::Opaque, false, detail)
}

pub(super) fn type_name<'a>(class: Obj<'a>) -> &'a CStr {
    // SAFETY: `tp_name` is a NUL-terminated text that lives as long as the class.
    unsafe { CStr::from_ptr(class.word(TYPE_NAME) as *const c_char) }
}

/// Whether a class is, or is derived along `tp_base` from, a class compiled into the interpreter,
/// so that its objects begin as those of that one do.
fn derives(class: Obj<'_>, builtin: usize) -> bool {
    let mut base = Some(class);
    while let Some(found) = base {
        if found.address() == builtin {
            return class.word(TYPE_BASIC_SIZE) >= found.word(TYPE_BASIC_SIZE);
        }
        base = found.field(TYPE_BASE);
    }
    false
}

fn is_exception(class: Obj<'_>, flags: usize) -> bool {
    // SAFETY: a static of the interpreter.
    let base = unsafe { PyExc_BaseException } as usize;
    flags & FLAG_EXCEPTION != 0 && derives(class, base)
}

/// Returns sort and detail of a class that no header exports, if `class` is one or is derived from
/// one, and whether it is that class itself.
fn unexported(class: Obj<'_>) -> Option<(Sort, Detail, bool)> {
    let mut base = Some(class);
    while let Some(found) = base {
        // Python code cannot make a class that is immutable.
        if found.word(TYPE_FLAGS) & FLAG_IMMUTABLE_TYPE != 0 {
            let name = type_name(found);
            let size = found.word(TYPE_BASIC_SIZE);
            if class.word(TYPE_BASIC_SIZE) < size {
                return None;
            }
            let containers = UNEXPORTED.iter().copied();
            let natives = standard::CLASSES
                .iter()
                .map(|(name, size, native)| (*name, *size, Sort::Fields, Detail::Native(*native)));
            return containers
                .chain(natives)
                .find(|known| known.0 == name && known.1 == size)
                .map(|(_, _, sort, detail)| (sort, detail, found == class));
        }
        base = found.field(TYPE_BASE);
    }
    None
}

/// Returns which [`Native`] class a class is or is derived from: a class of the standard library in
/// C that keeps what it holds in fields.
pub(super) fn native(class: Obj<'_>) -> Option<Native> {
    match unexported(class) {
        Some((_, Detail::Native(native), _)) => Some(native),
        _ => None,
    }
}

/// Returns what a class has under a name, its own or inherited.
///
/// # Safety
/// `name` is a str.
pub(super) unsafe fn type_lookup<'a>(class: Obj<'a>, name: Obj<'_>) -> Option<Obj<'a>> {
    // SAFETY: a class and a str; the lookup goes through dicts whose keys are strs. A result is
    // borrowed.
    let found = unsafe { _PyType_Lookup(class.0.cast(), name.0) };
    if found.is_null() {
        clear_error();
        return None;
    }
    Some(Obj(found, PhantomData))
}

/// Returns the `__dict__` of an object of a class in C, if it is an exact dict.
pub(super) fn dict_of(object: Obj<'_>) -> Option<Obj<'_>> {
    // SAFETY: the call returns the address of a pointer to a dict, or null.
    unsafe {
        let pointer = _PyObject_GetDictPtr(object.0);
        if pointer.is_null() {
            return None;
        }
        match dict_or_none(*pointer as usize) {
            Attributes::Dict(dict) => Some(dict),
            _ => None,
        }
    }
}

fn dict_at(class: Obj<'_>, flags: usize) -> DictAt {
    if is_exception(class, flags) {
        return DictAt::Offset(EXCEPTION_DICT);
    }
    if flags & FLAG_MANAGED_DICT != 0 {
        return match flags & FLAG_INLINE_VALUES != 0 {
            true => DictAt::Inline(class.word(TYPE_BASIC_SIZE)),
            false => DictAt::Before,
        };
    }
    match class.word(TYPE_DICT_OFFSET) as isize {
        offset if offset < 0 => DictAt::Behind,
        offset if has_word(class, offset as usize) => DictAt::Offset(offset as usize),
        _ => DictAt::Nowhere,
    }
}

/// Whether objects of a class have a word at an offset that could be a pointer in a field of
/// theirs: behind what every object has, aligned, and within the object's size.
fn has_word(class: Obj<'_>, offset: usize) -> bool {
    let end = class.word(TYPE_BASIC_SIZE);
    offset >= OBJECT_SIZE && offset.is_multiple_of(8) && offset.saturating_add(8) <= end
}

/// Returns offsets and names of what a class and its bases declare in `__slots__`, or in C as
/// fields that hold objects. With `is_native`, the fields in C are known otherwise and left out.
fn slots(class: Obj<'_>, is_native: bool) -> Box<[(usize, String)]> {
    let mut slots = Vec::new();
    each_heap_base(class, |base| {
        if slots.len() < 256 && !(is_native && base.is_immutable()) {
            slots.extend(own_slots(class, base));
        }
    });
    slots.truncate(256);
    slots.into()
}

/// Returns what `base` alone declares in this way. `class` is the class that the objects are of.
fn own_slots(class: Obj<'_>, base: Obj<'_>) -> Box<[(usize, String)]> {
    let mut slots = Vec::new();
    each_member(base, |name, offset| {
        if slots.len() < 256 && has_word(class, offset) {
            slots.push((offset, name.to_string_lossy().into()));
        }
    });
    slots.into()
}

/// Passes a class and its bases to `each`, up to the first that was not made at run time.
fn each_heap_base<'a>(class: Obj<'a>, mut each: impl FnMut(Obj<'a>)) {
    let mut base = Some(class);
    while let Some(found) = base.filter(|found| found.word(TYPE_FLAGS) as u64 & HEAPTYPE != 0) {
        each(found);
        base = found.field(TYPE_BASE);
    }
}

/// Passes names and offsets of a class's own fields that hold objects to `each`.
fn each_member(class: Obj<'_>, mut each: impl FnMut(&CStr, usize)) {
    let mut member = class.word(TYPE_MEMBERS) as *const u8;
    // SAFETY: `tp_members` is null or an array that ends with a member without a name.
    unsafe {
        while !member.is_null() {
            let name = member.cast::<*const c_char>().read();
            if name.is_null() {
                break;
            }
            let (kind, offset) =
                (member.add(8).cast::<c_int>().read(), member.add(16).cast::<usize>().read());
            if kind == Py_T_OBJECT_EX {
                each(CStr::from_ptr(name), offset);
            }
            member = member.add(MEMBER_SIZE);
        }
    }
}

/// Returns the names of the items of a class made in C as a sequence of fields, such as
/// `time.struct_time`; `None` for any other.
pub(super) fn sequence_names(class: Obj<'_>) -> Option<Vec<String>> {
    let is_direct = class
        .field(TYPE_BASE)
        .is_some_and(|base| base.address() == &raw const PyTuple_Type as usize);
    if !is_direct {
        return None;
    }
    let (mut names, start) = (Vec::new(), TUPLE_ITEMS.load(Ordering::Relaxed));
    let mut member = class.word(TYPE_MEMBERS) as *const u8;
    // SAFETY: `tp_members` is null or an array that ends with a member without a name.
    unsafe {
        while !member.is_null() && names.len() < standard::FIELD_NAMES_MAX {
            let name = member.cast::<*const c_char>().read();
            if name.is_null() {
                break;
            }
            // Python code cannot make a class whose fields are the items of a tuple.
            if names.is_empty() && member.add(16).cast::<usize>().read() != start {
                return None;
            }
            names.push(CStr::from_ptr(name).to_string_lossy().into_owned());
            member = member.add(MEMBER_SIZE);
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Whether a class or one of its bases has fields that no `__slots__` declares.
fn is_foreign(class: Obj<'_>) -> bool {
    let mut is_foreign = false;
    each_heap_base(class, |base| {
        let declares = || base.field(TYPE_DICT)?.dict_get(c"__slots__");
        each_member(base, |_, _| is_foreign |= declares().is_none());
    });
    is_foreign
}

/// Characters of a str, as they are in memory.
pub(in crate::shim) enum Characters<'a> {
    Ascii(&'a [u8]),
    Latin1(&'a [u8]),
    Two(&'a [u16]),
    Four(&'a [u32]),
}

impl<'a> Characters<'a> {
    /// Returns the characters from `begin` to before `end`, which must be within the text.
    pub(in crate::shim) fn part(&self, begin: usize, end: usize) -> Characters<'a> {
        match self {
            Characters::Ascii(text) => Characters::Ascii(&text[begin..end]),
            Characters::Latin1(text) => Characters::Latin1(&text[begin..end]),
            Characters::Two(text) => Characters::Two(&text[begin..end]),
            Characters::Four(text) => Characters::Four(&text[begin..end]),
        }
    }
}

/// The value of an int.
pub(in crate::shim) enum Int<'a> {
    Small(i64),
    /// Digits of 30 bits each, least significant first.
    Long {
        is_negative: bool,
        digits: &'a [u32],
    },
}

/// A value of a builtin class, recognised without looking its class up.
pub(in crate::shim) enum Plain<'a> {
    None,
    False,
    True,
    Ellipsis,
    NotImplemented,
    Int,
    Float(f64),
    Str,
    Bytes(&'a [u8]),
    /// A lazy import (3.15+). It is in a namespace until what it names is needed; CPython then puts
    /// that in its place without an event.
    LazyImport,
    /// Anything else.
    Other,
}

impl<'a> Obj<'a> {
    /// Returns what the object is, if it is of one of the most frequent classes.
    #[inline(always)]
    pub(in crate::shim) fn plain(self) -> Plain<'a> {
        let class = self.class().0.cast_const().cast::<PyTypeObject>();
        if class == &raw const PyLong_Type {
            return Plain::Int;
        }
        if class == &raw const PyUnicode_Type {
            return Plain::Str;
        }
        // SAFETY: statics of the interpreter.
        unsafe {
            if self.0 == Py_None() {
                return Plain::None;
            }
            if class == &raw const PyBool_Type {
                return if self.0 == Py_True() { Plain::True } else { Plain::False };
            }
            if class == &raw const PyFloat_Type {
                return Plain::Float(self.float_value());
            }
            if class == &raw const PyBytes_Type {
                return Plain::Bytes(self.bytes());
            }
            if self.0 == Py_Ellipsis() {
                return Plain::Ellipsis;
            }
            if self.0 == Py_NotImplemented() {
                return Plain::NotImplemented;
            }
        }
        if class as usize == LAZY_IMPORT.load(Ordering::Relaxed) {
            return Plain::LazyImport;
        }
        Plain::Other
    }

    /// The value of an int, or of an object of a class derived from it.
    #[inline(always)]
    pub(in crate::shim) fn int(self) -> Int<'a> {
        let tag = self.word(LONG_TAG);
        let is_negative = tag & 3 == 2;
        let count = tag >> 3;
        if count <= 2 {
            // SAFETY: an int has room for one digit at least, and for as many as it says it has.
            let digit = |i: usize| unsafe {
                i64::from(self.0.byte_add(LONG_DIGIT).cast::<u32>().add(i).read())
            };
            let low = if count == 0 { 0 } else { digit(0) };
            let high = if count == 2 { digit(1) } else { 0 };
            let value = low | high << 30;
            return Int::Small(if is_negative { -value } else { value });
        }
        // SAFETY: as above, and ints do not change.
        let digits =
            unsafe { std::slice::from_raw_parts(self.0.byte_add(LONG_DIGIT).cast::<u32>(), count) };
        if count == 3 && digits[2] < 8 {
            let value =
                digits.iter().rev().fold(0i64, |value, digit| value << 30 | i64::from(*digit));
            return Int::Small(if is_negative { -value } else { value });
        }
        Int::Long { is_negative, digits }
    }

    fn float_value(self) -> f64 {
        f64::from_bits(self.word(FLOAT_VALUE) as u64)
    }

    /// Returns real and imaginary part of a complex.
    pub(in crate::shim) fn complex(self) -> [f64; 2] {
        [self.float_value(), f64::from_bits(self.word(FLOAT_VALUE + 8) as u64)]
    }

    /// Returns the characters of a str, or of an object of a class derived from it.
    #[inline(always)]
    pub(in crate::shim) fn characters(self) -> Characters<'a> {
        let ascii_bit = ASCII_BIT.load(Ordering::Relaxed);
        let state = self.word(STRING_STATE) as u32;
        let length = self.word(SIZE);
        let (is_ascii, is_compact) = (state & ascii_bit != 0, state & ascii_bit >> 1 != 0);
        // SAFETY: a str; its state says where its characters are and how wide. They never change.
        unsafe {
            let data = match (is_compact, is_ascii) {
                (true, true) => self.0.byte_add(STR_ASCII_DATA).cast::<u8>().cast_const(),
                (true, false) => self.0.byte_add(STR_COMPACT_DATA).cast::<u8>().cast_const(),
                (false, _) => self.word(STR_COMPACT_DATA) as *const u8,
            };
            if data.is_null() {
                return Characters::Ascii(&[]);
            }
            let slice = std::slice::from_raw_parts;
            // The width is in the three bits right before those two; what lies beyond is padding.
            match (state >> ascii_bit.trailing_zeros().saturating_sub(4)) & 7 {
                _ if is_ascii => Characters::Ascii(slice(data, length)),
                1 => Characters::Latin1(slice(data, length)),
                2 => Characters::Two(std::slice::from_raw_parts(data.cast(), length)),
                _ => Characters::Four(std::slice::from_raw_parts(data.cast(), length)),
            }
        }
    }

    /// Whether it is exactly a dict, as the dicts that hold attributes are.
    #[inline(always)]
    pub(in crate::shim) fn is_dict(self) -> bool {
        self.is_exactly(&raw const PyDict_Type)
    }

    /// Returns the address of a dict's values if it keeps them apart from its keys, as only dicts
    /// of instances do.
    pub(in crate::shim) fn split_values(self) -> Option<usize> {
        let values = self.is_dict().then(|| self.word(DICT_VALUES));
        values.filter(|values| *values != 0)
    }

    /// Whether it is exactly a str.
    #[inline(always)]
    pub(in crate::shim) fn is_str(self) -> bool {
        self.is_exactly(&raw const PyUnicode_Type)
    }

    /// Whether it is exactly a bytes.
    pub(in crate::shim) fn is_bytes(self) -> bool {
        self.is_exactly(&raw const PyBytes_Type)
    }

    /// Passes up to `max` pairs of an exact dict to `each`, which must run no Python code.
    pub(in crate::shim) fn each_pair(self, max: usize, mut each: impl FnMut(Obj<'a>, Obj<'a>)) {
        if !self.is_exactly(&raw const PyDict_Type) {
            return;
        }
        let (mut at, mut key, mut value) = (0, null_object(), null_object());
        for _ in 0..max {
            // SAFETY: an exact dict, which nothing changes meanwhile; the results are borrowed.
            if unsafe { PyDict_Next(self.0, &mut at, &mut key, &mut value) } == 0 {
                break;
            }
            each(Obj(key, PhantomData), Obj(value, PhantomData));
        }
    }

    /// Returns the hash that a str or bytes keeps, if it has been computed. Equal texts have equal
    /// hashes, and different texts cannot be chosen so that theirs are equal.
    #[inline(always)]
    pub(in crate::shim) fn text_hash(self) -> Option<u64> {
        const { assert!(STR_HASH == BYTES_HASH) };
        let hash = self.word(STR_HASH) as u64;
        (hash != u64::MAX).then_some(hash)
    }

    /// Returns how many characters, bytes or items an object of variable size says it has.
    #[inline(always)]
    pub(in crate::shim) fn size(self) -> usize {
        self.word(SIZE)
    }

    /// Returns the bytes of a bytes, or of an object of a class derived from it.
    #[inline(always)]
    pub(in crate::shim) fn bytes(self) -> &'a [u8] {
        // SAFETY: a bytes has as many bytes there as its size says, and they do not change.
        unsafe {
            std::slice::from_raw_parts(self.0.byte_add(BYTES_DATA).cast::<u8>(), self.word(SIZE))
        }
    }

    /// Returns up to `max` bytes of a bytearray.
    pub(in crate::shim) fn bytearray(self, max: usize) -> Vec<u8> {
        let (length, start) = (self.word(SIZE), self.word(BYTEARRAY_START) as *const u8);
        if start.is_null() {
            return Vec::new();
        }
        // SAFETY: a bytearray has as many bytes at `start` as its size says; they are copied before
        // anything runs.
        unsafe { std::slice::from_raw_parts(start, length.min(max)).to_vec() }
    }

    /// Returns the type code of an `array.array`, how many items it has, and up to `max` of them.
    pub(in crate::shim) fn array(self, max: usize) -> (u8, u64, Vec<Number>) {
        let length = self.word(SIZE);
        // SAFETY: an array has these fields: its items, and a descriptor of them, which begins with
        // the type code and the size of an item. Its table has room for as many items as
        // `ARRAY_ROOM` says.
        unsafe {
            let descriptor = self.word(ARRAY_DESCRIPTOR) as *const u8;
            let items = self.word(ARRAY_ITEMS) as *const u8;
            if descriptor.is_null() {
                return (b'?', length as u64, Vec::new());
            }
            let code = descriptor.read();
            if items.is_null() {
                return (code, length as u64, Vec::new());
            }
            let size = descriptor.add(4).cast::<c_int>().read().max(1) as usize;
            let available = length.min(self.word(ARRAY_ROOM));
            let numbers = (0..available.min(max)).filter_map(|i| {
                let item = std::slice::from_raw_parts(items.add(i * size), size);
                Number::read(code, item)
            });
            (code, length as u64, numbers.collect())
        }
    }

    /// Whether it is a str or bytes, or of a class derived from one.
    pub(in crate::shim) fn is_text(self) -> bool {
        self.class().word(TYPE_FLAGS) & (FLAG_STR | FLAG_BYTES) != 0
    }

    /// Returns how many characters a str has, or how many bytes a bytes.
    pub(in crate::shim) fn text_length(self) -> usize {
        self.size()
    }

    /// Whether it is a cell.
    pub(in crate::shim) fn is_cell(self) -> bool {
        self.is_exactly(&raw const PyCell_Type)
    }

    /// Returns what a cell holds; the object itself if it is not a cell.
    pub(in crate::shim) fn cell(self) -> Option<Obj<'a>> {
        if self.is_exactly(&raw const PyCell_Type) { self.field(CELL_CONTENTS) } else { Some(self) }
    }

    /// Returns the name of a generator, coroutine or asynchronous generator.
    pub(in crate::shim) fn generator_name(self) -> String {
        self.field(GENERATOR_QUALNAME).and_then(Obj::whole_text).unwrap_or_default()
    }

    /// Returns the name of a module.
    pub(in crate::shim) fn module_name(self) -> String {
        // SAFETY: a module; its dict is borrowed from it.
        let dict = unsafe { PyModule_GetDict(self.0) };
        if dict.is_null() {
            clear_error();
            return String::new();
        }
        // SAFETY: as above.
        let name = unsafe { Obj::borrowed(dict) }.dict_get(c"__name__");
        name.and_then(Obj::whole_text).unwrap_or_default()
    }
}

/// The result of looking up a key in a dict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::shim) enum Lookup<'a> {
    Found(Obj<'a>),
    Missing,
    /// Only code of the program could decide whether the dict has the key.
    Unsure,
}

/// What setting an attribute does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shim) enum AttributeSet {
    /// It puts the attribute into the instance and does nothing else.
    Plain,
    /// It does something else, in C.
    Other,
    /// It runs code of the program, or changes nothing that is recorded.
    Nothing,
}

impl<'a> Obj<'a> {
    /// Whether two objects are exactly strs, or exactly ints of few digits, and equal.
    fn equals(self, other: Obj<'_>) -> bool {
        match (self.plain(), other.plain()) {
            (Plain::Int, Plain::Int) => match (self.int(), other.int()) {
                (Int::Small(one), Int::Small(another)) => one == another,
                _ => false,
            },
            // Equal texts have characters of the same width.
            (Plain::Str, Plain::Str) => match (self.characters(), other.characters()) {
                (Characters::Ascii(one), Characters::Ascii(another))
                | (Characters::Latin1(one), Characters::Latin1(another)) => one == another,
                (Characters::Two(one), Characters::Two(another)) => one == another,
                (Characters::Four(one), Characters::Four(another)) => one == another,
                _ => false,
            },
            _ => false,
        }
    }

    /// Looks up a key in a dict, or in an object of a class derived from it, without running the
    /// objects' own code for comparing them. The key must be exactly a str, or an int of few
    /// digits.
    pub(in crate::shim) fn dict_lookup(self, key: Obj<'_>) -> Lookup<'a> {
        let hash = match key.plain() {
            Plain::Str => key.text_hash(),
            Plain::Int => match key.int() {
                Int::Small(-1) => Some(u64::MAX - 1),
                Int::Small(value) if value.unsigned_abs() < (1 << 61) - 1 => {
                    Some(value.cast_unsigned())
                }
                _ => None,
            },
            _ => None,
        };
        let Some(hash) = hash else { return Lookup::Unsure };
        if self.class().word(TYPE_FLAGS) & FLAG_DICT == 0 {
            return Lookup::Unsure;
        }
        // SAFETY: a dict has keys; they say how many places their table of indexes has, how wide an
        // index is, and what entries look like. The index at a place is -1 if no entry is or was
        // there.
        unsafe {
            let keys = self.word(DICT_KEYS) as *const u8;
            if keys.is_null() {
                return Lookup::Unsure;
            }
            let (log2_size, kind) = (keys.add(KEYS_LOG2_SIZE).read(), keys.add(KEYS_KIND).read());
            if kind != KEYS_GENERAL && kind != KEYS_UNICODE || log2_size > 40 {
                return Lookup::Unsure;
            }
            let indices = keys.add(KEYS_INDICES);
            let entries = indices.add(1 << keys.add(KEYS_INDEX_BYTES).read());
            let count = keys.add(KEYS_ENTRIES).cast::<usize>().read();
            let mask = (1u64 << log2_size) - 1;
            let (mut place, mut perturb) = (hash & mask, hash);
            for _ in 0..1 << 12 {
                let i = place as usize;
                let index = match log2_size {
                    0..8 => i64::from(indices.cast::<i8>().add(i).read()),
                    8..16 => i64::from(indices.cast::<i16>().add(i).read()),
                    16..32 => i64::from(indices.cast::<i32>().add(i).read()),
                    _ => indices.cast::<i64>().add(i).read(),
                };
                if index == -1 {
                    return Lookup::Missing;
                }
                let index = if index >= 0 { index as usize } else { usize::MAX };
                if index < count {
                    let (known_hash, known, value) = if kind == KEYS_UNICODE {
                        let [known, value] = entries.cast::<[usize; 2]>().add(index).read();
                        (None, known, value)
                    } else {
                        let [hash, known, value] = entries.cast::<[usize; 3]>().add(index).read();
                        (Some(hash as u64), known, value)
                    };
                    if known == key.address() && value != 0 {
                        return Lookup::Found(Obj(value as *mut PyObject, PhantomData));
                    }
                    if known != 0 {
                        let other = Obj(known as *mut PyObject, PhantomData);
                        // Without hashes in the entries, the keys are all strs, which keep their
                        // hash.
                        let known_hash = known_hash.or_else(|| other.text_hash());
                        if known_hash == Some(hash) && value != 0 && other.equals(key) {
                            return Lookup::Found(Obj(value as *mut PyObject, PhantomData));
                        }
                        // A float or a bool, for example, may be equal to an int.
                        if known_hash == Some(hash) && (value == 0 || other.class() != key.class())
                        {
                            return Lookup::Unsure;
                        }
                    }
                }
                perturb >>= 5;
                place = (place.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1)) & mask;
            }
            Lookup::Unsure
        }
    }

    /// Whether objects of this class set, or delete, their items by the builtin dict's or list's
    /// own code.
    pub(in crate::shim) fn sets_items_as(self, sort: Sort, deletes: bool) -> bool {
        let builtin = match sort {
            Sort::List => &raw const PyList_Type,
            Sort::Dict => &raw const PyDict_Type,
            _ => return false,
        };
        let set_item = |class: usize| {
            let class = Obj(class as *mut PyObject, PhantomData);
            let methods = class.word(TYPE_AS_MAPPING);
            // SAFETY: null, or the address of a table of methods that lives as long as the class.
            (methods != 0)
                .then(|| unsafe { (methods as *const usize).byte_add(MAPPING_SET_ITEM).read() })
        };
        let own = set_item(self.address());
        if own == set_item(builtin as usize) {
            return true;
        }
        // An OrderedDict does the same, except that it keeps the order of pairs.
        let ordered = &raw const PyODict_Type;
        if sort == Sort::Dict && own == set_item(ordered as usize) {
            return true;
        }
        // At least one of the two methods is written in Python; the other may be inherited.
        let name = if deletes { c"__delitem__" } else { c"__setitem__" };
        self.inherits(builtin, name) || sort == Sort::Dict && self.inherits(ordered, name)
    }

    /// Returns the object that a weak proxy refers to; for anything else, the object itself.
    #[inline(always)]
    pub(in crate::shim) fn referent(self) -> Obj<'a> {
        let is_proxy = self.is_exactly(&raw const _PyWeakref_ProxyType)
            || self.is_exactly(&raw const _PyWeakref_CallableProxyType);
        // A proxy whose object is gone has None in this field.
        if is_proxy { self.field(WEAKREF_OBJECT).unwrap_or(self) } else { self }
    }

    /// Returns the address of the frame that this object is the `f_locals` of, for a function's
    /// frame (3.13+).
    pub(in crate::shim) fn frame_of_locals(self) -> Option<usize> {
        let frame = self.field(LOCALS_FRAME)?;
        frame.is_exactly(&raw const PyFrame_Type).then(|| frame.word(FRAME_INTERPRETED))
    }

    /// Whether this class is immutable, so that no code of the program can have made it.
    pub(in crate::shim) fn is_immutable(self) -> bool {
        self.word(TYPE_FLAGS) & FLAG_IMMUTABLE_TYPE != 0
    }

    /// Returns the first of this class and its bases that is not the program's own.
    pub(in crate::shim) fn immutable_base(self) -> Obj<'a> {
        let mut class = self;
        while !class.is_immutable()
            && let Some(base) = class.field(TYPE_BASE)
        {
            class = base;
        }
        class
    }

    /// Whether this class has the same under a name as a builtin class.
    fn inherits(self, builtin: *const PyTypeObject, name: &CStr) -> bool {
        // SAFETY: classes, and a str made here; the lookup goes through dicts whose keys are strs.
        // Results are borrowed.
        unsafe {
            let name = PyUnicode_InternFromString(name.as_ptr());
            if name.is_null() {
                clear_error();
                return false;
            }
            let found = _PyType_Lookup(self.0.cast(), name);
            let own = _PyType_Lookup(builtin.cast_mut(), name);
            Py_DECREF(name);
            if found.is_null() || own.is_null() {
                clear_error();
            }
            !found.is_null() && found == own
        }
    }

    /// Returns what setting, or deleting, an attribute of objects of this class does. `layout` is
    /// the layout of the class.
    pub(in crate::shim) fn sets_attribute(
        self,
        layout: &Layout,
        name: Obj<'_>,
        deletes: bool,
    ) -> AttributeSet {
        match self.sets_by_itself(deletes) {
            AttributeSet::Plain => self.finds_setter(layout, name),
            other => other,
        }
    }

    /// Returns what [`Self::sets_attribute`] does as far as it follows from the `__setattr__` or
    /// `__delattr__` of the class. If that is [`AttributeSet::Plain`], setting an attribute looks
    /// the name up in the class first: see [`Self::finds_setter`].
    pub(in crate::shim) fn sets_by_itself(self, deletes: bool) -> AttributeSet {
        let generic = PyObject_GenericSetAttr as *const () as usize;
        if self.word(TYPE_SET_ATTRIBUTE) == generic {
            return AttributeSet::Plain;
        }
        let method = if deletes { c"__delattr__" } else { c"__setattr__" };
        if self.inherits(&raw const PyBaseObject_Type, method) {
            return AttributeSet::Plain;
        }
        // Code in C may refuse, or set something else as well.
        match self.has_python_method(method) {
            true => AttributeSet::Nothing,
            false => AttributeSet::Other,
        }
    }

    /// Returns what [`Self::sets_attribute`] does as far as it depends on what the class has under
    /// the name.
    pub(in crate::shim) fn finds_setter(self, layout: &Layout, name: Obj<'_>) -> AttributeSet {
        // SAFETY: the name of an attribute is a str.
        let Some(found) = (unsafe { type_lookup(self, name) }) else { return AttributeSet::Plain };
        let class = found.class();
        if class.word(TYPE_SET) == 0 {
            return AttributeSet::Plain;
        }
        let is_slot =
            || name.ascii().is_some_and(|name| layout.slot_names().any(|slot| slot == name));
        match class.is_immutable() {
            true if is_slot() => AttributeSet::Plain,
            true if class == property_class() => AttributeSet::Nothing,
            true => AttributeSet::Other,
            false => AttributeSet::Nothing,
        }
    }

    /// Whether what a class has under this name is not in C: it is a function in Python, or may
    /// call one.
    pub(in crate::shim) fn finds_function(self, name: &CStr) -> bool {
        self.has_other_than(
            name,
            &[
                c"wrapper_descriptor",
                c"method_descriptor",
                c"builtin_function_or_method",
                c"classmethod_descriptor",
            ],
        )
    }

    /// Whether a class's method of this name is not written in C.
    pub(in crate::shim) fn has_python_method(self, name: &CStr) -> bool {
        self.has_other_than(name, &[c"wrapper_descriptor", c"method_descriptor"])
    }

    /// Returns the namespace of a class.
    fn class_dict(self) -> Option<Obj<'a>> {
        // SAFETY: a class. Its dict is returned with a reference of its own; the class keeps another
        // one as long as it lives.
        unsafe {
            let dict = PyType_GetDict(self.0.cast());
            Py_XDECREF(dict);
            (!dict.is_null()).then(|| Obj::borrowed(dict))
        }
    }

    /// Whether what a class has under a name is of none of these classes, which are given by name.
    fn has_other_than(self, name: &CStr, classes: &[&CStr]) -> bool {
        let Some(mro) = self.field(TYPE_MRO) else { return true };
        for index in 0.. {
            let Some(class) = mro.tuple_item(index) else { break };
            if let Some(found) = class.class_dict().and_then(|dict| dict.dict_get(name)) {
                return !classes.contains(&type_name(found.class()));
            }
        }
        false
    }

    /// Returns the class that a method in C comes from, which a class has or inherits. `method` is
    /// the method's entry in that class's static table.
    pub(in crate::shim) fn defining_class(self, method: usize) -> Option<Obj<'a>> {
        // SAFETY: the caller has taken the entry from a method.
        let name = CString::new(unsafe { Obj::method_name(method) }).ok()?;
        let mro = self.field(TYPE_MRO)?;
        (0..).map_while(|index| mro.tuple_item(index)).find(|class| {
            let found = class.class_dict().and_then(|dict| dict.dict_get(&name));
            let is_method = |found: &Obj<'_>| type_name(found.class()) == c"method_descriptor";
            found.filter(is_method).is_some_and(|found| found.descriptor_method().0 == method)
        })
    }

    /// Whether a class is, or is derived from, a builtin class whose methods change only the object
    /// they are called on.
    pub(in crate::shim) fn is_builtin_container(self) -> bool {
        const BUILTIN: usize =
            FLAG_LONG | FLAG_LIST | FLAG_TUPLE | FLAG_BYTES | FLAG_STR | FLAG_DICT;
        self.word(TYPE_FLAGS) & BUILTIN != 0 || self.is_mutable_container()
    }

    /// Whether objects of a class are lists, dicts or the like.
    pub(in crate::shim) fn is_mutable_container(self) -> bool {
        let is_unexported =
            || unexported(self).is_some_and(|(sort, ..)| matches!(sort, Sort::Deque | Sort::Array));
        self.word(TYPE_FLAGS) & (FLAG_LIST | FLAG_DICT) != 0
            || derives(self, &raw const PySet_Type as usize)
            || derives(self, &raw const PyByteArray_Type as usize)
            || is_unexported()
    }

    /// Returns the address of the method table entry of a function in C.
    pub(in crate::shim) fn bound_method(self) -> usize {
        self.word(CFUNCTION_METHOD)
    }

    /// Returns the address of a method descriptor's method table entry, and the class it is of.
    pub(in crate::shim) fn descriptor_method(self) -> (usize, Obj<'a>) {
        let class = Obj(self.word(DESCRIPTOR_TYPE) as *mut PyObject, PhantomData);
        (self.word(DESCRIPTOR_METHOD), class)
    }

    /// Returns the item at an index of an exact tuple, if there is one.
    pub(in crate::shim) fn tuple_item(self, index: usize) -> Option<Obj<'a>> {
        let is_there = self.is_exactly(&raw const PyTuple_Type) && index < self.word(SIZE);
        if is_there { self.field(TUPLE_ITEMS.load(Ordering::Relaxed) + 8 * index) } else { None }
    }

    /// Whether it is exactly a tuple or a list.
    #[inline(always)]
    pub(in crate::shim) fn is_exact_sequence(self) -> bool {
        self.is_exactly(&raw const PyTuple_Type) || self.is_exactly(&raw const PyList_Type)
    }

    /// Whether it is exactly a builtin function or method: one in C.
    #[inline(always)]
    pub(in crate::shim) fn is_builtin_function(self) -> bool {
        self.is_exactly(&raw const PyCFunction_Type)
    }

    /// Returns the object that a method in C is bound to, if that is neither a module nor a class.
    #[inline(always)]
    pub(in crate::shim) fn builtin_owner(self) -> Option<Obj<'a>> {
        // Objects of both kinds begin with the same fields.
        let is_builtin = self.is_builtin_function() || self.is_exactly(&raw const PyCMethod_Type);
        let owner = is_builtin.then(|| self.field(CFUNCTION_SELF));
        owner.flatten().filter(|owner| !owner.is_module() && !owner.is_class())
    }

    /// Returns how many items a list, dict, set or bytearray has; `None` for anything else.
    #[inline(always)]
    pub(in crate::shim) fn container_size(self) -> Option<usize> {
        let flags = self.class().word(TYPE_FLAGS);
        if flags & (FLAG_LIST | FLAG_DICT) != 0 || self.is_exactly(&raw const PyByteArray_Type) {
            return Some(self.word(SIZE));
        }
        self.is_exactly(&raw const PySet_Type).then(|| self.word(SET_USED))
    }

    /// Returns how many items a set has.
    #[inline(always)]
    pub(in crate::shim) fn set_size(self) -> usize {
        self.word(SET_USED)
    }

    /// Returns index and value of the last item of a deque.
    pub(in crate::shim) fn last_of_deque(self) -> Option<(usize, Obj<'a>)> {
        let last = self.word(SIZE).checked_sub(1)?;
        let (block, index) = (self.word(DEQUE_RIGHT) as *const usize, self.word(DEQUE_RIGHT_INDEX));
        if block.is_null() || index >= DEQUE_BLOCK {
            return None;
        }
        // SAFETY: a deque has a block of items at its right end, and says where in it the last one
        // is; this index was checked to be within the block.
        let item = unsafe { block.add(1 + index).read() };
        (item != 0).then_some((last, Obj(item as *mut PyObject, PhantomData)))
    }

    /// Returns index and value of the last item of an exact list.
    pub(in crate::shim) fn last_of_list(self) -> Option<(usize, Obj<'a>)> {
        if !self.is_exactly(&raw const PyList_Type) {
            return None;
        }
        let last = self.word(SIZE).min(self.word(LIST_ROOM)).checked_sub(1)?;
        // SAFETY: a list has a pointer to as many items as its size says, and to room for as many
        // as `LIST_ROOM` says; the index is below both.
        let item = unsafe { (self.word(LIST_ITEMS) as *const usize).add(last).read() };
        (item != 0).then_some((last, Obj(item as *mut PyObject, PhantomData)))
    }

    /// Returns the value of an exact int that fits into 64 bits.
    pub(in crate::shim) fn plain_int(self) -> Option<i64> {
        match self.int() {
            Int::Small(value) if self.is_exactly(&raw const PyLong_Type) => Some(value),
            _ => None,
        }
    }
}

fn property_class<'a>() -> Obj<'a> {
    Obj((&raw mut PyProperty_Type).cast(), PhantomData)
}

/// An item of an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::shim) enum Number {
    Int(i64),
    Float(f64),
    Character(u32),
}

impl Number {
    fn read(code: u8, item: &[u8]) -> Option<Number> {
        let unsigned = |bytes: &[u8]| {
            bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let bits = unsigned(item);
        let shift = 64 - 8 * item.len().min(8) as u32;
        Some(match code {
            b'b' | b'h' | b'i' | b'l' | b'q' => Number::Int((bits << shift) as i64 >> shift),
            b'B' | b'H' | b'I' | b'L' | b'Q' => Number::Int(i64::try_from(bits).ok()?),
            b'f' => Number::Float(f32::from_bits(bits as u32).into()),
            b'd' => Number::Float(f64::from_bits(bits)),
            b'u' | b'w' => Number::Character(bits as u32),
            _ => return None,
        })
    }
}

/// Compares what this file assumes with samples made here, and finds out the addresses of classes
/// that no header exports. What does not fit is not read.
///
/// # Errors
/// If something does not fit that must: the kind of object, such as `float objects`.
pub(in crate::shim) fn verify_contents() -> Result<(), &'static str> {
    // SAFETY: public calls on objects made here, which the shim owns until it releases them.
    unsafe {
        let marker = PyFloat_FromDouble(-1234.5);
        let kept = Obj::borrowed(marker);
        if marker.is_null() || kept.float_value() != -1234.5 {
            clear_error();
            return Err("float objects");
        }
        let tuple = PyTuple_New(1);
        PyTuple_SetItem(tuple, 0, Py_NewRef(marker));
        let items =
            [24, 32].into_iter().find(|at| Obj::borrowed(tuple).word(*at) == kept.address());
        TUPLE_ITEMS.store(items.unwrap_or(24), Ordering::Relaxed);
        let (list, set, dict) = (PyList_New(0), PySet_New(tuple), PyDict_New());
        // Only C code runs: the class is the interpreter's own.
        let ordered = PyObject_CallNoArgs((&raw mut PyODict_Type).cast());
        PyList_Append(list, marker);
        PyDict_SetItem(dict, marker, marker);
        PyObject_SetItem(ordered, marker, marker);
        let holds = |object: *mut PyObject, expected: usize| {
            let layout = Layout::of(Obj::borrowed(object).class());
            let mut found = Vec::new();
            let length = layout.items(Obj::borrowed(object), 8, |item| found.push(item));
            length == 1 && found.len() == expected && found.iter().all(|item| *item == Some(kept))
        };
        let (present, absent) = (PyLong_FromLong(7), PyUnicode_FromString(c"absent".as_ptr()));
        PyObject_Hash(absent);
        PyDict_SetItem(dict, present, marker);
        let lookup = |key: *mut PyObject| Obj::borrowed(dict).dict_lookup(Obj::borrowed(key));
        let finds = lookup(present) == Lookup::Found(kept) && lookup(absent) == Lookup::Missing;
        PyDict_DelItem(dict, present);
        Py_XDECREF(present);
        Py_XDECREF(absent);
        let holds_all = holds(tuple, 1) && holds(list, 1) && holds(set, 1) && holds(dict, 2);
        let holds_all = holds_all && !ordered.is_null() && holds(ordered, 2);
        let fits = items.is_some() && finds && holds_all;
        for object in [tuple, list, set, dict, ordered] {
            Py_XDECREF(object);
        }
        Py_DECREF(marker);
        clear_error();
        if !fits {
            return Err("containers");
        }
        if !texts_fit() {
            return Err("str or bytes objects");
        }
        INSTANCES_FIT.store(instances_fit(), Ordering::Relaxed);
        let lazy_import = libc::dlsym(libc::RTLD_DEFAULT, c"PyLazyImport_Type".as_ptr());
        LAZY_IMPORT.store(lazy_import as usize, Ordering::Relaxed);
        clear_error();
        Ok(())
    }
}

unsafe fn texts_fit() -> bool {
    let samples = [c"a\x01z", c"a\xc3\xa9", c"\xe2\x82\xac5", c"\xf0\x9f\x98\x80"];
    // SAFETY: strs, bytes and bytearrays made here and released.
    unsafe {
        let texts = samples.into_iter().all(|sample| {
            let text = PyUnicode_FromString(sample.as_ptr());
            if text.is_null() {
                return false;
            }
            let expected: Vec<u32> = sample.to_string_lossy().chars().map(u32::from).collect();
            let found: Vec<u32> = match Obj::borrowed(text).characters() {
                Characters::Ascii(found) | Characters::Latin1(found) => {
                    found.iter().map(|c| u32::from(*c)).collect()
                }
                Characters::Two(found) => found.iter().map(|c| u32::from(*c)).collect(),
                Characters::Four(found) => found.to_vec(),
            };
            Py_DECREF(text);
            found == expected
        });
        let bytes = PyBytes_FromStringAndSize(c"abc".as_ptr(), 3);
        let fits = !bytes.is_null() && Obj::borrowed(bytes).bytes() == b"abc";
        Py_XDECREF(bytes);
        let bytearray = PyByteArray_FromStringAndSize(c"abc".as_ptr(), 3);
        let fits = fits && !bytearray.is_null() && Obj::borrowed(bytearray).bytearray(2) == b"ab";
        Py_XDECREF(bytearray);
        texts && fits
    }
}

/// Whether instances are read correctly. Makes two classes in Python's own way, one with a slot and
/// one with attributes, and reads an instance of each.
unsafe fn instances_fit() -> bool {
    // SAFETY: public calls on objects made here; only C code of `type` and `object` runs.
    unsafe {
        let class = |slots: bool| {
            let (name, bases, dict) =
                (PyUnicode_FromString(c"Probe".as_ptr()), PyTuple_New(0), PyDict_New());
            if slots {
                let slot = PyUnicode_FromString(c"slot".as_ptr());
                let slots = PyTuple_New(1);
                PyTuple_SetItem(slots, 0, slot);
                PyDict_SetItemString(dict, c"__slots__".as_ptr(), slots);
                Py_XDECREF(slots);
            }
            let arguments = PyTuple_New(3);
            for (item, index) in [name, bases, dict].into_iter().zip(0..) {
                PyTuple_SetItem(arguments, index, item);
            }
            let class =
                PyObject_Call((&raw mut PyType_Type).cast(), arguments, std::ptr::null_mut());
            Py_XDECREF(arguments);
            class
        };
        let marker = PyFloat_FromDouble(0.125);
        let (plain, slotted) = (class(false), class(true));
        let mut fits = false;
        if !plain.is_null() && !slotted.is_null() && !marker.is_null() {
            // The qualified name lies right before the shared keys.
            let qualname = PyType_GetQualName(plain.cast());
            let is_behind = |at: &usize| Obj::borrowed(plain).word(at - 8) == qualname as usize;
            let keys = CACHED_KEYS.into_iter().find(is_behind);
            HEAPTYPE_CACHED_KEYS.store(keys.unwrap_or(0), Ordering::Relaxed);
            Py_XDECREF(qualname);
            let (one, two) = (PyObject_CallNoArgs(plain), PyObject_CallNoArgs(slotted));
            if keys.is_some() && !one.is_null() && !two.is_null() {
                PyObject_SetAttrString(one, c"first".as_ptr(), marker);
                PyObject_SetAttrString(one, c"second".as_ptr(), Py_None());
                PyObject_SetAttrString(two, c"slot".as_ptr(), marker);
                fits = reads_shared(Obj::borrowed(one), marker as usize)
                    && reads_slot(Obj::borrowed(two), marker as usize);
                // The same instance, once it has a dict.
                let dict = PyObject_GenericGetDict(one, std::ptr::null_mut());
                let class = Obj::borrowed(plain);
                let layout = with_attributes(class);
                let found = match layout.attributes(Obj::borrowed(one)) {
                    Attributes::Dict(found) => found.address() == dict as usize,
                    Attributes::Shared { .. } => reads_shared(Obj::borrowed(one), marker as usize),
                    Attributes::None => false,
                };
                fits = fits && found;
                Py_XDECREF(dict);
            }
            Py_XDECREF(one);
            Py_XDECREF(two);
        }
        Py_XDECREF(plain);
        Py_XDECREF(slotted);
        Py_XDECREF(marker);
        clear_error();
        fits
    }
}

/// Returns the layout of a class with its attributes, before it is known whether instances fit.
fn with_attributes(class: Obj<'_>) -> Layout {
    let flags = class.word(TYPE_FLAGS);
    Layout { dict: dict_at(class, flags), slots: slots(class, false), ..Layout::of(class) }
}

fn reads_shared(object: Obj<'_>, marker: usize) -> bool {
    let Attributes::Shared { keys, values } = with_attributes(object.class()).attributes(object)
    else {
        return false;
    };
    let names: Vec<_> = keys.names().map(|name| name.and_then(Obj::ascii)).collect();
    let values: Vec<_> = keys.values(values).map(|value| value.map(Obj::address)).collect();
    names == [Some("first"), Some("second")]
        // SAFETY: None is immortal.
        && values == [Some(marker), Some(unsafe { Py_None() } as usize)]
}

fn reads_slot(object: Obj<'_>, marker: usize) -> bool {
    let layout = with_attributes(object.class());
    let values: Vec<_> = layout.slot_values(object).map(|value| value.map(Obj::address)).collect();
    layout.slot_names().eq(["slot"]) && values == [Some(marker)]
}
