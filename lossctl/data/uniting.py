"""Uniting: the columns and types that several files share, or the first difference between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lossctl.data.naming import SHOWN
from lossctl.data.source import Source
from lossctl.errors import InputError, Place, did_you_mean

Types = dict[str, pa.DataType | None]


def united(files: Sequence[Source]) -> Types:
    """Give the columns of several files, with types that hold the values of each exactly.

    Raises
    ------
    InputError
        Two files differ in format, in a column, or in a type beyond what widens exactly.

    """
    first, *others = files
    types: Types = dict(first.types)
    owners = dict.fromkeys(types, first.path)
    for file in others:
        place = Place(file.path)
        if file.format != first.format:
            message = f"is {SHOWN[file.format]}, but {first.path} is {SHOWN[first.format]}"
            raise InputError(message, hint="name files of one format", place=place)
        _check_names(first, file)
        for name, kind in file.types.items():
            common = _common(types[name], kind)
            if common is None and (kind is None) != (types[name] is None):
                common = kind or types[name]
            if common is None and kind is not None:
                raise InputError(
                    f"the type is {kind}, but {types[name]} in {owners[name]}",
                    hint="only widths of numbers and of texts may differ between files",
                    place=Place(file.path, column=name),
                )
            if common != types[name]:
                types[name], owners[name] = common, file.path
    return types


def _check_names(first: Source, file: Source) -> None:
    lost = [name for name in first.names if name not in file.types]
    more = [name for name in file.names if name not in first.types]
    if lost:
        message = f"has no column {lost[0]!r}, which {first.path} has"
        raise InputError(message, hint=did_you_mean(lost[0], more), place=Place(file.path))
    if more:
        message = f"has a column {more[0]!r}, which {first.path} has not"
        raise InputError(message, place=Place(file.path))


def _common(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """Give the type that holds the values of both exactly; None where there is none."""
    if one == other or one is None or other is None:
        return one if one == other else None
    one, other = (k.value_type if pa.types.is_dictionary(k) else k for k in (one, other))
    if one == other or pa.types.is_null(other):
        return one
    return other if pa.types.is_null(one) else _wider(one, other)


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = pa.types
    integers, floats = (
        [test(kind) for kind in (one, other)] for test in (kinds.is_integer, kinds.is_floating)
    )
    if all(integers):
        return _wider_integer(one, other)
    if all(floats):
        return max(one, other, key=lambda kind: kind.bit_width)
    if all(map(bool.__or__, integers, floats)):
        return pa.float64()  # an integer that no double is will be refused when it is cast
    texts = (pa.string(), pa.large_string(), pa.string_view())
    if one in texts and other in texts:
        return pa.large_string()
    if kinds.is_timestamp(one) and kinds.is_timestamp(other) and one.tz == other.tz:
        units = ["s", "ms", "us", "ns"]
        return pa.timestamp(max(one.unit, other.unit, key=units.index), one.tz)
    return None


def _wider_integer(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = pa.types
    if kinds.is_signed_integer(one) == kinds.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    unsigned = one if kinds.is_unsigned_integer(one) else other
    signed = other if unsigned is one else one
    if signed.bit_width > unsigned.bit_width:
        return signed
    wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}
    return wider.get(unsigned.bit_width)


def partition_types(
    files: Sequence[Source], partitions: Sequence[Mapping[str, str | None]]
) -> tuple[list[dict[str, Any]], dict[str, pa.DataType]]:
    """Read the values of folders like ``fold=1``: as whole numbers where all are, else as text.

    Raises
    ------
    InputError
        The files do not lie in folders of the same names.

    """
    names = list(partitions[0])
    for file, found in zip(files, partitions, strict=True):
        if set(found) != set(names):
            odd = min(set(found) ^ set(names))
            message = f"only some of the files lie in a folder {odd}=..."
            hint = f"{files[0].path} is the first of them"
            raise InputError(message, hint=hint, place=Place(file.path))
    whole = {name: all(_is_whole(found[name]) for found in partitions) for name in names}
    values = [
        {
            name: int(text) if whole[name] and text is not None else text
            for name, text in found.items()
        }
        for found in partitions
    ]
    kinds = {name: pa.int64() if whole[name] else pa.string() for name in names}
    return values, kinds


def _is_whole(text: str | None) -> bool:
    """Tell whether a text is a whole number as one would write it: 07 is a text."""
    if text is None:
        return True
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdecimal() and str(int(digits)) == digits
    return plain and abs(int(digits)) < 1 << 63
