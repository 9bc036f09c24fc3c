"""Do one job of the benchmark in Polars: ``polars_job.py JOB THREADS FILE...``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

# Polars starts its threads when it is imported.
os.environ["POLARS_MAX_THREADS"] = sys.argv[2]

import polars as pl

EPS = 2.0**-52
CLASSES = 10
WIDTH = 128
QUANTILES = [0.5, 0.9, 0.99]

ERROR = pl.col("target") - pl.col("prediction")
SIZE = ERROR.abs()
PROBABILITY = pl.col("probability")
# The labels are 0 and 1, so one logarithm a row is enough.
LIKELIHOOD = pl.when(pl.col("label") == 1).then(PROBABILITY).otherwise(1 - PROBABILITY)
LOSSES = {
    "mse": ERROR * ERROR,
    "mae": SIZE,
    "mbe": ERROR,
    "huber": pl.when(SIZE <= 1).then(0.5 * ERROR * ERROR).otherwise(SIZE - 0.5),
    "bce": -LIKELIHOOD.clip(lower_bound=EPS).log(),
}
CSV_COLUMNS = {
    "prediction": pl.Float64,
    "target": pl.Float64,
    "probability": pl.Float64,
    "label": pl.Float64,
    "region": pl.String,
    "shop": pl.Int64,
}

Result = dict[str, Any]


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Run a query on the streaming engine."""
    return frame.collect(engine="streaming")


def means(frame: pl.LazyFrame, losses: dict[str, pl.Expr]) -> Iterator[Result]:
    """Average the losses over all rows."""
    row = collect(frame.select(loss.mean().alias(name) for name, loss in losses.items()))
    for name, value in row.row(0, named=True).items():
        yield {"loss": name, "value": value}


def spreads(frame: pl.LazyFrame) -> Iterator[Result]:
    """Add to each mean its standard error and three exact quantiles."""
    columns = [
        column
        for name, loss in LOSSES.items()
        for column in (
            loss.mean().alias(name),
            (loss.std() / pl.len().sqrt()).alias(f"{name} error"),
            loss.quantile(QUANTILES, "linear").alias(f"{name} quantiles"),
        )
    ]
    row = collect(frame.select(columns)).row(0, named=True)
    for name in LOSSES:
        yield {
            "loss": name,
            "value": row[name],
            "std_error": row[f"{name} error"],
            "quantiles": dict(zip(map(str, QUANTILES), row[f"{name} quantiles"], strict=True)),
        }


def slices(frame: pl.LazyFrame) -> Iterator[Result]:
    """Average all losses by region and by shop.

    Sums by both keys at once, folded twice, cost one pass; the crosses are few.
    """
    keys = ("region", "shop")
    sums = [pl.col(name).sum() for name in LOSSES]
    crossed = collect(
        frame.select(*keys, **LOSSES).group_by(*keys).agg(*sums, pl.len().alias("rows"))
    )
    for key in keys:
        rows = pl.col("rows").sum()
        folded = crossed.group_by(key).agg(pl.col(name).sum() / rows for name in LOSSES)
        for row in folded.iter_rows(named=True):
            for name in LOSSES:
                yield {"loss": name, "slice": {key: row[key]}, "value": row[name]}


def cross_entropy(frame: pl.LazyFrame) -> Iterator[Result]:
    """Average the log loss of the true class's probability."""
    likelihood = sum(
        (pl.col(f"p_{k}") * (pl.col("target") == k) for k in range(1, CLASSES)),
        start=pl.col("p_0") * (pl.col("target") == 0),
    )
    return means(frame, {"cross_entropy": -likelihood.clip(lower_bound=EPS).log()})


def vectors(frame: pl.LazyFrame, number: type[pl.DataType]) -> Iterator[Result]:
    """Average the contrastive and the cosine loss, with arithmetic in the given type."""
    vector = pl.Array(number, WIDTH)
    left, right = (pl.col(side).list.to_array(WIDTH).cast(vector) for side in ("left", "right"))
    products = (
        frame.select("target", "sign", left=left, right=right)
        .with_columns(difference=pl.col("left") - pl.col("right"))
        .select(
            "target",
            "sign",
            *(
                pl.col(one).arr.dot(pl.col(other)).cast(pl.Float64).alias(name)
                for name, one, other in (
                    ("square", "difference", "difference"),
                    ("dot", "left", "right"),
                    ("left", "left", "left"),
                    ("right", "right", "right"),
                )
            ),
        )
    )
    square = pl.col("square")
    cosine = pl.col("dot") / (pl.col("left") * pl.col("right")).sqrt()
    apart = (1.0 - square.sqrt()).clip(lower_bound=0.0) ** 2
    return means(
        products,
        {
            "contrastive": pl.when(pl.col("target") == 1).then(apart).otherwise(square),
            "cosine_embedding": pl.when(pl.col("sign") == 1)
            .then(1.0 - cosine)
            .otherwise(cosine.clip(lower_bound=0.0)),
        },
    )


def paired(predictions: pl.LazyFrame, targets: pl.LazyFrame) -> Iterator[Result]:
    """Average the squared error of two tables joined by key."""
    return means(predictions.join(targets, on="key"), {"mse": LOSSES["mse"]})


def scores(path: str, compression: Literal["zstd", "uncompressed"]) -> Iterator[Result]:
    """Write two losses of every row beside the file; by default with the library's compression."""
    losses = {name: LOSSES[name] for name in ("mse", "mae")}
    rows = pl.scan_parquet(path).select(**losses).with_row_index("row", offset=1)
    rows.sink_parquet(Path(path).with_name("scores-polars.parquet"), compression=compression)
    return iter(())


def csv(path: str) -> pl.LazyFrame:
    """Scan a CSV file whose types are known, so that nothing is inferred."""
    return pl.scan_csv(path, schema=CSV_COLUMNS)


JOBS: dict[str, Callable[..., Iterator[Result]]] = {
    "J1": lambda file: means(pl.scan_parquet(file), {"mse": LOSSES["mse"]}),
    "J2": lambda file: means(pl.scan_parquet(file), LOSSES),
    "J3": lambda file: spreads(pl.scan_parquet(file)),
    "J4": lambda file: slices(pl.scan_parquet(file)),
    "J5": lambda file: means(csv(file), {name: LOSSES[name] for name in ("mse", "mae")}),
    "J6": lambda file: cross_entropy(pl.scan_parquet(file)),
    "J7": lambda file: vectors(pl.scan_parquet(file), pl.Float64),
    "J7-float32": lambda file: vectors(pl.scan_parquet(file), pl.Float32),
    "J10": lambda left, right: paired(pl.scan_parquet(left), pl.scan_parquet(right)),
    "J11": lambda file: scores(file, "zstd"),
    "J11-uncompressed": lambda file: scores(file, "uncompressed"),
}


def main() -> None:
    """Run the job and print its answers as JSON."""
    job, _, *files = sys.argv[1:]
    json.dump({"results": list(JOBS[job](*files))}, sys.stdout)


if __name__ == "__main__":
    main()
