"""Partitions: the rows of several sources, spread by a hash of their keys.

Equal keys get into the same partition, so each can be paired by itself. The rows of a partition
are in the order of their file however many threads have read it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.joined import Numbers

Integers = npt.NDArray[np.int64]

ROW = "\0row"
"""The column of row numbers beside those of the file."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a source, arranged by partition."""

    order: tuple[int, int]
    """Number of the fragment and of the batch in it."""
    path: str
    rows: int
    ends: Integers
    """End of each partition's rows."""
    batch: pa.RecordBatch
    """The rows, and their places in the block in the column `ROW`."""


class Side:
    """The blocks of one source."""

    def __init__(self, partitions: int) -> None:
        """Start without rows."""
        self.partitions = partitions
        self.blocks: list[Block] = []
        self.starts: Integers = np.zeros(0, dtype=np.int64)
        self._lock = threading.Lock()

    def add(
        self, order: tuple[int, int], path: str, batch: pa.RecordBatch, codes: Integers
    ) -> None:
        """Add rows with the partition of each."""
        rows = batch.num_rows
        places = np.arange(rows, dtype=np.uint32)
        ends = np.array([rows])
        if self.partitions > 1:
            small = codes.astype(np.uint8 if self.partitions <= 1 << 8 else np.uint16)
            arranged = np.argsort(small, kind="stable")
            ends = np.cumsum(np.bincount(small, minlength=self.partitions))
            batch = take_rows(batch, arranged)
            places = arranged.astype(np.uint32)
        batch = batch.append_column(ROW, pa.array(places))
        with self._lock:
            self.blocks.append(Block(order, path, rows, ends, batch))

    def settle(self) -> Numbers:
        """Number the rows once all have been added."""
        self.blocks.sort(key=lambda block: block.order)
        ends = np.cumsum([block.rows for block in self.blocks], dtype=np.int64)
        self.starts = np.concatenate([np.zeros(1, dtype=np.int64), ends])
        paths: dict[str, int] = {}
        for block, start in zip(self.blocks, self.starts.tolist(), strict=False):
            paths.setdefault(block.path, start)
        return Numbers(tuple(paths), np.array(list(paths.values()), dtype=np.int64))

    def partition(self, number: int) -> tuple[pa.RecordBatch, Integers] | None:
        """Give the rows of one partition and their numbers within the source; None without any."""
        batches, numbers = [], []
        for block, start in zip(self.blocks, self.starts.tolist(), strict=False):
            first = int(block.ends[number - 1]) if number else 0
            length = int(block.ends[number]) - first
            if length:
                batch = block.batch.slice(first, length)
                batches.append(batch)
                numbers.append(buffers.view(batch[ROW]).astype(np.int64) + start)
        if not batches:
            return None
        return pa.concat_batches(batches), np.concatenate(numbers)


def take_rows(batch: pa.RecordBatch, rows: npt.NDArray[np.integer]) -> pa.RecordBatch:
    """Give some rows of a batch, in the order named."""
    return pa.RecordBatch.from_arrays(
        [take_values(column, rows) for column in batch.columns], schema=batch.schema
    )


def take_values(column: pa.Array, rows: npt.NDArray[np.integer]) -> pa.Array:
    """Give some rows of a column; fast for numbers without gaps, which are nearly all."""
    if column.null_count or str(column.type) not in buffers.DTYPES:
        import pyarrow.compute as pc

        return pc.take(column, pa.array(rows))
    taken = np.take(buffers.view(column), rows)
    return pa.Array.from_buffers(column.type, len(taken), [None, pa.py_buffer(taken)])


def concat(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Join batches of one schema."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
