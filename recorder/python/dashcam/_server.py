"""The program `dashcam serve`, as a child process that answers questions about one recording.

Lines of JSON both ways, one question at a time; `replayer/cli/src/serve/mod.rs` describes them.
"""

import collections
import json
import os
import subprocess
import tempfile
import threading
import warnings
import weakref
from typing import Any

from . import DashcamError, _program

_PROTOCOL = 1
# A child that does not react to an interrupt is killed after this number of seconds.
_PATIENCE = 2.0


class DashcamWarning(UserWarning):
    """A part of the recording is damaged, and its contents are missing from the answers."""


class _Refused(DashcamError):
    """The request makes no sense here."""


class _Child:
    """The child process. Its descriptors are plain numbers, so that a forked process can close
    them, whatever this process was doing with them at the time."""

    def __init__(self, command: list[str]) -> None:
        self._buffer = bytearray()
        with tempfile.TemporaryFile() as errors:
            self._errors = os.dup(errors.fileno())
        input, self._input = os.pipe()
        self._output, output = os.pipe()
        try:
            self.process = subprocess.Popen(
                command,
                stdin=input,
                stdout=output,
                stderr=self._errors,
                # Ctrl-C is for this process alone, which interrupts the child itself.
                start_new_session=True,
            )
        except BaseException:
            self.close()
            raise
        finally:
            os.close(input)
            os.close(output)

    def close(self) -> None:
        for descriptor in (self._input, self._output, self._errors):
            os.close(descriptor)

    def send(self, request: dict[str, object]) -> None:
        line = memoryview(json.dumps(request).encode() + b"\n")
        while line:
            line = line[os.write(self._input, line) :]

    def readline(self) -> bytes:
        """The next line, without its end; empty if there are no more."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            more = os.read(self._output, 1 << 16)
            if not more:
                return b""
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def last_words(self) -> str:
        """Waits for the child to end. Returns the last line that it wrote on standard error."""
        status = self.process.wait()
        written = os.pread(self._errors, 1 << 16, max(0, os.fstat(self._errors).st_size - (1 << 16)))
        lines = written.decode(errors="replace").split("\n")
        messages = [line.strip() for line in lines if line.strip()]
        if messages:
            return messages[-1].removeprefix("dashcam: ")
        return f"the program dashcam ended unexpectedly (status {status})"

    def end(self, pid: int) -> None:
        """Ends the child. Does nothing in a process other than `pid`: a fork, whose child it is
        not."""
        if os.getpid() != pid:
            return
        self.close()
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            # The child only reads, so nothing is lost.
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """Closes the pipes in a forked process. While it has them, the child does not notice that
        its parent ends."""
        self.process.returncode = 0
        self.close()


class Server:
    """The server for one recording. Thread-safe. The child is started again if it has ended. In a
    forked process all requests are refused."""

    def __init__(self, path: str) -> None:
        self.path = path
        # The number of times a child was started. A cursor ends with the child that opened it.
        self.generation = 0
        # Cursors that are no longer read: generation and number. One may be added at any moment.
        self.abandoned: collections.deque[tuple[int, int]] = collections.deque()
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._busy = False
        self._closed = False
        self._id = 0
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._child: _Child | None = None
        self._child = self._start()
        _servers.add(self)

    def ask(self, method: str, **members: object) -> Any:
        """The answer to a request. Raises DashcamError, with one line, if it cannot be answered.

        If this is interrupted (KeyboardInterrupt), so is the child. The next request is answered.
        """
        if os.getpid() != self._pid:
            raise DashcamError(f"{self.path}: opened before a fork; open it again in this process")
        with self._lock:
            self._refuse_if_busy()
            self.refuse_if_closed()
            self._busy = True
            try:
                child = self._child
                if child is None:
                    child = self._child = self._start()
                while self.abandoned:
                    generation, cursor = self.abandoned.popleft()
                    if generation == self.generation:
                        self._talk(child, "close", {"cursor": cursor})
                answer = self._talk(child, method, members)
            finally:
                self._busy = False
        for note in answer.get("notes", ()):
            warnings.warn(note, DashcamWarning, stacklevel=3)
        if (error := answer.get("error")) is not None:
            kind = _Refused if error["kind"] == "refused" else DashcamError
            raise kind(error["message"])
        return answer["result"]

    def refuse_if_closed(self) -> None:
        """Raises DashcamError if the server was closed."""
        if self._closed:
            raise DashcamError(f"{self.path}: this recording was closed")

    @property
    def has_changed(self) -> bool:
        """Whether a new process may see the file in another state than the child does."""
        return self._child is None or self._seen != _state(self.path)

    def close(self) -> None:
        """Ends the child. Does nothing in a forked process: the child is not its own."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._refuse_if_busy()
            self._closed = True
            self._drop()

    @property
    def closed(self) -> bool:
        return self._closed

    def restart(self) -> None:
        """Ends the child, so that the next request sees the file as it is then."""
        if os.getpid() == self._pid:
            with self._lock:
                self._refuse_if_busy()
                self._drop()

    def _refuse_if_busy(self) -> None:
        # This thread has the lock, so only a request of its own can be under way.
        if self._busy:
            raise DashcamError(f"{self.path}: asked from within a question (a signal handler?)")

    def _start(self) -> _Child:
        self.generation += 1
        self._seen = _state(self.path)
        command = [_program("dashcam"), "serve", "--", self.path]
        try:
            child = _Child(command)
        except OSError as error:
            raise DashcamError(f"the program dashcam cannot be started: {error}") from None
        # Ends the child when this server is no longer referenced, or when this process ends.
        self._finalizer = weakref.finalize(self, child.end, os.getpid())
        try:
            hello = child.readline()
            if not hello:
                raise DashcamError(child.last_words())
            if json.loads(hello).get("protocol") != _PROTOCOL:
                raise DashcamError(f"{command[0]} is of another version; reinstall dashcam")
        except BaseException:
            child.process.kill()
            self._finalizer()
            raise
        return child

    def _drop(self) -> None:
        self._child = None
        if self._finalizer is not None:
            self._finalizer()

    def _talk(self, child: _Child, method: str, members: dict[str, object]) -> Any:
        self._id += 1
        try:
            child.send({"id": self._id, "method": method, **members})
        except BrokenPipeError:
            raise self._lost(child) from None
        except BaseException:
            # It is not known how much of the line was sent.
            child.process.kill()
            self._drop()
            raise
        try:
            return self._receive(child, self._id)
        except DashcamError:
            raise
        except BaseException:
            self._cancel(child)
            raise

    def _receive(self, child: _Child, wanted: int) -> Any:
        while line := child.readline():
            try:
                answer = json.loads(line)
            except ValueError:
                # The rest of an answer whose reading was interrupted.
                continue
            if answer["id"] == wanted:
                return answer
        raise self._lost(child)

    def _lost(self, child: _Child) -> DashcamError:
        error = DashcamError(child.last_words())
        self._drop()
        return error

    def _cancel(self, child: _Child) -> None:
        """Interrupts the request that the child is working on, and reads on until it answers
        again."""
        watchdog = threading.Timer(_PATIENCE, child.process.kill)
        watchdog.daemon = True
        try:
            watchdog.start()
            self._id += 1
            child.send({"method": "interrupt"})
            child.send({"id": self._id, "method": "close", "cursor": 0})
            self._receive(child, self._id)
        except (DashcamError, OSError):
            self._drop()
        except BaseException:
            child.process.kill()
            self._drop()
            raise
        finally:
            watchdog.cancel()


def _state(path: str) -> list[tuple[int, int] | None]:
    """Sizes and times of the recording and of its write-ahead log, which change when something is
    written. An empty file counts as none, because a reader creates an empty log."""
    states: list[tuple[int, int] | None] = []
    for name in (path, path + "-wal"):
        try:
            status = os.stat(name)
        except OSError:
            states.append(None)
        else:
            states.append((status.st_size, status.st_mtime_ns) if status.st_size else None)
    return states


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _forget_in_child() -> None:
    for server in _servers:
        if server._finalizer is not None and server._finalizer.detach() and server._child is not None:
            server._child.forget()


os.register_at_fork(after_in_child=_forget_in_child)
