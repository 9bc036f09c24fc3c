"""Boosting: a round fed by ``lossctl score --emit grad,hess`` is the library's own round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit

Array = npt.NDArray[np.float64]

lightgbm = pytest.importorskip("lightgbm")

ROWS = 3000
OPTIONS = {
    "num_leaves": 15,
    "learning_rate": 0.3,
    "min_data_in_leaf": 20,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "boost_from_average": False,
    "seed": 1,
}
BUILT_IN = {
    # The library halves the squared error; a factor of both derivatives cancels in its leaves.
    "mse": ("regression", 0.5),
    "bce_logits": ("binary", 1.0),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scored(name: str, raw: Array, target: Array) -> tuple[Array, Array]:
    """Give the derivatives that the command writes for raw predictions."""
    pq.write_table(pa.table({"prediction": raw, "target": target}), "round.parquet")
    arguments = ["round.parquet", "-l", name, "--emit", "grad,hess", "-p", "prediction"]
    output = ["-o", "slopes.parquet", "--overwrite", "-q", "-f", "json"]
    assert main(["score", *arguments, *output]) == Exit.DONE
    found = pq.read_table("slopes.parquet")
    assert found.column_names == ["row", f"{name}.grad", f"{name}.hess"]
    return found[f"{name}.grad"].to_numpy(), found[f"{name}.hess"].to_numpy()


def trees(booster: Any) -> list[dict[str, Any]]:
    """Give the trees of a model as nested splits and leaves."""
    found: list[dict[str, Any]] = booster.dump_model()["tree_info"]
    return [tree["tree_structure"] for tree in found]


def assert_same(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare two trees, split by split and leaf by leaf."""
    assert mine.keys() == theirs.keys()
    if "leaf_value" in mine:
        assert mine["leaf_value"] == pytest.approx(theirs["leaf_value"], rel=1e-5, abs=1e-9)
        assert mine.get("leaf_count") == theirs.get("leaf_count")
        return
    for part in ("split_feature", "threshold", "internal_count", "decision_type"):
        assert mine[part] == theirs[part], part
    for side in ("left_child", "right_child"):
        assert_same(mine[side], theirs[side])


@pytest.mark.parametrize("name", BUILT_IN)
def test_rounds_fed_by_scores_grow_the_trees_of_the_built_in_objective(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """For squared error and logistic loss, over several rounds."""
    objective, scale = BUILT_IN[name]
    rng = np.random.default_rng(11)
    features = rng.normal(size=(ROWS, 6))
    signal = features[:, 0] - 2.0 * (features[:, 1] > 0.3) + features[:, 2] * features[:, 3]
    noisy = signal + rng.normal(scale=0.5, size=ROWS)
    target = noisy if name == "mse" else (noisy > 0.0).astype(np.float64)

    def slopes(raw: Array, data: Any) -> tuple[Array, Array]:
        del data
        gradient, curvature = scored(name, raw.astype(np.float64), target)
        return scale * gradient, scale * curvature

    built_in, ours = (
        lightgbm.train(
            OPTIONS | {"objective": goal},
            lightgbm.Dataset(features, target, free_raw_data=False),
            num_boost_round=3,
        )
        for goal in (objective, slopes)
    )
    capfd.readouterr()
    assert len(trees(ours)) == len(trees(built_in)) == 3
    for mine, theirs in zip(trees(ours), trees(built_in), strict=True):
        assert "split_feature" in theirs
        assert_same(mine, theirs)
