"""Invariance: no chunk size, number of jobs, split or row order changes a digit of a report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.data import blocks, csv
from lossctl.data.derived import Derived
from lossctl.errors import DomainError, LossctlError
from lossctl.losses import REGISTRY, Loss, Ragged, find
from lossctl.losses._finish import MEAN
from lossctl.report import Report

Columns = dict[str, Any]
Draw = Callable[..., Columns]
TakeRows = Callable[[Columns, npt.NDArray[np.intp]], Columns]
Write = Callable[..., Path]
Measure = Callable[..., Report]

ROWS = 36
GROUPS = (1, 12, 3, 9, 2)
"""Rows of the row groups of an unevenly cut file; one more group holds the rest."""
CUTS = ((100_000, 1), (1, 3), (7, 8), (64, 2))
"""Rows of a chunk, and jobs."""


@pytest.fixture(autouse=True)
def _many_small_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cut even small files into many tasks, and name files alike wherever they are."""
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 10)
    monkeypatch.setattr(csv, "RANGE_BYTES", 200)
    for folder in ("even", "uneven"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "even")


def stable(report: Report) -> str:
    """Give all of a report that equal runs share, as text that tells 0 from -0."""
    everything = report.to_dict()
    del everything["run"]
    return json.dumps(everything, allow_nan=False)


def numbers(report: Report) -> list[str]:
    """Give the numbers that do not depend on where a row stands in its file."""
    return [
        repr((r.slice, r.n, r.value, r.sum, r.std_error, r.min, r.max, r.quantiles, r.reason))
        for r in report.results
    ]


def sliced(columns: Columns) -> Columns:
    """Add a column to slice by."""
    regions = np.array(["north", "south", "", "east"])
    return columns | {"region": regions[np.arange(ROWS) * 7 // 5 % 4]}


EVERYTHING: Mapping[str, Any] = {
    "quantiles": (0.1, 0.5, 0.9),
    "histogram": True,
    "top": 3,
    "sensitivity": True,
    "by": (("region",),),
}


def same_for_all_cuts(measure: Measure, name: str, *paths: str, **policies: Any) -> Report:
    """Measure with every cut of the work, hold the reports to be equal, and give one."""
    first, *others = (
        measure(name, *paths, chunk_rows=rows, jobs=jobs, **policies) for rows, jobs in CUTS
    )
    for other, cut in zip(others, CUTS[1:], strict=True):
        assert stable(other) == stable(first), cut
    return first


def test_a_report_of_a_parquet_file_is_the_same_for_any_cut(
    loss: Loss,
    draw: Draw,
    write_parquet: Write,
    measure: Measure,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Chunks, jobs and row groups of any size, with slices, quantiles and intervals."""
    columns = sliced(draw(loss, ROWS))
    write_parquet(Path("rows.parquet"), columns)
    report = same_for_all_cuts(measure, loss.name, "rows.parquet", **EVERYTHING)
    monkeypatch.chdir(tmp_path / "uneven")
    write_parquet(Path("rows.parquet"), columns, groups=GROUPS)
    cut = same_for_all_cuts(measure, loss.name, "rows.parquet", **EVERYTHING)
    assert stable(cut) == stable(report)
    assert report.rows.read == ROWS
    assert len(report.results) == 5


def rectangular(columns: Columns, rows: int) -> Columns:
    """Give two values to each row of a ragged role: a CSV file has so many columns."""
    return {
        role: Ragged(values.values[: 2 * rows], np.arange(rows + 1, dtype=np.int64) * 2)
        if isinstance(values, Ragged)
        else values[:rows]
        for role, values in columns.items()
    }


def test_a_report_of_a_csv_file_is_the_same_for_any_cut(
    loss: Loss, draw: Draw, write_csv: Write, write_parquet: Write, measure: Measure
) -> None:
    """Byte ranges that hold a few lines each; and the numbers are those of a Parquet file."""
    columns = rectangular(draw(loss, 3 * ROWS), ROWS)
    write_csv(Path("rows.csv"), columns)
    report = same_for_all_cuts(measure, loss.name, "rows.csv")
    write_parquet(Path("rows.parquet"), columns)
    assert numbers(measure(loss.name, "rows.parquet")) == numbers(report)


def test_the_order_of_the_rows_changes_no_number(
    loss: Loss, draw: Draw, take_rows: TakeRows, write_parquet: Write, measure: Measure
) -> None:
    """Shuffled and sorted files give the same bits of every sum, mean, spread and quantile."""
    columns = draw(loss, ROWS)
    shuffled = np.random.default_rng(3).permutation(ROWS)
    orders = (np.arange(ROWS), np.arange(ROWS)[::-1], shuffled)
    found = []
    for order in orders:
        write_parquet(Path("rows.parquet"), sliced(take_rows(columns, order)), groups=GROUPS)
        found.append(numbers(measure(loss.name, "rows.parquet", quantiles=(0.1, 0.5), jobs=2)))
    assert found[0] == found[1] == found[2]


def with_holes(columns: Columns, role: str, rows: Iterable[int], hole: float) -> Columns:
    """Put a number that is none into some rows of a role."""
    values = columns[role]
    flat = (values.values if isinstance(values, Ragged) else values).copy()
    for row in rows:
        if isinstance(values, Ragged):
            flat[values.offsets[row]] = hole
        elif flat.ndim == 2:
            flat[row, -1] = hole
        else:
            flat[row] = hole
    return columns | {role: Ragged(flat, values.offsets) if isinstance(values, Ragged) else flat}


@pytest.mark.parametrize("nonfinite", ["drop", "keep"])
def test_gaps_are_counted_the_same_for_any_cut(
    loss: Loss, nonfinite: str, draw: Draw, write_parquet: Write, measure: Measure
) -> None:
    """Nulls, NaN and infinities, dropped or kept: counts, reasons and row numbers agree."""
    role = loss.roles[0].name
    columns = with_holes(draw(loss, ROWS), role, (3, 20, 21, 30, 33), math.nan)
    columns = sliced(with_holes(columns, role, (5, 22, ROWS - 1), math.inf))
    nulls = np.isin(np.arange(ROWS), (0, 21, 26, ROWS - 2))
    write_parquet(Path("rows.parquet"), columns, groups=GROUPS, nulls={role: nulls})
    report = same_for_all_cuts(
        measure, loss.name, "rows.parquet", nulls="drop", nonfinite=nonfinite, by=(("region",),)
    )
    dropped = {why: [ref.row for ref in rows.first] for why, rows in report.rows.dropped.items()}
    expected = {"null": [1, 22, 27, ROWS - 1]}
    if nonfinite == "drop":
        expected["nonfinite"] = [4, 6, 21, 23, 31]
    assert dropped == expected
    lost = sum(rows.count for rows in report.rows.dropped.values())
    assert lost == (4 + 7 if nonfinite == "drop" else 4)
    assert (report.rows.read, report.rows.scored) == (ROWS, ROWS - lost)


@pytest.mark.parametrize("endings", ["csv csv", "parquet parquet", "csv parquet"])
def test_two_files_give_what_one_gives(
    endings: str, draw: Draw, write_csv: Write, write_parquet: Write, measure: Measure
) -> None:
    """Predictions and targets apart, cut in different places, read in step."""
    columns = draw(find("huber"), ROWS)
    names = []
    for role, ending in zip(columns, endings.split(), strict=True):
        names.append(f"{role}.{ending}")
        if ending == "csv":
            write_csv(Path(names[-1]), {role: columns[role]})
        else:
            groups = GROUPS if role == "target" else GROUPS[::-1]
            write_parquet(Path(names[-1]), {role: columns[role]}, groups=groups)
    report = same_for_all_cuts(measure, "huber", *names)
    write_csv(Path("both.csv"), columns)
    assert numbers(report) == numbers(measure("huber", "both.csv"))


def test_slices_by_any_type_of_column_are_the_same_for_any_cut(
    draw: Draw, write_parquet: Write, measure: Measure
) -> None:
    """Text, numbers, truth values and nulls; NaN is one value, not one per chunk."""
    rows = np.arange(ROWS)
    columns = draw(find("mae"), ROWS) | {
        "text": np.array(["a", "b", "c"])[rows % 3],
        "whole": rows % 4,
        "real": np.where(rows % 5 == 0, np.nan, rows % 2),
        "truth": rows % 7 == 0,
    }
    write_parquet(Path("rows.parquet"), columns, groups=GROUPS, nulls={"text": rows % 11 == 0})
    by = tuple((name,) for name in ("text", "whole", "real", "truth"))
    report = same_for_all_cuts(measure, "mae", "rows.parquet", by=(*by, ("whole", "truth")))
    assert len(report.results) == 1 + 4 + 4 + 3 + 2 + 8


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_weights_filters_and_derived_slices_are_the_same_for_any_cut(
    ending: str, draw: Draw, write_parquet: Write, write_csv: Write, measure: Measure
) -> None:
    """With rows of weight 0, slices that a filter empties, and a search, whatever row groups."""
    rows = np.arange(ROWS)
    columns = draw(find("rmse"), ROWS) | {
        "weight": rows % 4 / 7,
        "age": rows * 13 % 90 + 0.0,
        "half": rows % 2 + 0.0,
    }
    by = (Derived("age", (10, 20, 40)), "half")
    asked: dict[str, Any] = {
        "weight": "weight",
        "where": "age < 60 or half == 1",
        "by": (by, by[:1]),
        "find": by,
        "quantiles": (0.1, 0.9),
    }
    writer = write_csv if ending == "csv" else write_parquet
    writer(Path(f"rows.{ending}"), columns)
    report = same_for_all_cuts(measure, "rmse", f"rows.{ending}", **asked)
    filtered = int(((columns["age"] >= 60) & (columns["half"] != 1)).sum())
    assert report.rows.dropped["filtered"].count == filtered
    if ending == "parquet":
        write_parquet(Path("rows.parquet"), columns, groups=GROUPS)
        cut = same_for_all_cuts(measure, "rmse", "rows.parquet", **asked)
        assert stable(cut) == stable(report)
        assert cut.found == report.found


@pytest.mark.parametrize("name", [name for name, loss in REGISTRY.items() if loss.finish is MEAN])
def test_a_value_is_the_correctly_rounded_mean_of_its_rows(
    name: str, draw: Draw, write_parquet: Write, measure: Measure
) -> None:
    """Sum, mean and standard error are rounded once, from exact numbers."""
    columns = draw(find(name), ROWS)
    result = measure(name, write_parquet(Path("rows.parquet"), columns)).results[0]
    rows = [Fraction(value) for value in find(name)(**columns).tolist()]
    mean = sum(rows, Fraction(0)) / ROWS
    variance = sum((row - mean) ** 2 for row in rows) / (ROWS - 1) / ROWS
    assert result.sum == float(sum(rows, Fraction(0)))
    assert result.value == float(mean)
    assert result.std_error == math.sqrt(variance)


def test_nothing_cancels_between_huge_and_tiny_rows(write_csv: Write, measure: Measure) -> None:
    """Biases of 1e300 and back leave what the small rows hold."""
    target = np.array([1e300, 1.0, 1e-300, -1e300, -1.0, 1e-5, 2e-300])
    write_csv(Path("rows.csv"), {"prediction": np.zeros(7), "target": target})
    report = same_for_all_cuts(measure, "mbe", "rows.csv")
    exact = (Fraction(1e-300) + Fraction(2e-300) + Fraction(1e-5)) / 7
    assert report.results[0].value == float(exact)


@pytest.mark.parametrize(("chunk_rows", "jobs"), CUTS)
@pytest.mark.parametrize("later", [1.5, math.nan, None])
@pytest.mark.parametrize("earlier", [2.0, math.inf, None])
def test_the_first_bad_row_is_named_for_any_cut(
    chunk_rows: int,
    jobs: int,
    earlier: float | None,
    later: float | None,
    write_parquet: Write,
    measure: Measure,
) -> None:
    """With faults in both columns the one in the earlier row is told, not the one found first."""
    columns = {"prediction": np.full(ROWS, 0.5), "target": np.ones(ROWS)}
    nulls = {}
    for role, row, fault in (("target", 20, earlier), ("prediction", 25, later)):
        columns[role][row] = 0.0 if fault is None else fault
        nulls[role] = (np.arange(ROWS) == row) & (fault is None)
    write_parquet(Path("rows.parquet"), columns, nulls=nulls)
    with pytest.raises(LossctlError) as caught:
        measure("bce", "rows.parquet", chunk_rows=chunk_rows, jobs=jobs)
    assert (caught.value.place.row, caught.value.place.column) == (21, "target")


@pytest.mark.parametrize(("chunk_rows", "jobs"), CUTS)
def test_the_first_bad_row_of_several_tasks_is_named(
    chunk_rows: int, jobs: int, write_csv: Write, measure: Measure
) -> None:
    """Of bad rows in many byte ranges, the first one in the file."""
    prediction = np.full(ROWS, 0.5)
    prediction[[13, 20, 21, 35]] = 1.5
    write_csv(Path("rows.csv"), {"prediction": prediction, "target": np.ones(ROWS)})
    with pytest.raises(DomainError) as caught:
        measure("bce", "rows.csv", chunk_rows=chunk_rows, jobs=jobs)
    assert (caught.value.place.row, caught.value.place.column) == (14, "prediction")
