"""The worst rows of all results as flat records, for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lossctl.report import Report

FIXED = ("loss", "slice", "rank", "file", "row", "value", "reason")


def records(report: Report) -> Iterator[dict[str, Any]]:
    """Give one record a result and row, with the columns that were asked for at the end."""
    for result in report.to_dict()["results"]:
        for rank, row in enumerate(result.get("worst", ()), start=1):
            yield {
                "loss": result["loss"],
                "slice": result["slice"],
                "rank": rank,
                "file": row["file"],
                "row": row["row"],
                **({"key": row["key"]} if "key" in row else {}),
                "value": row["loss"],
                "reason": row["reason"],
                "columns": row["columns"],
            }
