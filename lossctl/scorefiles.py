"""Files of scores: each written whole from one input, and left alone when it is complete.

A Parquet file of scores keeps the exact state of its run in its footer, so that a later run knows
what it was made from and adds its sums to the report without reading the input again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossctl.collect import Progress
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.sinks import Sink, footer, open_sink
from lossctl.data.source import stamped_inputs
from lossctl.errors import LossctlError, OutputError, Place
from lossctl.score import Scoring, score
from lossctl.state import State, empty_state
from lossctl.statefile import Saved, StateError, dump, loads, report_of
from lossctl.stats.tally import Rows
from lossctl.whole import whole_file

STATE = "lossctl.state"
"""Name of the footer's entry that holds the state."""


def write_scores(scoring: Scoring, path: Path, progress: Progress | None = None) -> Saved:
    """Score one input into one file, written whole or not at all, and give the state of the run.

    Raises
    ------
    OutputError
        The file could not be written; what stood there before still does.
    LossctlError
        The input cannot be measured.

    """
    try:
        return _write(scoring, path, progress, in_order=False)
    except QuotedLineBreak:
        return _write(scoring, path, progress, in_order=True)


def finished_scores(scoring: Scoring, path: Path) -> Saved | None:
    """Give the state of a file that holds just what would be written; None where there is no file.

    Raises
    ------
    StateError
        The file there is another one: damaged, of other settings, or of inputs that have changed.

    """
    if not path.exists():
        return None
    try:
        names, rows, facts = footer(path)
    except LossctlError as error:
        raise StateError(error.message, hint=ANEW, place=Place(str(path))) from error
    if STATE not in facts:
        raise StateError("not a file of scores", hint=ANEW, place=Place(str(path)))
    losses = [spec.loss for spec in scoring.plan.specs]
    before = loads(facts[STATE], str(path), losses)
    _fresh(scoring).check_same_run(before, str(path))
    if names != [*scoring.columns] or rows != _rows(before.state):
        raise StateError("it holds other columns or rows", hint=ANEW, place=Place(str(path)))
    return before


def _rows(state: State) -> int:
    """Give the rows of a file: those that the filter keeps, and that have a match by their key."""
    left_out = state.dropped.get("filtered", Rows()).count
    if not state.pairs.read:
        return sum(state.read.values()) - left_out
    return state.pairs.read[0] - state.pairs.unmatched.get(0, Rows()).count - left_out


ANEW = "--overwrite makes it anew"


def _fresh(scoring: Scoring) -> Saved:
    plan = scoring.plan
    return Saved(plan.settings, empty_state(plan.settings), stamped_inputs(plan.reading.sources))


def _write(scoring: Scoring, path: Path, progress: Progress | None, *, in_order: bool) -> Saved:
    saved = _fresh(scoring)
    with _told_as_output_errors(path), whole_file(path) as file, contextlib.ExitStack() as left:
        sinks: list[Sink] = []

        def write(batch: Any) -> None:
            if not sinks:
                sinks.append(open_sink(str(path), file.name, batch.schema, scoring.numbers))
                left.callback(sinks[0].close)
            sinks[0].write(batch)

        saved.state = score(scoring, write, in_order=in_order, progress=progress)
        report_of(saved)  # refuses what no report can be made of
        for sink in sinks:
            sink.finish({STATE: dump(saved)})
    return saved


@contextlib.contextmanager
def _told_as_output_errors(path: Path) -> Iterator[None]:
    """Say of which file it is that a disk is full."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error), place=Place(str(path))) from error
