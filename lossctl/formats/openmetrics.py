"""OpenMetrics text: the losses and checks as gauges, for dashboards and merge requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lossctl.errors import UsageError
from lossctl.formats import Document, Style
from lossctl.formats.cells import slice_name
from lossctl.report import Report

WHOLE = "all"
DIGITS = 10
"""Some services compare the texts of the values, so their length is fixed."""


def render(report: Document, style: Style) -> str:
    """Give the report as gauges; what is undefined has no sample.

    Raises
    ------
    UsageError
        It is the report of a comparison.

    """
    del style
    if not isinstance(report, Report):
        raise UsageError("openmetrics shows the losses of one model")
    return "\n".join([*_results(report), *_gate(report), "# EOF"]) + "\n"


def _results(report: Report) -> Iterator[str]:
    places = [({"loss": r.loss, "slice": slice_name(r.slice) or WHOLE}, r) for r in report.results]
    yield from _family("lossctl_loss", "Value of the loss.", [(p, r.value) for p, r in places])
    yield from _family(
        "lossctl_loss_std_error", "Standard error.", [(p, r.std_error) for p, r in places]
    )
    yield from _family("lossctl_loss_rows", "Rows that count.", [(p, r.n) for p, r in places])
    rows: list[tuple[Mapping[str, str], float | None]] = [
        ({"kind": "read"}, report.rows.read),
        ({"kind": "scored"}, report.rows.scored),
        *(({"kind": f"dropped {why}"}, n.count) for why, n in report.rows.dropped.items()),
    ]
    yield from _family("lossctl_rows", "What became of the rows.", rows)


def _gate(report: Report) -> Iterator[str]:
    if report.gate is None:
        return
    checks = [
        (
            {
                "check": outcome.name,
                "slice": slice_name(outcome.slice) or WHOLE,
                "verdict": outcome.verdict,
            },
            float(report.gate.counted(outcome) == "pass"),
        )
        for outcome in report.gate.outcomes
    ]
    yield from _family("lossctl_check", "Whether the check counts as passed.", checks)
    whole = [({"verdict": report.gate.decision}, float(report.gate.decision == "pass"))]
    yield from _family("lossctl_gate", "Whether the gate passed.", whole)


def _family(
    name: str, about: str, samples: Sequence[tuple[Mapping[str, str], float | None]]
) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield f"# HELP {name} {about}"
    for labels, value in samples:
        if value is not None:
            inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            yield f"{name}{{{inner}}} {value:.{DIGITS}g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
