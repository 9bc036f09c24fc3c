"""Segments: rows arranged so that the rows of each group lie together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lossctl.record import record

Indices = npt.NDArray[np.intp]

NONE = np.zeros(0, dtype=np.intp)
FIRST = np.zeros(1, dtype=np.intp)


@record
class Segments:
    """Which group each run of consecutive rows belongs to; no run is empty."""

    starts: Indices
    """First row of each run, shape ``(runs,)``, ascending from 0."""
    groups: Indices
    """Group of each run, no group twice."""
    counts: Indices
    """Number of rows of each run."""

    @classmethod
    def single(cls, rows: int) -> Segments:
        """Put all rows into group 0."""
        return cls(NONE, NONE, NONE) if rows == 0 else cls(FIRST, FIRST, np.array([rows]))

    @classmethod
    def arrange(cls, codes: Indices) -> tuple[Segments, Indices]:
        """Find the order that brings the rows of each group together, and the segments then.

        ``codes`` holds the group of each row, shape ``(rows,)``. Rows of a group stay in order.
        """
        # Small integers are sorted by radix, several times faster.
        small = len(codes) > 0 and int(codes.max()) < np.iinfo(np.uint16).max
        order = np.argsort(codes.astype(np.uint16) if small else codes, kind="stable")
        return cls._of_sorted(codes[order]), order

    def take(self, rows: Indices) -> Segments:
        """Give the segments of some of the rows, named in ascending order."""
        if len(self.starts) == 1 and len(rows):
            return Segments(self.starts, self.groups, np.array([len(rows)]))
        runs = np.searchsorted(self.starts, rows, side="right") - 1
        return self._of_sorted(self.groups[runs])

    def group_of(self, row: int) -> int:
        """Give the group of one row."""
        return int(self.groups[np.searchsorted(self.starts, row, side="right") - 1])

    @classmethod
    def _of_sorted(cls, codes: Indices) -> Segments:
        changes = np.ones(len(codes), dtype=np.bool_)
        np.not_equal(codes[1:], codes[:-1], out=changes[1:])
        starts = np.flatnonzero(changes)
        return cls(starts, codes[starts], np.diff(starts, append=len(codes)))
