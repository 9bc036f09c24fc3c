"""Joined rows: what pairing by key gives, and where each row came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.keys import shown_key
from lossctl.errors import LossctlError, Place
from lossctl.record import record
from lossctl.stats.extremes import Row
from lossctl.stats.tally import FIRST, Rows

Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.uint32]


@record
class Numbers:
    """Turns the number of a row within a source into its file and its number there."""

    paths: tuple[str, ...]
    starts: Integers
    """Number within the source of the first row of each file."""

    def locate(self, row: int) -> tuple[str, int]:
        """Give the file of a row and its number in it, from 0."""
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.paths[at], row - int(self.starts[at])


class RowNumbers:
    """Numbers of a table's rows within their source, worked out when one is asked for."""

    def __init__(self, places: npt.NDArray[np.uint32], starts: Integers, counts: Counts) -> None:
        """Keep the place of each row in its block, and the start and the rows of each block."""
        self._places, self._starts, self._counts = places, starts, counts
        self._numbers: Integers | None = None

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self._places)

    @property
    def numbers(self) -> Integers:
        """The number of each row, from 0."""
        if self._numbers is None:
            self._numbers = np.repeat(self._starts, self._counts) + self._places
        return self._numbers


@record
class Origin:
    """Where joined rows came from: their numbers in each source, and their keys."""

    numbers: tuple[Numbers, ...]
    tables: tuple[RowNumbers, ...]
    places: tuple[Indices, ...]
    """For each source the rows of its table."""
    keys: tuple[pa.Array, ...]
    """The key columns, row by row."""

    def slice(self, start: int, length: int) -> Origin:
        """Give the origin of some consecutive rows."""
        return Origin(
            self.numbers,
            self.tables,
            tuple(places[start : start + length] for places in self.places),
            tuple(key.slice(start, length) for key in self.keys),
        )

    def rows(self, places: Indices, part: int = 0) -> Integers:
        """Give the numbers of some rows within one of the sources."""
        return self.tables[part].numbers[self.places[part][places]]

    def row(self, place: int, part: int = 0) -> int:
        """Give the number of one row within one of the sources."""
        return int(self.tables[part].numbers[self.places[part][place]])

    def key(self, row: int) -> tuple[Any, ...]:
        """Give the key of a row in plain values."""
        return shown_key(self.keys, row)

    def place(self, row: int, part: int, column: str | None) -> Place:
        """Name a value: its file, its row there, its column and its key."""
        path, number = self.numbers[part].locate(self.row(row, part))
        return Place(path, number + 1, column, self.key(row))

    def name(self, row: int) -> Row:
        """Name a row by its place in the first source, and by its key."""
        path, number = self.numbers[0].locate(self.row(row))
        return (path, 0, number, *self.key(row))

    def names(self, rows: Indices) -> list[Row]:
        """Name the first few of some rows."""
        return [self.name(int(row)) for row in rows[:FIRST]]


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


@record
class Joined:
    """Rows of several sources, one of each in every row."""

    batches: tuple[pa.RecordBatch, ...]
    """None when no rows belong together."""
    origin: Origin | None
    pairs: Pairs
    """Counts of all rows that were looked at, paired or not."""
