"""The bootstrap: units drawn again and again, by weights that come from a hash.

The weight of a unit in a replicate is a Poisson number of mean 1 made of the hash of seed,
replicate and unit, never of a running generator, so it does not depend on the order in which the
units come (Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson
frequencies", Comput. Methods Programs Biomed. 83, 2006). Sums of replicates are sums of integers
on a fixed grid, so they do not depend on it either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from lossctl.stats.fingerprint import mix
from lossctl.stats.units import Ids, Objects, UnitSums

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BUCKET_BITS = 16
"""Rows are drawn in so many bits' worth of buckets by the hash of their key."""
GRID_BITS = 40
"""Bits of the largest sum of a unit that its grid keeps."""
BLOCK = 1 << 19
"""Weights that are made at a time."""


def buckets(hashes: Ids) -> Ids:
    """Give the bucket of each row by the hash of its key.

    Rows of one bucket are drawn together. As they are together by chance alone, the estimated
    variance is the same on average, and that of many buckets is as good as that of all rows: its
    relative error from 65,536 buckets is 0.6 %, that of 1,000 resamples 4.5 %.
    """
    return hashes >> np.uint64(64 - BUCKET_BITS)


def poisson_weights(seed: int, replicates: Integers, ids: Ids) -> npt.NDArray[np.uint8]:
    """Give the weight of each unit in each replicate, shape ``(replicates, units)``."""
    start = mix(np.array([seed], dtype=np.uint64))
    keys = mix(start ^ replicates.astype(np.uint64))
    hashes = mix(mix(ids)[None, :] ^ keys[:, None])
    weights: npt.NDArray[np.uint8] = np.searchsorted(
        _LIMITS, (hashes >> np.uint64(32)).astype(np.uint32), side="right"
    ).astype(np.uint8)
    return weights


def replicate_means(units: UnitSums, resamples: int, seed: int) -> Array:
    """Give the means of the components in each replicate, shape ``(resamples, components)``.

    A replicate that drew no weight has means that are NaN.
    """
    bits = min(GRID_BITS, 60 - len(units.ids).bit_length())
    columns = [_on_grid(part, bits) for part in (*units.sums, units.weights)]
    grid = np.stack([column for column, _ in columns], axis=1)
    shifts = [shift for _, shift in columns]
    totals = np.empty((resamples, grid.shape[1]), dtype=np.int64)
    step = max(1, BLOCK // max(len(units.ids), 1))
    for start in range(0, resamples, step):
        replicates = np.arange(start, min(start + step, resamples))
        weights = poisson_weights(seed, replicates, units.ids)
        totals[start : start + step] = weights.astype(np.int64) @ grid
    weight = totals[:, -1:].astype(np.float64)
    scales = np.array([2.0 ** (shift - shifts[-1]) for shift in shifts[:-1]])
    with np.errstate(all="ignore"):
        means: Array = totals[:, :-1] / weight * scales
    return means


def corrected_interval(
    replicates: Array, value: float, influence: Array, level: float
) -> tuple[float, float, float]:
    """Give the ends of the BCa interval and the p-value of the hypothesis that 0 is the truth.

    ``influence`` is that of each unit on the value (Efron, "Better bootstrap confidence
    intervals", J. Am. Stat. Assoc. 82, 1987). The p-value is that of the level whose interval
    ends at 0.
    """
    if not np.ptp(replicates) and replicates[0] == value:
        return value, value, 1.0 if value == 0.0 else 0.0
    normal = NormalDist()
    bias = normal.inv_cdf(_share_below(replicates, value))
    spread = float(np.sum(influence**2))
    cubes = float(np.sum(influence**3))
    skew = cubes / (6.0 * spread**1.5) if spread else 0.0
    ordered = np.sort(replicates)
    ends = []
    for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0):
        z = bias + normal.inv_cdf(share)
        moved = bias + z / max(1.0 - skew * z, 1e-6)
        ends.append(_quantile(ordered, normal.cdf(moved)))
    z = normal.inv_cdf(_share_below(replicates, 0.0)) - bias
    tail = normal.cdf(z / max(1.0 + skew * z, 1e-6) - bias)
    return ends[0], ends[1], min(1.0, 2.0 * min(tail, 1.0 - tail))


def _share_below(replicates: Array, value: float) -> float:
    """Give the share of the replicates below a value, never 0 or 1; equal ones count half."""
    below = np.count_nonzero(replicates < value) + 0.5 * np.count_nonzero(replicates == value)
    return float((below + 0.5) / (len(replicates) + 1.0))


def _quantile(ordered: Array, share: float) -> float:
    place = min(max(share * (len(ordered) + 1.0) - 1.0, 0.0), len(ordered) - 1.0)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _on_grid(values: Objects, bits: int) -> tuple[Integers, int]:
    """Round whole numbers to so many bits of the largest one; gives the power of two left out."""
    largest = max((abs(int(value)) for value in values), default=0)
    shift = max(largest.bit_length() - bits, 0)
    half = (1 << shift) >> 1
    return ((values + half) >> shift).astype(np.int64), shift


def _limits(most: int = 12) -> Sequence[int]:
    """Give the values of 32 random bits from which on the weight is 1, 2, ..."""
    total, limits = 0.0, []
    for k in range(most):
        total += math.exp(-1.0) / math.factorial(k)
        limits.append(min(round(total * 2.0**32), 2**32 - 1))
    return limits


_LIMITS = np.array(_limits(), dtype=np.uint32)
