"""What the tests of the command share: the installed script, and the same program in this process.

Whatever is run is held to the promises that hold for every run: no traceback, nothing on stdout
beside an error, and a JSON report that its schema allows and whose numbers add up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lossctl.cli.main import main
from lossctl.documents import digest
from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]

SCRIPT = Path(sys.executable).parent / "lossctl"
SCHEMA = json.loads((Path(__file__).parents[2] / "lossctl/schemas/report.json").read_text())


def check_report(report: dict[str, Any]) -> None:
    """Check a JSON report against its schema, its counts and its digest."""
    jsonschema.validate(report, SCHEMA)
    rows = report["rows"]
    assert rows["read"] == rows["scored"] + sum(why["count"] for why in rows["dropped"].values())
    assert all(result["n"] <= rows["scored"] for result in report["results"])
    stable = {name: part for name, part in report.items() if name not in ("digest", "run")}
    assert digest(stable) == report["digest"]


def check_run(arguments: Sequence[str], status: int, out: str, err: str) -> None:
    """Check what holds for every run."""
    assert "Traceback" not in err or "--debug" in arguments or "LOSSCTL_DEBUG" in os.environ
    assert status != Exit.BUG, err
    if status == Exit.UNMEASURABLE and "--check" in arguments:
        assert out  # the verdicts are the result, whatever they are
    elif status == Exit.UNMEASURABLE and arguments[0] == "batch" and out:
        assert "error: " in err  # the jobs that failed stand beside the report of the others
    elif status == Exit.UNMEASURABLE and out:
        # A gate shows what it could not measure beside what it could.
        assert "\ngate unmeasurable: " in f"\n{err}"
    elif status not in (Exit.DONE, Exit.LIMIT, Exit.UNDECIDED):
        assert out == ""
        assert err or status in (Exit.INTERRUPTED, Exit.CLOSED_PIPE)
    if out.startswith('{\n  "schema"') and "lossctl.plan" not in out[:60]:
        report = json.loads(out)
        check_report(report)
        failed = report.get("batch", {"failures": []})["failures"]
        done = Exit.UNMEASURABLE if failed else Exit.DONE
        assert report.get("gate", {"exit": done})["exit"] == status


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in an empty folder, where no setting of the person who runs the tests counts."""
    for name in os.environ:
        if name.startswith("LOSSCTL_") or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the program in this process; give exit status, stdout and stderr."""

    def run(*arguments: str) -> Shown:
        status = main(arguments)
        shown = capfd.readouterr()
        check_run(arguments, status, shown.out, shown.err)
        return status, shown.out, shown.err

    return run


@pytest.fixture
def script() -> Call:
    """Run the installed script; give exit status, stdout and stderr."""

    def run(*arguments: str, **options: Any) -> Shown:
        command = [str(SCRIPT), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=60, **options
        )
        check_run(arguments, done.returncode, done.stdout, done.stderr)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def write() -> Callable[[str, str | bytes], str]:
    """Write a file as it stands."""

    def write_file(name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        Path(name).write_bytes(data)
        return name

    return write_file


@pytest.fixture
def good(write: Callable[[str, str | bytes], str]) -> str:
    """Give a small file without a fault; its mean squared error is 2.5."""
    return write("good.csv", "prediction,target\n1,2\n3,5\n")
