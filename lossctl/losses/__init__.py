"""The catalogue: importing this package imports every family, and each loss registers itself."""

from __future__ import annotations

import importlib
import pkgutil

from lossctl.losses._declare import REGISTRY, Loss, Parameter, Role, gradient, loss
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
    "find",
    "gradient",
    "loss",
    "parse",
]
