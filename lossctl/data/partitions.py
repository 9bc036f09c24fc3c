"""Partitions: the rows of several sources, spread by a hash of their keys.

Equal keys get into the same partition, so each can be paired by itself. The rows of a partition
are in the order of their file however many threads have read it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.joined import Numbers, RowNumbers
from lossctl.data.spill import Extent, Spill
from lossctl.record import record

Integers = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint32]

_NO_ROWS = pa.record_batch([], names=[])
ROW = "\0row"
"""The column of row numbers beside those of the file."""


@record
class Block:
    """Consecutive rows of a source, arranged by partition."""

    order: tuple[int, int]
    """Number of the fragment and of the batch in it."""
    path: str
    counts: Counts
    """Rows of each partition."""
    batch: pa.RecordBatch
    """The rows, and their places in the block in the column `ROW`."""

    def slices(self) -> list[pa.RecordBatch]:
        """Give the rows of each partition."""
        ends = np.cumsum(self.counts, dtype=np.int64).tolist()
        return [
            self.batch.slice(start, stop - start)
            for start, stop in zip([0, *ends], ends, strict=False)
        ]


@record
class Run:
    """Blocks that were spilled together: the rows of each partition are one batch."""

    extents: list[Extent]
    ends: Integers
    """Rows of each partition up to each block, shape ``(blocks + 1, partitions)``."""


@record
class Part:
    """The rows of one partition of a source, in the order of the source."""

    batch: pa.RecordBatch
    rows: RowNumbers


class Side:
    """The rows of one source."""

    def __init__(self) -> None:
        """Start without rows."""
        self.held: list[Block] = []
        self.runs: list[Run] = []
        self.spilled: list[tuple[Block, int, int]] = []
        """Blocks without their rows, with the number of their run and their place in it."""
        self.schema: pa.Schema | None = None

    def flush(self, spill: Spill) -> None:
        """Write the blocks to disk."""
        if not self.held:
            return
        self.held.sort(key=lambda block: block.order)
        extents = []
        for parts in zip(*(block.slices() for block in self.held), strict=True):
            batches = [part for part in parts if part.num_rows]
            extents.append(spill.write(concat(batches)) if batches else Extent(0, 0))
        ends = np.cumsum([block.counts for block in self.held], axis=0, dtype=np.int64)
        for place, block in enumerate(self.held):
            self.spilled.append((replace(block, batch=_NO_ROWS), len(self.runs), place))
        self.runs.append(Run(extents, np.concatenate([np.zeros_like(ends[:1]), ends])))
        self.held = []

    def settle(self) -> Numbers:
        """Bring the blocks into the order of the source, and number their rows."""
        known = [(block, -1, place) for place, block in enumerate(self.held)]
        blocks = sorted([*self.spilled, *known], key=lambda entry: entry[0].order)
        self.counts = np.array([block.counts for block, _, _ in blocks], dtype=np.uint32)
        sizes = np.array([block.counts.sum() for block, _, _ in blocks], dtype=np.int64)
        self.starts: Integers = np.cumsum(sizes) - sizes
        self.slices = [block.slices() for block in self.held]
        self.stretches = _stretches([entry[1:] for entry in blocks])
        paths: dict[str, int] = {}
        for (block, _, _), start in zip(blocks, self.starts.tolist(), strict=True):
            paths.setdefault(block.path, start)
        return Numbers(tuple(paths), np.array(list(paths.values()), dtype=np.int64))

    def part(self, number: int, spill: Spill) -> Part | None:
        """Give the rows of one partition; None when there is none."""
        loaded = {
            run: spill.read(each.extents[number], self.schema)
            for run, each in enumerate(self.runs)
            if each.extents[number].size
        }
        batches = []
        for run, start, stop in self.stretches:
            if run < 0:
                batches += [parts[number] for parts in self.slices[start:stop]]
            elif run in loaded:
                ends = self.runs[run].ends[:, number]
                batches.append(loaded[run].slice(ends[start], ends[stop] - ends[start]))
        batches = [batch for batch in batches if batch.num_rows]
        if not batches:
            return None
        batch = concat(batches)
        places = buffers.view(batch[ROW])
        return Part(batch, RowNumbers(places, self.starts, self.counts[:, number]))


def _stretches(places: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Join places of blocks that follow each other: run, first place, and one past the last."""
    found: list[tuple[int, int, int]] = []
    for run, place in places:
        if found and found[-1][0] == run and found[-1][2] == place:
            found[-1] = run, found[-1][1], place + 1
        else:
            found.append((run, place, place + 1))
    return found


class Partitions:
    """The rows of all sources, held in memory up to a limit and on disk beyond it."""

    def __init__(self, sources: int, partitions: int, memory: int, folder: str | None) -> None:
        """Start without rows."""
        self.count, self.memory = partitions, memory
        self.sides = [Side() for _ in range(sources)]
        self.spill = Spill(folder)
        self._held = 0
        self._lock = threading.Lock()

    def add(
        self,
        source: int,
        order: tuple[int, int],
        path: str,
        batch: pa.RecordBatch,
        partitions: npt.NDArray[np.integer],
    ) -> None:
        """Add rows with the partition of each, from any thread.

        Raises
        ------
        SpillError
            There is no room on the disk.

        """
        block = _arranged(order, path, batch, partitions, self.count)
        # Who fills the memory empties it, and the others wait: that bounds it.
        with self._lock:
            side = self.sides[source]
            side.held.append(block)
            side.schema = block.batch.schema
            self._held += block.batch.nbytes
            if self._held > self.memory:
                for each in self.sides:
                    each.flush(self.spill)
                self._held = 0

    def settle(self) -> list[Numbers]:
        """Number the rows of each source once all have been added."""
        return [side.settle() for side in self.sides]

    def parts(self, number: int) -> list[Part | None]:
        """Give the rows of one partition by source; None for a source without any."""
        return [side.part(number, self.spill) for side in self.sides]

    def close(self) -> None:
        """Give memory and disk back."""
        self.spill.close()
        self.sides = []


def _arranged(
    order: tuple[int, int],
    path: str,
    batch: pa.RecordBatch,
    partitions: npt.NDArray[np.integer],
    count: int,
) -> Block:
    """Bring the rows of each partition together, each with its place in the batch."""
    places = np.arange(batch.num_rows, dtype=np.uint32)
    counts = np.array([batch.num_rows], dtype=np.uint32)
    if count > 1:
        # Small integers are sorted by radix, several times faster.
        small = partitions.astype(np.uint8 if count <= 1 << 8 else np.uint16)
        arranged = np.argsort(small, kind="stable")
        counts = np.bincount(small, minlength=count).astype(np.uint32)
        batch = take_rows(batch, arranged)
        places = arranged.astype(np.uint32)
    return Block(order, path, counts, batch.append_column(ROW, pa.array(places)))


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
