"""Stored numbers: what a report, a state or an accepted baseline says, read strictly.

Whatever is not as lossctl writes it is refused here, once for every command: a number that is none
would let a regression in where it is compared with.
"""

from __future__ import annotations

import json
import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

from lossctl import report as report_module
from lossctl import statefile
from lossctl.errors import InputError, LossctlError, Place
from lossctl.gates.baseline import key_of
from lossctl.losses import Direction
from lossctl.record import record

SCHEMA = {"name": "lossctl.baseline", "version": 1}
KEPT = ("loss", "slice", "value", "std_error", "ci", "n", "direction")
"""What a baseline has of each result."""
FINGERPRINT = re.compile(r"rows[0-9]+:[0-9a-f]{32}")
MOST_ROWS = (1 << 63) - 1


class UnreadableError(LossctlError):
    """A file holds no numbers to compare with."""

    slug = "baseline"


@record
class Stored:
    """The numbers of an earlier run."""

    signature: str
    fingerprint: str | None
    results: tuple[Mapping[str, Any], ...]
    """By loss and slice, what is `KEPT` of each."""
    on: date | None = None
    """When it was accepted, if it was."""
    reason: str = ""


def today() -> date:
    """Give the date, the same all over the world."""
    return datetime.now(UTC).date()


def read_stored(path: str) -> Stored:
    """Give what a report, a state or an accepted baseline says.

    Raises
    ------
    InputError
        There is no such file.
    UnreadableError
        It is none of these, or damaged.

    """
    document = _document(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    if _same(schema, statefile.SCHEMA):
        document = statefile.report_of(statefile.load_merged([path])).to_dict()
    elif not _same(schema, report_module.SCHEMA) and not _same(schema, SCHEMA):
        message = f"neither a report nor a state nor an accepted baseline; {_what(schema)}"
        raise UnreadableError(message, place=Place(path))
    if fault := _damage(document):
        raise UnreadableError(f"damaged: {fault}", place=Place(path))
    results = tuple({name: result[name] for name in KEPT} for result in document["results"])
    stored = Stored(document["signature"], document.get("fingerprint"), results)
    if document["schema"] != SCHEMA:
        return stored
    on, reason = date.fromisoformat(document["accepted"]), document["reason"]
    return replace(stored, on=on, reason=reason)


def _document(path: str) -> Any:
    """Read a file as JSON, which knows neither NaN nor two values of one name."""
    try:
        return json.loads(
            Path(path).read_text(encoding="utf-8"),
            parse_constant=_no_constant,
            object_pairs_hook=_distinct,
        )
    except FileNotFoundError as error:
        raise InputError("no such file", place=Place(path)) from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error), place=Place(path)) from error
    except RecursionError as error:
        message = "no JSON that lossctl writes: it is nested too deeply"
        raise UnreadableError(message, place=Place(path)) from error
    except ValueError as error:
        raise UnreadableError(f"no JSON, or damaged: {error}", place=Place(path)) from error


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands there twice")
    return found


def _same(schema: Any, known: Mapping[str, Any]) -> bool:
    """Tell whether a document names a schema, of which true is no version."""
    return schema == known and type(schema["version"]) is int


def _what(schema: Any) -> str:
    name = schema.get("name") if isinstance(schema, dict) else None
    if not isinstance(name, str):
        return "nothing in it says what it is"
    known = (SCHEMA["name"], report_module.SCHEMA["name"], statefile.SCHEMA["name"])
    if name in known:
        return f"it is a {name} of version {_shown(schema.get('version'))}, which is not known"
    return f"it is a {name}"


# What is written, and nothing else --------------------------------------------------------------


def _damage(document: Mapping[str, Any]) -> str:
    """Say what is not as it was written; nothing where the numbers can be compared with."""
    if not _is_text(document.get("signature")):
        return "it has no signature"
    fingerprint = document.get("fingerprint")
    if fingerprint is not None and not _is_fingerprint(fingerprint):
        return f"its fingerprint is {_shown(fingerprint)}"
    accepted = _odd_acceptance(document) if document["schema"] == SCHEMA else ""
    return accepted or _odd_results(document.get("results"))


def _odd_results(results: Any) -> str:
    if not isinstance(results, list) or not results:
        return "it has no results"
    seen = set()
    for number, result in enumerate(results, start=1):
        if fault := _odd_result(result, number):
            return fault
        key = key_of(result["loss"], result["slice"])
        if key in seen:
            return f"result {number} is there twice"
        seen.add(key)
    return ""


def _odd_acceptance(document: Mapping[str, Any]) -> str:
    """Say what is odd in what an accepted baseline has beside its numbers."""
    for name in ("accepted", "reason", "fingerprint"):
        if name not in document:
            return f"it has no {name}"
    if not _is_text(document["reason"]):
        return f"its reason is {_shown(document['reason'])}"
    text = document["accepted"]
    try:
        on = date.fromisoformat(text)
    except (ValueError, TypeError):
        return f"accepted is {_shown(text)}, which is no date"
    if on.isoformat() != text:
        return f"accepted is {_shown(text)}, not {on}"
    return f"accepted is {on}, which is in the future" if on > today() else ""


def _odd_result(result: Any, number: int) -> str:
    for name in KEPT:
        if not isinstance(result, dict) or name not in result:
            return f"result {number} has no {name}"
        if not FORMS[name](result[name]):
            return f"{name} of result {number} is {_shown(result[name])}"
    value, error, ci, n = (result[name] for name in ("value", "std_error", "ci", "n"))
    if value is None and not _is_text(result.get("reason")):
        return f"result {number} has no value and no reason why"
    if (value is not None and n < 1) or (error is not None and n < 2):
        return f"n of result {number} is {n}, too few for its {'value' if n < 1 else 'std_error'}"
    if ci is not None and (value is None or not ci["lower"] <= value <= ci["upper"]):
        return f"the interval of result {number} is not around its value"
    return ""


def _shown(value: Any) -> str:
    return reprlib.repr(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_fingerprint(value: Any) -> bool:
    return _is_text(value) and FINGERPRINT.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    """Tell whether something is a finite double, which neither true nor 10^400 is."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) <= sys.float_info.max


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_ROWS


def _is_slice(value: Any) -> bool:
    plain = (str, bool, type(None))
    return isinstance(value, dict) and all(
        isinstance(part, plain) or _is_number(part) for part in value.values()
    )


def _is_interval(value: Any) -> bool:
    names = {"level", "lower", "upper", "method", "df"}
    if not isinstance(value, dict) or value.keys() != names or not _is_text(value["method"]):
        return False
    level, lower, upper, df = (value[name] for name in ("level", "lower", "upper", "df"))
    numbers = all(map(_is_number, (level, lower, upper))) and (df is None or _is_number(df))
    return numbers and 0.0 < level < 1.0 and lower <= upper and (df is None or df > 0)


FORMS: Mapping[str, Callable[[Any], bool]] = {
    "loss": _is_text,
    "slice": _is_slice,
    "value": lambda value: value is None or _is_number(value),
    "std_error": lambda value: value is None or (_is_number(value) and value >= 0),
    "ci": lambda value: value is None or _is_interval(value),
    "n": _is_count,
    "direction": lambda value: value in get_args(Direction),
}
"""Whether something is what a result has by a name."""
