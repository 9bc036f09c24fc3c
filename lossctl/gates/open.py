"""Opening baselines: an earlier report or a state, told from a file of predictions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lossctl import report as report_module
from lossctl import statefile
from lossctl.errors import InputError, LossctlError, Place
from lossctl.gates.baseline import Baseline, Fault, Numbers, Summarised, key_of
from lossctl.report import Report

SAME = ("nulls", "nonfinite", "weight", "where", "missing", "duplicates")
"""Settings that must be those of the baseline, as they say which rows count and how much."""
KEPT = ("loss", "slice", "value", "std_error", "ci", "n", "direction")
"""What a baseline has of each result."""
NUMBER = (int, float, type(None))
KINDS: Mapping[str, type | tuple[type, ...]] = {
    "loss": str,
    "slice": dict,
    "value": NUMBER,
    "std_error": NUMBER,
    "n": int,
}


class UnreadableError(LossctlError):
    """A file holds no numbers to compare with."""

    slug = "baseline"


HEAD = 200
"""Bytes at the start of a file that tell what lossctl wrote from rows."""


def holds_predictions(path: str, *, named: bool) -> bool:
    """Tell whether a baseline is rows to be read beside the candidate's, and not numbers.

    No file of rows is called ``.json``, unless it is ``named`` by its format.
    """
    if "://" in path or not Path(path).exists():
        return "://" in path or any(sign in path for sign in "*?[")
    if not Path(path).is_file():
        return True
    if Path(path).suffix.lower() == ".json" and not named:
        return False
    with Path(path).open("rb") as file:
        head = file.read(HEAD).lstrip()
    return not (head.startswith(b"{") and (b'"schema"' in head or head.startswith(b'{"digest"')))


def numbers_document(path: str) -> dict[str, Any]:
    """Give what a report, a state or an accepted baseline says, in the form of a report.

    Raises
    ------
    InputError
        There is no such file.
    UnreadableError
        It is none of these.

    """
    try:
        document: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", place=Place(path)) from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error), place=Place(path)) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"no JSON, or damaged: {error}", place=Place(path)) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    name = schema.get("name") if isinstance(schema, dict) else None
    if schema == statefile.SCHEMA:
        return statefile.report_of(statefile.load_merged([path])).to_dict()
    if schema != report_module.SCHEMA and name != "lossctl.baseline":
        what = "nothing in it says what it is" if name is None else f"it is a {name}"
        message = f"neither a report nor a state nor an accepted baseline; {what}"
        raise UnreadableError(message, place=Place(path))
    told: dict[str, Any] = document
    if fault := _damage(told):
        raise UnreadableError(f"damaged: {fault}", place=Place(path))
    return told


def _damage(document: Mapping[str, Any]) -> str:
    """Say what a report lacks; nothing where its numbers can be compared with."""
    if not isinstance(document.get("signature"), str):
        return "it has no signature"
    if not isinstance(document.get("results"), list):
        return "it has no results"
    for number, result in enumerate(document["results"], start=1):
        lacking = [name for name in KEPT if not isinstance(result, dict) or name not in result]
        if lacking:
            return f"result {number} has no {lacking[0]}"
        for name, kind in KINDS.items():
            if not isinstance(result[name], kind):
                return f"{name} of result {number} is {result[name]!r}"
    return ""


def open_baseline(path: str, candidate: Report) -> Baseline:
    """Open a baseline for a report; what is wrong with it is told by each check."""
    try:
        return _summarised(numbers_document(path), candidate)
    except InputError:
        message = f"there is no baseline {path}; `lossctl baseline accept` makes one of a report"
        return Summarised({}, Fault("missing-baseline", message))
    except LossctlError as error:
        return Summarised({}, Fault("unreadable-baseline", f"the baseline {error}"))


def _summarised(document: dict[str, Any], candidate: Report) -> Summarised:
    """Take the numbers of a report, unless it was made under other conditions."""
    numbers = {
        key_of(result["loss"], result["slice"]): Numbers(
            result["value"], result["std_error"], result["n"]
        )
        for result in document["results"]
    }
    fault = other_conditions(document["signature"], candidate.signature) or other_rows(
        document.get("fingerprint"), candidate.fingerprint
    )
    return Summarised(numbers, fault)


def other_rows(before: str | None, now: str | None) -> Fault | None:
    """Tell by their fingerprints that two reports are of other rows."""
    if None in (before, now) or before == now:
        return None
    message = f"the baseline was measured on other rows (fingerprint {before}, not {now})"
    return Fault("other-fingerprint", message)


def other_conditions(before: str, now: str) -> Fault | None:
    """Name the first setting under which two reports do not speak of the same thing."""
    old, new = _settings(before), _settings(now)
    codes, others = _codes(before), _codes(now)
    for loss in codes.keys() & others.keys():
        if codes[loss] != others[loss]:
            message = f"the baseline was measured by other code of {loss}"
            return Fault("other-signature", message)
    for name in SAME:
        if old.get(name) != new.get(name):
            message = (
                f"the baseline was measured with {name}={old.get(name, 'none')}, "
                f"this is {name}={new.get(name, 'none')}"
            )
            return Fault("other-signature", message)
    return None


def _codes(signature: str) -> dict[str, str]:
    """Give the code of each loss that is not built in, as its full spec tells it."""
    parts = (re.fullmatch(r"(.*)[:,]code=([^,]*)", part) for part in signature.split(" | "))
    return {part[1]: part[2] for part in parts if part is not None}


def _settings(signature: str) -> dict[str, str]:
    parts = (part.partition("=") for part in signature.split(" | "))
    return {name: value for name, _, value in parts}
