"""Exact losses of prediction files: the command ``lossctl`` and its Python core."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("lossctl")
