"""Long files as groups: rows of (group, score, label) gathered into lists of scores per group.

The result is a source like any other, with one row per group in order of first appearance and
the list columns ``positive`` and ``negative``. Groups may be scattered over the file, so its three
columns are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.binding import USUAL
from lossctl.data.source import Fragment, Source, Wanted, format_of
from lossctl.errors import (
    ColumnError,
    DomainError,
    MissingValueError,
    Place,
    UsageError,
    did_you_mean,
)
from lossctl.losses import Spec

POSITIVE, NEGATIVE = "positive", "negative"


@dataclass(frozen=True)
class GroupedSource(Source):
    """A long file, to be read as one row per group."""

    base: Source
    group: str
    score: str
    label: str


def group_files(
    specs: Sequence[Spec], sources: Sequence[Source], group: str, told: Mapping[str, str]
) -> GroupedSource:
    """Describe a long file as groups, for losses over groups.

    Raises
    ------
    UsageError
        There are two files, or a loss that is not over groups.
    ColumnError
        The file lacks one of the three columns.

    """
    if len(sources) > 1:
        raise UsageError("--group takes one file that holds groups, scores and labels")
    for spec in specs:
        if {role.name for role in spec.loss.roles} != {POSITIVE, NEGATIVE}:
            raise UsageError(f"--group: {spec.loss.name} is no loss over groups of scores")
    base = sources[0]
    score = _column(base, "prediction", ("score", *USUAL["prediction"]), told)
    label = _column(base, "target", ("label", *USUAL["target"]), told)
    _column(base, "group", (), {"group": group})
    lists = pa.list_(pa.float64())
    types = {POSITIVE: lists, NEGATIVE: lists}
    return GroupedSource(base.path, "grouped", types, None, base.size, base, group, score, label)


def _column(base: Source, role: str, usual: Sequence[str], told: Mapping[str, str]) -> str:
    if role in told and told[role] in base.names:
        return told[role]
    found = next((name for name in usual if name in base.names), None)
    if role in told or found is None:
        wanted = told.get(role, role)
        raise ColumnError(
            f"no column {wanted!r} for the role {role!r}",
            hint=did_you_mean(wanted, list(base.names)) or f"columns: {', '.join(base.names)}",
            place=Place(base.path),
        )
    return found


def split(source: GroupedSource) -> list[Fragment]:
    """Give one fragment: a group may lie anywhere in the file."""
    return [whole(source)]


def whole(source: GroupedSource) -> Fragment:
    """Give one fragment."""
    return Fragment(source, 0, 0)


def rows_before(fragment: Fragment) -> int:
    """Give 0: the one fragment starts with the first group."""
    del fragment
    return 0


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Gather the groups and give them in batches.

    Raises
    ------
    DomainError
        A group has no positive or no negative row, or a label is neither 0 nor 1.
    MissingValueError
        A group, score or label is missing.

    """
    source = fragment.source
    if not isinstance(source, GroupedSource):
        raise TypeError(source)
    names, codes, scores, labels = _gather(source)
    batch = pa.record_batch(
        {
            POSITIVE: _lists(source, names, codes, scores, labels == 1.0, "positive"),
            NEGATIVE: _lists(source, names, codes, scores, labels == 0.0, "negative"),
        }
    ).select(list(wanted))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _gather(
    source: GroupedSource,
) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read the three columns: group names, and per row the group's code, score and label."""
    base = source.base
    form = format_of(base.format)
    wanted: Wanted = {source.group: "text", source.score: "number", source.label: "number"}
    table = pa.Table.from_batches(
        list(form.read(form.whole(base), wanted, 1 << 16)),
        schema=None,
    ).combine_chunks()
    for name in wanted:
        if table[name].null_count:
            row = int(np.flatnonzero(table[name].is_null().to_numpy())[0]) + 1
            raise MissingValueError("the value is missing", place=Place(base.path, row, name))
    coded = pa.chunked_array(table[source.group]).combine_chunks().dictionary_encode()
    scores = np.asarray(table[source.score].cast(pa.float64()).to_numpy())
    labels = np.asarray(table[source.label].cast(pa.float64()).to_numpy())
    wrong = np.flatnonzero((labels != 0.0) & (labels != 1.0))
    if len(wrong):
        place = Place(base.path, int(wrong[0]) + 1, source.label)
        raise DomainError(f"the label must be 0 or 1, not {labels[wrong[0]]:g}", place=place)
    return coded.dictionary, np.asarray(coded.indices.to_numpy(), dtype=np.int64), scores, labels


def _lists(
    source: GroupedSource,
    names: pa.Array,
    codes: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    chosen: npt.NDArray[np.bool_],
    kind: str,
) -> pa.Array:
    counts = np.bincount(codes[chosen], minlength=len(names))
    if not counts.all():
        name = names[int(np.flatnonzero(counts == 0)[0])].as_py()
        raise DomainError(
            f"the group {name!r} has no {kind} row",
            hint="every group needs at least one positive and one negative",
            place=Place(source.path, column=source.label),
        )
    order = np.argsort(codes[chosen], kind="stable")
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(scores[chosen][order]))
