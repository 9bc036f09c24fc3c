"""Spools: what can be read only once is kept in a temporary file, as it is read more than once.

The header, the rows, on both roads, and the place of a fault are all found by reading. The file
has no name where the system allows that, so that nothing is left of it however the program ends.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from lossctl.data import store
from lossctl.data.store import STDIN
from lossctl.errors import InputError, Place

COPY_BYTES = 1 << 20
OPEN_FILES = Path("/proc/self/fd")
"""Where files without a name can be opened anew."""

_kept: list[IO[bytes]] = []


def keep(location: str) -> tuple[str, str]:
    """Copy a stream to a temporary file; give its place, and a note for the user.

    Raises
    ------
    InputError
        Nothing comes from it, or it breaks off.

    """
    if location == STDIN and (place := _standing()):
        return place, ""
    folder = tempfile.gettempdir()
    file = tempfile.NamedTemporaryFile(prefix="lossctl-", delete=False)  # noqa: SIM115
    _kept.append(file)
    hidden = OPEN_FILES.is_dir()
    if hidden:
        Path(file.name).unlink()
    try:
        with _opened(location) as stream:
            shutil.copyfileobj(stream, file, COPY_BYTES)
        file.flush()
    except BaseException as error:
        release()
        if store.is_remote(location) and isinstance(error, OSError):
            from lossctl.data import remote

            raise remote.refusal(location, error) from error
        raise
    size = file.tell()
    name = "stdin" if location == STDIN else store.shown(location)
    note = f"{name} is kept in a temporary file in {folder} ({size / 1e6:.1f} MB)"
    return str(OPEN_FILES / str(file.fileno())) if hidden else file.name, note


def release() -> None:
    """Remove the files of this process that have a name."""
    while _kept:
        file = _kept.pop()
        file.close()
        with contextlib.suppress(OSError):
            Path(file.name).unlink(missing_ok=True)


def _standing() -> str:
    """Give the place of stdin where it is a file from its beginning, which needs no copy."""
    try:
        file = sys.stdin.buffer
        place = OPEN_FILES / str(file.fileno())
        return str(place) if place.is_file() and file.tell() == 0 else ""
    except (OSError, AttributeError, ValueError):
        return ""


def _opened(location: str) -> Any:
    if location == STDIN:
        if sys.stdin is None:
            raise InputError("stdin is closed", place=Place(STDIN))
        return contextlib.nullcontext(sys.stdin.buffer)
    if store.is_remote(location):
        from lossctl.data import remote

        return remote.open_once(location)
    return Path(location).open("rb")
