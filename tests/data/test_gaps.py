"""Missing and non-finite values: refused, dropped or kept, and counted in any cut of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.data import csv as csv_format
from lossctl.errors import LossctlError, MissingValueError
from lossctl.report import Report
from lossctl.results import RowRef

Evaluate = Callable[..., Report]
Write = Callable[..., str]

CELLS = st.sampled_from(
    ["1", "0.5", "0", "", "NA", "null", "nan", "NaN", "inf", "-inf", "-Infinity"]
)
MISSING = {"", "NA", "null"}


def kind(cells: tuple[str, str]) -> str:
    """Say what becomes of a row where both policies drop: a null goes first."""
    if MISSING & set(cells):
        return "null"
    return "scored" if all(math.isfinite(float(cell)) for cell in cells) else "nonfinite"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=25),
    st.integers(1, 8),
    st.sampled_from([1, 10, 1 << 20]),
    st.sampled_from([1, 3]),
)
def test_every_row_is_scored_or_dropped_for_one_reason(
    evaluate_files: Evaluate,
    csv: Write,
    rows: list[tuple[str, str]],
    chunk_rows: int,
    range_bytes: int,
    jobs: int,
) -> None:
    kinds = [kind(row) for row in rows]
    path = csv("prediction,target", *map(",".join, rows))
    policies = {"nulls": "drop", "nonfinite": "drop", "chunk_rows": chunk_rows, "jobs": jobs}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "RANGE_BYTES", range_bytes)
        if "scored" not in kinds:
            with pytest.raises(LossctlError, match="no row is left"):
                evaluate_files("mae", path, **policies)
            return
        report = evaluate_files("mae", path, **policies)
    assert report.rows.read == len(rows)
    assert report.rows.scored == kinds.count("scored") == report.results[0].n
    for why in ("null", "nonfinite"):
        places = [RowRef(path, number) for number, k in enumerate(kinds, start=1) if k == why]
        found = report.rows.dropped.get(why)
        assert (found.count if found else 0) == len(places)
        assert (found.first if found else ()) == tuple(places[:5])
    scored = [row for row, k in zip(rows, kinds, strict=True) if k == "scored"]
    expected = math.fsum(abs(float(a) - float(b)) for a, b in scored) / len(scored)
    assert report.results[0].value == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=25), st.integers(1, 8))
def test_the_first_row_with_a_gap_is_refused(
    evaluate_files: Evaluate, csv: Write, rows: list[tuple[str, str]], chunk_rows: int
) -> None:
    kinds = [kind(row) for row in rows]
    path = csv("prediction,target", *map(",".join, rows))
    gaps = [number for number, k in enumerate(kinds, start=1) if k != "scored"]
    if not gaps:
        assert evaluate_files("mae", path, chunk_rows=chunk_rows).rows.scored == len(rows)
        return
    with pytest.raises(MissingValueError) as caught:
        evaluate_files("mae", path, chunk_rows=chunk_rows)
    assert caught.value.place.row == gaps[0]


def test_what_is_kept_is_counted_and_never_averaged(evaluate_files: Evaluate, csv: Write) -> None:
    path = csv("prediction,target", "1,2", "inf,1", "nan,1", "1,-inf", "2,2")
    [mae, mbe] = evaluate_files("mae,mbe", path, nonfinite="keep").results
    assert (mae.value, mae.reason) == (None, "not a number in 1 row")
    assert (mae.undefined.count, mae.infinite.count, mae.n) == (1, 2, 5)
    assert [ref.row for ref in mae.infinite.first] == [2, 4]
    assert (mae.min, mae.max) == (0.0, 1.0)
    assert mbe.value is None
    path = csv("prediction,target", "1,2", "1,inf")
    [mbe] = evaluate_files("mbe", path, nonfinite="keep").results
    assert (mbe.value, mbe.limit, mbe.reason) == (None, math.inf, "infinite in 1 row")
    path = csv("prediction,target", "1,2", "inf,1")
    [mbe] = evaluate_files("mbe", path, nonfinite="keep").results
    assert mbe.limit == -math.inf


def test_one_row_has_a_value_and_no_standard_error(evaluate_files: Evaluate, csv: Write) -> None:
    for result in evaluate_files("mse,rmse,mbe", csv("prediction,target", "1,3")).results:
        assert result.value == (4.0 if result.loss == "mse" else 2.0)
        assert (result.std_error, result.ci) == (None, None)


def test_numbers_at_the_edge_of_the_doubles_do_not_break_a_run(
    evaluate_files: Evaluate, csv: Write
) -> None:
    path = csv("prediction,target", "1.7e308,0", "1.7e308,0", "-1.7e308,0")
    mae, mbe, mse = evaluate_files("mae,mbe,mse", path).results
    assert (mae.value, mae.sum) == (1.7e308, math.inf)
    assert mbe.value == pytest.approx(-1.7e308 / 3)
    assert (mse.value, mse.limit, mse.reason) == (None, math.inf, "infinite in 3 rows")
    for cells in (("1e-200,0", "0,0"), ("2.3e-162,0", "0,0", "0,0")):
        tiny = csv("prediction,target", *cells, name="tiny.csv")
        assert [result.value for result in evaluate_files("mse,rmse", tiny).results] == [0.0, 0.0]


def test_clipped_rows_are_counted_with_what_they_carry(
    evaluate_files: Evaluate, csv: Write
) -> None:
    path = csv("prediction,target", "0,1", "1,1", "0.5,1", "1,0", name="x.csv")
    honest, clipped = evaluate_files("bce:eps=0,bce", path).results
    assert (honest.value, honest.limit, honest.clipped.count) == (None, math.inf, 0)
    assert clipped.clipped.count == 2
    assert [ref.row for ref in clipped.clipped.first] == [1, 4]
    bits = 52 * math.log(2)
    assert clipped.value == pytest.approx((2 * bits + math.log(2)) / 4)
    assert clipped.clipped_share == pytest.approx(104 / 105)


def test_a_population_without_rows_leaves_its_losses_undefined(
    evaluate_files: Evaluate, csv: Write
) -> None:
    report = evaluate_files("gan_discriminator,gan_generator", csv("prediction,target", "0.5,1"))
    assert [(r.value, r.reason) for r in report.results] == [
        (None, "a population has no row"),
        (None, "no rows"),
    ]


def test_a_file_without_rows_is_refused_in_each_format(
    evaluate_files: Evaluate, csv: Write, parquet: Write
) -> None:
    empty: list[float] = []
    for path in (csv("prediction,target"), parquet(prediction=empty, target=empty)):
        with pytest.raises(LossctlError, match=f"{Path(path).name}.*: no rows|no rows"):
            evaluate_files("mse", path)
