"""Opening baselines: an earlier report or a state, told from a file of predictions."""

from __future__ import annotations

import re
from pathlib import Path

from lossctl.errors import InputError, LossctlError
from lossctl.gates.baseline import Baseline, Fault, Numbers, Summarised, key_of
from lossctl.gates.stored import Stored, read_stored
from lossctl.report import Report

SAME = ("nulls", "nonfinite", "weight", "where", "missing", "duplicates")
"""Settings that must be those of the baseline, as they say which rows count and how much."""
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


def open_baseline(path: str, candidate: Report) -> Baseline:
    """Open a baseline for a report; what is wrong with it is told by each check."""
    try:
        return _summarised(read_stored(path), candidate)
    except InputError:
        message = f"there is no baseline {path}; `lossctl baseline accept` makes one of a report"
        return Summarised({}, Fault("missing-baseline", message))
    except LossctlError as error:
        return Summarised({}, Fault("unreadable-baseline", f"the baseline {error}"))


def _summarised(stored: Stored, candidate: Report) -> Summarised:
    """Take the numbers of an earlier run, unless it was made under other conditions."""
    numbers = {
        key_of(result["loss"], result["slice"]): Numbers.of(
            result["value"], result["std_error"], result["n"], (result["ci"] or {}).get("df")
        )
        for result in stored.results
    }
    fault = other_conditions(stored.signature, candidate.signature) or other_rows(
        stored.fingerprint, candidate.fingerprint
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
