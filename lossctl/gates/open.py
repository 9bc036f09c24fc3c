"""Opening baselines: an earlier report or a state, told from a file of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lossctl import report as report_module
from lossctl import statefile
from lossctl.errors import LossctlError
from lossctl.gates.baseline import Baseline, Fault, Numbers, Summarised, key_of
from lossctl.report import Report

SAME = ("nulls", "nonfinite", "weight", "where", "missing", "duplicates")
"""Settings that must be those of the baseline, as they say which rows count and how much."""


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


def open_baseline(path: str, candidate: Report) -> Baseline:
    """Open a baseline for a report; what is wrong with it is told by each check."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = json.loads(text)
        schema = document["schema"]
    except FileNotFoundError:
        return Summarised({}, Fault("missing-baseline", f"there is no baseline {path}"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"the baseline {path} is neither a report nor a state ({error})"
        return Summarised({}, Fault("unreadable-baseline", message))
    try:
        if schema == statefile.SCHEMA:
            document = statefile.report_of(statefile.load_merged([path])).to_dict()
        elif schema != report_module.SCHEMA:
            message = f"the baseline {path} is of an unknown kind: {schema}"
            return Summarised({}, Fault("unreadable-baseline", message))
        return _summarised(document, candidate)
    except LossctlError as error:
        return Summarised({}, Fault("unreadable-baseline", str(error)))
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
    for name in SAME:
        if old.get(name) != new.get(name):
            message = (
                f"the baseline was measured with {name}={old.get(name, 'none')}, "
                f"this is {name}={new.get(name, 'none')}"
            )
            return Fault("other-signature", message)
    return None


def _settings(signature: str) -> dict[str, str]:
    parts = (part.partition("=") for part in signature.split(" | "))
    return {name: value for name, _, value in parts}
