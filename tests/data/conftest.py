"""What the tests of the data layer share: Parquet files of given columns, and one loss of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.data.binding import Choices
from lossctl.data.source import open_sources
from lossctl.evaluate import evaluate
from lossctl.losses import parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report

Evaluate = Callable[..., Report]


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., str]:
    """Write columns to a Parquet file."""

    def write(name: str = "x.parquet", /, **columns: Any) -> str:
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return str(path)

    return write


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., str]:
    """Write lines to a CSV file."""

    def write(*lines: str, name: str = "x.csv") -> str:
        path = tmp_path / name
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def evaluate_files() -> Evaluate:
    """Evaluate specs on files, with columns found or told as on the command line."""

    def run(
        specs: str,
        *paths: str,
        columns: Mapping[str, str] | None = None,
        positive: str | None = None,
        classes: tuple[str, ...] = (),
        **policies: Any,
    ) -> Report:
        choices = Choices(columns or {}, positive, classes)
        plan = make_plan(open_sources(paths), parse([specs]), choices, Policies(**policies))
        return evaluate(plan)

    return run


@pytest.fixture
def value(evaluate_files: Evaluate) -> Callable[..., float | None]:
    """Give the value of one loss on files."""

    def run(spec_text: str, *paths: str, **choices: Any) -> float | None:
        [result] = evaluate_files(spec_text, *paths, **choices).results
        return result.value

    return run
