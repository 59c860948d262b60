"""The independent witness of values: what `repr` gives for arguments, results and exceptions.

    python oracle.py OUT SCOPE SCRIPT [ARGS…]

A line of OUT for each event of a code object whose file begins with SCOPE: kind, qualified name, and the values
as text, or `?` where a value is not built of builtin types alone or goes beyond the recorder's limits.
"""
import array
import atexit
import collections
import sys

M, E = sys.monitoring, sys.monitoring.events
STRING, ITEMS, DEPTH, DIGITS = 200, 50, 3, 300
out, scope, script = sys.argv[1:4]
log = []


# Small classes of the standard library, written as by `repr` wherever they are. They are given by their names: a
# module that is imported here is not imported by the program any more.
SMALL = {
    *("datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone"),
    *("zoneinfo.ZoneInfo", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "re.Pattern", "re.Match"),
    *("pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib._local.PosixPath", "pathlib._local.PurePosixPath"),
    *("ipaddress.IPv4Address", "ipaddress.IPv6Address"),
}
VIEWS = {
    *(type({}.keys()), type({}.values()), type({}.items()), type(type.__dict__)),
    *(type(collections.OrderedDict().keys()), type(collections.OrderedDict().values())),
    type(collections.OrderedDict().items()),
}
HELD = {"collections.UserDict", "collections.UserList", "collections.UserString"}


def origin(function):
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"


def is_standard(value, depth, around):
    kind, inside = type(value), (*around, value)
    name, code = origin(kind), getattr(kind.__repr__, "__code__", None)
    if name == "re.Pattern":
        # Their own `repr` cuts them.
        return len(repr(value.pattern)) <= STRING
    if name in SMALL:
        return True
    if origin(kind.__repr__) in ("enum.Enum.__repr__", "enum.Flag.__repr__"):
        return is_plain(value._value_, depth + 1, inside)
    if name == "time.struct_time" or code and code.co_qualname == "namedtuple.<locals>.__repr__":
        return depth < DEPTH and all(is_plain(item, depth + 1, inside) for item in value)
    # Objects within others are written by their class only.
    if depth > 0 and kind not in VIEWS:
        return False
    if kind in VIEWS:
        pairs = value.items() if hasattr(value, "items") else value
        return all(is_plain(item, depth + 2, inside) for item in pairs)
    wrapped = getattr(kind.__repr__, "__wrapped__", None)
    if getattr(wrapped, "__qualname__", "") == "__create_fn__.<locals>.__repr__":
        fields = [name for name, field in kind.__dataclass_fields__.items() if field.repr]
        fields = [name for name in fields if kind.__dataclass_fields__[name]._field_type.name == "_FIELD"]
        return all(is_plain(getattr(value, name), depth + 1, inside) for name in fields)
    if name == "types.SimpleNamespace":
        return all(is_plain(item, depth + 1, inside) for item in vars(value).values())
    if name in HELD:
        return is_plain(value.data, depth + 1, inside)
    return name == "collections.ChainMap" and is_plain(value.maps, depth + 1, inside)


def is_plain(value, depth=0, around=()):
    kind = type(value)
    if kind is int:
        return abs(value) < 10**DIGITS
    if kind in (bool, float, complex, type(None), type(...), type(NotImplemented), range, slice):
        return True
    if kind in (str, bytes, bytearray):
        return len(value) <= STRING
    if kind is array.array:
        return len(value) <= ITEMS
    if any(value is outer for outer in around):
        return True
    if depth >= DEPTH:
        return False
    inside = (*around, value)
    if kind in (list, tuple, set, frozenset, collections.deque):
        return len(value) <= ITEMS and all(is_plain(item, depth + 1, inside) for item in value)
    if kind in (dict, collections.OrderedDict, collections.Counter, collections.defaultdict):
        return len(value) <= ITEMS and all(
            is_plain(key, depth + 1, inside) and is_plain(item, depth + 1, inside) for key, item in value.items()
        )
    try:
        return is_standard(value, depth, around)
    except AttributeError:  # The object is not complete yet.
        return False


def text(value):
    if isinstance(value, BaseException) and type(value).__module__ == "builtins":
        return repr(value) if all(is_plain(arg, 1) for arg in value.args) else "?"
    try:
        found = repr(value) if is_plain(value) else "?"
    except AttributeError:  # The object is not complete yet.
        return "?"
    # Recordings of all versions have the text as it was before 3.15: every ' is escaped.
    is_new = sys.version_info >= (3, 15) and found.startswith('bytearray(b"')
    return found.replace("'", "\\'") if is_new else found


def start(code, offset):
    if not code.co_filename.startswith(scope):
        return
    frame = sys._getframe(1)
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    values = frame.f_locals
    texts = [(name, text(values[name])) for name in code.co_varnames[:count] if name in values]
    whole = "?" if any(one == "?" for _, one in texts) else ", ".join(f"{name}={one}" for name, one in texts)
    log.append(("PY_START", code.co_qualname, whole))


def logger(kind):
    def event(code, offset, value):
        if code.co_filename.startswith(scope):
            log.append((kind, code.co_qualname, text(value)))
    return event


def write():
    M.set_events(M.PROFILER_ID, 0)
    with open(out, "w", encoding="utf-8", errors="backslashreplace") as file:
        for row in log:
            print(*row, sep="\t", file=file)


with open(script, encoding="utf-8") as file:
    code = compile(file.read(), script, "exec")
main = type(sys)("__main__")
main.__file__ = script
keep, sys.modules["__main__"] = sys.modules["__main__"], main
sys.argv = sys.argv[3:]
sys.path[0] = script.rpartition("/")[0]
atexit.register(write)
M.use_tool_id(M.PROFILER_ID, "oracle")
M.register_callback(M.PROFILER_ID, E.PY_START, start)
for kind in ("PY_RETURN", "PY_YIELD"):
    M.register_callback(M.PROFILER_ID, getattr(E, kind), logger(kind))
M.set_events(M.PROFILER_ID, E.PY_START | E.PY_RETURN | E.PY_YIELD)
exec(code, main.__dict__)
