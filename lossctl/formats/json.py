"""The whole report as one JSON document, the same bytes on and off a terminal."""

from __future__ import annotations

from lossctl.formats import Document, Style


def render(report: Document, style: Style) -> str:
    """Give the report as indented JSON."""
    del style
    return report.to_json()
