"""Boxes: the three usual codings of four numbers, and what two boxes share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from lossctl.losses._ratio import ratio

Array = npt.NDArray[np.float64]
BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
Corners = tuple[Array, Array, Array, Array]


def corners(boxes: Array, format: BoxFormat) -> Corners:
    """Give the corners ``x1, y1, x2, y2``, each ``(rows,)``, of boxes of shape ``(rows, 4)``.

    ``xywh`` is the top left corner and the sides (COCO), ``cxcywh`` the centre and the sides.
    """
    a, b, c, d = (np.ascontiguousarray(boxes[:, column]) for column in range(4))
    if format == "xyxy":
        return a, b, c, d
    if format == "xywh":
        return a, b, a + c, b + d
    return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def slopes_by_format(slopes: Array, format: BoxFormat) -> Array:
    """Turn slopes by the corners, ``(4, rows)``, into slopes by the numbers, ``(rows, 4)``."""
    x1, y1, x2, y2 = slopes
    if format == "xywh":
        slopes = np.stack([x1 + x2, y1 + y2, x2, y2])
    if format == "cxcywh":
        slopes = np.stack([x1 + x2, y1 + y2, (x2 - x1) / 2, (y2 - y1) / 2])
    return np.ascontiguousarray(slopes.T)


@dataclass(frozen=True, eq=False)
class Axis:
    """A predicted and a true box along one axis: the intervals ``[p1, p2]`` and ``[t1, t2]``.

    A property in ``_slopes`` holds two derivatives: by p1 and by p2. Where an end of one interval
    meets an end of the other, both one-sided derivatives count half; so the losses are flat where
    the boxes are equal.
    """

    p1: Array
    p2: Array
    t1: Array
    t2: Array

    @cached_property
    def side(self) -> Array:
        """Length of the predicted interval."""
        return self.p2 - self.p1

    @cached_property
    def true_side(self) -> Array:
        """Length of the true interval."""
        return self.t2 - self.t1

    @cached_property
    def shift(self) -> Array:
        """Signed distance of the centres."""
        return ((self.p1 - self.t1) + (self.p2 - self.t2)) / 2

    @cached_property
    def shared(self) -> Array:
        """Length of the common part."""
        reach: Array = np.minimum(self.p2, self.t2) - np.maximum(self.p1, self.t1)
        return np.maximum(reach, 0.0)

    @cached_property
    def shared_slopes(self) -> tuple[Array, Array]:
        """Derivatives of `shared`."""
        meet = self.shared > 0.0
        return (
            -np.heaviside(self.p1 - self.t1, 0.5) * meet,
            np.heaviside(self.t2 - self.p2, 0.5) * meet,
        )

    @cached_property
    def hull(self) -> Array:
        """Length of the shortest interval around both."""
        return np.maximum(self.p2, self.t2) - np.minimum(self.p1, self.t1)

    @cached_property
    def hull_slopes(self) -> tuple[Array, Array]:
        """Derivatives of `hull`."""
        return (
            -np.heaviside(self.t1 - self.p1, 0.5),
            np.heaviside(self.p2 - self.t2, 0.5),
        )


@dataclass(frozen=True, eq=False)
class Overlap:
    """What a predicted and a true box share; each quantity has shape ``(rows,)``.

    A property in ``_slopes`` has shape ``(4, rows)``: derivatives by x1, y1, x2, y2 of the
    predicted box.
    """

    x: Axis
    y: Axis

    @classmethod
    def of(cls, prediction: Array, target: Array, format: BoxFormat) -> Overlap:
        """Lay the boxes over one another, both of shape ``(rows, 4)`` and in this coding."""
        px1, py1, px2, py2 = corners(prediction, format)
        tx1, ty1, tx2, ty2 = corners(target, format)
        return cls(Axis(px1, px2, tx1, tx2), Axis(py1, py2, ty1, ty2))

    @cached_property
    def intersection(self) -> Array:
        """Area of the common part."""
        return self.x.shared * self.y.shared

    @cached_property
    def intersection_slopes(self) -> Array:
        """Derivatives of `intersection`."""
        (x1, x2), (y1, y2) = self.x.shared_slopes, self.y.shared_slopes
        width, height = self.x.shared, self.y.shared
        return np.stack([x1 * height, y1 * width, x2 * height, y2 * width])

    @cached_property
    def union(self) -> Array:
        """Area that at least one of the boxes covers."""
        areas = self.x.side * self.y.side + self.x.true_side * self.y.true_side
        return areas - self.intersection

    @cached_property
    def union_slopes(self) -> Array:
        """Derivatives of `union`."""
        width, height = self.x.side, self.y.side
        return np.stack([-height, -width, height, width]) - self.intersection_slopes

    @cached_property
    def iou(self) -> Array:
        """Intersection over union; 0 for two boxes without area."""
        return ratio(self.intersection, self.union)

    @cached_property
    def iou_slopes(self) -> Array:
        """Derivatives of `iou`."""
        return ratio(self.intersection_slopes - self.iou * self.union_slopes, self.union)

    @cached_property
    def hull(self) -> Array:
        """Area of the smallest box around both."""
        return self.x.hull * self.y.hull

    @cached_property
    def hull_slopes(self) -> Array:
        """Derivatives of `hull`."""
        (x1, x2), (y1, y2) = self.x.hull_slopes, self.y.hull_slopes
        width, height = self.x.hull, self.y.hull
        return np.stack([x1 * height, y1 * width, x2 * height, y2 * width])

    @cached_property
    def diagonal(self) -> Array:
        """Squared diagonal of the smallest box around both."""
        return self.x.hull * self.x.hull + self.y.hull * self.y.hull

    @cached_property
    def offset(self) -> Array:
        """Squared distance of the centres over the squared diagonal; 0 for two equal points."""
        return ratio(self.x.shift * self.x.shift + self.y.shift * self.y.shift, self.diagonal)

    @cached_property
    def offset_slopes(self) -> Array:
        """Derivatives of `offset`."""
        (x1, x2), (y1, y2) = self.x.hull_slopes, self.y.hull_slopes
        width, height = self.x.hull, self.y.hull
        distance = np.stack([self.x.shift, self.y.shift, self.x.shift, self.y.shift])
        diagonal = 2.0 * np.stack([x1 * width, y1 * height, x2 * width, y2 * height])
        return ratio(distance - self.offset * diagonal, self.diagonal)

    @cached_property
    def turn(self) -> Array:
        """Angle from the predicted to the true diagonal, ``atan(w_t/h_t) - atan(w_p/h_p)``.

        One arctangent gives the difference of the two, and 0 where a box is a point.
        """
        return np.arctan2(
            self.x.true_side * self.y.side - self.y.true_side * self.x.side,
            self.y.true_side * self.y.side + self.x.true_side * self.x.side,
        )

    @cached_property
    def turn_slopes(self) -> Array:
        """Derivatives of `turn`."""
        width, height = self.x.side, self.y.side
        rates = np.stack([height, -width, -height, width])
        return ratio(rates, width * width + height * height)
