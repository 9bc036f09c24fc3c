"""The cells of a result as people read them, shared by the table and Markdown."""

from __future__ import annotations

from lossctl.report import Report, Result

DIGITS = 6


def header(report: Report) -> list[str]:
    """Name the columns of `row`."""
    level = next((result.ci.level for result in report.results if result.ci), None)
    interval = "interval" if level is None else f"{100 * level:g} % interval"
    return ["loss", "value", interval, "std error", "min", "max", "rows", "best"]


def row(result: Result) -> list[str]:
    """Give the cells of one result."""
    ci = result.ci
    return [
        result.loss,
        number(result.value if result.limit is None else result.limit),
        "" if ci is None else f"{number(ci.lower)} to {number(ci.upper)}",
        number(result.std_error),
        number(result.min),
        number(result.max),
        str(result.n),
        "zero" if result.direction == "zero_is_best" else "lower",
    ]


def number(value: float | None) -> str:
    """Write a number for reading; an undefined one is empty."""
    return "" if value is None else f"{value:.{DIGITS}g}"
