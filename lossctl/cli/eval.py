"""``lossctl eval``: the losses of one file, or of predictions against targets."""

from __future__ import annotations

import typer

from lossctl.cli import limits as lim
from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, Inputs, with_inputs


@with_inputs
def evaluate_files(
    ctx: typer.Context,
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
    find_slices: opt.FindSlices = None,
    min_slice_rows: opt.MinSliceRows = 0,
    max_slices: opt.MaxSlices = 10_000,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    fingerprint: opt.Fingerprint = False,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    ci: opt.Ci = "0.95",
    quantiles: opt.Quantiles = None,
    histogram: opt.Histogram = False,
    top: opt.Top = 0,
    keep: opt.Keep = None,
    sensitivity: opt.Sensitivity = False,
    max: lim.Max = None,  # noqa: A002 - the name of the flag
    min: lim.Min = None,  # noqa: A002
    max_increase: lim.MaxIncrease = None,
    max_relative_increase: lim.MaxRelativeIncrease = None,
    min_rows: lim.MinRows = None,
    max_null_rate: lim.MaxNullRate = None,
    baseline: lim.Baseline = None,
    decide: lim.Decide = None,
    inconclusive: lim.Inconclusive = "undecided",
    exit_zero: lim.ExitZero = False,
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.GateReports = None,
    state_out: opt.StateOut = None,
    resume: opt.Resume = False,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> int:
    """Evaluate losses of predictions against targets.

    PREDICTIONS and TARGETS are CSV, Parquet, Arrow IPC, JSON Lines or ORC files that hold the same
    rows in the same order; columns that both hold must be equal row by row. With --key their rows
    are paired by key, whatever their order. For losses of two populations (gan_...) two files
    without targets hold one population each. Files are read once, in chunks, for all losses.

    Columns are found by their usual names, such as prediction and target, or named by --pred,
    --target and --col. COLUMNS is a name, a list a,b,c, a glob such as 'p_*', or one column of
    lists.

    The result goes to stdout, notes and errors go to stderr. Sums are exact and means are rounded
    once, so the numbers depend neither on the order of the rows nor on --jobs and --chunk-rows.

    Limits (--max rmse=0.5) make it a gate: all of the interval must be on one side, or the exit
    status is 4 for undecided; --decide point compares the value alone. What cannot be measured,
    such as an undefined loss or a missing baseline, never passes and exits 3.

    \b
    Examples:
      lossctl eval sample_data/breast_cancer.csv -l bce,hinge
      lossctl eval predictions.parquet targets.parquet -l rmse -f value
      lossctl eval new.parquet -l rmse --max rmse=0.5 --max-increase rmse=0.01 --baseline old.json
      lossctl eval scores.csv -l 'huber:delta=1.5' -p yhat -t y -f json -o report.json
    """
    from lossctl.cli.gating import Gating, Limits
    from lossctl.cli.keeper import Keeper
    from lossctl.cli.output import Outputs
    from lossctl.cli.progress import progress_of
    from lossctl.engines import forked
    from lossctl.errors import Gathered
    from lossctl.evaluate import evaluate

    files = [path for path in (predictions, targets) if path is not None]
    wrong = Gathered()
    limits = Limits(
        max,
        min,
        max_increase,
        max_relative_increase,
        min_rows,
        max_null_rate,
        decide,
        baseline,
        inconclusive,
        exit_zero,
    )
    outputs = wrong.of(
        Outputs.plan,
        format,
        output,
        report,
        color=color,
        others=[*files, state_out, baseline],
        gated=limits.given or bool(ctx.obj),
    )
    gating = wrong.of(Gating.plan, limits, losses, ci, by, ctx.obj or ()) or Gating()
    plan, rival = gating.reporting(outputs)(gating.plan_runs)(
        wrong,
        files,
        losses,
        pred=pred,
        target=target,
        col=col,
        group=group,
        positive=positive,
        classes=classes,
        inputs=inputs,
        nulls=nulls,
        nonfinite=nonfinite,
        by=gating.slicings(by),
        find=find_slices,
        min_slice_rows=min_slice_rows,
        max_slices=max_slices,
        ci=ci,
        quantiles=gating.quantiles(quantiles),
        histogram=histogram,
        top=top,
        sensitivity=sensitivity,
        keep=wrong.of(values.kept, keep, top) or (),
        where=where,
        weight=weight,
        keys=key,
        missing=missing,
        duplicates=duplicates,
        min_match_rate=min_match_rate,
        fingerprint=fingerprint,
        memory=memory,
        temp_dir=temp_dir,
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    if "self_test" in ctx.meta:
        return gating.rehearse(rival or plan, *ctx.meta["self_test"])
    keeper = Keeper(plan, state_out, resume=resume)
    progress = progress_of(plan, shown=not (quiet or no_progress))
    with gating.reporting(outputs), progress as seen:
        found = evaluate(plan, seen, done=keeper.done, checkpoint=keeper.save, engine=forked.run)
        compared = gating.compared(rival)
    return gating.conclude(found, compared, outputs, quiet=quiet)
