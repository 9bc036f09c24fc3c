"""``lossctl schema``: the JSON Schemas of what lossctl writes."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

from lossctl.errors import UsageError


def show_schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which document.")] = "report",
) -> None:
    """Print the JSON Schema of a document that lossctl writes.

    \b
    Examples:
      lossctl schema report
    """
    folder = files("lossctl.schemas")
    known = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir())
    known = [entry for entry in known if not entry.startswith("_")]
    if name not in known:
        raise UsageError(f"there is no schema {name!r}", hint=f"one of {', '.join(known)}")
    typer.echo((folder / f"{name}.json").read_text(encoding="utf-8"), nl=False)
