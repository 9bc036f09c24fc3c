"""Records: each behaves as the frozen dataclass of the same fields does."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from lossctl.record import record


@record
class Record:
    """With fields of every kind."""

    name: str
    size: int = 1
    parts: list[int] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False)
    last: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Frozen:
    """The same."""

    name: str
    size: int = 1
    parts: list[int] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False)
    last: bool = field(default=False, kw_only=True)


MAKE: list[Callable[[Any], Any]] = [
    lambda kind: kind("a"),
    lambda kind: kind(name="a"),
    lambda kind: kind("a", 2, [3], "x", last=True),
    lambda kind: kind("a", parts=[1], size=5),
    lambda kind: replace(kind("a", 2), size=7, last=True),
    lambda kind: copy.deepcopy(kind("a", 2, [3])),
    lambda kind: pickle.loads(pickle.dumps(kind("a", 2, [3]))),  # noqa: S301 - our own bytes
]


@pytest.mark.parametrize("make", MAKE)
def test_a_record_is_made_and_shown_as_a_dataclass(make: Callable[[Any], Any]) -> None:
    made, twin = make(Record), make(Frozen)
    assert asdict(made) == asdict(twin)
    assert repr(made).removeprefix("Record") == repr(twin).removeprefix("Frozen")
    assert [each.name for each in fields(made)] == [each.name for each in fields(twin)]


@pytest.mark.parametrize("one", MAKE)
@pytest.mark.parametrize("other", MAKE)
def test_records_are_equal_where_dataclasses_are(
    one: Callable[[Any], Any], other: Callable[[Any], Any]
) -> None:
    assert (one(Record) == other(Record)) is (one(Frozen) == other(Frozen))
    assert (hash(one(Record)) == hash(other(Record))) is (hash(one(Frozen)) == hash(other(Frozen)))
    assert one(Record) != one(Frozen)


def test_notes_are_not_compared_and_defaults_are_not_shared() -> None:
    assert Record("a", note="x") == Record("a", note="y")
    assert Record("a").parts is not Record("a").parts


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Record(), "0 by place"),  # type: ignore[call-arg] # noqa: PLW0108 - it is to fail
        (lambda: Record("a", name="b"), "1 by place, name="),  # type: ignore[misc]
        (lambda: Record("a", 1, [], "", True), "5 by place"),  # type: ignore[misc]
        (lambda: Record("a", colour=1), "1 by place, colour="),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments_are_told(make: Callable[[], Record], given: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == f"Record(name, size, parts, note, last) was given {given}"


def test_its_signature_is_that_of_the_dataclass() -> None:
    mine, theirs = (inspect.signature(kind).parameters for kind in (Record, Frozen))
    assert [(p.name, p.kind, p.annotation) for p in mine.values()] == [
        (p.name, p.kind, p.annotation) for p in theirs.values()
    ]
    needed = [p.name for p in mine.values() if p.default is inspect.Parameter.empty]
    assert needed == ["name"]


def test_a_record_is_frozen() -> None:
    made = Record("a")
    with pytest.raises(FrozenInstanceError, match="'size'"):
        made.size = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="'size'"):
        del made.size
    with pytest.raises(FrozenInstanceError, match="'colour'"):
        made.colour = 2  # type: ignore[attr-defined]


def test_methods_of_the_class_itself_go_first() -> None:
    @record
    class Named:
        name: str

        def __repr__(self) -> str:
            return self.name

    assert repr(Named("a")) == "a"
