"""Slices by ranges, named by their column alone where people read them and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lossctl.comparison import Comparison
from lossctl.formats import Document


def shortened(document: Document) -> Document:
    """Give the document with ``age:10,20`` named ``age``, where rows are not sliced by age anew."""
    names = {name for slice_ in _slices(document) for name in slice_}
    # What is derived of a column tells that, and ranges tell their ends; a column is a plain text.
    columns = {name: str(getattr(name, "column", name)) for name in names}
    slicings = Counter(columns.values())
    short = {
        name: column
        for name, column in columns.items()
        if getattr(name, "edges", ()) and slicings[column] == 1
    }
    if not short:
        return document
    if isinstance(document, Comparison):
        return replace(
            document,
            results=_renamed(document.results, short),
            leaderboards=_renamed(document.leaderboards, short),
            explanations=tuple(
                replace(one, parts=_renamed(one.parts, short)) for one in document.explanations
            ),
        )
    found, gate = document.found, document.gate
    return replace(
        document,
        results=_renamed(document.results, short),
        found=found and replace(found, slices=_renamed(found.slices, short)),
        gate=gate and replace(gate, outcomes=_renamed(gate.outcomes, short)),
    )


def _slices(document: Document) -> Iterator[Mapping[str, Any]]:
    yield from (result.slice for result in document.results)
    if isinstance(document, Comparison):
        yield from (part.slice for one in document.explanations for part in one.parts)
    elif document.found is not None:
        yield from (one.slice for one in document.found.slices)


def _renamed(parts: Iterable[Any], short: Mapping[str, str]) -> tuple[Any, ...]:
    return tuple(
        replace(part, slice={short.get(name, name): value for name, value in part.slice.items()})
        for part in parts
    )
