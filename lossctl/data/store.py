"""Stores: the bytes of an input, wherever they lie and however they are compressed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from lossctl.errors import InputError, LossctlError, Place, SystemRefusal

if TYPE_CHECKING:
    from lossctl.data.source import Source

BUFFER = 1 << 20


def size(location: str) -> int:
    """Give the number of bytes that are stored."""
    return Path(location).stat().st_size


def modified_ns(source: Source) -> int:
    """Give the time of the last change."""
    return Path(source.at).stat().st_mtime_ns


def open_input(source: Source) -> pa.NativeFile:
    """Open the stored bytes for Arrow's readers, which go to and fro in them."""
    return pa.OSFile(source.at)


def open_bytes(source: Source) -> io.BufferedReader:
    """Open the stored bytes as they are."""
    return Path(source.at).open("rb")


def open_stream(source: Source) -> BinaryIO:
    """Open the content as a stream, decompressed where need be."""
    if not source.compression:
        return open_bytes(source)
    stream = pa.CompressedInputStream(open_input(source), source.compression)
    return cast("BinaryIO", io.BufferedReader(stream, BUFFER))


def first_bytes(source: Source, count: int) -> bytes:
    """Read the beginning of the stored bytes."""
    with open_bytes(source) as file:
        return file.read(count)


def unreadable(source: Source, error: OSError) -> LossctlError:
    """Say why the bytes cannot be had to their end."""
    if not source.compression:
        return SystemRefusal(error)
    text = str(error).splitlines()[0].rstrip(".")
    return InputError(
        f"cannot be read to its end as {source.compression} ({text})",
        hint="it may be truncated, or compressed in another way",
        place=Place(source.path),
    )
