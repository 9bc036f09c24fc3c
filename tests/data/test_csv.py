"""CSV files, cut anywhere, against Python's own reader of the same standard (RFC 4180)."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lossctl.data import csv as csv_format
from lossctl.data import csv_text
from lossctl.data.source import Fragment, Source, open_source
from lossctl.errors import InputError, MissingValueError
from lossctl.report import Report

Measure = Callable[..., Report]
Rows = list[list[str]]

CELL = st.text(st.sampled_from(' ",\n\ré;x1\t'), max_size=5)
RANGES = st.sampled_from([1, 2, 3, 7, 20, 1 << 20])
BREAKS = st.sampled_from(["\n", "\r\n"])

shared_folder = settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Draw a header of distinct names and some rows of any text."""
    width = draw(st.integers(2, 4))
    header = draw(st.lists(CELL, min_size=width, max_size=width, unique_by=str.strip))
    row = st.lists(CELL, min_size=width, max_size=width)
    return [header, *draw(st.lists(row, max_size=12))]


def as_csv(rows: Rows, line_break: str, *, final: bool = True) -> str:
    """Write rows as the standard says: what holds a quote, comma or line break is quoted."""
    lines = [",".join(map(quoted, row)) for row in rows]
    return line_break.join(lines) + line_break * final


def quoted(cell: str) -> str:
    """Quote a cell that needs it."""
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if set(cell) & set('",\r\n') else cell


def read_pieces(source: Source, pieces: list[Fragment], rows: int = 5) -> Rows:
    """Read all columns as text; a missing value is the empty text."""
    wanted = dict.fromkeys(source.names, "text")
    found: Rows = []
    for piece in pieces:
        for batch in csv_format.read(piece, wanted, rows):  # type: ignore[arg-type]
            assert batch.num_rows <= rows
            columns = [batch[name].cast(pa.string()).to_pylist() for name in source.names]
            found += [[cell or "" for cell in row] for row in zip(*columns, strict=True)]
    return found


def read_cut(source: Source) -> Rows:
    """Read in ranges, or on the slow road where a range ends inside quotes, as a run does."""
    try:
        return read_pieces(source, csv_format.split(source))
    except csv_format.QuotedLineBreak:
        return read_pieces(source, [csv_format.whole(source)])


@shared_folder
@given(tables(), BREAKS, RANGES, st.booleans())
@example([["a", "b"], ['"\n"', "\n"], ["x", '""']], "\n", 1, True)
def test_rows_of_any_text_read_as_python_reads_them(
    tmp_path: Path, rows: Rows, line_break: str, range_bytes: int, mark: bool
) -> None:
    """Quotes, line breaks in quotes, either line end, a byte order mark, cut into tiny ranges."""
    path = tmp_path / "x.csv"
    text = as_csv(rows, line_break)
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    expected = list(csv.reader(io.StringIO(text, newline="")))
    assert expected == rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "RANGE_BYTES", range_bytes)
        source = open_source(str(path))
        assert list(source.names) == rows[0]
        assert read_cut(source) == rows[1:]
        assert read_pieces(source, [csv_format.whole(source)]) == rows[1:]


def test_a_cut_inside_quotes_is_noticed_and_the_comparison_can_fail(tmp_path: Path) -> None:
    """Ranges that end inside quotes are refused; rows that are lost or torn are seen."""
    rows = [["a", "b"], ["1", '\n"\n"'], ["2", "x"]]
    path = tmp_path / "x.csv"
    path.write_text(as_csv(rows, "\n"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "RANGE_BYTES", 1)
        source = open_source(str(path))
        with pytest.raises(csv_format.QuotedLineBreak):
            read_pieces(source, csv_format.split(source))
        lost = as_csv(rows[:2], "\n").encode()
        patch.setattr(csv_text, "read_header", lambda file, _: (0, file.read(len(lost))))
        assert read_cut(source) != rows[1:]


@shared_folder
@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=20),
    st.data(),
    RANGES,
    BREAKS,
)
def test_numbers_are_the_same_however_the_file_is_cut(
    tmp_path: Path, numbers: list[float], data: st.DataObject, range_bytes: int, line_break: str
) -> None:
    """Beside notes of any text and with or without a final line break."""
    rows = [["note", "prediction", "target"]]
    rows += [[data.draw(CELL), repr(number), "0"] for number in numbers]
    path = tmp_path / "x.csv"
    text = as_csv(rows, line_break, final=data.draw(st.booleans()))
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "RANGE_BYTES", range_bytes)
        source = open_source(str(path))
        wanted: dict[str, Any] = {"prediction": "number"}
        try:
            batches = [b for f in csv_format.split(source) for b in csv_format.read(f, wanted, 3)]
        except csv_format.QuotedLineBreak:
            batches = list(csv_format.read(csv_format.whole(source), wanted, 3))
    assert [x for batch in batches for x in batch["prediction"].to_pylist()] == numbers


@pytest.mark.parametrize(
    "text",
    [
        "prediction,target\n1,2\n3,5\n",
        "prediction,target\n1,2\n3,5",
        "prediction,target\r\n1,2\r\n3,5\r\n",
        "\ufeffprediction,target\n1,2\n3,5\n",
        '\ufeff"prediction","target"\n"1","2"\n"3","5"\n',
        "prediction,target\n\n1,2\n\n\n3,5\n\n",
        "prediction,target\n 1 , 2\n3\t,\t5\n",
        "prediction, target\n1,2\n3,5\n",
        "prediction,target\n+1,2.\n3e0,0.5E+1\n",
        ",prediction,target\n0,1,2\n1,3,5\n",
        "Prediction,TARGET\n1,2\n3,5\n",
        'prediction,target,"a ""note""\nin two lines"\n1,2,\n3,5,"\n,\n"\n',
    ],
)
def test_the_many_ways_to_write_a_csv_file_mean_the_same(
    measure: Callable[..., Report], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    [result] = measure("mse", path).results
    assert result.value == 2.5


@pytest.mark.parametrize("range_bytes", [1, 14, 20, 25, 1 << 20])
def test_quotes_that_are_letters_hide_no_cut_inside_quotes(
    measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    """With them a range can hold an even number of quotes and still end inside quotes."""
    monkeypatch.setattr(csv_format, "RANGE_BYTES", range_bytes)
    text = 'prediction,target,note\n1,2,5" disk\n1,2,"abc\n1,2,def"\n1,2,3" disk\n'
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    assert measure("mse", path).rows.read == 3


def test_blank_lines_before_the_header_are_skipped(measure: Measure, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n\nprediction,target\n1,2\n3,5\n", encoding="utf-8")
    assert measure("mse", path).results[0].value == 2.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n\n", "the file has no header"),
        ("prediction,target\r1,2\r", "the lines end in a carriage return alone"),
        ("prediction,target", "no rows"),
    ],
)
def test_a_file_without_rows_or_lines_is_refused(
    measure: Measure, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=message):
        measure("mse", path)


def test_tabs_separate_in_a_tsv(measure: Measure, tmp_path: Path) -> None:
    for name in ("x.tsv", "x.TSV"):
        path = tmp_path / name
        path.write_text("note\tprediction\ttarget\na,b\t1\t2\n\t3\t5\n", encoding="utf-8")
        assert measure("mse", path).results[0].value == 2.5


def test_a_decimal_is_rounded_to_the_nearest_double(measure: Measure, tmp_path: Path) -> None:
    """The halfway case and its neighbours, and more digits than a double has."""
    texts = [
        "9007199254740993",
        "9007199254740993.00001",
        "0.1",
        "1e-320",
        "1.7976931348623157e308",
    ]
    texts += ["0.30000000000000004440892098500626161694526672363281250000001"]
    for text in texts:
        path = tmp_path / "x.csv"
        path.write_text(f"prediction,target\n{text},0\n", encoding="utf-8")
        [result] = measure("mae", path).results
        assert result.value == float(text), text


def test_an_empty_line_of_a_single_column_is_a_missing_value(
    measure: Measure, tmp_path: Path
) -> None:
    """Left out, the rows after it would be paired with those of their neighbours."""
    predictions, targets = tmp_path / "p.csv", tmp_path / "t.csv"
    predictions.write_text("prediction\n1\n\n3\n", encoding="utf-8")
    targets.write_text("target\n1\n2\n\n", encoding="utf-8")
    with pytest.raises(MissingValueError) as caught:
        measure("mae", predictions, targets)
    assert (caught.value.place.file, caught.value.place.row) == (str(predictions), 2)
    rows = measure("mae", predictions, targets, nulls="drop").rows
    assert (rows.read, rows.scored, rows.dropped["null"].count) == (3, 1, 2)


EXITING = """
import os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from lossctl.data import csv
from lossctl.data.source import open_source
source = open_source(sys.argv[1])
sys.setswitchinterval(1)
for batch in csv.read(csv.whole(source), {"target": "number"}, 5):
    print(batch.num_rows)
until = time.monotonic() + 0.05
while time.monotonic() < until:
    pass
"""
"""Reads on one processor, and exits without ever letting another thread run Python."""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
def test_threads_of_the_parser_need_no_python_once_the_rows_are_read(tmp_path: Path) -> None:
    """One that waited for the interpreter as it exits would abort the user's program."""
    path = tmp_path / "x.csv"
    path.write_text("prediction,target\n1,2\n3,4\n", encoding="utf-8")
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", EXITING, path], capture_output=True, encoding="utf-8"
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
