"""Rows of queries."""

import importlib
import importlib.util
import json
import keyword
import operator
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, SupportsIndex, cast, overload

from . import DashcamError, _html
from ._columns import Columns
from ._server import Server

type Sql = None | bool | int | float | str | bytes | bytearray | memoryview
type Parameters = Sequence[Sql] | Mapping[str, Sql]

# The number of rows that a notebook shows.
_SHOWN = 50


class Row(tuple[Any, ...]):
    """A row: a tuple whose items are also found by the names of their columns, `row.line` or
    `row["count(*)"]`.
    """

    __slots__ = ()
    _columns: tuple[str, ...] = ()

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, key: str, /) -> Any: ...
    def __getitem__(self, key: SupportsIndex | slice | str, /) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        try:
            return super().__getitem__(self._columns.index(key))
        except ValueError:
            raise KeyError(key) from None

    def __getattr__(self, name: str) -> Any:
        # Columns are properties of a subclass. This is for type checkers, and for the message.
        columns = ", ".join(self._columns)
        raise AttributeError(f"no column {name!r}; there are {columns}", name=name, obj=self)

    def asdict(self) -> dict[str, Any]:
        """The items by the names of their columns."""
        return dict(zip(self._columns, self, strict=True))

    def __repr__(self) -> str:
        named = zip(self._columns, self, strict=True)
        return f"Row({', '.join(f'{name}={item!r}' for name, item in named)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _row, (self._columns, tuple(self))


def _row(columns: tuple[str, ...], items: tuple[Any, ...]) -> Row:
    return _row_class(columns)(items)


def _row_class(columns: tuple[str, ...]) -> type[Row]:
    members: dict[str, Any] = {"__slots__": (), "_columns": columns}
    for at, name in reversed(list(enumerate(columns))):
        is_name = name.isidentifier() and not keyword.iskeyword(name)
        if is_name and not name.startswith("_") and name != "asdict":
            members[name] = property(operator.itemgetter(at))
    return type("Row", (Row,), members)


class Stream(Iterator[Row]):
    """Rows, one by one as they are read. They are not kept."""

    def __init__(
        self, server: Server, sql: str, parameters: Parameters, run_id: int | None
    ) -> None:
        members: dict[str, object] = {} if run_id is None else {"run": run_id}
        self._server = server
        self._cursor: int | None = None
        self._lock = threading.RLock()
        # The number of rows returned so far.
        self._given = 0
        # Set while rows are fetched. If fetching is interrupted it stays set: those rows are lost.
        self._is_lost = False
        # The members of the request.
        self._request = {"sql": sql, "parameters": _parameters(parameters), **members}
        answer = server.ask("query", **self._request)
        self._generation = server.generation
        self.columns: tuple[str, ...] = tuple(answer["columns"])
        self._class = _row_class(self.columns)
        self._take(answer)

    def _take(self, answer: dict[str, Any]) -> None:
        self._cursor = answer["cursor"]
        self._batch = iter(answer["rows"])

    def __next__(self) -> Row:
        with self._lock:
            while (row := next(self._batch, None)) is None:
                if self._cursor is None:
                    raise StopIteration
                if self._is_lost or self._generation != self._server.generation:
                    raise DashcamError("the rest of these rows is gone: reading was interrupted")
                self._is_lost = True
                self._take(self._server.ask("fetch", cursor=self._cursor))
                self._is_lost = False
            self._given += 1
            return self._class(map(_item, row))

    def close(self) -> None:
        """Stops reading: there are no further rows."""
        self._batch = iter(())
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._server.abandoned.append((self._generation, cursor))

    def __del__(self) -> None:
        if getattr(self, "_cursor", None) is not None:
            self.close()


def _item(value: Any) -> Any:
    if isinstance(value, dict):
        [(kind, text)] = value.items()
        return bytes.fromhex(text) if kind == "bytes" else float(text)
    return value


def _parameters(parameters: Parameters) -> object:
    if isinstance(parameters, Mapping):
        return {name.lstrip(":@$"): _parameter(value) for name, value in parameters.items()}
    if isinstance(parameters, str | bytes):
        raise TypeError("parameters are a sequence or mapping: (value,)")
    return [_parameter(value) for value in parameters]


def _parameter(value: Sql) -> object:
    match value:
        case None | bool():
            return value
        case str():
            # Strings, and numbers below, may be of subclasses, such as members of enums.
            str.__str__(value).encode()
            return str.__str__(value)
        case int():
            number = int(value)
            if not -(2**63) <= number < 2**63:
                raise OverflowError("SQL has integers of 64 bits")
            return number
        case float():
            number_ = float(value)
            if number_ != number_:
                return None
            return {"float": repr(number_)} if number_ in (float("inf"), -float("inf")) else number_
        case bytes() | bytearray() | memoryview():
            return {"bytes": bytes(value).hex()}
    raise TypeError(f"no SQL value: {type(value).__name__}")


class Rows(Sequence[Row]):
    """The rows of a query: a sequence. Rows are read when they are needed, and kept.

    `len()` reads all of them. For more rows than can be kept see `stream()`.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._kept: list[Row] = []

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._stream.columns

    def _read(self, count: int | None) -> None:
        stream = self._stream
        with stream._lock:
            while count is None or len(self._kept) < count:
                if stream._given != len(self._kept):
                    raise DashcamError("some of these rows are gone: reading was interrupted")
                row = next(stream, None)
                if row is None:
                    return
                self._kept.append(row)

    def __len__(self) -> int:
        self._read(None)
        return len(self._kept)

    def __bool__(self) -> bool:
        self._read(1)
        return bool(self._kept)

    def __iter__(self) -> Iterator[Row]:
        at = 0
        while True:
            self._read(at + 1)
            if at >= len(self._kept):
                return
            yield self._kept[at]
            at += 1

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        is_from_start = isinstance(index, int) and index >= 0
        self._read(cast(int, index) + 1 if is_from_start else None)
        return self._kept[index]

    def __eq__(self, other: object) -> bool:
        """Whether the other has equal rows. They may be plain tuples."""
        if isinstance(other, Rows | list | tuple):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def df(self) -> Any:
        """The rows as a DataFrame: of pandas if that is installed, else of polars."""
        for name, make in (("pandas", self.to_pandas), ("polars", self.to_polars)):
            if importlib.util.find_spec(name) is not None:
                return make()
        raise DashcamError("a DataFrame needs pandas or polars, and neither is installed")

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame. Integers stay integers where some are NULL (Int64)."""
        pandas = _import("pandas")
        if importlib.util.find_spec("pyarrow") is not None:
            frame = self._by_columns(lambda columns: _pandas_frame(pandas, columns))
            if frame is not None:
                return frame
        self._read(None)
        frame = {}
        for at, name in enumerate(self._unique()):
            column = [row[at] for row in self._kept]
            kinds = set(map(type, column))
            dtype = "Int64" if kinds == {int, type(None)} else None
            if kinds <= {type(None)}:
                dtype = "object"
            frame[name] = pandas.Series(column, dtype=dtype)
        return pandas.DataFrame(frame)

    def to_polars(self) -> Any:
        """The rows as a polars DataFrame."""
        polars = _import("polars")
        frame = self._by_columns(polars.DataFrame)
        if frame is not None:
            return frame
        self._read(None)
        columns = enumerate(self._unique())
        return polars.DataFrame({name: [row[at] for row in self._kept] for at, name in columns})

    def _by_columns(self, make: Callable[[Columns], Any]) -> Any:
        """The result of `make` for the rows as Arrow columns. None if the rows have to be read one
        by one."""
        server = self._stream._server
        is_begun = self._stream._given > 0
        has_names = len(set(self.columns)) == len(self.columns)
        # The columns are read by another process, which has to see the same rows.
        if is_begun or not has_names or server.closed or server.has_changed:
            return None
        request = json.dumps(self._stream._request).encode()
        try:
            return make(Columns(["--request", "--", server.path], request))
        except Exception:
            # A column may hold values of several types, or a part of the rows may be damaged.
            # Reading the rows one by one accepts the former and warns of the latter.
            return None

    def _unique(self) -> list[str]:
        """The names of the columns, made unique: SQL may give several columns the same name."""
        names: list[str] = []
        for name in self.columns:
            number, unique = 1, name
            while unique in names:
                number += 1
                unique = f"{name}_{number}"
            names.append(unique)
        return names

    def __repr__(self) -> str:
        self._read(4)
        rows = [repr(row) for row in self._kept[:3]] + (["…"] if len(self._kept) > 3 else [])
        return f"<Rows [{', '.join(rows)}]>"

    def _repr_html_(self) -> str:
        self._read(_SHOWN + 1)
        more = None if len(self._kept) > _SHOWN else 0
        return _html.table(self.columns, self._kept[:_SHOWN], more=more)


def _pandas_frame(pandas: Any, columns: Columns) -> Any:
    """The columns as a DataFrame. Integers stay integers where some are NULL."""
    pyarrow = _import("pyarrow")
    table = pyarrow.table(columns)
    frame = table.to_pandas()
    for name in table.column_names:
        column = table[name]
        if pyarrow.types.is_int64(column.type) and column.null_count:
            frame[name] = column.to_pandas(types_mapper={column.type: pandas.Int64Dtype()}.get)
    return frame


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DashcamError(f"this needs {name}, which is not installed") from None
