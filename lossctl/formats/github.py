"""Annotations of GitHub Actions: lines that the runner shows beside the step."""

from __future__ import annotations

from lossctl.errors import Exit
from lossctl.formats import Document, Style
from lossctl.formats.cells import place_name
from lossctl.formats.checks import gate_of, unpassed

SHOWN = 10
"""Annotations of one kind that the service shows of a step."""


def render(report: Document, style: Style) -> str:
    """Give a line for each check that did not pass, the gravest first, and for those left over."""
    del style
    gate = gate_of(report)
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for outcome in unpassed(gate):
        harmless = gate.counted(outcome) == "pass" or gate.exit == Exit.DONE
        title = _property(f"lossctl {outcome.verdict}: {place_name(outcome)}")
        kind = "warning" if harmless else "error"
        lines[kind].append(f"::{kind} title={title}::{_data(outcome.message)}")
    for kind, found in lines.items():
        if len(found) > SHOWN:
            more = len(found) - SHOWN + 1
            found[SHOWN - 1 :] = [f"::{kind} title=lossctl::and {more} more"]
    return "".join(f"{line}\n" for found in lines.values() for line in found)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
