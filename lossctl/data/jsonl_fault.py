"""Where a JSON Lines file is malformed: read once more, only after Arrow has refused it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.data import store
from lossctl.data.jsonl import DEEPEST
from lossctl.data.nested import path_of
from lossctl.data.source import Source
from lossctl.errors import InputError, Place

SHOWN = 40
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
OPENING, CLOSING = list(b"[{"), list(b"]}")


def objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Read the objects of some lines."""
    return (json.loads(line) for line in data.decode("utf-8-sig").splitlines() if line.strip())


def refuse_deep(source: Source, data: bytes) -> None:
    """Refuse lines whose values are nested deeper than `DEEPEST`.

    Raises
    ------
    InputError
        One is, which it names.

    """
    row = 0
    for line in data.split(b"\n"):
        row += bool(line.strip())
        if line.count(b"[") + line.count(b"{") <= DEEPEST:
            continue
        letters = np.frombuffer(TEXT.sub(b"", line), np.uint8)
        opened = np.isin(letters, OPENING).astype(np.int64)
        if (opened - np.isin(letters, CLOSING)).cumsum().max() > DEEPEST:
            message = f"nested deeper than {DEEPEST} levels"
            raise InputError(message, place=Place(source.path, row))


def find_fault(source: Source, types: Mapping[str, pa.DataType], start: int) -> InputError | None:
    """Give an error that names the first faulty row from a place on, and its column if one is."""
    row, place = 0, 0
    with store.open_stream(source) as file:
        for line in file:
            if line.strip():
                row += 1
                if place >= start and (fault := _line_fault(source, types, line, row)):
                    return fault
            place += len(line)
    return None


def _line_fault(
    source: Source, types: Mapping[str, pa.DataType], line: bytes, row: int
) -> InputError | None:
    place = Place(source.path, row)
    try:
        found = json.loads(line.decode("utf-8-sig" if row == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        message = f"the byte 0x{line[error.start]:02x} is not UTF-8"
        return InputError(message, hint="JSON is written in UTF-8", place=place)
    except (ValueError, RecursionError) as error:
        hint = "every line holds one whole JSON object"
        return InputError(f"not JSON ({error})", hint=hint, place=place)
    if not isinstance(found, dict):
        message = f"holds {_shown(found)}, not a JSON object"
        hint = "every line holds one object with the columns as its names"
        return InputError(message, hint=hint, place=place)
    for name, kind in types.items():
        value = _at(found, path_of(source, name))
        if not _fits(value, kind):
            message = f"{_shown(value)} is not {_meant(kind)}"
            hint = "every row of a column holds one type, or null"
            return InputError(message, hint=hint, place=Place(source.path, row, name))
    return None


def _at(found: Any, path: tuple[str, ...]) -> Any:
    """Give what a path leads to; null where it leads nowhere."""
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _fits(value: Any, kind: pa.DataType) -> bool:
    """Tell whether a value can stand in a column of a type; to Python a truth is a number too."""
    if pa.types.is_list(kind) and isinstance(value, list):
        return all(_fits(part, kind.value_type) for part in value)
    if value is None or isinstance(value, bool):
        return value is None or pa.types.is_boolean(kind)
    tests: tuple[tuple[Any, Any], ...] = (
        (pa.types.is_integer, int),
        (pa.types.is_floating, int | float),
        (pa.types.is_string, str),
        (pa.types.is_struct, dict),
    )
    return any(test(kind) and isinstance(value, types) for test, types in tests)


def _meant(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_struct(kind):
        return "an object"
    known = {"bool": "true or false", "int64": "a whole number", "string": "a text"}
    return known.get(str(kind), str(kind))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
