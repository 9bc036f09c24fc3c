"""Cases: a loss at its notable parameters, and valid columns drawn for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.losses import Classes, Loss, Parameter, Ragged, Simplex, Spec
from lossctl.record import record

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Columns = dict[str, Any]

ROWS = 48
SIZES: tuple[Mapping[str, int], ...] = (
    {"K": 4, "D": 5, "4": 4, "P": 9, "M": 4, "N": 3},
    {"K": 2, "D": 1, "4": 4, "P": 1, "M": 1, "N": 1},
    # NumPy unrolls sums of more than eight values and cuts those of more than 128 in two.
    {"K": 11, "D": 130, "4": 4, "P": 300, "M": 20, "N": 30},
)
"""Widths behind the letters of vectors: ordinary, the least, and long ones."""


@record
class Case:
    """A loss at some parameters, with class numbers or with soft targets."""

    spec: Spec
    soft_targets: bool = False

    @property
    def loss(self) -> Loss:
        """The loss of the spec."""
        return self.spec.loss

    def draw(
        self, rows: int = ROWS, sizes: Mapping[str, int] = SIZES[0], *, seed: int = 0
    ) -> Columns:
        """Draw valid random columns for the roles, the same ones every time."""
        rng = np.random.default_rng(seed)
        letters = {role.domain.size: sizes["D"] for role in self.loss.roles} | dict(sizes)
        return {
            role.name: Simplex.sample(role.domain, rng, rows, letters)
            if self.soft_targets and isinstance(role.domain, Classes)
            else role.domain.sample(rng, rows, letters)
            for role in self.loss.roles
        }

    def components(self, columns: Columns) -> Array:
        """Give what the kernel computes, shape ``(k, rows)``."""
        return np.atleast_2d(self.loss.kernel(**columns, **self.spec.parameters))

    def rows(self, columns: Columns) -> Array:
        """Give the loss of each row, shape ``(rows,)``."""
        return self.loss.finish.row(self.loss.kernel(**columns, **self.spec.parameters))

    def slopes(self, columns: Columns) -> dict[str, Array]:
        """Give the declared derivatives by role; none for a loss without a gradient."""
        if self.loss.gradient is None:
            return {}
        result = self.loss.gradient(**columns, **self.spec.parameters)
        arrays = result if isinstance(result, tuple) else (result,)
        return dict(zip(self.loss.with_respect_to, arrays, strict=True))

    def bends(self, columns: Columns) -> Array | None:
        """Give the declared second derivatives; None for a loss without them."""
        if self.loss.curvature is None:
            return None
        result = self.loss.curvature(**columns, **self.spec.parameters)
        return result[0] if isinstance(result, tuple) else result

    def derivatives(self, columns: Columns) -> dict[str, Array]:
        """Give all derivatives that are declared, each with its name in words."""
        found = {f"gradient by {role!r}": values for role, values in self.slopes(columns).items()}
        bends = self.bends(columns)
        return found if bends is None else found | {"curvature": bends}


def cases(loss: Loss) -> list[Case]:
    """Give the loss at all notable parameters, with hard and, where it may, with soft targets."""
    soft = any(type(role.domain) is Classes for role in loss.roles)
    return [Case(spec, s) for spec in notable_specs(loss) for s in (False, True)[: 1 + soft]]


def notable_specs(loss: Loss) -> list[Spec]:
    """Give the loss at its defaults, and with one parameter at a time at another notable value."""
    defaults = loss.defaults()
    others = [
        Spec(loss, defaults | {parameter.name: value})
        for parameter in loss.parameters
        for value in notable_values(parameter)
        if value != parameter.default
    ]
    return [Spec(loss, defaults), *others]


def notable_values(parameter: Parameter) -> list[Any]:
    """Give every choice, both truth values, or an interval's inside and the ends it holds."""
    interval = parameter.interval
    if parameter.choices or interval is None:
        return list(parameter.choices or (False, True))
    low, high = interval.low, interval.high
    if not np.isfinite(low):
        low = min(0.0 if parameter.default is None else parameter.default, high - 1.0)
    inside = low + 0.375 * (high - low) if np.isfinite(high) else low + 1.5
    ends = [end for end in (interval.low, high) if np.isfinite(end) and end in interval]
    values = [parameter.kind(value) for value in (*ends, inside)]
    return [*values, *([None] if parameter.optional else [])]


def take(values: Any, rows: Indices) -> Any:
    """Give some rows of the values of a role, in any order."""
    if not isinstance(values, Ragged):
        return np.ascontiguousarray(values[rows])
    parts = [values.values[values.offsets[row] : values.offsets[row + 1]] for row in rows]
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return Ragged(np.concatenate([np.zeros(0), *parts]), offsets)


def take_rows(columns: Columns, rows: Indices) -> Columns:
    """Give some rows of columns, in any order."""
    return {role: take(values, rows) for role, values in columns.items()}


def bits(*arrays: Any) -> list[bytes]:
    """Give the bytes of arrays, so that zeros of both signs differ."""
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def parts_of(values: Any) -> tuple[Any, ...]:
    """Give the arrays behind the values of a role."""
    return tuple(values) if isinstance(values, Ragged) else (values,)


def joined(*parts: Any) -> Any:
    """Put the rows of several arrays or ragged values one after the other."""
    if not isinstance(parts[0], Ragged):
        return np.concatenate(parts)
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Ragged(np.concatenate([part.values for part in parts]), offsets)
