"""Buckets: counts of values by the leading bits of the double itself, for quantiles.

Sign, exponent and the first `MANTISSA_BITS` bits of the mantissa name a bucket, so the buckets are
the same for any data, counts merge exactly in any order, and every value lies within
`RELATIVE_ERROR` of the middle of its bucket, or within 2**-1030 where it is subnormal.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.record import record
from lossctl.stats.exact import ExactSum
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Part = tuple[Integers, Integers, ExactSum | None]

MANTISSA_BITS = 8
RELATIVE_ERROR = 2.0 ** -(MANTISSA_BITS + 1)
SHIFT = 52 - MANTISSA_BITS
KEYS = 21
"""Bits of a bucket's number; a key is the group in the bits above and the number below."""
NEGATIVE = 1 << (KEYS - 2)
"""Added to the number of a bucket of negative values, which count away from zero."""
PENDING = 32
"""Chunks whose counts wait to be joined."""


@record
class Bin:
    """A range of values and how many lie in it; the end nearer to zero belongs to it."""

    low: float
    high: float
    count: int
    weight: Fraction | None = None
    """Sum of the weights of the values; None where they have none."""

    def joined(self, higher: Bin) -> Bin:
        """Give the range of this bin and of a higher one."""
        weight = None if self.weight is None else self.weight + (higher.weight or 0)
        return Bin(self.low, higher.high, self.count + higher.count, weight)

    @property
    def mass(self) -> Fraction | int:
        """The weight, or the count where there are no weights."""
        return self.count if self.weight is None else self.weight


class Buckets:
    """Counts by group and bucket, and exact sums of weights: a commutative monoid under `merge`."""

    def __init__(self, *, weighted: bool = False) -> None:
        """Start with no values."""
        self.weighted = weighted
        self._parts: list[Part] = []
        """Keys, counts and weights, in no order; `table` joins them."""
        self._joined = False

    def add(self, values: Array, segments: Segments, weights: Array | None = None) -> None:
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
        if weights is not None:
            groups = np.repeat(segments.groups, segments.counts).astype(np.int64)
            keys, where, counts = np.unique(
                (groups << KEYS) + numbers, return_inverse=True, return_counts=True
            )
            arranged, order = Segments.arrange(where)
            sums = ExactSum(len(keys))
            sums.add(weights[order], arranged)
            self.add_counts(keys, counts, sums)
        elif len(segments.starts) == 1:
            found, counts = _counted(numbers)
            self.add_counts(found + (int(segments.groups[0]) << KEYS), counts)
        else:
            groups = np.repeat(segments.groups, segments.counts).astype(np.int64)
            self.add_counts(*np.unique((groups << KEYS) + numbers, return_counts=True))

    def merge(self, other: Buckets, groups: npt.NDArray[np.intp] | None = None) -> None:
        """Add other counts; their group ``i`` goes to this one's group ``groups[i]``."""
        keys, counts = other.table
        if groups is not None:
            keys = (groups[keys >> KEYS].astype(np.int64) << KEYS) + (keys & ((1 << KEYS) - 1))
        self.add_counts(keys, counts, other.weights)

    @property
    def table(self) -> tuple[Integers, Integers]:
        """The keys in ascending order, and their counts."""
        return self._join()[:2]

    @property
    def weights(self) -> ExactSum | None:
        """The sum of the weights by place in `table`; None where values have none."""
        return self._join()[2]

    def _join(self) -> Part:
        if not self._joined:
            none = np.zeros(0, dtype=np.int64)
            keys = np.concatenate([none, *(keys for keys, _, _ in self._parts)])
            counts = np.concatenate([none, *(counts for _, counts, _ in self._parts)])
            joined, where = np.unique(keys, return_inverse=True)
            sums = np.zeros(len(joined), dtype=np.int64)
            np.add.at(sums, where, counts)
            weights = ExactSum(len(joined)) if self.weighted else None
            start = 0
            for part, _, theirs in self._parts:
                if weights is not None and theirs is not None:
                    weights.merge(theirs, where[start : start + len(part)])
                start += len(part)
            self._parts, self._joined = [(joined, sums, weights)], True
        return self._parts[0]

    def bins(self, group: int = 0) -> list[Bin]:
        """Give a group's buckets in ascending order of value."""
        keys, counts, weights = self._join()
        first, last = np.searchsorted(keys, [group << KEYS, (group + 1) << KEYS]).tolist()
        found = [
            _bin(
                int(keys[place]) - (group << KEYS),
                int(counts[place]),
                None if weights is None else weights.fraction(place),
            )
            for place in range(first, last)
        ]
        return sorted(found, key=lambda bin_: bin_.low)

    def quantile(self, share: float, group: int = 0) -> float | None:
        """Give the middle of the bucket that holds the least value not below a share of all."""
        bins = self.bins(group)
        # The share as it is written: 0.07 of 100 values is the 7th, whatever 0.07 is in binary.
        left = Fraction(repr(share)) * sum(bin_.mass for bin_ in bins)
        for bin_ in bins:
            left -= bin_.mass
            if left <= 0:
                return 0.5 * bin_.low + 0.5 * bin_.high
        return None

    def add_counts(self, keys: Integers, counts: Integers, weights: ExactSum | None = None) -> None:
        """Add counts and weights by key, as another's `table` holds them."""
        self._parts.append((keys, counts.astype(np.int64, copy=False), weights))
        self._joined = False
        if len(self._parts) > PENDING:
            self._join()


def _counted(numbers: Integers) -> tuple[Integers, Integers]:
    """Give the distinct numbers of buckets, and how often each occurs."""
    # The sign goes last, so that small and large values of both lie close together.
    signed = int(numbers.max()) >= NEGATIVE
    places = ((numbers & (NEGATIVE - 1)) << 1) + (numbers >= NEGATIVE) if signed else numbers
    low = int(places.min())
    counts = np.bincount(places - low)
    found = np.flatnonzero(counts)
    counts, found = counts[found], found + low
    return (found >> 1) + NEGATIVE * (found & 1) if signed else found, counts


def _bin(number: int, count: int, weight: Fraction | None) -> Bin:
    size = number % NEGATIVE
    near, far = (float(np.int64(n << SHIFT).view(np.float64)) for n in (size, size + 1))
    if size == 0:
        near = far = 0.0  # nothing but zero and numbers too small to tell from it
    if math.isinf(far):
        far = math.nextafter(math.inf, 0.0)
    low, high = (-far, -near) if number >= NEGATIVE else (near, far)
    return Bin(low, high, count, weight)
