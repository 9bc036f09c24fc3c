"""Report -> text: one module per format, each with one function ``render(report, style)``."""

from __future__ import annotations

import importlib

from lossctl.comparison import Comparison
from lossctl.record import record
from lossctl.report import Report

Document = Report | Comparison
"""What is shown: the outcome of one command."""

FORMATS = ("table", "json", "jsonl", "csv", "md", "value")
CHECK_FORMATS = ("junit", "github", "gitlab")
"""Formats of checks, for runs with limits."""
REPORT_FORMATS = (*FORMATS, "openmetrics", *CHECK_FORMATS)
"""Formats of a report, as against a comparison."""


@record
class Style:
    """How a person sees the result; formats for programs take no notice of it."""

    width: int | None = None
    """Columns of the terminal; None off a terminal, where nothing is ever cut."""
    color: bool = False
    worst: bool = False
    """Whether the worst rows are the result, instead of what comes after it."""


def render(report: Document, name: str, style: Style) -> str:
    """Give the report in a format, importing only that one."""
    text: str = importlib.import_module(f"lossctl.formats.{name}").render(report, style)
    return text
