"""The Python API: what the commands do, for tables in memory as well as for files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, get_args

from lossctl.checks import Nonfinite
from lossctl.data.binding import Choices
from lossctl.data.chunks import Nulls
from lossctl.data.columns import check_named
from lossctl.data.derived import column_of, parse_slicing
from lossctl.data.grouped import group_files
from lossctl.data.memory import hold
from lossctl.data.source import Source, open_source
from lossctl.engines.local import usable_cores
from lossctl.errors import Gathered, UsageError
from lossctl.evaluate import evaluate as evaluate_plan
from lossctl.evaluate import make_plan
from lossctl.losses import Loss, Spec, parse
from lossctl.plan import Policies
from lossctl.report import Report

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
    group: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] = (),
    nulls: Nulls = "error",
    nonfinite: Nonfinite = "error",
    ci: float | None = 0.95,
    quantiles: Sequence[float] = (),
    histogram: bool = False,
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
    group, positive, classes, nulls, nonfinite, quantiles, histogram, jobs, chunk_rows
        As the options of the command.
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
    specs = wrong.of(specs_of, losses)
    told = {
        role: names if isinstance(names, str) else ",".join(names)
        for role, names in (columns or {}).items()
    }
    with wrong:
        _check(nulls=nulls, nonfinite=nonfinite, ci=ci, quantiles=quantiles)
    policies = Policies(
        nulls=nulls,
        nonfinite=nonfinite,
        ci=ci,
        quantiles=tuple(quantiles),
        histogram=histogram,
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows,
    )
    sources = [wrong.of(source_of, predictions, "prediction")]
    if targets is not None:
        sources.append(wrong.of(source_of, targets, "target"))
    if all(sources):
        with wrong:
            slicings = [
                tuple(part for name in names for part in parse_slicing(name, sources))
                for names in slicings_of(by)
            ]
            policies = replace(policies, by=tuple(slicings))
        sliced = map(column_of, policies.sliced)
        wrong.of(check_named, sources, [*told.values(), *sliced])
    wrong.settle()
    choices = Choices(told, None if positive is None else str(positive), tuple(map(str, classes)))
    if group is not None:
        sources, choices = group_files(
            specs, sources, group, choices, nulls=nulls, nonfinite=nonfinite
        )
    return evaluate_plan(make_plan(sources, specs, choices, policies))


def source_of(rows: Rows, role: str) -> Source:
    """Open a path, or hold what is in memory; ``role`` names the column of a single array.

    Raises
    ------
    UsageError, InputError
        It holds no rows, or rows that cannot be read.

    """
    if isinstance(rows, str | os.PathLike):
        return open_source(os.fspath(rows))
    return hold(rows, f"{role}s", role)


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


def _check(*, nulls: str, nonfinite: str, ci: float | None, quantiles: Sequence[float]) -> None:
    """Refuse values that the options of the command would refuse."""
    wrong = Gathered()
    for name, value, kind in (("nulls", nulls, Nulls), ("nonfinite", nonfinite, Nonfinite)):
        with wrong:
            if value not in get_args(kind):
                raise UsageError(f"{name} takes {' | '.join(get_args(kind))}, not {value!r}")
    with wrong:
        if ci is not None and not 0.0 < ci < 1.0:
            raise UsageError(f"ci takes a level between 0 and 1, or None, not {ci!r}")
    for share in quantiles:
        with wrong:
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"quantiles takes numbers between 0 and 1, not {share!r}")
    wrong.settle()
