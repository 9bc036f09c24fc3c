"""The losses of single rows and their derivatives, as ``lossctl score`` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lossctl.account import account
from lossctl.api.arguments import (
    Losses,
    Names,
    Rows,
    open_both,
    read_choices,
    read_emit,
    read_policies,
    settle,
)
from lossctl.api.wording import in_python
from lossctl.checks import Nonfinite
from lossctl.data.csv import QuotedLineBreak
from lossctl.data.reading import Missing, Nulls
from lossctl.errors import Gathered
from lossctl.plan import make_plan
from lossctl.score import Emit, Scoring
from lossctl.score import score as score_plan


@in_python
def score(
    predictions: Rows,
    targets: Rows | None = None,
    *,
    losses: Losses,
    emit: Emit | Sequence[Emit] = ("loss",),
    keep: Names = (),
    columns: Mapping[str, Names] | None = None,
    key: Names | None = None,
    missing: Missing = "error",
    min_match_rate: float = 0.0,
    weight: str | None = None,
    where: str | None = None,
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
    predictions, targets, losses, columns, key, missing, min_match_rate, weight, where, positive
        As in `evaluate`.
    classes, nulls, nonfinite, jobs
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
        One row for each row of the input, in its order: ``row`` from 1, the columns of ``key``,
        those of ``keep``, and one column per loss named by its spec, with ``.grad`` and ``.hess``
        behind it for derivatives. A row that is left out of a loss has null there; one that
        ``where`` leaves out, or that ``missing`` lets go without a match, is not there at all.
        Rows that are paired by key come in the order of the predictions.

    Raises
    ------
    UsageError
        An argument, a spec or a column is wrong, or a loss lacks the derivative asked for.
    InputError, PairingError, DomainError, MissingValueError
        The rows cannot be measured.

    """
    wrong = Gathered()
    what = wrong.of(read_emit, emit)
    policies = read_policies(
        wrong,
        nulls=nulls,
        nonfinite=nonfinite,
        ci=None,
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
    specs, policies = settle(wrong, sources, losses, choices, policies)
    scoring = Scoring(make_plan(sources, specs, choices, policies), what)
    scoring.check(Path("rows.arrow"))
    try:
        return _scored(scoring, in_order=False)
    except QuotedLineBreak:
        return _scored(scoring, in_order=True)


def _scored(scoring: Scoring, *, in_order: bool) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    state = score_plan(scoring, batches.append, in_order=in_order)
    account(scoring.plan.settings, state)  # refuses what has no rows, or labels of two codings
    return pa.Table.from_batches(batches)
