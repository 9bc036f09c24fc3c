"""Options that limit what may be reported, shared by the commands that judge."""

from __future__ import annotations

from typing import Annotated

from lossctl.cli.options import option

Max = Annotated[
    list[str] | None,
    option(
        "--max",
        metavar="LOSS=X",
        help="Fail when the loss is above X; repeatable. X alone limits the only loss.",
    ),
]
Min = Annotated[
    list[str] | None,
    option("--min", metavar="LOSS=X", help="Fail when the loss is below X; repeatable."),
]
MaxIncrease = Annotated[
    list[str] | None,
    option(
        "--max-increase",
        metavar="LOSS=X",
        help="Fail when the loss exceeds that of --baseline by more than X; repeatable.",
    ),
]
MaxRelativeIncrease = Annotated[
    list[str] | None,
    option(
        "--max-relative-increase",
        metavar="LOSS=X",
        help="The same for (candidate - baseline) / |baseline|, as 0.01 or 1%.",
    ),
]
MinRows = Annotated[
    int | None,
    option("--min-rows", metavar="N", min=1, help="Fewer scored rows measure nothing: exit 3."),
]
MaxNullRate = Annotated[
    str | None,
    option(
        "--max-null-rate",
        metavar="X",
        help="A larger share of rows dropped for missing values measures nothing: exit 3.",
    ),
]
Baseline = Annotated[
    str | None,
    option(
        "--baseline",
        metavar="FILE",
        help="What increases are from: predictions for the same rows, compared row by row, or the "
        "numbers of an earlier JSON report, a state file or an accepted baseline.",
    ),
]
Decide = Annotated[
    str | None,
    option(
        "--decide",
        metavar="interval|point",
        help="What limits are held against; the interval, unless --ci is off.",
    ),
]
Inconclusive = Annotated[
    str,
    option(
        "--inconclusive",
        metavar="undecided|pass|fail",
        help="What it counts as when the interval straddles a limit: exit 4, 0 or 1.",
    ),
]
ExitZero = Annotated[
    bool,
    option("--exit-zero", help="Exit 0 where a limit is broken or undecided; never instead of 3."),
]
