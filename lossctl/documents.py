"""JSON documents: the form of results, the text of a whole document, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lossctl.results import Interval, Matching, Result, RowCount, RowRef, Rows, Search, WorstRow

LONG = 100
"""Items from which on the lists of a JSON form are written an item a line."""


def digest(stable: Mapping[str, Any]) -> str:
    """Hash everything of a document that equal runs share."""
    text = json.dumps(
        stable, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}"


def json_text(document: Mapping[str, Any]) -> str:
    """Write a document with indentation; of long lists, an item a line.

    Python indents by itself, which takes several times as long, and so much is nothing to read.
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


def result_to_dict(result: Result) -> dict[str, Any]:
    """Give the JSON form of a loss over one slice."""
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


def search_to_dict(search: Search) -> dict[str, Any]:
    """Give the JSON form of the worst slices."""
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
    return asdict(ci)
