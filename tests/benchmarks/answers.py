"""Read the contenders' answers and tell where they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from jobs import QUANTILE_TOLERANCE, VALUE_TOLERANCE


class Key(NamedTuple):
    """What a number belongs to: a loss, and the slice of the rows as sorted column and value."""

    loss: str
    slice: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Name the loss and the slice as a person would write them."""
        where = ",".join(f"{column}={value}" for column, value in self.slice)
        return f"{self.loss}[{where}]" if where else self.loss


Answers: TypeAlias = dict[Key, dict[str, float]]


def parse(text: str) -> Answers:
    """Read a JSON report into numbers by loss and slice: value, std_error, one per quantile."""
    answers: Answers = {}
    for result in json.loads(text)["results"]:
        numbers = {"value": result["value"]}
        if result.get("std_error") is not None:
            numbers["std_error"] = result["std_error"]
        for level, quantile in (result.get("quantiles") or {}).items():
            numbers[f"quantile {float(level):g}"] = quantile
        answers[_key(result)] = numbers
    return answers


def _key(result: dict[str, Any]) -> Key:
    parameters_cut = result["loss"].partition(":")[0]
    where = sorted((column, str(value)) for column, value in (result.get("slice") or {}).items())
    return Key(parameters_cut, tuple(where))


def differences(expected: Answers, actual: Answers) -> Iterator[str]:
    """Yield a sentence for every expected number that is missing or too far off."""
    for key, numbers in expected.items():
        for name, number in numbers.items():
            found = actual.get(key, {}).get(name)
            if found is None:
                yield f"{key}: no {name}"
                continue
            tolerance = QUANTILE_TOLERANCE if name.startswith("quantile") else VALUE_TOLERANCE
            if not math.isclose(number, found, rel_tol=tolerance):
                yield f"{key}: {name} is {found!r}, not {number!r}"
