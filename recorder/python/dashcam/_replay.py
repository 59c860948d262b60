"""Read recordings: `dashcam.open("dashcam.db")`.

All answers come from the program `dashcam`, which runs beside this process for as long as a
recording is open. Nothing of the recorded program is imported or run.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, final

from . import DashcamError, _columns, _html, _values
from ._columns import Columns
from ._rows import Parameters, Row, Rows, Stream
from ._server import DashcamWarning, Server, _Refused
from ._values import Namespace, Recorded, Variable

__all__ = [
    "Call",
    "Columns",
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
]


@final
class Recording(Mapping[int, "Run"]):
    """A file of recorded runs: a mapping from numbers to runs. It shows the file as it was when it
    was opened.

    A context manager. Several threads may use it, but not a forked process.
    """

    def __init__(self, path: str | os.PathLike[str] = "dashcam.db") -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._server = Server(self.path)

    def close(self) -> None:
        """Closes the recording. What was read before stays usable."""
        self._server.close()

    @property
    def closed(self) -> bool:
        return self._server.closed

    def refresh(self) -> None:
        """Shows the file as it is now, in case a recorder has written more of it."""
        self._server.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def runs(self) -> "list[Run]":
        """All runs, in order."""
        return [Run(self, row) for row in self.stream("SELECT * FROM runs ORDER BY run_id")]

    def run(self, run_id: int | None = None) -> "Run":
        """The run with this number, or the last run if no number is given."""
        sql = "SELECT * FROM runs WHERE ?1 IS NULL OR run_id = ?1 ORDER BY run_id DESC LIMIT 1"
        for row in self.stream(sql, [run_id]):
            return Run(self, row)
        which = "runs" if run_id is None else f"run {run_id}"
        raise DashcamError(f"{self.path}: no {which}")

    def __getitem__(self, run_id: int) -> "Run":
        for row in self.stream("SELECT * FROM runs WHERE run_id = ?", [run_id]):
            return Run(self, row)
        raise KeyError(run_id)

    def __iter__(self) -> Iterator[int]:
        return (row.run_id for row in self.stream("SELECT run_id FROM runs ORDER BY run_id"))

    def __len__(self) -> int:
        return int(self.query("SELECT count(*) FROM runs")[0][0])

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def query(self, sql: str, parameters: Parameters = ()) -> Rows:
        """The rows of a statement about all runs. `dashcam schema` describes the tables."""
        return Rows(self.stream(sql, parameters))

    def stream(self, sql: str, parameters: Parameters = ()) -> Stream:
        """The same rows, one by one as they are read. They are not kept."""
        return Stream(self._server, sql, parameters, None)

    def arrow(
        self, table: str, columns: Sequence[str] | None = None, where: str | None = None
    ) -> Columns:
        """The rows of a table, for all runs, as Arrow columns. See `Run.arrow`."""
        self._server.refuse_if_closed()
        return _columns.of_table(self.path, "all", table, columns, where)

    def __repr__(self) -> str:
        return f"<Recording {self.path!r}{' (closed)' if self.closed else ''}>"

    def _repr_html_(self) -> str:
        if self.closed:
            return _html.note(repr(self))
        columns = ["run_id", "started_at", "status", "capture", "event_count", "command"]
        rows = self.query(f"SELECT {', '.join(columns)} FROM runs ORDER BY run_id")
        return _html.heading(self.path) + rows._repr_html_()


@final
class Run:
    """A recorded run of a program."""

    def __init__(self, recording: Recording, row: Row) -> None:
        self.recording = recording
        self.row = row
        """The run's row of the table `runs`."""

    @property
    def run_id(self) -> int:
        return int(self.row["run_id"])

    @property
    def status(self) -> str:
        """`recording`, `complete` or `interrupted`."""
        return str(self.row["status"])

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [str(word) for word in json.loads(self.row["command"])]

    def __getattr__(self, name: str) -> Any:
        """Other columns of the table `runs`: started_at, capture, exit_code …"""
        if name.startswith("_") or name == "row" or name not in self.row._columns:
            raise AttributeError(f"a run has no {name!r}", name=name, obj=self)
        return self.row[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return (self.recording, self.run_id) == (other.recording, other.run_id)

    def __hash__(self) -> int:
        return hash((self.recording, self.run_id))

    def query(self, sql: str, parameters: Parameters = ()) -> Rows:
        """The rows of a statement about this run. Tables that hold several runs have only the rows
        of this one.
        """
        return Rows(self.stream(sql, parameters))

    def stream(self, sql: str, parameters: Parameters = ()) -> Stream:
        """The same rows, one by one as they are read. They are not kept."""
        return Stream(self.recording._server, sql, parameters, self.run_id)

    def arrow(
        self, table: str, columns: Sequence[str] | None = None, where: str | None = None
    ) -> Columns:
        """The rows of a table as Arrow columns, for polars, pandas, pyarrow, DuckDB and others:
        `polars.DataFrame(run.arrow("calls", ["qualname", "self_ns"], "depth < 3"))`.

        `where` is a condition in SQL. Comparisons of columns with integers or texts, joined by
        `and`, are several times as fast as other conditions.
        """
        self.recording._server.refuse_if_closed()
        return _columns.of_table(self.recording.path, str(self.run_id), table, columns, where)

    def calls(
        self, function: str | None = None, where: str | None = None, parameters: Parameters = ()
    ) -> "Iterator[Call]":
        """Calls, in the order in which they ended.

        `function` is a qualified name or the end of one (`total` is also `Order.total`). `where` is
        a condition in SQL on the table `calls`.
        """
        conditions, values = [], parameters
        if function is not None:
            if isinstance(parameters, Mapping):
                values = {**parameters, "function": function, "suffix": "*." + _literal(function)}
                conditions.append("(qualname = :function OR qualname GLOB :suffix)")
            else:
                values = [function, "*." + _literal(function), *parameters]
                conditions.append("(qualname = ? OR qualname GLOB ?)")
        if where is not None:
            conditions.append(f"({where}\n)")
        sql = "SELECT * FROM calls" + (" WHERE " if conditions else "") + " AND ".join(conditions)
        return (Call(self, row) for row in self.stream(sql, values))

    def exceptions(
        self, where: str | None = None, parameters: Parameters = ()
    ) -> "Iterator[ExceptionRecord]":
        """Exceptions, in the order in which they were raised.

        `where` is a condition in SQL on the table `exceptions`, such as `outcome = 'program'`.
        """
        sql = "SELECT * FROM exceptions" + ("" if where is None else f" WHERE ({where}\n)")
        return (ExceptionRecord(self, row) for row in self.stream(sql, parameters))

    @property
    def crash(self) -> "Moment | None":
        """The moment when the exception that ended the program was raised. None if none did. If an
        exception ended another process and the program failed, it is that one.
        """
        ended = """
            SELECT 1 FROM exceptions e JOIN processes p USING (process_id)
            WHERE e.outcome = 'program' AND (p.parent_process_id IS NULL OR EXISTS (
                SELECT 1 FROM runs r WHERE r.run_id = e.run_id AND r.exit_code IS NOT 0))
            LIMIT 1
        """
        return self.at("crash") if len(self.query(ended)) else None

    def at(self, where: int | float | str) -> "Moment":
        """The moment at a position: the `seq` of an event; a part of the run, from 0.0 to 1.0;
        "start", "end", "crash", "1.5s", "20ms", "50%", "call 17", "app.py:12" or "app.py:12 3" (the
        third time that the line runs). The effect of the event has not happened yet.
        """
        match where:
            case bool():
                raise TypeError("a position is a seq, a part from 0.0 to 1.0, or a string")
            case int():
                return self._moment("goto", position=where)
            case float():
                if not 0.0 <= where <= 1.0:
                    raise ValueError(f"a part of a run is from 0.0 to 1.0, not {where}")
                return self._moment("goto", to=f"{where * 100:.12f}%")
            case str():
                return self._moment("goto", to=where)
        raise TypeError("a position is a seq, a part from 0.0 to 1.0, or a string")

    @property
    def start(self) -> "Moment":
        """The moment of its first event."""
        return self.at("start")

    @property
    def end(self) -> "Moment":
        """The moment of its last event."""
        return self.at("end")

    def _moment(self, method: str, **members: object) -> "Moment":
        return Moment(self, self._ask(method, **members))

    def _ask(self, method: str, **members: object) -> Any:
        return self.recording._server.ask(method, run=self.run_id, **members)

    def _value(self, text: str | None) -> Any:
        if text is None:
            return None
        [tagged] = self.recording._server.ask("values", texts=[text])
        return _values.value(tagged, text)

    def _namespace(self, text: str) -> Namespace:
        [tagged] = self.recording._server.ask("values", texts=[text], arguments=True)
        return _values.namespace(tagged, text)

    @property
    def threads(self) -> Rows:
        """Its threads: its rows of the table `threads`."""
        return self.query("SELECT * FROM threads")

    @property
    def losses(self) -> Rows:
        """Everything that was not recorded of it: its rows of the table `losses`."""
        return self.query("SELECT * FROM losses")

    @property
    def files(self) -> Rows:
        """Its source files: its rows of the table `files`."""
        return self.query("SELECT * FROM files")

    def source(self, path: str) -> str | None:
        """The text, as it was during the run, of the file whose path ends with `path`. None if the
        text was not kept.
        """
        ends = "/" + path.lstrip("/")
        sql = "SELECT source, path FROM files WHERE path = ?1 OR substr(path, -length(?2)) = ?2"
        rows = self.query(sql, [path, ends])
        if not rows:
            raise DashcamError(f"no code of {path} ran in run {self.run_id}")
        if len({row[1] for row in rows}) > 1:
            raise DashcamError(f"{path} may be {' or '.join(sorted({row[1] for row in rows}))}")
        return None if rows[-1][0] is None else str(rows[-1][0])

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self.status}: {' '.join(self.command)}>"

    def _repr_html_(self) -> str:
        return _html.heading(repr(self)[1:-1]) + _html.table(
            ["", "value"], self.row.asdict().items()
        )


class _Record:
    """A row of one of a run's tables. Its columns are attributes."""

    def __init__(self, run: Run, row: Row) -> None:
        self.run = run
        self.row = row

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("row", "run") or name not in self.row._columns:
            raise AttributeError(f"no {name!r} in {type(self).__name__}", name=name, obj=self)
        return self.row[name]

    def _repr_html_(self) -> str:
        return _html.table(["", "value"], self.row.asdict().items())


@final
class Call(_Record):
    """A call of a Python function. The columns of the table `calls` are attributes. In `row`,
    `arguments` and `result` are text; as attributes they are Python objects.
    """

    @functools.cached_property
    def arguments(self) -> Namespace | None:
        """Its arguments; None if values were not recorded."""
        text = self.row["arguments"]
        return None if text is None else self.run._namespace(text)

    @functools.cached_property
    def result(self) -> Any:
        """The value that it returned. None also if it did not return (see `exit`), or if values
        were not recorded (then `row.result` is None too, not "None").
        """
        return self.run._value(self.row["result"])

    @property
    def start(self) -> "Moment":
        """The moment when it begins: its arguments are bound, none of its code has run."""
        return self.run.at(int(self.row["start_seq"]))

    @property
    def end(self) -> "Moment | None":
        """The moment of the event that ends it. None if the call is open."""
        seq = self.row["end_seq"]
        return None if seq is None else self.run.at(int(seq))

    @property
    def parent(self) -> "Call | None":
        """The call that it was made from."""
        if self.row["parent_call_id"] is None:
            return None
        return next(self.run.calls(where="call_id = ?", parameters=[self.row["parent_call_id"]]))

    def __repr__(self) -> str:
        arguments, result = self.row["arguments"], self.row["result"]
        ends = {"return": f" -> {'…' if result is None else result}"}
        ends["unwind"] = f" raised {self.row['exception']}"
        text = f"{self.row['qualname']}({'…' if arguments is None else arguments})"
        return f"<Call {self.row['call_id']} {text}{ends.get(self.row['exit'], ' (open)')}>"


@final
class ExceptionRecord(_Record):
    """An exception that was raised. The columns of the table `exceptions` are attributes."""

    @functools.cached_property
    def arguments(self) -> Any:
        """Its `args`, a tuple; None if values were not recorded."""
        return self.run._value(self.row["arguments"])

    @property
    def moment(self) -> "Moment":
        """The moment when it was raised."""
        return self.run.at(int(self.row["seq"]))

    @property
    def handler(self) -> "Moment | None":
        """The moment when it was handled. None if no Python code handled it."""
        seq = self.row["handled_seq"]
        return None if seq is None else self.run.at(int(seq))

    def __repr__(self) -> str:
        name = os.path.basename(self.row["path"])
        message = "" if self.row["message"] is None else f": {self.row['message']}"
        return f"<ExceptionRecord {self.row['type']}{message} at {name}:{self.row['line']}>"


class Source(NamedTuple):
    """Lines of a file. `first` is the number of the first one."""

    path: str
    first: int
    lines: list[str]
    current: int | None
    """The number of the current line."""

    def _repr_html_(self) -> str:
        return _html.source(self.first, self.lines, self.current)


@final
class Origin:
    """One step of the way that a value took."""

    def __init__(self, run: Run, data: dict[str, Any]) -> None:
        self.run = run
        self.seq: int = data["position"]
        self.kind: str = data["kind"]
        """Such as bound, argument, returned, computed, literal. It is unknown where the way cannot
        be followed any further."""
        self.text: str = data["text"]
        """The variable, function or expression."""
        self.value_text: str | None = data["value"]
        """The value there, as `repr` writes it."""
        self.path: str = data["path"]
        self.line: int | None = data["line"]
        self.function: str = data["function"]

    @property
    def moment(self) -> "Moment":
        return self.run.at(self.seq)

    def __repr__(self) -> str:
        value = "" if self.value_text is None else f" = {self.value_text}"
        place = f"{os.path.basename(self.path)}:{self.line or '?'}"
        return f"<{self.kind} {self.text}{value} {place} {self.function}>"


@final
class Frame:
    """A frame of a moment's stack."""

    def __init__(self, moment: "Moment", data: dict[str, Any]) -> None:
        self.moment = moment
        self.depth: int = data["depth"]
        """0 for the innermost."""
        self.call_id: int = data["call"]
        self.code_id: int = data["code"]
        self.function: str = data["function"]
        """Its qualified name."""
        self.qualname: str = self.function
        """The same, by its name in the tables."""
        self.path: str = data["path"]
        self.line: int | None = data["line"]
        self.source_line: str | None = data["source"]

    @functools.cached_property
    def variables(self) -> list[Variable]:
        """Variables that are bound, with their scopes and texts. Needs capture level `state`."""
        answer = self.moment._ask("locals", depth=self.depth)
        return _values.variables(answer["variables"])

    @property
    def locals(self) -> Namespace:
        """The values of its local variables, or of a module's globals. Needs capture level
        `state`."""
        # The locals of a module are its globals.
        is_own = self.function == "<module>"
        found = [v for v in self.variables if is_own or v.scope != "global"]
        return Namespace({variable.name: variable.value for variable in found})

    def evaluate(self, expression: str) -> Any:
        """The value here of an expression such as "order.items[-1].price > 5". No code of the
        program runs.

        Raises DashcamError if a part of the expression did not exist here, or is not known.
        """
        answer = self.moment._ask("evaluate", depth=self.depth, expression=expression)
        return _values.value(answer["held"], answer["text"])

    def last_write(self, path: str) -> "Moment | None":
        """The moment when what a path such as "order.total" leads to was last bound or changed. Its
        `what` says how. None if no earlier write is recorded.
        """
        return self._write(path, "backward")

    def next_write(self, path: str) -> "Moment | None":
        """The moment of the next such write."""
        return self._write(path, "forward")

    def origin(self, path: str) -> "tuple[Origin, ...]":
        """The steps by which a value came here, through assignments, arguments and returns, the
        nearest first."""
        links = self.moment._ask("origin", depth=self.depth, path=path)["links"]
        return tuple(Origin(self.moment.run, link) for link in links)

    def _write(self, path: str, direction: str) -> "Moment | None":
        data = self.moment._ask("write", depth=self.depth, path=path, direction=direction)
        return None if data is None else Moment(self.moment.run, data)

    @property
    def globals(self) -> Namespace:
        """The values of those globals that its code binds. Needs capture level `state`."""
        found = [v for v in self.variables if v.scope == "global"]
        return Namespace({variable.name: variable.value for variable in found})

    @functools.cached_property
    def source(self) -> Source:
        """The lines around its current line."""
        answer = self.moment._ask("source", depth=self.depth)
        return Source(answer["path"], answer["first"], answer["lines"], answer["current"])

    def __repr__(self) -> str:
        place = f"{os.path.basename(self.path)}:{self.line or '?'}"
        return f"<Frame #{self.depth} {place} {self.function}>"

    def _repr_html_(self) -> str:
        shown = [_html.heading(repr(self)[1:-1])]
        try:
            shown.append(self.source._repr_html_())
        except _Refused as error:
            shown.append(_html.note(str(error)))
        try:
            rows = [(v.name, v.text) for v in self.variables]
            shown.append(_html.table(["name", "value"], rows))
        except _Refused as error:
            shown.append(_html.note(str(error)))
        return "".join(shown)


@final
@functools.total_ordering
class Moment:
    """A position in a run: an event that is about to happen. A moment never changes; steps return
    other moments.

    Moments of a run are ordered as its events are.
    """

    def __init__(self, run: Run, data: dict[str, Any]) -> None:
        self.run = run
        self._data = data
        self.seq: int = data["position"]
        """The event's `seq` in the tables."""
        self.event: str | None = data["event"]
        """The event's kind, such as `LINE`. None if the kind is new in a later Python."""
        self.kind: str | None = self.event
        """The same, by its name in the tables."""
        self.process_id: int = data["process"]
        self.thread_id: int = data["thread"]
        self.call_id: int = data["call"]
        """The innermost call. 0 if it is not known."""
        self.task: int | None = data["task"]
        """The call of the outermost coroutine on the stack: the task, where asyncio runs it."""
        self.code_id: int = data["code"]
        self.function: str = data["function"]
        """Its qualified name."""
        self.qualname: str = self.function
        """The same, by its name in the tables."""
        self.path: str = data["path"]
        self.line: int | None = data["line"]
        self.source_line: str | None = data["source"]
        self.depth: int = data["depth"]
        """The number of calls below the innermost one."""
        self.time_ns: int = data["time_ns"]
        """Nanoseconds since the run began."""
        self.exception: str | None = data["exception"]
        """The type of the exception that the event carries."""
        self.callable: str | None = data["callable"]
        """The callable that a CALL or C_* event is about."""
        self.value_text: str | None = data["value"]
        """The value that the event carries, as `repr` writes it."""
        self.what: str | None = data["what"]
        """The write that happens here, if `last_write` or `next_write` returned this moment."""
        self.breakpoint: int | None = data["breakpoint"]
        """The index, from 0, of the breakpoint that `continue_to` or `back_to` stopped at."""
        self.notes: list[str] = data["notes"]
        """A sentence for each damaged part of the recording on the way here, which may have
        contained the event searched for."""

    @functools.cached_property
    def value(self) -> Any:
        """The value that the event carries: arguments at PY_START; otherwise what is returned or
        yielded, what was sent, or what is raised. None if there is none.
        """
        if self.value_text is None:
            return None
        convert = _values.namespace if self.event == "PY_START" else _values.value
        return convert(self._data["held"], self.value_text)

    @functools.cached_property
    def stack(self) -> tuple[Frame, ...]:
        """The frames of its thread, innermost first."""
        return tuple(Frame(self, frame) for frame in self._ask("stack")["frames"])

    @property
    def frame(self) -> Frame:
        """The innermost frame."""
        if not self.stack:
            raise DashcamError(f"no frame is known at event {self.seq}")
        return self.stack[0]

    @property
    def locals(self) -> Namespace:
        """The values of the innermost frame's local variables. Needs capture level `state`."""
        return self.frame.locals

    @property
    def globals(self) -> Namespace:
        """The values of those globals that the innermost frame's code binds."""
        return self.frame.globals

    @property
    def source(self) -> Source:
        """The lines around the innermost frame's current line."""
        return self.frame.source

    def evaluate(self, expression: str) -> Any:
        """As `Frame.evaluate`, in the innermost frame."""
        return self.frame.evaluate(expression)

    def last_write(self, path: str) -> "Moment | None":
        """As `Frame.last_write`, in the innermost frame."""
        return self.frame.last_write(path)

    def next_write(self, path: str) -> "Moment | None":
        """As `Frame.next_write`, in the innermost frame."""
        return self.frame.next_write(path)

    def origin(self, path: str) -> "tuple[Origin, ...]":
        """As `Frame.origin`, in the innermost frame."""
        return self.frame.origin(path)

    def step(self, *, follow: str = "thread", mine: bool = False) -> "Moment | None":
        """The next line of the thread, whatever function it is in. None if there is none.

        `follow="task"`: the next line of the same asyncio task. `mine=True`: the next line of your
        own code, which is neither standard library nor installed package.
        """
        return self._step("step", follow, mine)

    def next(self, *, mine: bool = False) -> "Moment | None":
        """The next line of this call. If there is none, that of the call it returns to."""
        return self._step("next", mine=mine)

    def finish(self) -> "Moment | None":
        """The event that ends this call."""
        return self._step("finish")

    def stepi(self, *, follow: str = "thread") -> "Moment | None":
        """The next instruction."""
        return self._step("stepi", follow)

    def back(self, *, follow: str = "thread", mine: bool = False) -> "Moment | None":
        """The line before, whatever function it is in. None if there is none."""
        return self._step("back-step", follow, mine)

    def back_next(self, *, mine: bool = False) -> "Moment | None":
        """The line of this call before this one. If there is none, the line it was called from."""
        return self._step("back-next", mine=mine)

    def back_finish(self) -> "Moment | None":
        """The line that this call was made from."""
        return self._step("back-finish")

    def back_stepi(self, *, follow: str = "thread") -> "Moment | None":
        """The instruction before."""
        return self._step("back-stepi", follow)

    def steps(self) -> "Iterator[Moment]":
        """The lines of the thread after this moment."""
        at = self.step()
        while at is not None:
            yield at
            at = at.step()

    def continue_to(self, *breakpoints: str) -> "Moment | None":
        """The next moment at one of these breakpoints: "app.py:12", "Order.total",
        "exception KeyError", "unhandled". None if there is none.
        """
        return self._resume("forward", breakpoints)

    def back_to(self, *breakpoints: str) -> "Moment | None":
        """The last moment before this one at one of these breakpoints. None if there is none."""
        return self._resume("backward", breakpoints)

    def _step(self, step: str, follow: str = "thread", mine: bool = False) -> "Moment | None":
        return self._moved(self._ask("step", step=step, follow=follow, mine=mine))

    def _resume(self, direction: str, breakpoints: Sequence[str]) -> "Moment | None":
        if not breakpoints:
            raise ValueError("on to what? It needs a breakpoint, such as 'app.py:12'")
        places = list(breakpoints)
        return self._moved(self._ask("resume", direction=direction, breakpoints=places))

    def _moved(self, data: dict[str, Any]) -> "Moment | None":
        return None if data["why"] in ("start", "end") else Moment(self.run, data)

    def _ask(self, method: str, **members: object) -> Any:
        return self.run._ask(method, position=self.seq, **members)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moment):
            return NotImplemented
        return (self.run, self.seq) == (other.run, other.seq)

    def __lt__(self, other: "Moment") -> bool:
        if not isinstance(other, Moment) or self.run != other.run:
            return NotImplemented
        return self.seq < other.seq

    def __hash__(self) -> int:
        return hash((self.run, self.seq))

    def __repr__(self) -> str:
        place = f"{os.path.basename(self.path)}:{self.line or '?'}"
        return f"<Moment {self.seq} {self.event} {place} {self.function}>"

    def _repr_html_(self) -> str:
        thread = f"thread {self.thread_id}, {self.time_ns / 1e9:.6f} s"
        shown = [_html.heading(f"{repr(self)[1:-1]} — {thread}")]
        if self.value_text is not None:
            shown.append(_html.note(self.value_text))
        if self.stack:
            shown.append(self.frame._repr_html_())
        return "".join(shown)


def _literal(text: str) -> str:
    """A pattern for GLOB that matches exactly this text."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
