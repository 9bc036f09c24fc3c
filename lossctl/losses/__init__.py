"""The catalogue: importing this package imports every family and registers its losses.

Each loss is a function of arrays too, under its name and its aliases, as in ``losses.mse(p, t)``:
it checks the values and gives the loss of every row. What a file of custom losses needs is here as
well: `loss` and `gradient`, the domains of roles, the ranges of parameters, and the finishes.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

from lossctl.errors import SpecError
from lossctl.losses._declare import (
    REGISTRY,
    Direction,
    Loss,
    Parameter,
    Role,
    curvature,
    gradient,
    loss,
    register,
)
from lossctl.losses._domains import (
    FINITE,
    AboveMinusOne,
    Array,
    Binary,
    Bounded,
    Box,
    Classes,
    ClassLabel,
    ClassTarget,
    Domain,
    HardMask,
    Interval,
    NegativeScores,
    NonZero,
    PlusMinus,
    PositiveScores,
    Probabilities,
    Probability,
    Ragged,
    Real,
    Score,
    Scores,
    Sign,
    Simplex,
    SoftBinary,
    SoftMask,
    Vector,
)
from lossctl.losses._finish import MEAN, RATIO, ROOT, SUM_OF_RATIOS, Finish
from lossctl.losses._packages import Installed, installed
from lossctl.losses._spec import Spec, find, parse

for _entry in pkgutil.iter_modules(__path__):
    if not _entry.name.startswith("_"):
        _module = importlib.import_module(f"{__name__}.{_entry.name}")
        for _each in list(vars(_module).values()):
            if isinstance(_each, Loss) and _each.kernel.__module__ == _module.__name__:
                register(_each)

__all__ = [
    "FINITE",
    "MEAN",
    "RATIO",
    "REGISTRY",
    "ROOT",
    "SUM_OF_RATIOS",
    "AboveMinusOne",
    "Array",
    "Binary",
    "Bounded",
    "Box",
    "ClassLabel",
    "ClassTarget",
    "Classes",
    "Direction",
    "Domain",
    "Finish",
    "HardMask",
    "Installed",
    "Interval",
    "Loss",
    "NegativeScores",
    "NonZero",
    "Parameter",
    "PlusMinus",
    "PositiveScores",
    "Probabilities",
    "Probability",
    "Ragged",
    "Real",
    "Role",
    "Score",
    "Scores",
    "Sign",
    "Simplex",
    "SoftBinary",
    "SoftMask",
    "Spec",
    "Vector",
    "curvature",
    "find",
    "gradient",
    "installed",
    "loss",
    "parse",
    "register",
]


def __getattr__(name: str) -> Loss:
    """Give a loss by its name or an alias."""
    if not name.startswith("_"):
        with contextlib.suppress(SpecError):
            return find(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what there is, the losses included."""
    return sorted({*globals(), *REGISTRY})
