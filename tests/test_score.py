"""Scores: one row in is one row out, with the loss, its derivatives and what was kept."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from lossctl.cli.main import main
from lossctl.data import blocks
from lossctl.data import csv as csv_format
from lossctl.errors import Exit
from lossctl.losses import Loss, Ragged

ROWS = 700
Call = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]
Draw = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _many_small_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 60)
    monkeypatch.setattr(csv_format, "RANGE_BYTES", 900)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def score(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``lossctl score`` and give its JSON report."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main(["score", *arguments, "-f", "json", "-q"]) == Exit.DONE, capfd.readouterr().err
        report: dict[str, Any] = json.loads(capfd.readouterr().out)
        return report

    return run


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Run ``lossctl score`` and give what it says when it refuses."""

    def run(*arguments: str, status: Exit = Exit.USAGE) -> str:
        assert main(["score", *arguments]) == status
        shown = capfd.readouterr()
        assert shown.out == ""
        return shown.err

    return run


def table() -> pa.Table:
    """Give rows of every size of number, with gaps and columns to keep."""
    rng = np.random.default_rng(5)
    prediction = rng.normal(size=ROWS) * 10.0 ** rng.integers(-9, 9, ROWS)
    return pa.table(
        {
            "prediction": pa.array(prediction, mask=np.arange(ROWS) % 90 == 11),
            "target": rng.normal(size=ROWS),
            "id": [f'r{row}, "{row % 3}"\n' if row % 5 else None for row in range(ROWS)],
            "part": pa.array(np.arange(ROWS) % 3),
        }
    )


def read(path: str) -> dict[str, list[Any]]:
    """Read a file of scores by other means."""
    if path.endswith(".parquet"):
        columns: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    elif path.endswith(".arrow"):
        columns = feather.read_table(path).to_pydict()
    elif path.endswith(".csv"):
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
        numbers = ("row", "mse", "mbe", "part")
        columns = {
            name: [
                (float(row[name]) if name in numbers else row[name]) if row[name] else None
                for row in rows
            ]
            for name in rows[0]
        }
    else:
        rows = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    return columns


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "jsonl"])
@pytest.mark.parametrize("by", [(), ("--by", "part")], ids=["plain", "sliced"])
def test_the_rows_add_up_to_the_report_bit_for_bit(
    score: Call, form: str, by: tuple[str, ...]
) -> None:
    """After a round trip through the file; rows left out are null and keep what was kept."""
    pq.write_table(table(), "rows.parquet", row_group_size=100)
    report = score(
        "rows.parquet", "-l", "mse,mbe", "-o", f"out.{form}", "--keep", "id,part", "--nulls",
        "drop", "--jobs", "2", "--chunk-rows", "17", *by,
    )  # fmt: skip
    columns = read(f"out.{form}")
    assert list(columns) == ["row", "id", "part", "mse", "mbe"]
    assert columns["row"] == list(range(1, ROWS + 1))
    assert columns["id"] == table()["id"].to_pylist()
    assert columns["part"] == table()["part"].to_pylist()
    for result in report["results"]:
        wanted = result["slice"].get("part")
        values = [
            value
            for value, part in zip(columns[result["loss"]], columns["part"], strict=True)
            if value is not None and wanted in (None, part)
        ]
        assert len(values) == result["n"]
        assert math.fsum(values) == result["sum"]
    gaps = [row for row, value in enumerate(columns["mse"]) if value is None]
    assert gaps == [row for row in range(ROWS) if row % 90 == 11]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    "where",
    ["n >= 333", "n < 250 or n > 480", "part == 1 and prediction is not null", "n == 500"],
)
def test_rows_that_a_filter_leaves_out_are_not_written(
    score: Call, suffix: str, where: str
) -> None:
    """The others are those of a run without it, numbers included, and add up to the report."""
    rows = table().append_column("n", pa.array(np.arange(ROWS))).drop_columns(["id"])
    pq.write_table(rows, "rows.parquet", row_group_size=100)
    rows.to_pandas().to_csv("rows.csv", index=False)
    options = (f"rows.{suffix}", "-l", "mse,mbe", "--emit", "loss,grad", "--nulls", "drop")
    options += ("--keep", "n", "--by", "part", "-o", "out.jsonl", "--overwrite")
    score(*options)
    every = Path("out.jsonl").read_text("utf-8").splitlines(keepends=True)
    numbers = np.arange(ROWS)
    mask = {
        "n >= 333": numbers >= 333,
        "n < 250 or n > 480": (numbers < 250) | (numbers > 480),
        "n == 500": numbers == 500,
    }.get(where, (numbers % 3 == 1) & (numbers % 90 != 11))
    expected = "".join(every[row] for row in np.flatnonzero(mask))
    for jobs, chunk in (("1", "1000"), ("2", "7"), ("3", "64")):
        report = score(*options, "--where", where, "--jobs", jobs, "--chunk-rows", chunk)
        assert Path("out.jsonl").read_text("utf-8") == expected
        assert report["rows"]["dropped"]["filtered"]["count"] == ROWS - mask.sum()
        losses = [json.loads(line)["mse"] for line in expected.splitlines()]
        total = math.fsum(value for value in losses if value is not None)
        assert report["results"][0]["sum"] == total


@pytest.mark.parametrize(
    "told",
    [
        ("cross_entropy_logits", "-t", "class", "--emit", "loss,grad,hess"),
        ("gan_generator_logits", "-p", "score_a", "-t", "real", "--emit", "loss,grad"),
        ("triplet", "--col", "positive=good", "--col", "negative=bad", "--emit", "loss,grad"),
    ],
    ids=lambda told: told[0],
)
def test_lists_and_populations_go_with_a_filter(score: Call, told: tuple[str, ...]) -> None:
    """A row keeps its lists, of whatever length, and one outside the population its null."""
    rng = np.random.default_rng(3)
    rows = {f"score_{name}": rng.normal(size=ROWS) for name in "abc"}
    rows |= {"class": np.arange(ROWS) % 3, "real": np.arange(ROWS) % 2, "n": np.arange(ROWS)}
    rows |= {name: [rng.normal(size=1 + r % k) for r in range(ROWS)] for name, k in LISTS.items()}
    pq.write_table(pa.table(rows), "rows.parquet", row_group_size=100)
    options = ("rows.parquet", "-l", *told, "-o", "out.parquet", "--overwrite")
    score(*options)
    every = pq.read_table("out.parquet")
    score(*options, "--where", "n < 90 or n > 420 and class != 1", "--chunk-rows", "32")
    n = np.arange(ROWS)
    kept = (n < 90) | ((n > 420) & (n % 3 != 1))
    assert pq.read_table("out.parquet").equals(every.filter(pa.array(kept)))


LISTS = {"good": 4, "bad": 5}


def test_a_filter_comes_before_everything_else(score: Call, refuse: Refuse) -> None:
    """Gaps in rows that are left out are no error, and where none is left nothing is written."""
    pq.write_table(table(), "rows.parquet")
    score("rows.parquet", "-l", "mse", "-o", "out.csv", "--where", "prediction is not null")
    assert [float(row) for row in read("out.csv")["row"]] == [
        row + 1 for row in range(ROWS) if row % 90 != 11
    ]
    options = ("rows.parquet", "-l", "mse", "-o", "none.csv")
    told = refuse(*options, "--where", "part > 2", status=Exit.UNMEASURABLE)
    assert "filtered" in told
    assert "no column 'nope'" in refuse(*options, "--where", "nope > 2")
    assert not Path("none.csv").exists()


def test_rows_are_counted_on_over_the_files_of_a_glob(score: Call) -> None:
    """So that no two rows have one number."""
    for name, rows in (("a", slice(0, 30)), ("b", slice(30, ROWS))):
        pq.write_table(table()[rows.start : rows.stop], f"part-{name}.parquet")
    score("part-*.parquet", "-l", "mse", "-o", "out.parquet", "--nulls", "drop")
    assert read("out.parquet")["row"] == list(range(1, ROWS + 1))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_bytes_for_any_cut_of_the_work(score: Call, suffix: str) -> None:
    """Of a text form, for any number of threads and rows of a chunk, from either format."""
    source = table().drop_columns(["id"])
    pq.write_table(source, "rows.parquet", row_group_size=100)
    source.to_pandas().to_csv("rows.csv", index=False)
    options = ("-l", "mse,mae", "--nulls", "drop", "--emit", "loss,grad", "--keep", "part")
    texts, reports = set(), set()
    for jobs, rows in (("1", "1000"), ("1", "3"), ("2", "64"), ("4", "7")):
        cut = ("--jobs", jobs, "--chunk-rows", rows)
        report = score(f"rows.{suffix}", *options, "-o", "out.jsonl", "--overwrite", *cut)
        del report["run"]
        texts.add(Path("out.jsonl").read_bytes())
        reports.add(json.dumps(report))
    assert len(texts) == len(reports) == 1


def test_every_derivative_of_every_loss_is_written(
    loss: Loss, draw: Draw, write_parquet: Write, score: Call, tmp_path: Path
) -> None:
    """In the shape of its role and with the bits that the declared functions give."""
    columns = draw(loss, 50)
    write_parquet(tmp_path / "rows.parquet", columns)
    emit = ["loss", *(["grad"] if loss.gradient else []), *(["hess"] if loss.curvature else [])]
    told = [part for role in columns for part in ("--col", f"{role}={role}")]
    score("rows.parquet", "-l", loss.name, "-o", "out.parquet", "--emit", ",".join(emit), *told)
    found = pq.read_table("out.parquet")
    roles = loss.with_respect_to
    with np.errstate(all="ignore"):
        components = loss.kernel(**columns, **loss.defaults())
        counts = loss.finish.counts
        counted = np.ones(50, dtype=bool) if counts is None else counts(components)
        expected: dict[str, Any] = {loss.name: loss.finish.row(components)}
        for what, function in (("grad", loss.gradient), ("hess", loss.curvature)):
            if function is not None:
                result = function(**columns, **loss.defaults())
                parts = result if isinstance(result, tuple) else (result,)
                for role, part in zip(roles, parts, strict=True):
                    several = f".{role}" if len(parts) > 1 else ""
                    values = columns[role]
                    if isinstance(values, Ragged):
                        part = np.split(part, values.offsets[1:-1])
                    expected[f"{loss.name}.{what}{several}"] = part
    assert found.column_names == ["row", *expected]
    for name, values in expected.items():
        for row, (value, there) in enumerate(zip(values, found[name].to_pylist(), strict=True)):
            if not counted[row]:
                assert there is None, (name, row)
            else:
                assert np.array_equal(value, there, equal_nan=True), (name, row)


def test_a_csv_file_with_line_breaks_in_quotes_is_scored_in_order(score: Call) -> None:
    """The slow road starts the file anew, and no row is written twice."""
    lines = [f'{row},0,"a\nb{row}"' for row in range(200)]
    Path("rows.csv").write_text("\n".join(["prediction,target,note", *lines, ""]), "utf-8")
    report = score("rows.csv", "-l", "mae", "-o", "out.csv", "--keep", "note", "--jobs", "2")
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == [f"a\nb{row}" for row in range(200)]
    assert [float(row["mae"]) for row in rows] == [float(row) for row in range(200)]
    assert report["rows"]["read"] == 200


def test_two_files_pair_row_by_row(score: Call) -> None:
    """Columns to keep come from either, and vectors of CSV files become as many columns."""
    Path("p.csv").write_text("p_a,p_b,name\n0.25,0.75,x\n1,0,y\n", encoding="utf-8")
    Path("t.csv").write_text("label,note\na,u\nb,v\n", encoding="utf-8")
    score(
        "p.csv", "t.csv", "-l", "cross_entropy:eps=0", "-o", "out.csv", "--keep", "note,name",
        "--emit", "loss,grad", "-p", "p_*", "-t", "label",
    )  # fmt: skip
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        header, first, second = csv.reader(file)
    label = "cross_entropy:eps=0"
    assert header == ["row", "note", "name", label, f"{label}.grad.0", f"{label}.grad.1"]
    assert first == ["1", "u", "x", repr(-math.log(0.25)), "-4", "0"]
    assert second[3] == "inf"
    score("p.csv", "t.csv", "-l", "cross_entropy:eps=0", "-o", "out.jsonl", "-p", "p_*")
    assert json.loads(Path("out.jsonl").read_text("utf-8").splitlines()[1])[label] is None


def test_what_cannot_be_written_is_refused_before_a_row_is_read(refuse: Refuse) -> None:
    """Each with its reason, and nothing is left behind."""
    pq.write_table(table(), "rows.parquet")
    rows = ("rows.parquet", "-o", "out.parquet", "-l")
    assert "no curvature is declared for focal" in refuse(
        *rows, "focal", "--emit", "loss,hess", "-p", "part", "-t", "part"
    )
    assert "--emit takes some of loss, grad, hess, not 'slope'" in refuse(
        *rows, "mse", "--emit", "slope"
    )
    assert "did you mean id" in refuse(*rows, "mse", "--keep", "idd")
    clash = table().append_column("row", pa.array(range(ROWS)))
    pq.write_table(clash, "clash.parquet")
    told = refuse("clash.parquet", "-l", "mse", "-o", "out.parquet", "--keep", "row")
    assert "two columns of the output would be called 'row'" in told
    assert "cannot write '.txt'" in refuse("rows.parquet", "-l", "mse", "-o", "out.txt")
    assert "another file of this command" in refuse(
        "rows.parquet", "-l", "mse", "-o", "rows.parquet", "--overwrite"
    )
    listed = table().append_column("list", pa.array([[1, 2]] * ROWS))
    pq.write_table(listed, "listed.parquet")
    told = refuse("listed.parquet", "-l", "mse", "-o", "out.csv", "--keep", "list")
    assert "CSV cannot hold the lists of 'list'" in told
    assert sorted(path.name for path in Path().iterdir()) == [
        "clash.parquet",
        "listed.parquet",
        "rows.parquet",
    ]


def test_bad_input_leaves_the_old_file_as_it_was(score: Call, refuse: Refuse) -> None:
    """Existing output is refused without --overwrite, and a failed run writes nothing."""
    pq.write_table(table(), "rows.parquet")
    told = refuse("rows.parquet", "-l", "mse", "-o", "out.parquet", status=Exit.UNMEASURABLE)
    assert "rows.parquet, row 12, column 'prediction'" in told
    assert not Path("out.parquet").exists()
    score("rows.parquet", "-l", "mse", "-o", "out.parquet", "--nulls", "drop")
    before = Path("out.parquet").read_bytes()
    told = refuse("rows.parquet", "-l", "mse", "-o", "out.parquet", "--nulls", "drop")
    assert "out.parquet exists already" in told
    refuse(
        "rows.parquet", "-l", "mse", "-o", "out.parquet", "--overwrite", status=Exit.UNMEASURABLE
    )
    assert Path("out.parquet").read_bytes() == before
    score("rows.parquet", "-l", "mae", "-o", "out.parquet", "--nulls", "drop", "--overwrite")
    assert pq.read_schema("out.parquet").names == ["row", "mae"]
    assert sorted(path.name for path in Path().iterdir()) == ["out.parquet", "rows.parquet"]


# Folders


def write_tree() -> None:
    """Write predictions and truths of three days, one of them in another form."""
    for number, name in enumerate(("a/monday", "a/tuesday", "b/monday")):
        part = table().slice(number * 100, 100 + number)
        for folder in ("preds", "labels"):
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(part.select(["prediction", "id"]), f"preds/{name}.parquet")
        if name == "a/tuesday":
            part.select(["target"]).to_pandas().to_csv(f"labels/{name}.csv", index=False)
        else:
            pq.write_table(part.select(["target", "part"]), f"labels/{name}.parquet")
    Path("preds/.hidden.parquet").write_bytes(b"not data")
    Path("preds/notes.txt").write_text("not data either")


TREE = ("preds", "labels", "-l", "mse", "--nulls", "drop", "-o", "out", "--keep", "id")


def test_a_folder_is_scored_into_the_same_tree(score: Call) -> None:
    """One file each, and a report of all of them as one run over all rows."""
    write_tree()
    report = score(*TREE)
    files = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.parquet"))
    assert files == ["a/monday.parquet", "a/tuesday.parquet", "b/monday.parquet"]
    values = [
        value
        for file in files
        for value in pq.read_table(f"out/{file}")["mse"].to_pylist()
        if value is not None
    ]
    assert report["results"][0]["sum"] == math.fsum(values)
    assert report["rows"]["read"] == 303
    assert [pq.read_table(f"out/{file}")["row"][0].as_py() for file in files] == [1, 1, 1]


def test_complete_files_are_left_alone_and_counted(score: Call, refuse: Refuse) -> None:
    """--resume makes what is missing, and refuses what is not the file that it would make."""
    write_tree()
    expected = score(*TREE)
    kept = Path("out/a/monday.parquet")
    before, stamp = kept.read_bytes(), kept.stat().st_mtime_ns
    Path("out/b/monday.parquet").unlink()
    assert "exists already" in refuse(*TREE)
    report = score(*TREE, "--resume")
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (before, stamp)
    assert Path("out/b/monday.parquet").exists()
    del report["run"], expected["run"]
    assert report == expected
    told = refuse(*TREE, "--resume", "--emit", "grad", status=Exit.UNMEASURABLE)
    assert "other columns" in told
    told = refuse(*TREE, "--resume", "--where", "target > 0", status=Exit.UNMEASURABLE)
    assert "differs from the one that left the state in where" in told
    other = ("preds", "labels", "-l", "mae", *TREE[4:], "--resume")
    assert "differs" in refuse(*other, status=Exit.UNMEASURABLE)
    for damaged in (before[:-50], b"", b"PAR1 and no more"):
        kept.write_bytes(damaged)
        told = refuse(*TREE, "--resume", status=Exit.UNMEASURABLE)
        assert "not a whole Parquet file" in told
    kept.write_bytes(before)
    pq.write_table(pq.read_table("preds/a/monday.parquet"), "preds/a/monday.parquet")
    told = refuse(*TREE, "--resume", status=Exit.UNMEASURABLE)
    assert "changed since" in told
    assert score(*TREE, "--overwrite")["rows"]["read"] == 303


def test_a_filtered_file_is_complete_by_the_rows_that_the_filter_keeps(
    score: Call, refuse: Refuse
) -> None:
    """So it is left alone with the same filter, and refused with another one."""
    write_tree()
    filtered = (*TREE, "--where", "target > 0")
    expected = score(*filtered)
    stamps = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.parquet")}
    report = score(*filtered, "--resume")
    del report["run"], expected["run"]
    assert report == expected
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    for other in (TREE, (*TREE, "--where", "target > 1")):
        assert "in where: " in refuse(*other, "--resume", status=Exit.UNMEASURABLE)


def test_a_folder_whose_files_have_no_partner_is_refused(refuse: Refuse) -> None:
    """All that is wrong at once, and nothing is written."""
    write_tree()
    Path("labels/a/monday.parquet").unlink()
    Path("labels/b/monday.parquet").unlink()
    told = refuse(*TREE, status=Exit.UNMEASURABLE)
    assert "a/monday" in told
    assert "b/monday" in told
    Path("preds/a/monday.csv").write_text("prediction\n1\n")
    assert "would both be scored into" in refuse("preds", *TREE[2:])
    assert "is no folder" in refuse("preds", "preds/a/tuesday.parquet", *TREE[2:])
    assert "--resume: out/a/tuesday.csv cannot say" in refuse(*TREE, "--as", "csv", "--resume")
    assert "--as takes one of" in refuse(*TREE, "--as", "xls")
    Path("nothing").mkdir()
    assert "no file to score" in refuse("nothing", *TREE[2:], status=Exit.UNMEASURABLE)
    assert not Path("out").exists()
