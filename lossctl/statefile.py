"""State files: the exact numbers of a run as JSON, to be merged with others or gone on from.

A digest over everything else in the file tells damage, as a changed digit would else go unseen.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from lossctl import __version__
from lossctl.data.tasks import Piece
from lossctl.errors import InputError, LossctlError, Place, SeveralErrors, SpecError
from lossctl.losses import Loss
from lossctl.plan import Settings
from lossctl.report import Report
from lossctl.state import State
from lossctl.state_json import settings_from_dict, settings_to_dict, state_from_dict, state_to_dict
from lossctl.summarise import summarise

SCHEMA = {"name": "lossctl.state", "version": 1}


class StateError(LossctlError):
    """A state file is damaged, or does not belong with another or with this run."""

    slug = "state"


@dataclass
class Saved:
    """A state with the settings it was made by and the files it was made from."""

    settings: Settings
    state: State
    inputs: list[dict[str, Any]]
    """Path, format, bytes and time of the last change of each file."""
    complete: bool = True
    """Whether it holds all rows of its files; a run that was killed leaves one that does not."""

    def merge(self, other: Saved, path: str) -> None:
        """Add another state, read from a path.

        Raises
        ------
        StateError
            The settings differ, or both hold the same rows.

        """
        if difference := _difference(self.settings, other.settings):
            raise StateError(
                f"the state differs from those before it in {difference}",
                hint="only states of equal settings can be merged",
                place=Place(path),
            )
        if twice := _read_twice([*self.state.read, *other.state.read]):
            raise StateError(
                f"another state holds rows of {twice} as well",
                hint="name each state once, and different files by different paths",
                place=Place(path),
            )
        self.state.merge(other.state)
        self.inputs += [entry for entry in other.inputs if entry not in self.inputs]

    def check_same_run(self, before: Saved, path: str) -> None:
        """Refuse to go on from a state made by other settings or from other files.

        Raises
        ------
        StateError
            A setting or a file is another one now.

        """
        if difference := _difference(before.settings, self.settings):
            raise StateError(
                f"this run differs from the one that left the state in {difference}",
                hint="give the same options, or remove the file to start anew",
                place=Place(path),
            )
        if before.inputs != self.inputs:
            raise StateError(
                "the state was made from other files, or they have changed since",
                hint="remove it to start anew",
                place=Place(path),
            )


def dump(saved: Saved) -> str:
    """Write a state as text."""
    document = {
        "schema": SCHEMA,
        "settings": settings_to_dict(saved.settings),
        "inputs": saved.inputs,
        "complete": saved.complete,
        **state_to_dict(saved.state),
    }
    return json.dumps({"digest": _digest(document), **document}, allow_nan=False) + "\n"


def load(path: str, losses: Sequence[Loss] = ()) -> Saved:
    """Read a state file; ``losses`` are those of files, which a state names but does not run.

    Raises
    ------
    InputError
        The file cannot be read.
    StateError
        It is damaged, or was written by another version.

    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(path)) from error
    return loads(data, path, losses)


def loads(data: str | bytes, path: str, losses: Sequence[Loss] = ()) -> Saved:
    """Read the text of a state; the path is where it was found, the losses are as for `load`.

    Raises
    ------
    StateError
        It is damaged, or was written by another version.

    """
    try:
        document = json.loads(data)
        name, version = document["schema"]["name"], document["settings"]["version"]
        told = document.pop("digest")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError("not a state file, or a damaged one", place=Place(path)) from error
    if name == SCHEMA["name"] and version != __version__:
        message = f"written by lossctl {version}, this is {__version__}"
        raise StateError(message, hint="make the state anew", place=Place(path))
    if document["schema"] != SCHEMA or told != _digest(document):
        raise StateError("not a state file, or a damaged one", place=Place(path))
    try:
        settings = settings_from_dict(document["settings"], losses)
    except (SpecError, SeveralErrors) as error:  # of losses that are not built in
        message = "; ".join(error.message.splitlines())
        hint = "-l FILE.py names the file that the state was made with"
        raise StateError(message, hint=hint, place=Place(path)) from error
    state = state_from_dict(document, settings)
    return Saved(settings, state, document["inputs"], document["complete"])


def load_merged(paths: Sequence[str], losses: Sequence[Loss] = ()) -> Saved:
    """Read several state files and add them up; ``losses`` as in `load`.

    Raises
    ------
    InputError
        A file cannot be read.
    StateError
        One is damaged or of a run that was killed, or they do not belong together.

    """
    merged = _load_complete(paths[0], losses)
    for path in paths[1:]:
        merged.merge(_load_complete(path, losses), path)
    return merged


def _load_complete(path: str, losses: Sequence[Loss]) -> Saved:
    saved = load(path, losses)
    if not saved.complete:
        raise StateError(
            "the run that left the state did not come to its end",
            hint="run it again with --resume",
            place=Place(path),
        )
    return saved


def report_of(saved: Saved) -> Report:
    """Report a state, as the run that made it did."""
    report = summarise(saved.settings, saved.state)
    inputs = [
        {name: entry[name] for name in entry if name != "modified_ns"}
        for entry in sorted(saved.inputs, key=lambda entry: str(entry["path"]))
    ]
    return replace(report, run={"version": __version__, "elapsed_s": 0.0, "inputs": inputs})


def _difference(before: Settings, now: Settings) -> str:
    """Name the first setting that differs, and both of its values; empty when all are equal."""
    old, new = settings_to_dict(before), settings_to_dict(now)
    for name, value in old.items():
        if value != new[name]:
            return f"{name}: {_text(new[name])} instead of {_text(value)}"
    return ""


def _read_twice(pieces: Iterable[Piece]) -> str:
    """Name a file of which two pieces overlap; empty when there is none."""
    for (path, start, stop), (other, following, _) in pairwise(sorted(pieces)):
        # A piece that stops where it starts or before goes on to the end of its file.
        end = stop if stop > start else math.inf
        if path == other and following < end:
            return path
    return ""


def _digest(document: Mapping[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(document).encode()).hexdigest()}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
