"""A rich table for people; off a terminal it is as wide as its content and nothing is cut."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossctl.formats import Style
from lossctl.formats.cells import header, row
from lossctl.report import Report

UNBOUNDED = 1 << 20


def render(report: Report, style: Style) -> str:
    """Draw the results; cells are plain text, never markup."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in header(report):
        table.add_column(
            name, justify="left" if name in ("loss", "best") else "right", no_wrap=True
        )
    for result in report.results:
        cells = [Text(cell) for cell in row(result)]
        cells[1].stylize("bold")
        table.add_row(*cells)
    text = io.StringIO()
    # Numbers are never cut: a terminal that is too narrow wraps the line instead.
    console = Console(
        file=text,
        width=UNBOUNDED,
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        _environ={},
    )
    console.print(table)
    lines = (line.rstrip() for line in text.getvalue().strip("\n").splitlines())
    return "\n".join(lines) + "\n"
