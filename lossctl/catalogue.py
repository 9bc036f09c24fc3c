"""The catalogue in words: what a loss's declaration says, as text and as plain objects."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from lossctl.losses import REGISTRY, Loss, Role

WIDTH = 88


def families(losses: Iterable[Loss] = REGISTRY.values()) -> dict[str, list[Loss]]:
    """Give losses, all built-in ones by default, by family and in order of declaration."""
    found: dict[str, list[Loss]] = {}
    for loss in losses:
        found.setdefault(loss.family, []).append(loss)
    return found


def as_json(loss: Loss) -> dict[str, Any]:
    """Give a declaration as plain objects."""
    return {
        "name": loss.name,
        "family": loss.family,
        "summary": plain(loss.summary),
        "formula": loss.formula,
        "aliases": list(loss.aliases),
        "direction": loss.direction,
        "symmetric": loss.symmetric,
        "roles": [
            {
                "name": role.name,
                "domain": role.domain.name,
                "text": role.domain.text,
                "shape": shape(role),
                "default": role.default,
            }
            for role in loss.roles
        ],
        "parameters": [
            {
                "name": parameter.name,
                "text": parameter.text,
                "range": parameter.range,
                "default": parameter.default,
            }
            for parameter in loss.parameters
        ],
        "gradient": list(loss.with_respect_to),
        "curvature": loss.curvature is not None,
        "populations": list(loss.populations),
        "reference": loss.reference,
        "equivalents": dict(loss.equivalents),
        "example": example(loss),
        "origin": loss.origin or None,
    }


def example(loss: Loss) -> str:
    """Give a command that runs on the sample data, or one on files of the user's own."""
    if not loss.sample:
        return f"lossctl eval predictions.csv -l {loss.name}"
    files, _, options = loss.sample.partition(" -")
    return f"lossctl eval {files} -l {loss.name}" + (f" -{options}" if options else "")


def plain(text: str) -> str:
    """Take the mark-up of docstrings off."""
    return text.replace("``", "").replace("`", "")


def shape(role: Role) -> str:
    """Give the shape of a role's array, as in ``(rows, K)``."""
    size = role.domain.size
    if role.domain.ragged:
        return f"(rows, {size}), {size} may differ by row"
    if role.name == "target" and size == "K":
        return "(rows,)" if role.domain.name == "class label" else "(rows,) or (rows, K)"
    return f"(rows, {size})" if size else "(rows,)"


def explain(loss: Loss) -> str:
    """Explain one loss on a page of text."""
    lines = [f"{loss.name} ({loss.family})", "", *_wrapped(plain(loss.description)), ""]
    if loss.formula:
        lines += ["Formula", *_wrapped(loss.formula, 2), ""]
    lines += ["Roles"]
    lines += _columns(
        (
            role.name,
            shape(role),
            role.domain.text + ("" if role.default is None else f"; {role.default:g} if absent"),
        )
        for role in loss.roles
    )
    if loss.parameters:
        lines += ["", "Parameters"]
        lines += _columns(
            (f"{p.name}={p.show(p.default)}", p.range, p.text) for p in loss.parameters
        )
    gradient = f"with respect to {', '.join(loss.with_respect_to)}" if loss.gradient else "none"
    gradient += ", and curvature" if loss.curvature else ""
    direction = "zero is best" if loss.direction == "zero_is_best" else "lower is better"
    facts = [("Direction", direction), ("Gradient", gradient)]
    if loss.populations:
        facts.append(("Two files", f"hold the {' and the '.join(loss.populations)} rows"))
    if loss.aliases:
        facts.append(("Also called", ", ".join(loss.aliases)))
    facts += [(f"In {library}", name) for library, name in loss.equivalents.items()]
    facts += [("Code", loss.origin)] if loss.origin else []
    facts += [("Reference", loss.reference)] if loss.reference else []
    facts += [("Example", example(loss))]
    return "\n".join([*lines, "", *_columns(facts, indent=0)])


def _wrapped(text: str, indent: int = 0) -> list[str]:
    pad = " " * indent
    lines = []
    for paragraph in text.split("\n\n"):
        lines += [*textwrap.wrap(paragraph, WIDTH, initial_indent=pad, subsequent_indent=pad), ""]
    return lines[:-1]


def _columns(rows: Any, indent: int = 2) -> list[str]:
    """Align the cells of all columns but the last."""
    table = [tuple(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    return [
        " " * indent
        + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]])
        for row in table
    ]
