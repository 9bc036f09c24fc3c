"""Comparison: the losses of several models on the same rows, and what the differences show."""

from __future__ import annotations

from lossctl.compare.plan import ComparisonPlan, Correction, Method, Test, plan_comparison
from lossctl.compare.run import compare

__all__ = ["ComparisonPlan", "Correction", "Method", "Test", "compare", "plan_comparison"]
