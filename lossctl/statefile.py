"""State files: the exact numbers of a run as JSON, to be merged with others or gone on from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lossctl import __version__
from lossctl.data.source import Source
from lossctl.errors import InputError, LossctlError, Place, UsageError
from lossctl.losses import parse
from lossctl.plan import Policies, Settings
from lossctl.report import Report
from lossctl.state import State, empty_state
from lossctl.stats.exact import ExactSum
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
    """Path and bytes of each file."""

    def merge(self, other: Saved) -> None:
        """Add another state.

        Raises
        ------
        StateError
            The settings differ, or both hold the same rows.

        """
        mine, theirs = _settings(self.settings), _settings(other.settings)
        for name in mine:
            if name != "columns" and mine[name] != theirs[name]:
                raise StateError(
                    f"the states differ in {name}: {_text(mine[name])} and {_text(theirs[name])}",
                    hint="merge states of equal settings only",
                )
        if twice := sorted(self.state.read.keys() & other.state.read.keys()):
            raise StateError("both states hold the rows of this file", place=Place(twice[0][0]))
        self.state.merge(other.state)
        self.inputs += [entry for entry in other.inputs if entry not in self.inputs]

    def check_inputs(self, before: Saved, path: str) -> None:
        """Refuse to go on from a state made from other files.

        Raises
        ------
        StateError
            A file is another one now.

        """
        if before.inputs != self.inputs:
            raise StateError(
                "the state was made from other files, or they have changed since",
                hint="remove it to start anew",
                place=Place(path),
            )


def inputs_of(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Give what tells whether a file has changed."""
    return [
        {"path": source.path, "format": source.format, "bytes": source.size} for source in sources
    ]


def dump(saved: Saved) -> str:
    """Write a state as text."""
    state = saved.state
    document = {
        "schema": SCHEMA,
        "settings": _settings(saved.settings),
        "inputs": saved.inputs,
        "read": [[*piece, rows] for piece, rows in sorted(state.read.items())],
        "dropped": {why: _rows(rows) for why, rows in sorted(state.dropped.items())},
        "labels": [[*role, sorted(seen)] for role, seen in sorted(state.labels.items())],
        "cells": [list(key) for key in state.cells.keys],
        "tallies": {name: _tally(tally) for name, tally in state.tallies.items()},
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def load(path: str) -> Saved:
    """Read a state file.

    Raises
    ------
    InputError
        The file cannot be read.
    StateError
        It is damaged, or was written by another version.

    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(path)) from error
    try:
        document = json.loads(text)
        version = document["settings"]["version"]
        if document["schema"] != SCHEMA or version != __version__:
            raise StateError(
                f"written by lossctl {version}, this is {__version__}", place=Place(path)
            )
        return _load(document)
    except (ValueError, KeyError, TypeError, IndexError, UsageError) as error:
        raise StateError("not a state file, or a damaged one", place=Place(path)) from error


def report_of(saved: Saved) -> Report:
    """Report a state, as the run that made it did."""
    report = summarise(saved.settings, saved.state)
    inputs = sorted(saved.inputs, key=lambda entry: str(entry["path"]))
    return replace(report, run={"version": __version__, "elapsed_s": 0.0, "inputs": inputs})


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
        "by": [list(names) for names in policies.by],
        "columns": {loss: dict(roles) for loss, roles in settings.columns.items()},
    }


def _load(document: Mapping[str, Any]) -> Saved:
    told = document["settings"]
    policies = Policies(
        nulls=told["nulls"],
        nonfinite=told["nonfinite"],
        ci=told["ci"],
        quantiles=tuple(told["quantiles"]),
        histogram=told["histogram"],
        by=tuple(tuple(names) for names in told["by"]),
    )
    specs = tuple(parse(told["losses"]))
    settings = Settings(specs, told["pairing"], policies, told["columns"])
    state = empty_state(settings)
    state.read = {(path, start, stop): rows for path, start, stop, rows in document["read"]}
    state.dropped = {why: _load_rows(rows) for why, rows in document["dropped"].items()}
    state.labels = {(spec, role): frozenset(seen) for spec, role, seen in document["labels"]}
    for key in document["cells"]:
        state.cells.number(tuple(key))
    for name, tally in state.tallies.items():
        tally.grow(len(state.cells.keys))
        _load_tally(tally, document["tallies"][name])
    return Saved(settings, state, document["inputs"])


def _tally(tally: Tally) -> dict[str, Any]:
    moments = tally.moments
    buckets = [] if tally.buckets is None else np.stack(tally.buckets.table, axis=1).tolist()
    return {
        "rows": moments.rows.tolist(),
        "sums": [_sum(total) for total in moments.sums],
        "products": [_sum(total) for total in moments.products.values()],
        # Empty groups have no range; JSON has no infinity.
        "low": [value if np.isfinite(value) else None for value in tally.low.tolist()],
        "high": [value if np.isfinite(value) else None for value in tally.high.tolist()],
        "clipped_sum": _sum(tally.clipped_sum),
        "buckets": buckets,
        "odd": [[*kind, _rows(rows)] for kind, rows in sorted(tally.rows.items())],
    }


def _load_tally(tally: Tally, document: Mapping[str, Any]) -> None:
    moments = tally.moments
    moments.rows[:] = document["rows"]
    for total, texts in zip(moments.sums, document["sums"], strict=True):
        _load_sum(total, texts)
    for total, texts in zip(moments.products.values(), document["products"], strict=True):
        _load_sum(total, texts)
    _load_sum(tally.clipped_sum, document["clipped_sum"])
    tally.low[:] = [np.inf if value is None else value for value in document["low"]]
    tally.high[:] = [-np.inf if value is None else value for value in document["high"]]
    if tally.buckets is not None:
        table = np.array(document["buckets"], dtype=np.int64).reshape(-1, 2)
        tally.buckets.add_counts(table[:, 0], table[:, 1])
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
        total.units[group] = int(digits, 16) << int(zeros)


def _rows(rows: Rows) -> dict[str, Any]:
    return {"count": rows.count, "first": [list(row) for row in rows.first]}


def _load_rows(document: Mapping[str, Any]) -> Rows:
    return Rows(document["count"], [(path, start, row) for path, start, row in document["first"]])


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
