"""Record everything a Python program does; ask about it afterwards.

From the command line::

    dashcam record app.py
    dashcam query "select qualname, calls, self_ns from function_totals order by self_ns desc"

Around a part of a program::

    import dashcam

    with dashcam.record("run.db"):
        work()

And afterwards::

    with dashcam.open("run.db") as recording:
        run = recording.run()
        for error in run.exceptions():
            print(error, error.moment.locals)
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

# For type checkers. What looks at recordings is imported when it is used: a program that is recorded
# is not to pay for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from socket import socket
    from subprocess import Popen
    from types import TracebackType
    from typing import Any, Literal, Self, TypedDict, Unpack
    from typing import overload as _overload

    from ._replay import (
        Call,
        DashcamWarning,
        ExceptionRecord,
        Frame,
        Moment,
        Namespace,
        Origin,
        Recorded,
        Recording,
        Row,
        Rows,
        Run,
        Source,
        Stream,
        Variable,
    )

    class _Options(TypedDict, total=False):
        include: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
        exclude: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
        no_stdlib: bool
        events: Literal["derived", "direct", "verify"]
        capture: Literal["flow", "calls", "state"]
        max_string: int | None
        max_items: int | None
        max_depth: int | None
        max_objects: int | None
        max_digits: int | None
        max_looks: int | None
        redact: str | Iterable[str]
        no_default_redact: bool

    class _CallsOptions(_Options, total=False):
        db: str | os.PathLike[str]

else:

    def _overload(function):
        return function


__all__ = [
    "Call",
    "DashcamError",
    "DashcamWarning",
    "ExceptionRecord",
    "Frame",
    "Moment",
    "Namespace",
    "Origin",
    "Recorded",
    "Recording",
    "Row",
    "Rows",
    "Run",
    "Source",
    "Stream",
    "Variable",
    "is_recording",
    "open",
    "record",
    "record_calls",
    "start",
    "stop",
]

_READY, _REFUSED, _STOPPED, _STORED = b"R", b"E", b"S", b"D"
_RING_MIB = 8
_VALUES_RING_MIB = 16
_EVENTS = ("derived", "direct", "verify")
_CAPTURE = ("flow", "calls", "state")
_LIMITS = ("max_string", "max_items", "max_depth", "max_objects", "max_digits", "max_looks")


class DashcamError(Exception):
    """Recording could not start, what was recorded could not be stored, or cannot be read."""

    def _render_traceback_(self) -> "list[str]":
        """What a notebook shows: the line that says it, without our own frames."""
        return [f"{type(self).__name__}: {self}"]


def open(db: "str | os.PathLike[str]" = "dashcam.db") -> "Recording":
    """Opens a recording to look at it: its runs, their events in SQL, any moment of them.

    Raises DashcamError if it cannot be read, saying why.
    """
    from ._replay import Recording

    return Recording(db)


def __getattr__(name: str) -> "Any":
    if name in __all__:
        from . import _replay

        return getattr(_replay, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})


class _Session:
    def __init__(self, process: "Popen[bytes]", control: "socket") -> None:
        self.process = process
        self.control = control


_session: "_Session | None" = None
_lock = _threading.Lock()


def _program(name: str) -> str:
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


def start(db: "str | os.PathLike[str]" = "dashcam.db", **options: "Unpack[_Options]") -> None:
    """Start recording this process into `db`, all threads of it. Returns when it is on.

    Options, all by name:

    `include` and `exclude` take module names and path globs; `no_stdlib` leaves the standard
    library out.

    `capture` is "flow" (events only), "calls" (arguments, results and exceptions too) or "state"
    (all that variables and objects hold, at every instruction).
    `max_string`, `max_items`, `max_depth`, `max_objects` and `max_digits` say how much of a value
    is kept, `max_looks` how many objects one function has looked at in a quarter of a second (0:
    all). `redact` takes strings: values of names that contain one are left out, besides those
    of the usual ones (password, token …) unless `no_default_redact` is true.

    `events` is "derived" (record what the rest follows from), "direct" (every kind by callback: the
    reference) or "verify" (record directly, derive as well, and compare).

    Raises DashcamError if recording is not possible, saying why.
    """
    _start(db, _checked(**options))


def _start(db: "str | os.PathLike[str]", options: "dict[str, Any]") -> None:
    global _session
    with _lock:
        if _session is not None:
            raise DashcamError("already recording; call dashcam.stop() first")
        ours, theirs = _socket.socketpair()
        rings = []
        try:
            rings.append(_shim.create_ring(_RING_MIB))
            if options["capture"] != "flow":
                rings.append(_shim.create_ring(_VALUES_RING_MIB))
            arguments = [
                _program("dashcam-recorder"),
                "--serve",
                f"--ring-fd={rings[0]}",
                f"--control-fd={theirs.fileno()}",
                *(f"--values-fd={ring}" for ring in rings[1:]),
                "-o",
                _os.fspath(db),
                "--command",
                _json.dumps(getattr(_sys, "orig_argv", _sys.argv)),
            ]
            process = _subprocess.Popen(
                arguments,
                pass_fds=(*rings, theirs.fileno()),
                stdin=_subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            answer = ours.recv(1)
            if answer != _READY:
                reason = b"".join(iter(lambda: ours.recv(4096), b"")).decode(errors="replace")
                process.wait()
                raise DashcamError(reason or "the recorder process ended before it was ready")
            control = _os.dup(ours.fileno())
            (ring, values), rings = (rings[0], rings[1] if rings[1:] else -1), []
            try:
                _shim.start(
                    ring,
                    control,
                    process.pid,
                    options["include"],
                    options["exclude"],
                    options["no_stdlib"],
                    _os.path.dirname(_os.path.abspath(__file__)),
                    options["events"],
                    options["capture"],
                    values,
                    options["limits"],
                    options["redact"],
                )
            except RuntimeError as error:
                ours.close()
                process.wait()
                raise DashcamError(str(error)) from None
        except BaseException:
            ours.close()
            raise
        finally:
            for ring in rings:
                _os.close(ring)
        _session = _Session(process, ours)


def _checked(
    *,
    include: "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]" = (),
    exclude: "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]" = (),
    no_stdlib: bool = False,
    events: str = "derived",
    capture: str = _shim.DEFAULT_CAPTURE,
    max_string: int | None = None,
    max_items: int | None = None,
    max_depth: int | None = None,
    max_objects: int | None = None,
    max_digits: int | None = None,
    max_looks: int | None = None,
    redact: "str | Iterable[str]" = (),
    no_default_redact: bool = False,
) -> "dict[str, Any]":
    """The options of `start` as the shim takes them. Raises ValueError if one makes no sense."""
    if events not in _EVENTS:
        raise ValueError(f"events must be 'derived', 'direct' or 'verify', not {events!r}")
    if capture not in _CAPTURE:
        raise ValueError(f"capture must be 'flow', 'calls' or 'state', not {capture!r}")
    given = (max_string, max_items, max_depth, max_objects, max_digits, max_looks)
    limits = tuple(map(_limit, _LIMITS, given, _shim.LIMITS, _shim.LIMITS_MAX))
    redact = [redact] if isinstance(redact, str) else list(redact)
    if not all(isinstance(name, str) and name for name in redact):
        raise ValueError(f"redact must be strings that are not empty, not {redact!r}")
    defaults = [] if no_default_redact else _shim.REDACTED
    return {
        "include": _strings(include),
        "exclude": _strings(exclude),
        "no_stdlib": bool(no_stdlib),
        "events": events,
        "capture": capture,
        "limits": limits,
        "redact": [*defaults, *(name.lower() for name in redact)],
    }


def _limit(name: str, value: int | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}")
    return int(value)


def _strings(patterns: "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]") -> list[str]:
    if isinstance(patterns, (str, _os.PathLike)):
        patterns = [patterns]
    return [_os.fspath(pattern) for pattern in patterns]


def stop() -> int | None:
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
    """Context manager and decorator: record what runs inside. Takes the options of `start`.

    After it, `run_id` is the number of the run in `db`.
    """

    def __init__(
        self, db: "str | os.PathLike[str]" = "dashcam.db", **options: "Unpack[_Options]"
    ) -> None:
        self.db = db
        self.run_id: int | None = None
        self._options = _checked(**options)

    def __enter__(self) -> "Self":
        _start(self.db, self._options)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> "Literal[False]":
        self.run_id = stop()
        return False

    def __call__[**P, R](self, function: "Callable[P, R]") -> "Callable[P, R]":
        @_functools.wraps(function)
        def recorded(*args: "P.args", **kwargs: "P.kwargs") -> "R":
            with self:
                return function(*args, **kwargs)

        return recorded


@_overload
def record_calls[**P, R](
    function: "Callable[P, R]", /, **options: "Unpack[_CallsOptions]"
) -> "Callable[P, R]": ...
@_overload
def record_calls[**P, R](
    function: None = None, /, **options: "Unpack[_CallsOptions]"
) -> "Callable[[Callable[P, R]], Callable[P, R]]": ...
def record_calls(
    function: "Callable[..., Any] | None" = None, /, **options: "Unpack[_CallsOptions]"
) -> "Callable[..., Any]":
    """Decorator: record every call of the function as a run of its own.

    Calls made while recording is on already are simply part of that recording.
    """
    if function is None:
        return lambda function: record_calls(function, **options)

    @_functools.wraps(function)
    def recorded(*args: "Any", **kwargs: "Any") -> "Any":
        if is_recording():
            return function(*args, **kwargs)
        with record(**options):
            return function(*args, **kwargs)

    return recorded


@_atexit.register
def _at_exit() -> None:
    if _session is not None and is_recording():
        try:
            stop()
        except DashcamError as error:
            print(f"dashcam: {error}", file=_sys.stderr)


def _forget_in_child() -> None:
    global _session, _lock
    _session = None
    _lock = _threading.Lock()


_os.register_at_fork(after_in_child=_forget_in_child)
