"""Joined rows: what pairing by key gives, and where each row came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.keys import shown_key
from lossctl.errors import LossctlError, Place
from lossctl.stats.extremes import Row
from lossctl.stats.tally import FIRST, Rows

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """Turns the number of a row within a source into its file and its number there."""

    paths: tuple[str, ...]
    starts: Integers
    """Number within the source of the first row of each file."""

    def locate(self, row: int) -> tuple[str, int]:
        """Give the file of a row and its number in it, from 0."""
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.paths[at], row - int(self.starts[at])


@dataclass(frozen=True)
class Origin:
    """Where joined rows came from: their numbers in each source, and their keys."""

    numbers: tuple[Numbers, ...]
    rows: tuple[Integers, ...]
    """For each source the numbers of its rows, from 0."""
    keys: tuple[pa.Array, ...]
    """The key columns."""

    def slice(self, start: int, length: int) -> Origin:
        """Give the origin of some consecutive rows."""
        return Origin(
            self.numbers,
            tuple(rows[start : start + length] for rows in self.rows),
            tuple(key.slice(start, length) for key in self.keys),
        )

    def key(self, row: int) -> tuple[Any, ...]:
        """Give the key of a row in plain values."""
        return shown_key(self.keys, row)

    def place(self, row: int, part: int, column: str | None) -> Place:
        """Name a value: its file, its row there, its column and its key."""
        path, number = self.numbers[part].locate(int(self.rows[part][row]))
        return Place(path, number + 1, column, self.key(row))

    def name(self, row: int, part: int = 0) -> Row:
        """Name a row by its place in one of the sources, and by its key."""
        path, number = self.numbers[part].locate(int(self.rows[part][row]))
        return (path, 0, number, *self.key(row))

    def names(self, rows: Sequence[int] | npt.NDArray[np.intp], part: int = 0) -> list[Row]:
        """Name the first few of some rows."""
        return [self.name(int(row), part) for row in rows[:FIRST]]


@dataclass
class Pairs:
    """Counts of a pairing, by number of the source; they add up over its parts."""

    read: dict[int, int] = field(default_factory=dict)
    """Rows of each source."""
    unmatched: dict[int, Rows] = field(default_factory=dict)
    """Rows of each source whose key is not in every other."""
    repeated: dict[int, Rows] = field(default_factory=dict)
    """Rows of each source that repeat an earlier key."""
    lost: Rows = field(default_factory=Rows)
    """Distinct keys that are not in every source, by a row that has them."""
    fault: tuple[int, LossctlError] | None = None
    """The row of the first source that cannot be measured, and why; of several the earliest."""

    def merge(self, other: Pairs) -> None:
        """Add the counts of other rows."""
        for source, rows in other.read.items():
            self.read[source] = self.read.get(source, 0) + rows
        for mine, theirs in (
            (self.unmatched, other.unmatched),
            (self.repeated, other.repeated),
        ):
            for source, found in theirs.items():
                mine.setdefault(source, Rows()).merge(found)
        self.lost.merge(other.lost)
        faults = [fault for fault in (self.fault, other.fault) if fault is not None]
        self.fault = min(faults, key=lambda fault: fault[0], default=None)


@dataclass(frozen=True)
class Joined:
    """Rows of several sources, one of each in every row."""

    batches: tuple[pa.RecordBatch, ...]
    origin: Origin
    pairs: Pairs
    """Counts of all rows that were looked at, paired or not."""
