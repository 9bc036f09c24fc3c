"""``lossctl eval``: the losses of one file, or of predictions against targets."""

from __future__ import annotations

from lossctl.cli import options as opt


def evaluate_files(
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
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    ci: opt.Ci = "0.95",
    quantiles: opt.Quantiles = None,
    histogram: opt.Histogram = False,
    top: opt.Top = 0,
    keep: opt.Keep = None,
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.Reports = None,
    state_out: opt.StateOut = None,
    resume: opt.Resume = False,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    """Evaluate losses of predictions against targets.

    PREDICTIONS and TARGETS are CSV or Parquet files that hold the same rows in the same order;
    columns that both hold must be equal row by row. With --key their rows are paired by key,
    whatever their order. For losses of two populations (gan_...) two
    files without targets hold one population each. Files are read once, in chunks, for all losses.

    Columns are found by their usual names, such as prediction and target, or named by --pred,
    --target and --col. COLUMNS is a name, a list a,b,c, a glob such as 'p_*', or one column of
    lists.

    The result goes to stdout, notes and errors go to stderr. Sums are exact and means are rounded
    once, so the numbers depend neither on the order of the rows nor on --jobs and --chunk-rows.

    \b
    Examples:
      lossctl eval sample_data/breast_cancer.csv -l bce,hinge
      lossctl eval predictions.parquet targets.parquet -l rmse -f value
      lossctl eval scores.csv -l 'huber:delta=1.5' -p yhat -t y -f json -o report.json
    """
    from lossctl.cli.keeper import Keeper
    from lossctl.cli.output import Outputs
    from lossctl.cli.planning import plan_files
    from lossctl.cli.progress import progress_of
    from lossctl.errors import Gathered
    from lossctl.evaluate import evaluate

    files = [path for path in (predictions, targets) if path is not None]
    wrong = Gathered()
    outputs = wrong.of(
        Outputs.plan, format, output, report, color=color, others=[*files, state_out]
    )
    plan = plan_files(
        wrong,
        files,
        losses,
        pred=pred,
        target=target,
        col=col,
        group=group,
        positive=positive,
        classes=classes,
        nulls=nulls,
        nonfinite=nonfinite,
        by=by,
        ci=ci,
        quantiles=quantiles,
        histogram=histogram,
        top=top,
        keep=wrong.of(opt.kept, keep, top) or (),
        where=where,
        weight=weight,
        keys=key,
        missing=missing,
        duplicates=duplicates,
        min_match_rate=min_match_rate,
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    keeper = Keeper(plan, state_out, resume=resume)
    with progress_of(plan, shown=not (quiet or no_progress)) as progress:
        found = evaluate(plan, progress, done=keeper.done, checkpoint=keeper.save)
    outputs.write(found, quiet=quiet)
