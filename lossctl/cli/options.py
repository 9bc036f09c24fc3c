"""Options that commands share: declared once, each with its environment variable."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lossctl.cli.complete import complete_columns, complete_specs


def option(*names: str, help: str, **more: Any) -> Any:  # noqa: A002 - Typer's own word
    """Declare an option that ``LOSSCTL_<NAME>`` sets where the flag does not."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = f"LOSSCTL_{long.removeprefix('--').replace('-', '_').upper()}"
    return typer.Option(*names, help=help, envvar=variable, show_envvar=False, **more)


Predictions = Annotated[
    str,
    typer.Argument(
        metavar="PREDICTIONS",
        help="File with the predictions; a quoted glob, a folder, or - for stdin.",
    ),
]
Targets = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGETS",
        help="File with the truth, in the same row order; without it PREDICTIONS holds both.",
    ),
]
Losses = Annotated[
    list[str],
    option(
        "--loss",
        "-l",
        metavar="SPEC",
        help="Loss such as huber:delta=1.5; several by commas or repeated; @regression is a "
        "family. See `lossctl losses`.",
        autocompletion=complete_specs,
    ),
]
Pred = Annotated[
    str | None,
    option(
        "--pred",
        "-p",
        metavar="COLUMNS",
        help="Column of the prediction: a name, a,b,c, or a glob 'p_*'.",
        autocompletion=complete_columns,
    ),
]
Target = Annotated[
    str | None,
    option(
        "--target",
        "-t",
        metavar="COLUMNS",
        help="Column of the target, as --pred.",
        autocompletion=complete_columns,
    ),
]
Columns = Annotated[
    list[str] | None,
    option(
        "--col",
        metavar="ROLE=COLUMNS",
        help="Columns of any role, for all losses or for one (bce.target=label); repeatable.",
    ),
]
Group = Annotated[
    str | None,
    option(
        "--group",
        metavar="COLUMN",
        help="Rows with the same value belong together, for losses over groups (triplet).",
        autocompletion=complete_columns,
    ),
]
Positive = Annotated[
    str | None,
    option("--positive", metavar="LABEL", help="Text label that counts as 1; all others are 0."),
]
Classes = Annotated[
    str | None,
    option(
        "--classes",
        metavar="A,B,C",
        help="Class names in the order of the prediction columns; their suffixes by default.",
    ),
]
Where = Annotated[
    str | None,
    option(
        "--where",
        metavar="EXPR",
        help="Rows to keep, such as \"region == 'eu' and n >= 10\"; the others are counted.",
    ),
]
Weight = Annotated[
    str | None,
    option(
        "--weight",
        "-w",
        metavar="COLUMN",
        help="Weight of each row, 0 or more, for every number of the report.",
        autocompletion=complete_columns,
    ),
]
Nulls = Annotated[
    str, option("--nulls", metavar="error|drop", help="What to do about missing values.")
]
Nonfinite = Annotated[
    str,
    option(
        "--nonfinite", metavar="error|drop|keep", help="What to do about NaN and infinite values."
    ),
]
Ci = Annotated[
    str,
    option("--ci", metavar="LEVEL|off", help="Level of the confidence intervals."),
]
By = Annotated[
    list[str] | None,
    option(
        "--by",
        "-g",
        metavar="COLUMNS",
        help="Report each slice as well; a,b crosses two columns; age:10,20,40 slices by ranges, "
        "when:month by year, quarter, month, week, day, hour or weekday; repeatable.",
        autocompletion=complete_columns,
    ),
]
FindSlices = Annotated[
    str | None,
    option(
        "--find-slices",
        metavar="COLUMNS",
        help="List the worst slices by these columns and their pairs, with intervals that allow "
        "for the search.",
        autocompletion=complete_columns,
    ),
]
MinSliceRows = Annotated[
    int,
    option(
        "--min-slice-rows",
        metavar="N",
        min=0,
        help="Mark slices of fewer rows; limits do not judge them.",
    ),
]
MaxSlices = Annotated[
    int,
    option("--max-slices", metavar="N", min=1, help="Refuse a slicing of more slices."),
]
Keys = Annotated[
    list[str] | None,
    option(
        "--key",
        "-k",
        metavar="COLUMN",
        help="Pair the files by this column, not by position; a=b where it has two names; "
        "repeatable.",
        autocompletion=complete_columns,
    ),
]
Missing = Annotated[
    str,
    option("--missing", metavar="error|drop", help="What to do about keys without a match."),
]
Duplicates = Annotated[
    str, option("--duplicates", metavar="error", help="What to do about repeated keys.")
]
MinMatchRate = Annotated[
    float,
    option(
        "--min-match-rate",
        metavar="R",
        min=0.0,
        max=1.0,
        help="Refuse when a smaller share of the distinct keys of all files is in every file.",
    ),
]
Fingerprint = Annotated[
    bool,
    option(
        "--fingerprint",
        help="Tell by a digest which rows were scored: keys, targets and weights, in any order.",
    ),
]
Memory = Annotated[
    str,
    option(
        "--memory",
        metavar="SIZE",
        help="What --key holds in memory at most, as in 2GB; more goes to temporary files.",
    ),
]
TempDir = Annotated[
    str | None,
    option("--temp-dir", metavar="FOLDER", help="Where temporary files go; they have no name."),
]
Quantiles = Annotated[
    str | None,
    option(
        "--quantiles",
        metavar="Q,Q",
        help="Quantiles of the rows' losses, as 0.5,0.9; within 0.2 % of the exact ones.",
    ),
]
Histogram = Annotated[
    bool, option("--histogram", help="Counts by order of magnitude, in the JSON report.")
]
Top = Annotated[
    int,
    option("--top", metavar="N", min=0, help="Name the N rows with the largest losses as well."),
]
Sensitivity = Annotated[
    bool,
    option(
        "--sensitivity",
        help="Say what the largest losses do to each value, and the clips of log losses.",
    ),
]
Keep = Annotated[
    list[str] | None,
    option(
        "--keep",
        metavar="COLUMNS",
        help="Columns to show of single rows, such as a,b; repeatable. CSV has no types: what no "
        "loss reads as numbers is text.",
        autocompletion=complete_columns,
    ),
]
Format = Annotated[
    str,
    option(
        "--format",
        "-f",
        metavar="table|json|jsonl|csv|md|value",
        help="Form of the result; value is the bare numbers, one a line.",
    ),
]
Output = Annotated[
    str | None,
    option("--output", "-o", metavar="FILE", help="Write the result there instead of stdout."),
]
Reports = Annotated[
    list[str] | None,
    option(
        "--report",
        metavar="FMT=FILE",
        help="Write a further report from the same pass, in any form of --format; repeatable.",
    ),
]
GateReports = Annotated[
    list[str] | None,
    option(
        "--report",
        metavar="FMT=FILE",
        help="Write a further report from the same pass; repeatable. FMT is a form of --format, "
        "openmetrics or, where there are limits, junit, gitlab or github (without FILE: to the "
        "runner and the step's summary).",
    ),
]
StateOut = Annotated[
    str | None,
    option(
        "--state-out",
        metavar="FILE",
        help="Keep the exact sums there, for `lossctl merge` and --resume; saved as it goes.",
    ),
]
Resume = Annotated[
    bool, option("--resume", help="Go on from what the --state-out file already covers.")
]
NoProgress = Annotated[bool, option("--no-progress", help="No progress bar on a terminal.")]
Jobs = Annotated[
    int | None,
    option("--jobs", "-j", metavar="N", min=1, help="Workers; all usable cores by default."),
]
ChunkRows = Annotated[
    int | None,
    option("--chunk-rows", metavar="N", min=1, help="Rows held at a time; never changes a digit."),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="No notes on stderr.")]
Color = Annotated[str, option("--color", metavar="auto|always|never", help="Colour in the table.")]
Debug = Annotated[bool, option("--debug", help="Show the traceback of an error.")]
