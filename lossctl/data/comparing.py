"""Comparing a column of any type with a value as people write it, without rounding either."""

from __future__ import annotations

import datetime as dt
import math
import operator as op
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.data import numerals, times
from lossctl.data.convert import EXACT
from lossctl.data.faults import TextError
from lossctl.errors import UsageError

Literal = bool | int | float | str
"""A value that stands in a filter."""

OPERATORS = {
    "==": op.eq,
    "!=": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}
TRUTHS = {True: ["true", "1"], False: ["false", "0"]}
"""How files without types spell truth values, in lower case."""


def check_comparable(name: str, kind: pa.DataType | None, value: Literal) -> None:
    """Refuse to compare a column with a value of another kind; without a type it may be any.

    Raises
    ------
    UsageError
        The column holds numbers and the value is a text, or the like.

    """
    if kind is None:
        kind = pa.string() if isinstance(value, bool | str) else pa.float64()
    kind = _decoded(kind)
    try:
        odd = _is_number(kind) if isinstance(value, bool) else _is_text(kind)
        if odd and not isinstance(value, str):
            raise TypeError(value)  # noqa: TRY301 - as what is found out by comparing
        compare(pa.nulls(1, kind), "==", value)
    except (TypeError, ValueError, ArithmeticError, pa.ArrowException) as error:
        needed = _needed(kind)
        raise UsageError(
            f"--where: the column {name!r} holds {kind}, which is not compared with {value!r}",
            hint=f"compare it with {needed}" if needed else "is null works for it",
        ) from error


def _needed(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_boolean(kind):
        return "true or false"
    if _is_number(kind):
        return "a number, without quotes"
    if types.is_date(kind):
        return "a date, as in '2024-02-29'"
    if types.is_timestamp(kind):
        return "a date or a time, as in '2024-02-29 07:00'"
    return "a text in quotes" if _is_text(kind) else ""


def compare(values: pa.Array, operator: str, value: Literal) -> pa.Array:
    """Give true or false for each row, null where the value is.

    Raises
    ------
    TypeError, ValueError, pyarrow.ArrowException
        The two are of kinds that are not compared.
    TextError
        A text in a column without a type is no number, no truth, or no date.

    """
    if isinstance(value, int) and beyond_doubles(value) and _is_text(_decoded(values.type)):
        return _compare_whole(_plain(values, ""), operator, value)
    values = _plain(values, value)
    if isinstance(value, bool) and (_is_text(values.type) or pa.types.is_floating(values.type)):
        found = _are(values, truth=value)
        return found if operator == "==" else _compute().invert(found)
    if isinstance(value, str) and _is_text(values.type) and is_of_times(operator, value):
        return _compare_times(values, operator, value)
    if pa.types.is_integer(values.type):
        return _compare_integers(values, operator, value)
    if pa.types.is_floating(values.type) and isinstance(value, int):
        return _compare_doubles(values, operator, value)
    return _call(values, operator, _scalar(values.type, value))


def beyond_doubles(value: Literal) -> bool:
    """Tell whether doubles skip whole numbers at a value, so that texts are not read as such."""
    return isinstance(value, int) and abs(value) >= EXACT


def is_of_times(operator: str, value: Literal) -> bool:
    """Tell whether a column of texts is compared with a value as one of dates and times.

    Only where the order is asked for, or for a time of the day, of which there are many spellings:
    any text may look like a date.
    """
    if not isinstance(value, str):
        return False
    return times.has_clock(value) if operator in ("==", "!=") else times.written(value) is not None


def contained(values: pa.Array, wanted: Sequence[Literal]) -> pa.Array:
    """Give true for each row whose value is among some, null where the row has none."""
    found = compare(values, "==", wanted[0]) if wanted else None
    if found is None:
        return _constant(values, truth=False)
    if len(wanted) == 1:
        return found
    plain = _plain(values, wanted[0])
    texts = [value for value in wanted if isinstance(value, str)]
    if _is_text(plain.type) and len(texts) == len(wanted) and not any(map(times.has_clock, texts)):
        return _among(plain, texts, lower=False)
    for value in wanted[1:]:
        found = _compute().or_kleene(found, compare(values, "==", value))
    return found


def key_of(low: Any, value: Literal) -> Any:
    """Give a value as what the ranges that a file keeps of its columns are compared with.

    Raises
    ------
    TypeError, ValueError
        They are not compared.

    """
    if isinstance(low, dt.date) and isinstance(value, str):
        return dt.date.fromisoformat(value)
    if isinstance(low, Decimal) and not isinstance(value, str):
        return Decimal(str(value))
    if isinstance(low, str) != isinstance(value, str):
        raise TypeError(value)
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(value)
    return value


def _plain(values: pa.Array, value: Literal) -> pa.Array:
    """Give a column without dictionary, and text as numbers where it is compared with one."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return values.cast(pa.string() if isinstance(value, str | bool) else pa.float64())
    if pa.types.is_float16(values.type):
        return values.cast(pa.float64())
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    if _is_text(values.type) and not isinstance(value, str | bool):
        return _numbers(values)
    return values


def _are(values: pa.Array, *, truth: bool) -> pa.Array:
    """Mark what spells a truth, in words or as 1 and 0; what spells neither is refused."""
    pc = _compute()
    if _is_text(values.type):
        found, other = (_among(values, TRUTHS[one]) for one in (truth, not truth))
    else:
        found, other = (_call(values, "==", pa.scalar(float(o))) for o in (truth, not truth))
    row = pc.index(pc.or_(found, other), pa.scalar(False)).as_py()  # noqa: FBT003
    if row >= 0:
        raise TextError(row, str(values[row]), "true or false")
    return found


def _compare_times(texts: pa.Array, operator: str, value: str) -> pa.Array:
    """Compare texts with a date or a time; without a zone it is one of each text's own.

    A text that is none is not equal to it, and has no place in an order.
    """
    moment = dt.datetime.fromisoformat(value)
    zoned, same = moment.tzinfo is not None, operator in ("==", "!=")
    scalar = pa.scalar(times.on_clock(moment, zoned=zoned), pa.timestamp("us"))
    found = _call(times.times_of(texts, zoned=zoned, strict=not same), operator, scalar)
    if not same:
        return found
    return _compute().coalesce(found, _constant(texts, truth=operator == "!="))


def _compare_whole(texts: pa.Array, operator: str, value: int) -> pa.Array:
    """Compare texts with a whole number that doubles cannot tell from its neighbours."""
    try:
        return _compare_integers(texts.cast(pa.int64()), operator, value)
    except pa.ArrowException:  # some are no integers, or beyond the type
        found = []
    for row, text in enumerate(texts.to_pylist()):
        read = None if text is None else numerals.number(text)
        if text is not None and read is None:
            raise TextError(row, text)
        found.append(None if read is None else OPERATORS[operator](read, value))
    return pa.array(found, pa.bool_())


def _compare_doubles(values: pa.Array, operator: str, value: int) -> pa.Array:
    """Compare doubles with a whole number that may lie between two of them."""
    try:
        near = float(value)
    except OverflowError:
        near = math.inf if value > 0 else -math.inf
    if near != value:
        if operator in ("==", "!="):
            return _constant(values, truth=operator == "!=")
        low = near < value
        operator = operator[0] + "=" * (low == (operator[0] == "<"))
    return _call(values, operator, pa.scalar(near))


def _numbers(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(pa.float64())
    except pa.ArrowException:
        for row, text in enumerate(texts.to_pylist()):
            try:
                pa.array([text], texts.type).cast(pa.float64())
            except pa.ArrowException:
                raise TextError(row, text) from None
        raise


def _compare_integers(values: pa.Array, operator: str, value: Literal) -> pa.Array:
    """Compare integers with a number that may be none, or beyond the type."""
    if isinstance(value, bool | str):
        raise TypeError(value)
    info = np.iinfo(str(values.type))
    if isinstance(value, float) and not math.isfinite(value):
        whole, beyond = 0, True
    else:
        whole = math.floor(value)
        beyond = not info.min <= whole <= info.max
    if beyond:
        true = ("<", "<=", "!=") if value > 0 else (">", ">=", "!=")
        return _constant(values, truth=operator in true)
    if whole != value:
        if operator in ("==", "!="):
            return _constant(values, truth=operator == "!=")
        operator = "<=" if operator in ("<", "<=") else ">"
    return _call(values, operator, pa.scalar(whole, values.type))


def _scalar(kind: pa.DataType, value: Literal) -> pa.Scalar:
    """Give a value as one that the column can be compared with exactly."""
    types = pa.types
    if types.is_boolean(kind) and isinstance(value, bool):
        return pa.scalar(value)
    if _is_text(kind) and isinstance(value, str):
        return pa.scalar(value, pa.string()).cast(kind)
    if isinstance(value, str | bool):
        if isinstance(value, bool) or not types.is_temporal(kind) or types.is_duration(kind):
            raise TypeError(value)
        return _time(kind, value)
    if types.is_decimal(kind):
        return pa.scalar(Decimal(str(value)))
    if types.is_floating(kind) and float(value) == value:
        return pa.scalar(float(value))
    raise TypeError(value)


def _time(kind: pa.DataType, text: str) -> pa.Scalar:
    """Read a date or a time; without a zone it is one of the column's own."""
    if not pa.types.is_timestamp(kind):
        return pa.scalar(text).cast(kind)
    moment = dt.datetime.fromisoformat(text)
    naive = pa.scalar(moment.replace(tzinfo=None), pa.timestamp("us"))
    if kind.tz is None:
        if moment.tzinfo is not None:
            raise ValueError(text)
        return naive
    if moment.tzinfo is not None:
        return pa.scalar(moment.astimezone(dt.UTC), pa.timestamp("us", kind.tz))
    return _compute().assume_timezone(naive, kind.tz)


def _call(values: pa.Array, operator: str, scalar: pa.Scalar) -> pa.Array:
    names = {"==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal"}
    names |= {">": "greater", ">=": "greater_equal"}
    return _compute().call_function(names[operator], [values, scalar])


def _among(values: pa.Array, wanted: Sequence[str], *, lower: bool = True) -> pa.Array:
    texts = _compute().utf8_lower(values) if lower else values
    found = _compute().is_in(texts, pa.array(wanted, pa.string()).cast(values.type))
    return _compute().if_else(values.is_valid(), found, pa.scalar(None, pa.bool_()))


def _constant(values: pa.Array, *, truth: bool) -> pa.Array:
    """Give the same for each row, null where it has no value."""
    return _compute().if_else(values.is_valid(), pa.scalar(truth), pa.scalar(None, pa.bool_()))


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    tests = types.is_string, types.is_large_string, types.is_string_view
    return any(test(kind) for test in tests)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return any(test(kind) for test in (types.is_integer, types.is_floating, types.is_decimal))


def _compute() -> Any:
    import pyarrow.compute as pc  # takes long to import, and is needed by filters alone

    return pc
