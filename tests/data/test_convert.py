"""Types: what Arrow holds becomes the doubles it means, or is refused with its row."""

from __future__ import annotations

import decimal
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lossctl.errors import DomainError, LossctlError
from lossctl.report import Report

Value = Callable[..., float | None]
Evaluate = Callable[..., Report]
Write = Callable[..., str]


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.float16(), pa.float32(), pa.float64()),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.decimal128(9, 2), pa.decimal256(40, 3), pa.bool_()),
    ],
    ids=str,
)
def test_every_type_of_number_is_widened_to_doubles(
    value: Value, parquet: Write, kind: pa.DataType
) -> None:
    """With a null that is dropped and starting in the middle of the buffer."""
    numbers = [1, 0, None, 1, 1, 0]
    texts = [None if number is None else decimal.Decimal(number) for number in numbers]
    source = texts if pa.types.is_decimal(kind) else numbers
    if pa.types.is_float16(kind):
        source = [None if number is None else np.float16(number) for number in numbers]
    if pa.types.is_boolean(kind):
        source = [None if number is None else bool(number) for number in numbers]
    column = pa.array(source, kind)
    path = parquet(prediction=column, target=[0.0] * len(numbers))
    assert value("mbe", path, nulls="drop", chunk_rows=2) == -3 / 5


def test_single_and_half_precision_keep_their_value(value: Value, parquet: Write) -> None:
    for kind in (np.float16, np.float32):
        path = parquet(prediction=np.array([0.1], kind), target=[0.0])
        assert value("mae", path) == float(kind(0.1))


def test_a_decimal_is_rounded_once(value: Value, parquet: Write) -> None:
    path = parquet(prediction=[decimal.Decimal("0.1"), decimal.Decimal("1.25")], target=[0.0, 0.0])
    assert value("mae", path) == 0.675


@pytest.mark.parametrize("kind", [pa.decimal128(38, 22), pa.decimal256(60, 25)], ids=str)
def test_decimals_are_the_nearest_doubles(value: Value, parquet: Write, kind: pa.DataType) -> None:
    """As Python reads their digits; Arrow's own conversion is off by a digit now and then."""
    rng = random.Random(3)
    texts = [f"{rng.choice('+-')}{rng.random() * 10 ** rng.randrange(9):.20f}" for _ in range(300)]
    for text in [*texts[:20], "0.1", "123456789.1234567890123456"]:
        path = parquet(prediction=pa.array([decimal.Decimal(text)], kind), target=[0.0])
        assert value("mbe", path) == -float(text), text
    column = pa.array([decimal.Decimal(text) for text in texts], kind)
    path = parquet(prediction=column, target=[float(text) for text in texts])
    assert value("mae", path) == 0.0


@pytest.mark.parametrize("text", ["9007199254740993", "-9007199254740994.00", "1e30"])
def test_a_whole_decimal_beyond_the_doubles_is_refused(
    value: Value, parquet: Write, text: str
) -> None:
    column = pa.array([decimal.Decimal("0.5"), decimal.Decimal(text)], pa.decimal128(38, 2))
    path = parquet(prediction=column, target=[0.0, 0.0])
    with pytest.raises(DomainError, match="has no exact float64") as caught:
        value("mae", path)
    assert (caught.value.place.row, caught.value.place.column) == (2, "prediction")


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_an_integer_without_a_double_is_refused_with_its_row(
    value: Value, parquet: Write, number: int
) -> None:
    path = parquet(prediction=[1, 2**53, -(2**53), number], target=[0.0] * 4)
    with pytest.raises(DomainError, match=f"the integer {number} has no exact float64") as caught:
        value("mae", path)
    assert (caught.value.place.row, caught.value.place.column) == (4, "prediction")


@pytest.mark.parametrize(
    "lists",
    [
        pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int32())),
        pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.large_list(pa.float32())),
        pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    ],
    ids=lambda lists: str(lists.type),
)
@pytest.mark.parametrize("chunk_rows", [1, 2, 3])
def test_lists_of_every_kind_are_vectors(
    value: Value, parquet: Write, lists: pa.Array, chunk_rows: int
) -> None:
    path = parquet(left=lists, right=[[0.0, 0.0]] * 3, label=[0, 0, 0])
    found = value("contrastive", path, chunk_rows=chunk_rows)
    assert found == (1 + 4 + 9 + 16 + 25 + 36) / 3


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)],
    ids=str,
)
def test_a_list_that_is_missing_or_holds_a_null_is_a_missing_value(
    evaluate_files: Evaluate, parquet: Write, kind: pa.DataType
) -> None:
    lists = pa.array([None, [3.0, None], [3.0, 4.0], None, [0.0, 1.0]], kind)
    path = parquet(left=lists, right=[[0.0, 0.0]] * 5, label=[0] * 5)
    with pytest.raises(LossctlError, match="the value is missing") as caught:
        evaluate_files("contrastive", path)
    assert (caught.value.place.row, caught.value.place.column) == (1, "left")
    for chunk_rows in (1, 2, 5):
        report = evaluate_files("contrastive", path, nulls="drop", chunk_rows=chunk_rows)
        assert report.results[0].value == 13.0
        assert [ref.row for ref in report.rows.dropped["null"].first] == [1, 2, 4]


@pytest.mark.parametrize("row", [2, 3])
def test_a_list_of_another_length_is_named_by_its_row(
    value: Value, parquet: Write, row: int
) -> None:
    lists = [[1.0, 2.0]] * 3
    lists[row - 1] = [1.0, 2.0, 3.0]
    path = parquet(left=lists, right=[[0.0, 0.0]] * 3, label=[0] * 3)
    with pytest.raises(DomainError, match="the list has 3 values, the first one 2") as caught:
        value("contrastive", path, chunk_rows=2)
    assert caught.value.place.row == row


def test_masks_of_a_row_must_be_of_one_length(value: Value, parquet: Write) -> None:
    path = parquet(prediction=[[1.0], [1.0, 0.0]], target=[[1.0], [1.0]])
    with pytest.raises(DomainError, match="prediction has 2 values and target 1") as caught:
        value("mask_iou", path)
    assert caught.value.place.row == 2


def test_masks_may_be_empty(value: Value, parquet: Write) -> None:
    kind = pa.list_(pa.float64())
    empty = pa.array([[], [1.0, 0.0], []], kind)
    assert value("mask_iou", parquet(prediction=empty, target=empty)) == 0.0


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["yes", "no", "yes"], "yes"),
        (pa.array(["yes", "no", "yes"]).dictionary_encode(), "yes"),
        (pa.array(["yes", "no", "yes"], pa.large_string()), "yes"),
        ([3, 4, 3], "3"),
        ([3.0, 4.0, 3.0], "3"),
        ([True, False, True], "True"),
        ([True, False, True], "true"),
        ([True, False, True], "1"),
    ],
)
def test_the_positive_label_is_found_in_columns_of_any_type(
    value: Value, parquet: Write, labels: Any, positive: str
) -> None:
    path = parquet(prediction=[0.0] * 3, target=labels)
    assert value("mbe", path, positive=positive) == 2 / 3
    assert value("mbe", path, positive=positive, chunk_rows=1) == 2 / 3


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["yes", "no"], "'no', 'yes'"),
        ([0, 1], "'0', '1'"),
        ([True, False], "'False', 'True'"),
        (list("dcba"), "it holds 'a', 'b', 'c', ..."),
        (list("cba"), "it holds 'a', 'b', 'c' ("),
    ],
)
@pytest.mark.parametrize("chunk_rows", [1, 3])
def test_a_positive_label_that_is_none_of_several_is_refused(
    evaluate_files: Evaluate, parquet: Write, labels: list[Any], shown: str, chunk_rows: int
) -> None:
    """Misspelt, it would make every row a negative one."""
    path = parquet(prediction=[0.0] * len(labels), target=labels)
    with pytest.raises(LossctlError, match="no row has the label 'yse'") as caught:
        evaluate_files("mbe", path, positive="yse", chunk_rows=chunk_rows)
    assert shown in str(caught.value)


@pytest.mark.parametrize("chunk_rows", [1, 2, 5])
def test_labels_of_rows_that_are_dropped_are_labels_that_are_there(
    evaluate_files: Evaluate, parquet: Write, chunk_rows: int
) -> None:
    """However the rows are cut."""
    path = parquet(
        prediction=[None, 0.0, 0.0, 0.0, 0.0], target=["yes", "no", "unsure", "no", None]
    )
    report = evaluate_files("mbe", path, positive="yes", nulls="drop", chunk_rows=chunk_rows)
    assert report.rows.scored == 3
    assert not any("no row has" in warning for warning in report.warnings)


def test_a_positive_label_that_no_row_has_is_warned_of_where_all_have_another(
    evaluate_files: Evaluate, parquet: Write
) -> None:
    """A shard, or a day, may have none of it."""
    path = parquet(prediction=[0.0] * 2, target=["no", "no"])
    found = evaluate_files("mbe", path, positive="yse", chunk_rows=1)
    assert found.warnings == ("mbe: no row has the label 'yse' in the column 'target'",)


def test_a_missing_label_is_neither_positive_nor_negative(value: Value, parquet: Write) -> None:
    path = parquet(prediction=[0.0] * 3, target=["yes", None, "no"])
    with pytest.raises(LossctlError, match="the value is missing"):
        value("mbe", path, positive="yes")
    assert value("mbe", path, positive="yes", nulls="drop") == 1 / 2


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        [True, False, True],
        ["b", "a", "b"],
        ["1", "0", "1"],
        pa.array(["b", "a", "b"]).dictionary_encode(),
        pa.array([1, 0, 1], pa.uint8()),
    ],
    ids=str,
)
def test_class_labels_of_any_type_are_matched(value: Value, parquet: Write, labels: Any) -> None:
    path = parquet(p_a=[1.0, 0.0, 0.0], p_b=[0.0, 1.0, 1.0], label=labels)
    lost_twice = value("cross_entropy:eps=0.25", path)
    assert lost_twice == pytest.approx(np.log(4.0) * 2 / 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["c", "a"], "'c' is none of the classes a, b"),
        ([2, 0], "2 is none of the classes a, b"),
        ([-1, 0], "-1 is none of the classes a, b"),
        ([0.5, 0.0], "0.5 is none of the classes a, b"),
        ([" a", "b"], "' a' is none of the classes a, b"),
    ],
)
def test_a_label_that_is_no_class_is_refused(
    value: Value, parquet: Write, labels: list[Any], message: str
) -> None:
    path = parquet(p_a=[1.0, 0.0], p_b=[0.0, 1.0], label=labels)
    with pytest.raises(DomainError, match=message) as caught:
        value("cross_entropy", path)
    assert caught.value.place.row == 1


def test_a_column_of_nulls_only_is_missing_in_every_row(value: Value, parquet: Write) -> None:
    path = parquet(prediction=[1.0, 2.0], target=pa.nulls(2))
    with pytest.raises(LossctlError, match="the value is missing"):
        value("mse", path)
