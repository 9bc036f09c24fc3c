"""Collecting: a step over every task of a plan, and what the tasks give merged into one state."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

from lossctl.data.chunks import Chunk, read_chunks
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.joined import Pairs
from lossctl.data.joining import refusal
from lossctl.data.ordered import OutOfOrder
from lossctl.data.pairing import Pairing
from lossctl.data.reading import Reading
from lossctl.data.tasks import Piece, Task, tasks
from lossctl.engines.local import Stopped, run
from lossctl.errors import LossctlError
from lossctl.plan import Policies
from lossctl.state import State
from lossctl.stats.tally import Rows

Engine = Callable[..., Iterator[Any]]
"""Maps a step over tasks on so many jobs, like `lossctl.engines.local.run`."""


class Progress(Protocol):
    """Who wants to know how a run is getting on."""

    def advance(self, rows: int) -> None:
        """Take note of a finished chunk; called from any thread or a copy of the process."""

    def merged(self, state: State) -> None:
        """Take note of the state so far; called from the caller's own thread."""


class Work(Protocol):
    """What of a plan says which tasks there are, and on how many threads they run."""

    @property
    def reading(self) -> Reading:
        """What is read."""

    @property
    def policies(self) -> Policies:
        """How the work is cut."""


class Collected(Protocol):
    """A state that tasks give back: it knows what was read, and adds up in any order."""

    @property
    def read(self) -> dict[Piece, int]:
        """Rows read of each piece of the input."""

    @property
    def pairs(self) -> Pairs:
        """What became of the keys, where rows are paired by key."""

    def merge(self, other: Self) -> object:
        """Add another state of the same plan."""


Kept = TypeVar("Kept", bound=Collected)


def collect(
    work: Work,
    step: Callable[[Task, Stopped], Kept],
    fresh: Callable[[], Kept],
    *,
    done: Kept | None = None,
    seen: Callable[[Kept], None] | None = None,
    engine: Engine = run,
) -> Kept:
    """Run a step over every task that is not in ``done`` and merge what they give.

    ``seen`` is handed the state so far after every task; rows that are paired by key come in no
    order, so that a state of some of them is nothing to go on from, and it is not handed on.

    Raises
    ------
    PairingError
        Keys repeat or have no match where that is not allowed.

    """

    def run_over(state: Kept, *, in_order: bool) -> Kept:
        todo = tasks(work.reading, in_order=in_order)
        left = [task for task in todo if task.piece not in state.read]
        if left and work.reading.pairing == "key":
            state.merge(_collect_by_key(work, step, fresh, left[0], in_order=in_order))
            if error := refusal(state.pairs, work.reading):
                raise error
            return state
        for part in engine(left, step, work.policies.jobs):
            state.merge(part)
            if seen is not None:
                seen(state)
        return state

    try:
        return run_over(fresh() if done is None else done, in_order=False)
    except QuotedLineBreak:
        return run_over(fresh(), in_order=True)


def _collect_by_key(
    work: Work,
    step: Callable[[Task, Stopped], Kept],
    fresh: Callable[[], Kept],
    whole: Task,
    *,
    in_order: bool,
) -> Kept:
    """Bring the rows of all files together by their keys, and run a step over those of some."""
    jobs = work.policies.jobs

    def run_over(todo: Sequence[Task]) -> Kept:
        state = fresh()
        for part in run(todo, step, jobs):
            state.merge(part)
        return state

    with Pairing(work.reading, jobs=jobs, in_order=in_order) as pairing:
        if todo := pairing.in_order(whole):
            with contextlib.suppress(OutOfOrder):
                return run_over(todo)
        for _ in run(pairing.work, pairing.take_in, jobs):
            pass
        return run_over(pairing.tasks(whole))


def each_chunk(work: Work, task: Task, stopped: Stopped, state: State) -> Iterator[Chunk]:
    """Read a task's chunks until a run is stopped, and count what was not paired on the way."""
    for chunk in read_chunks(task, work.reading, state.cells):
        if stopped():
            return
        if chunk.pairs is None:
            yield chunk
            continue
        state.pairs.merge(chunk.pairs)
        if lost := chunk.pairs.lost.count:
            state.read[task.piece] += lost
            state.dropped.setdefault("unmatched", Rows()).merge(chunk.pairs.lost)


@contextlib.contextmanager
def faults_kept(chunk: Chunk, state: State) -> Iterator[None]:
    """Keep the fault of a row in no order: another task may find an earlier row."""
    try:
        yield
    except LossctlError as error:
        if chunk.origin is None or not chunk.faults:
            raise
        fault = chunk.origin.row(chunk.faults[0].row), error
        state.pairs.merge(Pairs(fault=fault))
