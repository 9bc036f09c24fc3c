"""Faults: what is wrong with a row, kept until a whole chunk is looked at.

A chunk may hold several faults of different kinds. The one of the earliest row is reported, so
that the message does not depend on how the rows were cut into chunks.
"""

from __future__ import annotations

from lossctl.errors import LossctlError
from lossctl.record import record


@record
class Fault:
    """One row that cannot be measured, and the error to raise for it."""

    row: int
    """Counted from 0 among the rows that the chunk read."""
    part: int
    """Which of the task's fragments holds the value."""
    column: str | None
    error: type[LossctlError]
    message: str
    hint: str = ""
