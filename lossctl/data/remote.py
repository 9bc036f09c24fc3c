"""Remote stores: object stores by Arrow's file systems, all other URLs by fsspec.

Who may read is up to the file systems, which look for credentials in their own variables and
files. Nothing of a URL beyond its host and path is ever shown: the rest may be a secret.
"""

from __future__ import annotations

import functools
import io
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from lossctl.data.store import Entry
from lossctl.errors import InputError, LossctlError, Place, UsageError

ARROW = ("s3", "gs", "gcs", "hdfs", "viewfs", "az")
"""Schemes that Arrow reads by itself."""
AZURE = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN")
SECRETS = re.compile(r"(?<=://)[^/@\s]*@|(?<=[?&])[^=&\s]+=[^&\s'\")]*")
"""What a URL may hold that is nobody's business: a user and the values of a query."""


def shown(location: str) -> str:
    """Give a URL without what may be a secret."""
    parts = urlsplit(location)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if "=" in parts.query else location.split(host, 1)[1]
    return f"{parts.scheme}://{host}{path}"


def look(location: str) -> Entry:
    """Ask a store what stands at a URL.

    Raises
    ------
    LossctlError
        It cannot be asked.

    """
    try:
        system, path = _system(location)
        found = system.get_file_info(path)
    except Exception as error:
        raise refusal(location, error) from error
    if found.type == fs.FileType.NotFound:
        return Entry(location, "nothing")
    if found.type == fs.FileType.Directory:
        return Entry(location, "folder")
    if found.size is None or not _goes_back(location):
        return Entry(location, "stream")
    return Entry(location, "file", found.size, found.mtime_ns or 0)


def walk(location: str) -> Sequence[Entry]:
    """List all files below a URL.

    Raises
    ------
    LossctlError
        The store cannot be asked.

    """
    try:
        system, path = _system(location)
        found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    except Exception as error:
        raise refusal(location, error) from error
    base = location.rstrip("/")
    return [
        Entry(base + each.path[len(path.rstrip("/")) :], "file", each.size, each.mtime_ns or 0)
        for each in found
        if each.type == fs.FileType.File
    ]


def open_input(location: str) -> pa.NativeFile:
    """Open a file for reading to and fro."""
    try:
        system, path = _system(location)
        return system.open_input_file(path)
    except Exception as error:
        raise refusal(location, error) from error


def open_once(location: str) -> io.RawIOBase:
    """Open what can be read in order only."""
    try:
        system, path = _system(location)
        return _Raw(system.handler.fs.open(path, "rb", block_size=0))
    except Exception as error:
        raise refusal(location, error) from error


def refusal(location: str, error: Exception) -> LossctlError:
    """Say what a store says, without secrets."""
    if isinstance(error, LossctlError):
        return error
    place = Place(shown(location))
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", place=place)
    text = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    text = SECRETS.sub("...", text.replace(location, shown(location)))
    return InputError(
        f"cannot be read ({text})",
        hint="a lost connection, a damaged file or credentials that do not suffice",
        place=place,
    )


def _system(location: str) -> tuple[Any, str]:
    """Give the file system of a URL, and the path in it."""
    parts = urlsplit(location)
    scheme = parts.scheme.lower()
    if scheme not in ARROW:
        return _by_fsspec(scheme), location
    host, query = parts.netloc, parts.query if "=" in parts.query else ""
    path = location.partition("://")[2]
    if query:
        path = path[: -len(query) - 1]
    path = path.split("#", 1)[0] if "#" in path and parts.fragment and query else path
    if scheme == "az":
        return _azure(), path
    system, root = _by_arrow(scheme, host, query)
    bare = path.rpartition("@")[2]
    return system, f"/{bare.partition('/')[2]}" if scheme in ("hdfs", "viewfs") else bare or root


@functools.lru_cache(maxsize=64)
def _by_arrow(scheme: str, host: str, query: str) -> tuple[Any, str]:
    found: tuple[Any, str] = fs.FileSystem.from_uri(f"{scheme}://{host}{'?' * bool(query)}{query}")
    return found


@functools.lru_cache(maxsize=1)
def _azure() -> Any:
    account, key, token = (os.environ.get(name) for name in AZURE)
    if not account:
        raise UsageError(f"az:// needs the storage account in {AZURE[0]}")
    return fs.AzureFileSystem(account, account_key=key, sas_token=token)


@functools.lru_cache(maxsize=16)
def _by_fsspec(scheme: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        message = f"{scheme}:// is read by fsspec, which is not installed"
        raise UsageError(message, hint="pip install 'lossctl[remote]'") from error
    try:
        system = fsspec.filesystem(scheme)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{scheme}:// cannot be read ({error})") from error
    return fs.PyFileSystem(_Handler(system))


def _goes_back(location: str) -> bool:
    """Tell whether any part of a file can be asked for; some web servers only give all of it."""
    system, path = _system(location)
    if not isinstance(system, fs.PyFileSystem):
        return True
    if location.lower().startswith("http"):
        return bool(system.handler.fs.info(path).get("partial"))
    with system.handler.fs.open(path, "rb") as file:
        return bool(file.seekable())


class _Handler(fs.FSSpecHandler):  # type: ignore[misc]
    """Files of fsspec whose errors Arrow knows."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file for reading to and fro."""
        return pa.PythonFile(io.BufferedReader(_Raw(self.fs.open(path, "rb")), 1 << 16), "r")


class _Raw(io.RawIOBase):
    """A file whose every error is an `OSError`, as Arrow and Python expect of files."""

    def __init__(self, file: Any) -> None:
        """Take an open file."""
        super().__init__()
        self.file = file

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell whether it goes back."""
        return bool(self.file.seekable())

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as possible."""
        data = self._told(self.file.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return int(self._told(self.file.seek, offset, whence))

    def tell(self) -> int:
        """Tell the place."""
        return int(self._told(self.file.tell))

    def close(self) -> None:
        """Close the file below as well."""
        self.file.close()
        super().close()

    @staticmethod
    def _told(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
