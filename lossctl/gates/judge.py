"""Judging a report by checks. What cannot be measured never passes, and says so by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lossctl.finishing import interval
from lossctl.gates.baseline import Baseline, Change, Fault, key_of
from lossctl.gates.checks import CHANGES, LOWER_BOUNDS, Check, Slice
from lossctl.record import record
from lossctl.report import Report
from lossctl.results import Result
from lossctl.verdict import Outcome

LEVEL = 0.95


@record
class Observed:
    """A number that a limit is held against."""

    what: str
    value: float
    n: int
    lower: float | None = None
    upper: float | None = None
    level: float | None = None
    baseline: float | None = None
    limit: float | None = None
    """Another limit than the check's own, where that one does not apply."""


def judge(
    checks: Sequence[Check], report: Report, baseline: Baseline | None = None
) -> tuple[Outcome, ...]:
    """Hold every check against the report, in the order of the checks.

    A slice that is limited by itself and as one of all is told once where both say the same.
    """
    found = (outcome for check in checks for outcome in _judge_check(check, report, baseline))
    distinct = {(o.name, key_of(o.loss or "", o.slice), o.limit, o.message): o for o in found}
    return tuple(distinct.values())


def unmeasured(checks: Sequence[Check], reason: str, message: str) -> tuple[Outcome, ...]:
    """Give the outcome of every check where there is no report at all."""
    return tuple(
        _faulty(check, Fault(reason, message), {} if check.slice == "all" else check.slice)
        for check in checks
    )


def _judge_check(check: Check, report: Report, baseline: Baseline | None) -> Iterator[Outcome]:
    if check.loss is None:
        yield _judge_rows(check, report)
        return
    found = [
        result
        for result in report.results
        if result.loss == check.loss and _matches(check.slice, result)
    ]
    if not found:
        where = "any slice" if check.slice == "all" else _in_words(check.slice)
        fault = Fault("missing-slice", f"no row is in {where}")
        yield _faulty(check, fault, {} if check.slice == "all" else check.slice)
    for result in found:
        yield _judge_result(check, result, baseline)


def _matches(wanted: Slice | str, result: Result) -> bool:
    if isinstance(wanted, str):
        return bool(result.slice) and not result.small
    return wanted == {name: _text(value) for name, value in result.slice.items()}


def _text(value: Any) -> str:
    """Write a value of a slice as a person names it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _in_words(slice_: Slice) -> str:
    return ", ".join(f"{name}={value}" for name, value in slice_.items()) or "the whole"


# Rows -----------------------------------------------------------------------------------------


def _judge_rows(check: Check, report: Report) -> Outcome:
    """Judge a condition on the rows; one that does not hold leaves nothing to measure."""
    if check.kind == "require_slices":
        return _judge_presence(check, report)
    limit, value, n = check.limit or 0.0, 0.0, report.rows.read
    if check.kind == "min_rows":
        found = [r.n for r in report.results if _matches(check.slice, r)] or [0]
        n = min(found) if check.slice else report.rows.scored
        value, what, reason = float(n), f"{n} rows", "too-few-rows"
        wanted = f"at least {limit:.0f}"
    elif check.kind == "min_match_rate":
        matching = report.rows.matching
        if matching is None:
            return _faulty(check, Fault("no-keys", "the rows are not paired by key"), {})
        value, reason = matching.rate, "too-few-matches"
        what, wanted = f"{value:.4%} of the keys are in every file", f"at least {limit:.4%}"
    else:
        nulls = report.rows.dropped.get("null")
        value = nulls.count / n if nulls is not None and n else 0.0
        what, reason = f"{value:.4%} of the rows have missing values", "too-many-nulls"
        wanted = f"at most {limit:.4%}"
    held = value >= limit if check.kind in LOWER_BOUNDS else value <= limit
    return Outcome(
        name=check.title,
        kind=check.kind,
        verdict="pass" if held and n else "unmeasurable",
        message=f"{what}, {wanted} {'asked for' if held else 'needed'}",
        reason=None if held and n else reason if n else "no-rows",
        slice={} if check.slice == "all" else check.slice,
        limit=limit,
        observed=value,
        n=n,
    )


def _judge_presence(check: Check, report: Report) -> Outcome:
    n = max((r.n for r in report.results if _matches(check.slice, r)), default=0)
    slice_ = {} if check.slice == "all" else check.slice
    if not n:
        return _faulty(check, Fault("missing-slice", f"no row is in {_in_words(slice_)}"), slice_)
    return Outcome(check.title, check.kind, "pass", f"{n} rows", slice=slice_, observed=n, n=n)


# Losses ---------------------------------------------------------------------------------------


def _judge_result(check: Check, result: Result, baseline: Baseline | None) -> Outcome:
    fault = _undefined(check, result)
    if fault is None and (check.limit is None or not math.isfinite(check.limit)):
        fault = Fault("limit-not-finite", f"the limit is {check.limit}")
    if fault is None:
        observed = (
            _change(check, result, baseline)
            if check.kind in CHANGES
            else _quantile(check, result)
            if check.share is not None
            else _value(check, result)
        )
        if not isinstance(observed, Fault):
            return _decide(check, result, observed)
        fault = observed
    outcome = _faulty(check, fault, result.slice)
    return replace(outcome, observed=_finite(result.value), n=result.n)


def _undefined(check: Check, result: Result) -> Fault | None:
    """Name what makes a value unfit for any limit."""
    if result.limit is not None:
        return Fault("infinite-value", f"{result.loss} is {result.reason}")
    if result.value is None or not math.isfinite(result.value):
        slug = "no-rows" if not result.n else "undefined-value"
        return Fault(slug, f"{result.loss} is undefined: {result.reason}")
    if check.by_interval and result.n < 2:
        return Fault("too-few-rows", f"{result.n} row has no interval")
    return None


def _value(check: Check, result: Result) -> Observed | Fault:
    value = result.value or 0.0
    if not check.by_interval:
        return Observed(result.loss, value, result.n)
    found = _interval(check, result, value)
    if isinstance(found, Fault):
        return found
    lower, upper, level = found
    return Observed(result.loss, value, result.n, lower, upper, level)


def _interval(check: Check, result: Result, value: float) -> tuple[float, float, float] | Fault:
    """Give the report's interval, or one of another level from the standard error."""
    error = result.std_error
    if error == 0.0:
        return Fault(
            "zero-variance",
            "all rows show the same loss, so the interval has no width; "
            "decide by the point to compare the value alone",
        )
    ci = result.ci
    if ci is not None and check.level in (None, ci.level):
        return ci.lower, ci.upper, ci.level
    level = check.level or LEVEL
    if error is None:
        return Fault("no-interval", f"{result.loss} has no interval")
    if ci is None or ci.df is None:
        return Fault("no-interval", "the interval goes beyond the largest double")
    other = interval(value, error, level, ci.df)
    if other is None:
        return Fault("no-interval", "the interval goes beyond the largest double")
    return other.lower, other.upper, level


def _quantile(check: Check, result: Result) -> Observed | Fault:
    shares = {float(share): value for share, value in result.quantiles.items()}
    value = shares.get(check.share or 0.0)
    if value is None or not math.isfinite(value):
        return Fault("undefined-value", f"{check.kind} of {result.loss} was not measured")
    return Observed(f"{check.kind.removeprefix('max_')} of {result.loss}", value, result.n)


def _change(check: Check, result: Result, baseline: Baseline | None) -> Observed | Fault:
    if baseline is None:
        return Fault("missing-baseline", "there is no baseline to compare with")
    level = check.level or (result.ci.level if result.ci else LEVEL)
    change = baseline.change(result, level, by_interval=check.by_interval)
    if isinstance(change, Fault):
        return change
    return _observed_change(check, result, change, level)


def _observed_change(
    check: Check, result: Result, change: Change, level: float
) -> Observed | Fault:
    amount, what, limit = change.absolute, f"the increase of {result.loss}", check.limit
    if check.kind == "max_relative_increase":
        if change.relative is not None:
            amount, what = change.relative, f"the relative increase of {result.loss}"
        elif check.absolute is not None:
            limit = check.absolute
        elif not change.identical:
            return Fault(
                "zero-baseline",
                "the baseline is 0, so there is no relative increase; give max_increase as well",
            )
    if not math.isfinite(amount.value):
        return Fault("infinite-value", f"{what} goes beyond the largest double")
    seen = Observed(what, amount.value, result.n, baseline=change.baseline, limit=limit)
    if not check.by_interval or change.identical:
        return seen
    if amount.lower is None or amount.upper is None:
        return Fault(change.reason or "no-interval", f"{what} has no interval")
    return replace(seen, lower=amount.lower, upper=amount.upper, level=level)


# The decision ---------------------------------------------------------------------------------


def _decide(check: Check, result: Result, seen: Observed) -> Outcome:
    """Hold a number against its limit; with an interval, all of it must be on one side."""
    limit = (check.limit if seen.limit is None else seen.limit) or 0.0
    floor = check.kind in LOWER_BOUNDS
    low = seen.value if seen.lower is None else seen.lower
    high = seen.value if seen.upper is None else seen.upper
    if floor:
        held, broken = low >= limit, high < limit
    else:
        held, broken = high <= limit, low > limit
    decided = held or broken
    bound = "at least" if floor else "at most"
    interval = "" if seen.lower is None else f" ({_number(low)} to {_number(high)})"
    against = "" if seen.baseline is None else f", baseline {_number(seen.baseline)}"
    allowed = _distinguished(limit, seen.value)
    return Outcome(
        name=check.title,
        kind=check.kind,
        verdict="pass" if held else "fail" if broken else "undecided",
        message=f"{seen.what} is {_distinguished(seen.value, limit)}{interval}{against}; "
        f"{bound} {allowed} is allowed",
        reason=None if decided else "interval-straddles-limit",
        loss=result.loss,
        slice=result.slice,
        limit=limit,
        observed=seen.value,
        lower=seen.lower,
        upper=seen.upper,
        level=seen.level,
        baseline=seen.baseline,
        n=seen.n,
    )


def _faulty(check: Check, fault: Fault, slice_: Slice) -> Outcome:
    limit = check.limit
    return Outcome(
        name=check.title,
        kind=check.kind,
        verdict="unmeasurable",
        message=fault.message,
        reason=fault.reason,
        loss=check.loss,
        slice=slice_,
        limit=_finite(limit),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _number(value: float) -> str:
    return f"{value:.6g}"


def _distinguished(value: float, other: float) -> str:
    """Write a number with as many digits as it takes to tell it from another one."""
    short = _number(value)
    return repr(value) if value != other and short == _number(other) else short
