"""``lossctl plan``: what would be read and why, and not a row of it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]
Planned = Callable[..., dict[str, Any]]
SAMPLES = Path(__file__).parents[2] / "sample_data"
SCRIPT = Path(sys.executable).parent / "lossctl"


@pytest.fixture
def planned(call: Call) -> Planned:
    """Give a plan as JSON."""

    def run(*arguments: str) -> dict[str, Any]:
        status, out, err = call("plan", *arguments, "-f", "json")
        assert status == Exit.DONE, err
        found: dict[str, Any] = json.loads(out)
        return found

    return run


def roles(plan: dict[str, Any], loss: int = 0) -> dict[str, dict[str, Any]]:
    """Give the roles of a loss by name."""
    return {role["role"]: role for role in plan["losses"][loss]["roles"]}


@pytest.mark.parametrize(
    ("arguments", "role", "expected"),
    [
        ("iris.csv -l cross_entropy", "prediction", "told apart by the ends setosa, versicolor"),
        ("iris.csv -l cross_entropy", "target", "a usual name for a class number"),
        ("breast_cancer.csv -l bce", "prediction", "a usual name for the prediction"),
        ("breast_cancer.csv -l hinge", "prediction", "a usual name for"),
        ("breast_cancer.csv -l hinge -p score", "prediction", "named by --pred"),
        ("breast_cancer.csv -l hinge --col hinge.target=target", "target", "by --col hinge.target"),
        (
            "iris.csv -l cross_entropy -p p_setosa,p_virginica,p_versicolor",
            "prediction",
            "in the o",
        ),
        ("rankings.csv -l triplet --group query", "positive", "gathered by --group"),
        ("gan_real.csv gan_generated.csv -l gan_generator", "target", "each file is one populatio"),
    ],
)
def test_a_plan_says_how_the_columns_of_a_role_were_found(
    planned: Planned, arguments: str, role: str, expected: str
) -> None:
    words = [str(SAMPLES / word) if ".csv" in word else word for word in arguments.split()]
    assert expected in roles(planned(*words))[role]["why"]


def test_a_plan_says_what_becomes_of_the_columns(planned: Planned) -> None:
    pq.write_table(
        pa.table({"prediction": pa.array([0.5], pa.float32()), "target": ["yes"], "w": [1]}),
        "x.parquet",
    )
    plan = planned("x.parquet", "-l", "mse,bce", "--positive", "yes", "-w", "w", "--by", "target")
    found = roles(plan)
    assert found["prediction"]["types"] == ["float"]
    assert found["prediction"]["becomes"] == "float64 (rows,)"
    assert found["target"]["becomes"] == "1 where it is 'yes', else 0"
    assert plan["policies"]["weight"] == "w"
    assert plan["policies"]["by"] == [["target"]]
    assert plan["inputs"][0]["rows"] == 1


def test_a_plan_has_the_signature_of_the_run(planned: Planned, call: Call) -> None:
    """All but the number of rows, which only the run can tell."""
    files = [str(SAMPLES / f"diabetes_{name}.csv") for name in ("predictions", "targets")]
    arguments = *files, "-l", "rmse", "-k", "id", "--by", "sex", "--where", "age > 40"
    _, out, _ = call("eval", *arguments, "-f", "json")
    assert json.loads(out)["signature"].rpartition(" | ")[0] == planned(*arguments)["signature"]


def test_a_plan_counts_files_pieces_and_what_a_filter_leaves_unread(planned: Planned) -> None:
    for part in ("eu", "us"):
        Path(f"tree/region={part}").mkdir(parents=True)
        table = pa.table({"prediction": np.zeros(300_000), "target": np.ones(300_000)})
        pq.write_table(table, f"tree/region={part}/x.parquet", row_group_size=150_000)
    plan = planned("tree", "-l", "mse", "--where", "region == 'us'")
    assert plan["inputs"][0]["files"] == 2
    assert plan["inputs"][0]["rows"] == 600_000
    assert plan["inputs"][0]["columns"]["region"] == "string"
    assert plan["work"]["unread"] == 2
    assert plan["work"]["tasks"] == 4


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_plan_reads_no_row(call: Call, planned: Planned, form: str) -> None:
    """Damage that a run trips over is not even seen."""
    path = Path(f"x.{form}")
    if form == "parquet":
        rows = np.random.default_rng(1).normal(size=100_000)
        pq.write_table(pa.table({"prediction": rows, "target": rows}), path)
        data = bytearray(path.read_bytes())
        data[1000 : len(data) - 2000] = bytes(len(data) - 3000)
        path.write_bytes(data)
    else:
        path.write_text("prediction,target\n" + "1,x\n" * 1000, encoding="utf-8")
    assert roles(planned(str(path), "-l", "mse"))["prediction"]["columns"] == ["prediction"]
    status, _, _ = call("eval", str(path), "-l", "mse")
    assert status == Exit.UNMEASURABLE


def test_a_plan_refuses_what_a_run_refuses_before_it_reads(call: Call, good: str) -> None:
    status, out, err = call("plan", good, "-l", "mse,msee", "-p", "x", "-f", "xml")
    assert (status, out) == (Exit.USAGE, "")
    assert [text in err for text in ("'x'", "'msee'", "--format")] == [True] * 3


def test_a_plan_is_shown_as_a_table_or_written_to_a_file(call: Call, good: str) -> None:
    status, out, _ = call("plan", good, "-l", "mse")
    assert status == Exit.DONE
    assert "good.csv  csv  rows unknown  2 columns" in out
    assert "pairing    one file" in out
    assert call("plan", good, "-l", "mse", "-o", "plan.txt")[1] == ""
    assert Path("plan.txt").read_text(encoding="utf-8") == out


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_predicted_memory_is_near_what_a_run_takes(
    planned: Planned, tmp_path: Path, form: str
) -> None:
    """Within a factor of two and a half, as the machine and its libraries have a say too."""
    rng = np.random.default_rng(2)
    columns = {name: rng.normal(size=1_000_000) for name in ("prediction", "target", "other")}
    path = tmp_path / f"x.{form}"
    if form == "parquet":
        pq.write_table(pa.table(columns), path, row_group_size=1 << 17)
    else:
        from pyarrow import csv as pacsv

        pacsv.write_csv(pa.table(columns), path)
    predicted = planned(str(path), "-l", "mse", "--jobs", "2")["work"]["memory"]
    ask = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", ask, str(SCRIPT), "eval", str(path), "-l", "mse", "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)
    assert resource.getpagesize() < taken
    assert predicted / 2.5 < taken < predicted * 2.5, (predicted / 1e6, taken / 1e6)
