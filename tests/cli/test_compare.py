"""``lossctl compare`` through the installed command: formats, statuses, messages."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit

ROOT = Path(__file__).parents[2]
DATA = ROOT / "sample_data"
SCRIPT = Path(sys.executable).parent / "lossctl"
FILES = [
    str(DATA / "diabetes_predictions.csv"),
    str(DATA / "diabetes_predictions_boosted.parquet"),
    "--targets",
    str(DATA / "diabetes_targets.csv"),
]
SCHEMA = json.loads((ROOT / "lossctl/schemas/comparison.json").read_text(encoding="utf-8"))


def test_the_installed_command_compares_files_and_all_formats_agree(tmp_path: Path) -> None:
    table, lines = tmp_path / "x.md", tmp_path / "x.csv"
    done = subprocess.run(
        [
            *(SCRIPT, "compare", *FILES, "-l", "rmse,mbe", "-g", "sex", "-f", "json"),
            *("--report", f"md={table}", "--report", f"csv={lines}", "--correction", "bh"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    jsonschema.validate(found, SCHEMA)
    rows = list(csv.DictReader(io.StringIO(lines.read_text("utf-8"))))
    assert [row["verdict"] for row in rows] == [r["verdict"] for r in found["results"]]
    assert [float(row["ci_lower"]) for row in rows] == [r["ci"]["lower"] for r in found["results"]]
    assert table.read_text("utf-8").count("\n") == len(rows) + 2
    assert done.stderr == ""


def test_the_bare_number_is_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *FILES, "-l", "mae", "-f", "value", "-q"]) == Exit.DONE
    assert float(capsys.readouterr().out) == pytest.approx(0.569, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--ci", "off"], Exit.USAGE, "--ci takes a level"),
        (["--correction", "bonferroni"], Exit.USAGE, "--correction takes none | holm | bh"),
        (
            ["--top", "5"],
            Exit.USAGE,
            "--top counts the rows of an explanation",
        ),
        (["--by", "seks"], Exit.USAGE, "no column 'seks'"),
        (["-p", "a", "-p", "b", "-p", "c"], Exit.USAGE, "no column 'a'"),
        (["-l", "gan_generator"], Exit.UNMEASURABLE, "prediction must be"),
    ],
)
def test_wrong_input_is_told_with_its_status(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str
) -> None:
    assert main(["compare", *FILES, "-l", "mae", *arguments]) == status
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_every_mistake_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["--ci", "2", "--correction", "x", "--nulls", "y", "-f", "z"]
    assert main(["compare", *FILES, "-l", "nix", *wrong]) == Exit.USAGE
    errors = capsys.readouterr().err
    for word in ("--ci", "--correction", "--nulls", "'z'", "'nix'"):
        assert word in errors


def test_one_file_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", FILES[0], "-l", "mae"]) == Exit.USAGE
    assert "there is only one model to compare" in capsys.readouterr().err


def test_files_of_other_length_do_not_pair(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    short = tmp_path / "short.csv"
    short.write_text("id,prediction\n1,2\n", encoding="utf-8")
    arguments = ["compare", FILES[0], str(short), *FILES[2:], "-l", "mae"]
    assert main(arguments) == Exit.UNMEASURABLE
    assert "differ" in capsys.readouterr().err


def test_the_command_shows_the_schema_of_comparisons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "comparison"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == SCHEMA
