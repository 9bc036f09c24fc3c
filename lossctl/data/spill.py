"""Spilling: partitions that do not fit in memory, in temporary files that have no name.

A file is gone from its folder as soon as it is open, so nothing is left behind however a run ends,
be it by a signal that cannot be caught.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

import numpy as np
import pyarrow as pa

from lossctl.errors import SpillError
from lossctl.record import record


@record
class Extent:
    """Where a batch lies in the file."""

    start: int
    size: int


class Spill:
    """A temporary file of Arrow IPC messages, read back one by one and from any thread."""

    def __init__(self, folder: str | None) -> None:
        """Open no file before there is something to write."""
        self.folder = folder
        self.size = 0
        self._file: IO[bytes] | None = None

    def write(self, batch: pa.RecordBatch) -> Extent:
        """Append a batch; callers take turns.

        Raises
        ------
        SpillError
            The disk is full, or the folder cannot be written to.

        """
        data = batch.serialize()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.close()
            raise SpillError(error, self.folder or tempfile.gettempdir()) from error
        extent = Extent(self.size, data.size)
        self.size += data.size
        return extent

    def read(self, extent: Extent, schema: pa.Schema) -> pa.RecordBatch:
        """Read a batch back.

        Raises
        ------
        SpillError
            The file cannot be read.

        """
        if self._file is None:
            raise ValueError(extent)
        data = np.empty(extent.size, dtype=np.uint8)
        done = 0
        try:
            while done < extent.size:
                got = os.preadv(self._file.fileno(), [data[done:].data], extent.start + done)
                if not got:
                    raise EOFError(extent)
                done += got
        except OSError as error:
            raise SpillError(error, self.folder or tempfile.gettempdir()) from error
        return pa.ipc.read_record_batch(pa.py_buffer(data), schema)

    def close(self) -> None:
        """Give the disk back."""
        if self._file is not None:
            self._file.close()
            self._file = None
