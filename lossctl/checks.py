"""Checks: every value a kernel sees is finite and in its domain, or its row is refused or dropped.

The domains are declared by the losses; a check ties one to the columns that fill the role, so
that several losses with the same need check a column once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lossctl.data.binding import Binding, Slot
from lossctl.data.chunks import Chunk, Reading, Task, place_of
from lossctl.errors import DomainError, MissingValueError, Place
from lossctl.losses import Domain, Ragged, Spec

Mask = npt.NDArray[np.bool_]
Nonfinite = Literal["error", "drop", "keep"]


@dataclass(frozen=True)
class Check:
    """The domain that the values of one slot must lie in."""

    slot: Slot
    role: str
    domain: Domain
    size: int
    """Number behind the domain's size letter; 0 where it has none."""
    parameters: tuple[tuple[str, Any], ...]
    """The loss's text parameters, for domains that depend on one (a box's ``format``)."""

    def violations(self, values: Any) -> Mask | None:
        """Mark the rows outside the domain; None when there are none."""
        return self.domain.violations(values, dict(self.parameters), {self.domain.size: self.size})

    def judge(self, labels: frozenset[float], reading: Reading) -> None:
        """Refuse a file whose labels contradict each other.

        Raises
        ------
        DomainError
            They do.

        """
        if fault := self.domain.contradiction(labels):
            path = reading.sources[self.slot.source].path
            raise DomainError(fault, place=Place(path, column=self.slot.columns[0]))


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
        for role in spec.loss.roles:
            width = widths.get(role.domain.size, 0)
            checks[Check(slots[role.name], role.name, role.domain, width, texts)] = None
    return tuple(checks)


def apply_policies(
    checks: Sequence[Check], task: Task, chunk: Chunk, nonfinite: Nonfinite
) -> dict[str, Mask]:
    """Refuse the rows that the policy does not allow, drop those it drops.

    Gives, by reason, marks of the dropped rows among all that were read.

    Raises
    ------
    DomainError
        A value is outside its domain.
    MissingValueError
        A value is NaN or infinite where the policy allows none.

    """
    dropped: dict[str, Mask] = {}
    if chunk.kept is not None:
        dropped["null"] = ~chunk.kept
    gone = np.zeros(chunk.rows, dtype=np.bool_)
    for check in checks:
        values = chunk.values[check.slot]
        bad = check.violations(values)
        if bad is None:
            continue
        infinite = bad & ~finite_rows(values)
        if nonfinite == "error" or check.slot.kind == "class":
            _refuse(check, task, chunk, np.flatnonzero(bad & ~gone), values)
        _refuse(check, task, chunk, np.flatnonzero(bad & ~infinite & ~gone), values)
        if nonfinite == "drop":
            gone |= infinite
    if gone.any():
        before = chunk.kept
        chunk.drop(gone)
        after = chunk.kept if chunk.kept is not None else np.ones(chunk.read, dtype=np.bool_)
        dropped["nonfinite"] = ~after if before is None else before & ~after
    return dropped


def finite_rows(values: Any) -> Mask:
    """Mark the rows in which every value is finite."""
    if not isinstance(values, Ragged):
        finite = np.isfinite(values)
        return finite if finite.ndim == 1 else np.asarray(finite.all(axis=1))
    rows = np.ones(len(values.lengths), dtype=np.bool_)
    bad = np.flatnonzero(~np.isfinite(values.values))
    rows[np.searchsorted(values.offsets, bad, side="right") - 1] = False
    return rows


def _refuse(
    check: Check, task: Task, chunk: Chunk, rows: npt.NDArray[np.intp], values: Any
) -> None:
    if not len(rows):
        return
    row = int(rows[0])
    shown, column = _value(check, values, row)
    part = check.slot.source if len(task.fragments) > 1 else 0
    place = place_of(task, chunk.row_number(row), part, column)
    if not np.isfinite(shown).all():
        raise MissingValueError(
            f"the value is {_text(shown)}",
            hint="--nonfinite drop leaves such rows out and counts them",
            place=place,
        )
    raise DomainError(f"{check.role} must be {check.domain.text}, not {_text(shown)}", place=place)


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
