"""Pairing by key against pandas, and the same whatever the order of the rows and the cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as pacsv

from lossctl.data import csv, matching
from lossctl.data.binding import Choices
from lossctl.data.matching import find, match, repeats
from lossctl.data.source import open_source
from lossctl.errors import InputError, PairingError
from lossctl.evaluate import evaluate
from lossctl.losses import parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report

KEYS: dict[str, Any] = {
    "whole": lambda number: number,
    "text": lambda number: f"k {number}",
    "float": float,
    "date": lambda number: pd.Timestamp("2024-01-01") + pd.Timedelta(number, "D"),
}


def measure(paths: Sequence[Path], keys: Sequence[str], **policies: Any) -> Report:
    """Evaluate the squared error of two files paired by key."""
    sources = [open_source(str(path)) for path in paths]
    settings = Policies(keys=tuple(keys), **policies)
    return evaluate(make_plan(sources, parse(["mse"]), Choices(), settings))


def write(path: Path, frame: pd.DataFrame) -> Path:
    """Write a frame as its path says."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=3)
    return path


numbers = st.lists(st.integers(-4, 12), max_size=14)
unique = st.lists(st.integers(-4, 12), max_size=14, unique=True)


@given(
    left=unique | numbers,
    right=unique | numbers,
    kind=st.sampled_from(sorted(KEYS)),
    endings=st.sampled_from(["csv csv", "csv parquet", "parquet parquet"]),
    cut=st.sampled_from([(1, 1), (3, 2), (1000, 2)]),
    second=st.booleans(),
)
def test_random_tables_pair_as_in_pandas_or_are_refused_as_there(
    left: list[int],
    right: list[int],
    kind: str,
    endings: str,
    cut: tuple[int, int],
    second: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Random repeats, gaps, order, types, formats and cuts; keys of one and of two columns."""
    folder = tmp_path_factory.mktemp("pairs")
    frames, paths = [], []
    for role, rows, ending in zip(
        ("prediction", "target"), (left, right), endings.split(), strict=True
    ):
        made = [KEYS[kind](number // 3 if second else number) for number in rows]
        frame = pd.DataFrame({"id": pd.Series(made, dtype=None if made else _empty(kind))})
        if second:
            frame["part"] = [number % 3 for number in rows]
        frame[role] = [number * 1.5 + len(role) for number in rows]
        frames.append(frame)
        paths.append(write(folder / f"{role}.{ending}", frame))
    keys = ["id", "part"] if second else ["id"]
    policies = {"chunk_rows": cut[0], "jobs": cut[1]}
    try:
        outer = frames[0].merge(
            frames[1], on=keys, how="outer", validate="one_to_one", indicator=True
        )
    except pd.errors.MergeError:
        with pytest.raises(PairingError, match="repeat one"):
            measure(paths, keys, missing="drop", **policies)
        return
    inner = outer[outer["_merge"] == "both"]
    if len(inner) < len(outer):
        with pytest.raises(PairingError, match="have none"):
            measure(paths, keys, **policies)
    if inner.empty:
        with pytest.raises(InputError):
            measure(paths, keys, missing="drop", **policies)
        return
    report = measure(paths, keys, missing="drop", **policies)
    assert report.rows.matching is not None
    assert (report.rows.read, report.rows.scored) == (len(outer), len(inner))
    assert report.results[0].sum == ((inner["prediction"] - inner["target"]) ** 2).sum()
    sides = [(outer["_merge"] == side).sum() for side in ("left_only", "right_only")]
    assert [file.unmatched.count for file in report.rows.matching.files] == sides


def _empty(kind: str) -> str:
    return {"whole": "int64", "text": "str", "float": "float64", "date": "datetime64[ns]"}[kind]


def stable(report: Report) -> str:
    """Give all of a report that equal runs share."""
    everything = report.to_dict()
    del everything["run"]
    return json.dumps(everything)


def numbers_of(report: Report) -> list[Any]:
    """Give what does not depend on where rows stand."""
    return [report.rows.read, report.rows.scored, *map(repr, report.results)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Write two files with gaps, in two orders, that are read in many pieces."""
    monkeypatch.setattr(csv, "RANGE_BYTES", 300)
    monkeypatch.setattr("lossctl.data.blocks.FRAGMENT_ROWS", 1)
    rng = np.random.default_rng(8)
    keys = rng.choice(10_000, 200, replace=False)
    frame = pd.DataFrame({"id": keys, "prediction": rng.normal(size=200) * 10.0 ** (keys % 5)})
    targets = pd.DataFrame({"id": rng.permutation(keys[5:]), "target": rng.normal(size=195)})
    return [write(tmp_path / "p.csv", frame), write(tmp_path / "t.parquet", targets)]


@pytest.mark.parametrize("cut", [(1, 3), (7, 1), (1000, 2)])
def test_no_cut_changes_anything_and_no_order_a_number(
    files: list[Path], cut: tuple[int, int], tmp_path: Path
) -> None:
    """Chunks, jobs and the order of either file."""
    whole = measure(files, ["id"], missing="drop", quantiles=(0.5,))
    policies = {"chunk_rows": cut[0], "jobs": cut[1], "missing": "drop", "quantiles": (0.5,)}
    assert stable(measure(files, ["id"], **policies)) == stable(whole)
    shuffled = pq.read_table(files[1]).to_pandas().sample(frac=1.0, random_state=1)
    other = write(tmp_path / "shuffled.parquet", shuffled)
    found = measure([files[0], other], ["id"], **policies)
    assert numbers_of(found) == numbers_of(whole)


# Matching -----------------------------------------------------------------------------------------


@given(
    keys=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 40), max_size=300),
    wanted=st.lists(st.integers(0, 60), max_size=60),
    known=st.integers(0, 12),
)
def test_keys_are_found_where_they_are(keys: list[int], wanted: list[int], known: int) -> None:
    """Against a search through the list, with and without repeats, for tables of any size."""
    arrays = [np.array(part, dtype=np.int64) for part in (keys, [*wanted, *keys[::3]])]
    places, twice = find(arrays[0], arrays[1], known)
    assert twice == (len(set(keys)) < len(keys))
    for place, key in zip(places.tolist(), arrays[1].tolist(), strict=True):
        assert (keys[place] == key) if place >= 0 else key not in keys
    seen: set[int] = set()
    again = [row for row, key in enumerate(keys) if key in seen or seen.add(key)]
    assert repeats(arrays[0]).tolist() == again


def test_keys_that_all_collide_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys made to share their slots end in a search by sorting."""
    monkeypatch.setattr(matching, "MULTIPLIERS", (1, 1))
    keys = np.random.default_rng(0).permutation(1000)
    places, twice = find(keys, np.arange(-5, 1000))
    assert not twice
    assert (places[:5] == -1).all()
    assert (keys[places[5:]] == np.arange(1000)).all()


@given(st.lists(unique, min_size=2, max_size=4))
def test_several_tables_are_matched_at_once(tables: list[list[int]]) -> None:
    """A row counts where every table has its key."""
    found = match(tuple(np.array(table, dtype=np.int64) for table in tables))
    everywhere = set(tables[0]).intersection(*tables[1:])
    for table, rows, lonely in zip(tables, found.rows, found.unmatched, strict=True):
        assert [table[row] for row in rows] == [key for key in tables[0] if key in everywhere]
        assert {table[row] for row in lonely} == set(table) - everywhere
    assert all(not len(rows) for rows in found.repeated)
