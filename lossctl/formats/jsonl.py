"""One JSON object a line and result, for tools that read line by line."""

from __future__ import annotations

import json

from lossctl.formats import Document, Style, worst
from lossctl.report import Report


def render(report: Document, style: Style) -> str:
    """Give each result of the JSON report on its own line, or each of its worst rows.

    Where limits are given, a last line holds their outcome under ``gate``.
    """
    lines = list(
        worst.records(report)
        if style.worst and isinstance(report, Report)
        else report.to_dict()["results"]
    )
    if isinstance(report, Report) and report.gate is not None:
        lines.append({"gate": report.gate.to_dict()})
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
