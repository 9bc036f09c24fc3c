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

from lossctl import contract
from lossctl.contract import SIZES, Case
from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.evaluate import evaluate
from lossctl.losses import REGISTRY, Loss, Ragged, Spec, parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report

# The same examples in every run: a red suite means that the code has changed, not the dice.
settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("suite")

Columns = Mapping[str, Any]
"""Role to its values, as a kernel takes them."""
Mask = npt.NDArray[np.bool_]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests for every loss, or for every notable spec with hard and with soft targets."""
    wanted = metafunc.fixturenames
    if "loss" in wanted:
        metafunc.parametrize("loss", list(REGISTRY.values()), ids=list(REGISTRY))
    if "spec" not in wanted:
        return
    cases = [case for loss in REGISTRY.values() for case in contract.cases(loss)]
    if "soft_targets" not in wanted:
        cases = [case for case in cases if not case.soft_targets]
        metafunc.parametrize("spec", [c.spec for c in cases], ids=[c.spec.label for c in cases])
        return
    names = [case.spec.label + " soft targets" * case.soft_targets for case in cases]
    pairs = [(case.spec, case.soft_targets) for case in cases]
    metafunc.parametrize(("spec", "soft_targets"), pairs, ids=names)


@pytest.fixture
def draw() -> Callable[..., dict[str, Any]]:
    """Draw valid random columns for the roles of a loss, from the domains' own samples."""

    def columns(
        loss: Loss,
        rows: int,
        sizes: Mapping[str, int] = SIZES[0],
        *,
        soft_targets: bool = False,
        seed: int = 0,
    ) -> dict[str, Any]:
        return Case(Spec(loss, loss.defaults()), soft_targets).draw(rows, sizes, seed=seed)

    return columns


@pytest.fixture
def take_rows() -> Callable[..., dict[str, Any]]:
    """Give some rows of columns, in any order."""
    return contract.take_rows


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
