"""The catalogue: importing this package imports every family, and each loss registers itself.

Each loss is a function of arrays too, under its name and its aliases, as in ``losses.mse(p, t)``:
it checks the values and gives the loss of every row.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

from lossctl.errors import SpecError
from lossctl.losses._declare import REGISTRY, Loss, Parameter, Role, curvature, gradient, loss
from lossctl.losses._domains import Domain, Ragged
from lossctl.losses._spec import Spec, find, parse

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "REGISTRY",
    "Domain",
    "Loss",
    "Parameter",
    "Ragged",
    "Role",
    "Spec",
    "curvature",
    "find",
    "gradient",
    "loss",
    "parse",
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
