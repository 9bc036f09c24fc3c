"""Conditions: what a filter asks of a row, and of what a file says of rows that are not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from lossctl.data.comparing import Literal, compare, contained, is_of_times, key_of
from lossctl.data.faults import TextError
from lossctl.record import record

Values = Callable[[str], pa.Array]

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@record
class Range:
    """What a file says of the values of a column in some of its rows, without being read."""

    rows: int
    nulls: int | None
    """None where the file does not say."""
    low: Any = None
    """No value is below it; None where the file does not say."""
    high: Any = None


Ranges = Callable[[str], Range | None]


@record
class Comparison:
    """A column compared with a value, or with each of several by ``in``."""

    column: str
    operator: str
    values: tuple[Literal, ...]

    def evaluate(self, column: Values) -> pa.Array:
        """Give true, false or null for each row."""
        values = column(self.column)
        try:
            if self.operator == "in":
                return contained(values, self.values)
            return compare(values, self.operator, self.values[0])
        except TextError as error:
            error.column = self.column
            raise

    def may_hold(self, ranges: Ranges, *, negated: bool) -> bool:
        """Tell whether some row may make it true, or its opposite."""
        known = ranges(self.column)
        if known is None:
            return True
        if known.nulls == known.rows:
            return False
        if self.operator == "in":
            return negated or any(_may_be(known, "==", value) for value in self.values)
        # A NaN, which no range speaks of, makes the opposite of a comparison true.
        if negated and not isinstance(known.low, float):
            return _may_be(known, OPPOSITE[self.operator], self.values[0])
        return negated or _may_be(known, self.operator, self.values[0])


@record
class IsNull:
    """Whether a column has no value in a row."""

    column: str

    def evaluate(self, column: Values) -> pa.Array:
        """Give true or false for each row."""
        return column(self.column).is_null()

    def may_hold(self, ranges: Ranges, *, negated: bool) -> bool:
        """Tell whether some row may make it true, or its opposite."""
        known = ranges(self.column)
        if known is None or known.nulls is None:
            return True
        return known.nulls < known.rows if negated else known.nulls > 0


@record
class Not:
    """The opposite of a condition; unknown where the condition is."""

    part: Condition

    def evaluate(self, column: Values) -> pa.Array:
        """Give true, false or null for each row."""
        import pyarrow.compute as pc

        return pc.invert(self.part.evaluate(column))

    def may_hold(self, ranges: Ranges, *, negated: bool) -> bool:
        """Tell whether some row may make it true, or its opposite."""
        return self.part.may_hold(ranges, negated=not negated)


@record
class Joined:
    """Conditions of which all must hold, or any."""

    parts: tuple[Condition, ...]
    all: bool

    def evaluate(self, column: Values) -> pa.Array:
        """Give true, false or null for each row, by Kleene's logic."""
        import pyarrow.compute as pc

        join = pc.and_kleene if self.all else pc.or_kleene
        found, *others = (part.evaluate(column) for part in self.parts)
        for other in others:
            found = join(found, other)
        return found

    def may_hold(self, ranges: Ranges, *, negated: bool) -> bool:
        """Tell whether some row may make it true, or its opposite."""
        each = (part.may_hold(ranges, negated=negated) for part in self.parts)
        return all(each) if self.all != negated else any(each)


Condition = Comparison | IsNull | Not | Joined


def _holds(text: str, operator: str, value: Literal) -> bool:
    try:
        return bool(compare(pa.array([text]), operator, value)[0].as_py())
    except TextError:
        return True  # whoever reads the row tells what is wrong with it


def _may_be(known: Range, operator: str, value: Literal) -> bool:
    low, high = known.low, known.high
    if low is None or high is None:
        return True
    if isinstance(low, str) and is_of_times(operator, value):
        # Texts are in another order than the times that they tell.
        return bool(low != high) or _holds(low, operator, value)
    try:
        wanted = key_of(low, value)
        possible = {
            "<": low < wanted,
            "<=": low <= wanted,
            ">": high > wanted,
            ">=": high >= wanted,
            "==": low <= wanted <= high,
            "!=": isinstance(low, float) or not low == wanted == high,
        }
        return bool(possible[operator])
    except (TypeError, ValueError):
        return True
