"""``lossctl batch``: many prediction files in one run, as a leaderboard."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, Inputs, with_inputs

Jobs = Annotated[
    str,
    typer.Argument(
        metavar="JOBS",
        help="Pattern such as 'preds/{model}/{day}.parquet', or a manifest in CSV, JSON or TOML.",
    ),
]
Truth = Annotated[
    str | None,
    opt.option(
        "--targets",
        metavar="PATTERN",
        help="File with the truth, or a pattern such as 'labels/{day}.parquet'; without it each "
        "prediction file holds it.",
    ),
]
Rank = Annotated[
    str | None,
    opt.option(
        "--rank", metavar="LABEL", help="Label whose values compete; the first one by default."
    ),
]
StateDir = Annotated[
    str | None,
    opt.option(
        "--state-dir",
        metavar="DIR",
        help="Keep the exact sums of each job there, for --resume and `lossctl merge`.",
    ),
]


@with_inputs
def evaluate_jobs(
    jobs: Jobs,
    *,
    losses: opt.Losses,
    targets: Truth = None,
    rank: Rank = None,
    pred: opt.Pred = None,
    target: opt.Target = None,
    col: opt.Columns = None,
    group: opt.Group = None,
    positive: opt.Positive = None,
    classes: opt.Classes = None,
    inputs: Inputs = AS_NAMED,
    where: opt.Where = None,
    weight: opt.Weight = None,
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    max_slices: opt.MaxSlices = 10_000,
    min_slice_rows: opt.MinSliceRows = 0,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    ci: opt.Ci = "0.95",
    quantiles: opt.Quantiles = None,
    histogram: opt.Histogram = False,
    top: opt.Top = 0,
    keep: opt.Keep = None,
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.Reports = None,
    state_dir: StateDir = None,
    resume: Annotated[
        bool, opt.option("--resume", help="Go on from what the --state-dir already covers.")
    ] = False,
    threads: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> int:
    """Evaluate losses of many prediction files, and rank them.

    JOBS is a pattern, in which each {label} stands for a part of a path, or a manifest with the
    columns predictions, targets and any labels, whose files lie relative to it. The report has
    the labels as slices: every job, and the total of each value of the first label, added up
    exactly over all its jobs. What competes is ranked by every loss and sorted by the first one.

    A job that fails does not stop the others: it is named on stderr and in the JSON report, and
    the status is 3 at the end. With --state-dir a run that was killed, or in which jobs failed,
    goes on with --resume and reads only what is left.

    \b
    Examples:
      lossctl batch 'preds/{model}/{day}.parquet' --targets 'labels/{day}.parquet' -l rmse
      lossctl batch 'sample_data/diabetes_predictions*.csv' --targets \
    sample_data/diabetes_targets.csv -l mae
      lossctl batch jobs.csv -l bce --by region -f json -o night.json --state-dir states --resume
    """
    from lossctl.batch import check_rank, check_slicings, report_on, run_jobs
    from lossctl.cli.jobs import JobMeasure, prepare
    from lossctl.cli.output import Outputs
    from lossctl.cli.planning import ask
    from lossctl.cli.progress import count_of
    from lossctl.cli.stderr import note
    from lossctl.engines.local import usable_cores
    from lossctl.errors import Exit, Gathered
    from lossctl.jobs import find_jobs, labels_of

    wrong = Gathered()
    found = wrong.of(find_jobs, jobs, targets) or []
    files = [file for job in found for file in job.files]
    outputs = wrong.of(Outputs.plan, format, output, report, color=color, others=[jobs, *files])
    if found:
        wrong.of(check_rank, labels_of(found), rank)
        sliced = [name for columns in by or () for name in values.names(columns)]
        wrong.of(check_slicings, labels_of(found), sliced)
    options: dict[str, Any] = {
        "pred": pred,
        "target": target,
        "col": col,
        "positive": positive,
        "classes": classes,
        "inputs": inputs,
        "where": where,
        "weight": weight,
        "nulls": nulls,
        "nonfinite": nonfinite,
        "by": by,
        "max_slices": max_slices,
        "min_slice_rows": min_slice_rows,
        "keys": key,
        "missing": missing,
        "duplicates": duplicates,
        "min_match_rate": min_match_rate,
        "memory": memory,
        "temp_dir": temp_dir,
        "ci": ci,
        "quantiles": quantiles,
        "histogram": histogram,
        "top": top,
        "keep": wrong.of(values.kept, keep, top) or (),
        "chunk_rows": chunk_rows,
    }
    states = wrong.of(prepare, state_dir, found, resume=resume)
    wrong.of(inputs.opening)
    # What is wrong with the options is wrong with every job.
    ask(wrong, [], losses, **options | {"inputs": AS_NAMED})
    cores = threads or usable_cores()
    workers = min(cores, len(found))
    share = max(values.size(memory) // workers, values.LEAST_MEMORY)
    options |= {"group": group, "jobs": max(1, cores // workers), "memory": str(share)}
    measure = JobMeasure(losses, options, states, resume=resume)
    with count_of(len(found), shown=not (quiet or no_progress)) as done:
        outcomes = run_jobs(found, measure, workers, done)
    whole = report_on(found, outcomes, rank)
    outputs.write(whole, quiet=quiet)
    failures = whole.batch.failures if whole.batch is not None else ()
    for line in (line for failure in failures for line in failure.text.splitlines()):
        note(f"error: {line}")
    return Exit.UNMEASURABLE if failures else Exit.DONE
