"""Explanations: parts add up to the difference, and the rows named are those that differ most."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl.compare import Method
from lossctl.compare.effects import estimate_of
from lossctl.compare.explain import contributions
from lossctl.comparison import Comparison
from lossctl.losses import parse
from lossctl.stats.moments import Moments
from lossctl.stats.segments import Segments

Contest = Callable[..., Comparison]
Write = Callable[..., Path]
ROWS = 300
BY_PART = Method(explain=("part",), top=7)


@pytest.fixture
def columns() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    target = rng.normal(size=ROWS)
    part = rng.integers(4, size=ROWS).astype(np.float64)
    return {
        "target": target,
        "a": target + rng.normal(size=ROWS),
        "b": target + (0.5 + 0.3 * part) * rng.normal(size=ROWS),
        "part": part,
        "w": rng.uniform(0.0, 2.0, ROWS).round(),
    }


@pytest.fixture
def path(columns: dict[str, Any], write_parquet: Write, tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "rows.parquet", columns, groups=(1, 150, 7))


def test_parts_are_shares_times_differences_of_means(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    [found] = contest("mae", path, preds=["a", "b"], method=BY_PART).explanations
    gaps = np.abs(columns["target"] - columns["b"]) - np.abs(columns["target"] - columns["a"])
    for part in found.parts:
        rows = columns["part"] == part.slice["part"]
        assert part.n == rows.sum()
        assert part.share == pytest.approx(rows.mean())
        assert part.contribution == pytest.approx(gaps[rows].sum() / ROWS, rel=1e-9)
        assert (part.mix, part.within) == (0.0, part.contribution)
    sizes = [abs(part.contribution) for part in found.parts]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", ["mae", "rmse", "mbe"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_parts_add_up_to_the_difference(
    contest: Contest, path: Path, name: str, weight: str | None
) -> None:
    found = contest(name, path, preds=["a", "b"], method=BY_PART, weight=weight)
    [explanation] = found.explanations
    total = sum(part.contribution for part in explanation.parts)
    assert total == pytest.approx(found.results[0].difference, rel=1e-12)
    assert len(found.results) == 1


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_exact_parts_add_up_without_rounding(name: str) -> None:
    spec = parse([name])[0]
    rng = np.random.default_rng(1)
    stacked, codes = rng.uniform(size=(2, 50)), np.sort(rng.integers(3, size=50))
    by_slice, whole = Moments(2, products=True, groups=3), Moments(2, products=True)
    by_slice.add(stacked, None, Segments.arrange(codes)[0])
    whole.add(stacked)
    estimate = estimate_of(whole.summary())
    slices = [estimate_of(by_slice.summary(group)) for group in range(3)]
    parts = contributions(spec, estimate, slices, 1)
    assert parts is not None
    values = [spec.loss.finish.value(estimate.means[i : i + 1]) for i in (0, 1)]
    assert None not in values
    difference = (
        values[1] - values[0]  # type: ignore[operator]
        if isinstance(values[0], Fraction)
        else Fraction(float(values[1]) - float(values[0]))  # type: ignore[arg-type]
    )
    assert sum(parts, Fraction(0)) == difference


def test_the_rows_that_differ_most_are_named(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    gaps = (columns["target"] - columns["b"]) ** 2 - (columns["target"] - columns["a"]) ** 2
    known = np.argsort(-np.abs(gaps), kind="stable")[:7]
    for policies in ({}, {"chunk_rows": 7, "jobs": 4}):
        found = contest("mse", path, preds=["a", "b"], method=BY_PART, **policies)
        rows = found.explanations[0].rows
        assert [row.at.row for row in rows] == (known + 1).tolist()
        assert [row.difference for row in rows] == pytest.approx(gaps[known].tolist())


def test_rows_paired_by_key_are_named_by_it(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    ids = np.random.default_rng(2).permutation(ROWS).astype(np.float64)
    table = columns | {"id": ids}
    files = [
        write_parquet(tmp_path / f"{n}.parquet", {"id": ids, "prediction": table[n]}) for n in "ab"
    ]
    truth = write_parquet(
        tmp_path / "t.parquet", {"id": ids, "target": table["target"], "part": table["part"]}
    )
    found = contest("mae", *files, targets=truth, keys=("id",), method=BY_PART)
    for row in found.explanations[0].rows:
        assert row.at.key == (int(ids[row.at.row - 1]),)


def test_a_model_explains_itself_by_nothing(contest: Contest, path: Path) -> None:
    [found] = contest("rmse", path, preds=["a", "a"], method=BY_PART).explanations
    assert [part.contribution for part in found.parts] == [0.0] * 4
    assert found.rows == ()


def test_what_has_no_slope_is_not_explained(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    path = write_parquet(tmp_path / "x.parquet", columns | {"a": columns["target"]})
    [found] = contest("rmse", path, preds=["a", "b"], method=BY_PART).explanations
    assert found.parts == ()
    assert found.reason == "the value has no slope here"


def test_the_numbers_are_the_same_for_any_cut(contest: Contest, path: Path) -> None:
    whole, cut = (
        contest("mae", path, preds=["a", "b"], method=BY_PART, weight="w", **policies)
        for policies in ({}, {"chunk_rows": 3, "jobs": 2})
    )
    assert whole.to_dict()["digest"] == cut.to_dict()["digest"]
