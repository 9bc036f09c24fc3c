"""The report: the outcome of one run, as a document, as a frame, and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lossctl.documents import digest, json_text, result_to_dict, rows_to_dict, search_to_dict
from lossctl.frame import frame_of, html_of, text_of, with_slices
from lossctl.record import record
from lossctl.results import Result, Rows, Search
from lossctl.verdict import Verdict

if TYPE_CHECKING:
    from lossctl.frame import DataFrame

SCHEMA = {"name": "lossctl.report", "version": 1}
SHOWN = ("value", "lower", "upper", "std_error", "n", "reason")
"""What a small table shows of a result."""


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
            "results": [result_to_dict(result) for result in self.results],
            **({} if self.found is None else {"found_slices": search_to_dict(self.found)}),
            **({} if self.gate is None else {"gate": self.gate.to_dict()}),
            "warnings": list(self.warnings),
            **_batch(self.batch),
        }
        return stable | {"digest": digest(stable), "run": dict(self.run)}

    def to_json(self) -> str:
        """Give the JSON form as text."""
        return json_text(self.to_dict())

    def to_frame(self) -> DataFrame:
        """Give a frame of pandas with one row per loss and slice, and a column per slicing one.

        Such a column is empty where a result is not sliced by it, as that of all rows; the slice
        of missing values is the text ``null`` there, and a text that reads so is ``"null"``.
        """
        slices, rows = self._flat()
        return frame_of(rows, ["loss", *slices])

    def __repr__(self) -> str:
        """Name the losses and count the results, which are too many to be shown in one line."""
        losses = ", ".join(dict.fromkeys(result.loss for result in self.results))
        return f"<Report of {losses}: {len(self.results)} results, {self._counts}>"

    def __str__(self) -> str:
        """Show the results as a table, with what became of the rows and the warnings."""
        return text_of(*self._shown())

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return html_of(*self._shown())

    @property
    def _counts(self) -> str:
        return f"{self.rows.scored} of {self.rows.read} rows scored"

    def _shown(self) -> tuple[list[dict[str, Any]], list[str], list[str]]:
        """Give what a small table shows: results, columns and notes."""
        slices, rows = self._flat()
        columns = ["loss", *slices, "rank", *SHOWN]
        return rows, columns, [self._counts, *(f"warning: {text}" for text in self.warnings)]

    def _flat(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Give the columns of the slices, and each result as one flat row."""
        rows = [_flat(result) for result in self.results]
        return with_slices(rows, [result.slice for result in self.results])


def _batch(batch: Batch | None) -> dict[str, Any]:
    if batch is None:
        return {}
    failures = [
        {"labels": dict(each.labels), "files": list(each.files), "error": dict(each.error)}
        for each in batch.failures
    ]
    shown = {"labels": list(batch.labels), "rank": batch.rank, "jobs": batch.jobs}
    return {"batch": {**shown, "failures": failures}}


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
