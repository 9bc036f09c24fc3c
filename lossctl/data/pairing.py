"""Pairing by key: rows of several sources brought together, whatever order they are in.

All sources are read once and spread over partitions by a hash of their keys; then each partition
is joined by itself. Null keys and keys of no common type are refused while reading; repeated and
unmatched ones are counted per partition and judged once all of them are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.joined import Joined, Numbers
from lossctl.data.joining import is_direct, join, keys_of, with_keys
from lossctl.data.keys import as_integers, hash_of_keys
from lossctl.data.matching import spread
from lossctl.data.ordered import may_be_ordered, merge_in_order
from lossctl.data.partitions import Partitions
from lossctl.data.reading import Reading
from lossctl.data.source import format_of
from lossctl.data.tasks import Task, fragment_tasks

Stopped = Callable[[], bool]

BLOCK_CHUNKS = 4
"""Rows are spread over partitions in blocks of so many chunks."""
SMALL = 16 << 20
"""Bytes up to which everything is one partition."""
CACHED = 4 << 20
"""Bytes of a partition that stays in cache."""
MANY = 1 << 8
"""Partitions that are made for the cache; they are found by their number in one byte."""
MOST = 1 << 16
"""Partitions that are made at most."""
SHARES = 8
"""A partition may take one share in so many of the memory of each thread."""
TEXT = 32
"""Bytes that a text is taken to have."""


class Pairing:
    """One pairing of all sources of a reading."""

    def __init__(self, reading: Reading, *, jobs: int, in_order: bool) -> None:
        """Decide how many partitions there are."""
        self.reading = reading
        self.size = sum(_size(reading, number) for number in range(len(reading.sources)))
        """Bytes that the rows will take, about."""
        count = _partitions(self.size, reading.memory, jobs)
        self.partitions = Partitions(len(reading.sources), count, reading.memory, reading.temp_dir)
        self.numbers: list[Numbers] = []
        self.work = fragment_tasks(reading, in_order=in_order)

    def __enter__(self) -> Self:
        """Begin; nothing is held yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give memory and disk back."""
        self.partitions.close()

    def in_order(self, whole: Task) -> list[Task]:
        """Give a task that counts on files in the order of their keys; none where it cannot pay.

        Files that fit in memory are paired faster without.
        """
        if self.size <= self.reading.memory or not may_be_ordered(self.reading):
            return []
        return [replace(whole, joined=partial(merge_in_order, self.reading, self.work))]

    def take_in(self, task: Task, stopped: Stopped) -> None:
        """Read one fragment and spread its rows.

        Raises
        ------
        MissingValueError, DomainError
            A row has no key, or one that cannot be held against those of the other files.
        SpillError
            There is no room on the disk.

        """
        fragment = task.fragments[0]
        wanted = self.reading.wanted(task.source)
        rows = self.reading.rows * BLOCK_CHUNKS
        first_row = 0
        for number, batch in enumerate(
            format_of(fragment.source.format).read(fragment, wanted, rows)
        ):
            if stopped():
                return
            keys = keys_of(self.reading, task, batch, first_row)
            block = with_keys(batch, self.reading.values_wanted(task.source), keys)
            parts = _partition_of(keys, self.partitions.count)
            order = task.number, number
            self.partitions.add(task.source, order, fragment.source.path, block, parts)
            first_row += batch.num_rows

    def tasks(self, whole: Task) -> list[Task]:
        """Give the partitions as tasks, once everything has been read."""
        self.numbers = self.partitions.settle()
        return [
            replace(whole, number=number, joined=partial(self.join, number))
            for number in range(self.partitions.count)
        ]

    @property
    def rows(self) -> int:
        """Number of rows of the first source, once everything has been read."""
        return int(self.partitions.sides[0].counts.sum(dtype=np.int64))

    def join(self, number: int) -> Iterator[Joined]:
        """Pair the rows of one partition."""
        known_bits = self.partitions.count.bit_length() - 1
        yield join(self.reading, self.partitions.parts(number), self.numbers, known_bits)


def _partitions(size: int, memory: int, jobs: int) -> int:
    """Give a power of two: partitions stay in cache, or at least in their share of the memory."""
    if size <= min(SMALL, memory):
        return 1
    wanted = max(min(size // CACHED, MANY), jobs * SHARES * size // memory)
    return min(1 << max(int(wanted) - 1, 0).bit_length(), MOST)


def _size(reading: Reading, number: int) -> int:
    """Estimate the bytes that a source's rows will take; a text file's own size is near it."""
    source = reading.sources[number]
    if source.rows is None:
        return source.size
    columns = [
        *(source.types[name] for name in reading.values_wanted(number)),
        *(key.type for key in reading.keys),
    ]
    return source.rows * (sum(map(_width, columns)) + 4)


def _width(kind: pa.DataType | None) -> int:
    try:
        return max(1, kind.bit_width // 8) if kind is not None else TEXT
    except ValueError:
        return TEXT


def _partition_of(keys: Sequence[pa.Array], count: int) -> npt.NDArray[np.uint64]:
    """Give the partition of each row by the leading bits of a hash."""
    if count == 1:
        return np.zeros(0, dtype=np.uint64)
    hashed = spread(as_integers(keys[0])) if is_direct(keys) else hash_of_keys(keys)
    parts: npt.NDArray[np.uint64] = hashed >> np.uint64(64 - (count.bit_length() - 1))
    return parts
