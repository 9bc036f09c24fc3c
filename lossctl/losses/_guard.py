"""Guards: losses that are not built in, their faults told as theirs and their inputs kept safe."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossctl.errors import CustomLossError, LossctlError
from lossctl.losses._declare import Loss
from lossctl.losses._domains import Array, Ragged


def guarded(loss: Loss, *, name: str, origin: str) -> Loss:
    """Give a loss under a name, with a kernel and a gradient that cannot harm their neighbours."""

    def components(result: Any, values: Mapping[str, Any]) -> Array:
        count, rows = loss.finish.components, _rows(next(iter(values.values())))
        return _shaped(name, result, (rows,) if count == 1 else (count, rows))

    def slopes(result: Any, values: Mapping[str, Any]) -> Any:
        arrays = result if isinstance(result, tuple) else (result,)
        if len(arrays) != len(loss.with_respect_to):
            told = ", ".join(loss.with_respect_to)
            raise CustomLossError(f"{name}: the gradient gives {len(arrays)} arrays for {told}")
        pairs = zip(arrays, loss.with_respect_to, strict=True)
        shaped = tuple(like(array, values, role, "gradient") for array, role in pairs)
        return shaped if isinstance(result, tuple) else shaped[0]

    def bends(result: Any, values: Mapping[str, Any]) -> Array:
        return like(result, values, loss.with_respect_to[0], "curvature")

    def like(result: Any, values: Mapping[str, Any], role: str, what: str) -> Array:
        return _shaped(f"{name}: the {what}", result, _flat(values[role]).shape)

    return replace(
        loss,
        name=name,
        aliases=(),
        origin=origin,
        kernel=_told(name, loss.kernel, components),
        gradient=None if loss.gradient is None else _told(name, loss.gradient, slopes),
        curvature=None if loss.curvature is None else _told(name, loss.curvature, bends),
    )


def line_of(file: str, error: BaseException) -> str:
    """Say on which line of a file an exception arose, as in ``line 3: ``; empty where none is."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    return f"line {lines[-1]}: " if lines else ""


def reason_of(error: BaseException) -> str:
    """Give the kind of an exception and what it says."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _told(
    name: str, function: Callable[..., Any], shaped: Callable[[Any, Mapping[str, Any]], Any]
) -> Callable[..., Any]:
    """Wrap a kernel or gradient: it cannot write to its arrays, and its exceptions have a place."""
    file = function.__code__.co_filename

    @functools.wraps(function)
    def call(**given: Any) -> Any:
        values = {role: _read_only(value) for role, value in given.items()}
        try:
            result = function(**values)
        except LossctlError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{name}: {line_of(file, error)}{reason_of(error)}"
            raise CustomLossError(message, hint="--debug shows the traceback") from error
        return shaped(result, {k: v for k, v in values.items() if _holds_rows(v)})

    return call


def _shaped(name: str, result: Any, shape: tuple[int, ...]) -> Array:
    """Give the result in double precision.

    Raises
    ------
    CustomLossError
        It holds no real numbers, or not as many as there are rows.

    """
    array = np.asarray(result)
    if array.dtype.kind not in "fiub":
        raise CustomLossError(f"{name} gives {array.dtype}, not numbers")
    if array.shape != shape:
        raise CustomLossError(f"{name} gives the shape {array.shape}, not {shape}")
    return array.astype(np.float64, copy=False)


def _holds_rows(value: Any) -> bool:
    return isinstance(value, np.ndarray | Ragged)


def _rows(value: Any) -> int:
    return len(value.lengths) if isinstance(value, Ragged) else len(value)


def _flat(value: Any) -> Array:
    array: Array = value.values if isinstance(value, Ragged) else value
    return array


def _read_only(value: Any) -> Any:
    if isinstance(value, Ragged):
        return Ragged(*map(_read_only, value))
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
