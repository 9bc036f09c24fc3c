"""Settings and states as JSON, exact to the last bit: sums as whole numbers in hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossctl import __version__
from lossctl.data.derived import Derived
from lossctl.data.joined import Pairs
from lossctl.losses import Loss, parse
from lossctl.plan import Policies, Settings
from lossctl.state import State, empty_state
from lossctl.stats.exact import ExactSum
from lossctl.stats.extremes import Extreme
from lossctl.stats.fingerprint import Fingerprint
from lossctl.stats.tally import Rows, Tally


def settings_to_dict(settings: Settings) -> dict[str, Any]:
    """Give the JSON form of settings."""
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


def settings_from_dict(told: Mapping[str, Any], losses: Sequence[Loss]) -> Settings:
    """Read settings; ``losses`` are those that are not built in.

    Raises
    ------
    SpecError, SeveralErrors
        A loss is not known.

    """
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
    return Settings(specs, told["pairing"], policies, told["columns"], classes, told["group"])


def _dimension(name: str) -> str | dict[str, Any]:
    """Give what rows are sliced by: a column's name, or what is derived of it."""
    if not isinstance(name, Derived):
        return name
    return {"column": name.column, "edges": list(name.edges), "part": name.part}


def _load_dimension(told: str | Mapping[str, Any]) -> str:
    if isinstance(told, str):
        return told
    return Derived(told["column"], told["edges"], told["part"])


def state_to_dict(state: State) -> dict[str, Any]:
    """Give the JSON form of a state."""
    return {
        "read": [[*piece, rows] for piece, rows in sorted(state.read.items())],
        "dropped": {why: _rows(rows) for why, rows in sorted(state.dropped.items())},
        "labels": [[*role, sorted(seen, key=str)] for role, seen in sorted(state.labels.items())],
        "pairs": _pairs(state.pairs),
        "fingerprint": [state.fingerprint.rows, *map(hex, state.fingerprint.sums)],
        "cells": [list(key) for key in state.cells.keys],
        "tallies": {name: _tally(tally) for name, tally in state.tallies.items()},
    }


def state_from_dict(document: Mapping[str, Any], settings: Settings) -> State:
    """Read a state of these settings."""
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
    return state


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
