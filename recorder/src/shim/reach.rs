//! Which calls of C code may change objects without a record.
//!
//! An object that was described need not be examined again until something may have changed it
//! without a record. Python code is recorded, and so is what methods of builtin containers do to
//! their own container ([`Effect`](super::callables::Effect)). Any other code in C may change its
//! arguments and whatever can be reached from them. This module knows the code that does not.

use super::ffi::{CallableShape, HiddenTypes, Obj};
use std::borrow::Cow;

/// Callables that only inspect their arguments and never call them. Beginnings of names.
const INSPECTING: [&str; 6] = [
    "object.",
    "type.__getattribute__",
    "type.__instancecheck__",
    "type.__subclasscheck__",
    "_abc.",
    "_typing.",
];

/// Modules in C that change none of the program's objects, or only the arguments of a call
/// themselves, and classes of `builtins` whose methods do the same. Code that they call back is
/// recorded.
const HARMLESS: [&str; 119] = [
    "BaseException",
    "NoneType",
    "_abc",
    "_asyncio",
    "_bisect",
    "_blake2",
    "_bz2",
    "_codecs",
    "_collections",
    "_contextvars",
    "_csv",
    "_curses",
    "_datetime",
    "_decimal",
    "_frozen_importlib",
    "_functools",
    "_hashlib",
    "_heapq",
    "_imp",
    "_io",
    "_json",
    "_locale",
    "_lzma",
    "_md5",
    "_opcode",
    "_operator",
    "_posixsubprocess",
    "_queue",
    "_random",
    "_sha1",
    "_sha2",
    "_signal",
    "_socket",
    "_sre",
    "_ssl",
    "_stat",
    "_statistics",
    "_string",
    "_struct",
    "_suggestions",
    "_thread",
    "_tokenize",
    "_tracemalloc",
    "_typing",
    "_warnings",
    "_weakref",
    "_zoneinfo",
    "array",
    "async_generator",
    "atexit",
    "binascii",
    "bool",
    "builtin_function_or_method",
    "bytearray",
    "bytes",
    "classmethod",
    "cmath",
    "code",
    "collections",
    "complex",
    "contextvars",
    "coroutine",
    "datetime",
    "decimal",
    "dict",
    "dict_items",
    "dict_keys",
    "dict_values",
    "enumerate",
    "errno",
    "fcntl",
    "float",
    "frame",
    "frozendict",
    "frozenset",
    "function",
    "functools",
    "gc",
    "generator",
    "getset_descriptor",
    "int",
    "io",
    "itertools",
    "list",
    "mappingproxy",
    "marshal",
    "math",
    "member_descriptor",
    "memoryview",
    "method",
    "method_descriptor",
    "mmap",
    "module",
    "object",
    "operator",
    "posix",
    "property",
    "pwd",
    "random",
    "range",
    "re",
    "reversed",
    "select",
    "set",
    "slice",
    "staticmethod",
    "str",
    "super",
    "sys",
    "time",
    "traceback",
    "tuple",
    "type",
    "types",
    "typing",
    "unicodedata",
    "weakref",
    "zip",
    "zlib",
];

/// Classes whose objects, when called, run code that was passed to them when they were made, or read
/// attributes.
const RUNS: [&str; 5] = [
    "<functools._lru_cache_wrapper object>",
    "<method object>",
    "<method-wrapper object>",
    "<operator.attrgetter object>",
    "<weakref.ReferenceType object>",
];

/// Methods that every class in C may have and that make new objects.
const MAKING: [&str; 4] = ["__class_getitem__", "__init__", "__init_subclass__", "__new__"];

/// Functions of `builtins` that call their arguments, perhaps later.
const CALLING: [&str; 6] = ["filter", "iter", "map", "max", "min", "sorted"];

/// Methods of containers that change nothing.
const READING: [&str; 22] = [
    "__contains__",
    "__eq__",
    "__getitem__",
    "__iter__",
    "__len__",
    "copy",
    "count",
    "difference",
    "decode",
    "endswith",
    "find",
    "fromkeys",
    "get",
    "index",
    "intersection",
    "isdisjoint",
    "issubset",
    "issuperset",
    "items",
    "keys",
    "startswith",
    "values",
];

/// What a method in C does to the container it is called on, if it is known without examining the
/// container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// The effect is unknown, or is more than what the others describe.
    Other,
    AppendsToDeque,
    TakesFirst,
    /// Takes the last item, or another if it is called with an index.
    TakesLast,
    /// Changes nothing if the container has as many items afterwards as before.
    Resizes,
}

impl Does {
    /// What the method with this name does.
    pub(super) fn of(name: &str) -> Does {
        match name {
            "collections.deque.append" => Does::AppendsToDeque,
            "collections.deque.popleft" => Does::TakesFirst,
            "collections.deque.pop" | "list.pop" => Does::TakesLast,
            "set.add" | "set.discard" | "dict.setdefault" | "dict.pop" => Does::Resizes,
            _ => Does::Other,
        }
    }
}

/// Whether calls of a callable with this name may change objects of the program without a record.
pub(super) fn reaches(callable: Obj<'_>, shape: &CallableShape<'_>, name: &str) -> bool {
    let mut name = Cow::Borrowed(name);
    match shape {
        // What Python code does is recorded. Classes read what their objects are made of.
        CallableShape::Function { .. } | CallableShape::Class => return false,
        CallableShape::Instance if RUNS.contains(&&*name) => return false,
        CallableShape::Instance => return !callable.class().has_python_method(c"__call__"),
        CallableShape::Builtin { owner: Some(owner), method, .. } if !owner.is_module() => {
            let class = if owner.is_class() { *owner } else { owner.class() };
            // The method of a class derived from a builtin container is the container's.
            if class.is_builtin_container() {
                return false;
            }
            // What a class in Python inherits does what it does in the class it comes from.
            if let Some(defining) = class.defining_class(*method).filter(|it| *it != class) {
                let method = name.rsplit_once('.').map_or(&*name, |(_, method)| method);
                name = format!("{}.{method}", defining.class_name()).into();
            }
        }
        _ => {}
    }
    // The names of functions of `builtins` begin with no module.
    let Some((module, rest)) = name.split_once('.') else { return false };
    let method = rest.rsplit_once('.').map_or(rest, |(_, method)| method);
    if MAKING.contains(&method) {
        return false;
    }
    HARMLESS.binary_search(&module).is_err()
}

/// Methods and functions in C of harmless modules that call their arguments at once.
const CALLING_NOW: [&str; 2] = ["Context.run", "functools.reduce"];

/// Whether calls of a callable with this name may call their arguments before they return.
pub(super) fn calls(reaches: bool, name: &str) -> bool {
    reaches || CALLING_NOW.iter().any(|calling| name.ends_with(calling))
}

/// Functions and methods that call their arguments, and are done with them when they return.
const CALLING_AND_DONE: [&str; 7] = [
    "_contextvars.Context.run",
    "_functools.reduce",
    "contextvars.Context.run",
    "functools.reduce",
    "max",
    "min",
    "sorted",
];

/// Whether a callable with this name, if it calls its arguments, does so before it returns.
pub(super) fn ends_with_call(name: &str) -> bool {
    CALLING_AND_DONE.contains(&name)
}

/// Whether a callable may keep its arguments, or call them, without a record.
pub(super) fn may_call(callable: Obj<'_>, shape: &CallableShape<'_>, name: &str) -> bool {
    match shape {
        CallableShape::Function { .. } => false,
        // It binds its argument, and calls nothing.
        _ if name.ends_with(".__get__") => false,
        _ if INSPECTING.iter().any(|inspecting| name.starts_with(inspecting)) => false,
        // Its `__init__` in Python is recorded.
        CallableShape::Class if callable.has_python_method(c"__init__") => false,
        CallableShape::Builtin { owner: Some(owner), .. } if !owner.is_module() => {
            !owner.class().is_builtin_container()
        }
        CallableShape::Descriptor { owner, .. } => !owner.is_builtin_container(),
        _ => name.contains('.') || CALLING.contains(&name),
    }
}

/// Callables that call something else with their arguments.
const FORWARDING: [&str; 6] = [
    "<functools._lru_cache_wrapper object>",
    "<functools.partial object>",
    "<method object>",
    "_thread.start_joinable_thread",
    "_thread.start_new_thread",
    "contextvars.Context.run",
];

/// Whether calls of a callable pass their arguments on to code in Python.
pub(super) fn forwards(callable: Obj<'_>, shape: &CallableShape<'_>, name: &str) -> bool {
    match shape {
        CallableShape::Class => {
            callable.finds_function(c"__init__")
                || callable.finds_function(c"__new__")
                || callable.class().finds_function(c"__call__")
        }
        CallableShape::Instance => {
            callable.class().finds_function(c"__call__") || FORWARDING.contains(&name)
        }
        _ => FORWARDING.contains(&name),
    }
}

/// Special methods that change the object they are called on.
const CHANGING: [&str; 14] = [
    "__delattr__",
    "__delete__",
    "__delitem__",
    "__iadd__",
    "__iand__",
    "__imul__",
    "__init__",
    "__ior__",
    "__isub__",
    "__ixor__",
    "__setattr__",
    "__setitem__",
    "__setstate__",
    "__set__",
];

/// Functions in C that change their arguments.
const FUNCTIONS: [&str; 17] = [
    "delattr",
    "delitem",
    "exec",
    "heapify",
    "heappop",
    "heappush",
    "heappushpop",
    "heapreplace",
    "iadd",
    "iconcat",
    "insort",
    "insort_left",
    "insort_right",
    "ior",
    "setattr",
    "setitem",
    "setstate",
];

/// Whether an argument of C code is a method or function in C that changes the object it is bound
/// to, or its own argument. When other code calls it later, there is no record of the change.
pub(super) fn changes_when_called(object: Obj<'_>, hidden: &HiddenTypes) -> bool {
    let (method, class) = if let Some(owner) = object.builtin_owner() {
        (object.bound_method(), owner.class())
    } else if object.is_builtin_function() {
        // SAFETY: a function in C has a definition.
        let name = unsafe { Obj::method_name(object.bound_method()) };
        return FUNCTIONS.contains(&&*name);
    } else if object.class().address() == hidden.method_descriptor {
        object.descriptor_method()
    } else if let CallableShape::Wrapper { owner, name, .. } = object.callable_shape(hidden) {
        // `object.__init__` does nothing.
        let is_idle = |name: &str| name == "__init__" && owner.class_name() == "object";
        return name.ascii().is_none_or(|name| CHANGING.contains(&name) && !is_idle(name));
    } else {
        return false;
    };
    // SAFETY: as the callable's shape says, the address of a method's definition.
    class.is_mutable_container() && !READING.contains(&&*unsafe { Obj::method_name(method) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        assert!(HARMLESS.is_sorted());
        assert!(READING.contains(&"get"));
    }
}
