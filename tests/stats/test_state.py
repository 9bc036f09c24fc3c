"""States of whole runs: what tasks give back merges in any order, from any cut, to the same."""

from __future__ import annotations

import itertools
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl.data import blocks
from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.data.tasks import tasks
from lossctl.losses import parse
from lossctl.measure import measure
from lossctl.plan import Plan, Policies, make_plan
from lossctl.state import State, empty_state
from lossctl.stats.tally import KINDS

ROWS = 30
GROUPS = (5, 7, 1, 8)
"""All rows of the second row group are null."""
SPECS = ["bce:eps=0", "gan_discriminator", "squared_hinge", "mse"]

Columns = dict[str, Any]


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def plan(
    request: pytest.FixtureRequest,
    write_parquet: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], Plan]:
    """Plan to measure a file of several tasks, with everything that can be asked for."""
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 1)
    rng = np.random.default_rng(4)
    columns: Columns = {
        "prediction": rng.uniform(size=ROWS).round(1),
        "target": rng.integers(0, 2, ROWS).astype(np.float64),
        "weight": rng.integers(0, 3, ROWS) / 3,
        "region": np.array(["north", "south", "east"])[rng.integers(0, 3, ROWS)],
    }
    columns["prediction"][[2, 15, 28]] = np.nan, np.inf, 0.0
    nulls = {"target": (np.arange(ROWS) >= 5) & (np.arange(ROWS) < 12)}
    path = write_parquet(tmp_path / "rows.parquet", columns, groups=GROUPS, nulls=nulls)

    def make(chunk_rows: int = 4) -> Plan:
        weight = "weight" if request.param else None
        policies = Policies(
            nulls="drop",
            nonfinite="drop",
            quantiles=(0.5,),
            top=2,
            keep=("region",),
            by=(("region",),),
            weight=weight,
            chunk_rows=chunk_rows,
        )
        return make_plan([open_source(str(path))], parse(SPECS), Choices(), policies)

    return make


def states(plan: Plan) -> list[State]:
    """Give the state of every task."""
    work = tasks(plan.reading, in_order=False)
    assert len(work) == len(GROUPS) + 1
    return [measure(plan, task, lambda: False) for task in work]


def copy_of(state: State) -> State:
    """Send a state through its bytes."""
    copy: State = pickle.loads(pickle.dumps(state))  # noqa: S301 - our own bytes
    return copy


def merged(first: State, *others: State) -> State:
    """Merge copies of states."""
    result = copy_of(first)
    for other in others:
        result.merge(copy_of(other))
    return result


def fields(state: State) -> dict[str, Any]:
    """Give everything a state holds, by cell and not by the order in which cells turned up."""
    return {
        "read": state.read,
        "dropped": state.dropped,
        "labels": state.labels,
        "cells": sorted(state.cells.keys),
        "tallies": {
            (name, key): dict(_fields_of_cell(state, name, number))
            for name in state.tallies
            for number, key in enumerate(state.cells.keys)
        },
    }


def _fields_of_cell(state: State, name: str, cell: int) -> Iterator[tuple[str, Any]]:
    tally = state.tallies[name]
    if cell >= len(tally.low):  # a cell in which every row was dropped
        tally.grow(len(state.cells.keys))
    moments = tally.moments
    assert tally.buckets is not None
    yield "range", (tally.low[cell], tally.high[cell])
    yield "odd rows", {kind: tally.rows_of(kind, cell) for kind in KINDS}
    yield "clipped sum", tally.clipped_sum.units[cell]
    yield "rows", int(moments.rows[cell])
    yield "sums", [total.units[cell] for total in moments.sums]
    yield "products", {pair: total.units[cell] for pair, total in moments.products.items()}
    yield "weights", [total.units[cell] for total in (moments.weights, tally.odd_weight)]
    yield "weightless", int(tally.weightless[cell])
    assert tally.worst is not None
    yield "worst", tally.worst.kept[cell]
    yield "bins", tally.buckets.bins(cell)


def test_states_merge_to_the_same_in_any_order(plan: Callable[..., Plan]) -> None:
    """All orders of five tasks, and pairs merged before they are merged."""
    parts = states(plan())
    expected = fields(merged(*parts))
    assert sum(expected["read"].values()) == ROWS
    assert {why: rows.count for why, rows in expected["dropped"].items()} == {
        "null": 7,
        "nonfinite": 2,
    }
    orders = list(itertools.permutations(parts))
    for order in random.Random(1).sample(orders, 12):
        assert fields(merged(*order)) == expected
        a, b, c, d, e = order
        assert fields(merged(merged(a, b), merged(c, merged(d, e)))) == expected


def test_nothing_merged_in_changes_nothing(plan: Callable[..., Plan]) -> None:
    """The empty state is an identity on both sides, and of itself."""
    zero = empty_state(plan().settings)
    for part in states(plan()):
        assert fields(merged(zero, part)) == fields(merged(part, zero)) == fields(part)
    assert fields(merged(zero, zero)) == fields(zero)


def test_a_state_survives_its_bytes(plan: Callable[..., Plan]) -> None:
    """What a worker sends back is what it has counted."""
    for part in states(plan()):
        assert fields(copy_of(part)) == fields(part)


@pytest.mark.parametrize("chunk_rows", [1, 2, 7, 1000])
def test_a_state_does_not_depend_on_the_size_of_chunks(
    plan: Callable[..., Plan], chunk_rows: int
) -> None:
    """Task by task, chunks of one row and chunks that lose all of their rows among them."""
    for part, expected in zip(states(plan(chunk_rows)), states(plan()), strict=True):
        assert fields(part) == fields(expected)


def test_a_task_is_small_and_survives_its_bytes(plan: Callable[..., Plan]) -> None:
    """What travels to a worker names a piece of a file and holds none of its rows."""
    for task in tasks(plan().reading, in_order=False):
        sent = pickle.dumps(task)
        assert len(sent) < 2000
        assert pickle.loads(sent) == task  # noqa: S301 - our own bytes
