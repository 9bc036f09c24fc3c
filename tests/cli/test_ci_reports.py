"""Reports for CI services: the readers of others understand them, and all say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import junitparser
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.errors import Exit
from lossctl.formats.github import SHOWN

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]

SLICES = [
    "plain",
    "[eu]",
    "a:b,c",
    '"q"&<x>',
    "100%",
    "back\\slash",
    "bell\x07",
    "two\nlines",
    "é☃",
]
FORMS = ("json", "junit", "md", "gitlab", "openmetrics", "github", "table")
GRAVE = {"fail": "critical", "undecided": "minor", "unmeasurable": "blocker"}


@pytest.fixture
def rows(write: Write) -> str:
    """Write rows in slices with awkward names; the last slice has a single row."""
    lines = [
        f'{p},{t},"{name.replace(chr(34), chr(34) * 2)}"'
        for name in SLICES
        for p, t in [(1, 2), (3, 5), (2, 2)]
    ]
    return write("rows.csv", "\n".join(["prediction,target,part", *lines, "1,2,lone", ""]))


def reports(call: Call, *arguments: str) -> tuple[int, Mapping[str, str]]:
    written = [f"--report={form}=out.{form}" for form in FORMS]
    status, out, err = call("eval", *arguments, *written, "-f", "jsonl")
    texts = {form: Path(f"out.{form}").read_text(encoding="utf-8") for form in FORMS}
    return status, texts | {"jsonl": out, "stderr": err}


GATES: Mapping[str, list[str]] = {
    "good": ["--max", "mae=9", "--min", "mae=0.001"],
    "worse": ["--max", "mae=0.001", "--max", "mae=9", "--max", "mae=1"],
    "undecided": ["--max", "mae=1", "--max", "mae=9"],
    "settled": ["--max", "mae=1", "--inconclusive", "pass"],
    "counted as failed": ["--max", "mae=1", "--inconclusive", "fail"],
    "unmeasurable": ["--max", "mae=0.001", "--max", "mae=1", "--min-rows", "1000"],
    "no failing": ["--max", "mae=0.001", "--exit-zero"],
}


@pytest.mark.parametrize("options", GATES.values(), ids=GATES)
def test_one_verdict_is_in_every_report_and_the_exit_status(
    call: Call, rows: str, options: list[str]
) -> None:
    """Each form is read by a reader of its own and held against the JSON report."""
    status, texts = reports(call, rows, "-l", "mae", *options)
    gate = json.loads(texts["json"])["gate"]
    verdicts = [check["verdict"] for check in gate["checks"]]
    settled = [gate["inconclusive"] if v == "undecided" else v for v in verdicts]
    assert gate["exit"] == status
    assert json.loads(texts["jsonl"].splitlines()[-1])["gate"] == gate

    suite = next(iter(junitparser.JUnitXml.fromstring(texts["junit"].encode())))
    cases = list(suite)
    assert [case.name for case in cases] == [check["id"] for check in gate["checks"]]
    elements = {"unmeasurable": "Error", "fail": "Failure", "undecided": "Failure", "pass": ""}
    for case, verdict, counted in zip(cases, verdicts, settled, strict=True):
        kinds = [type(result).__name__ for result in case.result]
        wanted = elements[counted] or ("Skipped" if verdict == "undecided" else "")
        assert kinds == [wanted] * bool(wanted)
    assert suite.failures == sum(word in ("fail", "undecided") for word in settled)
    assert (suite.tests, suite.errors) == (len(verdicts), settled.count("unmeasurable"))

    assert texts["md"].startswith(f"**gate {gate['verdict']}: ")
    assert f"\ngate {gate['verdict']}: " in texts["table"]
    told = re.findall(r"^gate (\w+): ", texts["stderr"], re.MULTILINE)
    assert told == [gate["verdict"]]

    found = sorted(entry["severity"] for entry in json.loads(texts["gitlab"]))
    assert found == sorted(GRAVE[verdict] for verdict in verdicts if verdict != "pass")

    families = {f.name: f for f in text_string_to_metric_families(texts["openmetrics"])}
    samples = families["lossctl_check"].samples
    assert [s.labels["verdict"] for s in samples] == verdicts
    assert [s.value for s in samples] == [float(word == "pass") for word in settled]
    assert families["lossctl_gate"].samples[0].labels["verdict"] == gate["verdict"]

    lines = texts["github"].splitlines()
    assert len(lines) == sum(verdict != "pass" for verdict in verdicts)
    assert any(line.startswith("::error ") for line in lines) == (status != Exit.DONE)


QUOTED = {
    '"q"&<x>': r'"\"q\"&<x>"',
    "bell\x07": r'"bell\u0007"',
    "two\nlines": r'"two\nlines"',
}
"""Slices that could be misread, and how text writes them."""


def test_awkward_names_reach_the_reader_of_each_report(call: Call, rows: str) -> None:
    """No name of a slice breaks a report; what XML cannot hold is left out."""
    Path("lossctl.toml").write_text("", encoding="utf-8")
    limits = [f"--report={form}=out.{form}" for form in FORMS]
    status, _, _ = call("eval", rows, "-l", "mae", "--by", "part", "--max", "mae=9", *limits)
    assert status == Exit.DONE
    metrics = Path("out.openmetrics").read_text(encoding="utf-8")
    assert metrics.endswith("# EOF\n")
    (losses, *_) = text_string_to_metric_families(metrics)
    shown = {sample.labels["slice"] for sample in losses.samples}
    assert shown == {"all", "part=lone", *(f"part={QUOTED.get(name, name)}" for name in SLICES)}


def awkward_gate() -> Any:
    """Give a report of many failed checks with awkward names."""
    from lossctl.report import Report
    from lossctl.results import Rows
    from lossctl.verdict import Outcome, Verdict

    outcomes = [
        Outcome(f"max {i}", "max", verdict, f"{name} is too large", "reason", slice={"part": name})
        for i, name in enumerate(SLICES * 3)
        for verdict in ("fail", "unmeasurable")
    ]
    return Report("s\x00ig", {}, Rows(1, 1, {}), (), (), {}, Verdict(tuple(outcomes)))


def test_xml_holds_no_illegal_character() -> None:
    from lossctl.formats import Style, render

    text = render(awkward_gate(), "junit", Style())
    names = [
        case.name for suite in junitparser.JUnitXml.fromstring(text.encode()) for case in suite
    ]
    assert len(names) == len(SLICES) * 6
    assert r'max 6 [part="bell\u0007"]' in names
    assert r'max 7 [part="two\nlines"]' in names
    assert r'max 3 [part="\"q\"&<x>"]' in names


def test_github_gets_ten_lines_at_most_the_gravest_first() -> None:
    from lossctl.formats import Style, render

    lines = render(awkward_gate(), "github", Style()).splitlines()
    assert len(lines) == SHOWN
    assert lines[-1] == f"::error title=lossctl::and {len(SLICES) * 6 - 9} more"
    for line in lines:
        command, title, data = re.fullmatch(r"::(\w+) title=([^:,\n]*)::(.*)", line).groups()
        assert command == "error"
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", title + data)
    assert lines[0].startswith("::error title=lossctl unmeasurable%3A max 0 [part=plain]::")
    assert lines[2].startswith(
        "::error title=lossctl unmeasurable%3A max 2 [part=a%3Ab%2Cc]::a:b,c"
    )
    assert "100%25 is too large" in lines[4]
    assert "two%0Alines" in lines[7]


def test_the_runner_gets_annotations_and_a_summary(
    call: Call, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary is added to, never written over; stdout carries the result alone."""
    Path("summary.md").write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    command = ["eval", rows, "-l", "mae", "--max", "mae=0.001", "--report", "github"]
    status, out, err = call(*command, "-f", "value")
    assert status == Exit.LIMIT
    assert "::" not in out
    assert "::error title=lossctl fail%3A max mae::mae is " in err
    assert (
        Path("summary.md").read_text(encoding="utf-8").startswith("before\n**gate fail: 1 fail**")
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/where.md")
    assert call(*command)[0] == Exit.UNMEASURABLE


@pytest.mark.parametrize("form", ["junit", "github", "gitlab"])
def test_formats_of_checks_need_a_limit(call: Call, rows: str, form: str) -> None:
    for options in (["--report", f"{form}=x"], ["-f", form]):
        status, _, err = call("eval", rows, "-l", "mae", *options)
        assert status == Exit.USAGE
        assert f"{form} shows checks, and no limit is given" in err
    assert not Path("x").exists()


def test_a_new_number_is_no_new_problem_to_gitlab(call: Call, rows: str) -> None:
    """The fingerprint names the check and its verdict; every entry has what GitLab asks for."""
    found = []
    for limit in ("0.001", "0.002"):
        _, texts = reports(call, rows, "-l", "mae", "--max", f"mae={limit}")
        found += json.loads(texts["gitlab"])
    assert found[0]["fingerprint"] == found[1]["fingerprint"]
    assert found[0]["description"] != found[1]["description"]
    assert found[0]["location"] == {"path": "rows.csv", "lines": {"begin": 1}}
    assert found[0]["check_name"] == "lossctl/max"
