"""From options to a plan: what every command that measures files has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, Inputs

if TYPE_CHECKING:
    from lossctl.compare import ComparisonPlan, Method
    from lossctl.data.binding import Choices
    from lossctl.data.source import Source
    from lossctl.errors import Gathered
    from lossctl.losses import Spec
    from lossctl.plan import Plan, Policies


def plan_files(wrong: Gathered, files: Sequence[str], losses: list[str], **options: Any) -> Plan:
    """Open the files and bind the losses to their columns; the options are those of `ask`.

    Raises
    ------
    LossctlError
        All that is wrong, along with what is gathered in ``wrong`` already.

    """
    from lossctl.plan import make_plan

    return make_plan(*ask(wrong, files, losses, **options))


def plan_models(
    wrong: Gathered,
    models: Sequence[str],
    targets: str | None,
    losses: list[str],
    method: Method,
    *,
    preds: Sequence[str] | None,
    **options: Any,
) -> ComparisonPlan:
    """Open the files of several models and bind the losses to the columns of each.

    Raises
    ------
    LossctlError
        All that is wrong, along with what is gathered in ``wrong`` already.

    """
    from lossctl.compare import plan_comparison

    files = [*models, *([] if targets is None else [targets])]
    named = [*(preds or ()), *method.columns, *method.explain]
    sources, specs, choices, policies = ask(wrong, files, losses, named=named, **options)
    return plan_comparison(
        sources[: len(models)],
        None if targets is None else sources[-1],
        specs,
        choices,
        policies,
        method,
        preds=preds or (),
    )


def ask(
    wrong: Gathered,
    files: Sequence[str],
    losses: list[str],
    *,
    pred: str | None = None,
    target: str | None = None,
    col: list[str] | None = None,
    group: str | None = None,
    positive: str | None = None,
    classes: str | None = None,
    inputs: Inputs = AS_NAMED,
    nulls: str = "error",
    nonfinite: str = "error",
    by: list[str] | None = None,
    find: str | None = None,
    max_slices: int = 10_000,
    min_slice_rows: int = 0,
    ci: str = "off",
    quantiles: str | None = None,
    histogram: bool = False,
    top: int = 0,
    keep: Sequence[str] = (),
    sensitivity: bool = False,
    where: str | None = None,
    weight: str | None = None,
    keys: list[str] | None = None,
    missing: str = "error",
    duplicates: str = "error",
    min_match_rate: float = 0.0,
    fingerprint: bool = False,
    memory: str = "512MB",
    temp_dir: str | None = None,
    jobs: int | None = None,
    chunk_rows: int | None = None,
    named: Sequence[str] = (),
) -> tuple[Sequence[Source], Sequence[Spec], Choices, Policies]:
    """Read the texts of the options and open the files.

    ``named`` are further columns that have to be there.

    Raises
    ------
    LossctlError
        All that is wrong, along with what is gathered in ``wrong`` already.

    """
    from lossctl.checks import Nonfinite
    from lossctl.data.binding import Choices
    from lossctl.data.columns import check_named
    from lossctl.data.derived import column_of, parse_slicing
    from lossctl.data.grouped import group_files
    from lossctl.data.keys import Duplicates, find_keys
    from lossctl.data.reading import Missing, Nulls
    from lossctl.data.source import open_sources
    from lossctl.engines.local import usable_cores
    from lossctl.losses import parse
    from lossctl.plan import Policies

    if sensitivity and weight is not None:
        wrong.of(values.refuse, "--sensitivity counts rows; it does not go with --weight")
    specs = wrong.of(parse, losses)
    told = wrong.of(values.columns, pred, target, col) or {}
    policies = Policies(
        nulls=wrong.of(values.one_of, "--nulls", nulls, Nulls),
        nonfinite=wrong.of(values.one_of, "--nonfinite", nonfinite, Nonfinite),
        ci=wrong.of(values.confidence, ci),
        quantiles=wrong.of(values.shares, quantiles),
        histogram=histogram,
        top=top,
        keep=tuple(keep),
        sensitivity=sensitivity,
        max_slices=max_slices,
        min_slice_rows=min_slice_rows,
        where=None if where is None else where.strip(),
        weight=weight,
        keys=tuple(keys or ()),
        missing=wrong.of(values.one_of, "--missing", missing, Missing),
        min_match_rate=min_match_rate,
        fingerprint=fingerprint,
        memory=wrong.of(values.size, memory),
        temp_dir=wrong.of(values.folder, temp_dir),
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows,
    )
    opening = wrong.of(inputs.opening)
    wrong.of(values.one_of, "--duplicates", duplicates, Duplicates)
    if group is not None and keys:
        wrong.of(values.refuse, "--group and --key cannot be combined")
    sources = wrong.of(open_sources, files, *([] if opening is None else [opening]))
    if sources:
        wrong.of(find_keys, sources, keys or ())
        slicings = [wrong.of(parse_slicing, text, sources) or () for text in by or ()]
        searched = wrong.of(parse_slicing, find, sources) or () if find is not None else ()
        policies = replace(policies, by=tuple(slicings), find=searched)
        if searched and policies.ci is None:
            wrong.of(values.refuse, "--find-slices needs intervals; leave --ci off out")
        sliced = map(column_of, policies.sliced)
        wrong.of(
            check_named,
            sources,
            [*told.values(), *sliced, *keep, *named, *([] if weight is None else [weight])],
        )
    wrong.settle()
    choices = Choices(told, positive, values.names(classes))
    if group is not None:
        sources, choices = group_files(
            specs, sources, group, choices, nulls=policies.nulls, nonfinite=policies.nonfinite
        )
    return sources, specs, choices, policies
