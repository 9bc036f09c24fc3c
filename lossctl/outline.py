"""Outlines: what a run would read and why, as plain objects, without reading a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lossctl.data.binding import USUAL, Choices, Slot
from lossctl.data.grouped import GroupedSource
from lossctl.data.source import Source
from lossctl.data.tasks import Task, tasks
from lossctl.losses import Role, Spec
from lossctl.plan import Plan

SCHEMA = {"name": "lossctl.plan", "version": 1}
PROGRAM_BYTES = 110 << 20
"""Memory of the program with its libraries, before it reads anything."""
COPIES = 6
"""Arrays of the size of a chunk's values that kernels and sums hold at a time, about."""
STREAM_BYTES = 32 << 20
"""Bytes that a file takes that is read in order, about."""


def outline(plan: Plan, choices: Choices) -> dict[str, Any]:
    """Say what would be read, which column plays which role and why, and what it would take.

    Raises
    ------
    PairingError
        Files that know their rows differ in their number.

    """
    reading, policies = plan.reading, plan.policies
    work = tasks(reading, in_order=False)
    # Only a run can tell how many rows are left.
    signature = plan.settings.signature(0).rpartition(" | ")[0]
    shown = {
        "nulls": policies.nulls,
        "nonfinite": policies.nonfinite,
        "where": policies.where,
        "weight": policies.weight,
        "by": [list(names) for names in policies.by],
        "ci": policies.ci,
    }
    return {
        "schema": SCHEMA,
        "signature": signature,
        "inputs": [_input(source) for source in reading.sources],
        "losses": [_loss(plan, spec, choices) for spec in plan.specs],
        "pairing": {
            "by": reading.pairing,
            "keys": [str(key) for key in reading.keys],
            "equal": list(reading.shared),
            "missing": reading.missing if reading.keys else None,
        },
        "policies": shown,
        "work": {
            "tasks": len(work),
            "unread": sum(task.excluded for task in work),
            "rows_of_chunk": reading.rows,
            "jobs": policies.jobs,
            "memory": _memory(plan, work),
        },
    }


def _input(source: Source) -> dict[str, Any]:
    files = source.files
    return {
        "path": source.path,
        "format": source.format if isinstance(source, GroupedSource) else files[0].format,
        "compression": files[0].compression or None,
        "files": len(files),
        "rows": source.rows,
        "bytes": source.size,
        "columns": {name: _type(kind) for name, kind in source.types.items()},
    }


def _type(kind: Any) -> str | None:
    return None if kind is None else str(kind)


def _loss(plan: Plan, spec: Spec, choices: Choices) -> dict[str, Any]:
    slots = plan.binding[spec.full]
    return {
        "loss": spec.full,
        "roles": [_role(plan, spec, role, slots[role.name], choices) for role in spec.loss.roles],
    }


def _role(plan: Plan, spec: Spec, role: Role, slot: Slot, choices: Choices) -> dict[str, Any]:
    source = plan.reading.sources[slot.source] if slot.columns else None
    types = dict.fromkeys(_type(source.types[name]) for name in slot.columns) if source else {}
    return {
        "role": role.name,
        "needs": role.domain.text,
        "columns": list(slot.columns),
        "input": None if source is None else source.path,
        "types": list(types),
        "becomes": _becomes(slot, spec),
        "why": "; ".join(_reasons(plan, spec, role, slot, choices)),
    }


def _becomes(slot: Slot, spec: Spec) -> str:
    """Say what the kernel sees of the columns."""
    if slot.kind == "constant":
        return f"{slot.constant:g} in every row"
    if slot.kind == "population":
        return f"1 for {spec.loss.populations[0]}, 0 for {spec.loss.populations[1]}"
    if slot.kind == "class":
        return f"the number of the class among {', '.join(slot.classes)}"
    if slot.kind == "positive":
        return f"1 where it is {slot.positive!r}, else 0"
    shape = {"number": "(rows,)", "matrix": f"(rows, {slot.width})"}.get(slot.kind, "a list a row")
    return f"float64 {shape}"


def _reasons(plan: Plan, spec: Spec, role: Role, slot: Slot, choices: Choices) -> Iterator[str]:
    """Say how the columns of a role were found, and in which order several are taken."""
    if slot.kind == "constant":
        yield "no column has its usual names, so the default"
    elif slot.kind == "population":
        yield "each file is one population"
    elif isinstance(plan.reading.sources[slot.source], GroupedSource):
        yield "gathered by --group"
    else:
        yield _told(spec, role, choices) or _usual(role, slot)
    if slot.names:
        yield f"told apart by the ends {', '.join(slot.names)}"
    elif len(slot.columns) > 1:
        yield "in the order of the list"


def _told(spec: Spec, role: Role, choices: Choices) -> str:
    """Name the option that names the columns; empty when none does."""
    own = f"{spec.loss.name}.{role.name}"
    if own in choices.columns:
        return f"named by --col {own}"
    option = {"prediction": "--pred", "target": "--target"}.get(role.name, f"--col {role.name}")
    return f"named by {option}" if role.name in choices.columns else ""


def _usual(role: Role, slot: Slot) -> str:
    if len(slot.columns) > 1:
        return f"a usual beginning of names for {role.domain.text}"
    if slot.columns[0].strip().lower() in USUAL.get(role.name, (role.name,)):
        return f"a usual name for the {role.name}"
    return f"a usual name for {role.domain.text}"


def _memory(plan: Plan, work: Sequence[Task]) -> int:
    """Predict the most memory that a run takes, roughly: within a factor of two."""
    reading, policies = plan.reading, plan.policies
    jobs = max(1, min(policies.jobs, len(work)))
    values = sum(max(1, slot.width) for slot in reading.numbers)
    chunk = 8 * reading.rows * values * COPIES
    piece = max((_piece(task) for task in work), default=0)
    held = sum(s.size for s in reading.sources if isinstance(s, GroupedSource)) * 3
    spill = min(policies.memory, sum(s.size for s in reading.sources)) if reading.keys else 0
    return PROGRAM_BYTES + jobs * (chunk + piece) + held + spill


def _piece(task: Task) -> int:
    """Estimate the bytes that a task's files take while they are decoded."""
    total = 0
    for fragment in task.fragments:
        source = fragment.source
        length = fragment.stop - fragment.start
        if not length or source.compression:
            total += min(STREAM_BYTES, 8 * source.size)
        elif source.rows:
            total += 2 * source.size * length // source.rows
        else:
            total += 3 * length
    return total
