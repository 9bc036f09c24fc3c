"""Do one job of the benchmark in DuckDB: ``duckdb_job.py JOB THREADS FILE...``."""

# ruff: noqa: S608  (the queries are this file's own)

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

EPS = "2.220446049250313e-16::DOUBLE"
CLASSES = 10
QUANTILES = (0.5, 0.9, 0.99)

# Over e = target - prediction and a = |e|. Literals are DOUBLE: a DECIMAL costs a cast per row.
# The labels are 0 and 1, so one logarithm a row is enough.
LOSSES = {
    "mse": "e * e",
    "mae": "a",
    "mbe": "e",
    "huber": "CASE WHEN a <= 1.0::DOUBLE THEN 0.5::DOUBLE * e * e ELSE a - 0.5::DOUBLE END",
    "bce": "-ln(greatest(CASE WHEN label = 1.0::DOUBLE THEN probability"
    f" ELSE 1.0::DOUBLE - probability END, {EPS}))",
}
CSV_COLUMNS = {
    "prediction": "DOUBLE",
    "target": "DOUBLE",
    "probability": "DOUBLE",
    "label": "DOUBLE",
    "region": "VARCHAR",
    "shop": "BIGINT",
}

Result = dict[str, Any]
Run = Callable[[str], list[tuple[Any, ...]]]


def parquet(path: str) -> str:
    """Name a Parquet file as a table."""
    return f"read_parquet('{path}')"


def csv(path: str) -> str:
    """Name a CSV file as a table whose dialect and types are known, so that nothing is sniffed."""
    return (
        f"read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\"',"
        f" escape = '\"', columns = {CSV_COLUMNS})"
    )


def with_errors(table: str) -> str:
    """Add the columns e and a that the losses are written in."""
    return f"(SELECT *, abs(e) AS a FROM (SELECT *, target - prediction AS e FROM {table}))"


def means(run: Run, table: str, losses: tuple[str, ...]) -> Iterator[Result]:
    """Average the named losses over all rows."""
    columns = ", ".join(f"avg({LOSSES[name]})" for name in losses)
    (row,) = run(f"SELECT {columns} FROM {with_errors(table)}")
    for name, value in zip(losses, row, strict=True):
        yield {"loss": name, "value": value}


def spreads(run: Run, table: str, quantile: str) -> Iterator[Result]:
    """Add to each mean its standard error and three quantiles.

    The discrete quantile is an exact one, and the faster of DuckDB's two.
    """
    columns = ", ".join(
        f"avg({loss}), stddev_samp({loss}) / sqrt(count(*)), {quantile}({loss}, {list(QUANTILES)})"
        for loss in LOSSES.values()
    )
    (row,) = run(f"SELECT {columns} FROM {with_errors(table)}")
    for name, value, error, levels in zip(LOSSES, row[::3], row[1::3], row[2::3], strict=True):
        quantiles = dict(zip(map(str, QUANTILES), levels, strict=True))
        yield {"loss": name, "value": value, "std_error": error, "quantiles": quantiles}


def slices(run: Run, table: str) -> Iterator[Result]:
    """Average all losses by region and by shop in one read of the file."""
    columns = ", ".join(f"avg({loss})" for loss in LOSSES.values())
    for region, shop, *values in run(
        f"SELECT region, shop, {columns} FROM {with_errors(table)}"
        " GROUP BY GROUPING SETS ((region), (shop))"
    ):
        where = {"region": region} if shop is None else {"shop": shop}
        for name, value in zip(LOSSES, values, strict=True):
            yield {"loss": name, "slice": where, "value": value}


def cross_entropy(run: Run, table: str) -> Iterator[Result]:
    """Average the log loss of the true class's probability."""
    whens = " ".join(f"WHEN {k} THEN p_{k}" for k in range(CLASSES))
    ((value,),) = run(f"SELECT -avg(ln(greatest(CASE target {whens} END, {EPS}))) FROM {table}")
    yield {"loss": "cross_entropy", "value": value}


def vectors(run: Run, table: str, number: str) -> Iterator[Result]:
    """Average the contrastive and the cosine loss, with arithmetic in the given type."""
    ((contrastive, cosine),) = run(f"""
        SELECT
          avg(CASE WHEN target = 1 THEN pow(greatest(1.0::DOUBLE - d, 0.0::DOUBLE), 2)
              ELSE d * d END),
          avg(CASE WHEN sign = 1 THEN 1.0::DOUBLE - s ELSE greatest(s, 0.0::DOUBLE) END)
        FROM (SELECT target, sign, list_distance(l, r)::DOUBLE AS d,
                list_cosine_similarity(l, r)::DOUBLE AS s
              FROM (SELECT target, sign, "left"::{number}[] AS l, "right"::{number}[] AS r
                    FROM {table}))
    """)
    yield {"loss": "contrastive", "value": contrastive}
    yield {"loss": "cosine_embedding", "value": cosine}


def paired(run: Run, predictions: str, targets: str) -> Iterator[Result]:
    """Average the squared error of two tables joined by key."""
    table = f"(SELECT prediction, target FROM {predictions} JOIN {targets} USING (key))"
    return means(run, table, ("mse",))


JOBS: dict[str, Callable[..., Iterator[Result]]] = {
    "J1": lambda run, file: means(run, parquet(file), ("mse",)),
    "J2": lambda run, file: means(run, parquet(file), tuple(LOSSES)),
    "J3": lambda run, file: spreads(run, parquet(file), "quantile_disc"),
    "J3-approx": lambda run, file: spreads(run, parquet(file), "approx_quantile"),
    "J4": lambda run, file: slices(run, parquet(file)),
    "J5": lambda run, file: means(run, csv(file), ("mse", "mae")),
    "J6": lambda run, file: cross_entropy(run, parquet(file)),
    "J7": lambda run, file: vectors(run, parquet(file), "DOUBLE"),
    "J7-float32": lambda run, file: vectors(run, parquet(file), "FLOAT"),
    "J10": lambda run, left, right: paired(run, parquet(left), parquet(right)),
}


def main() -> None:
    """Run the job and print its answers as JSON."""
    job, threads, *files = sys.argv[1:]
    connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": "false"})
    results = JOBS[job](lambda query: connection.execute(query).fetchall(), *files)
    json.dump({"results": list(results)}, sys.stdout)


if __name__ == "__main__":
    main()
