"""Decode columns and do nothing with them: ``pyarrow_decode.py THREADS COLUMNS FILE``.

The time of this is the limit for a program that reads with pyarrow. Each thread takes whole row
groups, or whole blocks of lines, and decodes them alone, which is faster than Arrow's own threads.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, TypeVar

import pyarrow as pa

CSV_BLOCK = 1 << 24

Part = TypeVar("Part")


def decode_all(
    parts: Iterator[Part], threads: int, reader: Callable[[], Callable[[Part], int]]
) -> int:
    """Share the parts out to threads, each with a reader of its own, and count the rows."""
    waiting: SimpleQueue[Part] = SimpleQueue()
    for part in parts:
        waiting.put(part)

    def work() -> int:
        read, rows = reader(), 0
        try:
            while True:
                rows += read(waiting.get_nowait())
        except Empty:
            return rows

    with ThreadPoolExecutor(threads) as pool:
        return sum(done.result() for done in [pool.submit(work) for _ in range(threads)])


def decode_parquet(path: Path, columns: list[str], threads: int) -> int:
    """Decode a Parquet file by row groups."""
    from pyarrow.parquet import ParquetFile

    def reader() -> Callable[[int], int]:
        file = ParquetFile(path, pre_buffer=False)

        def read(group: int) -> int:
            rows: int = file.read_row_group(group, columns, use_threads=False).num_rows
            return rows

        return read

    return decode_all(iter(range(ParquetFile(path).num_row_groups)), threads, reader)


def decode_csv(path: Path, columns: list[str], threads: int) -> int:
    """Decode a CSV file, without quoted line breaks, by blocks cut at line ends."""
    from pyarrow import csv

    with path.open("rb") as file:
        names = file.readline().decode().rstrip("\r\n").split(",")
        reading = csv.ReadOptions(column_names=names, use_threads=False, block_size=2 * CSV_BLOCK)
        converting = csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.float64())
        )

        def read(span: tuple[int, int]) -> int:
            start, end = span
            block = pa.BufferReader(os.pread(file.fileno(), end - start, start))
            rows: int = csv.read_csv(block, reading, convert_options=converting).num_rows
            return rows

        return decode_all(line_spans(file), threads, lambda: read)


def line_spans(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Cut the rest of a file into spans of about a block, each ending with a line."""
    size = os.fstat(file.fileno()).st_size
    start = file.tell()
    while start < size:
        file.seek(min(start + CSV_BLOCK, size))
        file.readline()
        yield start, file.tell()
        start = file.tell()


def main() -> None:
    """Decode the file and print how many rows it has."""
    threads, columns, path = int(sys.argv[1]), sys.argv[2].split(","), Path(sys.argv[3])
    decode = decode_csv if path.suffix == ".csv" else decode_parquet
    json.dump({"rows": decode(path, columns, threads)}, sys.stdout)


if __name__ == "__main__":
    main()
