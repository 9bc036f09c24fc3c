"""Filters through the command: the same one keeps the same rows in every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]

TIMES = [
    "2024-04-05 05:59:59.999999",
    "2024-04-05 06:00:00",
    None,
    "2024-04-06 00:00:00",
    "2024-04-06 00:00:01",
    "2024-04-07 00:00:00",
]
PATHS = ["x.csv", "x.jsonl", "x.parquet", "texts.parquet"]


def write(times: Sequence[str | None], zone: str | None = None) -> None:
    """Write the same rows in every format, as pandas does, and their texts to Parquet."""
    rows = range(1, len(times) + 1)
    table = pd.DataFrame({"id": rows, "prediction": rows, "target": [0] * len(rows)})
    table["when"] = pd.to_datetime(pd.Series(times), format="ISO8601", utc=bool(zone))
    if zone:
        table["when"] = table["when"].dt.tz_convert(zone)
    table["day"] = "2024-04-05"
    table.to_csv("x.csv", index=False)
    table.to_json("x.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    table.to_parquet("x.parquet", index=False)
    table["when"] = pd.read_csv("x.csv")["when"]
    table.to_parquet("texts.parquet", index=False, row_group_size=1)


def kept(call: Call, path: str, where: str, loss: str = "mae") -> list[int]:
    """Give the numbers of the rows that a filter keeps."""
    shown = call("worst", path, "-l", loss, "-n", "9", "--where", where, "-f", "json")
    status, out, err = shown
    if status == Exit.UNMEASURABLE and "are dropped (filtered)" in err:
        return []
    assert status == Exit.DONE, err
    return sorted(row["row"] for row in json.loads(out)["results"][0]["worst"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("when >= '2024-04-05T06:00:00'", [2, 4, 5, 6]),
        ("when > '2024-04-05 06:00'", [4, 5, 6]),
        ("when <= '2024-04-06'", [1, 2, 4]),
        ("'2024-04-06' < when", [5, 6]),
        ("'2024-04-05T06' <= when < '2024-04-07'", [2, 4, 5]),
        ("not when < '2024-04-06T00:00:01'", [5, 6]),
        ("when == '2024-04-05T06:00'", [2]),
        ("when != '2024-04-05T06:00'", [1, 4, 5, 6]),
        ("when in ('2024-04-05T06:00', '2024-04-06 00:00:01.000')", [2, 5]),
        ("when not in ('2024-04-05T06:00', '2024-04-06 00:00:01.000')", [1, 4, 6]),
        ("day == '2024-04-05' and when > '2024-04-06T00:00:00.5'", [5, 6]),
    ],
)
def test_dates_and_times_are_compared_alike_in_every_format(
    call: Call, path: str, where: str, expected: list[int]
) -> None:
    """Whether a file has a type for them, or texts in one spelling or another."""
    write(TIMES)
    assert kept(call, path, where) == expected


@pytest.mark.parametrize(
    ("zone", "where", "expected"),
    [
        ("UTC", "when >= '2024-04-05T08:00:00+02:00'", [2, 4, 5, 6]),
        ("UTC", "when == '2024-04-06T02:00:01+02:00'", [5]),
        ("UTC", "when >= '2024-04-06T00:00:00Z'", [4, 5, 6]),
        ("UTC", "when < '2024-04-06'", [1, 2]),
        ("Asia/Tokyo", "when >= '2024-04-06 09:00'", [4, 5, 6]),
    ],
)
def test_times_in_a_zone_are_compared_as_moments_or_by_their_own_clock(
    call: Call, zone: str, where: str, expected: list[int]
) -> None:
    """As the value has a zone or none."""
    write(TIMES, zone)
    for path in PATHS:
        if (path, zone) != ("x.jsonl", "Asia/Tokyo"):  # pandas writes the clock of UTC there
            assert kept(call, path, where) == expected


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_value_with_a_zone_is_not_compared_with_times_without_one(
    script: Call, form: str
) -> None:
    """In no format; by order or not."""
    write(TIMES)
    for operator in (">=", "=="):
        where = f"when {operator} '2024-04-05T06:00:00+02:00'"
        status, _, err = script("eval", "x.parquet", "-l", "mae", "--where", where)
        assert (status, "is not compared with" in err) == (Exit.USAGE, True)
        status, _, err = script("eval", f"x.{form}", "-l", "mae", "--where", where)
        assert status == Exit.UNMEASURABLE
        assert f"error: x.{form}, row 1, column 'when': --where compares the text" in err
        assert "with a time that has a zone\nhint: leave out the zone" in err


def test_a_text_that_is_no_date_is_refused_by_its_row(script: Call) -> None:
    """Where the order is asked for; it is merely not equal to one."""
    lines = ["prediction,target,when", "1,0,2024-04-05", "2,0,NA", "3,0,soon", "4,0,2024-04-07"]
    Path("x.csv").write_text("\n".join(lines), encoding="utf-8")
    status, out, err = script("eval", "x.csv", "-l", "mae", "--where", "when > '2024-04-06'")
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert err.startswith(
        "error: x.csv, row 3, column 'when': "
        "--where compares the text 'soon' with a date or a time\n"
        "hint: missing values are empty; dates and times are as 2024-02-29 07:00\n"
    )
    assert kept(script, "x.csv", "when != '2024-04-05T00:00'") == [3, 4]
    assert kept(script, "x.csv", "when == '2024-04-05'") == [1]
    assert kept(script, "x.csv", "when > 'a'") == [3]


def test_folders_of_days_are_left_out_by_their_date(script: Call, tmp_path: Path) -> None:
    """Unread, by any spelling of it."""
    for day in ("2024-04-05", "2024-04-06"):
        folder = tmp_path / "days" / f"day={day}"
        folder.mkdir(parents=True)
        table = pd.DataFrame({"prediction": [1.0, 2.0], "target": 0.0})
        table.to_parquet(folder / "x.parquet")
    spoilt = bytearray((folder / "x.parquet").read_bytes())
    spoilt[4:40] = b"\xff" * 36
    (folder / "x.parquet").write_bytes(spoilt)
    assert kept(script, "days", "day < '2024-04-06T00:00'") == [1, 2]
    status, _, err = script("eval", "days", "-l", "mae", "--where", "day <= '2024-04-06'")
    assert (status, "not a readable Parquet file" in err) == (Exit.UNMEASURABLE, True)


def test_in_takes_one_value_in_parentheses(script: Call) -> None:
    """As in SQL; without them it is refused with the way to write it."""
    write(TIMES)
    assert kept(script, "x.csv", "day in ('2024-04-05') and id in (3)") == [3]
    assert kept(script, "x.csv", "id not in (3) and (id in (-1) or 2 < id in (4))") == [4]
    status, _, err = script("eval", "x.csv", "-l", "mae", "--where", "day in '2024-04-05'")
    assert status == Exit.USAGE
    assert "behind in stand values in parentheses, not '2024-04-05'" in err


def test_truths_are_shown_alike_whether_or_not_a_loss_reads_them(script: Call) -> None:
    """In slices, beside the worst rows and in files of scores, of one file and of several."""
    rows = ["0.5,True,True", "0.25,False,False", "0.75,,", "0.125,False,False"]
    for folder, parts in (("one", [rows]), ("two", [rows[:2], rows[2:]])):
        Path(folder).mkdir()
        for number, part in enumerate(parts):
            lines = "\n".join(["prediction,target,same", *part])
            Path(f"{folder}/{number}.csv").write_text(lines, encoding="utf-8")
        shown = []
        for name in ("target", "same"):
            options = ["-l", "bce", "--nulls", "drop"]
            _, out, _ = script("eval", folder, *options, "--by", name, "-f", "json")
            slices = [list(result["slice"].values()) for result in json.loads(out)["results"]]
            _, out, _ = script("worst", folder, *options, "--keep", name, "-f", "json")
            worst = [row["columns"][name] for row in json.loads(out)["results"][0]["worst"]]
            shown.append((slices, worst))
        assert shown[0] == shown[1]
        assert shown[0] == ([[], ["False"], ["True"], [None]], ["True", "False", "False"])
    for name in ("target", "same"):
        script("score", "one/0.csv", *options, "--keep", name, "-o", f"{name}.csv")
        assert pd.read_csv(f"{name}.csv", dtype=str)[name].tolist()[:2] == ["True", "False"]
        assert kept(script, "one/0.csv", f"{name} == true", "bce") == [1]
