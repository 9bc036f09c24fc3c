"""The promises of a declaration, each as a check.

Each takes a `Case`, a loss with parameters and the means to draw valid columns for it, and raises
`Broken` with the fault in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lossctl.contract.cases import (
    ROWS,
    SIZES,
    Array,
    Case,
    Columns,
    bits,
    joined,
    notable_specs,
    parts_of,
    take,
    take_rows,
)
from lossctl.contract.slopes import Mask, bends, differences
from lossctl.errors import DomainError, SpecError
from lossctl.losses import Parameter

SMOOTH = 0.6
"""Share of the coordinates that must be free of kinks for a gradient to be judged."""


class Broken(Exception):  # noqa: N818 - what has become of the contract
    """A loss does not keep a promise of its declaration."""


def gives_numbers(case: Case) -> None:
    """One number in double precision for every row and component, and never a NaN."""
    count = case.loss.finish.components
    for sizes in SIZES:
        result = case.loss.kernel(**case.draw(ROWS, sizes), **case.spec.parameters)
        shape = (ROWS,) if count == 1 else (count, ROWS)
        _expect(result.dtype == np.float64, f"gives {result.dtype}, not float64")
        _expect(result.shape == shape, f"gives the shape {result.shape}, not {shape}")
        _expect(not np.isnan(result).any(), "gives NaN on values of its domain")
        shown = case.loss.finish.row(result)
        _expect(shown.shape == (ROWS,), f"shows the shape {shown.shape}, not {(ROWS,)}")


def is_finite(case: Case) -> None:
    """Finite on the whole domain at the default parameters."""
    if case.spec.parameters == case.loss.defaults():
        for sizes in SIZES:
            infinite = np.flatnonzero(~np.isfinite(case.rows(columns := case.draw(ROWS, sizes))))
            if len(infinite):
                raise Broken(f"is not finite at {_row(columns, int(infinite[0]))}")


def a_call_gives_the_rows(case: Case) -> None:
    """Valid columns pass the domain checks, by position and by name."""
    columns = case.draw()
    expected = bits(case.rows(columns))
    by_name = bits(case.loss(**columns, **case.spec.parameters))
    by_position = bits(case.loss(*columns.values(), **case.spec.parameters))
    _expect(by_name == expected, "a call gives other rows than the kernel")
    _expect(by_position == expected, "a call by position gives other rows than one by name")


def is_pure(case: Case) -> None:
    """A call leaves its inputs alone, and a second call gives the same bits."""
    columns = case.draw()
    before = {role: bits(*parts_of(values)) for role, values in columns.items()}

    def outcome() -> list[bytes]:
        return bits(case.components(columns), *case.derivatives(columns).values())

    first = outcome()
    for role, values in columns.items():
        _expect(bits(*parts_of(values)) == before[role], f"writes to its input {role!r}")
    _expect(outcome() == first, "gives other numbers when it is called again")


def rows_stand_alone(case: Case) -> None:
    """The bits of a row are the same alone, among seven, among all and in any order."""
    order = np.random.default_rng(7).permutation(ROWS)
    for sizes in SIZES:
        columns = case.draw(ROWS, sizes)
        whole = case.components(columns)
        for rows in (1, 7):
            chunks = np.split(np.arange(ROWS), range(rows, ROWS, rows))
            parts = [case.components(take_rows(columns, chunk)) for chunk in chunks]
            _same(np.concatenate(parts, axis=1), whole, f"in chunks of {rows}", columns)
        _same(case.components(take_rows(columns, order)), whole[:, order], "in another order", None)


def derivatives_stand_alone(case: Case) -> None:
    """The derivatives of a row, too, are the same bits alone, among seven and among all."""
    for sizes in SIZES:
        columns = case.draw(ROWS, sizes)
        whole = case.derivatives(columns)
        for rows in (1, 7):
            chunks = np.split(np.arange(ROWS), range(rows, ROWS, rows))
            parts = [case.derivatives(take_rows(columns, chunk)) for chunk in chunks]
            for name, values in whole.items():
                joined_parts = np.concatenate([part[name] for part in parts])
                told = f"the {name} of a row depends on the rows around it"
                _expect(bits(joined_parts) == bits(values), told)


def takes_an_empty_chunk(case: Case) -> None:
    """Kernel and derivatives take the chunk that is left when all of its rows are dropped."""
    nothing = take_rows(case.draw(3), np.zeros(0, dtype=np.intp))
    _expect(case.rows(nothing).shape == (0,), "gives rows for a chunk without any")
    for name, values in case.derivatives(nothing).items():
        _expect(len(values) == 0, f"the {name} gives rows for a chunk without any")


def is_symmetric_as_declared(case: Case) -> None:
    """Swapping the first two roles changes no row of a symmetric loss and some of any other."""
    loss = case.loss
    if case.spec.parameters != loss.defaults():  # judged over all parameters at once
        return
    roles = loss.roles[:2]
    if len(roles) < 2 or roles[0].domain != roles[1].domain:
        _expect(not loss.symmetric, "is declared symmetric, but its first roles differ")
        return
    first, second = (role.name for role in roles)
    columns = Case(case.spec).draw()
    swapped = columns | {first: columns[second], second: columns[first]}
    each = [Case(spec) for spec in notable_specs(loss)]
    same = all(np.array_equal(other.rows(columns), other.rows(swapped)) for other in each)
    _expect(same or not loss.symmetric, "is declared symmetric, but is not")
    _expect(loss.symmetric or not same, "is symmetric, but not declared so")


def gradient_is_the_slope(case: Case) -> None:
    """Gradients agree with central differences wherever the loss is smooth, which is mostly."""
    columns = case.draw()
    for role, values in case.slopes(columns).items():
        told = f"the gradient by {role!r}"
        flat = _shaped(values, columns[role], told)
        expected, smooth = differences(case, columns, role)
        _expect(bool(smooth.mean() > SMOOTH), f"has too many kinks along {role!r} to judge slopes")
        _expect(np.abs(flat[smooth]).max() > 0.0, f"{told} is 0 everywhere")
        _agree(flat, expected, smooth, told, rtol=1e-6, atol=1e-8)


def curvature_is_the_slope_of_the_gradient(case: Case) -> None:
    """Curvatures agree with differences of the gradient wherever that has no kink."""
    columns = case.draw()
    values = case.bends(columns)
    if values is None:
        return
    roles = case.loss.with_respect_to
    _expect(len(roles) == 1, "has a curvature, but not a gradient by one role")
    flat = _shaped(values, columns[roles[0]], "the curvature")
    expected, smooth = bends(case, columns, roles[0])
    _expect(bool(smooth.mean() > SMOOTH), "has too many kinks to judge its curvature")
    _agree(flat, expected, smooth, "the curvature", rtol=1e-5, atol=1e-6)


def refuses_values_outside_its_domain(case: Case) -> None:
    """The error names the loss, the role, what it must hold and the row of the bad value."""
    good = Case(case.spec).draw(2)
    first, last = (take_rows(good, np.array([row])) for row in range(2))
    sizes = {role.domain.size: SIZES[0]["D"] for role in case.loss.roles} | dict(SIZES[0])
    for role in case.loss.roles:
        bad = role.domain.counterexample(sizes)
        columns = {
            name: joined(first[name], bad if name == role.name else first[name], last[name])
            for name in good
        }
        _refused(case, columns, role.name, role.domain.text, 1)


def refuses_holes(case: Case) -> None:
    """NaN and infinity lie outside every domain."""
    for hole in (np.nan, np.inf, -np.inf):
        for role in case.loss.roles:
            columns = Case(case.spec).draw(3)
            parts_of(columns[role.name])[0].reshape(-1)[-1] = hole
            _refused(case, columns, role.name, "", 2)


def refuses_parameters_outside_their_range(case: Case) -> None:
    """The error of a call names the parameter and its range."""
    columns = Case(case.spec).draw(2)
    for parameter in case.loss.parameters:
        for value in _wrong_values(parameter):
            try:
                case.loss(**columns, **{parameter.name: value})
            except SpecError as error:
                told = f"the error about {parameter.name} does not name its range"
                _expect(parameter.range in error.message, told)
            else:
                raise Broken(f"takes {parameter.name}={value!r}")


CHECKS: tuple[Callable[[Case], None], ...] = (
    gives_numbers,
    is_finite,
    a_call_gives_the_rows,
    is_pure,
    rows_stand_alone,
    derivatives_stand_alone,
    takes_an_empty_chunk,
    is_symmetric_as_declared,
    gradient_is_the_slope,
    curvature_is_the_slope_of_the_gradient,
    refuses_values_outside_its_domain,
    refuses_holes,
    refuses_parameters_outside_their_range,
)
"""Every promise of a declaration; the first sentence of each says which."""


def _shaped(values: Array, like: Any, what: str) -> Array:
    """Give derivatives flat, when they are such as the values of the role are."""
    shape = parts_of(like)[0].shape
    _expect(values.dtype == np.float64, f"{what} is {values.dtype}, not float64")
    _expect(values.shape == shape, f"{what} has the shape {values.shape}, not {shape}")
    return values.ravel()


def _agree(
    found: Array, expected: Array, smooth: Mask, what: str, *, rtol: float, atol: float
) -> None:
    wrong = np.flatnonzero(~np.isclose(found, expected, rtol=rtol, atol=atol) & smooth)
    if len(wrong):
        told, slope = found[wrong[0]], expected[wrong[0]]
        raise Broken(f"{what} is {told:g} where the slope is {slope:g}")


def _expect(kept: object, fault: str) -> None:
    if not kept:
        raise Broken(fault)


def _same(found: Array, expected: Array, where: str, columns: Columns | None) -> None:
    _expect(found.shape == expected.shape, f"gives another number of rows {where}")
    if bits(found) != bits(expected):
        row = int(np.flatnonzero((found != expected).any(axis=0))[:1].sum())
        told = "" if columns is None else f", as at {_row(columns, row)}"
        raise Broken(f"the loss of a row depends on the rows around it: it differs {where}{told}")


def _refused(case: Case, columns: Columns, role: str, text: str, row: int) -> None:
    try:
        case.loss(**columns, **case.spec.parameters)
    except DomainError as error:
        told = f"{case.loss.name}: {role} must hold {text}"
        good = error.message.startswith(told) and f"row {row}" in error.message
        _expect(good, f"the error about {role!r} does not name the role, its domain and the row")
    else:
        raise Broken(f"takes {_row(columns, row)}, which is outside the domain of {role!r}")


def _wrong_values(parameter: Parameter) -> Iterator[Any]:
    yield from ("word", np.nan)
    if parameter.interval is not None:
        low, high = parameter.interval.low, parameter.interval.high
        yield from (end for end in (low, high) if end not in parameter.interval)
        yield from (end for end in (low - 0.5, high + 0.5) if np.isfinite(end))


def _row(columns: Columns, row: int) -> str:
    """Show the values of a row."""
    shown = []
    for role, values in columns.items():
        (part, *_) = parts_of(take(values, np.array([row])))
        numbers = [f"{number:.6g}" for number in part.ravel()[:4]]
        one = len(numbers) == 1
        shown.append(f"{role}={numbers[0]}" if one else f"{role}=[{', '.join(numbers)}, ...]")
    return ", ".join(shown)
