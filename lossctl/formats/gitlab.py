"""GitLab's code quality report: what did not pass, in the merge request's widget."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lossctl.formats import Document, Style
from lossctl.formats.cells import place_name
from lossctl.formats.checks import gate_of, unpassed
from lossctl.verdict import Outcome

SEVERITIES = {"unmeasurable": "blocker", "fail": "critical", "undecided": "minor"}


def render(report: Document, style: Style) -> str:
    """Give a list with one entry for each check that did not pass, the gravest first."""
    del style
    inputs = report.run.get("inputs") or [{"path": "lossctl"}]
    path = str(inputs[0]["path"]).removeprefix("./")
    entries = [_entry(outcome, path) for outcome in unpassed(gate_of(report))]
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _entry(outcome: Outcome, path: str) -> dict[str, Any]:
    name = place_name(outcome)
    # The widget tells new problems from known ones by it, so numbers play no part.
    identity = f"{name}\n{outcome.loss}\n{outcome.verdict}"
    return {
        "description": f"{outcome.verdict}: {name}: {outcome.message}",
        "check_name": f"lossctl/{outcome.kind}",
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest(),
        "severity": SEVERITIES[outcome.verdict],
        "location": {"path": path, "lines": {"begin": 1}},
    }
