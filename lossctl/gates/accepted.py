"""Accepted baselines: small files for a repository, with who they are of, since when and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date
from pathlib import Path
from typing import Any

from lossctl.errors import Exit, InputError, LossctlError, Place
from lossctl.gates.baseline import key_of
from lossctl.gates.open import other_conditions, other_rows
from lossctl.gates.stored import SCHEMA, read_stored, today
from lossctl.record import record

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


def accept(report: str, reason: str) -> Accepted:
    """Make a baseline of a JSON report or a state file.

    Raises
    ------
    InputError, UnreadableError
        It is none.
    BaselineError
        A loss in it has no value.

    """
    stored = read_stored(report)
    if lacking := [result["loss"] for result in stored.results if result["value"] is None]:
        raise BaselineError(f"{lacking[0]} has no value to compare with", place=Place(report))
    return Accepted(reason, today(), stored.signature, stored.results, stored.fingerprint, report)


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
    stored = read_stored(path)
    if stored.on is None:
        raise BaselineError("not an accepted baseline", place=Place(path))
    return Accepted(
        stored.reason, stored.on, stored.signature, stored.results, stored.fingerprint, path
    )


def other_data(before: Accepted, after: Accepted) -> str:
    """Say why two baselines are not of the same data; nothing where that cannot be told."""
    fault = other_conditions(before.signature, after.signature) or other_rows(
        before.fingerprint, after.fingerprint
    )
    if fault is not None:
        return fault.message
    rows = {key_of(result["loss"], result["slice"]): result["n"] for result in before.results}
    for result in after.results:
        old = rows.get(key_of(result["loss"], result["slice"]), result["n"])
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
    new = {key_of(result["loss"], result["slice"]): result for result in after.results}
    for old in before.results:
        name = _name(old)
        found = new.get(key_of(old["loss"], old["slice"]))
        if found is None:
            yield f"{name} is not measured any more"
        elif _badness(found) > _badness(old):
            yield f"{name} is {found['value']:.6g}, was {old['value']:.6g}"


def _name(result: Mapping[str, Any]) -> str:
    return " ".join([result["loss"], *(f"{k}={v}" for k, v in result["slice"].items())])


def _badness(result: Mapping[str, Any]) -> float:
    value = float(result["value"])
    return abs(value) if result["direction"] == "zero_is_best" else value
