"""What is written where: the same result on and off a terminal, notes on stderr, colour on wish."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

SCRIPT = Path(sys.executable).parent / "lossctl"


def on_terminal(*arguments: str, **environment: str) -> str:
    """Run the script on a terminal of its own and give what it shows there."""
    master, slave = pty.openpty()
    command = [str(SCRIPT), *arguments]
    told = os.environ | {"TERM": "xterm-256color"} | environment
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env=told
    ) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 1 << 16)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not part:
                break
            shown += part
        process.wait(timeout=60)
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


def test_json_is_the_same_on_and_off_a_terminal(script: Call, good: str) -> None:
    """All but the facts of the run, byte for byte."""
    arguments = "eval", good, "-l", "mse,mae", "-f", "json"
    _, off, _ = script(*arguments)
    on = on_terminal(*arguments)
    elapsed = re.compile(r'"elapsed_s": [0-9.e-]+')
    assert elapsed.sub("", on) == elapsed.sub("", off)
    assert elapsed.search(on)


def test_the_table_is_the_same_on_and_off_a_terminal_but_for_its_weight(
    script: Call, good: str
) -> None:
    _, off, _ = script("eval", good, "-l", "mse")
    assert on_terminal("eval", good, "-l", "mse", NO_COLOR="1") == off
    on = on_terminal("eval", good, "-l", "mse")
    assert "\x1b[1m" in on
    plain = re.sub("\x1b\\[[0-9;]*m", "", on)
    assert [line.rstrip() for line in plain.splitlines()] == off.splitlines()


def test_color_is_for_terminals_unless_told_otherwise(call: Call, good: str) -> None:
    for color, escapes in (("auto", False), ("always", True), ("never", False)):
        _, out, _ = call("eval", good, "-l", "mse", "--color", color)
        assert ("\x1b[" in out) == escapes, color
    for name in ("json", "jsonl", "csv", "md", "value"):
        assert "\x1b[" not in call("eval", good, "-l", "mse", "--color", "always", "-f", name)[1]


def test_notes_go_to_stderr_and_can_be_silenced(call: Call, write: Write) -> None:
    write("x.csv", "prediction,target\n0,1\n.5,1\n,1\n")
    status, out, err = call("eval", "x.csv", "-l", "bce", "--nulls", "drop", "-f", "value")
    assert (status, out) == (Exit.DONE, "18.36840028483855\n")
    assert err.splitlines() == [
        "warning: 1 of 3 rows dropped (null) (first: x.csv row 3)",
        "warning: bce: 1 row clipped; they carry 0.981 of the sum",
    ]
    assert call("eval", "x.csv", "-l", "bce", "--nulls", "drop", "-f", "value", "-q")[2] == ""


def test_a_table_says_which_columns_it_took(call: Call, good: str) -> None:
    _, _, err = call("eval", good, "-l", "mse")
    assert err == "columns of mse: prediction: prediction; target: target\n"


@pytest.mark.parametrize("name", ["table", "json", "jsonl", "csv", "md", "value"])
def test_every_format_ends_in_one_line_break(call: Call, good: str, name: str) -> None:
    _, out, _ = call("eval", good, "-l", "mse,mae", "-f", name)
    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    assert not out.startswith("\n")


def test_jsonl_holds_the_results_of_the_report(call: Call, good: str) -> None:
    report = json.loads(call("eval", good, "-l", "mse,mae", "-f", "json")[1])
    lines = call("eval", good, "-l", "mse,mae", "-f", "jsonl")[1].splitlines()
    assert [json.loads(line) for line in lines] == report["results"]
