"""Config files: read as a whole, with every mistake told at once and by its line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.cli.gate import config_schema, known_keys
from lossctl.errors import LossctlError, SeveralErrors
from lossctl.gates.checks import Check
from lossctl.gates.config import Config, find_config, read_config
from lossctl.gates.lines import key_lines

GOOD = """\
predictions = "p.csv"
targets = "../t.parquet"
losses = ["rmse", "huber:delta=2"]
by = "sex"
key = ["id", "day"]
ci = 0.9
quantiles = [0.5, 0.9]
histogram = true
jobs = 2
report = ["junit=out/x.xml", "github"]
baseline = "s3://bucket/old.json"

[[check]]
min_rows = 10
max_null_rate = "1%"
require_slices = ["sex=f", { sex = "m", age = 7 }]

[[check]]
name = "the main one"
loss = "HuberLoss:delta=2"
slice = { sex = "f" }
decide = "point"
level = 0.9
max = 2
min = 0.5
max_p99 = 9.5
max_relative_increase = "2%"
"""


def read(text: str, name: str = "lossctl.toml") -> Config:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read_config(name, known_keys())


@pytest.fixture(autouse=True)
def _in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def mistakes(text: str, name: str = "lossctl.toml") -> list[str]:
    with pytest.raises(LossctlError) as caught:
        read(text, name)
    errors = caught.value.errors if isinstance(caught.value, SeveralErrors) else [caught.value]
    assert {(error.slug, int(error.exit), error.place.file) for error in errors} == {
        ("config", 2, name)
    }
    return [f"{error.message} ({error.hint})" if error.hint else error.message for error in errors]


def test_everything_that_may_stand_in_a_config_is_read() -> None:
    found = read(GOOD, "ci/lossctl.toml")
    assert found.options == {
        "predictions": "ci/p.csv",
        "targets": "ci/../t.parquet",
        "losses": ["rmse", "huber:delta=2"],
        "by": ["sex"],
        "key": ["id", "day"],
        "ci": "0.9",
        "quantiles": "0.5,0.9",
        "histogram": True,
        "jobs": 2,
        "report": ["junit=ci/out/x.xml", "github"],
        "baseline": "s3://bucket/old.json",
    }
    huber: dict[str, Any] = {
        "loss": "huber:delta=2",
        "slice": {"sex": "f"},
        "decide": "point",
        "level": 0.9,
        "name": "the main one",
    }
    assert found.checks == (
        Check("min_rows", 10),
        Check("max_null_rate", 0.01),
        Check("require_slices", slice={"sex": "f"}),
        Check("require_slices", slice={"sex": "m", "age": "7"}),
        Check("max", 2, **huber),
        Check("min", 0.5, **huber),
        Check("max_p99", 9.5, **huber),
        Check("max_relative_increase", 0.02, **huber),
    )


def test_the_table_in_pyproject_is_the_same() -> None:
    root = GOOD.replace("[[check]]", "[[tool.lossctl.check]]")
    text = f'[project]\nname = "x"\n\n[tool.lossctl]\n{root}\n[tool.other]\nx = 1\n'
    assert read(text, "pyproject.toml").checks == read(GOOD).checks
    wrong = text.replace('by = "sex"', "bye = 1").replace("level = 0.9", "level = 2")
    assert mistakes(wrong, "pyproject.toml") == [
        "line 8: unknown key 'bye' (did you mean by?)",
        "line 27: level takes a number between 0 and 1, not 2",
    ]


def test_the_config_that_lies_here_is_found() -> None:
    assert find_config(None) is None
    Path("pyproject.toml").write_text("[tool.other]\n", encoding="utf-8")
    assert find_config(None) is None
    Path("pyproject.toml").write_text("[tool.lossctl]\n", encoding="utf-8")
    assert find_config(None) == "pyproject.toml"
    Path("lossctl.toml").touch()
    assert find_config(None) == "lossctl.toml"
    assert find_config("other.toml") == "other.toml"


def test_losses_that_are_limited_are_measured() -> None:
    found = read('[[check]]\nloss = "mae"\nmax = 1\n[[check]]\nloss = "mse"\nmax = 1\n')
    assert found.losses == ["mae", "mse"]


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    text = """\
prediction = "p.csv"
losses = ["rmse", "mea"]
histogram = "yes"
jobs = "many"
max = 3
by = [
  "sex",
  true,
]

[[check]]
loss = "rmse"
maxx = 1

[[check]]
loss = "nothing"
max = nan
decide = "maybe"

[[check]]
loss = "rmse"
max = "5%"
min = inf
min_rows = 1.5
max_null_rate = 2
slice = 3
level = 95

[[check]]
loss = "mae:x=1"
max = [1]
max_p99 = true
require_slices = "all"
"""
    assert mistakes(text) == [
        "line 1: unknown key 'prediction' (did you mean predictions?)",
        "line 3: histogram takes true or false, not 'yes'",
        "line 4: jobs takes a number, not 'many'",
        "line 5: unknown key 'max' (limits stand in a [[check]] table)",
        "line 6: by takes a text, not ['sex', True]",
        "line 2: unknown loss 'mea' (did you mean mse or mbe or mae?)",
        "line 13: unknown key 'maxx' in a check (did you mean max?)",
        "line 11: the check has no limit (as in max = 0.5)",
        "line 18: decide takes interval or point, not 'maybe'",
        "line 17: max takes a finite number, not nan",
        "line 27: level takes a number between 0 and 1, not 95",
        "line 26: slice takes 'all' or columns and values, as in {sex = 'f'}, not 3",
        "line 22: max takes a number, not a percentage ('5%')",
        "line 23: min takes a finite number, not inf",
        "line 24: min_rows takes a whole number of rows, not 1.5",
        "line 25: max_null_rate takes a share between 0 and 1, not 2",
        "line 31: max takes a number, not [1]",
        "line 32: max_p99 takes a number, not True",
        "line 33: require_slices takes a list of slices, not 'all'",
    ]


def test_a_limit_must_be_on_a_loss_of_the_run() -> None:
    head = 'losses = ["rmse", "mbe"]\n[[check]]\n'
    assert mistakes(f'{head}loss = "mae"\nmax = 1\n') == [
        "line 4: max is on mae, which is not measured (did you mean mbe?)"
    ]
    assert mistakes(f"{head}max = 1\n") == [
        "line 3: max does not say on which loss (one of rmse, mbe)"
    ]
    assert mistakes(f'{head}loss = "mbe"\nmax_increase = 1\n') == [
        (
            "line 4: max_increase: an increase of mbe is neither good nor bad "
            "(zero is its best value, so give max and min instead)"
        )
    ]
    assert mistakes(f'{head}loss = "rmse"\nmax_p9 = 1\ndecide = "interval"\n') == [
        "line 4: max_p9 has no interval: decide by the point"
    ]


def test_what_is_no_toml_is_told_by_its_place() -> None:
    (message,) = mistakes("a = 1\nb = \n")
    assert message.startswith("no TOML: ")
    assert "line 2" in message
    assert mistakes("check = 3\n") == ["line 1: checks stand in tables that begin with [[check]]"]


STRANGE = '''\
# a comment
a = """
b = 1
[[check]]
"""
"quoted key" = 1
dotted.inner = 2
inline = { x = 1, y = { z = 2 } }
many = [ # a comment with ]
  1,
  "]",
]

[[check]] # the first
max = 1
[check.slice]
sex = "f"

  [[check]]
  max = 1

[other."strange [name]"]
c = 3
'''


def test_every_key_of_a_document_has_its_line() -> None:
    lines = key_lines(STRANGE)
    assert {path: lines[path] for path in lines if len(path) == 1} == {
        ("a",): 2,
        ("quoted key",): 6,
        ("dotted",): 7,
        ("inline",): 8,
        ("many",): 9,
    }
    assert lines["inline", "y", "z"] == 8
    assert lines["check", 0, "max"] == 15
    assert lines["check", 0, "slice", "sex"] == 17
    assert lines["check", 1, "max"] == 20
    assert lines["other", "strange [name]", "c"] == 23


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


KEYS = st.text("ab[]=\"' .#\\", min_size=1, max_size=4)
VALUES = st.one_of(st.integers(), st.text("a\n\"'[]=#\\", max_size=6), st.lists(st.integers()))


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3))
def test_lines_are_those_of_any_document(tables: list[Mapping[str, Any]]) -> None:
    """Keys are found where they were written, over several lines or not."""
    lines, wanted = ["# start"], {}
    for number, table in enumerate(tables):
        lines.append("[[check]]")
        wanted["check", number] = len(lines)
        for key, value in table.items():
            wanted["check", number, key] = len(lines) + 1
            if isinstance(value, list):
                lines += [f"{quoted(key)} = [", *(f"  {item}," for item in value), "]"]
            else:
                lines.append(
                    f"{quoted(key)} = {quoted(value) if isinstance(value, str) else value}"
                )
    text = "\n".join(lines)
    parsed = tomllib.loads(text)
    assert all(at(parsed, path) is not None for path in wanted)
    assert key_lines(text) == wanted


def test_the_schema_takes_what_the_reader_takes() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(GOOD), schema)
    validator = jsonschema.Draft202012Validator(schema)
    for wrong in ("losess = 1", "max = 1", "[[check]]\nmaxx = 1", "[[check]]\nslice = {}"):
        assert not validator.is_valid(tomllib.loads(wrong)), wrong
