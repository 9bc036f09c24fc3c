"""Losses that are not built in: of a file that is named, and of installed packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lossctl
from lossctl.errors import CustomLossError, Exit, SpecError
from lossctl.losses import find

Call = Callable[..., tuple[int, str, str]]

PINBALL = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lossctl.losses import Array, Interval, Real, Score, curvature, gradient, huber, loss


@dataclass
class Side:
    name: str = "both"


Share = Annotated[float, Interval(0, 1, open_low=True, open_high=True), "the quantile"]


@loss(aliases=("quantile",))
def pinball(prediction: Real, target: Real, *, q: Share = 0.75) -> Array:
    """Pinball loss of a quantile."""
    e = target - prediction
    return np.maximum(q * e, (q - 1) * e)


@gradient(pinball)
def _(prediction: Array, target: Array, *, q: float) -> Array:
    return np.where(prediction < target, -q, 1.0 - q)


@curvature(pinball)
def _(prediction: Array, target: Array, *, q: float) -> Array:
    return np.zeros_like(prediction)


@loss
def signed(prediction: Real, target: Real) -> Array:
    """Twice the error, as whole numbers of single precision."""
    return (2 * (prediction - target)).astype(np.float32)
'''


@pytest.fixture
def rows() -> str:
    """Write a file of 1000 rows."""
    lines = [f"{i % 17 / 4},{i % 13 / 2},{'ab'[i % 3 == 0]}" for i in range(1000)]
    Path("rows.csv").write_text("\n".join(["prediction,target,part", *lines, ""]))
    return "rows.csv"


@pytest.fixture
def mine() -> Path:
    """Write a file of losses."""
    path = Path("my_losses.py")
    path.write_text(PINBALL)
    return path


def values(out: str) -> dict[str, float]:
    """Give the value of each loss of a JSON report over all rows."""
    return {r["loss"]: r["value"] for r in json.loads(out)["results"] if not r["slice"]}


def test_a_loss_of_a_file_is_a_loss_like_any_other(rows: str, mine: Path, script: Call) -> None:
    """Beside built-in ones, with parameters, in slices, with quantiles, on several threads."""
    del mine
    specs = "./my_losses.py:pinball:q=0.9,mse,my_losses.py:quantile:q=0.5,my_losses.py:signed"
    options = ("-l", specs, "--by", "part", "--quantiles", "0.5", "-f", "json")
    status, out, _ = script("eval", rows, *options)
    assert status == Exit.DONE
    found = values(out)
    assert list(found) == [
        "my_losses.py:pinball:q=0.9",
        "mse",
        "my_losses.py:pinball:q=0.5",
        "my_losses.py:signed",
    ]
    assert values(script("eval", rows, "-l", "mae", "-f", "json")[1])["mae"] == (
        2.0 * found["my_losses.py:pinball:q=0.5"]
    )
    again = script("eval", rows, *options, "-j", "3", "--chunk-rows", "7")[1]
    assert json.loads(again)["digest"] == json.loads(out)["digest"]
    assert "my_losses.py:pinball:q=0.9,code=" in json.loads(out)["signature"]
    assert not Path("__pycache__").exists()


def test_a_file_stands_for_all_of_its_losses(rows: str, mine: Path, script: Call) -> None:
    """Like a family, and what it imports is not its own."""
    status, out, _ = script("eval", rows, "-l", str(mine.resolve()), "-f", "json")
    assert status == Exit.DONE
    assert [name.rpartition(":")[2] for name in values(out)] == ["pinball", "signed"]


def test_a_file_is_never_found_by_itself(rows: str, mine: Path, script: Call) -> None:
    """Without its name none of its losses is known, though it lies right there."""
    del mine
    status, _, err = script("eval", rows, "-l", "pinball", env=os.environ | {"PYTHONPATH": "."})
    assert status == Exit.USAGE
    assert "unknown loss 'pinball'" in err


def test_python_takes_files_and_functions(rows: str, mine: Path) -> None:
    """The same spec, and a loss that was declared in the program itself."""
    by_file = lossctl.evaluate(rows, losses=f"{mine}:pinball:q=0.9")
    loss = find(f"{mine}:pinball")
    assert by_file.results[0].loss == "my_losses.py:pinball:q=0.9"
    assert lossctl.evaluate(rows, losses=[loss]).results[0].loss == "my_losses.py:pinball"

    @lossctl.losses.loss
    def mine_too(prediction: lossctl.losses.Real, target: lossctl.losses.Real) -> Any:
        return prediction - 2.0 * target

    assert lossctl.evaluate([4.0], [1.0], losses=[mine_too, "mse"]).results[0].value == 2.0


# States


def test_states_of_one_file_are_merged(rows: str, mine: Path, script: Call) -> None:
    """Told the file again, wherever it lies then, merging gives what one run gives."""
    lines = Path(rows).read_text().splitlines(keepends=True)
    options = ("-l", f"mae,./{mine}:pinball:q=0.25,mse", "--by", "part")
    for name, part in {"a": lines[1:400], "b": lines[400:]}.items():
        Path(f"{name}.csv").write_text("".join([lines[0], *part]))
        assert script("eval", f"{name}.csv", *options, "--state-out", f"{name}.state")[0] == 0
    whole = script("eval", rows, *options, "-f", "json")[1]
    Path("moved").mkdir()
    mine.rename("moved/other.py")
    status, out, _ = script("merge", "a.state", "b.state", "-l", "moved/other.py", "-f", "json")
    assert status == Exit.DONE
    assert json.loads(out)["digest"] == json.loads(whole)["digest"]


def test_a_state_never_has_its_file_run(rows: str, mine: Path, script: Call) -> None:
    """A state from elsewhere names a file; only the command line may have it run."""
    assert script("eval", rows, "-l", f"{mine}:pinball", "--state-out", "a.state")[0] == 0
    mine.write_text(PINBALL + "\nopen('ran', 'w')\n")
    status, _, err = script("merge", "a.state")
    assert status == Exit.UNMEASURABLE
    assert "my_losses.py:pinball is not at hand: its file is not named here" in err
    assert "-l FILE.py" in err
    assert not Path("ran").exists()


def test_states_of_other_code_are_refused(rows: str, mine: Path, script: Call) -> None:
    """A changed file makes another loss, in merging and in going on."""
    options = ("-l", f"{mine}:pinball", "--state-out", "a.state")
    assert script("eval", rows, *options)[0] == 0
    assert script("eval", rows, *options, "--resume")[0] == 0
    mine.write_text(PINBALL.replace("(q - 1)", "(q - 2)"))
    status, _, err = script("merge", "a.state", "-l", str(mine))
    assert (status, "its code has changed" in err) == (Exit.UNMEASURABLE, True)
    status, _, err = script("eval", rows, *options, "--resume")
    assert (status, "its code has changed" in err) == (Exit.UNMEASURABLE, True)


def test_a_baseline_of_other_code_is_refused(rows: str, mine: Path, script: Call) -> None:
    """A limit against an earlier report is no limit when the loss has changed since."""
    run = ("eval", rows, "-l", f"{mine}:pinball")
    limit = ("--max-increase", f"{mine}:pinball=0.1", "--baseline", "old.json")
    assert script(*run, "-f", "json", "-o", "old.json")[0] == Exit.DONE
    assert script(*run, *limit)[0] == Exit.DONE
    mine.write_text(PINBALL + "\n")
    status, _, err = script(*run, *limit)
    assert status == Exit.UNMEASURABLE
    assert "the baseline was measured by other code of my_losses.py:pinball:q=0.75" in err


def test_rows_scored_by_a_custom_loss_are_gone_on_from(rows: str, mine: Path, script: Call) -> None:
    """Its losses and slopes are written, and a complete file is known again by its code."""
    words = ("score", rows, "-l", f"{mine}:pinball", "--emit", "loss,grad,hess", "-o", "s.parquet")
    assert script(*words)[0] == Exit.DONE
    before = Path("s.parquet").stat().st_mtime_ns
    assert script(*words, "--resume")[0] == Exit.DONE
    assert Path("s.parquet").stat().st_mtime_ns == before
    mine.write_text(PINBALL + "\n")
    status, _, err = script(*words, "--resume")
    assert (status, "its code has changed" in err) == (Exit.UNMEASURABLE, True)


# Faults


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("x = 1\n\ndef f(:\n", "line 3: SyntaxError: invalid syntax"),
        ("\nimport nonesuch\n", "line 2: ModuleNotFoundError: No module named 'nonesuch'"),
        ("raise SystemExit(0)\n", "line 1: SystemExit: 0"),
        ("x = 1\n", "declares no loss"),
        (
            "from lossctl.losses import loss\n\n@loss\ndef f(p):\n    return p\n",
            "line 3: TypeError: the role 'p' needs a domain, as in p: Real",
        ),
        (PINBALL, "declares no loss 'mine'"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_usage_error(
    content: str | None, message: str, rows: str, script: Call
) -> None:
    """With the file and the line, without a traceback; wrong specs beside it are told as well."""
    if content is not None:
        Path("bad.py").write_text(content)
    status, _, err = script("eval", rows, "-l", "bad.py:mine", "-l", "hubr")
    assert status == Exit.USAGE
    assert f"error: bad.py: {message}" in err
    assert "unknown loss 'hubr'" in err
    if "line" in message:
        assert (
            "bad.py" in script("eval", rows, "-l", "bad.py:mine", "--debug")[2].split("error:")[0]
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "line 5: ZeroDivisionError: division by zero"),
        (
            "prediction -= target\n    return prediction",
            "line 5: ValueError: output array is read-o",
        ),
        ("return prediction[1:]", "gives the shape (999,), not (1000,)"),
        ("return (prediction - target).astype(str)", "gives <U32, not numbers"),
        ("return float(prediction.sum())", "gives the shape (), not (1000,)"),
    ],
)
def test_a_loss_that_fails_is_told_as_its_own_fault(
    body: str, message: str, rows: str, script: Call
) -> None:
    """No bug of the program: the loss, the line and the reason, and never a number."""
    head = (
        "from lossctl.losses import Real, loss\n\n@loss\ndef f(prediction: Real, target: Real):\n"
    )
    Path("bad.py").write_text(f"{head}    {body}\n")
    status, _, err = script("eval", rows, "-l", "mse,bad.py:f")
    assert status == Exit.UNMEASURABLE
    assert "error: bad.py:f" in err
    assert message in err


def test_a_gradient_that_fails_is_told_as_its_own_fault(mine: Path) -> None:
    """Of the wrong shape, or raising."""
    head = PINBALL[: PINBALL.index("@gradient")]
    told = "@gradient(pinball)\ndef _(prediction, target, *, q):\n    return "
    values = {"prediction": lossctl.losses._declare.np.ones(3)}
    values["target"] = values["prediction"]
    for body, text in (
        ("prediction[1:]", r"the gradient gives the shape \(2,\), not \(3,\)"),
        ("prediction, target", "the gradient gives 2 arrays for prediction"),
        ("nonesuch", "NameError"),
    ):
        mine.write_text(f"{head}{told}{body}\n")
        slope = find(f"{mine}:pinball").gradient
        assert slope is not None
        with pytest.raises(CustomLossError, match=text):
            slope(**values, q=0.5)


# Checking and explaining


def test_the_contract_is_checked(mine: Path, script: Call) -> None:
    """A sound loss passes; one that only shows single precision at a closer look passes as well."""
    status, out, _ = script("losses", "--check", str(mine))
    assert (status, out.count("keeps its contract")) == (Exit.DONE, 2)
    mine.write_text(PINBALL.replace("-q, 1.0 - q", "-q, 2.0 - q"))
    status, out, _ = script("losses", "--check", f"{mine}:pinball")
    assert (status, "1 of 13 checks failed" in out) == (Exit.UNMEASURABLE, True)
    assert "FAILED  Gradients agree with central differences" in out
    status, out, _ = script("losses", "--check", f"{mine}:pinball", "--json")
    (told,) = json.loads(out)
    assert (status, told["kept"]) == (Exit.UNMEASURABLE, False)
    (fault,) = [each["fault"] for each in told["checks"] if each["fault"]]
    assert "the gradient by 'prediction' is 1" in fault


def test_a_check_needs_a_loss(script: Call) -> None:
    """And may be of a built-in one."""
    assert script("losses", "--check")[0] == Exit.USAGE
    assert script("losses", "--check", "huber")[0] == Exit.DONE


def test_a_loss_of_a_file_is_explained(mine: Path, script: Call) -> None:
    """Like a built-in one, as text and as JSON."""
    status, out, _ = script("losses", f"./{mine}:pinball")
    assert status == Exit.DONE
    for part in ("Pinball loss of a quantile.", "float in (0, 1)", "the quantile", "Code "):
        assert part in out
    told = json.loads(script("losses", str(mine), "--json")[1])
    assert [each["name"] for each in told] == ["my_losses.py:pinball", "my_losses.py:signed"]


# Packages

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "more-losses"
version = "1.5"

[project.entry-points."lossctl.losses"]
all = "more_losses"
again = "more_losses:pinball"
broken = "more_losses:nonesuch"
nothing = "more_losses:VERSION"
"""


@pytest.fixture
def package(tmp_path: Path) -> dict[str, str]:
    """Install a package with losses into a folder of its own; give the environment that sees it."""
    source = tmp_path / "source"
    (source / "more_losses").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    taken = "\n\n@loss\ndef mse(prediction: Real, target: Real) -> Array:\n    return prediction\n"
    (source / "more_losses/__init__.py").write_text(f"{PINBALL}{taken}\n\nVERSION = '1.5'\n")
    target = tmp_path / "target"
    options = ["--no-build-isolation", "--no-deps", "--no-index", "-q", "--target", str(target)]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    return os.environ | {"PYTHONPATH": str(target)}


def test_losses_of_packages_are_found(
    rows: str, mine: Path, package: dict[str, str], script: Call
) -> None:
    """By their names, in states, in the list; what is built in keeps its name."""
    status, out, _ = script(
        *("eval", rows, "-l", f"quantile:q=0.25,{mine}:pinball:q=0.25,mse,@more_losses"),
        *("-f", "json", "--state-out", "a.state"),
        env=package,
    )
    assert status == Exit.DONE
    found = values(out)
    assert next(iter(found)) == "pinball:q=0.25"
    assert found["pinball:q=0.25"] == found["my_losses.py:pinball:q=0.25"]
    assert found["mse"] == values(script("eval", rows, "-l", "mse", "-f", "json")[1])["mse"]
    assert "pinball:q=0.25,code=more-losses-1.5" in json.loads(out)["signature"]

    status, merged, _ = script("merge", "a.state", "-l", str(mine), "-f", "json", env=package)
    assert (status, json.loads(merged)["digest"]) == (Exit.DONE, json.loads(out)["digest"])
    status, _, err = script("merge", "a.state", "-l", str(mine))
    assert (status, "unknown loss 'pinball'" in err) == (Exit.UNMEASURABLE, True)

    status, out, err = script("losses", env=package)
    assert status == Exit.DONE
    assert "more_losses\n  pinball:q=0.75,code=more-losses-1.5  Pinball loss" in out
    for fault in (
        "more-losses-1.5: the name 'mse' of a loss is taken",
        "more-losses-1.5: more_losses:nonesuch cannot be loaded (AttributeError",
        "more-losses-1.5: more_losses:VERSION is neither a loss nor a module with one",
    ):
        assert f"warning: {fault}" in err
    assert err.count("warning") == 3


def test_packages_are_not_loaded_for_what_is_built_in(
    rows: str, package: dict[str, str], script: Call
) -> None:
    """A run of built-in losses does not even import them."""
    folder = Path(package["PYTHONPATH"]) / "more_losses"
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    assert script("eval", rows, "-l", "@regression", env=package)[0] == Exit.DONE
    status, _, err = script("eval", rows, "-l", "pinball", env=package)
    assert status == Exit.USAGE
    assert "more_losses cannot be loaded (RuntimeError: imported)" in err


def test_a_full_spec_reads_back_and_tells_other_code(mine: Path) -> None:
    """What a signature shows can be given again, for as long as the file is the same."""
    (spec,) = lossctl.losses.parse([f"{mine}:pinball:q=0.5"])
    assert lossctl.losses.parse([spec.full]) == [spec]
    mine.write_text(PINBALL + "\n")
    with pytest.raises(SpecError, match="its code is .* now, not"):
        lossctl.losses.parse([spec.full])
