"""Numerals: what counts as a number in text, the same as for the parser of CSV files."""

from __future__ import annotations


def number(text: str) -> int | float | None:
    """Read a number; None when the text is none. Integers stay exact."""
    # Python would also take 1_000, digits of any script, and line breaks around a number.
    if "_" in text or not text.isascii() or text.strip(" \t") != text.strip():
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def same(a: object, b: object) -> bool:
    """Tell whether two values, as numbers or as their texts, are the same number."""
    x, y = (number(value) if isinstance(value, str) else value for value in (a, b))
    if not (isinstance(x, int | float) and isinstance(y, int | float)):
        return False
    return x == y or (x != x and y != y)  # noqa: PLR0124 - NaN differs from itself
