"""Has something happen at a stage of the interpreter's end: `finalizing.py STAGE WHAT`.

What happens writes a line by itself, so that it is seen to have happened, and has all that it needs as
defaults: globals and builtins may be gone.
"""
import _thread
import atexit
import ctypes
import gc
import os
import sys
import threading
import weakref

write = os.write


class Late(ValueError):
    def __str__(self):
        return "never asked"


def plain(write=write):
    a = [1]
    a.append(2)
    write(1, b"plain\n")


def defines(write=write, compile=compile, exec=exec):
    text = "def inner(x, *, y=1):\n    global z\n    z = x\n    return [i for i in (x, y)]\nr = inner(1)"
    exec(compile(text, "late", "exec"), {"__builtins__": {}})
    write(1, b"defines\n")


def raises(write=write, errors=(ValueError, KeyError, OSError, Late, StopIteration)):
    for error in errors:
        try:
            raise error(2, "no\udc80ne", b"bytes")
        except error:
            pass
    write(1, b"raises\n")


def calls(write=write, things=(str, int, len, "a".upper, [].append, dict.get, type, object, Late)):
    for thing in things:
        try:
            thing(1)
        except Exception:
            pass
    write(1, b"calls\n")


def generates(write=write):
    def numbers():
        try:
            yield 1
            yield 2
        finally:
            write(1, b"closed\n")

    for i in numbers():
        break
    write(1, b"generates\n")


def imports(write=write, imp=__import__):
    try:
        imp("colorsys")
    except BaseException:
        pass
    write(1, b"imports\n")


def renames(write=write, thread=threading.current_thread()):
    thread._name = "late"
    write(1, b"renames\n")


def forks(write=write, fork=os.fork, leave=os._exit, wait=os.waitpid):
    try:
        pid = fork()
    except BaseException:
        write(1, b"no fork\n")
        return
    if pid == 0:
        leave(0)
    wait(pid, 0)
    write(1, b"forks\n")


what = globals()[sys.argv[2]]


class Finalized:
    def __del__(self, what=what):
        what()


class Kept:
    pass


def in_atexit():
    atexit.register(what)


def in_thread_exit():
    threading._register_atexit(what)


def in_module():
    globals()["kept"] = Finalized()


def in_sys():
    sys.kept = Finalized()


def in_builtins():
    __builtins__.kept = Finalized()


def in_cycle():
    a = Finalized()
    a.me = a
    sys.modules["kept"] = a


def in_last_collection():
    """When there are no modules any more: the case of the weak reference that outlives all."""
    x = Kept()
    x.me = x
    keep = weakref.ref(x, lambda _, what=what: what())
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(keep))
    sys.modules["kept"] = x
    sys.kept = x


def in_thread_state():
    """A thread's own data goes with the thread's state."""
    local = _thread._local()
    local.kept = Finalized()
    sys.kept = local


def in_daemon_thread():
    """Runs until the interpreter stops it."""
    started = threading.Event()

    def spin(what=what):
        what()
        started.set()
        while True:
            f = [i for i in range(10)]

    threading.Thread(target=spin, daemon=True, name="spinner").start()
    started.wait()


def in_generator():
    def waits(what=what):
        try:
            yield
        finally:
            what()

    suspended = waits()
    next(suspended)
    sys.kept = suspended


def in_failing_program():
    sys.kept = Finalized()
    raise Late("at the end")


globals()["in_" + sys.argv[1]]()
print("main", flush=True)
