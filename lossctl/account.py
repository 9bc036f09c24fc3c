"""The account of the rows: what became of those that were read, and where each of them stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lossctl.data.tasks import Piece
from lossctl.errors import DomainError, InputError, Place
from lossctl.losses import Role
from lossctl.plan import Settings
from lossctl.results import MatchedFile, Matching, RowCount, RowRef, Rows
from lossctl.state import LabelsSeen, State
from lossctl.stats.extremes import Row
from lossctl.stats.tally import Rows as CountedRows

NONE = RowCount()
SHOWN = 3
"""How many labels a message names where none is the one that was told."""


class Places:
    """Turns rows of pieces into rows of files, once all pieces have told their number of rows."""

    def __init__(self, read: Mapping[Piece, int]) -> None:
        """Find out how many rows of its file stand before each piece."""
        self.before: dict[tuple[str, int], int] = {}
        totals: dict[str, int] = {}
        for (path, start, _), rows in sorted(read.items()):
            self.before[path, start] = totals.get(path, 0)
            totals[path] = totals.get(path, 0) + rows

    def count(self, rows: CountedRows) -> RowCount:
        """Give the report's form of a row count."""
        return RowCount(rows.count, tuple(map(self.place, rows.first))) if rows.count else NONE

    def place(self, row: Row) -> RowRef:
        """Give the report's form of a row."""
        path, start, number, *key = row
        # Rows that are paired by key are numbered within their files to begin with.
        return RowRef(path, self.before.get((path, start), 0) + number + 1, tuple(key))


def account(settings: Settings, state: State) -> tuple[Places, Rows]:
    """Say what became of the rows that were read.

    Raises
    ------
    DomainError
        The labels of a file contradict each other, or are several and none the one that was told.
    InputError
        There is no row, or none is left.

    """
    for spec in settings.specs:
        for role in spec.loss.roles:
            _judge_labels(role, state.labels.get((spec.full, role.name), frozenset()), state)
    for what, others in _absent(state).values():
        if len(others) > 1:
            shown = [*map(repr, others[:SHOWN]), *(["..."] if len(others) > SHOWN else [])]
            raise DomainError(
                f"no row has {what}; it holds {', '.join(shown)}",
                hint="told so, every row would count as 0; the label is written as in the file",
                place=_place(state),
            )
    read = sum(state.read.values())
    if not read:
        files = ", ".join(sorted({path for path, _, _ in state.read})) or "the input"
        raise InputError(f"{files}: no rows", hint="there is nothing to measure")
    places = Places(state.read)
    dropped = {why: places.count(rows) for why, rows in sorted(state.dropped.items()) if rows.count}
    scored = read - sum(rows.count for rows in dropped.values())
    if not scored:
        reasons = " and ".join(dropped)
        raise InputError(f"no row is left: all {read} are dropped ({reasons})")
    matching = _matching(settings, state, places)
    return places, Rows(read, scored, dropped, matching=matching)


def _matching(settings: Settings, state: State, places: Places) -> Matching | None:
    """Say how many keys were matched, and which rows of each file were not."""
    if settings.pairing != "key":
        return None
    pairs = state.pairs
    files = tuple(
        MatchedFile(read, places.count(pairs.unmatched.get(source, CountedRows())))
        for source, read in sorted(pairs.read.items())
    )
    matched = min((file.rows - file.unmatched.count for file in files), default=0)
    return Matching(settings.policies.keys, matched, matched / (matched + pairs.lost.count), files)


def _judge_labels(role: Role, labels: LabelsSeen, state: State) -> None:
    if fault := role.domain.contradiction(labels):
        raise DomainError(fault, place=_place(state))


def _place(state: State) -> Place:
    return Place(", ".join(sorted({path for path, _, _ in state.read})))


def absent_labels(state: State) -> Iterator[str]:
    """Warn of a positive label that no row has, where all rows have another one."""
    for spec, (what, _) in _absent(state).items():
        yield f"{spec}: no row has {what}"


def _absent(state: State) -> dict[str, tuple[str, list[str]]]:
    """Give for each loss the label that was told and no row has, and the first others."""
    return {
        spec: (what, sorted(map(str, seen)))
        for (spec, what), seen in sorted(state.labels.items())
        if all(isinstance(label, str) for label in seen)
    }


def rows_in_words(count: int) -> str:
    """Write a number of rows, as in ``1 row``."""
    return f"{count} row{'s' * (count != 1)}"
