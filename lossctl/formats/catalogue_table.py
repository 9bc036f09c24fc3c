"""The catalogue as a table by family."""

from __future__ import annotations

from lossctl.catalogue import families, plain


def draw() -> str:
    """List every loss: its spec with defaults, and its first sentence."""
    from lossctl.losses import Spec

    blocks = []
    for family, losses in families().items():
        specs = [Spec(loss, loss.defaults()).full for loss in losses]
        width = max(map(len, specs))
        rows = [
            f"  {spec.ljust(width)}  {plain(loss.summary)}"
            for spec, loss in zip(specs, losses, strict=True)
        ]
        blocks.append("\n".join([family, *rows]))
    footer = "lossctl losses NAME explains one; -l @FAMILY takes a whole family"
    return "\n\n".join([*blocks, footer])
