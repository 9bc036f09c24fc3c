"""Reordering: rows that come in any order, handed on in the order of their numbers.

They are spread over ranges of numbers, as rows to be paired are over hashes of their keys: held in
memory up to a limit and in temporary files beyond it, and sorted range by range.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.partitions import ROW, Partitions, take_rows

MOST = 1 << 16
"""Ranges that are made at most."""


class Reordering:
    """Batches whose first column numbers their rows, from 0 and without repetition."""

    def __init__(self, rows: int, span: int, memory: int, folder: str | None) -> None:
        """Start without rows; numbers are below ``rows``, and a range holds ``span`` of them.

        What comes out depends on the span, never on the memory.
        """
        self.span = max(span, -(-rows // MOST))
        self.parts = Partitions(1, max(1, -(-rows // self.span)), memory, folder)

    def __enter__(self) -> Self:
        """Begin; nothing is held yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give memory and disk back."""
        self.parts.close()

    def add(self, order: tuple[int, int], batch: pa.RecordBatch) -> None:
        """Add rows from any thread; ``order`` tells batches apart.

        Raises
        ------
        SpillError
            There is no room on the disk.

        """
        self.parts.add(0, order, "", batch, buffers.view(batch.column(0)) // self.span)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give all rows in order, a batch for each range that has any."""
        self.parts.settle()
        for number in range(self.parts.count):
            (part,) = self.parts.parts(number)
            if part is not None:
                batch = part.batch.drop_columns([ROW])
                yield take_rows(batch, np.argsort(buffers.view(batch.column(0)), kind="stable"))
