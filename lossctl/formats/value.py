"""The bare numbers, one a line in the order asked for: for ``$(...)``."""

from __future__ import annotations

from lossctl.errors import LossctlError
from lossctl.formats import Style
from lossctl.report import Report


class UndefinedError(LossctlError):
    """A loss has no value, and a bare number could not say so."""

    slug = "undefined"


def render(report: Report, style: Style) -> str:
    """Give each value with all its digits; an infinite one as ``inf``.

    Raises
    ------
    UndefinedError
        A value is undefined.

    """
    del style
    lines = []
    for result in report.results:
        value = result.value if result.limit is None else result.limit
        if value is None:
            raise UndefinedError(f"{result.loss} is undefined: {result.reason}")
        lines.append(f"{value!r}\n")
    return "".join(lines)
