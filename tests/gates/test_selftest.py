"""The self-test, and the promise it checks: false alarms are as rare as stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import lossctl
from lossctl.cli.main import main
from lossctl.errors import Exit
from lossctl.gates.checks import Check
from lossctl.gates.judge import judge
from lossctl.gates.selftest import Trial

Array = npt.NDArray[np.float64]
Run = Callable[..., tuple[int, list[list[str]], str]]

CONFIG = """\
predictions = "new.csv"
targets = "truth.csv"
key = "id"
losses = ["mae", "rmse"]
baseline = "old.csv"

[[check]]
min_rows = 10

[[check]]
loss = "rmse"
max = {limit}

[[check]]
loss = "mae"
max_increase = 0.2
max_relative_increase = "50%"
"""


def write(name: str, column: str, values: Array, order: Array | None = None) -> None:
    rows = range(len(values)) if order is None else order
    lines = [f"id,{column}", *(f"{i},{float(values[i])!r}" for i in rows), ""]
    Path(name).write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    truth, noise = random.normal(size=(2, 300))
    write("truth.csv", "target", truth)
    write("old.csv", "prediction", truth + noise)
    write("new.csv", "prediction", truth + noise + 0.1 * random.normal(size=300))
    Path("lossctl.toml").write_text(CONFIG.format(limit=1.5), encoding="utf-8")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Give the status, the cells of each line of the table, and stderr."""

    def call(*arguments: str) -> tuple[int, list[list[str]], str]:
        status = main(["gate", "--self-test", "100", *arguments])
        shown = capfd.readouterr()
        return status, [line.split() for line in shown.out.splitlines()[2:]], shown.err

    return call


def test_false_alarms_and_passes_are_told_of_every_limit_on_a_loss(run: Run) -> None:
    status, lines, err = run()
    assert status == Exit.DONE
    assert [" ".join(line[:2]) for line in lines] == [
        "max rmse",
        "max_increase mae",
        "max_relative_increase mae",
    ]
    for line in lines:
        assert (line[3], line[-1]) == ("100", "yes")
        assert float(line[4]) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
        assert float(line[-2]) == 1.0
    assert err == "limits on slices, quantiles and rows were not tried\n"


def test_a_limit_too_tight_for_so_few_rows_has_no_power(run: Run) -> None:
    Path("lossctl.toml").write_text(CONFIG.format(limit=1.02), encoding="utf-8")
    _, lines, _ = run()
    assert float(lines[0][-2]) < 0.7
    assert lines[0][-1] == "yes"


def test_the_point_promises_nothing_and_shows_what_that_means(run: Run) -> None:
    _, lines, _ = run("--decide", "point")
    for line in lines:
        assert 0.3 < float(line[4]) < 0.7
        assert "most" not in line


def test_the_draws_depend_on_the_seed_alone(run: Run) -> None:
    """Neither the order of the rows nor chunks and threads change one of them."""
    Path("lossctl.toml").write_text(CONFIG.format(limit=1.02), encoding="utf-8")
    first = run()
    assert run("--jobs", "1", "--chunk-rows", "7") == first
    random = np.random.default_rng(1)
    for name in ("new.csv", "truth.csv"):
        head, *rows = Path(name).read_text(encoding="utf-8").splitlines()
        shuffled = random.permutation(np.array(rows)).tolist()
        Path(name).write_text("\n".join([head, *shuffled, ""]), encoding="utf-8")
    assert run() == first
    assert run("--seed", "1") != first


def test_without_predictions_of_the_baseline_halves_are_compared(run: Run) -> None:
    text = CONFIG.format(limit=1.5).replace("old.csv", "old.json")
    Path("lossctl.toml").write_text(text, encoding="utf-8")
    files = ["old.csv", "truth.csv", "-k", "id", "-l", "mae"]
    assert main(["eval", *files, "-f", "json", "-o", "old.json"]) == Exit.DONE
    status, lines, _ = run()
    assert status == Exit.DONE
    assert float(lines[1][4]) <= 0.115


def test_what_cannot_be_tried_is_refused(run: Run) -> None:
    text = CONFIG.format(limit=1.5)
    head = text[: text.index("[[check]]")]
    Path("lossctl.toml").write_text(f"{head}[[check]]\nmin_rows = 10\n", encoding="utf-8")
    assert run()[0] == Exit.USAGE
    Path("lossctl.toml").write_text(f'weight = "target"\n{text}', encoding="utf-8")
    assert run()[0] == Exit.USAGE
    Path("lossctl.toml").write_text(text, encoding="utf-8")
    for name in ("old.csv", "new.csv", "truth.csv"):
        lines = Path(name).read_text(encoding="utf-8").splitlines()
        Path(name).write_text("\n".join([*lines[:2], ""]), encoding="utf-8")
    assert run()[0] == Exit.UNMEASURABLE


def test_a_broken_promise_is_noticed() -> None:
    trial = Trial(Check("max", 1.0, "mae"), 1000, false_alarms=50, passes=0, level=0.05)
    assert trial.keeps_its_promise
    assert replace(trial, false_alarms=70).keeps_its_promise
    assert not replace(trial, false_alarms=71).keeps_its_promise
    assert replace(trial, false_alarms=900, level=None).keeps_its_promise


# The promise on fresh data ----------------------------------------------------------------------

SHAPES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda random, n: random.normal(size=n),
    "skewed": lambda random, n: random.exponential(size=n) - 1.0,
    "heavy-tailed": lambda random, n: random.standard_t(5, size=n) / math.sqrt(5 / 3),
}
"""Errors of mean 0 and variance 1, so that the true mean squared error is 1."""


def check_false_alarms(shape: str, kind: str, data_sets: int, rows: int) -> None:
    """Hold the gate against models exactly as good as allowed; it fails as few as stated."""
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(data_sets):
        errors = SHAPES[shape](random, rows)
        report = lossctl.evaluate(errors, np.zeros(rows), losses="mse")
        alarms += judge([Check(kind, 1.0, "mse")], report)[0].verdict == "fail"
    assert alarms <= data_sets * 0.05 + 3 * math.sqrt(data_sets * 0.05 * 0.95), alarms / data_sets


def test_models_as_good_as_allowed_are_failed_as_rarely_as_stated() -> None:
    check_false_alarms("normal", "max", 150, 200)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 5000])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_stated_rate_holds_on_data_of_every_shape(shape: str, rows: int) -> None:
    check_false_alarms(shape, "max", 2000, rows)
