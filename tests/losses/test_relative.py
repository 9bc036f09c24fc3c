"""Relative losses: values outside their domains, and digits that the definitions lose."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lossctl.cli.main import main
from lossctl.errors import DomainError, Exit
from lossctl.losses import find
from lossctl.report import Report


@pytest.mark.parametrize(
    ("name", "targets", "told", "kept"),
    [
        ("mape", "2,0", "target must be a finite number other than 0, not 0", "y != 0"),
        ("msle", "2,-1", "target must be a finite number above -1, not -1", "y > -1"),
    ],
)
def test_a_row_without_a_ratio_is_refused_and_the_filter_is_named(
    name: str,
    targets: str,
    told: str,
    kept: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is put in the place of the truth; the command that leaves the row out works."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction,y\n" + "".join(f"1,{t}\n" for t in targets.split(",")), "utf-8")
    options = ["eval", str(path), "-t", "y", "-l", name, "-f", "value"]
    assert main(options) == Exit.UNMEASURABLE
    shown = capsys.readouterr().err
    assert told in shown
    assert f"--where '{kept}' leaves such rows out" in shown
    assert main([*options, "--where", kept]) == Exit.DONE
    assert float(capsys.readouterr().out) == find(name)([1.0], [2.0])[0]


def test_a_name_of_several_words_stands_in_backticks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The filter of the hint can be pasted."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction,the truth\n1,2\n1,0\n", "utf-8")
    options = ["eval", str(path), "-t", "the truth", "-l", "mape", "-f", "value"]
    assert main(options) == Exit.UNMEASURABLE
    assert "--where '`the truth` != 0'" in capsys.readouterr().err
    assert main([*options, "--where", "`the truth` != 0"]) == Exit.DONE
    assert capsys.readouterr().out == "0.5\n"


def test_a_percentage_is_a_fraction_of_the_truth() -> None:
    """Of its size, whatever its sign; one too large grows without bound."""
    assert find("mape")([110.0, -90.0, 0.0, 1.0], [100.0, -100.0, 5.0, 0.25]).tolist() == [
        0.1,
        0.1,
        1.0,
        3.0,
    ]
    with pytest.raises(DomainError, match="other than 0"):
        find("mape")([1.0], [0.0])


def test_a_logarithmic_error_of_close_numbers_keeps_its_digits() -> None:
    """The difference of two logarithms would keep none of them here."""
    large, close = 1e6, math.nextafter(1e6, 2e6)
    ratio = (Fraction(close) - Fraction(large)) / (1 + Fraction(large))
    assert find("msle")([close], [large])[0] == pytest.approx(float(ratio) ** 2, rel=1e-9)
    with pytest.raises(DomainError, match="above -1"):
        find("msle")([-1.0], [0.0])


def test_the_root_of_logarithmic_errors_is_taken_once(
    write_csv: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """The value is the root of the mean of squares."""
    columns = {"prediction": np.expm1([3.0, 0.0]), "target": np.expm1([0.0, 4.0])}
    result = measure("rmsle", write_csv(tmp_path / "rows.csv", columns)).results[0]
    assert result.value == pytest.approx(math.sqrt(12.5), rel=1e-14)
