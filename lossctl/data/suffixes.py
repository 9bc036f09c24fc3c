"""Suffixes: columns like ``p_cat, p_dog`` belong together by what follows their common stem.

Columns that fill two roles of one size are matched by suffix, never by where they stand: the
probability of ``p_dog`` is held against ``target_dog`` wherever that column is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lossctl.errors import ColumnError

CODINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "xyxy": (
        ("x1", "y1", "x2", "y2"),
        ("x0", "y0", "x1", "y1"),
        ("xmin", "ymin", "xmax", "ymax"),
        ("left", "top", "right", "bottom"),
    ),
    "xywh": (
        ("x", "y", "w", "h"),
        ("x", "y", "width", "height"),
        ("left", "top", "width", "height"),
    ),
    "cxcywh": (("cx", "cy", "w", "h"), ("cx", "cy", "width", "height")),
}
"""The suffixes of a box's columns in each coding, in its order."""


def suffixes(columns: Sequence[str], stem: str) -> tuple[str, ...]:
    """Give what follows a stem in each column; nothing when some column has another one."""
    if len(columns) < 2 or not all(name.lower().startswith(stem.lower()) for name in columns):
        return ()
    return tuple(name[len(stem) :].strip() for name in columns)


def in_order(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Give the positions that bring names into the wanted order; None when they are not the same.

    Raises
    ------
    ColumnError
        Some names are the same and some are not.

    """
    if set(names) == set(wanted):
        return [names.index(name) for name in wanted]
    if not set(names) & set(wanted):
        return None
    odd = ", ".join(sorted(set(names) ^ set(wanted)))
    raise ColumnError(
        f"the columns end in {', '.join(wanted)} and in {', '.join(names)}: {odd} has no match",
        hint="columns listed as a,b,c are taken in that order",
    )


def box_order(names: Sequence[str], coding: str) -> list[int] | None:
    """Give the positions that bring the columns of a box into the order of its coding.

    Raises
    ------
    ColumnError
        The names are those of another coding.

    """
    lower = [name.lower() for name in names]
    for known, orders in CODINGS.items():
        for order in orders:
            if set(order) != set(lower):
                continue
            if known != coding:
                message = f"the columns end in {', '.join(names)}, which is not the coding {coding}"
                raise ColumnError(message, hint=f"they are named as for format={known}")
            return [lower.index(name) for name in order]
    return None
