"""Files written whole: beside the old one, and put in its place when all of it is on disk.

A process that is killed leaves nothing but its unfinished file, ``.lossctl-NAME-...`` in the same
folder; the next one that writes there removes it. Whoever still writes holds a lock on it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # pragma: no cover - systems without it keep unfinished files of killed runs
    fcntl = None  # type: ignore[assignment]

NAME = 100
"""Characters of a file's name that the name of its unfinished one repeats."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to that takes its place at the end, with the old one's permissions.

    An error in the block leaves what was there before.

    Raises
    ------
    OSError
        The file cannot be written.

    """
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    prefix = f".lossctl-{path.name[:NAME]}-"
    _remove_unfinished(path.parent, prefix)
    file = _locked_file(path.parent, prefix)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(mode)
            Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _locked_file(folder: Path, prefix: str) -> IO[bytes]:
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=prefix, delete=False)  # noqa: SIM115
        # Another process may take it for a leftover before the lock is held.
        if _lock(file.fileno()) and Path(file.name).exists():
            return file
        file.close()


def _remove_unfinished(folder: Path, prefix: str) -> None:
    """Remove what killed processes have left of this file."""
    if fcntl is None:
        return
    for left in [entry for entry in folder.iterdir() if entry.name.startswith(prefix)]:
        with contextlib.suppress(OSError), left.open("rb+") as file:
            if _lock(file.fileno()):
                left.unlink()


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed, unless another process has; tell whether it is locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
