"""The Python API: what the commands do, for tables in memory as well as for files."""

from __future__ import annotations

from lossctl.api.comparing import compare
from lossctl.api.evaluating import evaluate
from lossctl.api.scoring import score

__all__ = ["compare", "evaluate", "score"]
