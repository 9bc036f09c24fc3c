"""What the checks of a contract have found, as text and as plain objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lossctl.contract import Verdict

Verdicts = Mapping[str, Sequence[Verdict]]
"""Loss to what its checks have found."""


def draw(verdicts: Verdicts) -> str:
    """Write one line a check, and the fault where there is one."""
    blocks = []
    for loss, found in verdicts.items():
        broken = sum(verdict.fault is not None for verdict in found)
        said = f"{broken} of {len(found)} checks failed" if broken else "keeps its contract"
        lines = [f"{loss}: {said}", *(_line(verdict) for verdict in found)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_json(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Give the verdicts as plain objects."""
    return [
        {
            "loss": loss,
            "kept": all(verdict.fault is None for verdict in found),
            "checks": [{"check": each.check, "fault": each.fault} for each in found],
        }
        for loss, found in verdicts.items()
    ]


def _line(verdict: Verdict) -> str:
    if verdict.fault is None:
        return f"  ok      {verdict.check}"
    return f"  FAILED  {verdict.check}\n            {verdict.fault}"
