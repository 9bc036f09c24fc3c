"""A Markdown table, fit for a pull-request comment or a wiki."""

from __future__ import annotations

from lossctl.formats import Style
from lossctl.formats.cells import header, row
from lossctl.report import Report


def render(report: Report, style: Style) -> str:
    """Give the results as a Markdown table, warnings below it."""
    del style
    names = header(report)
    lines = [_line(names), _line(["---", *["---:"] * (len(names) - 1)])]
    lines += [_line(row(result)) for result in report.results]
    if report.warnings:
        lines += ["", *(f"- {_escaped(warning)}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
