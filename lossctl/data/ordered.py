"""Files in the order of their keys: merged as they are read, with nothing kept but a few batches.

Whether they are in order shows while they are read. The first row that is not ends the attempt, as
does a repeated or a missing key: whoever asked starts anew without counting on an order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.joined import Joined, Numbers, RowNumbers
from lossctl.data.joining import join, keys_of, with_keys
from lossctl.data.keys import as_integers, is_integer_inside
from lossctl.data.partitions import Part
from lossctl.data.reading import Reading
from lossctl.data.source import format_of
from lossctl.data.tasks import Task
from lossctl.errors import LossctlError

Integers = npt.NDArray[np.int64]

BATCH_CHUNKS = 4
"""Rows are merged in batches of so many chunks."""


class OutOfOrder(Exception):  # noqa: N818 - a signal, not a failure
    """The rows of a file are not in the order of their keys."""


def may_be_ordered(reading: Reading) -> bool:
    """Tell whether there is an order to look for: keys of one column of integers or text."""
    if len(reading.keys) != 1:
        return False
    kind = reading.keys[0].type
    return is_integer_inside(kind) or pa.types.is_string(kind)


def merge_in_order(reading: Reading, work: Sequence[Task]) -> Iterator[Joined]:
    """Pair rows as they are read; ``work`` holds the fragments of every source in order.

    Raises
    ------
    OutOfOrder
        A key does not come after the one before it.

    """
    streams = [
        _Stream(reading, [task for task in work if task.source == source])
        for source in range(len(reading.sources))
    ]
    while True:
        for stream in streams:
            stream.fill()
        ends = [stream.last for stream in streams if stream.keys is not None]
        if not ends:
            return
        # What does not come after the least of the last keys is there as a whole.
        parts = [stream.take(min(ends)) for stream in streams]
        yield join(reading, parts, [stream.numbers for stream in streams])


class _Stream:
    """One source, and what has been read of it but not been paired yet."""

    def __init__(self, reading: Reading, work: Sequence[Task]) -> None:
        self.reading = reading
        self.keys: pa.Array | None = None
        """Keys that wait, in order; None when there are none."""
        self.last: Any = 0
        """The last key that was read."""
        self.rows = 0
        """Rows that were paired."""
        self._paths: dict[str, int] = {}
        self._batch: pa.RecordBatch | None = None
        self._batches = self._read(work)

    @property
    def numbers(self) -> Numbers:
        """What turns rows of the source into rows of its files."""
        return Numbers(tuple(self._paths), np.array(list(self._paths.values()), dtype=np.int64))

    def fill(self) -> None:
        """Read on where nothing waits, unless the source has come to its end."""
        if self.keys is None and (found := next(self._batches, None)) is not None:
            batch, keys = found
            first, last = _ends(keys)
            if (self.rows and not self.last < first) or not _is_ascending(keys):
                raise OutOfOrder
            self._batch, self.keys, self.last = batch, keys, last

    def take(self, bound: Any) -> Part | None:
        """Give the rows up to a key; None when there are none."""
        if self.keys is None or self._batch is None:
            return None
        count = _count_up_to(self.keys, bound)
        if not count:
            return None
        places = np.arange(count, dtype=np.uint32)
        starts, counts = np.array([self.rows]), np.array([count], dtype=np.uint32)
        part = Part(self._batch.slice(0, count), RowNumbers(places, starts, counts))
        self.rows += count
        left = len(self.keys) - count
        self.keys = self.keys.slice(count) if left else None
        self._batch = self._batch.slice(count) if left else None
        return part

    def _read(self, work: Sequence[Task]) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        done = 0
        for task in work:
            fragment = task.fragments[0]
            self._paths.setdefault(fragment.source.path, done)
            wanted = self.reading.wanted(task.source)
            rows = self.reading.rows * BATCH_CHUNKS
            for batch in format_of(fragment.source.format).read(fragment, wanted, rows):
                try:
                    keys = keys_of(self.reading, task, batch, 0)
                except LossctlError as error:  # it is told once all files are looked at
                    raise OutOfOrder from error
                done += batch.num_rows
                if batch.num_rows:
                    names = self.reading.values_wanted(task.source)
                    yield with_keys(batch, names, keys), keys[0]


def _ends(keys: pa.Array) -> tuple[Any, Any]:
    """Give the first and the last key, as integers where they are some inside."""
    if is_integer_inside(keys.type):
        whole = as_integers(keys)
        return int(whole[0]), int(whole[-1])
    return keys[0].as_py(), keys[-1].as_py()


def _is_ascending(keys: pa.Array) -> bool:
    if is_integer_inside(keys.type):
        whole = as_integers(keys)
        return bool((whole[1:] > whole[:-1]).all())
    import pyarrow.compute as pc

    before, after = keys.slice(0, len(keys) - 1), keys.slice(1)
    return bool(buffers.view(pc.less(before, after)).all())


def _count_up_to(keys: pa.Array, bound: Any) -> int:
    if is_integer_inside(keys.type):
        return int(np.searchsorted(as_integers(keys), bound, side="right"))
    import pyarrow.compute as pc

    return int(buffers.view(pc.less_equal(keys, pa.scalar(bound, keys.type))).sum())
