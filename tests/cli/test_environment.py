"""Settings from the environment: ``LOSSCTL_<FLAG>`` holds where the flag is not given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("LOSS", "mse mae", ["-l", "mse", "-l", "mae"]),
        ("LOSS", "mse,mae", ["-l", "mse,mae"]),
        ("FORMAT", "csv", ["-l", "mse", "-f", "csv"]),
        ("CI", "off", ["-l", "mse", "--ci", "off"]),
        ("PRED", "target", ["-l", "mse", "-p", "target"]),
        ("COL", "mse.prediction=target", ["-l", "mse", "--col", "mse.prediction=target"]),
        ("NULLS", "drop", ["-l", "mse", "--nulls", "drop"]),
        ("QUIET", "1", ["-l", "mse", "-q"]),
        ("CHUNK_ROWS", "1", ["-l", "mse", "--chunk-rows", "1"]),
        ("QUANTILES", "0.5", ["-l", "mse", "--quantiles", "0.5"]),
        ("COLOR", "always", ["-l", "mse", "--color", "always"]),
    ],
)
def test_a_variable_stands_for_its_flag(
    call: Call,
    good: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    arguments: list[str],
) -> None:
    told = call("eval", good, *arguments)
    monkeypatch.setenv(f"LOSSCTL_{name}", value)
    found = call("eval", good, *([] if name == "LOSS" else ["-l", "mse"]))
    assert found == told
    assert found[0] == Exit.DONE


def test_a_flag_goes_before_its_variable(
    call: Call, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSCTL_FORMAT", "json")
    assert call("eval", good, "-l", "mse", "-f", "value", "-q")[1] == "2.5\n"


def test_an_empty_variable_is_none(call: Call, good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRED", "TARGET", "GROUP", "OUTPUT", "REPORT", "JOBS", "POSITIVE", "CLASSES"):
        monkeypatch.setenv(f"LOSSCTL_{name}", "")
    assert call("eval", good, "-l", "mse", "-f", "value", "-q") == (Exit.DONE, "2.5\n", "")


@pytest.mark.parametrize("name", ["FORMAT", "NULLS", "CI", "JOBS", "QUIET", "QUANTILES"])
def test_a_wrong_variable_is_a_usage_error(
    call: Call, good: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"LOSSCTL_{name}", "nonsense")
    status, _, err = call("eval", good, "-l", "mse")
    assert status == Exit.USAGE
    assert name.lower() in err.lower()


def test_reports_are_named_in_the_environment(
    call: Call, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSCTL_REPORT", "md=x.md value=x.txt")
    assert call("eval", good, "-l", "mse", "-q")[0] == Exit.DONE
    assert Path("x.txt").read_text() == "2.5\n"
    assert Path("x.md").read_text(encoding="utf-8").startswith("| loss | value |")
