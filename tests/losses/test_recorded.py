"""Every loss against what PyTorch, torchvision and Keras said, as recorded in ``values.json``.

``recorded/record.py`` explains how to read a case and how to record more of them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.losses import Loss, Ragged, Spec, find
from lossctl.report import Report

Array = npt.NDArray[np.float64]
Case = Mapping[str, Any]

RECORDED = json.loads((Path(__file__).parent / "recorded" / "values.json").read_text("utf-8"))
CASES: list[Case] = RECORDED["cases"]
NAMES = [f"{case['loss']} {case['library']} {case['name']}" for case in CASES]

every_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


def numbers(values: Iterable[Any]) -> Array:
    """Read numbers, some of which JSON cannot hold and the file keeps as text."""
    return np.array([float(value) for value in values])


def columns_of(case: Case) -> dict[str, Any]:
    """Give the columns as a kernel takes them."""
    domains = {role.name: role.domain for role in find(case["loss"]).roles}
    return {
        role: _ragged(rows) if domains[role].ragged else np.array(rows, dtype=np.float64)
        for role, rows in case["columns"].items()
    }


def _ragged(rows: list[list[float]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(numbers(itertools.chain.from_iterable(rows)), offsets)


def assert_close(actual: Any, recorded: Any) -> None:
    """Compare as closely as the libraries' own rounding allows."""
    np.testing.assert_allclose(actual, recorded, rtol=1e-12, atol=1e-15)


@every_case
def test_rows_are_what_the_library_says(case: Case) -> None:
    """The loss of each row agrees; rows that take no part are not asked."""
    if case["rows"] is None:
        assert case["value"] is not None
        return
    recorded = numbers(case["rows"])
    rows = find(case["loss"])(**columns_of(case), **case["parameters"])
    counts = ~np.isnan(recorded)
    assert counts.any()
    assert_close(rows[counts], recorded[counts])


@every_case
def test_the_value_is_what_the_library_says(
    case: Case,
    write_parquet: Callable[..., Path],
    measure: Callable[..., Report],
    tmp_path: Path,
) -> None:
    """The value of a file agrees, where the library takes means itself."""
    if case["value"] is None:
        assert case["rows"] is not None
        return
    path = write_parquet(tmp_path / "rows.parquet", columns_of(case))
    loss = find(case["loss"])
    spec = Spec(loss, loss.check_parameters(case["parameters"]))
    result = measure(spec.full, path).results[0]
    assert_close(result.value, float(case["value"]))


@every_case
def test_the_gradient_is_what_the_library_says(case: Case) -> None:
    """Derivatives agree; of the two conventions for complete IoU, the one without a constant."""
    recorded = case["gradient"]
    if recorded is None and "gradients" in case:
        recorded = case["gradients"]["alpha differentiated"]
    if recorded is None:
        assert case.get("gradient_note") or find(case["loss"]).gradient is None
        return
    loss, columns = find(case["loss"]), columns_of(case)
    assert loss.gradient is not None
    with np.errstate(all="ignore"):
        result = loss.gradient(**columns, **(loss.defaults() | case["parameters"]))
    arrays = result if isinstance(result, tuple) else (result,)
    slopes = dict(zip(loss.with_respect_to, arrays, strict=True))
    scale = 1.0 if case["rows"] is not None else _slope_of_the_value(loss, columns)
    for role, rows in recorded.items():
        flat = rows
        while isinstance(flat[0], list):
            flat = list(itertools.chain.from_iterable(flat))
        assert_close(scale * slopes[role].ravel(), numbers(flat))


def _slope_of_the_value(loss: Loss, columns: Mapping[str, Any]) -> float:
    """Differentiate the value of a file by the loss of one of its rows."""
    rows = loss.kernel(**columns, **loss.defaults())
    slope = loss.finish.slope([sum(map(Fraction, rows.tolist()), Fraction(0)) / len(rows)])
    assert slope is not None
    return slope[0] / len(rows)


def test_every_case_is_of_a_loss_and_every_family_has_cases() -> None:
    """No case is left behind when a loss is renamed."""
    assert len(set(NAMES)) == len(NAMES)
    families = {find(case["loss"]).family for case in CASES}
    assert {"regression", "classification", "detection", "embedding", "adversarial"} <= families
