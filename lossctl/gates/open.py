"""Opening baselines: an earlier report or a state, told from a file of predictions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lossctl import report as report_module
from lossctl import statefile
from lossctl.errors import InputError, LossctlError, Place
from lossctl.gates.baseline import Baseline, Fault, Numbers, Summarised, key_of
from lossctl.report import Report

SAME = ("nulls", "nonfinite", "weight", "where", "missing", "duplicates")
"""Settings that must be those of the baseline, as they say which rows count and how much."""


class UnreadableError(LossctlError):
    """A file holds no numbers to compare with."""

    slug = "baseline"


HEAD = 200
"""Bytes at the start of a file that tell what lossctl wrote from rows."""


def holds_predictions(path: str) -> bool:
    """Tell whether a baseline is rows to be read beside the candidate's, and not numbers."""
    if "://" in path or not Path(path).exists():
        return "://" in path or any(sign in path for sign in "*?[")
    if not Path(path).is_file():
        return True
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
        document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        schema = document["schema"]
        if schema == statefile.SCHEMA:
            return statefile.report_of(statefile.load_merged([path])).to_dict()
        if schema == report_module.SCHEMA or schema["name"] == "lossctl.baseline":
            return document
    except FileNotFoundError as error:
        raise InputError("no such file", place=Place(path)) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"neither a report nor a state ({type(error).__name__}: {error})"
        raise UnreadableError(message, place=Place(path)) from error
    raise UnreadableError(f"of an unknown kind: {schema}", place=Place(path))


def open_baseline(path: str, candidate: Report) -> Baseline:
    """Open a baseline for a report; what is wrong with it is told by each check."""
    try:
        return _summarised(numbers_document(path), candidate)
    except InputError:
        return Summarised({}, Fault("missing-baseline", f"there is no baseline {path}"))
    except LossctlError as error:
        return Summarised({}, Fault("unreadable-baseline", f"the baseline: {error}"))
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the baseline {path} is damaged ({type(error).__name__}: {error})"
        return Summarised({}, Fault("unreadable-baseline", message))


def _summarised(document: dict[str, Any], candidate: Report) -> Summarised:
    """Take the numbers of a report, unless it was made under other conditions."""
    numbers = {
        key_of(result["loss"], result["slice"]): Numbers(
            result["value"], result["std_error"], result["n"]
        )
        for result in document["results"]
    }
    fault = other_conditions(document["signature"], candidate.signature)
    before, now = document.get("fingerprint"), candidate.fingerprint
    if fault is None and None not in (before, now) and before != now:
        message = f"the baseline was measured on other rows (fingerprint {before}, not {now})"
        fault = Fault("other-fingerprint", message)
    return Summarised(numbers, fault)


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
