"""Ctrl-C and ``kill -9``: silence and 130, and a state from which a run goes on."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv

from lossctl.errors import Exit
from lossctl.statefile import load

Start = Callable[..., "subprocess.Popen[str]"]

ROWS = 200_000
CHUNKS = "--chunk-rows", "2000"

PROGRAM = """
import importlib, os, signal, sys, time
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from lossctl.cli.main import main
from lossctl.data import csv, blocks

evaluate = importlib.import_module("lossctl.evaluate")
measuring = importlib.import_module("lossctl.measure")
task_rows, checkpoint, told, killed_at, pause = (float(text) for text in sys.argv[1:6])
csv.RANGE_BYTES, blocks.FRAGMENT_ROWS = int(13 * task_rows), int(task_rows)
evaluate.CHECKPOINT_S = checkpoint
measure = measuring.measure_chunk
program, chunks = os.getpid(), 0

def measured(*arguments):
    global chunks
    chunks += 1
    if chunks == killed_at:
        os.kill(program, signal.SIGKILL)
    measure(*arguments)
    if told:
        os.write(int(told), b"%d\\n" % arguments[2].read)
    time.sleep(pause)

measuring.measure_chunk = measured
sys.argv[1:] = sys.argv[6:]
main()
"""
"""The program with tasks of about so many rows, which saves its state every so many seconds, writes
the rows of each chunk to a descriptor, dies at a chunk (of one worker) and rests after each."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the same rows as Parquet and as CSV."""
    folder = tmp_path_factory.mktemp("interrupts")
    rows = np.arange(ROWS)
    columns = {"prediction": rows % 97 / 8, "target": rows % 89 / 16, "part": rows % 3}
    table = pa.table(columns)
    pq.write_table(table, folder / "rows.parquet", row_group_size=10_000)
    pacsv.write_csv(table, folder / "rows.csv")
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a run in a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def run(
        *arguments: str,
        task_rows: int = 10_000,
        checkpoint: float = 1e9,
        told: int = 0,
        killed_at: int = 0,
        pause: float = 0.0,
    ) -> subprocess.Popen[str]:
        hooks = [str(number) for number in (task_rows, checkpoint, told, killed_at, pause)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOSSCTL_")}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *hooks, "eval", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            pass_fds=[told] if told else [],
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


class Rows:
    """The rows of each chunk that a run has measured, as they come through a pipe."""

    def __init__(self) -> None:
        """Open the pipe."""
        self.reader, self.writer = os.pipe()

    def wait(self) -> None:
        """Wait for the first chunk."""
        told, _, _ = select.select([self.reader], [], [], 60)
        assert told, "the run has measured no chunk"
        assert os.read(self.reader, 1)

    def read(self) -> list[int]:
        """Give the rest once the run has ended."""
        os.close(self.writer)
        with os.fdopen(self.reader) as file:
            return [int(line) for line in file.read().split()]


# Ctrl-C -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_an_interrupted_run_ends_at_once_with_130_and_without_a_word(
    name: str, jobs: str, start: Start
) -> None:
    """In the middle of a large file, with one thread and with several."""
    rows = Rows()
    options = ("-l", "mse", "--jobs", jobs, "-f", "json", "--by", "part", *CHUNKS)
    process = start(name, *options, task_rows=ROWS // 3, told=rows.writer, pause=0.2)
    rows.wait()
    process.send_signal(signal.SIGINT)
    assert outcome(process) == (Exit.INTERRUPTED, "", "")
    # Each thread has ended with the chunk it was at, and not with its third of the file.
    assert sum(rows.read()) < ROWS / 2


def test_an_interrupted_run_leaves_no_output(start: Start, folder: Path) -> None:
    """Neither a result nor a half-written state."""
    rows = Rows()
    before = sorted(folder.iterdir())
    files = ("-o", "result.json", "--report", "md=report.md", "--state-out", "run.state")
    process = start("rows.csv", "-l", "mse", *files, *CHUNKS, told=rows.writer, pause=0.2)
    rows.wait()
    process.send_signal(signal.SIGINT)
    assert outcome(process) == (Exit.INTERRUPTED, "", "")
    rows.read()
    assert sorted(folder.iterdir()) == before


# kill -9 ------------------------------------------------------------------------------------------

OPTIONS = ("-l", "mse,huber,mbe", "--by", "part", "--quantiles", "0.1,0.9", "--histogram")
RUN = (*OPTIONS, "-f", "json", "-q", *CHUNKS)


def digest_of(out: str) -> Any:
    """Give the digest of a report."""
    return json.loads(out)["digest"]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_killed_run_goes_on_where_it_was_and_reports_the_same(
    name: str, start: Start, folder: Path
) -> None:
    """The same digest as an uninterrupted run, and only what is left is read."""
    expected = digest_of(outcome(start(name, *RUN))[1])
    state = folder / f"{name}.state"
    keep = ("--state-out", state.name, "--jobs", "2")
    process = start(name, *RUN, *keep, checkpoint=-1.0, killed_at=30)
    assert outcome(process) == (-signal.SIGKILL, "", "")
    saved = load(str(state))
    assert not saved.complete
    known = sum(saved.state.read.values())
    assert 0 < known < ROWS
    rows = Rows()
    status, out, err = outcome(start(name, *RUN, *keep, "--resume", told=rows.writer))
    assert (status, err) == (Exit.DONE, "")
    assert digest_of(out) == expected
    assert sum(rows.read()) == ROWS - known
    assert load(str(state)).complete


def test_a_state_is_whole_whenever_the_run_is_killed(start: Start, folder: Path) -> None:
    """Killed at random moments, run after run goes on from the last until one comes to its end."""
    expected = digest_of(outcome(start("rows.parquet", *RUN))[1])
    dice = random.Random(5)
    state = folder / "random.state"
    keep = ("--state-out", state.name, "--resume")
    covered = [0]
    for _ in range(2):
        if state.exists() and load(str(state)).complete:  # it came to its end before it was killed
            break
        rows = Rows()
        process = start("rows.parquet", *RUN, *keep, checkpoint=-1.0, told=rows.writer, pause=0.002)
        rows.wait()
        time.sleep(dice.uniform(0.0, 0.3))
        process.kill()
        outcome(process)
        rows.read()
        if state.exists():
            covered.append(sum(load(str(state)).state.read.values()))
    assert covered == sorted(covered)
    status, out, err = outcome(start("rows.parquet", *RUN, *keep))
    assert (status, err) == (Exit.DONE, "")
    assert digest_of(out) == expected
