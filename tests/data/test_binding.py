"""Binding: columns found by their usual names or told, matched by suffix, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from lossctl.errors import ColumnError, LossctlError, UsageError
from lossctl.report import Report

Value = Callable[..., float | None]
Evaluate = Callable[..., Report]
Write = Callable[..., str]

UNEVEN = -(math.log(0.2) + math.log(0.7)) / 2
"""The cross entropy of the classes dog, cat in the files below."""


# Found --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["prediction", "pred", "y_pred", "yhat", "Predicted"])
@pytest.mark.parametrize("target", ["target", "y_true", "y", "truth", "ACTUAL", "gt"])
def test_columns_are_found_by_their_usual_names(
    value: Value, csv: Write, prediction: str, target: str
) -> None:
    assert value("mse", csv(f"id,{target},{prediction}", "1,2,5")) == 9.0


def test_a_name_that_speaks_of_the_domain_goes_before_that_of_the_role(
    value: Value, csv: Write
) -> None:
    path = csv("prediction,score,target,label", "0.25,3,9,1")
    assert value("bce_logits", path) == pytest.approx(math.log1p(math.exp(-3.0)))
    assert value("mse", path) == (9 - 0.25) ** 2


def test_the_target_is_looked_for_in_the_last_file(value: Value, csv: Write) -> None:
    first = csv("prediction", "1", name="a.csv")
    second = csv("prediction2,target", "1,4", name="b.csv")
    assert value("mse", first, second) == 9.0


def test_the_report_says_which_columns_were_taken(evaluate_files: Evaluate, csv: Write) -> None:
    report = evaluate_files("mse", csv("yhat,y", "1,2"))
    assert report.columns == {"mse": {"prediction": ["yhat"], "target": ["y"]}}


def test_a_list_column_is_not_taken_for_a_number_nor_a_number_for_a_list(
    value: Value, parquet: Write
) -> None:
    path = parquet(prediction=[[1.0]], pred=[2.0], target=[3.0])
    assert value("mse", path) == 1.0
    path = parquet(left=[1.0], left_0=[1.0], left_1=[2.0], right=[[1.0, 2.0]], target=[0])
    assert value("contrastive", path) == 0.0


# Told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("a,b", "a"),
        ("a[0],b", "a[0]"),
        ("a[0],b", "a[[]0]"),
        ('"a,b",b', "a,b"),
        (" a ,b", " a "),
        (" a ,b", "a"),
        ("a*,b", "a*"),
        ("größe,b", "größe"),
        ("a.b,b", "a.b"),
        ("A,b", "A"),
        ('"a ""q""",b', 'a "q"'),
        ("abc,b", "?bc"),
    ],
)
def test_any_column_can_be_named(value: Value, csv: Write, header: str, told: str) -> None:
    assert value("mse", csv(header, "1,4"), columns={"prediction": told, "target": "b"}) == 9.0


def test_an_exact_name_goes_before_a_pattern(value: Value, csv: Write) -> None:
    assert value("mse", csv("ab,a*,t", "1,2,4"), columns={"prediction": "a*", "target": "t"}) == 4.0


def test_a_role_of_one_loss_can_be_told_apart(evaluate_files: Evaluate, csv: Write) -> None:
    path = csv("a,b,t", "1,2,4")
    told = {"prediction": "a", "mae.prediction": "b", "target": "t"}
    assert [r.value for r in evaluate_files("mse,mae", path, columns=told).results] == [9.0, 2.0]


def test_a_list_of_columns_keeps_its_order_and_a_pattern_takes_that_of_the_file(
    value: Value, csv: Write
) -> None:
    path = csv("p_b,p_a,label", "0.2,0.8,0")
    for told, expected in (("p_a,p_b", 0.8), ("p_*", 0.2), (" p_a , p_b ", 0.8)):
        found = value("cross_entropy", path, columns={"prediction": told})
        assert found == pytest.approx(-math.log(expected)), told


@pytest.mark.parametrize(
    ("losses", "told", "message"),
    [
        ("mse", {"prediction": "nothing"}, "no column 'nothing'"),
        ("mse", {"prediction": "x*"}, "no column 'x*'"),
        ("mse", {"prediction": "p,q"}, "no column 'q'"),
        ("mse", {"prediction": "p,t"}, "the role 'prediction' needs one column, not 2 (p, t)"),
        ("mse", {"other": "p"}, "no loss here has the role 'other'"),
        ("mse", {"mae.target": "p"}, "no loss here has the role 'mae.target'"),
    ],
)
def test_what_cannot_be_bound_is_refused(
    value: Value, csv: Write, losses: str, told: dict[str, str], message: str
) -> None:
    path = csv("p,t", "1,2")
    with pytest.raises(UsageError) as caught:
        value(losses, path, columns={"prediction": "p", "target": "t"} | told)
    assert message in caught.value.message
    assert caught.value.hint


def test_the_columns_of_a_role_lie_in_one_file(value: Value, csv: Write) -> None:
    files = csv("p_0,target", "1,0", name="a.csv"), csv("p_1", "1", name="b.csv")
    with pytest.raises(ColumnError, match="the columns p_0,p_1 for the role 'prediction' are not"):
        value("cross_entropy", *files, columns={"prediction": "p_0,p_1"})


def test_labels_that_no_loss_takes_are_refused(value: Value, csv: Write) -> None:
    path = csv("p_0,p_1,prediction,target", "0.5,0.5,1,0")
    with pytest.raises(UsageError, match="--classes: no loss here"):
        value("mse", path, classes=("a", "b"))
    with pytest.raises(UsageError, match="--positive: no loss here"):
        value("cross_entropy", path, positive="a")


# Matched ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("p_cat,p_dog,label", ("0.8,0.2,dog", "0.7,0.3,cat")),
        ("p_cat,p_dog,label", ("0.8,0.2,1", "0.7,0.3,0")),
        ("p_cat,p_dog,label", ("0.8,0.2,1.0", "0.7,0.3,0.0")),
        ("label,p_dog,p_cat", ("dog,0.2,0.8", "cat,0.3,0.7")),
        ("p_1,p_2,label", ("0.8,0.2,2", "0.7,0.3,1")),
        ("p_2,p_1,label", ("0.2,0.8,2", "0.3,0.7,1")),
        ("p_10,p_9,label", ("0.8,0.2,9", "0.7,0.3,10")),
        ("p_big_cat,p_big_dog,label", ("0.8,0.2,big_dog", "0.7,0.3,big_cat")),
        ("y_pred_cat,y_pred_dog,label", ("0.8,0.2,dog", "0.7,0.3,cat")),
        ("p_cat,p_dog,target_cat,target_dog", ("0.8,0.2,0,1", "0.7,0.3,1,0")),
        ("p_cat,p_dog,target_dog,target_cat", ("0.8,0.2,1,0", "0.7,0.3,0,1")),
        ("p_0,p_1,target_x,target_y", ("0.8,0.2,0,1", "0.7,0.3,1,0")),
    ],
)
def test_classes_are_matched_by_suffix_and_never_by_sorting(
    value: Value, csv: Write, header: str, rows: tuple[str, ...]
) -> None:
    assert value("cross_entropy", csv(header, *rows)) == pytest.approx(UNEVEN)


def test_class_names_can_be_told(value: Value, csv: Write, parquet: Write) -> None:
    path = csv("p_0,p_1,label", "0.8,0.2,dog", "0.7,0.3,cat")
    assert value("cross_entropy", path, classes=("cat", "dog")) == pytest.approx(UNEVEN)
    path = parquet(prediction=[[0.8, 0.2], [0.7, 0.3]], label=["dog", "cat"])
    assert value("cross_entropy", path, classes=("cat", "dog")) == pytest.approx(UNEVEN)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat",), "--classes names 1 classes, but the prediction has 2 values a row"),
        (("cat", "dog", "emu"), "--classes names 3 classes"),
        (("cat", "cat"), "the class 'cat' comes twice"),
    ],
)
def test_class_names_must_fit_the_columns(
    value: Value, csv: Write, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ColumnError, match=message):
        value("cross_entropy", csv("p_cat,p_dog,label", "0.8,0.2,dog"), classes=classes)


def test_suffixes_that_match_in_part_only_are_refused(value: Value, csv: Write) -> None:
    path = csv("p_cat,p_dog,target_dog,target_cow", "0.8,0.2,0,1")
    with pytest.raises(ColumnError, match=r"cat, cow has no match"):
        value("cross_entropy", path)


def test_vectors_are_matched_by_suffix(value: Value, csv: Write) -> None:
    path = csv("left_0,left_1,right_1,right_0,label", "1,2,2,1,0")
    assert value("contrastive", path) == 0.0
    told = {"left": "left_0,left_1", "right": "right_1,right_0"}
    assert value("contrastive", path, columns=told) == 2.0  # a list is taken as it stands


@pytest.mark.parametrize(
    ("coding", "suffixes"),
    [
        ("xyxy", "y2 x1 y1 x2"),
        ("xyxy", "XMAX YMAX XMIN YMIN"),
        ("xyxy", "left right top bottom"),
        ("xywh", "h w x y"),
        ("xywh", "width left top height"),
        ("cxcywh", "w h cx cy"),
    ],
)
def test_the_columns_of_a_box_are_put_in_the_order_of_its_coding(
    value: Value, csv: Write, coding: str, suffixes: str
) -> None:
    """A box of 2 by 4 in the corner of one of 4 by 4, in any order of columns."""
    names = suffixes.split()
    box = {"x1": 0, "y1": 0, "x2": 2, "y2": 4, "xmin": 0, "ymin": 0, "xmax": 2, "ymax": 4}
    box |= {"left": 0, "top": 0, "right": 2, "bottom": 4, "x": 0, "y": 0, "w": 2, "h": 4}
    box |= {"width": 2, "height": 4, "cx": 1, "cy": 2}
    whole = box | {"x2": 4, "xmax": 4, "right": 4, "w": 4, "width": 4, "cx": 2}
    header = [f"{role}_{name}" for role in ("prediction", "target") for name in names]
    cells = [str(one[name.lower()]) for one in (box, whole) for name in names]
    assert value(f"iou:format={coding}", csv(",".join(header), ",".join(cells))) == 0.5


def test_the_columns_of_another_coding_are_refused(value: Value, csv: Write) -> None:
    header = (
        "prediction_x,prediction_y,prediction_w,prediction_h,target_x,target_y,target_w,target_h"
    )
    path = csv(header, "0,0,1,1,0,0,1,1")
    assert value("iou:format=xywh", path) == 0.0
    with pytest.raises(ColumnError, match="is not the coding xyxy"):
        value("iou", path)


# Types --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "columns", "message"),
    [
        ("mse", {"prediction": ["a"], "target": [1.0]}, "holds string, not numbers"),
        ("mse", {"prediction": [{"a": 1}], "target": [1.0]}, "holds struct<a: int64>, not numbers"),
        ("contrastive", {"left": [["a"]], "right": [[1.0]], "label": [1]}, "holds list<"),
        ("contrastive", {"left": [[[1.0]]], "right": [[1.0]], "label": [1]}, "holds list<"),
        (
            "contrastive",
            {"left": [[]], "right": [[1.0]], "label": [1]},
            "first list of column 'left'",
        ),
        ("contrastive", {"left": [[1.0]], "right": [[1.0, 2.0]], "label": [1]}, "'right' has 2"),
        ("iou", {"prediction": [[1.0]], "target": [[1.0] * 4]}, "needs 4 columns, not 1"),
    ],
)
def test_a_column_of_another_type_is_refused(
    value: Value, parquet: Write, losses: str, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(LossctlError, match=message):
        value(losses, parquet(**columns), columns={})


def test_a_list_in_a_role_of_one_number_comes_with_the_losses_that_take_it(
    value: Value, parquet: Write
) -> None:
    """Whether it is found by its name, beside others, or told."""
    path = parquet(prediction=[[1.0, 2.0]], target=[1.0], yhat_1=[1.0], vector=[[1.0]])
    with pytest.raises(ColumnError) as found:
        value("mse", path)
    assert found.value.message.endswith("(a finite number); 'prediction' holds a list a row")
    assert "name it with --pred COLUMN; columns: prediction, target" in found.value.hint
    with pytest.raises(ColumnError) as told:
        value("mse", path, columns={"prediction": "vector"})
    assert told.value.message == (
        "column 'vector' for the role 'prediction' holds list<element: double>, not numbers"
    )
    for error in (found.value, told.value):
        assert error.hint.startswith("losses that take lists there: cross_entropy, ")
        assert "bce" not in error.hint
    with pytest.raises(ColumnError) as missing:
        value("mse", parquet(yhat_1=[1.0], target=[1.0]))
    assert missing.value.message.endswith("(a finite number)")


def test_weights_of_classes_are_refused_where_a_class_is_needed(
    value: Value, csv: Write, parquet: Write
) -> None:
    """As a list, or as a column for each class."""
    path = parquet(prediction=[[0.1, 0.9]], target=[[0.0, 1.0]])
    assert value("cross_entropy", path) == pytest.approx(-math.log(0.9))
    with pytest.raises(ColumnError, match="class name\\); 'target' holds a list a row"):
        value("multiclass_hinge", path)
    with pytest.raises(ColumnError, match="holds list<.*") as told:
        value("multiclass_hinge", path, columns={"target": "target"})
    assert told.value.hint == (
        "losses that take lists there: cross_entropy, cross_entropy_logits, categorical_focal, "
        "iou, log_iou, giou, diou, ciou, mask_iou, mask_iou_thresholded"
    )
    path = csv("prediction_a,prediction_b,target_a,target_b", "0.1,0.9,0,1")
    with pytest.raises(ColumnError, match="no column found for the role 'target'"):
        value("multiclass_hinge", path)
    with pytest.raises(ColumnError, match="the role 'target' needs one column, not 2"):
        value("multiclass_hinge", path, columns={"target": "target_*"})


def test_both_files_of_two_populations_need_the_columns(value: Value, csv: Write) -> None:
    real, fake = csv("prediction", "0.5", name="r.csv"), csv("score", "1", name="f.csv")
    for files in ((real, fake), (fake, real)):
        with pytest.raises(ColumnError, match="no column 'prediction'") as caught:
            value("gan_discriminator", *files)
        assert caught.value.place.file == fake
