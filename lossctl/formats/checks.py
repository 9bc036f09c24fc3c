"""What the formats that show checks have in common."""

from __future__ import annotations

from lossctl.errors import UsageError
from lossctl.formats import Document
from lossctl.report import Report
from lossctl.verdict import GRAVITY, Outcome, Verdict


def gate_of(document: Document) -> Verdict:
    """Give the gate of a report.

    Raises
    ------
    UsageError
        It has none.

    """
    gate = document.gate if isinstance(document, Report) else None
    if gate is None:
        raise UsageError("this format shows checks, and there is none", hint="give a limit")
    return gate


def unpassed(gate: Verdict) -> list[Outcome]:
    """Give what did not pass, the gravest first."""
    found = [outcome for outcome in gate.outcomes if outcome.verdict != "pass"]
    return sorted(found, key=lambda outcome: GRAVITY.index(outcome.verdict))
