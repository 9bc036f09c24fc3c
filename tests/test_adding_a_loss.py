"""Adding a loss is three edits: the function, its oracle and its line in the changelog.

A copy of the project gets a loss that it has not; everything else must follow by itself, and the
suite of the copy must fail for as long as one of the edits is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("lossctl", "man", "tests", "README.md", "CHANGELOG.md", "pyproject.toml")

FUNCTION = '''

@loss(
    formula="mean((t - p)^4)",
    reference="Fisher 1930, doi:10.1112/plms/s2-30.1.199",
    sample=SAMPLE,
    aliases=("fourth_power",),
    symmetric=True,
)
def quartic(prediction: Real, target: Real) -> Array:
    """Mean fourth power of the error."""
    # (t - p)^4
    squared = (target - prediction) ** 2
    return squared * squared


@gradient(quartic)
def _(prediction: Array, target: Array) -> Array:
    return 4.0 * (prediction - target) ** 3
'''
ORACLE = """\
    "quartic": by_row(
        lambda prediction, target: (Fraction(target) - Fraction(prediction)) ** 4
    ),
"""
CHANGE = "- A further loss: `quartic`.\n"

REMINDERS = (
    "tests/losses/test_parity.py::test_every_loss_has_an_oracle",
    "tests/test_docs.py::test_every_loss_is_in_the_changelog",
    "tests/test_docs.py::test_generated_files_are_up_to_date",
)


class Project:
    """A copy of the project, and what is run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, folder / name)
            else:
                shutil.copytree(
                    ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
                )
        (folder / "sample_data").symlink_to(ROOT / "sample_data")

    def insert(self, name: str, after: str, text: str) -> None:
        """Make an edit: add text to a file after some other text."""
        path = self.folder / name
        before, found, rest = path.read_text(encoding="utf-8").partition(after)
        assert found
        path.write_text(f"{before}{found}{text}{rest}", encoding="utf-8")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy, on the package of the copy."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder)} | variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def output(self, *arguments: str, **variables: str) -> str:
        """Run Python in the copy and give what it prints."""
        outcome = self.run(*arguments, **variables)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout

    def suite(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run tests of the copy."""
        return self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Copy the project and add the function, the first of the three edits."""
    copy = Project(tmp_path)
    with (tmp_path / "lossctl/losses/regression.py").open("a", encoding="utf-8") as module:
        module.write(FUNCTION)
    return copy


def test_the_program_and_its_documents_follow_from_the_function(project: Project) -> None:
    """It can be evaluated, and stands in the help, the README, the manual and the completion."""
    job = project.output(
        "-m", "lossctl", "eval", "sample_data/breast_cancer.csv", "-l", "fourth_power"
    )
    assert " quartic " in job
    assert "quartic" in project.output("-m", "lossctl", "losses")
    assert "mean((t - p)^4)" in project.output("-m", "lossctl", "losses", "quartic")

    words = {"COMP_WORDS": "lossctl losses quar", "COMP_CWORD": "2"}
    offered = project.output("-m", "lossctl", _LOSSCTL_COMPLETE="complete_bash", **words)
    assert offered.split() == ["quartic"]

    project.output("man/make.py")
    readme = (project.folder / "README.md").read_text(encoding="utf-8")
    assert "| `quartic` | Mean fourth power of the error. | prediction, target |" in readme
    page = (project.folder / "man/man7/lossctl-losses.7").read_text(encoding="utf-8")
    assert ".SS quartic\nMean fourth power of the error.\n" in page


def test_the_suite_fails_until_all_three_edits_are_made(project: Project) -> None:
    """Each reminder fails without its edit; with all of them the loss agrees with its oracle."""
    forgotten = project.suite(*REMINDERS)
    assert forgotten.returncode == pytest.ExitCode.TESTS_FAILED, forgotten.stdout
    assert f"{len(REMINDERS)} failed" in forgotten.stdout
    assert "'quartic'" in forgotten.stdout

    project.insert("tests/losses/test_parity.py", "ORACLES: Mapping[str, Oracle] = {\n", ORACLE)
    project.insert("CHANGELOG.md", "### Added\n\n", CHANGE)
    project.output("man/make.py")
    reminders = " or ".join(reminder.rpartition("::")[2] for reminder in REMINDERS)
    files = ("tests/losses/test_parity.py", "tests/test_docs.py")
    complete = project.suite(*files, "-k", f"quartic or {reminders}")
    assert complete.returncode == pytest.ExitCode.OK, complete.stdout
