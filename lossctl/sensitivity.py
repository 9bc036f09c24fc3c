"""Sensitivity: is it the model or three rows? What a value would be without the largest losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from lossctl.losses import Spec
from lossctl.results import Clip, Part, Sensitivity
from lossctl.stats.buckets import RELATIVE_ERROR, Bin
from lossctl.stats.moments import Summary
from lossctl.stats.tally import KINDS, Tally

MOST = 100
"""So many of the largest losses are known one by one; of more rows the buckets tell."""
TOP = 10
SHARE = Fraction(1, 1000)
CLIPS = (2.0**-52, 1e-15, 1e-7, 2.0**-23)
"""Clips of log losses in use: steps of doubles and singles, scikit-learn's old one, Keras'."""


def variants_of(spec: Spec) -> tuple[Spec, ...]:
    """Give a log loss at each of the usual clips; none for other losses."""
    name = spec.loss.clipped
    if name is None:
        return ()
    return tuple(Spec(spec.loss, {**spec.parameters, name: eps}) for eps in CLIPS)


def sensitivity_of(
    spec: Spec, tally: Tally, group: int, clips: Sequence[tuple[Spec, Tally]]
) -> Sensitivity:
    """Say what the largest losses and the clip do to a value.

    ``clips`` are the same loss at other clips. A loss that is not a mean of its rows has no parts,
    and neither has one with an infinite row.
    """
    summary = tally.moments.summary(group)
    odd = any(tally.rows_of(kind, group).count for kind in KINDS if kind != "clipped")
    single = spec.loss.finish.components == 1
    parts = tuple(_parts(spec, tally, group, summary)) if single and not odd else ()
    return Sensitivity(parts, tuple(_clip(other, its, group) for other, its in clips))


def _clip(spec: Spec, tally: Tally, group: int) -> Clip:
    """Give the value at one clip; None where a row is infinite or there is none."""
    means = tally.moments.summary(group).means
    odd = any(tally.rows_of(kind, group).count for kind in KINDS if kind != "clipped")
    value = None if odd or means is None else spec.loss.finish.value(means)
    eps = spec.parameters[spec.loss.clipped or ""]
    clipped = tally.rows_of("clipped", group).count
    return Clip(eps, None if value is None else float(value), clipped)


def _parts(spec: Spec, tally: Tally, group: int, summary: Summary) -> Iterator[Part]:
    for what, rows in (
        (f"top {TOP} rows", min(TOP, summary.rows)),
        ("top 0.1 %", math.ceil(SHARE * summary.rows)),
    ):
        removed, error = _largest(tally, group, rows)
        yield _part(spec, summary, tally, group, what, rows, removed, error)
    clipped = tally.rows_of("clipped", group).count
    if clipped:
        removed = tally.clipped_sum.fraction(group)
        yield _part(spec, summary, tally, group, "clipped rows", clipped, removed, Fraction(0))


def _part(
    spec: Spec,
    summary: Summary,
    tally: Tally,
    group: int,
    what: str,
    rows: int,
    removed: Fraction,
    error: Fraction,
) -> Part:
    total, left = summary.sums[0], summary.rows - rows
    rest = total - removed
    if tally.low[group] >= 0.0:  # an estimate may take away more than there is
        rest = max(rest, Fraction(0))
    value = spec.loss.finish.value([rest / left]) if left else None
    return Part(
        rows=what,
        n=rows,
        share=float(removed / total) if total else None,
        share_error=float(error / abs(total)) if total else None,
        value=None if value is None else float(value),
    )


def _largest(tally: Tally, group: int, rows: int) -> tuple[Fraction, Fraction]:
    """Add up the largest losses, and give a bound on the error of the sum; 0 where it is exact."""
    kept = tally.worst.kept[group] if tally.worst else []
    if rows <= min(len(kept), MOST):
        return sum((Fraction(one.value) for one in kept[:rows]), Fraction(0)), Fraction(0)
    bins = tally.buckets.bins(group) if tally.buckets else []
    signed = tally.worst is not None and tally.worst.order == "largest_absolute"
    total, size, left = Fraction(0), Fraction(0), rows
    for bin_ in sorted(bins, key=_size if signed else _middle, reverse=True):
        count = min(left, bin_.count)
        total += count * Fraction(_middle(bin_))
        size += count * abs(Fraction(_middle(bin_)))
        left -= count
        if not left:
            break
    return total, size * Fraction(RELATIVE_ERROR) / (1 - Fraction(RELATIVE_ERROR))


def _middle(bin_: Bin) -> float:
    return 0.5 * bin_.low + 0.5 * bin_.high


def _size(bin_: Bin) -> float:
    return abs(_middle(bin_))
