"""Scores and sudden ends: the old file, the new one or none, never a half one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.errors import Exit

ROWS = 20_000
EVENTS = 14
"""Moments at which a run may end: each row group, and the steps of putting a file in place."""

PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
from lossctl.cli.main import main
from lossctl.data import blocks, sinks

how, at, limit = (int(text) for text in sys.argv[1:4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
blocks.FRAGMENT_ROWS, sinks.GROUP_ROWS = 2000, 2000
moments = 0

def before(function):
    def called(*arguments, **named):
        global moments
        moments += 1
        if moments == at:
            os.kill(os.getpid(), how)
        return function(*arguments, **named)
    return called

sinks._Parquet.write = before(sinks._Parquet.write)
sinks._Parquet.finish = before(sinks._Parquet.finish)
os.fsync = before(os.fsync)
Path.chmod = before(Path.chmod)
Path.replace = before(Path.replace)
sys.argv[1:] = sys.argv[4:]
main()
"""
"""The program, which ends by a signal at one of its moments or may write no more than a limit."""

COMMAND = ("score", "rows.parquet", "-o", "out.parquet", "-q", "-f", "value", "--overwrite")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.arange(ROWS)
    table = pa.table({"prediction": rows % 97 / 8, "target": rows % 89 / 16})
    pq.write_table(table, "rows.parquet", row_group_size=2000)


def run(
    *arguments: str, how: int = 0, at: int = 0, limit: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    hooks = [str(number) for number in (how, at, limit)]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *hooks, *COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def left_over() -> list[str]:
    """Give the names of unfinished files."""
    return [path.name for path in Path().iterdir() if path.name.startswith(".lossctl-")]


def loss_in(path: str) -> str:
    """Read a file of scores whole and name its loss."""
    found = pq.read_table(path)
    assert found.num_rows == ROWS
    name: str = found.column_names[1]
    assert found[name].null_count == 0
    return name


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_run_leaves_the_old_file_or_the_new_one(jobs: str) -> None:
    """At random moments; what it leaves beside it, the next run removes."""
    assert run("-l", "mse").returncode == Exit.DONE
    for at in random.Random(int(jobs)).sample(range(1, EVENTS + 1), 3):
        killed = run("-l", "mae", "--jobs", jobs, how=signal.SIGKILL, at=at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert loss_in("out.parquet") == "mse"
        assert all(name.startswith(".lossctl-out.parquet-") for name in left_over())
    assert left_over()
    assert run("-l", "mae", "--jobs", jobs).returncode == Exit.DONE
    assert loss_in("out.parquet") == "mae"
    assert left_over() == []


def test_a_killed_run_leaves_no_file_where_there_was_none() -> None:
    """And a run that ends by itself has no further moments than those above."""
    for at in (1, 5, EVENTS):
        assert run("-l", "mae", how=signal.SIGKILL, at=at).returncode == -signal.SIGKILL
        assert not Path("out.parquet").exists()
    assert run("-l", "mae", how=signal.SIGKILL, at=EVENTS + 1).returncode == Exit.DONE
    assert loss_in("out.parquet") == "mae"


def test_an_interrupted_run_cleans_up() -> None:
    """Ctrl-C at random moments is silent, and nothing is left but the old file."""
    assert run("-l", "mse").returncode == Exit.DONE
    before = Path("out.parquet").read_bytes()
    for at in random.Random(7).sample(range(1, EVENTS + 1), 3):
        ended = run("-l", "mae", how=signal.SIGINT, at=at)
        assert (ended.returncode, ended.stdout, ended.stderr) == (Exit.INTERRUPTED, "", "")
        assert Path("out.parquet").read_bytes() == before
        assert left_over() == []


def test_what_another_run_is_writing_is_left_alone() -> None:
    """Its file is locked; only those of dead runs are removed."""
    fcntl = pytest.importorskip("fcntl")
    with Path(".lossctl-out.parquet-alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        Path(".lossctl-out.parquet-dead").touch()
        Path(".lossctl-other.parquet-dead").touch()
        assert run("-l", "mae").returncode == Exit.DONE
        assert sorted(left_over()) == [".lossctl-other.parquet-dead", ".lossctl-out.parquet-alive"]


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "jsonl"])
def test_a_full_disk_leaves_the_old_file(form: str) -> None:
    """The error names the file and the reason, and the status says that nothing was measured."""
    output = f"scores.{form}"
    Path(output).write_bytes(b"old")
    ended = run("-l", "mae", "-o", output, limit=100_000)
    assert ended.returncode == Exit.UNMEASURABLE, ended.stderr
    assert ended.stdout == ""
    assert output in ended.stderr
    assert os.strerror(27) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert Path(output).read_bytes() == b"old"
    assert left_over() == []
