"""The contract of every loss, generated from the registry: a declared loss is a tested loss."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.contract import CHECKS, Case
from lossctl.errors import SpecError
from lossctl.losses import REGISTRY, Loss, Parameter, Spec, find, parse
from lossctl.losses._finish import MEAN, RATIO, ROOT, SUM_OF_RATIOS, Finish

Array = npt.NDArray[np.float64]
Draw = Callable[..., dict[str, Any]]

REPOSITORY = Path(__file__).parents[2]

WITHOUT_GRADIENT = {"mask_iou_thresholded"}
"""Losses that are steps: wherever they have a derivative, it is 0."""

PLAIN: Mapping[Finish, Callable[[Array], float]] = {
    MEAN: lambda parts: float(np.mean(parts[0])),
    ROOT: lambda parts: float(np.sqrt(np.mean(parts[0]))),
    RATIO: lambda parts: float(np.sum(parts[0]) / np.sum(parts[1])),
    SUM_OF_RATIOS: lambda parts: float(
        np.sum(parts[0]) / np.sum(parts[1]) + np.sum(parts[2]) / np.sum(parts[3])
    ),
}
"""What each finish makes of components of shape ``(k, rows)``, in floating point."""


@pytest.fixture(autouse=True)
def _infinities_are_results() -> Iterator[None]:
    """Let kernels divide by zero without a warning, as the evaluation does."""
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("promise", CHECKS, ids=lambda promise: promise.__name__)
def test_a_loss_keeps_every_promise_of_its_declaration(
    spec: Spec, soft_targets: bool, promise: Callable[[Case], None]
) -> None:
    """What ``lossctl losses --check`` asks of anyone's loss, at every notable parameter."""
    promise(Case(spec, soft_targets))


def test_the_finish_of_exact_means_is_what_plain_numpy_gives(
    spec: Spec, soft_targets: bool
) -> None:
    """The value of the file agrees with floating-point means of the rows with a finite loss."""
    case = Case(spec, soft_targets)
    columns = case.draw(500)
    finite = case.components(columns)[:, np.isfinite(case.rows(columns))]
    means = [sum(map(Fraction, part.tolist()), Fraction(0)) / finite.shape[1] for part in finite]
    value = spec.loss.finish.value(means)
    assert value is not None
    assert float(value) == pytest.approx(PLAIN[spec.loss.finish](finite), rel=1e-12)


def test_a_loss_without_gradient_is_a_step(loss: Loss) -> None:
    """Every other loss declares its derivative, for roles that it has."""
    assert (loss.gradient is None) == (loss.name in WITHOUT_GRADIENT)
    assert set(loss.with_respect_to) <= {role.name for role in loss.roles}
    assert bool(loss.with_respect_to) == (loss.gradient is not None)


def test_a_loss_with_curvature_has_a_gradient_by_one_role(loss: Loss) -> None:
    """The two go together, so that boosting can use them."""
    assert loss.curvature is None or len(loss.with_respect_to) == 1


# Bad parameters


def bad_texts(parameter: Parameter) -> Iterator[str]:
    """Give texts that are no value of a parameter."""
    yield from ("", "word", "nan", "inf", "-inf")
    if parameter.interval is not None:
        low, high = parameter.interval.low, parameter.interval.high
        yield from (repr(end) for end in (low, high) if end not in parameter.interval)
        yield from (repr(end) for end in (low - 0.5, high + 0.5) if np.isfinite(end))


def test_a_parameter_outside_its_range_is_refused(loss: Loss) -> None:
    """The error of a spec names the parameter and its range."""
    for parameter in loss.parameters:
        for text in bad_texts(parameter):
            spec = f"{loss.name}:{parameter.name}={text}"
            with pytest.raises(SpecError) as caught:
                parse([spec])
                pytest.fail(f"{spec} was taken")
            told = caught.value.message
            assert told.startswith(f"{loss.name}: {parameter.name} must be {parameter.range}")


def test_an_unknown_parameter_is_refused(loss: Loss, draw: Draw) -> None:
    """The error names the parameters that the loss has, in specs and in calls."""
    known = [parameter.name for parameter in loss.parameters]
    with pytest.raises(SpecError, match=f"{loss.name} has no parameter 'lambda'") as caught:
        parse([f"{loss.name}:lambda=1"])
    assert all(name in caught.value.hint for name in known)
    with pytest.raises(SpecError, match="no parameter 'lambda'"):
        loss(**draw(loss, 2), **{"lambda": 1.0})


# Specs and the catalogue


def test_a_spec_survives_its_text(spec: Spec) -> None:
    """Both canonical texts of a spec read back as the same spec."""
    assert parse([spec.full]) == [spec]
    assert parse([spec.label]) == [spec]
    assert all(f"{name}=" in spec.full for name in spec.parameters)


def test_a_loss_is_found_by_all_of_its_names(loss: Loss) -> None:
    """Name and aliases lead to the loss and to no other."""
    assert all(find(name) is loss for name in (loss.name, *loss.aliases))
    others = [name for it in REGISTRY.values() for name in (it.name, *it.aliases) if it != loss]
    assert not {loss.name, *loss.aliases}.intersection(others)
    assert len(set(loss.aliases)) == len(loss.aliases)


def test_a_loss_explains_itself(loss: Loss) -> None:
    """Formula, summary, published reference and the texts of all parameters are there."""
    assert loss.formula
    assert loss.summary.endswith(".")
    assert not loss.summary.endswith("..")
    published = r"doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{4,5}|^[A-Z].* \d{4}, [A-Z].+"
    assert re.search(published, loss.reference)
    assert all(parameter.text for parameter in loss.parameters)


def test_a_loss_has_sample_data(loss: Loss) -> None:
    """The sample command of a loss names files that are there."""
    files = [word for word in shlex.split(loss.sample) if word.startswith("sample_data/")]
    assert files
    assert all((REPOSITORY / file).is_file() for file in files)
