"""``lossctl merge``: saved states on the command line, and what is refused."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossctl import collect
from lossctl.cli.main import main
from lossctl.data.reading import Reading
from lossctl.data.tasks import Task, tasks
from lossctl.errors import Exit
from lossctl.statefile import load

Run = Callable[..., tuple[int, str, str]]

EVALUATE = importlib.import_module("lossctl.evaluate")
"""The module; the package has a function of that name."""

LINES = [f"{x / 16},{x % 3 / 2},{'ab'[x % 2]}" for x in range(40)]
CUTS = {"x.csv": (0, 7), "y.csv": (7, 8), "z.csv": (8, 40)}
OPTIONS = ("-l", "mse,mbe", "--by", "part", "--quantiles", "0.5", "--histogram")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and give its exit status, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand where a file and its shards lie."""
    monkeypatch.chdir(tmp_path)
    for name, (start, stop) in {"all.csv": (0, 40), **CUTS}.items():
        text = "\n".join(["prediction,target,part", *LINES[start:stop], ""])
        Path(name).write_text(text, encoding="utf-8")


@pytest.fixture
def states(run: Run) -> list[str]:
    """Measure the shards."""
    for name in CUTS:
        assert run("eval", name, *OPTIONS, "-q", "--state-out", f"{name}.state")[0] == Exit.DONE
    return [f"{name}.state" for name in CUTS]


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "md", "table", "value"])
def test_merged_shards_are_shown_as_one_run_is(format: str, run: Run, states: list[str]) -> None:
    """In every format; only the facts of the run differ."""
    expected = run("eval", "all.csv", *OPTIONS, "-f", format)
    found = run("merge", *states[::-1], "-f", format)
    assert found[::2] == expected[::2] == (Exit.DONE, found[2])
    if format == "json":
        whole, merged = json.loads(expected[1]), json.loads(found[1])
        assert [entry["path"] for entry in merged["run"]["inputs"]] == list(CUTS)
        assert merged["run"].keys() == whole["run"].keys()
        del whole["run"], merged["run"]
        assert merged == whole
    else:
        assert found == expected


def test_the_digest_of_a_state_is_that_of_its_run(run: Run) -> None:
    """One state alone is the run again."""
    expected = run("eval", "all.csv", *OPTIONS, "-f", "json", "--state-out", "all.state")
    found = run("merge", "all.state", "-f", "json")
    assert json.loads(found[1])["digest"] == json.loads(expected[1])["digest"]


def test_merged_states_can_be_kept_and_merged_again(run: Run, states: list[str]) -> None:
    """Also in place of one of them, so that a total can grow day by day."""
    expected = run("merge", *states)
    assert run("merge", *states[:2], "--state-out", states[0], "-q")[0] == Exit.DONE
    assert run("merge", states[2], states[0]) == expected


def test_a_state_out_leaves_nothing_else_behind(states: list[str]) -> None:
    """No file under another name."""
    assert sorted(path.name for path in Path().iterdir()) == sorted(["all.csv", *CUTS, *states])


def test_reports_go_to_files_and_stdout_stays_empty(run: Run, states: list[str]) -> None:
    """As with eval."""
    report = ("-f", "json", "-o", "report.json", "--report", "md=report.md")
    assert run("merge", *states, *report, "-q") == (Exit.DONE, "", "")
    assert json.loads(Path("report.json").read_text("utf-8"))["rows"]["read"] == 40
    assert Path("report.md").read_text("utf-8").startswith("| loss | slice |")


# What is refused ----------------------------------------------------------------------------------


def refused(outcome: tuple[int, str, str], status: Exit, *words: str) -> None:
    """Hold that a command failed with a message and gave no result."""
    found, out, err = outcome
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert all(word in err for word in words), err


def test_states_of_other_settings_are_refused(run: Run, states: list[str]) -> None:
    """With the name of the file and the setting."""
    run("eval", "all.csv", "-l", "mae", "-q", "--state-out", "mae.state")
    found = run("merge", states[0], "mae.state", "--state-out", "merged.state")
    refused(found, Exit.UNMEASURABLE, "mae.state: ", 'losses: ["mae"] instead of ["mse", "mbe"]')
    assert not Path("merged.state").exists()


def test_a_refusal_is_one_json_object_where_json_is_asked_for(run: Run, states: list[str]) -> None:
    """With slug, place and exit status."""
    status, out, err = run("merge", *states, states[0], "-f", "json")
    error: dict[str, Any] = json.loads(err)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert (error["error"], error["exit"]) == ("state", 3)
    assert error["place"] == {"file": "x.csv.state"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("prediction,target\n1,2\n", "not a state file"),
    ],
)
def test_a_damaged_state_is_refused(content: str, words: str, run: Run, states: list[str]) -> None:
    """Wherever it stands among the sound ones."""
    Path("bad.state").write_text(content, encoding="utf-8")
    refused(run("merge", "bad.state", *states), Exit.UNMEASURABLE, "bad.state: ", words)
    refused(run("merge", *states, "bad.state"), Exit.UNMEASURABLE, "bad.state: ", words)


def test_a_missing_state_is_refused(run: Run, states: list[str]) -> None:
    """By its name."""
    refused(run("merge", *states, "none.state"), Exit.UNMEASURABLE, "none.state: No such file")


def test_a_result_is_not_written_over_a_state_that_it_is_made_from(
    run: Run, states: list[str]
) -> None:
    """A report is no state; only ``--state-out`` may replace one."""
    before = Path(states[0]).read_bytes()
    refused(run("merge", *states, "-o", states[0]), Exit.USAGE, states[0])
    assert Path(states[0]).read_bytes() == before


def test_a_state_that_cannot_be_written_is_refused_before_any_is_read(run: Run) -> None:
    """There is no such folder."""
    found = run("merge", "none.state", "--state-out", "nowhere/merged.state")
    refused(found, Exit.UNMEASURABLE, "there is no folder nowhere")


# Keeping and going on -----------------------------------------------------------------------------


def test_an_existing_state_is_kept_unless_resume_is_given(run: Run, states: list[str]) -> None:
    """The hint says so; the file stays as it is."""
    before = Path(states[0]).read_bytes()
    found = run("eval", "x.csv", *OPTIONS, "--state-out", states[0])
    refused(found, Exit.USAGE, f"{states[0]} exists already", "--resume goes on from it")
    assert Path(states[0]).read_bytes() == before


def test_resume_needs_a_file_to_go_on_from(run: Run) -> None:
    """Without ``--state-out`` it means nothing."""
    refused(run("eval", "x.csv", *OPTIONS, "--resume"), Exit.USAGE, "--resume needs --state-out")


def test_resume_without_a_state_starts_anew(run: Run) -> None:
    """So that one command line serves the first run and those after it."""
    expected = run("eval", "x.csv", *OPTIONS)
    assert run("eval", "x.csv", *OPTIONS, "--state-out", "new.state", "--resume") == expected
    assert Path("new.state").exists()


def test_resume_of_a_finished_run_reports_it_again(
    run: Run, states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without reading a row, and the state stays as it was."""
    expected = run("eval", "x.csv", *OPTIONS)
    before = Path(states[0]).read_bytes()
    monkeypatch.setattr(collect, "read_chunks", None)
    assert run("eval", "x.csv", *OPTIONS, "--state-out", states[0], "--resume") == expected
    assert Path(states[0]).read_bytes() == before


def test_resume_refuses_a_changed_input(run: Run, states: list[str]) -> None:
    """The rows that are done would be of another file than the rest."""
    shutil.copy("z.csv", "x.csv")
    found = run("eval", "x.csv", *OPTIONS, "--state-out", states[0], "--resume")
    refused(found, Exit.UNMEASURABLE, states[0], "have changed", "remove it to start anew")


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        (("--nulls", "drop"), 'nulls: "drop" instead of "error"'),
        (("-p", "target"), "columns: "),
        (("--ci", "0.9"), "ci: 0.9 instead of 0.95"),
    ],
)
def test_resume_refuses_other_settings(
    more: tuple[str, ...], difference: str, run: Run, states: list[str]
) -> None:
    """And names the first that differs."""
    found = run("eval", "x.csv", *OPTIONS, *more, "--state-out", states[0], "--resume")
    refused(found, Exit.UNMEASURABLE, states[0], difference, "give the same options")


def test_an_input_is_never_taken_for_a_state_to_write(run: Run) -> None:
    """With and without ``--resume``."""
    before = Path("x.csv").read_bytes()
    refused(run("eval", "x.csv", *OPTIONS, "--state-out", "x.csv"), Exit.USAGE, "exists already")
    found = run("eval", "x.csv", *OPTIONS, "--state-out", "x.csv", "--resume")
    refused(found, Exit.UNMEASURABLE, "not a state file")
    assert Path("x.csv").read_bytes() == before


def interrupt_the_slow_road(reading: Reading, *, in_order: bool) -> list[Task]:
    """Cut the work as ever, but fall to Ctrl-C where it would be read in order."""
    if in_order:
        raise KeyboardInterrupt
    return tasks(reading, in_order=False)


def test_what_the_slow_road_has_read_is_not_put_together_with_pieces(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quoted line break at a cut sends the whole file there; going on gives the same report."""
    monkeypatch.setattr("lossctl.data.csv.RANGE_BYTES", 60)
    long = "b" * 100
    lines = [*LINES[:-1], f'1,0,"{long}\nb"']
    Path("quoted.csv").write_text("\n".join(["prediction,target,part", *lines, ""]), "utf-8")
    monkeypatch.setattr(EVALUATE, "CHECKPOINT_S", -1.0)
    expected = run("eval", "quoted.csv", *OPTIONS, "-f", "value")
    assert expected[0] == Exit.DONE
    keep = ("--state-out", "quoted.state", "-f", "value")
    assert run("eval", "quoted.csv", *OPTIONS, *keep) == expected
    assert run("eval", "quoted.csv", *OPTIONS, *keep, "--resume") == expected
    with monkeypatch.context() as patch:
        patch.setattr(collect, "tasks", interrupt_the_slow_road)
        interrupted = run("eval", "quoted.csv", *OPTIONS, *keep, "--resume", "--jobs", "1")
    assert interrupted == (Exit.INTERRUPTED, "", "")
    saved = load("quoted.state")
    assert 0 < sum(saved.state.read.values()) < len(lines)
    assert not saved.complete
    assert run("eval", "quoted.csv", *OPTIONS, *keep, "--resume") == expected
    assert run("merge", "quoted.state", "-f", "value") == expected
