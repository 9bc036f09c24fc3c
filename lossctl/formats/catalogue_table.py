"""The catalogue as a table by family."""

from __future__ import annotations

from collections.abc import Iterable

from lossctl.catalogue import families, plain
from lossctl.losses import Loss, Spec


def draw(listed: Iterable[Loss]) -> str:
    """List losses: the spec with its defaults, and the first sentence."""
    blocks = []
    for family, losses in families(listed).items():
        specs = [Spec(loss, loss.defaults()).full for loss in losses]
        width = max(map(len, specs))
        rows = [
            f"  {spec.ljust(width)}  {plain(loss.summary)}"
            for spec, loss in zip(specs, losses, strict=True)
        ]
        blocks.append("\n".join([family, *rows]))
    footer = "lossctl losses NAME explains one; -l @FAMILY takes a whole family"
    return "\n\n".join([*blocks, footer])
