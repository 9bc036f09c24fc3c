"""Matching: where the keys of one table stand in another, as arrays and without sorting.

A multiplicative hash spreads the keys over a table of twice their number; a key that finds its
place taken goes into the next, smaller table. Consecutive whole numbers, the usual keys, hardly
ever collide there (Knuth, The Art of Computer Programming 3, section 6.4, Fibonacci hashing).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lossctl.record import record

Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Hashes = npt.NDArray[np.uint64]

MULTIPLIERS = (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
"""Odd, their bits without a pattern: the golden ratio, and two of widely used mixing functions."""
FEW = 64
"""Up to so many keys are found by sorting."""
NONE: Indices = np.zeros(0, dtype=np.intp)


@record
class Match:
    """What became of the keys of several tables."""

    rows: tuple[Indices, ...]
    """Rows of each table that belong together, in the order of the first table."""
    unmatched: tuple[Indices, ...]
    """Rows of each table whose key is not in every other, ascending."""
    repeated: tuple[Indices, ...]
    """Rows of each table that repeat the key of an earlier one, ascending."""


def match(keys: tuple[Integers, ...], known_bits: int = 0) -> Match:
    """Bring together the rows of equal keys.

    ``known_bits`` leading bits of the keys' first hash are the same for all of them.
    """
    first, *others = keys
    everywhere = np.ones(len(first), dtype=np.bool_)
    found: list[Indices] = []
    repeated = []
    for other in others:
        places, twice = find(other, first, known_bits)
        everywhere &= places >= 0
        found.append(places)
        repeated.append(repeats(other) if twice else NONE)
    rows = np.flatnonzero(everywhere)
    partners = found if len(rows) == len(first) else [places[rows] for places in found]
    unmatched = [np.flatnonzero(~everywhere)]
    for other, places in zip(others, partners, strict=True):
        lonely = np.ones(len(other), dtype=np.bool_)
        lonely[places] = False
        unmatched.append(np.flatnonzero(lonely))
    # Rows of the first table with equal keys have the same partner, or none.
    taken = len(others[0]) - len(unmatched[1])
    twice = taken < len(rows) or find(first[unmatched[0]], first[:0])[1]
    return Match(
        (rows, *partners),
        tuple(unmatched),
        (repeats(first) if twice else NONE, *repeated),
    )


def find(keys: Integers, wanted: Integers, known_bits: int = 0) -> tuple[Indices, bool]:
    """Give the place of each wanted key among the keys, -1 where it is not, and whether any repeat.

    Of equal keys any one is found.
    """
    return _find(keys, wanted, known_bits, 0)


def _find(keys: Integers, wanted: Integers, known_bits: int, depth: int) -> tuple[Indices, bool]:
    if len(keys) <= FEW or depth == len(MULTIPLIERS):
        return _find_by_sorting(keys, wanted)
    bits = len(keys).bit_length() + 1
    table = np.full(1 << bits, -1, dtype=np.int32)
    slots = _slots(keys, bits, known_bits, depth)
    numbers = np.arange(len(keys), dtype=np.int32)
    table[slots] = numbers
    holders = table[slots]
    lost = np.flatnonzero(holders != numbers)
    found = table[_slots(wanted, bits, known_bits, depth)]
    # An empty slot says -1, the last key; that one's slot is not empty, so it cannot be wanted.
    hit = keys[found] == wanted
    if not len(lost):
        return (found if hit.all() else np.where(hit, found, -1)).astype(np.intp), False
    places = np.where(hit, found, -1).astype(np.intp)
    twice = keys[holders[lost]] == keys[lost]
    lost = lost[~twice]
    missed = np.flatnonzero(~hit)
    if len(lost):
        rest, again = _find(keys[lost], wanted[missed], 0, depth + 1)
        places[missed] = np.where(rest >= 0, lost[rest], -1)
        return places, again or bool(twice.any())
    return places, bool(twice.any())


def _slots(keys: Integers, bits: int, known_bits: int, depth: int) -> Integers:
    hashed = spread(keys, depth)
    if known_bits:
        hashed <<= np.uint64(known_bits)
    hashed >>= np.uint64(64 - bits)
    return hashed.view(np.int64)


def spread(keys: Integers, depth: int = 0) -> Hashes:
    """Hash keys; the leading bits are the best ones."""
    bits = keys.view(np.uint64)
    if depth:
        bits = bits ^ (bits >> np.uint64(32))
    return bits * np.uint64(MULTIPLIERS[depth])


def _find_by_sorting(keys: Integers, wanted: Integers) -> tuple[Indices, bool]:
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.intp), False
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    at = np.searchsorted(ordered, wanted)
    at[at == len(keys)] = 0
    places = np.where(ordered[at] == wanted, order[at], -1)
    return places, bool((ordered[1:] == ordered[:-1]).any())


def repeats(keys: Integers) -> Indices:
    """Give the rows that repeat the key of an earlier row, ascending."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    return np.sort(order[1:][ordered[1:] == ordered[:-1]])
