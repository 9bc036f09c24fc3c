"""Calling a loss on plain arrays: everything that files are checked for is checked here as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import DomainError
from lossctl.losses._domains import Array, Ragged, Sizes

if TYPE_CHECKING:
    from lossctl.losses._declare import Loss, Role


def columns_of(loss: Loss, given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Give each role's column as an array.

    Raises
    ------
    TypeError
        There are more columns than roles, or a role has none.
    DomainError
        The columns do not have the shapes that the roles ask for.

    """
    names = [role.name for role in loss.roles]
    if len(given) > len(names):
        raise TypeError(f"{loss.name} takes {', '.join(names)}, not {len(given)} columns")
    told = dict(zip(names, given, strict=False)) | dict(named)
    if lacking := [r.name for r in loss.roles if r.name not in told and r.default is None]:
        raise TypeError(f"{loss.name} lacks {', '.join(lacking)}")
    columns = {name: _as_values(value) for name, value in told.items()}
    for role in loss.roles:
        if role.name in columns:
            _check_shape(loss, role, columns[role.name])
    rows = {name: _rows(column) for name, column in columns.items()}
    if len(set(rows.values())) > 1:
        raise DomainError(f"{loss.name}: the columns differ in their number of rows: {rows}")
    return columns


def widths(loss: Loss, columns: Mapping[str, Any]) -> Sizes:
    """Give the width behind each size letter of the roles that hold vectors.

    Raises
    ------
    DomainError
        Two roles of one letter differ in width.

    """
    found: dict[str, tuple[str, int]] = {}
    for role in loss.roles:
        column = columns.get(role.name)
        if isinstance(column, np.ndarray) and column.ndim == 2:
            width = column.shape[1]
            other, known = found.setdefault(role.domain.size, (role.name, width))
            if known != width:
                raise DomainError(
                    f"{loss.name}: {other} has {known} values a row, {role.name} has {width}"
                )
    return {letter: width for letter, (_, width) in found.items()}


def check_lengths(loss: Loss, columns: Mapping[str, Any]) -> None:
    """Refuse ragged roles of one size letter whose rows differ in length.

    Raises
    ------
    DomainError
        They do.

    """
    first: dict[str, str] = {}
    for role in (role for role in loss.roles if role.domain.ragged):
        other = first.setdefault(role.domain.size, role.name)
        differ = np.flatnonzero(columns[other].lengths != columns[role.name].lengths)
        if len(differ):
            raise DomainError(
                f"{loss.name}: {other} and {role.name} differ in length (row {differ[0]})"
            )


def _as_values(value: Any) -> Array | Ragged:
    if isinstance(value, Ragged):
        return value
    return np.ascontiguousarray(value, dtype=np.float64)


def _rows(column: Any) -> int:
    return len(column.lengths) if isinstance(column, Ragged) else len(column)


def _check_shape(loss: Loss, role: Role, column: Any) -> None:
    domain = role.domain
    if domain.ragged != isinstance(column, Ragged):
        needed = "a Ragged of values and offsets" if domain.ragged else "an array"
        raise DomainError(f"{loss.name}: {role.name} must be {needed}")
    if domain.ragged:
        return
    allowed = (1, 2) if role.name == "target" and domain.size == "K" else (2 if domain.size else 1,)
    fixed = domain.size.isdigit() and column.ndim == 2 and column.shape[1] != int(domain.size)
    if np.ndim(column) not in allowed or fixed:
        wanted = f"(rows, {domain.size})" if domain.size else "(rows,)"
        raise DomainError(
            f"{loss.name}: {role.name} must have the shape {wanted}, not {np.shape(column)}"
        )
