"""Plain options are read without pydantic, and no differently."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.core

from lossctl.cli import plain
from lossctl.cli.main import app

VALUES = ["", "5", "0", "-1", "+2", " 7", "007", "1_000", "1e3", "2.0", "٣", "x", "9" * 30, "true"]
FAILED = typer.BadParameter.__mro__[1]


def parameters() -> list[tuple[str, Any]]:
    """Give every parameter of every command."""
    group: Any = typer.main.get_command(app)
    commands = {"lossctl": group, **group.commands}
    return [(name, param) for name, command in commands.items() for param in command.params]


def outcome(reader: Any, value: object, param: Any) -> object:
    """Give what a value is read as, or the message that refuses it."""
    try:
        return reader.coerce(value, param=param, ctx=None)
    except FAILED as error:
        return f"refused: {error}"


@pytest.mark.parametrize("value", [None, *VALUES, -1, 0, 7, 0.5, math.nan, True])
def test_values_are_read_as_typer_reads_them(value: object) -> None:
    """Whatever stands on the command line or in the environment."""
    build = getattr(typer.core, plain.BUILDER)
    build = getattr(build, "instead_of", build)
    seen = 0
    for name, param in parameters():
        many = param.multiple or param.nargs == -1
        given = [value] if many and value is not None else value
        expected = outcome(build(param.type_descriptor), given, param)
        found = outcome(plain.Plain(param.type_descriptor, build), given, param)
        assert repr(found) == repr(expected), (name, param.name)
        seen += 1
    assert seen > 30


def test_putting_it_in_place_twice_is_once() -> None:
    """The program may run several times in one process."""
    plain.read_plainly()
    once = getattr(typer.core, plain.BUILDER)
    plain.read_plainly()
    assert getattr(typer.core, plain.BUILDER) is once


def test_an_evaluation_imports_no_pydantic(tmp_path: Path) -> None:
    """The import that all this is for does not come in by another door."""
    table = tmp_path / "rows.csv"
    table.write_text("prediction,target\n1,2\n")
    words = ["eval", str(table), "-l", "mse", "--jobs", "2", "-f", "value"]
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lossctl", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "1.0\n"
    assert "lossctl.evaluate" in shown.stderr
    assert "pydantic" not in shown.stderr
