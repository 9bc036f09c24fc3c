"""Domains: what a role may hold in a row, as objects that check, explain themselves and make data.

A loss annotates each of its roles with one of the aliases at the end of this module.
Scalars are arrays of shape ``(rows,)``, vectors C-contiguous arrays of shape ``(rows, size)``,
ragged roles a `Ragged` pair, so that sums along a row are the same bits in any cut of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lossctl.losses._boxes import corners
from lossctl.record import record

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Sizes = Mapping[str, int]
Parameters = Mapping[str, Any]

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may sum from 1: room for columns written with few decimals."""


class Ragged(NamedTuple):
    """Rows of different lengths: row ``i`` is ``values[offsets[i]:offsets[i + 1]]``."""

    values: Array
    offsets: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of values in each row, shape ``(rows,)``."""
        return np.diff(self.offsets)


Values = Array | Ragged


@record
class Interval:
    """A range of numbers, each end closed unless said otherwise."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Tell whether the number lies in the range; NaN never does."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return bool(above and below)

    def outside(self, values: Array) -> Mask:
        """Mark the values outside the range, NaN included."""
        above = values > self.low if self.open_low else values >= self.low
        below = values < self.high if self.open_high else values <= self.high
        return ~(above & below)

    def __str__(self) -> str:
        """Write the range the way mathematics does, as in ``(0, inf)``."""
        left = "(" if self.open_low or self.low == -np.inf else "["
        right = ")" if self.open_high or self.high == np.inf else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


FINITE = Interval(-np.inf, np.inf, open_low=True, open_high=True)


@record
class Domain:
    """A finite number per row; the base of all domains."""

    name: str
    text: str
    hints: tuple[str, ...] = ()
    """Column names that speak of this very domain, tried before those of the role."""
    size: str = ""
    """Empty for a scalar; else a letter shared by roles of equal width, or the width itself."""
    condition: str = ""
    """What to keep of a column whose other values are no mistakes, as ``--where`` writes it."""
    ragged = False

    @property
    def takes_lists(self) -> bool:
        """Tell whether a row may hold several values."""
        return bool(self.size)

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """Mark the rows outside the domain, shape ``(rows,)``; None when there are none."""
        del parameters, sizes
        return None if np.isfinite(values).all() else ~_rows_all(np.isfinite(values))

    def labels_seen(self, values: Any) -> frozenset[float]:
        """Give the label values that must be judged over the whole file, not in a chunk."""
        del values
        return frozenset()

    def contradiction(self, labels: frozenset[float]) -> str | None:
        """Say what is wrong with the labels seen in the whole file, if anything is."""
        del labels
        return None

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """Draw valid values with the domain's edges among them."""
        return rng.normal(scale=3.0, size=(rows, *self._width(sizes)))

    def counterexample(self, sizes: Sizes) -> Any:
        """Give one row outside the domain."""
        return np.full((1, *self._width(sizes)), np.inf)

    def _width(self, sizes: Sizes) -> tuple[int, ...]:
        if not self.size:
            return ()
        return (int(self.size),) if self.size.isdigit() else (sizes[self.size],)


def _rows_all(marks: Mask) -> Mask:
    """Reduce marks per value to marks per row."""
    return marks if marks.ndim == 1 else np.asarray(marks.all(axis=1))


@record
class Bounded(Domain):
    """A number in a range, alone or in a vector; the range has no end above or is closed."""

    bounds: Interval = FINITE

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        del parameters, sizes
        if not values.size or (values.min() in self.bounds and values.max() in self.bounds):
            return None
        return ~_rows_all(~self.bounds.outside(values))

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`."""
        shape = (rows, *self._width(sizes))
        if not np.isfinite(self.bounds.high):
            return self.bounds.low + rng.lognormal(sigma=3.0, size=shape)
        values = rng.uniform(self.bounds.low, self.bounds.high, shape)
        values[: rows // 8] = np.round(values[: rows // 8])
        return values

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`."""
        outside = self.bounds.high + 0.2
        if not np.isfinite(outside):
            outside = self.bounds.low
        return np.full((1, *self._width(sizes)), outside)


@record
class Divisor(Domain):
    """A finite number that something is divided by."""

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        del parameters, sizes
        good = np.isfinite(values) & (values != 0.0)
        return None if good.all() else ~_rows_all(good)

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`."""
        return np.zeros((1, *self._width(sizes)))


@record
class Labels(Domain):
    """One of a few numbers; some combinations of them contradict each other within a file."""

    allowed: tuple[float, ...] = ()
    exclusive: tuple[float, ...] = ()
    """Labels of different codings: a file holds at most one of them."""

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        del parameters, sizes
        known = values == self.allowed[0]
        for label in self.allowed[1:]:
            known |= values == label
        return None if known.all() else ~known

    def labels_seen(self, values: Any) -> frozenset[float]:
        """See `Domain.labels_seen`."""
        return frozenset(label for label in self.exclusive if (values == label).any())

    def contradiction(self, labels: frozenset[float]) -> str | None:
        """See `Domain.contradiction`."""
        if len(labels) < 2:
            return None
        mixed = " and ".join(f"{label:g}" for label in sorted(labels))
        return f"the labels mix {mixed}; use either {{-1, +1}} or {{0, 1}} throughout"

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`."""
        del sizes
        usable = [label for label in self.allowed if label not in self.exclusive[1:]]
        return rng.choice(np.array(usable, dtype=np.float64), rows)

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`."""
        del sizes
        return np.array([2.0])


@record
class Simplex(Domain):
    """K probabilities that sum to 1 within `SUM_TOLERANCE`."""

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        del parameters, sizes
        if not values.size:
            return None
        sums = np.einsum("ij->i", values)  # three times as fast as a sum along so short an axis
        bad = ~(np.abs(sums - 1.0) <= SUM_TOLERANCE)
        if not (values.min() >= 0.0 and values.max() <= 1.0):
            bad |= ~((values >= 0.0) & (values <= 1.0)).all(axis=1)
        return bad if bad.any() else None

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`."""
        size = self._width(sizes)[0]
        values = rng.dirichlet(np.ones(size), rows)
        values[: rows // 8] = np.eye(size)[rng.integers(0, size, rows // 8)]
        return values

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`."""
        return np.full((1, *self._width(sizes)), 0.9)


@record
class Classes(Simplex):
    """The true class: a class number ``0..K-1``, or K weights (one-hot or soft) that sum to 1."""

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        if values.ndim == 2:
            return super().violations(values, parameters, sizes)
        good = (values >= 0) & (values < sizes[self.size]) & (values == np.floor(values))
        return None if good.all() else ~good

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`."""
        return rng.integers(0, sizes[self.size], rows).astype(np.float64)

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`."""
        return np.array([float(sizes[self.size])])


@record
class ClassNumbers(Classes):
    """The true class as a class number ``0..K-1`` only."""

    takes_lists = False


@record
class Boxes(Domain):
    """A box of four numbers in the coding that the loss's ``format`` parameter names."""

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`; a box with reversed corners or a negative side is outside."""
        del sizes
        x1, y1, x2, y2 = corners(values, parameters.get("format", "xyxy"))
        good = (x1 <= x2) & (y1 <= y2)
        good &= np.isfinite(values).all(axis=1)
        return None if good.all() else ~good

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`; valid in every coding, and all boxes share the point (20, 20)."""
        del sizes
        low, side = rng.uniform(10.0, 20.0, (rows, 2)), rng.uniform(20.0, 40.0, (rows, 2))
        return np.concatenate([low, low + side], axis=1)

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`; reversed as corners, negative as sides."""
        del sizes
        return np.array([[3.0, 3.0, -1.0, -1.0]])


@record
class RaggedDomain(Domain):
    """Any number of values per row, each in a range or in a few allowed numbers."""

    bounds: Interval = FINITE
    allowed: tuple[float, ...] = ()
    empty: bool = False
    """Whether a row may hold no value."""
    ragged = True

    def violations(self, values: Any, parameters: Parameters, sizes: Sizes) -> Mask | None:
        """See `Domain.violations`."""
        del parameters, sizes
        bad = np.isin(values.values, self.allowed, invert=True) if self.allowed else None
        bad = self.bounds.outside(values.values) if bad is None else bad
        rows = np.zeros(len(values.offsets) - 1, dtype=np.bool_)
        if bad.any():
            rows[np.searchsorted(values.offsets, np.flatnonzero(bad), side="right") - 1] = True
        if not self.empty:
            rows |= values.lengths == 0
        return rows if rows.any() else None

    def sample(self, rng: np.random.Generator, rows: int, sizes: Sizes) -> Any:
        """See `Domain.sample`; roles that share a letter get rows of the same lengths."""
        lengths = np.random.default_rng(sizes[self.size]).integers(1, sizes[self.size] + 1, rows)
        total = int(lengths.sum())
        if self.allowed:
            values = rng.choice(np.array(self.allowed), total)
        elif self.bounds == FINITE:
            values = rng.normal(scale=3.0, size=total)
        else:
            values = rng.uniform(self.bounds.low, self.bounds.high, total)
        return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))

    def counterexample(self, sizes: Sizes) -> Any:
        """See `Domain.counterexample`; as long as a valid row, so that only its value is wrong."""
        del sizes
        return Ragged(
            np.array([7.0 if self.bounds != FINITE or self.allowed else np.inf]), np.array([0, 1])
        )


UNIT = Interval(0.0, 1.0)
_PROBABILITY = ("probability", "proba", "prob", "p")
_SCORE = ("score", "scores", "logit", "logits", "z")
_LABEL = ("label", "labels")
_CLASS = ("label", "class", "species", "category")

Real = Annotated[Array, Domain("real", "a finite number")]
NonZero = Annotated[Array, Divisor("non-zero", "a finite number other than 0", condition="!= 0")]
AboveMinusOne = Annotated[
    Array,
    Bounded(
        "above -1",
        "a finite number above -1",
        condition="> -1",
        bounds=Interval(-1.0, np.inf, open_low=True, open_high=True),
    ),
]
Score = Annotated[Array, Domain("score", "a finite number (a score or logit)", _SCORE)]
Probability = Annotated[
    Array, Bounded("probability", "a number in [0, 1]", _PROBABILITY, bounds=UNIT)
]
SoftBinary = Annotated[
    Array, Bounded("soft binary", "a label 0 or 1, or a soft one in [0, 1]", _LABEL, bounds=UNIT)
]
Binary = Annotated[Array, Labels("binary", "a label 0 or 1", _LABEL, allowed=(0.0, 1.0))]
Sign = Annotated[
    Array,
    Labels(
        "sign",
        "a label -1 or +1, or else 0 or 1, the same coding throughout the file",
        _LABEL,
        allowed=(0.0, 1.0, -1.0),
        exclusive=(0.0, -1.0),
    ),
]
PlusMinus = Annotated[
    Array, Labels("plus or minus", "a label -1 or +1", _LABEL, allowed=(1.0, -1.0))
]
Probabilities = Annotated[
    Array,
    Simplex(
        "probabilities",
        f"K numbers in [0, 1] that sum to 1 within {SUM_TOLERANCE:g}",
        _PROBABILITY,
        "K",
    ),
]
Scores = Annotated[Array, Domain("scores", "K finite numbers", _SCORE, "K")]
ClassTarget = Annotated[
    Array,
    Classes(
        "class", "a class number 0..K-1, a class name, or K weights that sum to 1", _CLASS, "K"
    ),
]
ClassLabel = Annotated[
    Array, ClassNumbers("class label", "a class number 0..K-1 or a class name", _CLASS, "K")
]
Box = Annotated[Array, Boxes("box", "four finite numbers, the corners in order", ("box",), "4")]
Vector = Annotated[Array, Domain("vector", "D finite numbers", size="D")]
SoftMask = Annotated[
    Ragged, RaggedDomain("soft mask", "P pixels in [0, 1]", ("mask",), "P", bounds=UNIT, empty=True)
]
HardMask = Annotated[
    Ragged,
    RaggedDomain("mask", "P pixels 0 or 1", ("mask",), "P", allowed=(0.0, 1.0), empty=True),
]
PositiveScores = Annotated[Ragged, RaggedDomain("scores", "M >= 1 finite numbers", size="M")]
NegativeScores = Annotated[Ragged, RaggedDomain("scores", "N >= 1 finite numbers", size="N")]
