"""The config file of a gate: read and validated as a whole, every mistake with its line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lossctl.errors import Gathered, LossctlError, Place, UsageError, did_you_mean
from lossctl.gates.checks import (
    LOSS_KINDS,
    QUANTILE,
    ROW_KINDS,
    Check,
    Decide,
    check_limit,
    find_loss,
    is_kind,
    read_limit,
    takes_loss,
)
from lossctl.gates.lines import key_lines
from lossctl.losses import Spec, parse
from lossctl.record import record

NAMES = ("lossctl.toml", "pyproject.toml")
START = "lossctl gate --init --predictions FILE writes a lossctl.toml to start from"
SETTINGS = ("name", "loss", "slice", "decide", "level")
"""Keys of a check beside its limits."""

Kind = Literal["text", "texts", "number", "switch", "path", "paths", "reports"]
"""What a key of the config holds; paths are relative to the file."""


class ConfigError(UsageError):
    """A config file makes no sense."""

    slug = "config"


@record
class Config:
    """What a config file says."""

    path: str
    options: Mapping[str, Any]
    """Options of the run by name, as texts, numbers, switches and lists of texts."""
    checks: tuple[Check, ...] = ()
    """Each names its loss by any spec of it."""

    @property
    def losses(self) -> list[str]:
        """The losses that are measured: those that are listed, or else those that are limited."""
        listed = self.options.get("losses")
        return listed or list(dict.fromkeys(c.loss for c in self.checks if c.loss is not None))


def find_config(path: str | None) -> str | None:
    """Give the config file that is asked for, or the one that lies here; None for none."""
    if path is not None:
        return path
    for name in NAMES:
        if Path(name).is_file() and (name != "pyproject.toml" or _has_table(Path(name))):
            return name
    return None


def _has_table(path: Path) -> bool:
    try:
        return "lossctl" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return False


def read_config(path: str, known: Mapping[str, Kind]) -> Config:
    """Read a config file whose options are ``known``.

    Raises
    ------
    ConfigError, SeveralErrors
        It cannot be read, or for every mistake in it.

    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        hint = START if isinstance(error, FileNotFoundError) else ""
        message = f"the config file cannot be read: {error.strerror or error}"
        raise ConfigError(message, hint=hint, place=Place(path)) from error
    except ValueError as error:
        raise ConfigError(f"no TOML: {error}", place=Place(path)) from error
    root: tuple[str | int, ...] = ()
    if Path(path).name == "pyproject.toml":
        root = ("tool", "lossctl")
        document = document.get("tool", {}).get("lossctl", {})
    return _Reader(path, key_lines(text), root, known).read(document)


@dataclass
class _Reader:
    """Reads the parts of a document and gathers what is wrong with them."""

    path: str
    lines: Mapping[tuple[str | int, ...], int]
    root: tuple[str | int, ...]
    known: Mapping[str, Kind]
    wrong: Gathered = field(default_factory=Gathered)

    def read(self, document: Mapping[str, Any]) -> Config:
        options: dict[str, Any] = {}
        for key, value in document.items():
            if key == "check":
                continue
            if key not in self.known:
                hint = did_you_mean(key, [*self.known, "check"])
                if is_kind(key):
                    hint = "limits stand in a [[check]] table"
                self.complain(f"unknown key {key!r}", key, hint=hint)
            else:
                with self.at(key):
                    options[key] = self.option(self.known[key], key, value)
        specs = self.specs(options.get("losses"))
        checks = [*self.checks(document.get("check", []), specs)]
        self.wrong.settle()
        return Config(self.path, options, tuple(checks))

    def specs(self, losses: Sequence[str] | None) -> Sequence[Spec] | None:
        """Give the losses that the config lists."""
        found: Sequence[Spec] | None = None
        if losses:
            with self.at("losses"):
                found = parse(list(losses))
        return found

    def option(self, kind: Kind, key: str, value: Any) -> Any:
        """Give the value of an option as the command line would."""
        is_list = isinstance(value, list)
        parts = value if is_list else [value]
        is_plain = all(isinstance(part, str | int | float) for part in parts)
        if kind == "switch" and isinstance(value, bool):
            return value
        if kind == "switch" or any(isinstance(part, bool) for part in parts) or not is_plain:
            what = "true or false" if kind == "switch" else "a text"
            raise UsageError(f"{key} takes {what}, not {value!r}")
        if kind == "number":
            if is_list or isinstance(value, str):
                raise UsageError(f"{key} takes a number, not {value!r}")
            return value
        texts = [part if isinstance(part, str) else f"{part:.15g}" for part in parts]
        if kind in ("path", "paths"):
            texts = [self.from_here(text) for text in texts]
        if kind == "reports":
            texts = [self.report(text) for text in texts]
        return texts if kind in ("texts", "paths", "reports") else ",".join(texts)

    def from_here(self, text: str) -> str:
        """Give a path relative to the config file as one relative to where the program runs."""
        if text == "-" or "://" in text or Path(text).is_absolute():
            return text
        return str(Path(self.path).parent / text) if text else text

    def report(self, text: str) -> str:
        name, equals, target = text.partition("=")
        return f"{name}={self.from_here(target)}" if equals else text

    def checks(self, tables: Any, specs: Sequence[Spec] | None) -> Iterator[Check]:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.complain("checks stand in tables that begin with [[check]]", "check")
            return
        for number, table in enumerate(tables):
            place = ("check", number)
            kinds = [key for key in table if is_kind(key)]
            for key in table:
                if key not in SETTINGS and not is_kind(key):
                    hint = did_you_mean(key, [*SETTINGS, *LOSS_KINDS, *ROW_KINDS, "max_p99"])
                    self.complain(f"unknown key {key!r} in a check", *place, key, hint=hint)
            if not kinds:
                self.complain("the check has no limit", *place, hint="as in max = 0.5")
            yield from self.check(table, kinds, place, specs)

    def check(
        self,
        table: Mapping[str, Any],
        kinds: Sequence[str],
        place: tuple[str | int, ...],
        specs: Sequence[Spec] | None,
    ) -> Iterator[Check]:
        """Give the checks of a table, one for each limit."""
        settings: dict[str, Any] = {}
        for key, read in {
            "decide": _decide,
            "level": _level,
            "slice": _slice,
            "name": _text,
        }.items():
            if key in table:
                with self.at(*place, key):
                    settings[key] = read(key, table[key])
        for kind in kinds:
            with self.at(*place, kind):
                if kind == "require_slices":
                    for wanted in _slices(table[kind]):
                        yield Check(kind, slice=wanted, name=settings.get("name", ""))
                    continue
                limit = _limit(kind, table[kind])
                loss = None
                if takes_loss(kind):
                    loss = _loss(kind, table.get("loss"), specs)
                if QUANTILE.fullmatch(kind) and settings.get("decide") == "interval":
                    raise UsageError(f"{kind} has no interval: decide by the point")
                yield Check(kind, limit, loss, **settings)

    def at(self, *key: str | int) -> _At:
        """Name the line of whatever is wrong in the block."""
        return _At(self, key)

    def complain(self, message: str, *key: str | int, hint: str = "") -> None:
        with self.at(*key):
            raise UsageError(message, hint=hint)

    def line(self, key: tuple[str | int, ...]) -> str:
        path = (*self.root, *key)
        while path and path not in self.lines:
            path = path[:-1]
        return f"line {self.lines[path]}: " if path else ""


@dataclass
class _At:
    """A step of reading, whose errors are kept with their line."""

    reader: _Reader
    key: tuple[str | int, ...]

    def __enter__(self) -> None:
        """Begin the step."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, LossctlError):
            return False
        for single in getattr(error, "errors", [error]):
            self.reader.wrong.errors.append(
                ConfigError(
                    f"{self.reader.line(self.key)}{single.message}",
                    hint=single.hint,
                    place=Place(self.reader.path),
                )
            )
        return True


def _limit(kind: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UsageError(f"{kind} takes a number, not {value!r}")
    return read_limit(kind, value) if isinstance(value, str) else check_limit(kind, value)


def _loss(kind: str, spec: Any, specs: Sequence[Spec] | None) -> str | None:
    if spec is not None and not isinstance(spec, str):
        raise UsageError(f"loss takes a spec, as in loss = 'rmse', not {spec!r}")
    if specs is not None:
        return find_loss(kind, spec, specs)
    return find_loss(kind, spec, parse([spec])) if spec is not None else None


def _decide(key: str, value: Any) -> str:
    if value not in get_args(Decide):
        raise UsageError(f"{key} takes {' or '.join(get_args(Decide))}, not {value!r}")
    return str(value)


def _level(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, float) or not 0.0 < value < 1.0:
        raise UsageError(f"{key} takes a number between 0 and 1, not {value!r}")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key} takes a text, not {value!r}")
    return value


def _slice(key: str, value: Any) -> Any:
    if value == "all":
        return "all"
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",")]
        if all(name.strip() and equals for name, equals, _ in pairs):
            return {name.strip(): text.strip() for name, _, text in pairs}
    if isinstance(value, dict) and value:
        plain = (str, int, float)
        if all(isinstance(part, plain) for part in value.values()):
            return {name: _value(part) for name, part in value.items()}
    raise UsageError(f"{key} takes 'all' or columns and values, as in {{sex = 'f'}}, not {value!r}")


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slices(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"require_slices takes a list of slices, not {value!r}")
    return [_slice("require_slices", part) for part in value]
