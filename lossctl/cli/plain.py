"""Reading plain options at once: Typer has pydantic do it, whose import outlasts a small run.

Texts and whole numbers, most of what a command line holds, are read here with the same outcome;
everything else, and whatever is wrong, is left to Typer, so that its messages stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import typer.core

BUILDER = "build_runtime_param"
"""What Typer calls to get a reader for a parameter, the first time a value is read."""


class Plain:
    """Reads the values of one parameter in the place of what Typer would build for it."""

    def __init__(self, descriptor: Any, build: Callable[[Any], Any]) -> None:
        """Keep what Typer knows of the parameter, and how it would build a reader."""
        self.descriptor, self.build = descriptor, build

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Give the value as the command takes it."""
        kind = self.descriptor.annotation
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if kind is str and isinstance(value, str):
            return value
        if kind == list[str] and isinstance(value, list | tuple):
            return [str(item) for item in value]
        if kind is int and isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if kind in (int, float) and type(value) is kind:
            told = self.descriptor.parameter_info
            low = -math.inf if told.min is None else told.min
            high = math.inf if told.max is None else told.max
            if low <= value <= high:
                return value
        return self.build(self.descriptor).coerce(value, param=param, ctx=ctx)


def read_plainly() -> None:
    """Put `Plain` in place; a Typer that is made otherwise keeps its own ways."""
    build = getattr(typer.core, BUILDER, None)
    if callable(build) and not hasattr(build, "instead_of"):

        def plain(descriptor: Any) -> Plain:
            return Plain(descriptor, build)

        plain.instead_of = build  # type: ignore[attr-defined]
        setattr(typer.core, BUILDER, plain)
