"""Specs: the text form of losses, and what a wrong one is told."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import SeveralErrors, SpecError
from lossctl.losses import REGISTRY, Spec, find, parse


@given(st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_a_number_survives_the_text_of_a_spec(delta: float) -> None:
    """Every double reads back as itself."""
    spec = Spec(find("huber"), {"delta": delta})
    assert parse([spec.full])[0].parameters["delta"] == delta
    assert parse([spec.label]) == [spec]


@given(st.floats(min_value=-1.0, max_value=1.0))
def test_a_negative_number_survives_too(margin: float) -> None:
    """The sign of zero as well."""
    spec = Spec(find("cosine_embedding"), {"margin": margin})
    read = parse([spec.full])[0].parameters["margin"]
    assert (read, math.copysign(1.0, read)) == (margin, math.copysign(1.0, margin))


def test_the_label_shows_what_differs_from_the_defaults() -> None:
    """The full text has every parameter, the label only those that were chosen."""
    spec = parse(["focal:gamma=1.5"])[0]
    assert spec.label == "focal:gamma=1.5"
    assert spec.full == "focal:gamma=1.5,alpha=none,eps=2.220446049250313e-16"
    assert parse(["focal:gamma=2"])[0].label == "focal"


def test_an_alias_becomes_the_name() -> None:
    """Canonical texts know one name only."""
    assert parse(["HuberLoss:delta=2"])[0].label == "huber:delta=2"


LIBRARIES = ("scikit-learn", "PyTorch", "Keras")
OTHER_INPUT = {"NLLLoss"}
"""Names of losses that take other numbers there: log-probabilities."""


def test_the_names_in_the_large_libraries_work_too() -> None:
    """Whatever single name the catalogue gives for a loss there leads to a loss."""
    told = [
        named[1]
        for loss in REGISTRY.values()
        for library in LIBRARIES
        if (
            named := re.match(
                r"(?:metrics|losses|nn)\.(\w+)(?! of )\b", loss.equivalents.get(library, "")
            )
        )
    ]
    assert len(told) > 30
    assert all(find(name) for name in told if name not in OTHER_INPUT)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("logloss", "bce"),
        ("log_loss", "bce"),
        ("binary_cross_entropy", "bce"),
        ("brier_score_loss", "brier"),
        ("MAE", "mae"),
        ("l1_loss", "mae"),
        ("mse_loss", "mse"),
        ("mean_absolute_percentage_error", "mape"),
        ("mean_squared_log_error", "msle"),
        ("mean_squared_logarithmic_error", "msle"),
        ("root_mean_squared_log_error", "rmsle"),
        ("sparse_categorical_crossentropy", "cross_entropy"),
    ],
)
def test_what_is_typed_elsewhere_is_known(typed: str, name: str) -> None:
    """Functions of other libraries, and the short names of competitions."""
    assert find(typed).name == name


def test_one_text_may_hold_several_specs() -> None:
    """A comma before ``name=value`` belongs to the spec before it."""
    texts = ["mse, focal:gamma=1,alpha=0.5,mae", "huber:delta=2"]
    assert [spec.label for spec in parse(texts)] == [
        "mse",
        "focal:gamma=1,alpha=0.5",
        "mae",
        "huber:delta=2",
    ]


def test_a_family_stands_for_its_losses() -> None:
    """``@regression`` is every loss of that family at its defaults."""
    specs = parse(["@regression"])
    assert [spec.label for spec in specs] == [
        loss.name for loss in REGISTRY.values() if loss.family == "regression"
    ]


def test_a_spec_counts_once() -> None:
    """The same loss with the same parameters is measured once, in whatever words it is asked."""
    assert len(parse(["mse", "MSELoss,@regression", "huber:delta=1", "huber:delta=1.0"])) == len(
        parse(["@regression"])
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("hubr", "unknown loss 'hubr'", "did you mean huber"),
        ("HUBER", "unknown loss 'HUBER'", "did you mean huber"),
        ("zzzzzz", "unknown loss 'zzzzzz'", "lossctl losses"),
        ("regression", "unknown loss 'regression'", "did you mean @regression?"),
        ("huber(delta=2)", "unknown loss 'huber(delta=2)'", "did you mean huber:delta=2?"),
        ("Huber(delta = 2)", "unknown loss 'Huber(delta = 2)'", "did you mean huber:delta=2?"),
        (
            "focal(gamma=1,alpha=0.5)",
            "unknown loss 'focal(gamma=1,alpha=0.5)'",
            "did you mean focal:gamma=1,alpha=0.5?",
        ),
        ("huber(2)", "unknown loss 'huber(2)'", "as in huber:delta=1"),
        ("mse()", "unknown loss 'mse()'", "did you mean mse?"),
        ("@regresion", "unknown family '@regresion'", "did you mean regression?"),
        ("@zzzzzz", "unknown family '@zzzzzz'", "families: adversarial, "),
        ("huber:dleta=1", "huber has no parameter 'dleta'", "did you mean delta?"),
        ("mse:delta=1", "mse has no parameter 'delta'", "its parameters: none"),
        ("huber:delta", "huber: delta must be float in (0, inf), not ''", "as in huber:delta=1"),
    ],
)
def test_a_wrong_spec_gets_a_hint(text: str, message: str, hint: str) -> None:
    """The message says what is wrong, the hint what to try."""
    with pytest.raises(SpecError) as caught:
        parse([text])
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_all_wrong_specs_are_told_at_once() -> None:
    """Nobody has to mend specs one by one."""
    with pytest.raises(SeveralErrors) as caught:
        parse(["hubr,mse", "mae:x=1"])
    assert [error.message for error in caught.value.errors] == [
        "unknown loss 'hubr'",
        "mae has no parameter 'x'",
    ]
