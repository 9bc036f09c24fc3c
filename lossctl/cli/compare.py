"""``lossctl compare``: what the differences between models show."""

from __future__ import annotations

from typing import Annotated

import typer

from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.complete import complete_columns
from lossctl.cli.inputs import AS_NAMED, Inputs, with_inputs

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="BASELINE [CANDIDATE]...",
        help="Files with the predictions of each model; a single file holds several by --pred.",
    ),
]
Truth = Annotated[
    str | None,
    opt.option(
        "--targets",
        metavar="FILE",
        help="File with the truth; without it BASELINE holds it as well.",
    ),
]
Preds = Annotated[
    list[str] | None,
    opt.option(
        "--pred",
        "-p",
        metavar="COLUMNS",
        help="Column of the prediction, once for all files or once for each; several columns of "
        "one file are its models.",
        autocompletion=complete_columns,
    ),
]
Level = Annotated[
    str,
    opt.option(
        "--ci",
        metavar="LEVEL",
        help="Level of the intervals; a difference is shown where its p-value is below the rest.",
    ),
]
Corrections = Annotated[
    str,
    opt.option(
        "--correction",
        metavar="none|holm|bh",
        help="Correct the p-values for their number, over losses, slices and candidates.",
    ),
]

Tests = Annotated[
    str,
    opt.option(
        "--test",
        metavar="t|wilcoxon|sign",
        help="What the p-values come from; ranks and signs are of the rows' differences.",
    ),
]
Cluster = Annotated[
    str | None,
    opt.option(
        "--cluster",
        metavar="COLUMN",
        help="Rows with the same value depend on each other, such as those of one user.",
        autocompletion=complete_columns,
    ),
]
Time = Annotated[
    str | None,
    opt.option(
        "--time",
        metavar="COLUMN",
        help="Order of a time series, for --block-length.",
        autocompletion=complete_columns,
    ),
]
BlockLength = Annotated[
    int,
    opt.option(
        "--block-length",
        metavar="N",
        min=0,
        show_default=False,
        help="So many consecutive distinct times make a block, whose rows depend on each other.",
    ),
]
Resamples = Annotated[
    int,
    opt.option(
        "--resamples",
        metavar="N",
        min=0,
        show_default=False,
        help="Take intervals and p-values from so many replicates of a bootstrap.",
    ),
]
Seed = Annotated[
    int, opt.option("--seed", metavar="N", min=0, help="Another seed draws other replicates.")
]

Explain = Annotated[
    str | None,
    opt.option(
        "--explain",
        metavar="COLUMNS",
        help="Split each difference over the slices by these columns, and name the rows that "
        "contribute most.",
        autocompletion=complete_columns,
    ),
]
Top = Annotated[
    int | None,
    opt.option("--top", metavar="N", min=1, help="How many rows --explain names; 10 by default."),
]


@with_inputs
def compare_models(
    models: Models,
    *,
    losses: opt.Losses,
    targets: Truth = None,
    pred: Preds = None,
    target: opt.Target = None,
    col: opt.Columns = None,
    positive: opt.Positive = None,
    classes: opt.Classes = None,
    weight: opt.Weight = None,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    inputs: Inputs = AS_NAMED,
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    max_slices: opt.MaxSlices = 10_000,
    where: opt.Where = None,
    ci: Level = "0.95",
    correction: Corrections = "none",
    test: Tests = "t",
    cluster: Cluster = None,
    time: Time = None,
    block_length: BlockLength = 0,
    resamples: Resamples = 0,
    seed: Seed = 0,
    explain: Explain = None,
    top: Top = None,
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
    """Compare the losses of models on the same rows.

    The first model is the baseline. Each candidate gets its difference from it, candidate -
    baseline, with the interval of the paired difference, a p-value, the share of the rows of
    which it shows less loss, and a verdict: better, worse, or no difference shown. Several
    candidates get a leaderboard as well, with the rivals that each one is shown to beat.

    All files hold the same rows: in the same order, or in any order with --key. Without a key,
    columns that several files hold must be equal row by row, but for predictions. Columns are
    found as by `lossctl eval`.

    The standard error of a difference comes from the exact covariance of both models' losses,
    carried through roots and ratios by the delta method; intervals and p-values are those of
    Student's t. --cluster and --block-length judge by the sums of clusters or blocks instead of
    rows. --resamples draws rows, clusters or blocks by a hash of seed, replicate and key (or row
    number) and gives BCa intervals. The column detectable is the true difference that would be
    shown in 80 of 100 samples like this one.

    \b
    Examples:
      lossctl compare old.parquet new.parquet --targets truth.parquet -l rmse,mae
      lossctl compare scores.csv -p old -p new -l bce --by region --correction holm
    """
    from lossctl.cli.output import Outputs
    from lossctl.cli.planning import plan_models
    from lossctl.cli.progress import progress_of
    from lossctl.compare import Correction, Method, Test, compare
    from lossctl.errors import Gathered

    files = [*models, *([] if targets is None else [targets])]
    wrong = Gathered()
    outputs = wrong.of(Outputs.plan, format, output, report, color=color, others=files)
    method = Method(
        level=wrong.of(values.level, ci),
        correction=wrong.of(values.one_of, "--correction", correction, Correction),
        test=wrong.of(values.one_of, "--test", test, Test),
        cluster=cluster,
        time=time,
        block_length=block_length,
        resamples=resamples,
        seed=seed,
        explain=values.names(explain),
        top=top,
    )
    wrong.of(method.check, weight)
    plan = plan_models(
        wrong,
        models,
        targets,
        losses,
        method,
        preds=pred,
        target=target,
        col=col,
        positive=positive,
        classes=classes,
        weight=weight,
        keys=key,
        missing=missing,
        duplicates=duplicates,
        min_match_rate=min_match_rate,
        memory=memory,
        temp_dir=temp_dir,
        inputs=inputs,
        nulls=nulls,
        nonfinite=nonfinite,
        by=by,
        max_slices=max_slices,
        where=where,
        jobs=jobs,
        chunk_rows=chunk_rows,
    )
    with progress_of(plan.plans[0], shown=not (quiet or no_progress)) as progress:
        found = compare(plan, progress)
    outputs.write(found, quiet=quiet)
