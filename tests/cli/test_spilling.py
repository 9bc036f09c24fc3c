"""Pairing files that are larger than the memory it may take: temporary files come and go."""

from __future__ import annotations

import json
import os
import resource
import signal
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

ROWS = 60_000
KEYED = ("-l", "mse", "-k", "id", "-f", "json")
SMALL = ("--memory", "1MB", "--temp-dir", "temporary")

PROGRAM = """
import os, signal, sys
from lossctl.cli.main import main
from lossctl.data import spill

told = int(sys.argv.pop(1))
write = spill.Spill.write

def written(*arguments):
    extent = write(*arguments)
    os.write(told, b"x")
    signal.pause()
    return extent

spill.Spill.write = written
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write predictions and targets of the same keys, each in an order of its own."""
    folder = tmp_path_factory.mktemp("spilling")
    (folder / "temporary").mkdir()
    rng = np.random.default_rng(7)
    keys = rng.permutation(ROWS)
    targets = rng.permutation(ROWS)
    tables = {
        "p": {"id": keys, "prediction": np.sqrt(keys)},
        "t": {"id": targets, "target": np.cbrt(targets)},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=10_000)
        texts = columns | {"id": [f"key {key}" for key in columns["id"].tolist()]}
        pq.write_table(pa.table(texts), folder / f"{name}_text.parquet", row_group_size=10_000)
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def files(kind: str) -> tuple[str, str]:
    """Name the two files."""
    return f"p{kind}.parquet", f"t{kind}.parquet"


@pytest.mark.parametrize("kind", ["", "_text"])
def test_a_run_that_spills_gives_the_same_digits(kind: str, script: Call) -> None:
    """Any memory and any number of threads, for whole numbers and for text; nothing is left."""
    whole = script("eval", *files(kind), *KEYED)
    expected = json.loads(whole[1])
    assert expected["rows"]["matching"]["matched"] == ROWS
    for jobs in ("1", "3"):
        status, out, err = script("eval", *files(kind), *KEYED, *SMALL, "--jobs", jobs)
        assert (status, err) == (Exit.DONE, "")
        assert json.loads(out)["digest"] == expected["digest"]
    assert not [*Path("temporary").iterdir()]


def test_several_models_are_compared_beyond_memory(script: Call, folder: Path) -> None:
    """Three files, each in an order of its own, are paired as two are."""
    other = pq.read_table("p.parquet")
    shuffled = other.take(np.random.default_rng(3).permutation(ROWS))
    noisy = np.asarray(shuffled["prediction"]) + 0.25
    pq.write_table(shuffled.set_column(1, "prediction", [noisy]), folder / "q.parquet")
    models = ("compare", "p.parquet", "q.parquet", "--targets", "t.parquet")
    models += ("-l", "mse", "-k", "id", "-f", "csv")
    whole = script(*models, "--resamples", "20")
    status, out, err = script(*models, "--resamples", "20", *SMALL)
    assert (status, out, err) == whole
    assert (status, err) == (Exit.DONE, "")
    assert not [*Path("temporary").iterdir()]


def _no_large_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_is_told_and_nothing_is_left(jobs: str, script: Call) -> None:
    """A limit on the size of files stands in for a full disk."""
    arguments = ("eval", *files(""), *KEYED, *SMALL, "--jobs", jobs)
    status, out, err = script(*arguments, preexec_fn=_no_large_files)
    error = json.loads(err)
    assert (status, out, error["error"]) == (Exit.UNMEASURABLE, "", "spill")
    assert error["place"] == {"file": "temporary"}
    assert "--temp-dir" in error["hint"]
    assert not [*Path("temporary").iterdir()]


@pytest.mark.parametrize("kind", ["", "_text"])
def test_files_in_the_order_of_their_keys_need_no_disk(kind: str, script: Call) -> None:
    """They are merged as they are read; the result is that of the files in any order."""
    expected = script("eval", *files(kind), *KEYED)
    names = []
    for name in files(kind):
        table = pq.read_table(name)
        names.append(f"sorted_{name}")
        pq.write_table(table.sort_by("id"), names[-1], row_group_size=7_000)
    status, out, err = script("eval", *names, *KEYED, *SMALL, preexec_fn=_no_large_files)
    assert (status, err) == (Exit.DONE, "")
    assert json.loads(out)["results"] == json.loads(expected[1])["results"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        (signal.SIGINT, Exit.INTERRUPTED),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_no_signal_leaves_temporary_files(name: signal.Signals, status: int) -> None:
    """Sent once the first of them has been written."""
    reader, writer = os.pipe()
    command = [sys.executable, "-c", PROGRAM, str(writer), "eval", *files(""), *KEYED, *SMALL]
    process = subprocess.Popen(
        [*command, "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[writer],
        encoding="utf-8",
    )
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"x"
        assert not [*Path("temporary").iterdir()]
        process.send_signal(name)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(reader)
    assert (process.returncode, out, err) == (status, "", "")
    assert not [*Path("temporary").iterdir()]


@pytest.mark.parametrize("memory", ["1MB", "2.5e6", "1MiB", "0.001GB", "1 mb"])
def test_sizes_are_read_as_people_write_them(memory: str, call: Call) -> None:
    """Powers of 1000 and of 1024, in any case."""
    options = ("--memory", memory, "--temp-dir", "temporary", "-f", "value")
    assert call("eval", *files(""), "-l", "mse", "-k", "id", *options)[0] == Exit.DONE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--memory", "lots"), "not 'lots'"),
        (("--memory", "1kB"), "from 1MB on"),
        (("--temp-dir", "nowhere"), "there is no folder 'nowhere'"),
    ],
)
def test_wrong_sizes_and_folders_are_refused(options: Any, said: str, call: Call) -> None:
    """Before any row is read."""
    status, _, err = call("eval", *files(""), *KEYED, *options)
    assert status == Exit.USAGE
    assert said in err
