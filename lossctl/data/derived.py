"""Derived columns to slice by: ranges of a column's numbers, and parts of its dates and times."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import pyarrow as pa

from lossctl.data.comparing import compare
from lossctl.data.source import Source
from lossctl.data.times import times_of
from lossctl.errors import ColumnError, UsageError, did_you_mean

PARTS = ("year", "quarter", "month", "week", "day", "hour", "weekday")
"""Calendar periods, the hour of the day and the day of the week."""
DAYS = ("1 Monday", "2 Tuesday", "3 Wednesday", "4 Thursday", "5 Friday", "6 Saturday", "7 Sunday")
UNITS = {"year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day"}
MOST_EDGE = 2.0**53
"""Edges beyond it are refused: doubles skip whole numbers there."""


class Derived(str):
    """What rows are sliced by instead of a column: the text is its title, ``age:10,20``."""

    __slots__ = ("column", "edges", "part")

    column: str
    edges: tuple[float, ...]
    """Ascending ends of ranges; none for a part of a time."""
    part: str
    """One of `PARTS`; empty for ranges."""

    def __new__(cls, column: str, edges: Sequence[float] = (), part: str = "") -> Self:
        """Make a title of the column and of what is taken of it."""
        shown = part or ",".join(_shown(float(edge)) for edge in edges)
        made = super().__new__(cls, f"{column}:{shown}")
        made.column, made.edges, made.part = column, tuple(map(float, edges)), part
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Give what makes it anew from its bytes."""
        return self.column, self.edges, self.part

    def values(self, column: pa.Array) -> pa.Array:
        """Give what rows are sliced by: a text, or the number of a range; null stays null.

        Raises
        ------
        TextError
            A text is no number, or no date.

        """
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        return self._ranges(column) if self.edges else self._periods(column)

    def label(self, value: Any) -> Any:
        """Give a value as it is shown."""
        if not self.edges or not isinstance(value, int):
            return value
        texts = [_shown(edge) for edge in self.edges]
        if value == 0:
            return f"<{texts[0]}"
        if value > len(texts):
            return "nan"
        return f">={texts[-1]}" if value == len(texts) else f"[{texts[value - 1]}, {texts[value]})"

    def check(self, source: Source) -> None:
        """Refuse a column of another kind.

        Raises
        ------
        ColumnError
            It holds no numbers, or no dates.

        """
        kind = source.types[self.column]
        if kind is None:
            return
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        number = number or pa.types.is_decimal(kind) or pa.types.is_null(kind)
        date = pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (number if self.edges else date or text):
            needed = "numbers" if self.edges else "dates or times"
            raise ColumnError(f"--by {self}: the column {self.column!r} holds {kind}, not {needed}")

    def _ranges(self, column: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        numbers = pc.cast(compare(column, ">=", self.edges[0]), pa.int32())
        for edge in self.edges[1:]:
            numbers = pc.add(numbers, pc.cast(compare(column, ">=", edge), pa.int32()))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.float64())
        if pa.types.is_floating(column.type):
            odd = pa.scalar(len(self.edges) + 1, pa.int32())
            numbers = pc.if_else(pc.is_nan(column), odd, numbers)
        return numbers

    def _periods(self, column: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        times = _times(column)
        if self.part == "hour":
            return pc.hour(times)
        if self.part == "weekday":
            starts = pc.day_of_week(times, count_from_zero=True, week_start=1).dictionary_encode()
            names = [DAYS[day] for day in starts.dictionary.to_pylist()]
        else:
            floors = pc.floor_temporal(times, unit=UNITS[self.part], week_starts_monday=True)
            starts = floors.dictionary_encode()
            whole = starts.dictionary.cast(pa.timestamp("s")).to_pylist()
            names = [_name(self.part, day) for day in whole]
        return pa.DictionaryArray.from_arrays(starts.indices, pa.array(names, pa.string()))


def parse_slicing(text: str, sources: Sequence[Source]) -> tuple[str, ...]:
    """Read what rows are sliced by: columns between commas, ranges and parts behind a colon.

    A number behind a comma belongs to the ranges before it; a name is taken as it stands first.

    Raises
    ------
    UsageError, ColumnError
        A part is unknown, the ends of ranges do not ascend, or a column is of another kind.

    """
    names = {name for source in sources for name in source.names}
    if text in names:
        return (text,)
    pieces: list[str] = []
    for piece in map(str.strip, text.split(",")):
        is_edge = _number(piece) is not None
        if is_edge and pieces and _number(pieces[-1].rpartition(":")[2].split(",")[-1]) is not None:
            pieces[-1] += f",{piece}"
        else:
            pieces.append(piece)
    return tuple(_parse_piece(piece, names, sources) for piece in pieces)


def _parse_piece(piece: str, names: set[str], sources: Sequence[Source]) -> str:
    column, colon, rest = (part.strip() for part in piece.rpartition(":"))
    if piece in names or not colon:
        return piece
    if column not in names:
        raise ColumnError(f"no column {column!r} to slice by", hint=did_you_mean(column, names))
    numbers = [_number(text) for text in rest.split(",")]
    edges = [number for number in numbers if number is not None]
    if rest in PARTS:
        derived = Derived(column, part=rest)
    elif len(edges) == len(numbers):
        derived = Derived(column, _ascending(piece, edges))
    else:
        hint = did_you_mean(rest, PARTS) or f"numbers between commas, or {', '.join(PARTS)}"
        raise UsageError(f"--by {piece}: {rest!r} is no part of a column", hint=hint)
    for source in sources:
        if column in source.names:
            derived.check(source)
    return derived


def column_of(name: str) -> str:
    """Give the column behind what rows are sliced by."""
    return name.column if isinstance(name, Derived) else name


def _shown(edge: float) -> str:
    return str(int(edge)) if edge.is_integer() and abs(edge) <= MOST_EDGE else repr(edge)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _ascending(piece: str, edges: list[float]) -> list[float]:
    if any(a >= b for a, b in pairwise(edges)):
        hint = "as in --by age:10,20,40"
        raise UsageError(f"--by {piece}: the ends of ranges must ascend", hint=hint)
    if max(map(abs, edges)) > MOST_EDGE:
        raise UsageError(f"--by {piece}: the ends of ranges must be within 2**53")
    return edges


def _times(column: pa.Array) -> pa.Array:
    """Give a column as times, in its own zone where it has one."""
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        return column if kind.tz is None else pc.local_timestamp(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return times_of(column)
    return column.cast(pa.timestamp("ms"))


def _name(part: str, day: dt.datetime) -> str:
    """Name the calendar period that starts on a day."""
    if part == "year":
        return f"{day.year:04}"
    if part == "quarter":
        return f"{day.year:04}-Q{(day.month + 2) // 3}"
    if part == "month":
        return f"{day.year:04}-{day.month:02}"
    if part == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return day.date().isoformat()
