"""A Markdown table, fit for a pull-request comment or a wiki."""

from __future__ import annotations

from collections.abc import Mapping

from lossctl.formats import Document, Style
from lossctl.formats.cells import left_out, place_name, tables
from lossctl.report import Report
from lossctl.verdict import Verdict


def render(report: Document, style: Style) -> str:
    """Give the verdict of the limits, the results, their worst rows and notes."""
    found = tables(report, worst=style.worst)
    blocks = []
    if isinstance(report, Report) and report.gate is not None:
        # Whoever reads a comment wants to know first whether it passed.
        title, checks = found.pop()
        blocks = [[f"**{_escaped(title)}**"], _table(checks), _unpassed(report.gate)]
    for title, shown in found:
        blocks += [[f"**{_escaped(title)}**"]] * bool(title)
        blocks.append(_table(shown))
    blocks.append([f"- {_escaped(note)}" for note in (*left_out(report), *report.warnings)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _unpassed(gate: Verdict) -> list[str]:
    """Say in words what did not pass."""
    return [
        f"- {outcome.verdict}: {_escaped(f'{place_name(outcome)}: {outcome.message}')}"
        for outcome in gate.outcomes
        if outcome.verdict != "pass"
    ]


def _table(shown: Mapping[str, list[str]]) -> list[str]:
    lines = [_line(list(shown)), _line(["---", *["---:"] * (len(shown) - 1)])]
    return lines + [_line(list(cells)) for cells in zip(*shown.values(), strict=True)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
