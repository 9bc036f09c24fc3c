"""Conversion: Arrow columns to the float64 arrays that kernels take, and where they are null."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers, numerals
from lossctl.data.binding import Slot
from lossctl.data.kinds import is_list, is_number
from lossctl.errors import did_you_mean
from lossctl.losses import Ragged

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

EXACT = 2**53
"""Up to here every integer is a double."""
POWERS = 22
"""Up to this exponent every power of ten is a double."""


class RowError(Exception):
    """A value of one row cannot be converted; whoever knows the place makes it a `DomainError`."""

    def __init__(self, row: int, column: str, message: str, hint: str = "") -> None:
        """Keep the row as counted in the batch."""
        super().__init__(message)
        self.row, self.column, self.message, self.hint = row, column, message, hint


def to_values(slot: Slot, batch: pa.RecordBatch) -> tuple[Any, Mask | None]:  # noqa: PLR0911
    """Convert the columns of a slot; the mask marks rows with a null, None when there are none.

    Raises
    ------
    RowError
        A list has another length than the first, or a label names no class.
    """
    columns = [batch.column(name) for name in slot.columns]
    missing = _missing(columns)
    if slot.kind == "number":
        return _numbers(columns[0], slot.columns[0]), missing
    if slot.kind == "class":
        return _classes(columns[0], slot), missing
    if slot.kind == "positive":
        return _positives(columns[0], slot.positive), missing
    if slot.kind == "matrix" and not is_list(columns[0].type):
        return _stacked(columns, slot), missing
    if slot.kind == "matrix":
        return _matrix(columns[0], slot), _with_inner_nulls(columns[0], missing)
    if not is_list(columns[0].type):
        matrix = _stacked(columns, slot)
        offsets = np.arange(len(matrix) + 1, dtype=np.int64) * matrix.shape[1]
        return Ragged(matrix.reshape(-1), offsets), missing
    return _ragged(columns[0], slot), _with_inner_nulls(columns[0], missing)


def take(values: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Give some rows of converted values, in the order named."""
    if not isinstance(values, Ragged):
        return values.take(rows, axis=0)  # a third faster than an index
    lengths = values.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Position in the old values of each new one: its row's start there plus its place in the row.
    places = np.arange(offsets[-1]) + np.repeat(values.offsets[rows] - offsets[:-1], lengths)
    return Ragged(values.values[places], offsets)


def _missing(columns: Sequence[pa.Array]) -> Mask | None:
    masks = [mask for mask in map(buffers.nulls, columns) if mask is not None]
    return np.logical_or.reduce(masks) if masks else None


def _with_inner_nulls(column: pa.Array, missing: Mask | None) -> Mask | None:
    """Mark as missing the rows whose list holds a null."""
    inner = buffers.nulls(column.flatten())
    if inner is None:
        return missing
    ends = np.concatenate([[0], np.cumsum(buffers.lengths(column))])
    marks = np.zeros(len(column), dtype=np.bool_) if missing is None else missing.copy()
    marks[np.searchsorted(ends, np.flatnonzero(inner), side="right") - 1] = True
    return marks


def _numbers(column: pa.Array, name: str) -> Array:
    """Widen a column to float64; what stands at nulls is arbitrary and known by their mask.

    Raises
    ------
    RowError
        An integer is beyond 2**53, where doubles skip some.

    """
    if pa.types.is_decimal(column.type):
        return _decimals(column, name)
    if pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    values = buffers.view(column)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and len(values):
        beyond = (values > EXACT) | (values < -EXACT if values.dtype.kind == "i" else False)
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            raise RowError(row, name, f"the integer {values[row]} has no exact float64")
    return values.astype(np.float64, copy=False)


def _decimals(column: pa.Array, name: str) -> Array:
    """Round decimals to the nearest doubles, once.

    A quotient of two doubles that are whole numbers is rounded once, and most decimals are one;
    Arrow itself would multiply by a power of ten that is rounded already.

    Raises
    ------
    RowError
        A whole number is beyond 2**53.

    """
    scale, words = column.type.scale, column.type.bit_width // 64
    values = np.zeros(len(column))
    plain = np.zeros(len(column), dtype=np.bool_)
    if words in (1, 2) and 0 <= scale <= POWERS and len(column):
        stored = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, words)
        stored = stored[column.offset : column.offset + len(column)]
        low, high = stored[:, 0], stored[:, -1]
        plain = (low >= -EXACT) & (low <= EXACT)
        plain &= (high == low >> 63) if words == 2 else True
        values[plain] = low[plain] / 10.0**scale
    for row in np.flatnonzero(~plain & ~_marked(column)).tolist():
        number = column[row].as_py()
        if abs(number) > EXACT and number == int(number):
            raise RowError(row, name, f"the decimal {number} has no exact float64")
        values[row] = float(number)
    return values


def _stacked(columns: Sequence[pa.Array], slot: Slot) -> Array:
    matrix = np.empty((len(columns[0]), len(columns)))
    for position, (column, name) in enumerate(zip(columns, slot.columns, strict=True)):
        matrix[:, position] = _numbers(column, name)
    return matrix


def _matrix(column: pa.Array, slot: Slot) -> Array:
    lengths = buffers.lengths(column)
    values = _numbers(column.flatten(), slot.columns[0])
    if len(values) == slot.width * len(column) and (lengths == slot.width).all():
        return values.reshape(len(column), slot.width)
    wrong = np.flatnonzero((lengths != slot.width) & ~_marked(column))
    if len(wrong):
        raise RowError(
            int(wrong[0]),
            slot.columns[0],
            f"the list has {lengths[wrong[0]]} values, the first one {slot.width}",
        )
    matrix = np.full((len(column), slot.width), np.nan)
    matrix[lengths > 0] = values.reshape(-1, slot.width)
    return matrix


def _ragged(column: pa.Array, slot: Slot) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum(buffers.lengths(column))])
    return Ragged(_numbers(column.flatten(), slot.columns[0]), offsets)


def _positives(column: pa.Array, positive: str) -> Array:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    matches = np.array([_is(label, positive) for label in coded.dictionary.to_pylist()])
    if not len(matches):
        return np.zeros(len(column))
    codes = np.where(_marked(coded), 0, buffers.view(coded.indices))
    return matches[codes].astype(np.float64)


def first_labels(column: pa.Array, most: int) -> frozenset[str]:
    """Give the first few labels of a column in the order of texts."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    present = np.unique(buffers.view(coded.indices)[~_marked(coded)]).tolist()
    return frozenset(sorted(str(coded.dictionary[code].as_py()) for code in present)[:most])


def _is(label: Any, told: str) -> bool:
    """Tell whether a label is the one that was told, however tools write numbers and truths."""
    if isinstance(label, bool):
        return str(label).lower() == told.lower() or str(int(label)) == told
    return str(label) == told or numerals.same(label, told)


def _marked(column: pa.Array) -> Mask:
    missing = buffers.nulls(column)
    return np.zeros(len(column), dtype=np.bool_) if missing is None else missing


def _classes(column: pa.Array, slot: Slot) -> Array:
    """Give class numbers; a label is matched by class name first, else it is a class number."""
    counted = slot.classes == tuple(str(number) for number in range(len(slot.classes)))
    if counted and is_number(column.type):
        return _numbers(column, slot.columns[0])
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    missing = _marked(coded)
    numbers = {name: float(number) for number, name in enumerate(slot.classes)}
    known = np.array([_class_number(label, numbers) for label in coded.dictionary.to_pylist()])
    if not len(known):
        return np.full(len(column), np.nan)
    codes = np.where(missing, 0, buffers.view(coded.indices))
    values = known[codes]
    if np.isnan(values).any():
        lost = np.flatnonzero(np.isnan(values) & ~missing)
        if len(lost):
            label = coded.dictionary[int(codes[lost[0]])].as_py()
            raise RowError(
                int(lost[0]),
                slot.columns[0],
                f"{label!r} is none of the classes {', '.join(slot.classes)}",
                hint=did_you_mean(str(label), list(slot.classes))
                or "class names come from the suffixes of the prediction columns or --classes",
            )
    return np.asarray(values)


def _class_number(label: Any, numbers: dict[str, float]) -> float:
    """Give the number of a class by its name, or by its number where names are words."""
    text = str(label)
    if text not in numbers:
        with contextlib.suppress(ValueError, TypeError):  # many tools write the class 1 as 1.0
            text = f"{float(label):g}"
    if text in numbers:
        return numbers[text]
    named = all(name.isdecimal() for name in numbers)
    plain = not named and text.isdecimal() and int(text) < len(numbers)
    return float(text) if plain else np.nan
