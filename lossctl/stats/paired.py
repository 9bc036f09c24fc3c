"""Paired rows: exact moments of what several models show of the same rows, and who is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lossctl.stats.extremes import Extremes
from lossctl.stats.moments import Moments
from lossctl.stats.segments import Segments
from lossctl.stats.tally import FirstRows, Rows
from lossctl.stats.units import Ids, Units

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Groups = npt.NDArray[np.intp]


class Paired:
    """Moments of the stacked components of several models by group: a commutative monoid.

    The components of model ``m`` are those from ``m * components`` on, so that the sums of
    products hold the covariance of any two models. The first model is the baseline.
    """

    def __init__(
        self,
        models: int,
        components: int,
        *,
        signed: bool = False,
        weighted: bool = False,
        units: bool = False,
        differences: bool = False,
        top: int = 0,
        groups: int = 1,
    ) -> None:
        """Start with no rows in every group.

        ``signed`` losses are better the closer they are to 0, others the lower they are. ``units``
        keeps sums by unit as well, ``differences`` the difference of every row, and ``top`` so
        many rows of which the candidates differ most from the baseline.
        """
        self.signed = signed
        self.components = components
        self.moments = Moments(models * components, products=True, weighted=weighted, groups=groups)
        self.better: Counts = np.zeros((models, groups), dtype=np.int64)
        """Rows of which each model shows less loss than the baseline."""
        self.worse: Counts = np.zeros((models, groups), dtype=np.int64)
        self.units = Units(models * components, weighted=weighted) if units else None
        self.differences: dict[tuple[int, int], list[Array]] | None = {} if differences else None
        """Model and group to its rows' differences from the baseline that are not 0."""
        self.extremes = [
            Extremes(top, "largest_absolute", groups) for _ in range(models - 1) if top
        ]
        """The rows that contribute most to the difference of each candidate."""
        self.odd: dict[tuple[str, int, int], Rows] = {}
        """Kind, model and group to the rows of which the model shows no finite number."""

    @property
    def models(self) -> int:
        """Number of models."""
        return len(self.better)

    def add(
        self,
        stacked: Array,
        shown: Sequence[Array],
        segments: Segments,
        first_rows: FirstRows,
        weights: Array | None = None,
        ids: Ids | None = None,
    ) -> None:
        """Add rows: stacked components of shape ``(models * k, rows)``, shown values by model.

        ``ids`` are those of the rows' units.

        A model's components of a row of which it shows no finite number are set to 0 in place:
        what is said of the other models stays right, and of that model nothing will be said.
        """
        if not stacked.shape[1]:
            return
        for model, values in enumerate(shown):
            # One pass; where the sum is not finite, some value may not be.
            if not np.isfinite(values.sum()):
                self._add_odd(model, values, segments, first_rows)
                first = model * self.components
                stacked[first : first + self.components, ~np.isfinite(values)] = 0.0
        sizes = [np.abs(values) for values in shown] if self.signed else shown
        for model, values in enumerate(sizes[1:], start=1):
            self.better[model, segments.groups] += _counts(values < sizes[0], segments)
            self.worse[model, segments.groups] += _counts(values > sizes[0], segments)
            self._add_differences(model, sizes[0], values, segments)
        if self.units is not None and ids is not None:
            self.units.add(ids, stacked, segments, weights)
        self.moments.add(stacked, weights, segments)

    def merge(self, other: Paired, groups: Groups | None = None) -> None:
        """Add another state; its group ``i`` goes to this one's group ``groups[i]``."""
        into = np.arange(other.better.shape[1]) if groups is None else groups
        self.moments.merge(other.moments, groups)
        for mine, theirs in ((self.better, other.better), (self.worse, other.worse)):
            for model in range(self.models):
                np.add.at(mine[model], into, theirs[model])
        for mine_kept, theirs_kept in zip(self.extremes, other.extremes, strict=True):
            mine_kept.merge(theirs_kept, groups)
        if self.units is not None and other.units is not None:
            self.units.merge(other.units, into)
        if self.differences is not None:
            for (model, group), parts in (other.differences or {}).items():
                self.differences.setdefault((model, int(into[group])), []).extend(parts)
        for (kind, model, group), rows in other.odd.items():
            self.odd.setdefault((kind, model, int(into[group])), Rows()).merge(rows)

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - self.better.shape[1]
        if not more:
            return
        self.moments.grow(groups)
        self.better = np.pad(self.better, ((0, 0), (0, more)))
        self.worse = np.pad(self.worse, ((0, 0), (0, more)))
        for extremes in self.extremes:
            extremes.grow(groups)

    def rows_of(self, kind: str, model: int, group: int) -> Rows:
        """Give the rows of a kind that a model has in a group."""
        return self.odd.get((kind, model, group), Rows())

    def differences_of(self, model: int, group: int) -> Array:
        """Give the differences of a group that are not 0, in no order."""
        parts = (self.differences or {}).get((model, group), [])
        return np.concatenate(parts) if parts else np.zeros(0)

    def _add_differences(
        self, model: int, baseline: Array, values: Array, segments: Segments
    ) -> None:
        if self.differences is None:
            return
        parts = np.split(values - baseline, segments.starts[1:])
        for group, part in zip(segments.groups.tolist(), parts, strict=True):
            self.differences.setdefault((model, group), []).append(part[part != 0.0])

    def _add_odd(self, model: int, shown: Array, segments: Segments, first_rows: FirstRows) -> None:
        for kind, marks in (("infinite", np.isinf(shown)), ("undefined", np.isnan(shown))):
            indices = np.flatnonzero(marks)
            runs = np.searchsorted(segments.starts, indices, side="right") - 1
            for run in np.unique(runs):
                key = kind, model, int(segments.groups[run])
                self.odd.setdefault(key, Rows()).add(indices[runs == run], first_rows)


def _counts(marks: Mask, segments: Segments) -> Counts:
    """Count the marked rows of each run."""
    if len(segments.starts) == 1:
        return np.array([np.count_nonzero(marks)])
    return np.add.reduceat(marks, segments.starts, dtype=np.int64)
