"""The one error tree: what went wrong, where, why, what to try, and the exit status it maps to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, Self

from lossctl.record import record


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


@record
class Place:
    """Where in the input an error was found; every part is optional."""

    file: str | None = None
    row: int | None = None
    """Row number in the file, counted from 1 without the header."""
    column: str | None = None
    key: tuple[Any, ...] = ()
    """The row's key, where rows are paired by key."""

    def __str__(self) -> str:
        """Join the known parts, as in ``preds.csv, row 17, column 'p'``."""
        parts = [] if self.file is None else [self.file]
        if self.row is not None:
            parts.append(f"row {self.row}")
        if self.key:
            parts.append(f"key {', '.join(map(repr, self.key))}")
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

    def __str__(self) -> str:
        """Say what, where and what to try, for tracebacks and logs of Python programs."""
        where = f"{self.place}: " if str(self.place) else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes whole, whatever a subclass is made from."""
        return _made_again, (type(self), self.args), self.__dict__

    def as_json(self) -> dict[str, Any]:
        """Give the error as the JSON object that ``--format json`` writes to stderr."""
        place = {
            name: value
            for name in ("file", "row", "column")
            if (value := getattr(self.place, name)) is not None
        }
        if self.place.key:
            place["key"] = list(self.place.key) if len(self.place.key) > 1 else self.place.key[0]
        return {
            "error": self.slug,
            "message": self.message,
            "place": place,
            "hint": self.hint or None,
            "exit": int(self.exit),
        }


def _made_again(kind: type[LossctlError], arguments: tuple[Any, ...]) -> LossctlError:
    return kind.__new__(kind, *arguments)


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


class SeveralErrors(LossctlError):  # noqa: N818 - a group of errors
    """Several errors found before any data was read, reported together.

    Slug and exit status are those of the gravest: a wrong command line goes before wrong input.
    """

    def __init__(self, errors: Sequence[LossctlError]) -> None:
        """Keep the single errors; the text lists them one a line."""
        super().__init__("\n".join(error.message for error in errors))
        self.errors = list(errors)
        gravest = next((e for e in self.errors if isinstance(e, UsageError)), self.errors[0])
        self.slug, self.exit = gravest.slug, gravest.exit

    def __str__(self) -> str:
        """Say every error on a line of its own."""
        return "\n".join(map(str, self.errors))

    def as_json(self) -> dict[str, Any]:
        """Give the errors one by one under ``errors``."""
        return super().as_json() | {"errors": [error.as_json() for error in self.errors]}


def singles(error: LossctlError) -> list[LossctlError]:
    """Give the errors that an error is made of, which mostly is itself."""
    return error.errors if isinstance(error, SeveralErrors) else [error]


class Gathered:
    """Errors of several independent steps, kept until all of them can be reported at once.

    Each step is a ``with`` block of its own or a call by `of`; `settle` comes after the last one.
    """

    def __init__(self) -> None:
        """Start without errors."""
        self.errors: list[LossctlError] = []

    def __enter__(self) -> None:
        """Begin a step."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """End a step, and keep its error for later."""
        if not isinstance(error, LossctlError):
            return False
        self.errors += singles(error)
        return True

    def of(self, step: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Give what a step gives; None where it fails, but then `settle` will raise."""
        with self:
            return step(*arguments, **named)
        return None

    def settle(self) -> None:
        """Raise what was gathered, each error once.

        Raises
        ------
        LossctlError
            The only error, or `SeveralErrors`.

        """
        distinct = list({(error.message, error.place): error for error in self.errors}.values())
        if len(distinct) > 1:
            raise SeveralErrors(distinct)
        if distinct:
            raise distinct[0]


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


class CustomLossError(LossctlError):
    """A loss of the user's own file or of a package fails, or gives something else than numbers."""

    slug = "custom-loss"


class OutputError(LossctlError):
    """The result could not be written."""

    slug = "output"


class SystemRefusal(LossctlError):  # noqa: N818 - what it is called
    """The operating system refused: a full disk, a file that went away while it was read."""

    slug = "system"

    def __init__(self, cause: OSError) -> None:
        """Say what the system says."""
        reason = cause.strerror or str(cause)
        message = reason if cause.filename else f"cannot read or write ({reason})"
        super().__init__(message, place=Place(cause.filename))
        self.__cause__ = cause


class SpillError(LossctlError):
    """Temporary files cannot be written, mostly because the disk is full."""

    slug = "spill"

    def __init__(self, cause: OSError, folder: str) -> None:
        """Say what the system says, and of which folder."""
        super().__init__(
            f"cannot write temporary files ({cause.strerror or cause})",
            hint="--temp-dir FOLDER puts them elsewhere, --memory SIZE needs fewer of them",
            place=Place(folder),
        )


class WorkerError(LossctlError):
    """A process that shared the work was killed."""

    slug = "worker"


class Bug(LossctlError):  # noqa: N818 - what it is called
    """An exception that nobody foresaw; its cause is the exception itself."""

    slug = "bug"
    exit = Exit.BUG

    def __init__(self, cause: Exception) -> None:
        """Own up to it in one line."""
        super().__init__(
            f"this is a bug in lossctl: {type(cause).__name__}: {cause}",
            hint="run again with --debug and report the traceback",
        )
        self.__cause__ = cause


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give a hint that names the known words close to the given one, or an empty text."""
    near = close_to(word, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def close_to(word: str, known: Iterable[str]) -> list[str]:
    """Give the known words closest to the given one, whatever their case."""
    import difflib

    lower = {name.lower(): name for name in known}
    return [lower[name] for name in difflib.get_close_matches(word.lower(), lower, n=3)]
