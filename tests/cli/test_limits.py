"""Limits on the command line: what is shown, the exit status, and that nothing passes unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

ROWS = "prediction,target,part\n1,2,a\n3,5,a\n2,2,b\n4,3,b\n1,1,b\n"
"""The absolute errors are 1, 2, 0, 1, 0: mean 0.8, standard error 0.374."""


@pytest.fixture
def rows(write: Write) -> str:
    return write("rows.csv", ROWS)


def gate(call: Call, *arguments: str) -> tuple[int, dict[str, Any]]:
    status, out, _ = call("eval", *arguments, "-f", "json")
    return status, json.loads(out)["gate"]


@pytest.mark.parametrize(
    ("limit", "status"),
    [("mae=2", Exit.DONE), ("mae=-0.3", Exit.LIMIT), ("mae=0.7", Exit.UNDECIDED), ("2", Exit.DONE)],
)
def test_the_interval_decides(call: Call, rows: str, limit: str, status: Exit) -> None:
    assert call("eval", rows, "-l", "mae", "--max", limit)[0] == status


def test_the_point_decides_where_it_is_told_to(call: Call, rows: str) -> None:
    for options in (["--decide", "point"], ["--ci", "off"]):
        assert call("eval", rows, "-l", "mae", "--max", "mae=0.8", *options)[0] == Exit.DONE
        assert call("eval", rows, "-l", "mae", "--max", "mae=0.7", *options)[0] == Exit.LIMIT
        assert call("eval", rows, "-l", "mae", "--min", "mae=0.9", *options)[0] == Exit.LIMIT


def test_undecided_checks_may_be_settled(call: Call, rows: str) -> None:
    command = ["eval", rows, "-l", "mae", "--max", "mae=0.7"]
    assert call(*command, "--inconclusive", "pass")[0] == Exit.DONE
    assert call(*command, "--inconclusive", "fail")[0] == Exit.LIMIT
    assert call(*command, "--inconclusive", "maybe")[0] == Exit.USAGE


def test_exit_zero_masks_broken_limits_and_nothing_else(call: Call, rows: str) -> None:
    for limit in ("-0.3", "0.7"):
        status, found = gate(call, rows, "-l", "mae", "--max", limit, "--exit-zero")
        assert status == found["exit"] == Exit.DONE
        assert found["verdict"] in ("fail", "undecided")
    zero = ["--max", "9", "--exit-zero"]
    assert call("eval", rows, "-l", "mae", "--min-rows", "6", *zero)[0] == Exit.UNMEASURABLE
    assert call("eval", "gone.csv", "-l", "mae", *zero)[0] == Exit.UNMEASURABLE
    assert call("eval", rows, "-l", "maee", *zero)[0] == Exit.USAGE


def test_what_could_not_be_measured_goes_before_what_failed(call: Call, rows: str) -> None:
    more = ["--max", "0.7", "--max", "-0.3"]
    assert call("eval", rows, "-l", "mae", *more)[0] == Exit.LIMIT
    status, out, err = call("eval", rows, "-l", "mae", *more, "--min-rows", "6")
    assert status == Exit.UNMEASURABLE
    assert "gate unmeasurable: 1 unmeasurable, 1 fail, 1 undecided" in out
    assert err.splitlines()[-1] == "gate unmeasurable: 1 unmeasurable, 1 fail, 1 undecided"
    assert "unmeasurable: min_rows: 5 rows, at least 6 needed (too-few-rows)" in err


def test_what_did_not_pass_is_told_in_every_format(call: Call, rows: str) -> None:
    for form in ("table", "json", "jsonl", "csv", "md", "value"):
        _, _, err = call("eval", rows, "-l", "mae", "--max", "mae=-0.3", "-f", form, "-q")
        told = "fail: max mae: mae is 0.8 (-0.238851 to 1.83885); at most -0.3 is allowed\n"
        assert err == f"{told}gate fail: 1 fail\n", form
    assert call("eval", rows, "-l", "mae", "--max", "mae=9", "-q")[2] == ""


def test_wrong_limits_are_told_all_at_once(call: Call, rows: str) -> None:
    status, _, err = call(
        "eval", rows, "-l", "mae,mse", "--max", "mae=nan", "--max", "rmse=1", "--max", "0.5",
        "--min", "mae=inf", "--max-null-rate", "120%", "--max", "maee=1", "--max-increase", "mse=x",
    )  # fmt: skip
    assert status == Exit.USAGE
    for part in (
        "max takes a finite number, not nan",
        "max is on rmse, which is not measured",
        "max does not say on which loss",
        "min takes a finite number, not inf",
        "max_null_rate takes a share between 0 and 1, not 1.2",
        "unknown loss 'maee'",
        "max_increase takes a number, not 'x'",
    ):
        assert part in err
    assert "did you mean mae" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-increase", "mae=1"], "max_increase mae has no baseline to compare with"),
        (["--baseline", "old.json"], "a baseline is named, but no limit is on an increase"),
        (["--max", "1", "--decide", "interval", "--ci", "off"], "but --ci is off"),
        (["--max", "mae=1%"], "max takes a number, not a percentage"),
        (["--max-increase", "mbe=1", "-l", "mbe"], "an increase of mbe is neither good nor bad"),
    ],
)
def test_limits_that_lack_something_are_refused(
    call: Call, rows: str, options: list[str], message: str
) -> None:
    status, _, err = call("eval", rows, "-l", "mae", *options)
    assert status == Exit.USAGE
    assert message in err


@pytest.mark.parametrize("limit", ["mae=nan", "mae=x", "rmse=1"])
def test_a_wrong_limit_on_an_increase_is_one_error(call: Call, rows: str, limit: str) -> None:
    """What the baseline is for is clear."""
    command = ("eval", rows, "-l", "mae", "--max-increase", limit, "--baseline", "old.json")
    status, _, err = call(*command)
    assert (status, err.count("error: ")) == (Exit.USAGE, 1)
    assert "error: max_increase " in err


def test_gaps_beyond_the_allowed_rate_measure_nothing(call: Call, write: Write) -> None:
    path = write("gaps.csv", ROWS + ",2,a\n")
    command = ["eval", path, "-l", "mae", "--nulls", "drop", "--max", "9", "--max-null-rate"]
    assert call(*command, "20%")[0] == Exit.DONE
    assert call(*command, "0.1")[0] == Exit.UNMEASURABLE


@pytest.mark.parametrize("kind", ["json", "state"])
def test_an_earlier_run_is_a_baseline(call: Call, rows: str, write: Write, kind: str) -> None:
    option = ["-f", "json", "-o", "old.json"] if kind == "json" else ["--state-out", "old.state"]
    assert call("eval", rows, "-l", "mae,rmse", *option)[0] == Exit.DONE
    better = write("better.csv", ROWS.replace("3,5", "5,5"))
    worse = write("worse.csv", ROWS.replace("3,5", "3,50"))
    limits = ["-l", "mae", "--max-increase", "mae=0", "--baseline", f"old.{kind}"]
    assert call("eval", rows, *limits)[0] == Exit.DONE
    assert call("eval", better, *limits)[0] == Exit.UNDECIDED
    assert call("eval", better, *limits, "--decide", "point")[0] == Exit.DONE
    assert call("eval", worse, *limits, "--decide", "point")[0] == Exit.LIMIT
    status, found = gate(call, worse, *limits)
    (check,) = found["checks"]
    assert (status, check["baseline"]) == (Exit.UNDECIDED, 0.8)


def test_a_baseline_that_cannot_be_compared_with_is_named(call: Call, rows: str) -> None:
    limits = [rows, "-l", "mae", "--max-increase", "9", "--baseline"]
    assert call("eval", rows, "-l", "mse", "-f", "json", "-o", "mse.json")[0] == Exit.DONE
    drops = ["--nulls", "drop", "-f", "json", "-o", "drops.json"]
    assert call("eval", rows, "-l", "mae", *drops)[0] == Exit.DONE
    Path("broken.json").write_text('{"schema": {"name": "lossctl.report", "version": 1}}')
    Path("other.json").write_text('{"schema": {"name": "other", "version": 1}}')
    for path, reason in {
        "gone.json": "missing-baseline",
        "mse.json": "missing-in-baseline",
        "drops.json": "other-signature",
        "broken.json": "unreadable-baseline",
        "other.json": "unreadable-baseline",
    }.items():
        status, found = gate(call, *limits, path)
        assert (status, found["checks"][0]["reason"]) == (Exit.UNMEASURABLE, reason), path


def test_reports_are_written_where_nothing_could_be_measured(call: Call, write: Write) -> None:
    path = write("empty.csv", "prediction,target\n")
    reports = [f"--report={form}=out.{form}" for form in ("json", "md", "table", "csv")]
    status, out, err = call("eval", path, "-l", "mae", "--max", "9", *reports)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert "empty.csv: no rows" in err
    written = json.loads(Path("out.json").read_text())
    assert written["gate"]["verdict"] == "unmeasurable"
    assert written["gate"]["checks"][0]["reason"] == "input"
    assert Path("out.md").read_text().startswith("**gate unmeasurable")
    assert "unmeasurable" in Path("out.table").read_text()


def test_a_gate_of_equal_runs_has_the_same_digest(call: Call, rows: str) -> None:
    reports = [
        json.loads(call("eval", rows, "-l", "mae", "--max", "2", "-f", "json", *jobs)[1])
        for jobs in (["-j", "1"], ["-j", "2", "--chunk-rows", "1"])
    ]
    assert reports[0]["digest"] == reports[1]["digest"]
