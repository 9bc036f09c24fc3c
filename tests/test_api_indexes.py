"""Indexes of pandas: rows that are labelled differently are never paired by position."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lossctl
from lossctl.errors import LossctlError, PairingError

TARGET = pd.DataFrame({"y": np.random.default_rng(7).normal(size=50)})
PREDICTION = TARGET.rename(columns={"y": "pred"})
ORDERS: dict[str, Callable[[Any], Any]] = {
    "sorted": lambda rows: rows.iloc[np.argsort(TARGET["y"].to_numpy())],
    "sampled": lambda rows: rows.sample(frac=1.0, random_state=1),
    "reversed": lambda rows: rows.iloc[::-1],
    "shifted": lambda rows: rows.set_axis(range(1, 51)),
    "timed": lambda rows: rows.set_axis(pd.date_range("2024-02-29", periods=50)),
    "crossed": lambda rows: rows.set_axis(pd.MultiIndex.from_product([range(5), range(10)])),
}
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "evaluate": lambda p, y: lossctl.evaluate(p, y, losses="mae"),
    "score": lambda p, y: lossctl.score(p, y, losses="mae"),
    "compare candidates": lambda p, y: lossctl.compare([y.to_numpy().ravel(), p], y, losses="mae"),
    "compare models": lambda p, y: lossctl.compare([y, p], np.zeros(50), losses="mae"),
}


def loss(predictions: Any, targets: Any, **arguments: Any) -> float | None:
    """Give the mean absolute error."""
    return lossctl.evaluate(predictions, targets, losses="mae", **arguments).results[0].value


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("holder", ["frame", "series"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_rows_in_another_order_are_refused(function: str, holder: str, order: str) -> None:
    """Whichever side is reordered, with the first place and the ways out."""
    p, y = (PREDICTION, TARGET) if holder == "frame" else (PREDICTION["pred"], TARGET["y"])
    if holder == "frame" and function == "compare models":
        y = y.rename(columns={"y": "pred"})
    for one, two in ((ORDERS[order](p), y), (p, ORDERS[order](y))):
        with pytest.raises(PairingError, match=r"row 1: the indexes of .* differ") as caught:
            FUNCTIONS[function](one, two)
        for way in (".reset_index()", "key=", ".reset_index(drop=True)", ".to_numpy()"):
            assert way in caught.value.hint
        assert "__" not in str(caught.value)


def test_the_first_difference_is_shown() -> None:
    """By its row and the labels that stand there."""
    labels = [f"r{number}" for number in range(50)]
    other = [*labels[:30], labels[31], labels[30], *labels[32:]]
    with pytest.raises(PairingError) as caught:
        loss(PREDICTION.set_axis(labels), TARGET.set_axis(other))
    assert str(caught.value).startswith(
        "row 31: the indexes of predictions and targets differ there: "
        "'r30' in predictions, 'r31' in targets ("
    )


@pytest.mark.parametrize("order", ORDERS)
def test_equal_indexes_pair(order: str) -> None:
    """Frames and series, in whatever order both of them are."""
    p, y = ORDERS[order](PREDICTION), ORDERS[order](TARGET)
    assert loss(p, y) == loss(p["pred"], y["y"]) == loss(p["pred"], y) == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.RangeIndex(50), pd.Index(np.arange(50))),
        (pd.RangeIndex(50), pd.Index(np.arange(50.0))),
        (pd.Index(list("ab") * 25), pd.CategoricalIndex(list("ab") * 25)),
        (
            pd.date_range("2024", periods=50, unit="ns"),
            pd.date_range("2024", periods=50, unit="us"),
        ),
        (pd.Index([np.nan, *range(49)]), pd.Index([np.nan, *range(49)])),
    ],
    ids=["counted", "floats", "categories", "units", "gaps"],
)
def test_equal_values_are_equal_however_they_are_held(one: pd.Index, other: pd.Index) -> None:
    """Types of indexes do not matter."""
    assert loss(PREDICTION["pred"].set_axis(one), TARGET["y"].set_axis(other)) == 0.0


@pytest.mark.parametrize(
    "held",
    [
        lambda rows, _: rows.to_numpy().ravel(),
        lambda rows, _: rows["y"].tolist(),
        lambda rows, _: pl.from_pandas(rows),
        lambda rows, _: pa.Table.from_pandas(rows),
        lambda rows, folder: (rows.to_csv(folder / "y.csv", index=False), folder / "y.csv")[1],
    ],
    ids=["array", "list", "polars", "arrow", "file"],
)
def test_what_has_no_index_pairs_by_position(held: Callable[..., Any], tmp_path: Path) -> None:
    """As it always does, with frames and series in any order."""
    p = ORDERS["sampled"](PREDICTION)
    assert loss(p, held(TARGET, tmp_path)) == loss(p["pred"].to_numpy(), TARGET["y"].to_numpy())


def test_a_key_pairs_frames_in_any_order() -> None:
    """The way out that the refusal names; the index is no matter then."""
    p = ORDERS["sampled"](PREDICTION)
    assert loss(p.reset_index(), TARGET.reset_index(), key="index") == 0.0
    numbered = TARGET.assign(id=range(50)), PREDICTION.assign(id=range(50))
    assert loss(ORDERS["sampled"](numbered[1]), numbered[0], key="id") == 0.0


def test_series_of_a_mapping_share_their_index() -> None:
    """Among themselves, whatever pairs them, and with the other table."""
    p, y = PREDICTION["pred"], TARGET["y"]
    shuffled = ORDERS["sampled"](p)
    with pytest.raises(PairingError, match=r"column 'y' of the predictions.*pandas\.DataFrame"):
        lossctl.evaluate({"pred": shuffled, "n": [1] * 50, "y": y}, losses="mae")
    with pytest.raises(PairingError, match="column 'y' of the targets"):
        loss(TARGET, {"pred": shuffled, "y": y}, key="y")
    with pytest.raises(PairingError, match="indexes of predictions and targets"):
        loss({"pred": shuffled}, TARGET)
    assert loss({"pred": shuffled}, {"y": ORDERS["sampled"](y)}) == 0.0


def test_two_populations_are_not_paired() -> None:
    """Real and generated rows have indexes of their own."""
    frames = [pd.DataFrame({"prediction": [0.5, 0.25]}, index=index) for index in ([1, 2], [7, 8])]
    report = lossctl.evaluate(*frames, losses="gan_discriminator")
    assert report.rows.scored == 4


def test_an_index_without_a_name_is_named_nowhere(tmp_path: Path) -> None:
    """Neither where a file has it nor among the columns there are."""
    p = ORDERS["sampled"](PREDICTION)
    ORDERS["sorted"](TARGET).to_parquet(tmp_path / "y.parquet")
    for wrong in (
        lambda: loss(p, tmp_path / "y.parquet"),
        lambda: loss(p, None),
        lambda: loss(p, TARGET, by="nothing"),
    ):
        with pytest.raises(LossctlError) as caught:
            wrong()
        assert "__index" not in str(caught.value)
