"""Results: what is said of losses, of single rows and of all of them; plain frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from lossctl.record import record
from lossctl.stats.buckets import Bin


@record
class RowRef:
    """A row of an input file."""

    file: str
    row: int
    """Counted from 1, without the header."""
    key: tuple[Any, ...] = ()
    """The row's key, where rows are paired by key."""


@record
class RowCount:
    """How many rows were of some kind, and the first few of them."""

    count: int = 0
    first: tuple[RowRef, ...] = ()


@record
class Interval:
    """A confidence interval."""

    level: float
    lower: float
    upper: float
    method: str
    df: float | None = None
    """Degrees of freedom, where the method knows them."""


@record
class WorstRow:
    """A row with one of the largest losses."""

    at: RowRef
    loss: float
    """May be infinite."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What was asked to be shown of the row."""


@record
class Part:
    """What some of the rows with the largest losses, or the clipped ones, do to a value."""

    rows: str
    n: int
    share: float | None
    """Share of the sum; None where the sum is 0."""
    share_error: float | None
    """How far the share may be off; 0 where it is exact."""
    value: float | None
    """The value without these rows; None where no row is left."""


@record
class Clip:
    """A log loss at another clip."""

    eps: float
    value: float | None
    clipped: int


@record
class Sensitivity:
    """How much of a value hangs on few rows, or on the clip."""

    parts: tuple[Part, ...]
    clips: tuple[Clip, ...]


@record
class Result:
    """One loss over one slice of the rows."""

    loss: str
    """The canonical spec."""
    slice: Mapping[str, Any]
    n: int
    """Rows that count."""
    weight: float
    """Sum of the weights; the rows where there are none."""
    value: float | None
    """None when undefined or infinite; `reason` says why."""
    direction: str
    sum: float | None = None
    std_error: float | None = None
    ci: Interval | None = None
    min: float | None = None
    max: float | None = None
    quantiles: Mapping[str, float | None] = field(default_factory=dict)
    """Share to the value that bounds it, within `lossctl.stats.buckets.RELATIVE_ERROR`."""
    histogram: tuple[Bin, ...] | None = None
    worst: tuple[WorstRow, ...] | None = None
    """Rows with the largest losses, largest first; None where not asked for."""
    sensitivity: Sensitivity | None = None
    """None where not asked for."""
    infinite: RowCount = field(default_factory=RowCount)
    undefined: RowCount = field(default_factory=RowCount)
    clipped: RowCount = field(default_factory=RowCount)
    clipped_share: float | None = None
    """Share of the sum that comes from clipped rows."""
    rank: int | None = None
    """Place among the results that it competes with, from 1; None where nothing competes."""
    reason: str | None = None
    limit: float | None = None
    """``inf`` or ``-inf`` where the value is infinite; shown in text, never in JSON."""
    small: bool = False
    """Whether it is a slice of fewer rows than were asked for, which no limit judges."""


@record
class FoundSlice:
    """A slice held against the rows outside it."""

    loss: str
    slice: Mapping[str, Any]
    n: int
    weight: float
    value: float | None
    direction: str
    share_of_rows: float
    share_of_sum: float | None
    """None where the value is no mean of the rows' losses or the root of one."""
    rest: float | None
    """The value over the rows outside it."""
    difference: float | None
    """The value less that of the rest."""
    ci: Interval | None
    """Interval of the difference, as wide as the number of intervals in the search demands."""
    reason: str | None = None
    limit: float | None = None


@record
class Search:
    """The worst slices by some columns and their pairs."""

    columns: tuple[str, ...]
    looked_at: int
    """Slices held against the rest, counted for each loss."""
    intervals: int
    """How many of them have an interval; the level of each allows for all of them."""
    small: int
    """Slices that were left out because of their few rows."""
    level: float
    """With this probability all intervals hold at once."""
    adjusted_level: float
    """The level of each of them."""
    slices: tuple[FoundSlice, ...]
    """For each loss the worst ones first, by the end of the interval that is nearer to the rest."""


@record
class MatchedFile:
    """One of several files that are paired by key."""

    rows: int
    unmatched: RowCount
    """Rows whose key is not in every other file."""


@record
class Matching:
    """How the rows of several files were paired by key."""

    key: tuple[str, ...]
    matched: int
    """Keys that every file has."""
    rate: float
    """Their share of all distinct keys."""
    files: tuple[MatchedFile, ...]


@record
class Rows:
    """What became of the rows that were read: ``read == scored + dropped``."""

    read: int
    scored: int
    dropped: Mapping[str, RowCount]
    clipped: int = 0
    matching: Matching | None = None
