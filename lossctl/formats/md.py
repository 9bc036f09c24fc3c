"""A Markdown table, fit for a pull-request comment or a wiki."""

from __future__ import annotations

from collections.abc import Mapping

from lossctl.formats import Document, Style
from lossctl.formats.cells import tables


def render(report: Document, style: Style) -> str:
    """Give the results as Markdown tables, worst rows and warnings below them."""
    blocks = []
    for title, shown in tables(report, worst=style.worst):
        blocks += [[f"**{_escaped(title)}**"]] * bool(title)
        blocks.append(_table(shown))
    if report.warnings:
        blocks.append([f"- {_escaped(warning)}" for warning in report.warnings])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _table(shown: Mapping[str, list[str]]) -> list[str]:
    lines = [_line(list(shown)), _line(["---", *["---:"] * (len(shown) - 1)])]
    return lines + [_line(list(cells)) for cells in zip(*shown.values(), strict=True)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
