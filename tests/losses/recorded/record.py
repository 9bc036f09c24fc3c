"""Record what PyTorch, torchvision and Keras say about the losses of the catalogue.

The suite compares every kernel with code that nobody in this project wrote. SciPy and scikit-learn
are small enough to be asked while the tests run; PyTorch, torchvision and Keras are not, so this
script asks them once and ``values.json``, next to it, keeps the answers with the versions that gave
them. Run it again when a case is added or a version moves, from an environment of its own::

    python -m venv oracles
    oracles/bin/pip install torch==2.13.0 keras==3.15.1 pillow
    oracles/bin/pip install --no-deps torchvision==0.28.0
    oracles/bin/python tests/losses/recorded/record.py

torchvision's losses are plain Python. Its compiled library does not load beside a CPU build of
PyTorch and is not needed: `import_torchvision` says how it is done without.

How to read a case of ``values.json``:

- ``call`` is the text that was evaluated, in float64, with the roles of ``columns`` as tensors (a
  ragged role as a list of tensors). Where no library has the loss, the call composes library
  functions, and the text shows it.
- ``parameters`` are those to give to the loss; those left out are at the catalogue's default.
- ``rows`` are the values per row, null where the loss has a value for the whole file only.
  ``value`` is the value of the file, from ``value_call``, null where the library was not asked.
- ``gradient`` holds, per role, the derivative of the sum of ``rows``, or of ``value`` where
  ``rows`` is null, by automatic differentiation. It is null where the loss has a kink at one of the
  rows, or where the library differentiates something else than the loss; ``gradient_note`` says
  which. The complete IoU loss has ``gradients`` instead, one per convention about its factor alpha.
- ``keras_epsilon`` is what ``keras.config.set_epsilon`` was set to, the place where Keras clips.
- ``note`` says why the inputs are what they are, where the library's convention differs from the
  catalogue's and the case keeps to the inputs on which both agree.

The libraries round too: a right kernel agrees with them to about 1e-12 relative plus 1e-15
absolute. The absolute part is for rows near zero, where some of the formulas are differences.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import math
import os
import random
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

# Keras picks its backend when it is imported; only this one leaves autograd a graph to follow.
os.environ["KERAS_BACKEND"] = "torch"
import keras
from keras.src.backend.common import dtypes as keras_dtypes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    Column = Sequence[float] | Sequence[Sequence[float]]
    Columns = Mapping[str, Column]
    Gradient = dict[str, Any]

VALUES = Path(__file__).with_name("values.json")
LIBRARIES = ("keras", "torch", "torchvision")

# The catalogue's default for where a probability is clipped, and another that 1 - eps hits exactly.
EPS = 2.0**-52
COARSE_EPS = 2.0**-20

F = "torch.nn.functional"


def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled library finds no CUDA to link with.

    The package registers companions for two compiled operators while it is imported and stops when
    these do not exist. Declaring their names is enough: no loss calls them.
    """
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        message = "torchvision is not installed; the docstring of this script says how to"
        raise ImportError(message)
    try:
        torch.ops.load_library(Path(package.origin).with_name("_C.so"))
    except OSError:
        for operator in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{operator}",
                "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            )
    return importlib.import_module("torchvision")


def keep_keras_in_float64() -> None:
    """Let Keras compute in double precision.

    Asking for it by `set_floatx` is not enough: except under TensorFlow, Keras takes means and
    maxima of doubles in single precision and hands the result back as doubles.
    """
    keras.config.set_floatx("float64")
    keras_dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    if keras.backend.result_type("float64", "float32") != "float64":
        message = "this version of Keras narrows float64 in another place"
        raise RuntimeError(message)


def jaccard(prediction: torch.Tensor, target: torch.Tensor) -> Fraction:
    """Return the exact intersection over union of two 0/1 masks, 1 where both are empty."""
    intersection = int((prediction * target).sum())
    union = int(prediction.sum() + target.sum()) - intersection
    return Fraction(intersection, union) if union else Fraction(1)


NAMESPACE: Mapping[str, Any] = {
    "Fraction": Fraction,
    "jaccard": jaccard,
    "keras": keras,
    "torch": torch,
    "torchvision": import_torchvision(),
}


@dataclass(frozen=True)
class Case:
    """One question to a library; the module's docstring explains the fields."""

    loss: str
    library: str
    call: str
    name: str
    columns: Columns
    parameters: dict[str, Any] = field(default_factory=dict)
    wrt: tuple[str, ...] = ("prediction",)
    value_call: str | None = None
    keras_epsilon: float | None = None
    note: str | None = None
    gradient_note: str | None = None


def mean(call: str) -> str:
    """Return the call that lets the library take the mean over the rows itself."""
    return call.replace("reduction='none'", "reduction='mean'")


def pair(prediction: Column, target: Column) -> Columns:
    """Name the two columns that most losses have."""
    return {"prediction": prediction, "target": target}


class Draw:
    """Seeded random columns, rounded so that the recorded inputs stay short.

    Only `random.Random.random` is used, the one method whose sequence Python promises to keep.
    """

    def __init__(self, seed: str) -> None:
        """Start the sequence named by `seed`; each loss has its own, so that none moves another."""
        self._random = random.Random(seed).random

    def reals(self, rows: int, low: float = -3.0, high: float = 3.0) -> list[float]:
        """Return one number with three decimals per row."""
        return [round(low + (high - low) * self._random(), 3) for _ in range(rows)]

    def probabilities(self, rows: int) -> list[float]:
        """Return numbers well inside (0, 1), where nothing is clipped."""
        return self.reals(rows, 0.02, 0.98)

    def classes(self, rows: int, count: int) -> list[int]:
        """Return a class number per row."""
        return [int(count * self._random()) for _ in range(rows)]

    def labels(self, rows: int) -> list[int]:
        """Return 0 or 1 per row."""
        return self.classes(rows, 2)

    def signs(self, rows: int) -> list[int]:
        """Return -1 or 1 per row."""
        return [2 * label - 1 for label in self.labels(rows)]

    def vectors(
        self, rows: int, size: int, low: float = -3.0, high: float = 3.0
    ) -> list[list[float]]:
        """Return a vector per row."""
        return [self.reals(size, low, high) for _ in range(rows)]

    def distributions(self, rows: int, count: int) -> list[list[float]]:
        """Return rows of probabilities in whole thousandths that add up to one."""
        distributions = []
        for _ in range(rows):
            parts = [1 + part for part in self.classes(count - 1, 900 // count)]
            distributions.append([part / 1000 for part in (*parts, 1000 - sum(parts))])
        return distributions

    def ragged(
        self, rows: int, longest: int, low: float = -3.0, high: float = 3.0
    ) -> list[list[float]]:
        """Return a list of two numbers or more per row."""
        return [self.reals(2 + more, low, high) for more in self.classes(rows, longest - 1)]

    def boxes(self, rows: int, unit: float = 1.0) -> list[list[float]]:
        """Return corner boxes; two such sets overlap, nest and miss each other."""
        return [
            [round(unit * edge, 3) for edge in (left, top, left + width, top + height)]
            for (left, top), (width, height) in zip(
                self.vectors(rows, 2, 0.0, 5.0), self.vectors(rows, 2, 0.5, 6.0), strict=True
            )
        ]

    def boxes_around(self, centre: float, rows: int) -> list[list[float]]:
        """Return corner boxes that all hold one point, so that no two miss each other."""
        return [
            [*self.reals(2, 0.0, centre - 0.1), *self.reals(2, centre + 0.1, 2 * centre)]
            for _ in range(rows)
        ]


# Zero, both signs of it, far apart in size, and beyond the last digit of a difference.
EXTREME_ERRORS = {
    "prediction": [0.0, -0.0, 1e150, -1e150, 1e-140, 3.0, 1e16, -7.25],
    "target": [0.0, 0.0, 0.0, 1e150, -1e-140, 3.0, 1e16 + 2, 7.25],
}


def regression() -> Iterator[Case]:
    """Ask for the losses of a number against a number."""
    draw = Draw("mse")
    call = f"{F}.mse_loss(prediction, target, reduction='none')"
    mse = partial(Case, "mse", "torch", call)
    yield mse("random", pair(draw.reals(12), draw.reals(12)), value_call=mean(call))
    yield mse("extremes", EXTREME_ERRORS)
    call = "keras.losses.mean_squared_error(target[:, None], prediction[:, None])"
    yield Case("mse", "keras", call, "keras", pair(draw.reals(6), draw.reals(6)))

    draw = Draw("rmse")
    call = f"torch.sqrt({F}.mse_loss(prediction, target, reduction='mean'))"
    rmse = partial(Case, "rmse", "torch", call)
    yield rmse("random", pair(draw.reals(12), draw.reals(12)))
    yield rmse("one row", pair([1.5], [-2.75]))
    yield rmse(
        "no error",
        pair([1.5, -2.0, 0.0], [1.5, -2.0, 0.0]),
        wrt=(),
        gradient_note="the root has no derivative at zero",
    )

    draw = Draw("mbe")
    call = "torch.sub(target, prediction)"
    mbe = partial(Case, "mbe", "torch", call)
    yield mbe("random", pair(draw.reals(12), draw.reals(12)), value_call=f"torch.mean({call})")
    yield mbe("extremes", EXTREME_ERRORS)

    draw = Draw("mae")
    call = f"{F}.l1_loss(prediction, target, reduction='none')"
    mae = partial(Case, "mae", "torch", call)
    yield mae("random", pair(draw.reals(12), draw.reals(12)), value_call=mean(call))
    yield mae("extremes", EXTREME_ERRORS, wrt=(), gradient_note="the loss has a kink at zero")
    call = "keras.losses.mean_absolute_error(target[:, None], prediction[:, None])"
    yield Case("mae", "keras", call, "keras", pair(draw.reals(6), draw.reals(6)))

    draw = Draw("huber")
    call = f"{F}.huber_loss(prediction, target, delta={{}}, reduction='none')"
    huber = partial(Case, "huber", "torch")
    yield huber(
        call.format(1.0),
        "random",
        pair(draw.reals(12), draw.reals(12)),
        value_call=mean(call.format(1.0)),
    )
    above, below = math.nextafter(1.5, 2.0), math.nextafter(1.5, 1.0)
    yield huber(
        call.format(1.5),
        "at delta",
        pair(
            [1.5, -1.5, 0.0, 2.0, above, below, 0.0, 1e200], [0.0, 0.0, 1.5, 0.5, 0, 0, 0, -1e200]
        ),
        {"delta": 1.5},
    )
    yield huber(call.format(0.3), "delta=0.3", pair(draw.reals(8), draw.reals(8)), {"delta": 0.3})
    call = "keras.losses.huber(target[:, None], prediction[:, None], delta=2.0)"
    yield Case("huber", "keras", call, "keras", pair(draw.reals(6), draw.reals(6)), {"delta": 2.0})


# Keras clips both ends, so an output that is certain and right would cost eps there.
CLIPPED_NOTE = (
    "Keras clips to [eps, 1 - eps], the catalogue only what a logarithm is taken of, and from "
    "below: no output that is certain is right"
)
CLIPPED_GRADIENT_NOTE = "Keras stops the gradient where it clips"
RENORMALISED_NOTE = "Keras divides a row by its sum first, and differentiates that too"


def clipped(parameters: dict[str, Any] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the names and options of a case that is asked at the default eps and at another."""
    yield "clipped", {"keras_epsilon": EPS, "parameters": parameters or {}}
    yield (
        "clipped, eps=2^-20",
        {"keras_epsilon": COARSE_EPS, "parameters": {"eps": COARSE_EPS, **(parameters or {})}},
    )


def one_hot(classes: int) -> str:
    """Return the text that turns class numbers into what Keras wants."""
    return f"{F}.one_hot(target.long(), {classes}).double()"


def classification() -> Iterator[Case]:
    """Ask for the losses of probabilities and scores against classes."""
    yield from binary_cross_entropy()
    yield from cross_entropy()
    yield from hinge()
    yield from multiclass_hinge()


def binary_cross_entropy() -> Iterator[Case]:
    """Ask for the cross entropies of one class against the other."""
    draw = Draw("bce")
    call = f"{F}.binary_cross_entropy(prediction, target, reduction='none')"
    bce = partial(Case, "bce", "torch", call)
    yield bce("random", pair(draw.probabilities(12), draw.labels(12)), value_call=mean(call))
    yield bce(
        "soft targets",
        pair([*draw.probabilities(6), 0.3, 0.5], [*draw.reals(6, 0.0, 1.0), 0.3, 0.5]),
        value_call=mean(call),
    )
    almost = 1.0 - 2.0 * EPS
    yield bce(
        "almost certain",
        pair([1.0, 0.0, 1e-15, 1e-15, 1e-300, almost, almost], [1, 0, 1, 0, 0, 0, 1]),
        wrt=(),
        note="torch cuts each logarithm at -100; no row that is wrong comes nearer than eps to "
        "certainty, so neither cut is reached",
        gradient_note="torch divides by max(p (1 - p), 1e-12)",
    )
    call = "keras.ops.binary_crossentropy(target, prediction)"
    for name, options in clipped():
        yield Case(
            "bce",
            "keras",
            call,
            name,
            pair([0.0, 1.0, 1e-17, 1e-300, 0.25, 0.75], [1, 0, 1, 1, 0, 0.5]),
            wrt=(),
            note=CLIPPED_NOTE,
            gradient_note=CLIPPED_GRADIENT_NOTE,
            **options,
        )

    draw = Draw("bce_logits")
    call = f"{F}.binary_cross_entropy_with_logits(prediction, target, reduction='none')"
    logits = partial(Case, "bce_logits", "torch", call)
    yield logits("random", pair(draw.reals(12, -5, 5), draw.labels(12)), value_call=mean(call))
    yield logits(
        "soft targets", pair(draw.reals(8, -5, 5), draw.reals(8, 0, 1)), value_call=mean(call)
    )
    yield logits(
        "extremes",
        pair(
            [800.0, 800.0, -800.0, -800.0, 1e300, 0.0, 0.0, 40.0, 800.0, -30.0],
            [1, 0, 1, 0, 0, 1, 0, 1, 0.25, 1],
        ),
    )


def cross_entropy() -> Iterator[Case]:
    """Ask for the cross entropies of several classes."""
    draw = Draw("cross_entropy")
    call = f"{F}.nll_loss(torch.log(prediction), target.long(), reduction='none')"
    numbered = partial(Case, "cross_entropy", "torch", call)
    yield numbered(
        "random", pair(draw.distributions(12, 4), draw.classes(12, 4)), value_call=mean(call)
    )
    yield numbered(
        "certain and right",
        pair([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0], [1e-15, 1.0, 0.0]], [0, 2, 1, 0]),
        wrt=(),
        gradient_note="torch multiplies zero by an infinite derivative",
    )
    soft_targets = pair(draw.distributions(8, 3), draw.distributions(8, 3))
    call = "-torch.special.xlogy(target, prediction).sum(dim=1)"
    yield Case("cross_entropy", "torch", call, "soft targets", soft_targets)
    asked_of_keras = partial(
        Case, "cross_entropy", "keras", wrt=(), gradient_note=RENORMALISED_NOTE
    )
    call = "keras.losses.categorical_crossentropy(target, prediction)"
    yield asked_of_keras(call, "soft targets, keras", soft_targets, keras_epsilon=EPS)
    yield asked_of_keras(
        call,
        "one-hot targets",
        pair(draw.distributions(4, 3), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        keras_epsilon=EPS,
    )
    call = f"keras.losses.categorical_crossentropy({one_hot(3)}, prediction)"
    certain = [[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]]
    for name, options in clipped():
        yield asked_of_keras(call, name, pair(certain, [0, 2, 2, 0]), note=CLIPPED_NOTE, **options)

    draw = Draw("cross_entropy_logits")
    numbered_call = f"{F}.cross_entropy(prediction, target.long(), reduction='none')"
    soft_call = f"{F}.cross_entropy(prediction, target, reduction='none')"
    logits = partial(Case, "cross_entropy_logits", "torch")
    yield logits(
        numbered_call,
        "random",
        pair(draw.vectors(12, 4), draw.classes(12, 4)),
        value_call=mean(numbered_call),
    )
    yield logits(
        soft_call,
        "soft targets",
        pair(draw.vectors(8, 3), draw.distributions(8, 3)),
        value_call=mean(soft_call),
    )
    far_apart = [800.0, -800.0, 0.0]
    equal = [[shared] * 3 for shared in (800.0, -800.0, 0.0)]
    yield logits(
        numbered_call,
        "extremes",
        pair([far_apart, far_apart, *equal, [1e6, 1e6 + 1.0, 1e6 - 1.0]], [0, 1, 2, 1, 0, 2]),
    )
    yield logits(
        soft_call,
        "extremes, soft targets",
        pair(
            [far_apart, [-800.0] * 3, [3.0, 1.0, -2.0]],
            [[0.25, 0.25, 0.5], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0]],
        ),
    )


def hinge() -> Iterator[Case]:
    """Ask for the hinge losses of one class against the other."""
    kink: dict[str, Any] = {"wrt": (), "gradient_note": "the loss has a kink at the margin"}
    for loss, at_the_margin in (("hinge", kink), ("squared_hinge", {})):
        draw = Draw(loss)
        call = f"keras.losses.{loss}(target[:, None], prediction[:, None])"
        ask = partial(Case, loss, "keras", call)
        yield ask("random", pair(draw.reals(12), draw.signs(12)))
        yield ask(
            "labels 0 and 1",
            pair(draw.reals(8), [0, 1, *draw.labels(6)]),
            note="Keras maps 0 to -1 only in a call whose labels are all 0 or 1",
        )
        just_inside = math.nextafter(1.0, 0.0)
        yield ask(
            "at the margin",
            pair([1.0, -1.0, 1.0, 0.0, 1e100, -1e100, just_inside], [1, -1, -1, 1, 1, 1, 1]),
            **at_the_margin,
        )


def multiclass_hinge() -> Iterator[Case]:
    """Ask for the hinge losses of several classes."""
    draw = Draw("multiclass_hinge")
    call = f"{F}.multi_margin_loss(prediction, target.long(), p=1, margin={{}}, reduction='none')"
    ask = partial(Case, "multiclass_hinge")
    yield ask(
        "torch",
        call.format(1.0),
        "weston_watkins",
        pair(draw.vectors(12, 4), draw.classes(12, 4)),
        {"kind": "weston_watkins"},
        value_call=mean(call.format(1.0)),
    )
    yield ask(
        "torch",
        call.format(0.5),
        "weston_watkins, margin=0.5",
        pair(draw.vectors(8, 3), draw.classes(8, 3)),
        {"kind": "weston_watkins", "margin": 0.5},
    )
    yield ask(
        "torch",
        call.format(1.0),
        "weston_watkins, at the margin",
        pair([[2.0, 1.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -5.0, -5.0], [1.0, 0.5, 0.8]], [0, 1, 0, 0]),
        {"kind": "weston_watkins"},
        wrt=(),
        gradient_note="the loss has a kink at the margin",
    )
    yield ask(
        "keras",
        f"keras.losses.categorical_hinge({one_hot(4)}, prediction)",
        "crammer_singer",
        pair(draw.vectors(12, 4, 0.01, 3.0), draw.classes(12, 4)),
        {"kind": "crammer_singer"},
        note="Keras counts the true class as a rival with score 0: all scores are positive",
    )
    call = (
        f"torch.clamp(0.5 + prediction.masked_fill({one_hot(3)}.bool(), -torch.inf).amax(dim=1) "
        "- prediction.gather(1, target.long()[:, None])[:, 0], min=0)"
    )
    yield ask(
        "torch",
        call,
        "crammer_singer, margin=0.5",
        pair(draw.vectors(10, 3), draw.classes(10, 3)),
        {"kind": "crammer_singer", "margin": 0.5},
    )


def detection() -> Iterator[Case]:
    """Ask for the losses of detectors: focal losses, boxes and masks."""
    yield from focal()
    yield from focal_logits()
    yield from categorical_focal()
    yield from boxes()
    yield from masks()


def soft_focal(library: str) -> str:
    """Say why the call for soft targets is put together from two with hard ones."""
    return (
        f"{library} puts a soft target into p_t; the catalogue weighs the losses of both hard "
        "targets with it"
    )


def focal() -> Iterator[Case]:
    """Ask for the focal loss of a probability."""
    draw = Draw("focal")
    call = "keras.losses.binary_focal_crossentropy({}[:, None], prediction[:, None], {})"
    ask = partial(Case, "focal", "keras")
    plain_call = call.format("target", "gamma=2.0")
    balance = "gamma=1.5, apply_class_balancing=True, alpha=0.25"
    yield ask(
        plain_call, "random", pair(draw.probabilities(12), draw.labels(12)), keras_epsilon=EPS
    )
    yield ask(
        call.format("target", balance),
        "alpha=0.25, gamma=1.5",
        pair(draw.probabilities(12), draw.labels(12)),
        {"alpha": 0.25, "gamma": 1.5},
        keras_epsilon=EPS,
    )
    yield ask(
        call.format("target", "gamma=0.0"),
        "gamma=0",
        pair(draw.probabilities(6), draw.labels(6)),
        {"gamma": 0.0},
        keras_epsilon=EPS,
    )
    positive = call.format("torch.ones_like(target)", balance)
    negative = call.format("torch.zeros_like(target)", balance)
    yield ask(
        f"target * {positive} + (1 - target) * {negative}",
        "soft targets",
        pair(draw.probabilities(8), draw.reals(8, 0.0, 1.0)),
        {"alpha": 0.25, "gamma": 1.5},
        keras_epsilon=EPS,
        note=soft_focal("Keras"),
    )
    for name, options in clipped():
        yield ask(
            plain_call,
            name,
            pair([0.0, 1.0, 1.0, 0.0, 0.25, 0.75], [1, 0, 1, 0, 1, 1]),
            wrt=(),
            gradient_note=CLIPPED_GRADIENT_NOTE,
            **options,
        )


def focal_logits() -> Iterator[Case]:
    """Ask for the focal loss of a score."""
    draw = Draw("focal_logits")
    call = (
        "torchvision.ops.sigmoid_focal_loss(prediction, {}, alpha={}, gamma={}, reduction='none')"
    )
    ask = partial(Case, "focal_logits", "torchvision")
    plain_call = call.format("target", -1, 2.0)
    yield ask(
        plain_call,
        "random",
        pair(draw.reals(12, -4.0, 4.0), draw.labels(12)),
        value_call=mean(plain_call),
    )
    for alpha, gamma in ((0.25, 2.0), (0.75, 1.5)):
        yield ask(
            call.format("target", alpha, gamma),
            f"alpha={alpha}, gamma={gamma}",
            pair(draw.reals(8, -4.0, 4.0), draw.labels(8)),
            {"alpha": alpha, "gamma": gamma},
        )
    positive = call.format("torch.ones_like(target)", 0.75, 1.5)
    negative = call.format("torch.zeros_like(target)", 0.75, 1.5)
    yield ask(
        f"target * {positive} + (1 - target) * {negative}",
        "soft targets",
        pair(draw.reals(8, -4.0, 4.0), draw.reals(8, 0.0, 1.0)),
        {"alpha": 0.75, "gamma": 1.5},
        note=soft_focal("torchvision"),
    )
    yield ask(
        plain_call,
        "extremes",
        pair([800.0, 800.0, -800.0, -800.0, 0.0, 0.0, 1e300, -30.0], [1, 0, 1, 0, 1, 0, 0, 1]),
    )


def categorical_focal() -> Iterator[Case]:
    """Ask for the focal loss of several classes."""
    draw = Draw("categorical_focal")
    call = "keras.losses.categorical_focal_crossentropy({}, prediction, alpha=1.0, gamma={})"
    numbered = pair(draw.distributions(12, 4), draw.classes(12, 4))
    soft = pair(draw.distributions(8, 3), draw.distributions(8, 3))
    for name, columns, target, gamma, parameters in (
        ("random", numbered, one_hot(4), 2.0, {}),
        ("soft targets", soft, "target", 0.5, {"gamma": 0.5}),
    ):
        yield Case(
            "categorical_focal",
            "keras",
            call.format(target, gamma),
            name,
            columns,
            parameters,
            wrt=(),
            keras_epsilon=EPS,
            gradient_note=RENORMALISED_NOTE,
        )
        yield Case(
            "categorical_focal",
            "torch",
            f"({target} * (1 - prediction) ** {gamma} * -torch.log(prediction)).sum(dim=1)",
            f"{name}, not renormalised",
            columns,
            parameters,
        )
    for name, options in clipped({"gamma": 0.0}):
        yield Case(
            "categorical_focal",
            "keras",
            call.format(one_hot(3), 0.0),
            name,
            pair([[0.0, 0.25, 0.75], [0.5, 0.25, 0.25], [0.125, 0.375, 0.5]], [0, 0, 2]),
            wrt=(),
            note="Keras clips p in (1 - p)^gamma too, which gamma=0 makes no difference to",
            gradient_note=RENORMALISED_NOTE,
            **options,
        )


# Equal boxes, a shared edge, a shared corner, an overlap, one inside the other without and with
# shared edges and the other way round, a gap.
TIED_BOXES = {
    "prediction": [
        *[[0.0, 0.0, 2.0, 2.0]] * 4,
        *[[0.0, 0.0, 4.0, 4.0]] * 2,
        [1.0, 1.0, 2.0, 3.0],
        [0.0, 0.0, 2.0, 2.0],
    ],
    "target": [
        [0.0, 0.0, 2.0, 2.0],
        [2.0, 0.0, 4.0, 2.0],
        [2.0, 2.0, 4.0, 4.0],
        [1.0, 1.0, 3.0, 3.0],
        [1.0, 1.0, 3.0, 3.0],
        [0.0, 0.0, 2.0, 2.0],
        [0.0, 0.0, 4.0, 4.0],
        [5.0, 5.0, 6.0, 6.0],
    ],
}
TIED_BOXES_NOTE = "the loss has kinks where edges of the two boxes coincide"

# The coordinates of the boxes for the complete IoU loss are in this unit.
LARGE = 1e6
COMPLETE_NOTE = (
    "torchvision leaves 1e-7 in two denominators whatever eps is: the boxes are so large that it "
    "is lost, and eps=1e-20 only turns the 0/0 of equal shapes into 0"
)


def rewritten(columns: Mapping[str, Sequence[Sequence[float]]], box_format: str) -> Columns:
    """Write half of some corner boxes in another format."""
    shift = {"xywh": 0.0, "cxcywh": 0.5}[box_format]
    return {
        role: [
            [
                round(left + shift * (right - left), 4),
                round(top + shift * (bottom - top), 4),
                round(right - left, 3),
                round(bottom - top, 3),
            ]
            for left, top, right, bottom in column[: len(column) // 2]
        ]
        for role, column in columns.items()
    }


def boxes() -> Iterator[Case]:
    """Ask for the losses of boxes."""
    for loss, call in (
        ("iou", "1 - torchvision.ops.box_iou(prediction, target, fmt='{}').diagonal()"),
        ("log_iou", "-torch.log(torchvision.ops.box_iou(prediction, target, fmt='{}').diagonal())"),
    ):
        draw = Draw(loss)
        # The logarithm is infinite, and has no derivative, where boxes miss each other.
        columns = (
            {"prediction": draw.boxes(12), "target": draw.boxes(12)}
            if loss == "iou"
            else {"prediction": draw.boxes_around(5.0, 12), "target": draw.boxes_around(5.0, 12)}
        )
        ask = partial(Case, loss, "torchvision")
        corners = call.format("xyxy")
        yield ask(corners, "random", columns)
        yield ask(corners, "coinciding edges", TIED_BOXES, wrt=(), gradient_note=TIED_BOXES_NOTE)
        for box_format in ("xywh", "cxcywh"):
            yield ask(
                call.format(box_format),
                f"format={box_format}",
                rewritten(columns, box_format),
                {"format": box_format},
            )

    for loss, function, eps, unit, note in (
        ("giou", "generalized_box_iou_loss", 0.0, 1.0, None),
        ("diou", "distance_box_iou_loss", 0.0, 1.0, None),
        ("ciou", "complete_box_iou_loss", 1e-20, LARGE, COMPLETE_NOTE),
    ):
        draw = Draw(loss)
        columns = {"prediction": draw.boxes(12, unit), "target": draw.boxes(12, unit)}
        tied = {
            role: [[unit * edge for edge in box] for box in column]
            for role, column in TIED_BOXES.items()
        }
        call = f"torchvision.ops.{function}({{}}, {{}}, eps={eps}, reduction='none')"
        ask = partial(Case, loss, "torchvision", note=note)
        corners = call.format("prediction", "target")
        yield ask(corners, "random", columns, value_call=mean(corners))
        yield ask(corners, "coinciding edges", tied, wrt=(), gradient_note=TIED_BOXES_NOTE)
        for box_format in ("xywh", "cxcywh"):
            convert = f"torchvision.ops.box_convert({{}}, '{box_format}', 'xyxy')"
            yield ask(
                call.format(convert.format("prediction"), convert.format("target")),
                f"format={box_format}",
                rewritten(columns, box_format),
                {"format": box_format},
            )


def masks() -> Iterator[Case]:
    """Ask for the losses of masks."""
    draw = Draw("mask_iou")
    call = (
        "torch.stack([1 - ((p * t).sum() + {0}) / (p.sum() + t.sum() - (p * t).sum() + {0}) "
        "for p, t in zip(prediction, target, strict=True)])"
    )
    soft = partial(Case, "mask_iou", "torch")
    prediction = draw.ragged(8, 9, 0.0, 1.0)
    columns = pair(prediction, [draw.labels(len(mask)) for mask in prediction])
    yield soft(call.format(1e-6), "random", columns)
    yield soft(call.format(1.0), "smooth=1", columns, {"smooth": 1.0})
    yield soft(
        call.format(1e-6),
        "empty and full",
        pair(
            [[0.0, 0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.5, 0.0], [1.0, 0.0]],
            [[0, 0, 0], [1, 1], [1, 1], [0, 0], [0, 1]],
        ),
    )

    draw = Draw("mask_iou_thresholded")
    call = (
        "[1 - Fraction(sum(jaccard(p, t) > Fraction(k, 20) for k in range(10, 20)), 10) "
        "for p, t in zip(prediction, target, strict=True)]"
    )
    thresholded = partial(
        Case,
        "mask_iou_thresholded",
        "python",
        call,
        wrt=(),
        note="written out in exact fractions; jaccard is defined in record.py",
    )
    target = [draw.labels(12) for _ in range(10)]
    # One pixel in six is turned, so that the ratios spread over the thresholds.
    turned = [
        [pixel ^ (turn == 0) for pixel, turn in zip(mask, draw.classes(12, 6), strict=True)]
        for mask in target
    ]
    yield thresholded("random", pair(turned, target))
    yield thresholded(
        "ratios k/20", pair([[1] * 20] * 12, [[1] * k + [0] * (20 - k) for k in range(9, 21)])
    )
    yield thresholded(
        "empty and full",
        pair(
            [[0, 0, 0], [0, 0], [1, 1], [1], [1, 0, 1]],
            [[0, 0, 0], [1, 1], [0, 0], [1], [0, 1, 0]],
        ),
    )


def embedding() -> Iterator[Case]:
    """Ask for the losses of vectors that should be near to or far from each other."""
    yield from contrastive()
    yield from triplet()
    yield from triplet_margin()
    yield from cosine_embedding()


def contrastive() -> Iterator[Case]:
    """Ask for the contrastive loss of pairs of vectors, put together around torch's distance."""
    draw = Draw("contrastive")
    near, far = "(1 - target)", "target"
    call = (
        f"{{}} * (d := {F}.pairwise_distance(left, right, p=2.0, eps={{}})) ** 2 "
        "+ {} * torch.clamp({} - d, min=0) ** 2"
    )
    ask = partial(Case, "contrastive", "torch", wrt=("left", "right"))

    def columns(rows: int) -> Columns:
        left, step = draw.vectors(rows, 4, -1.0, 1.0), draw.vectors(rows, 4, -0.8, 0.8)
        right = [
            [round(start + length, 3) for start, length in zip(*both, strict=True)]
            for both in zip(left, step, strict=True)
        ]
        return {"left": left, "right": right, "target": draw.labels(rows)}

    yield ask(call.format(near, 0.0, far, 1.0), "random", columns(12))
    yield ask(
        f"0.5 * ({call.format(far, 0.0, near, 2.0)})",
        "margin=2, similar=1, half",
        columns(8),
        {"half": True, "margin": 2.0, "similar": 1},
    )
    yield ask(
        call.format(near, 1e-6, far, 1.0),
        "eps=1e-6",
        {
            "left": [[0.0, 0.0], [0.3, 0.4], [0.5, -0.25], [1.0, 1.0]],
            "right": [[0.0, 0.0], [0.3, 0.4], [0.25, 0.5], [1.0, 1.5]],
            "target": [0, 1, 1, 0],
        },
        {"eps": 1e-6},
    )
    yield ask(
        call.format(near, 0.0, far, 5.0),
        "at the margin",
        {
            "left": [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0], [9.0, 9.0]],
            "right": [[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0]],
            "target": [0, 1, 0, 1],
        },
        {"margin": 5.0},
    )
    yield Case(
        "contrastive",
        "torch",
        call.format(near, 0.0, far, 1.0),
        "equal and dissimilar",
        {"left": [[0.1, 0.2]], "right": [[0.1, 0.2]], "target": [1]},
        wrt=(),
        gradient_note="the distance has no derivative at zero",
    )


def triplet() -> Iterator[Case]:
    """Ask for the triplet loss of positive against negative scores."""
    draw = Draw("triplet")
    call = (
        f"torch.stack([-{F}.logsigmoid(p[:, None] - n[None, :]).mean() "
        "for p, n in zip(positive, negative, strict=True)])"
    )
    ask = partial(Case, "triplet", "torch", call, wrt=("positive", "negative"))
    yield ask("random", {"positive": draw.ragged(8, 5), "negative": draw.ragged(8, 7)})
    yield ask(
        "extremes",
        {
            "positive": [[2.0, 0.5], [0.0], [800.0, -800.0], [-800.0], [800.0], [1e300]],
            "negative": [[1.0, -1.0, 0.0], [0.0], [800.0, 0.0], [800.0], [-800.0], [-1.0]],
        },
    )


def triplet_margin() -> Iterator[Case]:
    """Ask for the triplet loss of three vectors."""
    draw = Draw("triplet_margin")
    roles = ("anchor", "positive", "negative")
    call = (
        f"{F}.triplet_margin_loss(anchor, positive, negative, margin={{margin}}, p={{p}}, "
        "eps={eps}, swap={swap}, reduction='none')"
    )
    default = call.format(margin=1.0, p=2.0, eps=1e-6, swap=False)
    ask = partial(Case, "triplet_margin", "torch", wrt=roles)

    def columns(rows: int) -> Columns:
        return {role: draw.vectors(rows, 3, -1.5, 1.5) for role in roles}

    yield ask(default, "random", columns(12), value_call=mean(default))
    for p, swap in ((1.0, False), (1.0, True), (2.0, True), (3.0, False), (3.0, True)):
        yield ask(
            call.format(margin=1.0, p=p, eps=1e-6, swap=swap),
            f"p={p:g}, swap={str(swap).lower()}",
            columns(8),
            {"p": p, "swap": swap},
        )
    yield ask(
        call.format(margin=0.2, p=2.0, eps=1e-3, swap=False),
        "margin=0.2, eps=1e-3",
        columns(8),
        {"eps": 1e-3, "margin": 0.2},
    )
    yield ask(
        default,
        "equal vectors",
        {
            "anchor": [[0.5, -1.0], [0.5, -1.0], [0.5, -1.0], [0.0, 0.0]],
            "positive": [[0.5, -1.0], [0.5, -1.0], [3.0, 1.0], [0.0, 0.0]],
            "negative": [[0.5, -1.0], [9.0, 9.0], [0.5, -1.0], [0.3, 0.4]],
        },
    )


def cosine_embedding() -> Iterator[Case]:
    """Ask for the cosine loss of pairs of vectors."""
    draw = Draw("cosine_embedding")
    call = f"{F}.cosine_embedding_loss(left, right, {{}}, margin={{}}, reduction='none')"
    ask = partial(
        Case,
        "cosine_embedding",
        "torch",
        note="torch adds 1e-12 to both squared lengths: the vectors are so long that it is lost, "
        "and the cosine does not depend on the length",
    )
    sides = ("left", "right")

    def columns(size: int, target: Column) -> Columns:
        vectors = {side: draw.vectors(len(target), size, -3e3, 3e3) for side in sides}
        return {**vectors, "target": target}

    default = call.format("target", 0.0)
    yield ask(default, "random", columns(4, draw.signs(12)), wrt=sides, value_call=mean(default))
    yield ask(
        call.format("target", 0.3),
        "margin=0.3",
        columns(3, draw.signs(8)),
        {"margin": 0.3},
        wrt=sides,
    )
    yield ask(
        call.format("target", -0.5),
        "margin=-0.5",
        columns(5, draw.signs(8)),
        {"margin": -0.5},
        wrt=sides,
    )
    equal, opposite, across = [3e3, 4e3], [-3e3, -4e3], [4e3, -3e3]
    yield ask(
        default,
        "equal, opposite, across",
        {
            "left": [equal] * 6,
            "right": [equal, opposite, across] * 2,
            "target": [1, 1, 1, -1, -1, -1],
        },
        wrt=(),
        gradient_note="the loss has a kink where the cosine equals the margin",
    )


def adversarial() -> Iterator[Case]:
    """Ask for the losses of a discriminator and its generator, put together from BCE."""
    real, generated = "prediction[target == 1]", "prediction[target == 0]"
    generated_only = "rows of real data take no part: their value is nan, their derivative 0"

    def over(call: str, rows: str, label: str) -> str:
        return call.format(rows, f"torch.{label}_like({rows})")

    def losses(call: str) -> Iterator[tuple[str, str, str, str | None]]:
        """Give the loss, the call per row, the call for the file and the note."""
        per_row = "torch.where(target == 0, {}, torch.nan)"
        whole = mean(call)
        yield (
            "gan_discriminator",
            call.format("prediction", "target"),
            f"{over(whole, real, 'ones')} + {over(whole, generated, 'zeros')}",
            None,
        )
        yield (
            "gan_generator",
            per_row.format(over(call, "prediction", "ones")),
            over(whole, generated, "ones"),
            generated_only,
        )
        yield (
            "gan_generator_saturating",
            per_row.format(f"-{over(call, 'prediction', 'zeros')}"),
            f"-{over(whole, generated, 'zeros')}",
            generated_only,
        )

    draw = Draw("gan")
    target = [1, 0, *draw.labels(12)]
    probabilities = {
        "random": pair(draw.probabilities(14), target),
        "two sizes": pair([0.9, 0.75, 0.25, 0.625, 0.5], [1, 1, 0, 0, 0]),
        "undecided": pair([0.5] * 4, [1, 1, 0, 0]),
    }
    scores = {
        "random": pair(draw.reals(14), target),
        "two sizes": pair([2.0, 1.0, -1.0, 0.5, 0.0], [1, 1, 0, 0, 0]),
        "extremes": pair([800.0, -800.0, 0.0, 800.0, -800.0, 0.0], [1, 1, 1, 0, 0, 0]),
    }
    for suffix, function, cases in (
        ("", "binary_cross_entropy", probabilities),
        ("_logits", "binary_cross_entropy_with_logits", scores),
    ):
        for loss, call, value_call, note in losses(f"{F}.{function}({{}}, {{}}, reduction='none')"):
            for name, columns in cases.items():
                yield Case(
                    f"{loss}{suffix}",
                    "torch",
                    call,
                    name,
                    columns,
                    value_call=value_call,
                    note=note,
                )

    certain = {
        "gan_discriminator": [0.0, 0.75, 1.0, 0.5, 0.25],
        "gan_generator": [1.0, 0.0, 0.0, 0.5, 0.25],
        "gan_generator_saturating": [1.0, 0.0, 1.0, 0.5, 0.25],
    }
    for loss, _, value_call, _ in losses("keras.ops.binary_crossentropy({1}, {0}).mean()"):
        for name, options in clipped():
            yield Case(
                loss,
                "keras",
                value_call,
                name,
                pair(certain[loss], [1, 1, 0, 0, 0]),
                wrt=(),
                note=CLIPPED_NOTE,
                gradient_note=CLIPPED_GRADIENT_NOTE,
                **options,
            )


def tensors(case: Case) -> dict[str, Any]:
    """Return the columns of a case as float64 tensors, those of `wrt` as leaves of a graph."""

    def tensor(role: str, values: Any) -> Any:
        if values and isinstance(values[0], list) and len({len(row) for row in values}) > 1:
            return [tensor(role, row) for row in values]
        return torch.tensor(values, dtype=torch.float64, requires_grad=role in case.wrt)

    return {role: tensor(role, values) for role, values in case.columns.items()}


def evaluate(call: str, roles: Mapping[str, Any]) -> Any:
    """Evaluate the recorded text itself, so that it cannot differ from what was run."""
    return eval(call, {**NAMESPACE, **roles})  # noqa: S307 (the text is in this file)


def gradient(case: Case) -> Gradient | None:
    """Return the derivative of the sum of the values, per role, or None where none is wanted."""
    if not case.wrt:
        return None
    roles = tensors(case)
    leaves = {
        role: roles[role] if isinstance(roles[role], list) else [roles[role]] for role in case.wrt
    }
    result = evaluate(case.call, roles)
    # The rows that take no part are NaN; their zeros in the gradient do not depend on it.
    result.nansum().backward()
    return {
        role: [leaf.grad for leaf in parts] if isinstance(roles[role], list) else parts[0].grad
        for role, parts in leaves.items()
    }


def ciou_gradients(case: Case) -> dict[str, Gradient | None]:
    """Return both derivatives of the complete IoU loss that are in use.

    Its authors and torchvision hold the factor alpha constant, under `torch.no_grad`. Suspending
    that gives the derivative of the loss as it stands, the one that differences would find.
    """
    constant = gradient(case)
    with mock.patch.object(torch, "no_grad", contextlib.nullcontext):
        return {"alpha constant": constant, "alpha differentiated": gradient(case)}


def plain(value: Any) -> Any:
    """Return tensors, fractions and non-finite numbers as what JSON can hold."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, Fraction):
        value = float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def record(case: Case) -> dict[str, Any]:
    """Ask the library and return the case with its answer."""
    keras.config.set_epsilon(EPS if case.keras_epsilon is None else case.keras_epsilon)
    result = plain(evaluate(case.call, tensors(case)))
    per_row = isinstance(result, list)
    value_call = case.value_call if per_row else case.call
    entry = {
        "loss": case.loss,
        "name": case.name,
        "library": case.library,
        "parameters": case.parameters,
        "call": case.call,
        "columns": plain(case.columns),
        "rows": result if per_row else None,
        "value": plain(evaluate(value_call, tensors(case))) if value_call else None,
    }
    if case.loss == "ciou" and case.wrt:
        entry["gradient"] = None
        entry["gradients"] = plain(ciou_gradients(case))
        entry["gradient_note"] = "the factor alpha of the aspect ratio is often held constant"
    else:
        entry["gradient"] = plain(gradient(case))
    for key in ("value_call", "keras_epsilon", "note", "gradient_note"):
        if getattr(case, key) is not None:
            entry[key] = getattr(case, key)
    return entry


def document(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the file's text: a key of a case per line, so that a change shows as what it is."""

    def compact(value: Any) -> str:
        return json.dumps(value, allow_nan=False, sort_keys=True)

    cases = ",\n".join(
        "{\n"
        + ",\n".join(f" {compact(key)}: {compact(entry[key])}" for key in sorted(entry))
        + "\n}"
        for entry in entries
    )
    # The part after the plus sign names a build, which does not change what is computed.
    versions = {name: importlib.metadata.version(name).split("+")[0] for name in LIBRARIES}
    return (
        f'{{"cases": [\n{cases}\n],\n'
        '"made_by": "tests/losses/recorded/record.py",\n'
        f'"versions": {compact(versions)}}}\n'
    )


def main() -> None:
    """Write ``values.json``."""
    keep_keras_in_float64()
    families = (regression, classification, detection, embedding, adversarial)
    cases = [case for family in families for case in family()]
    VALUES.write_text(document([record(case) for case in cases]), encoding="utf-8")


if __name__ == "__main__":
    main()
