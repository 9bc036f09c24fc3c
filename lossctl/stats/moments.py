"""Moments: exact first and second moments of a few numbers per row, weighted, by group."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.record import record
from lossctl.stats.exact import (
    SMALLEST,
    UNIT,
    ExactSum,
    Extent,
    as_units,
    far_products,
    split_product,
)
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]
Matrix = tuple[tuple[Fraction, ...], ...]


@record
class Summary:
    """What `Moments` knows of one group, with nothing rounded."""

    rows: int
    weight: Fraction
    """Sum of the weights; the number of rows where there are none."""
    sums: tuple[Fraction, ...]
    """Weighted sum of each component."""
    covariance: Matrix | None
    """Estimated covariance of the component means; None when not asked for or undefined."""

    @property
    def means(self) -> tuple[Fraction, ...] | None:
        """Weighted mean of each component; None when there is no weight."""
        return tuple(total / self.weight for total in self.sums) if self.weight else None


class Moments:
    """Exact sums of k components per row and, where asked for, of their products, by group.

    A commutative monoid: a fresh state is the identity and `merge` the operation.
    """

    def __init__(
        self, components: int, *, products: bool = False, weighted: bool = False, groups: int = 1
    ) -> None:
        """Start with no rows in every group."""
        self.weighted = weighted
        self.rows = np.zeros(groups, dtype=np.int64)
        self.sums = [ExactSum(groups) for _ in range(components)]
        self.weights = ExactSum(groups)
        columns = range(components + weighted)
        pairs = [(i, j) for i in columns for j in columns if i <= j] if products else []
        # Weighted, they are products of four doubles and not of two.
        unit = 2 * UNIT if weighted else UNIT
        self.products = {pair: ExactSum(groups, unit) for pair in pairs}

    def add(
        self,
        components: Array,
        weights: Array | None = None,
        segments: Segments | None = None,
        *,
        extent: Extent | None = None,
    ) -> None:
        """Add finite components of shape ``(rows,)`` or ``(k, rows)``.

        ``extent`` is the least and the greatest of a single component, for callers who know it.
        """
        columns = list(np.atleast_2d(components))
        segments = segments or Segments.single(len(columns[0]))
        self.rows[segments.groups] += segments.counts
        if weights is None:
            for total, column in zip(self.sums, columns, strict=True):
                total.add(column, segments, extent=extent if len(columns) == 1 else None)
        else:
            for total, column in zip(self.sums, columns, strict=True):
                total.add_products(column, weights, segments)
            self.weights.add(weights, segments)
            if self.products:
                self._add_weighted_products(columns, weights, segments)
            return
        for (i, j), total in self.products.items():
            if i == j:
                total.add_squares(
                    columns[i], segments, extent=extent if len(columns) == 1 else None
                )
            else:
                total.add_products(columns[i], columns[j], segments)

    def _add_weighted_products(
        self, columns: list[Array], weights: Array, segments: Segments
    ) -> None:
        """Add the products of the weighted components with each other and with the weights.

        A weighted component is a double and its rounding error, so that its products with another
        are four products of doubles, each added exactly.
        """
        far = np.logical_or.reduce([far_products(column, weights) for column in columns])
        if far.any():
            self._add_far(columns, weights, segments, np.flatnonzero(far))
            columns = [np.where(far, 0.0, column) for column in columns]
            weights = np.where(far, 0.0, weights)
        parts = [
            tuple(part for part in split_product(column, weights) if part.any())
            for column in columns
        ]
        parts.append((weights,))
        for (i, j), total in self.products.items():
            for a in parts[i]:
                for b in parts[j]:
                    total.add_products(a, b, segments)

    def _add_far(
        self, columns: list[Array], weights: Array, segments: Segments, rows: Groups
    ) -> None:
        """Add the products of rows so large or so small that doubles do not hold the errors."""
        for row in rows.tolist():
            group = segments.group_of(row)
            weight = as_units(float(weights[row]))
            values = [weight * as_units(float(column[row])) for column in columns]
            values.append(weight << -SMALLEST)
            for (i, j), total in self.products.items():
                total.add_units(values[i] * values[j], group)

    def merge(self, other: Moments, groups: Groups | None = None) -> None:
        """Add another state; its group ``i`` goes to this one's group ``groups[i]``."""
        np.add.at(self.rows, np.arange(len(other.rows)) if groups is None else groups, other.rows)
        for mine, theirs in zip(self._all(), other._all(), strict=True):
            mine.merge(theirs, groups)

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        if groups == len(self.rows):
            return
        self.rows = np.pad(self.rows, (0, groups - len(self.rows)))
        for total in self._all():
            total.grow(groups)

    def without(self, part: Moments, group: int) -> Summary:
        """Give the numbers of group 0 less those of a group of another state that is part of it."""
        rest = Moments(len(self.sums), products=bool(self.products), weighted=self.weighted)
        rest.rows[0] = self.rows[0] - part.rows[group]
        for total, mine, theirs in zip(rest._all(), self._all(), part._all(), strict=True):
            total.add_units(mine.total() - theirs.total(group))
        return rest.summary()

    def summary(self, group: int = 0) -> Summary:
        """Give one group's exact numbers."""
        rows = int(self.rows[group])
        weight = self.weights.fraction(group) if self.weighted else Fraction(rows)
        sums = tuple(total.fraction(group) for total in self.sums)
        return Summary(rows, weight, sums, self._covariance(group, sums, weight))

    def _all(self) -> list[ExactSum]:
        return [*self.sums, self.weights, *self.products.values()]

    def _covariance(
        self, group: int, sums: tuple[Fraction, ...], weight: Fraction
    ) -> Matrix | None:
        """Estimate the covariance of the means by linearisation.

        With row values ``x`` and weights ``w`` the mean is the ratio of sums of ``wx`` and ``w``,
        so its variance is ``n / (n - 1) * sum (w (x - mean))^2 / (sum w)^2``; without weights
        that is the textbook variance of a mean.
        """
        rows = int(self.rows[group])
        if rows < 2 or not self.products or not weight:
            return None
        means = [total / weight for total in sums]
        last = len(means)

        def product(i: int, j: int) -> Fraction:
            return self.products[min(i, j), max(i, j)].fraction(group)

        def centred(i: int, j: int) -> Fraction:
            if not self.weighted:
                return product(i, j) - rows * means[i] * means[j]
            cross = means[i] * product(j, last) + means[j] * product(i, last)
            return product(i, j) - cross + means[i] * means[j] * product(last, last)

        scale = Fraction(rows, rows - 1) / (weight * weight)
        return tuple(tuple(scale * centred(i, j) for j in range(last)) for i in range(last))
