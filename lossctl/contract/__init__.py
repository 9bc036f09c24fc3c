"""The contract of a loss: checks that follow from its declaration, for anyone's losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from lossctl.contract.cases import SIZES, Case, cases, notable_specs, take_rows
from lossctl.contract.checks import CHECKS, Broken
from lossctl.errors import LossctlError
from lossctl.losses import Loss
from lossctl.record import record

__all__ = ["CHECKS", "SIZES", "Case", "Verdict", "cases", "check", "notable_specs", "take_rows"]


@record
class Verdict:
    """What a check has found."""

    check: str
    fault: str | None
    """None where the loss keeps the promise."""


def check(loss: Loss) -> list[Verdict]:
    """Put a loss through every check, over all of its cases, and say what is broken."""
    return [Verdict(_name(each), _fault(each, loss)) for each in CHECKS]


def _name(function: Callable[[Case], None]) -> str:
    return (function.__doc__ or "").strip().rstrip(".")


def _fault(function: Callable[[Case], None], loss: Loss) -> str | None:
    for case in cases(loss):
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(case)
        except Broken as broken:
            return f"{case.spec.label} {broken}"
        except LossctlError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - whatever the code of a loss raises
            return f"{case.spec.label} fails ({type(error).__name__}: {error})"
    return None
