"""The independent witness of variables: what each of them held whenever a line began.

    python oracle.py OUT PROGRAM [PART…]

Runs PROGRAM as `__main__`. Each LINE event of code of PROGRAM, and of files whose path contains a PART, is a line of
OUT, a JSON array:

    thread, in order of appearance; qualified name; line; {name: what it held}; names that need not be shown

What a variable held is the text that `repr` gives; for an instance of a class of that code
`{"class": name, "attributes": {name: text or null}}`; null for everything else, and for what is beyond the recorder's
limits: such a name is bound, and its value is not compared.

No code of the program runs for this. Only modules written in C are imported, so that the program imports the rest
itself.
"""
import _collections
import _json
import _thread
import atexit
import builtins
import itertools
import sys

M, E = sys.monitoring, sys.monitoring.events
STRING, ITEMS, DEPTH, DIGITS, OBJECTS = 200, 50, 3, 300, 16
SHORT = 15  # characters; longer texts are objects to the recorder, and count as such
OPTIMIZED, IMMUTABLE_TYPE, HEAP_TYPE = 1, 1 << 8, 1 << 9  # bits of co_flags and of a class's __flags__

# STORE_NAME, STORE_GLOBAL, EXTENDED_ARG
OPCODES = {(3, 12): (90, 97, 144), (3, 13): (114, 113, 71), (3, 14): (116, 115, 69), (3, 15): (115, 114, 67)}

OrderedDict = _collections.OrderedDict
GetSet, Module = type(type.__dict__["__dict__"]), type(sys)
# By id: comparing a class with another could call its metaclass.
SORTS = {
    id(kind): kind.__name__
    for kind in (str, bytes, int, float, complex, range, slice, bytearray, list, tuple, set, frozenset, dict,
                 OrderedDict, _collections.deque, _collections.defaultdict)
}
# New in 3.15.
frozendict = getattr(builtins, "frozendict", None)
if frozendict is not None:
    SORTS[id(frozendict)] = "frozendict"
CONSTANTS = {id(value) for value in (None, True, False, ..., NotImplemented)}
DICTS = ("dict", "defaultdict", "OrderedDict", "Counter", "frozendict")
FACTORIES = {id(kind) for kind in (int, float, str, list, dict, set, tuple)}
NAMED = {id(kind) for kind in (type(lambda: 0), type(len), Module)}


class Slotted:
    __slots__ = ("one",)


Member = type(Slotted.one)
# Read from the class itself: a metaclass may redefine these.
mro_of, dict_of, flags_of, size_of, qualname_of = (
    type.__dict__[name].__get__ for name in ("__mro__", "__dict__", "__flags__", "__basicsize__", "__qualname__")
)


class Beyond(Exception):
    """A value is beyond the limits, or of a type whose text is not compared."""


def sort_of(value):
    """Returns the name of its builtin type, if it is exactly of one; None for other types."""
    kind = type(value)
    for module, name in (("collections", "Counter"), ("array", "array")):
        found = sys.modules.get(module)
        if type(found) is Module and found.__dict__.get(name) is kind:
            return name
    return SORTS.get(id(kind))


def scalar(value):
    """Returns the text of a value that holds no other objects; None if it is not such a value."""
    sort = sort_of(value)
    if sort in ("str", "bytes") and len(value) > STRING or sort == "int" and abs(value) >= 10**DIGITS:
        raise Beyond
    is_scalar = sort in ("str", "bytes", "int", "float", "complex") or id(value) in CONSTANTS
    return repr(value) if is_scalar else None


def is_object(value):
    """Whether the recorder describes it as an object of its own."""
    sort = sort_of(value)
    if sort in ("str", "bytes"):
        return len(value) > SHORT or sort == "str" and not value.isascii()
    if sort == "int":
        return not -(2**63) <= value < 2**63
    return sort != "float" and id(value) not in CONSTANTS


def inside(value):
    """Returns the values that a container or an exception holds."""
    sort = sort_of(value)
    if sort in ("list", "tuple", "set", "frozenset", "deque"):
        return first(value)
    if sort in DICTS:
        return [one for pair in first(items_of(value)) for one in pair]
    if any(one is BaseException for one in mro_of(type(value))):
        return first(BaseException.__dict__["args"].__get__(value))
    return []


def first(values):
    """Returns as many of them as the recorder keeps."""
    found = []
    for value in values:
        if len(found) == ITEMS:
            break
        found.append(value)
    return found


def count(values):
    """Returns how many objects these are and hold, or more than are compared. An object found twice counts twice."""
    found, due = 0, list(values)
    while due and found <= OBJECTS:
        value = due.pop()
        if is_object(value):
            found += 1
            due += inside(value)
    return found


def text(value, around=()):
    """Returns what `repr` gives, within the limits."""
    found = scalar(value)
    return container(value, around) if found is None else found


def container(value, around):
    sort = sort_of(value)
    if sort == "range":
        start, stop, step = text(value.start), text(value.stop), text(value.step)
        return f"range({start}, {stop})" if step == "1" else f"range({start}, {stop}, {step})"
    if sort == "slice":
        parts = [scalar(part) for part in (value.start, value.stop, value.step)]
        if None in parts:
            raise Beyond
        return f"slice({', '.join(parts)})"
    if sort == "bytearray" and len(value) <= STRING or sort == "array" and len(value) <= ITEMS:
        found = repr(value)
        # Recordings of all versions have the text as it was before 3.15: every ' is escaped.
        is_new = sys.version_info >= (3, 15) and found.startswith('bytearray(b"')
        return found.replace("'", "\\'") if is_new else found
    if sort not in ("list", "tuple", "set", "frozenset", "deque", *DICTS):
        raise Beyond
    if any(value is outer for outer in around):
        return within_itself(sort, value)
    if len(around) >= DEPTH or len(value) > ITEMS:
        raise Beyond
    around = (*around, value)
    if sort in DICTS:
        return any_dict(sort, value, around)
    items = ", ".join([text(item, around) for item in value])
    if sort == "list":
        return f"[{items}]"
    if sort == "tuple":
        return f"({items},)" if len(value) == 1 else f"({items})"
    if sort == "set":
        return f"{{{items}}}" if value else "set()"
    if sort == "frozenset":
        return f"frozenset({{{items}}})" if value else "frozenset()"
    return f"deque([{items}])" if value.maxlen is None else f"deque([{items}], maxlen={value.maxlen})"


def items_of(value):
    return frozendict.items(value) if sort_of(value) == "frozendict" else dict.items(value)


def any_dict(sort, value, around):
    texts = [(text(key, around), text(item, around)) for key, item in items_of(value)]
    if sort == "OrderedDict":
        # Its own order. Getting it hashes the keys, which are of builtin types, or their text would not be known.
        texts = [(text(key, around), text(item, around)) for key, item in OrderedDict.items(value)]
    if sort == "Counter":
        if not all(type(item) is int for item in dict.values(value)):
            raise Beyond
        texts.sort(key=lambda pair: int(pair[1]), reverse=True)
    items = "{" + ", ".join([f"{key}: {item}" for key, item in texts]) + "}"
    if sort == "dict":
        return items
    if sort == "defaultdict":
        return f"defaultdict({factory(value)}, {items})"
    return f"{sort}({items})" if texts else f"{sort}()"


def within_itself(sort, value):
    if sort == "defaultdict":
        return f"defaultdict({factory(value)}, {{...}})"
    found = {"list": "[...]", "deque": "[...]", "tuple": "(...)", "dict": "{...}", "OrderedDict": "..."}.get(sort)
    if found is None:
        raise Beyond
    return found


def factory(value):
    found = value.default_factory
    if found is not None and id(found) not in FACTORIES:
        raise Beyond
    return repr(found)


def is_plain(value):
    """Whether it is an instance that holds attributes and nothing else, of a class of the code that is compared."""
    kind = type(value)
    if not flags_of(kind) & HEAP_TYPE:
        return False
    classes = mro_of(kind)[:-1]
    name = dict_of(kind).get("__module__")
    module = sys.modules.get(name) if type(name) is str else None
    file = module.__dict__.get("__file__") if type(module) is Module else None
    if type(file) is not str or not is_compared(file) or any(flags_of(one) & IMMUTABLE_TYPE for one in classes):
        return False
    slots = sum(type(one) is Member for place in classes for one in dict_of(place).values())
    return size_of(kind) == size_of(object) + 8 * slots


def attributes(value):
    """Returns what an instance holds, by name."""
    found, own = {}, {}
    for place in mro_of(type(value))[:-1]:
        for name, one in dict_of(place).items():
            if type(one) is Member:
                try:
                    found[name] = one.__get__(value)
                except AttributeError:
                    pass
            elif name == "__dict__" and type(one) is GetSet:
                own = one.__get__(value)
    return {**found, **own}


def instance(value):
    held = attributes(value)
    if len(held) > ITEMS:
        raise Beyond
    is_small = count(held.values()) < OBJECTS
    shown = {}
    for name, one in held.items():
        # A value that is no object is shown however many objects there are.
        shown[name] = text_or_none(one, (value,)) if is_small or not is_object(one) else None
    module, name = dict_of(type(value))["__module__"], qualname_of(type(value))
    return {"class": name if module == "__main__" else f"{module}.{name}", "attributes": shown}


def text_or_none(value, around=()):
    try:
        return text(value, around)
    except Beyond:
        return None


def held(value):
    if is_plain(value):
        return instance(value)
    return text_or_none(value) if count([value]) <= OBJECTS else None


def goes_by_name(value):
    return id(type(value)) in NAMED or any(one is type for one in mro_of(type(value)))


def variables(frame, code):
    """Returns names and values of a frame, and the names whose values are not compared."""
    if code.co_flags & OPTIMIZED:
        found = frame.f_locals
        pairs = list(found.items())
        if type(found) is dict:
            # 3.12 fills a dict that the frame keeps: it would keep the values alive too.
            found.clear()
        return pairs, [name for name, _ in pairs if name.startswith(".")]
    found = frame.f_locals
    # Variables of comprehensions, which f_locals may not contain, and what a class body has from functions around it.
    hidden = [*code.co_varnames, *code.co_cellvars, *code.co_freevars]
    is_module = code.co_name == "<module>"
    if type(found) is not dict:
        # From 3.13 on f_locals has no more than this within a comprehension; a module has its variables elsewhere.
        if not is_module:
            return [], None
        found = frame.f_globals
    pairs = list(found.items())
    if is_module:
        bound = bound_names(code)
        hidden += [name for name, value in pairs
                   if name.startswith("__") or goes_by_name(value) or name not in bound]
    return pairs, hidden


def bound_names(code):
    """Returns the names that instructions of a module's code bind. Other names in its namespace came from elsewhere,
    for example by `import *`, `exec` or `globals()[…]`; the recorder does not treat them as variables of the frame."""
    found = bound.get(id(code))
    if found is None:
        store_name, store_global, extended_arg = OPCODES[sys.version_info[:2]]
        names, extended = set(), 0
        for opcode, operand in zip(code.co_code[::2], code.co_code[1::2]):
            operand |= extended
            extended = operand << 8 if opcode == extended_arg else 0
            if opcode in (store_name, store_global):
                names.add(code.co_names[operand])
        found, _ = bound[id(code)] = names, code  # kept, so that no other code gets its id
        return found
    return found[0]


def line(code, number):
    if not is_compared(code.co_filename):
        return M.DISABLE
    pairs, free = variables(sys._getframe(1), code)
    told = {name: held(value) for name, value in pairs if type(name) is str and name not in (free or ())}
    if not hasattr(local, "number"):
        local.number = next(numbers)
    log.write(f"{to_json([local.number, code.co_qualname, number, told, free])}\n")


def to_json(value):
    if value is None:
        return "null"
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return _json.encode_basestring_ascii(value)
    if type(value) is list:
        return f"[{','.join([to_json(item) for item in value])}]"
    return "{" + ",".join([f"{to_json(name)}:{to_json(item)}" for name, item in value.items()]) + "}"


def is_compared(path):
    found = known.get(path)
    if found is None:
        found = known[path] = path == script or any(part in path for part in parts)
    return found


def close():
    M.set_events(M.PROFILER_ID, 0)
    log.close()


out, script, *parts = sys.argv[1:]
known, bound = {}, {}
local, numbers = _thread._local(), itertools.count()  # the system reuses the number of a finished thread
log = open(out, "w", encoding="utf-8")
with open(script, encoding="utf-8") as file:
    code = compile(file.read(), script, "exec")
main = type(sys)("__main__")
main.__file__ = script
keep, sys.modules["__main__"] = sys.modules["__main__"], main
sys.argv = [script]
sys.path[0] = script.rpartition("/")[0]
atexit.register(close)  # registered first, so it runs after the program's own
M.use_tool_id(M.PROFILER_ID, "oracle")
M.register_callback(M.PROFILER_ID, E.LINE, line)
# From 3.13 on the first line of a call has no event of its own unless the call has one.
M.set_events(M.PROFILER_ID, E.LINE | E.PY_START)
exec(code, main.__dict__)
