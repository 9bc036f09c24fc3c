"""Evaluation: plan -> chunks -> kernels -> states -> report. No printing, no options."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl import __version__
from lossctl.checks import Check, Nonfinite, apply_policies, find_checks
from lossctl.data.binding import Binding, Choices, bind, is_stacked
from lossctl.data.chunks import Chunk, Nulls, Pairing, Reading, Task, read_chunks, tasks
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.source import Source
from lossctl.engines.local import Stopped, run
from lossctl.errors import InputError, UsageError
from lossctl.losses import Spec
from lossctl.report import Report
from lossctl.stats.tally import Rows, Tally
from lossctl.summarise import summarise

CHUNK_ROWS = 1 << 15
"""Rows of a chunk: its arrays stay in cache, and each NumPy call is long enough to be worth it."""

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RowOf = Callable[[int], tuple[int, int]]
Progress = Callable[[int], None]
"""Told the number of rows of each finished chunk, from any thread."""


@dataclass(frozen=True)
class Policies:
    """What to do about gaps, how wide the intervals are, and how the work is cut."""

    nulls: Nulls = "error"
    nonfinite: Nonfinite = "error"
    ci: float | None = 0.95
    """Level of the intervals; None for none."""
    jobs: int = 1
    chunk_rows: int = CHUNK_ROWS


@dataclass(frozen=True)
class Plan:
    """All that is decided before the first row is read."""

    specs: tuple[Spec, ...]
    binding: Binding
    checks: tuple[Check, ...]
    reading: Reading
    policies: Policies


@dataclass
class State:
    """What a task gives back; states merge in any order."""

    tallies: dict[str, Tally]
    read: dict[int, int]
    """Task number to rows read."""
    dropped: dict[str, Rows]
    labels: dict[Check, frozenset[float]]
    """Labels seen where the coding is judged over the whole file."""

    def merge(self, other: State) -> None:
        """Add another state of the same plan."""
        for name, tally in other.tallies.items():
            self.tallies[name].merge(tally)
        self.read |= other.read
        for why, rows in other.dropped.items():
            self.dropped.setdefault(why, Rows()).merge(rows)
        for check, seen in other.labels.items():
            self.labels[check] = self.labels.get(check, frozenset()) | seen


def make_plan(
    sources: Sequence[Source], specs: Sequence[Spec], choices: Choices, policies: Policies
) -> Plan:
    """Decide what will be read and how, without reading rows.

    Raises
    ------
    UsageError
        A role has no column, or the losses cannot be evaluated together.

    """
    stacked = [is_stacked(spec, sources) for spec in specs]
    if any(stacked) and not all(stacked):
        names = ", ".join(spec.label for spec, two in zip(specs, stacked, strict=True) if not two)
        message = f"two files of two populations cannot be paired row by row as well ({names})"
        raise UsageError(message, hint="evaluate those losses in a run of their own")
    pairing: Pairing = (
        "one file" if len(sources) == 1 else "populations" if all(stacked) else "position"
    )
    binding = bind(specs, sources, choices)
    slots = dict.fromkeys(slot for roles in binding.values() for slot in roles.values())
    shared: tuple[str, ...] = ()
    if pairing == "position":
        first, *others = (source.names for source in sources)
        shared = tuple(name for name in first if all(name in names for names in others))
    reading = Reading(
        tuple(sources), pairing, tuple(slots), policies.nulls, policies.chunk_rows, shared
    )
    return Plan(tuple(specs), binding, find_checks(specs, binding), reading, policies)


def evaluate(plan: Plan, progress: Progress | None = None) -> Report:
    """Read everything once and report every loss.

    Raises
    ------
    InputError, PairingError, DomainError, MissingValueError
        The input cannot be measured; the error names file, row and column.

    """
    started = time.perf_counter()
    try:
        work = tasks(plan.reading, in_order=False)
        state = _run(plan, work, progress)
    except QuotedLineBreak:
        work = tasks(plan.reading, in_order=True)
        state = _run(plan, work, progress)
    for check, labels in state.labels.items():
        check.judge(labels, plan.reading)
    if not sum(state.read.values()):
        path = plan.reading.sources[0].path
        raise InputError(f"{path} holds no rows", hint="there is nothing to measure")
    report = summarise(plan, work, state)
    inputs = [
        {"path": source.path, "format": source.format, "bytes": source.size}
        for source in plan.reading.sources
    ]
    elapsed = round(time.perf_counter() - started, 3)
    return replace(report, run={"version": __version__, "elapsed_s": elapsed, "inputs": inputs})


def empty_state(plan: Plan) -> State:
    """Give the identity of merging."""
    products = plan.policies.ci is not None
    tallies = {
        spec.full: Tally(spec.loss.finish.components, products=products) for spec in plan.specs
    }
    return State(tallies, {}, {}, {})


def measure(plan: Plan, task: Task, stopped: Stopped, progress: Progress | None = None) -> State:
    """Read one task and tally every loss of its rows."""
    state = empty_state(plan)
    with np.errstate(all="ignore"):  # infinities are counted, not warned of
        for chunk in read_chunks(task, plan.reading):
            if stopped():
                break
            _measure_chunk(plan, task, chunk, state)
            if progress is not None:
                progress(chunk.read)
    return state


def _run(plan: Plan, work: Sequence[Task], progress: Progress | None) -> State:
    state = empty_state(plan)
    steps = run(work, lambda task, stop: measure(plan, task, stop, progress), plan.policies.jobs)
    for part in steps:
        state.merge(part)
    return state


def _measure_chunk(plan: Plan, task: Task, chunk: Chunk, state: State) -> None:
    def row_of(index: int) -> tuple[int, int]:
        return task.number, chunk.row_number(index)

    state.read[task.number] = state.read.get(task.number, 0) + chunk.read
    for why, gone in apply_policies(plan.checks, task, chunk, plan.policies.nonfinite).items():
        state.dropped.setdefault(why, Rows()).add(
            gone, lambda index: (task.number, chunk.first_row + index)
        )
    for check in plan.checks:
        seen = check.domain.labels_seen(chunk.values[check.slot])
        state.labels[check] = state.labels.get(check, frozenset()) | seen
    for spec in plan.specs:
        values = {role: chunk.values[slot] for role, slot in plan.binding[spec.full].items()}
        _measure_loss(spec, values, state.tallies[spec.full], row_of)


def _measure_loss(spec: Spec, values: Mapping[str, Any], tally: Tally, row_of: RowOf) -> None:
    finish = spec.loss.finish
    components = spec.loss.kernel(**values, **spec.parameters)
    shown = finish.row(components)
    if spec.loss.clipped:
        tally.add_clipped(_clipped(spec, values, shown), shown, row_of)
    if finish.counts is None:
        tally.add(components, shown, row_of)
    else:
        counted = np.flatnonzero(finish.counts(components))
        part, part_shown = components[:, counted], shown[counted]
        tally.add(part, part_shown, lambda index: row_of(int(counted[index])))


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
    clipped[rows] = honest != shown[rows]
    return clipped
