"""Limits against the predictions of a baseline: the paired difference decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lossctl.cli.main import main
from lossctl.errors import Exit

Gate = Callable[..., tuple[int, list[dict[str, Any]]]]
ROWS = 200


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Write a baseline, a candidate with a little more loss on every row, and the truth."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(7)
    truth = random.normal(size=ROWS)
    noise = random.normal(size=ROWS)
    models = {"old": truth + noise, "new": truth + 1.02 * noise + 0.001 * random.normal(size=ROWS)}
    order = random.permutation(ROWS)
    for name, values in {**models, "truth": truth}.items():
        column = "target" if name == "truth" else "prediction"
        rows = order if name == "old" else range(ROWS)
        lines = [f"id,{column}", *(f"{i},{float(values[i])!r}" for i in rows)]
        Path(f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def gate(capfd: pytest.CaptureFixture[str]) -> Gate:
    def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        status = main(["eval", *arguments, "-f", "json"])
        out = capfd.readouterr().out
        return status, json.loads(out)["gate"]["checks"] if out else []

    return run


NEW = "new.csv", "truth.csv", "-k", "id", "-l", "mae,rmse", "--baseline", "old.csv"


def test_the_interval_is_that_of_the_paired_difference(gate: Gate) -> None:
    """It is SciPy's paired t interval, and far narrower than the losses' own."""
    _, (check,) = gate(*NEW, "--max-increase", "mae=0.1")
    read = lambda name: np.loadtxt(f"{name}.csv", delimiter=",", skiprows=1)  # noqa: E731
    old, new, truth = (
        read(name)[np.argsort(read(name)[:, 0]), 1] for name in ("old", "new", "truth")
    )
    losses = np.abs(new - truth), np.abs(old - truth)
    wanted = stats.ttest_rel(*losses).confidence_interval(0.95)
    found = check["ci"]["lower"], check["ci"]["upper"]
    assert found == pytest.approx((wanted.low, wanted.high), rel=1e-10)
    assert check["observed"] == pytest.approx((losses[0] - losses[1]).mean(), rel=1e-10)


def test_the_relative_interval_is_that_of_a_ratio_of_means(gate: Gate) -> None:
    _, (check,) = gate(*NEW, "--max-relative-increase", "mae=10%")
    read = lambda name: np.loadtxt(f"{name}.csv", delimiter=",", skiprows=1)  # noqa: E731
    old, new, truth = (
        read(name)[np.argsort(read(name)[:, 0]), 1] for name in ("old", "new", "truth")
    )
    mine, theirs = np.abs(new - truth), np.abs(old - truth)
    ratio = mine.mean() / theirs.mean()
    shares = (mine - ratio * theirs) / theirs.mean()
    reach = stats.t.ppf(0.975, ROWS - 1) * shares.std(ddof=1) / np.sqrt(ROWS)
    found = check["observed"], check["ci"]["lower"], check["ci"]["upper"]
    assert found == pytest.approx((ratio - 1, ratio - 1 - reach, ratio - 1 + reach), rel=1e-9)


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ("mae=0.1", Exit.DONE),
        ("mae=0", Exit.LIMIT),
        ("rmse=0.1", Exit.DONE),
        ("rmse=0", Exit.LIMIT),
    ],
)
def test_a_small_loss_of_quality_on_every_row_is_seen(gate: Gate, limit: str, status: Exit) -> None:
    """From two reports alone, none of this could be told."""
    assert gate(*NEW, "--max-increase", limit)[0] == status
    assert (
        main(
            ["eval", "old.csv", "truth.csv", "-k", "id", *NEW[4:6], "-f", "json", "-o", "old.json"]
        )
        == 0
    )
    unpaired = [*NEW[:6], "--baseline", "old.json", "--max-increase", limit]
    assert gate(*unpaired)[0] == Exit.UNDECIDED


def test_a_model_against_itself_differs_by_exactly_0_and_passes(gate: Gate) -> None:
    limits = "--max-increase", "mae=0", "--max-relative-increase", "rmse=0"
    status, checks = gate("old.csv", *NEW[1:], *limits)
    assert (status, [check["observed"] for check in checks]) == (Exit.DONE, [0.0, 0.0])
    assert gate("old.csv", *NEW[1:], "--max-increase", "mae=-0.1")[0] == Exit.LIMIT


def test_another_level_takes_another_quantile(gate: Gate) -> None:
    Path("lossctl.toml").write_text(
        'predictions = "new.csv"\ntargets = "truth.csv"\nkey = "id"\nbaseline = "old.csv"\n'
        '[[check]]\nloss = "mae"\nmax_increase = 0.1\nlevel = 0.5\n',
        encoding="utf-8",
    )
    assert main(["gate", "-f", "json", "-o", "half.json"]) == Exit.DONE
    half = json.loads(Path("half.json").read_text())["gate"]["checks"][0]["ci"]
    _, (whole,) = gate(*NEW, "--ci", "0.5", "--max-increase", "mae=0.1")
    assert (half["lower"], half["upper"]) == pytest.approx(
        (whole["ci"]["lower"], whole["ci"]["upper"]), rel=1e-9
    )


def test_the_truth_may_be_beside_the_candidate_alone(gate: Gate) -> None:
    both = ["id,prediction,target"]
    for new, true in zip(
        Path("new.csv").read_text().splitlines()[1:],
        Path("truth.csv").read_text().splitlines()[1:],
        strict=True,
    ):
        both.append(f"{new},{true.split(',')[1]}")
    Path("both.csv").write_text("\n".join(both) + "\n", encoding="utf-8")
    head, *rows = Path("old.csv").read_text().splitlines()
    rows.sort(key=lambda row: int(row.partition(",")[0]))
    Path("old.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    options = "-l", "mae", "--baseline", "old.csv", "--max-increase", "mae=0.1"
    assert gate("both.csv", *options)[1][0]["ci"] == gate(*NEW, *options[-2:])[1][0]["ci"]


def test_a_baseline_without_the_rows_never_passes(gate: Gate) -> None:
    lines = Path("old.csv").read_text().splitlines()
    Path("old.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert gate(*NEW, "--max-increase", "mae=9")[0] == Exit.UNMEASURABLE
    Path("old.csv").write_text("id,other\n0,1\n", encoding="utf-8")
    assert gate(*NEW, "--max-increase", "mae=9")[0] == Exit.USAGE


def test_another_fingerprint_is_another_set_of_rows(gate: Gate) -> None:
    options = "-l", "mae", "-k", "id", "--fingerprint"
    assert main(["eval", "old.csv", "truth.csv", *options, "-f", "json", "-o", "old.json"]) == 0
    limits = "--baseline", "old.json", "--max-increase", "mae=9"
    assert gate("new.csv", "truth.csv", *options, *limits)[0] == Exit.DONE
    lines = Path("truth.csv").read_text().splitlines()
    Path("truth.csv").write_text(
        "\n".join([*lines[:-1], f"{ROWS - 1},0.5"]) + "\n", encoding="utf-8"
    )
    status, (check,) = gate("new.csv", "truth.csv", *options, *limits)
    assert (status, check["reason"]) == (Exit.UNMEASURABLE, "other-fingerprint")
