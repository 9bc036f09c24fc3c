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

from lossctl.data import csv, hashes, matching, pairing, spill
from lossctl.data.binding import Choices
from lossctl.data.matching import find, match, repeats
from lossctl.data.source import open_source
from lossctl.errors import InputError, LossctlError, MissingValueError, PairingError
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


@pytest.fixture(autouse=True)
def _many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread even a few rows over partitions, as many as the memory asks for."""
    monkeypatch.setattr(pairing, "SMALL", 0)
    monkeypatch.setattr(pairing, "CACHED", 1 << 10)
    monkeypatch.setattr(pairing, "MOST", 32)


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
    memory=st.sampled_from([1, 300, 1 << 30]),
)
def test_random_tables_pair_as_in_pandas_or_are_refused_as_there(
    left: list[int],
    right: list[int],
    kind: str,
    endings: str,
    cut: tuple[int, int],
    second: bool,
    memory: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Random repeats, gaps, order, types, formats and cuts; keys of one and of two columns.

    In memory and spilled, in one partition and in many.
    """
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
    policies = {"chunk_rows": cut[0], "jobs": cut[1], "memory": memory}
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


@pytest.mark.parametrize("cut", [(1, 3, 1), (7, 1, 1000), (1000, 2, 1 << 30)])
def test_no_cut_changes_anything_and_no_order_a_number(
    files: list[Path], cut: tuple[int, int, int], tmp_path: Path
) -> None:
    """Chunks, jobs, memory and the order of either file."""
    whole = measure(files, ["id"], missing="drop", quantiles=(0.5,))
    policies: dict[str, Any] = dict(zip(("chunk_rows", "jobs", "memory"), cut, strict=True))
    policies |= {"missing": "drop", "quantiles": (0.5,)}
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


@pytest.mark.parametrize("memory", [1, 5000, 1 << 30])
@pytest.mark.parametrize(("jobs", "chunk_rows"), [(1, 1000), (3, 3)])
def test_the_same_row_is_blamed_for_any_cut(
    memory: int, jobs: int, chunk_rows: int, tmp_path: Path
) -> None:
    """Of many bad rows in both files the one that comes first in the first file."""
    keys = np.random.default_rng(2).permutation(100)
    prediction = pa.array(np.ones(100), mask=np.isin(np.arange(100), (17, 40, 90)))
    bad = np.isin(keys[::-1], keys[[12, 33, 70]])
    target = np.where(bad, np.inf, 1.0)
    pq.write_table(pa.table({"id": keys, "prediction": prediction}), tmp_path / "p.parquet")
    pq.write_table(pa.table({"id": keys[::-1], "target": target}), tmp_path / "t.parquet")
    paths = [tmp_path / "p.parquet", tmp_path / "t.parquet"]
    with pytest.raises(MissingValueError) as caught:
        measure(paths, ["id"], memory=memory, jobs=jobs, chunk_rows=chunk_rows)
    place = caught.value.place
    expected = (str(paths[1]), 100 - 12, "target", (int(keys[12]),))
    assert (place.file, place.row, place.column, place.key) == expected


# Hashes -------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=30) | st.text("ab", min_size=200, max_size=300), max_size=30))
def test_texts_are_hashed_by_all_their_letters(texts: list[str]) -> None:
    """Equal ones alike, wherever they stand and whatever stands around them."""
    whole = hashes.of_texts(pa.array(texts, pa.string()))
    assert len(set(whole.tolist())) == len(set(texts))
    for start in (0, len(texts) // 2):
        part = pa.array(texts, pa.large_string()).slice(start)
        assert hashes.of_texts(part).tolist() == whole[start:].tolist()
    as_bytes = pa.array([text.encode() for text in texts], pa.binary())
    assert hashes.of_texts(as_bytes).tolist() == whole.tolist()


# Files in order -----------------------------------------------------------------------------------


@given(
    left=unique,
    right=unique,
    kind=st.sampled_from(sorted(KEYS)),
    endings=st.sampled_from(["csv csv", "csv parquet", "parquet parquet"]),
    chunk_rows=st.sampled_from([1, 2, 1000]),
)
def test_files_in_order_are_merged_without_temporary_files(
    left: list[int],
    right: list[int],
    kind: str,
    endings: str,
    chunk_rows: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """They give the report that the same files give in memory, and nothing is ever written."""
    folder = tmp_path_factory.mktemp("ordered")
    paths = []
    for role, rows, ending in zip(
        ("prediction", "target"), (left, right), endings.split(), strict=True
    ):
        keys = pd.Series(sorted(map(KEYS[kind], rows)), dtype=None if rows else _empty(kind))
        if ending == "csv" and kind != "text":
            keys = keys.sort_values(key=lambda column: column.astype("string"))
        numbered = {"id": keys, role: np.arange(len(keys)) * 1.5}
        paths.append(write(folder / f"{role}.{ending}", pd.DataFrame(numbered)))

    def outcome(**policies: Any) -> str:
        try:
            return stable(measure(paths, ["id"], chunk_rows=chunk_rows, **policies))
        except LossctlError as error:
            return f"{error} {error.place}"

    for missing in ("error", "drop"):
        expected = outcome(missing=missing, memory=1 << 30)
        # Text that stands for numbers is in another order than the numbers.
        merging = kind == "text" or len(set(endings.split())) == 1
        with pytest.MonkeyPatch.context() as patch:
            if merging:
                patch.setattr(spill.Spill, "write", _refuse_to_write)
            assert outcome(missing=missing, memory=1) == expected


def _refuse_to_write(*arguments: object) -> None:
    raise AssertionError(arguments)


@pytest.mark.parametrize("break_at", [1, 50, 98, 99])
def test_an_order_that_breaks_is_not_counted_on(break_at: int, tmp_path: Path) -> None:
    """In the first batch and in the last row; what had been merged by then is not counted twice."""
    keys = np.arange(100)
    keys[break_at] = 1000 if break_at < 99 else -1
    other = np.sort(keys)
    tables = {"p": {"id": keys, "prediction": keys * 0.5}, "t": {"id": other, "target": other}}
    paths = []
    for name, columns in tables.items():
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    whole = measure(paths, ["id"], memory=1 << 30)
    assert stable(measure(paths, ["id"], memory=1, chunk_rows=3, jobs=2)) == stable(whole)
