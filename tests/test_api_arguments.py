"""Arguments of the Python API: what is taken, what is refused and in which words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import lossctl
from lossctl.api.wording import reworded
from lossctl.errors import InputError, LossctlError, MissingValueError, SeveralErrors, UsageError

N = 20
ROWS = {
    "prediction": np.arange(N) / N,
    "target": np.arange(N) % 2,
    "region": ["eu", "us"] * (N // 2),
    "age": np.arange(N) + 20,
    "w": np.ones(N),
}
SERIES = pd.Series(ROWS["w"], name="w")


def evaluate(**arguments: Any) -> Any:
    """Evaluate the rows above."""
    return lossctl.evaluate(ROWS, **{"losses": "mae", **arguments})


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": SERIES}, "weight takes the name of a column, not a value of the type Series"),
        ({"weight": 3}, "weight takes the name of a column, not 3"),
        ({"group": ["a"]}, "group takes the name of a column, not a value of the type list"),
        ({"key": SERIES}, "key takes names of columns, not a value of the type Series"),
        ({"key": ["id", 3]}, "key takes names of columns, not 3"),
        ({"keep": b"age"}, "keep takes names of columns, not b'age'"),
        ({"by": ROWS["age"]}, "by takes names of columns, not a value of the type ndarray"),
        ({"by": [("region", 3)]}, "by takes names of columns, not 3"),
        ({"where": ROWS["age"] > 30}, "where takes a filter as text, not a value of the type"),
        ({"columns": ["p"]}, "columns takes roles and their columns, not a value of the type list"),
        ({"columns": {"target": 3}}, "columns['target'] takes names of columns, not 3"),
        ({"classes": "ab"}, "classes takes several labels, not 'ab'"),
        ({"positive": ["eu"]}, "positive takes a label, not a value of the type list"),
        ({"quantiles": 0.5}, "quantiles takes numbers between 0 and 1, not 0.5"),
        ({"quantiles": ["a"]}, "quantiles takes numbers between 0 and 1, not 'a'"),
        ({"quantiles": [np.nan]}, "quantiles takes numbers between 0 and 1, not nan"),
        ({"ci": "0.95"}, "ci takes a level between 0 and 1, or None, not '0.95'"),
        ({"ci": True}, "ci takes a level between 0 and 1, or None, not True"),
        ({"nulls": SERIES}, "nulls takes error | drop, not a value of the type Series"),
        ({"top": 1.5}, "top takes a whole number, 0 or more, not 1.5"),
        ({"jobs": -1}, "jobs takes a whole number, 1 or more, not -1"),
        ({"chunk_rows": 0}, "chunk_rows takes a whole number, 1 or more, not 0"),
        ({"histogram": "yes"}, "histogram takes True or False, not 'yes'"),
        ({"min_match_rate": 2}, "min_match_rate takes a number between 0 and 1, not 2"),
        ({"losses": SERIES}, "losses takes specs and losses, not a value of the type Series"),
        ({"losses": [np.mean]}, "losses takes specs and losses, not a value of the type list"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_by_name(
    arguments: dict[str, Any], message: str
) -> None:
    """With what it takes instead; of arrays and tables the type is shown, not the values."""
    with pytest.raises(UsageError) as caught:
        evaluate(**arguments)
    assert caught.value.message.startswith(message)


def test_values_in_place_of_a_column_get_the_way_out() -> None:
    """An array of weights has no rows to go with, so the table has to bring it along."""
    with pytest.raises(UsageError, match="go into a table as a column, which is then named"):
        evaluate(weight=SERIES)


@pytest.mark.parametrize("function", [lossctl.evaluate, lossctl.score, lossctl.compare])
def test_nothing_that_is_given_ends_in_a_bare_exception(function: Callable[..., Any]) -> None:
    """Whatever stands in place of whatever argument."""
    odd = [SERIES, ROWS["w"], pl.Series([0.5]), 3, 0.5, b"x", ["a", 3], {"a": 1}, object, "", None]
    names = [*inspect.signature(function).parameters]
    refused = dict.fromkeys(names[1:], 0)
    for name in refused:
        for value in odd:
            given: dict[str, Any] = {"losses": "mae", name: value}
            models = [ROWS, ROWS] if function is lossctl.compare else ROWS
            try:
                function(models, **given)
            except LossctlError:
                refused[name] += 1
    assert min(refused.values()) > 0


def test_a_column_that_is_no_array_is_named() -> None:
    """In a mapping of names to arrays."""
    with pytest.raises(InputError, match="'target' is a float, not an array"):
        lossctl.evaluate({"prediction": [1.0], "target": 2.0}, losses="mae")


def test_arguments_of_the_wrong_kind_are_told_at_once_with_what_else_is_wrong() -> None:
    """Before anything is read."""
    with pytest.raises(SeveralErrors) as caught:
        lossctl.compare(
            [ROWS, ROWS],
            losses=["nope"],
            weight=SERIES,  # type: ignore[arg-type]
            by="nothing",
            preds=3,  # type: ignore[arg-type]
            method=lossctl.Method(level=95, test="z"),  # type: ignore[arg-type]
        )
    told = str(caught.value)
    for word in ("'nope'", "weight takes", "'nothing'", "preds takes", "level takes", "test takes"):
        assert word in told


# What is taken


def test_numbers_and_names_of_other_libraries_are_taken() -> None:
    """NumPy's numbers, and arrays and series of names and shares, as if they were lists."""
    plain = evaluate(by=["region"], quantiles=[0.25, 0.5], ci=0.5, top=2, keep=["age"], jobs=2)
    same = evaluate(
        by=np.array(["region"]),
        quantiles=np.array([0.25, 0.5], dtype=np.float32),
        ci=np.float64(0.5),
        top=np.int64(2),
        keep=pd.Series(["age"]),
        jobs=np.int8(2),
        losses=pd.Index(["mae"]),
        histogram=np.False_,
    )
    assert same.to_dict()["digest"] == plain.to_dict()["digest"]


def test_a_single_word_or_name_does_for_several() -> None:
    """In place of a list of one."""
    assert lossctl.score(ROWS, losses="mse", emit="grad").column_names == ["row", "mse.grad"]
    method = lossctl.Method(explain="region")  # type: ignore[arg-type]
    found = lossctl.compare(
        [ROWS, ROWS | {"prediction": np.zeros(N)}], losses="mae", preds="prediction", method=method
    )
    assert found.explanations[0].by == ("region",)


# In which words

ARGUMENTS = ("columns", "losses", "key", "by", "where", "nulls", "jobs", "chunk_rows", "missing")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("--nulls drop leaves such rows out", 'nulls="drop" leaves such rows out'),
        ("as in --key id, or --key a=id where", 'as in key="id", or key="a=id" where'),
        ("as in --key id --key date", 'as in key=["id", "date"]'),
        ("ranges, as in --by age:10,20, or so", 'ranges, as in by="age:10,20", or so'),
        ("--where can leave such rows out", "where= can leave such rows out"),
        ("as in --where \"a == 'b c'\"", "as in where=\"a == 'b c'\""),
        ("--jobs 1 and a smaller --chunk-rows", "jobs=1 and a smaller chunk_rows="),
        ("--missing needs --key COLUMN to pair", "missing= needs key=COLUMN to pair"),
        ("--key: two files", "key: two files"),
        ("--by n:5,3: the ends ascend", 'by="n:5,3": the ends ascend'),
        ("name it with --pred COLUMN; more", 'name it with columns={"prediction": COLUMN}; more'),
        (
            "--col left=a,b or --col 'left=p_*'",
            'columns={"left": "a,b"} or columns={"left": "p_*"}',
        ),
        ("--loss and --col", "losses= and columns="),
        ("--temp-dir FOLDER, --debug shows", "--temp-dir FOLDER, --debug shows"),
        ("a -- b --- c", "a -- b --- c"),
    ],
)
def test_options_are_written_as_arguments(told: str, shown: str) -> None:
    """With their values, and those that no argument is like stay as they are."""
    assert reworded(told, ARGUMENTS, bare="{}=") == shown


def test_errors_speak_of_arguments_to_those_who_call_a_function() -> None:
    """Each of several as well; the error stays what it is."""
    with pytest.raises(MissingValueError) as missing:
        lossctl.evaluate([1.0, None], [1.0, 2.0], losses="mse")
    assert missing.value.hint == 'nulls="drop" leaves such rows out and counts them'
    with pytest.raises(SeveralErrors) as several:
        evaluate(by=["age:5,3", "region"], group="region", key="age")
    told = [error.message for error in several.value.errors]
    assert told == [
        "group and key cannot be combined",
        'by="age:5,3": the ends of ranges must ascend',
    ]
    with pytest.raises(UsageError, match="where: cannot read 'age = 3' .*as in where=\"region"):
        evaluate(where="age = 3")
    with pytest.raises(UsageError, match="^missing and min_match_rate need key=COLUMN to pair"):
        evaluate(missing="drop")
    with pytest.raises(UsageError, match='two columns of one: preds=\\["a", "b"\\]'):
        lossctl.compare([ROWS], losses="mae")
