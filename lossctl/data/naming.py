"""Names: which format and compression the name of a file promises, and whether it keeps that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

from lossctl.errors import InputError, Place, UsageError

InputFormat = Literal["csv", "tsv", "parquet", "arrow", "jsonl", "orc"]

SUFFIXES: Mapping[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".arrows": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".orc": "orc",
}
COMPRESSIONS: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
TEXTS = ("csv", "tsv", "jsonl")
"""Formats of which a compressed file is read; the others compress by themselves."""
BINARY: Mapping[bytes, InputFormat] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"ORC": "orc",
}
"""The bytes that files of a format begin with."""
COMPRESSED: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
SHOWN: Mapping[str, str] = {
    "csv": "CSV",
    "tsv": "TSV",
    "parquet": "Parquet",
    "arrow": "Arrow IPC",
    "jsonl": "JSON Lines",
    "orc": "ORC",
}
ARTICLE: Mapping[str, str] = {"arrow": "an ", "orc": "an "}
MAGIC_BYTES = 8


def promised(path: str) -> tuple[InputFormat | None, str]:
    """Give the format and the compression that a name promises by its suffixes."""
    name = PurePath(path)
    compression = COMPRESSIONS.get(name.suffix.lower(), "")
    if compression:
        name = name.with_suffix("")
    return SUFFIXES.get(name.suffix.lower()), compression


def format_named(path: str, told: InputFormat | None, start: bytes) -> tuple[InputFormat, str]:
    """Give the format and the compression of a file by its name, or as told, and its first bytes.

    Raises
    ------
    UsageError
        The suffix names no known format.
    InputError
        The content is of another format than the name says.

    """
    name, compression = promised(path)
    place = Place(path)
    if told is None and name is None:
        suffix = PurePath(path).suffix
        message = f"unknown format {suffix!r}" if suffix else "the name has no suffix"
        hint = f"known suffixes: {', '.join(SUFFIXES)}, the text formats also with "
        hint += f"{', '.join(COMPRESSIONS)}; --input-format names the format of any file"
        raise UsageError(message, hint=hint, place=place)
    chosen: InputFormat = told or name or "csv"
    if compression and chosen not in TEXTS:
        message = f"{SHOWN[chosen]} is not read from a compressed file"
        raise UsageError(message, hint="decompress it first", place=place)
    found = next((form for magic, form in BINARY.items() if start.startswith(magic)), chosen)
    suffix = "--input-format" if told else PurePath(path).suffix
    if found != chosen:
        hint = f"let its name end in .{found}" if told is None else f"--input-format {found}"
        message = f"{ARTICLE.get(found, 'a ')}{SHOWN[found]} file, not {SHOWN[chosen]} ({suffix})"
        raise InputError(message, hint=hint, place=place)
    packed = next((how for magic, how in COMPRESSED.items() if start.startswith(magic)), "")
    if packed and not compression and chosen in TEXTS and told is not None:
        return chosen, packed
    if packed != compression and (packed or start):
        really = f"compressed by {packed}" if packed else f"not compressed by {compression}"
        ending = next((s for s, how in COMPRESSIONS.items() if how == packed), "the plain suffix")
        raise InputError(f"the file is {really}", hint=f"let its name end in {ending}", place=place)
    return chosen, compression
