"""Make the benchmark's data sets: seeded, reusable, written one piece at a time.

The runner starts this file as a process of its own: the kernel charges a parent's peak memory to
the children it starts, so the process that measures must never have held the data.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

SEED = 20_240_229
MEBI = 1 << 20
REGIONS = ("north", "south", "east", "west")
SHOPS = 1_000
CLASSES = 10
WIDTH = 128


@dataclass(frozen=True)
class Piece:
    """One run of rows to make: its generator, its place in the table and the table's length."""

    rng: np.random.Generator
    start: int
    rows: int
    total: int


@dataclass(frozen=True)
class Dataset:
    """One file: how many rows at full scale, how they are cut, and what makes a piece of them."""

    rows: int
    suffix: str
    make: Callable[[Piece], dict[str, pa.Array]]
    piece_rows: int = MEBI
    # A dictionary pays for columns that repeat; on distinct floats a writer tries and drops it.
    repeating: tuple[str, ...] = ()
    scaled: bool = True


def prediction_columns(piece: Piece) -> dict[str, pa.Array]:
    """Make a regression pair, a probability with its label, and two columns to group by.

    The errors have a bias and a heavy tail, so that their mean is far from cancelling and Huber's
    two branches are both taken.
    """
    rng, rows = piece.rng, piece.rows
    target = rng.normal(20.0, 8.0, rows)
    prediction = target - 0.05 + rng.laplace(0.0, 0.8, rows)
    probability = rng.beta(0.8, 1.2, rows).clip(1e-9, 1.0 - 1e-9)
    label = (rng.random(rows) < probability).astype(np.float64)
    region = pa.DictionaryArray.from_arrays(
        rng.choice(len(REGIONS), rows, p=(0.4, 0.3, 0.2, 0.1)).astype(np.int32), list(REGIONS)
    )
    return {
        "prediction": pa.array(prediction),
        "target": pa.array(target),
        "probability": pa.array(probability),
        "label": pa.array(label),
        "region": region.cast(pa.string()),
        "shop": pa.array(rng.integers(0, SHOPS, rows)),
    }


def class_columns(piece: Piece) -> dict[str, pa.Array]:
    """Make ten probability columns that sum to one, and the number of the true class."""
    weights = piece.rng.standard_exponential((CLASSES, piece.rows))
    target = piece.rng.integers(0, CLASSES, piece.rows)
    weights[target, np.arange(piece.rows)] += 1.0
    weights /= weights.sum(axis=0)
    columns = {f"p_{k}": pa.array(weights[k]) for k in range(CLASSES)}
    return columns | {"target": pa.array(target)}


def vector_columns(piece: Piece) -> dict[str, pa.Array]:
    """Make two float32 embeddings and, coded as each loss wants it, whether they are alike.

    ``target`` is 1 for a dissimilar pair and 0 for a similar one; ``sign`` is -1 and +1 for them.
    Similar pairs lie close together, dissimilar ones at distances on both sides of the margin.
    """
    rng, rows = piece.rng, piece.rows
    left = rng.normal(0.0, 0.1, (rows, WIDTH)).astype(np.float32)
    target = rng.integers(0, 2, rows)
    noise = rng.normal(0.0, 1.0, (rows, WIDTH)).astype(np.float32)
    scale = np.where(target == 1, rng.uniform(0.02, 0.16, rows), 0.02).astype(np.float32)
    right = left + noise * scale[:, np.newaxis]
    return {
        "left": _list_column(left),
        "right": _list_column(right),
        "target": pa.array(target),
        "sign": pa.array(1 - 2 * target),
    }


def _list_column(values: np.ndarray) -> pa.Array:
    """Give the plain list column that most writers make, not the fixed-size one of Arrow."""
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, values.ravel())


def small_columns(piece: Piece) -> dict[str, pa.Array]:
    """Make a prediction and a target alone."""
    columns = prediction_columns(piece)
    return {name: columns[name] for name in ("prediction", "target")}


def keyed_predictions(piece: Piece) -> dict[str, pa.Array]:
    """Make predictions in a shuffled order of their keys."""
    keys = _shuffled_keys(piece.total, 1)[piece.start : piece.start + piece.rows]
    noise = piece.rng.laplace(0.0, 0.8, piece.rows)
    return {"key": pa.array(keys), "prediction": pa.array(_target_of(keys) + noise)}


def keyed_targets(piece: Piece) -> dict[str, pa.Array]:
    """Make the targets of the same keys, in another order."""
    keys = _shuffled_keys(piece.total, 2)[piece.start : piece.start + piece.rows]
    return {"key": pa.array(keys), "target": pa.array(_target_of(keys))}


@functools.lru_cache(maxsize=1)
def _shuffled_keys(total: int, order: int) -> np.ndarray:
    return np.random.default_rng((SEED, order)).permutation(total)


def _target_of(keys: np.ndarray) -> np.ndarray:
    """Derive a target from a key alone, so that two files agree without sharing a table."""
    return (keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(11)) * 2.0**-53


DATASETS = {
    "rows": Dataset(
        50_000_000, ".parquet", prediction_columns, repeating=("label", "region", "shop")
    ),
    "rows_tenth": Dataset(
        5_000_000, ".parquet", prediction_columns, repeating=("label", "region", "shop")
    ),
    "csv": Dataset(20_000_000, ".csv", prediction_columns),
    "classes": Dataset(5_000_000, ".parquet", class_columns, repeating=("target",)),
    # A row group of a mebi of these rows would be a gibibyte; writers cut by size as well.
    "vectors": Dataset(
        2_000_000, ".parquet", vector_columns, 1 << 16, repeating=("target", "sign")
    ),
    "small": Dataset(1_000, ".csv", small_columns, scaled=False),
    "keyed_predictions": Dataset(20_000_000, ".parquet", keyed_predictions),
    "keyed_targets": Dataset(20_000_000, ".parquet", keyed_targets),
}


def path_of(name: str, folder: Path, scale: float) -> Path:
    """Name the file of a data set; the row count in it lets scales share a folder."""
    dataset = DATASETS[name]
    return folder / f"{name}-{_scaled_rows(dataset, scale)}{dataset.suffix}"


def _scaled_rows(dataset: Dataset, scale: float) -> int:
    return max(1_000, round(dataset.rows * scale)) if dataset.scaled else dataset.rows


def ensure(name: str, folder: Path, scale: float) -> Path:
    """Make the file unless it is there, under a temporary name until it is whole."""
    path = path_of(name, folder, scale)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        _write(DATASETS[name], scale, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _pieces(dataset: Dataset, scale: float) -> Iterator[pa.RecordBatch]:
    total = _scaled_rows(dataset, scale)
    for number, start in enumerate(range(0, total, dataset.piece_rows)):
        rows = min(dataset.piece_rows, total - start)
        piece = Piece(np.random.default_rng((SEED, 0, number)), start, rows, total)
        yield pa.RecordBatch.from_pydict(dataset.make(piece))


def _write(dataset: Dataset, scale: float, path: Path) -> None:
    pieces = _pieces(dataset, scale)
    first = next(pieces)
    with _writer(dataset, first.schema, path) as writer:
        writer.write_batch(first)
        for piece in pieces:
            writer.write_batch(piece)


def _writer(
    dataset: Dataset, schema: pa.Schema, path: Path
) -> pa.parquet.ParquetWriter | pa.csv.CSVWriter:
    if dataset.suffix == ".csv":
        options = pa.csv.WriteOptions(quoting_style="none", quoting_header="none")
        return pa.csv.CSVWriter(path, schema, write_options=options)
    return pa.parquet.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=list(dataset.repeating)
    )


def main() -> None:
    """Make the named data sets and print their paths."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="+", choices=DATASETS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    for name in arguments.names:
        sys.stdout.write(f"{ensure(name, arguments.data, arguments.scale)}\n")


if __name__ == "__main__":
    main()
