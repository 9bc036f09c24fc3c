"""Expanding: the files that one argument means, a glob, a folder, or a tree of partitions."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from lossctl.data import naming, store
from lossctl.data.store import Entry
from lossctl.errors import InputError, Place

WILD = re.compile(r"[*?\[]")
NULL = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a missing value in the name of a folder."""
SHOWN = 3
MARKS = (".", "_")
"""What the names of markers, logs and files that are being written begin with."""


def is_wild(location: str) -> bool:
    """Tell whether a location is a pattern."""
    return bool(WILD.search(location))


def matches(pattern: str) -> list[Entry]:
    """Give the files that a pattern means, by name; ``**`` means any folders, hidden ones none.

    Raises
    ------
    InputError
        There is none.

    """
    if store.is_remote(pattern):
        base = fixed(pattern)
        expression = _expression(pattern)
        found = [each for each in _walk(base) if expression.fullmatch(each.location)]
    else:
        names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the whole path is one
        found = [each for each in map(store.look, names) if each.kind != "folder"]
    named = pattern.rpartition("/")[2].startswith(MARKS)
    found = [each for each in found if named or not _name(each).startswith(MARKS)]
    if not found:
        hint = f"the longest part without a pattern is {fixed(pattern) or '.'}"
        raise InputError("no file matches", hint=hint, place=Place(store.shown(pattern)))
    return sorted(found, key=lambda each: each.location)


def files_in(folder: str, *, told: bool) -> tuple[list[Entry], str]:
    """Give the data files in a folder and those below it, by name, and a note on the others.

    Names that begin with a point or an underscore are left out, as those of markers and logs are;
    ``told`` takes files of any name as the format is known.

    Raises
    ------
    InputError
        There is none.

    """
    found: list[Entry] = []
    others: list[Entry] = []
    for each in _walk(folder):
        parts = each.location[len(folder.rstrip("/")) + 1 :].split("/")
        if any(part.startswith(MARKS) for part in parts) or not each.size:
            continue
        known = told or naming.promised(each.location)[0] is not None
        (found if known else others).append(each)
    if not found:
        names = ", ".join(Path(each.location).name for each in others[:SHOWN])
        there = f", only {names}" if others else ""
        hint = f"known suffixes: {', '.join(naming.SUFFIXES)}"
        message = f"the folder holds no data file{there}"
        raise InputError(message, hint=hint, place=Place(store.shown(folder)))
    names = ", ".join(Path(each.location).name for each in others[:SHOWN])
    note = f"{store.shown(folder)}: {len(others)} files of no known format are left out ({names})"
    return sorted(found, key=lambda each: each.location), note if others else ""


def fixed(pattern: str) -> str:
    """Give the folders of a pattern before its first part that is wild."""
    wild = WILD.search(pattern)
    before = pattern if wild is None else pattern[: wild.start()]
    return before.rpartition("/")[0] + "/" * ("/" in before)


def partition(location: str, base: str) -> Mapping[str, str | None]:
    """Read the names of folders like ``region=eu`` between a base and a file."""
    folders = location[len(base) :].strip("/").split("/")[:-1]
    pairs = (folder.partition("=") for folder in folders)
    return {
        unquote(name): None if value == NULL else unquote(value)
        for name, mark, value in pairs
        if name and mark
    }


def _name(entry: Entry) -> str:
    return entry.location.rpartition("/")[2]


def _walk(folder: str) -> Sequence[Entry]:
    if store.is_remote(folder):
        from lossctl.data import remote

        return remote.walk(folder)
    paths = (path for path in Path(folder or ".").rglob("*") if path.is_file())
    base = folder.rstrip("/")
    return [
        store.look(f"{base}/{path.relative_to(folder).as_posix()}" if folder != "." else str(path))
        for path in paths
    ]


def _expression(pattern: str) -> re.Pattern[str]:
    """Write a pattern as an expression: a star stays within a folder, two do not."""
    parts = []
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern):
        known = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        wild = fnmatch.translate(part) if part.startswith("[") and part.endswith("]") else ""
        inner = wild.removeprefix("(?s:").rpartition(")")[0]
        parts.append(known.get(part) or inner or re.escape(part))
    return re.compile("".join(parts))
