"""Summaries: what the merged states say, put in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossctl.account import Places, absent_labels, account, rows_in_words
from lossctl.finishing import double, interval, result_of, standard_error
from lossctl.losses import Spec
from lossctl.plan import Policies, Settings
from lossctl.report import Report
from lossctl.results import Matching, Result, RowCount, Rows
from lossctl.sensitivity import sensitivity_of, variants_of
from lossctl.state import State, empty_tally
from lossctl.stats.tally import Tally


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
    ci = None if error is None or level is None else interval(value, error, level, summary.rows - 1)
    if ci is None:
        return f"{spec.label} {value:.6g}"
    return f"{spec.label} {value:.6g} ({ci.lower:.6g} to {ci.upper:.6g})"


def _warnings(rows: Rows, results: Sequence[Result]) -> tuple[str, ...]:
    warnings = [
        f"{count.count} of {rows_in_words(rows.read)} dropped ({why}){_first_of(count)}"
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
            clipped = rows_in_words(result.clipped.count)
            warnings.append(f"{result.loss}: {clipped} clipped{carried}")
        if result.reason:
            odd = result.undefined if result.undefined.count else result.infinite
            warnings.append(f"{result.loss}: {result.reason}{_first_of(odd)}")
    return tuple(warnings)


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
        f"{file.unmatched.count} of {rows_in_words(file.rows)} of {first.file}"
        f" (first: row {first.row}, key {', '.join(map(repr, first.key))})"
        for file in matching.files
        for first in file.unmatched.first[:1]
    )
    return f"{keys - matching.matched} of {keys} keys dropped, not in every file: {files}"
