"""Reports in Python: as a frame of pandas, and as a small table in a notebook or a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame  # noqa: PLC0414 - for those who annotate with it

SHOWN = 40
"""How many results a small table shows; a frame holds all of them."""
SLICE_NAMES = {None: "null", "null": '"null"'}
"""The slice of missing values, and that of a text which reads so, as in the CSV of the command."""


def frame_of(rows: Sequence[Mapping[str, Any]], leading: Sequence[str]) -> DataFrame:
    """Make a frame with the leading columns first, numbers as numbers and gaps as gaps."""
    from pandas import DataFrame

    names = list(dict.fromkeys([*leading, *(name for row in rows for name in row)]))
    return DataFrame([[row.get(name) for name in names] for row in rows], columns=names)


def html_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], notes: Sequence[str]) -> str:
    """Write the results that fit a notebook, and notes below; every text is escaped."""
    from html import escape

    names = _filled(rows, columns)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [
        "<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>" for row in rows[:SHOWN]
    ]
    below = "".join(f"<p>{escape(text)}</p>" for text in [*_more(rows), *notes])
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div><table>{table}</table>{below}</div>"


def text_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], notes: Sequence[str]) -> str:
    """Write the same as lines of text, for a terminal or a log."""
    names = _filled(rows, columns)
    cells = ([_shown(row.get(name)) for name in names] for row in rows[:SHOWN])
    table = [
        [text if text.isprintable() else repr(text) for text in row] for row in (names, *cells)
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [any(map(_is_number, (row.get(name) for row in rows))) for name in names]
    lines = [
        "  ".join(
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join([*lines, *_more(rows), *notes])


def _filled(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Give the columns in which any row has a value."""
    return [name for name in columns if any(row.get(name) is not None for row in rows)]


def _more(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{len(rows) - SHOWN} more results: to_frame() has all"] if len(rows) > SHOWN else []


def _cell(value: Any) -> str:
    from html import escape

    align = ' style="text-align:right"' if _is_number(value) else ""
    return f"<td{align}>{escape(_shown(value))}</td>"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def with_slices(
    rows: Sequence[dict[str, Any]], slices: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Put the slice of each result into its row; gives the columns of the slices as well.

    A slice by a column that is called as one of the results gets a prefix. The slice of missing
    values is called ``null``, as nothing stands where a result is not sliced by that column.
    """
    taken = {name for row in rows for name in row}
    names = dict.fromkeys(name for slice_ in slices for name in slice_)
    headings = {name: f"slice_{name}" if name in taken else name for name in names}
    for row, slice_ in zip(rows, slices, strict=True):
        row |= {headings[name]: SLICE_NAMES.get(value, value) for name, value in slice_.items()}
    return list(headings.values()), list(rows)
