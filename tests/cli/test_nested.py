"""Nested fields through the command: a field of a struct is a column by its dotted path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather, orc

from lossctl.errors import Exit
from tests.cli.conftest import Call

ROWS: list[dict[str, Any]] = [
    {"out": {"p": 1.0, "more": {"w": 1.0}}, "meta": {"region": "eu"}, "y": 2.0, "k": {"id": 1}},
    {"out": {"p": 3.0, "more": {"w": 3.0}}, "meta": {"region": "us"}, "y": 3.0, "k": {"id": 2}},
    {"out": {"p": 5.0, "more": {"w": 2.0}}, "meta": {"region": "eu"}, "y": 2.0, "k": {"id": 3}},
]


def _jsonl(rows: list[dict[str, Any]], path: str) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


WRITERS: dict[str, Callable[[list[dict[str, Any]], str], object]] = {
    "parquet": lambda rows, path: pq.write_table(pa.Table.from_pylist(rows), path),
    "arrow": lambda rows, path: feather.write_feather(
        pa.Table.from_pylist(rows), path, compression="uncompressed"
    ),
    "orc": lambda rows, path: orc.write_table(pa.Table.from_pylist(rows), path),
    "jsonl": _jsonl,
}
COLUMNS = "-l", "mae", "--pred", "out.p", "--target", "y"


@pytest.fixture(params=WRITERS)
def rows(request: pytest.FixtureRequest, call: Call) -> str:
    """Write the rows in one of the formats that have structs."""
    del call  # which changes to a folder of its own
    path = f"rows.{request.param}"
    WRITERS[request.param](ROWS, path)
    return path


def _report(call: Call, *arguments: str) -> dict[str, Any]:
    status, out, err = call("eval", *arguments, *COLUMNS, "-f", "json")
    assert status == Exit.DONE, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_fields_are_columns_for_every_option(call: Call, rows: str) -> None:
    """The numbers are those of the same columns laid flat."""
    options = (
        "-w",
        "out.more.w",
        "--by",
        "meta.region",
        "--top",
        "1",
        "--keep",
        "meta.region,k.id",
    )
    flat = [
        {
            "out.p": row["out"]["p"],
            "out.more.w": row["out"]["more"]["w"],
            "meta.region": row["meta"]["region"],
            "y": row["y"],
            "k.id": row["k"]["id"],
        }
        for row in ROWS
    ]
    pq.write_table(pa.Table.from_pylist(flat), "flat.parquet")
    nested = _report(call, rows, *options)
    expected = json.dumps(_report(call, "flat.parquet", *options)["results"])
    assert nested["results"] == json.loads(expected.replace("flat.parquet", rows))
    assert "us" in expected
    assert nested["results"][0]["value"] == (1 * 1 + 3 * 0 + 2 * 3) / 6


def test_fields_filter_and_pair_rows(call: Call, rows: str) -> None:
    kept = _report(call, rows, "--where", "`meta.region` == 'eu' and `out.more.w` > 1")
    assert kept["results"][0]["value"] == 3.0
    truth = [{"k": row["k"], "y": row["y"]} for row in reversed(ROWS)]
    suffix = rows.rpartition(".")[2]
    WRITERS[suffix](truth, f"truth.{suffix}")
    paired = _report(call, rows, f"truth.{suffix}", "-k", "k.id")
    assert paired["results"][0]["value"] == 4 / 3


def test_a_null_struct_has_null_fields(call: Call, rows: str) -> None:
    suffix = rows.rpartition(".")[2]
    WRITERS[suffix]([*ROWS, {**ROWS[0], "out": None}], rows)
    status, _, err = call("eval", rows, *COLUMNS)
    assert status == Exit.UNMEASURABLE
    assert "out.p" in err
    dropped = _report(call, rows, "--nulls", "drop")
    assert dropped["results"][0]["value"] == 4 / 3


def test_a_wrong_path_is_answered_by_the_nearest_one(call: Call, rows: str) -> None:
    status, _, err = call("eval", rows, "-l", "mae", "--pred", "out.q", "--target", "y")
    assert status == Exit.USAGE
    assert "no column 'out.q'" in err
    assert "out.p" in err


def test_a_column_of_the_very_name_goes_first(call: Call, rows: str) -> None:
    suffix = rows.rpartition(".")[2]
    WRITERS[suffix]([{**row, "out.p": row["y"]} for row in ROWS], rows)
    assert _report(call, rows)["results"][0]["value"] == 0.0
    found = _report(call, rows, "--where", "`out.p` < 2.5")
    assert found["rows"]["dropped"]["filtered"]["count"] == 1


def test_a_value_of_another_type_is_named_by_its_path(call: Call) -> None:
    _jsonl([*ROWS, {**ROWS[0], "out": {"p": "x"}}], "rows.jsonl")
    text = Path("rows.jsonl").read_text(encoding="utf-8")
    sample = "".join(json.dumps(row) + "\n" for row in ROWS) * 6000
    assert len(sample) > 1 << 20
    Path("rows.jsonl").write_text(sample + text, encoding="utf-8")
    status, _, err = call("eval", "rows.jsonl", *COLUMNS)
    assert status == Exit.UNMEASURABLE
    assert "row 18004" in err
    assert "out.p" in err
    assert "is not a number" in err
