"""Files that are written: whole or not at all, never over the input, refused before any read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossctl.cli import output
from lossctl.errors import Exit, OutputError

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]


def listing() -> list[str]:
    """Name what lies here, hidden files included."""
    return sorted(entry.name for entry in Path().iterdir())


def test_the_document_goes_to_a_file_instead_of_stdout(call: Call, good: str) -> None:
    assert call("eval", good, "-l", "mse", "-f", "value", "-o", "out.txt", "-q") == (0, "", "")
    assert Path("out.txt").read_text() == "2.5\n"
    assert call("eval", good, "-l", "mse", "-f", "value", "-o", "-", "-q") == (0, "2.5\n", "")
    assert listing() == ["good.csv", "out.txt"]


def test_further_reports_come_from_the_same_pass(call: Call, good: str) -> None:
    reports = [f"--report={name}=out.{name}" for name in ("json", "jsonl", "csv", "md", "table")]
    status, out, _ = call("eval", good, "-l", "mse", "-f", "value", *reports)
    assert (status, out) == (Exit.DONE, "2.5\n")
    for name in ("json", "jsonl", "csv", "md", "table"):
        text = call("eval", good, "-l", "mse", "-f", name)[1]
        written = Path(f"out.{name}").read_text(encoding="utf-8")
        if name == "json":
            text, written = (part[: part.index('"run"')] for part in (text, written))
        assert written == text, name


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no/where/x.json", "no/where/x.json: there is no folder no/where"),
        ("folder", "folder: is a directory, not a file"),
        ("good.csv/x", "good.csv/x: there is no folder good.csv"),
    ],
)
@pytest.mark.parametrize("option", ["-o", "--report=md=", "--state-out"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    call: Call, write: Write, target: str, message: str, option: str
) -> None:
    write("good.csv", "prediction,target\n1,not a number\n")
    Path("folder").mkdir()
    words = [option + target] if option.endswith("=") else [option, target]
    status, _, err = call("eval", "good.csv", "-l", "mse", *words)
    assert (status, err) == (Exit.UNMEASURABLE, f"error: {message}\n")
    assert listing() == ["folder", "good.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_is_refused(call: Call, good: str) -> None:
    Path("folder").mkdir(mode=0o500)
    status, _, err = call("eval", good, "-l", "mse", "-o", "folder/x")
    assert status == Exit.UNMEASURABLE
    assert err == "error: folder/x: the folder cannot be written to (Permission denied)\n"


def test_no_file_is_written_over_another_of_the_command(call: Call, good: str) -> None:
    Path("same.csv").hardlink_to(good)
    before = Path(good).read_bytes()
    for words in (["-o", good], ["-o", "same.csv"], ["-o", "x", "--report", "md=x"]):
        status, _, err = call("eval", good, "-l", "mse", *words)
        assert status == Exit.USAGE
        assert "is another file of this command already" in err
    assert Path(good).read_bytes() == before
    assert listing() == ["good.csv", "same.csv"]


def test_a_failed_run_leaves_no_file_and_an_old_one_as_it_was(call: Call, write: Write) -> None:
    write("bad.csv", "prediction,target\n1,2\n3,x\n")
    write("old.txt", "old")
    for name in ("old.txt", "new.txt"):
        assert call("eval", "bad.csv", "-l", "mse", "-o", name)[0] == Exit.UNMEASURABLE
    assert listing() == ["bad.csv", "old.txt"]
    assert Path("old.txt").read_text() == "old"


def test_a_format_that_cannot_show_the_result_leaves_no_report_either(
    call: Call, write: Write
) -> None:
    write("x.csv", "prediction,target\nnan,2\n")
    keep = "--nonfinite", "keep"
    status, _, err = call("eval", "x.csv", "-l", "mse", *keep, "-f", "value", "--report=md=x.md")
    assert (status, err) == (3, "error: mse is undefined: not a number in 1 row\n")
    assert listing() == ["x.csv"]


def test_a_write_that_fails_half_way_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    write("old.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", descriptor)

    monkeypatch.setattr(output.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        output.write_whole(Path("old.txt"), "new")
    assert listing() == ["old.txt"]
    assert Path("old.txt").read_text() == "old"


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(write: Write) -> None:
    write("secret.txt", "old")
    Path("secret.txt").chmod(0o600)
    Path("link.txt").symlink_to("secret.txt")
    output.write_whole(Path("link.txt"), "new")
    assert Path("link.txt").is_symlink()
    assert Path("secret.txt").read_text() == "new"
    assert stat.S_IMODE(Path("secret.txt").stat().st_mode) == 0o600
    output.write_whole(Path("fresh.txt"), "new")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(Path("fresh.txt").stat().st_mode) == 0o666 & ~umask


def test_a_pipe_is_written_to_and_not_replaced(good: str) -> None:
    """As in ``-o >(jq ...)``; the same keeps ``-o /dev/null`` from doing harm."""
    os.mkfifo("pipe")
    script = Path(sys.executable).parent / "lossctl"
    command = [str(script), "eval", good, "-l", "mse", "-f", "value", "-q", "-o", "pipe"]
    with subprocess.Popen(command) as process:
        assert Path("pipe").read_text() == "2.5\n"
    assert process.returncode == Exit.DONE
    assert Path("pipe").is_fifo()
