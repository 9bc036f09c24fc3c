"""Keys: the columns that rows are paired by, and the one type that each is brought to.

Keys are equal when they are the same value, never because they look alike: a whole number equals a
float or a decimal of the same value, a date the midnight that starts it, and text only the same
text. Types that would need a guess are refused. A CSV cell has no type, so it is read as what the
other file has, or as text where no file has a type.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers, hashes
from lossctl.data.columns import listed
from lossctl.data.convert import EXACT, RowError
from lossctl.data.source import Source
from lossctl.errors import ColumnError, Gathered, Place, UsageError, did_you_mean
from lossctl.record import record
from lossctl.stats.fingerprint import Hashes, mix

Integers = npt.NDArray[np.int64]

WHOLE = r"^-?(0|[1-9][0-9]*)(\.0+)?$"
"""How a whole number is written: leading zeros, as in 007, make it text."""
Duplicates = Literal["error"]
SHORT_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"
"""A whole number in its only plain form, and short enough for 64 bits."""
UNITS = ("s", "ms", "us", "ns")
DIGITS = 38
"""Digits of the widest decimal."""


class MissingKeyError(RowError):
    """A row has no key."""


@record
class Key:
    """One column of the key, as each source names it."""

    names: tuple[str, ...]
    """The column in each source."""
    type: pa.DataType
    """What the columns of all sources are brought to."""

    def __str__(self) -> str:
        """Write the key as on the command line."""
        return "=".join(self.names) if len(set(self.names)) > 1 else self.names[0]


def find_keys(sources: Sequence[Source], texts: Sequence[str]) -> tuple[Key, ...]:
    """Find the columns of each key, and the type that they have in common.

    A text is a name that all sources have, or ``a=b`` where the first calls it ``a`` and the
    others ``b``; with as many names as sources each has its own.

    Raises
    ------
    ColumnError, UsageError, SeveralErrors
        A source lacks a key, or the types have none in common.

    """
    wrong = Gathered()
    keys = []
    for text in dict.fromkeys(texts):
        with wrong:
            names = _names(sources, text)
            keys.append(Key(names, _common_type(sources, names)))
    wrong.settle()
    return tuple(keys)


def _names(sources: Sequence[Source], text: str) -> tuple[str, ...]:
    parts = [text] if all(text in source.names for source in sources) else text.split("=")
    if len(parts) == 1:
        names = parts * len(sources)
    elif len(parts) == len(sources):
        names = parts
    elif len(parts) == 2:
        names = [parts[0], *parts[1:] * (len(sources) - 1)]
    else:
        raise UsageError(
            f"--key {text} names {len(parts)} columns for {len(sources)} files",
            hint="as in --key id, or --key pred_id=id where the names differ",
        )
    for name, source in zip(names, sources, strict=True):
        if name not in source.names:
            raise ColumnError(
                f"no column {name!r} to pair by",
                hint=did_you_mean(name, source.names) or listed([source]),
                place=Place(source.path),
            )
    return tuple(names)


def _common_type(sources: Sequence[Source], names: Sequence[str]) -> pa.DataType:
    told = [(s, n, s.types[n]) for s, n in zip(sources, names, strict=True)]
    types = [_plain(source, name, kind) for source, name, kind in told if kind is not None]
    if not types:
        return pa.string()
    kinds = {_kind(each) for each in types}
    for allowed, common in (
        ({"text"}, pa.string()),
        ({"bytes"}, pa.binary()),
        ({"truth"}, pa.bool_()),
        ({"date"}, pa.date32()),
        ({"whole", "float"}, _whole(types)),
        ({"whole", "decimal"}, _decimal(types)),
        ({"time", "date"}, _timestamp(types)),
    ):
        if kinds <= allowed and common is not None:
            return common
    shown = " and ".join(f"{kind} in {source.path}" for source, _, kind in told if kind is not None)
    raise ColumnError(
        f"the key {'='.join(dict.fromkeys(names))} has types that cannot be told equal: {shown}",
        hint=_way_out(kinds),
    )


def _way_out(kinds: set[str]) -> str:
    if kinds == {"text", "whole"}:
        return "store the key as text in both files or as whole numbers in both: '007' is not 7"
    if kinds <= {"time", "date"}:
        return "times with a zone cannot be held against times without one"
    return "store the key with one type in both files"


def _plain(source: Source, name: str, kind: pa.DataType) -> pa.DataType:
    """Give the type of the values of a column that can be a key."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not _kind(plain):
        raise ColumnError(
            f"the column {name!r} of type {kind} cannot be a key",
            hint="keys are whole numbers, text, dates, timestamps, decimals or true and false",
            place=Place(source.path),
        )
    return plain


def _kind(plain: pa.DataType) -> str:
    """Name what a type holds; empty when it cannot be a key."""
    kinds = pa.types
    tests = {
        "whole": (kinds.is_integer,),
        "float": (kinds.is_floating,),
        "text": (kinds.is_string, kinds.is_large_string, kinds.is_string_view),
        "bytes": (kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary),
        "truth": (kinds.is_boolean,),
        "date": (kinds.is_date,),
        "time": (kinds.is_timestamp,),
        "decimal": (kinds.is_decimal,),
    }
    return next((kind for kind, found in tests.items() if any(t(plain) for t in found)), "")


def _whole(types: Sequence[pa.DataType]) -> pa.DataType:
    return pa.uint64() if all(each == pa.uint64() for each in types) else pa.int64()


def _decimal(types: Sequence[pa.DataType]) -> pa.DataType:
    scales = [each.scale for each in types if pa.types.is_decimal(each)]
    return pa.decimal128(DIGITS, max([0, *scales]))


def _timestamp(types: Sequence[pa.DataType]) -> pa.DataType | None:
    times = [each for each in types if pa.types.is_timestamp(each)]
    zoned = {each.tz is not None for each in times}
    if len(zoned) != 1 or (zoned == {True} and len(times) < len(types)):
        return None
    unit = max((each.unit for each in times), key=UNITS.index)
    return pa.timestamp(unit, "UTC" if zoned == {True} else None)


def to_key(column: pa.Array, name: str, common: pa.DataType) -> pa.Array:
    """Bring a column to the type of the key.

    Raises
    ------
    RowError
        A key is missing, or has no equal of that type; the first such row is named.

    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    missing = buffers.nulls(column)
    first_missing = len(column) if missing is None else int(np.flatnonzero(missing)[0])
    present = column.slice(0, first_missing)
    try:
        converted = _converted(present, name, common)
    except pa.ArrowException:
        row = _first_refused(present, common)
        value = present[row].as_py()
        raise RowError(row, name, f"the key {value!r} is no {common}") from None
    if missing is not None:
        hint = "every row needs a key; leave out the rows that have none"
        raise MissingKeyError(first_missing, name, "the key is missing", hint)
    return converted


def _converted(column: pa.Array, name: str, common: pa.DataType) -> pa.Array:
    kind = column.type
    if kind == common:
        return column
    if pa.types.is_integer(common):
        if pa.types.is_floating(kind):
            return _whole_floats(column, name).cast(common)
        if pa.types.is_string(kind):
            return _whole_texts(column, name).cast(common)
    if pa.types.is_boolean(common) and pa.types.is_string(kind):
        return _truths(column, name)
    if pa.types.is_timestamp(common) and pa.types.is_date(kind):
        return column.cast(pa.timestamp("s")).cast(common)
    return column.cast(common)


def _whole_floats(column: pa.Array, name: str) -> pa.Array:
    values = buffers.view(column).astype(np.float64)
    wrong = np.flatnonzero(~((np.abs(values) <= EXACT) & (values == np.floor(values))))
    if len(wrong):
        value = float(values[wrong[0]])
        why = "beyond 2**53, where floats skip whole numbers" if abs(value) > EXACT else "a float"
        message = f"the key {value!r} is {why}; keys must be whole numbers or text"
        raise RowError(int(wrong[0]), name, message, "store the key as an integer or as text")
    return pa.array(values.astype(np.int64))


def _whole_texts(column: pa.Array, name: str) -> pa.Array:
    """Read whole numbers as people write them; nothing else is taken for one."""
    import pyarrow.compute as pc

    fits = buffers.view(pc.match_substring_regex(column, WHOLE))
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        message = f"the key {column[row].as_py()!r} is not written as a whole number"
        hint = "the other file has whole numbers; store the key as text in both, or as numbers"
        raise RowError(row, name, message, hint)
    return pc.replace_substring_regex(column, r"\.0+$", "")


def _truths(column: pa.Array, name: str) -> pa.Array:
    coded = column.dictionary_encode()
    texts = [text.lower() for text in coded.dictionary.to_pylist()]
    known = np.array([text in ("true", "false") for text in texts], dtype=np.bool_)
    codes = buffers.view(coded.indices)
    if not known.all():
        row = int(np.flatnonzero(~known[codes])[0])
        message = f"the key {column[row].as_py()!r} is neither true nor false"
        raise RowError(row, name, message)
    return pa.array(np.array([text == "true" for text in texts], dtype=np.bool_)[codes])


def _first_refused(column: pa.Array, common: pa.DataType) -> int:
    """Find the first row that a cast refuses, by halves."""
    start, stop = 0, len(column)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            column.slice(start, middle - start).cast(common)
        except pa.ArrowException:
            stop = middle
        else:
            start = middle
    return start


def codes(columns: Sequence[Sequence[pa.Array]]) -> list[Integers]:
    """Number the keys of several tables, equal ones alike and different ones apart.

    ``columns`` holds for each table its key columns; tables share their types.
    """
    numbered: list[Integers] = []
    for of_tables in zip(*columns, strict=True):
        found = _column_codes(of_tables)
        numbered = _crossed(numbered, found) if numbered else found
    return numbered


def _column_codes(columns: Sequence[pa.Array]) -> list[Integers]:
    if is_integer_inside(columns[0].type):
        return [as_integers(column) for column in columns]
    joined = pa.concat_arrays(columns).dictionary_encode()
    return _cut(buffers.view(joined.indices).astype(np.int64), columns)


def is_integer_inside(kind: pa.DataType) -> bool:
    """Tell whether keys of a type are integers, or stand for some."""
    kinds = pa.types
    tests = (kinds.is_integer, kinds.is_boolean, kinds.is_timestamp, kinds.is_date32)
    return any(test(kind) for test in tests)


def as_integers(column: pa.Array) -> Integers:
    """View keys that are integers inside as such."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.view(pa.int32())
    values = buffers.view(column)
    if values.dtype == np.uint64:
        return values.view(np.int64)
    return values.astype(np.int64, copy=False)


def _crossed(first: Sequence[Integers], second: Sequence[Integers]) -> list[Integers]:
    """Number the pairs of two columns."""
    dense = [np.unique(np.concatenate(part), return_inverse=True)[1] for part in (first, second)]
    pairs = dense[0] * (int(dense[1].max(initial=0)) + 1) + dense[1]
    return _cut(pairs.astype(np.int64, copy=False), first)


def _cut(joined: Integers, like: Sequence[Any]) -> list[Integers]:
    return np.split(joined, np.cumsum([len(part) for part in like])[:-1])


def hash_of_keys(columns: Sequence[pa.Array]) -> Hashes:
    """Hash the keys of rows, equal ones alike."""
    hashed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        hashed = mix(hashed ^ _hash_of_column(column))
    return hashed


def lasting_hashes(columns: Sequence[pa.Array]) -> list[Hashes]:
    """Hash each column of the keys of rows, alike whether a file has types or not.

    Text that is written as a whole number hashes as that number, and a date as its text.
    """
    import pyarrow.compute as pc

    found = []
    for given in columns:
        column = given.cast(pa.string()) if pa.types.is_date(given.type) else given
        hashed = _hash_of_column(column)
        if pa.types.is_string(column.type):
            rows = np.flatnonzero(buffers.view(pc.match_substring_regex(column, SHORT_WHOLE)))
            numbers = pc.take(column, pa.array(rows)).cast(pa.int64())
            hashed[rows] = _hash_of_column(numbers)
        found.append(hashed)
    return found


def _hash_of_column(column: pa.Array) -> Hashes:
    if is_integer_inside(column.type):
        return mix(as_integers(column).astype(np.uint64))
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    return hashes.of_texts(column)


def shown_key(columns: Sequence[pa.Array], row: int) -> tuple[Any, ...]:
    """Give the key of a row as JSON knows it."""
    return tuple(_plain_value(column[row].as_py()) for column in columns)


def _plain_value(value: Any) -> Any:
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, bool | int | str) else str(value)
