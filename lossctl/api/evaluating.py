"""Losses of predictions against targets, as ``lossctl eval`` reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lossctl.api.arguments import (
    Losses,
    Names,
    Rows,
    column,
    open_both,
    read_choices,
    read_policies,
    settle,
)
from lossctl.api.wording import in_python
from lossctl.checks import Nonfinite
from lossctl.data.grouped import group_files
from lossctl.data.reading import Missing, Nulls
from lossctl.errors import Gathered, UsageError
from lossctl.evaluate import evaluate as evaluate_plan
from lossctl.plan import make_plan
from lossctl.report import Report


@in_python
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
        vector in each row. Two pandas objects pair row by row only where their indexes are equal,
        and so do the series of a mapping; the index of a frame is a column as well where it is not
        just 0, 1, ...
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
    with wrong:
        if group is not None and key is not None:
            raise UsageError("group and key cannot be combined")
    group = wrong.of(column, "group", group)
    policies = read_policies(
        wrong,
        nulls=nulls,
        nonfinite=nonfinite,
        ci=ci,
        quantiles=quantiles,
        histogram=histogram,
        top=top,
        keep=keep,
        keys=key,
        missing=missing,
        min_match_rate=min_match_rate,
        weight=weight,
        where=where,
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    sources = open_both(wrong, predictions, targets)
    choices = read_choices(wrong, columns, positive, classes)
    specs, policies = settle(wrong, sources, losses, choices, policies, by=by)
    if group is not None:
        sources, choices = group_files(
            specs, sources, group, choices, nulls=nulls, nonfinite=nonfinite
        )
    return evaluate_plan(make_plan(sources, specs, choices, policies))
