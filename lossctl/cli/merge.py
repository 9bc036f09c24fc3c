"""``lossctl merge``: add up saved states."""

from __future__ import annotations

from typing import Annotated

import typer

from lossctl.cli import options as opt


def merge_states(
    states: Annotated[
        list[str], typer.Argument(metavar="STATE...", help="Files written by --state-out.")
    ],
    *,
    losses: Annotated[
        list[str] | None,
        opt.option(
            "--loss",
            "-l",
            metavar="FILE.py",
            help="File of custom losses that the states were made with; repeatable.",
        ),
    ] = None,
    state_out: Annotated[
        str | None, opt.option("--state-out", metavar="FILE", help="Keep the merged state there.")
    ] = None,
    format: opt.Format = "table",
    output: opt.Output = None,
    report: opt.Reports = None,
    quiet: opt.Quiet = False,
    color: opt.Color = "auto",
    debug: opt.Debug = False,  # noqa: ARG001 - read where errors are shown
) -> None:
    """Report saved states together, as one run over all their rows would.

    The states must come from equal settings; their order does not matter, and neither does how the
    rows were cut into files.

    \b
    Examples:
      lossctl eval monday.parquet -l rmse -q --state-out monday.state
      lossctl eval tuesday.parquet -l rmse -q --state-out tuesday.state
      lossctl merge monday.state tuesday.state
    """
    from pathlib import Path

    from lossctl.cli.output import Outputs, check_writable, write_whole
    from lossctl.losses import parse
    from lossctl.statefile import dump, load_merged, report_of

    outputs = Outputs.plan(format, output, report, color=color, others=[*states, state_out])
    known = [spec.loss for spec in parse(losses or [])]
    if state_out is not None:
        check_writable(Path(state_out))
    merged = load_merged(states, known)
    found = report_of(merged)
    if state_out is not None:
        write_whole(Path(state_out), dump(merged))
    outputs.write(found, quiet=quiet)
