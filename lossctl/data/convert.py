"""Conversion: Arrow columns to the float64 arrays that kernels take, and where they are null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lossctl.data.binding import Slot, is_list
from lossctl.errors import InputError, Place
from lossctl.losses import Ragged

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


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
    InputError
        An integer or decimal has no exact double.

    """
    columns = [batch.column(name) for name in slot.columns]
    nulls = _nulls(columns)
    if slot.kind == "number":
        return _numbers(columns[0], slot.columns[0]), nulls
    if slot.kind == "class":
        return _classes(columns[0], slot), nulls
    if slot.kind == "positive":
        return _positives(columns[0], slot.positive), nulls
    if slot.kind == "matrix" and not is_list(columns[0].type):
        return _stacked(columns, slot), nulls
    if slot.kind == "matrix":
        return _matrix(columns[0], slot), _with_inner_nulls(columns[0], nulls)
    if not is_list(columns[0].type):
        matrix = _stacked(columns, slot)
        offsets = np.arange(len(matrix) + 1, dtype=np.int64) * matrix.shape[1]
        return Ragged(matrix.reshape(-1), offsets), nulls
    return _ragged(columns[0], slot), _with_inner_nulls(columns[0], nulls)


def take(values: Any, keep: Mask) -> Any:
    """Give the kept rows of converted values."""
    if not isinstance(values, Ragged):
        return values[keep]
    lengths = values.lengths
    return Ragged(
        values.values[np.repeat(keep, lengths)], np.concatenate([[0], np.cumsum(lengths[keep])])
    )


def _nulls(columns: Sequence[pa.Array]) -> Mask | None:
    masks = [
        column.is_null().to_numpy(zero_copy_only=False) for column in columns if column.null_count
    ]
    return np.logical_or.reduce(masks) if masks else None


def _with_inner_nulls(column: pa.Array, nulls: Mask | None) -> Mask | None:
    """Mark as null the rows whose list holds a null."""
    inner = column.flatten()
    if not inner.null_count:
        return nulls
    lengths = _lengths(column)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    bad = np.flatnonzero(inner.is_null().to_numpy(zero_copy_only=False))
    marks = np.zeros(len(column), dtype=np.bool_) if nulls is None else nulls.copy()
    marks[np.searchsorted(ends, bad, side="right") - 1] = True
    return marks


def _numbers(column: pa.Array, name: str) -> Array:
    """Widen a column to float64; nulls become NaN and are known by their mask."""
    if not pa.types.is_float64(column.type):
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid as error:
            raise InputError(
                f"a value of type {column.type} has no exact float64 ({error})",
                place=Place(column=name),
            ) from error
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _stacked(columns: Sequence[pa.Array], slot: Slot) -> Array:
    matrix = np.empty((len(columns[0]), len(columns)))
    for position, (column, name) in enumerate(zip(columns, slot.columns, strict=True)):
        matrix[:, position] = _numbers(column, name)
    return matrix


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(), dtype=np.int64)


def _matrix(column: pa.Array, slot: Slot) -> Array:
    lengths = _lengths(column)
    values = _numbers(column.flatten(), slot.columns[0])
    if len(values) == slot.width * len(column) and (lengths == slot.width).all():
        return values.reshape(len(column), slot.width)
    wrong = np.flatnonzero(
        (lengths != slot.width) & column.is_valid().to_numpy(zero_copy_only=False)
    )
    if len(wrong):
        raise RowError(
            int(wrong[0]),
            slot.columns[0],
            f"the list has {lengths[wrong[0]]} values, the first row's {slot.width}",
        )
    matrix = np.full((len(column), slot.width), np.nan)
    matrix[lengths > 0] = values.reshape(-1, slot.width)
    return matrix


def _ragged(column: pa.Array, slot: Slot) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum(_lengths(column))])
    return Ragged(_numbers(column.flatten(), slot.columns[0]), offsets)


def _positives(column: pa.Array, positive: str) -> Array:
    text = column if pa.types.is_string(column.type) else column.cast(pa.string())
    matches = pc.fill_null(pc.equal(text, positive), False)  # noqa: FBT003 - Arrow's signature
    return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=np.float64)


def _classes(column: pa.Array, slot: Slot) -> Array:
    """Give class numbers; a label is matched by class name first, else it is a class number."""
    counted = slot.classes == tuple(str(number) for number in range(len(slot.classes)))
    if counted and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return _numbers(column, slot.columns[0])
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    numbers = {name: float(number) for number, name in enumerate(slot.classes)}
    known = np.array([_class_number(label, numbers) for label in coded.dictionary.to_pylist()])
    if not len(known):
        return np.full(len(column), np.nan)
    codes = pc.fill_null(coded.indices, 0).to_numpy()
    values = known[codes]
    if np.isnan(values).any():
        lost = np.flatnonzero(np.isnan(values) & coded.is_valid().to_numpy(zero_copy_only=False))
        if len(lost):
            label = coded.dictionary[int(codes[lost[0]])].as_py()
            raise RowError(
                int(lost[0]),
                slot.columns[0],
                f"{label!r} is none of the classes {', '.join(slot.classes)}",
                hint="class names come from the suffixes of the prediction columns or --classes",
            )
    return np.asarray(values)


def _class_number(label: Any, numbers: dict[str, float]) -> float:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    text = str(label)
    if text in numbers:
        return numbers[text]
    named = all(name.isdecimal() for name in numbers)
    plain = not named and text.isdecimal() and int(text) < len(numbers)
    return float(text) if plain else np.nan
