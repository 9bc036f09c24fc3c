"""Summaries: what the merged states say, rounded once and put in a report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lossctl.data.tasks import Piece
from lossctl.errors import DomainError, InputError, Place
from lossctl.losses import Finish, Role, Spec
from lossctl.plan import Policies, Settings
from lossctl.report import Report
from lossctl.results import (
    Interval,
    MatchedFile,
    Matching,
    Result,
    RowCount,
    RowRef,
    Rows,
    WorstRow,
)
from lossctl.sensitivity import sensitivity_of, variants_of
from lossctl.state import State, empty_tally
from lossctl.stats.buckets import Bin
from lossctl.stats.extremes import Row
from lossctl.stats.moments import Summary
from lossctl.stats.tally import KINDS, Tally
from lossctl.stats.tally import Rows as CountedRows

NONE = RowCount()


class Places:
    """Turns rows of pieces into rows of files, once all pieces have told their number of rows."""

    def __init__(self, read: Mapping[Piece, int]) -> None:
        """Find out how many rows of its file stand before each piece."""
        self.before: dict[tuple[str, int], int] = {}
        totals: dict[str, int] = {}
        for (path, start, _), rows in sorted(read.items()):
            self.before[path, start] = totals.get(path, 0)
            totals[path] = totals.get(path, 0) + rows

    def count(self, rows: CountedRows) -> RowCount:
        """Give the report's form of a row count."""
        return RowCount(rows.count, tuple(map(self.place, rows.first))) if rows.count else NONE

    def place(self, row: Row) -> RowRef:
        """Give the report's form of a row."""
        path, start, number, *key = row
        # Rows that are paired by key are numbered within their files to begin with.
        return RowRef(path, self.before.get((path, start), 0) + number + 1, tuple(key))


def summarise(settings: Settings, state: State) -> Report:
    """Finish every tally and give the report, without the facts of the run.

    Raises
    ------
    DomainError
        The labels of a file contradict each other.
    InputError
        There is no row, or none is left.

    """
    from lossctl.finding import find_slices

    places, rows = account(settings, state)
    results = tuple(
        _result(spec, tallies, group, names, settings.policies, places)
        for slicing in dict.fromkeys(((), *settings.policies.by))
        for group, names, tallies in _slices(settings, state, slicing)
        for spec in settings.specs
    )
    clipped = max((r.clipped.count for r in results), default=0)
    rows = replace(rows, clipped=clipped)
    return Report(
        signature=settings.signature(rows.scored),
        columns=settings.columns,
        rows=rows,
        results=results,
        warnings=(*absent_labels(state), *_warnings(rows, results)),
        run={},
        found=find_slices(settings, state, places) if settings.policies.find else None,
        fingerprint=str(state.fingerprint) if settings.policies.fingerprint else None,
    )


def account(settings: Settings, state: State) -> tuple[Places, Rows]:
    """Say what became of the rows that were read.

    Raises
    ------
    DomainError
        The labels of a file contradict each other.
    InputError
        There is no row, or none is left.

    """
    for spec in settings.specs:
        for role in spec.loss.roles:
            _judge_labels(role, state.labels.get((spec.full, role.name), frozenset()), state)
    read = sum(state.read.values())
    if not read:
        files = ", ".join(sorted({path for path, _, _ in state.read})) or "the input"
        raise InputError(f"{files}: no rows", hint="there is nothing to measure")
    places = Places(state.read)
    dropped = {why: places.count(rows) for why, rows in sorted(state.dropped.items()) if rows.count}
    scored = read - sum(rows.count for rows in dropped.values())
    if not scored:
        reasons = " and ".join(dropped)
        raise InputError(f"no row is left: all {read} are dropped ({reasons})")
    matching = _matching(settings, state, places)
    return places, Rows(read, scored, dropped, matching=matching)


def _matching(settings: Settings, state: State, places: Places) -> Matching | None:
    """Say how many keys were matched, and which rows of each file were not."""
    if settings.pairing != "key":
        return None
    pairs = state.pairs
    files = tuple(
        MatchedFile(read, places.count(pairs.unmatched.get(source, CountedRows())))
        for source, read in sorted(pairs.read.items())
    )
    matched = min((file.rows - file.unmatched.count for file in files), default=0)
    return Matching(settings.policies.keys, matched, matched / (matched + pairs.lost.count), files)


def standing(settings: Settings, state: State) -> str:
    """Say in a few words where the first loss stands so far."""
    spec = settings.specs[0]
    tally = empty_tally(spec, settings.policies, 1)
    tally.merge(state.tallies[spec.full], np.zeros(len(state.cells.keys), dtype=np.intp))
    summary = tally.moments.summary()
    mean = spec.loss.finish.value(summary.means) if summary.means else None
    if mean is None:
        return ""
    value = double(mean)
    error, level = standard_error(spec, summary), settings.policies.ci
    ci = None if error is None or level is None else interval(value, error, level)
    if ci is None:
        return f"{spec.label} {value:.6g}"
    return f"{spec.label} {value:.6g} ({ci.lower:.6g} to {ci.upper:.6g})"


def _judge_labels(role: Role, labels: frozenset[float], state: State) -> None:
    if fault := role.domain.contradiction(labels):
        paths = sorted({path for path, _, _ in state.read})
        raise DomainError(fault, place=Place(", ".join(paths)))


def absent_labels(state: State) -> Iterator[str]:
    """Warn of a positive label that no row has: misspelt, it makes every row a negative one."""
    for (spec, what), seen in sorted(state.labels.items()):
        if not seen:
            yield f"{spec}: no row has {what}"


def _slices(
    settings: Settings, state: State, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any], Mapping[str, Tally]]]:
    """Unite the cells of each slice: its group, its values by column, and the tallies by loss."""
    keys, groups = state.cells.unite(columns)
    tallies = {}
    for spec, kept in settings.measured:
        tallies[spec.full] = empty_tally(spec, kept, len(keys))
        tallies[spec.full].merge(state.tallies[spec.full], groups)
    for group, key in enumerate(keys):
        yield group, dict(zip(columns, key, strict=True)), tallies


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
        ci=None if error is None or level is None else interval(float(value or 0), error, level),
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


Finished = tuple[Fraction | float | None, str | None, float | None]
"""A value, or None and the reason, and the infinity that the value is where it is one."""


def _odd(infinite: int, negative: int, undefined: int) -> Finished | None:
    """Finish rows of which some are no finite number; None where all are."""
    if undefined or (infinite and negative):
        return None, f"not a number in {_rows_in_words(undefined or infinite)}", None
    if infinite or negative:
        limit = math.inf if infinite else -math.inf
        return None, f"infinite in {_rows_in_words(infinite or negative)}", limit
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


def _result(
    spec: Spec,
    tallies: Mapping[str, Tally],
    group: int,
    slice_: Mapping[str, Any],
    policies: Policies,
    places: Places,
) -> Result:
    """Finish one loss over one slice, with its other forms beside it where that was asked for."""
    result = result_of(spec, tallies[spec.full], group, slice_, policies, places)
    if not policies.sensitivity:
        return result
    clips = [(other, tallies[other.full]) for other in variants_of(spec)]
    return replace(result, sensitivity=sensitivity_of(spec, tallies[spec.full], group, clips))


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


def interval(value: float, error: float, level: float) -> Interval | None:
    """Give the interval of the normal approximation; None beyond the largest double."""
    from statistics import NormalDist

    reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * error
    if not math.isfinite(value - reach) or not math.isfinite(value + reach):
        return None
    return Interval(level, value - reach, value + reach, "normal")


def _share(tally: Tally, group: int, total: Fraction) -> float | None:
    if not tally.rows_of("clipped", group).count or not total:
        return None
    return float(tally.clipped_sum.fraction(group) / total)


def _rows_in_words(count: int) -> str:
    """Write a number of rows, as in ``1 row``."""
    return f"{count} row{'s' * (count != 1)}"


def _first_of(rows: RowCount) -> str:
    """Name the first of some rows, by its key too where it has one; nothing if none is known."""
    if not rows.first:
        return ""
    first = rows.first[0]
    key = f", key {', '.join(map(str, first.key))}" if first.key else ""
    return f" (first: {first.file} row {first.row}{key})"


def _unmatched_in_words(keys: int, matching: Matching) -> str:
    """Say how many keys were dropped, and how many rows of each file that were."""
    files = "; ".join(
        f"{file.unmatched.count} of {_rows_in_words(file.rows)} of {first.file}"
        f" (first: row {first.row}, key {', '.join(map(repr, first.key))})"
        for file in matching.files
        for first in file.unmatched.first[:1]
    )
    return f"{keys - matching.matched} of {keys} keys dropped, not in every file: {files}"


def _warnings(rows: Rows, results: Sequence[Result]) -> tuple[str, ...]:
    warnings = [
        f"{count.count} of {_rows_in_words(rows.read)} dropped ({why}){_first_of(count)}"
        for why, count in rows.dropped.items()
        if why not in ("filtered", "unmatched")  # the one was asked for, the other is told below
    ]
    if rows.matching is not None and rows.matching.rate < 1.0:
        warnings.append(_unmatched_in_words(rows.read, rows.matching))
    small = len({tuple(result.slice.items()) for result in results if result.small})
    if small:
        slices = "1 slice has" if small == 1 else f"{small} slices have"
        warnings.append(f"{slices} too few rows to be judged")
    for result in (result for result in results if not result.slice):
        if result.clipped.count:
            share = result.clipped_share
            carried = "" if share is None else f"; they carry {share:.3g} of the sum"
            clipped = _rows_in_words(result.clipped.count)
            warnings.append(f"{result.loss}: {clipped} clipped{carried}")
        if result.reason:
            odd = result.undefined if result.undefined.count else result.infinite
            warnings.append(f"{result.loss}: {result.reason}{_first_of(odd)}")
    return tuple(warnings)
