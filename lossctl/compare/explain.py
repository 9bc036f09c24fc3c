"""Explanation: which slices and which rows a difference comes from, adding up to it exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from lossctl.account import Places
from lossctl.compare.effects import Estimate, change, estimate_of, value_of
from lossctl.compare.judge import Subject
from lossctl.compare.plan import ComparisonPlan
from lossctl.compare.state import ComparisonState, empty_paired
from lossctl.comparison import Contribution, Difference, Explanation, Part
from lossctl.losses import Spec
from lossctl.stats.extremes import Extreme

UNEXPLAINED = "the value has no slope here, so its parts cannot be told"


def explanations(
    plan: ComparisonPlan,
    state: ComparisonState,
    judged: Sequence[Subject],
    results: Sequence[Difference],
    places: Places,
) -> Iterator[Explanation]:
    """Explain every difference over all rows by the slices of the columns asked for."""
    slicing = plan.method.explain
    if not slicing:
        return
    keys, groups = state.rows.cells.unite(slicing)
    slices = [dict(zip(slicing, key, strict=True)) for key in keys]
    for subject in (subject for subject in judged if not subject.slice):
        spec = subject.spec
        paired = empty_paired(plan, spec, len(keys))
        paired.merge(state.losses[spec.full], groups)
        summaries = map(paired.moments.summary, range(len(keys)))
        known = [(s, estimate_of(e)) for s, e in zip(slices, summaries, strict=True) if e.weight]
        estimates = [estimate for _, estimate in known]
        every = empty_paired(plan, spec, 1)
        every.merge(state.losses[spec.full], np.zeros(len(state.rows.cells.keys), dtype=np.intp))
        for model in range(1, len(plan.models)):
            shares = contributions(spec, subject.estimate, estimates, model)
            parts = [
                _part(subject, estimate, slice_, model, share)
                for (slice_, estimate), share in zip(known, shares or (), strict=False)
            ]
            result = next(
                r
                for r in results
                if r.loss == spec.label and r.candidate == plan.models[model].name
            )
            yield Explanation(
                loss=spec.label,
                candidate=plan.models[model].name,
                by=tuple(slicing),
                difference=result.difference,
                parts=tuple(sorted(parts, key=lambda part: -abs(part.contribution))),
                rows=tuple(_rows(plan, every.extremes[model - 1].kept[0], places)),
                reason=None if shares is not None else result.reason or UNEXPLAINED,
            )


def contributions(
    spec: Spec, whole: Estimate, slices: Sequence[Estimate], model: int
) -> list[Fraction] | None:
    """Split the difference of a model from the baseline over slices; None where undefined.

    The parts add up to the difference without rounding. For a mean a part is the slice's share
    of the weight times the difference of its means; a root or a ratio is taken along its slope,
    and the parts are scaled to add up.
    """
    before, after = (value_of(spec, whole, each).exact for each in (0, model))
    size = spec.loss.finish.components
    slope = None if before is None else spec.loss.finish.slope(whole.means[:size])
    if before is None or after is None or slope is None:
        return None
    parts = []
    for part in slices:
        moved = sum(
            (
                Fraction(factor) * (part.means[model * size + i] - part.means[i])
                for i, factor in enumerate(slope)
            ),
            Fraction(0),
        )
        parts.append(part.weight / whole.weight * moved)
    total, difference = sum(parts, Fraction(0)), Fraction(change(before, after))
    if not total:
        return parts if not difference else None
    return [part * difference / total for part in parts]


def _part(
    subject: Subject, estimate: Estimate, slice_: dict[str, object], model: int, share: Fraction
) -> Part:
    spec = subject.spec
    return Part(
        slice=slice_,
        n=estimate.rows,
        share=float(estimate.weight / subject.estimate.weight),
        baseline_value=value_of(spec, estimate, 0).rounded,
        candidate_value=value_of(spec, estimate, model).rounded,
        mix=0.0,
        within=float(share),
        contribution=float(share),
    )


def _rows(plan: ComparisonPlan, kept: Sequence[Extreme], places: Places) -> Iterator[Contribution]:
    keys = len(plan.reading.keys)
    for value, row, (baseline, candidate, *shown) in kept:
        yield Contribution(
            at=places.place((*row, *shown[:keys])),
            baseline=baseline,
            candidate=candidate,
            difference=value,
        )
