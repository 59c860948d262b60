"""Record everything a Python program does; ask about it afterwards.

From the command line::

    dashcam record app.py
    dashcam query "select qualname, calls, self_ns from function_totals order by self_ns desc"

Around a part of a program::

    import dashcam

    with dashcam.record("run.db"):
        work()
"""

import atexit as _atexit
import functools as _functools
import json as _json
import os as _os
import socket as _socket
import subprocess as _subprocess
import sys as _sys
import threading as _threading

from . import _shim
from ._shim import __version__, is_recording

__all__ = ["DashcamError", "is_recording", "record", "record_calls", "start", "stop"]

_READY, _REFUSED, _STOPPED, _STORED = b"R", b"E", b"S", b"D"
_RING_MIB = 8
_EVENTS = ("derived", "direct", "verify")


class DashcamError(Exception):
    """Recording could not start, or what was recorded could not be stored."""


class _Session:
    def __init__(self, process, control):
        self.process = process
        self.control = control


_session = None
_lock = _threading.Lock()


def _program(name):
    """One of the two programs that came with this package."""
    here = _os.path.dirname(_os.path.abspath(__file__))
    # site-packages/dashcam -> bin, for virtual environments, system and user installations alike.
    prefix = here
    while prefix != _os.path.dirname(prefix):
        prefix = _os.path.dirname(prefix)
        candidate = _os.path.join(prefix, "bin", name)
        if _os.access(candidate, _os.X_OK):
            return candidate
    import shutil

    found = shutil.which(name)
    if found is None:
        raise DashcamError(f"{name} is not installed beside the dashcam package; reinstall dashcam")
    return found


def start(db="dashcam.db", *, include=(), exclude=(), no_stdlib=False, events="derived"):
    """Start recording this process into `db`, all threads of it. Returns when it is on.

    `include` and `exclude` take module names and path globs. `events` is "derived" (record what
    the rest follows from), "direct" (every kind by callback: the reference) or "verify" (record
    directly, derive as well, and compare).
    Raises DashcamError if that is not possible, saying why.
    """
    global _session
    _check_events(events)
    with _lock:
        if _session is not None:
            raise DashcamError("already recording; call dashcam.stop() first")
        ours, theirs = _socket.socketpair()
        ring = _shim.create_ring(_RING_MIB)
        try:
            arguments = [
                _program("dashcam-recorder"),
                "--serve",
                f"--ring-fd={ring}",
                f"--control-fd={theirs.fileno()}",
                "-o",
                _os.fspath(db),
                "--command",
                _json.dumps(getattr(_sys, "orig_argv", _sys.argv)),
            ]
            process = _subprocess.Popen(
                arguments,
                pass_fds=(ring, theirs.fileno()),
                stdin=_subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            answer = ours.recv(1)
            if answer != _READY:
                reason = b"".join(iter(lambda: ours.recv(4096), b"")).decode(errors="replace")
                process.wait()
                raise DashcamError(reason or "the recorder process ended before it was ready")
            descriptors, ring = (ring, _os.dup(ours.fileno())), -1
            try:
                _shim.start(
                    *descriptors,
                    process.pid,
                    _strings(include),
                    _strings(exclude),
                    bool(no_stdlib),
                    _os.path.dirname(_os.path.abspath(__file__)),
                    events,
                )
            except RuntimeError as error:
                ours.close()
                process.wait()
                raise DashcamError(str(error)) from None
        except BaseException:
            ours.close()
            raise
        finally:
            if ring >= 0:
                _os.close(ring)
        _session = _Session(process, ours)


def _check_events(events):
    if events not in _EVENTS:
        raise ValueError(f"events must be 'derived', 'direct' or 'verify', not {events!r}")


def _strings(patterns):
    return [patterns] if isinstance(patterns, str) else [_os.fspath(p) for p in patterns]


def stop():
    """Stop recording; returns the number of the run once it is stored, or None if none was on."""
    global _session
    with _lock:
        session, _session = _session, None
        if session is None:
            return None
        _shim.stop()
        try:
            session.control.sendall(_STOPPED)
            answer = b""
            while len(answer) < 9 and (more := session.control.recv(9 - len(answer))):
                answer += more
        except OSError:
            answer = b""
        finally:
            session.control.close()
        session.process.wait()
        if answer[:1] != _STORED:
            raise DashcamError("the recorder process ended before everything was stored")
        return int.from_bytes(answer[1:9], "little")


class record:
    """Context manager and decorator: record what runs inside.

    After it, `run_id` is the number of the run in `db`.
    """

    def __init__(
        self, db="dashcam.db", *, include=(), exclude=(), no_stdlib=False, events="derived"
    ):
        _check_events(events)
        self.db = db
        self.run_id = None
        self._options = {
            "include": include,
            "exclude": exclude,
            "no_stdlib": no_stdlib,
            "events": events,
        }

    def __enter__(self):
        start(self.db, **self._options)
        return self

    def __exit__(self, *exception):
        self.run_id = stop()
        return False

    def __call__(self, function):
        @_functools.wraps(function)
        def recorded(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return recorded


def record_calls(function=None, /, **options):
    """Decorator: record every call of the function as a run of its own.

    Calls made while recording is on already are simply part of that recording.
    """
    if function is None:
        return lambda function: record_calls(function, **options)

    @_functools.wraps(function)
    def recorded(*args, **kwargs):
        if is_recording():
            return function(*args, **kwargs)
        with record(**options):
            return function(*args, **kwargs)

    return recorded


@_atexit.register
def _at_exit():
    if _session is not None and is_recording():
        try:
            stop()
        except DashcamError as error:
            print(f"dashcam: {error}", file=_sys.stderr)


def _forget_in_child():
    global _session, _lock
    _session = None
    _lock = _threading.Lock()


_os.register_at_fork(after_in_child=_forget_in_child)
