"""The whole report as one JSON document, the same bytes on and off a terminal."""

from __future__ import annotations

from lossctl.formats import Style
from lossctl.report import Report


def render(report: Report, style: Style) -> str:
    """Give the report as indented JSON."""
    del style
    return report.to_json()
