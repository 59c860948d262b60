"""Record everything a Python program does, and query it afterwards.

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

# For type checkers. The modules that read recordings are imported when they are used, so that a
# recorded program does not pay for them.
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
        Columns,
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
        redact: str | Iterable[str]
        no_default_redact: bool
        no_c_arguments: bool
        max_wait: float | None

    class _CallsOptions(_Options, total=False):
        db: str | os.PathLike[str]

else:

    def _overload(function):
        return function


__all__ = [
    "Call",
    "Columns",
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

_READY, _STOPPED, _STORED, _FAILED, _WORKING, _ABANDONED = b"R", b"S", b"D", b"F", b".", b"A"
# A recorder that works is ready long before that.
_START_SECONDS = 30
_RING_MIB = 8
_VALUES_RING_MIB = 16
_EVENTS = ("derived", "direct", "verify")
_CAPTURE = ("flow", "calls", "state")
_LIMITS = ("max_string", "max_items", "max_depth", "max_objects", "max_digits")


class DashcamError(Exception):
    """Recording could not start, or a recording cannot be read."""

    def _render_traceback_(self) -> "list[str]":
        """What a notebook shows: one line with the message, without the frames of dashcam."""
        return [f"{type(self).__name__}: {self}"]


def open(db: "str | os.PathLike[str]" = "dashcam.db") -> "Recording":
    """Open a recording: its runs, their events in SQL, and any moment of them.

    Raises DashcamError, with the reason, if the recording cannot be read.
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
    def __init__(
        self, process: "Popen[bytes]", control: "socket", run_id: int, path: str, max_wait: float
    ) -> None:
        self.process = process
        self.control = control
        self.run_id = run_id
        self.path = path
        self.max_wait = max_wait


_session: "_Session | None" = None
_lock = _threading.Lock()


def _program(name: str) -> str:
    """The path of one of the two programs that were installed with this package."""
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
    """Start recording this process, all its threads, into `db`. Returns when recording is on.

    Options, all by name:

    - `include`: record only these: module names (with the modules in them) or path globs.
    - `exclude`: do not record these: module names or path globs.
    - `no_stdlib`: do not record the standard library.
    - `events`: record every event by callback, or derive what can be derived: "derived" (record the
      events from which the others are derived; the default), "direct" (record every kind by
      callback: the reference) or "verify" (record directly, derive as well, and compare).
    - `capture`: how much of the program's values to record: "flow" (none: events only), "calls"
      (arguments, results and exceptions) or "state" (also what variables and objects hold, at every
      instruction; the default).
    - `max_string`: record at most this many characters of a str, bytes of a bytes.
    - `max_items`: record at most this many items of a container, attributes of an instance.
    - `max_depth`: examine containers within containers down to this depth.
    - `max_objects`: examine at most this many objects for one event.
    - `max_digits`: record at most about this many digits of an int.
    - `redact`: strings, or one string: leave out values whose names contain one of them, besides
      the usual ones (password, token …).
    - `no_default_redact`: do not leave out the values of the usual names.
    - `no_c_arguments`: leave out the arguments of functions written in C.
    - `max_wait`: how many seconds the program waits for a recorder that is held up, before
      recording is given up and the program goes on unrecorded.

    Raises DashcamError, with the reason, if recording cannot start. Trouble after that raises
    nothing: one line on standard error reports it, and the program goes on.
    """
    _start(db, _checked(**options))


def _start(db: "str | os.PathLike[str]", options: "dict[str, Any]") -> "_Session":
    global _session
    path = _os.fspath(db)
    with _lock:
        if _session is not None:
            raise DashcamError("already recording; call dashcam.stop() first")
        try:
            _session = _begin(path, options)
        except (OSError, RuntimeError) as error:
            raise DashcamError(f"recording cannot start: {error}") from None
        return _session


def _begin(path: str, options: "dict[str, Any]") -> _Session:
    """Starts the recorder and the shim.

    Leaves nothing behind if that fails: no process, no descriptor, no run and no file.
    """
    ours, theirs = _socket.socketpair()
    rings: list[int] = []
    process = None
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
            path,
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
        ours.settimeout(_START_SECONDS)
        try:
            ready = ours.recv(1) == _READY
            answer = _receive(ours, 12) if ready else b"".join(iter(lambda: ours.recv(4096), b""))
        except TimeoutError:
            process.kill()
            raise DashcamError("the recorder process did not answer") from None
        if not ready or len(answer) < 12:
            reason = "" if ready else answer.decode(errors="replace")
            raise DashcamError(reason or "the recorder process ended before it was ready")
        run_id = int.from_bytes(answer[:8], "little")
        where = _os.fsdecode(_receive(ours, int.from_bytes(answer[8:], "little")))
        control = _os.dup(ours.fileno())
        (ring, values), rings = (rings[0], rings[1] if rings[1:] else -1), []
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
            options["no_c_arguments"],
            options["max_wait"],
        )
        return _Session(process, ours, run_id, where, options["max_wait"])
    except BaseException:
        try:
            ours.sendall(_ABANDONED)
        except OSError:
            pass
        ours.close()
        if process is not None:
            process.wait()
        raise
    finally:
        theirs.close()
        for ring in rings:
            _os.close(ring)


def _receive(control: "socket", count: int) -> bytes:
    """Receives `count` bytes, or fewer if the other end closes before that."""
    received = b""
    while len(received) < count and (more := control.recv(count - len(received))):
        received += more
    return received


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
    redact: "str | Iterable[str]" = (),
    no_default_redact: bool = False,
    no_c_arguments: bool = False,
    max_wait: float | None = None,
) -> "dict[str, Any]":
    """The options of `start` as the shim takes them. Raises ValueError if one makes no sense."""
    if events not in _EVENTS:
        raise ValueError(f"events must be 'derived', 'direct' or 'verify', not {events!r}")
    if capture not in _CAPTURE:
        raise ValueError(f"capture must be 'flow', 'calls' or 'state', not {capture!r}")
    given = (max_string, max_items, max_depth, max_objects, max_digits)
    limits = tuple(map(_limit, _LIMITS, given, _shim.LIMITS, _shim.LIMITS_MAX))
    redact = [redact] if isinstance(redact, str) else list(redact)
    if not all(isinstance(name, str) and name for name in redact):
        raise ValueError(f"redact must be strings that are not empty, not {redact!r}")
    defaults = [] if no_default_redact else _shim.REDACTED
    if max_wait is None:
        max_wait = _shim.DEFAULT_MAX_WAIT
    if not isinstance(max_wait, (int, float)) or not 0 <= max_wait <= 86_400:
        raise ValueError(f"max_wait must be a number of seconds from 0 to 86400, not {max_wait!r}")
    return {
        "include": _strings(include),
        "exclude": _strings(exclude),
        "no_stdlib": bool(no_stdlib),
        "events": events,
        "capture": capture,
        "limits": limits,
        "redact": [*defaults, *(name.lower() for name in redact)],
        "no_c_arguments": bool(no_c_arguments),
        "max_wait": float(max_wait),
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
    """Stop recording. Returns the number of the run once the run is stored.

    Returns None if recording was not on, or if a part of the run could not be stored. The reason
    for the latter is on standard error.
    """
    run_id, failed = _stop()
    return None if failed else run_id


def _stop() -> tuple[int | None, str | None]:
    """Stops recording. Returns the number of the run that ends and, if a part of the run is
    missing, the reason, which has been reported to the user."""
    global _session
    with _lock:
        session, _session = _session, None
        if session is None:
            return None, None
        try:
            _shim.stop()
            failed = _shim.failure()
        except Exception as error:
            failed = f"{error}"
            _shim.warn(f"recording did not stop as it should: {error}")
        kind, reason = _last_answer(session)
        if failed is None and kind != _STORED:
            failed = reason
            if kind != _FAILED:
                _shim.warn(f"{reason}; the program goes on")
        return session.run_id, failed


def _last_answer(session: _Session) -> tuple[bytes, str]:
    """Tells the recorder that no more records will come. Returns its answer, and the reason for a
    part of the run to be missing if the answer is not `_STORED`. A recorder that is silent for too
    long is left to finish by itself."""
    kind, reason = b"", "the recorder process ended before everything was stored"
    try:
        session.control.settimeout(max(session.max_wait, 0.5))
        session.control.sendall(_STOPPED)
        while (kind := session.control.recv(1)) == _WORKING:
            pass
        if kind == _FAILED:
            text = b"".join(iter(lambda: session.control.recv(4096), b""))
            reason = text.decode(errors="replace")
    except TimeoutError:
        kind = b""
        reason = "the recorder is held up; it goes on storing what was recorded by itself"
        # The process is not waited for. With a return code, Popen does not warn about that.
        session.process.returncode = 0
    except OSError:
        kind = b""
    finally:
        session.control.close()
    if session.process.returncode is None:
        session.process.wait()
    return kind, reason


class record:
    """Context manager and decorator: record what runs inside. Takes the options of `start`.

    Afterwards `run_id` is the number of the run, and `path` is the file that it is in: `db`, or a
    file beside it if `db` could not be used. `failed` is None, or the reason why a part of the run
    is missing. A missing part raises nothing; one line on standard error reports it. An exception
    is raised only if recording cannot start, before anything inside runs.
    """

    def __init__(
        self, db: "str | os.PathLike[str]" = "dashcam.db", **options: "Unpack[_Options]"
    ) -> None:
        self.db = db
        self.run_id: int | None = None
        self.path: str | None = None
        self.failed: str | None = None
        self._options = _checked(**options)

    def __enter__(self) -> "Self":
        session = _start(self.db, self._options)
        self.run_id, self.path, self.failed = None, session.path, None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> "Literal[False]":
        self.run_id, self.failed = _stop()
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

    Calls while recording is already on are part of that recording.
    """
    if function is None:
        return lambda function: record_calls(function, **options)

    @_functools.wraps(function)
    def recorded(*args: "Any", **kwargs: "Any") -> "Any":
        # There is a session even if its recording has failed: it has not been stopped yet.
        if _session is not None or is_recording():
            return function(*args, **kwargs)
        with record(**options):
            return function(*args, **kwargs)

    return recorded


@_atexit.register
def _at_exit() -> None:
    if _session is not None:
        stop()


def _forget_in_child() -> None:
    global _session, _lock
    _session = None
    _lock = _threading.Lock()


_os.register_at_fork(after_in_child=_forget_in_child)
