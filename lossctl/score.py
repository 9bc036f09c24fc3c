"""Scores: the loss of every row, its slope and its bend, in the order of the input.

One row in is one row out: a row that the policies drop, or that is not of a loss's population, has
null there. The report of the run comes from the same pass. Rows that a filter leaves out are not
written; the others keep their numbers. Rows that are paired by key come in the order of the first
file; those without a match are left out, where the policies let them be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lossctl.collect import Progress, each_chunk, faults_kept
from lossctl.data.chunks import Chunk
from lossctl.data.convert import take
from lossctl.data.joining import refusal
from lossctl.data.pairing import Pairing
from lossctl.data.reordering import Reordering
from lossctl.data.sinks import array_of, form_of, is_flat, record_batch
from lossctl.data.tasks import Task, tasks
from lossctl.engines.local import Stopped, run
from lossctl.engines.ordered import run_in_order
from lossctl.errors import Gathered, UsageError
from lossctl.losses import Ragged, Spec
from lossctl.measure import measure_chunk
from lossctl.plan import Plan, rows_of_chunk
from lossctl.record import record
from lossctl.state import State, empty_state

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Emit = Literal["loss", "grad", "hess"]

ROW = "row"
"""Name of the column that numbers the rows from 1, over all files that the input is made of."""
SPAN_CHUNKS = 4
"""Rows that are paired by key are put in order by ranges of so many chunks."""


@record
class Scoring:
    """What to write of each row."""

    plan: Plan
    emit: tuple[Emit, ...] = ("loss",)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the columns of the input that are written again."""
        return self.plan.policies.keep

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the columns of the key, as in the first file; none where rows have no key."""
        reading = self.plan.reading
        return tuple(key.names[0] for key in reading.keys) if reading.pairing == "key" else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that are written."""
        return (ROW, *self.keys, *self.kept, *self.numbers)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the columns that are computed."""
        return tuple(name for spec in self.plan.specs for name in self.names(spec))

    def names(self, spec: Spec) -> Iterator[str]:
        """Give the names of a loss's columns: the loss itself, its slopes, its bends."""
        roles = spec.loss.with_respect_to
        for what in self.emit:
            if what == "loss":
                yield spec.label
            else:
                several = what == "grad" and len(roles) > 1
                yield from (f"{spec.label}.{what}{f'.{r}' * several}" for r in roles)

    def check(self, path: Path) -> None:
        """Refuse what cannot be written to a file.

        Raises
        ------
        UsageError, SeveralErrors
            A loss lacks the derivative asked for, or two columns would have the same name.

        """
        wrong = Gathered()
        nested = [name for _, name in self.plan.kept if self._is_nested(name)]
        nested += [name for spec in self.plan.specs for name in self._ragged(spec)]
        with wrong:
            if form_of(str(path)) == "csv" and nested:
                message = f"CSV cannot hold the lists of {', '.join(map(repr, nested))}"
                raise UsageError(message, hint="write .parquet, .arrow or .jsonl")
        for what, have in (("grad", "gradient"), ("hess", "curvature")):
            lacking = [s.label for s in self.plan.specs if getattr(s.loss, have) is None]
            with wrong:
                if what in self.emit and lacking:
                    raise UsageError(
                        f"--emit {what}: no {have} is declared for {', '.join(lacking)}",
                        hint="`lossctl losses NAME` says what a loss has",
                    )
        for name in dict.fromkeys(n for n in self.columns if self.columns.count(n) > 1):
            with wrong:
                raise UsageError(f"two columns of the output would be called {name!r}")
        wrong.settle()

    def _is_nested(self, name: str) -> bool:
        source = next(s for s in self.plan.reading.sources if name in s.names)
        kind = source.types[name]
        return kind is not None and not is_flat(kind)

    def _ragged(self, spec: Spec) -> list[str]:
        domains = {role.name: role.domain for role in spec.loss.roles}
        ragged = any(domains[name].ragged for name in spec.loss.with_respect_to)
        return [name for name in self.names(spec) if name != spec.label] if ragged else []


def score(
    scoring: Scoring,
    write: Callable[[Any], None],
    *,
    in_order: bool = False,
    progress: Progress | None = None,
) -> State:
    """Read everything once, hand the rows over as Arrow batches and give the state of the run.

    Raises
    ------
    LossctlError
        The input cannot be measured.
    QuotedLineBreak
        A CSV file has to be read ``in_order``; what was written is worth nothing.

    """
    plan = scoring.plan
    if plan.reading.pairing == "key":
        return _score_by_key(scoring, write, in_order=in_order, progress=progress)
    state = empty_state(plan.settings)
    before = 0
    work = tasks(plan.reading, in_order=in_order)
    step = partial(_score_task, scoring, progress=progress)
    for part in run_in_order(work, step, plan.policies.jobs):
        if isinstance(part, State):
            state.merge(part)
            if progress is not None:
                progress.merged(state)
            continue
        rows, batch = part
        if batch.num_rows:
            write(_numbered(batch, before))
        before += rows
    return state


def _score_by_key(
    scoring: Scoring,
    write: Callable[[Any], None],
    *,
    in_order: bool,
    progress: Progress | None,
) -> State:
    """Score rows as their keys bring them together, and put them in the order of the first file.

    Raises
    ------
    LossctlError
        As `score`; rows that cannot be paired are refused before any is handed over.

    """
    plan, jobs = scoring.plan, scoring.plan.policies.jobs
    # One half of the memory is for the rows to be paired, the other for those that have been.
    reading = replace(plan.reading, memory=plan.reading.memory // 2)
    span = SPAN_CHUNKS * rows_of_chunk(reading.slots)
    state = empty_state(plan.settings)
    (whole,) = tasks(reading, in_order=in_order)
    with Pairing(reading, jobs=jobs, in_order=in_order) as pairing:
        for _ in run(pairing.work, pairing.take_in, jobs):
            pass
        work = pairing.tasks(whole)
        with Reordering(pairing.rows, span, reading.memory, reading.temp_dir) as scored:

            def step(task: Task, stopped: Stopped) -> State:
                found = empty_state(plan.settings)
                for number, part in enumerate(_score_task(scoring, task, stopped, progress)):
                    if isinstance(part, State):
                        found = part
                    elif part[-1].num_rows:
                        scored.add((task.number, number), part[-1])
                return found

            for part in run(work, step, jobs):
                state.merge(part)
            if error := refusal(state.pairs, reading):
                raise error
            for batch in scored.batches():
                write(_numbered(batch, 0))
    return state


def _numbered(batch: Any, before: int) -> Any:
    """Count the rows from 1, and those before them along."""
    numbers = np.asarray(batch.column(0)) + (before + 1)
    return batch.set_column(0, ROW, array_of(numbers, None))


def _score_task(
    scoring: Scoring, task: Task, stopped: Stopped, progress: Progress | None
) -> Iterator[State | tuple[int, Any]]:
    """Give rows read and rows to write of each chunk, and the state of the task at its end."""
    plan = scoring.plan
    state = empty_state(plan.settings)
    state.read[task.piece] = 0
    for chunk in each_chunk(plan, task, stopped, state):
        # As they are read, before rows are dropped and arranged: the filter alone has been at them.
        written = None if chunk.kept is None else np.flatnonzero(chunk.kept)
        kept = zip(scoring.kept, plan.kept, strict=True)
        columns = _origin(scoring, chunk, written)
        columns |= {name: chunk.carried[column] for name, column in kept}
        with faults_kept(chunk, state), np.errstate(all="ignore"):  # infinities are counted
            columns |= _computed(scoring, task, chunk, state, written)
        if state.pairs.fault is None:
            yield chunk.read, record_batch(columns)
        if progress is not None:
            progress.advance(chunk.read)
    yield state


def _origin(scoring: Scoring, chunk: Chunk, written: Indices | None) -> dict[str, Any]:
    """Number rows from 0 within the chunk; those with keys within the first source."""
    places = np.arange(chunk.read) if written is None else written
    if chunk.origin is None:
        return {ROW: array_of(places, None)}
    found = {ROW: array_of(chunk.origin.rows(places), None)}
    for name, key in zip(scoring.keys, chunk.origin.keys, strict=True):
        found[name] = key if written is None else key.take(array_of(written, None))
    return found


def _computed(
    scoring: Scoring, task: Task, chunk: Chunk, state: State, written: Indices | None
) -> dict[str, Any]:
    """Tally a chunk and give its losses and their derivatives as Arrow arrays, by name."""
    found: dict[str, Any] = {}

    def scored(
        spec: Spec, values: Mapping[str, Any], shown: Array, counted: Indices | None
    ) -> None:
        place = _Places(chunk, written, counted)
        names = scoring.names(spec)
        for what in scoring.emit:
            if what == "loss":
                parts: tuple[Any, ...] = (shown,)
            else:
                parts = _derivatives(spec, values, what)
            found.update({next(names): place.spread(part) for part in parts})

    measure_chunk(scoring.plan, task, chunk, state, scored)
    return found


def _derivatives(spec: Spec, values: Mapping[str, Any], what: Emit) -> tuple[Any, ...]:
    """Give slopes or bends by role, those of a ragged role as ragged as the role."""
    function = spec.loss.gradient if what == "grad" else spec.loss.curvature
    result = function(**values, **spec.parameters) if function else ()
    parts = result if isinstance(result, tuple) else (result,)
    roles = [values[role] for role in spec.loss.with_respect_to]
    return tuple(
        Ragged(part, role.offsets) if isinstance(role, Ragged) else part
        for part, role in zip(parts, roles, strict=True)
    )


@record
class _Places:
    """Where the rows of a chunk's arrays stood when they were read."""

    chunk: Chunk
    written: Indices | None
    """The places of the rows that are written; None for all."""
    counted: Indices | None
    """The rows that belong to the loss's population; None for all."""

    def spread(self, values: Any) -> Any:
        """Bring rows back to where they stood, with null where there is none."""
        chunk, rows = self.chunk, self.chunk.rows
        total = chunk.read if self.written is None else len(self.written)
        if rows == total and chunk.order is None and self.counted is None:
            return array_of(values, None)
        present = np.arange(rows) if self.counted is None else self.counted
        places = np.zeros(total, dtype=np.intp)
        missing = np.ones(total, dtype=np.bool_)
        where = chunk.places(present)
        if self.written is not None:
            where = np.searchsorted(self.written, where)
        places[where], missing[where] = present, False
        if not rows:
            values = _one_row_like(values)
        return array_of(take(values, places), missing)


def _one_row_like(values: Any) -> Any:
    """Give a row to stand at nulls where all rows are dropped."""
    if isinstance(values, Ragged):
        return Ragged(values.values, np.zeros(2, dtype=np.int64))
    return np.zeros((1, *values.shape[1:]))
