"""The report: plain frozen dataclasses, and their JSON form with its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any

from lossctl.frame import frame_of, html_of, with_slices
from lossctl.record import record
from lossctl.stats.buckets import Bin
from lossctl.verdict import Verdict

if TYPE_CHECKING:
    from lossctl.frame import DataFrame

SCHEMA = {"name": "lossctl.report", "version": 1}
SHOWN = ("value", "lower", "upper", "std_error", "n", "reason")
"""What a notebook shows of a result."""
LONG = 100
"""Items from which on the lists of a JSON form are written an item a line."""


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


@record
class Failure:
    """A job of a batch that could not be measured."""

    labels: Mapping[str, str]
    files: tuple[str, ...]
    error: Mapping[str, Any]
    """The error in its JSON form."""
    text: str = ""
    """The same for people, with the labels."""


@record
class Batch:
    """What a batch was made of."""

    labels: tuple[str, ...]
    """The labels of its jobs, which are slices of the report."""
    rank: str
    """The label whose values compete."""
    jobs: int
    failures: tuple[Failure, ...]


@record
class Report:
    """The outcome of one run."""

    signature: str
    columns: Mapping[str, Mapping[str, Any]]
    """Loss to role to the columns that filled it."""
    rows: Rows
    results: tuple[Result, ...]
    warnings: tuple[str, ...]
    run: Mapping[str, Any]
    """All that may differ between equal runs: version, time, inputs."""
    gate: Verdict | None = None
    """What limits say of it, where any are given."""
    found: Search | None = None
    """The worst slices, where they are looked for."""
    fingerprint: str | None = None
    """Which rows were scored, where that is asked for: the same for the same rows in any order."""
    batch: Batch | None = None
    """The jobs, where the report is of several."""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form as plain objects, digest included."""
        stable: dict[str, Any] = {
            "schema": dict(SCHEMA),
            "signature": self.signature,
            "columns": {loss: dict(roles) for loss, roles in self.columns.items()},
            "rows": rows_to_dict(self.rows),
            **({} if self.fingerprint is None else {"fingerprint": self.fingerprint}),
            "results": [_result(result) for result in self.results],
            **({} if self.found is None else {"found_slices": _search(self.found)}),
            **({} if self.gate is None else {"gate": self.gate.to_dict()}),
            "warnings": list(self.warnings),
            **_batch(self.batch),
        }
        return stable | {"digest": digest(stable), "run": dict(self.run)}

    def to_json(self) -> str:
        """Give the JSON form as text."""
        return json_text(self.to_dict())

    def to_frame(self) -> DataFrame:
        """Give a frame of pandas with one row per loss and slice, and a column per slicing one."""
        slices, rows = self._flat()
        return frame_of(rows, ["loss", *slices])

    def _repr_html_(self) -> str:
        """Show the results in a notebook, with what became of the rows and the warnings."""
        slices, rows = self._flat()
        counts = f"{self.rows.scored} of {self.rows.read} rows scored"
        columns = ["loss", *slices, "rank", *SHOWN]
        return html_of(rows, columns, [counts, *(f"warning: {text}" for text in self.warnings)])

    def _flat(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Give the columns of the slices, and each result as one flat row."""
        rows = [_flat(result) for result in self.results]
        return with_slices(rows, [result.slice for result in self.results])


def digest(stable: Mapping[str, Any]) -> str:
    """Hash everything of a report that equal runs share."""
    text = json.dumps(
        stable, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}"


def json_text(document: Mapping[str, Any]) -> str:
    """Write a document with indentation; of long lists, an item a line.

    Python indents item by item, which takes a hundred times as long and is nothing to read.
    """

    def text(value: Any) -> str:
        if isinstance(value, list) and len(value) > LONG:
            lines = (json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value)
            return "[\n    " + ",\n    ".join(lines) + "\n  ]"
        shown = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        return shown.replace("\n", "\n  ")

    parts = [f"  {json.dumps(name)}: {text(value)}" for name, value in document.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rows_to_dict(rows: Rows) -> dict[str, Any]:
    """Give the JSON form of what became of the rows."""
    return {
        "read": rows.read,
        "scored": rows.scored,
        "dropped": {why: _count(n) for why, n in rows.dropped.items()},
        "clipped": rows.clipped,
        **_matching(rows.matching),
    }


def _batch(batch: Batch | None) -> dict[str, Any]:
    if batch is None:
        return {}
    failures = [
        {"labels": dict(each.labels), "files": list(each.files), "error": dict(each.error)}
        for each in batch.failures
    ]
    shown = {"labels": list(batch.labels), "rank": batch.rank, "jobs": batch.jobs}
    return {"batch": {**shown, "failures": failures}}


def _count(rows: RowCount) -> dict[str, Any]:
    return {"count": rows.count, "first": [ref_to_dict(ref) for ref in rows.first]}


def ref_to_dict(ref: RowRef) -> dict[str, Any]:
    """Give the JSON form of a row."""
    shown: dict[str, Any] = {"file": ref.file, "row": ref.row}
    if ref.key:
        shown["key"] = list(ref.key) if len(ref.key) > 1 else ref.key[0]
    return shown


def _matching(matching: Matching | None) -> dict[str, Any]:
    if matching is None:
        return {}
    files = [{"rows": file.rows, "unmatched": _count(file.unmatched)} for file in matching.files]
    return {
        "matching": {
            "key": list(matching.key),
            "matched": matching.matched,
            "rate": matching.rate,
            "files": files,
        }
    }


def _distribution(result: Result) -> dict[str, Any]:
    """Give quantiles and histogram, each only where it was asked for."""
    shown: dict[str, Any] = {}
    if result.quantiles:
        shown["quantiles"] = dict(result.quantiles)
    if result.histogram is not None:
        shown["histogram"] = [
            {"low": bin_.low, "high": bin_.high, "count": bin_.count}
            | ({} if bin_.weight is None else {"weight": float(bin_.weight)})
            for bin_ in result.histogram
        ]
    return shown


def _worst(row: WorstRow) -> dict[str, Any]:
    reason = None if math.isfinite(row.loss) else "infinite"
    return {
        **ref_to_dict(row.at),
        "loss": _number(row.loss),
        "reason": reason,
        "columns": dict(row.columns),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _result(result: Result) -> dict[str, Any]:
    return {
        "loss": result.loss,
        "slice": dict(result.slice),
        "n": result.n,
        "weight": result.weight,
        "value": _number(result.value),
        "reason": result.reason,
        "sum": _number(result.sum),
        "std_error": _number(result.std_error),
        "ci": _interval(result.ci),
        "min": _number(result.min),
        "max": _number(result.max),
        **_distribution(result),
        **({} if result.sensitivity is None else {"sensitivity": asdict(result.sensitivity)}),
        **({} if result.worst is None else {"worst": [_worst(row) for row in result.worst]}),
        **({} if result.rank is None else {"rank": result.rank}),
        "direction": result.direction,
        "infinite": _count(result.infinite),
        "undefined": _count(result.undefined),
        "clipped": result.clipped.count,
        "clipped_share": _number(result.clipped_share),
        **({"small": True} if result.small else {}),
    }


def _search(search: Search) -> dict[str, Any]:
    return {
        "columns": list(search.columns),
        "looked_at": search.looked_at,
        "intervals": search.intervals,
        "small": search.small,
        "level": search.level,
        "adjusted_level": search.adjusted_level,
        "slices": [
            {
                "loss": found.loss,
                "slice": dict(found.slice),
                "n": found.n,
                "weight": found.weight,
                "value": _number(found.value),
                "reason": found.reason,
                "share_of_rows": found.share_of_rows,
                "share_of_sum": _number(found.share_of_sum),
                "rest": _number(found.rest),
                "difference": _number(found.difference),
                "ci": _interval(found.ci),
                "direction": found.direction,
            }
            for found in search.slices
        ],
    }


def _interval(ci: Interval | None) -> dict[str, Any] | None:
    if ci is None:
        return None
    return {"level": ci.level, "lower": ci.lower, "upper": ci.upper, "method": ci.method}


def _flat(result: Result) -> dict[str, Any]:
    """Give a result as the row of a frame."""
    ci, quantiles = result.ci, result.quantiles
    return {
        "loss": result.loss,
        "n": result.n,
        "weight": result.weight,
        "value": result.value if result.limit is None else result.limit,
        "std_error": result.std_error,
        "lower": None if ci is None else ci.lower,
        "upper": None if ci is None else ci.upper,
        "sum": result.sum,
        "min": result.min,
        "max": result.max,
        **{f"q{share}": value for share, value in quantiles.items()},
        **({} if result.rank is None else {"rank": result.rank}),
        "direction": result.direction,
        "infinite": result.infinite.count,
        "undefined": result.undefined.count,
        "clipped": result.clipped.count,
        "reason": result.reason,
    }
