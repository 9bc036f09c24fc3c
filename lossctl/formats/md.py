"""A Markdown table, fit for a pull-request comment or a wiki."""

from __future__ import annotations

from collections.abc import Mapping

from lossctl.formats import Style
from lossctl.formats.cells import columns, worst_columns, worst_title
from lossctl.report import Report


def render(report: Report, style: Style) -> str:
    """Give the results as a Markdown table, warnings and worst rows below it."""
    lines = [] if style.worst else _table(columns(report))
    for result in (result for result in report.results if result.worst):
        lines += ["", f"**{_escaped(worst_title(result))}**", "", *_table(worst_columns(result))]
    if report.warnings:
        lines += ["", *(f"- {_escaped(warning)}" for warning in report.warnings)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(shown: Mapping[str, list[str]]) -> list[str]:
    lines = [_line(list(shown)), _line(["---", *["---:"] * (len(shown) - 1)])]
    return lines + [_line(list(cells)) for cells in zip(*shown.values(), strict=True)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
