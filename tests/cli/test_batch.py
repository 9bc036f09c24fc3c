"""``lossctl batch``: many files in one run, exact totals, ranks, failures, going on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossctl import collect
from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]

PATTERN = ("preds/{model}/{day}.csv", "--targets", "truth/{day}.csv")
JSON = ("-q", "-f", "json")


@pytest.fixture(autouse=True)
def _files(_quiet_environment: None) -> None:
    """Write the truth of three days and the predictions of three models."""
    for day in range(3):
        rows = range(20 + day)
        truth = [f"{i},{i * 7 % 11 / 4},{'eu' if i % 3 else 'us'}" for i in rows]
        write(f"truth/d{day}.csv", "id,target,region", truth)
        for model, scale in (("good", 1), ("fair", 2), ("poor", 4)):
            predictions = [f"{i},{i * 7 % 11 / 4 + scale * (i % 5 - 1.75) / 8}" for i in rows]
            write(f"preds/{model}/d{day}.csv", "id,prediction", predictions)


def write(name: str, header: str, rows: list[str]) -> str:
    """Write a CSV file."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("\n".join([header, *rows, ""]))
    return name


def by_slice(out: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Give the results of a report by loss and the values of their slice."""
    found = {}
    for result in json.loads(out)["results"]:
        place = (result.pop("loss"), *map(str, result.pop("slice").values()))
        result.pop("rank", None)
        found[place] = result
    return found


def test_every_job_is_what_eval_says_and_totals_are_exact(call: Call) -> None:
    """Each job is its own evaluation, a model's total that of all its rows, to the last bit."""
    specs = ("-l", "rmse,mbe", "--quantiles", "0.5,0.9", "--histogram")
    status, out, _ = call("batch", *PATTERN, *specs, *JSON)
    assert status == Exit.DONE
    found = by_slice(out)
    for model in ("good", "fair", "poor"):
        for day in ("d0", "d1", "d2"):
            files = (f"preds/{model}/{day}.csv", f"truth/{day}.csv")
            job = (f"{model}.{day}.state",)
            alone = by_slice(call("eval", *files, *specs, *JSON, "--state-out", *job)[1])
            assert {loss: found[loss, model, day] for (loss,) in alone} == {
                loss: result for (loss,), result in alone.items()
            }
        total = by_slice(call("merge", *map(str, Path().glob(f"{model}.*.state")), *JSON)[1])
        assert {loss: found[loss, model] for (loss,) in total} == {
            loss: result for (loss,), result in total.items()
        }
    whole = by_slice(call("merge", *map(str, Path().glob("*.state")), *JSON)[1])
    assert {place: found[place] for place in whole} == whole


def test_models_are_ranked_and_sorted_by_the_first_loss(call: Call) -> None:
    """Totals first, then day by day; the best is marked, and a bias counts by its size."""
    status, out, _ = call("batch", *PATTERN, "-l", "mbe,mae", *JSON)
    assert status == Exit.DONE
    report = json.loads(out)
    order = [tuple(result["slice"].values()) for result in report["results"]]
    expected = [(model,) for model in ("good", "fair", "poor")]
    expected += [(m, day) for day in ("d0", "d1", "d2") for m in ("good", "fair", "poor")]
    assert order == [place for place in [*expected, ()] for _ in range(2)]
    ranks = [result.get("rank") for result in report["results"]]
    assert ranks == [1, 1, 2, 2, 3, 3] * 4 + [None, None]
    assert report["batch"] == {
        "labels": ["model", "day"],
        "rank": "model",
        "jobs": 9,
        "failures": [],
    }
    assert all(r["value"] < 0 for r in report["results"] if r["loss"] == "mbe")

    lines = call("batch", *PATTERN, "-l", "mae", "-q")[1].splitlines()
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["mae", "model=good", "best"],
        ["mae", "model=fair", "2"],
        ["mae", "model=poor", "3"],
    ]


def test_another_label_may_compete(call: Call) -> None:
    """``--rank day`` ranks the days, in total and for each model."""
    out = call("batch", *PATTERN, "-l", "mae", "--rank", "day", *JSON)[1]
    results = json.loads(out)["results"]
    totals = [r for r in results if list(r["slice"]) == ["day"]]
    assert [(r["slice"]["day"], r["rank"]) for r in totals] == [("d0", 1), ("d2", 1), ("d1", 3)]
    assert [r["value"] for r in totals] == sorted(r["value"] for r in totals)
    good = [r["rank"] for r in results if r["slice"].get("model") == "good"]
    assert sorted(good) == [1, 1, 3]


def test_equal_models_share_a_rank_and_an_undefined_one_has_none(call: Call) -> None:
    """Competition ranking; what has no value does not compete, an infinite one comes last."""
    for name, rows in {
        "a": ["0.5,1", "0.25,0"],
        "b": ["0.5,1", "0.25,0"],
        "c": ["0,1", "0.25,0"],
        "d": ["nan,1", "0.25,0"],
        "e": ["0.125,1", "0.25,0"],
    }.items():
        write(f"{name}.csv", "prediction,target", rows)
    out = call("batch", "{model}.csv", "-l", "bce:eps=0", "--nonfinite", "keep", *JSON)[1]
    ranks = [(r["slice"].get("model"), r.get("rank")) for r in json.loads(out)["results"]]
    assert ranks == [("a", 1), ("b", 1), ("e", 3), ("c", 4), ("d", None), (None, None)]
    lines = call("batch", "{model}.csv", "-l", "bce:eps=0", "--nonfinite", "keep", "-qf", "csv")[1]
    assert [line.split(",")[1:3] for line in lines.splitlines()[:3]] == [
        ["model", "rank"],
        ["a", "1"],
        ["b", "1"],
    ]


def test_slices_are_crossed_with_the_labels(call: Call) -> None:
    """``--by region`` gives each model and each job by region; regions add up to their job."""
    out = call("batch", *PATTERN, "-l", "mae", "--by", "region", *JSON)[1]
    report = json.loads(out)
    columns = {tuple(result["slice"]) for result in report["results"]}
    assert columns == {
        (),
        ("model",),
        ("model", "day"),
        ("model", "region"),
        ("model", "day", "region"),
    }
    found = by_slice(out)
    for model in ("good", "fair"):
        parts = [found["mae", model, region]["n"] for region in ("eu", "us")]
        assert sum(parts) == found["mae", model]["n"] == 63


def test_nothing_depends_on_threads_or_on_the_order_of_the_manifest(call: Call) -> None:
    """A manifest in any order gives the pattern's report, on any number of threads."""
    expected = call("batch", *PATTERN, "-l", "rmse", *JSON, "-j", "1")[1]
    lines = [
        f"preds/{model}/d{day}.csv,truth/d{day}.csv,{model},d{day}"
        for model in ("poor", "good", "fair")
        for day in (2, 0, 1)
    ]
    write("jobs.csv", "predictions,targets,model,day", lines)
    for jobs in ("1", "3", "16"):
        found = call("batch", "jobs.csv", "-l", "rmse", *JSON, "-j", jobs, "--chunk-rows", "3")[1]
        assert json.loads(found)["digest"] == json.loads(expected)["digest"]


def test_files_without_labels_are_told_by_their_paths(call: Call) -> None:
    """Any glob will do; one label needs no totals."""
    status, out, _ = call(
        "batch", "preds/*/d0.csv", "--targets", "truth/d0.csv", "-l", "mae", *JSON
    )
    assert status == Exit.DONE
    slices = [result["slice"] for result in json.loads(out)["results"]]
    assert slices == [*({"file": f"preds/{m}/d0.csv"} for m in ("good", "fair", "poor")), {}]


# Failures


@pytest.fixture
def broken() -> list[str]:
    """Break three jobs, each in another way; give what is told of them."""
    Path("preds/good/d1.csv").write_text("id,prediction\n0,1\n")
    Path("preds/fair/d2.csv").write_text("id,guess\n" + "0,1\n" * 22)
    lines = Path("preds/poor/d0.csv").read_text().splitlines()
    lines[3] = "2,word"
    Path("preds/poor/d0.csv").write_text("\n".join([*lines, ""]))
    return [
        "model=good, day=d1: the files pair row by row but differ in length",
        "model=fair, day=d2: mae: no column found for the role 'prediction'",
        "model=poor, day=d0: preds/poor/d0.csv, row 3, column 'prediction': ",
    ]


def test_a_failing_job_does_not_stop_the_others(call: Call, broken: list[str]) -> None:
    """Status 3, every failure told on stderr and in the document, the rest as without them."""
    status, out, err = call("batch", *PATTERN, "-l", "mae", "-f", "json")
    assert status == Exit.UNMEASURABLE
    for text in broken:
        assert f"error: {text}" in err
    report = json.loads(out)
    assert report["batch"]["jobs"] == 9
    failures = {tuple(f["labels"].values()): f for f in report["batch"]["failures"]}
    assert failures.keys() == {("fair", "d2"), ("good", "d1"), ("poor", "d0")}
    assert failures["good", "d1"]["error"]["error"] == "pairing"
    assert failures["good", "d1"]["files"] == ["preds/good/d1.csv", "truth/d1.csv"]
    assert failures["poor", "d0"]["error"]["place"]["row"] == 3
    assert len([r for r in report["results"] if len(r["slice"]) == 2]) == 6
    assert "model=good lacks 1 of 3 jobs (day=d1); its total is of other rows" in report["warnings"]
    alone = by_slice(call("eval", "preds/good/d0.csv", "truth/d0.csv", "-l", "mae", *JSON)[1])
    assert by_slice(out)["mae", "good", "d0"] == alone["mae",]


def test_the_error_of_a_job_is_the_same_on_any_number_of_threads(
    call: Call, broken: list[str]
) -> None:
    """The document with the failures in it does not change a byte."""
    del broken
    documents = [
        call("batch", *PATTERN, "-l", "mae", "-f", "json", "-j", jobs)[1] for jobs in "125"
    ]
    assert len({json.loads(document)["digest"] for document in documents}) == 1


def test_a_batch_without_a_good_job_is_an_error(call: Call) -> None:
    """All failures are told, there is no report; what only options can mend is a usage error."""
    for path in Path("truth").iterdir():
        path.unlink()
    status, out, err = call("batch", *PATTERN, "-l", "mae")
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert err.count("no such file") == 3
    status, out, err = call("batch", "preds/{model}/{day}.csv", "-l", "mae")
    assert (status, out) == (Exit.USAGE, "")
    assert err.count("no column found for the role 'target'") == 1
    assert err.startswith("error: preds/fair/d0.csv: mae: no column found")


def test_an_error_that_names_no_file_is_told_with_one(call: Call) -> None:
    """Each of several errors of a job on a line of its own."""
    write("whole.csv", "prediction,target", ["1,2"])
    write("half.csv", "a,b", ["1,2"])
    status, _, err = call("batch", "{name}.csv", "-l", "mae", "-q")
    assert status == Exit.UNMEASURABLE
    told = [line.partition(" (")[0] for line in err.splitlines()]
    where = "error: name=half: half.csv: mae: no column found for the role"
    assert told == [f"{where} 'prediction'", f"{where} 'target'"]


def test_a_data_file_in_place_of_a_manifest_is_one_error(call: Call) -> None:
    write("rows.csv", "prediction,target", ["1,2"] * 100)
    status, _, err = call("batch", "rows.csv", "-l", "mae")
    assert status == Exit.USAGE
    assert err == (
        "error: rows.csv: a data file rather than a manifest: it has no column 'predictions', "
        "only prediction, target\n"
        "hint: a pattern such as 'preds/*.csv' finds data files, `lossctl eval` measures one\n"
    )
    Path("rows.parquet").touch()
    status, _, err = call("batch", "rows.parquet", "-l", "mae")
    assert status == Exit.USAGE
    assert "`lossctl eval` measures a single file" in err


def test_a_job_without_rows_fails_alone(call: Call) -> None:
    """Nothing to measure is no zero, and no column of nothing in the leaderboard."""
    Path("preds/good/d1.csv").write_text("id,prediction\n")
    Path("truth/d1.csv").write_text("id,target,region\n")
    status, out, err = call("batch", *PATTERN, "-l", "mae", *JSON)
    assert status == Exit.UNMEASURABLE
    assert "model=good, day=d1: preds/good/d1.csv: no rows" in err
    assert ("mae", "good", "d1") not in by_slice(out)


def test_each_file_may_code_its_labels_as_it_likes(call: Call) -> None:
    """{0, 1} in one file and {-1, 1} in another contradict nothing; an absent label is told."""
    write("a.csv", "score,label,kind", ["0.5,1,x", "-0.5,0,y"])
    write("b.csv", "score,label,kind", ["0.5,1,y", "-0.5,-1,y"])
    status, out, _ = call("batch", "{model}.csv", "-l", "hinge", *JSON)
    assert status == Exit.DONE
    found = by_slice(out)
    assert found["hinge", "a"]["value"] == found["hinge", "b"]["value"] == 0.5
    options = ("-l", "hinge", "-t", "kind", "--positive", "x", *JSON)
    warnings = json.loads(call("batch", "{model}.csv", *options)[1])["warnings"]
    assert warnings == ["model=b: hinge: no row has the label 'x' in the column 'kind'"]


def test_a_job_that_reads_other_columns_is_told(call: Call) -> None:
    """Usual names are found file by file, so they may differ; nothing of that is hidden."""
    text = Path("preds/good/d1.csv").read_text().replace("prediction", "yhat")
    Path("preds/good/d1.csv").write_text(text)
    status, out, _ = call("batch", *PATTERN, "-l", "mae", *JSON)
    assert status == Exit.DONE
    (warning,) = json.loads(out)["warnings"]
    assert (
        warning == "1 jobs read other columns than model=fair, day=d0 (first: model=good, day=d1)"
    )


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((*PATTERN, "-l", "hubr", "--nulls", "no"), ("hubr", "--nulls")),
        (("nope/{m}.csv", "-l", "hubr"), ("no file matches", "hubr")),
        ((*PATTERN[:2], "truth/{week}.csv", "-l", "mae"), ("no label 'week'",)),
        ((*PATTERN, "-l", "mae", "--rank", "week"), ("--rank: there is no label 'week'",)),
        ((*PATTERN, "-l", "mae", "--resume"), ("--resume needs --state-dir",)),
        ((*PATTERN, "-l", "mae", "--by", "id,day"), ("--by day: that is a label",)),
        ((*PATTERN, "-l", "mae", "-o", "preds/good/d1.csv"), ("another file of this command",)),
    ],
)
def test_what_is_wrong_with_the_command_is_told_before_any_reading(
    arguments: tuple[str, ...], texts: tuple[str, ...], call: Call
) -> None:
    """Once, and not for every job."""
    status, out, err = call("batch", *arguments)
    assert (status, out) == (Exit.USAGE, "")
    for text in texts:
        assert err.count(text) == 1, err


# States


def test_a_batch_goes_on_from_its_states(
    call: Call, broken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that are done are not read again; mended ones are, and the end is that of one run."""
    del broken
    keep = ("--state-dir", "states/night")
    assert call("batch", *PATTERN, "-l", "mae", *keep, "-q")[0] == Exit.UNMEASURABLE
    assert len(list(Path("states/night").glob("*.state"))) == 6
    status, out, err = call("batch", *PATTERN, "-l", "mae", *keep)
    assert (status, out) == (Exit.USAGE, "")
    assert "holds states of these jobs already" in err

    _rewrite_broken()
    expected = call("batch", *PATTERN, "-l", "mae", *JSON)[1]
    read = []
    read_chunks = collect.read_chunks

    def noted(task: Any, *rest: Any) -> Any:
        read.append(task.piece[0])
        return read_chunks(task, *rest)

    monkeypatch.setattr(collect, "read_chunks", noted)
    status, out, _ = call("batch", *PATTERN, "-l", "mae", *keep, "--resume", *JSON)
    assert status == Exit.DONE
    assert sorted(read) == ["preds/fair/d2.csv", "preds/good/d1.csv", "preds/poor/d0.csv"]
    assert json.loads(out)["digest"] == json.loads(expected)["digest"]

    good = [str(path) for path in Path("states/night").glob("good-*.state")]
    total = by_slice(call("merge", *good, *JSON)[1])
    assert total["mae",] == by_slice(expected)["mae", "good"]


def _rewrite_broken() -> None:
    for model, scale, day in (("good", 1, 1), ("fair", 2, 2), ("poor", 4, 0)):
        rows = [f"{i},{i * 7 % 11 / 4 + scale * (i % 5 - 1.75) / 8}" for i in range(20 + day)]
        write(f"preds/{model}/d{day}.csv", "id,prediction", rows)


def test_a_state_of_a_changed_file_is_a_failure_of_its_job(call: Call) -> None:
    """The others go on; nothing stale is added up."""
    keep = ("--state-dir", "states")
    assert call("batch", *PATTERN, "-l", "mae", *keep, "-q")[0] == Exit.DONE
    path = Path("preds/good/d1.csv")
    path.write_text(path.read_text().replace("\n3,", "\n3,1"))
    status, _, err = call("batch", *PATTERN, "-l", "mae", *keep, "--resume", "-q")
    assert status == Exit.UNMEASURABLE
    assert "model=good, day=d1: " in err
    assert "have changed since" in err
    assert err.count("error: ") == 1


def test_labels_of_any_letters_make_names_of_states(call: Call) -> None:
    """Slashes, blanks and lookalikes do not collide."""
    values = ["a/b", "a b", "a_b", "ä", "", "x" * 300]
    entries = [{"predictions": f"truth/d{i}.csv", "m": v} for i, v in enumerate(values[:3])]
    for i, value in enumerate(values[3:], start=3):
        write(f"truth/d{i}.csv", "target", ["1"])
        entries.append({"predictions": f"truth/d{i}.csv", "m": value})
    Path("jobs.json").write_text(json.dumps(entries))
    options = ("-l", "mae", "-p", "target", "-t", "target", "--state-dir", "states", *JSON)
    assert call("batch", "jobs.json", *options)[0] == Exit.DONE
    assert len(list(Path("states").iterdir())) == len(values)


def test_a_label_that_is_no_text_names_a_state(script: Call, tmp_path: Path) -> None:
    """As the name of a file may be none that UTF-8 can write."""
    Path("jobs.json").write_text(r'[{"predictions": "truth/d0.csv", "m": "\ud800"}]')
    options = ("-l", "mae", "-p", "target", "-t", "target", "--state-dir", "states", *JSON)
    assert script("batch", "jobs.json", *options)[0] == Exit.DONE
    assert script("batch", "jobs.json", *options, "--resume")[0] == Exit.DONE
    assert len(list((tmp_path / "states").iterdir())) == 1


# Whole features


def test_a_batch_pairs_by_key_and_takes_custom_losses(call: Call) -> None:
    """What eval can do, each job can do."""
    Path("my.py").write_text(
        "from lossctl.losses import Real, loss\n\n\n@loss\n"
        "def doubled(prediction: Real, target: Real):\n    return 2 * abs(prediction - target)\n"
    )
    for path in Path("preds/good").iterdir():
        header, *lines = path.read_text().splitlines()
        path.write_text("\n".join([header, *lines[::-1], ""]))
    options = ("-k", "id", "-l", "mae,my.py:doubled", "--report", "md=board.md", *JSON)
    status, out, _ = call("batch", *PATTERN, *options)
    assert status == Exit.DONE
    found = by_slice(out)
    assert found["my.py:doubled", "good"]["value"] == 2 * found["mae", "good"]["value"]
    assert found["mae", "good"]["n"] == 63
    assert "model=good" in Path("board.md").read_text()


def test_a_pattern_that_the_shell_has_expanded_is_told_to_be_quoted(call: Call) -> None:
    """More files than arguments; a stray word is no pattern."""
    files = sorted(map(str, Path("preds/good").iterdir()))
    status, _, err = call("batch", *files, "--targets", "truth/d0.csv", "-l", "mae")
    assert status == Exit.USAGE
    assert "hint: a pattern such as 'preds/*.csv' stands in quotes" in err
    assert "quotes" not in call("batch", "preds/*/*.csv", "more", "-l", "mae")[2]


def test_files_in_another_dialect_are_read_so(call: Call) -> None:
    """The options of the inputs hold for every file."""
    for path in [*Path("preds").rglob("*.csv"), *Path("truth").iterdir()]:
        path.write_text(path.read_text().replace(",", "|"))
    status, out, _ = call("batch", *PATTERN, "-l", "mae", "--delimiter", "|", *JSON)
    assert (status, len(by_slice(out))) == (Exit.DONE, 13)


def test_the_installed_command_shows_a_leaderboard(script: Call) -> None:
    """The table on stdout, notes beside it."""
    status, out, err = script("batch", *PATTERN, "-l", "rmse")
    assert status == Exit.DONE
    assert "best" in out.splitlines()[2]
    assert "columns of rmse: prediction: prediction; target: target" in err
