"""Exact sums of doubles and of products of two: the same integer for any order, cut and merge.

Every finite double is a whole multiple of 2**-1074 and every product of two a multiple of its
square, so a sum is a whole number of such units, kept as a Python integer. A chunk gets there by
folds: adding ``1.5 * 2**(k + 52)`` rounds every value to a multiple of ``2**k`` and leaves that
multiple in the low bits of the result, where plain 64-bit integer addition sums them exactly; what
the rounding left over is exact too and goes into the next, finer fold (pre-rounding after Rump,
Ogita and Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31, 2008, and Demmel and
Nguyen, "Parallel reproducible summation", IEEE Trans. Comput. 64, 2015). Two folds take in nearly
every value of a chunk, so the loop goes on with the few that have digits left.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

SMALLEST = -1074
"""Exponent of the smallest positive double."""
UNIT = 2 * SMALLEST
"""Sums are counted in units of 2**UNIT, fine enough for every product of two doubles."""
HUGE = 2.0**960
"""Values from here on would overflow the folding constant; they are added one by one."""
FLUSH = 512
"""How many folds of grouped sums fit into 64-bit integers together."""
SPLIT = 134217729.0
"""Dekker's constant 2**27 + 1: cuts a double into two halves of at most 26 bits."""
TINY, LARGE = 2.0**-480, 2.0**480
"""Between them the error of a product is a double too; other products are made one by one."""


class ExactSum:
    """Exact sums of finite doubles, one per group: a commutative monoid under `merge`."""

    def __init__(self, groups: int = 1) -> None:
        """Start with the empty sum in every group."""
        self._totals = np.zeros(groups, dtype=object)
        self._pending: dict[int, npt.NDArray[np.int64]] = {}
        self._folds = 0

    @property
    def units(self) -> npt.NDArray[np.object_]:
        """The sums as Python integers in units of 2**UNIT, shape ``(groups,)``."""
        self._settle()
        return self._totals

    def fraction(self, group: int = 0) -> Fraction:
        """Give one group's sum."""
        return Fraction(int(self.units[group]), 1 << -UNIT)

    def add(self, values: Array, codes: Codes | None = None) -> None:
        """Add values of shape ``(rows,)``, each to the group its code names, else to group 0."""
        if not len(values):
            return
        size = _size(values)
        if size >= HUGE:
            huge = np.abs(values) >= HUGE
            for row in np.flatnonzero(huge):
                units = _as_units(float(values[row])) << -SMALLEST
                self._totals[0 if codes is None else codes[row]] += units
            values = np.where(huge, 0.0, values)
            size = _size(values)
        if size > 0.0:
            self._fold(values, codes, math.frexp(size)[1])

    def add_products(self, a: Array, b: Array, codes: Codes | None = None) -> None:
        """Add ``a * b`` row by row, as the rounded product and its error (Dekker 1971)."""
        if not len(a):
            return
        if not (_is_near(a) and (b is a or _is_near(b))):
            a, b = self._add_far_products(a, b, codes)
        product = a * b
        a_high, b_high = _high_half(a), _high_half(b)
        a_low, b_low = a - a_high, b - b_high
        error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
        self.add(product, codes)
        self.add(error, codes)

    def merge(self, other: ExactSum, groups: Codes | None = None) -> None:
        """Add another sum; its group ``i`` goes to this one's group ``groups[i]``."""
        self._totals[slice(None) if groups is None else groups] += other.units

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - len(self._totals)
        self._totals = np.concatenate([self.units, np.zeros(more, dtype=object)])

    def _fold(self, values: Array, codes: Codes | None, exponent: int) -> None:
        """Fold values below ``2**exponent`` until nothing is left of them."""
        # A fold's integers are at most 2**bits, so that the sum of all of them fits. By group, a
        # coarse grid of exponents lets pending sums share; rounding onto it takes up to 7 bits.
        grid = 1 if codes is None else 8
        room = 62 if codes is None else 53 - (grid - 1)
        bits = min(51, room - len(values).bit_length())
        rest, rounded = values, np.empty_like(values)
        while True:
            exponent -= bits
            exponent = max(exponent - exponent % grid, SMALLEST)
            shift = math.ldexp(1.5, exponent + 52)
            np.add(rest, shift, out=rounded)
            if codes is None:
                self._take_all(rounded, shift, exponent)
                rounded -= shift
            else:
                rounded -= shift
                self._take_groups(rounded, codes, exponent)
            if exponent == SMALLEST:
                return
            if rest is values:
                rest = values - rounded
                continue
            left = np.flatnonzero(rest != rounded)
            if not len(left):
                return
            rest = rest[left] - rounded[left]
            codes = None if codes is None else codes[left]
            rounded = np.empty_like(rest)

    def _take_all(self, rounded: Array, shift: float, exponent: int) -> None:
        """Sum the integers in the low bits of the shifted values; overflow wraps out again."""
        constant = int(np.float64(shift).view(np.int64))
        count = int(rounded.view(np.int64).sum()) - len(rounded) * constant
        self._totals[0] += ((count + 2**63) % 2**64 - 2**63) << (exponent - UNIT)

    def _take_groups(self, rounded: Array, codes: Codes, exponent: int) -> None:
        """Sum multiples of ``2**exponent`` by group; no partial sum needs more than 53 bits."""
        sums = np.bincount(codes, weights=rounded, minlength=len(self._totals))
        counts = np.ldexp(sums, -exponent).astype(np.int64)
        if exponent in self._pending:
            self._pending[exponent] += counts
        else:
            self._pending[exponent] = counts
        self._folds += 1
        if self._folds >= FLUSH:
            self._settle()

    def _settle(self) -> None:
        """Carry what is pending in machine integers over to the totals."""
        for exponent, counts in self._pending.items():
            for group in np.flatnonzero(counts):
                self._totals[group] += int(counts[group]) << (exponent - UNIT)
        self._pending.clear()
        self._folds = 0

    def _add_far_products(self, a: Array, b: Array, codes: Codes | None) -> tuple[Array, Array]:
        """Add the products whose error is no double one by one, and take them out."""
        far = ((a != 0.0) & (b != 0.0)) & ~(_near(a) & _near(b))
        for row in np.flatnonzero(far):
            units = _as_units(float(a[row])) * _as_units(float(b[row]))
            self._totals[0 if codes is None else codes[row]] += units
        kept = np.where(far, 0.0, a)
        return kept, kept if b is a else np.where(far, 0.0, b)


def _as_units(value: float) -> int:
    """Give a finite double as a whole number of units of 2**SMALLEST."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator << -SMALLEST) // denominator


def _size(values: Array) -> float:
    """Give the largest magnitude."""
    return max(-float(values.min()), float(values.max()))


def _high_half(values: Array) -> Array:
    spread = SPLIT * values
    return spread - (spread - values)


def _near(values: Array) -> npt.NDArray[np.bool_]:
    sizes = np.abs(values)
    return (sizes >= TINY) & (sizes < LARGE)


def _is_near(values: Array) -> bool:
    """Tell whether every value that is not zero lies between TINY and LARGE."""
    sizes = np.abs(values)
    if sizes.max() >= LARGE:
        return False
    return bool(sizes.min() >= TINY or ((sizes == 0.0) | (sizes >= TINY)).all())
