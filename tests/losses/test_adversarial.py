"""Adversarial losses: numbers worked out by hand, and where libraries differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from lossctl.report import Report

Measure = Callable[..., Report]
SCORES = np.array([2.0, 1.0, -1.0, 0.5])
LABELS = np.array([1.0, 1.0, 0.0, 0.0])

EXPECTED = {
    "gan_discriminator": 0.8637642,
    "gan_generator": 0.8936693,
    "gan_generator_saturating": -0.6436693,
}
"""To seven decimals, for two real scores, 2 and 1, and two generated ones, -1 and 0.5."""


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("suffix", ["", "_logits"])
def test_losses_of_two_real_and_two_generated_scores(
    name: str, suffix: str, write_csv: Callable[..., Path], measure: Measure, tmp_path: Path
) -> None:
    """From probabilities and from logits alike."""
    prediction = SCORES if suffix else expit(SCORES)
    path = write_csv(tmp_path / "rows.csv", {"prediction": prediction, "target": LABELS})
    value = measure(name + suffix, path).results[0].value
    assert value == pytest.approx(EXPECTED[name], rel=0.0, abs=5e-8)


def test_a_discriminator_at_a_loss_scores_twice_log_two(
    write_csv: Callable[..., Path], measure: Measure, tmp_path: Path
) -> None:
    """Each population has its own mean, so that their sizes do not matter."""
    columns = {"prediction": np.full(5, 0.5), "target": np.array([1.0, 0, 0, 0, 0])}
    path = write_csv(tmp_path / "rows.csv", columns)
    value = measure("gan_discriminator", path).results[0].value
    assert value == pytest.approx(2.0 * math.log(2.0), rel=1e-15)


@pytest.mark.parametrize("name", EXPECTED)
def test_two_files_are_two_populations(
    name: str, write_csv: Callable[..., Path], measure: Measure, tmp_path: Path
) -> None:
    """A file of real rows and a longer one of generated rows need no label."""
    real = write_csv(tmp_path / "real.csv", {"prediction": np.array([0.75])})
    generated = write_csv(tmp_path / "generated.csv", {"prediction": np.array([0.25, 0.5])})
    apart = measure(name, real, generated).results[0]
    columns = {"prediction": np.array([0.5, 0.75, 0.25]), "target": np.array([0.0, 1.0, 0.0])}
    together = measure(name, write_csv(tmp_path / "both.csv", columns)).results[0]
    assert (apart.value, apart.std_error) == (together.value, together.std_error)


def test_the_generator_needs_no_label(
    write_csv: Callable[..., Path], measure: Measure, tmp_path: Path
) -> None:
    """Every row of a file without labels is a generated one."""
    path = write_csv(tmp_path / "rows.csv", {"prediction": np.array([0.25, 0.5])})
    assert measure("gan_generator", path).results[0].value == pytest.approx(1.5 * math.log(2.0))


@pytest.mark.parametrize(("name", "label"), [("gan_discriminator", 0.0), ("gan_generator", 1.0)])
def test_a_population_without_a_row_leaves_the_value_undefined(
    name: str,
    label: float,
    write_csv: Callable[..., Path],
    measure: Measure,
    tmp_path: Path,
) -> None:
    """The report has no value and says why."""
    columns = {"prediction": np.full(3, 0.5), "target": np.full(3, label)}
    result = measure(name, write_csv(tmp_path / "rows.csv", columns)).results[0]
    assert result.value is None
    assert result.reason
    assert result.std_error is None


def test_the_spread_of_a_mean_over_part_of_the_rows(
    write_csv: Callable[..., Path], measure: Measure, tmp_path: Path
) -> None:
    """Rows that do not count change neither the value nor its standard error."""
    generated = np.array([0.25, 0.5, 0.125])
    alone = measure(
        "gan_generator", write_csv(tmp_path / "alone.csv", {"prediction": generated})
    ).results[0]
    columns = {
        "prediction": np.array([0.25, 0.9, 0.5, 0.8, 0.125]),
        "target": np.array([0.0, 1.0, 0.0, 1.0, 0.0]),
    }
    among = measure("gan_generator", write_csv(tmp_path / "among.csv", columns)).results[0]
    losses = -np.log(generated)
    assert (among.value, among.std_error, among.n) == (alone.value, alone.std_error, 3)
    assert alone.std_error == pytest.approx(losses.std(ddof=1) / math.sqrt(3.0), rel=1e-12)
