"""Fingerprints: what tells whether two runs saw the same rows, in whatever order and files.

Each row is hashed by the exact bits of its values, and the hashes are added up, so that neither
the order of the rows nor the cut changes anything. Two sums of 64 bits, of hashes that start from
different seeds, make it as unlikely that other rows have the same fingerprint as a digest of 128
bits does. It tells accidents, not an adversary.

The mixing is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014), a bijection in which every bit reaches every other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Lanes = tuple[Hashes, Hashes]

STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
SEEDS = (np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344))
"""Bits of pi, one start for each lane."""


def mix(values: Hashes) -> Hashes:
    """Spread each value over all 64 bits by the finaliser of SplitMix64."""
    values = values + STEP
    values ^= values >> np.uint64(30)
    values *= FIRST
    values ^= values >> np.uint64(27)
    values *= SECOND
    values ^= values >> np.uint64(31)
    return values


def bits(values: Array) -> Hashes:
    """Give the bits of each value; both zeros have the same, and so has every NaN."""
    plain = np.where(np.isnan(values), np.nan, values) + 0.0
    return plain.view(np.uint64)


class Fingerprint:
    """The sum of the hashes of all rows: a commutative monoid."""

    def __init__(self, rows: int = 0, sums: tuple[int, int] = (0, 0)) -> None:
        """Start with no rows, or with what another holds."""
        self.rows, self.sums = rows, sums

    def add(self, rows: int, columns: Sequence[Hashes]) -> None:
        """Add rows, each value as 64 bits: arrays of shape ``(rows,)``, in a fixed order."""
        sums = []
        for seed, before in zip(SEEDS, self.sums, strict=True):
            hashed = np.full(rows, seed)
            for column in columns:
                hashed = mix(hashed ^ column)
            sums.append((before + int(hashed.sum(dtype=np.uint64))) % (1 << 64))
        self.rows += rows
        self.sums = sums[0], sums[1]

    def merge(self, other: Fingerprint) -> None:
        """Add the rows of another."""
        self.rows += other.rows
        first, second = (
            (mine + theirs) % (1 << 64) for mine, theirs in zip(self.sums, other.sums, strict=True)
        )
        self.sums = first, second

    def __str__(self) -> str:
        """Write it as text that can be compared."""
        return f"rows{self.rows}:{self.sums[0]:016x}{self.sums[1]:016x}"


def of_lists(values: Array, offsets: npt.NDArray[np.int64]) -> Hashes:
    """Hash rows of any length by their values in order."""
    lengths = np.diff(offsets)
    place = np.arange(len(values), dtype=np.int64) - np.repeat(offsets[:-1], lengths)
    hashed = mix(mix(place.astype(np.uint64)) ^ bits(values))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(hashed, dtype=np.uint64)])
    return mix((sums[offsets[1:]] - sums[offsets[:-1]]) ^ lengths.astype(np.uint64))
