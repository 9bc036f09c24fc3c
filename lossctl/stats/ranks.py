"""Ranks: the Wilcoxon signed-rank test of paired differences."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lossctl.stats.distributions import normal_two_sided

Array = npt.NDArray[np.float64]

EXACT = 50
"""Differences up to which the exact distribution is used, where none are tied or zero."""


def signed_rank(differences: Array, zeros: int = 0) -> float:
    """Give the two-sided p-value of the hypothesis that differences are symmetric about 0.

    ``differences`` has none that is 0; there were ``zeros`` of them, which are left out after
    Wilcoxon (1945). The normal approximation is corrected for ties.
    """
    count = len(differences)
    if not count:
        return 1.0
    order = np.argsort(np.abs(differences), kind="stable")
    sizes = np.abs(differences)[order]
    starts = np.flatnonzero(np.concatenate([[True], sizes[1:] != sizes[:-1]]))
    lengths = np.diff(starts, append=count)
    # Twice the mean rank of each run of ties: whole numbers, which add up without rounding.
    doubled = np.repeat(2 * starts + lengths + 1, lengths)
    above = int(doubled[differences[order] > 0.0].sum())
    if count <= EXACT and not zeros and len(starts) == count:
        return _exact(above // 2, count)
    ties = sum(length**3 - length for length in lengths[lengths > 1].tolist())
    mean = count * (count + 1) / 4
    variance = (2 * count * (count + 1) * (2 * count + 1) - ties) / 48
    return normal_two_sided((above / 2 - mean) / math.sqrt(variance)) if variance else 1.0


def _exact(above: int, count: int) -> float:
    """Count the ways in which signs give a sum of ranks that is as far from its mean."""
    ways = [1]
    for rank in range(1, count + 1):
        longer = ways + [0] * rank
        for total, number in enumerate(ways):
            longer[total + rank] += number
        ways = longer
    few = min(above, count * (count + 1) // 2 - above)
    return min(float(2 * sum(ways[: few + 1]) / 2**count), 1.0)
