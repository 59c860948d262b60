//! The raw CPython calls and object layouts.
//!
//! Everything here reads; nothing runs user code. [`Obj`] is a borrowed object that the rest of the
//! shim can use safely: it can only be obtained from a callback's arguments, from another `Obj`, or
//! from the interpreter's own immortal objects, and it never outlives the callback.

pub(super) mod depths;
pub(super) mod interpreter;
pub(super) mod objects;
pub(super) mod standard;
pub(super) mod tracer;

use super::memory;
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_schema::bytecode::tables::{self, Published};
pub(super) use interpreter::{Interpreter, bytecode_magic};
use pyo3::ffi::*;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The `PyCodeEvent` that reports that a code object is destroyed.
pub(super) const CODE_DESTROYED: c_int = 1;
pub(super) type CodeWatcher = unsafe extern "C" fn(c_int, *mut PyObject) -> c_int;

pub(super) type AuditHook =
    unsafe extern "C" fn(*const c_char, *mut PyObject, *mut c_void) -> c_int;

// Exported by every CPython from 3.12 on, though not part of the limited API.
unsafe extern "C" {
    pub(super) fn PyCode_AddWatcher(callback: CodeWatcher) -> c_int;
    pub(super) fn PyCode_ClearWatcher(watcher: c_int) -> c_int;
    pub(super) fn PySys_AddAuditHook(hook: AuditHook, data: *mut c_void) -> c_int;
    fn PyFrame_GetBack(frame: *mut PyFrameObject) -> *mut PyFrameObject;
    fn PyFrame_GetLasti(frame: *mut PyFrameObject) -> c_int;
    fn PyFunction_GetCode(function: *mut PyObject) -> *mut PyObject;
    fn PyFunction_GetModule(function: *mut PyObject) -> *mut PyObject;
    fn PyMethod_Function(method: *mut PyObject) -> *mut PyObject;
    static PyFunction_Type: PyTypeObject;
    static PyMethod_Type: PyTypeObject;
    static PyCode_Type: PyTypeObject;
    static PyCMethod_Type: PyTypeObject;
    static PyExc_BaseExceptionGroup: *mut PyObject;
}

/// [`Obj::assign_class_version`] assigns at most this many versions.
const ASSIGNED_MAX: u32 = 1 << 16;

// Offsets that are the same in all versions known here (default builds). Before recording starts,
// `verify_layout` compares what samples hold there with what the public interface returns.
const LONG_TAG: usize = 16;
const LONG_DIGIT: usize = 24;
const FUNCTION_QUALNAME: usize = 40;
const CFUNCTION_METHOD: usize = 16;
const CFUNCTION_SELF: usize = 24;
const CFUNCTION_MODULE: usize = 32;
const DESCRIPTOR_TYPE: usize = 16;
const DESCRIPTOR_NAME: usize = 24;
const DESCRIPTOR_METHOD: usize = 40;
const WRAPPER_DESCRIPTOR: usize = 16;
const WRAPPER_SELF: usize = 24;
const TYPE_NAME: usize = 24;
const TYPE_FLAGS: usize = 168;
const TYPE_BASE: usize = 256;
const TYPE_DICT: usize = 264;
const TYPE_VERSION: usize = 384;
const STRING_STATE: usize = 32;
const EXCEPTION_ARGS: usize = 24;
const EXCEPTION_TRACEBACK: usize = 40;
const TRACEBACK_NEXT: usize = 16;
const FRAME_OBJECT_FRAME: usize = 24;
const CODE_VARIABLES: usize = 96;
const CODE_VARIABLE_KINDS: usize = 104;
const HEAPTYPE: u64 = 1 << 9;

/// The bit of a str's state that marks it as ASCII; [`verify_layout`] finds it.
static ASCII_BIT: AtomicU32 = AtomicU32::new(0);

/// The values that the bit has in the versions known here. The bits around it are padding in some
/// versions, so comparing two strings is not enough to find it.
const ASCII_BITS: [u32; 2] = [1 << 6, 1 << 20];

/// The kinds of variable in a code object, as bits. One variable may be of several kinds.
pub(super) mod variable {
    pub(in crate::shim) const LOCAL: u8 = 0x20;
    pub(in crate::shim) const CELL: u8 = 0x40;
    pub(in crate::shim) const FREE: u8 = 0x80;
}

/// A borrowed object. It is alive at least until the callback that received it returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Obj<'a>(*mut PyObject, PhantomData<&'a ()>);

impl<'a> Obj<'a> {
    /// # Safety
    /// `object` is a live object and stays alive for `'a`, and the GIL is held throughout.
    #[inline(always)]
    pub(super) unsafe fn borrowed(object: *mut PyObject) -> Obj<'a> {
        Obj(object, PhantomData)
    }

    /// The object's address, which identifies it while it lives.
    #[inline(always)]
    pub(super) fn address(self) -> usize {
        self.0 as usize
    }

    /// Whether anything else holds the object than the one reference that the caller knows of.
    pub(super) fn is_held_elsewhere(self) -> bool {
        // An object begins with the count of its references, in the lower half of a word.
        self.word(0) as u32 != 1
    }

    #[inline(always)]
    fn word(self, offset: usize) -> usize {
        // SAFETY: callers have checked the type first and pass offsets of fields that objects of
        // this type have (verified layouts); see the limits of reads in `objects`.
        unsafe { self.0.byte_add(offset).cast::<usize>().read() }
    }

    fn field(self, offset: usize) -> Option<Obj<'a>> {
        let pointer = self.word(offset) as *mut PyObject;
        (!pointer.is_null()).then_some(Obj(pointer, PhantomData))
    }

    /// The object's type, as an object.
    #[inline(always)]
    pub(super) fn class(self) -> Obj<'a> {
        // SAFETY: every object has a type, which lives at least as long.
        Obj(unsafe { Py_TYPE(self.0) }.cast(), PhantomData)
    }

    #[inline(always)]
    fn is_exactly(self, class: *const PyTypeObject) -> bool {
        self.class().0.cast_const().cast() == class
    }

    /// The value of a small non-negative int, as CPython passes offsets and lines.
    #[inline(always)]
    pub(super) fn small_int(self) -> u32 {
        let tag = self.word(LONG_TAG);
        // At most one digit of 30 bits, and not negative.
        if tag >> 3 <= 1 && tag & 3 != 2 { self.first_digit() } else { self.long_int() }
    }

    /// The first digit of an int. It is not read as part of a word, because an int object ends
    /// where its digits end, which may be in the middle of a word.
    #[inline(always)]
    fn first_digit(self) -> u32 {
        // SAFETY: every int has room for one digit; that of the int 0 is 0.
        unsafe { self.0.byte_add(LONG_DIGIT).cast::<u32>().read() }
    }

    #[cold]
    fn long_int(self) -> u32 {
        // SAFETY: this is an int; a failure leaves an error set, which is cleared.
        let value = unsafe { PyLong_AsLongLong(self.0) };
        clear_error();
        u32::try_from(value).unwrap_or(0)
    }

    /// Whether it is exactly an `int`.
    pub(super) fn is_int(self) -> bool {
        self.is_exactly(&raw const PyLong_Type)
    }

    /// Takes a strong reference that is never released, so that the address stays this object's.
    pub(super) fn keep(self) {
        // SAFETY: a live object.
        unsafe { Py_INCREF(self.0) }
    }

    /// Returns at most `limit` characters of an exact `str`, lone surrogates as `\udc80`, and how
    /// many characters it has in all. Does not fill the object's own UTF-8 cache, because
    /// `sys.getsizeof` would show it.
    pub(super) fn text(self, limit: usize) -> Option<(String, usize)> {
        if !self.is_exactly(&raw const PyUnicode_Type) {
            return None;
        }
        if let Some(text) = self.ascii()
            && text.len() <= limit
        {
            return Some((text.to_owned(), text.len()));
        }
        // SAFETY: exact str; the new references are released; errors are cleared.
        unsafe {
            let length = PyUnicode_GetLength(self.0).max(0) as usize;
            let part = if length > limit {
                PyUnicode_Substring(self.0, 0, limit as Py_ssize_t)
            } else {
                Py_NewRef(self.0)
            };
            if part.is_null() {
                clear_error();
                return Some((String::new(), length));
            }
            let bytes =
                PyUnicode_AsEncodedString(part, c"utf-8".as_ptr(), c"backslashreplace".as_ptr());
            Py_DECREF(part);
            let text = take_bytes(bytes).unwrap_or_default();
            Some((String::from_utf8_lossy(&text).into_owned(), length))
        }
    }

    /// Returns the characters of an exact `str` that is all ASCII, without copying them.
    pub(super) fn ascii(self) -> Option<&'a str> {
        if !self.is_exactly(&raw const PyUnicode_Type)
            || self.word(STRING_STATE) as u32 & ASCII_BIT.load(Ordering::Relaxed) == 0
        {
            return None;
        }
        let mut size = 0;
        // SAFETY: for ASCII this is the object's own data, which lives as long as it does and
        // never changes; nothing is allocated or cached.
        unsafe {
            let data = PyUnicode_AsUTF8AndSize(self.0, &mut size);
            let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size as usize);
            std::str::from_utf8(bytes).ok()
        }
    }

    fn whole_text(self) -> Option<String> {
        Some(self.text(1 << 16)?.0)
    }

    /// Returns the `repr` of an exact int, float, bool, None, str or bytes, else `None`.
    pub(super) fn scalar_repr(self) -> Option<String> {
        let class = self.class().0.cast_const().cast::<PyTypeObject>();
        let is_int = class == &raw const PyLong_Type;
        let scalar = is_int
            || class == &raw const PyUnicode_Type
            || class == &raw const PyBytes_Type
            || class == &raw const PyFloat_Type
            || class == &raw const PyBool_Type
            // SAFETY: None is immortal.
            || self.0 == unsafe { Py_None() };
        // CPython prints ints of more than 64 digits of 30 bits in quadratic time, or refuses to.
        if !scalar || is_int && self.word(LONG_TAG) >> 3 > 64 {
            return None;
        }
        if is_int && self.word(LONG_TAG) >> 3 <= 1 {
            let magnitude = self.first_digit();
            let sign = if self.word(LONG_TAG) & 3 == 2 { "-" } else { "" };
            return Some(format!("{sign}{magnitude}"));
        }
        // SAFETY: repr of these types is C code that calls no other code; the reference is
        // released.
        unsafe {
            let repr = PyObject_Repr(self.0);
            if repr.is_null() {
                clear_error();
                return None;
            }
            let text = Obj::borrowed(repr).whole_text();
            Py_DECREF(repr);
            text
        }
    }

    /// Returns the item of an exact tuple that has one item.
    pub(super) fn only_item(self) -> Option<Obj<'a>> {
        // SAFETY: exact tuple, index within it; the item lives as long as the tuple.
        unsafe {
            let one = self.is_exactly(&raw const PyTuple_Type) && PyTuple_Size(self.0) == 1;
            let item = if one { PyTuple_GetItem(self.0, 0) } else { std::ptr::null_mut() };
            (!item.is_null()).then(|| Obj::borrowed(item))
        }
    }

    /// Returns the items of an exact tuple; `None` if some of them have not been set yet.
    pub(super) fn tuple_items(self) -> Option<Vec<Obj<'a>>> {
        if !self.is_exactly(&raw const PyTuple_Type) {
            return None;
        }
        // SAFETY: exact tuple, indexes within it; items live as long as the tuple.
        unsafe {
            let size = PyTuple_Size(self.0);
            let items = (0..size).map(|i| PyTuple_GetItem(self.0, i));
            items.map(|item| (!item.is_null()).then(|| Obj::borrowed(item))).collect()
        }
    }
}

impl<'a> Obj<'a> {
    /// Returns at most the first `most` items of an exact list or tuple.
    pub(super) fn command_words(self, most: usize) -> Option<Vec<Obj<'a>>> {
        if !self.is_exactly(&raw const PyList_Type) {
            let mut items = self.tuple_items()?;
            items.truncate(most);
            return Some(items);
        }
        // SAFETY: exact list, indexes within it; items live as long as they are in it, and until
        // the callback returns nothing runs that could remove them.
        unsafe {
            let size = PyList_Size(self.0).min(most as Py_ssize_t);
            Some((0..size).map(|i| Obj::borrowed(PyList_GetItem(self.0, i))).collect())
        }
    }

    /// Returns a word of a command as the system gets it; a str or bytes is cut to `limit`
    /// characters. `None` for anything but a str, bytes or int.
    pub(super) fn command_word(self, limit: usize) -> Option<String> {
        if let Some((text, _)) = self.text(limit) {
            return Some(text);
        }
        if self.is_int() {
            return self.scalar_repr();
        }
        // SAFETY: a new reference, which `take_bytes` releases.
        let bytes = unsafe { take_bytes(Py_NewRef(self.0)) }?;
        Some(String::from_utf8_lossy(&bytes).chars().take(limit).collect())
    }
}

/// The kind of a callable, with the parts that its name is made of. The words (`usize`) identify it
/// among the callables that are alive.
pub(super) enum CallableShape<'a> {
    /// Code object, qualified name and module of a Python function.
    Function {
        code: Obj<'a>,
        qualname: Obj<'a>,
        module: Option<Obj<'a>>,
    },
    /// Method table entry, `__self__` and `__module__` of a builtin function or method.
    Builtin {
        method: usize,
        owner: Option<Obj<'a>>,
        module: Option<Obj<'a>>,
    },
    /// Method table entry and class of an unbound builtin method.
    Descriptor {
        method: usize,
        owner: Obj<'a>,
    },
    /// Slot table entry, class and name of a special method written in C, bound or not.
    Wrapper {
        slot: usize,
        owner: Obj<'a>,
        name: Obj<'a>,
    },
    Class,
    Instance,
}

/// Addresses of types that the interpreter does not export, taken from samples when recording
/// starts.
#[derive(Clone, Copy, Default)]
pub(super) struct HiddenTypes {
    pub(super) method_descriptor: usize,
    classmethod_descriptor: usize,
    wrapper_descriptor: usize,
    method_wrapper: usize,
}

impl<'a> Obj<'a> {
    #[inline(always)]
    pub(super) fn callable_shape(self, hidden: &HiddenTypes) -> CallableShape<'a> {
        let class = self.class();
        let pointer = class.0.cast_const().cast::<PyTypeObject>();
        if pointer == &raw const PyFunction_Type {
            return self.function_shape();
        }
        if class.address() == hidden.method_descriptor
            || class.address() == hidden.classmethod_descriptor
        {
            let owner = Obj(self.word(DESCRIPTOR_TYPE) as *mut PyObject, PhantomData);
            return CallableShape::Descriptor { method: self.word(DESCRIPTOR_METHOD), owner };
        }
        // The second is the type of builtins that receive their class; its objects begin with the
        // same fields as those of the first.
        if pointer == &raw const PyCFunction_Type || pointer == &raw const PyCMethod_Type {
            return CallableShape::Builtin {
                method: self.word(CFUNCTION_METHOD),
                owner: self.field(CFUNCTION_SELF),
                module: self.field(CFUNCTION_MODULE),
            };
        }
        if pointer == &raw const PyMethod_Type {
            // SAFETY: exact method; its function is borrowed from it.
            let function = unsafe { Obj::borrowed(PyMethod_Function(self.0)) };
            // A method may wrap another method; one level of naming is enough.
            return if function.is_exactly(&raw const PyFunction_Type) {
                function.function_shape()
            } else {
                CallableShape::Instance
            };
        }
        if class.address() == hidden.wrapper_descriptor {
            return self.wrapper_shape();
        }
        if class.address() == hidden.method_wrapper {
            return Obj(self.word(WRAPPER_DESCRIPTOR) as *mut PyObject, PhantomData)
                .wrapper_shape();
        }
        if self.is_class() { CallableShape::Class } else { CallableShape::Instance }
    }

    /// Returns the object that a special method in C is bound to; `None` for anything else.
    #[inline(always)]
    pub(super) fn wrapped_owner(self, hidden: &HiddenTypes) -> Option<Obj<'a>> {
        let is_bound = self.class().address() == hidden.method_wrapper;
        if is_bound { self.field(WRAPPER_SELF) } else { None }
    }

    fn wrapper_shape(self) -> CallableShape<'a> {
        CallableShape::Wrapper {
            slot: self.word(DESCRIPTOR_METHOD),
            owner: Obj(self.word(DESCRIPTOR_TYPE) as *mut PyObject, PhantomData),
            name: Obj(self.word(DESCRIPTOR_NAME) as *mut PyObject, PhantomData),
        }
    }

    #[inline(always)]
    fn function_shape(self) -> CallableShape<'a> {
        // SAFETY: exact function; both are borrowed from it, the module may be absent.
        let (code, module) = unsafe { (PyFunction_GetCode(self.0), PyFunction_GetModule(self.0)) };
        CallableShape::Function {
            code: Obj(code, PhantomData),
            qualname: Obj(self.word(FUNCTION_QUALNAME) as *mut PyObject, PhantomData),
            module: (!module.is_null()).then_some(Obj(module, PhantomData)),
        }
    }

    /// The address of a builtin function's method table entry; 0 for anything else.
    pub(super) fn method_entry(self) -> usize {
        let is_builtin = self.is_exactly(&raw const PyCFunction_Type);
        if is_builtin { self.word(CFUNCTION_METHOD) } else { 0 }
    }

    /// Returns `f_trace_opcodes` of a frame object.
    pub(super) fn traces_opcodes(self) -> bool {
        // SAFETY: returns the address of a static object.
        let yes = unsafe { Py_True() } as usize;
        self.safe_attribute(c"f_trace_opcodes", |value| value.address() == yes).unwrap_or(false)
    }

    /// Sets `f_trace_opcodes` of a frame object.
    pub(super) fn set_traces_opcodes(self, value: bool) {
        // SAFETY: a frame object, whose setter is C code that runs no code of the program.
        unsafe {
            let value = if value { Py_True() } else { Py_False() };
            if PyObject_SetAttrString(self.0, c"f_trace_opcodes".as_ptr(), value) < 0 {
                clear_error();
            }
        }
    }

    /// Whether it is a class (an instance of `type` or of a metaclass).
    #[inline(always)]
    pub(super) fn is_class(self) -> bool {
        // SAFETY: reads the type's flags.
        unsafe { PyType_Check(self.0) != 0 }
    }

    /// Whether it is a module, exactly.
    pub(super) fn is_module(self) -> bool {
        self.is_exactly(&raw const PyModule_Type)
    }

    /// Whether it is a code object.
    pub(super) fn is_code(self) -> bool {
        self.is_exactly(&raw const PyCode_Type)
    }

    /// Returns a class's version: a number that no other class ever has, nor this class after a
    /// change; `None` while it has none. Classes compiled into the interpreter are never freed, so
    /// any number will do for them.
    #[inline(always)]
    pub(super) fn class_version(self) -> Option<usize> {
        if self.word(TYPE_FLAGS) as u64 & HEAPTYPE == 0 {
            return Some(0);
        }
        let version = self.word(TYPE_VERSION) as u32 as usize;
        (version != 0).then_some(version)
    }

    /// Has CPython assign a version to a class, as the first lookup of a method in it would. The
    /// number of times is limited, so that a class that changes all the time does not use up its
    /// versions.
    pub(super) fn assign_class_version(self) {
        type Assign = unsafe extern "C" fn(*mut PyTypeObject) -> c_int;
        /// How often this was done, for all classes together.
        static ASSIGNED: AtomicU32 = AtomicU32::new(0);
        static ASSIGN: OnceLock<Option<Assign>> = OnceLock::new();
        // SAFETY: `dlsym` looks a name up in what is loaded; the function has this signature in
        // every version that has it.
        let assign = ASSIGN.get_or_init(|| unsafe {
            let found =
                libc::dlsym(libc::RTLD_DEFAULT, c"PyUnstable_Type_AssignVersionTag".as_ptr());
            (!found.is_null()).then(|| std::mem::transmute::<*mut c_void, Assign>(found))
        });
        if let Some(assign) = assign
            && self.class_version().is_none()
            && ASSIGNED.fetch_add(1, Ordering::Relaxed) < ASSIGNED_MAX
        {
            // SAFETY: this is a class, and the GIL is held; no code of the program runs.
            unsafe { assign(self.0.cast()) };
        }
    }

    /// Returns a class's name as tracebacks print it: `module.qualname`, without the module if that
    /// is `builtins` or `__main__`.
    pub(super) fn class_name(self) -> String {
        if self.word(TYPE_FLAGS) as u64 & HEAPTYPE == 0 {
            // SAFETY: tp_name of a static type is a NUL-terminated constant.
            let name = unsafe { CStr::from_ptr(self.word(TYPE_NAME) as *const c_char) };
            let name = name.to_string_lossy();
            return name.strip_prefix("builtins.").unwrap_or(&name).to_owned();
        }
        // SAFETY: a class; the new reference is released.
        let qualname = unsafe {
            let name = PyType_GetQualName(self.0.cast());
            if name.is_null() {
                clear_error();
                return "?".to_owned();
            }
            let text = Obj::borrowed(name).whole_text();
            Py_DECREF(name);
            text.unwrap_or_else(|| "?".to_owned())
        };
        let module = self.field(TYPE_DICT).and_then(|dict| dict.dict_get(c"__module__"));
        in_module(module, &qualname)
    }

    /// Returns the names of the items of a named tuple class; empty for any other class.
    pub(super) fn field_names(self) -> Vec<String> {
        let bases = std::iter::successors(Some(self), |class| class.field(TYPE_BASE));
        let fields = |class: Obj<'a>| class.field(TYPE_DICT)?.dict_get(c"_fields")?.tuple_items();
        let items = bases.take(16).find_map(fields).unwrap_or_default();
        items.into_iter().map(|item| item.whole_text().unwrap_or_default()).collect()
    }

    /// Returns the name in a builtin's method table entry.
    ///
    /// # Safety
    /// `method` is the address of a method table entry, read in this callback from a live object,
    /// as in a [`CallableShape`].
    pub(super) unsafe fn method_name(method: usize) -> String {
        // SAFETY: a PyMethodDef begins with its name, NUL-terminated.
        unsafe {
            let name = *(method as *const *const c_char);
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    /// Returns an entry of an exact dict with exact str keys, without running code of the program.
    pub(super) fn dict_get(self, key: &CStr) -> Option<Obj<'a>> {
        // SAFETY: checked to be an exact dict. Looking a str key up in it compares strs: a key of
        // another type with the same hash could run its `__eq__`, so the lookup may reach only the
        // identical key or strs, and namespaces hold strs. The result is borrowed.
        unsafe {
            if PyDict_CheckExact(self.0) == 0 {
                return None;
            }
            // Not `PyDict_GetItemString`, which reports errors to `sys.unraisablehook`.
            let key = PyUnicode_FromString(key.as_ptr());
            let value = if key.is_null() { key } else { PyDict_GetItemWithError(self.0, key) };
            Py_XDECREF(key);
            if value.is_null() {
                clear_error();
            }
            (!value.is_null()).then(|| Obj::borrowed(value))
        }
    }

    /// Returns the value of an int key in an exact dict.
    pub(super) fn dict_get_int(self, key: u64) -> Option<Obj<'a>> {
        // SAFETY: as in `dict_get`; the key is released.
        unsafe {
            if PyDict_CheckExact(self.0) == 0 {
                return None;
            }
            let key = PyLong_FromUnsignedLongLong(key);
            if key.is_null() {
                clear_error();
                return None;
            }
            let value = PyDict_GetItemWithError(self.0, key);
            Py_DECREF(key);
            if value.is_null() {
                clear_error();
                return None;
            }
            Some(Obj::borrowed(value))
        }
    }

    /// Returns the text of an entry of the instance's own `__dict__`, whatever its class defines
    /// under that name.
    pub(super) fn instance_get(self, name: &CStr) -> Option<String> {
        // SAFETY: `PyObject_GenericGetDict` reads the slot; the new reference is released.
        unsafe {
            let dict = PyObject_GenericGetDict(self.0, std::ptr::null_mut());
            if dict.is_null() {
                clear_error();
                return None;
            }
            let text = Obj::borrowed(dict).dict_get(name).and_then(Obj::whole_text);
            Py_DECREF(dict);
            text
        }
    }

    /// Reads an attribute of a code object or another object whose getters are C code, and passes
    /// it to `read`.
    fn safe_attribute<T>(self, name: &CStr, read: impl FnOnce(Obj<'_>) -> T) -> Option<T> {
        // SAFETY: only called on code objects and frame objects, whose getters run no user code;
        // the new reference is released.
        unsafe {
            let value = PyObject_GetAttrString(self.0, name.as_ptr());
            if value.is_null() {
                clear_error();
                return None;
            }
            let result = read(Obj::borrowed(value));
            Py_DECREF(value);
            Some(result)
        }
    }

    pub(super) fn code_text(self, name: &CStr) -> String {
        self.safe_attribute(name, |o| o.whole_text()).flatten().unwrap_or_default()
    }

    /// Passes an attribute of a code object to `read`. It may be used only while `read` runs.
    pub(super) fn code_object<T>(self, name: &CStr, read: impl FnOnce(Obj<'_>) -> T) -> Option<T> {
        self.safe_attribute(name, read)
    }

    /// Has an exact str cache its hash, if it has not done so yet, and returns it; `None` for
    /// anything else.
    pub(super) fn with_hash(self) -> Option<Obj<'a>> {
        if !self.is_exactly(&raw const PyUnicode_Type) {
            return None;
        }
        // SAFETY: hashing an exact str is C code that calls no other code, and cannot fail.
        unsafe { PyObject_Hash(self.0) };
        Some(self)
    }

    pub(super) fn is_none(self) -> bool {
        // SAFETY: a static of the interpreter.
        self.0 == unsafe { Py_None() }
    }

    pub(super) fn code_int(self, name: &CStr) -> u32 {
        self.safe_attribute(name, |o| o.is_int().then(|| o.small_int())).flatten().unwrap_or(0)
    }

    pub(super) fn code_bytes(self, name: &CStr) -> Vec<u8> {
        self.safe_attribute(name, |o| {
            // SAFETY: a new reference to what the getter returned; `take_bytes` releases it.
            unsafe { take_bytes(Py_NewRef(o.0)) }
        })
        .flatten()
        .unwrap_or_default()
    }

    /// The number of code units in a code object's bytecode.
    pub(super) fn code_units(self) -> usize {
        /// `ob_size`
        const UNITS: usize = 16;
        self.word(UNITS)
    }

    /// Returns the original instruction at a code unit of a code object, whatever CPython has
    /// replaced it with in memory.
    fn code_op(self, version: Version, unit: usize) -> Option<Op> {
        Some(version.op(*self.code_bytes(c"co_code").get(2 * unit)?))
    }

    /// Returns the address of a tuple that a code object holds and that lives as long as the code
    /// object; 0 if it cannot be read.
    pub(super) fn code_tuple(self, name: &CStr) -> usize {
        self.safe_attribute(name, |tuple| tuple.address()).unwrap_or(0)
    }

    /// Passes each item of a tuple that a code object holds to `each`.
    pub(super) fn each_item(self, tuple: &CStr, each: impl FnMut(Obj<'_>)) {
        self.safe_attribute(tuple, |items| {
            items.tuple_items().unwrap_or_default().into_iter().for_each(each);
        });
    }

    pub(super) fn code_names(self, name: &CStr) -> Vec<String> {
        let mut names = Vec::new();
        self.each_item(name, |item| names.push(item.whole_text().unwrap_or_default()));
        names
    }

    /// Returns a code object's variables in the order of its frames' slots, each with its kinds:
    /// bits of [`variable`]. The attributes of the code object are the second choice, because
    /// reading them has it make tuples and keep them, which `gc.get_objects()` would show.
    pub(super) fn code_variables(self) -> Vec<(String, u8)> {
        if [0x030C, 0x030D, 0x030E].into_iter().any(is_version)
            && let Some(kinds) = self.field(CODE_VARIABLE_KINDS)
            && let Some(names) = self.field(CODE_VARIABLES).and_then(Obj::tuple_items)
        {
            // SAFETY: a new reference to what the field holds; `take_bytes` releases it.
            let kinds = unsafe { take_bytes(Py_NewRef(kinds.0)) }.unwrap_or_default();
            if kinds.len() == names.len() {
                let names = names.into_iter().map(|name| name.whole_text().unwrap_or_default());
                return names.zip(kinds).collect();
            }
        }
        let groups = [
            (c"co_varnames", variable::LOCAL),
            (c"co_cellvars", variable::CELL),
            (c"co_freevars", variable::FREE),
        ];
        let mut all: Vec<(String, u8)> = Vec::new();
        for (names, kind) in groups {
            for name in self.code_names(names) {
                match all.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, kinds)) => *kinds |= kind,
                    None => all.push((name, kind)),
                }
            }
        }
        all
    }

    /// The `args` of an exception.
    pub(super) fn exception_args(self) -> Option<Obj<'a>> {
        self.field(EXCEPTION_ARGS)
    }

    /// Whether it is exactly a StopIteration and has no value.
    pub(super) fn is_bare_stop(self) -> bool {
        // SAFETY: a static of the interpreter.
        let class = unsafe { pyo3::ffi::PyExc_StopIteration };
        self.class().address() == class as usize
            && self.exception_args().and_then(Obj::tuple_items).is_some_and(|args| args.is_empty())
    }

    /// Whether an exception has only just been raised: its traceback has no second entry, so it has
    /// left no frame yet.
    #[inline]
    pub(super) fn is_freshly_raised(self) -> bool {
        match self.field(EXCEPTION_TRACEBACK) {
            None => true,
            // The field holds None or a traceback object.
            Some(traceback) => {
                // SAFETY: static of the interpreter.
                let is_traceback = traceback.is_exactly(&raw const PyTraceBack_Type);
                !is_traceback || traceback.field(TRACEBACK_NEXT).is_none()
            }
        }
    }

    /// Returns at most `limit` characters of the `str` of an exception, and how many it has in all.
    /// The class's `tp_str` must be one of the [`StrSlots`], and the arguments must be plain.
    pub(super) fn exception_str(self, limit: usize) -> Option<(String, usize)> {
        // SAFETY: callers have made sure that only C code runs; the new reference is released.
        unsafe {
            let text = PyObject_Str(self.0);
            if text.is_null() {
                clear_error();
                return None;
            }
            let result = Obj::borrowed(text).text(limit);
            Py_DECREF(text);
            result
        }
    }

    /// The address of the function in a class's `tp_str`.
    pub(super) fn str_slot(self) -> usize {
        // SAFETY: a class.
        unsafe { PyType_GetSlot(self.0.cast(), Py_tp_str) as usize }
    }

    /// The address of the function in a class's `tp_repr`.
    pub(super) fn repr_slot(self) -> usize {
        // SAFETY: a class.
        unsafe { PyType_GetSlot(self.0.cast(), Py_tp_repr) as usize }
    }

    /// Whether it is an exception.
    pub(super) fn is_exception(self) -> bool {
        // SAFETY: reads the flags of the object's class.
        unsafe { PyType_GetFlags(Py_TYPE(self.0)) & Py_TPFLAGS_BASE_EXC_SUBCLASS != 0 }
    }

    /// Returns the items of an exact tuple or list, or the keys and values of an exact dict. `None`
    /// if it has more than `max` items or pairs, and for anything else.
    pub(super) fn plain_items(self, max: usize) -> Option<Vec<Obj<'a>>> {
        let mut found = Vec::new();
        // SAFETY: exact containers, indexes within them; their items live as long as the containers
        // live and stay unchanged, which is as long as no code of the program runs.
        unsafe {
            if self.is_exactly(&raw const PyTuple_Type) {
                return self.tuple_items().filter(|items| items.len() <= max);
            }
            if self.is_exactly(&raw const PyList_Type) {
                let size = PyList_Size(self.0);
                if size > max as Py_ssize_t {
                    return None;
                }
                found.extend((0..size).map(|i| Obj::borrowed(PyList_GetItem(self.0, i))));
                return Some(found);
            }
            if !self.is_exactly(&raw const PyDict_Type) || PyDict_Size(self.0) > max as Py_ssize_t {
                return None;
            }
            let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
            while PyDict_Next(self.0, &mut at, &mut key, &mut value) != 0 {
                found.extend([key, value].map(|object| Obj::borrowed(object)));
            }
        }
        Some(found)
    }

    /// Whether a builtin container holds texts, or might hold some before it is examined again
    /// because it is empty and can be filled. A few items show what kind all of them are. `depth`:
    /// how many levels of containers to examine.
    pub(super) fn may_hold_texts(self, depth: u32) -> bool {
        const ITEMS: Py_ssize_t = 64;
        let Some(depth) = depth.checked_sub(1) else { return false };
        let holds = |item: *mut PyObject| {
            // SAFETY: an item lives as long as its container lives and stays unchanged, which is as
            // long as no code of the program runs.
            let item = unsafe { Obj::borrowed(item) };
            item.is_text() || item.may_hold_texts(depth)
        };
        // SAFETY: exact containers, indexes within them; no code of the program runs.
        unsafe {
            if self.is_exactly(&raw const PyTuple_Type) {
                let size = PyTuple_Size(self.0).min(ITEMS);
                return (0..size).any(|i| holds(PyTuple_GetItem(self.0, i)));
            }
            if self.is_exactly(&raw const PyList_Type) {
                let size = PyList_Size(self.0);
                return size == 0 || (0..size.min(ITEMS)).any(|i| holds(PyList_GetItem(self.0, i)));
            }
            if self.is_exactly(&raw const PyDict_Type) {
                let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
                let mut next = || {
                    let is_one = PyDict_Next(self.0, &mut at, &mut key, &mut value) != 0;
                    is_one.then_some(value)
                };
                let items = std::iter::from_fn(&mut next).take(ITEMS as usize);
                return PyDict_Size(self.0) == 0 || items.into_iter().any(holds);
            }
            self.is_exactly(&raw const PySet_Type)
                || self.is_exactly(&raw const PyFrozenSet_Type)
                || self.is_exactly(&raw const PyByteArray_Type)
                || standard::may_hold_texts(self)
        }
    }

    /// Whether only C code runs to print the fields that the `__str__` of this builtin exception
    /// class prints. The fields are read by the builtin class's own descriptors.
    pub(super) fn has_plain_fields(self, printed: Said) -> bool {
        // SAFETY: statics of the interpreter, set before any extension is loaded.
        let (class, names): (*mut PyObject, &[&CStr]) = unsafe {
            match printed {
                Said::Os => (PyExc_OSError, &[c"filename", c"filename2"]),
                Said::Syntax => (PyExc_SyntaxError, &[c"msg"]),
                Said::Decode => (PyExc_UnicodeDecodeError, &[c"encoding", c"reason"]),
                Said::Encode => (PyExc_UnicodeEncodeError, &[c"encoding", c"reason"]),
                Said::Translate => (PyExc_UnicodeTranslateError, &[c"reason"]),
                Said::Group => (PyExc_BaseExceptionGroup, &[c"message"]),
            }
        };
        names.iter().all(|name| {
            // SAFETY: descriptors of a static class read a field; references are released.
            unsafe {
                let descriptor = PyObject_GetAttrString(class, name.as_ptr());
                if descriptor.is_null() {
                    clear_error();
                    return false;
                }
                let get = PyType_GetSlot(Py_TYPE(descriptor), Py_tp_descr_get);
                let get: Option<descrgetfunc> = std::mem::transmute(get);
                let value = get.map_or(std::ptr::null_mut(), |get| get(descriptor, self.0, class));
                Py_DECREF(descriptor);
                if value.is_null() {
                    clear_error();
                    return false;
                }
                let plain = Obj::borrowed(value).scalar_repr().is_some();
                Py_DECREF(value);
                plain
            }
        })
    }
}

/// Builtin exception classes whose `__str__` prints fields besides the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Os,
    Syntax,
    Decode,
    Encode,
    Translate,
    Group,
}

/// Returns `qualname` with its module in front, unless that is `builtins`, `__main__` or unknown.
pub(super) fn in_module(module: Option<Obj<'_>>, qualname: &str) -> String {
    match module.and_then(Obj::whole_text) {
        Some(module) if module != "builtins" && module != "__main__" => {
            format!("{module}.{qualname}")
        }
        _ => qualname.to_owned(),
    }
}

/// Returns the bytes of an exact `bytes`; `None` for anything else. `object` is a new reference,
/// which is released, or null.
unsafe fn take_bytes(object: *mut PyObject) -> Option<Vec<u8>> {
    if object.is_null() {
        clear_error();
        return None;
    }
    // SAFETY: checked to be bytes; the slice is copied before the reference is released.
    unsafe {
        let result = (PyBytes_CheckExact(object) != 0).then(|| {
            let size = PyBytes_Size(object).max(0) as usize;
            std::slice::from_raw_parts(PyBytes_AsString(object).cast::<u8>(), size).to_vec()
        });
        Py_DECREF(object);
        result
    }
}

/// Clears an error that the shim itself has caused; callbacks start without one. Notes it if memory
/// ran out, because what CPython had no memory for cannot be recorded.
pub(super) fn clear_error() {
    // SAFETY: the GIL is held in every callback.
    unsafe {
        if !PyErr_Occurred().is_null() {
            if PyErr_ExceptionMatches(PyExc_MemoryError) != 0 {
                memory::note_shortage();
            }
            PyErr_Clear();
        }
    }
}

/// The `tp_str` of the builtin exceptions that have one of their own, and BaseException's
/// `tp_repr`.
pub(super) struct StrSlots {
    pub(super) base: usize,
    pub(super) key_error: usize,
    pub(super) import_error: usize,
    printed: [(usize, Said); 6],
    pub(super) base_repr: usize,
}

impl StrSlots {
    pub(super) fn find() -> StrSlots {
        // SAFETY: statics of the interpreter, set before any extension is loaded.
        unsafe {
            let slot = |class: *mut PyObject| Obj::borrowed(class).str_slot();
            StrSlots {
                base: slot(PyExc_BaseException),
                key_error: slot(PyExc_KeyError),
                import_error: slot(PyExc_ImportError),
                printed: [
                    (slot(PyExc_OSError), Said::Os),
                    (slot(PyExc_SyntaxError), Said::Syntax),
                    (slot(PyExc_UnicodeDecodeError), Said::Decode),
                    (slot(PyExc_UnicodeEncodeError), Said::Encode),
                    (slot(PyExc_UnicodeTranslateError), Said::Translate),
                    (slot(PyExc_BaseExceptionGroup), Said::Group),
                ],
                base_repr: Obj::borrowed(PyExc_BaseException).repr_slot(),
            }
        }
    }

    /// Returns the builtin class whose `tp_str` this is, if it is one that prints fields.
    pub(super) fn said(&self, slot: usize) -> Option<Said> {
        self.printed.iter().find(|(of, _)| *of == slot).map(|(_, printed)| *printed)
    }
}

/// Returns the globals of the running frame.
pub(super) fn current_globals<'a>() -> Option<Obj<'a>> {
    // SAFETY: the globals are borrowed from the running frame, which outlives the callback.
    unsafe {
        let globals = PyEval_GetGlobals();
        (!globals.is_null()).then(|| Obj::borrowed(globals))
    }
}

/// Returns what `threading.get_ident()` would.
pub(super) fn thread_ident() -> u64 {
    unsafe extern "C" {
        fn PyThread_get_thread_ident() -> std::ffi::c_ulong;
    }
    // SAFETY: asks the operating system for the current thread's identity.
    unsafe { PyThread_get_thread_ident() }
}

/// The thread pointer: the cheapest value that distinguishes threads that are alive.
#[inline(always)]
pub(super) fn thread_pointer() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        let pointer: usize;
        // SAFETY: the ABI keeps the thread control block's own address at fs:0.
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) pointer,
                options(nostack, preserves_flags, readonly, pure));
        }
        pointer
    }
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    {
        let pointer: usize;
        // SAFETY: the ABI keeps the thread pointer there.
        unsafe {
            std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer,
                options(nostack, preserves_flags, nomem, pure));
        }
        pointer
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
    {
        thread_ident() as usize
    }
}

/// A frame as public calls describe it.
pub(super) struct RunningFrame {
    pub(super) code: usize,
    /// Offset in bytes of the instruction that the frame is at; 0 before the first.
    pub(super) lasti: u32,
    /// Address of the interpreter's own frame.
    pub(super) address: usize,
}

/// Returns the frames of the current thread, innermost first.
pub(super) fn running_frames() -> Vec<RunningFrame> {
    // SAFETY: the GIL is held.
    unsafe { frames_of(PyThreadState_Get()) }
}

/// Returns the frames of all threads.
pub(super) fn all_frames() -> Vec<RunningFrame> {
    // SAFETY: these are the states of threads; the GIL is held, so their frames do not change.
    thread_states().into_iter().flat_map(|state| unsafe { frames_of(state) }).collect()
}

/// Returns the states of all threads, valid as long as the GIL is held.
fn thread_states() -> Vec<*mut PyThreadState> {
    unsafe extern "C" {
        fn PyInterpreterState_ThreadHead(
            interpreter: *mut PyInterpreterState,
        ) -> *mut PyThreadState;
        fn PyThreadState_Next(state: *mut PyThreadState) -> *mut PyThreadState;
    }
    let mut states = Vec::new();
    // SAFETY: the GIL is held throughout, so no thread's state is added or removed.
    unsafe {
        let mut state = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
        while !state.is_null() {
            states.push(state);
            state = PyThreadState_Next(state);
        }
    }
    states
}

/// # Safety
/// `state` is a thread's state; the GIL is held.
unsafe fn frames_of(state: *mut PyThreadState) -> Vec<RunningFrame> {
    let mut frames = Vec::new();
    // SAFETY: public calls; every new reference is released. Code objects are kept alive by their
    // frames.
    unsafe {
        let mut frame = PyThreadState_GetFrame(state);
        while !frame.is_null() {
            let code = PyFrame_GetCode(frame);
            let object = Obj::borrowed(frame.cast());
            frames.push(RunningFrame {
                code: code as usize,
                lasti: PyFrame_GetLasti(frame).max(0) as u32,
                address: object.word(FRAME_OBJECT_FRAME),
            });
            Py_DECREF(code.cast());
            let back = PyFrame_GetBack(frame);
            Py_DECREF(frame.cast());
            frame = back;
        }
        clear_error();
    }
    frames
}

/// How to find the running frame without creating a frame object: the offset of a pointer in the
/// thread state, and whether it points to another pointer to the frame (3.12) or to the frame
/// itself (3.13 on).
#[derive(Clone, Copy)]
pub(super) struct FrameFinder {
    offset: usize,
    indirect: bool,
    /// Offset of the pointer to the C function that profiles the thread.
    profile: usize,
}

impl FrameFinder {
    /// Finds out where this interpreter keeps the pointer. Must be called from Python code.
    pub(super) fn find() -> Option<FrameFinder> {
        let frame = running_frames().first()?.address;
        // SAFETY: the running thread's state has at least 512 bytes in every version. Words that
        // may be pointers are followed only where the version is known to have such a pointer.
        unsafe {
            let state = PyThreadState_Get().cast::<usize>();
            let indirect = is_version(0x030C);
            (0..512 / 8).find_map(|i| {
                let word = state.add(i).read();
                let hit = if indirect {
                    // 3.12 keeps a pointer to `cframe`, which lies on the C stack of this thread.
                    let here = &raw const word as usize;
                    word > here
                        && word - here < 8 << 20
                        && word % 8 == 0
                        && (word as *const usize).read() == frame
                } else {
                    word == frame
                };
                // 3.15 has three words for its own profiler in between.
                let between = if is_version(0x030F) { 32 } else { 8 };
                let offset = i * 8;
                hit.then_some(FrameFinder { offset, indirect, profile: offset + between })
            })
        }
    }

    /// Whether any thread has a profile function.
    pub(super) fn is_profiled(self) -> bool {
        thread_states().into_iter().any(|state| {
            // SAFETY: within a thread state, a few words after the pointer that `find` found there.
            unsafe { state.byte_add(self.profile).cast::<usize>().read() != 0 }
        })
    }

    /// Returns the address of the running frame.
    #[inline(always)]
    pub(super) fn current(self) -> usize {
        // SAFETY: `find` found the pointer at this offset; in a callback a frame is always running.
        unsafe {
            let word = PyThreadState_Get().byte_add(self.offset).cast::<usize>().read();
            if self.indirect { (word as *const usize).read() } else { word }
        }
    }
}

/// How to find the memory that holds the running thread's frames: chunks, each with a pointer to
/// the one before. A greenlet has chunks of its own, so the first chunk identifies the one of a
/// thread's greenlets that is running.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackFinder {
    offset: usize,
}

impl StackFinder {
    /// Finds out where this interpreter keeps the pointers: to the newest chunk, to the end of its
    /// used part, and to its end. Must be called from Python code.
    pub(super) fn find() -> Option<StackFinder> {
        let frames = running_frames();
        // SAFETY: the running thread's state has at least 512 bytes in every version. What is taken
        // for a chunk holds a running frame, so it is memory, and it begins with two words.
        unsafe {
            let state = PyThreadState_Get().cast::<usize>();
            (0..512 / 8 - 2).find_map(|i| {
                let [chunk, used, end] = [0, 1, 2].map(|word| state.add(i + word).read());
                let holds = |frame: &RunningFrame| chunk < frame.address && frame.address < used;
                let is_list =
                    chunk != 0 && chunk % 8 == 0 && used <= end && frames.iter().any(holds);
                let is_whole = is_list && (chunk as *const usize).add(1).read() == end - chunk;
                is_whole.then_some(StackFinder { offset: i * 8 })
            })
        }
    }

    /// Returns the address of the running stack's first chunk; 0 if it has none yet.
    pub(super) fn first_chunk(self) -> usize {
        // SAFETY: `find` found the pointer at this offset; each chunk begins with a pointer to the
        // chunk before, which is null in the first.
        unsafe {
            let mut chunk = PyThreadState_Get().byte_add(self.offset).cast::<usize>().read();
            while chunk != 0 {
                match (chunk as *const usize).read() {
                    0 => break,
                    before => chunk = before,
                }
            }
            chunk
        }
    }
}

/// Offsets in the interpreter's own frames that are the same in all versions known here.
const FRAME_CODE: usize = 0;
const FRAME_PREVIOUS: usize = 8;
const FRAME_GLOBALS: usize = 24;
/// `f_locals`
const FRAME_NAMESPACE: usize = 40;
const FRAME_OBJECT: usize = 48;
/// `prev_instr` in 3.12, `instr_ptr` from 3.13 on.
const FRAME_INSTRUCTION: usize = 56;
/// `stacktop`, `stackpointer` from 3.14 on.
const FRAME_STACK: usize = 64;
/// A stack deeper than this is treated as a mistake.
const STACK_MAX: usize = 1 << 20;
/// The bits of a slot that are the pointer. 3.14 marks borrowed pointers in the low bits.
const POINTER: usize = !7;
/// If both of these bits are set, a slot holds a number and no pointer: 3.15 keeps the index of a
/// loop this way.
const NUMBER: usize = 3;

/// Returns the object in a slot of a frame, if the slot holds one.
#[inline(always)]
fn object_in<'a>(slot: usize) -> Option<Obj<'a>> {
    let pointer = slot & POINTER;
    (pointer != 0 && slot & NUMBER != NUMBER).then_some(Obj(pointer as *mut PyObject, PhantomData))
}
/// Values of a frame's `owner`. From the last one on, the frame is not one of Python code.
const OWNED_BY_GENERATOR: u8 = 1;
const OWNED_BY_INTERPRETER: u8 = 3;

/// The layout of frames and code objects, where it differs between versions.
#[derive(Clone, Copy)]
struct FrameLayout {
    /// `owner` of a frame.
    owner: usize,
    /// `localsplus` of a frame: arguments, other locals, cells and free variables, then its stack.
    locals: usize,
    /// Whether the top of the stack is kept as a pointer; earlier versions keep the number of slots
    /// used.
    has_stack_pointer: bool,
    /// `_co_firsttraceable` of a code object, in code units.
    first_traceable: usize,
    /// `co_code_adaptive` of a code object.
    bytecode: usize,
    /// The [`Stand`] of a frame, by the opcode in memory of the instruction the frame is at.
    stands: &'static [Stand; 256],
}

/// Whether a frame is executing the instruction it is at, as far as the instruction shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// The frame is executing it.
    Within,
    /// A RESUME, or an instruction that CPython has replaced and that may be one: the frame may not
    /// have begun.
    Resuming,
    /// A YIELD_VALUE: the frame may be suspended and only pass something on.
    Yielding,
}

/// [`FrameLayout::stands`] of each version.
static STANDS: [[Stand; 256]; Version::ALL.len()] = [
    stands(&tables::V3_12),
    stands(&tables::V3_13),
    stands(&tables::V3_14),
    stands(&tables::V3_15),
];

const fn stands(published: &Published) -> [Stand; 256] {
    const fn put(table: &mut [Stand; 256], opcodes: &[u8], stand: Stand) {
        let mut i = 0;
        while i < opcodes.len() {
            table[opcodes[i] as usize] = stand;
            i += 1;
        }
    }
    let mut table = [Stand::Within; 256];
    put(&mut table, published.resuming, Stand::Resuming);
    put(&mut table, published.hiding, Stand::Resuming);
    put(&mut table, published.yielding, Stand::Yielding);
    table
}

impl FrameLayout {
    fn of(version: Version) -> FrameLayout {
        let stands = &STANDS[version as usize];
        match version {
            Version::V3_12 => FrameLayout {
                owner: 70,
                locals: 72,
                has_stack_pointer: false,
                first_traceable: 176,
                bytecode: 192,
                stands,
            },
            Version::V3_13 => FrameLayout {
                owner: 70,
                locals: 72,
                has_stack_pointer: false,
                first_traceable: 184,
                bytecode: 200,
                stands,
            },
            Version::V3_14 | Version::V3_15 => FrameLayout {
                owner: 74,
                locals: 80,
                has_stack_pointer: true,
                first_traceable: 192,
                bytecode: 208,
                stands,
            },
        }
    }
}

/// Reads the running thread's frames without creating frame objects.
#[derive(Clone, Copy)]
pub(super) struct Frames {
    finder: FrameFinder,
    layout: FrameLayout,
}

/// A frame of the running thread, valid until the callback that got it returns.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) address: usize,
    /// Address of its code object.
    pub(super) code: usize,
    /// Address of the instruction that the frame is at.
    instruction: usize,
    /// Code unit of that instruction, caches included: half of what `PyFrame_GetLasti` returns.
    pub(super) unit: u32,
}

impl Frames {
    /// Calls [`Self::find`] with the version of this interpreter's bytecode, if that is known.
    pub(super) fn find_any() -> Option<Frames> {
        Frames::find(Version::from_magic(bytecode_magic())?)
    }

    /// Returns how to read this interpreter's frames, after comparing the running ones with what
    /// public calls return for them; `None` if they differ. Must be called from Python code.
    pub(super) fn find(version: Version) -> Option<Frames> {
        let (finder, layout) = (FrameFinder::find()?, FrameLayout::of(version));
        let frames = Frames { finder, layout };
        let running = running_frames();
        // SAFETY: these are addresses of running frames, so the frames and what they point to are
        // alive; what may be a code object is followed only where it is known to be one.
        let each_fits = running.iter().all(|frame| unsafe {
            let word = |offset| (frame.address as *const u8).add(offset).cast::<usize>().read();
            let owner = (frame.address as *const u8).add(frames.layout.owner).read();
            let code = word(FRAME_CODE) & POINTER;
            let start = code + frames.layout.bytecode;
            let fits = owner < OWNED_BY_INTERPRETER
                && code == frame.code
                && word(FRAME_INSTRUCTION) == start + frame.lasti as usize;
            let first = frames.layout.first_traceable;
            fits && Obj::borrowed(code as *mut PyObject)
                .code_op(version, (code as *const u8).add(first).cast::<u32>().read() as usize)
                == Some(Op::Resume)
        });
        if !each_fits {
            return None;
        }
        let mut frame = frames.running();
        for expected in &running {
            if frame.is_none_or(|frame| frame.address != expected.address) {
                return None;
            }
            frame = frame.and_then(|frame| frames.caller(frame));
        }
        frame.is_none().then_some(frames)
    }

    /// Returns the running frame.
    #[inline(always)]
    pub(super) fn running(&self) -> Option<Frame> {
        // SAFETY: the address is that of a frame in the interpreter's own list of frames.
        unsafe { self.first_of_python(self.finder.current()) }
    }

    /// Returns the frame that called this one.
    #[inline(always)]
    pub(super) fn caller(&self, frame: Frame) -> Option<Frame> {
        // SAFETY: this frame is in the interpreter's own list of frames, as is the one before it,
        // if there is one.
        unsafe {
            let previous = (frame.address as *const u8).add(FRAME_PREVIOUS).cast::<usize>().read();
            self.first_of_python(previous)
        }
    }

    /// Returns the frame that called the running one, which has just been entered with an event of
    /// `code`.
    #[inline(always)]
    pub(super) fn caller_of_entered(&self, code: usize) -> Option<Frame> {
        let running = self.finder.current() as *const u8;
        // SAFETY: a frame is running during an event, and these are its first two words.
        unsafe {
            let own = running.add(FRAME_CODE).cast::<usize>().read() & POINTER;
            let previous = running.add(FRAME_PREVIOUS).cast::<usize>().read();
            // Code that is not Python code has events too, but no frames.
            self.first_of_python(if own == code { previous } else { running as usize })
        }
    }

    /// Returns what is in the first `count` locals of a frame, in the order of its code object's
    /// variables. The frame has at least that many. A variable that is shared with inner functions
    /// is in a cell.
    #[inline(always)]
    pub(super) fn locals<'a>(
        &self,
        frame: Frame,
        count: usize,
    ) -> impl Iterator<Item = Option<Obj<'a>>> + use<'a> {
        let first = frame.address + self.layout.locals;
        (0..count).map(move |i| {
            // SAFETY: `find` verified the frame's layout; the code object has at least `count`
            // variables, and a frame owns what is in them while it runs.
            object_in(unsafe { (first as *const usize).add(i).read() })
        })
    }

    /// Returns what is in a slot of a frame: a variable, or an entry of the stack behind them.
    ///
    /// # Safety
    /// The frame has such a slot, and the slot holds an object or nothing.
    #[inline(always)]
    pub(super) unsafe fn slot<'a>(&self, frame: Frame, slot: u32) -> Option<Obj<'a>> {
        let first = (frame.address + self.layout.locals) as *const usize;
        // SAFETY: the caller guarantees that the frame has this slot, and what it holds.
        object_in(unsafe { first.add(slot as usize).read() })
    }

    /// Returns the namespace that a frame runs in, if it has one of its own, and its globals.
    pub(super) fn namespaces<'a>(&self, frame: Frame) -> [Option<Obj<'a>>; 2] {
        [FRAME_NAMESPACE, FRAME_GLOBALS].map(|offset| {
            // SAFETY: every frame of Python code has these fields; see `find`.
            let word = unsafe { (frame.address as *const u8).add(offset).cast::<usize>().read() };
            (word != 0).then_some(Obj(word as *mut PyObject, PhantomData))
        })
    }

    /// Returns, while a generator's frame yields, the slot that will hold the value sent to it.
    pub(super) fn slot_of_sent(&self, frame: Frame) -> Option<u32> {
        // SAFETY: frames have this field in every version; see `find`.
        let slot = unsafe {
            let field = (frame.address as *const u8).add(FRAME_STACK);
            if self.layout.has_stack_pointer {
                // The yielded value is still on the stack.
                let first = frame.address + self.layout.locals;
                (field.cast::<usize>().read().checked_sub(first)? / 8).checked_sub(1)?
            } else {
                usize::try_from(field.cast::<c_int>().read()).ok()?
            }
        };
        (slot < STACK_MAX).then_some(slot as u32)
    }

    /// Returns, while a generator's frame resumes, the value sent to it. `slot` is what
    /// [`Self::slot_of_sent`] returned when the frame yielded.
    pub(super) fn sent<'a>(&self, frame: Frame, slot: u32) -> Option<Obj<'a>> {
        let first = frame.address + self.layout.locals;
        // SAFETY: the same instruction always leaves the stack at the same depth, and the value is
        // on it.
        object_in(unsafe { (first as *const usize).add(slot as usize).read() })
    }

    /// Returns the code unit that this frame, which must be the running one, is at now.
    pub(super) fn unit(&self, frame: Frame) -> u32 {
        self.running().filter(|running| running.address == frame.address).map_or(0, |f| f.unit)
    }

    /// Returns the running frame if it is of this code object, as it is in events of Python code.
    #[inline(always)]
    pub(super) fn running_of(&self, code: Obj<'_>) -> Option<Frame> {
        let address = self.finder.current();
        // SAFETY: a frame is running during an event, and its first word is the code object.
        let own = unsafe { (address as *const usize).read() } & POINTER;
        let frame = Frame { address, code: own, instruction: 0, unit: 0 };
        (own == code.address()).then_some(frame)
    }

    /// Returns the frame object of a frame, if it has one.
    pub(super) fn object<'a>(&self, frame: Frame) -> Option<Obj<'a>> {
        // SAFETY: every frame of Python code has this field; see `find`.
        let word = unsafe { (frame.address as *const u8).add(FRAME_OBJECT).cast::<usize>().read() };
        (word != 0).then_some(Obj(word as *mut PyObject, PhantomData))
    }

    /// Whether the running thread has a trace function.
    pub(super) fn is_traced(&self) -> bool {
        // `c_tracefunc` lies right behind `c_profilefunc`.
        let offset = self.finder.profile + size_of::<usize>();
        // SAFETY: within the thread state, a few words after the pointer that `find` found there.
        let function = unsafe { PyThreadState_Get().byte_add(offset).cast::<usize>().read() };
        function != 0
    }

    /// Whether the frame is executing the instruction it is at, as far as the instruction shows.
    #[inline(always)]
    pub(super) fn stand(&self, frame: Frame) -> Stand {
        // SAFETY: the instruction that a complete frame is at lies in its code object's bytecode.
        let opcode = unsafe { (frame.instruction as *const u8).read() };
        self.layout.stands[usize::from(opcode)]
    }

    /// Returns the first frame, from the one at `address` on, that `PyFrame_GetBack` would return.
    ///
    /// # Safety
    /// `address` is 0 or that of a frame in the running thread's list.
    #[inline(always)]
    unsafe fn first_of_python(&self, mut address: usize) -> Option<Frame> {
        // SAFETY: `find` verified that these are the offsets in this interpreter. Frames in the
        // list are alive, and those of Python code have a code object.
        unsafe {
            while address != 0 {
                let frame = address as *const u8;
                let owner = frame.add(self.layout.owner).read();
                if owner < OWNED_BY_INTERPRETER {
                    let code = frame.add(FRAME_CODE).cast::<usize>().read() & POINTER;
                    let instruction = frame.add(FRAME_INSTRUCTION).cast::<usize>().read();
                    let start = code + self.layout.bytecode;
                    let first = (code as *const u8).add(self.layout.first_traceable);
                    let first = start + 2 * first.cast::<u32>().read() as usize;
                    // Otherwise `_PyFrame_IsIncomplete` is true of the frame: it is still making
                    // cells, a generator and the like.
                    if instruction >= first || owner == OWNED_BY_GENERATOR {
                        let unit = (instruction.saturating_sub(start) / 2) as u32;
                        return Some(Frame { address, code, instruction, unit });
                    }
                }
                address = frame.add(FRAME_PREVIOUS).cast::<usize>().read();
            }
            None
        }
    }
}

/// Calls `sys.monitoring.set_local_events`, which is C code that calls no other code. An error may
/// be pending, and stays so. Returns false if the call fails.
///
/// # Safety
/// `function` is that function; `code` is the address of a live code object; the GIL is held.
pub(super) unsafe fn set_local_events(
    function: *mut PyObject,
    tool: c_int,
    code: usize,
    events: c_int,
) -> bool {
    // SAFETY: see above; the references made here are released, the pending error is set again, and
    // the tuple takes over the references to its items.
    unsafe {
        let pending = PyErr_GetRaisedException();
        let items = [
            PyLong_FromLong(tool.into()),
            Py_NewRef(code as *mut PyObject),
            PyLong_FromLong(events.into()),
        ];
        let arguments = PyTuple_New(3);
        let mut result = std::ptr::null_mut();
        if arguments.is_null() || items.contains(&std::ptr::null_mut()) {
            items.into_iter().for_each(|item| Py_XDECREF(item));
        } else {
            for (item, index) in items.into_iter().zip(0..) {
                PyTuple_SetItem(arguments, index, item);
            }
            result = PyObject_Call(function, arguments, std::ptr::null_mut());
        }
        Py_XDECREF(arguments);
        let succeeded = !result.is_null();
        Py_XDECREF(result);
        clear_error();
        PyErr_SetRaisedException(pending);
        succeeded
    }
}

/// Calls a function of `sys.monitoring` that is C code, calls no other code, and returns an int, a
/// str or None. Passes its result to `read`; returns `None` if the call fails. An error may be
/// pending, and stays so. The function's first argument is `tool`, its second is `code`, if any.
///
/// # Safety
/// `function` is such a function; the GIL is held.
pub(super) unsafe fn ask_monitoring<T>(
    function: *mut PyObject,
    tool: c_int,
    code: Option<Obj<'_>>,
    read: impl FnOnce(Obj<'_>) -> T,
) -> Option<T> {
    // SAFETY: see above; the references made here are released, and the pending error is set again.
    unsafe {
        let pending = PyErr_GetRaisedException();
        let argument = PyLong_FromLong(tool.into());
        let answer = match argument.is_null() {
            true => std::ptr::null_mut(),
            false => PyObject_CallFunctionObjArgs(
                function,
                argument,
                code.map_or(std::ptr::null_mut(), |code| code.0),
                std::ptr::null_mut::<PyObject>(),
            ),
        };
        Py_XDECREF(argument);
        let result = (!answer.is_null()).then(|| read(Obj::borrowed(answer)));
        Py_XDECREF(answer);
        // Also clears an error that the call above has caused.
        PyErr_SetRaisedException(pending);
        result
    }
}

/// Whether an object is exactly a builtin function.
pub(super) fn is_builtin(function: &pyo3::Bound<'_, pyo3::PyAny>) -> bool {
    // SAFETY: a live object.
    unsafe { Obj::borrowed(function.as_ptr()) }.is_exactly(&raw const PyCFunction_Type)
}

/// Compares the layouts that this file assumes with what public calls return, and finds the types
/// that have no exported name.
///
/// # Errors
/// If a layout does not fit: the kind of object, such as `int objects`.
pub(super) fn verify_layout() -> Result<HiddenTypes, &'static str> {
    // SAFETY: public calls on objects made here or borrowed from builtins; references are released.
    unsafe {
        let number = PyLong_FromLong(0x0123_4567);
        let fits = !number.is_null()
            && Obj::borrowed(number).word(LONG_TAG) >> 3 == 1
            && Obj::borrowed(number).first_digit() == 0x0123_4567;
        Py_XDECREF(number);
        if !fits {
            return Err("int objects");
        }
        let list = Obj::borrowed((&raw mut PyList_Type).cast());
        let append = PyObject_GetAttrString(list.0, c"append".as_ptr());
        let fromkeys = PyDict_GetItemString(
            Obj::borrowed((&raw mut PyDict_Type).cast()).type_dict(),
            c"fromkeys".as_ptr(),
        );
        let len = PyDict_GetItemString(PyEval_GetBuiltins(), c"len".as_ptr());
        let version_ok = list.word(TYPE_FLAGS) == PyType_GetFlags(list.0.cast()) as usize;
        if append.is_null() || fromkeys.is_null() || len.is_null() || !version_ok {
            clear_error();
            return Err("types");
        }
        // Two strings that differ only in whether they are ASCII.
        let (plain, latin) =
            (PyUnicode_FromString(c"abc".as_ptr()), PyUnicode_FromString(c"ab\xc3\xa9".as_ptr()));
        let state = |string: *mut PyObject| match string.is_null() {
            true => 0,
            false => Obj::borrowed(string).word(STRING_STATE) as u32,
        };
        let fits = |bit: &u32| state(plain) & bit != 0 && state(latin) & bit == 0;
        let ascii_bit = ASCII_BITS.into_iter().find(fits);
        ASCII_BIT.store(ascii_bit.unwrap_or(0), Ordering::Relaxed);
        Py_XDECREF(plain);
        Py_XDECREF(latin);
        if ascii_bit.is_none() {
            return Err("str objects");
        }
        let class_of = |object: *mut PyObject, attribute: &CStr| {
            let found = PyObject_GetAttrString(object, attribute.as_ptr());
            let class = if found.is_null() { 0 } else { Py_TYPE(found) as usize };
            Py_XDECREF(found);
            class
        };
        let hidden = HiddenTypes {
            method_descriptor: Py_TYPE(append) as usize,
            classmethod_descriptor: Py_TYPE(fromkeys) as usize,
            wrapper_descriptor: class_of(list.0, c"__len__"),
            method_wrapper: class_of(Py_None(), c"__bool__"),
        };
        // `list.__len__` and `None.__bool__`, which is bound.
        let wraps = |object: *mut PyObject, attribute: &CStr, expected: &str| {
            let found = PyObject_GetAttrString(object, attribute.as_ptr());
            let fits = !found.is_null()
                && matches!(Obj::borrowed(found).callable_shape(&hidden),
                    CallableShape::Wrapper { owner, name, .. }
                        if format!("{}.{}", owner.class_name(), name.ascii().unwrap_or("")) == expected)
                && Obj::borrowed(found)
                    .wrapped_owner(&hidden)
                    .is_none_or(|owner| owner.address() == object as usize);
            Py_XDECREF(found);
            fits
        };
        if !wraps(list.0, c"__len__", "list.__len__")
            || !wraps(Py_None(), c"__bool__", "NoneType.__bool__")
        {
            clear_error();
            return Err("special methods");
        }
        let descriptor = Obj::borrowed(append);
        let named = descriptor.word(DESCRIPTOR_TYPE) == list.address()
            && Obj::method_name(descriptor.word(DESCRIPTOR_METHOD)) == "append";
        Py_DECREF(append);
        let builtin = Obj::borrowed(len);
        if !named
            || Obj::method_name(builtin.word(CFUNCTION_METHOD)) != "len"
            || list.class_name() != "list"
        {
            return Err("builtin functions");
        }
        let exception = PyObject_CallNoArgs(PyExc_ValueError);
        let args = if exception.is_null() {
            std::ptr::null_mut()
        } else {
            PyObject_GetAttrString(exception, c"args".as_ptr())
        };
        let fits = !args.is_null()
            && Obj::borrowed(exception).word(EXCEPTION_ARGS) == args as usize
            && Obj::borrowed(exception).field(EXCEPTION_TRACEBACK).is_none();
        Py_XDECREF(args);
        Py_XDECREF(exception);
        if !fits {
            return Err("exceptions");
        }
        Ok(hidden)
    }
}

impl Obj<'_> {
    /// Returns the `__dict__` of a class; that of a builtin class lives in the interpreter.
    unsafe fn type_dict(self) -> *mut PyObject {
        unsafe extern "C" {
            fn PyType_GetDict(class: *mut PyTypeObject) -> *mut PyObject;
        }
        // SAFETY: a class; builtin classes hold their dict for ever, so the dict stays alive after
        // the reference is released.
        unsafe {
            let dict = PyType_GetDict(self.0.cast());
            Py_XDECREF(dict);
            dict
        }
    }
}

/// Whether this is CPython of the given version: 0x030C for 3.12.
pub(super) fn is_version(version: u64) -> bool {
    // SAFETY: a constant of the interpreter.
    u64::from(unsafe { Py_Version } as u32 >> 16) == version
}

/// Whether this is CPython of the given version or a later one: 0x030C for 3.12.
pub(super) fn is_at_least(version: u64) -> bool {
    // SAFETY: a constant of the interpreter.
    u64::from(unsafe { Py_Version } as u32 >> 16) >= version
}

/// A callable object that calls one C function directly, with no code of CPython in between.
#[repr(C)]
struct Callback {
    base: PyObject,
    call: Vectorcall,
}

/// The C function behind a callback.
pub(super) type Vectorcall = unsafe extern "C" fn(
    *mut PyObject,
    *const *mut PyObject,
    usize,
    *mut PyObject,
) -> *mut PyObject;

/// Returns a new type for the shim's callback objects; null, with an error set, if it cannot be
/// made.
pub(super) fn callback_type() -> *mut PyObject {
    let mut members = [
        PyMemberDef {
            name: c"__vectorcalloffset__".as_ptr(),
            type_code: Py_T_PYSSIZET,
            offset: std::mem::offset_of!(Callback, call) as Py_ssize_t,
            flags: Py_READONLY,
            doc: std::ptr::null(),
        },
        // SAFETY: an all-zero entry is the documented end of the array.
        unsafe { std::mem::zeroed() },
    ];
    let mut slots = [
        PyType_Slot { slot: Py_tp_members, pfunc: members.as_mut_ptr().cast() },
        PyType_Slot { slot: Py_tp_call, pfunc: PyVectorcall_Call as *mut c_void },
        PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = PyType_Spec {
        name: c"dashcam._shim.Callback".as_ptr(),
        basicsize: size_of::<Callback>() as c_int,
        itemsize: 0,
        flags: (Py_TPFLAGS_DEFAULT
            | Py_TPFLAGS_HAVE_VECTORCALL
            | Py_TPFLAGS_IMMUTABLETYPE
            | Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete; CPython copies what it needs, members included.
    unsafe { PyType_FromSpec(&mut spec) }
}

/// Returns a new callback object of `class` (from [`callback_type`]); null, with an error set, if
/// there is no memory.
///
/// # Safety
/// `class` is a live result of [`callback_type`].
pub(super) unsafe fn new_callback(class: *mut PyObject, call: Vectorcall) -> *mut PyObject {
    // SAFETY: the type's basicsize is that of `Callback`, so the field is inside the object.
    unsafe {
        let object = PyType_GenericAlloc(class.cast(), 0);
        if !object.is_null() {
            (*object.cast::<Callback>()).call = call;
        }
        object
    }
}
