"""What the whole suite shares: cases made from the registry, random columns, files, and a measure.

A test with an argument ``loss`` runs for every loss of the catalogue, one with ``spec`` for every
loss at every notable value of each of its parameters. So a new loss is tested by being declared.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.evaluate import evaluate
from lossctl.losses import REGISTRY, Loss, Parameter, Ragged, Spec, parse
from lossctl.losses._domains import Classes, Simplex
from lossctl.plan import Policies, make_plan
from lossctl.report import Report

# The same examples in every run: a red suite means that the code has changed, not the dice.
settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("suite")

Columns = Mapping[str, Any]
"""Role to its values, as a kernel takes them."""
Mask = npt.NDArray[np.bool_]

SIZES = {"K": 4, "D": 5, "4": 4, "P": 9, "M": 4, "N": 3}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests for every loss, or for every notable spec with hard and with soft targets."""
    wanted = metafunc.fixturenames
    if "loss" in wanted:
        metafunc.parametrize("loss", list(REGISTRY.values()), ids=list(REGISTRY))
    if "spec" not in wanted:
        return
    specs = [spec for loss in REGISTRY.values() for spec in notable_specs(loss)]
    if "soft_targets" not in wanted:
        metafunc.parametrize("spec", specs, ids=[spec.label for spec in specs])
        return
    cases = [(spec, soft) for spec in specs for soft in (False, True)[: 1 + _may_be_soft(spec)]]
    names = [spec.label + " soft targets" * soft for spec, soft in cases]
    metafunc.parametrize(("spec", "soft_targets"), cases, ids=names)


def notable_specs(loss: Loss) -> list[Spec]:
    """Give the loss at its defaults, and with one parameter at a time at another notable value."""
    defaults = loss.defaults()
    others = [
        Spec(loss, defaults | {parameter.name: value})
        for parameter in loss.parameters
        for value in _notable_values(parameter)
        if value != parameter.default
    ]
    return [Spec(loss, defaults), *others]


def _notable_values(parameter: Parameter) -> list[Any]:
    """Give every choice, both truth values, or an interval's inside and the ends it holds."""
    interval = parameter.interval
    if parameter.choices or interval is None:
        return list(parameter.choices or (False, True))
    low, high = interval.low, interval.high
    inside = low + 0.375 * (high - low) if np.isfinite(high) else low + 1.5
    ends = [end for end in (low, high) if np.isfinite(end) and end in interval]
    return [*ends, inside, *([None] if parameter.optional else [])]


def _may_be_soft(spec: Spec) -> bool:
    return any(type(role.domain) is Classes for role in spec.loss.roles)


@pytest.fixture
def notable() -> Callable[[Loss], list[Spec]]:
    """Give the specs of a loss that ``spec`` runs through."""
    return notable_specs


@pytest.fixture
def draw() -> Callable[..., dict[str, Any]]:
    """Draw valid random columns for the roles of a loss, from the domains' own samples."""

    def columns(
        loss: Loss,
        rows: int,
        sizes: Mapping[str, int] = SIZES,
        *,
        soft_targets: bool = False,
        seed: int = 0,
    ) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        return {
            role.name: Simplex.sample(role.domain, rng, rows, sizes)
            if soft_targets and isinstance(role.domain, Classes)
            else role.domain.sample(rng, rows, sizes)
            for role in loss.roles
        }

    return columns


@pytest.fixture
def take_rows() -> Callable[..., dict[str, Any]]:
    """Give some rows of columns, in any order."""

    def take(columns: Columns, rows: npt.NDArray[np.intp]) -> dict[str, Any]:
        return {role: _take(values, rows) for role, values in columns.items()}

    return take


def _take(values: Any, rows: npt.NDArray[np.intp]) -> Any:
    if not isinstance(values, Ragged):
        return np.ascontiguousarray(values[rows])
    parts = [values.values[values.offsets[row] : values.offsets[row + 1]] for row in rows]
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return Ragged(np.concatenate([np.zeros(0), *parts]), offsets)


def _as_arrow(values: Any, nulls: Mask | None) -> pa.Array:
    mask = None if nulls is None else pa.array(nulls)
    if isinstance(values, Ragged):
        offsets = pa.array(values.offsets.astype(np.int32))
        return pa.ListArray.from_arrays(offsets, pa.array(values.values), mask=mask)
    if values.ndim == 2:
        flat = pa.array(values.ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=mask)
    return pa.array(values, mask=nulls)


@pytest.fixture
def write_parquet() -> Callable[..., Path]:
    """Write columns to a Parquet file; `groups` gives the rows of its row groups in turn."""

    def write(
        path: Path,
        columns: Columns,
        *,
        groups: Sequence[int] = (),
        nulls: Mapping[str, Mask] | None = None,
    ) -> Path:
        masks = nulls or {}
        table = pa.table({role: _as_arrow(v, masks.get(role)) for role, v in columns.items()})
        cuts = [*np.cumsum(groups, dtype=int).tolist(), table.num_rows]
        with pq.ParquetWriter(path, table.schema) as writer:
            for start, stop in zip([0, *cuts], cuts, strict=False):
                writer.write_table(table.slice(start, stop - start))
        return path

    return write


@pytest.fixture
def write_csv() -> Callable[..., Path]:
    """Write columns to a CSV file; a role of several values a row gets a column for each."""

    def write(path: Path, columns: Columns) -> Path:
        named: dict[str, list[float]] = {}
        for role, values in columns.items():
            if isinstance(values, Ragged):
                values = values.values.reshape(len(values.lengths), -1)
            if values.ndim == 1:
                named[role] = values.tolist()
            else:
                named |= {f"{role}_{i}": part.tolist() for i, part in enumerate(values.T)}
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(named)
            writer.writerows(map(_as_texts, zip(*named.values(), strict=True)))
        return path

    return write


def _as_texts(row: Sequence[float]) -> list[str]:
    """Write numbers so that they read back as they are, whole ones as people write them."""
    return [str(int(value)) if value.is_integer() else repr(value) for value in row]


@pytest.fixture
def measure() -> Callable[..., Report]:
    """Evaluate specs on files that hold a column or a group ``role_*`` for every role."""

    def run(specs: str | Sequence[str], *paths: Path | str, **policies: Any) -> Report:
        chosen = parse([specs] if isinstance(specs, str) else list(specs))
        sources = [open_source(str(path)) for path in paths]
        names = {name for source in sources for name in source.names}
        roles = {role.name for spec in chosen for role in spec.loss.roles}
        columns = {role: role if role in names else f"{role}_*" for role in roles}
        bound = {
            role: text
            for role, text in columns.items()
            if text in names or any(name.startswith(f"{role}_") for name in names)
        }
        return evaluate(make_plan(sources, chosen, Choices(bound), Policies(**policies)))

    return run
