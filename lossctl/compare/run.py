"""Running a comparison: a plan's tasks, to states, to one merged state, to a comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from lossctl import __version__
from lossctl.account import Places, absent_labels, account
from lossctl.collect import Progress, collect
from lossctl.compare.explain import explanations
from lossctl.compare.judge import Subject, differences, leaderboards, subjects
from lossctl.compare.plan import ComparisonPlan
from lossctl.compare.state import empty_comparison, measure
from lossctl.comparison import Comparison, Difference
from lossctl.data.source import inputs_of
from lossctl.results import Rows


def compare(plan: ComparisonPlan, progress: Progress | None = None) -> Comparison:
    """Read everything once and compare every candidate with the baseline.

    Raises
    ------
    InputError, PairingError, DomainError, MissingValueError
        The input cannot be measured; the error names file, row and column.

    """
    started = time.perf_counter()
    step = partial(measure, plan, progress=progress)
    state = collect(plan, step, partial(empty_comparison, plan))
    places, rows = account(plan.plans[0].settings, state.rows)
    judged = list(subjects(plan, state))
    results = differences(plan, judged)
    tests = sum(result.p_value is not None for result in results)
    return Comparison(
        signature=plan.signature(rows.scored, tests),
        models=tuple(model.name for model in plan.models),
        columns=plan.columns,
        rows=rows,
        results=results,
        leaderboards=leaderboards(plan, judged),
        tests=tests,
        correction=plan.method.correction,
        warnings=(*absent_labels(state.rows), *_warnings(plan, rows, judged, results, places)),
        explanations=tuple(explanations(plan, state, judged, results, places)),
        run={
            "version": __version__,
            "elapsed_s": round(time.perf_counter() - started, 3),
            "inputs": inputs_of(plan.reading.sources),
        },
    )


def _warnings(
    plan: ComparisonPlan,
    rows: Rows,
    judged: list[Subject],
    results: tuple[Difference, ...],
    places: Places,
) -> Iterator[str]:
    for why, count in rows.dropped.items():
        if why == "filtered":  # that was asked for
            continue
        yield f"{count.count} of {rows.read} rows dropped ({why})"
    for subject in (subject for subject in judged if not subject.slice):
        for (kind, model, group), found in sorted(subject.paired.odd.items()):
            first = places.count(found).first if group == subject.group else ()
            if first:
                where = f"{first[0].file} row {first[0].row}"
                name = plan.models[model].name
                yield f"{subject.spec.label} of {name}: {kind} in {found.count} rows ({where})"
    for result in (result for result in results if not result.slice and result.reason):
        yield f"{result.loss} of {result.candidate}: {result.reason}"
