"""``lossctl score``: the loss of every row, in a file with one row for each row of the input."""

from __future__ import annotations

from typing import Annotated

import typer

from lossctl.cli import options as opt
from lossctl.cli import values
from lossctl.cli.inputs import AS_NAMED, with_inputs
from lossctl.cli.inputs import Inputs as Written

Inputs = Annotated[
    str,
    typer.Argument(metavar="PREDICTIONS", help="File with the predictions, or a folder of them."),
]
Truths = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGETS",
        help="File with the truth, in the same row order, or a folder of files of the same names.",
    ),
]
Rows = Annotated[
    str,
    opt.option(
        "--output",
        "-o",
        metavar="ROWS",
        help="File to write: .parquet, .arrow, .csv or .jsonl; for a folder of files, a folder.",
    ),
]
Emit = Annotated[
    str,
    opt.option(
        "--emit",
        metavar="loss,grad,hess",
        help="What to write of each loss: itself, its first and its second derivative.",
    ),
]
Overwrite = Annotated[bool, opt.option("--overwrite", help="Replace files that exist already.")]
ResumeRows = Annotated[
    bool,
    opt.option("--resume", help="Leave alone the Parquet files that are complete already."),
]
As = Annotated[
    str, opt.option("--as", metavar="SUFFIX", help="Form of the files written to a folder.")
]


@with_inputs
def score_files(
    predictions: Inputs,
    targets: Truths = None,
    *,
    losses: opt.Losses,
    rows: Rows,
    emit: Emit = "loss",
    keep: opt.Keep = None,
    overwrite: Overwrite = False,
    resume: ResumeRows = False,
    as_: As = "parquet",
    pred: opt.Pred = None,
    target: opt.Target = None,
    col: opt.Columns = None,
    positive: opt.Positive = None,
    classes: opt.Classes = None,
    inputs: Written = AS_NAMED,
    nulls: opt.Nulls = "error",
    nonfinite: opt.Nonfinite = "error",
    by: opt.By = None,
    where: opt.Where = None,
    weight: opt.Weight = None,
    key: opt.Keys = None,
    missing: opt.Missing = "error",
    duplicates: opt.Duplicates = "error",
    min_match_rate: opt.MinMatchRate = 0.0,
    memory: opt.Memory = "512MB",
    temp_dir: opt.TempDir = None,
    ci: opt.Ci = "0.95",
    format: opt.Format = "table",
    report: opt.Reports = None,
    jobs: opt.Jobs = None,
    chunk_rows: opt.ChunkRows = None,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    """Write the loss of every row, and print the report of the same pass.

    One row in is one row out, in the same order: the row's number, the columns of --keep, and one
    column for each loss, named by its spec. A row that is left out of a loss has null there. With
    --emit grad,hess come the derivatives of the row's loss by the prediction, as SPEC.grad and
    SPEC.hess: a number, or a list for a role that is one.

    Rows that --where leaves out are not written; the others keep their numbers.

    With --key rows are paired by key, whatever their order, and written in the order of
    PREDICTIONS with their keys; a row without a match is an error, or with --missing drop left out
    of the file and counted in the report.

    Files are written whole or not at all, and only over existing ones with --overwrite. A folder
    is scored file by file into the same tree; with --resume the Parquet files that are complete
    are left alone and counted in the report.

    \b
    Examples:
      lossctl score sample_data/breast_cancer.csv -l bce,hinge -o rows.parquet
      lossctl score preds.parquet labels.parquet -l bce_logits --emit grad,hess -o round.parquet
      lossctl score nightly/ labels/ -l mae -o scores/ --keep id --resume
    """
    from lossctl.cli.output import Outputs
    from lossctl.cli.planning import plan_files
    from lossctl.cli.progress import progress_of
    from lossctl.cli.scoring import find_jobs, read_emit
    from lossctl.errors import Gathered
    from lossctl.score import Scoring
    from lossctl.scorefiles import finished_scores, write_scores
    from lossctl.statefile import Saved, report_of

    wrong = Gathered()
    found = wrong.of(find_jobs, predictions, targets, rows, as_, overwrite=overwrite, resume=resume)
    files = [file for job in found or () for file in job.inputs]
    taken = [*files, *(str(job.output) for job in found or ())]
    outputs = wrong.of(Outputs.plan, format, None, report, color=color, others=taken)
    what = wrong.of(read_emit, emit)
    if found is None:
        wrong.settle()
    scorings = []
    for job in found:
        plan = plan_files(
            wrong,
            job.inputs,
            losses,
            pred=pred,
            target=target,
            col=col,
            positive=positive,
            classes=classes,
            inputs=inputs,
            nulls=nulls,
            nonfinite=nonfinite,
            by=by,
            ci=ci,
            keep=values.joined(keep),
            where=where,
            weight=weight,
            keys=key,
            missing=missing,
            duplicates=duplicates,
            min_match_rate=min_match_rate,
            memory=memory,
            temp_dir=temp_dir,
            jobs=jobs,
            chunk_rows=chunk_rows,
        )
        scorings.append(Scoring(plan, what))
        scorings[-1].check(job.output)
    done: list[Saved] = []
    for job, scoring in zip(found, scorings, strict=True):
        saved = finished_scores(scoring, job.output) if resume and not overwrite else None
        if saved is None:
            job.output.parent.mkdir(parents=True, exist_ok=True)
            with progress_of(scoring.plan, shown=not (quiet or no_progress)) as progress:
                saved = write_scores(scoring, job.output, progress)
        done.append(saved)
    first, *others = done
    for job, saved in zip(found[1:], others, strict=True):
        first.merge(saved, str(job.output))
    outputs.write(report_of(first), quiet=quiet)
