"""Long files as groups: rows of (group, score, label) gathered into lists of scores per group.

The result is a source like any other, with one row per group in order of first appearance and
the list columns ``positive`` and ``negative``. Groups may be scattered over the file, so its three
columns are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.binding import USUAL, Choices, Slot
from lossctl.data.columns import check_named, listed, resolve
from lossctl.data.convert import RowError, to_values
from lossctl.data.kinds import check_type
from lossctl.data.source import Fragment, Source, Wanted, format_of
from lossctl.errors import ColumnError, DomainError, Gathered, MissingValueError, Place, UsageError
from lossctl.losses import Spec
from lossctl.record import record

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

POSITIVE, NEGATIVE = "positive", "negative"
ROLES = ("prediction", "target")
"""The roles that the columns of a long file fill, as the user names them."""


@record
class GroupedSource(Source):
    """A long file, to be read as one row per group."""

    base: Source
    group: str
    score: str
    label: str
    nulls: str
    nonfinite: str
    """The policies: only here is the row of a refused value known, later only its group."""


def group_files(
    specs: Sequence[Spec],
    sources: Sequence[Source],
    group: str,
    choices: Choices,
    *,
    nulls: str,
    nonfinite: str,
) -> tuple[list[Source], Choices]:
    """Describe a long file as groups, for losses over groups, and what is left to choose there.

    Raises
    ------
    UsageError, ColumnError, SeveralErrors
        There are two files, a loss that is not over groups, or a column is missing.

    """
    if len(sources) > 1:
        raise UsageError("--group takes one file that holds groups, scores and labels")
    wrong = Gathered()
    for spec in specs:
        with wrong:
            if {role.name for role in spec.loss.roles} != {POSITIVE, NEGATIVE}:
                raise UsageError(f"--group: {spec.loss.name} is no loss over groups of scores")
    for role in choices.columns:
        with wrong:
            if role not in ROLES:
                roles = " and ".join(ROLES)
                raise UsageError(f"--group: the file has the roles {roles}, not {role!r}")
    if choices.positive is not None or choices.classes:
        with wrong:
            raise UsageError("--group takes labels 0 and 1, not --positive or --classes")
    base, told = sources[0], choices.columns
    score = wrong.of(_column, base, "prediction", ("score", *USUAL["prediction"]), told)
    label = wrong.of(_column, base, "target", ("label", *USUAL["target"]), told)
    name = wrong.of(_column, base, "group", (), {"group": group}, label=True)
    wrong.settle()
    lists = pa.list_(pa.float64())
    types = {POSITIVE: lists, NEGATIVE: lists}
    grouped = GroupedSource(
        base.path, "grouped", types, None, base.size, base, name, score, label, nulls, nonfinite
    )
    return [grouped], replace(choices, columns={})


def _column(
    base: Source, role: str, usual: Sequence[str], told: Mapping[str, str], *, label: bool = False
) -> str:
    if role in told:
        check_named([base], [told[role]])
        columns, _ = resolve(told[role], base.names)
    else:
        by_lower = {name.strip().lower(): name for name in reversed(base.names)}
        columns = tuple(by_lower[name] for name in usual if name in by_lower)[:1]
    if len(columns) != 1:
        option = {"prediction": "--pred", "target": "--target"}.get(role, "--group")
        found = "several columns" if columns else "no column found"
        raise ColumnError(
            f"--group: {found} for the role {role!r}",
            hint=f"name one with {option} COLUMN; {listed([base])}",
            place=Place(base.path),
        )
    check_type(role, base, columns[0], label=label, may_be_list=False)
    return columns[0]


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

    A group in which a value is missing is missing as a whole.

    Raises
    ------
    DomainError
        A group has no positive or no negative row, or a label is neither 0 nor 1.
    MissingValueError
        A value is missing or not finite where the policies refuse that.

    """
    source = fragment.source
    if not isinstance(source, GroupedSource):
        raise TypeError(source)
    gathered = _gather(source)
    if gathered is None:
        return
    columns = {
        POSITIVE: _lists(source, gathered, gathered.labels == 1.0, "positive"),
        NEGATIVE: _lists(source, gathered, gathered.labels == 0.0, "negative"),
    }
    batch = pa.record_batch({name: columns[name] for name in wanted})
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


@record
class _Rows:
    """The rows of a long file and their groups."""

    names: pa.Array
    missing: Mask
    """Marks the groups in which a value is missing."""
    codes: npt.NDArray[np.int64]
    """Group of each row."""
    scores: Array
    labels: Array


def _gather(source: GroupedSource) -> _Rows | None:
    """Read the three columns; None when there is no row."""
    base = source.base
    form = format_of(base.format)
    wanted: Wanted = {source.group: "text", source.score: "number", source.label: "number"}
    batches = list(form.read(form.whole(base), wanted, 1 << 16))
    if not sum(batch.num_rows for batch in batches):
        return None
    batch = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    absent = _absent_rows(source, batch)
    scores, labels = (_numbers(base, batch, name) for name in (source.score, source.label))
    _check_values(source, scores, labels, absent)
    names = batch[source.group]
    if pa.types.is_dictionary(names.type):
        names = names.dictionary_decode()
    coded = names.dictionary_encode(null_encoding="encode")
    codes = buffers.view(coded.indices).astype(np.int64)
    missing = np.bincount(codes[absent], minlength=len(coded.dictionary)) > 0
    return _Rows(coded.dictionary, missing, codes, scores, labels)


def _absent_rows(source: GroupedSource, batch: pa.RecordBatch) -> Mask:
    """Mark the rows in which a value is missing, if that is allowed."""
    absent = np.zeros(batch.num_rows, dtype=np.bool_)
    for name in dict.fromkeys((source.group, source.score, source.label)):
        marks = buffers.nulls(batch[name])
        if marks is None:
            continue
        if source.nulls == "error":
            raise MissingValueError(
                "the value is missing",
                hint="--nulls drop leaves the whole group out and counts it",
                place=Place(source.path, int(np.flatnonzero(marks)[0]) + 1, name),
            )
        absent |= marks
    return absent


def _numbers(base: Source, batch: pa.RecordBatch, name: str) -> Array:
    try:
        values: Array = to_values(Slot("number", columns=(name,)), batch)[0]
    except RowError as error:
        place = Place(base.path, error.row + 1, name)
        raise DomainError(error.message, hint=error.hint, place=place) from error
    return values


def _check_values(source: GroupedSource, scores: Array, labels: Array, absent: Mask) -> None:
    wrong = np.flatnonzero((labels != 0.0) & (labels != 1.0) & ~absent)
    if len(wrong):
        place = Place(source.path, int(wrong[0]) + 1, source.label)
        raise DomainError(f"the label must be 0 or 1, not {labels[wrong[0]]:g}", place=place)
    wrong = np.flatnonzero(~np.isfinite(scores) & ~absent)
    if len(wrong) and source.nonfinite == "error":
        raise MissingValueError(
            f"the value is {scores[wrong[0]]:g}",
            hint="--nonfinite drop leaves the whole group out and counts it",
            place=Place(source.path, int(wrong[0]) + 1, source.score),
        )


def _lists(source: GroupedSource, gathered: _Rows, chosen: Mask, kind: str) -> pa.Array:
    counts = np.bincount(gathered.codes[chosen], minlength=len(gathered.names))
    empty = np.flatnonzero((counts == 0) & ~gathered.missing)
    if len(empty):
        name = gathered.names[int(empty[0])].as_py()
        raise DomainError(
            f"the group {name!r} has no {kind} row",
            hint="every group needs at least one positive and one negative",
            place=Place(source.path, column=source.label),
        )
    order = np.argsort(gathered.codes[chosen], kind="stable")
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    values = pa.array(gathered.scores[chosen][order])
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(gathered.missing))
