"""The gate's own test, before it is armed: how often it fails good models, and passes them.

A check is tried on rows drawn anew from those at hand, so that what is true is known. For a limit
on a value, rows are drawn with replacement, and the truth is the value of all rows. For one on a
change, each row's losses of baseline and candidate are swapped or not, and the truth is no change;
without the baseline's predictions the rows are split in halves instead. What is drawn comes from a
hash of seed, repetition and the row's rank, so neither the order of the rows nor threads matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.collect import collect, each_chunk, faults_kept
from lossctl.compare import ComparisonPlan
from lossctl.data.binding import Slot
from lossctl.data.joined import Pairs
from lossctl.data.tasks import Piece, Task
from lossctl.engines.local import Stopped
from lossctl.errors import LossctlError, UsageError
from lossctl.finishing import interval
from lossctl.gates.baseline import Amount, Change, Fault, Numbers, Summarised, key_of
from lossctl.gates.checks import CHANGES, Check
from lossctl.gates.judge import LEVEL, judge
from lossctl.losses import Spec
from lossctl.measure import take_in
from lossctl.plan import Plan
from lossctl.record import record
from lossctl.report import Report
from lossctl.results import Result, Rows
from lossctl.state import State, empty_state
from lossctl.stats.bootstrap import poisson_weights
from lossctl.stats.distributions import t_quantile
from lossctl.stats.fingerprint import mix

Array = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float64]
HALVES = 1 << 32
"""Keeps the numbers of coin tosses apart from those of draws."""


class SelfTestError(LossctlError):
    """The rows at hand cannot be drawn from."""

    slug = "self-test"


@record
class Trial:
    """What a check did in the repetitions."""

    check: Check
    repetitions: int
    false_alarms: int
    """How often it failed a model exactly as good as the limit allows."""
    passes: int
    """How often it passed, at its own limit, the model at hand or one as good as the baseline."""
    level: float | None
    """Rate of false alarms that is promised; None where the point decides."""

    @property
    def keeps_its_promise(self) -> bool:
        """Whether the false alarms are no more than chance makes of the promised rate."""
        if self.level is None:
            return True
        expected = self.repetitions * self.level
        return self.false_alarms <= expected + 3.0 * math.sqrt(expected * (1.0 - self.level))


@dataclass
class RowLosses:
    """The numbers of every row's losses, model after model."""

    rows: State
    parts: dict[str, list[Array]] = field(default_factory=dict)

    @property
    def read(self) -> dict[Piece, int]:
        """Rows read of each piece of the input."""
        return self.rows.read

    @property
    def pairs(self) -> Pairs:
        """What became of the keys, where rows are paired by key."""
        return self.rows.pairs

    def merge(self, other: RowLosses) -> None:
        """Add the rows of another task."""
        self.rows.merge(other.rows)
        for name, parts in other.parts.items():
            self.parts.setdefault(name, []).extend(parts)

    def of(self, spec: Spec) -> Array:
        """Give the numbers of a loss, shape ``(models * k, rows)``, in an order of their own.

        Raises
        ------
        SelfTestError
            A number is not finite, or there are not two rows.

        """
        parts = np.concatenate(self.parts.get(spec.full) or [np.zeros((1, 0))], axis=1)
        if parts.shape[1] < 2 or not np.isfinite(parts).all():
            raise SelfTestError(f"{spec.label} is not finite on two rows or more")
        return np.ascontiguousarray(parts[:, np.lexsort(parts)])


def self_test(
    plan: Plan | ComparisonPlan, checks: Sequence[Check], repetitions: int, seed: int
) -> tuple[Trial, ...]:
    """Try every check of a loss over all rows; limits on slices, quantiles and rows are left out.

    Raises
    ------
    UsageError
        Rows have weights.
    SelfTestError
        A loss is not finite on every row.
    LossctlError
        The input cannot be measured.

    """
    if plan.policies.weight is not None:
        raise UsageError("--self-test draws rows, and knows no weights")
    plans = plan.plans if isinstance(plan, ComparisonPlan) else (plan,)
    fresh = partial(_fresh, plans[0])
    rows = collect(plan, partial(_measure, plan, plans), fresh)
    specs = {spec.label: spec for spec in plans[0].specs}
    found = []
    for check in checks:
        if check.loss is None or check.share is not None or check.slice:
            continue
        parts = rows.of(specs[check.loss])
        alarm, passed = 0, 0
        for number in range(repetitions):
            report, truth, baseline = _drawn(
                specs[check.loss], parts, len(plans), check, seed, number
            )
            at_truth = replace(check, limit=truth, absolute=truth)
            alarm += judge([at_truth], report, baseline)[0].verdict == "fail"
            passed += judge([check], report, baseline)[0].verdict == "pass"
        promised = 1.0 - (check.level or LEVEL) if check.by_interval else None
        found.append(Trial(check, repetitions, alarm, passed, promised))
    return tuple(found)


def _fresh(plan: Plan) -> RowLosses:
    return RowLosses(empty_state(replace(plan.settings, specs=())))


def _measure(
    work: Plan | ComparisonPlan, plans: Sequence[Plan], task: Task, stopped: Stopped
) -> RowLosses:
    """Read one task and keep the numbers of its rows."""
    kept = _fresh(plans[0])
    kept.read[task.piece] = 0
    with np.errstate(all="ignore"):
        for chunk in each_chunk(work, task, stopped, kept.rows):
            with faults_kept(chunk, kept.rows):
                take_in(work, work.checks, task, chunk, kept.rows)
                for spec in plans[0].specs:
                    kept.parts.setdefault(spec.full, []).append(
                        _components(spec, plans, chunk.values)
                    )
    return kept


def _components(spec: Spec, plans: Sequence[Plan], values: Mapping[Slot, Any]) -> Array:
    """Give the numbers of each row for each model; rows that count for none are left out."""
    models = [
        np.atleast_2d(
            spec.loss.kernel(
                **{role: values[slot] for role, slot in plan.binding[spec.full].items()},
                **spec.parameters,
            )
        )
        for plan in plans
    ]
    stacked: Array = np.concatenate(models)
    if spec.loss.finish.counts is None:
        return stacked
    counted = np.logical_or.reduce([spec.loss.finish.counts(model) for model in models])
    return stacked[:, np.flatnonzero(counted)]


# One repetition -------------------------------------------------------------------------------


@record
class _Changed:
    """A baseline whose change is known."""

    found: Change

    def change(self, candidate: Result, level: float, *, by_interval: bool) -> Change | Fault:
        """Give it."""
        del candidate, level, by_interval
        return self.found


def _drawn(
    spec: Spec, parts: Array, models: int, check: Check, seed: int, number: int
) -> tuple[Report, float, _Changed | Summarised | None]:
    """Draw rows; give their report, the limit that the truth lies on, and their baseline."""
    if check.kind not in CHANGES:
        mine = parts[-spec.loss.finish.components :]
        ids = np.arange(mine.shape[1], dtype=np.uint64)
        weights = poisson_weights(seed, np.array([number]), ids)[0].astype(np.float64)
        return _report(spec, mine, weights), _value(spec, mine.mean(axis=1)), None
    heads = _tossed(seed, number, parts.shape[1])
    if models == 1:
        halves = [_report(spec, parts[:, coin]) for coin in (heads, ~heads)]
        (other,) = halves[1].results
        numbers = Numbers(other.value, other.std_error, other.n)
        return halves[0], 0.0, Summarised({key_of(other.loss, {}): numbers})
    size = spec.loss.finish.components
    swapped = np.where(heads, np.concatenate([parts[size:], parts[:size]]), parts)
    report = _report(spec, swapped[size:])
    return report, 0.0, _Changed(_paired(spec, swapped, check.level or LEVEL))


def _tossed(seed: int, number: int, rows: int) -> npt.NDArray[np.bool_]:
    start = mix(np.array([seed + HALVES], dtype=np.uint64))
    start = mix(start ^ np.uint64(number))
    return (mix(start ^ np.arange(rows, dtype=np.uint64)) & np.uint64(1)).astype(np.bool_)


def _report(spec: Spec, parts: Array, weights: Weights | None = None) -> Report:
    """Report rows as `lossctl eval` would, but in floating point."""
    rows = parts.shape[1] if weights is None else int(weights.sum())
    means = np.average(parts, axis=1, weights=weights) if rows else np.zeros(len(parts))
    value = _value(spec, means)
    error = _error(spec, parts, weights, rows, {0: 1.0})
    ci = None if value is None or error is None else interval(value, error, LEVEL, rows - 1)
    result = Result(spec.label, {}, rows, rows, value, spec.loss.direction, std_error=error, ci=ci)
    return Report("self-test", {}, Rows(rows, rows, {}), (result,), (), {})


def _paired(spec: Spec, parts: Array, level: float) -> Change:
    size = spec.loss.finish.components
    base, value = (_value(spec, half.mean(axis=1)) for half in (parts[:size], parts[size:]))
    rows = parts.shape[1]
    reach = t_quantile((1.0 + level) / 2.0, rows - 1)
    relative = None
    if base:
        ratio = (value - base) / abs(base)
        slopes = {0: -value / (base * abs(base)), 1: 1.0 / abs(base)}
        relative = _amount(ratio, _error(spec, parts, None, rows, slopes), reach)
    error = _error(spec, parts, None, rows, {0: -1.0, 1: 1.0})
    return Change(base, _amount(value - base, error, reach), relative, reason="zero-variance")


def _amount(value: float, error: float | None, reach: float) -> Amount:
    if not error:
        return Amount(value)
    return Amount(value, value - reach * error, value + reach * error)


def _value(spec: Spec, means: Array) -> float:
    value = spec.loss.finish.value(tuple(means.tolist()))
    return float("nan") if value is None else float(value)


def _error(
    spec: Spec, parts: Array, weights: Weights | None, rows: int, factors: Mapping[int, float]
) -> float | None:
    """Carry the covariance of the means through the finishes of the models."""
    size = spec.loss.finish.components
    if rows < 2:
        return None
    counts = np.ones(parts.shape[1]) if weights is None else weights
    line = np.zeros(parts.shape[1])
    for model, factor in factors.items():
        mine = parts[model * size : (model + 1) * size]
        means = np.average(mine, axis=1, weights=counts)
        slopes = spec.loss.finish.slope(tuple(means.tolist()))
        if slopes is None:
            return None
        for slope, mean, numbers in zip(slopes, means, mine, strict=True):
            line += factor * float(slope) * (numbers - mean)
    return float(np.sqrt((counts * line * line).sum() / (rows - 1) / rows))
