"""Rows as Arrow columns, which other libraries take without copying them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from . import DashcamError, _program

if TYPE_CHECKING:
    from types import CapsuleType


@final
class Columns:
    """Rows as Arrow columns, for polars, pandas, pyarrow, DuckDB and others.

    `polars.DataFrame(columns)`, `pyarrow.table(columns)`, `duckdb.sql("select … from columns")`.
    Rows are read when a library asks for them, each time from the beginning, by a process of its
    own. If the recording is still being written, the library gets what is written by then.
    """

    def __init__(self, arguments: Sequence[str], input: bytes = b"") -> None:
        self._command = [_program("dashcam"), "export", "arrow", *arguments]
        self._input = input

    def __arrow_c_stream__(self, requested_schema: object = None) -> "CapsuleType":
        """An Arrow C stream. Types are not converted: `requested_schema` is ignored, as the
        protocol allows."""
        # Imported only here, because it is as large as the rest of the package.
        from . import _arrow

        try:
            return _arrow.stream(self._command, self._input)
        except RuntimeError as error:
            raise DashcamError(str(error)) from None

    def __arrow_c_schema__(self) -> "CapsuleType":
        """The names and types of the columns."""
        from . import _arrow

        try:
            return _arrow.schema(self._command, self._input)
        except RuntimeError as error:
            raise DashcamError(str(error)) from None


def of_table(
    path: str, run: str, table: str, columns: Sequence[str] | None, where: str | None
) -> Columns:
    """Columns of the rows of a table that meet a condition in SQL; `run` is a number or `all`."""
    if isinstance(columns, str):
        raise TypeError("columns are a sequence of names: [name]")
    arguments = [f"--run={run}"]
    if columns is not None:
        arguments.append(f"--columns={','.join(columns)}")
    if where is not None:
        arguments.append(f"--where={where}")
    return Columns([*arguments, "--", table, path])
