"""JUnit XML: one test case per check, for the test views of CI services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from lossctl.formats import Document, Style
from lossctl.formats.cells import place_name
from lossctl.formats.checks import gate_of
from lossctl.verdict import Outcome, Verdict

ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold, not even escaped."""


def render(report: Document, style: Style) -> str:
    """Give the checks as the one suite of a JUnit document."""
    del style
    gate = gate_of(report)
    kinds = [_kind(gate, outcome) for outcome in gate.outcomes]
    counts = (
        f'tests="{len(kinds)}" failures="{kinds.count("failure")}" '
        f'errors="{kinds.count("error")}" skipped="{kinds.count("skipped")}" time="0"'
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="lossctl" {counts}>',
        f'  <testsuite name="lossctl gate" {counts}>',
        "    <properties>",
        f'      <property name="signature" value={_attribute(report.signature)}/>',
        f'      <property name="verdict" value={_attribute(gate.decision)}/>',
        "    </properties>",
        *(line for outcome in gate.outcomes for line in _case(gate, outcome)),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _kind(gate: Verdict, outcome: Outcome) -> str:
    """Give the element that an outcome becomes; one that passes has none."""
    counted = gate.counted(outcome)
    if counted == "unmeasurable":
        return "error"
    if counted != "pass":
        return "failure"
    return "" if outcome.verdict == "pass" else "skipped"


def _case(gate: Verdict, outcome: Outcome) -> Iterator[str]:
    name = _attribute(place_name(outcome))
    loss = _attribute(outcome.loss or "rows")
    head = f'    <testcase classname={loss} name={name} time="0"'
    kind = _kind(gate, outcome)
    message = _attribute(outcome.message)
    if not kind:
        yield f"{head}>"
        yield f"      <system-out>{escape(_legal(outcome.message))}</system-out>"
    elif kind == "skipped":
        yield f"{head}>"
        yield f"      <skipped message={message}/>"
    else:
        why = outcome.reason if outcome.verdict == "unmeasurable" else outcome.verdict
        text = escape(_legal(f"{outcome.verdict}: {outcome.message}"))
        yield f"{head}>"
        yield f"      <{kind} type={_attribute(why or '')} message={message}>{text}</{kind}>"
    yield "    </testcase>"


def _legal(text: str) -> str:
    return ILLEGAL.sub("", text)


def _attribute(text: str) -> str:
    return quoteattr(_legal(text))
