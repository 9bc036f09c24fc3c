"""``lossctl losses``: the catalogue, and one loss explained."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from lossctl.cli.complete import complete_losses
from lossctl.cli.options import Debug, option


def show_losses(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Loss to explain; FILE.py or FILE.py:NAME for losses of your own.",
            autocompletion=complete_losses,
        ),
    ] = None,
    *,
    check: Annotated[
        bool, option("--check", help="Put the loss, or all of the file, through the contract.")
    ] = False,
    json: Annotated[bool, option("--json", help="As JSON.")] = False,
    debug: Debug = False,  # noqa: ARG001 - read where errors are shown
) -> int:
    """List all losses by family, explain one, or check that one keeps its contract.

    The contract follows from the declaration: numbers for every row, each independent of the rows
    around it, inputs left alone, a gradient that is the slope, values outside their domains
    refused. A broken one exits with status 3.

    \b
    Examples:
      lossctl losses
      lossctl losses huber
      lossctl losses --check ./my_losses.py
    """
    from lossctl import catalogue
    from lossctl.cli.stderr import note
    from lossctl.errors import Exit, UsageError
    from lossctl.losses import REGISTRY, installed, parse

    if check and name is None:
        raise UsageError("--check needs the name of a loss or a file")
    others = installed()
    losses = [*REGISTRY.values(), *dict.fromkeys(others.losses.values())]
    if name:
        losses = list(dict.fromkeys(spec.loss for spec in parse([name])))
    else:
        for fault in others.faults:
            note(f"warning: {fault}")
    if check:
        from lossctl.contract import check as check_loss
        from lossctl.formats.verdicts import as_json, draw

        verdicts = {loss.name: check_loss(loss) for loss in losses}
        typer.echo(_text(as_json(verdicts)) if json else draw(verdicts))
        kept = all(verdict.fault is None for each in verdicts.values() for verdict in each)
        return Exit.DONE if kept else Exit.UNMEASURABLE
    if json:
        shown = [catalogue.as_json(loss) for loss in losses]
        typer.echo(_text(shown[0] if name and len(shown) == 1 else shown))
    elif name:
        typer.echo("\n\n".join(catalogue.explain(loss) for loss in losses))
    else:
        from lossctl.formats.catalogue_table import draw as draw_all

        typer.echo(draw_all(losses))
    return Exit.DONE


def _text(document: Any) -> str:
    return jsonlib.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
