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

import numpy as np

from lossctl import __version__
from lossctl.data.derived import Derived
from lossctl.data.joined import Pairs
from lossctl.data.source import Source
from lossctl.data.tasks import Piece
from lossctl.errors import InputError, LossctlError, Place, SeveralErrors, SpecError
from lossctl.losses import Loss, parse
from lossctl.plan import Policies, Settings
from lossctl.report import Report
from lossctl.state import State, empty_state
from lossctl.stats.exact import ExactSum
from lossctl.stats.extremes import Extreme
from lossctl.stats.fingerprint import Fingerprint
from lossctl.stats.tally import Rows, Tally
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


def inputs_of(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Give what a report says of its files."""
    return [
        {"path": file.path, "format": file.format, "bytes": file.size}
        for source in sources
        for file in source.files
    ]


def stamped_inputs(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Give what tells whether a file has changed."""
    return [
        entry | {"modified_ns": file.modified_ns}
        for entry, file in zip(
            inputs_of(sources), (file for source in sources for file in source.files), strict=True
        )
    ]


def dump(saved: Saved) -> str:
    """Write a state as text."""
    state = saved.state
    document = {
        "schema": SCHEMA,
        "settings": _settings(saved.settings),
        "inputs": saved.inputs,
        "complete": saved.complete,
        "read": [[*piece, rows] for piece, rows in sorted(state.read.items())],
        "dropped": {why: _rows(rows) for why, rows in sorted(state.dropped.items())},
        "labels": [[*role, sorted(seen)] for role, seen in sorted(state.labels.items())],
        "pairs": _pairs(state.pairs),
        "fingerprint": [state.fingerprint.rows, *map(hex, state.fingerprint.sums)],
        "cells": [list(key) for key in state.cells.keys],
        "tallies": {name: _tally(tally) for name, tally in state.tallies.items()},
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
        return _load(document, losses)
    except (SpecError, SeveralErrors) as error:  # of losses that are not built in
        message = "; ".join(error.message.splitlines())
        hint = "-l FILE.py names the file that the state was made with"
        raise StateError(message, hint=hint, place=Place(path)) from error


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
    old, new = _settings(before), _settings(now)
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


def _settings(settings: Settings) -> dict[str, Any]:
    policies = settings.policies
    return {
        "version": __version__,
        "losses": [spec.full for spec in settings.specs],
        "pairing": settings.pairing,
        "nulls": policies.nulls,
        "nonfinite": policies.nonfinite,
        "ci": policies.ci,
        "quantiles": list(policies.quantiles),
        "histogram": policies.histogram,
        "top": policies.top,
        "keep": list(policies.keep),
        "sensitivity": policies.sensitivity,
        "by": [[_dimension(name) for name in names] for names in policies.by],
        "find": [_dimension(name) for name in policies.find],
        "max_slices": policies.max_slices,
        "min_slice_rows": policies.min_slice_rows,
        "where": policies.where,
        "weight": policies.weight,
        "keys": list(policies.keys),
        "missing": policies.missing,
        "min_match_rate": policies.min_match_rate,
        "fingerprint": policies.fingerprint,
        "columns": {loss: dict(roles) for loss, roles in settings.columns.items()},
        "classes": [list(names) for names in settings.classes],
        "group": settings.group,
    }


def _load(document: Mapping[str, Any], losses: Sequence[Loss]) -> Saved:
    told = document["settings"]
    policies = Policies(
        nulls=told["nulls"],
        nonfinite=told["nonfinite"],
        ci=told["ci"],
        quantiles=tuple(told["quantiles"]),
        histogram=told["histogram"],
        top=told["top"],
        keep=tuple(told["keep"]),
        sensitivity=told["sensitivity"],
        by=tuple(tuple(map(_load_dimension, names)) for names in told["by"]),
        find=tuple(map(_load_dimension, told["find"])),
        max_slices=told["max_slices"],
        min_slice_rows=told["min_slice_rows"],
        where=told["where"],
        weight=told["weight"],
        keys=tuple(told["keys"]),
        missing=told["missing"],
        min_match_rate=told["min_match_rate"],
        fingerprint=told["fingerprint"],
    )
    specs = tuple(parse(told["losses"], known=losses))
    classes = tuple(map(tuple, told["classes"]))
    settings = Settings(specs, told["pairing"], policies, told["columns"], classes, told["group"])
    state = empty_state(settings)
    state.read = {(path, start, stop): rows for path, start, stop, rows in document["read"]}
    state.dropped = {why: _load_rows(rows) for why, rows in document["dropped"].items()}
    state.labels = {(spec, role): frozenset(seen) for spec, role, seen in document["labels"]}
    state.pairs = _load_pairs(document["pairs"])
    count, first, second = document["fingerprint"]
    state.fingerprint = Fingerprint(count, (int(first, 16), int(second, 16)))
    for key in document["cells"]:
        state.cells.number(tuple(key))
    for name, tally in state.tallies.items():
        tally.grow(len(state.cells.keys))
        _load_tally(tally, document["tallies"][name])
    return Saved(settings, state, document["inputs"], document["complete"])


def _dimension(name: str) -> str | dict[str, Any]:
    """Give what rows are sliced by: a column's name, or what is derived of it."""
    if not isinstance(name, Derived):
        return name
    return {"column": name.column, "edges": list(name.edges), "part": name.part}


def _load_dimension(told: str | Mapping[str, Any]) -> str:
    if isinstance(told, str):
        return told
    return Derived(told["column"], told["edges"], told["part"])


def _tally(tally: Tally) -> dict[str, Any]:
    moments = tally.moments
    buckets = [] if tally.buckets is None else np.stack(tally.buckets.table, axis=1).tolist()
    masses = None if tally.buckets is None else tally.buckets.weights
    weighted = {
        "weights": [_sum(total) for total in (moments.weights, tally.odd_weight)],
        "weightless": tally.weightless.tolist(),
        "bucket_weights": [] if masses is None else _sum(masses),
    }
    return {
        "rows": moments.rows.tolist(),
        "sums": [_sum(total) for total in moments.sums],
        "products": [_sum(total) for total in moments.products.values()],
        # Empty groups have no range; JSON has no infinity.
        "low": [value if np.isfinite(value) else None for value in tally.low.tolist()],
        "high": [value if np.isfinite(value) else None for value in tally.high.tolist()],
        "clipped_sum": _sum(tally.clipped_sum),
        "buckets": buckets,
        "worst": [] if tally.worst is None else [_extremes(kept) for kept in tally.worst.kept],
        "odd": [[*kind, _rows(rows)] for kind, rows in sorted(tally.rows.items())],
        **(weighted if moments.weighted else {}),
    }


def _load_tally(tally: Tally, document: Mapping[str, Any]) -> None:
    moments = tally.moments
    moments.rows[:] = document["rows"]
    for total, texts in zip(moments.sums, document["sums"], strict=True):
        _load_sum(total, texts)
    for total, texts in zip(moments.products.values(), document["products"], strict=True):
        _load_sum(total, texts)
    _load_sum(tally.clipped_sum, document["clipped_sum"])
    masses = None
    if moments.weighted:
        for total, texts in zip(
            (moments.weights, tally.odd_weight), document["weights"], strict=True
        ):
            _load_sum(total, texts)
        tally.weightless[:] = document["weightless"]
        masses = ExactSum(len(document["bucket_weights"]))
        _load_sum(masses, document["bucket_weights"])
    tally.low[:] = [np.inf if value is None else value for value in document["low"]]
    tally.high[:] = [-np.inf if value is None else value for value in document["high"]]
    if tally.buckets is not None:
        table = np.array(document["buckets"], dtype=np.int64).reshape(-1, 2)
        tally.buckets.add_counts(table[:, 0], table[:, 1], masses)
    if tally.worst is not None:
        for group, kept in enumerate(document["worst"]):
            tally.worst.load(group, map(_load_extreme, kept))
    for kind, group, rows in document["odd"]:
        tally.rows[kind, group] = _load_rows(rows)


def _sum(total: ExactSum) -> list[str]:
    """Write each group's integer in hexadecimal, its trailing zero bits as a power of two."""
    texts = []
    for units in total.units:
        zeros = (units & -units).bit_length() - 1 if units else 0
        texts.append(f"{units >> zeros:x}p{zeros}")
    return texts


def _load_sum(total: ExactSum, texts: Sequence[str]) -> None:
    for group, text in enumerate(texts):
        digits, _, zeros = text.partition("p")
        total.add_units(int(digits, 16) << int(zeros), group)


def _pairs(pairs: Pairs) -> dict[str, Any]:
    return {
        "read": sorted(pairs.read.items()),
        "unmatched": [[source, _rows(rows)] for source, rows in sorted(pairs.unmatched.items())],
        "lost": _rows(pairs.lost),
    }


def _load_pairs(document: Mapping[str, Any]) -> Pairs:
    # A state with repeated keys is never saved.
    return Pairs(
        read=dict(document["read"]),
        unmatched={source: _load_rows(rows) for source, rows in document["unmatched"]},
        lost=_load_rows(document["lost"]),
    )


def _rows(rows: Rows) -> dict[str, Any]:
    return {"count": rows.count, "first": [list(row) for row in rows.first]}


def _load_rows(document: Mapping[str, Any]) -> Rows:
    return Rows(
        document["count"],
        [(path, start, row, *key) for path, start, row, *key in document["first"]],
    )


def _extremes(kept: Sequence[Extreme]) -> list[list[Any]]:
    """Write rows with their values as text, since JSON has no infinity."""
    return [[repr(value), *row, list(carried)] for value, row, carried in kept]


def _load_extreme(document: Sequence[Any]) -> Extreme:
    value, path, start, row, carried = document
    return Extreme(float(value), (path, start, row), tuple(carried))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
