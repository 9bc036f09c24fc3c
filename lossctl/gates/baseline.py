"""Baselines: what a candidate's losses are compared with, paired row by row or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, Self

from lossctl.comparison import Comparison, Difference
from lossctl.finishing import welch_interval
from lossctl.record import record
from lossctl.results import Interval, Result
from lossctl.stats.distributions import t_quantile


@record
class Fault:
    """Why a check could not be measured."""

    reason: str
    """A fixed word."""
    message: str


@record
class Amount:
    """A change and its interval, where there is one."""

    value: float
    lower: float | None = None
    upper: float | None = None


@record
class Change:
    """How much more loss the candidate shows than the baseline."""

    baseline: float
    absolute: Amount
    """``candidate - baseline``."""
    relative: Amount | None
    """``(candidate - baseline) / |baseline|``; None where the baseline is 0."""
    identical: bool = False
    """Whether both are the same to the last bit, so that the change is exactly 0."""
    reason: str | None = None
    """Why there is no interval."""


class Baseline(Protocol):
    """Something that a candidate can be compared with."""

    def change(self, candidate: Result, level: float, *, by_interval: bool) -> Change | Fault:
        """Compare one loss over one slice, or say why that cannot be done."""


@record
class Numbers:
    """What is known of a baseline's loss over one slice."""

    value: float | None
    std_error: float | None
    n: int
    """Rows that the error comes from."""

    @classmethod
    def of(cls, value: float | None, std_error: float | None, n: int, df: float | None) -> Self:
        """Take a result's numbers; ``df`` of its interval does not count rows of weight 0."""
        return cls(value, std_error, n if df is None else round(df) + 1)


@record
class Summarised:
    """A baseline of which only the numbers are known: an earlier report, a state, an accepted one.

    The rows of both are taken for independent samples, which makes the interval of the change
    wider than that of paired rows.
    """

    numbers: Mapping[tuple[str, tuple[tuple[str, Any], ...]], Numbers]
    """By loss and slice."""
    fault: Fault | None = None
    """Why it must not be compared with at all."""

    def change(self, candidate: Result, level: float, *, by_interval: bool) -> Change | Fault:
        """Compare one loss over one slice from both standard errors."""
        if self.fault is not None:
            return self.fault
        found = self.numbers.get(key_of(candidate.loss, candidate.slice))
        if found is None:
            return Fault("missing-in-baseline", f"the baseline has no {candidate.loss} here")
        if found.value is None or not math.isfinite(found.value):
            return Fault("undefined-baseline", f"{candidate.loss} of the baseline is undefined")
        if by_interval and found.n < 2:
            return Fault("too-few-rows", f"{found.n} row of the baseline has no interval")
        df = None if candidate.ci is None else candidate.ci.df
        mine = Numbers.of(candidate.value, candidate.std_error, candidate.n, df)
        if mine == found:
            zero = Amount(0.0)
            return Change(found.value, zero, zero if found.value else None, identical=True)
        return _unpaired(mine, found, level)


@record
class Paired:
    """A baseline whose predictions were read beside those of the candidate, row by row."""

    comparison: Comparison

    def change(self, candidate: Result, level: float, *, by_interval: bool) -> Change | Fault:
        """Give the paired difference of one loss over one slice."""
        key = key_of(candidate.loss, candidate.slice)
        found = next((r for r in self.comparison.results if key_of(r.loss, r.slice) == key), None)
        if found is None:
            return Fault("missing-in-baseline", f"the baseline has no {candidate.loss} here")
        if found.baseline_value is None or found.difference is None:
            return Fault("undefined-baseline", f"{candidate.loss}: {found.reason}")
        if by_interval and found.n < 2:
            return Fault("too-few-rows", f"{found.n} row has no interval")
        relative = None
        if found.relative_difference is not None:
            relative = _amount(found.relative_difference, found.relative_ci, found, level)
        return Change(
            baseline=found.baseline_value,
            absolute=_amount(found.difference, found.ci, found, level),
            relative=relative,
            identical=found.difference == 0.0 and found.std_error == 0.0,
            reason="zero-variance" if found.std_error == 0.0 else "no-interval",
        )


def _amount(value: float, ci: Interval | None, found: Difference, level: float) -> Amount:
    """Take the interval of a comparison to another level."""
    if ci is None or ci.level == level:
        return Amount(value) if ci is None else Amount(value, ci.lower, ci.upper)
    df = (found.n if found.clusters is None else found.clusters) - 1
    ratio = t_quantile((1.0 + level) / 2.0, df) / t_quantile((1.0 + ci.level) / 2.0, df)
    return Amount(value, value - ratio * (value - ci.lower), value + ratio * (ci.upper - value))


def key_of(loss: str, slice_: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Name a loss over a slice."""
    return loss, tuple(sorted(slice_.items()))


def _unpaired(mine: Numbers, theirs: Numbers, level: float) -> Change:
    """Compare two independent samples by the delta method."""
    value, base = mine.value or 0.0, theirs.value or 0.0
    difference = value - base
    ratio = difference / abs(base) if base else None
    if mine.std_error is None or theirs.std_error is None:
        relative = None if ratio is None else Amount(ratio)
        return Change(base, Amount(difference), relative, reason="no-interval")
    if not mine.std_error and not theirs.std_error:
        relative = None if ratio is None else Amount(ratio)
        return Change(base, Amount(difference), relative, reason="zero-variance")
    absolute = _welch(difference, (mine.std_error, mine.n), (theirs.std_error, theirs.n), level)
    if ratio is None:
        return Change(base, absolute, None)
    # The slopes of c / |b| - sign(b) in c and in b.
    errors = mine.std_error / abs(base), abs(value) * theirs.std_error / base / base
    return Change(base, absolute, _welch(ratio, (errors[0], mine.n), (errors[1], theirs.n), level))


def _welch(
    value: float, mine: tuple[float, int], theirs: tuple[float, int], level: float
) -> Amount:
    """Give the interval of a difference whose parts vary by themselves."""
    ci = welch_interval(value, mine, theirs, level)
    return Amount(value) if ci is None else Amount(value, ci.lower, ci.upper)
