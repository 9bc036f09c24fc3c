"""Batches: many jobs measured side by side, put together as slices of one report, and ranked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import starmap
from typing import Any

from lossctl import __version__
from lossctl.account import absent_labels, account
from lossctl.data.cells import Cells
from lossctl.engines.local import Stopped, run
from lossctl.errors import LossctlError, SeveralErrors, SystemRefusal, UsageError, singles
from lossctl.jobs import Job, labels_of
from lossctl.plan import Settings
from lossctl.record import record
from lossctl.report import Batch, Failure, Report
from lossctl.results import Result
from lossctl.state import State, empty_state
from lossctl.summarise import summarise


@record
class Measured:
    """What a job gives back."""

    settings: Settings
    state: State
    inputs: list[dict[str, Any]]
    """What the report says of its files."""


Outcome = Measured | LossctlError


def checked(measured: Measured) -> Measured:
    """Give what a job gives back when it can be reported by itself.

    Raises
    ------
    InputError, DomainError
        It has no rows, or its labels contradict each other.

    """
    account(measured.settings, measured.state)
    return measured


def run_jobs(
    jobs: Sequence[Job],
    step: Callable[[Job], Measured],
    workers: int,
    done: Callable[[Job], None] = lambda _: None,
) -> list[Outcome]:
    """Measure every job, several at a time; a job that fails does not stop the others."""

    def attempt(number: int, stopped: Stopped) -> tuple[int, Outcome]:
        del stopped
        try:
            return number, step(jobs[number])
        except LossctlError as error:
            return number, error
        except OSError as error:
            return number, SystemRefusal(error)

    outcomes: dict[int, Outcome] = {}
    for number, outcome in run(range(len(jobs)), attempt, workers):
        outcomes[number] = outcome
        done(jobs[number])
    return [outcomes[number] for number in range(len(jobs))]


def report_on(jobs: Sequence[Job], outcomes: Sequence[Outcome], rank: str | None) -> Report:
    """Put the jobs together in one report, whose slices are their labels.

    The values of the label ``rank``, the first one by default, compete with each other: over all
    jobs, and among jobs that are alike in all other labels.

    Raises
    ------
    UsageError
        There is no such label.
    LossctlError
        No job could be measured.

    """
    good = [(j, o) for j, o in zip(jobs, outcomes, strict=True) if isinstance(o, Measured)]
    failed = [(j, o) for j, o in zip(jobs, outcomes, strict=True) if isinstance(o, LossctlError)]
    if not good:
        raise _all_failed(failed)
    labels = labels_of(jobs)
    competitor = check_rank(labels, rank)
    settings, state = _together(good, labels, competitor)
    report = _ranked(summarise(settings, state), competitor)
    told = (*_absent(good), *_uneven(good, competitor), *_unlike(good))
    inputs = {entry["path"]: entry for _, outcome in good for entry in outcome.inputs}
    return replace(
        report,
        warnings=(*report.warnings, *told),
        batch=Batch(labels, competitor, len(jobs), tuple(starmap(_failure, failed))),
        run={"version": __version__, "elapsed_s": 0.0, "inputs": list(inputs.values())},
    )


def check_rank(labels: Sequence[str], rank: str | None) -> str:
    """Give the label whose values compete.

    Raises
    ------
    UsageError
        There is no such label.

    """
    if rank is not None and rank not in labels:
        raise UsageError(f"--rank: there is no label {rank!r}", hint=f"labels: {', '.join(labels)}")
    return rank or labels[0]


def check_slicings(labels: Sequence[str], columns: Iterable[str]) -> None:
    """Refuse to slice by a column that is called as a label.

    Raises
    ------
    UsageError
        There is one.

    """
    for name in columns:
        if name in labels:
            raise UsageError(f"--by {name}: that is a label of the batch already")


def _failure(job: Job, error: LossctlError) -> Failure:
    """Say of a job that failed, a line for each of its errors, what is wrong with which file."""
    found = [_placed(single, job) for single in singles(error)]
    whole = found[0] if len(found) == 1 else SeveralErrors(found)
    text = "\n".join(f"{job.name}: {single}" for single in found)
    return Failure(dict(job.labels), tuple(job.files), whole.as_json(), text)


def _placed(error: LossctlError, job: Job) -> LossctlError:
    """Let an error that names no file of its job name the one with the predictions."""
    if any(file in str(error) for file in job.files):
        return error
    error = copy(error)
    error.place = replace(error.place, file=job.predictions)
    return error


def _all_failed(failed: Sequence[tuple[Job, LossctlError]]) -> LossctlError:
    """Put the errors of all jobs together; one that several share is told of the first of them."""
    distinct: dict[str, LossctlError] = {}
    for job, error in failed:
        for single in singles(error):
            distinct.setdefault(str(single), _placed(single, job))
    found = list(distinct.values())
    return found[0] if len(found) == 1 else SeveralErrors(found)


def _together(
    good: Sequence[tuple[Job, Measured]], labels: Sequence[str], competitor: str
) -> tuple[Settings, State]:
    """Merge the states of all jobs as if their labels were columns to slice by."""
    first = good[0][1].settings
    by = first.policies.by
    totals = () if len(labels) == 1 else ((competitor,),)
    crossed = ((*part, *names) for names in by for part in (*totals, tuple(labels)))
    slicings = (*totals, tuple(labels), *crossed)
    # Cells have their columns in the order in which the slicings name them first.
    order = list(dict.fromkeys(name for names in slicings for name in names))
    most = first.policies.max_slices * len(good)  # each job has kept to the limit
    settings = replace(first, policies=replace(first.policies, by=slicings, max_slices=most))
    state = empty_state(settings)
    for job, measured in good:
        state.merge(_labelled(measured.state, job, order, most))
    return settings, state


def _absent(good: Sequence[tuple[Job, Measured]]) -> Iterator[str]:
    """Tell by job which positive labels no row has; others may have them."""
    for job, measured in good:
        for text in absent_labels(measured.state):
            yield f"{job.name}: {text}"


def _labelled(state: State, job: Job, order: Sequence[str], most: int) -> State:
    """Give a state whose cells have the labels of a job as well."""
    cells = Cells(order, most)
    for key in state.cells.keys:
        values = {**job.labels, **dict(zip(state.cells.columns, key, strict=True))}
        cells.number(tuple(values[name] for name in order))
    # Each file may code its labels as it likes; they were judged when it was measured.
    return replace(state, cells=cells, labels={})


def _ranked(report: Report, competitor: str) -> Report:
    """Rank what competes, and sort the results by the first loss; the whole goes last."""
    contests: dict[Any, list[float]] = {}
    for result in report.results:
        contests.setdefault(_contest(result, competitor), []).append(_merit(result))
    results = []
    for result in report.results:
        merit = _merit(result)
        better = sum(other < merit for other in contests[_contest(result, competitor)])
        competes = competitor in result.slice and not math.isnan(merit)
        results.append(replace(result, rank=better + 1 if competes else None))
    lead = {_key(r.slice): r.rank or math.inf for r in results if r.loss == results[0].loss}
    slicings = dict.fromkeys(tuple(result.slice) for result in results if result.slice)
    places = {names: place for place, names in enumerate([*slicings, ()])}

    def order(result: Result) -> Any:
        others = [str(v) for name, v in result.slice.items() if name != competitor]
        return places[tuple(result.slice)], others, lead[_key(result.slice)]

    return replace(report, results=tuple(sorted(results, key=order)))


def _contest(result: Result, competitor: str) -> Any:
    others = {name: value for name, value in result.slice.items() if name != competitor}
    return result.loss, tuple(result.slice), _key(others)


def _key(slice_: Any) -> Any:
    return tuple((name, str(value)) for name, value in slice_.items())


def _merit(result: Result) -> float:
    """Give what the lower of is the better one; NaN where nothing is known."""
    value = result.value if result.limit is None else result.limit
    if value is None:
        return math.nan
    return abs(value) if result.direction == "zero_is_best" else value


def _uneven(good: Sequence[tuple[Job, Measured]], competitor: str) -> Iterator[str]:
    """Warn of totals that cover other jobs than those of their rivals."""
    covered: dict[str, dict[str, None]] = {}
    for job, _ in good:
        rest = ", ".join(f"{k}={v}" for k, v in job.labels.items() if k != competitor)
        covered.setdefault(job.labels[competitor], {})[rest] = None
    everything = dict.fromkeys(rest for parts in covered.values() for rest in parts)
    for value, parts in covered.items():
        lacking = [rest for rest in everything if rest not in parts]
        if lacking:
            shown = "; ".join(lacking[:3]) + (" ..." if len(lacking) > 3 else "")
            count = f"{len(lacking)} of {len(everything)} jobs"
            yield f"{competitor}={value} lacks {count} ({shown}); its total is of other rows"


def _unlike(good: Sequence[tuple[Job, Measured]]) -> Iterator[str]:
    """Warn of jobs whose columns are others than those of the first one."""

    def read(measured: Measured) -> Any:
        return measured.settings.columns, measured.settings.pairing

    (first, measured), *others = good
    unlike = [job for job, other in others if read(other) != read(measured)]
    if unlike:
        yield f"{len(unlike)} jobs read other columns than {first.name} (first: {unlike[0].name})"
