"""One CSV line a result; undefined numbers are empty."""

from __future__ import annotations

import csv
import io

from lossctl.formats import Style
from lossctl.report import Report

BEFORE = ("loss",)
NUMBERS = ("n", "weight", "value", "std_error", "ci_lower", "ci_upper", "sum", "min", "max")
AFTER = ("direction", "clipped", "reason")


def render(report: Report, style: Style) -> str:
    """Give the results as CSV with a header line."""
    del style
    results = report.to_dict()["results"]
    slices = list(dict.fromkeys(name for result in results for name in result["slice"]))
    shares = list(results[0].get("quantiles", {})) if results else []
    fixed = (*BEFORE, *NUMBERS, *(f"q{share}" for share in shares), *AFTER)
    headings = [f"slice_{name}" if name in fixed else name for name in slices]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*BEFORE, *headings, *fixed[len(BEFORE) :]))
    for result in results:
        ci = result["ci"] or {"lower": None, "upper": None}
        flat = result | {"ci_lower": ci["lower"], "ci_upper": ci["upper"]}
        flat |= {f"q{share}": value for share, value in result.get("quantiles", {}).items()}
        cells = [flat[name] for name in fixed]
        sliced = [result["slice"].get(name) for name in slices]
        writer.writerow((*cells[: len(BEFORE)], *sliced, *cells[len(BEFORE) :]))
    return text.getvalue()
