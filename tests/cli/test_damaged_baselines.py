"""Damaged baselines: no command takes one for good, lets a regression in by it, or crashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.errors import Exit
from lossctl.gates.stored import today

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]
Keys = tuple[str | int, ...]

ROWS = "prediction,target,part\n1,2,a\n3,5,a\n2,2,b\n4,3,b\n1,1,b\n"
GATE = ("-l", "mae", "--max-increase", "mae=0", "--max-relative-increase", "mae=0")
GATE = (*GATE, "--decide", "point", "-f", "json", "--fingerprint", "--baseline")
MARK = "@mark@"
HUGE = f"1{'0' * 400}"
DEEP = "[" * 100_000
ODD = [
    *("NaN", "Infinity", "-Infinity", "1e999", "1e308", "1e-320", HUGE, "9" * 5000, "-1", "2.5"),
    *("true", "false", "null", '""', '"x"', r'"\ud800"', "[]", "[1]", "{}", '{"a":[1]}', DEEP),
]
"""What takes the place of a value: no value of the baseline, nor one that could stand there."""
REMOVED, REPEATED = "removed", "repeated"


@pytest.fixture(autouse=True)
def _baselines(_quiet_environment: None, call: Call, write: Write) -> None:
    """Keep a report and what is accepted of it, and the report of a worse model."""
    write("rows.csv", ROWS)
    write("worse.csv", ROWS.replace("3,5", "3,500"))
    for name in ("rows", "worse"):
        options = ("-l", "mae,mbe", "--by", "part", "--fingerprint", "-f", "json")
        assert call("eval", f"{name}.csv", *options, "-o", f"{name}.json")[0] == Exit.DONE
    command = ("baseline", "accept", "rows.json", "--reason", "first", "--file", "accepted.json")
    assert call(*command)[0] == Exit.DONE


def places(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Give the way to every value in a document."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, part in inner:
        yield (*keys, key)
        yield from places(part, (*keys, key))


def damage(name: str, keys: Keys, how: str) -> None:
    """Write ``bad.json``: the document of a file with another text in the place of one value."""
    document = json.loads(Path(name).read_text(encoding="utf-8"))
    at: Any = document
    for key in keys[:-1]:
        at = at[key]
    last = keys[-1]
    if how == REMOVED:
        del at[last]
    elif how == REPEATED and isinstance(at, dict):
        at[f"{last}{MARK}"] = at[last]
    else:
        at[last] = MARK
    text = json.dumps(document)
    text = text.replace(MARK, "") if how == REPEATED else text.replace(f'"{MARK}"', how)
    Path("bad.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["accepted.json", "rows.json"])
@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_value_is_refused_or_changes_nothing(
    call: Call, name: str, data: st.DataObject
) -> None:
    document = json.loads(Path(name).read_text(encoding="utf-8"))
    known = ("schema", "signature", "fingerprint", "results", "accepted", "reason")
    keys = data.draw(st.sampled_from([k for k in places(document) if k[0] in known]))
    damage(name, keys, data.draw(st.sampled_from([*ODD, REMOVED, REPEATED])))
    Path("fresh.json").unlink(missing_ok=True)
    assert call("eval", "rows.csv", *GATE, "bad.json")[0] in (Exit.DONE, Exit.UNMEASURABLE)
    assert call("eval", "worse.csv", *GATE, "bad.json")[0] in (Exit.LIMIT, Exit.UNMEASURABLE)
    accept = ("baseline", "accept", "--reason", "again")
    if call(*accept, "bad.json", "--file", "fresh.json")[0] == Exit.DONE:
        assert call("baseline", "show", "--file", "fresh.json")[0] == Exit.DONE
    if name == "accepted.json":
        told = {call("baseline", what, "--file", "bad.json")[0] for what in ("show", "age")}
        assert told in ({Exit.DONE}, {Exit.UNMEASURABLE})
        status = call(*accept, "worse.json", "--file", "bad.json")[0]
        assert status == Exit.LIMIT or told == {status} == {Exit.UNMEASURABLE}


VALUE = ("results", 0, "value")
TOMORROW = f'"{today() + timedelta(days=2)}"'


@pytest.mark.parametrize(
    ("keys", "how", "message"),
    [
        (VALUE, "NaN", "no JSON, or damaged: NaN is no number of JSON"),
        (VALUE, REPEATED, "no JSON, or damaged: 'value' stands there twice"),
        (VALUE, DEEP, "nested too deeply"),
        (VALUE, "1e999", "damaged: value of result 1 is inf"),
        (VALUE, HUGE, "damaged: value of result 1 is 1000"),
        (VALUE, "true", "damaged: value of result 1 is True"),
        (VALUE, "null", "damaged: result 1 has no value and no reason why"),
        (VALUE, "99", "damaged: the interval of result 1 is not around its value"),
        (("results", 0, "std_error"), "-0.1", "damaged: std_error of result 1 is -0.1"),
        (("results", 0, "n"), "-5", "damaged: n of result 1 is -5"),
        (("results", 0, "n"), "0", "damaged: n of result 1 is 0, too few for its value"),
        (("results", 0, "n"), "1", "damaged: n of result 1 is 1, too few for its std_error"),
        (("results", 0, "n"), "5.0", "damaged: n of result 1 is 5.0"),
        (("results", 0, "direction"), '"up"', "damaged: direction of result 1 is 'up'"),
        (("results", 0, "slice"), '{"part":[]}', "damaged: slice of result 1 is {'part': []}"),
        (("results", 2, "slice"), "{}", "damaged: result 3 is there twice"),
        (("results", 0, "ci"), "[0, 1]", "damaged: ci of result 1 is [0, 1]"),
        (("results", 0, "ci", "level"), "95", "damaged: ci of result 1 is {"),
        (("results", 0, "ci", "upper"), REMOVED, "damaged: ci of result 1 is {"),
        (("results",), "[]", "damaged: it has no results"),
        (("fingerprint",), "5", "damaged: its fingerprint is 5"),
        (("fingerprint",), REMOVED, "damaged: it has no fingerprint"),
        (("signature",), "null", "damaged: it has no signature"),
        (("accepted",), '"soon"', "damaged: accepted is 'soon', which is no date"),
        (("accepted",), '"20240101"', "damaged: accepted is '20240101', not 2024-01-01"),
        (("accepted",), TOMORROW, "which is in the future"),
        (("accepted",), "null", "damaged: accepted is None, which is no date"),
        (("reason",), "5", "damaged: its reason is 5"),
        (("schema", "version"), "2", "a lossctl.baseline of version 2, which is not known"),
        (("schema", "version"), "true", "a lossctl.baseline of version True, which is not known"),
        (("schema", "name"), '"other"', "neither a report nor a state nor an accepted baseline"),
    ],
)
def test_what_is_damaged_is_told_alike_by_every_command(
    call: Call, keys: Keys, how: str, message: str
) -> None:
    damage("accepted.json", keys, how)
    for command in (
        ("baseline", "show", "--file", "bad.json"),
        ("baseline", "age", "--file", "bad.json"),
        ("baseline", "accept", "worse.json", "--reason", "again", "--file", "bad.json"),
        ("baseline", "accept", "bad.json", "--reason", "again", "--file", "fresh.json"),
    ):
        status, _, err = call(*command)
        assert (status, message in err) == (Exit.UNMEASURABLE, True), err
    assert not Path("fresh.json").exists()
    status, out, _ = call("eval", "rows.csv", *GATE, "bad.json")
    checks = json.loads(out)["gate"]["checks"]
    assert status == Exit.UNMEASURABLE
    assert {check["reason"] for check in checks} == {"unreadable-baseline"}
    assert all(message in check["message"] for check in checks)


def test_a_loss_without_a_value_does_no_harm_to_the_others(call: Call, write: Write) -> None:
    """The report says why it has none; only where that is gone, it is damaged."""
    write("gaps.csv", f"{ROWS}inf,1,c\n")
    options = ("-l", "mae", "--by", "part", "--nonfinite", "keep")
    assert call("eval", "gaps.csv", *options, "-f", "json", "-o", "gaps.json")[0] == Exit.DONE
    gate = ("eval", "gaps.csv", *options, *GATE[2:-2])
    _, out, _ = call(*gate, "--baseline", "gaps.json")
    assert json.loads(out)["gate"]["checks"][0]["reason"] == "infinite-value"
    without = next(
        number
        for number, result in enumerate(json.loads(Path("gaps.json").read_text())["results"])
        if result["value"] is None
    )
    damage("gaps.json", ("results", without, "reason"), "null")
    _, out, _ = call("eval", "rows.csv", *options, *GATE[2:-2], "--baseline", "bad.json")
    assert json.loads(out)["gate"]["checks"][0]["reason"] == "unreadable-baseline"
    _, out, _ = call("eval", "rows.csv", *options, *GATE[2:-2], "--baseline", "gaps.json")
    assert json.loads(out)["gate"]["checks"][0]["reason"] == "undefined-baseline"


def test_an_increase_beyond_the_largest_double_is_named(call: Call, write: Write) -> None:
    write("tiny.csv", "prediction,target\n1e-320,0\n0,0\n")
    write("one.csv", "prediction,target\n1,0\n0,0\n")
    assert call("eval", "tiny.csv", "-l", "mae", "-f", "json", "-o", "tiny.json")[0] == Exit.DONE
    limit = ("--max-relative-increase", "9", "--decide", "point", "-f", "json")
    status, out, _ = call("eval", "one.csv", "-l", "mae", *limit, "--baseline", "tiny.json")
    (check,) = json.loads(out)["gate"]["checks"]
    assert (status, check["reason"]) == (Exit.UNMEASURABLE, "infinite-value")
    assert "the relative increase of mae goes beyond the largest double" in check["message"]
