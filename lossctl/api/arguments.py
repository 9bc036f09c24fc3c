"""Arguments: what the functions of the API are given, checked and put in terms of the core."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, get_args

import numpy as np

from lossctl.checks import Nonfinite
from lossctl.compare import Correction, Method, Test
from lossctl.data.binding import Choices
from lossctl.data.columns import check_named
from lossctl.data.derived import column_of, parse_slicing
from lossctl.data.keys import find_keys
from lossctl.data.memory import hold
from lossctl.data.reading import Missing, Nulls
from lossctl.data.source import Source, open_source
from lossctl.engines.local import usable_cores
from lossctl.errors import Gathered, UsageError
from lossctl.losses import Loss, Spec, parse
from lossctl.plan import Policies
from lossctl.score import Emit

Rows: TypeAlias = Any
"""A path, a table of pandas, polars, Arrow or any library that speaks the Arrow C stream
interface, a mapping of names to arrays, or the array of a single column."""
Losses: TypeAlias = str | Loss | Spec | Sequence[str | Loss | Spec]
"""Specs as texts, losses with their default parameters, or several of them."""
Names: TypeAlias = str | Sequence[str]

# Single values ------------------------------------------------------------------------------------


def column(name: str, value: Any) -> str | None:
    """Give the name of a column back.

    Raises
    ------
    UsageError
        It is none.

    """
    if value is None or isinstance(value, str):
        return value
    raise _wrong(name, "the name of a column", value, hint=AS_COLUMN)


AS_COLUMN = "values go into a table as a column, which is then named"


def names_of(name: str, value: Any) -> tuple[str, ...]:
    """Give names of columns: none, one or several.

    Raises
    ------
    UsageError
        There is something else among them.

    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    names = _several(value)
    if names is None:
        raise _wrong(name, "names of columns", value, hint=AS_COLUMN)
    for each in names:
        if not isinstance(each, str):
            odd = each if isinstance(value, list | tuple) else value
            raise _wrong(name, "names of columns", odd, hint=AS_COLUMN)
    return names


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.strip()
    raise _wrong(name, "a filter as text", value, hint="as in where=\"region == 'eu'\"")


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise _wrong(name, "True or False", value)


def _whole(least: int, name: str, value: Any) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise _wrong(name, f"a whole number, {least} or more", value)


def _whole_or_none(least: int, name: str, value: Any) -> int | None:
    return None if value is None else _whole(least, name, value)


def _jobs(name: str, value: Any) -> int:
    return usable_cores() if value is None else _whole(1, name, value)


def _share(name: str, value: Any, *, what: str = "a number between 0 and 1") -> float:
    if isinstance(value, int | float | np.integer | np.floating) and 0.0 <= value <= 1.0:
        return float(value)
    raise _wrong(name, what, value)


def _level(name: str, value: Any, *, what: str = "a level between 0 and 1") -> float:
    if (level := _share(name, value, what=what)) in (0.0, 1.0):
        raise _wrong(name, what, value)
    return level


def _ci(name: str, value: Any) -> float | None:
    what = "a level between 0 and 1, or None"
    return None if value is None else _level(name, value, what=what)


def _shares(name: str, value: Any) -> tuple[float, ...]:
    what = "numbers between 0 and 1"
    shares = _several(value)
    if shares is None:
        raise _wrong(name, what, value)
    return tuple(_share(name, share, what=what) for share in shares)


def _word(known: Any, name: str, value: Any) -> str:
    if isinstance(value, str) and value in get_args(known):
        return value
    raise _wrong(name, " | ".join(get_args(known)), value)


def _several(value: Any) -> tuple[Any, ...] | None:
    """Give the parts of a value; None where it has none."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return None
    return tuple(value)


def _wrong(name: str, what: str, value: Any, hint: str = "") -> UsageError:
    """Say what an argument takes and what it was given; of arrays and tables only the type."""
    plain = value is None or isinstance(value, str | bytes | int | float)
    shown = repr(value) if plain else f"a value of the type {type(value).__name__}"
    return UsageError(f"{name} takes {what}, not {shown}", hint=hint)


# What the core works with -------------------------------------------------------------------------

Readers: TypeAlias = Mapping[str, Callable[[str, Any], Any]]

POLICIES: Readers = {
    "nulls": partial(_word, Nulls),
    "nonfinite": partial(_word, Nonfinite),
    "ci": _ci,
    "quantiles": _shares,
    "histogram": _flag,
    "top": partial(_whole, 0),
    "keep": names_of,
    "keys": names_of,
    "missing": partial(_word, Missing),
    "min_match_rate": _share,
    "weight": column,
    "where": _text,
    "jobs": _jobs,
    "chunk_rows": partial(_whole_or_none, 1),
}
"""How each argument is read that becomes a policy."""
METHOD: Readers = {
    "level": _level,
    "correction": partial(_word, Correction),
    "test": partial(_word, Test),
    "cluster": column,
    "time": column,
    "block_length": partial(_whole, 0),
    "resamples": partial(_whole, 0),
    "seed": partial(_whole, 0),
    "explain": names_of,
    "top": partial(_whole_or_none, 1),
}
"""How each part of a method is read."""


def _read(wrong: Gathered, readers: Readers, told: Mapping[str, Any]) -> dict[str, Any]:
    """Read what can be read; what is wrong is gathered."""
    found = {}
    for name, value in told.items():
        with wrong:
            found[name] = readers[name]("key" if name == "keys" else name, value)
    return found


def read_policies(wrong: Gathered, **told: Any) -> Policies:
    """Read the arguments that say what to do with rows; what is wrong is gathered."""
    return Policies(**_read(wrong, POLICIES, told))


def read_choices(
    wrong: Gathered, columns: Mapping[str, Names] | None, positive: Any, classes: Sequence[Any]
) -> Choices:
    """Read which columns and labels are meant; what is wrong is gathered."""
    told: dict[str, str] = {}
    with wrong:
        if not (columns is None or isinstance(columns, Mapping)):
            hint = 'as in columns={"prediction": "yhat"}'
            raise _wrong("columns", "roles and their columns", columns, hint=hint)
        for role, names in (columns or {}).items():
            told[str(role)] = ",".join(names_of(f"columns[{role!r}]", names))
    labels: tuple[Any, ...] = ()
    with wrong:
        if _several(positive) is not None:
            raise _wrong("positive", "a label", positive)
        found = _several(classes)
        if found is None:
            raise _wrong("classes", "several labels", classes, hint='as in classes=["a", "b"]')
        labels = found
    return Choices(told, None if positive is None else str(positive), tuple(map(str, labels)))


def read_emit(emit: Any) -> tuple[Emit, ...]:
    """Read what to give of each loss.

    Raises
    ------
    UsageError, SeveralErrors
        It is none of the words.

    """
    wrong = Gathered()
    several = _several(emit)
    told = (emit,) if several is None else several
    found = tuple(wrong.of(_word, Emit, "emit", what) for what in told)
    wrong.settle()
    return found


def read_method(method: Any, weight: str | None) -> Method:
    """Give the method back, or the usual one.

    Raises
    ------
    UsageError, SeveralErrors
        It is no method, or its parts do not go together.

    """
    if method is None:
        return Method()
    if not isinstance(method, Method):
        raise _wrong("method", "a lossctl.Method", method)
    wrong = Gathered()
    told = {name: getattr(method, name) for name in METHOD}
    found = Method(**_read(wrong, METHOD, told))
    wrong.settle()
    found.check(weight)
    return found


def open_both(wrong: Gathered, predictions: Rows, targets: Rows | None) -> list[Source]:
    """Open the predictions, and the targets where they are apart; what is wrong is gathered."""
    sources = [wrong.of(source_of, predictions, "prediction")]
    if targets is not None:
        sources.append(wrong.of(source_of, targets, "target"))
    return sources


def source_of(rows: Rows, role: str, name: str | None = None) -> Source:
    """Open a path, or hold what is in memory; ``role`` names the column of a single array.

    Raises
    ------
    UsageError, InputError
        It holds no rows, or rows that cannot be read.

    """
    if isinstance(rows, str | os.PathLike):
        return open_source(os.fspath(rows))
    return hold(rows, name or f"{role}s", role)


def settle(
    wrong: Gathered,
    sources: Sequence[Source],
    losses: Losses,
    choices: Choices,
    policies: Policies,
    *,
    by: str | Sequence[Names] | None = None,
    further: Sequence[str] = (),
) -> tuple[list[Spec], Policies]:
    """Read losses and slicings and check all names of columns.

    Raises
    ------
    LossctlError
        All that is wrong, along with what is gathered in ``wrong`` already.

    """
    specs = wrong.of(_specs_of, losses)
    slicings = wrong.of(_slicings_of, by) or ()
    if sources and all(sources):
        wrong.of(find_keys, sources, policies.keys)
        found: list[tuple[str, ...]] = []
        with wrong:
            for names in slicings:
                parts = (parse_slicing(name, sources) for name in names)
                found.append(tuple(part for each in parts for part in each))
        policies = replace(policies, by=tuple(found))
        weights = [] if policies.weight is None else [policies.weight]
        sliced = map(column_of, policies.sliced)
        told = choices.columns.values()
        wrong.of(check_named, sources, [*told, *sliced, *policies.keep, *weights, *further])
    wrong.settle()
    return specs, policies


def _specs_of(losses: Losses) -> list[Spec]:
    """Give the specs that are meant by texts and losses, each once."""
    one = isinstance(losses, str | Loss | Spec)
    several = (losses,) if one else _several(losses)
    kinds = str | Loss | Spec
    if several is None or not all(isinstance(each, kinds) for each in several):
        hint = 'as in losses=["rmse", "huber:delta=1.5"]'
        raise _wrong("losses", "specs and losses", losses, hint=hint)
    wrong = Gathered()
    found: dict[str, Spec] = {}
    for each in several:
        with wrong:
            if isinstance(each, Spec):
                specs = [each]
            elif isinstance(each, Loss):
                specs = [Spec(each, each.defaults())]
            else:
                specs = parse([each])
            found |= {spec.full: spec for spec in specs}
    if not several:
        wrong.errors.append(UsageError("there is no loss to evaluate"))
    wrong.settle()
    return list(found.values())


def _slicings_of(by: Any) -> tuple[tuple[str, ...], ...]:
    """Give the columns of each slicing: one name, or several to be crossed."""
    if by is None or isinstance(by, str):
        return () if by is None else ((by,),)
    several = _several(by)
    if several is None or not all(isinstance(each, str | list | tuple) for each in several):
        hint = 'as in by="a", by=["a", "b"] for two slicings, by=[("a", "b")] for a crossed one'
        raise _wrong("by", "names of columns", by, hint=hint)
    return tuple(names_of("by", each) for each in several)
