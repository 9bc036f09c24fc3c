"""One CSV line a result; undefined numbers are empty."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from lossctl.comparison import Comparison
from lossctl.formats import Document, Style, worst
from lossctl.report import Report

BEFORE = ("loss",)
NUMBERS = ("n", "weight", "value", "std_error", "ci_lower", "ci_upper", "sum", "min", "max")
AFTER = ("direction", "clipped", "reason")
SHARES = "better", "equal", "worse"
DIFFERENCE = (
    "candidate",
    *("n", "weight", "baseline_value", "candidate_value", "difference", "relative_difference"),
    *("std_error", "ci_lower", "ci_upper", "p_value", "p_adjusted", "verdict"),
    *("minimum_detectable_effect", *SHARES, "direction", "reason"),
)


def render(report: Document, style: Style) -> str:
    """Give the results, or their worst rows, as CSV with a header line."""
    if style.worst and isinstance(report, Report):
        return _worst_rows(report)
    results = report.to_dict()["results"]
    slices = list(dict.fromkeys(name for result in results for name in result["slice"]))
    shares = list(results[0].get("quantiles", {})) if results else []
    ranked = ("rank",) if any("rank" in result for result in results) else ()
    fixed = (*BEFORE, *ranked, *NUMBERS, *(f"q{share}" for share in shares), *AFTER)
    if isinstance(report, Comparison):
        fixed = (*BEFORE, *DIFFERENCE)
    headings = [f"slice_{name}" if name in fixed else name for name in slices]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*BEFORE, *headings, *fixed[len(BEFORE) :]))
    for result in results:
        ci = result["ci"] or {"lower": None, "upper": None}
        flat = result | {"ci_lower": ci["lower"], "ci_upper": ci["upper"]}
        flat |= {f"q{share}": value for share, value in result.get("quantiles", {}).items()}
        cells = [flat.get(name) if name in ranked else flat[name] for name in fixed]
        sliced = [_slice_value(result["slice"], name) for name in slices]
        writer.writerow((*cells[: len(BEFORE)], *sliced, *cells[len(BEFORE) :]))
    return text.getvalue()


def _slice_value(values: Mapping[str, Any], name: str) -> str:
    """Write a value of a slice as it is; an empty cell says that rows are not sliced by it.

    A missing value is ``null``; an empty text, and one that reads so, is quoted as in JSON.
    """
    value = values.get(name)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _is_ambiguous(value) else value
    return json.dumps(value) if name in values else ""


def _is_ambiguous(text: str) -> bool:
    """Tell whether a text could be taken for none, or for the quoted form of such a text."""
    if text in ("", "null"):
        return True
    try:
        inner = json.loads(text) if text.startswith('"') else None
    except ValueError:
        return False
    return isinstance(inner, str) and _is_ambiguous(inner)


def _joined(value: Any) -> Any:
    """Write a key of several columns as one cell."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _worst_rows(report: Report) -> str:
    """Give a line a row; the columns asked for keep their names unless those are taken."""
    rows = list(worst.records(report))
    slices = list(dict.fromkeys(name for row in rows for name in row["slice"]))
    asked = list(dict.fromkeys(name for row in rows for name in row["columns"]))
    first, *fixed = (name for name in worst.FIXED if name != "slice")
    if any("key" in row for row in rows):
        fixed.insert(fixed.index("row") + 1, "key")
    taken = (first, *fixed, *slices)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sliced = [f"slice_{name}" if name in worst.FIXED else name for name in slices]
    writer.writerow((first, *sliced, *fixed, *(f"column_{n}" if n in taken else n for n in asked)))
    for row in rows:
        writer.writerow(
            (
                row[first],
                *(_slice_value(row["slice"], name) for name in slices),
                *(_joined(row[name]) for name in fixed),
                *(row["columns"].get(name) for name in asked),
            )
        )
    return text.getvalue()
