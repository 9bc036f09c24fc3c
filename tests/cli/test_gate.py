"""``lossctl gate``: the run and its limits from a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

ROOT = Path(__file__).parents[2]
ROWS = "prediction,target,part\n1,2,a\n3,5,a\n2,2,b\n4,3,b\n1,1,b\n"
CONFIG = 'predictions = "rows.csv"\nlosses = ["mae"]\n'


@pytest.fixture(autouse=True)
def _rows(write: Write) -> None:
    write("rows.csv", ROWS)


def check(*limits: str) -> str:
    return CONFIG + "".join(f"\n[[check]]\n{limit}\n" for limit in limits)


def test_a_config_is_the_same_run_as_its_options(call: Call, write: Write) -> None:
    """All but the run's own facts is equal, digest included."""
    write("lossctl.toml", check("max = 2", "min_rows = 3") + "")
    by_file = json.loads(call("gate", "-f", "json")[1])
    options = ["-l", "mae", "--max", "2", "--min-rows", "3"]
    by_flags = json.loads(call("eval", "rows.csv", *options, "-f", "json")[1])
    for report in (by_file, by_flags):
        del report["run"]
    assert by_file == by_flags


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (["max = 2"], Exit.DONE),
        (["max = 0.01\nlevel = 0.8"], Exit.LIMIT),
        (["max = 0.7"], Exit.UNDECIDED),
        (["max = 0.7\nlevel = 0.01"], Exit.LIMIT),
        (["max = 0.7\ndecide = 'point'"], Exit.LIMIT),
        (["max = 2", "min_rows = 6"], Exit.UNMEASURABLE),
        (["max_p99 = 2"], Exit.DONE),
        (["max_p50 = 0.5"], Exit.LIMIT),
        (["max = 20\nslice = 'part=a'"], Exit.DONE),
        (["max = 0.1\nslice = { part = 'a' }\ndecide = 'point'"], Exit.LIMIT),
        (["max = 3\nslice = 'part=c'"], Exit.UNMEASURABLE),
        (["require_slices = ['part=a', 'part=b']"], Exit.DONE),
        (["require_slices = ['part=a', 'part=c']"], Exit.UNMEASURABLE),
        (["min_match_rate = 0.5"], Exit.UNMEASURABLE),
        (["max = 0.01\nslice = 'all'"], Exit.USAGE),
        (["max_increase = 1"], Exit.USAGE),
    ],
    ids=str,
)
def test_every_limit_decides_the_status(
    call: Call, write: Write, limits: list[str], status: Exit
) -> None:
    write("lossctl.toml", check(*limits))
    assert call("gate")[0] == status


@pytest.mark.parametrize("name", ["nosuch.toml", "."])
def test_a_config_that_cannot_be_read_is_a_mistake_of_the_command(call: Call, name: str) -> None:
    status, out, err = call("gate", name)
    assert (status, out) == (Exit.USAGE, "")
    assert err.startswith(f"error: {name}: the config file cannot be read: ")
    assert ("hint: lossctl gate --init" in err) == (name == "nosuch.toml")


def test_a_limit_may_be_on_every_slice(call: Call, write: Write) -> None:
    write("lossctl.toml", 'by = "part"\n' + check("max = 1.2\nslice = 'all'\ndecide = 'point'"))
    status, out, _ = call("gate", "-f", "json")
    found = {c["slice"]["part"]: c["verdict"] for c in json.loads(out)["gate"]["checks"]}
    assert (status, found) == (Exit.LIMIT, {"a": "fail", "b": "pass"})


def test_a_slice_limited_twice_alike_is_told_once(call: Call, write: Write) -> None:
    """Another limit on the same slice stays a check of its own."""
    limits = [f"slice = {where}\nmax = 0.01" for where in ('"all"', '{ part = "a" }')]
    other = 'slice = { part = "a" }\nmax = 0.02'
    write("lossctl.toml", 'by = "part"\ndecide = "point"\n' + check(*limits, other))
    assert call("gate")[2].splitlines()[1:] == [
        "fail: max mae [part=a]: mae is 1.5; at most 0.01 is allowed",
        "fail: max mae [part=b]: mae is 0.333333; at most 0.01 is allowed",
        "fail: max mae (2) [part=a]: mae is 1.5; at most 0.02 is allowed",
        "gate fail: 3 fail",
    ]


def test_flags_go_before_the_environment_and_that_before_the_file(
    call: Call, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("lossctl.toml", 'ci = 0.5\nformat = "json"\n' + check("max = 2"))
    level = lambda *flags: json.loads(call("gate", *flags)[1])["results"][0]["ci"]["level"]  # noqa: E731
    assert level() == 0.5
    monkeypatch.setenv("LOSSCTL_CI", "0.6")
    assert level() == 0.6
    assert level("--ci", "0.7") == 0.7
    monkeypatch.setenv("LOSSCTL_PREDICTIONS", "gone.csv")
    assert call("gate")[0] == Exit.UNMEASURABLE
    assert call("gate", "--predictions", "rows.csv")[0] == Exit.DONE


def test_paths_are_relative_to_the_file(call: Call, write: Write) -> None:
    Path("ci").mkdir()
    text = check("max = 2").replace("rows.csv", "../rows.csv")
    write("ci/gate.toml", 'report = ["junit=gate.xml"]\n' + text)
    assert call("gate", "ci/gate.toml")[0] == Exit.DONE
    assert Path("ci/gate.xml").exists()


def test_mistakes_are_told_with_their_lines_and_nothing_is_read(call: Call, write: Write) -> None:
    write("lossctl.toml", 'predictons = "rows.csv"\n[[check]]\nloss = "mae"\nmax = nan\n')
    status, out, err = call("gate")
    assert (status, out) == (Exit.USAGE, "")
    assert err == (
        "error: lossctl.toml: line 1: unknown key 'predictons'\n"
        "hint: did you mean predictions?\n"
        "error: lossctl.toml: line 4: max takes a finite number, not nan\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no lossctl.toml here"),
        ("", "lossctl.toml names no predictions"),
        (CONFIG, "lossctl.toml checks nothing"),
        ('predictions = "rows.csv"\n[[check]]\nmin_rows = 1\n', "lossctl.toml names no losses"),
    ],
)
def test_a_config_that_checks_nothing_never_passes(
    call: Call, write: Write, text: str | None, message: str
) -> None:
    if text is not None:
        write("lossctl.toml", text)
    status, _, err = call("gate")
    assert status == Exit.USAGE
    assert err.startswith(f"error: {message}\n")


def test_the_first_config_passes_and_is_never_written_over(call: Call) -> None:
    data = ROOT / "sample_data"
    for form, losses in {"breast_cancer": ["bce"], "iris": ["cross_entropy"]}.items():
        files = ["--predictions", str(data / f"{form}.csv")]
        assert call("gate", f"{form}.toml", "--init", *files)[0] == Exit.DONE
        written = tomllib.loads(Path(f"{form}.toml").read_text(encoding="utf-8"))
        assert written["losses"] == losses
        jsonschema.validate(written, json.loads((ROOT / "lossctl/schemas/config.json").read_text()))
        assert call("gate", f"{form}.toml")[0] == Exit.DONE
        before = Path(f"{form}.toml").read_text(encoding="utf-8")
        status, _, err = call("gate", f"{form}.toml", "--init", *files)
        assert status == Exit.USAGE
        assert "is there already" in err
        assert Path(f"{form}.toml").read_text(encoding="utf-8") == before
    assert call("gate", "--init")[0] == Exit.USAGE
    assert call("gate", "--init", "--predictions", "gone.csv")[0] == Exit.UNMEASURABLE
    assert not Path("lossctl.toml").exists()


GERMAN = "# from the night\nprediction|target\n1.234,5|1.235,5\n2,25|3,25\n3,5|5,5\n"
MARKS = {"delimiter": "|", "decimal": ",", "thousands": ".", "comment": "#"}


def test_the_first_config_says_how_its_files_are_written(call: Call) -> None:
    Path("german.csv").write_text(GERMAN, encoding="latin-1")
    flags = [part for name, mark in MARKS.items() for part in (f"--{name}", mark)]
    status, _, err = call("gate", "--init", "--predictions", "german.csv", *flags)
    assert status == Exit.DONE, err
    written = tomllib.loads(Path("lossctl.toml").read_text(encoding="utf-8"))
    assert {name: written[name] for name in MARKS} == MARKS
    jsonschema.validate(written, json.loads((ROOT / "lossctl/schemas/config.json").read_text()))
    assert call("gate")[0] == Exit.DONE
    status, _, err = call("gate", "--delimiter", ";")  # a flag goes before the file
    assert status == Exit.USAGE
    assert "columns: prediction|target" in err


def test_a_config_without_a_header_and_its_flags_mean_the_same(call: Call, write: Write) -> None:
    Path("bare.txt").write_bytes("7\t1\n9\t1\n".encode("utf-16"))
    table = 'predictions = "bare.txt"\nlosses = ["mae"]\npred = "1"\ntarget = "2"\n'
    check = "[[check]]\nmin_rows = 2\n"
    keys = 'input_format = "csv"\ndelimiter = "tab"\nno_header = true\nencoding = "utf-16"\n'
    write("keys.toml", table + keys + check)
    write("flags.toml", table + check)
    flags = "--input-format csv --delimiter tab --no-header --encoding utf-16".split()
    assert call("gate", "keys.toml", "-f", "value")[:2] == (Exit.DONE, "7.0\n")
    assert call("gate", "flags.toml", "-f", "value", *flags)[:2] == (Exit.DONE, "7.0\n")


def test_the_first_config_lies_anywhere(call: Call) -> None:
    Path("ci").mkdir()
    assert call("gate", "ci/g.toml", "--init", "--predictions", "rows.csv")[0] == Exit.DONE
    assert 'predictions = "../rows.csv"' in Path("ci/g.toml").read_text(encoding="utf-8")
    assert call("gate", "ci/g.toml")[0] == Exit.DONE


def test_the_first_config_keeps_the_options_it_was_made_with(call: Call, write: Write) -> None:
    """Its limits are of the rows and weights that were asked for."""
    rows = "1,2,a,1\n2,2,b,2\n3,5,a,3\n4,,a,1\n"
    write("odd.csv", f"yhat,y,part,w\n{rows}")
    asked = ["-p", "yhat", "-t", "y", "-w", "w", "--where", "part == 'a'", "--nulls", "drop"]
    files = ["--predictions", "odd.csv"]
    assert call("gate", "--init", *files, *asked, "-l", "mae", "--by", "part")[0] == Exit.DONE
    assert "# mae is 1.75 now" in Path("lossctl.toml").read_text(encoding="utf-8")
    assert call("gate")[0] == Exit.DONE
    status, _, err = call("gate", "x.toml", "--init", *files, *asked, "--max", "mae=1")
    assert (status, Path("x.toml").exists()) == (Exit.USAGE, False)
    assert err.startswith("error: --init does not look at --max\n")


def test_a_limit_on_the_line_stands_in_the_place_of_the_one_in_the_file(
    call: Call, write: Write
) -> None:
    """Of the same loss; all others of the file hold."""
    checks = "".join(f'[[check]]\nloss = "{loss}"\nmax = 0.001\n' for loss in ("mae", "rmse"))
    write("strict.toml", f'predictions = "rows.csv"\nlosses = ["mae", "rmse"]\n{checks}')
    status, out, _ = call("gate", "strict.toml", "--max", "mae=1e9", "-f", "json")
    found = {c["id"]: c["limit"] for c in json.loads(out)["gate"]["checks"]}
    assert (status, found) == (Exit.LIMIT, {"max rmse": 0.001, "max mae": 1e9})
