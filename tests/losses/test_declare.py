"""Declarations: what ``@loss`` reads from a signature, and what a call refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.errors import DomainError, LossctlError
from lossctl.losses import (
    REGISTRY,
    Interval,
    Parameter,
    Ragged,
    Real,
    Vector,
    find,
    gradient,
    loss,
    parse,
    register,
)

Array = npt.NDArray[np.float64]


def test_the_signature_is_the_declaration() -> None:
    """Roles, domains, parameters, ranges and defaults are read from the function itself."""

    @loss(formula="f", reference="r", aliases=("Example",))
    def example(
        anchor: Vector,
        offset: Real = 2.0,  # type: ignore[assignment]
        *,
        power: Annotated[float, Interval(1, 3, open_high=True), "the power"] = 2.0,
        kind: Annotated[Literal["sum", "mean"], "how coordinates are joined"] = "sum",
        label: Annotated[Literal[0, 1], "a label"] = 1,
        half: Annotated[bool, "whether it is halved"] = False,
        alpha: Annotated[float | None, Interval(0, 1), "a weight"] = None,
    ) -> Array:
        """Show everything.

        Not part of the summary.
        """
        del power, kind, label, half, alpha
        return anchor[:, 0] + offset

    assert "example" not in REGISTRY
    assert [(role.name, role.domain.size, role.default) for role in example.roles] == [
        ("anchor", "D", None),
        ("offset", "", 2.0),
    ]
    assert {parameter.name: parameter.range for parameter in example.parameters} == {
        "power": "float in [1, 3)",
        "kind": "sum | mean",
        "label": "0 | 1",
        "half": "true | false",
        "alpha": "float in [0, 1] | none",
    }
    assert example.defaults() == {
        "power": 2.0,
        "kind": "sum",
        "label": 1,
        "half": False,
        "alpha": None,
    }
    assert example.summary == "Show everything."
    assert example.family == __name__.rpartition(".")[2]
    assert example.gradient is None


def test_a_gradient_belongs_to_the_first_role_unless_told_otherwise() -> None:
    """``wrt`` names the roles of a gradient that gives several arrays."""

    @loss(formula="f", reference="r")
    def example(prediction: Real, target: Real) -> Array:
        """Subtract."""
        return prediction - target

    @gradient(example)
    def by_prediction(prediction: Array, target: Array) -> Array:
        del target
        return np.ones_like(prediction)

    assert example.gradient is by_prediction
    assert list(example.with_respect_to) == ["prediction"]
    gradient(example, wrt=("prediction", "target"))(by_prediction)
    assert list(example.with_respect_to) == ["prediction", "target"]


@pytest.mark.parametrize("name", ["huber", "HuberLoss"])
def test_a_name_is_given_once(name: str) -> None:
    """A loss may not take the name or the alias of another one, as a name or as an alias."""
    known = dict(REGISTRY)

    def kernel(prediction: Real, target: Real) -> Array:
        """Subtract."""
        return prediction - target

    with pytest.raises(ValueError, match=f"'{name}' of a loss is taken"):
        register(loss(formula="f", reference="r", aliases=(name,))(kernel))
    kernel.__name__ = name
    with pytest.raises(ValueError, match=f"'{name}' of a loss is taken"):
        register(loss(kernel))
    assert known == REGISTRY
    assert register(REGISTRY["huber"]) is REGISTRY["huber"]


def undecided(prediction: Real, target: Real, *, q) -> Array:  # type: ignore[no-untyped-def]  # noqa: ANN001
    del q
    return prediction - target


def without_default(prediction: Real, *, q: float) -> Array:
    return q * prediction


def beyond(prediction: Real, *, q: Annotated[float, Interval(0, 1)] = 2.0) -> Array:
    return q * prediction


def wordy(prediction: Real, *, q: str = "word") -> Array:
    del q
    return prediction


def bare(prediction: float) -> float:
    return prediction


def starred(*prediction: Real) -> Array:
    return prediction[0]


def nothing(*, q: float = 1.0) -> Array:
    return np.array([q])


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (undecided, "parameter 'q' must be a float, int, bool or Literal"),
        (without_default, "parameter 'q' needs a default that is float in"),
        (beyond, r"parameter 'q' needs a default that is float in \[0, 1\]"),
        (wordy, "parameter 'q' must be a float, int, bool or Literal"),
        (bare, "role 'prediction' needs a domain, as in prediction: Real"),
        (starred, "role 'prediction' needs a domain"),
        (nothing, "a loss needs a role"),
    ],
)
def test_a_signature_that_says_too_little_is_refused(kernel: Any, text: str) -> None:
    """The error names the parameter and what it lacks."""
    with pytest.raises(TypeError, match=text):
        loss(kernel)


def test_a_loss_may_be_declared_by_its_signature_alone() -> None:
    """Without facts, and with parameters that have no range of their own."""

    @loss
    def plain(prediction: Real, target: Real, *, q: float = 0.5, half: bool = False) -> Array:
        del half
        return q * (prediction - target)

    assert [parameter.range for parameter in plain.parameters] == [
        "float in (-inf, inf)",
        "true | false",
    ]
    assert plain([1.0], [3.0], q=2.0).tolist() == [-4.0]
    assert (plain.formula, plain.reference, plain.origin) == ("", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "true"), (0.1, "0.1"), (2.0**-52, "2.220446049250313e-16"), (1, "1")],
)
def test_a_value_is_shown_as_a_spec_writes_it(value: Any, text: str) -> None:
    """The shortest text that reads back as the same value."""
    assert Parameter.show(value) == text


def test_the_hint_of_a_bad_parameter_is_a_spec_that_works() -> None:
    """Whoever copies the example from an error message gets the default."""
    for bad in ("huber:delta=-1", "focal:alpha=2", "contrastive:half=maybe", "iou:format=yxyx"):
        with pytest.raises(LossctlError) as caught:
            parse([bad])
        spec = parse([caught.value.hint.removeprefix("as in ")])[0]
        assert spec.parameters == spec.loss.defaults()


# Calls


def test_a_call_takes_lists_and_integers() -> None:
    """Columns become arrays of doubles."""
    assert find("mse")([1, 2], np.array([3, 2], dtype=np.int8)).tolist() == [4.0, 0.0]


@pytest.mark.parametrize("columns", [([1.0, 2.0], [1.0]), ([1.0], [1.0, 2.0])])
def test_columns_of_different_length_are_refused(columns: Sequence[Sequence[float]]) -> None:
    """One row is never stretched over many."""
    with pytest.raises(DomainError, match="rows"):
        find("mse")(*columns)


@pytest.mark.parametrize("target", [[[0.0], [1.0]], [[0.0, 1.0]], 0.0])
def test_a_column_of_the_wrong_shape_is_refused(target: Any) -> None:
    """A column of column vectors against a flat one is no table of all differences."""
    with pytest.raises(DomainError, match="target"):
        find("mse")([0.0, 1.0], target)


def test_vectors_of_different_width_are_refused() -> None:
    """Roles that share a size letter have the same width."""
    with pytest.raises(DomainError, match="left|right"):
        find("contrastive")([[0.0, 1.0]], [[0.0, 1.0, 2.0]], [0])


def test_masks_of_different_sizes_are_refused() -> None:
    """Every row of ragged roles that share a size letter has the same length in both."""
    prediction = Ragged(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 1, 4]))
    target = Ragged(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 3, 4]))
    with pytest.raises(DomainError, match=r"row 0"):
        find("mask_iou")(prediction, target)


def test_more_columns_than_roles_are_refused() -> None:
    """A third column of a loss with two roles is not ignored."""
    with pytest.raises(TypeError, match="mse"):
        find("mse")([1.0], [2.0], [3.0])


@pytest.mark.parametrize("name", ["hinge", "squared_hinge"])
def test_labels_of_two_codings_are_refused(name: str) -> None:
    """-1 and 0 in one call contradict each other, as they do in one file."""
    with pytest.raises(DomainError, match="mix -1 and 0"):
        find(name)([1.0, 2.0, 3.0], [-1, 0, 1])


def test_a_refused_call_warns_of_nothing() -> None:
    """Infinities are compared with care; the error is all that the caller sees."""
    box = [[1.0, 1.0, 2.0, 2.0]]
    with pytest.raises(DomainError, match="prediction"):
        find("iou")([[math.inf, 1.0, math.inf, 2.0]], box, format="cxcywh")
