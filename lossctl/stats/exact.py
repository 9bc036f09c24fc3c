"""Exact sums of doubles and of products of two: the same integer for any order, cut and merge.

Every finite double is a whole multiple of 2**-1074 and every product of two a multiple of its
square, so a sum is a whole number of such units, kept as a Python integer. A chunk gets there by
folds: adding ``1.5 * 2**(k + 52)`` rounds every value to a multiple of ``2**k`` and leaves that
multiple in the low bits of the result, where plain 64-bit integer addition sums them exactly; what
the rounding left over is exact too and goes into the next, finer fold (pre-rounding after Rump,
Ogita and Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31, 2008, and Demmel and
Nguyen, "Parallel reproducible summation", IEEE Trans. Comput. 64, 2015). The least magnitude tells
how far down digits can go; two folds reach that in nearly every chunk.
"""

from __future__ import annotations

import itertools
import math
import struct
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Extent = tuple[float, float]

SMALLEST = -1074
"""Exponent of the smallest positive double."""
UNIT = 2 * SMALLEST
"""Sums are counted in units of 2**UNIT, fine enough for every product of two doubles."""
GRID = 4
"""Exponents of folds by group are multiples of it, so that chunks add to the same few counters."""
SURE = 3
"""Folds that are made without looking at what is left in between."""
HUGE = 2.0**960
"""Values from here on would overflow the folding constant; they are added one by one."""
SPLIT = 134217729.0
"""Dekker's constant 2**27 + 1: cuts a double into two halves of at most 26 bits."""
TINY, LARGE = 2.0**-480, 2.0**480
"""Between them the error of a product is a double too; other products are made one by one."""


class ExactSum:
    """Exact sums of finite doubles, one per group: a commutative monoid under `merge`."""

    def __init__(self, groups: int = 1, unit: int = UNIT) -> None:
        """Start with the empty sum in every group, counted in units of ``2**unit``."""
        self.unit = unit
        self.groups = groups
        self._totals: dict[int, int] = {}
        """Group to its sum in units; absent where nothing was added but to the counters."""
        self._counters: dict[int, Integers] = {}
        """Exponent of a fold to the upper and lower 32 bits of its sums, shape ``(2, groups)``."""

    @property
    def units(self) -> npt.NDArray[np.object_]:
        """The sums as Python integers in units of ``2**unit``, shape ``(groups,)``."""
        self._empty_counters()
        units = np.zeros(self.groups, dtype=object)
        for group, total in self._totals.items():
            units[group] = total
        return units

    def total(self, group: int = 0) -> int:
        """Give one group's sum in units of ``2**unit``."""
        self._empty_counters()
        return self._totals.get(group, 0)

    def fraction(self, group: int = 0) -> Fraction:
        """Give one group's sum."""
        return Fraction(self.total(group), 1 << -self.unit)

    def add(
        self, values: Array, segments: Segments | None = None, *, extent: Extent | None = None
    ) -> None:
        """Add values of shape ``(rows,)``, all to group 0 or by segments.

        ``extent`` is the least and the greatest of them, for callers who know it.
        """
        if not len(values):
            return
        segments = segments or Segments.single(len(values))
        span = _span(values, extent)
        if span.greatest >= HUGE:
            huge = np.abs(values) >= HUGE
            for row in np.flatnonzero(huge):
                units = as_units(float(values[row])) << (SMALLEST - self.unit)
                self.add_units(units, segments.group_of(int(row)))
            values = np.where(huge, 0.0, values)
            span = _span(values)
        if span.greatest:
            self._fold(values, segments, span.top, span.bottom)

    def add_products(self, a: Array, b: Array, segments: Segments | None = None) -> None:
        """Add ``a * b`` row by row, as the rounded product and its error (Dekker 1971)."""
        if not len(a):
            return
        segments = segments or Segments.single(len(a))
        spans = _span(a), _span(b)
        if not (_is_near(a, spans[0]) and _is_near(b, spans[1])):
            a, b = self._add_far_products(a, b, segments)
            spans = _span(a), _span(b)
        self._add_rounded(*split_product(a, b), segments, *spans)

    def add_squares(
        self, values: Array, segments: Segments | None = None, *, extent: Extent | None = None
    ) -> None:
        """Add the square of each value, as the rounded square and its error.

        The same as the products with itself, in half the passes.
        """
        if not len(values):
            return
        segments = segments or Segments.single(len(values))
        span = _span(values, extent)
        if not _is_near(values, span):
            values, _ = self._add_far_products(values, values, segments)
            span = _span(values)
        square = values * values
        high = _high_half(values)
        low = values - high
        # error = ((high^2 - square) + 2 high low) + low^2
        error = high * high
        error -= square
        high += high
        high *= low
        error += high
        low *= low
        error += low
        self._add_rounded(square, error, segments, span, span)

    def _add_rounded(
        self, products: Array, errors: Array, segments: Segments, a: Span, b: Span
    ) -> None:
        """Add products of factors within two spans, and what rounding took from each of them."""
        span = Span(a.least * b.least, a.greatest * b.greatest)
        if not span.greatest:
            return
        self._fold(products, segments, span.top, span.bottom)
        # An error is at most half a unit in the last place of the greatest product.
        bottom = a.bottom + b.bottom if a.bottom is not None and b.bottom is not None else None
        self._fold(errors, segments, span.top - 53, bottom)

    def add_units(self, count: int, group: int = 0) -> None:
        """Add a whole number of units to one group."""
        self._totals[group] = self._totals.get(group, 0) + count

    def merge(self, other: ExactSum, groups: npt.NDArray[np.intp] | None = None) -> None:
        """Add another sum; its group ``i`` goes to this one's group ``groups[i]``."""
        into = np.arange(other.groups) if groups is None else groups
        for group, total in other._totals.items():
            self.add_units(total, int(into[group]))
        for exponent, counter in other._counters.items():
            mine = self._counter(exponent)
            np.add.at(mine[0], into, counter[0])
            np.add.at(mine[1], into, counter[1])

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more, self.groups = groups - self.groups, groups
        if not more:
            return
        self._counters = {
            exponent: np.pad(counter, ((0, 0), (0, more)))
            for exponent, counter in self._counters.items()
        }

    def _fold(self, values: Array, segments: Segments, top: int, bottom: int | None) -> None:
        """Fold values below ``2**top``, all of them multiples of ``2**bottom`` where that is known.

        A fold that reaches the bottom leaves nothing. Where that takes more than `SURE` of them, or
        nobody knows the bottom, the rest itself says how far down it is to the next digits.
        """
        # A fold's integers are at most 2**bits, so that the sum of all of them fits. Rounding the
        # exponent down to the grid takes some of the bits.
        grid = 1 if len(segments.starts) == 1 else GRID
        bits = min(51, 63 - len(values).bit_length()) - (grid - 1)
        sure = bottom is not None and top - bottom <= SURE * bits
        rest = values
        for fold in itertools.count():
            exponent = top - bits
            exponent = max(exponent - exponent % grid, SMALLEST)
            last = exponent == SMALLEST or (bottom is not None and exponent <= bottom)
            shift = math.ldexp(1.5, exponent + 52)
            rounded = np.add(rest, shift, out=rest if last and rest is not values else None)
            self._count(rounded, shift, segments, exponent)
            if last:
                return
            rounded -= shift
            rest = np.subtract(rest, rounded, out=rounded)
            if sure:
                top = exponent
                continue
            size = max(-float(rest.min()), float(rest.max()))
            if not size:
                return
            top = math.frexp(size)[1]
            if fold and 2 * len(left := np.flatnonzero(rest)) < len(rest):
                rest, segments = rest[left], segments.take(left)

    def _count(self, rounded: Array, shift: float, segments: Segments, exponent: int) -> None:
        """Sum the integers in the low bits of the shifted values; overflow wraps out again."""
        constant = int.from_bytes(struct.pack("<d", shift), "little")
        integers = rounded.view(np.int64)
        if len(segments.starts) == 1:
            count = int(np.add.reduce(integers)) - len(integers) * constant
            count = (count + (1 << 63)) % (1 << 64) - (1 << 63)
            self.add_units(count << (exponent - self.unit), int(segments.groups[0]))
            return
        counts = np.add.reduceat(integers, segments.starts)
        counts -= segments.counts * np.int64(constant)
        counter = self._counter(exponent)
        counter[0, segments.groups] += counts >> 32
        counter[1, segments.groups] += counts & 0xFFFFFFFF

    def _empty_counters(self) -> None:
        """Bring what was counted into the sums."""
        for exponent, (upper, lower) in self._counters.items():
            for group in np.flatnonzero(upper | lower).tolist():
                count = (int(upper[group]) << 32) + int(lower[group])
                self.add_units(count << (exponent - self.unit), group)
        self._counters.clear()

    def _counter(self, exponent: int) -> Integers:
        counter = self._counters.get(exponent)
        if counter is None:
            counter = np.zeros((2, self.groups), dtype=np.int64)
            self._counters[exponent] = counter
        return counter

    def _add_far_products(self, a: Array, b: Array, segments: Segments) -> tuple[Array, Array]:
        """Add the products whose error is no double one by one, and take them out."""
        far = ~(_near(a) & _near(b))  # zeros too, whatever stands beside them
        for row in np.flatnonzero(far & (a != 0.0) & (b != 0.0)):
            units = as_units(float(a[row])) * as_units(float(b[row])) << (UNIT - self.unit)
            self.add_units(units, segments.group_of(int(row)))
        kept = np.where(far, 0.0, a)
        return kept, kept if b is a else np.where(far, 0.0, b)


def split_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Give ``a * b`` row by row as the rounded product and its error (Dekker 1971).

    Both are doubles where `far_products` marks nothing.
    """
    product = a * b
    a_high, b_high = _high_half(a), _high_half(b)
    a_low, b_low = a - a_high, b - b_high
    # error = ((a_high b_high - product) + a_high b_low + a_low b_high) + a_low b_low
    error = a_high * b_high
    error -= product
    a_high *= b_low
    error += a_high
    b_high *= a_low
    error += b_high
    a_low *= b_low
    error += a_low
    return product, error


def far_products(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Mark the rows whose product may have an error that is no double."""
    if not len(a) or (_is_near(a, _span(a)) and _is_near(b, _span(b))):
        return np.zeros(len(a), dtype=np.bool_)
    near: npt.NDArray[np.bool_] = (_near(a) | (a == 0.0)) & (_near(b) | (b == 0.0))
    return ~near


def as_units(value: float) -> int:
    """Give a finite double as a whole number of units of 2**SMALLEST."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator << -SMALLEST) // denominator


class Span(NamedTuple):
    """The least and the greatest magnitude among some values."""

    least: float
    greatest: float

    @property
    def top(self) -> int:
        """An exponent whose power of two is above all of them."""
        return math.frexp(self.greatest)[1]

    @property
    def bottom(self) -> int | None:
        """An exponent whose power of two divides all of them; None where a 0 hides it."""
        return math.frexp(self.least)[1] - 53 if self.least else None


def _span(values: Array, extent: Extent | None = None) -> Span:
    """Find the span of some values, of which the least and the greatest may be known."""
    low, high = extent or (float(values.min()), float(values.max()))
    if low < 0.0 < high:
        return Span(float(np.abs(values).min()), max(-low, high))
    return Span(*sorted((abs(low), abs(high))))


def _high_half(values: Array) -> Array:
    spread = SPLIT * values
    return spread - (spread - values)


def _near(values: Array) -> npt.NDArray[np.bool_]:
    sizes = np.abs(values)
    return (sizes >= TINY) & (sizes < LARGE)


def _is_near(values: Array, span: Span) -> bool:
    """Tell whether every magnitude that is not zero lies between TINY and LARGE."""
    if span.greatest >= LARGE:
        return False
    if span.least >= TINY:
        return True
    sizes = np.abs(values)
    return bool(((sizes == 0.0) | (sizes >= TINY)).all())
