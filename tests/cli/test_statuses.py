"""Exit statuses and streams of the installed script, as a shell sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lossctl
from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

SCRIPT = Path(sys.executable).parent / "lossctl"
FULL = Path("/dev/full")


def shell(command: str) -> tuple[str, str]:
    """Run a line of shell in which ``lossctl`` is the script; give stdout and stderr."""
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env=os.environ | {"PATH": path},
        check=False,
    )
    return done.stdout, done.stderr


def test_a_number_goes_to_stdout_alone(script: Call, good: str) -> None:
    assert script("eval", good, "-l", "mse", "-f", "value", "-q") == (Exit.DONE, "2.5\n", "")


def test_python_dash_m_is_the_same_program(good: str) -> None:
    command = [sys.executable, "-m", "lossctl", "eval", good, "-l", "mse", "-f", "value"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2.5\n", "")


def test_the_version_is_shown(script: Call) -> None:
    assert script("--version") == (Exit.DONE, f"lossctl {lossctl.__version__}\n", "")


def test_no_command_at_all_shows_the_help_as_a_usage_error(script: Call) -> None:
    status, out, err = script()
    assert (status, out) == (Exit.USAGE, "")
    assert err.startswith("Usage: lossctl [OPTIONS] COMMAND")


def test_a_wrong_command_line_is_status_2(script: Call, good: str) -> None:
    status, out, err = script("eval", good, "-l", "mse", "--bogus")
    assert (status, out) == (Exit.USAGE, "")
    assert "--bogus" in err
    assert "lossctl eval --help" in err


def test_input_that_cannot_be_measured_is_status_3(script: Call) -> None:
    status, out, err = script("eval", "missing.csv", "-l", "mse")
    assert (status, out, err) == (Exit.UNMEASURABLE, "", "error: missing.csv: no such file\n")


@pytest.mark.parametrize(
    "command", ["lossctl losses --json", "lossctl --help", "lossctl eval good.csv -l mse"]
)
def test_a_reader_who_goes_away_ends_the_program_in_silence(command: str, good: str) -> None:
    assert good == "good.csv"
    out, err = shell(f"{command} 2>errors | true; echo ${{PIPESTATUS[0]}}")
    assert (out, err) == (f"{int(Exit.CLOSED_PIPE)}\n", "")
    told = Path("errors").read_text(encoding="utf-8")
    assert told in ("", "columns of mse: prediction: prediction; target: target\n")


def test_head_takes_what_it_wants() -> None:
    assert shell("lossctl losses | head -1") == ("adversarial\n", "")


def test_closed_streams_do_not_matter_where_they_are_not_needed(good: str) -> None:
    line = f"lossctl eval {good} -l mse -f value"
    assert shell(f"{line} <&-") == ("2.5\n", "")
    assert shell(f"{line} 2>&-") == ("2.5\n", "")
    assert shell(f"{line} -o out.txt >&-; echo $? >&2; cat out.txt >&2") == ("", "0\n2.5\n")
    assert shell("lossctl eval missing.csv -l mse 2>&-; echo $?") == ("3\n", "")


def test_a_closed_stdout_is_an_error(good: str) -> None:
    out, err = shell(f"lossctl eval {good} -l mse -q >&-; echo $? >&2")
    assert out == ""
    assert err == "error: stdout is closed\nhint: -o FILE writes the result to a file\n3\n"


@pytest.mark.skipif(not FULL.is_char_device(), reason="the system has no /dev/full")
def test_a_full_disk_is_an_error(good: str) -> None:
    out, err = shell(f"lossctl eval {good} -l mse -q >/dev/full; echo $? >&2")
    assert "No space left on device" in err
    assert err.endswith("\n3\n")
    out, err = shell(f"lossctl eval {good} -l mse -q -o /dev/full; echo $?")
    assert (out, err) == ("3\n", "error: /dev/full: No space left on device\n")
    assert FULL.is_char_device()
    assert shell("lossctl eval missing.csv -l mse 2>/dev/full; echo $?") == ("3\n", "")


def test_the_output_is_utf_8_in_every_locale(script: Call, good: str) -> None:
    plain = script("eval", good, "-l", "mse", "-q")
    other = os.environ | {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}
    assert script("eval", good, "-l", "mse", "-q", env=other) == plain
    assert "─" in plain[1]


def test_an_unforeseen_exception_is_owned_up_to(good: str) -> None:
    """A bug is status 70 with a hint, as JSON where JSON is asked for, and never status 1."""
    planted = (
        "import sys; from lossctl.cli.main import main; import lossctl.plan as plan;"
        "plan.find_checks = None; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", planted, "eval", good, "-l", "mse"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (Exit.BUG, "")
    assert done.stderr.startswith("error: this is a bug in lossctl: TypeError: ")
    assert done.stderr.endswith("hint: run again with --debug and report the traceback\n")
    command += ["-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stderr)["exit"] == done.returncode == Exit.BUG


def test_a_file_that_goes_away_while_it_is_read_is_no_bug(good: str) -> None:
    planted = (
        "import os, sys; from lossctl.cli.main import main; import lossctl.collect as c;"
        "tasks = c.tasks;"
        "c.tasks = lambda *a, **k: (tasks(*a, **k), os.remove(sys.argv[2]))[0];"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", planted, "eval", good, "-l", "mse"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (Exit.UNMEASURABLE, "")
    assert done.stderr == "error: good.csv: No such file or directory\n"


def test_every_status_is_explained_in_the_help(script: Call) -> None:
    _, out, _ = script("eval", "--help")
    shown = " ".join(out.split())
    for status in Exit:
        assert f"{int(status)} {status.meaning}" in shown
