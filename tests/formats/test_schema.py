"""The JSON report and its schema: every report fits, and what does not fit is noticed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit
from lossctl.report import SCHEMA

ROOT = Path(__file__).parents[2]
SCHEMA_FILE = ROOT / "lossctl/schemas/report.json"

LINES = ["1,1,a,0.5", "nan,1,b,0.5", ",0,a,0.5", "0,1,b,0.5", "1,0,,0.5", "0.5,1,a,0.5"]
POLICIES = "--nulls", "drop", "--nonfinite"
COMMANDS = {
    "plain": ["-l", "mse", *POLICIES, "drop"],
    "several": ["-l", "bce,hinge,mae", *POLICIES, "drop"],
    "undefined": ["-l", "mse,mbe", *POLICIES, "keep"],
    "infinite": ["-l", "bce:eps=0", *POLICIES, "drop"],
    "clipped": ["-l", "bce", *POLICIES, "drop"],
    "slices": ["-l", "mse,bce", *POLICIES, "drop", "-g", "part", "-g", "part,target"],
    "no intervals": ["-l", "rmse", *POLICIES, "drop", "--ci", "off"],
    "quantiles": ["-l", "mae", *POLICIES, "drop", "--quantiles", "0,0.5,1", "--histogram"],
    "worst": ["-l", "bce:eps=0,mbe", *POLICIES, "drop", "--top", "3", "--keep", "part,target"],
    "sensitivity": ["-l", "bce,mbe", *POLICIES, "drop", "--sensitivity"],
    "populations": ["-l", "gan_discriminator,gan_generator", *POLICIES, "drop"],
    "gate": ["-l", "mae", *POLICIES, "drop", "--max", "100", "--min-rows", "1"],
    "constant": ["-l", "mbe", *POLICIES, "drop", "-p", "constant"],
}


@pytest.fixture(params=COMMANDS.values(), ids=COMMANDS)
def report(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> dict[str, Any]:
    """Give the JSON report of a command."""
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["prediction,target,part,constant", *LINES, ""]), encoding="utf-8")
    assert main(["eval", str(path), *request.param, "-f", "json", "-q"]) == Exit.DONE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(scope="module")
def schema() -> Any:
    """Give the schema, which must be a schema itself."""
    loaded = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Walk over every member of an object and every item of a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, *path, key)


def test_every_report_fits_its_schema(report: dict[str, Any], schema: Any) -> None:
    jsonschema.validate(report, schema)
    assert report["schema"] == SCHEMA


def test_counts_add_up(report: dict[str, Any]) -> None:
    rows = report["rows"]
    assert rows["read"] == len(LINES)
    assert rows["read"] == rows["scored"] + sum(why["count"] for why in rows["dropped"].values())
    for result in report["results"]:
        assert result["n"] <= rows["scored"]
        assert result["clipped"] <= rows["clipped"] or result["slice"]
        assert (result["value"] is None) == (result["reason"] is not None)
        for kind in ("infinite", "undefined"):
            assert len(result[kind]["first"]) == min(result[kind]["count"], 5)


def test_slices_add_up_to_the_whole(report: dict[str, Any]) -> None:
    by_columns: dict[tuple[str, ...], dict[str, int]] = {}
    for result in report["results"]:
        counts = by_columns.setdefault(tuple(result["slice"]), {})
        counts[result["loss"]] = counts.get(result["loss"], 0) + result["n"]
    assert all(counts == by_columns[()] for counts in by_columns.values())


def test_a_report_that_lacks_or_misspells_anything_does_not_fit(
    report: dict[str, Any], schema: Any
) -> None:
    """The test above can fail: each member is needed, and each object is closed."""
    validator = jsonschema.Draft202012Validator(schema)
    report["results"] = report["results"][:2]
    free = {"slice", "columns", "quantiles", "dropped"}
    optional = {"gate", "quantiles", "histogram", "worst", "sensitivity"}
    for path in places(report):
        *above, last = path
        if not isinstance(last, str) or free & set(above):
            continue
        broken = copy.deepcopy(report)
        holder: Any = broken
        for key in above:
            holder = holder[key]
        value = holder.pop(last)
        assert last in optional or not validator.is_valid(broken), f"without {path}"
        holder[f"{last}x"] = value
        if above[:1] != ["run"]:
            assert not validator.is_valid(broken), f"misspelt {path}"


def test_numbers_are_numbers(report: dict[str, Any], schema: Any) -> None:
    """Neither a text nor NaN stands in for a number."""
    validator = jsonschema.Draft202012Validator(schema)
    for name in ("value", "sum", "std_error", "min", "max", "n", "clipped_share"):
        broken = copy.deepcopy(report)
        broken["results"][0][name] = "0.5"
        assert not validator.is_valid(broken), name
    assert "NaN" not in json.dumps(report)
    assert "Infinity" not in json.dumps(report)


def test_the_command_shows_the_schema_that_is_shipped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments in (["schema"], ["schema", "report"]):
        assert main(arguments) == Exit.DONE
        assert capsys.readouterr().out == SCHEMA_FILE.read_text(encoding="utf-8")
    assert main(["schema", "reprot"]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("error: there is no schema 'reprot'\nhint: one of ")
