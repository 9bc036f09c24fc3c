"""``lossctl baseline``: accepted with a reason, shown, aged, and never ratcheted downhill."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lossctl.errors import Exit
from lossctl.gates.accepted import STALE_DAYS, today

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

FILE = Path("lossctl-baseline.json")
ROWS = "prediction,target,part\n1,2,a\n3,5,a\n2,2,b\n4,3,b\n1,1,b\n"


@pytest.fixture
def accepted(call: Call, write: Write) -> Path:
    """Accept the report of a run by slices."""
    write("rows.csv", ROWS)
    options = ["-l", "mae,mbe", "--by", "part", "--fingerprint"]
    assert call("eval", "rows.csv", *options, "-f", "json", "-o", "report.json")[0] == Exit.DONE
    told = call("baseline", "accept", "report.json", "--reason", "first release")
    assert told == (Exit.DONE, "", f"accepted 6 results into {FILE}\n")
    return FILE


RESULT = {"loss": "mae", "slice": {}, "value": 1, "std_error": 1, "n": 2}
REPORT = {
    "schema": {"name": "lossctl.report", "version": 1},
    "signature": "",
    "results": [{**RESULT, "ci": None, "direction": "lower_is_better"}],
}
DAMAGED = {
    "text.json": "no",
    "foreign.json": "[1, 2]",
    "empty.json": json.dumps({**REPORT, "results": None}),
    "odd.json": json.dumps({**REPORT, "results": [{**REPORT["results"][0], "n": "two"}]}),
    "dateless.json": json.dumps({**REPORT, "schema": {"name": "lossctl.baseline", "version": 1}}),
}


def measure(call: Call, rows: str, *options: str) -> None:
    Path("new.csv").write_text(rows, encoding="utf-8")
    options = options or ("-l", "mae,mbe", "--by", "part")
    assert call("eval", "new.csv", *options, "-f", "json", "-o", "new.json")[0] == Exit.DONE


def aged(days: int) -> None:
    document = json.loads(FILE.read_text(encoding="utf-8"))
    document["accepted"] = (today() - timedelta(days=days)).isoformat()
    FILE.write_text(json.dumps(document), encoding="utf-8")


def test_the_file_says_what_was_accepted_when_and_why(accepted: Path) -> None:
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    document = json.loads(accepted.read_text(encoding="utf-8"))
    assert document["schema"] == {"name": "lossctl.baseline", "version": 1}
    assert (document["accepted"], document["reason"]) == (today().isoformat(), "first release")
    assert document["signature"] == report["signature"]
    assert document["fingerprint"] == report["fingerprint"] is not None
    for mine, theirs in zip(document["results"], report["results"], strict=True):
        assert mine == {name: theirs[name] for name in mine}
        assert {"value", "std_error", "ci", "n"} <= mine.keys()


def test_it_is_a_baseline_of_the_gate(call: Call, accepted: Path) -> None:
    command = ["-l", "mae", "--max-increase", "mae=0", "--baseline", str(accepted)]
    assert call("eval", "rows.csv", *command)[0] == Exit.DONE
    measure(call, ROWS.replace("3,5", "3,50"))
    assert call("eval", "new.csv", *command, "--decide", "point")[0] == Exit.LIMIT
    status, _, err = call("eval", "new.csv", *command, "--fingerprint")
    assert status == Exit.UNMEASURABLE
    assert "other-fingerprint" in err


def test_an_old_baseline_is_warned_of_and_still_holds(call: Call, accepted: Path) -> None:
    aged(STALE_DAYS + 1)
    command = [
        "eval",
        "rows.csv",
        "-l",
        "mae",
        "--max-increase",
        "mae=0",
        "--baseline",
        str(accepted),
    ]
    status, _, err = call(*command)
    assert status == Exit.DONE
    assert f"warning: {FILE} was accepted {STALE_DAYS + 1} days ago: first release" in err
    assert call(*command, "-q") == (Exit.DONE, call(*command)[1], "")


def test_its_age_is_told_and_may_be_limited(call: Call, accepted: Path) -> None:
    assert accepted == FILE
    assert call("baseline", "age") == (Exit.DONE, "0 days\n", "")
    aged(STALE_DAYS + 1)
    status, out, err = call("baseline", "age")
    assert (status, out) == (Exit.DONE, f"{STALE_DAYS + 1} days\n")
    assert err == f"warning: {FILE} is older than {STALE_DAYS} days: first release\n"
    assert call("baseline", "age", "--max-age", f"{STALE_DAYS}d")[0] == Exit.LIMIT
    assert call("baseline", "age", "--max-age", "13w")[0] == Exit.DONE


@pytest.mark.parametrize("age", ["soon", "0", "0w", "-5d", "36501", "6000w", "9" * 5000])
def test_an_age_that_no_baseline_has_is_refused(call: Call, age: str) -> None:
    """Before the file is looked for."""
    status, _, err = call("baseline", "age", f"--max-age={age}", "--file", "gone.json")
    assert status == Exit.USAGE
    assert "--max-age takes 1 to 36500 days, or weeks" in err


def test_it_is_shown(call: Call, accepted: Path) -> None:
    assert accepted == FILE
    lines = call("baseline", "show")[1].splitlines()
    assert lines[0] == f"accepted on {today()} (0 days ago): first release"
    assert "mae: 0.8 (-0.238851 to 1.83885), 5 rows" in lines
    assert any(line.startswith("mae [part=a]: 1.5 (") for line in lines)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (ROWS.replace("3,5", "3,5.5"), (), "mae is 0.9, was 0.8"),
        (ROWS.replace("2,2,b", "2,2.1,b"), (), "mae part=b is "),
        (ROWS, ("-l", "mae", "--by", "part"), "mbe is not measured any more"),
        (ROWS, ("-l", "mae,mbe"), "mae part=a is not measured any more"),
    ],
)
def test_a_regression_is_not_let_in(
    call: Call, accepted: Path, rows: str, options: tuple[str, ...], message: str
) -> None:
    before = accepted.read_text(encoding="utf-8")
    measure(call, rows, *options)
    command = ["baseline", "accept", "new.json", "--reason", "they asked for it"]
    status, _, err = call(*command)
    assert (status, accepted.read_text(encoding="utf-8")) == (Exit.LIMIT, before)
    assert message in err
    assert "--allow-regression" in err
    status, _, err = call(*command, "--allow-regression")
    assert status == Exit.DONE
    assert message in err
    assert json.loads(accepted.read_text(encoding="utf-8"))["reason"] == "they asked for it"


def test_a_better_report_and_a_state_are_accepted(call: Call, accepted: Path) -> None:
    measure(call, ROWS.replace("3,5", "5,5"))
    assert call("baseline", "accept", "new.json", "--reason", "better")[0] == Exit.DONE
    state = ["-l", "mae,mbe", "--by", "part", "--state-out", "new.state"]
    assert call("eval", "new.csv", *state)[0] == Exit.DONE
    assert call("baseline", "accept", "new.state", "--reason", "again")[0] == Exit.DONE
    assert json.loads(accepted.read_text(encoding="utf-8"))["reason"] == "again"


def test_what_cannot_be_a_baseline_is_refused(call: Call, write: Write) -> None:
    write("gaps.csv", "prediction,target\ninf,1\n1,1\n")
    keep = ["-l", "mae", "--nonfinite", "keep", "-f", "json", "-o", "gaps.json"]
    assert call("eval", "gaps.csv", *keep)[0] == Exit.DONE
    for name, text in DAMAGED.items():
        Path(name).write_text(text, encoding="utf-8")
    for path, message in {
        "gaps.json": "mae has no value to compare with",
        "text.json": "no JSON, or damaged: Expecting value",
        "foreign.json": "neither a report nor a state nor an accepted baseline",
        "empty.json": "damaged: it has no results",
        "odd.json": "damaged: n of result 1 is 'two'",
        "gone.json": "no such file",
    }.items():
        status, _, err = call("baseline", "accept", path, "--reason", "why not")
        assert status == Exit.UNMEASURABLE
        assert message in err
    for text in ("{}", DAMAGED["dateless.json"]):
        FILE.write_text(text, encoding="utf-8")
        for action in ("show", "age"):
            assert call("baseline", action)[0] == Exit.UNMEASURABLE
    status, _, err = call("baseline", "show", "--file", "gone.json")
    assert status == Exit.UNMEASURABLE
    assert "hint: `lossctl baseline accept REPORT --reason WHY` makes one" in err


@pytest.mark.parametrize("name", ["text.json", "foreign.json", "empty.json", "odd.json"])
def test_a_gate_says_what_is_wrong_with_its_baseline(call: Call, write: Write, name: str) -> None:
    """A file called .json is never taken for predictions, unless it is told to be."""
    write("rows.csv", ROWS)
    write(name, DAMAGED[name])
    command = ("eval", "rows.csv", "-l", "mae", "--max-increase", "9", "--baseline")
    status, _, err = call(*command, name)
    assert status == Exit.UNMEASURABLE
    assert f"unmeasurable: max_increase mae: the baseline {name}: " in err
    assert "(unreadable-baseline)" in err
    status, _, err = call(*command, "gone.json")
    assert status == Exit.UNMEASURABLE
    assert "there is no baseline gone.json; `lossctl baseline accept` makes one" in err


def test_rows_in_a_json_file_are_a_baseline_where_its_format_is_told(
    call: Call, write: Write
) -> None:
    rows = '{"prediction": 1, "target": 2}\n{"prediction": 3, "target": 5}\n'
    for name in ("old.json", "new.json"):
        write(name, rows)
    command = ["eval", "new.json", "-l", "mae", "--max-increase", "0", "--baseline", "old.json"]
    assert call(*command, "--input-format", "jsonl")[0] == Exit.DONE


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (ROWS.replace("3,5", "5,5.5"), ["--fingerprint"], "on other rows (fingerprint "),
        (ROWS.replace("3,5", "5,5"), ["--nulls", "drop"], "with nulls=error, this is nulls=drop"),
        (f"{ROWS}1,1,b\n", [], "on 5 rows of mae, this is of 6"),
    ],
)
def test_a_report_of_other_data_is_accepted_with_a_warning(
    call: Call, accepted: Path, rows: str, options: list[str], message: str
) -> None:
    measure(call, rows, "-l", "mae,mbe", "--by", "part", *options)
    command = ["baseline", "accept", "new.json", "--reason", "more rows", "--allow-regression"]
    status, _, err = call(*command)
    assert status == Exit.DONE
    assert f"warning: {accepted}: the baseline was measured {message}" in err
    assert call(*command)[2] == f"accepted 6 results into {accepted}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["accept"],
        ["accept", "report.json"],
        ["accept", "report.json", "--reason", " "],
        ["show", "report.json"],
        ["forget"],
    ],
    ids=" ".join,
)
def test_wrong_commands_are_usage_errors(call: Call, arguments: list[str]) -> None:
    assert call("baseline", *arguments)[0] == Exit.USAGE
