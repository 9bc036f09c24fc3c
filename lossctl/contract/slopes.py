"""Slopes by differences, to hold gradients and curvatures against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lossctl.contract.cases import Array, Case, Columns, Indices, parts_of
from lossctl.losses import Ragged

Mask = npt.NDArray[np.bool_]

STEP = 2.0**-13
"""How far apart the points are that a slope is taken from."""


def differences(case: Case, columns: Columns, role: str) -> tuple[Array, Mask]:
    """Differentiate by differences; marks coordinates around which the loss has no kink."""
    values = columns[role]
    flat = parts_of(values)[0].ravel()
    result, smooth = np.zeros_like(flat), np.zeros(flat.shape, dtype=np.bool_)
    here = case.rows(columns)
    for positions, rows in coordinates(values):

        def moved(step: float, positions: Indices = positions, rows: Indices = rows) -> Array:
            return case.rows(columns | {role: shifted(values, positions, step)})[rows]

        far_up, up, down, far_down = (moved(k * STEP) for k in (1.0, 0.5, -0.5, -1.0))
        coarse, fine = (far_up - far_down) / (2.0 * STEP), (up - down) / STEP
        slope = (4.0 * fine - coarse) / 3.0
        size = 1.0 + np.abs(slope)
        sides = (far_up - here[rows]) / STEP - (here[rows] - far_down) / STEP
        result[positions] = slope
        smooth[positions] = (np.abs(sides) < 0.01 * size) & (np.abs(coarse - fine) < 1e-4 * size)
    return result, smooth


def bends(case: Case, columns: Columns, role: str) -> tuple[Array, Mask]:
    """Differentiate the gradient by differences; marks coordinates where that has no kink."""
    values = columns[role]
    flat = parts_of(values)[0].ravel()
    result, smooth = np.zeros_like(flat), np.zeros(flat.shape, dtype=np.bool_)
    for positions, _ in coordinates(values):

        def slope(step: float, positions: Indices = positions) -> Array:
            moved = case.slopes(columns | {role: shifted(values, positions, step)})[role]
            return moved.reshape(-1)[positions]

        coarse, fine = (
            (slope(step) - slope(-step)) / (2.0 * step) for step in (STEP / 8, STEP / 16)
        )
        result[positions] = (4.0 * fine - coarse) / 3.0
        smooth[positions] = np.abs(coarse - fine) < 1e-5 * (1.0 + np.abs(fine))
    return result, smooth


def shifted(values: Any, positions: Indices, step: float) -> Any:
    """Move some of the flat values of a role."""
    there = parts_of(values)[0].copy()
    there.reshape(-1)[positions] += step
    return values._replace(values=there) if isinstance(values, Ragged) else there


def coordinates(values: Any) -> Iterator[tuple[Indices, Indices]]:
    """Give sets of coordinates of different rows: positions in the flat values, and the rows."""
    if isinstance(values, Ragged):
        for place in range(int(values.lengths.max())):
            rows = np.flatnonzero(values.lengths > place)
            yield values.offsets[rows] + place, rows
    else:
        rows = np.arange(len(values))
        width = values.size // len(values)
        for place in range(width):
            yield rows * width + place, rows
