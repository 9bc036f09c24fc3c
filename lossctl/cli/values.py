"""Values of options: what their texts mean, and which are refused."""

from __future__ import annotations

from typing import Any, get_args

from lossctl.errors import Gathered, UsageError


def one_of(name: str, value: str, choices: Any) -> Any:
    """Give the value of an option back when it is among the choices of a ``Literal``.

    Raises
    ------
    UsageError
        It is not.

    """
    allowed = get_args(choices)
    if value not in allowed:
        raise UsageError(f"{name} takes {' | '.join(allowed)}, not {value!r}")
    return value


def refuse(message: str) -> None:
    """Refuse a combination of options.

    Raises
    ------
    UsageError
        Always.

    """
    raise UsageError(message)


LEAST_MEMORY = 1_000_000
"""Bytes that ``--memory`` may be at least."""


def size(text: str) -> int:
    """Read a number of bytes, as in ``512MB`` and ``2GiB``.

    Raises
    ------
    UsageError
        The text is none, or less than a megabyte.

    """
    number = text.strip().lower().removesuffix("b")
    factor = 1
    for power, letter in enumerate("kmgt", start=1):
        for suffix, base in ((f"{letter}i", 1024), (letter, 1000)):
            if factor == 1 and number.endswith(suffix):
                number, factor = number.removesuffix(suffix), base**power
    try:
        found = float(number) * factor
    except ValueError:
        found = 0.0
    if not LEAST_MEMORY <= found < 2**63:
        raise UsageError(f"--memory takes a size from 1MB on, as in 512MB or 2GiB, not {text!r}")
    return int(found)


def folder(text: str | None) -> str | None:
    """Give the folder for temporary files back.

    Raises
    ------
    UsageError
        There is none.

    """
    import os

    if text is not None and not os.path.isdir(text):  # noqa: PTH112 - start-up
        raise UsageError(f"--temp-dir: there is no folder {text!r}")
    return text


def confidence(text: str) -> float | None:
    """Read the level of intervals; None for ``off``.

    Raises
    ------
    UsageError
        The text is neither ``off`` nor a number between 0 and 1.

    """
    if text == "off":
        return None
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0.0 < level < 1.0:
        raise UsageError(f"--ci takes a level between 0 and 1, as in 0.95, or off, not {text!r}")
    return level


def level(text: str) -> float:
    """Read the level of intervals that cannot be done without.

    Raises
    ------
    UsageError
        The text is no number between 0 and 1.

    """
    found = None if text == "off" else confidence(text)
    if found is None:
        raise UsageError("--ci takes a level between 0 and 1: a verdict needs one")
    return found


def shares(text: str | None) -> tuple[float, ...]:
    """Read quantiles.

    Raises
    ------
    UsageError
        One of them is no number between 0 and 1.

    """
    found = []
    for part in (text or "").split(",") if text else ():
        try:
            share = float(part)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"--quantiles takes numbers between 0 and 1, not {part!r}")
        found.append(share)
    return tuple(found)


def names(text: str | None) -> tuple[str, ...]:
    """Read names between commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def joined(texts: list[str] | None) -> tuple[str, ...]:
    """Read names between commas from several texts, each name once."""
    return tuple(dict.fromkeys(name for text in texts or () for name in names(text)))


def kept(texts: list[str] | None, top: int) -> tuple[str, ...]:
    """Read the columns to show of single rows.

    Raises
    ------
    UsageError
        No single rows are shown.

    """
    if texts and not top:
        raise UsageError("--keep shows columns of the rows that --top names", hint="add --top 10")
    return joined(texts)


def columns(pred: str | None, target: str | None, given: list[str] | None) -> dict[str, str]:
    """Join ``--pred``, ``--target`` and every ``--col`` into role to columns.

    Raises
    ------
    UsageError
        A ``--col`` is not of the form ROLE=COLUMNS, or a role is named twice.

    """
    wrong = Gathered()
    told = {k: v for k, v in (("prediction", pred), ("target", target)) if v is not None}
    for text in given or []:
        role, equals, names = text.partition("=")
        with wrong:
            if not (role and equals and names):
                message = f"--col takes ROLE=COLUMNS, not {text!r}"
                raise UsageError(message, hint="as in --col left=a,b")
            if told.setdefault(role, names) != names:
                raise UsageError(
                    f"the role {role!r} is given two columns: {told[role]} and {names}"
                )
    wrong.settle()
    return told
