"""Lines of a TOML file: where each key stands, which its parser does not tell."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
"""Keys from the root, and numbers in arrays of tables."""


def key_lines(text: str) -> dict[Path, int]:
    """Give the line of every key and table of a document that parses, counted from 1.

    A statement may go on over several lines: it ends where the parser takes what was read so far.
    """
    lines = text.splitlines()
    found: dict[Path, int] = {}
    seen: Counter[Path] = Counter()
    prefix: Path = ()
    start = 0
    while start < len(lines):
        end = start + 1
        while (statement := _parsed("\n".join(lines[start:end]))) is None and end < len(lines):
            end += 1
        header = lines[start].lstrip().startswith("[")
        keys = list(_keys(statement or {}))
        if header and keys:
            prefix = _numbered(keys[-1], seen, is_array=lines[start].lstrip().startswith("[["))
            found.setdefault(prefix, start + 1)
        elif not header:
            for path in keys:
                found.setdefault((*prefix, *path), start + 1)
        start = end
    return found


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _keys(table: Mapping[str, Any]) -> Iterator[Path]:
    for key, value in table.items():
        yield (key,)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            yield from ((key, *path) for path in _keys(inner))


def _numbered(names: Path, seen: Counter[Path], *, is_array: bool) -> Path:
    """Put in the number of the table that a header of an array of tables opens or is in."""
    path: Path = ()
    for place, name in enumerate(names, 1):
        path = (*path, name)
        if place == len(names) and is_array:
            seen[path] += 1
        if seen[path]:
            path = (*path, seen[path] - 1)
    return path
