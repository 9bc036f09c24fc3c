"""Losses of the user's own files: run when a spec names the file, never found by themselves."""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from pathlib import Path
from types import ModuleType

from lossctl.errors import Place, SpecError
from lossctl.losses._declare import Loss
from lossctl.losses._guard import guarded, line_of, reason_of

NAMED = re.compile(r"(?P<file>[^:]+\.py)(?::(?P<function>[^:]*)(?::(?P<rest>.*))?)?", re.DOTALL)
"""A file, a function in it, and parameters; the last two may be absent."""


def load(text: str) -> dict[str, Loss]:
    """Run a file and give the losses that it declares, by their names and aliases in it.

    Raises
    ------
    SpecError
        The file cannot be read or run, or declares no loss.

    """
    path = Path(text)
    try:
        source = path.read_bytes()
    except OSError as error:
        message = f"cannot be read ({error.strerror or error})"
        raise SpecError(message, place=Place(text)) from error
    return dict(_declared(path.as_posix(), source))


@functools.lru_cache(maxsize=32)
def _declared(file: str, source: bytes) -> dict[str, Loss]:
    origin = hashlib.sha256(source).hexdigest()[:16]
    module = ModuleType(f"lossctl_{origin}.{Path(file).stem}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        # No bytecode is left beside the file, and what runs is what the digest tells.
        exec(compile(source, file, "exec", dont_inherit=True), vars(module))  # noqa: S102
    except (Exception, SystemExit) as error:
        message = f"{line_of(file, error)}{reason_of(error)}"
        hint = "--debug shows the traceback"
        raise SpecError(message, hint=hint, place=Place(file)) from error
    found: dict[str, Loss] = {}
    for each in vars(module).values():
        if isinstance(each, Loss) and each.kernel.__module__ == module.__name__:
            loss = guarded(each, name=f"{file}:{each.name}", origin=origin)
            found |= dict.fromkeys((each.name, *each.aliases), loss)
    if not found:
        hint = "decorate a function with @loss from lossctl.losses"
        raise SpecError("declares no loss", hint=hint, place=Place(file))
    return found
