"""Faults: what is wrong with a row, kept until a whole chunk is looked at.

A chunk may hold several faults of different kinds. The one of the earliest row is reported, so
that the message does not depend on how the rows were cut into chunks.
"""

from __future__ import annotations

from lossctl.errors import LossctlError
from lossctl.record import record


class TextError(Exception):
    """A text is not what it is compared with; whoever knows the place tells the user."""

    def __init__(self, row: int, text: str, needed: str = "a number") -> None:
        """Keep the row as counted in the array; whoever knows the column adds its name."""
        super().__init__(text)
        self.row, self.text, self.needed, self.column = row, text, needed, ""


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
