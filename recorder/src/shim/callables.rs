//! Maps callables to the numbers of their names.
//!
//! Names follow one rule: `module.qualname`, as a traceback or `help()` prints it. The module is
//! left out if it is `builtins` or `__main__`. An instance with a `__call__` is named by its class,
//! `<Class object>`.

use super::ffi::{CallableShape, HiddenTypes, Obj, in_module};
use super::reach::{self, Does};
use rustc_hash::FxHashMap;

const CACHE: usize = 1 << 12;

/// Words that identify a callable. Callables with the same key have the same name.
type Key = [usize; 3];

/// The names that have a number, and what is known of their callables.
pub(super) struct Callables {
    hidden: HiddenTypes,
    cache: Box<[(Key, u32)]>,
    numbers: FxHashMap<String, u32>,
    /// Changes of objects are recorded.
    follows_changes: bool,
    /// The arguments of calls of C code are recorded.
    describes_arguments: bool,
    /// By number, if changes of objects are recorded.
    behaviours: Vec<Behaviour>,
    /// By number: whether the callable passes its arguments on to a Python function, whose call
    /// then records them under its parameters' names.
    forwards: Vec<bool>,
    /// The last callable that was looked up is a function or method written in Python.
    is_python: bool,
}

/// Whether two keys are the same. Compared word by word, because a comparison as a whole would have
/// to wait until the words are in memory.
#[inline(always)]
pub(super) fn is_same(a: &Key, b: &Key) -> bool {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) == 0
}

fn slot(key: usize) -> usize {
    (key >> 4 ^ key >> 16) & (CACHE - 1)
}

impl Callables {
    pub(super) fn new(hidden: HiddenTypes) -> Callables {
        Callables {
            hidden,
            cache: vec![([0; 3], 0); CACHE].into(),
            numbers: FxHashMap::default(),
            follows_changes: false,
            describes_arguments: false,
            behaviours: Vec::new(),
            forwards: Vec::new(),
            is_python: false,
        }
    }

    /// What calls of the callable with this number do.
    #[inline(always)]
    pub(super) fn behaviour(&self, number: u32) -> Behaviour {
        self.behaviours.get(number as usize).copied().unwrap_or(Behaviour::UNKNOWN)
    }

    /// Whether the callable with this number, which is not a Python function itself, passes its
    /// arguments on to one.
    #[inline(always)]
    pub(super) fn forwards(&self, number: u32) -> bool {
        self.forwards.get(number as usize).copied().unwrap_or(false)
    }

    /// The object that a method in C is bound to.
    #[inline(always)]
    pub(super) fn bound_to<'a>(&self, callable: Obj<'a>) -> Option<Obj<'a>> {
        callable.builtin_owner().or_else(|| callable.wrapped_owner(&self.hidden))
    }

    /// From now on, determines what the calls of new callables may change.
    pub(super) fn follow_changes(&mut self) {
        self.follows_changes = true;
    }

    /// From now on, determines which callables pass their arguments on. The layouts of objects must
    /// have been verified.
    pub(super) fn describe_arguments(&mut self) {
        self.describes_arguments = true;
    }

    /// Whether an object is a method or function in C that changes something when it is called.
    #[inline(always)]
    pub(super) fn changes_when_called(&self, object: Obj<'_>) -> bool {
        reach::changes_when_called(object, &self.hidden)
    }

    /// The classes of callables that the interpreter does not export.
    #[inline(always)]
    pub(super) fn hidden(&self) -> HiddenTypes {
        self.hidden
    }

    /// Whether the last callable that was looked up is a function or method written in Python.
    #[inline(always)]
    pub(super) fn is_python(&self) -> bool {
        self.is_python
    }

    /// Looks up the number of a callable's name. Returns [`Special`] if the name is new or one of
    /// [`WATCHED`].
    ///
    /// A key is valid because its words cannot get another meaning: code objects are watched
    /// ([`Self::forget`]), the strings in a key are kept alive, method tables are static, and
    /// CPython never assigns the same class version twice.
    #[inline(always)]
    pub(super) fn number(&mut self, callable: Obj<'_>) -> Result<u32, Special> {
        let shape = callable.callable_shape(&self.hidden);
        let key = key(callable, &shape);
        self.is_python = matches!(shape, CallableShape::Function { .. });
        if let Some(key) = key
            && let (found, number) = &self.cache[slot(key[0])]
            && is_same(found, &key)
        {
            return Ok(*number);
        }
        self.name(callable, &shape, key)
    }

    #[cold]
    fn name(
        &mut self,
        callable: Obj<'_>,
        shape: &CallableShape<'_>,
        key: Option<Key>,
    ) -> Result<u32, Special> {
        // The strings that the key consists of must stay alive.
        match shape {
            CallableShape::Function { qualname, module, .. } => {
                qualname.keep();
                module.iter().for_each(|module| module.keep());
            }
            CallableShape::Builtin { module, .. } => module.iter().for_each(|module| module.keep()),
            _ => {}
        }
        let key = key.or_else(|| {
            versioned(callable, shape).assign_class_version();
            self::key(callable, shape)
        });
        let name = name(callable, shape);
        let next = self.numbers.len() as u32;
        let (number, new) = match self.numbers.get(&name) {
            Some(number) => (*number, false),
            None => {
                // Without values this is of no use, and the layouts have not been verified.
                if self.follows_changes {
                    let reaches = reach::reaches(callable, shape, &name);
                    self.behaviours.push(Behaviour {
                        effect: effect(&name, shape),
                        does: Does::of(&name),
                        reaches,
                        calls: reach::calls(reaches, &name),
                        may_call: reach::may_call(callable, shape, &name),
                        ends_with_call: reach::ends_with_call(&name),
                        sets_tracer: SETTING_TRACER.contains(&&*name),
                    });
                }
                self.numbers.insert(name.clone(), next);
                (next, true)
            }
        };
        if self.describes_arguments {
            let at = number as usize;
            self.forwards.resize(self.forwards.len().max(at + 1), false);
            // An earlier callable with this name may not have done so.
            self.forwards[at] |= reach::forwards(callable, shape, &name);
        }
        let is_watched = WATCHED.contains(&&*name);
        // Watched callables are not cached, so that each of their calls comes here.
        if let Some(key) = key.filter(|_| !is_watched) {
            self.cache[slot(key[0])] = (key, number);
        }
        if new || is_watched {
            return Err(Special { number, name: new.then_some(name), is_watched });
        }
        Ok(number)
    }

    /// Removes a code object that was destroyed. No functions with it are left.
    pub(super) fn forget(&mut self, code: usize) {
        let entry = &mut self.cache[slot(code)];
        if entry.0[0] == code {
            *entry = ([0; 3], 0);
        }
    }
}

/// What calls of a callable do, apart from what is recorded where it happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behaviour {
    /// What they do to their arguments, if the callable is written in C.
    pub(super) effect: Effect,
    pub(super) does: Does,
    /// They may change objects without a record.
    pub(super) reaches: bool,
    /// They may call their arguments before they return.
    pub(super) calls: bool,
    /// They may keep their arguments and call them at any time.
    pub(super) may_call: bool,
    /// If they call their arguments, they do so before they return.
    pub(super) ends_with_call: bool,
    /// They may set the interpreter's tracer of objects.
    pub(super) sets_tracer: bool,
}

impl Behaviour {
    const UNKNOWN: Behaviour = Behaviour {
        effect: Effect::Any,
        does: Does::Other,
        reaches: true,
        calls: true,
        may_call: true,
        ends_with_call: false,
        sets_tracer: false,
    };
}

/// What a call of C code may do to its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes none of them.
    None,
    /// It may change containers.
    Any,
    /// It sets attributes.
    SetsAttributes,
    /// It is `list.append`.
    Appends,
    /// It is `list.sort`.
    Sorts,
    /// It changes its first argument, counted as in [`Doing`], and nothing else.
    Does(Doing),
}

/// What a call of C code does to its first argument. For a method, the first argument is the object
/// that it is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Stores the third argument under the second.
    SetItem,
    DeleteItem,
    /// Sets an attribute: in the method's own way if `is_own`, else in the way of the object's
    /// class.
    SetAttribute {
        is_own: bool,
    },
    DeleteAttribute {
        is_own: bool,
    },
    /// Inserts the third argument before the item at the second.
    Insert,
    Append,
    AppendLeft,
    /// Removes the last item, or the one at the second argument. From a dict, removes the item
    /// under the second argument, if there is one.
    Pop,
    /// Stores the third argument under the second, unless something is stored there.
    SetDefault,
    /// Removes the second argument, if it is there.
    Discard,
    PopLeft,
    /// Adds the second argument to a set.
    Add,
    /// Changes the object in a way that is found out by examining it.
    Whole,
}

impl Doing {
    /// Whether its key is the name of an attribute.
    pub(super) fn is_attribute(self) -> bool {
        matches!(self, Doing::SetAttribute { .. } | Doing::DeleteAttribute { .. })
    }

    /// What the function with this name does.
    fn of_function(name: &str) -> Option<Doing> {
        Some(match name {
            "setattr" => Doing::SetAttribute { is_own: false },
            "delattr" => Doing::DeleteAttribute { is_own: false },
            "_operator.setitem" => Doing::SetItem,
            "_operator.delitem" => Doing::DeleteItem,
            "_heapq.heappush"
            | "_heapq.heappop"
            | "_heapq.heapify"
            | "_heapq.heapreplace"
            | "_heapq.heappushpop"
            | "_bisect.insort_left"
            | "_bisect.insort_right"
            | "_operator.iadd"
            | "_operator.iand"
            | "_operator.iconcat"
            | "_operator.imul"
            | "_operator.ior"
            | "_operator.isub"
            | "_operator.ixor" => Doing::Whole,
            _ => return None,
        })
    }

    /// What a method of a builtin class does.
    fn of_method(class: &str, method: &str) -> Option<Doing> {
        use Doing::{
            Add, Append, AppendLeft, DeleteAttribute, DeleteItem, Discard, Insert, Pop, PopLeft,
            SetAttribute, SetDefault, SetItem, Whole,
        };
        match method {
            "__setattr__" => return Some(SetAttribute { is_own: true }),
            "__delattr__" => return Some(DeleteAttribute { is_own: true }),
            _ => {}
        }
        const SEQUENCE: [(&str, Doing); 13] = [
            ("append", Append),
            ("insert", Insert),
            ("pop", Pop),
            ("extend", Whole),
            ("remove", Whole),
            ("reverse", Whole),
            ("clear", Whole),
            ("__setitem__", SetItem),
            ("__delitem__", DeleteItem),
            ("__iadd__", Whole),
            ("__imul__", Whole),
            ("byteswap", Whole),
            ("fromlist", Whole),
        ];
        const MAP: [(&str, Doing); 10] = [
            ("update", Whole),
            ("__ior__", Whole),
            ("__setitem__", SetItem),
            ("__delitem__", DeleteItem),
            ("pop", Pop),
            ("popitem", Whole),
            ("clear", Whole),
            ("setdefault", SetDefault),
            ("move_to_end", Whole),
            ("__missing__", Whole),
        ];
        const SET: [(&str, Doing); 13] = [
            ("update", Whole),
            ("difference_update", Whole),
            ("intersection_update", Whole),
            ("symmetric_difference_update", Whole),
            ("__ior__", Whole),
            ("__iand__", Whole),
            ("__isub__", Whole),
            ("__ixor__", Whole),
            ("add", Add),
            ("remove", Discard),
            ("discard", Discard),
            ("pop", Whole),
            ("clear", Whole),
        ];
        const DEQUE: [(&str, Doing); 12] = [
            ("append", Append),
            ("appendleft", AppendLeft),
            ("pop", Pop),
            ("popleft", PopLeft),
            ("insert", Insert),
            ("extend", Whole),
            ("extendleft", Whole),
            ("remove", Whole),
            ("rotate", Whole),
            ("reverse", Whole),
            ("clear", Whole),
            ("__setitem__", SetItem),
        ];
        let methods: &[(&str, Doing)] = match class {
            "list" | "bytearray" | "array.array" => &SEQUENCE,
            "dict" | "collections.OrderedDict" | "collections.defaultdict" => &MAP,
            "set" => &SET,
            "collections.deque" => &DEQUE,
            _ => return None,
        };
        methods.iter().find(|(name, _)| *name == method).map(|(_, doing)| *doing)
    }
}

/// What calls of a callable do to their arguments.
fn effect(name: &str, shape: &CallableShape<'_>) -> Effect {
    // A bound method is named by the class of its object, which may be derived from the builtin
    // class.
    let builtin = match shape {
        CallableShape::Builtin { owner: Some(owner), .. }
            if !owner.is_module() && !owner.is_class() =>
        {
            Some(owner.class().immutable_base())
        }
        CallableShape::Wrapper { owner, .. } | CallableShape::Descriptor { owner, .. } => {
            Some(owner.immutable_base())
        }
        _ => None,
    };
    if matches!(shape, CallableShape::Class) {
        return Effect::None;
    }
    match (builtin, name.rsplit_once('.')) {
        (Some(builtin), Some((_, method))) => {
            Effect::of(&format!("{}.{method}", builtin.class_name()), true)
        }
        _ => Effect::of(name, false),
    }
}

impl Effect {
    /// The effect of a callable in C with this name. One that is not known may change anything.
    fn of(name: &str, is_method: bool) -> Effect {
        const CONTAINERS: [(&str, &[&str]); 3] = [
            ("list", &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"]),
            ("dict", &["clear", "pop", "popitem", "setdefault", "update"]),
            ("set", &["add", "clear", "discard", "pop", "remove"]),
        ];
        const UNCHANGING: [&str; 9] =
            ["str", "bytes", "int", "float", "tuple", "frozendict", "frozenset", "range", "bool"];
        if !is_method && let Some(doing) = Doing::of_function(name) {
            return Effect::Does(doing);
        }
        let Some((owner, method)) = name.rsplit_once('.') else {
            return match name {
                "exec" | "eval" | "next" => Effect::Any,
                // These are other functions of `builtins`, and classes.
                _ => Effect::None,
            };
        };
        if name == "list.append" {
            return Effect::Appends;
        }
        if name == "list.sort" {
            return Effect::Sorts;
        }
        if is_method && let Some(doing) = Doing::of_method(owner, method) {
            return Effect::Does(doing);
        }
        if ["__setattr__", "__delattr__", "__set__", "__delete__"].contains(&method) {
            return Effect::SetsAttributes;
        }
        if UNCHANGING.contains(&owner) {
            return Effect::None;
        }
        match CONTAINERS.iter().find(|(class, _)| *class == owner) {
            // `update` in its many forms, `__setitem__`, `__iadd__` and so on change the container
            // too.
            Some((_, methods))
                if !methods.contains(&method)
                    && !method.ends_with("update")
                    && !method.starts_with("__") =>
            {
                Effect::None
            }
            _ => Effect::Any,
        }
    }
}

/// The name of a callable.
pub(super) fn name_of(callable: Obj<'_>, hidden: &HiddenTypes) -> String {
    name(callable, &callable.callable_shape(hidden))
}

fn name(callable: Obj<'_>, shape: &CallableShape<'_>) -> String {
    match shape {
        CallableShape::Function { qualname, module, .. } => {
            let (qualname, _) = qualname.text(1 << 12).unwrap_or_default();
            in_module(*module, &qualname)
        }
        CallableShape::Builtin { method, owner, module } => {
            // SAFETY: from the shape just taken.
            let name = unsafe { Obj::method_name(*method) };
            match owner.filter(|owner| !owner.is_module()) {
                None => in_module(*module, &name),
                Some(owner) if owner.is_class() => format!("{}.{name}", owner.class_name()),
                Some(owner) => format!("{}.{name}", owner.class().class_name()),
            }
        }
        CallableShape::Descriptor { method, owner } => {
            // SAFETY: from the shape just taken.
            format!("{}.{}", owner.class_name(), unsafe { Obj::method_name(*method) })
        }
        CallableShape::Wrapper { owner, name, .. } => {
            format!("{}.{}", owner.class_name(), name.text(1 << 12).unwrap_or_default().0)
        }
        CallableShape::Class => callable.class_name(),
        CallableShape::Instance => format!("<{} object>", callable.class().class_name()),
    }
}

/// Callables of which every call is checked: those that can switch off another tool's events, and
/// those that start profiling.
const WATCHED: [&str; 7] = [
    "sys.setprofile",
    "sys._setprofileallthreads",
    "sys.monitoring.set_events",
    "sys.monitoring.set_local_events",
    "sys.monitoring.register_callback",
    "sys.monitoring.clear_tool_id",
    "sys.monitoring.free_tool_id",
];

/// Functions in C that set or unset the interpreter's tracer of objects.
const SETTING_TRACER: [&str; 2] = ["_tracemalloc.start", "_tracemalloc.stop"];

/// A callable that needs more than to have its number recorded.
pub(super) struct Special {
    pub(super) number: u32,
    /// Its name, if the name is new and has to be defined.
    pub(super) name: Option<String>,
    /// It is one of [`WATCHED`].
    pub(super) is_watched: bool,
}

/// The class that a method in C is named by: its owner if that is a class, else the owner's class.
#[inline(always)]
fn class_of(owner: Obj<'_>) -> Obj<'_> {
    if owner.is_class() { owner } else { owner.class() }
}

/// The class whose version is part of a callable's key.
fn versioned<'a>(callable: Obj<'a>, shape: &CallableShape<'a>) -> Obj<'a> {
    match shape {
        CallableShape::Builtin { owner: Some(owner), .. } => class_of(*owner),
        CallableShape::Descriptor { owner, .. } | CallableShape::Wrapper { owner, .. } => *owner,
        CallableShape::Class => callable,
        _ => callable.class(),
    }
}

#[inline(always)]
fn key(callable: Obj<'_>, shape: &CallableShape<'_>) -> Option<Key> {
    let address = |object: Option<Obj<'_>>| object.map_or(0, Obj::address);
    Some(match shape {
        CallableShape::Function { code, qualname, module } => {
            [code.address(), qualname.address(), address(*module)]
        }
        CallableShape::Builtin { method, owner: None, module } => [*method, 1, address(*module)],
        CallableShape::Builtin { method, owner: Some(owner), module } => {
            if owner.is_module() {
                [*method, 1, address(*module)]
            } else {
                let class = class_of(*owner);
                // The odd address makes the key differ from that of a function in a module.
                [*method, class.address() | 1, class.class_version()?]
            }
        }
        CallableShape::Descriptor { method, owner } => {
            [*method, owner.address(), owner.class_version()?]
        }
        // Entries of the slot table are static.
        CallableShape::Wrapper { slot, owner, .. } => {
            [*slot, owner.address() | 2, owner.class_version()?]
        }
        CallableShape::Class => [callable.address(), 2, callable.class_version()?],
        CallableShape::Instance => {
            let class = callable.class();
            [class.address(), 4, class.class_version()?]
        }
    })
}
