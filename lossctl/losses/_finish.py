"""Finishes: how the exact means of a loss's components become its one value, once, at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.record import record

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Means = Sequence[Fraction]


@record
class Finish:
    """A smooth function of the k component means.

    ``value`` works on exact means, so that the result is rounded once; it gives None where the
    function is undefined. ``slope`` is its gradient with respect to the means, for the delta
    method. ``row`` gives what a single row shows, shape ``(rows,)``, from the kernel's output.
    """

    components: int
    value: Callable[[Means], Fraction | float | None]
    slope: Callable[[Means], tuple[float, ...] | None]
    row: Callable[[Array], Array]
    counts: Callable[[Array], Mask] | None = None
    """Marks the rows that belong to the loss's population; None when all do."""
    undefined: str = ""
    """Why the value can be undefined."""


def _root(means: Means) -> float:
    # math.sqrt of the correctly rounded mean: within one unit in the last place of the true root.
    return math.sqrt(float(means[0]))


def _ratios(means: Means) -> Fraction | None:
    if not all(means[1::2]):
        return None
    return sum((a / b for a, b in zip(means[::2], means[1::2], strict=True)), Fraction(0))


def _ratios_slope(means: Means) -> tuple[float, ...] | None:
    if not all(means[1::2]):
        return None
    pairs = zip(means[::2], means[1::2], strict=True)
    return tuple(float(part) for a, b in pairs for part in (1 / b, -a / (b * b)))


def _first(components: Array) -> Array:
    return components


MEAN = Finish(1, lambda means: means[0], lambda _: (1.0,), _first)
"""The mean itself."""

ROOT = Finish(
    1,
    _root,
    lambda means: (0.5 / _root(means),) if _root(means) else None,
    _first,
)
"""The square root of the mean, taken once."""

RATIO = Finish(
    2, _ratios, _ratios_slope, lambda c: c[0], lambda c: c[1] != 0.0, "no row of the population"
)
"""The mean over one population: components are its losses (0 elsewhere) and its indicator."""

SUM_OF_RATIOS = Finish(
    4, _ratios, _ratios_slope, lambda c: c[0] + c[2], undefined="a population has no row"
)
"""The sum of the means over two populations, each as in `RATIO`."""
