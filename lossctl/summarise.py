"""Summaries: what the merged states say, rounded once and put in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from lossctl import __version__
from lossctl.data.chunks import Task
from lossctl.losses import Spec
from lossctl.report import Interval, Report, Result, RowCount, RowRef, Rows
from lossctl.stats.tally import Rows as CountedRows
from lossctl.stats.tally import Tally

if TYPE_CHECKING:
    from lossctl.evaluate import Plan, State


class _Places:
    """Turns task and row into file and row, once all tasks have told their number of rows."""

    def __init__(self, work: Sequence[Task], read: Mapping[int, int]) -> None:
        self.start: dict[int, tuple[str, int]] = {}
        before: dict[str, int] = {}
        for task in work:
            path = task.fragments[0].source.path
            self.start[task.number] = (path, before.get(path, 0))
            before[path] = before.get(path, 0) + read.get(task.number, 0)

    def count(self, rows: CountedRows) -> RowCount:
        """Give the report's form of a row count."""
        refs = []
        for task, row in rows.first:
            path, before = self.start[task]
            refs.append(RowRef(path, before + row + 1))
        return RowCount(rows.count, tuple(refs))


def summarise(plan: Plan, work: Sequence[Task], state: State) -> Report:
    """Finish every tally and give the report, without the facts of the run."""
    places = _Places(work, state.read)
    read = sum(state.read.values())
    dropped = {why: places.count(rows) for why, rows in sorted(state.dropped.items()) if rows.count}
    scored = read - sum(rows.count for rows in dropped.values())
    results = tuple(
        _result(spec, state.tallies[spec.full], plan.policies.ci, places) for spec in plan.specs
    )
    rows = Rows(read, scored, dropped, max((r.clipped.count for r in results), default=0))
    return Report(
        signature=signature(plan, scored),
        columns=_columns(plan),
        rows=rows,
        results=results,
        warnings=_warnings(rows, results),
        run={},
    )


def signature(plan: Plan, rows: int) -> str:
    """Write all settings that a number depends on in one line."""
    policies = plan.policies
    parts = [
        f"lossctl {__version__}",
        *(spec.full for spec in plan.specs),
        f"pairing={plan.reading.pairing.replace(' ', '-')}",
        f"nulls={policies.nulls}",
        f"nonfinite={policies.nonfinite}",
        f"n={rows}",
    ]
    return " | ".join(parts)


def _columns(plan: Plan) -> dict[str, dict[str, list[str] | str]]:
    """Say which columns filled each role."""
    shown: dict[str, dict[str, list[str] | str]] = {}
    for spec in plan.specs:
        roles = plan.binding[spec.full]
        shown[spec.label] = {
            role: list(slot.columns)
            if slot.columns
            else f"{slot.constant:g}"
            if slot.kind == "constant"
            else f"by file: {', '.join(spec.loss.populations)}"
            for role, slot in roles.items()
        }
    return shown


def _result(spec: Spec, tally: Tally, level: float | None, places: _Places) -> Result:
    summary = tally.moments.summary()
    finish = spec.loss.finish
    infinite, undefined = places.count(tally.infinite), places.count(tally.undefined)
    negative = tally.negative_infinite.count
    n = summary.rows + infinite.count + undefined.count + negative
    value, reason, limit = None, None, None
    if undefined.count or (infinite.count and negative):
        reason = f"not a number in {undefined.count or infinite.count} rows"
    elif infinite.count or negative:
        reason = f"infinite in {infinite.count or negative} rows"
        limit = math.inf if infinite.count else -math.inf
    else:
        means = summary.means
        value = None if means is None else finish.value(means)
        reason = (finish.undefined if means else "no rows") if value is None else None
    error = _standard_error(spec, tally) if value is not None else None
    single = finish.components == 1
    total = summary.sums[0]
    return Result(
        loss=spec.label,
        slice={},
        n=n,
        weight=float(n),
        value=None if value is None else _double(value),
        direction=spec.loss.direction,
        sum=_double(total) if single and value is not None else None,
        std_error=error,
        ci=None if error is None or level is None else _interval(float(value or 0), error, level),
        min=tally.low + 0.0 if summary.rows else None,
        max=tally.high + 0.0 if summary.rows else None,
        infinite=infinite,
        undefined=undefined,
        clipped=places.count(tally.clipped),
        clipped_share=_share(tally, total) if single and value is not None else None,
        reason=reason,
        limit=limit,
    )


def _double(number: Fraction | float) -> float:
    """Round once; a sum beyond the largest double is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def _standard_error(spec: Spec, tally: Tally) -> float | None:
    """Carry the covariance of the means through the finish by the delta method."""
    summary = tally.moments.summary()
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
    return math.sqrt(max(_double(variance), 0.0))


def _interval(value: float, error: float, level: float) -> Interval:
    from statistics import NormalDist

    reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * error
    return Interval(level, value - reach, value + reach, "normal")


def _share(tally: Tally, total: Fraction) -> float | None:
    if not tally.clipped.count or not total:
        return None
    return float(tally.clipped_sum.fraction() / total)


def _warnings(rows: Rows, results: Sequence[Result]) -> tuple[str, ...]:
    warnings = [
        f"{count.count} of {rows.read} rows dropped ({why})" for why, count in rows.dropped.items()
    ]
    for result in results:
        if result.clipped.count:
            share = result.clipped_share
            carried = "" if share is None else f"; they carry {share:.3g} of the sum"
            warnings.append(f"{result.loss}: {result.clipped.count} rows clipped{carried}")
        if result.reason:
            first = (*result.undefined.first, *result.infinite.first)
            where = f" (first: {first[0].file} row {first[0].row})" if first else ""
            warnings.append(f"{result.loss}: {result.reason}{where}")
    return tuple(warnings)
