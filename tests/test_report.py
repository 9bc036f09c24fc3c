"""The report: the same bytes for the same rows, and a digest of all but the facts of the run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl.cli.main import main
from lossctl.data import blocks
from lossctl.data import csv as csv_format
from lossctl.documents import digest
from lossctl.errors import Exit

ROWS = 60
Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Run ``eval`` on files and give its JSON report."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main(["eval", *arguments, "-f", "json", "-q"]) == Exit.DONE
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


@pytest.fixture
def files(
    tmp_path: Path, write_csv: Callable[..., Path], write_parquet: Callable[..., Path]
) -> list[str]:
    """Write the same rows as CSV and as Parquet, one of them missing and one infinite."""
    rng = np.random.default_rng(3)
    columns = {"prediction": rng.random(ROWS), "target": rng.integers(0, 2, ROWS).astype(float)}
    columns["prediction"][[5, 50]] = [0.0, 1.0]
    return [
        str(write_csv(tmp_path / "x.csv", columns)),
        str(write_parquet(tmp_path / "x.parquet", columns, groups=[7, 20, 1])),
    ]


def stable(report: dict[str, Any]) -> dict[str, Any]:
    """Give what equal runs share."""
    return {name: part for name, part in report.items() if name not in ("digest", "run")}


def changed(value: Any) -> Iterator[Any]:
    """Change every leaf of a report in turn."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        if isinstance(part, dict | list) and part:
            for other in changed(part):
                copied = copy.copy(value)
                copied[key] = other
                yield copied
        else:
            copied = copy.copy(value)
            copied[key] = "changed"
            yield copied


def test_the_digest_is_that_of_all_but_the_run(evaluate: Evaluate, files: list[str]) -> None:
    report = evaluate(files[0], "-l", "bce,mse", "--quantiles", "0.5")
    assert list(report)[-2:] == ["digest", "run"]
    assert report["digest"] == digest(stable(report))
    others = {digest(other) for other in changed(stable(report))}
    assert report["digest"] not in others
    assert len(others) > 50


def test_equal_runs_give_equal_bytes_but_for_the_run(evaluate: Evaluate, files: list[str]) -> None:
    for path in files:
        first, second = (evaluate(path, "-l", "bce,mse,hinge") for _ in range(2))
        assert json.dumps(stable(first)) == json.dumps(stable(second))
        assert first["digest"] == second["digest"]


@pytest.mark.parametrize(
    "options", [("--chunk-rows", "1"), ("--chunk-rows", "7"), ("-j", "3"), ("-j", "1")]
)
def test_how_the_work_is_cut_changes_no_digest(
    evaluate: Evaluate, files: list[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]
) -> None:
    for path in files:
        whole = evaluate(path, "-l", "bce,mse,hinge", "-g", "target")
        with monkeypatch.context() as patch:
            patch.setattr(csv_format, "RANGE_BYTES", 50)
            patch.setattr(blocks, "FRAGMENT_ROWS", 1)
            cut = evaluate(path, "-l", "bce,mse,hinge", "-g", "target", *options)
        assert cut["digest"] == whole["digest"]


def test_the_format_of_the_file_changes_no_number(evaluate: Evaluate, files: list[str]) -> None:
    reports = [evaluate(path, "-l", "bce,mse,hinge") for path in files]
    results = [json.dumps(report["results"]).replace("x.parquet", "x.csv") for report in reports]
    assert results[0] == results[1]


def test_a_digest_changes_with_a_number_a_row_or_a_setting(
    evaluate: Evaluate, files: list[str]
) -> None:
    first = evaluate(files[0], "-l", "bce")["digest"]
    seen = {first, evaluate(files[0], "-l", "mse")["digest"]}
    seen.add(evaluate(files[0], "-l", "bce", "--nulls", "drop")["digest"])
    seen.add(evaluate(files[0], "-l", "bce", "-p", "target")["digest"])
    text = Path(files[0]).read_text(encoding="utf-8")
    Path(files[0]).write_text(text.replace(",1", ",0", 1), encoding="utf-8")
    seen.add(evaluate(files[0], "-l", "bce")["digest"])
    assert len(seen) == 5


def test_the_run_tells_what_was_read(evaluate: Evaluate, files: list[str]) -> None:
    for path in files:
        run = evaluate(path, "-l", "mse")["run"]
        kind = Path(path).suffix[1:]
        assert run["inputs"] == [{"path": path, "format": kind, "bytes": Path(path).stat().st_size}]
        assert run["elapsed_s"] >= 0
