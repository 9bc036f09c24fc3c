"""Pruning: leaving out of a file what its own statistics say that a filter cannot keep.

A Parquet file tells the least and the greatest value and the number of nulls of each column in each
row group. Rows of which it follows that none matches are counted and never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossctl.data.source import Fragment, format_of
from lossctl.data.where import Where

Piece = tuple[tuple[Fragment, ...], bool]
"""Fragments to be read in step, and whether all of their rows are to be left out unread."""


def prune(fragments: tuple[Fragment, ...], source: int, where: Where) -> list[Piece]:
    """Cut fragments that are read in step where rows begin or end that cannot match.

    ``source`` is the number of the first one's source.
    """
    gone = _united(
        span
        for number, fragment in enumerate(fragments, start=source)
        for span in _unmatched(fragment, number, where, alone=len(fragments) == 1)
    )
    if not gone:
        return [(fragments, False)]
    found: list[Piece] = []
    place, total = 0, fragments[0].stop - fragments[0].start
    for start, stop in gone:
        if start > place:
            found.append((_cut(fragments, place, start), False))
        found.append((_cut(fragments, start, stop), True))
        place = stop
    if place < total:
        found.append((_cut(fragments, place, total), False))
    return found


def _cut(fragments: Sequence[Fragment], start: int, stop: int) -> tuple[Fragment, ...]:
    return tuple(Fragment(f.source, f.start + start, f.start + stop) for f in fragments)


def _unmatched(
    fragment: Fragment, source: int, where: Where, *, alone: bool
) -> Iterator[tuple[int, int]]:
    """Find the rows, counted from the first of the fragment, of which none can match."""
    form = format_of(fragment.source.format)
    names = [name for of, name in where.columns if alone or of == source]
    if not hasattr(form, "ranges"):
        return
    for start, stop, ranges in form.ranges(fragment, names):
        if not where.may_match(ranges.get):
            yield start, stop


def _united(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that touch or overlap."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
