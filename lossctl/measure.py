"""Measuring: the rows of a task, judged by the policies and tallied by every loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.checks import Check, apply_policies
from lossctl.collect import Progress, Work, each_chunk, faults_kept
from lossctl.data.binding import Slot
from lossctl.data.cells import plain
from lossctl.data.chunks import Chunk
from lossctl.data.keys import lasting_hashes
from lossctl.data.reading import Column, Reading
from lossctl.data.tasks import Task
from lossctl.engines.local import Stopped
from lossctl.losses import Ragged, Spec
from lossctl.plan import Plan
from lossctl.record import record
from lossctl.state import LabelsSeen, State, empty_state
from lossctl.stats.extremes import Extremes, Row
from lossctl.stats.fingerprint import Fingerprint, bits, of_lists
from lossctl.stats.segments import Segments
from lossctl.stats.tally import FIRST, Rows, Tally

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Scored = Callable[[Spec, Mapping[str, Any], Array, Indices | None], None]
"""Takes a loss, the values of its roles, what rows show, and the rows that count, if not all."""


def measure(plan: Plan, task: Task, stopped: Stopped, progress: Progress | None = None) -> State:
    """Read one task and tally every loss of its rows."""
    state = empty_state(plan.settings)
    state.read[task.piece] = 0
    with np.errstate(all="ignore"):  # infinities are counted, not warned of
        for chunk in each_chunk(plan, task, stopped, state):
            with faults_kept(chunk, state):
                measure_chunk(plan, task, chunk, state)
            if progress is not None:
                progress.advance(chunk.read)
    return state


def measure_chunk(
    plan: Plan, task: Task, chunk: Chunk, state: State, scored: Scored | None = None
) -> None:
    """Tally every loss of a chunk; ``scored`` is handed the rows of each."""
    segments, names = take_in(plan, plan.checks, task, chunk, state, plan.kept)
    for spec in plan.measured:
        values = {role: chunk.values[slot] for role, slot in plan.binding[spec.full].items()}
        tally = state.tallies[spec.full]
        tally.grow(len(state.cells.keys))
        seen = labels_seen(spec, plan.binding[spec.full], chunk) if spec in plan.specs else ()
        for what, labels in seen:
            key = (spec.full, what)
            state.labels[key] = state.labels.get(key, frozenset()) | labels
        shown, counted = _measure_loss(spec, values, tally, segments, names, chunk.weights)
        if scored is not None:
            scored(spec, values, shown, counted)


def take_in(
    work: Work,
    checks: Sequence[Check],
    task: Task,
    chunk: Chunk,
    state: State,
    kept: tuple[Column, ...] = (),
) -> tuple[Segments, RowNames]:
    """Apply the policies to a chunk, count its rows, and arrange what is left by cell.

    ``kept`` are the columns that are shown of a row that is named.

    Raises
    ------
    LossctlError
        A row is there that the policies do not allow.

    """
    path, start, _ = task.piece

    def first(places: Indices) -> list[Row]:
        return [chunk.name(int(place), (path, start)) for place in places[:FIRST]]

    state.read[task.piece] += chunk.read
    gone_by_reason = apply_policies(
        checks, task, chunk, work.policies.nonfinite, work.reading.weight
    )
    for why, places in (chunk.filtered | gone_by_reason).items():
        state.dropped.setdefault(why, Rows()).add(places, first)
    if work.reading.fingerprinted is not None:
        add_to_fingerprint(state.fingerprint, work.reading, chunk)
    return chunk.arrange(), RowNames(path, start, chunk, kept)


def add_to_fingerprint(fingerprint: Fingerprint, reading: Reading, chunk: Chunk) -> None:
    """Add the rows that are left of a chunk: their keys, targets and weights, if they have any."""
    columns = lasting_hashes(chunk.keys(reading))
    for slot in reading.fingerprinted or ():
        values = chunk.values[slot]
        if isinstance(values, Ragged):
            columns.append(of_lists(values.values, values.offsets))
        else:
            columns += [bits(column) for column in np.atleast_2d(values.T)]
    if chunk.weights is not None:
        columns.append(bits(chunk.weights))
    fingerprint.add(chunk.rows, columns)


@record
class RowNames:
    """Names the rows at some indices of a chunk's arrays, or of a part of them."""

    path: str
    start: int
    chunk: Chunk
    columns: tuple[Column, ...] = ()
    """Columns that are shown of a row."""
    part: Indices | None = None
    """The rows of the chunk that are left; None for all."""

    @property
    def piece(self) -> tuple[str, int]:
        """The piece of a file that the rows are in."""
        return self.path, self.start

    def numbers(self, indices: Indices) -> Indices:
        """Give the numbers of the rows within the piece."""
        return self.chunk.row_numbers(self._within(indices))

    def first(self, indices: Indices) -> list[Row]:
        """Name the first few of the rows."""
        places = np.sort(self.chunk.places(self._within(indices)))[:FIRST]
        return [self.chunk.name(int(place), self.piece) for place in places]

    def carried(self, indices: Indices) -> list[tuple[Any, ...]]:
        """Give what is shown of each row, in plain values; its key goes first."""
        rows = self._within(indices).tolist()
        columns = [self.chunk.carried[column] for column in self.columns]
        shown = [tuple(plain(values[row].as_py()) for values in columns) for row in rows]
        if self.chunk.origin is None:
            return shown
        places = self.chunk.places(self._within(indices)).tolist()
        keys = [self.chunk.origin.key(place) for place in places]
        return [(*key, *values) for key, values in zip(keys, shown, strict=True)]

    def among(self, rows: Indices) -> RowNames:
        """Name rows at indices into a part of these."""
        return replace(self, part=self._within(rows))

    def _within(self, indices: Indices) -> Indices:
        return indices if self.part is None else self.part[indices]


def labels_seen(
    spec: Spec, slots: Mapping[str, Slot], chunk: Chunk
) -> Iterator[tuple[str, LabelsSeen]]:
    """Give what is judged over the whole input: codings of labels, and whether a label is there."""
    for role in spec.loss.roles:
        slot = slots[role.name]
        values = chunk.values[slot]
        if seen := role.domain.labels_seen(values):
            yield role.name, seen
        if slot.kind == "positive":
            what = f"the label {slot.positive!r} in the column {slot.columns[0]!r}"
            yield what, chunk.labels[slot]


def _measure_loss(
    spec: Spec,
    values: Mapping[str, Any],
    tally: Tally,
    segments: Segments,
    names: RowNames,
    weights: Array | None,
) -> tuple[Array, Indices | None]:
    """Tally a loss; give what each row shows, and the rows that count where not all do."""
    finish, counted = spec.loss.finish, None
    components = spec.loss.kernel(**values, **spec.parameters)
    shown = every = finish.row(components)
    if spec.loss.clipped:
        clipped = clipped_rows(spec, values, shown)
        tally.add_clipped(clipped, shown, segments, names.first, weights)
    if finish.counts is not None:
        counted = np.flatnonzero(finish.counts(components))
        components, shown = components[:, counted], shown[counted]
        segments, names = segments.take(counted), names.among(counted)
        weights = None if weights is None else weights[counted]
    tally.add(components, shown, segments, names.first, weights)
    if tally.worst is not None:
        _add_worst(tally.worst, shown, segments, names, weights)
    return every, counted


def _add_worst(
    worst: Extremes, shown: Array, segments: Segments, names: RowNames, weights: Array | None
) -> None:
    """Look for the worst rows; those of weight 0 have no part in anything."""
    if weights is not None and not weights.all():
        weighty = np.flatnonzero(weights)
        shown, segments, names = shown[weighty], segments.take(weighty), names.among(weighty)
    if len(shown):
        worst.add(shown, segments, names.piece, names.numbers, names.carried)


def clipped_rows(spec: Spec, values: Mapping[str, Any], shown: Array) -> Mask:
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
