"""Finding slices: of several columns and all their pairs, the slices whose loss is worst.

Whoever looks at many slices finds a bad one by chance alone. The interval of each difference is
therefore as wide as all of them together need (Bonferroni): with the level that was asked for, all
intervals hold at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np

from lossctl.account import Places
from lossctl.finishing import double, result_of, standard_error, welch_interval
from lossctl.losses import Spec
from lossctl.plan import Settings
from lossctl.record import record
from lossctl.results import FoundSlice, Result, Search
from lossctl.state import State, empty_tally
from lossctl.stats.moments import Summary
from lossctl.stats.tally import Tally

ODD = ("infinite", "negative_infinite", "undefined")
SHOWN = 20
"""How many slices of each loss are listed."""


@record
class _Candidate:
    """A slice that is held against the rest of the rows."""

    result: Result
    share_of_rows: float
    share_of_sum: float | None
    rest: float | None
    difference: float | None
    errors: tuple[tuple[float, int], tuple[float, int]] | None
    """Standard error and rows of the slice and of the rest; None where the slice has no spread."""


def find_slices(settings: Settings, state: State, places: Places) -> Search:
    """Hold every slice by one or two of the columns against the rows outside it.

    Raises
    ------
    UsageError
        A column has more values than slices are allowed.

    """
    columns = settings.policies.find
    level = settings.policies.ci or 0.95
    found: list[_Candidate] = []
    few = 0
    for spec in settings.specs:
        for candidate in _candidates(spec, settings, state, places):
            if candidate.result.small:
                few += 1
            else:
                found.append(candidate)
    tested = sum(candidate.errors is not None for candidate in found)
    adjusted = 1.0 - (1.0 - level) / max(tested, 1)
    slices = [_found(candidate, adjusted) for candidate in found]
    worst: list[FoundSlice] = []
    for spec in settings.specs:
        ranked = sorted((s for s in slices if s.loss == spec.label), key=_badness, reverse=True)
        worst += ranked[:SHOWN]
    return Search(columns, len(found), tested, few, level, adjusted, tuple(worst))


def _candidates(
    spec: Spec, settings: Settings, state: State, places: Places
) -> Iterator[_Candidate]:
    """Give the slices by each column and each pair of them, no rows twice and never all rows."""
    columns, tally = settings.policies.find, state.tallies[spec.full]
    whole = empty_tally(spec, settings.policies, 1)
    whole.merge(tally, np.zeros(len(state.cells.keys), dtype=np.intp))
    total = result_of(spec, whole, 0, {}, settings.policies, places)
    rows: dict[tuple[tuple[str, str], ...], int] = {}
    for names in [*((name,) for name in columns), *combinations(columns, 2)]:
        keys, groups = state.cells.unite(names)
        united = empty_tally(spec, settings.policies, len(keys))
        united.merge(tally, groups)
        for group, key in enumerate(keys):
            slice_ = dict(zip(names, key, strict=True))
            result = result_of(spec, united, group, slice_, settings.policies, places)
            name = tuple((column, repr(value)) for column, value in slice_.items())
            rows[name] = result.n
            # A pair that leaves no row of one of its slices out is that slice again.
            again = len(name) > 1 and any(rows[part,] == result.n for part in name)
            if result.n and result.n < total.n and not again:
                yield _candidate(spec, result, total, whole, united, group)


def _candidate(
    spec: Spec, result: Result, total: Result, whole: Tally, united: Tally, group: int
) -> _Candidate:
    part, rest = united.moments.summary(group), whole.moments.without(united.moments, group)
    odd = sum(whole.rows_of(k, 0).count - united.rows_of(k, group).count for k in ODD)
    here, there = _value(spec, part), None if odd else _value(spec, rest)
    difference = None
    if result.value is not None and here is not None and there is not None:
        difference = double(here - there)
    here_error, there_error = standard_error(spec, part), standard_error(spec, rest)
    errors = None
    # A few rows of one and the same loss say nothing of how much others would vary.
    if difference is not None and here_error and there_error is not None:
        errors = (here_error, part.rows), (there_error, rest.rows)
    share = None
    if result.sum is not None and total.sum is not None and whole.moments.sums[0].fraction():
        share = float(part.sums[0] / whole.moments.sums[0].fraction())
    return _Candidate(
        result,
        result.n / total.n,
        share,
        None if there is None else double(there),
        difference,
        errors,
    )


def _value(spec: Spec, summary: Summary) -> Fraction | float | None:
    return None if summary.means is None else spec.loss.finish.value(summary.means)


def _found(candidate: _Candidate, level: float) -> FoundSlice:
    result, difference = candidate.result, candidate.difference
    ci = None
    if difference is not None and candidate.errors is not None:
        ci = welch_interval(difference, *candidate.errors, level)
    return FoundSlice(
        loss=result.loss,
        slice=result.slice,
        n=result.n,
        weight=result.weight,
        value=result.value,
        direction=result.direction,
        share_of_rows=candidate.share_of_rows,
        share_of_sum=candidate.share_of_sum,
        rest=candidate.rest,
        difference=difference,
        ci=None if ci is None else replace(ci, method="Welch t, bonferroni"),
        reason=result.reason,
        limit=result.limit,
    )


def _badness(found: FoundSlice) -> tuple[bool, bool, float, float, Sequence[str]]:
    """Sort infinite slices first, then by how much worse a slice is than the rest for sure."""
    signed = found.direction == "zero_is_best"
    infinite = found.limit is not None and (signed or found.limit > 0)
    value = abs(found.value or 0.0) if signed else found.value or 0.0
    if found.ci is None:
        return infinite, False, -math.inf, value, _names(found)
    sure = max(found.ci.lower, -found.ci.upper) if signed else found.ci.lower
    return infinite, True, sure, value, _names(found)


def _names(found: FoundSlice) -> Sequence[str]:
    return [f"{name}={value!r}" for name, value in found.slice.items()]
