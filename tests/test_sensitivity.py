"""Sensitivity: what the largest losses and the clips do to a value, against plain NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit

Array = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def results(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Give the results of ``lossctl eval``."""
    assert main(["eval", *arguments, "-f", "json", "-q"]) == Exit.DONE, capfd.readouterr().err
    found: list[dict[str, Any]] = json.loads(capfd.readouterr().out)["results"]
    return found


def write(rows: int, **columns: Any) -> Array:
    """Write rows with heavy tails and give their errors."""
    error = np.random.default_rng(2).standard_t(2, rows)
    pq.write_table(
        pa.table({"prediction": np.zeros(rows), "target": error, **columns}), "x.parquet"
    )
    return error


@pytest.mark.parametrize("rows", [7, 4000, 250_000])
def test_parts_are_those_of_a_full_sort(capfd: pytest.CaptureFixture[str], rows: int) -> None:
    """Exact for few rows, within the error that is told for many; roots are taken at the end."""
    error = write(rows)
    found = {
        r["loss"]: r for r in results(capfd, "x.parquet", "-l", "mae,rmse,mbe", "--sensitivity")
    }
    for loss, values in (("mae", np.abs(error)), ("rmse", error**2), ("mbe", error)):
        ordered = values[np.argsort(-np.abs(values), kind="stable")]
        total = math.fsum(values)
        parts = found[loss]["sensitivity"]["parts"]
        assert [part["rows"] for part in parts] == ["top 10 rows", "top 0.1 %"]
        assert [part["n"] for part in parts] == [min(10, rows), math.ceil(rows / 1000)]
        for part in parts:
            share = math.fsum(ordered[: part["n"]]) / total
            assert abs(part["share"] - share) <= part["share_error"] + 1e-12 * abs(share)
            assert (part["share_error"] > 0.0) == (part["n"] > 100)
            left = ordered[part["n"] :]
            if not len(left):
                assert part["value"] is None
                continue
            slack = part["share_error"] * abs(total) / len(left)
            mean = math.fsum(left) / len(left)
            value = part["value"] ** 2 if loss == "rmse" else part["value"]
            assert value == pytest.approx(mean, rel=1e-12, abs=slack * 1.000001 + 1e-15)


def test_log_losses_are_measured_at_the_usual_clips(capfd: pytest.CaptureFixture[str]) -> None:
    """Each value is that of a run of its own, clipped rows and all, and the default comes once."""
    p = np.concatenate([[0.0, 1e-16, 1e-10, 1e-7, 1.0], np.linspace(0.1, 0.9, 95)])
    pq.write_table(pa.table({"prediction": p, "target": np.ones(100)}), "x.parquet")
    asked = "bce,bce:eps=1e-7,mae"
    found = results(capfd, "x.parquet", "-l", asked, "--sensitivity")
    plain = results(capfd, "x.parquet", "-l", asked)
    assert [r["loss"] for r in found] == [r["loss"] for r in plain]
    assert [{k: v for k, v in r.items() if k != "sensitivity"} for r in found] == plain
    clips = found[0]["sensitivity"]["clips"]
    assert clips == found[1]["sensitivity"]["clips"]
    assert found[2]["sensitivity"]["clips"] == []
    assert [clip["eps"] for clip in clips] == [2.0**-52, 1e-15, 1e-7, 2.0**-23]
    for clip in clips:
        (alone,) = results(capfd, "x.parquet", "-l", f"bce:eps={clip['eps']!r}")
        assert (clip["value"], clip["clipped"]) == (alone["value"], alone["clipped"])
    last = found[0]["sensitivity"]["parts"][-1]
    assert (last["rows"], last["n"]) == ("clipped rows", 2)
    assert last["share"] == found[0]["clipped_share"]
    assert last["value"] == pytest.approx(-np.log(p[2:]).mean(), rel=1e-12)


def test_an_infinite_loss_leaves_nothing_to_say_of_parts(capfd: pytest.CaptureFixture[str]) -> None:
    """But the clips that keep it finite are told; slices have parts of their own."""
    table = {"prediction": [0.0, 0.5, 0.25], "target": [1.0, 1.0, 1.0], "part": ["a", "b", "b"]}
    pq.write_table(pa.table(table), "x.parquet")
    options = ("x.parquet", "-l", "bce:eps=0", "--sensitivity", "--by", "part")
    whole, first, second = (r["sensitivity"] for r in results(capfd, *options))
    assert whole["parts"] == first["parts"] == []
    assert all(clip["value"] is not None for clip in whole["clips"])
    assert [part["n"] for part in second["parts"]] == [2, 1]
    assert second["parts"][1]["value"] == -math.log(0.5)


def test_rows_are_counted_so_weights_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """The table tells the same as the JSON report."""
    write(50, w=np.ones(50))
    assert main(["eval", "x.parquet", "-l", "mae", "--sensitivity", "-w", "w"]) == Exit.USAGE
    assert "--sensitivity counts rows" in capfd.readouterr().err
    assert main(["eval", "x.parquet", "-l", "mae", "--sensitivity", "-f", "md"]) == Exit.DONE
    assert "without the top 10 rows" in capfd.readouterr().out
