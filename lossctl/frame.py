"""Reports in notebooks: as a frame of pandas, and as a small table of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame  # noqa: PLC0414 - for those who annotate with it

SHOWN = 40
"""How many results a notebook shows; a frame holds all of them."""


def frame_of(rows: Sequence[Mapping[str, Any]], leading: Sequence[str]) -> DataFrame:
    """Make a frame with the leading columns first, numbers as numbers and gaps as gaps."""
    from pandas import DataFrame

    names = list(dict.fromkeys([*leading, *(name for row in rows for name in row)]))
    return DataFrame([[row.get(name) for name in names] for row in rows], columns=names)


def html_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], notes: Sequence[str]) -> str:
    """Write the results that fit a notebook, and notes below; every text is escaped."""
    from html import escape

    names = [name for name in columns if any(row.get(name) is not None for row in rows)]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [
        "<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>" for row in rows[:SHOWN]
    ]
    more = [f"{len(rows) - SHOWN} more results: to_frame() has all"] if len(rows) > SHOWN else []
    below = "".join(f"<p>{escape(text)}</p>" for text in [*more, *notes])
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div><table>{table}</table>{below}</div>"


def _cell(value: Any) -> str:
    from html import escape

    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = str(value) if isinstance(value, int) else f"{value:.6g}"
        return f'<td style="text-align:right">{shown}</td>'
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def with_slices(
    rows: Sequence[dict[str, Any]], slices: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Put the slice of each result into its row; gives the columns of the slices as well.

    A slice by a column that is called as one of the results gets a prefix.
    """
    taken = {name for row in rows for name in row}
    names = dict.fromkeys(name for slice_ in slices for name in slice_)
    headings = {name: f"slice_{name}" if name in taken else name for name in names}
    for row, slice_ in zip(rows, slices, strict=True):
        row |= {headings[name]: value for name, value in slice_.items()}
    return list(headings.values()), list(rows)
