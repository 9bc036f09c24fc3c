"""The contract of every loss, generated from the registry: a declared loss is a tested loss."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.errors import DomainError, SpecError
from lossctl.losses import REGISTRY, Loss, Parameter, Ragged, Spec, find, parse
from lossctl.losses._finish import MEAN, RATIO, ROOT, SUM_OF_RATIOS, Finish

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Columns = dict[str, Any]
Draw = Callable[..., Columns]
TakeRows = Callable[[Columns, Indices], Columns]

REPOSITORY = Path(__file__).parents[2]
ROWS = 48
SIZES: tuple[Mapping[str, int], ...] = (
    {"K": 4, "D": 5, "4": 4, "P": 9, "M": 4, "N": 3},
    {"K": 2, "D": 1, "4": 4, "P": 1, "M": 1, "N": 1},
    # NumPy unrolls sums of more than eight values and cuts those of more than 128 in two.
    {"K": 11, "D": 130, "4": 4, "P": 300, "M": 20, "N": 30},
)

WITHOUT_GRADIENT = {"mask_iou_thresholded"}
"""Losses that are steps: wherever they have a derivative, it is 0."""

PLAIN: Mapping[Finish, Callable[[Array], float]] = {
    MEAN: lambda parts: float(np.mean(parts[0])),
    ROOT: lambda parts: float(np.sqrt(np.mean(parts[0]))),
    RATIO: lambda parts: float(np.sum(parts[0]) / np.sum(parts[1])),
    SUM_OF_RATIOS: lambda parts: float(
        np.sum(parts[0]) / np.sum(parts[1]) + np.sum(parts[2]) / np.sum(parts[3])
    ),
}
"""What each finish makes of components of shape ``(k, rows)``, in floating point."""


@pytest.fixture(autouse=True)
def _infinities_are_results() -> Iterator[None]:
    """Let kernels divide by zero without a warning, as the evaluation does."""
    with np.errstate(all="ignore"):
        yield


def bits(*arrays: Any) -> list[bytes]:
    """Give the bytes of arrays, so that zeros of both signs differ."""
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def parts_of(values: Any) -> tuple[Any, ...]:
    """Give the arrays behind the values of a role."""
    return tuple(values) if isinstance(values, Ragged) else (values,)


def components(spec: Spec, columns: Columns) -> Array:
    """Give what the kernel computes, shape ``(k, rows)``."""
    return np.atleast_2d(spec.loss.kernel(**columns, **spec.parameters))


def shown(spec: Spec, columns: Columns) -> Array:
    """Give the loss of each row, shape ``(rows,)``."""
    return spec.loss.finish.row(spec.loss.kernel(**columns, **spec.parameters))


def slopes(spec: Spec, columns: Columns) -> dict[str, Array]:
    """Give the declared derivatives by role; none for a loss without a gradient."""
    if spec.loss.gradient is None:
        return {}
    result = spec.loss.gradient(**columns, **spec.parameters)
    arrays = result if isinstance(result, tuple) else (result,)
    return dict(zip(spec.loss.with_respect_to, arrays, strict=True))


# The kernel


def test_a_kernel_gives_one_number_per_row_and_component(
    spec: Spec, soft_targets: bool, draw: Draw
) -> None:
    """The result has the shape that the finish expects, in double precision and without NaN."""
    count = spec.loss.finish.components
    for sizes in SIZES:
        columns = draw(spec.loss, ROWS, sizes, soft_targets=soft_targets)
        result = spec.loss.kernel(**columns, **spec.parameters)
        assert result.dtype == np.float64
        assert result.shape == ((ROWS,) if count == 1 else (count, ROWS))
        assert spec.loss.finish.row(result).shape == (ROWS,)
        assert not np.isnan(result).any()


def test_a_call_gives_the_rows_of_the_kernel(spec: Spec, soft_targets: bool, draw: Draw) -> None:
    """Valid columns pass the domain checks, by position and by name."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    expected = bits(shown(spec, columns))
    assert bits(spec.loss(**columns, **spec.parameters)) == expected
    assert bits(spec.loss(*columns.values(), **spec.parameters)) == expected


def test_kernel_and_gradient_are_pure(spec: Spec, soft_targets: bool, draw: Draw) -> None:
    """A call leaves its inputs alone, and a second call gives the same bits."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    before = {role: bits(*parts_of(values)) for role, values in columns.items()}
    first = bits(components(spec, columns), *slopes(spec, columns).values())
    assert bits(components(spec, columns), *slopes(spec, columns).values()) == first
    assert {role: bits(*parts_of(values)) for role, values in columns.items()} == before


def test_a_row_does_not_depend_on_the_rows_around_it(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """The bits of a row are the same alone, among seven, among all and in any order."""
    order = np.random.default_rng(7).permutation(ROWS)
    for sizes in SIZES:
        columns = draw(spec.loss, ROWS, sizes, soft_targets=soft_targets)
        whole = components(spec, columns)
        for rows in (1, 7):
            chunks = np.split(np.arange(ROWS), range(rows, ROWS, rows))
            parts = [components(spec, take_rows(columns, chunk)) for chunk in chunks]
            assert bits(np.concatenate(parts, axis=1)) == bits(whole), (rows, sizes)
        assert bits(components(spec, take_rows(columns, order))) == bits(whole[:, order]), sizes


def test_the_slopes_of_a_row_do_not_depend_on_the_rows_around_it(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """Gradients, too, are the same bits in chunks of one row, of seven and of all."""
    for sizes in SIZES:
        columns = draw(spec.loss, ROWS, sizes, soft_targets=soft_targets)
        whole = slopes(spec, columns)
        for rows in (1, 7):
            chunks = np.split(np.arange(ROWS), range(rows, ROWS, rows))
            parts = [slopes(spec, take_rows(columns, chunk)) for chunk in chunks]
            for role, values in whole.items():
                joined = np.concatenate([part[role] for part in parts])
                assert bits(joined) == bits(values), (role, rows, sizes)


def test_a_chunk_may_be_empty(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """Kernel and gradient take the chunk that is left when all of its rows are dropped."""
    columns = draw(spec.loss, 3, soft_targets=soft_targets)
    nothing = take_rows(columns, np.zeros(0, dtype=np.intp))
    assert shown(spec, nothing).shape == (0,)
    assert all(len(values) == 0 for values in slopes(spec, nothing).values())


def test_a_loss_is_symmetric_when_it_says_so_and_only_then(
    loss: Loss, draw: Draw, notable: Callable[[Loss], list[Spec]]
) -> None:
    """Swapping the first two roles changes no row of a symmetric loss and some of any other."""
    first, second = loss.roles[:2]
    if first.domain != second.domain:
        assert not loss.symmetric
        return
    columns = draw(loss, ROWS)
    swapped = columns | {first.name: columns[second.name], second.name: columns[first.name]}
    same = [np.array_equal(shown(spec, columns), shown(spec, swapped)) for spec in notable(loss)]
    assert all(same) == loss.symmetric


def test_the_finish_of_exact_means_is_what_plain_numpy_gives(
    spec: Spec, soft_targets: bool, draw: Draw
) -> None:
    """The value of the file agrees with floating-point means of the rows with a finite loss."""
    columns = draw(spec.loss, 500, soft_targets=soft_targets)
    finite = components(spec, columns)[:, np.isfinite(shown(spec, columns))]
    means = [sum(map(Fraction, part.tolist()), Fraction(0)) / finite.shape[1] for part in finite]
    value = spec.loss.finish.value(means)
    assert value is not None
    assert float(value) == pytest.approx(PLAIN[spec.loss.finish](finite), rel=1e-12)


# Gradients

STEP = 2.0**-13


def coordinates(values: Any) -> Iterator[tuple[Indices, Indices]]:
    """Give sets of coordinates of different rows: positions in the flat values, and the rows."""
    if isinstance(values, Ragged):
        for place in range(int(values.lengths.max())):
            rows = np.flatnonzero(values.lengths > place)
            yield values.offsets[rows] + place, rows
    else:
        rows = np.arange(len(values))
        width = values.size // len(values)
        for place in range(width):
            yield rows * width + place, rows


def differences(spec: Spec, columns: Columns, role: str) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Differentiate by differences; marks coordinates around which the loss has no kink."""
    values = columns[role]
    flat = values.values if isinstance(values, Ragged) else values.ravel()
    result, smooth = np.zeros_like(flat), np.zeros(flat.shape, dtype=np.bool_)
    here = shown(spec, columns)
    for positions, rows in coordinates(values):

        def moved(step: float, positions: Indices = positions, rows: Indices = rows) -> Array:
            there = flat.copy()
            there[positions] += step
            new = values._replace(values=there) if isinstance(values, Ragged) else there
            new = new if isinstance(values, Ragged) else there.reshape(values.shape)
            return shown(spec, columns | {role: new})[rows]

        far_up, up, down, far_down = (moved(k * STEP) for k in (1.0, 0.5, -0.5, -1.0))
        coarse, fine = (far_up - far_down) / (2.0 * STEP), (up - down) / STEP
        slope = (4.0 * fine - coarse) / 3.0
        size = 1.0 + np.abs(slope)
        sides = (far_up - here[rows]) / STEP - (here[rows] - far_down) / STEP
        result[positions] = slope
        smooth[positions] = (np.abs(sides) < 0.01 * size) & (np.abs(coarse - fine) < 1e-4 * size)
    return result, smooth


def test_a_gradient_is_the_slope_of_the_loss(spec: Spec, soft_targets: bool, draw: Draw) -> None:
    """Derivatives agree with central differences wherever the loss is smooth, which is mostly."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    for role, values in slopes(spec, columns).items():
        flat = values.ravel()
        expected, smooth = differences(spec, columns, role)
        assert flat.shape == expected.shape
        assert smooth.mean() > 0.6, "too many kinks to tell anything"
        assert np.abs(flat[smooth]).max() > 0.0
        np.testing.assert_allclose(flat[smooth], expected[smooth], rtol=1e-6, atol=1e-8)


def test_a_gradient_has_the_shape_of_its_role(spec: Spec, soft_targets: bool, draw: Draw) -> None:
    """Derivatives are arrays like the values of the role; of a ragged role, like its flat ones."""
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    for role, values in slopes(spec, columns).items():
        assert values.dtype == np.float64
        assert values.shape == parts_of(columns[role])[0].shape


def test_a_loss_without_gradient_is_a_step(loss: Loss) -> None:
    """Every other loss declares its derivative, for roles that it has."""
    assert (loss.gradient is None) == (loss.name in WITHOUT_GRADIENT)
    assert set(loss.with_respect_to) <= {role.name for role in loss.roles}
    assert bool(loss.with_respect_to) == (loss.gradient is not None)


# Curvatures


def bends(spec: Spec, columns: Columns) -> Array:
    """Give the declared second derivatives."""
    assert spec.loss.curvature is not None
    result = spec.loss.curvature(**columns, **spec.parameters)
    assert isinstance(result, np.ndarray)
    return result


def test_a_curvature_is_the_slope_of_the_gradient(
    spec: Spec, soft_targets: bool, draw: Draw
) -> None:
    """Second derivatives agree with differences of the gradient wherever that has no kink."""
    if spec.loss.curvature is None:
        return
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    (role,) = spec.loss.with_respect_to
    values, found = columns[role], bends(spec, columns).ravel()
    assert found.shape == values.ravel().shape

    def slope(positions: Indices, step: float) -> Array:
        there = values.copy()
        there.reshape(-1)[positions] += step
        return slopes(spec, columns | {role: there})[role].reshape(-1)[positions]

    expected, smooth = np.zeros_like(found), np.zeros(found.shape, dtype=np.bool_)
    for positions, _ in coordinates(values):
        coarse, fine = (
            (slope(positions, step) - slope(positions, -step)) / (2.0 * step)
            for step in (STEP / 8, STEP / 16)
        )
        expected[positions] = (4.0 * fine - coarse) / 3.0
        smooth[positions] = np.abs(coarse - fine) < 1e-5 * (1.0 + np.abs(fine))
    assert smooth.mean() > 0.6, "too many kinks to tell anything"
    np.testing.assert_allclose(found[smooth], expected[smooth], rtol=1e-5, atol=1e-6)


def test_a_curvature_is_pure_and_row_by_row(
    spec: Spec, soft_targets: bool, draw: Draw, take_rows: TakeRows
) -> None:
    """The bits of a row are the same alone and among all, and the inputs are left alone."""
    if spec.loss.curvature is None:
        return
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets)
    before = {role: bits(*parts_of(values)) for role, values in columns.items()}
    whole = bends(spec, columns)
    rows = [take_rows(columns, np.array([row])) for row in range(ROWS)]
    assert bits(np.concatenate([bends(spec, row) for row in rows])) == bits(whole)
    assert {role: bits(*parts_of(values)) for role, values in columns.items()} == before


def test_a_loss_with_curvature_has_a_gradient_by_one_role(loss: Loss) -> None:
    """The two go together, so that boosting can use them."""
    assert loss.curvature is None or len(loss.with_respect_to) == 1


# Bad data


def joined(*parts: Any) -> Any:
    """Put the rows of several arrays or ragged values one after the other."""
    if not isinstance(parts[0], Ragged):
        return np.concatenate(parts)
    lengths = np.concatenate([part.lengths for part in parts])
    return Ragged(
        np.concatenate([part.values for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
    )


def test_a_value_outside_its_domain_is_refused(spec: Spec, draw: Draw, take_rows: TakeRows) -> None:
    """The error names the loss, the role, what it must hold and the row of the bad value."""
    good = draw(spec.loss, 2)
    first, last = (take_rows(good, np.array([row])) for row in range(2))
    for role in spec.loss.roles:
        bad = role.domain.counterexample(SIZES[0])
        columns = {
            name: joined(first[name], bad if name == role.name else first[name], last[name])
            for name in good
        }
        with pytest.raises(DomainError) as caught:
            spec.loss(**columns, **spec.parameters)
        told = caught.value.message
        assert told.startswith(f"{spec.loss.name}: {role.name} must hold {role.domain.text}")
        assert "row 1" in told


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_no_role_takes_a_hole(loss: Loss, draw: Draw, hole: float) -> None:
    """NaN and infinity lie outside every domain."""
    for role in loss.roles:
        columns = draw(loss, 3)
        flat = parts_of(columns[role.name])[0].reshape(-1)
        flat[-1] = hole
        with pytest.raises(DomainError, match=rf"{role.name} must hold .* \(row 2\)"):
            loss(**columns)


# Bad parameters


def bad_texts(parameter: Parameter) -> Iterator[str]:
    """Give texts that are no value of a parameter."""
    yield from ("", "word", "nan", "inf", "-inf")
    if parameter.interval is not None:
        low, high = parameter.interval.low, parameter.interval.high
        yield from (repr(end) for end in (low, high) if end not in parameter.interval)
        yield from (repr(end) for end in (low - 0.5, high + 0.5) if np.isfinite(end))


def test_a_parameter_outside_its_range_is_refused(loss: Loss) -> None:
    """The error of a spec names the parameter and its range."""
    for parameter in loss.parameters:
        for text in bad_texts(parameter):
            spec = f"{loss.name}:{parameter.name}={text}"
            with pytest.raises(SpecError) as caught:
                parse([spec])
                pytest.fail(f"{spec} was taken")
            told = caught.value.message
            assert told.startswith(f"{loss.name}: {parameter.name} must be {parameter.range}")


def test_a_call_refuses_a_parameter_outside_its_range(loss: Loss, draw: Draw) -> None:
    """Python callers get the error that specs give."""
    columns = draw(loss, 2)
    for parameter in loss.parameters:
        for value in ("word", np.nan, -99.0):
            with pytest.raises(SpecError, match=re.escape(parameter.range)):
                loss(**columns, **{parameter.name: value})


def test_an_unknown_parameter_is_refused(loss: Loss, draw: Draw) -> None:
    """The error names the parameters that the loss has, in specs and in calls."""
    known = [parameter.name for parameter in loss.parameters]
    with pytest.raises(SpecError, match=f"{loss.name} has no parameter 'lambda'") as caught:
        parse([f"{loss.name}:lambda=1"])
    assert all(name in caught.value.hint for name in known)
    with pytest.raises(SpecError, match="no parameter 'lambda'"):
        loss(**draw(loss, 2), **{"lambda": 1.0})


# Specs and the catalogue


def test_a_spec_survives_its_text(spec: Spec) -> None:
    """Both canonical texts of a spec read back as the same spec."""
    assert parse([spec.full]) == [spec]
    assert parse([spec.label]) == [spec]
    assert all(f"{name}=" in spec.full for name in spec.parameters)


def test_a_loss_is_found_by_all_of_its_names(loss: Loss) -> None:
    """Name and aliases lead to the loss and to no other."""
    assert all(find(name) is loss for name in (loss.name, *loss.aliases))
    others = [name for it in REGISTRY.values() for name in (it.name, *it.aliases) if it != loss]
    assert not {loss.name, *loss.aliases}.intersection(others)
    assert len(set(loss.aliases)) == len(loss.aliases)


def test_a_loss_explains_itself(loss: Loss) -> None:
    """Formula, summary, published reference and the texts of all parameters are there."""
    assert loss.formula
    assert loss.summary.endswith(".")
    assert not loss.summary.endswith("..")
    published = r"doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{4,5}|^[A-Z].* \d{4}, [A-Z].+"
    assert re.search(published, loss.reference)
    assert all(parameter.text for parameter in loss.parameters)


def test_a_loss_has_sample_data(loss: Loss) -> None:
    """The sample command of a loss names files that are there."""
    files = [word for word in shlex.split(loss.sample) if word.startswith("sample_data/")]
    assert files
    assert all((REPOSITORY / file).is_file() for file in files)
