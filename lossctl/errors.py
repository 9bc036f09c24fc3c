"""The one error tree: what went wrong, where, why, what to try, and the exit status it maps to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self


class Exit(IntEnum):
    """The exit statuses of every command; the texts feed ``--help`` and the man pages."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a status that carries its own meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done; every limit held"
    LIMIT = 1, "a limit was broken: the model is worse than allowed"
    USAGE = 2, "usage: a flag, the config file, a loss spec, an unknown column"
    UNMEASURABLE = (
        3,
        (
            "could not measure: a missing or malformed file, unmatched keys, "
            "a value outside its domain, too few rows"
        ),
    )
    UNDECIDED = 4, "undecided: the interval straddles the limit"
    BUG = 70, "a bug in lossctl"
    INTERRUPTED = 130, "interrupted"
    CLOSED_PIPE = 141, "the reader of the output went away"


@dataclass(frozen=True)
class Place:
    """Where in the input an error was found; every part is optional."""

    file: str | None = None
    row: int | None = None
    """Row number in the file, counted from 1 without the header."""
    column: str | None = None

    def __str__(self) -> str:
        """Join the known parts, as in ``preds.csv, row 17, column 'p'``."""
        parts = [] if self.file is None else [self.file]
        if self.row is not None:
            parts.append(f"row {self.row}")
        if self.column is not None:
            parts.append(f"column {self.column!r}")
        return ", ".join(parts)


class LossctlError(Exception):
    """Any failure that a user can cause and mend; everything else is a bug.

    ``message`` says what is wrong and why, ``hint`` what to try, ``place`` where it was found.
    """

    slug = "error"
    exit = Exit.UNMEASURABLE

    def __init__(self, message: str, *, hint: str = "", place: Place | None = None) -> None:
        """Keep the parts apart, so that text and JSON can show each in its own way."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place or Place()

    def as_json(self) -> dict[str, Any]:
        """Give the error as the JSON object that ``--format json`` writes to stderr."""
        place = {
            name: value
            for name in ("file", "row", "column")
            if (value := getattr(self.place, name)) is not None
        }
        return {
            "error": self.slug,
            "message": self.message,
            "place": place,
            "hint": self.hint or None,
            "exit": int(self.exit),
        }


class UsageError(LossctlError):
    """A flag, a config file or their combination makes no sense."""

    slug = "usage"
    exit = Exit.USAGE


class SpecError(UsageError):
    """A loss spec names no loss, no parameter of it, or a value outside the parameter's range."""

    slug = "spec"


class ColumnError(UsageError):
    """A role has no column, the wrong number of them, or one that the file does not hold."""

    slug = "column"


class SeveralErrors(UsageError):  # noqa: N818 - a group of errors
    """Several usage errors found before any data was read, reported together."""

    slug = "usage"

    def __init__(self, errors: list[UsageError]) -> None:
        """Keep the single errors; the text lists them one a line."""
        super().__init__("\n".join(error.message for error in errors))
        self.errors = errors

    def as_json(self) -> dict[str, Any]:
        """Give the errors one by one under ``errors``."""
        return super().as_json() | {"errors": [error.as_json() for error in self.errors]}


class InputError(LossctlError):
    """A file is missing, unreadable, malformed or empty."""

    slug = "input"


class PairingError(LossctlError):
    """Two files do not pair row by row."""

    slug = "pairing"


class DomainError(LossctlError):
    """A value lies outside the domain that the loss declares for its role."""

    slug = "domain"


class MissingValueError(LossctlError):
    """A null, NaN or infinity stands where the policy allows none."""

    slug = "missing-value"


class OutputError(LossctlError):
    """The result could not be written."""

    slug = "output"
