"""A rich table for people; off a terminal it is as wide as its content and nothing is cut."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossctl.formats import Document, Style
from lossctl.formats.cells import LEFT, tables

UNBOUNDED = 1 << 20


def render(report: Document, style: Style) -> str:
    """Draw the results and their worst rows; cells are plain text, never markup."""
    return "\n".join(
        f"{title}\n\n{draw(shown, style)}" if title else draw(shown, style)
        for title, shown in tables(report, worst=style.worst)
    )


def draw(shown: Mapping[str, list[str]], style: Style) -> str:
    """Draw one table, its columns by heading."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
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
