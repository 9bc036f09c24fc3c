"""Shell completion, as a shell asks for it: losses, families, and the columns of the files."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossctl.cli.complete import declared_losses
from lossctl.cli.main import main
from lossctl.losses import REGISTRY

ROOT = Path(__file__).parents[1]
PREDICTIONS = "sample_data/diabetes_predictions.csv"
TARGETS = "sample_data/diabetes_targets.csv"


@pytest.fixture
def complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Give what the program offers for the last word of a line, the empty word after a blank."""
    monkeypatch.chdir(ROOT)

    def answer(line: str, shell: str = "bash") -> list[str]:
        last = len(shlex.split(line)) - (not line.endswith(" "))
        monkeypatch.setenv("_LOSSCTL_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(last))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        with pytest.raises(SystemExit):
            main([])
        return capsys.readouterr().out.split()

    return answer


def test_the_names_read_from_the_source_are_those_of_the_registry() -> None:
    """Completion, which must not import NumPy, finds every loss and its family all the same."""
    found = {name: family for family, name in declared_losses()}
    assert found == {loss.name: loss.family for loss in REGISTRY.values()}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lossctl losses mask", ["mask_iou", "mask_iou_thresholded"]),
        (f"lossctl eval {PREDICTIONS} {TARGETS} -l hu", ["huber"]),
        (
            f"lossctl eval {PREDICTIONS} {TARGETS} --loss mse,mask",
            ["mse,mask_iou", "mse,mask_iou_thresholded"],
        ),
        (f"lossctl eval {PREDICTIONS} -l @reg", ["@regression"]),
        (f"lossctl eval {PREDICTIONS} -l mse -p ", ["id", "prediction"]),
        (f"lossctl eval {PREDICTIONS} {TARGETS} -l mse --target t", ["target"]),
        (
            "lossctl eval sample_data/iris.csv -p p_setosa,p_v",
            ["p_setosa,p_versicolor", "p_setosa,p_virginica"],
        ),
        ("lossctl eval sample_data/pairs.parquet -t s", ["similarity_label"]),
        ("lossctl eval no_such_file.csv -t ", []),
        ("lossctl eval -l mse -t ", []),
    ],
)
def test_words_are_completed(
    line: str, offered: list[str], complete: Callable[..., list[str]]
) -> None:
    """A loss, the last spec of a list, a family, and columns of either file."""
    assert complete(line) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_words(shell: str, complete: Callable[..., list[str]]) -> None:
    """Only the form of the answer differs."""
    answer = " ".join(complete("lossctl losses hub", shell))
    assert "huber" in answer
    assert "hinge" not in answer


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script_that_it_is_given() -> None:
    """The function of the script fills what bash offers, a column of the file on the line."""
    script = f"""
        eval "$(_LOSSCTL_COMPLETE=source_bash {sys.executable} -m lossctl)"
        lossctl() {{ {sys.executable} -m lossctl "$@"; }}
        COMP_WORDS=(lossctl eval {PREDICTIONS} --pred pre)
        COMP_CWORD=4
        _lossctl_completion {Path(sys.executable).parent / "lossctl"}
        echo "${{COMPREPLY[@]}}"
    """
    outcome = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert outcome.stdout.split() == ["prediction"]
