"""Write outcomes as Markdown tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import Any

from jobs import MEGABYTE
from verdicts import Check, Outcome, checks

NOTHING = "-"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a Markdown table whose columns also line up as plain text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def markdown(
    outcomes: dict[str, Outcome], machine: dict[str, str], settings: dict[str, Any]
) -> str:
    """Write the whole report: promises, times, faults, machine."""
    parts = []
    promises = checks(outcomes)
    if promises:
        parts.append(table(["job", "figure", "value", "range", "bar", "met"], _promises(promises)))
    parts.append(
        table(
            ["job", "contender", "wall s", "range", "cpu s", "peak MB", "time / limit", "notes"],
            [row for outcome in outcomes.values() for row in _times(outcome)],
        )
    )
    parts.append("\n".join(f"- {line}" for line in _jobs_and_faults(outcomes)))
    facts = ", ".join(f"{name} {value}" for name, value in (machine | settings).items())
    parts.append(f"Machine and settings: {facts}.")
    return "\n\n".join(parts) + "\n"


def _promises(promises: list[Check]) -> list[list[str]]:
    return [
        [
            check.job,
            check.what,
            f"{check.figure:.2f}{check.unit}",
            f"{check.spread[0]:.2f} to {check.spread[1]:.2f}" if check.spread else NOTHING,
            f"{'at least' if check.at_least else 'at most'} {check.bar:g}{check.unit}",
            "yes" if check.met else "NO",
        ]
        for check in promises
    ]


def _times(outcome: Outcome) -> list[list[str]]:
    rows = []
    for contender, samples in outcome.samples.items():
        walls = outcome.walls(contender)
        limit = outcome.ratio(contender, "decode")
        rows.append(
            [
                outcome.name,
                contender,
                f"{median(walls):.2f}",
                f"{min(walls):.2f} to {max(walls):.2f}",
                f"{median(sample.cpu_s for sample in samples):.2f}",
                f"{(outcome.peak(contender) or 0) / MEGABYTE:.0f}",
                f"{limit.median:.2f}" if limit and contender != "decode" else NOTHING,
                _notes(outcome, contender),
            ]
        )
    return rows


def _notes(outcome: Outcome, contender: str) -> str:
    samples = outcome.samples[contender]
    notes = []
    if contender in outcome.disagreements:
        notes.append("OTHER ANSWER")
    disturbed = sum(sample.disturbed for sample in samples)
    if disturbed:
        notes.append(f"{disturbed} of {len(samples)} disturbed")
    read = max(sample.read_bytes for sample in samples)
    if read > MEGABYTE:
        notes.append(f"read {read / MEGABYTE:.0f} MB from disk")
    return ", ".join(notes) or NOTHING


def _jobs_and_faults(outcomes: dict[str, Outcome]) -> list[str]:
    lines = [f"{name}: {outcome.job.title}" for name, outcome in outcomes.items()]
    for name, outcome in outcomes.items():
        lines += [f"{name} {who} failed: {why}" for who, why in outcome.failures.items()]
        for contender, sentences in outcome.disagreements.items():
            more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
            lines.append(f"{name} {contender} differs: {sentences[0]}{more}")
    return lines


def document(
    outcomes: dict[str, Outcome], machine: dict[str, str], settings: dict[str, Any]
) -> dict[str, Any]:
    """Give everything that was measured in plain JSON types."""
    return {
        "machine": machine,
        "settings": settings,
        "checks": [asdict(check) | {"met": check.met} for check in checks(outcomes)],
        "jobs": {name: _measured(outcome) for name, outcome in outcomes.items()},
    }


def _measured(outcome: Outcome) -> dict[str, Any]:
    fields = ("wall_s", "cpu_s", "peak_bytes", "read_bytes", "foreign_s")
    return {
        "title": outcome.job.title,
        "contenders": {
            contender: {name: [getattr(sample, name) for sample in samples] for name in fields}
            for contender, samples in outcome.samples.items()
        },
        "failures": outcome.failures,
        "disagreements": outcome.disagreements,
    }
