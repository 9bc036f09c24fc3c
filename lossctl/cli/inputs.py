"""How input files are written: one argument of a command, and the options that make it up."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from lossctl.cli.options import option
from lossctl.cli.stderr import note
from lossctl.cli.values import one_of
from lossctl.errors import Gathered

if TYPE_CHECKING:
    from lossctl.data.source import Opening

Outcome = TypeVar("Outcome")

InputFormat = Annotated[
    str | None,
    option(
        "--input-format",
        metavar="csv|tsv|parquet|arrow|jsonl|orc",
        help="Format of the input files; by their suffixes otherwise.",
    ),
]
Delimiter = Annotated[
    str | None,
    option("--delimiter", metavar="CHAR", help="What separates the fields of CSV files; or tab."),
]
NoHeader = Annotated[
    bool,
    option("--no-header", help="CSV files begin with a row; their columns are named 1, 2, 3 ..."),
]
Encoding = Annotated[
    str | None,
    option("--encoding", metavar="NAME", help="Encoding of CSV files; UTF-8 by default."),
]
Decimal = Annotated[
    str | None,
    option("--decimal", metavar="CHAR", help="Decimal mark of CSV files: a point or a comma."),
]
Thousands = Annotated[
    str | None,
    option(
        "--thousands", metavar="CHAR", help="What stands between groups of digits in CSV files."
    ),
]
Comment = Annotated[
    str | None,
    option("--comment", metavar="TEXT", help="Lines of CSV files that begin so are left out."),
]


@dataclass(frozen=True)
class Inputs:
    """The options as they were given; every field is one."""

    input_format: InputFormat = None
    delimiter: Delimiter = None
    no_header: NoHeader = False
    encoding: Encoding = None
    decimal: Decimal = None
    thousands: Thousands = None
    comment: Comment = None
    quiet: bool = False
    """Whether notes are unwelcome, which is an option of its own."""

    def opening(self) -> Opening:
        """Read the options.

        Raises
        ------
        UsageError, SeveralErrors
            One of them makes no sense.

        """
        from lossctl.data.dialect import read_dialect
        from lossctl.data.naming import InputFormat
        from lossctl.data.source import Opening

        wrong = Gathered()
        told: Any = self.input_format
        if told is not None:
            wrong.of(one_of, "--input-format", told, InputFormat)
        dialect = wrong.of(
            read_dialect,
            delimiter=self.delimiter,
            no_header=self.no_header,
            encoding=self.encoding,
            decimal=self.decimal,
            thousands=self.thousands,
            comment=self.comment,
        )
        wrong.settle()
        return Opening(told, dialect, ignored if self.quiet else note)


def ignored(text: str) -> None:
    """Take no note of a text."""
    del text


AS_NAMED = Inputs()
"""No option given."""


def with_inputs(command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Give a command the options in place of its argument ``inputs``."""
    names = [field.name for field in fields(Inputs) if field.name != "quiet"]
    signature = inspect.signature(command, eval_str=True)
    options = [inspect.signature(Inputs, eval_str=True).parameters[name] for name in names]
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "inputs":
            parameters += [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in options]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def run(*arguments: Any, **named: Any) -> Outcome:
        told = {name: named.pop(name) for name in names if name in named}
        inputs = Inputs(**told, quiet=named.get("quiet", False))
        return command(*arguments, inputs=inputs, **named)

    run.__dict__["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {part.name: part.annotation for part in parameters}
    return run
