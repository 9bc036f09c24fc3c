"""Evaluation: plan -> chunks -> kernels -> states -> report. No printing, no options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lossctl import __version__
from lossctl.checks import apply_policies
from lossctl.data.binding import Slot
from lossctl.data.chunks import Chunk, Task, read_chunks, tasks
from lossctl.data.csv import QuotedLineBreak
from lossctl.engines.local import Stopped, run
from lossctl.losses import Spec
from lossctl.plan import Plan, Policies, make_plan
from lossctl.report import Report
from lossctl.state import State, empty_state
from lossctl.statefile import inputs_of
from lossctl.stats.segments import Segments
from lossctl.stats.tally import FIRST, FirstRows, Row, Rows, Tally
from lossctl.summarise import summarise

__all__ = ["Plan", "Policies", "State", "empty_state", "evaluate", "make_plan"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Checkpoint = Callable[[State], None]
CHECKPOINT_S = 10.0


class Progress(Protocol):
    """Who wants to know how a run is getting on."""

    def advance(self, rows: int) -> None:
        """Take note of a finished chunk; called from any thread."""

    def merged(self, state: State) -> None:
        """Take note of the state so far; called from the caller's own thread."""


def evaluate(
    plan: Plan,
    progress: Progress | None = None,
    *,
    done: State | None = None,
    checkpoint: Checkpoint | None = None,
) -> Report:
    """Read everything once and report every loss.

    ``done`` holds pieces of the input that were measured before and are not read again;
    ``checkpoint`` is handed the state so far every `CHECKPOINT_S` seconds and at the end.

    Raises
    ------
    InputError, PairingError, DomainError, MissingValueError
        The input cannot be measured; the error names file, row and column.

    """
    started = time.perf_counter()
    try:
        state = _run(plan, tasks(plan.reading, in_order=False), progress, done, checkpoint)
    except QuotedLineBreak:
        state = _run(plan, tasks(plan.reading, in_order=True), progress, None, checkpoint)
    report = summarise(plan.settings, state)
    run_facts = {"version": __version__, "elapsed_s": round(time.perf_counter() - started, 3)}
    return replace(report, run=run_facts | {"inputs": inputs_of(plan.reading.sources)})


def measure(plan: Plan, task: Task, stopped: Stopped, progress: Progress | None = None) -> State:
    """Read one task and tally every loss of its rows."""
    state = empty_state(plan.settings)
    state.read[task.piece] = 0
    with np.errstate(all="ignore"):  # infinities are counted, not warned of
        for chunk in read_chunks(task, plan.reading, state.cells):
            if stopped():
                break
            _measure_chunk(plan, task, chunk, state)
            if progress is not None:
                progress.advance(chunk.read)
    return state


def _run(
    plan: Plan,
    work: Sequence[Task],
    progress: Progress | None,
    done: State | None,
    checkpoint: Checkpoint | None,
) -> State:
    state = empty_state(plan.settings) if done is None else done
    left = [task for task in work if task.piece not in state.read]
    saved = time.monotonic()
    for part in run(left, partial(measure, plan, progress=progress), plan.policies.jobs):
        state.merge(part)
        if progress is not None:
            progress.merged(state)
        if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_S:
            checkpoint(state)
            saved = time.monotonic()
    if checkpoint is not None:
        checkpoint(state)
    return state


def _measure_chunk(plan: Plan, task: Task, chunk: Chunk, state: State) -> None:
    path, start, _ = task.piece

    def first_rows(indices: Indices) -> list[Row]:
        numbers = np.sort(chunk.row_numbers(indices))
        return [(path, start, int(number)) for number in numbers[:FIRST]]

    def first_read(indices: Indices) -> list[Row]:
        return [(path, start, chunk.first_row + int(index)) for index in indices[:FIRST]]

    state.read[task.piece] += chunk.read
    for why, gone in apply_policies(plan.checks, task, chunk, plan.policies.nonfinite).items():
        state.dropped.setdefault(why, Rows()).add(np.flatnonzero(gone), first_read)
    segments = chunk.arrange()
    for spec in plan.specs:
        values = {role: chunk.values[slot] for role, slot in plan.binding[spec.full].items()}
        tally = state.tallies[spec.full]
        tally.grow(len(state.cells.keys))
        for what, labels in _labels_seen(spec, plan.binding[spec.full], values):
            key = (spec.full, what)
            state.labels[key] = state.labels.get(key, frozenset()) | labels
        _measure_loss(spec, values, tally, segments, first_rows)


def _labels_seen(
    spec: Spec, slots: Mapping[str, Slot], values: Mapping[str, Any]
) -> Iterator[tuple[str, frozenset[float]]]:
    """Give what is judged over the whole input: codings of labels, and whether a label is there."""
    for role in spec.loss.roles:
        if seen := role.domain.labels_seen(values[role.name]):
            yield role.name, seen
        slot = slots[role.name]
        if slot.kind == "positive":
            present = frozenset({1.0}) if values[role.name].any() else frozenset[float]()
            yield f"the label {slot.positive!r} in the column {slot.columns[0]!r}", present


def _measure_loss(
    spec: Spec, values: Mapping[str, Any], tally: Tally, segments: Segments, first_rows: FirstRows
) -> None:
    finish = spec.loss.finish
    components = spec.loss.kernel(**values, **spec.parameters)
    shown = finish.row(components)
    if spec.loss.clipped:
        tally.add_clipped(_clipped(spec, values, shown), shown, segments, first_rows)
    if finish.counts is not None:
        counted = np.flatnonzero(finish.counts(components))
        components, shown = components[:, counted], shown[counted]
        segments = segments.take(counted)
        tally.add(components, shown, segments, lambda indices: first_rows(counted[indices]))
    else:
        tally.add(components, shown, segments, first_rows)


def _clipped(spec: Spec, values: Mapping[str, Any], shown: Array) -> Mask:
    """Mark the rows whose loss the clip changed: those that differ from the one without clip."""
    name = spec.loss.clipped or ""
    eps, p = spec.parameters[name], values["prediction"]
    clipped = np.zeros(len(p), dtype=np.bool_)
    if not len(p) or (p.min() >= eps and p.max() <= 1.0 - eps):
        return clipped
    near = (p < eps) | (p > 1.0 - eps)
    rows = np.flatnonzero(near if near.ndim == 1 else near.any(axis=1))
    part = {role: value[rows] for role, value in values.items()}
    honest = spec.loss.finish.row(spec.loss.kernel(**part, **{**spec.parameters, name: 0.0}))
    clipped[rows] = (honest != shown[rows]) & ~np.isnan(shown[rows])
    return clipped
