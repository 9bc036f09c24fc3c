"""A Markdown table, fit for a pull-request comment or a wiki."""

from __future__ import annotations

from lossctl.formats import Style
from lossctl.formats.cells import columns
from lossctl.report import Report


def render(report: Report, style: Style) -> str:
    """Give the results as a Markdown table, warnings below it."""
    del style
    shown = columns(report)
    lines = [_line(list(shown)), _line(["---", *["---:"] * (len(shown) - 1)])]
    lines += [_line(list(cells)) for cells in zip(*shown.values(), strict=True)]
    if report.warnings:
        lines += ["", *(f"- {_escaped(warning)}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
