"""Judging: every state of a check, and that nothing passes for want of a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import Exit
from lossctl.gates.baseline import Numbers, Summarised, key_of
from lossctl.gates.checks import Check
from lossctl.gates.judge import judge, unmeasured
from lossctl.report import Report
from lossctl.results import Interval, Matching, Result, RowCount, Rows
from lossctl.verdict import Outcome, Verdict

RESULT = Result(
    loss="mae",
    slice={},
    n=100,
    weight=100,
    value=1.0,
    direction="lower_is_better",
    std_error=0.1,
    ci=Interval(0.95, 0.8, 1.2, "t", 99),
    quantiles={"0.99": 3.0},
)


def report(*results: Result, read: int = 100, nulls: int = 0) -> Report:
    dropped = {"null": RowCount(nulls)} if nulls else {}
    rows = Rows(read, read - nulls, dropped)
    return Report("lossctl 1 | mae | nulls=error", {}, rows, results or (RESULT,), (), {})


def only(check: Check, *results: Result, **more: Any) -> Outcome:
    (outcome,) = judge([check], report(*results, **more))
    return outcome


def against(check: Check, numbers: Numbers | None, result: Result = RESULT) -> Outcome:
    known = {} if numbers is None else {key_of("mae", {}): numbers}
    (outcome,) = judge([check], report(result), Summarised(known))
    return outcome


@pytest.mark.parametrize(
    ("kind", "limit", "verdict"),
    [
        ("max", 1.3, "pass"),
        ("max", 1.2, "pass"),
        ("max", 1.1, "undecided"),
        ("max", 0.8, "undecided"),
        ("max", 0.79, "fail"),
        ("min", 0.7, "pass"),
        ("min", 0.8, "pass"),
        ("min", 1.2, "undecided"),
        ("min", 1.21, "fail"),
    ],
)
def test_the_whole_interval_must_be_on_one_side(kind: str, limit: float, verdict: str) -> None:
    outcome = only(Check(kind, limit, "mae"))
    assert outcome.verdict == verdict
    assert outcome.reason == ("interval-straddles-limit" if verdict == "undecided" else None)
    assert (outcome.lower, outcome.upper, outcome.level) == (0.8, 1.2, 0.95)


def test_a_point_is_on_one_side_always() -> None:
    for kind, limit, verdict in [("max", 1.0, "pass"), ("max", 0.99, "fail"), ("min", 1.1, "fail")]:
        outcome = only(Check(kind, limit, "mae", decide="point"))
        assert (outcome.verdict, outcome.lower) == (verdict, None)


def test_another_level_takes_another_interval() -> None:
    assert only(Check("max", 1.19, "mae")).verdict == "undecided"
    outcome = only(Check("max", 1.19, "mae", level=0.9))
    assert outcome.verdict == "pass"
    assert outcome.upper == pytest.approx(1.0 + stats.t.ppf(0.95, 99) * 0.1, rel=1e-12)


UNFIT: Mapping[str, tuple[Result, str]] = {
    "undefined": (replace(RESULT, value=None, reason="not a number in 1 row"), "undefined-value"),
    "not a number": (replace(RESULT, value=math.nan, reason="?"), "undefined-value"),
    "infinite": (
        replace(RESULT, value=None, reason="infinite in 1 row", limit=math.inf),
        "infinite-value",
    ),
    "no rows": (replace(RESULT, value=None, n=0, reason="no rows"), "no-rows"),
    "one row": (replace(RESULT, n=1, std_error=None, ci=None), "too-few-rows"),
    "constant": (
        replace(RESULT, std_error=0.0, ci=Interval(0.95, 1, 1, "t", 99)),
        "zero-variance",
    ),
    "no interval": (replace(RESULT, std_error=None, ci=None), "no-interval"),
    "too wide": (replace(RESULT, std_error=1e308, value=1e308, ci=None), "no-interval"),
}


@pytest.mark.parametrize(("result", "reason"), UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("kind", ["max", "min"])
def test_a_value_that_says_nothing_never_passes(kind: str, result: Result, reason: str) -> None:
    limit = math.copysign(1e300, 1 if kind == "max" else -1)
    outcome = only(Check(kind, limit, "mae"), result)
    assert (outcome.verdict, outcome.reason) == ("unmeasurable", reason)
    assert Verdict((outcome,), "pass", exit_zero=True).exit == Exit.UNMEASURABLE


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, None])
def test_a_limit_that_is_no_number_never_passes(limit: float | None) -> None:
    for kind in ("max", "min", "max_p99"):
        outcome = only(Check(kind, limit, "mae", decide="point"))
        assert (outcome.verdict, outcome.reason) == ("unmeasurable", "limit-not-finite")


def test_a_constant_loss_has_a_value_for_the_point() -> None:
    constant = UNFIT["constant"][0]
    assert only(Check("max", 1.0, "mae", decide="point"), constant).verdict == "pass"
    assert only(Check("max", 0.5, "mae", decide="point"), constant).verdict == "fail"


def test_quantiles_are_limited_by_the_point() -> None:
    assert only(Check("max_p99", 3.0, "mae")).verdict == "pass"
    assert only(Check("max_p99", 2.9, "mae")).verdict == "fail"
    assert only(Check("max_p50", 2.9, "mae")).reason == "undefined-value"
    assert Check("max_p99.9", 1.0).share == 0.999


def test_slices_are_found_by_the_text_of_their_values() -> None:
    parts = [replace(RESULT, slice={"part": value}) for value in ("a", 7, True, None)]
    whole = replace(RESULT, value=9.0, ci=Interval(0.95, 8, 10, "t", 99))
    for text in ("a", "7", "true", "null"):
        assert only(Check("max", 2.0, "mae", {"part": text}), whole, *parts).verdict == "pass"
    missing = only(Check("max", 2.0, "mae", {"part": "b"}), whole, *parts)
    assert (missing.verdict, missing.reason) == ("unmeasurable", "missing-slice")
    found = judge([Check("max", 2.0, "mae", "all")], report(whole, *parts))
    assert [outcome.slice["part"] for outcome in found] == ["a", 7, True, None]
    assert only(Check("max", 2.0, "mae", "all"), whole).reason == "missing-slice"


def test_conditions_on_rows_that_do_not_hold_leave_nothing_to_measure() -> None:
    assert only(Check("min_rows", 100)).verdict == "pass"
    few = only(Check("min_rows", 101))
    assert (few.verdict, few.reason) == ("unmeasurable", "too-few-rows")
    assert only(Check("max_null_rate", 0.1), nulls=10).verdict == "pass"
    gaps = only(Check("max_null_rate", 0.1), nulls=11)
    assert (gaps.verdict, gaps.reason) == ("unmeasurable", "too-many-nulls")
    assert only(Check("max_null_rate", 0.1), read=0).reason == "no-rows"
    assert only(Check("min_match_rate", 0.5)).reason == "no-keys"
    matching = Matching(("id",), 90, 0.9, ())
    paired = replace(report(), rows=replace(report().rows, matching=matching))
    for limit, reason in {0.9: None, 0.91: "too-few-matches"}.items():
        (outcome,) = judge([Check("min_match_rate", limit)], paired)
        assert outcome.reason == reason
    part = replace(RESULT, slice={"part": "a"}, n=5)
    assert only(Check("min_rows", 6, slice={"part": "a"}), part).reason == "too-few-rows"
    assert only(Check("min_rows", 1, slice={"part": "b"}), part).verdict == "unmeasurable"
    assert only(Check("require_slices", slice={"part": "a"}), part).verdict == "pass"
    assert only(Check("require_slices", slice={"part": "b"}), part).reason == "missing-slice"


def test_a_change_is_held_against_both_standard_errors() -> None:
    base = Numbers(0.9, 0.1, 100)
    wide = stats.t.ppf(0.975, 198) * math.hypot(0.1, 0.1)
    outcome = against(Check("max_increase", 0.5, "mae"), base)
    assert outcome.verdict == "pass"
    assert (outcome.observed, outcome.baseline) == (pytest.approx(0.1), 0.9)
    assert outcome.upper == pytest.approx(0.1 + wide, rel=1e-9)
    assert against(Check("max_increase", 0.2, "mae"), base).verdict == "undecided"
    assert against(Check("max_increase", -0.5, "mae"), base).verdict == "fail"
    assert against(Check("max_increase", 0.11, "mae", decide="point"), base).verdict == "pass"


def test_rows_of_weight_0_do_not_make_a_change_surer() -> None:
    """The interval of the value knows how many rows have one."""
    few = replace(RESULT, ci=Interval(0.95, 0.8, 1.2, "t", 9))
    outcome = against(Check("max_increase", 0.5, "mae"), Numbers.of(0.9, 0.1, 100, 9), few)
    assert outcome.upper == pytest.approx(0.1 + stats.t.ppf(0.975, 18) * math.hypot(0.1, 0.1))


def test_relative_is_to_the_size_of_the_baseline() -> None:
    below = replace(RESULT, value=-1.0)
    outcome = against(
        Check("max_relative_increase", 0.5, "mae", decide="point"), Numbers(-2.0, 0.1, 9), below
    )
    assert (outcome.verdict, outcome.observed) == ("pass", 0.5)


def test_a_baseline_of_zero_needs_an_absolute_limit() -> None:
    zero = Numbers(0.0, 0.1, 100)
    check = Check("max_relative_increase", 0.5, "mae", decide="point")
    assert against(check, zero).reason == "zero-baseline"
    assert against(replace(check, absolute=1.0), zero).verdict == "pass"
    assert against(replace(check, absolute=0.9), zero).verdict == "fail"


def test_a_model_compared_with_itself_passes_with_a_change_of_exactly_0() -> None:
    same = Numbers(RESULT.value, RESULT.std_error, RESULT.n)
    for kind in ("max_increase", "max_relative_increase"):
        outcome = against(Check(kind, 0.0, "mae"), same)
        assert (outcome.verdict, outcome.observed) == ("pass", 0.0)
        assert against(Check(kind, -0.1, "mae"), same).verdict == "fail"
    perfect = replace(RESULT, value=0.0, std_error=0.0)
    outcome = against(Check("max_relative_increase", 0.0, "mae"), Numbers(0.0, 0.0, 100), perfect)
    assert outcome.verdict == "pass"


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (None, "missing-in-baseline"),
        (Numbers(None, None, 100), "undefined-baseline"),
        (Numbers(math.nan, 0.1, 100), "undefined-baseline"),
        (Numbers(0.9, None, 100), "no-interval"),
        (Numbers(0.9, None, 1), "too-few-rows"),
    ],
)
def test_a_baseline_that_says_nothing_never_passes(numbers: Numbers | None, reason: str) -> None:
    outcome = against(Check("max_increase", 1e300, "mae"), numbers)
    assert (outcome.verdict, outcome.reason) == ("unmeasurable", reason)


def test_constant_losses_have_no_interval_of_their_change() -> None:
    constant = replace(RESULT, std_error=0.0)
    outcome = against(Check("max_increase", 5.0, "mae"), Numbers(0.9, 0.0, 100), constant)
    assert (outcome.verdict, outcome.reason) == ("unmeasurable", "zero-variance")


def test_without_a_baseline_no_change_passes() -> None:
    assert only(Check("max_increase", 1e300, "mae")).reason == "missing-baseline"


VERDICTS = st.lists(st.sampled_from(["pass", "fail", "undecided", "unmeasurable"]), max_size=6)


@given(VERDICTS, st.sampled_from(["undecided", "pass", "fail"]), st.booleans())
def test_the_gravest_check_decides(verdicts: list[Any], counts_as: Any, exit_zero: bool) -> None:
    outcomes = tuple(Outcome(f"{i}", "max", word, "") for i, word in enumerate(verdicts))
    status = Verdict(outcomes, counts_as, exit_zero).exit
    words = {counts_as if word == "undecided" else word for word in verdicts}
    if not words or "unmeasurable" in words:
        assert status == Exit.UNMEASURABLE
    elif exit_zero or words == {"pass"}:
        assert status == Exit.DONE
    else:
        assert status == (Exit.LIMIT if "fail" in words else Exit.UNDECIDED)


def test_without_a_report_every_check_is_unmeasurable() -> None:
    checks = [Check("max", 1.0, "mae"), Check("min_rows", 5), Check("max", 1.0, "mae", "all")]
    found = unmeasured(checks, "input", "no such file")
    assert [outcome.reason for outcome in found] == ["input"] * 3
    assert Verdict(found).exit == Exit.UNMEASURABLE
