"""Checks: what is limited, where, by how much, and whether an interval decides."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from lossctl.errors import UsageError, did_you_mean
from lossctl.losses import Spec, parse
from lossctl.record import record

Decide = Literal["interval", "point"]
Slice = Mapping[str, str]

LOSS_KINDS = ("max", "min", "max_increase", "max_relative_increase")
"""Limits on the value of a loss; ``max_p99`` and its like limit a quantile of the rows' losses."""
CHANGES = ("max_increase", "max_relative_increase")
ROW_KINDS = ("min_rows", "max_null_rate", "min_match_rate", "require_slices")
"""Conditions under which a number means anything: what breaks them could not be measured."""
LOWER_BOUNDS = ("min", "min_rows", "min_match_rate")
SHARES = ("max_null_rate", "min_match_rate")
PERCENT = ("max_relative_increase", *SHARES)
"""Limits that may be written in percent."""
QUANTILE = re.compile(r"max_p(\d{1,2}(?:\.\d+)?|100)")


@record
class Check:
    """One limit."""

    kind: str
    limit: float | None = None
    """None only where slices are required."""
    loss: str | None = None
    """The canonical spec; None for a check of the rows."""
    slice: Slice | Literal["all"] = field(default_factory=dict)
    """The slice by column and value, the whole for an empty one, or all of them but the whole."""
    decide: Decide | None = None
    """None for the interval, unless the run says something else."""
    level: float | None = None
    """Level of the interval; None for that of the report."""
    absolute: float | None = None
    """Limit on the change itself, used where the baseline is 0 and has no relative change."""
    name: str = ""

    @property
    def share(self) -> float | None:
        """Which quantile is limited, if one is."""
        found = QUANTILE.fullmatch(self.kind)
        # 99.9 / 100 is not the double that 0.999 is.
        return None if found is None else float(f"{float(found[1]):.12g}e-2")

    @property
    def by_interval(self) -> bool:
        """Whether an interval decides: only values of losses have one."""
        return self.decide != "point" and self.kind in LOSS_KINDS

    @property
    def title(self) -> str:
        """The name, or what the check is, as in ``max rmse``."""
        return self.name or " ".join(filter(None, (self.kind, self.loss)))


def is_kind(word: str) -> bool:
    """Tell whether a word names a limit."""
    return word in (*LOSS_KINDS, *ROW_KINDS) or QUANTILE.fullmatch(word) is not None


def takes_loss(kind: str) -> bool:
    """Tell whether a limit is one on a loss."""
    return kind not in ROW_KINDS


def read_limit(kind: str, text: str) -> float:
    """Read a limit; some may be written in percent.

    Raises
    ------
    UsageError
        It is no finite number, or not one that the limit can take.

    """
    digits, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        value = float(digits)
    except ValueError:
        raise UsageError(f"{kind} takes a number, not {text!r}") from None
    if percent and kind not in PERCENT:
        raise UsageError(f"{kind} takes a number, not a percentage ({text!r})")
    return check_limit(kind, value / 100 if percent else value)


def check_limit(kind: str, value: float) -> float:
    """Give a limit back if it is one.

    Raises
    ------
    UsageError
        It is not finite, or not one that the limit can take.

    """
    if not abs(value) <= sys.float_info.max:  # nor is a whole number beyond every double
        shown = value if isinstance(value, float) else "one beyond the largest double"
        raise UsageError(f"{kind} takes a finite number, not {shown}")
    if kind in SHARES and not 0.0 <= value <= 1.0:
        raise UsageError(f"{kind} takes a share between 0 and 1, not {value:g}")
    if kind == "min_rows" and not (value >= 1 and value == int(value)):
        raise UsageError(f"min_rows takes a whole number of rows, not {value:g}")
    return float(value)


def read_inline(kind: str, text: str, specs: Sequence[Spec]) -> Check:
    """Read a limit as it is written on the command line: ``LOSS=X``, or ``X`` for the only loss.

    Raises
    ------
    UsageError
        There is no such loss in the run, or the limit is no finite number.

    """
    spec, _, limit = text.rpartition("=")
    return Check(kind, read_limit(kind, limit), find_loss(kind, spec or None, specs))


def find_loss(kind: str, spec: str | None, specs: Sequence[Spec]) -> str:
    """Give the label of the loss that a limit is on; without a name, the only one of the run.

    Raises
    ------
    UsageError
        There is no such loss in the run.

    """
    known = [one.label for one in specs]
    if spec is None:
        if len(known) == 1:
            return known[0]
        raise UsageError(f"{kind} does not say on which loss", hint=f"one of {', '.join(known)}")
    (named, *more) = parse([spec])
    if more:
        raise UsageError(f"{kind} is on one loss, not on {spec}")
    if named.label not in known:
        hint = did_you_mean(named.label, known) or f"the run measures {', '.join(known)}"
        raise UsageError(f"{kind} is on {named.label}, which is not measured", hint=hint)
    if kind in CHANGES and named.loss.direction == "zero_is_best":
        hint = "zero is its best value, so give max and min instead"
        raise UsageError(f"{kind}: an increase of {named.label} is neither good nor bad", hint=hint)
    return named.label


def distinct(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Number the names of checks that would else share one on the same slice."""
    counts: dict[str, int] = {}
    found = []
    for check in checks:
        key = f"{check.title} {check.slice}"
        counts[key] = counts.get(key, 0) + 1
        name = check.title if counts[key] == 1 else f"{check.title} ({counts[key]})"
        found.append(replace(check, name=name))
    return tuple(found)
