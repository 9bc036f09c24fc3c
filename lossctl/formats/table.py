"""A rich table for people; off a terminal it is as wide as its content and nothing is cut."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossctl.formats import Style
from lossctl.formats.cells import columns
from lossctl.report import Report

UNBOUNDED = 1 << 20
LEFT = ("loss", "slice", "best")


def render(report: Report, style: Style) -> str:
    """Draw the results; cells are plain text, never markup."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    shown = columns(report)
    for heading in shown:
        table.add_column(heading, justify="left" if heading in LEFT else "right", no_wrap=True)
    for cells in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, cells))
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
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(lines).strip("\n") + "\n"
