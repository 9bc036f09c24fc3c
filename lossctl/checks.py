"""Checks: every value a kernel sees is finite and in its domain, or its row is refused or dropped.

The domains are declared by the losses; a check ties one to the columns that fill the role, so
that several losses with the same need check a column once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lossctl.data.binding import Binding, Slot
from lossctl.data.chunks import Chunk
from lossctl.data.faults import Fault
from lossctl.data.tasks import Task, place_of
from lossctl.errors import DomainError, LossctlError, MissingValueError
from lossctl.losses import Domain, Ragged, Spec
from lossctl.record import record

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Nonfinite = Literal["error", "drop", "keep"]


@record
class Check:
    """The domain that the values of one slot must lie in."""

    slot: Slot
    role: str
    domain: Domain
    size: int
    """Number behind the domain's size letter; 0 where it has none."""
    parameters: tuple[tuple[str, Any], ...]
    """The loss's text parameters, for domains that depend on one (a box's ``format``)."""
    partner: tuple[str, Slot] | None = None
    """Role and slot of the same loss whose ragged rows must be as long as this one's."""

    def violations(self, values: Any) -> Mask | None:
        """Mark the rows outside the domain; None when there are none."""
        return self.domain.violations(values, dict(self.parameters), {self.domain.size: self.size})


def find_checks(specs: Sequence[Spec], binding: Binding) -> tuple[Check, ...]:
    """Give the distinct checks that the losses need."""
    checks: dict[Check, None] = {}
    for spec in specs:
        slots = binding[spec.full]
        texts = tuple((k, v) for k, v in spec.parameters.items() if isinstance(v, str))
        widths = {
            role.domain.size: slots[role.name].width
            for role in spec.loss.roles
            if slots[role.name].kind == "matrix"
        }
        ragged: dict[str, tuple[str, Slot]] = {}
        for role in spec.loss.roles:
            slot, size, partner = slots[role.name], role.domain.size, None
            if role.domain.ragged and ragged.setdefault(size, (role.name, slot))[0] != role.name:
                partner = ragged[size]
            width = widths.get(size, 0)
            checks[Check(slot, role.name, role.domain, width, texts, partner)] = None
    return tuple(checks)


def apply_policies(
    checks: Sequence[Check],
    task: Task,
    chunk: Chunk,
    nonfinite: Nonfinite,
    weight: Slot | None = None,
) -> dict[str, Indices]:
    """Refuse the earliest row that the policies do not allow, drop those that they drop.

    Gives the places of the dropped rows among those that were read, by reason. A row that is
    dropped for one value is not looked at for another, and takes its weight along.

    Raises
    ------
    LossctlError
        A value is missing, not finite or outside its domain, a weight is missing, not finite or
        negative, or the files differ in a shared column.

    """
    present = [(check, chunk.values[check.slot]) for check in checks if check.slot in chunk.values]
    found = [
        (check, values, bad)
        for check, values in present
        if (bad := check.violations(values)) is not None
    ]
    told = chunk.faults or chunk.missing or chunk.weights is not None
    if not (found or told or any(check.partner for check in checks)):
        return {}
    nothing = np.zeros(chunk.rows, dtype=np.bool_)
    null = np.logical_or.reduce([nothing, *chunk.missing.values()])
    infinite, outside = _told_apart(found, null, nonfinite)
    dropped = infinite if nonfinite == "drop" else nothing
    faults = [
        _fault(check, chunk, task, int(rows[0]))
        for check, bad in outside
        if len(rows := np.flatnonzero(bad & ~dropped))
    ]
    faults += _unequal_lengths(checks, chunk, task, null | dropped)
    faults += _wrong_weights(chunk, task, weight, null | dropped)
    faults = [*chunk.faults, *map(chunk.placed, faults)]
    if faults:
        chunk.faults = [min(faults, key=lambda fault: fault.row)]
        raise _error(chunk.faults[0], task, chunk)
    gone = {"null": null, "nonfinite": dropped}
    places = {why: chunk.places(np.flatnonzero(marks)) for why, marks in gone.items()}
    if any(map(len, places.values())):
        chunk.drop(null | dropped)
    return {why: rows for why, rows in places.items() if len(rows)}


def _told_apart(
    found: Sequence[tuple[Check, Any, Mask]], null: Mask, nonfinite: Nonfinite
) -> tuple[Mask, list[tuple[Check, Mask]]]:
    """Mark the rows that are not finite and may be, and for each check those outside its domain."""
    infinite = np.zeros_like(null)
    outside: list[tuple[Check, Mask]] = []
    for check, values, marked in found:
        bad = marked & ~null
        if not bad.any():
            continue
        # A NaN names no class, so there is nothing to keep.
        if nonfinite == "error" or (nonfinite == "keep" and check.slot.kind == "class"):
            outside.append((check, bad))
            continue
        not_finite = bad & ~finite_rows(values)
        infinite |= not_finite
        outside.append((check, bad & ~not_finite))
    return infinite, outside


def _error(fault: Fault, task: Task, chunk: Chunk) -> LossctlError:
    if chunk.origin is not None:
        place = chunk.origin.place(fault.row, fault.part, fault.column)
    else:
        place = place_of(task, chunk.first_row + fault.row, fault.part, fault.column)
    return fault.error(fault.message, hint=fault.hint, place=place)


def _unequal_lengths(
    checks: Sequence[Check], chunk: Chunk, task: Task, dropped: Mask
) -> Iterator[Fault]:
    """Find rows whose lists differ in length where the roles share a size letter."""
    for check in checks:
        if check.partner is None or not chunk.values.keys() >= {check.slot, check.partner[1]}:
            continue
        other, slot = check.partner
        mine, theirs = (chunk.values[each].lengths for each in (check.slot, slot))
        for row in np.flatnonzero((mine != theirs) & ~dropped)[:1].tolist():
            message = (
                f"{other} has {theirs[row]} values and {check.role} {mine[row]}; "
                "they must be as many"
            )
            yield Fault(row, _part(check, task), None, DomainError, message)


def _wrong_weights(chunk: Chunk, task: Task, slot: Slot | None, dropped: Mask) -> Iterator[Fault]:
    """Find the first row whose weight is none: no policy leaves such rows out."""
    weights = chunk.weights
    if weights is None or slot is None:
        return
    right = np.isfinite(weights) & (weights >= 0.0)
    for row in np.flatnonzero(~right & ~dropped)[:1].tolist():
        text = "missing or not a number" if math.isnan(weights[row]) else f"{weights[row]:g}"
        part = slot.source if len(task.fragments) > 1 else 0
        yield Fault(
            row,
            part,
            slot.columns[0],
            MissingValueError if math.isnan(weights[row]) else DomainError,
            f"the weight is {text}",
            "a weight is a finite number, 0 or more; --where can leave rows without one out",
        )


def _part(check: Check, task: Task) -> int:
    return check.slot.source if len(task.fragments) > 1 else 0


def finite_rows(values: Any) -> Mask:
    """Mark the rows in which every value is finite."""
    if not isinstance(values, Ragged):
        finite = np.isfinite(values)
        return finite if finite.ndim == 1 else np.asarray(finite.all(axis=1))
    rows = np.ones(len(values.lengths), dtype=np.bool_)
    bad = np.flatnonzero(~np.isfinite(values.values))
    rows[np.searchsorted(values.offsets, bad, side="right") - 1] = False
    return rows


def _fault(check: Check, chunk: Chunk, task: Task, row: int) -> Fault:
    shown, column = _value(check, chunk.values[check.slot], row)
    part = _part(check, task)
    if not np.isfinite(shown).all():
        return Fault(
            row,
            part,
            column,
            MissingValueError,
            f"the value is {_text(shown)}",
            "--nonfinite drop leaves such rows out and counts them",
        )
    message = f"{check.role} must be {check.domain.text}, not {_text(shown)}"
    hint = ""
    if check.domain.condition and column is not None:
        name = column if column.isidentifier() else f"`{column}`"
        hint = f"--where '{name} {check.domain.condition}' leaves such rows out and counts them"
    return Fault(row, part, column, DomainError, message, hint)


def _value(check: Check, values: Any, row: int) -> tuple[Any, str | None]:
    """Give the faulty value of a row and its column, or the whole row where that is the fault."""
    columns = check.slot.columns
    if isinstance(values, Ragged):
        part = values.values[values.offsets[row] : values.offsets[row + 1]]
        return part[:8], columns[0] if len(columns) == 1 else None
    if values.ndim == 1:
        return values[row], columns[0] if columns else None
    bad = np.flatnonzero(~np.isfinite(values[row]))
    if len(bad) and len(columns) > 1:
        return values[row][bad[0]], columns[int(bad[0])]
    return values[row][:8], columns[0] if len(columns) == 1 else None


def _text(value: Any) -> str:
    return f"{value:g}" if np.ndim(value) == 0 else "[" + ", ".join(f"{v:g}" for v in value) + "]"
