"""Results as people read them, column by column, shared by the table and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lossctl.report import Report, Result

DIGITS = 6


def columns(report: Report) -> dict[str, list[str]]:
    """Give the columns of the results by heading; those that say nothing are left out."""
    results = report.results
    weighted = any(result.weight != result.n for result in results)
    level = next((result.ci.level for result in results if result.ci), 0.0)
    shares = next((list(result.quantiles) for result in results), [])
    found = {
        "loss": [result.loss for result in results],
        "slice": [slice_name(result.slice) for result in results],
        "value": [number(_value(result)) or "undefined" for result in results],
        f"{100 * level:g} % interval": [_interval(result) for result in results],
        "std error": [number(result.std_error) for result in results],
        "min": [number(result.min) for result in results],
        **{f"p{100 * float(s):g}": [number(r.quantiles[s]) for r in results] for s in shares},
        "max": [number(result.max) for result in results],
        "rows": [str(result.n) for result in results],
        "weight": [number(result.weight) if weighted else "" for result in results],
        "best": ["zero" if result.direction == "zero_is_best" else "lower" for result in results],
    }
    return {heading: cells for heading, cells in found.items() if any(cells)}


def worst_columns(result: Result) -> dict[str, list[str]]:
    """Give the columns of a result's worst rows by heading."""
    rows = result.worst or ()
    names = list(rows[0].columns) if rows else []
    return {
        "": [str(place) for place in range(1, len(rows) + 1)],
        "file": [row.at.file for row in rows],
        "row": [str(row.at.row) for row in rows],
        "loss": [number(row.loss) for row in rows],
        **{name: [_text(row.columns[name]) for row in rows] for name in names},
    }


def worst_title(result: Result) -> str:
    """Name the worst rows of a result, as in ``worst rows of mae, region=eu``."""
    return "worst rows of " + ", ".join(filter(None, [result.loss, slice_name(result.slice)]))


def slice_name(values: Mapping[str, Any]) -> str:
    """Name a slice, as in ``region=eu, year=2024``; the whole has no name."""
    return ", ".join(
        f"{name}={'null' if value is None else value}" for name, value in values.items()
    )


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def number(value: float | None) -> str:
    """Write a number for reading; an undefined one is empty."""
    return "" if value is None else f"{value:.{DIGITS}g}"


def _value(result: Result) -> float | None:
    return result.value if result.limit is None else result.limit


def _interval(result: Result) -> str:
    ci = result.ci
    return "" if ci is None else f"{number(ci.lower)} to {number(ci.upper)}"
