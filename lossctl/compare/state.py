"""States of a comparison: what a task gives back, and how a chunk is added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.collect import Progress, each_chunk, faults_kept
from lossctl.compare.plan import ComparisonPlan
from lossctl.compare.units import has_units, unit_ids
from lossctl.data.chunks import Chunk
from lossctl.data.joined import Pairs
from lossctl.data.tasks import Piece, Task
from lossctl.engines.local import Stopped
from lossctl.losses import Spec
from lossctl.measure import RowNames, labels_seen, take_in
from lossctl.state import State, empty_state
from lossctl.stats.paired import Paired
from lossctl.stats.segments import Segments
from lossctl.stats.units import Ids

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass
class ComparisonState:
    """What a task gives back; states merge in any order."""

    rows: State
    """What was read and dropped, and the cells; the tallies are in `losses`."""
    losses: dict[str, Paired]
    """Spec to what its rows add up to."""

    @property
    def read(self) -> dict[Piece, int]:
        """Rows read of each piece of the input."""
        return self.rows.read

    @property
    def pairs(self) -> Pairs:
        """What became of the keys, where rows are paired by key."""
        return self.rows.pairs

    def merge(self, other: ComparisonState) -> None:
        """Add another state of the same plan."""
        groups = self.rows.merge(other.rows)
        for name, paired in other.losses.items():
            self.losses[name].grow(len(self.rows.cells.keys))
            self.losses[name].merge(paired, groups)


def empty_comparison(plan: ComparisonPlan) -> ComparisonState:
    """Give the identity of merging."""
    rows = empty_state(replace(plan.plans[0].settings, specs=()))
    groups, units = len(rows.cells.keys), has_units(plan)
    losses = {spec.full: empty_paired(plan, spec, groups, units=units) for spec in plan.specs}
    return ComparisonState(rows, losses)


def empty_paired(plan: ComparisonPlan, spec: Spec, groups: int, *, units: bool = False) -> Paired:
    """Give what is kept of one loss, without rows; ``units`` keeps sums by unit as well."""
    return Paired(
        len(plan.models),
        spec.loss.finish.components,
        signed=spec.loss.direction == "zero_is_best",
        weighted=plan.policies.weight is not None,
        units=units,
        differences=plan.method.test == "wilcoxon",
        top=plan.method.named,
        groups=groups,
    )


def measure(
    plan: ComparisonPlan, task: Task, stopped: Stopped, progress: Progress | None = None
) -> ComparisonState:
    """Read one task and add up what the models show of its rows."""
    state = empty_comparison(plan)
    state.read[task.piece] = 0
    with np.errstate(all="ignore"):  # infinities are counted, not warned of
        for chunk in each_chunk(plan, task, stopped, state.rows):
            with faults_kept(chunk, state.rows):
                _measure_chunk(plan, task, chunk, state)
            if progress is not None:
                progress.advance(chunk.read)
    return state


def _measure_chunk(plan: ComparisonPlan, task: Task, chunk: Chunk, state: ComparisonState) -> None:
    segments, names = take_in(plan, plan.checks, task, chunk, state.rows)
    ids = unit_ids(plan, task, chunk) if has_units(plan) else None
    for spec in plan.specs:
        paired = state.losses[spec.full]
        paired.grow(len(state.rows.cells.keys))
        models = []
        for model in plan.plans:
            slots = model.binding[spec.full]
            values = {role: chunk.values[slot] for role, slot in slots.items()}
            for what, labels in labels_seen(spec, slots, chunk):
                seen = state.rows.labels.get((spec.full, what), frozenset())
                state.rows.labels[spec.full, what] = seen | labels
            models.append(values)
        _add(spec, models, paired, segments, names, chunk.weights, ids)


def _add(
    spec: Spec,
    models: Sequence[Mapping[str, Any]],
    paired: Paired,
    segments: Segments,
    names: RowNames,
    weights: Array | None,
    ids: Ids | None,
) -> None:
    finish = spec.loss.finish
    parts = [np.atleast_2d(spec.loss.kernel(**values, **spec.parameters)) for values in models]
    shown = [finish.row(part if finish.components > 1 else part[0]) for part in parts]
    stacked = np.concatenate(parts)
    if finish.counts is not None:
        # A row counts when it does for any model; for the others its components are 0.
        counted = np.flatnonzero(np.logical_or.reduce([finish.counts(part) for part in parts]))
        stacked, shown = stacked[:, counted], [values[counted] for values in shown]
        segments = segments.take(counted)
        weights = None if weights is None else weights[counted]
        names = names.among(counted)
        ids = None if ids is None else ids[counted]
    if weights is not None and not weights.all():
        # Rows of weight 0 have no part in anything.
        weighty = np.flatnonzero(weights)
        stacked, shown = stacked[:, weighty], [values[weighty] for values in shown]
        segments, names, weights = segments.take(weighty), names.among(weighty), weights[weighty]
        ids = None if ids is None else ids[weighty]
    _add_extremes(paired, shown, segments, names, weights)
    paired.add(stacked, shown, segments, names.first, weights, ids)


def _add_extremes(
    paired: Paired,
    shown: Sequence[Array],
    segments: Segments,
    names: RowNames,
    weights: Array | None,
) -> None:
    """Look for the rows that contribute most to the difference from the baseline."""
    for model, extremes in enumerate(paired.extremes, start=1):
        before, after = shown[0], shown[model]
        gaps = np.abs(after) - np.abs(before) if paired.signed else after - before
        gaps = gaps if weights is None else gaps * weights
        # A difference that is not finite has no place in a sum.
        rows = np.flatnonzero(np.isfinite(gaps) & (gaps != 0.0))
        part = names.among(rows)
        carried = partial(_shown_of, before[rows], after[rows], part)
        extremes.add(gaps[rows], segments.take(rows), part.piece, part.numbers, carried)


def _shown_of(
    before: Array, after: Array, names: RowNames, indices: Indices
) -> list[tuple[Any, ...]]:
    pairs = zip(before[indices].tolist(), after[indices].tolist(), strict=True)
    return [(*pair, *key) for pair, key in zip(pairs, names.carried(indices), strict=True)]
