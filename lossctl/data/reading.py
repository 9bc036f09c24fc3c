"""A reading: which rows and columns to read and how, decided before the first row is."""

from __future__ import annotations

from typing import Literal

from lossctl.data.binding import Slot
from lossctl.data.keys import Key
from lossctl.data.source import How, Source, Wanted
from lossctl.data.where import Where
from lossctl.record import record

Nulls = Literal["error", "drop"]
Pairing = Literal["one file", "position", "populations", "key"]
Missing = Literal["error", "drop"]
MEMORY = 512 << 20
Column = tuple[int, str]
"""Number of a source, and the name of a column in it."""


@record
class Reading:
    """What to read, decided once before any row is: small and picklable."""

    sources: tuple[Source, ...]
    pairing: Pairing
    slots: tuple[Slot, ...]
    nulls: Nulls
    rows: int
    """Rows a chunk holds at most."""
    shared: tuple[str, ...] = ()
    """Columns that several files hold and that must be equal row by row."""
    cells: tuple[Column, ...] = ()
    """Columns that rows are sliced by."""
    carried: tuple[Column, ...] = ()
    """Columns that are handed on beside the values, unconverted."""
    as_numbers: frozenset[Column] = frozenset()
    """Carried columns that a format without types reads as numbers; it reads others as text."""
    weight: Slot | None = None
    """The column of the rows' weights."""
    keys: tuple[Key, ...] = ()
    """The columns that rows are paired by."""
    missing: Missing = "error"
    """What to do about keys that not every source has."""
    min_match_rate: float = 0.0
    """Least share of the distinct keys that every source must have."""
    where: Where | None = None
    """The filter of the rows to keep."""
    fingerprinted: tuple[Slot, ...] | None = None
    """The slots whose values tell rows apart for the fingerprint; None for no fingerprint."""
    memory: int = MEMORY
    """Bytes that pairing by key holds at most; what is more goes to temporary files."""
    temp_dir: str | None = None
    """Where those are; None for the system's folder."""

    @property
    def numbers(self) -> tuple[Slot, ...]:
        """The slots that are read from the files as numbers, that of the weights last."""
        return self.slots if self.weight is None else (*self.slots, self.weight)

    def wanted(self, source: int) -> Wanted:
        """Give the columns to read from one source, and how."""
        keys: dict[str, How] = dict.fromkeys((key.names[source] for key in self.keys), "key")
        return self.values_wanted(source) | keys

    def values_wanted(self, source: int) -> dict[str, How]:
        """Give the columns that are more than keys, and how to read them."""
        wanted: dict[str, How] = {}
        for column in self.carried:
            if self._is_of(column, source):
                wanted[column[1]] = "number" if column in self.as_numbers else "text"
        for column in self.cells:
            if self._is_of(column, source) and wanted.get(column[1]) != "text":
                wanted[column[1]] = "category"
        for column, how in {} if self.where is None else self.where.wanted.items():
            if self._is_of(column, source):
                wanted.setdefault(column[1], how)
        names = self.sources[source].names
        wanted |= dict.fromkeys((name for name in self.shared if name in names), "text")
        for slot in self.numbers:
            if slot.source == source or self._stacked:
                how = "category" if slot.kind in ("class", "positive") else "number"
                wanted |= dict.fromkeys(slot.columns, how)
        return wanted

    @property
    def _stacked(self) -> bool:
        return self.pairing == "populations"

    def _is_of(self, column: Column, source: int) -> bool:
        """Tell whether a column is read from a source; populations read it from every one."""
        return column[0] == source or self._stacked
