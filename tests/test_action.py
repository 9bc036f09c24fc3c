"""The action of GitHub and the job of GitLab: their own steps, run here on four candidates."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.cli.gate import known_keys
from lossctl.errors import Exit
from lossctl.gates.config import read_config

ROOT = Path(__file__).parents[1]
DATA = ROOT / "sample_data"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = f"""\
predictions = "predictions.csv"
targets = "{DATA / "diabetes_targets.csv"}"
key = "id"
losses = ["rmse", "mae"]
baseline = "{DATA / "diabetes_predictions.csv"}"

[[check]]
min_rows = 400

[[check]]
loss = "rmse"
max = 60

[[check]]
loss = "mae"
max_relative_increase = "20%"
"""
SHIFTS = {"good": 0.0, "worse": 60.0, "undecided": 20.0, "unmeasurable": 0.0}
STATUSES = {
    "good": Exit.DONE,
    "worse": Exit.LIMIT,
    "undecided": Exit.UNDECIDED,
    "unmeasurable": Exit.UNMEASURABLE,
}


def block(language: str, beginning: str) -> str:
    """Give the block of the README that begins so."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if text.startswith(beginning))
    return str(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a repository with a config."""
    (tmp_path / "lossctl.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def write_candidate(folder: Path, name: str) -> None:
    """Write predictions that are the sample's, shifted; the unmeasurable ones lack a row."""
    with (DATA / "diabetes_predictions.csv").open(encoding="utf-8") as file:
        rows = [
            (row["id"], float(row["prediction"]) + SHIFTS[name]) for row in csv.DictReader(file)
        ]
    kept = rows[:-1] if name == "unmeasurable" else rows
    lines = ["id,prediction", *(f"{key},{value!r}" for key, value in kept), ""]
    (folder / "predictions.csv").write_text("\n".join(lines), encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    """Give what a runner sets, with the program on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOSSCTL_", "GITHUB_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    files = {name: str(folder / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return kept | {"PATH": path} | files


def run_step(folder: Path, **inputs: str) -> tuple[int, str, str]:
    """Run the step of the action that holds the limits, as a runner does."""
    (step,) = (step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    given = {name: str(told["default"]) for name, told in ACTION["inputs"].items()} | inputs
    variables = {
        name: re.sub(r"\${{ inputs\.(\w+) }}", lambda found: given[found[1]], text)
        for name, text in step["env"].items()
    }
    assert step["shell"] == "bash"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=environment(folder) | variables,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", STATUSES)
def test_the_action_gives_the_status_and_all_reports(folder: Path, name: str) -> None:
    """A good, a worse, an undecided and an unmeasurable candidate: 0, 1, 4 and 3."""
    write_candidate(folder, name)
    status, out, err = run_step(folder)
    assert status == STATUSES[name], err
    assert (folder / "github_output").read_text() == f"status={status}\n"

    reports = folder / "lossctl-reports"
    gate: Mapping[str, Any] = json.loads((reports / "gate.json").read_text(encoding="utf-8"))[
        "gate"
    ]
    assert gate["exit"] == status
    verdicts = [check["verdict"] for check in gate["checks"]]
    (suite,) = junitparser.JUnitXml.fromstring((reports / "gate.xml").read_bytes())
    assert suite.tests == len(verdicts) == 3
    assert suite.errors == verdicts.count("unmeasurable") == (3 if name == "unmeasurable" else 0)
    assert suite.failures == verdicts.count("fail") + verdicts.count("undecided")

    first = f"**gate {gate['verdict']}: "
    assert (reports / "gate.md").read_text(encoding="utf-8").startswith(first)
    assert (folder / "github_step_summary").read_text(encoding="utf-8").startswith(first)
    errors = [line for line in err.splitlines() if line.startswith("::error title=")]
    assert len(errors) == suite.errors + suite.failures
    assert "::" not in out
    if name == "unmeasurable":
        assert out == ""
        assert {check["reason"] for check in gate["checks"]} == {"pairing"}


def test_inputs_of_the_action_reach_the_gate(folder: Path) -> None:
    write_candidate(folder, "worse")
    (folder / "other place").mkdir()
    (folder / "lossctl.toml").rename(folder / "other place" / "gate.toml")
    (folder / "predictions.csv").rename(folder / "new one.csv")
    inputs = {"config": "other place/gate.toml", "predictions": "new one.csv", "reports": "r s"}
    status, _, err = run_step(folder, **inputs)
    assert status == Exit.LIMIT, err
    assert (folder / "r s" / "gate.xml").exists()
    targets = str(DATA / "diabetes_targets.parquet")
    settled = "--exit-zero --ci 0.9"
    assert run_step(folder, **inputs, targets=targets, arguments=settled)[0] == Exit.DONE
    assert run_step(folder, **inputs, arguments="--bogus")[0] == Exit.USAGE
    assert not (folder / "r s" / "gate.xml").exists()


def test_every_input_of_the_action_is_described_and_used() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name, told in ACTION["inputs"].items():
        assert told["description"].endswith(".")
        assert f"inputs.{name}" in text
    assert ACTION["runs"]["using"] == "composite"
    assert "uses: " in block("yaml", "# .github")


@pytest.mark.parametrize("name", STATUSES)
def test_the_job_of_gitlab_leaves_its_artifacts(folder: Path, name: str) -> None:
    """The job shown in the README is run, but for the installation."""
    write_candidate(folder, name)
    (job,) = yaml.safe_load(block("yaml", "# .gitlab-ci.yml")).values()
    install, *script = job["script"]
    assert install.startswith("pip install ")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == STATUSES[name], done.stderr
    reports = job["artifacts"]["reports"]
    (suite,) = junitparser.JUnitXml.fromstring((folder / reports["junit"]).read_bytes())
    assert suite.tests == 3
    quality = json.loads((folder / reports["codequality"]).read_text(encoding="utf-8"))
    assert len(quality) == suite.errors + suite.failures
    metrics = (folder / reports["metrics"]).read_text(encoding="utf-8")
    assert "lossctl_loss" in {family.name for family in text_string_to_metric_families(metrics)}
    assert job["artifacts"]["when"] == "always"
    codes = job["allow_failure"]["exit_codes"]
    assert codes == int(Exit.UNDECIDED)


def test_the_config_of_the_readme_is_one(tmp_path: Path) -> None:
    path = tmp_path / "lossctl.toml"
    path.write_text(block("toml", "predictions"), encoding="utf-8")
    assert len(read_config(str(path), known_keys()).checks) == 8
