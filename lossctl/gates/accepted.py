"""Accepted baselines: small files for a repository, with who they are of, since when and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lossctl.errors import Exit, InputError, LossctlError, Place
from lossctl.gates.open import KEPT, numbers_document, other_conditions, other_rows
from lossctl.record import record

SCHEMA = {"name": "lossctl.baseline", "version": 1}
STALE_DAYS = 90
"""From this age on, a baseline is worth a look."""


class BaselineError(LossctlError):
    """A file is no accepted baseline, or a report cannot become one."""

    slug = "baseline"


class RegressionError(LossctlError):
    """What is to be accepted is worse than what was accepted before."""

    slug = "regression"
    exit = Exit.LIMIT


@record
class Accepted:
    """A baseline as it lies in its file."""

    reason: str
    on: date
    signature: str
    results: tuple[Mapping[str, Any], ...]
    """Value, standard error, interval and rows by loss and slice."""
    fingerprint: str | None = None
    path: str = field(default="", compare=False)

    @property
    def age(self) -> int:
        """Days since it was accepted."""
        return (today() - self.on).days

    def to_json(self) -> str:
        """Give the file as text."""
        document = {
            "schema": SCHEMA,
            "accepted": self.on.isoformat(),
            "reason": self.reason,
            "signature": self.signature,
            "fingerprint": self.fingerprint,
            "results": [dict(result) for result in self.results],
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def today() -> date:
    """Give the date, the same all over the world."""
    return datetime.now(UTC).date()


def accept(report: str, reason: str) -> Accepted:
    """Make a baseline of a JSON report or a state file.

    Raises
    ------
    InputError, UnreadableError
        It is none.
    BaselineError
        A loss in it has no value.

    """
    document = numbers_document(report)
    results = tuple({name: result[name] for name in KEPT} for result in document["results"])
    if lacking := [result["loss"] for result in results if result["value"] is None]:
        raise BaselineError(f"{lacking[0]} has no value to compare with", place=Place(report))
    return Accepted(
        reason, today(), document["signature"], results, document.get("fingerprint"), report
    )


def read_accepted(path: str) -> Accepted:
    """Read a baseline.

    Raises
    ------
    InputError
        There is none.
    BaselineError, UnreadableError
        It is something else, or damaged.

    """
    if not Path(path).exists():
        hint = "`lossctl baseline accept REPORT --reason WHY` makes one of a report"
        raise InputError("no such file", hint=hint, place=Place(path))
    document = numbers_document(path)
    if document["schema"] != SCHEMA:
        raise BaselineError("not an accepted baseline", place=Place(path))
    try:
        on, reason = date.fromisoformat(document["accepted"]), str(document["reason"])
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError("damaged: it has no date or no reason", place=Place(path)) from error
    results = tuple({name: result[name] for name in KEPT} for result in document["results"])
    return Accepted(reason, on, document["signature"], results, document.get("fingerprint"), path)


def other_data(before: Accepted, after: Accepted) -> str:
    """Say why two baselines are not of the same data; nothing where that cannot be told."""
    fault = other_conditions(before.signature, after.signature) or other_rows(
        before.fingerprint, after.fingerprint
    )
    if fault is not None:
        return fault.message
    rows = {_key(result): result["n"] for result in before.results}
    for result in after.results:
        old = rows.get(_key(result), result["n"])
        if old != result["n"]:
            name = _name(result)
            return f"the baseline was measured on {old} rows of {name}, this is of {result['n']}"
    return ""


def check_no_worse(before: Accepted, after: Accepted) -> None:
    """Refuse to let a regression in: limits on increases would follow it, step by step.

    Raises
    ------
    RegressionError
        A loss is worse, or is not measured any more.

    """
    worse = list(_worse(before, after))
    if worse:
        raise RegressionError(
            f"accepting this would let a regression in: {'; '.join(worse)}",
            hint="--allow-regression accepts it, with the reason given",
            place=Place(before.path),
        )


def _worse(before: Accepted, after: Accepted) -> Iterator[str]:
    new = {_key(result): result for result in after.results}
    for old in before.results:
        name = _name(old)
        found = new.get(_key(old))
        if found is None:
            yield f"{name} is not measured any more"
        elif _badness(found) > _badness(old):
            yield f"{name} is {found['value']:.6g}, was {old['value']:.6g}"


def _name(result: Mapping[str, Any]) -> str:
    return " ".join([result["loss"], *(f"{k}={v}" for k, v in result["slice"].items())])


def _key(result: Mapping[str, Any]) -> tuple[str, str]:
    return result["loss"], json.dumps(result["slice"], sort_keys=True)


def _badness(result: Mapping[str, Any]) -> float:
    value = float(result["value"])
    return abs(value) if result["direction"] == "zero_is_best" else value
