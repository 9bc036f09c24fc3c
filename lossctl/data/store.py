"""Stores: the bytes of an input, wherever they lie and however they are compressed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

import pyarrow as pa

from lossctl.errors import InputError, LossctlError, Place, SystemRefusal
from lossctl.record import record

if TYPE_CHECKING:
    from lossctl.data.source import Source

BUFFER = 1 << 20
STDIN = "-"
"""What stands for stdin among the inputs."""


@record
class Entry:
    """What stands at a location."""

    location: str
    kind: Literal["file", "folder", "stream", "nothing"]
    """A stream can be read once, from its beginning."""
    size: int = 0
    modified_ns: int = 0


def is_remote(location: str) -> bool:
    """Tell whether a location is a URL."""
    scheme, mark, _ = location.partition("://")
    return bool(mark) and scheme.replace("+", "").isalnum()


def shown(location: str) -> str:
    """Give what messages call a location: a URL may hold secrets."""
    if not is_remote(location):
        return location
    from lossctl.data import remote

    return remote.shown(location)


def look(location: str) -> Entry:
    """Find out what stands at a location.

    Raises
    ------
    LossctlError
        A remote store cannot be asked.
    OSError
        A folder may not be read.

    """
    if is_remote(location):
        from lossctl.data import remote

        return remote.look(location)
    path = Path(location)
    if not path.exists():
        return Entry(location, "nothing")
    if path.is_dir():
        return Entry(location, "folder")
    found = path.stat()
    return Entry(location, "file" if path.is_file() else "stream", found.st_size, found.st_mtime_ns)


def open_input(source: Source) -> pa.NativeFile:
    """Open the stored bytes for Arrow's readers, which go to and fro in them."""
    if is_remote(source.at):
        from lossctl.data import remote

        return remote.open_input(source.at)
    return pa.OSFile(source.at)


def open_bytes(source: Source) -> io.BufferedReader:
    """Open the stored bytes as they are."""
    if is_remote(source.at):
        return io.BufferedReader(cast("Any", open_input(source)), BUFFER)
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


def unreadable(source: Source, error: Exception) -> LossctlError:
    """Say why the bytes cannot be had to their end."""
    if is_remote(source.at):
        from lossctl.data import remote

        return remote.refusal(source.at, error)
    if not source.compression and isinstance(error, OSError):
        return SystemRefusal(error)
    text = str(error).splitlines()[0].rstrip(".")
    return InputError(
        f"cannot be read to its end as {source.compression} ({text})",
        hint="it may be truncated, or compressed in another way",
        place=Place(source.path),
    )


@contextlib.contextmanager
def errors_of(source: Source) -> Iterator[None]:
    """Turn what is said of bytes that cannot be had into an error that names the source."""
    try:
        yield
    except OSError as error:
        raise unreadable(source, error) from error
