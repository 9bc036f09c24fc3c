"""Files read in step: their batches cut to the same rows, as rows are paired by position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from lossctl.data.source import Source
from lossctl.errors import PairingError


def in_step(
    streams: Sequence[Iterator[pa.RecordBatch]], sources: Sequence[Source]
) -> Iterator[tuple[pa.RecordBatch, ...]]:
    """Cut the batches of several streams, one of each source, to the same rows.

    Raises
    ------
    PairingError
        The streams differ in length.

    """
    heads: list[pa.RecordBatch | None] = [None] * len(streams)
    done = 0
    while True:
        for i, stream in enumerate(streams):
            head = heads[i]
            while head is None or not head.num_rows:
                head = next(stream, None)
                if head is None:
                    break
            heads[i] = head
        filled = [head for head in heads if head is not None]
        if not filled:
            return
        if len(filled) < len(streams):
            counts = [
                done + _remaining(head, stream) for head, stream in zip(heads, streams, strict=True)
            ]
            raise unequal(sources, counts)
        rows = min(head.num_rows for head in filled)
        yield tuple(head.slice(0, rows) for head in filled)
        heads = [head.slice(rows) for head in filled]
        done += rows


def _remaining(head: pa.RecordBatch | None, stream: Iterator[pa.RecordBatch]) -> int:
    rest: int = sum(batch.num_rows for batch in stream)
    return rest if head is None else rest + int(head.num_rows)


def unequal(sources: Sequence[Source], counts: Sequence[int]) -> PairingError:
    """Make the error of files that differ in length, with the rows of each."""
    told = " and ".join(f"{s.path} {n} rows" for s, n in zip(sources, counts, strict=True))
    return PairingError(
        f"the files pair row by row but differ in length: {told}",
        hint="both files need the same rows in the same order",
    )
