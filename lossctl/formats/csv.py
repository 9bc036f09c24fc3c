"""One CSV line a result; undefined numbers are empty."""

from __future__ import annotations

import csv
import io

from lossctl.formats import Style
from lossctl.report import Report

BEFORE = ("loss",)
NUMBERS = ("n", "value", "std_error", "ci_lower", "ci_upper", "sum", "min", "max")
AFTER = ("direction", "clipped", "reason")


def render(report: Report, style: Style) -> str:
    """Give the results as CSV with a header line."""
    del style
    results = report.to_dict()["results"]
    slices = list(dict.fromkeys(name for result in results for name in result["slice"]))
    shares = [f"q{share}" for share in (results[0].get("quantiles", {}) if results else {})]
    text = io.StringIO()
    writer = csv.DictWriter(
        text,
        [*BEFORE, *slices, *NUMBERS, *shares, *AFTER],
        lineterminator="\n",
        extrasaction="ignore",
    )
    writer.writeheader()
    for result in results:
        ci = result["ci"] or {"lower": None, "upper": None}
        quantiles = {f"q{share}": value for share, value in result.get("quantiles", {}).items()}
        bounds = {"ci_lower": ci["lower"], "ci_upper": ci["upper"]}
        writer.writerow(result | bounds | quantiles | result["slice"])
    return text.getvalue()
