"""Progress: a bar on a terminal, and nothing of it anywhere else."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Run = Callable[..., Shown]

ROWS = 60_000
SLOW = """
import os, sys, time
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import lossctl.measure
from lossctl.cli.main import main
from lossctl.data import csv, blocks

csv.RANGE_BYTES, blocks.FRAGMENT_ROWS = 1 << 16, 10_000
measure = lossctl.measure.measure_chunk

def measured(*arguments):
    measure(*arguments)
    time.sleep(0.1)

lossctl.measure.measure_chunk = measured
main()
"""
"""The program with small tasks and a rest after each chunk, so that a bar has time to be drawn."""
CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the same rows as Parquet and as CSV, and a small file of groups."""
    folder = tmp_path_factory.mktemp("progress")
    rows = np.arange(ROWS)
    table = pa.table({"prediction": rows % 97 / 8, "target": rows % 89 / 16})
    pq.write_table(table, folder / "rows.parquet", row_group_size=10_000)
    pacsv.write_csv(table, folder / "rows.csv")
    few = np.arange(400)
    groups = {"query": few // 4, "prediction": few % 7 / 8, "target": few % 2}
    pq.write_table(pa.table(groups), folder / "groups.parquet")
    return folder


@pytest.fixture
def on_terminal(folder: Path) -> Iterator[Run]:
    """Run with stderr on a terminal; give the exit status, stdout and what the terminal got."""
    master, terminal = pty.openpty()
    got: list[bytes] = []

    def receive() -> None:
        while True:
            try:
                got.append(os.read(master, 4096))
            except OSError:  # all writers have closed the terminal
                return

    def run(*arguments: str, **environment: str) -> Shown:
        receiver = threading.Thread(target=receive)
        receiver.start()
        outcome = subprocess.run(
            [sys.executable, "-c", SLOW, *arguments],
            cwd=folder,
            env=clean_environment() | {"TERM": "xterm", "COLUMNS": "120"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
            check=False,
        )
        os.close(terminal)
        receiver.join()
        return outcome.returncode, outcome.stdout.decode(), b"".join(got).decode()

    yield run
    os.close(master)


def clean_environment() -> dict[str, str]:
    """Give the environment without what would steer the program."""
    steering = ("LOSSCTL_", "NO_COLOR", "FORCE_COLOR", "TTY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def run_off_terminal(folder: Path, *arguments: str) -> Shown:
    """Run with both streams on pipes."""
    outcome = subprocess.run(
        [sys.executable, "-c", SLOW, *arguments],
        cwd=folder,
        env=clean_environment() | {"TERM": "xterm"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return outcome.returncode, outcome.stdout, outcome.stderr


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_terminal_shows_a_bar_with_rows_per_second_and_the_loss_so_far(
    name: str, on_terminal: Run, folder: Path
) -> None:
    """On stderr, with share and time left, and gone at the end; stdout stays clean."""
    status, out, shown = on_terminal("eval", name, "-l", "mse,mae", "-f", "json")
    assert status == Exit.DONE
    assert out == json.dumps(json.loads(out), indent=2) + "\n"
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", shown)]
    bars = [line for line in lines if "rows/s" in line]
    assert any(re.search(r"━.* \d+ % +\d+\.\d M rows/s +\d+:\d\d:\d\d", line) for line in bars)
    value = json.loads(out)["results"][0]["value"]
    running = [float(found[1]) for line in bars if (found := re.search(r" mse ([\d.]+) \(", line))]
    assert running
    assert running[-1] == pytest.approx(value, rel=0.2)
    assert all(re.search(r"\([\d.]+ to [\d.]+\)", line) for line in bars if " mse " in line)
    # The line of the bar is erased and the cursor is there again.
    assert shown.rstrip().endswith("\x1b[2K")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert run_off_terminal(folder, "eval", name, "-l", "mse,mae", "-f", "json")[2] == ""


def test_the_answer_is_the_same_with_and_without_a_bar(on_terminal: Run, folder: Path) -> None:
    """The digest tells."""
    options = ("eval", "rows.parquet", "-l", "mse", "-f", "json")
    _, out, shown = on_terminal(*options, "--jobs", "2")
    assert "rows/s" in shown
    _, plain, _ = run_off_terminal(folder, *options, "--jobs", "1")
    assert json.loads(out)["digest"] == json.loads(plain)["digest"]


@pytest.mark.parametrize("option", ["--no-progress", "-q", "--quiet"])
def test_nothing_is_drawn_where_it_is_not_wanted(option: str, on_terminal: Run) -> None:
    """Nor is any other byte written."""
    status, out, shown = on_terminal("eval", "rows.parquet", "-l", "mse", "-f", "value", option)
    assert (status, shown) == (Exit.DONE, "")
    assert float(out) > 0.0


@pytest.mark.parametrize(
    ("variable", "value"), [("LOSSCTL_NO_PROGRESS", "1"), ("LOSSCTL_QUIET", "1"), ("TERM", "dumb")]
)
def test_nothing_is_drawn_where_the_environment_says_so(
    variable: str, value: str, on_terminal: Run
) -> None:
    """The variables of the options, and a terminal that cannot move its cursor."""
    options = ("eval", "rows.parquet", "-l", "mse", "-f", "value")
    assert on_terminal(*options, **{variable: value})[2] == ""


def test_an_error_stands_alone_where_the_bar_was(on_terminal: Run, folder: Path) -> None:
    """The bar is erased before the message is written."""
    lines = ["prediction,target", *["0.5,1"] * 50_000, "7.5,1", ""]
    (folder / "bad.csv").write_text("\n".join(lines), encoding="utf-8")
    status, out, shown = on_terminal("eval", "bad.csv", "-l", "bce", "--jobs", "1")
    assert (status, out) == (Exit.UNMEASURABLE, "")
    last = shown.rpartition("\x1b[2K")[2]
    assert CONTROL.sub("", last).startswith("error: bad.csv, row 50001, column 'prediction'")


def test_a_file_whose_rows_nobody_knows_has_a_bar_without_a_share(on_terminal: Run) -> None:
    """Groups are counted only once the file is read."""
    status, out, _ = on_terminal(
        "eval", "groups.parquet", "-l", "triplet", "--group", "query", "-f", "value"
    )
    assert status == Exit.DONE
    assert float(out) >= 0.0
