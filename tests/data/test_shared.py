"""Columns that two files share: equal as text or as numbers in every row, or refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from lossctl.errors import PairingError

Value = Callable[..., float | None]
Write = Callable[..., str]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([1, 2, 3], ["1", "2.0", "3e0"]),
        (["a", "b", "c"], pa.array(["a", "b", "c"]).dictionary_encode()),
        ([1, None, 3], ["1", None, "3"]),
        ([0.1, 0.2, float("nan")], ["0.1", "0.20", "nan"]),
        (pa.array([0.1, 0.2, 0.3], pa.float32()), ["0.1", "0.2", "0.3"]),
        ([True, False, None], ["True", "false", None]),
        ([dt.date(2024, 1, 2)] * 3, ["2024-01-02"] * 3),
        ([dt.datetime(2024, 1, 2)] * 3, ["2024-01-02T00:00:00", "2024-01-02", "2024-01-02 00:00"]),  # noqa: DTZ001
        ([[1], [2, 3], None], [[1], [2, 3], None]),
        ([{"a": 1}, None, {"a": 2}], [{"a": 1}, None, {"a": 2}]),
        ([b"\xff", b"\x00", b""], [b"\xff", b"\x00", b""]),
    ],
)
def test_equal_values_pair_whatever_their_type(
    value: Value, parquet: Write, first: Any, second: Any
) -> None:
    files = (
        parquet("a.parquet", key=first, prediction=[1.0, 2.0, 3.0]),
        parquet("b.parquet", key=second, target=[1.0, 2.0, 3.0]),
    )
    for chunk_rows in (1, 2, 3):
        assert value("mse", *files, chunk_rows=chunk_rows) == 0.0


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ([1, 2, 3], [1, 2, 4], "3 in a.parquet, 4 in b.parquet"),
        ([1, 2, 3], ["1", "2", "x"], "3 in a.parquet, 'x' in b.parquet"),
        ([1, 2, 3], [1, 2, None], "3 in a.parquet, None in b.parquet"),
        ([1, 2, None], [1, 2, 3], "None in a.parquet, 3 in b.parquet"),
        (["a", "b", "c"], ["a", "b", "C"], "'c' in a.parquet, 'C' in b.parquet"),
        (["1", "2", "10"], ["1", "2", "1_0"], "'10' in a.parquet, '1_0' in b.parquet"),
        ([1, 2, 2**53], ["1", "2", str(2**53 + 1)], "9007199254740992 in a.parquet"),
        (["1", "2", str(2**53)], ["1", "2", str(2**53 + 1)], "'9007199254740992' in a.parquet"),
        ([[1], [2], [3]], [[1], [2], [4]], r"\[3\] in a.parquet, \[4\] in b.parquet"),
        ([[1], [2], [3]], [1, 2, 3], r"\[1\] in a.parquet, 1 in b.parquet"),
        ([b"\xff", b"b", b"c"], [b"\xff", b"b", b"d"], "b'c' in a.parquet"),
        ([True, True, True], ["true", "True", "no"], "True in a.parquet, 'no' in b.parquet"),
    ],
)
def test_different_values_are_refused_with_their_row(
    value: Value,
    parquet: Write,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    first: Any,
    second: Any,
    shown: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    parquet("a.parquet", key=first, prediction=[1.0, 2.0, 3.0])
    parquet("b.parquet", key=second, target=[1.0, 2.0, 3.0])
    row = 1 if shown.startswith(r"\[1") else 3
    for chunk_rows in (1, 2, 3):
        with pytest.raises(PairingError, match=shown) as caught:
            value("mse", "a.parquet", "b.parquet", chunk_rows=chunk_rows)
        assert caught.value.place.row == row, chunk_rows
        assert caught.value.place.column == "key"


def test_a_csv_pairs_with_a_parquet_file(value: Value, csv: Write, parquet: Write) -> None:
    numbers = [float(i) for i in range(50)]
    left = csv("id,day,prediction", *(f"{i}.0,2024-01-02,{i}" for i in range(50)))
    days = [dt.date(2024, 1, 2)] * 50
    right = parquet("b.parquet", id=list(range(50)), day=days, target=numbers)
    for chunk_rows in (7, 64):
        assert value("mse", left, right, chunk_rows=chunk_rows) == 0.0
        assert value("mse", right, left, chunk_rows=chunk_rows, columns={"target": "target"}) == 0.0
