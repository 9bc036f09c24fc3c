"""``lossctl plan``: what would be read and why, without reading it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, Inputs, with_inputs

Form = Annotated[str, opt.option("--format", "-f", metavar="table|json", help="Form of the plan.")]


@with_inputs
def show_plan(
    predictions: opt.Predictions,
    targets: opt.Targets = None,
    *,
    losses: opt.Losses,
    pred: opt.Pred = None,
    target: opt.Target = None,
    col: opt.Columns = None,
    group: opt.Group = None,
    positive: opt.Positive = None,
    classes: opt.Classes = None,
    where: opt.Where = None,
    weight: opt.Weight = None,
    inputs: Inputs = AS_NAMED,
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    fingerprint: opt.Fingerprint = False,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    ci: opt.Ci = "0.95",
    quantiles: opt.Quantiles = None,
    top: opt.Top = 0,
    keep: opt.Keep = None,
    format: Form = "table",
    output: opt.Output = None,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,  # noqa: ARG001 - read where notes are made
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    """Show what `lossctl eval` would read with the same arguments, and why, without reading rows.

    For each loss: which column plays which role, how it was found, its type and what becomes of
    it. Then how rows are paired, what becomes of gaps, into how many pieces the work is cut, the
    memory it takes at most, roughly, and the signature of the run. Of the files only headers,
    footers and the first lines are looked at.

    \b
    Examples:
      lossctl plan sample_data/iris.csv -l cross_entropy
      lossctl plan preds/ 's3://bucket/truth/*.parquet' -k id -l mae -f json
    """
    from pathlib import Path
    from typing import Literal

    from lossctl.cli.output import check_writable, write_whole
    from lossctl.cli.planning import ask
    from lossctl.errors import Gathered
    from lossctl.formats.outline import draw
    from lossctl.outline import outline
    from lossctl.plan import make_plan

    files = [path for path in (predictions, targets) if path is not None]
    wrong = Gathered()
    wrong.of(values.one_of, "--format", format, Literal["table", "json"])
    if output is not None:
        wrong.of(check_writable, Path(output))
    asked = ask(
        wrong,
        files,
        losses,
        pred=pred,
        target=target,
        col=col,
        group=group,
        positive=positive,
        classes=classes,
        where=where,
        weight=weight,
        inputs=inputs,
        nulls=nulls,
        nonfinite=nonfinite,
        by=by,
        keys=key,
        missing=missing,
        duplicates=duplicates,
        min_match_rate=min_match_rate,
        fingerprint=fingerprint,
        memory=memory,
        temp_dir=temp_dir,
        ci=ci,
        quantiles=quantiles,
        top=top,
        keep=wrong.of(values.kept, keep, top) or (),
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    choices = asked[2]
    found = outline(make_plan(*asked), choices)
    text = json.dumps(found, indent=2, ensure_ascii=False) if format == "json" else draw(found)
    if output is None:
        typer.echo(text)
    else:
        write_whole(Path(output), text + "\n")
