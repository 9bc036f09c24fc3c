"""Models compared on the same rows, as ``lossctl compare`` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lossctl.api.arguments import (
    Losses,
    Names,
    Rows,
    names_of,
    read_choices,
    read_method,
    read_policies,
    settle,
    source_of,
)
from lossctl.api.wording import in_python
from lossctl.checks import Nonfinite
from lossctl.compare import Method, plan_comparison
from lossctl.compare import compare as compare_plan
from lossctl.comparison import Comparison
from lossctl.data.reading import Missing, Nulls
from lossctl.errors import Gathered, UsageError


@in_python
def compare(
    models: Mapping[str, Rows] | Sequence[Rows] | Rows,
    targets: Rows | None = None,
    *,
    losses: Losses,
    preds: Names = (),
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
        How differences are judged, a `lossctl.Method`; at a level of 0.95 by default.
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
    policies = read_policies(
        wrong,
        nulls=nulls,
        nonfinite=nonfinite,
        ci=None,
        keys=key,
        missing=missing,
        min_match_rate=min_match_rate,
        weight=weight,
        where=where,
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    method = wrong.of(read_method, method, policies.weight) or Method()
    preds = wrong.of(names_of, "preds", preds) or ()
    named = wrong.of(_models, models, one=len(preds) > 1) or {}
    sources = [wrong.of(source_of, rows, "prediction", name) for name, rows in named.items()]
    if targets is not None:
        sources.append(wrong.of(source_of, targets, "target"))
    choices = read_choices(wrong, columns, positive, classes)
    further = [*preds, *method.columns, *method.explain]
    specs, policies = settle(wrong, sources, losses, choices, policies, by=by, further=further)
    plan = plan_comparison(
        sources[: len(named)],
        None if targets is None else sources[-1],
        specs,
        choices,
        policies,
        method,
        preds=preds,
        names=list(named) if isinstance(models, Mapping) else (),
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
