"""``lossctl losses``: the catalogue, and one loss explained."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from lossctl.cli.complete import complete_losses
from lossctl.cli.options import option


def show_losses(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Loss to explain.", autocompletion=complete_losses),
    ] = None,
    *,
    json: Annotated[bool, option("--json", help="As JSON.")] = False,
) -> None:
    """List all losses by family, or explain one.

    \b
    Examples:
      lossctl losses
      lossctl losses huber
    """
    from lossctl import catalogue
    from lossctl.losses import REGISTRY, find

    if json:
        shown = (
            catalogue.as_json(find(name))
            if name
            else [catalogue.as_json(loss) for loss in REGISTRY.values()]
        )
        typer.echo(jsonlib.dumps(shown, indent=2, ensure_ascii=False, allow_nan=False))
    elif name:
        typer.echo(catalogue.explain(find(name)))
    else:
        from lossctl.formats.catalogue_table import draw

        typer.echo(draw())
