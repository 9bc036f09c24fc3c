"""``lossctl worst``: the rows with the largest losses."""

from __future__ import annotations

from typing import Annotated

from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, Inputs, with_inputs

Most = Annotated[
    int, opt.option("--top", "-n", metavar="N", min=1, help="How many rows of each loss to name.")
]


@with_inputs
def show_worst(
    predictions: opt.Predictions,
    targets: opt.Targets = None,
    *,
    losses: opt.Losses,
    top: Most = 10,
    keep: opt.Keep = None,
    pred: opt.Pred = None,
    target: opt.Target = None,
    col: opt.Columns = None,
    group: opt.Group = None,
    positive: opt.Positive = None,
    classes: opt.Classes = None,
    inputs: Inputs = AS_NAMED,
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    max_slices: opt.MaxSlices = 10_000,
    where: opt.Where = None,
    weight: opt.Weight = None,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.Reports = None,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    """Name the rows with the largest losses, of the whole and of each slice.

    Rows are read as by `lossctl eval`, whose --top names the same ones. Of equal losses the row
    that comes first in the input is the worse one; infinite losses are the worst. For a loss that
    is best at zero (mbe) the largest absolute values count. Rows are numbered from 1 without the
    header, and shown with the columns that hold one value for a role of a loss, such as prediction
    and truth; --keep shows further columns of them.

    \b
    Examples:
      lossctl worst sample_data/breast_cancer.csv -l bce
      lossctl worst preds.parquet labels.parquet -l mae -n 100 --keep id -f csv -o worst.csv
    """
    from lossctl.cli.output import Outputs
    from lossctl.cli.planning import plan_files
    from lossctl.cli.progress import progress_of
    from lossctl.errors import Gathered
    from lossctl.evaluate import evaluate

    files = [path for path in (predictions, targets) if path is not None]
    wrong = Gathered()
    outputs = wrong.of(Outputs.plan, format, output, report, color=color, others=files)
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
        inputs=inputs,
        nulls=nulls,
        nonfinite=nonfinite,
        by=by,
        max_slices=max_slices,
        where=where,
        weight=weight,
        keys=key,
        missing=missing,
        duplicates=duplicates,
        min_match_rate=min_match_rate,
        memory=memory,
        temp_dir=temp_dir,
        top=top,
        keep=values.joined(keep),
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    plan = plan.keeping_scalars()
    with progress_of(plan, shown=not (quiet or no_progress)) as progress:
        found = evaluate(plan, progress)
    outputs.write(found, quiet=quiet, worst=True)
