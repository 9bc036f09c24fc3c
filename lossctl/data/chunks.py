"""Chunks: rows read from one file or from two in step, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import shared, times
from lossctl.data.binding import Slot
from lossctl.data.cells import Cells
from lossctl.data.convert import RowError, first_labels, take, to_values
from lossctl.data.faults import Fault, TextError
from lossctl.data.in_step import in_step
from lossctl.data.joined import Joined, Origin, Pairs
from lossctl.data.keys import MissingKeyError, to_key
from lossctl.data.reading import Column, Reading
from lossctl.data.source import format_of
from lossctl.data.tasks import Task
from lossctl.data.where import Where
from lossctl.errors import DomainError, MissingValueError
from lossctl.stats.extremes import Row
from lossctl.stats.segments import Segments

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


OTHER_LABELS = 4
"""How many labels a chunk keeps where none is the one that was told."""


@dataclass
class Chunk:
    """Consecutive rows of a task as arrays."""

    task: int
    first_row: int
    """Number of the first row within the task, from 0, dropped rows counted."""
    read: int
    """Rows read, dropped ones included."""
    values: dict[Slot, Any] = field(default_factory=dict)
    missing: dict[Slot, Mask] = field(default_factory=dict)
    """Marks the rows with a null, for the slots that have any; their values are arbitrary."""
    weights: npt.NDArray[np.float64] | None = None
    """Weight of each row, NaN where it is missing; None where rows have none."""
    faults: list[Fault] = field(default_factory=list)
    kept: Mask | None = None
    """Marks the rows of the ``read`` ones that are left; None when all are."""
    cells: Indices | None = None
    """Cell of each row left, shape ``(rows,)``; None when rows are not sliced."""
    labels: dict[Slot, frozenset[bool | str]] = field(default_factory=dict)
    """For the slots that count one label: True where a row has it, else a few others. It is of all
    rows that were read and not filtered, so that it does not depend on how they were cut."""
    carried: dict[Column, pa.Array] = field(default_factory=dict)
    """What `Reading.carried` asks for: as the file has it, without dictionaries, row by row."""
    filtered: dict[str, Indices] = field(default_factory=dict)
    """Reason to the places, among those read, of the rows that are not to be looked at."""
    order: Indices | None = None
    """Where each row stood before `arrange`; None before."""
    origin: Origin | None = None
    """Where rows paired by key came from; None for consecutive rows."""
    pairs: Pairs | None = None
    """What became of the keys since the chunk before."""

    @property
    def rows(self) -> int:
        """Number of rows left."""
        return self.read if self.kept is None else int(self.kept.sum())

    def row_numbers(self, indices: Indices) -> Indices:
        """Give the numbers within the task of the rows at some indices of the arrays.

        Rows paired by key are numbered as in the first source.
        """
        places = self.places(indices)
        return self.first_row + places if self.origin is None else self.origin.rows(places)

    def name(self, place: int, piece: tuple[str, int]) -> Row:
        """Name a row by its place among those that were read."""
        if self.origin is not None:
            return self.origin.name(place)
        return (*piece, self.first_row + place)

    def places(self, indices: Indices) -> Indices:
        """Give the places among the rows that were read of those at some indices of the arrays."""
        if self.order is not None:
            indices = self.order[indices]
        if self.kept is not None:
            indices = np.flatnonzero(self.kept)[indices]
        return indices

    def placed(self, fault: Fault) -> Fault:
        """Give the fault of a row that is left by the row's number among those that were read."""
        if self.kept is None:
            return fault
        return replace(fault, row=int(np.flatnonzero(self.kept)[fault.row]))

    def keys(self, reading: Reading) -> list[pa.Array]:
        """Give the keys of the rows left, column by column; none where rows have no key."""
        if self.origin is not None:
            places = pa.array(self.places(np.arange(self.rows)))
            return [key.take(places) for key in self.origin.keys]
        return [self.carried[key_column(number)] for number in range(len(reading.keys))]

    def arrange(self) -> Segments:
        """Bring the rows of each cell together."""
        if self.cells is None:
            return Segments.single(self.rows)
        segments, self.order = Segments.arrange(self.cells)
        self._take(self.order)
        return segments

    def drop(self, gone: Mask) -> None:
        """Drop rows, marked among those that are left."""
        stay = ~gone
        rows = np.flatnonzero(stay)
        self._take(rows)
        self.cells = None if self.cells is None else self.cells[rows]
        if self.kept is None:
            self.kept = stay
        else:
            self.kept[np.flatnonzero(self.kept)] = stay

    def _take(self, rows: Indices) -> None:
        self.values = {slot: take(values, rows) for slot, values in self.values.items()}
        self.weights = None if self.weights is None else self.weights[rows]
        self.carried = {
            column: values.take(pa.array(rows)) for column, values in self.carried.items()
        }


def read_chunks(task: Task, reading: Reading, cells: Cells) -> Iterator[Chunk]:
    """Read a task's rows as chunks and number their cells; faults are noted, not raised.

    Raises
    ------
    PairingError
        The files differ in length.

    """
    if task.joined is not None:
        for joined in task.joined():
            yield from _joined_chunks(task, reading, joined, cells)
        return
    if task.excluded:
        yield _unread(task, reading, cells)
        return
    streams = [
        format_of(fragment.source.format).read(fragment, reading.wanted(number), reading.rows)
        for number, fragment in enumerate(task.fragments, start=task.source)
    ]
    sources = [fragment.source for fragment in task.fragments]
    alone = ((batch,) for batch in streams[0])
    first_row = 0
    for parts in alone if len(streams) == 1 else in_step(streams, sources):
        yield _chunk(task, reading, parts, first_row, cells)
        first_row += parts[0].num_rows


def _joined_chunks(task: Task, reading: Reading, joined: Joined, cells: Cells) -> Iterator[Chunk]:
    """Cut joined rows into chunks of about the same size; the counts come first."""
    yield Chunk(task.number, 0, 0, pairs=joined.pairs)
    if joined.origin is None:
        return
    rows = joined.batches[0].num_rows
    size = -(-rows // -(-rows // reading.rows))
    for start in range(0, rows, size):
        parts = tuple(batch.slice(start, size) for batch in joined.batches)
        chunk = _chunk(task, reading, parts, start, cells)
        chunk.origin = joined.origin.slice(start, size)
        yield chunk


def _chunk(
    task: Task,
    reading: Reading,
    batches: tuple[pa.RecordBatch, ...],
    first_row: int,
    cells: Cells,
) -> Chunk:
    chunk = Chunk(task.number, first_row, batches[0].num_rows)
    if len(batches) > 1:
        files = [fragment.source.path for fragment in task.fragments]
        chunk.faults += shared.differences(files, batches, reading.shared)
    if reading.where is not None:
        batches = _filtered(reading.where, batches, chunk)
    _convert(task, reading, batches, chunk)
    for column in reading.carried:
        values = _as_spelt(reading, batches, column)
        coded = pa.types.is_dictionary(values.type)
        chunk.carried[column] = values.dictionary_decode() if coded else values
    if reading.pairing == "one file":
        _carry_keys(reading, batches, chunk)
    if reading.cells:
        try:
            chunk.cells = cells.codes([_as_spelt(reading, batches, c) for c in reading.cells])
        except TextError as error:
            message = f"--by slices by ranges or dates, and {error.text!r} is none"
            chunk.faults.append(chunk.placed(_text_fault(error, message, reading.cells, batches)))
    return chunk


def _carry_keys(reading: Reading, batches: Sequence[pa.RecordBatch], chunk: Chunk) -> None:
    """Carry the keys of a single file along, for its fingerprint."""
    for number, key in enumerate(reading.keys):
        name = key.names[0]
        try:
            chunk.carried[key_column(number)] = to_key(batches[0][name], name, key.type)
        except RowError as error:
            kind = MissingValueError if isinstance(error, MissingKeyError) else DomainError
            fault = Fault(error.row, 0, name, kind, error.message, error.hint)
            chunk.faults.append(chunk.placed(fault))


def key_column(number: int) -> Column:
    """Name a column of the key among those that are carried along."""
    return 0, f"\0key{number}"


def _text_fault(
    error: TextError, message: str, columns: Sequence[Column], batches: Sequence[pa.RecordBatch]
) -> Fault:
    source = next(source for source, name in columns if name == error.column)
    part = _part(source, batches)
    compared = f"{error.column} == {error.text!r}"
    hints = {
        "a number": "missing values are empty; a number in quotes compares texts",
        "true or false": f"a condition is a comparison, as in {compared}, or a column of truths",
        times.TIME: "missing values are empty; dates and times are as 2024-02-29 07:00",
        times.ZONED: "leave out the zone that the column lacks",
    }
    hint = hints[error.needed]
    return Fault(error.row, part, error.column, DomainError, message, hint)


def _convert(task: Task, reading: Reading, batches: Sequence[pa.RecordBatch], chunk: Chunk) -> None:
    """Fill in the values of every slot, and the weights."""
    for slot in reading.slots:
        if slot.kind in ("constant", "population"):
            value = slot.constant if slot.kind == "constant" else 1.0 - task.source
            chunk.values[slot] = np.full(chunk.rows, value)
            continue
        found = _values(slot, batches, chunk)
        if found is None:
            continue
        chunk.values[slot], missing = found
        if slot.kind == "positive":
            chunk.labels[slot] = _labels(slot, batches, chunk.values[slot], missing)
        if missing is not None:
            chunk.missing[slot] = missing
            if reading.nulls == "error":
                chunk.faults.append(chunk.placed(_missing_value(slot, batches, missing)))
    if reading.weight is not None and (found := _values(reading.weight, batches, chunk)):
        weights, missing = found
        chunk.weights = weights if missing is None else np.where(missing, np.nan, weights)


def _column(batches: Sequence[pa.RecordBatch], column: Column) -> pa.Array:
    source, name = column
    return batches[_part(source, batches)].column(name)


def _labels(
    slot: Slot, batches: Sequence[pa.RecordBatch], values: Any, missing: Mask | None
) -> frozenset[bool | str]:
    """Tell whether a row has the label that a slot counts as 1, or else which others rows have."""
    if (values if missing is None else values[~missing]).any():
        return frozenset({True})
    return first_labels(_column(batches, (slot.source, slot.columns[0])), OTHER_LABELS)


def _as_spelt(reading: Reading, batches: Sequence[pa.RecordBatch], column: Column) -> pa.Array:
    """Give a column to show; truths that a loss reads as numbers are words again."""
    values, (source, name) = _column(batches, column), column
    spelt = name in reading.sources[source].truths and column not in reading.as_numbers
    if not spelt or not pa.types.is_floating(values.type):
        return values
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(values, 1.0), "True", "False")


def _part(source: int, batches: Sequence[pa.RecordBatch]) -> int:
    """Give the place of a source's batch; stacked files are read one after the other."""
    return source if len(batches) > 1 else 0


def _unread(task: Task, reading: Reading, cells: Cells) -> Chunk:
    """Give the chunk of rows that are left out without being read."""
    batches = tuple(
        pa.record_batch(
            # Of a slice of a null nothing is left but the buffers, which an empty array may lack.
            {name: pa.nulls(1, fragment.source.types[name]).slice(1) for name in wanted}
        )
        for number, fragment in enumerate(task.fragments, start=task.source)
        if (wanted := reading.wanted(number)) is not None
    )
    chunk = _chunk(task, replace(reading, where=None), batches, 0, cells)
    chunk.read = task.fragments[0].stop - task.fragments[0].start
    chunk.kept = np.zeros(chunk.read, dtype=np.bool_)
    chunk.filtered["filtered"] = np.arange(chunk.read)
    return chunk


def _filtered(
    where: Where, batches: tuple[pa.RecordBatch, ...], chunk: Chunk
) -> tuple[pa.RecordBatch, ...]:
    """Leave out the rows that a filter does not keep, and note them."""
    try:
        kept = where.matches({column: _column(batches, column) for column in where.columns})
    except TextError as error:
        message = f"--where compares the text {error.text!r} with {error.needed}"
        chunk.faults.append(_text_fault(error, message, where.columns, batches))
        return batches
    if kept.all():
        return batches
    chunk.kept = kept
    chunk.filtered["filtered"] = np.flatnonzero(~kept)
    mask = pa.array(kept)
    return tuple(batch.filter(mask) for batch in batches)


def _values(
    slot: Slot, batches: Sequence[pa.RecordBatch], chunk: Chunk
) -> tuple[Any, Mask | None] | None:
    """Convert a slot's columns; None where one cannot be, which the chunk's faults then tell."""
    part = _part(slot.source, batches)
    try:
        return to_values(slot, batches[part])
    except RowError as error:
        fault = Fault(error.row, part, error.column, DomainError, error.message, error.hint)
        chunk.faults.append(chunk.placed(fault))
        return None


def _missing_value(slot: Slot, batches: Sequence[pa.RecordBatch], missing: Mask) -> Fault:
    row = int(np.flatnonzero(missing)[0])
    part = _part(slot.source, batches)
    empty = (name for name in slot.columns if batches[part][name][row].as_py() is None)
    return Fault(
        row,
        part,
        next(empty, slot.columns[0]),
        MissingValueError,
        "the value is missing",
        "--nulls drop leaves such rows out and counts them",
    )
