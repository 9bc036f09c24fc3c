"""The bare numbers, one a line in the order asked for: for ``$(...)``."""

from __future__ import annotations

from lossctl.comparison import Comparison
from lossctl.errors import LossctlError
from lossctl.formats import Document, Style


class UndefinedError(LossctlError):
    """A loss has no value, and a bare number could not say so."""

    slug = "undefined"


def render(report: Document, style: Style) -> str:
    """Give each value, or difference, with all its digits; an infinite one as ``inf``.

    Where the worst rows are the result, the numbers are their losses, the worst first.

    Raises
    ------
    UndefinedError
        A value is undefined.

    """
    lines = []
    if isinstance(report, Comparison):
        for difference in report.results:
            if difference.difference is None:
                why = f"{difference.loss} of {difference.candidate}: {difference.reason}"
                raise UndefinedError(why)
            lines.append(f"{difference.difference!r}\n")
        return "".join(lines)
    if style.worst:
        rows = (row for result in report.results for row in result.worst or ())
        return "".join(f"{row.loss!r}\n" for row in rows)
    for result in report.results:
        value = result.value if result.limit is None else result.limit
        if value is None:
            raise UndefinedError(f"{result.loss} is undefined: {result.reason}")
        lines.append(f"{value!r}\n")
    return "".join(lines)
