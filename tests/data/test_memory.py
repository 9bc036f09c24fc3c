"""Memory: what a run holds does not grow with the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCRIPT = Path(sys.executable).parent / "lossctl"
GROUP_ROWS = 100_000

# A process of its own starts the command: what a child holds is counted from what its parent held.
PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(*command: str) -> int:
    """Run a command and give the most memory that it held at once, in the system's units."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def write(path: Path, rows: int) -> str:
    """Write predictions and targets in row groups of one size."""
    rng = np.random.default_rng(0)
    schema = pa.schema({"prediction": pa.float64(), "target": pa.float64()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            part = rng.normal(size=(2, min(GROUP_ROWS, rows - start)))
            writer.write_table(pa.table(list(part), schema=schema))
    return str(path)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "rows", [200_000, pytest.param(2_000_000, marks=pytest.mark.slow)], ids="{:,}".format
)
def test_a_file_ten_times_as_long_needs_no_more_memory(
    tmp_path: Path, rows: int, jobs: int
) -> None:
    """The shorter file has work for every thread, each of which holds a piece of its own."""
    options = "-l", "mse,mae,huber", "-f", "json", "-j", str(jobs)
    peaks = [
        peak(str(SCRIPT), "eval", write(tmp_path / f"{size}.parquet", size), *options)
        for size in (jobs * rows, 10 * rows)
    ]
    assert peaks[1] <= 1.3 * peaks[0]


def test_the_measure_sees_what_is_held() -> None:
    """The test above can fail: a program that holds ten times as much is seen to."""
    hold = "x = bytearray(int(10e6) * {}); x[::4096] = b'1' * len(x[::4096])"
    small, large = (peak(sys.executable, "-c", hold.format(times)) for times in (1, 10))
    assert large > 1.3 * small
