"""Finding slices: a planted one is found, chance is not, and the numbers are those of the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

import lossctl
from lossctl.cli.main import main
from lossctl.data.derived import Derived
from lossctl.errors import Exit
from lossctl.report import Report
from lossctl.results import Search
from lossctl.statefile import load_merged, report_of

Measure = Callable[..., Report]

ROWS = 2000
SCHEMA = json.loads((Path(lossctl.__file__).parent / "schemas/report.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(*, planted: bool, seed: int = 1) -> dict[str, Any]:
    """Give rows of equal spread; where planted, young rows of the south are worse."""
    rng = np.random.default_rng(seed)
    region = np.array(["north", "south", "east", "west"])[rng.integers(0, 4, ROWS)]
    age = rng.integers(0, 60, ROWS)
    error = rng.exponential(size=ROWS)
    bad = (region == "south") & (age < 20)
    error = np.where(bad & planted, error + 3.0, error)
    plan = np.array(["free", "paid"])[rng.integers(0, 2, ROWS)]
    columns = {"prediction": error, "target": np.zeros(ROWS), "region": region, "age": age}
    return columns | {"plan": plan, "w": rng.uniform(size=ROWS)}


BY = ("region", Derived("age", (20, 40)), "plan")


def search(measure: Measure, columns: dict[str, Any], **policies: Any) -> Search:
    """Look for slices in rows of a file."""
    pq.write_table(pa.table(columns), "rows.parquet", row_group_size=700)
    specs = policies.pop("specs", "mae")
    report = measure(specs, "rows.parquet", find=policies.pop("find", BY), **policies)
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert report.found is not None
    return report.found


def test_the_planted_slice_is_found_and_surely_worse(measure: Measure) -> None:
    """Of two columns; its interval is above 0 though it allows for all that were looked at."""
    found = search(measure, table(planted=True))
    worst = found.slices[0]
    assert worst.slice == {"region": "south", "age:20,40": "<20"}
    assert worst.ci is not None
    assert worst.ci.lower > 2.0
    assert found.looked_at == 4 + 3 + 2 + 12 + 8 + 6
    assert found.adjusted_level == 1.0 - 0.05 / found.intervals
    ranks = [one.ci.lower for one in found.slices if one.ci is not None]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_taken_for_a_bad_slice(seed: int, measure: Measure) -> None:
    """No interval of 35 differences is above 0 where all rows are alike."""
    found = search(measure, table(planted=False, seed=seed))
    assert max(one.ci.lower for one in found.slices if one.ci is not None) < 0.0


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_every_number_is_that_of_the_rows_inside_and_outside(
    name: str, weight: str | None, measure: Measure
) -> None:
    """Value, rest, difference, shares and interval, from runs over the two parts alone."""
    columns = table(planted=True)
    found = search(measure, columns, specs=name, weight=weight)
    for one in found.slices[:6]:
        inside = np.ones(ROWS, dtype=bool)
        for by, value in one.slice.items():
            ages = np.array(["<20", "[20, 40)", ">=40"])[np.digitize(columns["age"], [20, 40])]
            inside &= (ages if isinstance(by, Derived) else columns[by]) == value
        parts = []
        for chosen in (inside, ~inside):
            pq.write_table(pa.table({n: v[chosen] for n, v in columns.items()}), "part.parquet")
            parts.append(measure(name, "part.parquet", weight=weight).results[0])
        a, b = parts
        whole = measure(name, "rows.parquet", weight=weight).results[0]
        assert (one.n, one.value, one.rest, one.weight) == (a.n, a.value, b.value, a.weight)
        assert one.difference == pytest.approx(a.value - b.value, rel=1e-12)
        assert one.share_of_rows == a.n / ROWS
        assert one.share_of_sum == pytest.approx(a.sum / whole.sum, rel=1e-12)
        assert one.ci is not None
        spread = np.array([a.std_error**2, b.std_error**2])
        df = spread.sum() ** 2 / (spread**2 / [a.n - 1, b.n - 1]).sum()
        assert one.ci.df == pytest.approx(df, rel=1e-12)
        reach = stats.t.ppf((1.0 + found.adjusted_level) / 2.0, df)
        width = reach * math.hypot(a.std_error, b.std_error)
        assert one.ci.upper - one.ci.lower == pytest.approx(2 * width, rel=1e-9)


def named(found: Search) -> list[dict[str, Any]]:
    """Give the slices that are listed."""
    return [dict(one.slice) for one in found.slices]


def test_rows_are_not_looked_at_twice(measure: Measure) -> None:
    """A pair that holds all rows of one of its slices is that slice; the whole is no slice."""
    columns = table(planted=False) | {"country": np.array(["x"] * ROWS)}
    columns["city"] = np.where(columns["region"] == "south", "a", "b")
    found = search(measure, columns, find=("region", "city", "country"))
    assert found.looked_at == 4 + 2
    assert all(len(one) == 1 and "country" not in one for one in named(found))


def test_small_slices_are_left_out_and_counted(measure: Measure) -> None:
    """Neither listed nor allowed for."""
    columns = table(planted=False)
    columns["region"] = columns["region"].astype(object)
    columns["region"][:3] = "islands"
    everything = search(measure, columns, find=("region",))
    some = search(measure, columns, find=("region",), min_slice_rows=10)
    assert (everything.looked_at, some.looked_at, some.small) == (5, 4, 1)
    assert {"region": "islands"} not in named(some)


def test_an_infinite_slice_is_the_worst_one(measure: Measure) -> None:
    """Without a difference; the others have none either, as their rest is infinite."""
    columns = {
        "prediction": np.array([0.0, 0.5, 0.9, 0.8, 0.7, 0.6]),
        "target": np.ones(6),
        "part": np.array(["a", "a", "b", "b", "c", "c"]),
    }
    found = search(measure, columns, find=("part",), specs="bce:eps=0")
    first, *rest = found.slices
    assert (first.slice, first.limit, first.difference) == ({"part": "a"}, math.inf, None)
    assert [one.rest for one in rest] == [None, None]
    assert found.intervals == 0


def test_a_bias_is_worst_where_it_is_farthest_from_the_rest(measure: Measure) -> None:
    """In either direction, for a loss that is best at zero."""
    columns = table(planted=False)
    columns["prediction"] = np.where(columns["region"] == "east", 9.0, 0.0) + columns["prediction"]
    found = search(measure, columns, specs="mbe")
    assert found.slices[0].slice == {"region": "east"}
    assert found.slices[0].difference is not None
    assert found.slices[0].difference < -8.0


@pytest.mark.parametrize(("chunk_rows", "jobs"), [(1000, 1), (77, 3)])
def test_the_search_is_the_same_for_any_cut(chunk_rows: int, jobs: int, measure: Measure) -> None:
    """To the last bit."""
    columns = table(planted=True)
    expected = search(measure, columns)
    assert search(measure, columns, chunk_rows=chunk_rows, jobs=jobs) == expected


def test_shards_are_searched_as_one(capsys: Any) -> None:
    """Through the command and its state files; the table and the JSON name the slice."""
    columns = table(planted=True)
    whole = pa.table(columns)
    pq.write_table(whole, "rows.parquet")
    options = ["-l", "mae", "--find-slices", "region,age:20,40,plan", "-q"]
    assert main(["eval", "rows.parquet", *options, "-f", "json"]) == Exit.DONE
    expected = json.loads(capsys.readouterr().out)["found_slices"]
    for number, (start, stop) in enumerate([(0, 500), (500, ROWS)]):
        pq.write_table(whole.slice(start, stop - start), f"{number}.parquet")
        command = ["eval", f"{number}.parquet", *options, "--state-out", f"{number}.state"]
        assert main(command) == Exit.DONE
    shown = capsys.readouterr().out
    assert "worst slices by region, age:20,40, plan and their pairs, 35 looked at" in shown
    assert "region=south, age=<20" in shown
    merged = report_of(load_merged(["1.state", "0.state"]))
    assert merged.to_dict()["found_slices"] == expected
    assert main(["eval", "rows.parquet", *options, "--ci", "off"]) == Exit.USAGE
    assert main(["eval", "rows.parquet", "-l", "mae", "--find-slices", "regin"]) == Exit.USAGE
    assert "did you mean region" in capsys.readouterr().err
