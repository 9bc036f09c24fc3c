"""The Python API: what the commands do, for tables in memory as well as for files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

import pyarrow as pa

from lossctl.account import account
from lossctl.checks import Nonfinite
from lossctl.compare import Method, plan_comparison
from lossctl.compare import compare as compare_plan
from lossctl.comparison import Comparison
from lossctl.data.binding import Choices
from lossctl.data.columns import check_named
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.derived import column_of, parse_slicing
from lossctl.data.grouped import group_files
from lossctl.data.keys import find_keys
from lossctl.data.memory import hold
from lossctl.data.reading import Missing, Nulls
from lossctl.data.source import Source, open_source
from lossctl.engines.local import usable_cores
from lossctl.errors import Gathered, UsageError
from lossctl.evaluate import evaluate as evaluate_plan
from lossctl.losses import Loss, Spec, parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report
from lossctl.score import Emit, Scoring
from lossctl.score import score as score_plan

Rows: TypeAlias = Any
"""A path, a table of pandas, polars, Arrow or any library that speaks the Arrow C stream
interface, a mapping of names to arrays, or the array of a single column."""
Losses: TypeAlias = str | Loss | Spec | Sequence[str | Loss | Spec]
"""Specs as texts, losses with their default parameters, or several of them."""
Names: TypeAlias = str | Sequence[str]


def evaluate(
    predictions: Rows,
    targets: Rows | None = None,
    *,
    losses: Losses,
    columns: Mapping[str, Names] | None = None,
    by: str | Sequence[Names] | None = None,
    key: Names | None = None,
    missing: Missing = "error",
    min_match_rate: float = 0.0,
    weight: str | None = None,
    where: str | None = None,
    group: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] = (),
    nulls: Nulls = "error",
    nonfinite: Nonfinite = "error",
    ci: float | None = 0.95,
    quantiles: Sequence[float] = (),
    histogram: bool = False,
    top: int = 0,
    keep: Names = (),
    jobs: int | None = None,
    chunk_rows: int | None = None,
) -> Report:
    """Evaluate losses of predictions against targets, as ``lossctl eval`` does.

    Parameters
    ----------
    predictions, targets
        Paths, tables, mappings of names to arrays, or single arrays; without ``targets`` the
        predictions hold both. They pair row by row, and columns that both hold must be equal.
        A single array is the column ``prediction`` or ``target``; one of two dimensions has a
        vector in each row. The index of a pandas frame is a column where it is not just 0, 1, ...
    losses
        Specs such as ``"huber:delta=1.5"`` and ``"@regression"``, or losses such as
        ``lossctl.losses.huber``; one or several.
    columns
        Role to its columns: a name, a glob, or several names. Usual names are found.
    by
        Columns to slice by; ``["a", "b"]`` are two slicings, ``[("a", "b")]`` is one that
        crosses them; ``"age:10,20"`` and ``"when:month"`` slice by ranges and by parts of times.
    key
        Columns whose values pair the rows of both tables, whatever their order.
    weight, where
        Column of the rows' weights, and a filter such as ``"region == 'eu'"``.
    top, keep
        How many of the rows with the largest losses to name, and the columns to show of them.
    missing, min_match_rate, group, positive, classes, nulls, nonfinite, quantiles, histogram, jobs
        As the options of the command.
    chunk_rows
        Rows held at a time; it never changes a digit.
    ci
        Level of the confidence intervals; None for none.

    Returns
    -------
    Report
        ``results`` holds one `Result` per loss and slice; ``to_frame()`` gives them as a frame of
        pandas and ``to_json()`` as the JSON document of the command, digest included.

    Raises
    ------
    UsageError
        An argument, a spec or a column is wrong; `SeveralErrors` where more than one is.
    InputError, PairingError, DomainError, MissingValueError
        The rows cannot be measured.

    """
    wrong = Gathered()
    if group is not None and key is not None:
        wrong.errors.append(UsageError("group and key cannot be combined"))
    with wrong:
        _check(ci=ci, quantiles=quantiles)
    policies = Policies(
        nulls=nulls,
        nonfinite=nonfinite,
        ci=ci,
        quantiles=tuple(quantiles),
        histogram=histogram,
        top=top,
        keep=_several(keep),
        keys=_several(key),
        missing=missing,
        min_match_rate=min_match_rate,
        weight=weight,
        where=where,
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows,
    )
    sources = _sources(wrong, predictions, targets)
    specs, told, policies = _settle(wrong, sources, losses, columns, by, policies)
    choices = Choices(told, _text(positive), tuple(map(str, classes)))
    if group is not None:
        sources, choices = group_files(
            specs, sources, group, choices, nulls=nulls, nonfinite=nonfinite
        )
    return evaluate_plan(make_plan(sources, specs, choices, policies))


def score(
    predictions: Rows,
    targets: Rows | None = None,
    *,
    losses: Losses,
    emit: Sequence[Emit] = ("loss",),
    keep: Names = (),
    columns: Mapping[str, Names] | None = None,
    weight: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] = (),
    nulls: Nulls = "error",
    nonfinite: Nonfinite = "error",
    jobs: int | None = None,
    chunk_rows: int | None = None,
) -> pa.Table:
    """Give the loss of every row, and its derivatives by the prediction, as ``lossctl score`` does.

    Parameters
    ----------
    predictions, targets, losses, columns, weight, positive, classes, nulls, nonfinite, jobs
        As in `evaluate`.
    emit
        What to give of each loss: ``"loss"``, ``"grad"``, ``"hess"``.
    keep
        Columns of the input to go along.
    chunk_rows
        Rows held at a time; it never changes a digit.

    Returns
    -------
    pyarrow.Table
        One row for each row of the input, in its order: ``row`` from 1, the columns of ``keep``,
        and one column per loss named by its spec, with ``.grad`` and ``.hess`` behind it for
        derivatives. A row that is left out of a loss has null there.

    Raises
    ------
    UsageError
        An argument, a spec or a column is wrong, or a loss lacks the derivative asked for.
    InputError, PairingError, DomainError, MissingValueError
        The rows cannot be measured.

    """
    wrong = Gathered()
    with wrong:
        for what in emit:
            _one_of("emit", what, Emit)
    policies = Policies(
        nulls=nulls,
        nonfinite=nonfinite,
        ci=None,
        keep=_several(keep),
        weight=weight,
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows,
    )
    sources = _sources(wrong, predictions, targets)
    specs, told, policies = _settle(wrong, sources, losses, columns, None, policies)
    choices = Choices(told, _text(positive), tuple(map(str, classes)))
    scoring = Scoring(make_plan(sources, specs, choices, policies), tuple(emit))
    scoring.check(Path("rows.arrow"))
    try:
        return _scored(scoring, in_order=False)
    except QuotedLineBreak:
        return _scored(scoring, in_order=True)


def compare(
    models: Mapping[str, Rows] | Sequence[Rows] | Rows,
    targets: Rows | None = None,
    *,
    losses: Losses,
    preds: Sequence[str] = (),
    columns: Mapping[str, Names] | None = None,
    by: str | Sequence[Names] | None = None,
    key: Names | None = None,
    missing: Missing = "error",
    min_match_rate: float = 0.0,
    weight: str | None = None,
    where: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] = (),
    nulls: Nulls = "error",
    nonfinite: Nonfinite = "error",
    method: Method | None = None,
    jobs: int | None = None,
    chunk_rows: int | None = None,
) -> Comparison:
    """Compare the losses of models on the same rows, as ``lossctl compare`` does.

    Parameters
    ----------
    models
        The predictions of each model, as ``{"old": old, "new": new}`` or as a list; the first is
        the baseline. With several ``preds``, one table of which those columns are the models.
    targets
        The truth; without it the baseline holds it as well.
    preds
        Columns of the predictions: one for all models, one for each, or the models of one table.
    method
        How differences are judged, a `lossctl.compare.Method`; at a level of 0.95 by default.
    losses, columns, by, key, missing, min_match_rate, weight, where, positive, classes, nulls
        As in `evaluate`.
    nonfinite, jobs, chunk_rows
        As in `evaluate`.

    Returns
    -------
    Comparison
        ``results`` holds one `Difference` per loss, slice and candidate; ``to_json()`` gives the
        JSON document of the command, digest included.

    Raises
    ------
    UsageError
        An argument, a spec or a column is wrong, or there are not two models.
    InputError, PairingError, DomainError, MissingValueError
        The rows cannot be measured.

    """
    wrong = Gathered()
    method = method or Method()
    policies = Policies(
        nulls=nulls,
        nonfinite=nonfinite,
        keys=_several(key),
        missing=missing,
        min_match_rate=min_match_rate,
        weight=weight,
        where=where,
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows,
    )
    wrong.of(method.check, weight)
    named = _models(models, one=len(preds) > 1)
    sources = [wrong.of(source_of, rows, "prediction", name) for name, rows in named.items()]
    if targets is not None:
        sources.append(wrong.of(source_of, targets, "target"))
    further = [*preds, *method.columns]
    specs, told, policies = _settle(wrong, sources, losses, columns, by, policies, further)
    plan = plan_comparison(
        sources[: len(named)],
        None if targets is None else sources[-1],
        specs,
        Choices(told, _text(positive), tuple(map(str, classes))),
        policies,
        method,
        preds=preds,
    )
    return compare_plan(plan)


def _models(models: Any, *, one: bool) -> dict[str, Rows]:
    """Name the models, by their place where they have no name."""
    if one:
        return {"predictions": models}
    if isinstance(models, Mapping):
        return {str(name): rows for name, rows in models.items()}
    if not isinstance(models, list | tuple):
        raise UsageError("there is only one model to compare", hint='as in {"old": a, "new": b}')
    return {f"model {number}": rows for number, rows in enumerate(models, start=1)}


def _scored(scoring: Scoring, *, in_order: bool) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    state = score_plan(scoring, batches.append, in_order=in_order)
    account(scoring.plan.settings, state)  # refuses what has no rows, or labels of two codings
    return pa.Table.from_batches(batches)


def _sources(wrong: Gathered, predictions: Rows, targets: Rows | None) -> list[Source]:
    sources = [wrong.of(source_of, predictions, "prediction")]
    if targets is not None:
        sources.append(wrong.of(source_of, targets, "target"))
    return sources


def _settle(
    wrong: Gathered,
    sources: Sequence[Source],
    losses: Losses,
    columns: Mapping[str, Names] | None,
    by: str | Sequence[Names] | None,
    policies: Policies,
    further: Sequence[str] = (),
) -> tuple[list[Spec], dict[str, str], Policies]:
    """Read losses and slicings and check all names of columns.

    Raises
    ------
    LossctlError
        All that is wrong, along with what is gathered in ``wrong`` already.

    """
    specs = wrong.of(specs_of, losses)
    with wrong:
        _check_policies(policies)
    told = {
        role: names if isinstance(names, str) else ",".join(names)
        for role, names in (columns or {}).items()
    }
    if all(sources):
        wrong.of(find_keys, sources, policies.keys)
        slicings: list[tuple[str, ...]] = []
        with wrong:
            for names in slicings_of(by):
                parts = (parse_slicing(name, sources) for name in names)
                slicings.append(tuple(part for each in parts for part in each))
        policies = replace(policies, by=tuple(slicings))
        weights = [] if policies.weight is None else [policies.weight]
        named = [*told.values(), *map(column_of, policies.sliced), *policies.keep, *weights]
        wrong.of(check_named, sources, [*named, *further])
    wrong.settle()
    return specs, told, policies


def source_of(rows: Rows, role: str, name: str | None = None) -> Source:
    """Open a path, or hold what is in memory; ``role`` names the column of a single array.

    Raises
    ------
    UsageError, InputError
        It holds no rows, or rows that cannot be read.

    """
    if isinstance(rows, str | os.PathLike):
        return open_source(os.fspath(rows))
    return hold(rows, name or f"{role}s", role)


def specs_of(losses: Losses) -> list[Spec]:
    """Give the specs that are meant by texts and losses, each once.

    Raises
    ------
    SpecError, SeveralErrors
        A text names no loss, or a parameter is wrong.
    UsageError
        There is no loss at all.

    """
    several = [losses] if isinstance(losses, str | Loss | Spec) else list(losses)
    wrong = Gathered()
    found: dict[str, Spec] = {}
    for each in several:
        with wrong:
            specs = (
                [each]
                if isinstance(each, Spec)
                else [Spec(each, each.defaults())]
                if isinstance(each, Loss)
                else parse([each])
            )
            found |= {spec.full: spec for spec in specs}
    if not several:
        wrong.errors.append(UsageError("there is no loss to evaluate"))
    wrong.settle()
    return list(found.values())


def slicings_of(by: str | Sequence[Names] | None) -> tuple[tuple[str, ...], ...]:
    """Give the columns of each slicing: one name, or several to be crossed."""
    several = () if by is None else (by,) if isinstance(by, str) else by
    return tuple((names,) if isinstance(names, str) else tuple(names) for names in several)


def _several(names: Names | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)


def _text(label: Any) -> str | None:
    return None if label is None else str(label)


def _check(*, ci: float | None, quantiles: Sequence[float]) -> None:
    """Refuse numbers that the options of the command would refuse."""
    wrong = Gathered()
    with wrong:
        if ci is not None and not 0.0 < ci < 1.0:
            raise UsageError(f"ci takes a level between 0 and 1, or None, not {ci!r}")
    for share in quantiles:
        with wrong:
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"quantiles takes numbers between 0 and 1, not {share!r}")
    wrong.settle()


def _check_policies(policies: Policies) -> None:
    """Refuse words that the options of the command would refuse."""
    wrong = Gathered()
    words = {"nulls": Nulls, "nonfinite": Nonfinite, "missing": Missing}
    for name, known in words.items():
        wrong.of(_one_of, name, getattr(policies, name), known)
    wrong.settle()


def _one_of(name: str, value: str, known: Any) -> None:
    if value not in get_args(known):
        raise UsageError(f"{name} takes {' | '.join(get_args(known))}, not {value!r}")
