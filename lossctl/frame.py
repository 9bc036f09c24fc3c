"""Reports in notebooks: as a frame of pandas, and as a small table of HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame  # noqa: PLC0414 - for those who annotate with it

SHOWN = 40
"""How many results a notebook shows; a frame holds all of them."""
HEADINGS = ("loss", "value", "lower", "upper", "std_error", "n", "reason")


def frame_of(rows: Sequence[Mapping[str, Any]], leading: Sequence[str]) -> DataFrame:
    """Make a frame with the leading columns first, numbers as numbers and gaps as gaps."""
    from pandas import DataFrame

    names = list(dict.fromkeys([*leading, *(name for row in rows for name in row)]))
    return DataFrame([[row.get(name) for name in names] for row in rows], columns=names)


def html_of(rows: Sequence[Mapping[str, Any]], slices: Sequence[str], notes: Sequence[str]) -> str:
    """Write the results that fit a notebook, and notes below; every text is escaped."""
    names = [HEADINGS[0], *slices, *HEADINGS[1:]]
    names = [name for name in names if any(row.get(name) is not None for row in rows)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = [
        "<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>" for row in rows[:SHOWN]
    ]
    more = [f"{len(rows) - SHOWN} more results: to_frame() has all"] if len(rows) > SHOWN else []
    below = "".join(f"<p>{html.escape(text)}</p>" for text in [*more, *notes])
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div><table>{table}</table>{below}</div>"


def _cell(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = str(value) if isinstance(value, int) else f"{value:.6g}"
        return f'<td style="text-align:right">{shown}</td>'
    return f"<td>{'' if value is None else html.escape(str(value))}</td>"
