"""Jobs of a batch: found by a pattern, or listed in a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossctl.errors import InputError, LossctlError, SeveralErrors, UsageError
from lossctl.jobs import Job, find_jobs


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with predictions of two models and two days."""
    monkeypatch.chdir(tmp_path)
    for model in "ab":
        for day in ("d1", "d2"):
            path = Path("preds", model, f"{day}.csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    Path("preds/a/deep").mkdir()
    Path("preds/a/deep/d3.csv").touch()
    Path("preds/c.d").mkdir()
    Path("preds/c.d/x.csv").mkdir()


def labels(jobs: list[Job]) -> list[dict[str, str]]:
    """Give the labels of jobs."""
    return [dict(job.labels) for job in jobs]


GRID = [{"model": model, "day": day} for model in "ab" for day in ("d1", "d2")]


def test_labels_stand_for_parts_of_names() -> None:
    """In order of the paths; folders are no files, and a label never spans a slash."""
    jobs = find_jobs("preds/{model}/{day}.csv", "labels/{day}-{model}.csv")
    assert labels(jobs) == GRID
    assert jobs[0] == Job("preds/a/d1.csv", "labels/d1-a.csv", GRID[0])
    assert jobs[0].name == "model=a, day=d1"
    assert jobs[0].files == ["preds/a/d1.csv", "labels/d1-a.csv"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("preds/{model}/d1.csv", [{"model": "a"}, {"model": "b"}]),
        ("preds/?/d1.csv", [{"file": "preds/a/d1.csv"}, {"file": "preds/b/d1.csv"}]),
        ("preds/[!a]/d{n}.csv", [{"n": "1"}, {"n": "2"}]),
        ("preds/**/d3.csv", [{"file": "preds/a/deep/d3.csv"}]),
        ("preds/{m}/*/d{n}.csv", [{"m": "a", "n": "3"}]),
        ("{x}/a/d1.csv", [{"x": "preds"}]),
    ],
)
def test_globs_go_along_with_labels(pattern: str, expected: list[dict[str, str]]) -> None:
    """Stars and brackets match without a name; without any label the path is one."""
    assert labels(find_jobs(pattern, None)) == expected


def test_a_label_stands_for_the_same_text_throughout() -> None:
    """A name that repeats a part of the path is matched against it."""
    for model in "ab":
        Path("preds", model, "a-x.csv").touch()
    jobs = find_jobs("preds/{model}/{model}-{day}.csv", None)
    assert labels(jobs) == [{"model": "a", "day": "x"}]


def test_absolute_patterns_work(tmp_path: Path) -> None:
    """From the root of the file system on."""
    assert labels(find_jobs(f"{tmp_path}/preds/{{model}}/{{day}}.csv", None)) == GRID


MANIFESTS = {
    "jobs.csv": "predictions,model,day,targets\npreds/a/d1.csv,a,1,t1.csv\npreds/b/d1.csv,b,1,\n",
    "jobs.tsv": (
        "predictions\tmodel\tday\ttargets\npreds/a/d1.csv\ta\t1\tt1.csv\npreds/b/d1.csv\tb\t1\t\n"
    ),
    "jobs.json": json.dumps(
        [
            {"predictions": "preds/a/d1.csv", "model": "a", "day": 1, "targets": "t1.csv"},
            {"predictions": "preds/b/d1.csv", "model": "b", "day": 1},
        ]
    ),
    "jobs.toml": (
        '[[jobs]]\npredictions = "preds/a/d1.csv"\nmodel = "a"\nday = 1\ntargets = "t1.csv"\n'
        '[[jobs]]\npredictions = "preds/b/d1.csv"\nmodel = "b"\nday = 1\n'
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_lists_jobs(name: str) -> None:
    """In any of its forms; its own targets go before those of the command."""
    Path(name).write_text(MANIFESTS[name])
    assert find_jobs(name, "all-{day}.csv") == [
        Job("preds/a/d1.csv", "t1.csv", {"model": "a", "day": "1"}),
        Job("preds/b/d1.csv", "all-1.csv", {"model": "b", "day": "1"}),
    ]


def test_dates_and_times_are_labels_by_their_text() -> None:
    """TOML has values that JSON has not."""
    values = ("2024-01-01", "2024-01-01T07:00:00", "07:30:00")
    entries = [f'[[jobs]]\npredictions = "{n}.csv"\nat = {v}\n' for n, v in enumerate(values)]
    Path("jobs.toml").write_text("".join(entries))
    assert labels(find_jobs("jobs.toml", None)) == [{"at": value} for value in values]


def test_files_of_a_manifest_lie_beside_it() -> None:
    """Relative to its folder; absolute paths and URLs stay as they are."""
    entries = ["d1.csv", "/root/x.csv", "s3://bucket/x.csv"]
    Path("preds/a/jobs.json").write_text(json.dumps([{"predictions": e} for e in entries]))
    jobs = find_jobs("preds/a/jobs.json", None)
    assert [job.predictions for job in jobs] == ["preds/a/d1.csv", *entries[1:]]
    assert labels(jobs)[0] == {"file": "preds/a/d1.csv"}


@pytest.mark.parametrize(
    ("text", "content", "targets", "error", "message"),
    [
        ("none/{model}.csv", None, None, InputError, "no file matches"),
        ("preds/{a b}.csv", None, None, UsageError, "{a b} is no label"),
        ("preds/{m}/d1.csv", None, "t/{day}.csv", UsageError, "no label 'day'"),
        ("preds/a/d1.parquet", None, None, UsageError, "neither a manifest nor a pattern"),
        ("none.csv", None, None, InputError, "No such file"),
        ("x.csv", "model\na\n", None, UsageError, "it has no column 'predictions', only model"),
        ("x.csv", "predictions,m\n,1\n", None, UsageError, "row 1: a job without 'predictions'"),
        ("x.csv", "", None, InputError, "no jobs"),
        ("x.json", "{", None, InputError, "not a readable manifest"),
        ("x.json", '{"a": 1}', None, InputError, "holds no list of jobs"),
        ("x.json", "[1]", None, UsageError, "row 1: a job without 'predictions'"),
        ("x.toml", "a = ", None, InputError, "not a readable manifest"),
        ("x.json", '[{"predictions": "a", "m": [1]}]', None, UsageError, "'m' is no single value"),
        ("x.json", "[" * 100_000, None, InputError, "it is nested too deeply"),
        ("x.toml", f"jobs = {'[' * 100_000}", None, InputError, "it is nested too deeply"),
        ("x.json", '[{"predictions": 1}]', None, UsageError, "row 1: predictions is 1, not the"),
        (
            "x.json",
            '[{"predictions": "a", "targets": true}]',
            None,
            UsageError,
            "row 1: targets is True, not the path of a file",
        ),
        (
            "x.json",
            '[{"predictions": "a", "": 1}]',
            None,
            UsageError,
            "row 1: a label has an empty",
        ),
        ("x.csv", "predictions,\na,1\n", None, UsageError, "row 1: a label has an empty name"),
        ("x.csv", "predictions,m,m\na,1,2\n", None, UsageError, "names 'm' more than once"),
        ("x.csv", "\npredictions,m\na,1\n", None, UsageError, "only an empty line"),
        (
            "x.csv",
            "predictions,m\na,1\nb,2,3,4\n",
            None,
            UsageError,
            "row 2: the row has 4 fields, the header 2",
        ),
        (
            "x.json",
            '[{"predictions": "a", "m": 1}, {"predictions": "b"}]',
            None,
            UsageError,
            "differ in their labels",
        ),
        (
            "x.csv",
            "predictions,m\na,1\nb,1\n",
            None,
            UsageError,
            "two jobs have the same labels: m=1",
        ),
        (
            "x.csv",
            "predictions,m\na,1\na,2\n",
            None,
            UsageError,
            "two jobs have the same predictions: a",
        ),
    ],
)
def test_what_makes_no_jobs_is_refused(
    text: str, content: str | None, targets: str | None, error: type[LossctlError], message: str
) -> None:
    """The message names the manifest and the row, or the label."""
    if content is not None:
        Path(text).write_text(content)
    with pytest.raises(error) as caught:
        find_jobs(text, targets)
    assert message in str(caught.value)


def test_all_faults_of_a_manifest_are_told_at_once() -> None:
    """Nobody has to mend jobs one by one."""
    Path("x.csv").write_text("predictions,m\na,1\n,2\n,3\n")
    with pytest.raises(SeveralErrors) as caught:
        find_jobs("x.csv", None)
    assert len(caught.value.errors) == 2
