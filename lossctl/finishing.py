"""Finishing: the numbers of one loss over one slice, made of its exact sums and rounded once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from lossctl.account import Places, rows_in_words
from lossctl.errors import InputError
from lossctl.losses import Finish, Spec
from lossctl.plan import Policies
from lossctl.results import Interval, Result, WorstRow
from lossctl.stats.buckets import Bin
from lossctl.stats.distributions import t_quantile, welch_df
from lossctl.stats.moments import Summary
from lossctl.stats.tally import KINDS, Tally

Finished = tuple[Fraction | float | None, str | None, float | None]
"""A value, or None and the reason, and the infinity that the value is where it is one."""


def result_of(
    spec: Spec,
    tally: Tally,
    group: int,
    slice_: Mapping[str, Any],
    policies: Policies,
    places: Places,
) -> Result:
    """Finish one loss over one group of a tally."""
    summary = tally.moments.summary(group)
    finish, weighted = spec.loss.finish, policies.weight is not None
    infinite, negative, undefined, clipped = (
        places.count(tally.rows_of(kind, group)) for kind in KINDS
    )
    n = summary.rows + infinite.count + undefined.count + negative.count
    n += int(tally.weightless[group])
    weight = summary.weight + tally.odd_weight.fraction(group) if weighted else n
    found = _odd(infinite.count, negative.count, undefined.count)
    if found is None:
        empty = "zero weight" if n else "no rows"
        found = _finished(finish, summary.means, empty, weighted=weighted)
    value, reason, limit = found
    if math.isinf(double(weight)):
        raise InputError(
            "the sum of the weights is beyond the largest double",
            hint="divide all weights by a constant; no value depends on it",
        )
    error = standard_error(spec, summary) if value is not None else None
    counted = summary.rows > 0
    level = policies.ci
    single = finish.components == 1
    total = summary.sums[0]
    return Result(
        loss=spec.label,
        slice=slice_,
        n=n,
        weight=double(weight),
        value=None if value is None else double(value),
        direction=spec.loss.direction,
        sum=double(total) if single and value is not None else None,
        std_error=error,
        ci=_interval(value, error, level, summary.rows),
        min=float(tally.low[group]) + 0.0 if counted else None,
        max=float(tally.high[group]) + 0.0 if counted else None,
        quantiles=_quantiles(tally, group, policies.quantiles),
        histogram=_histogram(tally, group) if policies.histogram else None,
        worst=_worst(tally, group, policies, places) if policies.top else None,
        infinite=infinite if infinite.count else negative,
        undefined=undefined,
        clipped=clipped,
        clipped_share=_share(tally, group, total) if single and value is not None else None,
        reason=reason,
        limit=limit,
        small=bool(slice_) and n < policies.min_slice_rows,
    )


def _odd(infinite: int, negative: int, undefined: int) -> Finished | None:
    """Finish rows of which some are no finite number; None where all are."""
    if undefined or (infinite and negative):
        return None, f"not a number in {rows_in_words(undefined or infinite)}", None
    if infinite or negative:
        limit = math.inf if infinite else -math.inf
        return None, f"infinite in {rows_in_words(infinite or negative)}", limit
    return None


def _finished(
    finish: Finish, means: Sequence[Fraction] | None, empty: str, *, weighted: bool
) -> Finished:
    """Finish rows that are all finite; ``empty`` is the reason where they have no mean."""
    value = None if means is None else finish.value(means)
    if value is None and means:
        return None, f"{finish.undefined} with a weight" if weighted else finish.undefined, None
    if value is None:
        return None, empty, None
    rounded = double(value)
    if math.isinf(rounded):
        return None, "beyond the largest double", rounded
    return value, None, None


def _worst(tally: Tally, group: int, policies: Policies, places: Places) -> tuple[WorstRow, ...]:
    kept = tally.worst.kept[group] if tally.worst else []
    found = []
    for value, row, carried in kept[: policies.top]:
        # Rows paired by key carry their key before the columns that are shown.
        width = len(carried) - len(policies.keep)
        shown = dict(zip(policies.keep, carried[width:], strict=True))
        found.append(WorstRow(places.place((*row, *carried[:width])), value, shown))
    return tuple(found)


def _quantiles(tally: Tally, group: int, shares: Sequence[float]) -> dict[str, float | None]:
    if tally.buckets is None:
        return {}
    low, high = float(tally.low[group]) + 0.0, float(tally.high[group]) + 0.0
    found = {f"{share:.15g}": tally.buckets.quantile(share, group) for share in shares}
    # The middle of a bucket may lie beyond the last value in it.
    return {s: None if q is None else min(max(q, low), high) for s, q in found.items()}


def _histogram(tally: Tally, group: int) -> tuple[Bin, ...]:
    """Join buckets to bins of one binary order of magnitude each."""
    joined: dict[tuple[float, int], Bin] = {}
    for bin_ in tally.buckets.bins(group) if tally.buckets else ():
        middle = 0.5 * bin_.low + 0.5 * bin_.high
        exponent = math.frexp(middle)[1] if middle else 0
        key = math.copysign(1.0, middle) if middle else 0.0, exponent
        before = joined.get(key)
        joined[key] = bin_ if before is None else before.joined(bin_)
    return tuple(joined.values())


def double(number: Fraction | float) -> float:
    """Round once; a sum beyond the largest double is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def standard_error(spec: Spec, summary: Summary) -> float | None:
    """Carry the covariance of the means through the finish by the delta method."""
    if summary.covariance is None or summary.means is None:
        return None
    slope = spec.loss.finish.slope(summary.means)
    if slope is None:
        return None
    exact = [Fraction(part) for part in slope]
    variance = sum(
        (
            exact[i] * exact[j] * summary.covariance[i][j]
            for i in range(len(exact))
            for j in range(len(exact))
        ),
        Fraction(0),
    )
    # Rounding of the slope can push an exact 0 below it.
    return math.sqrt(max(double(variance), 0.0))


def _interval(
    value: Fraction | float | None, error: float | None, level: float | None, rows: int
) -> Interval | None:
    if value is None or error is None or level is None:
        return None
    return interval(double(value), error, level, rows - 1)


def welch_interval(
    value: float, first: tuple[float, int], second: tuple[float, int], level: float
) -> Interval | None:
    """Give the interval of a difference of two samples, of which errors and rows are told.

    None beyond the largest double.
    """
    error = math.hypot(first[0], second[0])
    if not math.isfinite(error):
        return None
    return interval(value, error, level, welch_df(first, second), "Welch t")


def interval(
    value: float, error: float, level: float, df: float, method: str = "t"
) -> Interval | None:
    """Give the interval by Student's t; None beyond the largest double."""
    reach = t_quantile((1.0 + level) / 2.0, df) * error
    if not math.isfinite(value - reach) or not math.isfinite(value + reach):
        return None
    return Interval(level, value - reach, value + reach, method, df)


def _share(tally: Tally, group: int, total: Fraction) -> float | None:
    if not tally.rows_of("clipped", group).count or not total:
        return None
    return float(tally.clipped_sum.fraction(group) / total)
