"""HTML for notebooks."""

from collections.abc import Iterable, Sequence
from html import escape

_ROWS = 50
_TEXT = 200
_MARKED = "background:rgba(255,200,0,.35);font-weight:bold"
_PRE = "text-align:left;white-space:pre;font-family:monospace"


def cell(value: object) -> str:
    """A value, shortened if it is long."""
    text = value if isinstance(value, str) else "" if value is None else repr(value)
    return escape(text if len(text) <= _TEXT else text[:_TEXT] + "…")


def table(
    columns: Sequence[str], rows: Iterable[Iterable[object]], *, more: int | None = 0
) -> str:
    """A table. `more`: the number of rows that are not in `rows`; None if that is unknown."""
    shown: list[str] = []
    rest = 0
    for row in rows:
        if len(shown) < _ROWS:
            shown.append("".join(f"<td style='text-align:left'>{cell(v)}</td>" for v in row))
        else:
            rest += 1
    head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{row}</tr>" for row in shown)
    if more is None:
        note = "<p>… more</p>"
    else:
        note = f"<p>… {rest + more} more</p>" if rest + more else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def source(first: int, lines: Sequence[str], current: int | None) -> str:
    """Lines of a file, with the current one marked."""
    shown = []
    for number, line in enumerate(lines, first):
        mark, style = ("→", _MARKED) if number == current else (" ", "")
        shown.append(f"<div style='{_PRE};{style}'>{number:>5} {mark} {escape(line)}</div>")
    return f"<div>{''.join(shown)}</div>"


def heading(text: str) -> str:
    return f"<p><b>{escape(text)}</b></p>"


def note(text: str) -> str:
    return f"<p><i>{escape(text)}</i></p>"
