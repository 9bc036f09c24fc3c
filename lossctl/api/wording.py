"""Wording: errors speak of the options of the command; here they speak of arguments."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import ParamSpec, TypeVar

from lossctl.compare import Method
from lossctl.errors import LossctlError, SeveralErrors

Given = ParamSpec("Given")
Outcome = TypeVar("Outcome")

OPTION = re.compile(
    r"""--(?P<option>[a-z]+(?:-[a-z]+)*)
    (?:[ ](?P<value>
        "[^"]*" | '[^']*'
        | [^\s'"]*[^\s'",;:][:=,][^\s'"]*[^\s'",;:] # age:10,20 or id=key
        | (?:[A-Z]+|[\d.]*\d|drop|keep|error)\b     # no word of a sentence
        | [\w.]+(?=[,;:)]|$|[ ]--(?P=option)\b)     # a word that no sentence goes on with
    ))?""",
    re.VERBOSE,
)
"""An option as messages write it, with its value where it has one."""
TWICE = re.compile(r'(\w+)=("[^"]*") \1=("[^"]*")')
NAMES = {"loss": "losses", "col": "columns"}
"""Arguments that are called otherwise than their options."""
ROLES = {"pred": "prediction", "target": "target"}
"""Options that name the columns of a role."""


def in_python(function: Callable[Given, Outcome]) -> Callable[Given, Outcome]:
    """Make the errors of a function speak of its arguments where they speak of options."""
    known = set(inspect.signature(function).parameters)
    if "method" in known:
        known |= {field.name for field in fields(Method)}

    @functools.wraps(function)
    def call(*arguments: Given.args, **named: Given.kwargs) -> Outcome:
        try:
            return function(*arguments, **named)
        except LossctlError as error:
            _reword(error, known)
            raise

    return call


def _reword(error: LossctlError, known: Collection[str]) -> None:
    for single in error.errors if isinstance(error, SeveralErrors) else ():
        _reword(single, known)
    error.message = reworded(error.message, known, bare="{}")
    error.hint = reworded(error.hint, known, bare="{}=")
    error.args = (error.message,)


def reworded(text: str, known: Collection[str], *, bare: str) -> str:
    """Put arguments in the place of options; those that no argument is like stay as they are.

    ``bare`` is how an argument is written that is given no value.
    """

    def argument(found: re.Match[str]) -> str:
        option, value = found["option"], found["value"]
        name = NAMES.get(option, option.replace("-", "_"))
        if option in ROLES:
            name = "preds" if option == "pred" and "preds" in known else "columns"
        if name not in known:
            return found[0]
        if value is None:
            return (bare if found.string[found.end() :][:1] != ":" else "{}").format(name)
        if name != "columns":
            return f"{name}={_literal(value)}"
        role, _, names = value.strip("'\"").rpartition("=")
        role = ROLES.get(option, role)
        return f'columns={{"{role}": {_literal(names)}}}' if role else found[0]

    return TWICE.sub(r"\1=[\2, \3]", OPTION.sub(argument, text))


def _literal(value: str) -> str:
    """Write a value as Python does; words in capitals stand for one."""
    written = value.isupper() or value[0] in "\"'" or value.replace(".", "", 1).isdigit()
    return value if written else f'"{value}"'
