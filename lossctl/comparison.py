"""The comparison: plain frozen dataclasses, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from lossctl.documents import digest, json_text, ref_to_dict, rows_to_dict
from lossctl.frame import frame_of, html_of, text_of, with_slices
from lossctl.record import record
from lossctl.results import Interval, RowRef, Rows

if TYPE_CHECKING:
    from lossctl.frame import DataFrame

SCHEMA = {"name": "lossctl.comparison", "version": 1}
SHOWN = ("candidate", "verdict", "difference", "lower", "upper", "p_value", "n", "reason")
"""What a small table shows of a difference."""

Verdict = Literal["better", "worse", "no difference shown", "not judged"]


@record
class Distance:
    """How far the values are from zero, for losses of which zero is best."""

    difference: float
    """``|candidate| - |baseline|``."""
    std_error: float | None
    ci: Interval | None


@record
class Difference:
    """One loss of a candidate against the baseline, over one slice of the rows."""

    loss: str
    """The canonical spec."""
    slice: Mapping[str, Any]
    candidate: str
    baseline_value: float | None
    candidate_value: float | None
    difference: float | None
    """``candidate - baseline``; None where a value is undefined or infinite."""
    relative_difference: float | None
    """``(candidate - baseline) / |baseline|``."""
    std_error: float | None
    ci: Interval | None
    """Interval of the paired difference."""
    p_value: float | None
    """Of the hypothesis that the verdict speaks of: that both models are as good."""
    p_adjusted: float | None
    """The same after the correction for several tests."""
    verdict: Verdict
    minimum_detectable_effect: float | None
    """The true difference that would be found in 80 of 100 samples of these rows."""
    better: float | None
    """Share of the rows of which the candidate shows less loss."""
    equal: float | None
    worse: float | None
    n: int
    weight: float
    direction: str
    clusters: int | None = None
    """Clusters or blocks that the difference is judged by; None where rows are independent."""
    distance: Distance | None = None
    reason: str | None = None
    """Why the difference or its verdict is undefined."""
    relative_ci: Interval | None = None
    """Interval of the relative difference, by the delta method; None from a bootstrap."""
    relative_reason: str | None = None


@record
class Standing:
    """One model's place among all of them."""

    model: str
    value: float | None
    rank: int | None
    """From 1, equal values sharing a rank; None where the value is undefined."""
    beats: tuple[str, ...]
    """The models that it is shown to be better than."""


@record
class Leaderboard:
    """The models by one loss over one slice, best first."""

    loss: str
    slice: Mapping[str, Any]
    standings: tuple[Standing, ...]


@record
class Part:
    """What one slice adds to a difference: ``contribution == mix + within``."""

    slice: Mapping[str, Any]
    n: int
    share: float
    """Of the weight of all rows."""
    baseline_value: float | None
    candidate_value: float | None
    mix: float
    """What comes from a change of the share; 0, as all models are measured on the same rows."""
    within: float
    """What comes from a change of the loss."""
    contribution: float


@record
class Contribution:
    """A row and what it shows of both models."""

    at: RowRef
    baseline: float
    candidate: float
    difference: float
    """``candidate - baseline``, of distances from zero where zero is best, times the weight."""


@record
class Explanation:
    """Where a difference over all rows comes from."""

    loss: str
    candidate: str
    by: tuple[str, ...]
    difference: float | None
    parts: tuple[Part, ...]
    """One for each slice, the largest first; their exact contributions add up to the whole."""
    rows: tuple[Contribution, ...]
    """The rows that differ most, the largest first."""
    reason: str | None = None


@record
class Comparison:
    """The outcome of a comparison; the first model is the baseline."""

    signature: str
    models: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Model to loss to role to the columns that filled it."""
    rows: Rows
    results: tuple[Difference, ...]
    leaderboards: tuple[Leaderboard, ...]
    """One per loss and slice where there are several candidates."""
    tests: int
    """Number of p-values that the correction is over."""
    correction: str
    warnings: tuple[str, ...]
    run: Mapping[str, Any]
    """All that may differ between equal runs: version, time, inputs."""
    explanations: tuple[Explanation, ...] = ()
    """One per loss and candidate, where asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form as plain objects, digest included."""
        stable: dict[str, Any] = {
            "schema": dict(SCHEMA),
            "signature": self.signature,
            "models": list(self.models),
            "columns": {
                model: {loss: dict(roles) for loss, roles in losses.items()}
                for model, losses in self.columns.items()
            },
            "rows": rows_to_dict(self.rows),
            "tests": self.tests,
            "correction": self.correction,
            "results": [_plain(asdict(result)) for result in self.results],
            "leaderboards": [_plain(asdict(board)) for board in self.leaderboards],
            "explanations": [_explanation(one) for one in self.explanations],
            "warnings": list(self.warnings),
        }
        return stable | {"digest": digest(stable), "run": dict(self.run)}

    def to_json(self) -> str:
        """Give the JSON form as text."""
        return json_text(self.to_dict())

    def to_frame(self) -> DataFrame:
        """Give a frame of pandas with one row per loss, slice and candidate.

        Slices are written as in the frame of a `Report`.
        """
        slices, rows = self._flat()
        return frame_of(rows, ["loss", *slices])

    def __repr__(self) -> str:
        """Name the models and count the differences, which are too many to be shown in one line."""
        return f"<Comparison of {', '.join(self.models)}: {len(self.results)} differences>"

    def __str__(self) -> str:
        """Show the differences as a table, and the warnings below."""
        return text_of(*self._shown())

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return html_of(*self._shown())

    def _shown(self) -> tuple[list[dict[str, Any]], list[str], list[str]]:
        """Give what a small table shows: differences, columns and notes."""
        slices, rows = self._flat()
        notes = [f"warning: {text}" for text in self.warnings]
        return rows, ["loss", *slices, *SHOWN], notes

    def _flat(self) -> tuple[list[str], list[dict[str, Any]]]:
        rows = [_flat(result) for result in self.results]
        return with_slices(rows, [result.slice for result in self.results])


def _flat(result: Difference) -> dict[str, Any]:
    """Give a result as the row of a frame; what has parts of its own is taken apart or left out."""
    left = ("slice", "ci", "distance", "relative_ci")
    row = {name: value for name, value in vars(result).items() if name not in left}
    ci = result.ci
    return row | {"lower": ci and ci.lower, "upper": ci and ci.upper}


def _explanation(explanation: Explanation) -> dict[str, Any]:
    rows = [ref_to_dict(row.at) | _numbers(row) for row in explanation.rows]
    parts = [_plain(asdict(part)) for part in explanation.parts]
    return {
        "loss": explanation.loss,
        "candidate": explanation.candidate,
        "by": list(explanation.by),
        "difference": explanation.difference,
        "reason": explanation.reason,
        "parts": parts,
        "rows": rows,
    }


def _numbers(row: Contribution) -> dict[str, float]:
    return {"baseline": row.baseline, "candidate": row.candidate, "difference": row.difference}


def _plain(value: Any) -> Any:
    """Give tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
