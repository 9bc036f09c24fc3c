"""Distributions: tails and quantiles of Student's t and tails of the fair binomial."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

LARGE = 1e3
"""Half the degrees of freedom from which a series replaces a difference of log-gammas."""
SERIES = 4e-3
"""Square of a normal quantile, by degrees of freedom, up to which Fisher's expansion is exact."""
EXACT = 4096
"""Tosses up to which the tail of the binomial is summed in whole numbers."""
MOST_STEPS = 100_000
NEWTON_STEPS = 100


def t_two_sided(t: float, df: float) -> float:
    """Give the probability that Student's t is at least as far from 0 as ``t``."""
    if math.isinf(t):
        return 0.0
    square = t * t
    if square == 0.0:
        return 1.0
    # P(|T| > t) = I_x(df / 2, 1 / 2) with x = df / (df + t^2)
    return _incomplete_beta(df / (df + square), square / (df + square), df / 2.0, 0.5)


@cache
def t_quantile(probability: float, df: float) -> float:
    """Give the value that Student's t stays below with a probability of at least one half."""
    tail = 2.0 * (1.0 - probability)
    if tail >= 1.0:
        return 0.0
    # The tail is convex, so Newton's steps from below, where the normal quantile is, never pass it.
    value = NormalDist().inv_cdf(probability)
    if df >= LARGE and value * value <= SERIES * df:
        return _t_from_normal(value, df)
    scale = 2.0 * math.exp(-_log_beta(df / 2.0, 0.5)) / math.sqrt(df)
    for _ in range(NEWTON_STEPS):
        slope = scale * math.exp(-0.5 * (df + 1.0) * math.log1p(value * value / df))
        step = (t_two_sided(value, df) - tail) / slope
        value += step
        if abs(step) <= 1e-15 * value:
            break
    return value


def _t_from_normal(z: float, df: float) -> float:
    """Give the quantile by Fisher's expansion at a normal one (Abramowitz and Stegun 26.7.5)."""
    s = z * z
    terms = (
        z * (s + 1) / 4,
        z * ((5 * s + 16) * s + 3) / 96,
        z * (((3 * s + 19) * s + 17) * s - 15) / 384,
        z * ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945) / 92160,
    )
    rest = 0.0
    for term in reversed(terms):
        rest = (rest + term) / df
    return z + rest


def welch_df(first: tuple[float, int], second: tuple[float, int]) -> float:
    """Give the degrees of freedom of a difference, by the standard error and rows of each part.

    After Welch (1947) and Satterthwaite (1946); parts without an error leave those of the other.
    """
    # Shares instead of squares of squares, which could leave the range of a double.
    largest = max(first[0], second[0])
    if not largest:
        return min(first[1], second[1]) - 1
    parts = [((error / largest) ** 2, rows - 1) for error, rows in (first, second)]
    return sum(share for share, _ in parts) ** 2 / sum(share**2 / df for share, df in parts)


def normal_two_sided(z: float) -> float:
    """Give the probability that a standard normal number is at least as far from 0 as ``z``."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def fair_two_sided(heads: int, tails: int) -> float:
    """Give the probability that a fair coin falls as unevenly as this; 1 without a toss."""
    few, tosses = min(heads, tails), heads + tails
    if heads == tails:
        return 1.0
    if tosses <= EXACT:
        ways, total = 1, 1
        for k in range(1, few + 1):
            ways = ways * (tosses - k + 1) // k
            total += ways
        return float(min(2 * total / 2**tosses, 1.0))
    # P(heads <= few) = I_1/2(tosses - few, few + 1)
    return min(2.0 * _incomplete_beta(0.5, 0.5, float(tosses - few), few + 1.0), 1.0)


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Give the regularised incomplete beta function at ``x``, where ``rest`` is ``1 - x``."""
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(rest, x, b, a)
    if x == 0.0:
        return 0.0
    # The smaller of the two is given without rounding, so its logarithm is taken from it.
    log_x = math.log1p(-rest) if rest < x else math.log(x)
    log_rest = math.log1p(-x) if x <= rest else math.log(rest)
    front = math.exp(a * log_x + b * log_rest - _log_beta(a, b)) / a
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Sum the continued fraction of the incomplete beta function (DLMF 8.17.22) after Lentz."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1.0 / _not_zero(1.0 + part * d, tiny)
            c = _not_zero(1.0 + part / c, tiny)
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value


def _not_zero(number: float, tiny: float) -> float:
    return number if abs(number) > tiny else tiny


def _log_beta(a: float, b: float) -> float:
    small, large = sorted((a, b))
    if large < LARGE:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    if small < LARGE:
        # log(gamma(large) / gamma(large + small)) from Stirling's series, whose large parts cancel.
        ratio = (large - 0.5) * math.log1p(-small / (large + small)) - small * math.log(
            large + small
        )
        return math.lgamma(small) + ratio + small + _stirling(large) - _stirling(large + small)
    total = a + b
    main = (a - 0.5) * math.log(a / total) + (b - 0.5) * math.log(b / total)
    rest = _stirling(a) + _stirling(b) - _stirling(total)
    return main + rest - 0.5 * math.log(total) + 0.5 * math.log(2.0 * math.pi)


def _stirling(x: float) -> float:
    """Give what Stirling's formula leaves out of the log-gamma of a large number."""
    square = x * x
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * square)) / square) / x
