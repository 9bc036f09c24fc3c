"""The contract of every loss, generated from the registry: a declared loss is a tested loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.errors import DomainError, LossctlError, SpecError
from lossctl.losses import REGISTRY, Loss, Parameter, Ragged, Role, Spec, find, parse

Array = npt.NDArray[np.float64]
Columns = dict[str, Any]
Draw = Callable[..., Columns]
TakeRows = Callable[[Columns, npt.NDArray[np.intp]], Columns]

ROOT = Path(__file__).parents[2]
ROWS = 48
SIZES = (
    {"K": 4, "D": 5, "4": 4, "P": 9, "M": 4, "N": 3},
    {"K": 2, "D": 1, "4": 4, "P": 1, "M": 1, "N": 1},
    # Beyond eight values NumPy unrolls the sum of a row, beyond 128 it cuts it in two.
    {"K": 11, "D": 130, "4": 4, "P": 300, "M": 20, "N": 30},
)

WITHOUT_GRADIENT = {"mask_iou_thresholded"}
"""Losses that are steps: flat wherever they have a derivative."""


@pytest.fixture(autouse=True)
def _infinities_are_results() -> Iterator[None]:
    """Let kernels divide by zero without a warning, as the evaluation does."""
    with np.errstate(all="ignore"):
        yield


def bits(values: Any) -> list[bytes]:
    """Give the bytes of arrays, so that zeros of both signs and kinds of NaN differ."""
    arrays = values if isinstance(values, tuple) else (values,)
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def shown(spec: Spec, columns: Columns) -> Array:
    """Give the loss of each row, from the kernel itself."""
    return spec.loss.finish.row(spec.loss.kernel(**columns, **spec.parameters))


# Kernels ------------------------------------------------------------------------------------------


def test_a_kernel_gives_a_number_per_row_and_component(
    spec: Spec, soft_targets: bool, draw: Draw
) -> None:
    """The result has the shape that the finish of the loss expects, and no row is NaN."""
    for sizes in SIZES:
        columns = draw(spec.loss, ROWS, sizes, soft_targets=soft_targets)
        components = spec.loss.kernel(**columns, **spec.parameters)
        count = spec.loss.finish.components
        assert components.dtype == np.float64
        assert components.shape == ((ROWS,) if count == 1 else (count, ROWS))
        assert spec.loss.finish.row(components).shape == (ROWS,)
        assert not np.isnan(components).any()


def test_a_call_checks_the_columns_and_gives_the_rows(
    spec: Spec, soft_targets: bool, draw: Draw
) -> None:
    """Valid columns pass the domains, by position and by name, and the rows are the kernel's."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    expected = bits(shown(spec, columns))
    assert bits(spec.loss(**columns, **spec.parameters)) == expected
    assert bits(spec.loss(*columns.values(), **spec.parameters)) == expected


def test_a_kernel_is_pure(spec: Spec, soft_targets: bool, draw: Draw) -> None:
    """Inputs are left alone and a second call gives the same bits, gradient included."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    untouched = draw(spec.loss, ROWS, soft_targets=soft_targets)
    for function in filter(None, (spec.loss.kernel, spec.loss.gradient)):
        first = bits(function(**columns, **spec.parameters))
        assert bits(function(**columns, **spec.parameters)) == first
    for role, values in untouched.items():
        assert bits(tuple(columns[role])) == bits(tuple(values)), role


def test_a_row_does_not_depend_on_the_rows_around_it(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """The bits of a row are the same alone, in chunks of seven and in any order."""
    order = np.random.default_rng(7).permutation(ROWS)
    for sizes in SIZES:
        columns = draw(spec.loss, ROWS, sizes, soft_targets=soft_targets)
        whole = np.atleast_2d(spec.loss.kernel(**columns, **spec.parameters))
        for cut in (1, 7):
            parts = [
                np.atleast_2d(spec.loss.kernel(**take_rows(columns, rows), **spec.parameters))
                for rows in np.split(np.arange(ROWS), range(cut, ROWS, cut))
            ]
            assert bits(np.concatenate(parts, axis=1)) == bits(whole), (cut, sizes)
        moved = spec.loss.kernel(**take_rows(columns, order), **spec.parameters)
        assert bits(np.atleast_2d(moved)) == bits(whole[:, order]), sizes


def test_a_chunk_may_hold_no_row(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """Kernels and gradients take a chunk that is left empty when all of its rows are dropped."""
    columns = take_rows(
        draw(spec.loss, 3, soft_targets=soft_targets), np.zeros(0, dtype=np.intp)
    )
    assert shown(spec, columns).shape == (0,)
    for slopes in gradients(spec, columns).values():
        assert len(slopes) == 0


def test_swapping_the_first_two_roles_changes_nothing_where_the_loss_says_so(
    loss: Loss, draw: Draw, notable: Callable[[Loss], list[Spec]]
) -> None:
    """A loss that calls itself symmetric is; one that does not can be seen not to be."""
    first, second = (role.name for role in loss.roles[:2])
    if loss.roles[0].domain.sample is None or not swappable(loss):
        assert not loss.symmetric
        return
    columns = draw(loss, ROWS)
    swapped = columns | {first: columns[second], second: columns[first]}
    same = [np.array_equal(shown(spec, columns), shown(spec, swapped)) for spec in notable(loss)]
    assert all(same) if loss.symmetric else not all(same)
