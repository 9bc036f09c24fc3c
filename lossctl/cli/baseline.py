"""``lossctl baseline``: the life of an accepted baseline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lossctl.cli import options as opt

if TYPE_CHECKING:
    from lossctl.gates.accepted import Accepted

Action = Literal["accept", "show", "age"]
DAYS = re.compile(r"(\d{1,9})(d|w|)")
MOST_DAYS = 36_500

What = Annotated[str, typer.Argument(metavar="accept|show|age", help="What to do.")]
From = Annotated[
    str | None,
    typer.Argument(metavar="REPORT", help="For accept: a JSON report of eval or gate, or a state."),
]
File = Annotated[
    str, opt.option("--file", metavar="FILE", help="Where the baseline lies, to be committed.")
]
Reason = Annotated[
    str | None, opt.option("--reason", metavar="TEXT", help="For accept: why, for those to come.")
]
AllowRegression = Annotated[
    bool,
    opt.option("--allow-regression", help="For accept: even where a loss is worse than before."),
]
MaxAge = Annotated[
    str | None,
    opt.option(
        "--max-age",
        metavar="DAYS",
        help="For age: exit 1 when it is older, as 90d or 12w; without it, 90 days make a warning.",
    ),
]


def keep_baseline(
    action: What,
    report: From = None,
    *,
    file: File = "lossctl-baseline.json",
    reason: Reason = None,
    allow_regression: AllowRegression = False,
    max_age: MaxAge = None,
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> int:
    """Accept a baseline for limits on increases, show it, or tell its age.

    The file is small and belongs into the repository: value, standard error, interval and rows of
    each loss and slice, the signature and fingerprint of the run, the date and the reason. Name it
    by --baseline, or as baseline in lossctl.toml. A report that is worse than what was accepted
    before is refused, so that limits cannot follow a model downhill step by step.

    \b
    Examples:
      lossctl baseline accept report.json --reason 'first release'
      lossctl baseline show
      lossctl baseline age --max-age 90d
    """
    from lossctl.cli.values import one_of
    from lossctl.errors import Exit, UsageError
    from lossctl.gates.accepted import read_accepted

    one_of("lossctl baseline", action, Action)
    limit = None if max_age is None else _days(max_age)
    if action == "accept":
        if report is None or not (reason or "").strip():
            hint = "as in lossctl baseline accept report.json --reason 'why'"
            raise UsageError("accept takes a report and a --reason", hint=hint)
        _accept(report, file, str(reason), allow_regression=allow_regression)
        return Exit.DONE
    if report is not None:
        raise UsageError(f"{action} takes no report", hint="--file names the baseline")
    accepted = read_accepted(file)
    if action == "show":
        typer.echo("\n".join(_lines(accepted)))
        return Exit.DONE
    return _tell_age(accepted, limit)


def _accept(report: str, file: str, reason: str, *, allow_regression: bool) -> None:
    from pathlib import Path

    from lossctl.cli.output import check_writable, write_whole
    from lossctl.cli.stderr import note
    from lossctl.errors import LossctlError
    from lossctl.gates.accepted import accept, check_no_worse, other_data, read_accepted

    after = accept(report, reason)
    check_writable(Path(file))
    if Path(file).exists():
        try:
            before = read_accepted(file)
            if other := other_data(before, after):
                note(f"warning: {file}: {other}")
            check_no_worse(before, after)
        except LossctlError as error:
            if not allow_regression:
                raise
            note(f"warning: {error.message}")
    write_whole(Path(file), after.to_json())
    note(f"accepted {len(after.results)} results into {file}")


def _lines(accepted: Accepted) -> list[str]:
    from lossctl.formats.cells import number, slice_name

    found = [
        f"accepted on {accepted.on} ({accepted.age} days ago): {accepted.reason}",
        f"signature: {accepted.signature}",
    ]
    if accepted.fingerprint is not None:
        found.append(f"fingerprint: {accepted.fingerprint}")
    for result in accepted.results:
        where = f" [{slice_name(result['slice'])}]" if result["slice"] else ""
        ci = result["ci"]
        interval = f" ({number(ci['lower'])} to {number(ci['upper'])})" if ci else ""
        value = number(result["value"])
        found.append(f"{result['loss']}{where}: {value}{interval}, {result['n']} rows")
    return found


def _days(text: str) -> int:
    """Read an age.

    Raises
    ------
    UsageError
        It is none, or one that says nothing of any baseline.

    """
    from lossctl.errors import UsageError

    found = DAYS.fullmatch(text)
    days = int(found[1]) * (7 if found[2] == "w" else 1) if found is not None else 0
    if not 1 <= days <= MOST_DAYS:
        message = f"--max-age takes 1 to {MOST_DAYS} days, or weeks, not {text!r}"
        raise UsageError(message, hint="as in 90d or 12w")
    return days


def _tell_age(accepted: Accepted, limit: int | None) -> int:
    from lossctl.cli.stderr import note
    from lossctl.errors import Exit
    from lossctl.gates.accepted import STALE_DAYS

    typer.echo(f"{accepted.age} days")
    days = limit or STALE_DAYS
    if accepted.age <= days:
        return Exit.DONE
    note(f"warning: {accepted.path} is older than {days} days: {accepted.reason}")
    return Exit.DONE if limit is None else Exit.LIMIT
