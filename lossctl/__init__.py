"""Exact losses of prediction files: the command ``lossctl`` and its Python core."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl import losses
    from lossctl.api import compare, evaluate, score
    from lossctl.compare import Method
    from lossctl.errors import LossctlError
    from lossctl.report import Report

__version__ = "0.1.0"
__all__ = ["LossctlError", "Method", "Report", "compare", "evaluate", "losses", "score"]

_HOMES = {
    "LossctlError": "lossctl.errors",
    "Method": "lossctl.compare",
    "Report": "lossctl.report",
    "compare": "lossctl.api",
    "evaluate": "lossctl.api",
    "score": "lossctl.api",
}
"""Where the names of the Python API are defined; each is imported when it is first used."""


def __getattr__(name: str) -> Any:
    """Import a name of the API; the command starts without NumPy for as long as it can."""
    if name == "losses":
        return importlib.import_module("lossctl.losses")
    if name not in _HOMES:
        raise AttributeError(f"module 'lossctl' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what there is, imported or not."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package: its module ``evaluate`` does not hide the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
