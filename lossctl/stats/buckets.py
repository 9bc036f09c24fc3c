"""Buckets: counts of values by the leading bits of the double itself, for quantiles.

Sign, exponent and the first `MANTISSA_BITS` bits of the mantissa name a bucket, so the buckets are
the same for any data, counts merge exactly in any order, and every value lies within
`RELATIVE_ERROR` of the middle of its bucket, or within 2**-1030 where it is subnormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MANTISSA_BITS = 8
RELATIVE_ERROR = 2.0 ** -(MANTISSA_BITS + 1)
SHIFT = 52 - MANTISSA_BITS
KEYS = 21
"""Bits of a bucket's number; a key is the group in the bits above and the number below."""
NEGATIVE = 1 << (KEYS - 2)
"""Added to the number of a bucket of negative values, which count away from zero."""
PENDING = 32
"""Chunks whose counts wait to be joined."""


@dataclass(frozen=True)
class Bin:
    """A range of values and how many lie in it; the end nearer to zero belongs to it."""

    low: float
    high: float
    count: int


class Buckets:
    """Counts by group and bucket: a commutative monoid under `merge`."""

    def __init__(self) -> None:
        """Start with no values."""
        self._parts: list[tuple[Integers, Integers]] = []
        """Keys and counts, in no order; `table` joins them."""
        self._joined = False

    def add(self, values: Array, segments: Segments) -> None:
        """Count finite values of shape ``(rows,)``, arranged by segments."""
        if not len(values):
            return
        # Adding 0 makes -0 a 0; the sign bit then splits the buckets in two halves.
        bits = (values + 0.0).view(np.int64)
        negative = bits < 0
        if negative.any():
            numbers = ((bits & np.int64(2**63 - 1)) >> SHIFT) + NEGATIVE * negative
        else:
            numbers = bits >> SHIFT
        if len(segments.starts) == 1:
            low = int(numbers.min())
            counts = np.bincount(numbers - low)
            found = np.flatnonzero(counts)
            keys = found + (low + (int(segments.groups[0]) << KEYS))
            self.add_counts(keys, counts[found])
        else:
            groups = np.repeat(segments.groups, segments.counts).astype(np.int64)
            self.add_counts(*np.unique((groups << KEYS) + numbers, return_counts=True))

    def merge(self, other: Buckets, groups: npt.NDArray[np.intp] | None = None) -> None:
        """Add other counts; their group ``i`` goes to this one's group ``groups[i]``."""
        keys, counts = other.table
        if groups is not None:
            keys = (groups[keys >> KEYS].astype(np.int64) << KEYS) + (keys & ((1 << KEYS) - 1))
        self.add_counts(keys, counts)

    @property
    def table(self) -> tuple[Integers, Integers]:
        """The keys in ascending order, and their counts."""
        if not self._joined:
            none = np.zeros(0, dtype=np.int64)
            keys = np.concatenate([none, *(keys for keys, _ in self._parts)])
            counts = np.concatenate([none, *(counts for _, counts in self._parts)])
            joined, where = np.unique(keys, return_inverse=True)
            sums = np.zeros(len(joined), dtype=np.int64)
            np.add.at(sums, where, counts)
            self._parts, self._joined = [(joined, sums)], True
        return self._parts[0]

    def bins(self, group: int = 0) -> list[Bin]:
        """Give a group's buckets in ascending order of value."""
        keys, counts = self.table
        first, last = np.searchsorted(keys, [group << KEYS, (group + 1) << KEYS])
        numbers = keys[first:last] - (group << KEYS)
        found = [_bin(int(n), int(c)) for n, c in zip(numbers, counts[first:last], strict=True)]
        return sorted(found, key=lambda bin_: bin_.low)

    def quantile(self, share: float, group: int = 0) -> float | None:
        """Give the middle of the bucket that holds the least value not below a share of all."""
        bins = self.bins(group)
        # The share as it is written: 0.07 of 100 values is the 7th, whatever 0.07 is in binary.
        rank = max(1, math.ceil(Fraction(repr(share)) * sum(bin_.count for bin_ in bins)))
        for bin_ in bins:
            rank -= bin_.count
            if rank <= 0:
                return 0.5 * bin_.low + 0.5 * bin_.high
        return None

    def add_counts(self, keys: Integers, counts: Integers) -> None:
        """Add counts by key, as another's `table` holds them."""
        self._parts.append((keys, counts.astype(np.int64, copy=False)))
        self._joined = False
        if len(self._parts) > PENDING:
            _ = self.table


def _bin(number: int, count: int) -> Bin:
    size = number % NEGATIVE
    near, far = (float(np.int64(n << SHIFT).view(np.float64)) for n in (size, size + 1))
    if size == 0:
        near = far = 0.0  # nothing but zero and numbers too small to tell from it
    if math.isinf(far):
        far = math.nextafter(math.inf, 0.0)
    return Bin(-far, -near, count) if number >= NEGATIVE else Bin(near, far, count)
