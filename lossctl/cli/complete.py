"""Shell completion, which must answer at once: it imports neither NumPy nor pandas.

Loss names are read from the declarations as text; column names from the header of the file that
stands on the line.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import typer


def declared_losses() -> Iterator[tuple[str, str]]:
    """Read the family and the name of every declared loss from the source of the families."""
    for module in sorted(files("lossctl.losses").iterdir(), key=lambda entry: entry.name):
        family, dot, suffix = module.name.partition(".")
        if family.startswith("_") or dot + suffix != ".py":
            continue
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(map(_declares, node.decorator_list)):
                yield family, node.name


def complete_losses(incomplete: str) -> list[str]:
    """Complete the name of a loss."""
    return [name for _, name in declared_losses() if name.startswith(incomplete)]


def complete_specs(incomplete: str) -> list[str]:
    """Complete the last spec of a comma-separated list: a loss or ``@`` and a family."""
    words = dict.fromkeys(
        word for family, name in declared_losses() for word in (name, f"@{family}")
    )
    return _complete_last(incomplete, words)


def complete_columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the last name of a comma-separated list of columns of the files on the line."""
    # While an option lacks its value, Typer leaves the arguments among the unparsed words.
    told = [ctx.params.get("predictions"), ctx.params.get("targets")]
    paths = [*told, *(ctx.params.get("models") or ()), *ctx.args]
    names = dict.fromkeys(name for path in paths if path for name in _column_names(str(path)))
    return _complete_last(incomplete, names)


def _complete_last(incomplete: str, words: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in words if word.startswith(last)]


def _declares(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "loss"
    )


def _column_names(path: str) -> list[str]:
    try:
        if path.endswith((".csv", ".tsv")):
            with open(path, encoding="utf-8-sig", newline="") as file:  # noqa: PTH123 - start-up
                return next(csv.reader(file, delimiter="\t" if path.endswith("tsv") else ","), [])
        if not Path(path).exists():  # nor is stdin read, nor a remote store asked
            return []
        from lossctl.data.source import open_source

        return list(open_source(path).names)
    except Exception:  # noqa: BLE001 - a completion that fails completes nothing
        return []
