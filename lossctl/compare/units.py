"""Which unit a row belongs to: a cluster, a time, or by chance one of many buckets of rows."""

from __future__ import annotations

import numpy as np

from lossctl.compare.plan import ComparisonPlan
from lossctl.data.chunks import Chunk
from lossctl.data.convert import RowError
from lossctl.data.ids import first_null, hashed, in_order
from lossctl.data.reading import Column
from lossctl.data.tasks import Task, place_of
from lossctl.errors import DomainError, MissingValueError, Place
from lossctl.stats.bootstrap import buckets
from lossctl.stats.fingerprint import mix
from lossctl.stats.units import Ids, UnitSums


def has_units(plan: ComparisonPlan) -> bool:
    """Tell whether rows are judged by unit, and not each by itself."""
    return plan.unit is not None or plan.method.resamples > 0


def unit_ids(plan: ComparisonPlan, task: Task, chunk: Chunk) -> Ids:
    """Give the id of the unit of each row that is left, in the order of the chunk's arrays.

    Raises
    ------
    MissingValueError, DomainError
        A row has no cluster or no time, or one that cannot be put in order.

    """
    if plan.unit is None:
        return buckets(_hashes_of_rows(task, chunk))
    column = chunk.carried[plan.unit]
    row = first_null(column)
    if row is not None:
        what = "cluster" if plan.method.cluster else "time"
        raise MissingValueError(
            f"the {what} is missing",
            hint="--where can leave such rows out",
            place=_place(task, chunk, row, plan.unit),
        )
    if plan.method.cluster is not None:
        return hashed(column)
    try:
        return in_order(column, plan.unit[1])
    except RowError as error:
        place = _place(task, chunk, error.row, plan.unit)
        raise DomainError(error.message, place=place) from None


def cut_in_blocks(units: UnitSums, length: int, times: Ids) -> UnitSums:
    """Join times into blocks of so many consecutive ones, counted from the first of all times."""
    return units.joined(
        lambda ids: np.searchsorted(times, ids).astype(np.uint64) // np.uint64(length)
    )


def _place(task: Task, chunk: Chunk, row: int, column: Column) -> Place:
    source, name = column
    at = int(chunk.places(np.array([row]))[0])
    if chunk.origin is not None:
        return chunk.origin.place(at, source, name)
    part = source if len(task.fragments) > 1 else 0
    return place_of(task, chunk.first_row + at, part, name)


def _hashes_of_rows(task: Task, chunk: Chunk) -> Ids:
    """Hash the key of each row, or else its number in the file."""
    places = chunk.places(np.arange(chunk.rows))
    if chunk.origin is not None:
        hashes = np.zeros(len(places), dtype=np.uint64)
        for key in chunk.origin.keys:
            hashes = mix(hashes ^ hashed(key)[places])
        return hashes
    # The start of a fragment is a row where the file knows its rows, and otherwise a byte.
    start = np.uint64(task.fragments[0].start)
    rows = (chunk.first_row + places).astype(np.uint64)
    known = task.fragments[0].source.rows is not None
    return mix(rows + start) if known else mix(rows ^ mix(np.array([start])))
