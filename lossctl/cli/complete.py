"""Shell completion, which must answer at once: it imports neither NumPy nor pandas.

Loss names are read from the declarations as text; column names from the header of the file that
stands on the line.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from importlib.resources import files

import typer


def loss_names() -> Iterator[str]:
    """Read the names of all declared losses from the source of their families."""
    for module in files("lossctl.losses").iterdir():
        if module.name.startswith("_") or not module.name.endswith(".py"):
            continue
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(map(_declares, node.decorator_list)):
                yield node.name


def complete_losses(incomplete: str) -> list[str]:
    """Complete the last spec of a comma-separated list."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in loss_names() if name.startswith(last)]


def complete_columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a column name of the files on the line."""
    names: dict[str, None] = {}
    for role in ("predictions", "targets"):
        path = ctx.params.get(role)
        if path:
            names |= dict.fromkeys(_column_names(str(path)))
    return [name for name in names if name.startswith(incomplete)]


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
        from lossctl.data.source import open_source

        return list(open_source(path).names)
    except Exception:  # noqa: BLE001 - a completion that fails completes nothing
        return []
