"""Progress on a terminal: how far, how fast, how long still, and the first loss so far."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from lossctl.data.source import Source
from lossctl.data.store import first_bytes
from lossctl.plan import Plan
from lossctl.state import State
from lossctl.summarise import standing

SAMPLE_BYTES = 1 << 16
REDRAW_S = 0.1
"""Seconds between two drawings at least."""


@contextlib.contextmanager
def progress_of(plan: Plan, *, shown: bool) -> Iterator[Bar | None]:
    """Show a bar on stderr while the block runs; none off a terminal."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (shown and on_terminal and os.environ.get("TERM") != "dumb"):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[value]}", markup=False),
    )
    # Without a thread that draws, this process may share its work out to copies of itself.
    options: dict[str, Any] = {"transient": True, "auto_refresh": False}
    with Progress(*columns, console=Console(stderr=True), **options) as bars:
        yield Bar(plan, bars)


@contextlib.contextmanager
def count_of(jobs: int, *, shown: bool) -> Iterator[Callable[[Any], None]]:
    """Count finished jobs on stderr while the block runs; nothing off a terminal."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (shown and on_terminal and os.environ.get("TERM") != "dumb"):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=jobs)
        yield lambda _: bars.advance(task)


class Bar:
    """A bar that rows move along."""

    def __init__(self, plan: Plan, bars: Any) -> None:
        """Estimate how many rows there are."""
        self.plan, self.bars = plan, bars
        sources = plan.reading.sources
        read = sources[:1] if plan.reading.pairing == "position" else sources
        rows = [_rows_of(file) for source in read for file in source.files]
        total = None if None in rows else sum(filter(None, rows))
        self.task = bars.add_task("", total=total, speed="", value="")
        self.process, self.drawn, self.told = os.getpid(), 0.0, 0.0

    def advance(self, rows: int) -> None:
        """Move on; in a worker process nobody sees it, and what it gives back tells its rows."""
        if os.getpid() == self.process:
            self._move(self.bars.tasks[0].completed + rows)
            if time.monotonic() - self.drawn >= REDRAW_S:
                self._draw()

    def merged(self, state: State) -> None:
        """Show the first loss so far, and move on to the rows behind it."""
        if time.monotonic() - self.told >= REDRAW_S:
            self.bars.update(self.task, value=standing(self.plan.settings, state))
            self._move(max(self.bars.tasks[0].completed, sum(state.read.values())))
            self._draw()
            self.told = time.monotonic()

    def _move(self, rows: float) -> None:
        self.bars.update(self.task, completed=rows)
        speed = self.bars.tasks[0].speed or 0.0
        self.bars.update(self.task, speed=f"{speed / 1e6:.1f} M rows/s")

    def _draw(self) -> None:
        self.bars.refresh()
        self.drawn = time.monotonic()


def _rows_of(source: Source) -> int | None:
    """Give the rows of a file, by the length of its first lines; None where nothing tells."""
    if source.rows is not None or source.format not in ("csv", "jsonl") or source.compression:
        return source.rows
    sample = first_bytes(source, SAMPLE_BYTES)
    return int(source.size * sample.count(b"\n") / max(len(sample), 1))
