"""Chunks: rows read from one file or from two in step, converted, with the null policy applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import shared
from lossctl.data.binding import Slot
from lossctl.data.convert import RowError, take, to_values
from lossctl.data.source import Fragment, Source, Wanted, format_of
from lossctl.errors import DomainError, MissingValueError, PairingError, Place

Mask = npt.NDArray[np.bool_]
Nulls = Literal["error", "drop"]
Pairing = Literal["one file", "position", "populations"]


@dataclass(frozen=True)
class Reading:
    """What to read, decided once before any row is: small and picklable."""

    sources: tuple[Source, ...]
    pairing: Pairing
    slots: tuple[Slot, ...]
    nulls: Nulls
    rows: int
    """Rows a chunk holds at most."""
    shared: tuple[str, ...] = ()
    """Columns that both files hold and that must be equal row by row."""

    def wanted(self, source: int) -> Wanted:
        """Give the columns to read from one source, and how."""
        wanted: dict[str, Any] = dict.fromkeys(self.shared, "text")
        for slot in self.slots:
            if slot.source == source or self.pairing == "populations":
                how = "text" if slot.kind in ("class", "positive") else "number"
                wanted |= dict.fromkeys(slot.columns, how)
        return wanted


@dataclass(frozen=True)
class Task:
    """One independent piece of work: a fragment, or one of each file to be read in step."""

    number: int
    """Position among the tasks, in row order."""
    fragments: tuple[Fragment, ...]
    source: int = 0
    """The source of a single fragment."""


@dataclass
class Chunk:
    """Consecutive rows of a task as arrays, less the dropped ones."""

    task: int
    first_row: int
    """Number of the first row within the task, from 0, dropped rows counted."""
    read: int
    """Rows read, dropped ones included."""
    values: dict[Slot, Any] = field(default_factory=dict)
    kept: Mask | None = None
    """Marks the rows of the ``read`` ones that are left; None when all are."""

    @property
    def rows(self) -> int:
        """Number of rows left."""
        return self.read if self.kept is None else int(self.kept.sum())

    def row_number(self, index: int) -> int:
        """Give the number within the task of the row at an index of the arrays."""
        if self.kept is None:
            return self.first_row + index
        return self.first_row + int(np.flatnonzero(self.kept)[index])

    def drop(self, gone: Mask) -> None:
        """Drop rows, marked among those that are left."""
        stay = ~gone
        self.values = {slot: take(values, stay) for slot, values in self.values.items()}
        if self.kept is None:
            self.kept = stay
        else:
            self.kept[np.flatnonzero(self.kept)] = stay


def tasks(reading: Reading, *, in_order: bool) -> list[Task]:
    """Cut the work into tasks; ``in_order`` reads whole files by the slow road.

    Raises
    ------
    PairingError
        Two files that know their rows differ in their number.

    """
    sources = reading.sources
    if reading.pairing != "position":
        pieces = [
            (fragment, number)
            for number, source in enumerate(sources)
            for fragment in _pieces(source, in_order=in_order)
        ]
        return [Task(i, (fragment,), source) for i, (fragment, source) in enumerate(pieces)]
    rows = {source.rows for source in sources}
    if None in rows or in_order:
        return [Task(0, tuple(format_of(s.format).whole(s) for s in sources))]
    if len(rows) > 1:
        raise _unequal(sources, [source.rows or 0 for source in sources])
    cuts = format_of(sources[0].format).split(sources[0])
    return [
        Task(number, (cut, *(Fragment(other, cut.start, cut.stop) for other in sources[1:])))
        for number, cut in enumerate(cuts)
    ]


def _pieces(source: Source, *, in_order: bool) -> list[Fragment]:
    form = format_of(source.format)
    return [form.whole(source)] if in_order else form.split(source)


def read_chunks(task: Task, reading: Reading) -> Iterator[Chunk]:
    """Read a task's rows as chunks, nulls dropped or refused.

    Raises
    ------
    MissingValueError
        A null where the policy allows none.
    PairingError
        The files differ in length or in a shared column.

    """
    streams = [
        format_of(fragment.source.format).read(fragment, reading.wanted(number), reading.rows)
        for number, fragment in enumerate(task.fragments, start=task.source)
    ]
    first_row = 0
    for batches in streams[0:1] if len(streams) == 1 else [_in_step(streams, task)]:
        for batch in batches:
            parts = batch if isinstance(batch, tuple) else (batch,)
            yield _chunk(task, reading, parts, first_row)
            first_row += parts[0].num_rows


def _chunk(
    task: Task, reading: Reading, batches: tuple[pa.RecordBatch, ...], first_row: int
) -> Chunk:
    rows = batches[0].num_rows
    chunk = Chunk(task.number, first_row, rows)
    gone = np.zeros(rows, dtype=np.bool_)
    if len(batches) > 1:
        shared.check(task, batches, reading.shared, first_row)
    for slot in reading.slots:
        if slot.kind in ("constant", "population"):
            value = slot.constant if slot.kind == "constant" else 1.0 - task.source
            chunk.values[slot] = np.full(rows, value)
            continue
        part = slot.source if len(batches) > 1 else 0
        try:
            values, nulls = to_values(slot, batches[part])
        except RowError as error:
            place = place_of(task, first_row + error.row, part, error.column)
            raise DomainError(error.message, hint=error.hint, place=place) from error
        if nulls is not None and reading.nulls == "error":
            row = int(np.flatnonzero(nulls)[0])
            column = next((c for c in slot.columns if batches[part][c][row].as_py() is None), None)
            raise MissingValueError(
                "the value is missing",
                hint="--nulls drop leaves such rows out and counts them",
                place=place_of(task, first_row + row, part, column or slot.columns[0]),
            )
        if nulls is not None:
            gone |= nulls
        chunk.values[slot] = values
    if gone.any():
        chunk.drop(gone)
    return chunk


def _in_step(
    streams: Sequence[Iterator[pa.RecordBatch]], task: Task
) -> Iterator[tuple[pa.RecordBatch, ...]]:
    """Cut the batches of several streams to the same rows."""
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
            sources = [fragment.source for fragment in task.fragments]
            counts = [
                done + _remaining(head, stream) for head, stream in zip(heads, streams, strict=True)
            ]
            raise _unequal(sources, counts)
        rows = min(head.num_rows for head in filled)
        yield tuple(head.slice(0, rows) for head in filled)
        heads = [head.slice(rows) for head in filled]
        done += rows


def _remaining(head: pa.RecordBatch | None, stream: Iterator[pa.RecordBatch]) -> int:
    rest: int = sum(batch.num_rows for batch in stream)
    return rest if head is None else rest + int(head.num_rows)


def _unequal(sources: Sequence[Source], counts: Sequence[int]) -> PairingError:
    told = " and ".join(f"{s.path} {n} rows" for s, n in zip(sources, counts, strict=True))
    return PairingError(
        f"the files pair row by row but differ in length: {told}",
        hint="both files need the same rows in the same order",
    )


def place_of(task: Task, row: int, part: int = 0, column: str | None = None) -> Place:
    """Give the place of a task's row in the file, counted from 1."""
    fragment = task.fragments[part]
    before = format_of(fragment.source.format).rows_before(fragment)
    return Place(fragment.source.path, before + row + 1, column)
