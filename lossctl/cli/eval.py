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
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    ci: opt.Ci = "0.95",
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.Reports = None,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    r"""Evaluate losses of predictions against targets.

    \b
    Examples:
      lossctl eval sample_data/breast_cancer.csv -l bce,hinge
      lossctl eval predictions.parquet targets.parquet -l rmse -f value
      lossctl eval scores.csv -l 'huber:delta=1.5' -p yhat -t y -f json -o report.json
    """
    from lossctl.cli.output import Outputs

    outputs = Outputs.plan(format, output, report, color=color)

    from lossctl.checks import Nonfinite
    from lossctl.data.binding import Choices
    from lossctl.data.chunks import Nulls
    from lossctl.data.grouped import group_files
    from lossctl.data.source import open_source
    from lossctl.engines.local import usable_cores
    from lossctl.evaluate import CHUNK_ROWS, Policies, evaluate, make_plan
    from lossctl.losses import parse

    specs = parse(losses)
    told = opt.columns(pred, target, col)
    sources = [open_source(path) for path in (predictions, targets) if path is not None]
    if group is not None:
        sources = [group_files(specs, sources, group, told)]
    policies = Policies(
        nulls=opt.one_of("--nulls", nulls, Nulls),
        nonfinite=opt.one_of("--nonfinite", nonfinite, Nonfinite),
        ci=opt.confidence(ci),
        jobs=jobs or usable_cores(),
        chunk_rows=chunk_rows or CHUNK_ROWS,
    )
    choices = Choices(told, positive, tuple(classes.split(",")) if classes else ())
    outputs.write(evaluate(make_plan(sources, specs, choices, policies)), quiet=quiet)
