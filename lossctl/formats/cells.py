"""Results as people read them, column by column, shared by the table and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lossctl.comparison import Comparison, Explanation
from lossctl.formats import Document
from lossctl.formats.ranges import shortened
from lossctl.report import Report
from lossctl.results import Interval, Part, Result, Search, Sensitivity, WorstRow
from lossctl.verdict import Outcome, Verdict

DIGITS = 6
LEFT = (
    "loss",
    "slice",
    "best",
    "file",
    "change",
    "candidate",
    "verdict",
    "model",
    "mark",
    "beats",
    "check",
    "reason",
)
"""Headings of columns of texts; others hold numbers."""

Table = dict[str, list[str]]
"""Headings to cells."""


def tables(document: Document, *, worst: bool = False) -> list[tuple[str, Table]]:
    """Give the tables of a document with their titles; columns that say nothing are left out.

    ``worst`` leaves out what is not about the worst rows.
    """
    document = shortened(document)
    if isinstance(document, Report):
        found = [] if worst else [("", _results(document))]
        found += [
            (_title("sensitivity", result), _sensitivity(result.sensitivity))
            for result in document.results
            if result.sensitivity and not worst
        ]
        found += [(_title("worst rows", r), _worst_columns(r)) for r in document.results if r.worst]
        search = None if worst else document.found
        found += [] if search is None else [(_search_title(search), _found_slices(search))]
        gate = document.gate
        found += [] if gate is None else [(f"gate {gate.summary}", _gate_columns(gate))]
    else:
        found = [("", _differences(document)), ("leaderboard", _leaderboards(document))]
        for one in document.explanations:
            name = f"{one.loss} of {one.candidate}"
            found.append((f"difference in {name}, by {', '.join(one.by)}", _parts(one)))
            found.append((f"rows that contribute most to the difference in {name}", _rows(one)))
    said = [(title, {h: c for h, c in table.items() if any(c)}) for title, table in found]
    return [(title, table) for title, table in said if table]


def left_out(document: Document) -> list[str]:
    """Say how many rows a filter left out; nothing where it left out none."""
    rows = document.rows
    if "filtered" not in rows.dropped:
        return []
    return [f"{rows.dropped['filtered'].count} of {rows.read} rows left out by --where"]


def _results(report: Report) -> Table:
    results = report.results
    weighted = any(result.weight != result.n for result in results)
    level = next((result.ci.level for result in results if result.ci), 0.0)
    shares = next((list(result.quantiles) for result in results), [])
    return {
        "loss": [result.loss for result in results],
        "slice": [slice_name(result.slice) for result in results],
        "rank": [_rank(result) for result in results],
        "value": [number(_value(result)) or "undefined" for result in results],
        f"{100 * level:g} % interval": [_interval(result) for result in results],
        "std error": [number(result.std_error) for result in results],
        "min": [number(result.min) for result in results],
        **{f"p{100 * float(s):g}": [number(r.quantiles[s]) for r in results] for s in shares},
        "max": [number(result.max) for result in results],
        "rows": [f"{result.n}{' (few)' * result.small}" for result in results],
        "weight": [number(result.weight) if weighted else "" for result in results],
        "best": ["zero" if result.direction == "zero_is_best" else "lower" for result in results],
    }


def _search_title(search: Search) -> str:
    names = ", ".join(search.columns)
    few = f"; {search.small} with too few rows were left out" if search.small else ""
    return (
        f"worst slices by {names} and their pairs, {search.looked_at} looked at{few}; "
        f"{search.intervals} intervals that hold together at {100 * search.level:g} %"
    )


def _found_slices(search: Search) -> Table:
    found = search.slices
    return {
        "loss": [one.loss for one in found],
        "slice": [slice_name(one.slice) for one in found],
        "value": [number(one.value if one.limit is None else one.limit) for one in found],
        "rest": [number(one.rest) for one in found],
        "difference": [number(one.difference) for one in found],
        "interval": [_span(one.ci) for one in found],
        "rows": [str(one.n) for one in found],
        "% of rows": [f"{100 * one.share_of_rows:.3g}" for one in found],
        "% of sum": [
            "" if one.share_of_sum is None else f"{100 * one.share_of_sum:.3g}" for one in found
        ],
    }


def _differences(comparison: Comparison) -> Table:
    results = comparison.results
    level = next((result.ci.level for result in results if result.ci), 0.0)
    corrected = comparison.correction != "none"
    shares = [(r.better, r.equal, r.worse) for r in results]
    return {
        "loss": [result.loss for result in results],
        "slice": [slice_name(result.slice) for result in results],
        "candidate": [result.candidate for result in results],
        "verdict": [result.verdict for result in results],
        "baseline": [number(result.baseline_value) or "undefined" for result in results],
        "value": [number(result.candidate_value) or "undefined" for result in results],
        "difference": [_signed(result.difference) for result in results],
        "relative": [_percent(result.relative_difference) for result in results],
        f"{100 * level:g} % interval": [_span(result.ci) for result in results],
        "p": [_p(result.p_value) for result in results],
        f"p ({comparison.correction})": [_p(r.p_adjusted) if corrected else "" for r in results],
        "better/equal/worse %": ["/".join(map(_share, parts)) for parts in shares],
        "detectable": [number(result.minimum_detectable_effect) for result in results],
        "rows": [str(result.n) for result in results],
    }


def _leaderboards(comparison: Comparison) -> Table:
    rows = [(board, one) for board in comparison.leaderboards for one in board.standings]
    places = {name: str(place) for place, name in enumerate(comparison.models)}
    return {
        "loss": [board.loss for board, _ in rows],
        "slice": [slice_name(board.slice) for board, _ in rows],
        "rank": ["" if one.rank is None else str(one.rank) for _, one in rows],
        "mark": [places[one.model] for _, one in rows],
        "model": [one.model for _, one in rows],
        "value": [number(one.value) or "undefined" for _, one in rows],
        "beats": [", ".join(places[name] for name in one.beats) for _, one in rows],
    }


def _gate_columns(gate: Verdict) -> Table:
    """Give the columns of the checks by heading, in the order of the checks."""
    outcomes = gate.outcomes
    return {
        "verdict": [outcome.verdict for outcome in outcomes],
        "check": [outcome.name for outcome in outcomes],
        "slice": [slice_name(outcome.slice) for outcome in outcomes],
        "observed": [number(outcome.observed) for outcome in outcomes],
        "interval": [
            "" if o.lower is None else f"{number(o.lower)} to {number(o.upper)}" for o in outcomes
        ],
        "limit": [number(outcome.limit) for outcome in outcomes],
        "baseline": [number(outcome.baseline) for outcome in outcomes],
        "reason": [outcome.reason or "" for outcome in outcomes],
    }


def _parts(explanation: Explanation) -> Table:
    parts = explanation.parts
    return {
        "slice": [slice_name(part.slice) for part in parts],
        "contribution": [_signed(part.contribution) for part in parts],
        "mix": [_signed(part.mix) for part in parts],
        "within": [_signed(part.within) for part in parts],
        "share": [_percent_of(part.share) for part in parts],
        "baseline": [number(part.baseline_value) for part in parts],
        "value": [number(part.candidate_value) for part in parts],
        "rows": [str(part.n) for part in parts],
    }


def _rows(explanation: Explanation) -> Table:
    rows = explanation.rows
    return {
        "file": [row.at.file for row in rows],
        "row": [str(row.at.row) for row in rows],
        "key": [", ".join(map(_text, row.at.key)) for row in rows],
        "difference": [_signed(row.difference) for row in rows],
        "baseline": [number(row.baseline) for row in rows],
        "value": [number(row.candidate) for row in rows],
    }


def _worst_columns(result: Result) -> dict[str, list[str]]:
    """Give the columns of a result's worst rows by heading."""
    rows = result.worst or ()
    names = list(rows[0].columns) if rows else []
    return {
        "": [str(place) for place in range(1, len(rows) + 1)],
        "file": [row.at.file for row in rows],
        "row": [str(row.at.row) for row in rows],
        **({"key": [", ".join(map(_text, row.at.key)) for row in rows]} if _keyed(rows) else {}),
        "loss": [number(row.loss) for row in rows],
        **{name: [_text(row.columns[name]) for row in rows] for name in names},
    }


def _keyed(rows: Sequence[WorstRow]) -> bool:
    return any(row.at.key for row in rows)


def slice_name(values: Mapping[str, Any]) -> str:
    """Name a slice, as in ``region=eu, year=2024``; the whole has no name."""
    return ", ".join(f"{name}={slice_value(value)}" for name, value in values.items())


def slice_value(value: Any) -> str:
    """Write a value of a slice whole, and so that no two look alike.

    A text is quoted as in JSON where it is empty, could be taken for the missing value or for two
    columns, begins in a quote, begins or ends in a blank, or holds a letter that cannot be seen.
    """
    if not isinstance(value, str):
        return str(value) if isinstance(value, bool) else json.dumps(value)
    bare = value.strip() == value and value != "null" and value[:1] not in ("", '"')
    if bare and value.isprintable() and not (", " in value and "=" in value):
        return value
    seen = all(letter.isprintable() or letter.isascii() for letter in value)
    return json.dumps(value, ensure_ascii=not seen)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def place_name(outcome: Outcome) -> str:
    """Name a check and its slice, as in ``max rmse [region=eu]``."""
    return f"{outcome.name} [{slice_name(outcome.slice)}]" if outcome.slice else outcome.name


def number(value: float | None) -> str:
    """Write a number for reading; an undefined one is empty."""
    return "" if value is None else f"{value:.{DIGITS}g}"


def _rank(result: Result) -> str:
    return "" if result.rank is None else "best" if result.rank == 1 else str(result.rank)


def _value(result: Result) -> float | None:
    return result.value if result.limit is None else result.limit


def _interval(result: Result) -> str:
    return _span(result.ci)


def _span(ci: Interval | None) -> str:
    return "" if ci is None else f"{number(ci.lower)} to {number(ci.upper)}"


def _signed(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.{DIGITS}g}" if value else "0"


def _title(what: str, result: Result) -> str:
    return f"{what} of " + ", ".join(filter(None, [result.loss, slice_name(result.slice)]))


def _sensitivity(found: Sensitivity) -> Table:
    parts, clips = found.parts, found.clips
    values = [*(part.value for part in parts), *(clip.value for clip in clips)]
    return {
        "change": [*(f"without the {p.rows}" for p in parts), *(f"eps={c.eps:.4g}" for c in clips)],
        "rows": [*(str(part.n) for part in parts), *(f"{c.clipped} clipped" for c in clips)],
        "share of sum": [*(_percent_of_sum(part) for part in parts), *("" for _ in clips)],
        "value": [number(v) or "undefined" for v in values],
    }


def _percent_of_sum(part: Part) -> str:
    if part.share is None:
        return ""
    about = "about " if part.share_error else ""
    return f"{about}{100.0 * part.share:.4g} %"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100.0 * value:+.3g} %" if value else "0 %"


def _percent_of(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100.0 * value:.1f}"
