"""The independent witness: what sys.monitoring reports of a program, logged by plain Python.

    python oracle.py OUT SCOPE SCRIPT [ARGS…]

SCOPE has path prefixes, joined by `:`. Events of code objects are logged if their file begins with one of these, or
if they come from a text given to exec (`<string>`). Each event is a line of OUT, tab-separated, with `-` for what
the event does not have:

    thread kind file qualname first_line offset line target_offset callable exception

Only modules built into the interpreter are imported, so that the program imports the rest itself.
"""
import _thread
import atexit
import sys

M, E = sys.monitoring, sys.monitoring.events
KINDS = """PY_START PY_RESUME PY_RETURN PY_YIELD PY_THROW PY_UNWIND CALL C_RETURN C_RAISE RAISE RERAISE
EXCEPTION_HANDLED STOP_ITERATION LINE JUMP INSTRUCTION""".split()
# 3.14 splits BRANCH; it still exists there but is deprecated.
KINDS += ["BRANCH_LEFT", "BRANCH_RIGHT"] if hasattr(E, "BRANCH_LEFT") else ["BRANCH"]
TARGET = ("JUMP", "BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT")
out, scope, script = sys.argv[1], (*sys.argv[2].split(":"), "<string>"), sys.argv[3]
log = []
local = _thread._local()  # the system reuses the number of a finished thread


def thread():
    if not hasattr(local, "token"):
        local.token = object()
    return local.token


def class_name(cls):
    module = type.__getattribute__(cls, "__module__")
    qualname = type.__dict__["__qualname__"].__get__(cls)
    return qualname if module in ("builtins", "__main__", None) else f"{module}.{qualname}"


def callable_name(f, BuiltinType=type(len), FunctionType=type(class_name), ModuleType=type(sys)):
    if type(f).__name__ == "method":
        f = f.__func__
    if isinstance(f, type):
        return class_name(f)
    if isinstance(f, BuiltinType) and not isinstance(f.__self__, ModuleType | None):
        owner = f.__self__ if isinstance(f.__self__, type) else type(f.__self__)
        return f"{class_name(owner)}.{f.__name__}"  # a method bound to its object
    if isinstance(f, (BuiltinType, FunctionType)):
        return f.__qualname__ if f.__module__ in ("builtins", "__main__", None) else f"{f.__module__}.{f.__qualname__}"
    if hasattr(type(f), "__objclass__"):  # slot wrappers, method descriptors
        return f"{class_name(f.__objclass__)}.{f.__name__}"
    return f"<{class_name(type(f))} object>"


def logger(kind):  # names are read at once: keeping objects would delay their finalizers
    if kind == "LINE":
        return lambda code, line: log.append((thread(), kind, code, None, line, None, None, None))
    if kind in TARGET:
        return lambda code, at, to: log.append((thread(), kind, code, at, None, to, None, None))
    if kind in ("CALL", "C_RETURN", "C_RAISE"):
        return lambda code, at, f, arg0: log.append((thread(), kind, code, at, None, None, callable_name(f), None))
    if kind in ("PY_RETURN", "PY_YIELD"):  # the value may be an exception
        return lambda code, at, value: log.append((thread(), kind, code, at, None, None, None, None))
    return lambda code, at, x=None: log.append(
        (thread(), kind, code, at, None, None, None, class_name(type(x)) if isinstance(x, BaseException) else None)
    )


def write():
    M.set_events(M.PROFILER_ID, 0)
    threads, lines = {}, {}
    with open(out, "w", encoding="utf-8") as file:
        for token, kind, code, at, line, to, called, exception in log:
            if not code.co_filename.startswith(scope):
                continue
            if at is not None:
                if id(code) not in lines:  # not the code object: hashing a large one takes long
                    lines[id(code)] = {o: n for a, b, n in code.co_lines() for o in range(a, b, 2)}
                line = lines[id(code)][at] or None  # 0: the RESUME of a module, which is on no line
            row = (threads.setdefault(token, len(threads)), kind, code.co_filename, code.co_qualname,
                   code.co_firstlineno, at, line, to, called, exception)
            print(*("-" if x is None else x for x in row), sep="\t", file=file)


with open(script, encoding="utf-8") as file:
    code = compile(file.read(), script, "exec")
main = type(sys)("__main__")
main.__file__ = script
keep, sys.modules["__main__"] = sys.modules["__main__"], main
sys.argv = sys.argv[3:]
sys.path[0] = script.rpartition("/")[0]
atexit.register(write)  # registered first, so it runs after the program's own
M.use_tool_id(M.PROFILER_ID, "oracle")
for kind in KINDS:
    M.register_callback(M.PROFILER_ID, getattr(E, kind), logger(kind))
M.set_events(M.PROFILER_ID, sum(getattr(E, kind) for kind in KINDS))
exec(code, main.__dict__)
