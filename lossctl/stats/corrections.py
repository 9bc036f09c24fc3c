"""Corrections of p-values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust after Holm (1979), which bounds the chance of any false finding."""
    count, worst = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, i in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        worst = max(worst, min((count - rank) * p_values[i], 1.0))
        adjusted[i] = worst
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust after Benjamini and Hochberg (1995), which bounds the share of false findings."""
    count, best = len(p_values), 1.0
    adjusted = [0.0] * count
    for rank, i in enumerate(sorted(range(count), key=lambda i: -p_values[i])):
        best = min(best, p_values[i] * count / (count - rank))
        adjusted[i] = best
    return adjusted


def correct(p_values: Sequence[float | None], how: str) -> list[float | None]:
    """Adjust by name, ``none``, ``holm`` or ``bh``; undefined ones are no tests."""
    known = [p for p in p_values if p is not None]
    rules = {"holm": holm, "bh": benjamini_hochberg}
    adjusted = iter(rules[how](known) if how in rules else known)
    return [None if p is None else next(adjusted) for p in p_values]
