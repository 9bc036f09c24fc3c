"""One CSV line a result; undefined numbers are empty."""

from __future__ import annotations

import csv
import io

from lossctl.formats import Style
from lossctl.report import Report

COLUMNS = ("loss", "n", "value", "std_error", "ci_lower", "ci_upper", "sum", "min", "max")
COLUMNS_AFTER = ("direction", "clipped", "reason")


def render(report: Report, style: Style) -> str:
    """Give the results as CSV with a header line."""
    del style
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *COLUMNS_AFTER))
    for result in report.to_dict()["results"]:
        ci = result["ci"] or {"lower": None, "upper": None}
        flat = result | {"ci_lower": ci["lower"], "ci_upper": ci["upper"]}
        writer.writerow([flat[name] for name in (*COLUMNS, *COLUMNS_AFTER)])
    return text.getvalue()
