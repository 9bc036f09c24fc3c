"""Judgement: what the merged state says of each candidate, rounded once and put in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.compare.effects import (
    Estimate,
    Value,
    change,
    clustered,
    estimate_of,
    influence,
    replicates,
    standard_error,
    value_of,
)
from lossctl.compare.plan import ComparisonPlan, Method
from lossctl.compare.state import ComparisonState, empty_paired
from lossctl.compare.units import cut_in_blocks
from lossctl.comparison import Difference, Distance, Leaderboard, Standing, Verdict
from lossctl.losses import Spec
from lossctl.record import record
from lossctl.results import Interval
from lossctl.stats.bootstrap import corrected_interval
from lossctl.stats.corrections import correct
from lossctl.stats.distributions import fair_two_sided, t_quantile, t_two_sided
from lossctl.stats.paired import Paired
from lossctl.stats.ranks import signed_rank

Array = npt.NDArray[np.float64]

POWER = 0.8
CONSTANT = "every row differs by the same amount, so there is no variance to judge by"


@record
class Subject:
    """One loss over one slice: what is judged."""

    spec: Spec
    slice: Mapping[str, Any]
    paired: Paired
    group: int
    estimate: Estimate
    values: tuple[Value, ...]
    """One for each model."""
    replicates: Array | None = None
    """The values of each model in the replicates of a bootstrap."""


@record
class Effect:
    """A difference of two models with what can be said of its size."""

    difference: float | None
    """None where a value is undefined."""
    std_error: float | None = None
    ci: Interval | None = None
    p_value: float | None = None
    detectable: float | None = None
    reason: str | None = None


def subjects(plan: ComparisonPlan, state: ComparisonState) -> Iterator[Subject]:
    """Unite the cells of each slice and estimate every loss there."""
    cells = state.rows.cells
    for slicing in dict.fromkeys(((), *plan.slicings)):
        keys, groups = cells.unite(slicing)
        united = {}
        for spec in plan.specs:
            united[spec.full] = empty_paired(plan, spec, len(keys))
            united[spec.full].merge(state.losses[spec.full], groups)
        for group, key in enumerate(keys):
            for spec in plan.specs:
                paired = united[spec.full]
                estimate = estimate_of(paired.moments.summary(group))
                drawn = None
                within = np.flatnonzero(groups == group).tolist()
                estimate = _by_unit(plan, state.losses[spec.full], within, estimate)
                if plan.method.resamples and estimate.units is not None:
                    resamples, seed = plan.method.resamples, plan.method.seed
                    drawn = replicates(spec, estimate.units, paired.models, resamples, seed)
                values = tuple(
                    _value(spec, paired, group, estimate, model) for model in range(paired.models)
                )
                slice_ = dict(zip(slicing, key, strict=True))
                yield Subject(spec, slice_, paired, group, estimate, values, drawn)


def differences(plan: ComparisonPlan, judged: Sequence[Subject]) -> tuple[Difference, ...]:
    """Judge every candidate against the baseline, with the correction over all of them."""
    candidates = range(1, len(plan.models))
    found = [
        _difference(subject, plan.models[model].name, model, plan.method)
        for subject in judged
        for model in candidates
    ]
    adjusted = correct([result.p_value for result in found], plan.method.correction)
    return tuple(
        replace(result, p_adjusted=p, verdict=_verdict(result, p, plan.method))
        for result, p in zip(found, adjusted, strict=True)
    )


def leaderboards(plan: ComparisonPlan, judged: Sequence[Subject]) -> tuple[Leaderboard, ...]:
    """Rank the models by every loss, and mark which ones each is shown to be better than.

    The correction is over all pairs of models, losses and slices. Pairs are judged by the values
    whatever the test, as ranks are of differences from the baseline.
    """
    method = replace(plan.method, test="t")
    if len(plan.models) < 3:
        return ()
    models = range(len(plan.models))
    pairs = [(a, b) for a in models for b in models if a < b]
    effects = {
        (number, a, b): _merit(subject, a, b, method)
        for number, subject in enumerate(judged)
        for a, b in pairs
    }
    adjusted = correct([effect.p_value for effect in effects.values()], plan.method.correction)
    beats: dict[tuple[int, int], list[str]] = {}
    for ((number, a, b), effect), p in zip(effects.items(), adjusted, strict=True):
        if effect.difference and p is not None and p < 1.0 - plan.method.level:
            better, other = (b, a) if effect.difference < 0.0 else (a, b)
            beats.setdefault((number, better), []).append(plan.models[other].name)
    return tuple(_board(plan, number, subject, beats) for number, subject in enumerate(judged))


def _by_unit(
    plan: ComparisonPlan, paired: Paired, cells: list[int], estimate: Estimate
) -> Estimate:
    """Judge by unit what was summed by unit; rows in buckets are still judged one by one."""
    if paired.units is None:
        return estimate
    units = paired.units.of(cells)
    if plan.unit is None:
        return replace(estimate, units=units)
    if plan.method.block_length:
        units = cut_in_blocks(units, plan.method.block_length, np.sort(paired.units.ids.values))
    return clustered(estimate, units)


def _value(spec: Spec, paired: Paired, group: int, estimate: Estimate, model: int) -> Value:
    for kind, words in (("undefined", "not a number"), ("infinite", "infinite")):
        if count := paired.rows_of(kind, model, group).count:
            return Value(None, f"{words} in {count} row{'s' * (count != 1)}")
    return value_of(spec, estimate, model)


def _difference(subject: Subject, name: str, model: int, method: Method) -> Difference:
    baseline, candidate = subject.values[0], subject.values[model]
    paired, estimate, loss = subject.paired, subject.estimate, subject.spec.loss
    better, worse = (int(counts[model, subject.group]) for counts in (paired.better, paired.worse))
    n = estimate.rows
    shares = [count / n if n else None for count in (better, n - better - worse, worse)]
    effect = _effect(subject, {0: -1, model: 1}, method)
    merit = _merit(subject, 0, model, method) if loss.direction == "zero_is_best" else None
    judged = effect if merit is None else merit
    relative, relative_reason = _relative(baseline, candidate)
    reasons = [
        f"the {role} is {value.reason}" if value.reason[:1] in "in" else value.reason
        for role, value in (("baseline", baseline), ("candidate", candidate))
        if value.reason
    ]
    return Difference(
        loss=subject.spec.label,
        slice=subject.slice,
        candidate=name,
        baseline_value=baseline.rounded,
        candidate_value=candidate.rounded,
        difference=effect.difference,
        relative_difference=relative,
        std_error=effect.std_error,
        ci=effect.ci,
        p_value=judged.p_value,
        p_adjusted=None,
        verdict="not judged",
        minimum_detectable_effect=judged.detectable,
        better=shares[0],
        equal=shares[1],
        worse=shares[2],
        n=n,
        clusters=estimate.clusters,
        weight=float(estimate.weight),
        direction=loss.direction,
        distance=_distance(merit),
        reason="; ".join(reasons) or judged.reason,
        relative_ci=None if relative is None else _relative_ci(subject, model, relative, method),
        relative_reason=relative_reason,
    )


def _distance(merit: Effect | None) -> Distance | None:
    if merit is None or merit.difference is None:
        return None
    return Distance(merit.difference, merit.std_error, merit.ci)


def _relative(baseline: Value, candidate: Value) -> tuple[float | None, str | None]:
    if baseline.exact is None or candidate.exact is None:
        return None, "a value is undefined"
    if not baseline.exact:
        return None, "the baseline is 0"
    try:
        base = baseline.exact
        size = -base if base < 0 else base
        return float(change(base, candidate.exact) / size), None
    except OverflowError:
        return None, "beyond the largest double"


def _relative_ci(subject: Subject, model: int, relative: float, method: Method) -> Interval | None:
    """Give the interval of ``(c - b) / |b|``, whose slopes are ``1 / |b|`` and ``-c / (b |b|)``."""
    values = [subject.values[number].exact for number in (0, model)]
    base, candidate = (Fraction(value) for value in values if value is not None)
    factors = {0: -candidate / (base * abs(base)), model: 1 / abs(base)}
    error = standard_error(subject.spec, subject.estimate, factors)
    if error is None or subject.replicates is not None or (error == 0.0 and relative != 0.0):
        return None
    return _by_t(relative, error, subject.estimate, method).ci


def _merit(subject: Subject, first: int, second: int, method: Method) -> Effect:
    """Give the effect by which models are ranked: below 0 where the second is better."""
    if subject.spec.loss.direction != "zero_is_best":
        return _effect(subject, {first: -1, second: 1}, method)
    signs = [-1 if (subject.values[m].exact or 0) < 0 else 1 for m in (first, second)]
    return _effect(subject, {first: -signs[0], second: signs[1]}, method)


def _effect(subject: Subject, factors: Mapping[int, int], method: Method) -> Effect:
    """Give the sum of two models' values times their factors."""
    (one, a), (other, b) = factors.items()
    first, second = subject.values[one].exact, subject.values[other].exact
    if first is None or second is None:
        return Effect(None)
    try:
        difference = float(change(-a * first, b * second))
    except OverflowError:
        difference = math.inf
    if not math.isfinite(difference):
        return Effect(None, reason="the difference is beyond the largest double")
    effect = _judged(subject, difference, factors, method)
    if method.test == "t":
        return effect
    # Ranks need no variance, and say nothing of the size of the difference.
    return replace(effect, p_value=_by_ranks(subject, other, method.test), reason=None)


def _judged(
    subject: Subject, difference: float, factors: Mapping[int, int], method: Method
) -> Effect:
    if subject.replicates is not None:
        return _by_replicates(subject, subject.replicates, difference, factors, method)
    error = standard_error(subject.spec, subject.estimate, factors)
    if error is None:
        lacking = subject.estimate.lacking if subject.estimate.covariance is None else ""
        return Effect(difference, None, reason=lacking or "the value has no slope here")
    if error == 0.0 and difference != 0.0:
        return Effect(difference, error, reason=CONSTANT)
    return _by_t(difference, error, subject.estimate, method)


def _by_t(difference: float, error: float, estimate: Estimate, method: Method) -> Effect:
    quantile = t_quantile((1.0 + method.level) / 2.0, estimate.df)
    reach = quantile * error
    if not math.isfinite(abs(difference) + reach):
        return Effect(difference, error, reason="the interval is beyond the largest double")
    name = "paired t" if estimate.clusters is None else "t between clusters"
    return Effect(
        difference,
        error,
        Interval(method.level, difference - reach, difference + reach, name, estimate.df),
        t_two_sided(difference / error, estimate.df) if error else 1.0,
        (quantile + t_quantile(POWER, estimate.df)) * error,
    )


def _by_ranks(subject: Subject, model: int, test: str) -> float:
    """Judge the rows by the signs of their differences from the baseline, or by signed ranks."""
    paired, group = subject.paired, subject.group
    better, worse = int(paired.better[model, group]), int(paired.worse[model, group])
    if test == "sign":
        return fair_two_sided(better, worse)
    zeros = subject.estimate.rows - better - worse
    return signed_rank(paired.differences_of(model, group), zeros)


def _by_replicates(
    subject: Subject,
    replicates: Array,
    difference: float,
    factors: Mapping[int, int],
    method: Method,
) -> Effect:
    drawn = np.sum([factor * replicates[m] for m, factor in factors.items()], axis=0)
    undefined = int(np.isnan(drawn).sum())
    if undefined or subject.estimate.rows < 2:
        told = f"undefined in {undefined} of {len(drawn)} resamples"
        return Effect(difference, reason=told if undefined else "fewer than 2 rows")
    error = float(drawn.std(ddof=1))
    if not error and difference:
        return Effect(difference, error, reason=CONSTANT)
    shares = influence(subject.spec, subject.estimate, factors)
    lower, upper, p = corrected_interval(drawn, difference, shares, method.level)
    normal = NormalDist()
    reach = normal.inv_cdf((1.0 + method.level) / 2.0) + normal.inv_cdf(POWER)
    interval = Interval(method.level, lower, upper, "bootstrap BCa")
    return Effect(difference, error, interval, p, reach * error)


def _verdict(result: Difference, p: float | None, method: Method) -> Verdict:
    gap = result.difference if result.distance is None else result.distance.difference
    if p is None or gap is None:
        return "not judged"
    if p >= 1.0 - method.level or gap == 0.0:
        return "no difference shown"
    return "better" if gap < 0.0 else "worse"


def _board(
    plan: ComparisonPlan,
    number: int,
    subject: Subject,
    beats: Mapping[tuple[int, int], Sequence[str]],
) -> Leaderboard:
    merits = {
        model: -value.exact if subject.paired.signed and value.exact < 0 else value.exact
        for model, value in enumerate(subject.values)
        if value.exact is not None
    }
    ranks = {m: 1 + sum(other < merit for other in merits.values()) for m, merit in merits.items()}
    order = sorted(range(len(plan.models)), key=lambda model: (ranks.get(model, math.inf), model))
    standings = (
        Standing(
            plan.models[model].name,
            subject.values[model].rounded,
            ranks.get(model),
            tuple(beats.get((number, model), ())),
        )
        for model in order
    )
    return Leaderboard(subject.spec.label, subject.slice, tuple(standings))
